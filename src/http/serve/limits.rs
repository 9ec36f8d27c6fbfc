//! How much clients may have of the server.

use std::time::Duration;

use crate::config::Subnet;

/// How much clients may have of the server.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// Connections in all.
    pub max_connections: usize,
    /// Connections of one address, or of one /64 by IPv6. This machine and the `proxies` have no
    /// limit of their own.
    pub max_connections_per_address: usize,
    /// Addresses that many clients are behind.
    pub proxies: Vec<Subnet>,
    /// From the end of one request, or the start of the connection, to the end of the next
    /// request's head.
    pub header_timeout: Duration,
    /// For a request's body.
    pub body_timeout: Duration,
    /// For a client to take any part of an answer.
    pub write_timeout: Duration,
    /// Requests on one connection.
    pub max_requests: u32,
    /// For how long requests are taken on one connection.
    pub max_age: Duration,
    /// For requests under way to finish when the server stops.
    pub shutdown_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_connections: 512,
            max_connections_per_address: 64,
            proxies: Vec::new(),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            max_requests: 1000,
            max_age: Duration::from_secs(600),
            shutdown_timeout: Duration::from_secs(1),
        }
    }
}

/// How long a client may take to send a whole body.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct BodyTimeout(pub(in crate::http) Duration);

impl Default for BodyTimeout {
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}
