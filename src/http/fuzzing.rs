//! The door for fuzzers: one input, and a panic if a promise of this room is broken.

use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderValue};

use super::forwarded::pass;
use super::{Peer, Scheme};
use crate::config::Subnet;

/// Reads what a proxy may say of whom it speaks for: a header a line, and checks what must hold
/// whatever it says.
///
/// # Panics
/// When it does not.
pub fn forwarded(bytes: &[u8]) {
    const NAMES: [&str; 6] = [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-prefix",
        "x-ingress-path",
    ];
    let mut headers = HeaderMap::new();
    for line in bytes.split(|b| *b == b'\n').take(64) {
        let Some((which, value)) = line.split_first() else {
            continue;
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(NAMES[usize::from(*which) % NAMES.len()], value);
        }
    }
    let stranger = Peer {
        address: SocketAddr::from(([192, 0, 2, 1], 50_000)),
        local: None,
        scheme: Scheme::Http,
    };
    let proxy = Peer { address: SocketAddr::from(([10, 0, 0, 2], 50_000)), ..stranger };
    let Ok(trusted) = "10.0.0.0/8".parse::<Subnet>() else {
        return;
    };
    let (passage, peer) = pass(&[trusted], &headers, stranger);
    assert_eq!(peer, stranger, "who is not trusted speaks for itself alone");
    assert_eq!(passage.proxied, !headers.is_empty());
    assert!(passage.host.is_none() && passage.prefix.is_empty());
    let (passage, _) = pass(&[trusted], &headers, proxy);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%".contains(&b);
    assert!(passage.prefix.bytes().all(plain), "it stands in a cookie: {:?}", passage.prefix);
    assert!(passage.prefix.is_empty() || passage.prefix.starts_with('/'));
}
