//! The one table of routes.
//!
//! A route is a row of [`table`] and names who may use it; the router is made from the rows, so
//! that there is no way to serve a path without having said so.

use super::route::{Route, RouteMethod};
use crate::http::access::Access;
use crate::http::api::{controls, device, events, health, sessions, status, update};
use crate::http::pictures::{mjpeg, mjpg_streamer, snapshot};
use crate::http::signalling::{offer, whep};
use crate::http::{login, metrics, pages, secure};

/// Every built-in route.
#[rustfmt::skip]
pub(super) fn table() -> Vec<Route> {
    use Access::{Open, Owner, Viewer};
    use RouteMethod::{Delete, Get, Options, Patch, Post, Put};
    vec![
        Route::new(Get,     "/",                       Viewer, mjpg_streamer::index).token_in_url(),
        Route::new(Get,     "/static/{*path}",         Viewer, pages::static_file),
        Route::new(Get,     "/offer",                  Viewer, offer::offer),
        Route::new(Post,    "/offer",                  Viewer, offer::offer),
        Route::new(Post,    "/close_connection",       Viewer, offer::close_connection),
        Route::new(Get,     "/whep",                   Viewer, whep::get),
        Route::new(Post,    "/whep",                   Viewer, whep::post),
        Route::new(Options, "/whep",                   Open,   whep::options),
        Route::new(Get,     "/whep/{name}",            Viewer, whep::get_named),
        Route::new(Post,    "/whep/{name}",            Viewer, whep::post_camera),
        Route::new(Patch,   "/whep/{name}",            Viewer, whep::patch).handler_decides(),
        Route::new(Delete,  "/whep/{name}",            Viewer, whep::delete),
        Route::new(Options, "/whep/{name}",            Open,   whep::options_named),
        Route::new(Get,     "/api/v1/status",          Viewer, status::get),
        Route::new(Get,     "/api/v1/events",          Viewer, events::get),
        Route::new(Get,     "/api/v1/clock",           Viewer, status::clock),
        Route::new(Get,     "/api/v1/sessions",        Owner,  sessions::list),
        Route::new(Get,     "/api/v1/sessions/{id}",   Owner,  sessions::get),
        Route::new(Patch,   "/api/v1/sessions/{id}",   Owner,  sessions::patch),
        Route::new(Delete,  "/api/v1/sessions/{id}",   Owner,  sessions::delete),
        Route::new(Get,     "/api/v1/controls",        Viewer, controls::get),
        Route::new(Patch,   "/api/v1/controls",        Owner,  controls::patch),
        Route::new(Get,     "/device",                 Owner,  device::page),
        Route::new(Get,     "/device.css",             Owner,  device::style),
        Route::new(Get,     "/device.js",              Owner,  device::script),
        Route::new(Get,     "/api/v1/device",          Owner,  device::get),
        Route::new(Get,     "/api/v1/device/networks", Owner,  device::networks),
        Route::new(Put,     "/api/v1/device/network",  Owner,  device::join),
        Route::new(Post,    "/api/v1/device/restart",  Owner,  device::restart),
        Route::new(Post,    "/api/v1/device/reset",    Owner,  device::reset),
        Route::new(Get,     "/api/v1/device/log",      Owner,  device::log),
        Route::new(Get,     "/api/v1/update",          Owner,  update::get),
        Route::new(Post,    "/api/v1/update",          Owner,  update::upload),
        Route::new(Post,    "/api/v1/update/look",     Owner,  update::check),
        Route::new(Post,    "/api/v1/update/install",  Owner,  update::install),
        Route::new(Get,     "/snapshot.jpg",           Viewer, snapshot::get).token_in_url(),
        Route::new(Get,     "/stream.mjpg",            Viewer, mjpeg::get).token_in_url(),
        Route::new(Get,     "/snapshot/{file}",        Viewer, snapshot::get_named).token_in_url(),
        Route::new(Get,     "/stream/{file}",          Viewer, mjpeg::get_named).token_in_url(),
        Route::new(Get,     "/webcam",                 Viewer, mjpg_streamer::webcam).token_in_url(),
        Route::new(Get,     "/webcam/",                Viewer, mjpg_streamer::webcam).token_in_url(),
        Route::new(Get,     "/metrics",                Viewer, metrics::get),
        Route::new(Get,     "/healthz",                Open,   health::get),
        Route::new(Get,     "/secure",                 Open,   secure::page),
        Route::new(Get,     "/secure/root.crt",        Open,   secure::root),
        Route::new(Get,     "/login",                  Open,   login::page),
        Route::new(Get,     "/login.css",              Open,   login::style),
        Route::new(Post,    "/login",                  Open,   login::sign_in),
        Route::new(Post,    "/setup",                  Open,   login::set_first_password),
        Route::new(Post,    "/logout",                 Viewer, login::sign_out),
        Route::new(Post,    "/logout/everywhere",      Owner,  login::sign_out_everywhere),
    ]
}

/// The table as `METHOD PATH ACCESS`, one route a line.
#[must_use]
pub fn listing() -> String {
    table().iter().map(|r| format!("{} {} {}\n", r.method.name(), r.path, r.access)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn only_what_is_needed_to_sign_in_is_open() {
        let open: BTreeSet<String> = table()
            .into_iter()
            .filter(|r| r.access == Access::Open && r.method != RouteMethod::Options)
            .map(|r| r.path)
            .collect();
        let expected =
            ["/healthz", "/login", "/login.css", "/secure", "/secure/root.crt", "/setup"];
        assert_eq!(open, expected.map(str::to_owned).into());
    }
}
