//! The way a datagram takes.

use std::net::SocketAddr;

use str0m::net::Protocol;

/// Which protocol carries a datagram, between which of our addresses and which of the viewer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) protocol: Protocol,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

impl Path {
    /// Where the other end is.
    pub(super) fn remote(&self) -> Remote {
        (self.protocol, self.remote)
    }
}

/// The far end of a path.
pub(super) type Remote = (Protocol, SocketAddr);

/// An address of a socket for both families with IPv4 as IPv4.
pub(super) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
