//! Who may do what.

use axum::extract::Request;
use axum::http::StatusCode;

use super::problem::Problem;
use super::{Access, Peer};

/// Who may sign in.
#[derive(Debug, Default)]
pub struct Auth;

pub(super) fn authorize(_auth: &Auth, access: Access, request: &Request) -> Result<(), Problem> {
    let local = request
        .extensions()
        .get::<Peer>()
        .is_some_and(|p| p.address.ip().to_canonical().is_loopback());
    if access == Access::Open || local {
        return Ok(());
    }
    let detail = "no password has been set yet";
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}
