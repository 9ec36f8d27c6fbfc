//! Routes of the owner's pages and folders.

use axum::extract::State;
use axum::http::HeaderMap;

use super::paths::below;
use super::route::{Route, RouteMethod};
use crate::http::access::Access;
use crate::http::pages::{self, Pages};
use crate::http::path::PathParam;
use crate::http::state::HttpState;

pub(super) fn site_routes(pages: &dyn Pages) -> Vec<Route> {
    let mut routes = Vec::new();
    for (path, template) in pages.pages() {
        let shown_at = path.clone();
        let handler =
            move |State(state): State<HttpState>| pages::own_page(state, template, shown_at);
        routes.push(Route::new(RouteMethod::Get, &path, Access::Viewer, handler));
    }
    for prefix in pages.mounts() {
        let path = below(&prefix);
        let handler = move |State(state): State<HttpState>,
                            PathParam(name): PathParam,
                            headers: HeaderMap| {
            pages::mounted_file(state, prefix, name, headers)
        };
        routes.push(Route::new(RouteMethod::Get, &path, Access::Viewer, handler));
    }
    routes
}
