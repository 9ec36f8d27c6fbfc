//! WebGear_RTC's signalling: `/offer` and `/close_connection`.

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::session::{offer_problem, session_url};
use crate::http::body::{self, RequestBody, expect_media_type};
use crate::http::camera::AskedCamera;
use crate::http::peer::Peer;
use crate::http::problem::Problem;
use crate::http::settings::Sharing;
use crate::http::state::HttpState;
use crate::webrtc::Holder;

/// `RTCSessionDescription` as JSON. Clients may send more; only these two count.
#[derive(Deserialize)]
struct SessionDescription {
    sdp: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize)]
struct OfferResponse<'a> {
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
pub(in crate::http) async fn offer(
    State(state): State<HttpState>,
    AskedCamera(camera): AskedCamera,
    Extension(peer): Extension<Peer>,
    Extension(holder): Extension<Holder>,
    method: Method,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<Response, Problem> {
    if method == Method::HEAD || (method == Method::GET && body.0.is_empty()) {
        let detail = "expected an offer in the body; send it with POST";
        return Err(Problem::bad_request(detail));
    }
    if headers.contains_key(CONTENT_TYPE) {
        expect_media_type(&headers, "application/json")?;
    }
    let offer: SessionDescription = body.json(r#"{"sdp": "v=0…", "type": "offer"}"#)?;
    if offer.kind != "offer" {
        let detail = r#"expected "type": "offer"; this camera answers offers and sends none"#;
        return Err(Problem::bad_request(detail));
    }
    let answered = state.webrtc.offer(camera, offer.sdp, peer.caller(holder)).await;
    let answer = answered.map_err(offer_problem)?;
    Ok(body::json(&OfferResponse {
        sdp: &answer.sdp,
        kind: "answer",
        session: &answer.id,
        resource: session_url(&answer.id),
    }))
}

/// `POST /close_connection`: ends all sessions of the camera and starts its stream again, where there
/// is one viewer at a time. With a body of `0` the sessions stay.
///
/// Any viewer may do it, as with WebGear, where the page calls it before every offer; it is
/// without effect while the stream is shared, so that no viewer can send the others away.
pub(in crate::http) async fn close_connection(
    State(state): State<HttpState>,
    AskedCamera(camera): AskedCamera,
    headers: HeaderMap,
    body: RequestBody,
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
        state.webrtc.close_all(camera.clone()).await;
    }
    (state.camera(&camera)?.restart_source)();
    Ok("OK".into_response())
}
