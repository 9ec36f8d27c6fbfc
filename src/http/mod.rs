//! What browsers and programs talk to: pages, signalling, the API, and who may have what.
//!
//! In come HTTP requests; out go pages, answers to offers, and the state of the program. It is the
//! only room that names the HTTP library.
//!
//! Following one request: [`serve`] accepts the connection and keeps slow clients from taking all
//! the room there is; [`forwarded`] finds out whom a proxy speaks for; [`cross_origin`] turns away
//! what another web site sent; the table in [`routes`] names the handler and who may call it, which
//! [`auth`] decides; [`body`] reads what was sent, within bounds; the handler (in [`signalling`],
//! [`pictures`], [`api`], [`pages`] …) asks the [`webrtc`](crate::webrtc) or [`hub`](crate::hub)
//! and answers; what went wrong leaves as a [`problem`].

mod access;
mod api;
pub(crate) mod auth;
mod body;
mod builtin;
mod camera;
mod cross_origin;
mod forwarded;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod local_domains;
mod login;
mod metrics;
mod own_names;
mod pages;
mod path;
pub(crate) mod peer;
pub(crate) mod pictures;
mod problem;
pub(crate) mod routes;
mod secure;
mod security_headers;
pub(crate) mod serve;
pub(crate) mod settings;
mod signalling;
pub(crate) mod state;

/// The HTTP library, for those who add routes and middleware of their own.
pub use axum;

pub use access::Access;
pub(crate) use auth::{Authenticator, PasswordStore, SessionStore, end_revoked_sessions};
pub(crate) use local_domains::LocalDomains;
pub(crate) use metrics::{Metric, MetricValue, MetricsSource};
pub use routes::{ExtraRoutes, RouteError, listing};
pub(crate) use routes::{Middleware, RoutePaths, service};
pub(crate) use secure::SecurePage;
pub use serve::ServeError;
pub(crate) use serve::{Server, ServerLimits, Service};
pub(crate) use settings::{HttpSettings, IceServers, MjpegSettings, Sharing};
pub(crate) use state::{Camera, Dependencies, HttpState};
