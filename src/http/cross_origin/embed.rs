//! Pages of others in which this camera may be shown: the page in a frame, its pictures in a plain
//! `<img>`. With none listed, none may.
//!
//! The browser decides who frames the page, by the `frame-ancestors` that every answer
//! carries (CSP Level 3 §6.4.2). Nobody tells it who may show an image; that is decided here by
//! `Referer`, which a page can leave out but not forge.

use axum::extract::Request;
use axum::http::header::{HeaderValue, REFERER};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method};

use crate::http::pictures::is_picture;
use crate::http::settings::HttpSettings;

/// Whether what a browser says was made by another site's page may pass, because that page may
/// show this camera.
pub(super) fn allows_embedding(settings: &HttpSettings, request: &Request) -> bool {
    allows_frame(settings, request) || allows_picture(settings, request)
}

/// A page that is to be shown in a frame.
fn allows_frame(settings: &HttpSettings, request: &Request) -> bool {
    let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
    let embeds: [&[u8]; 4] = [b"iframe", b"frame", b"object", b"embed"];
    !settings.frame_ancestors.is_empty()
        && reads(request)
        && header("sec-fetch-mode") == Some(b"navigate")
        && header("sec-fetch-dest").is_some_and(|dest| embeds.contains(&dest))
        // Where it is told, there is no need to have a stranger's request run.
        && referrer(request.headers()).is_none_or(|from| listed(settings, from))
}

/// A picture that is to be shown in another site's page.
pub(in crate::http) fn allows_picture(settings: &HttpSettings, request: &Request) -> bool {
    let dest = request.headers().get("sec-fetch-dest").map(HeaderValue::as_bytes);
    reads(request)
        && is_picture(request.uri())
        && dest.is_none_or(|dest| dest == b"image")
        && referrer(request.headers()).is_some_and(|from| {
            // Who may use the API can have the picture anyway.
            listed(settings, from) || settings.cors.iter().any(|o| o.eq_ignore_ascii_case(from))
        })
}

fn reads(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

fn listed(settings: &HttpSettings, origin: &str) -> bool {
    settings.frame_ancestors.iter().any(|pattern| covers(pattern, origin))
}

/// The origin of the page that the request says it was made from.
fn referrer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(REFERER)?.to_str().ok()?;
    let authority = text.find("://")? + "://".len();
    let end = text[authority..].find(['/', '?', '#']).map_or(text.len(), |at| authority + at);
    Some(&text[..end])
}

/// Whether `pattern` covers `origin`, as browsers match them (CSP Level 3 §6.7.2): `*.` stands for
/// any subdomain, `:*` for any port, and `http` for `https` too. `'self'` is not asked about here.
fn covers(pattern: &str, origin: &str) -> bool {
    let parts = |text: &str| {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let default = if scheme == "https" { "443" } else { "80" };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, default),
        };
        Some((scheme, host.to_ascii_lowercase(), port.to_owned()))
    };
    let (Some(want), Some(is)) = (parts(pattern), parts(origin)) else {
        return false;
    };
    let upgraded = want.0 == "http" && is.0 == "https";
    let scheme = want.0 == is.0 || upgraded;
    let port = want.2 == "*" || want.2 == is.2 || (upgraded && (&*want.2, &*is.2) == ("80", "443"));
    let host = match want.1.strip_prefix('*') {
        Some(end) => is.1.strip_suffix(end).is_some_and(|sub| !sub.is_empty()),
        None => want.1 == is.1,
    };
    scheme && port && host && is.1.parse::<Authority>().is_ok()
}

/// `frame-ancestors` as it stands in the policy.
pub(in crate::http) fn frame_ancestors(settings: &HttpSettings) -> String {
    if settings.frame_ancestors.is_empty() {
        return "'none'".into();
    }
    settings.frame_ancestors.join(" ")
}

/// The same for browsers that know no policy (RFC 7034); `None` where it has no word for it.
pub(in crate::http) fn x_frame_options(settings: &HttpSettings) -> Option<HeaderValue> {
    match settings.frame_ancestors.as_slice() {
        [] => Some(HeaderValue::from_static("DENY")),
        [own] if own == "'self'" => Some(HeaderValue::from_static("SAMEORIGIN")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn origins_are_matched_as_browsers_do() {
        for (pattern, origin) in [
            ("https://home.example", "https://home.example"),
            ("http://home.example", "https://home.example"),
            ("http://home.example:80", "http://home.example"),
            ("http://10.0.0.2:8123", "http://10.0.0.2:8123"),
            ("http://[::1]:8123", "http://[::1]:8123"),
            ("https://*.example", "https://a.b.example"),
            ("https://home.example:*", "https://home.example:8443"),
        ] {
            assert!(covers(pattern, origin), "{pattern} {origin}");
        }
        for (pattern, origin) in [
            ("https://home.example", "http://home.example"),
            ("https://home.example", "https://home.example:8443"),
            ("https://home.example", "https://home.example.evil.example"),
            ("https://*.example", "https://example"),
            ("https://*.example", "https://evilexample"),
            ("https://home.example", "home.example"),
            ("'self'", "https://home.example"),
        ] {
            assert!(!covers(pattern, origin), "{pattern} {origin}");
        }
    }

    fn settings() -> HttpSettings {
        HttpSettings {
            frame_ancestors: vec!["https://home.example".into()],
            cors: vec!["https://wall.example".into()],
            ..HttpSettings::default()
        }
    }

    fn asks(settings: &HttpSettings, path: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        allows_embedding(settings, &request.body(Body::empty()).unwrap())
    }

    #[test]
    fn listed_pages_show_pictures_and_others_do_not() {
        for path in ["/snapshot.jpg", "/stream.mjpg", "/?action=stream"] {
            for (from, may) in [
                ("https://home.example/dashboard", true),
                ("https://wall.example/", true),
                ("https://evil.example/https://home.example/", false),
                ("https://evil.example?https://home.example/", false),
                ("null", false),
            ] {
                let headers = [("Sec-Fetch-Dest", "image"), ("Referer", from)];
                assert_eq!(asks(&settings(), path, &headers), may, "{from} {path}");
                assert!(!asks(&HttpSettings::default(), path, &headers));
            }
            assert!(!asks(&settings(), path, &[("Sec-Fetch-Dest", "image")]));
            let script = [("Sec-Fetch-Dest", "script"), ("Referer", "https://home.example/")];
            assert!(!asks(&settings(), path, &script));
        }
        let image = [("Sec-Fetch-Dest", "image"), ("Referer", "https://home.example/")];
        assert!(!asks(&settings(), "/api/v1/status", &image));
    }

    #[test]
    fn frames_are_let_in_only_where_somebody_may_have_one() {
        let frame = [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")];
        assert!(asks(&settings(), "/", &frame));
        assert!(!asks(&HttpSettings::default(), "/", &frame));
        let evil = [frame[0], frame[1], ("Referer", "https://evil.example/")];
        assert!(!asks(&settings(), "/", &evil));
        assert!(!asks(&settings(), "/", &[("Sec-Fetch-Mode", "cors"), frame[1]]));
    }
}
