//! The credentials of programs: a token in a header or in the URL.

use axum::extract::Request;
use axum::http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue};
use base64ct::{Base64Unpadded, Encoding};

/// Whether a browser sent it: all of them say so in one of these ways, and nearly no program does.
pub(super) fn is_browser(headers: &HeaderMap) -> bool {
    let starts = |name, with: &str| {
        headers.get(name).is_some_and(|v: &HeaderValue| v.as_bytes().starts_with(with.as_bytes()))
    };
    starts(USER_AGENT, "Mozilla/")
        || starts(ACCEPT, "text/html")
        || headers.contains_key("sec-fetch-site")
}

/// The token in `Authorization`: a bearer's (RFC 6750 §2.1), or the password of HTTP Basic
/// (RFC 7617 §2).
pub(super) fn header_token(headers: &HeaderMap) -> Option<String> {
    let (scheme, shown) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let shown = shown.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(shown.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = Base64Unpadded::decode_vec(shown.trim_end_matches('=')).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

/// A token in the URL.
#[derive(Clone)]
pub(super) struct UrlToken(pub(super) String);

/// Makes a token in the URL count for this request.
pub(in crate::http) fn take_token_from_url(request: &mut Request) {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let token = form_urlencoded::parse(query).find(|(name, _)| name == "token");
    if let Some(token) = token.map(|(_, token)| UrlToken(token.into_owned())) {
        request.extensions_mut().insert(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_bearers_or_the_password_of_basic() {
        let shown = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            header_token(&HeaderMap::from_iter([(AUTHORIZATION, value)]))
        };
        for value in
            ["Bearer a:b", "bearer  a:b ", "Basic dXNlcjphOmI=", "basic OmE6Yg==", "Basic OmE6Yg"]
        {
            assert_eq!(shown(value).as_deref(), Some("a:b"), "{value}");
        }
        for value in
            ["Basic", "Basic ", "Basic ?", "Basic dXNlcg==", "Basic /w==", "Digest a:b", "a:b"]
        {
            assert_eq!(shown(value), None, "{value}");
        }
    }
}
