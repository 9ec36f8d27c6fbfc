//! The cookies by which the owner's browsers are known.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum CookieKind {
    /// It signs the browser in.
    Session,
    /// It says that the browser has signed in before.
    Browser,
}

impl CookieKind {
    /// The cookie's name; with the port, "picket-8000", because browsers keep one jar of cookies
    /// for all ports of a host.
    pub(in crate::http) fn name(self, port: Option<u16>) -> String {
        let name = self.base();
        port.map_or(name.to_owned(), |port| format!("{name}-{port}"))
    }

    const fn base(self) -> &'static str {
        match self {
            Self::Session => "picket",
            Self::Browser => "picket-browser",
        }
    }

    fn is_of(self, name: &str) -> bool {
        match name.strip_prefix(self.base()) {
            Some("") => true,
            Some(rest) => rest.strip_prefix('-').is_some_and(|port| port.parse::<u16>().is_ok()),
            None => false,
        }
    }
}

/// Names and values of our cookies (RFC 6265 §4.2). Another Picket on this host has some too, and
/// other servers there may have set any: one that is not ours, or not even text, hides none of
/// those beside it.
pub(super) fn cookies(headers: &HeaderMap, kind: CookieKind) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let pairs = pairs.filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='));
    pairs.filter(move |(name, _)| kind.is_of(name))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn cookies_of_a_picket_are_told_from_others() {
        let value = "a=1; picket-8000=x; picket=y; pickets=2; picket-=3; picket-http=4; \
                     picket-browser=b; picket-1=z=; picket-browser-8000=c; picket-browsers=d";
        let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(value))]);
        let found = |kind| cookies(&headers, kind).collect::<Vec<_>>();
        assert_eq!(
            found(CookieKind::Session),
            [("picket-8000", "x"), ("picket", "y"), ("picket-1", "z=")]
        );
        let browsers = [("picket-browser", "b"), ("picket-browser-8000", "c")];
        assert_eq!(found(CookieKind::Browser), browsers);
    }

    #[test]
    fn cookies_that_others_have_set_hide_none_of_ours() {
        let mut line = b"x=\xff\xfe; picket=\xff; ".to_vec();
        line.extend("picket=bad; picket-1=bad; ".repeat(100).bytes());
        line.extend(b"picket-8000=good");
        let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_bytes(&line).unwrap())]);
        assert!(cookies(&headers, CookieKind::Session).any(|(_, value)| value == "good"));
    }
}
