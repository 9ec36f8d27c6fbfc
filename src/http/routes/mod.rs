//! Which handler answers which address, and who may use it.
//!
//! In come the handlers of the other rooms of [`http`](super), the site's own pages, and the routes
//! and middleware of an embedding program; out goes one service for [`serve`](super::serve). Only
//! this folder names handlers; no handler names anything in here.

mod extra;
mod paths;
mod route;
mod service;
mod site;
mod table;

pub use extra::{ExtraRoutes, Middleware};
pub use paths::{RouteError, RoutePaths};
pub use service::service;
pub use table::listing;
