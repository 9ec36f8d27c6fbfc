//! Who is at the other end of a connection.

use std::net::{IpAddr, SocketAddr};

use crate::webrtc::{Caller, Holder, SignallingPath};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Ours, by which it has reached us, where that is known.
    pub local: Option<IpAddr>,
    /// How the connection is protected.
    pub scheme: Scheme,
}

impl Peer {
    /// Its address without the port, IPv4 as IPv4.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    /// Who it is, to the WebRTC side, with this credential.
    pub(super) fn caller(&self, holder: Holder) -> Caller {
        Caller { holder, path: self.signalling_path() }
    }

    /// The way its request took.
    pub(super) fn signalling_path(&self) -> SignallingPath {
        SignallingPath { viewer: self.source(), camera: self.local }
    }
}

/// Whether a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// It is not.
    Http,
    /// By TLS.
    Https,
}

/// The port that a connection came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalPort(pub(super) u16);
