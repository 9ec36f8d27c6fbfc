//! Where a session is, and what is answered where there is none, or none was made.

use std::time::Duration;

use axum::http::StatusCode;

use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::webrtc::{Holder, OfferError};

/// When to try again, for a camera that has nothing to show or no room.
const RETRY_IN: Duration = Duration::from_secs(5);

/// Where a session is, seen from a path at the site's root such as `/whep` and `/offer`: relative,
/// because a proxy may show us below a path of its own.
pub(super) fn session_url(id: &str) -> String {
    format!("whep/{id}")
}

/// A session's name where a camera's may stand, too: what is neither is taken for a camera's.
pub(super) fn session_id_or_camera(state: &HttpState, name: &str) -> Result<String, Problem> {
    session_id(name).map_err(|none| match state.camera(name) {
        Ok(_) => none,
        Err(no_such_camera) => no_such_camera,
    })
}

/// A session's name: 32 hexadecimal digits. Anything else is not even looked up.
pub(in crate::http) fn session_id(name: &str) -> Result<String, Problem> {
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if name.len() == 32 && name.bytes().all(digit) {
        Ok(name.to_owned())
    } else {
        Err(no_such_session())
    }
}

/// The answer to whoever asks for a session that has ended, or was never theirs.
pub(super) async fn session_ended(state: &HttpState, id: String, by: Holder) -> Problem {
    match state.webrtc.why_ended(id, by).await {
        Some(why) => Problem::not_found(format!("the session was ended: {why}")),
        None => no_such_session(),
    }
}

pub(in crate::http) fn no_such_session() -> Problem {
    Problem::not_found("there is no such session, or it has ended")
}

/// Why an offer was not accepted, for HTTP. Codes are general ones, as BCP 56 asks.
pub(super) fn offer_problem(error: OfferError) -> Problem {
    let detail = error.to_string();
    match error {
        OfferError::Sdp(_) | OfferError::Codec(_) => Problem::bad_request(detail),
        OfferError::NoSuchCamera => Problem::not_found(detail),
        OfferError::Withdrawn => Problem::new(StatusCode::UNAUTHORIZED, detail),
        OfferError::NoSource(_) => Problem::new(StatusCode::CONFLICT, detail).retry_after(RETRY_IN),
        OfferError::Full { .. } | OfferError::Flood | OfferError::Stopping => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_IN)
        }
        OfferError::Internal(_) => Problem::internal(detail),
    }
}
