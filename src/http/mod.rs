//! What browsers and programs talk to: pages, signalling, the API, and who may have what.
//!
//! In come HTTP requests; out go pages, answers to offers, and the state of the house. It is the
//! only room that names the HTTP library.
//!
//! Following one request: [`serve`] accepts the connection and keeps slow clients from taking all
//! the room there is; [`forwarded`] finds out whom a proxy speaks for; [`guard`] turns away what
//! another web site sent; the table in [`routes`] names the handler and who may call it, which
//! [`auth`] decides; [`body`] reads what was sent, within bounds; the handler ([`whep`],
//! [`offer`], [`api`], [`pages`] …) asks the
//! [`rtc`](crate::rtc) or [`hub`](crate::hub) and answers; what went wrong leaves as a
//! [`problem`].

mod api;
mod auth;
mod body;
mod builtin;
mod controls;
mod device;
mod embed;
mod forwarded;
pub mod fuzzing;
mod guard;
mod headers;
mod metrics;
mod mjpeg;
mod mjpg_streamer;
mod names;
mod offer;
mod pages;
mod problem;
mod routes;
mod serve;
mod snapshot;
mod state;
mod update;
mod whep;

/// The HTTP library, for those who add routes and middleware of their own.
pub use axum;

pub use auth::{Auth, Clock, PasswordStore, SessionStore, end_withdrawn};
pub use metrics::{Meters, Sample, Value};
pub use mjpeg::MjpegSettings;
pub use names::LocalDomains;
pub use pages::{PageError, Pages};
pub use routes::{Access, ExtraRoutes, Paths, RouteError, Wrap, listing, service};
pub use serve::{Limits, Peer, Scheme, ServeError, Server};
pub use snapshot::Snapshotter;
pub use state::{HttpState, IceServer, IceServers, Parts, Settings, Sharing};
