//! Accepting connections, and keeping slow clients from taking all the room there is.
//!
//! In come connections; out go requests, one after the other, to the service that
//! [`routes`](super::routes) made. Everything a client may take its time for has a limit: a head, a
//! body, an answer; and so has the number of connections ([`connections`]). Heads that could be read in two ways are
//! refused ([`strict_framing`]).

mod connection;
mod connections;
mod limits;
mod server;
mod strict_framing;
mod write_timeout;

pub(super) use connections::{ConnectionSlot, Phase};
pub(super) use limits::BodyTimeout;
pub use limits::ServerLimits;
pub use server::{ServeError, Server, Service};
