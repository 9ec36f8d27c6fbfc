//! The addresses of mjpg-streamer, which programs for 3D printers and homes ask for: `/?action=stream`
//! and `/?action=snapshot`, and both below `/webcam/`, where OctoPrint's and Mainsail's web servers
//! have it and some pass the path on.

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::http::request::Parts;
use axum::response::Response;

use super::problem::Problem;
use super::{HttpState, mjpeg, pages, snapshot};

/// What is asked for. Its streams have numbers, of which there is one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Stream,
    Snapshot,
    Other,
}

fn action(uri: &Uri) -> Option<Action> {
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
pub(super) fn is_picture(uri: &Uri) -> bool {
    match uri.path() {
        "/snapshot.jpg" | "/stream.mjpg" => true,
        "/" | "/webcam" | "/webcam/" => {
            matches!(action(uri), Some(Action::Stream | Action::Snapshot))
        }
        _ => false,
    }
}

/// `GET /`: the player, unless there is an `action`.
pub(super) async fn index(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    match action(request.uri()) {
        None => pages::index(State(state), request).await,
        Some(action) => act(state, action, &request.into_parts().0).await,
    }
}

/// `GET /webcam/`.
pub(super) async fn webcam(
    State(state): State<HttpState>,
    request: Parts,
) -> Result<Response, Problem> {
    let action = action(&request.uri).unwrap_or(Action::Other);
    act(state, action, &request).await
}

async fn act(state: HttpState, action: Action, request: &Parts) -> Result<Response, Problem> {
    match action {
        Action::Stream => mjpeg::answer(state, request, None).await,
        Action::Snapshot => snapshot::get(State(state), request.method.clone()).await,
        Action::Other => Err(Problem::not_found(
            "there is nothing at this address; there are ?action=stream and ?action=snapshot",
        )),
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
