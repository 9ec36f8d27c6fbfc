//! What the clients of all servers want done, in order.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Poll {
    /// Send this from the shared socket.
    Transmit { to: SocketAddr, bytes: Vec<u8> },
    /// A new candidate.
    Gained(Candidate),
    /// A candidate that is no longer one.
    Lost(Candidate),
    /// Nothing until then.
    Wait(Instant),
}

/// An address viewers may reach us at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Candidate {
    pub kind: Kind,
    /// The mapped or relayed address.
    pub address: SocketAddr,
    /// The server that told.
    pub server: SocketAddr,
}

/// RFC 8445 §5.1.1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The shared socket, seen from outside.
    ServerReflexive,
    /// An address on a TURN server, reached through [`Servers::send`](super::Servers::send).
    Relay,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerReflexive => "public address",
            Self::Relay => "relay address",
        })
    }
}

/// Filled by the clients, emptied by [`Servers::poll`](super::Servers::poll).
#[derive(Debug, Default)]
pub(super) struct Outbox(VecDeque<Poll>);

impl Outbox {
    pub(super) fn send(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.0.push_back(Poll::Transmit { to, bytes });
    }

    pub(super) fn gained(&mut self, kind: Kind, address: SocketAddr, server: SocketAddr) {
        log::info!("{kind} {address}, from {server}");
        self.0.push_back(Poll::Gained(Candidate { kind, address, server }));
    }

    pub(super) fn lost(&mut self, kind: Kind, address: SocketAddr, server: SocketAddr) {
        log::info!("{kind} {address} is gone");
        self.0.push_back(Poll::Lost(Candidate { kind, address, server }));
    }

    pub(super) fn pop(&mut self) -> Option<Poll> {
        self.0.pop_front()
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
