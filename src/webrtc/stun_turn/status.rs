//! How a server is doing, for people.

use std::net::SocketAddr;

/// Why a server is of no use at present.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerProblem {
    #[error("its name cannot be resolved; check the name and the network's name server")]
    Unresolved,
    #[error("{0} does not answer; check the address, and that UDP to it is not blocked")]
    Silent(SocketAddr),
    #[error("it refuses the username or credential; check both in ice_servers")]
    Credentials,
    #[error("it refuses with {code} {reason:?}")]
    Refused { code: u16, reason: String },
    #[error("it has lost our relay address, perhaps by a restart; asking for a new one")]
    Lost,
    #[error("its answer makes no sense: {0}")]
    Nonsense(&'static str),
}

/// How a server is doing.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStatus {
    pub url: String,
    /// Our address as this server sees it.
    pub mapped: Option<SocketAddr>,
    pub relay: Option<SocketAddr>,
    pub problem: Option<ServerProblem>,
}
