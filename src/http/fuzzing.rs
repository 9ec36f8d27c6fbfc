//! The entry point for fuzzers: one input, and a panic if a promise of this room is broken.

use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderValue};

use super::forwarded::resolve;
use super::peer::{Peer, Scheme};
use crate::config::Subnet;

/// Reads what a proxy may say of its client, a header a line, and checks what must hold
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
    let (info, peer) = resolve(&[trusted], &headers, stranger);
    assert_eq!(peer, stranger, "a client that is not trusted speaks for itself alone");
    assert_eq!(info.proxied, !headers.is_empty());
    assert!(info.host.is_none() && info.prefix.is_empty());
    let (info, _) = resolve(&[trusted], &headers, proxy);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%".contains(&b);
    assert!(info.prefix.bytes().all(plain), "it stands in a cookie: {:?}", info.prefix);
    assert!(info.prefix.is_empty() || info.prefix.starts_with('/'));
}
