//! The device itself, for its owner: the page `/device`, and `/api/v1/device` behind it.
//!
//! There is one on the Picket image. The page is part of the program, as sign-in is: updating must
//! be possible whatever became of the site's own files, and afterwards the page must be of the
//! program's own version.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::appliance::{Device, DeviceStatus, JoinRequest, StewardError, WifiJoin};
use crate::http::body::{self, RequestBody};
use crate::http::builtin;
use crate::http::problem::Problem;
use crate::http::state::HttpState;

/// The device, if there is one.
pub(super) fn require_device(state: &HttpState) -> Result<&Device, Problem> {
    let detail = "this is not a Picket image, so there is no device to manage";
    state.device.as_ref().ok_or_else(|| Problem::not_found(detail))
}

/// How a refusal of the steward is answered.
pub(super) fn steward_problem(error: StewardError) -> Problem {
    let detail = error.to_string();
    match error {
        StewardError::Refused(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
        StewardError::Unreachable(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail),
    }
}

/// `GET /device`.
pub(in crate::http) async fn page(State(state): State<HttpState>) -> Result<Response, Problem> {
    require_device(&state)?;
    Ok(builtin::device_page(&state.settings.hostname, env!("CARGO_PKG_VERSION")).into_response())
}

/// `GET /device.css`.
pub(in crate::http) async fn style(State(state): State<HttpState>) -> Result<Response, Problem> {
    require_device(&state)?;
    Ok(([(CONTENT_TYPE, "text/css; charset=utf-8")], builtin::DEVICE_STYLE).into_response())
}

/// `GET /device.js`.
pub(in crate::http) async fn script(State(state): State<HttpState>) -> Result<Response, Problem> {
    require_device(&state)?;
    Ok(([(CONTENT_TYPE, "text/javascript; charset=utf-8")], builtin::DEVICE_SCRIPT).into_response())
}

#[derive(Serialize)]
struct DeviceReport {
    #[serde(flatten)]
    status: DeviceStatus,
    /// Seconds since the daemon started, by which the page notices a restart.
    uptime: f64,
    /// What became of the network that was chosen last.
    choice: Option<WifiJoin>,
}

/// `GET /api/v1/device`.
pub(in crate::http) async fn get(State(state): State<HttpState>) -> Result<Response, Problem> {
    let device = require_device(&state)?;
    let status = device.status().await.map_err(steward_problem)?;
    let uptime = state.started().elapsed().as_secs_f64();
    Ok(body::json(&DeviceReport { status, uptime, choice: device.last_join() }))
}

/// `GET /api/v1/device/networks`.
pub(in crate::http) async fn networks(State(state): State<HttpState>) -> Result<Response, Problem> {
    let networks = require_device(&state)?.networks().await.map_err(steward_problem)?;
    Ok(body::json(&json!({ "networks": networks })))
}

/// What is sent to join a network.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinBody {
    ssid: String,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    hidden: bool,
    #[serde(default)]
    country: Option<String>,
}

/// `PUT /api/v1/device/network`: answered when the network was joined, or was not.
pub(in crate::http) async fn join(
    State(state): State<HttpState>,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<StatusCode, Problem> {
    let device = require_device(&state)?;
    let expected = r#"{"ssid": "home", "password": "…", "hidden": false, "country": "DE"}"#;
    let JoinBody { ssid, password, hidden, country } =
        body::expect_json(&headers, &body, expected)?;
    device.join(JoinRequest { ssid, password, hidden, country }).await.map_err(steward_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/device/restart`.
pub(in crate::http) async fn restart(
    State(state): State<HttpState>,
) -> Result<StatusCode, Problem> {
    require_device(&state)?.restart().await.map_err(steward_problem)?;
    log::info!("restarting the device, as its owner asked");
    Ok(StatusCode::ACCEPTED)
}

/// What is sent to reset the device.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResetRequest {
    confirm: String,
}

/// `POST /api/v1/device/reset`. The name confirms that it is meant, and for which device.
pub(in crate::http) async fn reset(
    State(state): State<HttpState>,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<StatusCode, Problem> {
    let device = require_device(&state)?;
    let expected = r#"{"confirm": "the device's name"}"#;
    let ResetRequest { confirm } = body::expect_json(&headers, &body, expected)?;
    let hostname = device.status().await.map_err(steward_problem)?.hostname;
    if confirm != hostname {
        let detail = format!("confirm: expected the device's name, {hostname}");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    device.reset().await.map_err(steward_problem)?;
    log::info!("resetting the device, as its owner asked");
    Ok(StatusCode::ACCEPTED)
}

/// `GET /api/v1/device/log`.
pub(in crate::http) async fn log(State(state): State<HttpState>) -> Result<Response, Problem> {
    let lines = require_device(&state)?.log().await.map_err(steward_problem)?;
    Ok(body::json(&json!({ "lines": lines })))
}
