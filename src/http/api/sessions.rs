//! The sessions, for the owner: `/api/v1/sessions`.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value};

use crate::http::body::{self, RequestBody, expect_json_patch};
use crate::http::path::PathParam;
use crate::http::problem::Problem;
use crate::http::signalling::{no_such_session, session_id};
use crate::http::state::HttpState;
use crate::hub::Layer;
use crate::webrtc::Holder;
use crate::webrtc::sdp::Direction;

/// `GET /api/v1/sessions`.
pub(in crate::http) async fn list(State(state): State<HttpState>) -> Response {
    body::json(&state.webrtc.sessions().await)
}

/// `GET /api/v1/sessions/{id}`.
pub(in crate::http) async fn get(
    State(state): State<HttpState>,
    PathParam(id): PathParam,
    Extension(by): Extension<Holder>,
) -> Result<Response, Problem> {
    let report = state.webrtc.session(session_id(&id)?, by).await;
    report.map(|report| body::json(&report)).ok_or_else(no_such_session)
}

/// `DELETE /api/v1/sessions/{id}`.
pub(in crate::http) async fn delete(
    State(state): State<HttpState>,
    PathParam(id): PathParam,
    Extension(by): Extension<Holder>,
) -> Result<StatusCode, Problem> {
    if state.webrtc.close(session_id(&id)?, by).await {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_such_session())
    }
}

/// `PATCH /api/v1/sessions/{id}`: pauses and resumes. What is not named stays as it is.
pub(in crate::http) async fn patch(
    State(state): State<HttpState>,
    PathParam(id): PathParam,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<Response, Problem> {
    let id = session_id(&id)?;
    expect_json_patch(&headers)?;
    let change = SessionChange::read(body.json(r#"{"active": false}"#)?)?;
    let report = state.webrtc.steer(id, change.active, change.direction, change.layer).await;
    report.map(|report| body::json(&report)).ok_or_else(no_such_session)
}

/// What may be changed of a session.
#[derive(Debug, Default)]
struct SessionChange {
    active: Option<bool>,
    direction: Option<Direction>,
    layer: Option<Layer>,
}

impl SessionChange {
    fn read(fields: Map<String, Value>) -> Result<Self, Problem> {
        let mut change = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "active" => {
                    let detail = "active: expected true or false";
                    change.active =
                        Some(value.as_bool().ok_or_else(|| Problem::bad_request(detail))?);
                }
                "direction" => change.direction = Some(direction(&value)?),
                "layer" => change.layer = Some(layer(&value)?),
                _ => {
                    return Err(Problem::bad_request(format!(
                        "{name}: a session has no such field; active, direction and layer can be changed"
                    )));
                }
            }
        }
        Ok(change)
    }
}

/// The layer that is sent.
fn layer(value: &Value) -> Result<Layer, Problem> {
    let named = value.as_str().and_then(Layer::with_rid);
    named.ok_or_else(|| Problem::bad_request("layer: expected main or low"))
}

/// A direction a camera's session can have.
fn direction(value: &Value) -> Result<Direction, Problem> {
    let named = value.as_str().and_then(Direction::named);
    match named {
        Some(direction @ (Direction::SendOnly | Direction::Inactive)) => Ok(direction),
        Some(direction @ (Direction::SendRecv | Direction::RecvOnly)) => {
            Err(Problem::bad_request(format!(
                "direction: {} is not possible, because the viewer sends nothing that the camera \
                 could receive; expected sendonly or inactive",
                direction.name()
            )))
        }
        None => Err(Problem::bad_request("direction: expected sendonly or inactive")),
    }
}
