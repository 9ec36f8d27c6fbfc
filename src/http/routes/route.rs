//! A route: what it serves, and who may use it.

use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::http::access::{Access, Unauthenticated};
use crate::http::auth;
use crate::http::pictures::is_picture;
use crate::http::state::HttpState;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RouteMethod {
    /// Stands for `HEAD` too.
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl RouteMethod {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    pub(super) const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
            Self::Options => MethodFilter::OPTIONS,
        }
    }
}

/// A row of the table.
pub(super) struct Route {
    pub(super) method: RouteMethod,
    pub(super) path: String,
    pub(super) access: Access,
    policy: RoutePolicy,
    handler: MethodRouter<HttpState>,
}

/// Who may use a route, and how they may show their credential.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoutePolicy {
    access: Access,
    /// Whether the handler decides about requests without a valid credential.
    handler_decides: bool,
    /// Whether a token may stand in the URL of a picture, where `http.token_in_url` allows it.
    token_in_url: bool,
}

impl RoutePolicy {
    pub(super) const fn new(access: Access) -> Self {
        Self { access, handler_decides: false, token_in_url: false }
    }
}

impl Route {
    pub(super) fn new<H, T>(method: RouteMethod, path: &str, access: Access, handler: H) -> Self
    where
        H: Handler<T, HttpState>,
        T: 'static,
    {
        let policy = RoutePolicy::new(access);
        Self {
            method,
            path: path.to_owned(),
            access,
            policy,
            handler: on(method.filter(), handler),
        }
    }

    /// Lets the handler decide about requests without a valid credential: see [`Unauthenticated`].
    pub(super) fn handler_decides(mut self) -> Self {
        self.policy.handler_decides = true;
        self
    }

    /// Takes a token in the URL of a picture, where the configuration allows it.
    pub(super) fn token_in_url(mut self) -> Self {
        self.policy.token_in_url = true;
        self
    }

    /// The handler, behind the question whether the caller may use it.
    pub(super) fn with_access_check(self, state: &HttpState) -> MethodRouter<HttpState> {
        let context = (state.clone(), self.policy);
        self.handler.route_layer(middleware::from_fn_with_state(context, require_access))
    }
}

pub(super) async fn require_access(
    State((state, policy)): State<(HttpState, RoutePolicy)>,
    mut request: Request,
    next: Next,
) -> Response {
    let allowed = policy.token_in_url && state.settings.token_in_url;
    if allowed && is_picture(request.uri()) {
        auth::take_token_from_url(&mut request);
    }
    match auth::authorize(&state.auth, policy.access, &request) {
        Ok(holder) => {
            auth::save_if_stale(&state.auth);
            if let Some(holder) = holder {
                request.extensions_mut().insert(holder);
            }
            next.run(request).await
        }
        Err(problem) if policy.handler_decides && problem.status == StatusCode::UNAUTHORIZED => {
            request.extensions_mut().insert(Unauthenticated(problem));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}
