//! At which addresses pictures are.

use axum::http::Uri;

/// What is asked for. Its streams have numbers, of which there is one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Stream,
    Snapshot,
    Other,
}

pub(super) fn action(uri: &Uri) -> Option<Action> {
    let query = uri.query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, action) = pairs.find(|(name, _)| name == "action")?;
    Some(match action.as_ref() {
        "stream" | "stream_0" => Action::Stream,
        "snapshot" | "snapshot_0" => Action::Snapshot,
        _ => Action::Other,
    })
}

/// Whether a picture is at this address, on whatever way.
pub(in crate::http) fn is_picture(uri: &Uri) -> bool {
    match uri.path() {
        "/snapshot.jpg" | "/stream.mjpg" => true,
        path if path.starts_with("/snapshot/") || path.starts_with("/stream/") => true,
        "/" | "/webcam" | "/webcam/" => {
            matches!(action(uri), Some(Action::Stream | Action::Snapshot))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_told_from_pages_by_their_address() {
        for picture in [
            "/snapshot.jpg",
            "/stream.mjpg?fps=2",
            "/?action=stream",
            "/?action=snapshot&1700000000",
            "/webcam/?action=stream_0",
            "/webcam?cacheBust=1&action=snapshot",
        ] {
            assert!(is_picture(&picture.parse().unwrap()), "{picture}");
        }
        for other in
            ["/", "/?actions=stream", "/?action=command", "/webcam/", "/offer?action=stream"]
        {
            assert!(!is_picture(&other.parse().unwrap()), "{other}");
        }
    }
}
