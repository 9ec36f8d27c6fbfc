//! The device itself, for its owner: the page `/device`, and `/api/v1/device` behind it.
//!
//! There is one where this Picket is the image. The page is part of the program, as sign-in is: an
//! update must be possible whatever became of the site's own files, and the page must be of the
//! program's own version after it.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::body::{self, Whole};
use super::problem::Problem;
use super::{HttpState, builtin};
use crate::appliance::{Choice, Device, DeviceStatus, Join, StewardError};

/// The device, if there is one.
pub(super) fn device(state: &HttpState) -> Result<&Device, Problem> {
    let detail = "this Picket is not the image, so it has no device to look after";
    state.device.as_ref().ok_or_else(|| Problem::not_found(detail))
}

/// What a refusal of the steward is to a client.
pub(super) fn refused(error: StewardError) -> Problem {
    let detail = error.to_string();
    match error {
        StewardError::Refused(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
        StewardError::Away(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail),
    }
}

/// `GET /device`.
pub(super) async fn page(State(state): State<HttpState>) -> Result<Response, Problem> {
    device(&state)?;
    Ok(builtin::device(&state.settings.hostname, env!("CARGO_PKG_VERSION")).into_response())
}

/// `GET /device.css`.
pub(super) async fn style(State(state): State<HttpState>) -> Result<Response, Problem> {
    device(&state)?;
    Ok(([(CONTENT_TYPE, "text/css; charset=utf-8")], builtin::DEVICE_STYLE).into_response())
}

/// `GET /device.js`.
pub(super) async fn script(State(state): State<HttpState>) -> Result<Response, Problem> {
    device(&state)?;
    Ok(([(CONTENT_TYPE, "text/javascript; charset=utf-8")], builtin::DEVICE_SCRIPT).into_response())
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    status: DeviceStatus,
    /// Seconds since the daemon started, by which the page tells that it was restarted.
    uptime: f64,
    /// What became of the network that was chosen last.
    choice: Option<Choice>,
}

/// `GET /api/v1/device`.
pub(super) async fn get(State(state): State<HttpState>) -> Result<Response, Problem> {
    let device = device(&state)?;
    let status = device.status().await.map_err(refused)?;
    let uptime = state.started().elapsed().as_secs_f64();
    Ok(body::json(&Report { status, uptime, choice: device.choice() }))
}

/// `GET /api/v1/device/networks`.
pub(super) async fn networks(State(state): State<HttpState>) -> Result<Response, Problem> {
    let networks = device(&state)?.networks().await.map_err(refused)?;
    Ok(body::json(&json!({ "networks": networks })))
}

/// What is sent to join a network.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    ssid: String,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    hidden: bool,
    #[serde(default)]
    country: Option<String>,
}

/// `PUT /api/v1/device/network`: answered when the network was joined, or was not.
pub(super) async fn join(
    State(state): State<HttpState>,
    headers: HeaderMap,
    body: Whole,
) -> Result<StatusCode, Problem> {
    let device = device(&state)?;
    let expected = r#"{"ssid": "home", "password": "…", "hidden": false, "country": "DE"}"#;
    let Wanted { ssid, password, hidden, country } = body::sent(&headers, &body, expected)?;
    device.join(Join { ssid, password, hidden, country }).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/device/restart`.
pub(super) async fn restart(State(state): State<HttpState>) -> Result<StatusCode, Problem> {
    device(&state)?.restart().await.map_err(refused)?;
    log::info!("the device is restarted, as its owner asked");
    Ok(StatusCode::ACCEPTED)
}

/// What is sent to have everything forgotten.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    confirm: String,
}

/// `POST /api/v1/device/reset`. The name shows that it is meant, and which device is.
pub(super) async fn reset(
    State(state): State<HttpState>,
    headers: HeaderMap,
    body: Whole,
) -> Result<StatusCode, Problem> {
    let device = device(&state)?;
    let expected = r#"{"confirm": "the device's name"}"#;
    let Confirmation { confirm } = body::sent(&headers, &body, expected)?;
    let hostname = device.status().await.map_err(refused)?.hostname;
    if confirm != hostname {
        let detail = format!("confirm: expected the device's name, {hostname}");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    device.reset().await.map_err(refused)?;
    log::info!("the device forgets everything, as its owner asked");
    Ok(StatusCode::ACCEPTED)
}

/// `GET /api/v1/device/log`.
pub(super) async fn log(State(state): State<HttpState>) -> Result<Response, Problem> {
    let lines = device(&state)?.log().await.map_err(refused)?;
    Ok(body::json(&json!({ "lines": lines })))
}
