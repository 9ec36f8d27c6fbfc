//! Reading what proxies write, element by element.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{FORWARDED, HeaderName};
use axum::http::{HeaderMap, HeaderValue};

/// What a proxy says of its client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) client: Option<IpAddr>,
    pub(super) proto: Option<String>,
    pub(super) host: Option<String>,
}

/// The elements of a list that may be spread over several lines. One that is not text, which a visitor
/// may have sent ahead of what the proxy adds, hides none of the others.
pub(super) fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let elements =
        headers.get_all(name).into_iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
    let elements = elements.map(|element| std::str::from_utf8(element).unwrap_or("?"));
    elements.map(str::trim).filter(|element| !element.is_empty())
}

/// In a list to which each proxy may have added: what the `n`th from the right has added. Proxies
/// that do not add leave what the first of them wrote.
pub(super) fn nth_from_the_right(
    headers: &HeaderMap,
    name: &HeaderName,
    n: usize,
) -> Option<String> {
    let all: Vec<&str> = list(headers, name).collect();
    all.iter().rev().nth(n).or(all.first()).map(|&element| element.to_owned())
}

/// An address, with or without a port. `None` for what hides who it is (RFC 7239 §6).
pub(super) fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    bare.parse().ok().or_else(with_port)
}

/// The elements of `Forwarded`, the client's first. `None` where a visitor has left a quoted string
/// open, which then reaches into what the proxy has added.
pub(super) fn parse_forwarded(headers: &HeaderMap) -> Option<Vec<Hop>> {
    let mut hops = Vec::new();
    for line in headers.get_all(FORWARDED) {
        let line = String::from_utf8_lossy(line.as_bytes());
        hops.extend(split(&line, ',')?.iter().map(|element| hop(element)));
    }
    Some(hops)
}

/// One element: `for=192.0.2.60;proto=http;host="cam.example:8443"` (RFC 7239 §4).
fn hop(element: &str) -> Hop {
    let mut hop = Hop::default();
    for pair in split(element, ';').unwrap_or_default() {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let value = unquoted(value.trim());
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.client = node(&value),
            "proto" => hop.proto = Some(value),
            "host" => hop.host = Some(value),
            _ => {}
        }
    }
    hop
}

/// Splits at a character, but not inside quoted strings (RFC 9110 §5.6.4). `None` where one has no end.
fn split(text: &str, at: char) -> Option<Vec<String>> {
    let (mut parts, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == at && !quoted => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    (!quoted).then_some(parts)
}

fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut chars = inner.chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

/// A path that can stand in a cookie's attribute: "/camera", without a `/` at its end.
pub(super) fn prefix(value: &HeaderValue) -> Option<String> {
    let path = value.to_str().ok()?.trim_end_matches('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%".contains(&b);
    let segments = path.strip_prefix('/')?.split('/');
    let clean = segments.clone().all(|s| !matches!(s, "" | "." | ".."));
    (path.len() <= 256 && clean && path.bytes().all(plain)).then(|| path.to_owned())
}
