//! Which camera a request is about.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;

use super::problem::Problem;
use super::state::HttpState;

/// The name of the camera that `?camera=` asks for; the main one's without.
#[derive(Debug, Clone)]
pub(super) struct AskedCamera(pub(super) Arc<str>);

impl AskedCamera {
    /// Of a request for this address.
    pub(super) fn of(uri: &Uri, state: &HttpState) -> Result<Self, Problem> {
        let query = uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let asked = pairs.find(|(name, _)| name == "camera");
        let name = asked.as_ref().map_or("main", |(_, name)| name.as_ref());
        Ok(Self(state.camera(name)?.name.clone()))
    }
}

impl FromRequestParts<HttpState> for AskedCamera {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        Self::of(&parts.uri, state)
    }
}

/// The camera that a file is named after: `garden.jpg`, where `suffix` is `.jpg`.
pub(super) fn named_after(
    file: &str,
    suffix: &str,
    state: &HttpState,
) -> Result<AskedCamera, Problem> {
    let name = file.strip_suffix(suffix).ok_or_else(|| {
        Problem::not_found(format!("there is nothing at this address; expected NAME{suffix}"))
    })?;
    Ok(AskedCamera(state.camera(name)?.name.clone()))
}
