//! The one parameter of a path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::problem::Problem;
use super::state::HttpState;

/// The one parameter of a path. One that is not even text names nothing.
pub(super) struct PathParam(pub(super) String);

impl FromRequestParts<HttpState> for PathParam {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(nothing_here()),
        }
    }
}

/// What is said of an address that nobody knows.
pub(super) const NOTHING_HERE: &str = "there is nothing at this address";

pub(super) fn nothing_here() -> Problem {
    Problem::not_found(NOTHING_HERE)
}
