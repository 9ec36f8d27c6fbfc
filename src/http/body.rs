//! Reading what was sent, within bounds of size and time.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::serve::{BodyTimeout, ConnectionSlot, Phase};

/// Most bytes of a body. An offer of a browser with every codec it has is about 10 KB.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// A whole body of at most [`MAX_BODY`] bytes.
pub(super) struct RequestBody(pub(super) Bytes);

impl RequestBody {
    /// The body as text.
    pub(super) fn text(self) -> Result<String, Problem> {
        String::from_utf8(self.0.into()).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            Problem::bad_request(format!("expected text in UTF-8; byte {at} is not valid"))
        })
    }

    /// The body as JSON; `expected` shows what it should look like.
    pub(super) fn json<T: DeserializeOwned>(&self, expected: &str) -> Result<T, Problem> {
        serde_json::from_slice(&self.0)
            .map_err(|e| Problem::bad_request(format!("expected JSON such as {expected}: {e}")))
    }
}

impl<S: Send + Sync> FromRequest<S> for RequestBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let timeout = request.extensions().get::<BodyTimeout>().copied();
        let slot = request.extensions().get::<Arc<ConnectionSlot>>().cloned();
        let set_phase = |phase| slot.iter().for_each(|slot| slot.set_phase(phase));
        let announced = request
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|n| n > MAX_BODY as u64) {
            return Err(too_large());
        }
        set_phase(Phase::Receiving);
        let whole = collect(request.into_body());
        let received = tokio::time::timeout(timeout.unwrap_or_default().0, whole).await;
        set_phase(Phase::Handling);
        received.unwrap_or_else(|_| Err(too_slow()))
    }
}

/// Puts the pieces together as they come: kept apart, a body sent in chunks of a byte would take
/// up many times its size.
async fn collect(mut body: Body) -> Result<RequestBody, Problem> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| {
            log::debug!("a request's body: {e}");
            Problem::bad_request("the body is cut off or malformed").close_connection()
        })?;
        let piece = frame.into_data().unwrap_or_default();
        if whole.len() + piece.len() > MAX_BODY {
            return Err(too_large());
        }
        whole.extend_from_slice(&piece);
    }
    Ok(RequestBody(whole.freeze()))
}

pub(super) fn too_slow() -> Problem {
    let detail = "the body took too long to arrive";
    Problem::new(StatusCode::REQUEST_TIMEOUT, detail).close_connection()
}

fn too_large() -> Problem {
    let detail = format!("expected a body of at most {MAX_BODY} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).close_connection()
}

/// The media type of the body, without its parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}

/// Refuses a body that is not of the type `expected`.
pub(super) fn expect_media_type(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    if media_type(headers).as_deref() == Some(expected) {
        return Ok(());
    }
    let detail = format!("expected a body with Content-Type: {expected}");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// What was sent as JSON, and as nothing else: a form of another site's cannot say that it is.
pub(super) fn expect_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: &RequestBody,
    expected: &str,
) -> Result<T, Problem> {
    expect_media_type(headers, "application/json")?;
    body.json(expected)
}

/// Refuses a change that is not sent as JSON, plain or as a merge patch (RFC 7396).
pub(super) fn expect_json_patch(headers: &HeaderMap) -> Result<(), Problem> {
    if media_type(headers).as_deref() == Some("application/merge-patch+json") {
        return Ok(());
    }
    expect_media_type(headers, "application/json")
}

/// An answer in JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from(bytes))
                .into_response()
        }
        Err(e) => Problem::internal(format!("cannot write the answer: {e}")).into_response(),
    }
}
