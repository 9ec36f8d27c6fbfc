//! Who a request is from, behind proxies.
//!
//! A proxy that `http.trusted_proxies` names is believed when it says who the client is:
//! `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`, `Forwarded` (RFC 7239), and Home Assistant's
//! `X-Ingress-Path`. From then on [`Peer`](super::Peer) is that client. From anybody else, such
//! headers have one effect only: what sends them is a proxy, and not this machine's own program.
//!
//! In come the headers of a request and the address it came from; out go the client's address, and
//! how the client addressed the proxy ([`ProxyInfo`]).

mod middleware;
mod parse;
mod resolve;

pub(super) use middleware::resolve_client;
#[cfg(fuzzing)]
pub(super) use resolve::resolve;
pub(super) use resolve::{MalformedHost, ProxyInfo};
