//! WebGear_RTC's signalling: `/offer` and `/close_connection`.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body::{self, Whole, expect_media_type};
use super::problem::Problem;
use super::{HttpState, Peer, Sharing};
use crate::rtc::{Holder, OfferError};

/// When to come back for a camera that has nothing to show, or no room.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// `RTCSessionDescription` as JSON. Clients may send more; only these two count.
#[derive(Deserialize)]
struct Description {
    sdp: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize)]
struct Answer<'a> {
    sdp: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    /// The session's name in the API.
    session: &'a str,
    /// Where the session can be ended and its candidates trickled, as with WHEP.
    resource: String,
}

/// `POST /offer`, and `GET /offer` as WebGear allows: a `GET` with a body, which no browser can
/// be made to send, so that this exception to "a `GET` changes nothing" opens no door.
pub(super) async fn offer(
    State(state): State<HttpState>,
    Extension(peer): Extension<Peer>,
    Extension(holder): Extension<Holder>,
    method: Method,
    headers: HeaderMap,
    body: Whole,
) -> Result<Response, Problem> {
    if method == Method::HEAD || (method == Method::GET && body.0.is_empty()) {
        let detail = "expected an offer in the body; send it with POST";
        return Err(Problem::bad_request(detail));
    }
    if headers.contains_key(CONTENT_TYPE) {
        expect_media_type(&headers, "application/json")?;
    }
    let offer: Description = body.json(r#"{"sdp": "v=0…", "type": "offer"}"#)?;
    if offer.kind != "offer" {
        let detail = r#"expected "type": "offer"; this camera answers offers and makes none"#;
        return Err(Problem::bad_request(detail));
    }
    let answer = state.rtc.offer(offer.sdp, peer.caller(holder)).await.map_err(refused)?;
    Ok(body::json(&Answer {
        sdp: &answer.sdp,
        kind: "answer",
        session: &answer.id,
        resource: super::whep::resource(&answer.id),
    }))
}

/// Why an offer was not accepted, for HTTP. Codes are general ones, as BCP 56 asks.
pub(super) fn refused(error: OfferError) -> Problem {
    let detail = error.to_string();
    match error {
        OfferError::Sdp(_) | OfferError::Codec(_) => Problem::bad_request(detail),
        OfferError::Withdrawn => Problem::new(StatusCode::UNAUTHORIZED, detail),
        OfferError::NoSource(_) => {
            Problem::new(StatusCode::CONFLICT, detail).retry_after(RETRY_AFTER)
        }
        OfferError::Full { .. } | OfferError::Flood | OfferError::Stopping => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER)
        }
        OfferError::Internal(_) => Problem::internal(detail),
    }
}

/// `POST /close_connection`: ends all sessions and begins the stream anew, where there is one
/// viewer at a time. With a body of `0` the sessions stay.
///
/// Any viewer may do it, as with WebGear, where the page calls it before every offer; it is
/// without effect while the stream is shared, so that no viewer can send the others away.
pub(super) async fn close_connection(
    State(state): State<HttpState>,
    headers: HeaderMap,
    body: Whole,
) -> Result<Response, Problem> {
    if headers.contains_key(CONTENT_TYPE) {
        expect_media_type(&headers, "application/json")?;
    }
    let parameter: Value = body.json("0 or 1")?;
    if state.settings.sharing == Sharing::Broadcast {
        return Ok("DISABLED".into_response());
    }
    // Python's `parameter != 0`, of which `false` and `0.0` are none either.
    let keep = parameter == Value::Bool(false) || parameter.as_f64() == Some(0.0);
    if !keep {
        state.rtc.close_all().await;
    }
    (state.restart_source)();
    Ok("OK".into_response())
}
