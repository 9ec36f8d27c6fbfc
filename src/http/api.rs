//! The API: how the camera is doing, and the sessions.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};

use super::body::{self, Whole, expect_json_patch};
use super::problem::Problem;
use super::routes::Name;
use super::whep::{no_such_session, session_id};
use super::{Access, HttpState, auth};
use crate::hub::{Layer, SourceState};
use crate::rtc::Holder;
use crate::rtc::sdp::Direction;

/// `GET /healthz`: alive, and nothing else.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    version: &'static str,
    /// Seconds since the start.
    uptime: f64,
    source: Source,
    viewers: Viewers,
    totals: Totals,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Source {
    /// "idle", "starting", "live", "lost" or "ended".
    state: String,
    /// Why it is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What it delivers, while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mode {
    name: String,
    encoder: String,
    width: u32,
    height: u32,
    fps: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Viewers {
    connected: usize,
    connecting: usize,
    /// By MJPEG.
    mjpeg: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    offers_accepted: u64,
    pictures: u64,
    key_pictures: u64,
    bytes: u64,
    key_requests: u64,
    datagrams_dropped: u64,
}

impl Source {
    /// As the owner, or somebody who only watches, is to see it.
    fn new(source: SourceState, owner: bool) -> Self {
        let state = source.to_string();
        match source {
            SourceState::Live(info) => Self {
                state,
                mode: Some(Mode {
                    name: if owner { info.name } else { info.public_name() },
                    encoder: info.encoder,
                    width: info.width,
                    height: info.height,
                    fps: info.fps,
                }),
                reason: None,
            },
            SourceState::Lost(reason) => Self { state, reason: Some(reason), mode: None },
            SourceState::Idle | SourceState::Starting | SourceState::Ended => {
                Self { state, ..Self::default() }
            }
        }
    }
}

/// `GET /api/v1/status`.
pub(super) async fn status(State(state): State<HttpState>, request: Request) -> Response {
    let owner = auth::authorize(&state.auth, Access::Owner, &request).is_ok();
    let source = state.hub.source().borrow().clone();
    let (sent, made) = (state.rtc.totals(), state.hub.totals(Layer::Main));
    body::json(&Status {
        version: env!("CARGO_PKG_VERSION"),
        uptime: state.started().elapsed().as_secs_f64(),
        source: Source::new(source, owner),
        viewers: Viewers {
            connected: sent.connected,
            connecting: sent.connecting,
            mjpeg: state.mjpeg_viewers(),
        },
        totals: Totals {
            offers_accepted: sent.offers_accepted,
            pictures: made.pictures,
            key_pictures: made.key_pictures,
            bytes: made.bytes,
            key_requests: made.key_requests,
            datagrams_dropped: sent.datagrams_dropped,
        },
    })
}

#[derive(Serialize)]
struct Clock {
    /// Milliseconds since 1970 by the camera's wall clock.
    now: u64,
}

/// `GET /api/v1/clock`, by which the page tells its own clock from the camera's when it measures
/// the delay.
pub(super) async fn clock() -> Response {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    body::json(&Clock { now })
}

/// `GET /api/v1/sessions`.
pub(super) async fn sessions(State(state): State<HttpState>) -> Response {
    body::json(&state.rtc.sessions().await)
}

/// `GET /api/v1/sessions/{id}`.
pub(super) async fn session(
    State(state): State<HttpState>,
    Name(id): Name,
    Extension(by): Extension<Holder>,
) -> Result<Response, Problem> {
    let report = state.rtc.session(session_id(&id)?, by).await;
    report.map(|report| body::json(&report)).ok_or_else(no_such_session)
}

/// `DELETE /api/v1/sessions/{id}`.
pub(super) async fn end_session(
    State(state): State<HttpState>,
    Name(id): Name,
    Extension(by): Extension<Holder>,
) -> Result<StatusCode, Problem> {
    if state.rtc.close(session_id(&id)?, by).await {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_such_session())
    }
}

/// `PATCH /api/v1/sessions/{id}`: pauses and resumes. What is not named stays as it is.
pub(super) async fn steer_session(
    State(state): State<HttpState>,
    Name(id): Name,
    headers: HeaderMap,
    body: Whole,
) -> Result<Response, Problem> {
    let id = session_id(&id)?;
    expect_json_patch(&headers)?;
    let change = Change::read(body.json(r#"{"active": false}"#)?)?;
    let report = state.rtc.steer(id, change.active, change.direction).await;
    report.map(|report| body::json(&report)).ok_or_else(no_such_session)
}

/// What may be changed of a session.
#[derive(Debug, Default)]
struct Change {
    active: Option<bool>,
    direction: Option<Direction>,
}

impl Change {
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
                _ => {
                    return Err(Problem::bad_request(format!(
                        "{name}: a session has no such field; active and direction can be changed"
                    )));
                }
            }
        }
        Ok(change)
    }
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
