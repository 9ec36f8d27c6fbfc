//! The service: the table, the owner's pages and mounts, the library user's routes and middleware,
//! and around it all what every request passes.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware;

use super::extra::{ExtraRoute, ExtraRoutes, Middleware};
use super::paths::{RouteError, RoutePaths};
use super::route::{RoutePolicy, require_access};
use super::site::site_routes;
use super::table::table;
use crate::http::access::Access;
use crate::http::path::nothing_here;
use crate::http::problem::{self, Problem};
use crate::http::state::HttpState;
use crate::http::{auth, cross_origin, forwarded, secure, security_headers};

/// Makes the service: the table, the owner's pages and mounts, the library user's routes and
/// middleware, and around it all what every request passes.
///
/// The user's middleware stands between: a request from another web site never reaches it, and it
/// cannot bypass the check who may use a route, which is done inside, at each route.
///
/// # Errors
/// When an added route hides a built-in one, is there twice, or is no path.
pub fn service(
    state: &HttpState,
    extras: Vec<ExtraRoutes>,
    layers: Vec<Middleware>,
) -> Result<Router, RouteError> {
    let mut router = router(state, extras)?;
    for layer in layers {
        router = layer(router);
    }
    Ok(router
        .layer(middleware::from_fn_with_state(state.clone(), cross_origin::reject_cross_origin))
        .layer(middleware::from_fn_with_state(state.clone(), problem::present))
        .layer(middleware::from_fn_with_state(state.clone(), secure::redirect))
        .layer(middleware::from_fn_with_state(state.clone(), forwarded::resolve_client))
        .layer(middleware::from_fn_with_state(state.clone(), security_headers::set)))
}

fn router(state: &HttpState, extras: Vec<ExtraRoutes>) -> Result<Router, RouteError> {
    let mut paths = RoutePaths::built_in();
    let mut router = Router::new();
    for route in table() {
        router = router.route(&route.path.clone(), route.with_access_check(state));
    }
    for route in site_routes(state.pages.as_ref()) {
        paths.add(&route.path)?;
        router = router.route(&route.path.clone(), route.with_access_check(state));
    }
    let mut router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state.clone());
    for extra in extras {
        for (path, added) in extra.added {
            let policy = RoutePolicy::new(extra.access);
            let checked =
                || middleware::from_fn_with_state((state.clone(), policy), require_access);
            router = match added {
                ExtraRoute::Route(handler) => {
                    paths.add(&path)?;
                    router.route(&path, handler.layer(checked()))
                }
                ExtraRoute::Mount(application) => {
                    // The library serves a mount under these.
                    paths.add(&path)?;
                    paths.add(&format!("{path}/{{*rest}}"))?;
                    router.nest(&path, application.layer(checked()))
                }
            };
        }
    }
    Ok(router)
}

/// What is not there is not there for viewers only: strangers are not told what is.
async fn not_found(State(state): State<HttpState>, request: Request) -> Problem {
    auth::authorize(&state.auth, Access::Viewer, &request).err().unwrap_or_else(nothing_here)
}

async fn method_not_allowed(State(state): State<HttpState>, request: Request) -> Problem {
    auth::authorize(&state.auth, Access::Viewer, &request).err().unwrap_or_else(|| {
        let detail = format!("{} is not possible here; see Allow", request.method());
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    })
}
