//! The step of each request that turns away what another web site sent.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, VARY,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::check::check_request;
use super::origin::RequestOrigin;
use super::target::TargetUri;
use crate::http::state::HttpState;

pub(in crate::http) async fn reject_cross_origin(
    State(state): State<HttpState>,
    mut request: Request,
    next: Next,
) -> Response {
    let origin = match check_request(&state.settings, &request) {
        Ok(origin) => origin,
        Err(problem) => return problem.into_response(),
    };
    let target = TargetUri::of(&request, &origin);
    request.extensions_mut().insert(target);
    let asks_first = request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &origin {
        // A preflight carries no credentials, and asks for none.
        RequestOrigin::SameOrigin(_) | RequestOrigin::Allowed(_) if asks_first => preflight(),
        _ => next.run(request).await,
    };
    if let RequestOrigin::Allowed(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(VARY, HeaderValue::from_static("Origin"));
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "Accept-Patch, Accept-Post, ETag, Link, Location, Retry-After",
            ),
        );
    }
    response
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, If-Match"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
