//! Addresses as they are compared.

use std::net::SocketAddr;

/// An IPv4 address that a dual-stack socket shows as an IPv6 one, as IPv4.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
