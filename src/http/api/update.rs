//! Updates of the device: `/api/v1/update`.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::device::{require_device, steward_problem};
use crate::appliance::{
    BundleSource, Device, InstallError, InstallProgress, Installer, LengthError, UpdateCheck,
    UpdateError, UpdateOutcome, UpdateStatus,
};
use crate::http::body::{self, RequestBody};
use crate::http::problem::Problem;
use crate::http::serve::BodyTimeout;
use crate::http::state::HttpState;

/// Slowest upload on average, in bytes a second: slow enough for a phone with a bad connection.
const MIN_UPLOAD_RATE: u64 = 16 * 1024;

/// A system on trial is kept or given up within this time.
const TRIAL_TIME: Duration = Duration::from_secs(180);

#[derive(Serialize)]
struct UpdateReport {
    /// The last update's version and what became of it.
    #[serde(flatten)]
    last: UpdateStatus,
    /// How far the installation is.
    installing: Option<InstallProgress>,
    /// Why the last one was not installed.
    refused: Option<String>,
    news: UpdateCheck,
}

/// `GET /api/v1/update`.
pub(in crate::http) async fn get(State(state): State<HttpState>) -> Result<Response, Problem> {
    report(require_device(&state)?).await
}

async fn report(device: &Device) -> Result<Response, Problem> {
    let last = device.status().await.map_err(steward_problem)?.update;
    let (installing, refused) = (device.installer().progress(), device.installer().refused());
    Ok(body::json(&UpdateReport { last, installing, refused, news: device.updates().last_check() }))
}

/// Refuses what the device cannot do now, before anybody sends it megabytes.
async fn expect_ready(device: &Device) -> Result<(), Problem> {
    let busy = |detail| Problem::new(StatusCode::CONFLICT, detail).close_connection();
    if device.installer().progress().is_some() {
        return Err(busy("an update is being installed already"));
    }
    match device
        .status()
        .await
        .map_err(|error| steward_problem(error).close_connection())?
        .update
        .outcome
    {
        UpdateOutcome::Installing { .. } => Err(busy("an update is being installed already")),
        UpdateOutcome::Trying => {
            Err(busy("the last update is still on trial; wait a few minutes")
                .retry_after(TRIAL_TIME))
        }
        UpdateOutcome::None | UpdateOutcome::Kept | UpdateOutcome::FellBack { .. } => Ok(()),
    }
}

/// `POST /api/v1/update`: the bundle. Answered when it is installed; a moment later the device
/// restarts.
pub(in crate::http) async fn upload(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    let device = require_device(&state)?;
    let length = length(request.headers())?;
    expect_ready(device).await?;
    let stall = request.extensions().get::<BodyTimeout>().copied().unwrap_or_default().0;
    let deadline = Instant::now() + stall + Duration::from_secs(length / MIN_UPLOAD_RATE);
    // The connection counts as at work all the time, not as waiting for its client: the owner's
    // update does not make room for others, and a client that stalls is ended here.
    let mut upload = Upload { body: request.into_body(), stall, deadline };
    log::info!("receiving an update of {length} bytes from the owner");
    let error = match device.installer().install(length, &mut upload).await {
        Ok(()) => return Ok(body::json(&json!({ "installed": true }))),
        Err(error) => error,
    };
    log::warn!("the owner's update was not installed: {error}");
    Err(match error {
        InstallError::Busy => {
            Problem::new(StatusCode::CONFLICT, error.to_string()).close_connection()
        }
        InstallError::Length => Problem::bad_request(error.to_string()).close_connection(),
        InstallError::Bundle(problem) => problem,
        InstallError::Steward(error) => {
            // A client that is still sending would not see the answer.
            while let Ok(Some(_)) = upload.part().await {}
            steward_problem(error).close_connection()
        }
    })
}

/// The announced length of a bundle: the steward needs it beforehand.
fn length(headers: &HeaderMap) -> Result<u64, Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let Some(length) = length else {
        let detail = "expected a Content-Length";
        return Err(Problem::new(StatusCode::LENGTH_REQUIRED, detail).close_connection());
    };
    match Installer::check_length(length) {
        Ok(()) => Ok(length),
        Err(LengthError::Empty) => Err(Problem::bad_request("expected an update as the body")),
        Err(error @ LengthError::TooLarge) => {
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()).close_connection())
        }
    }
}

/// A bundle that a client sends.
struct Upload {
    body: Body,
    /// Longest time between two parts of it.
    stall: Duration,
    /// When all of it must be here.
    deadline: Instant,
}

impl BundleSource for Upload {
    type Error = Problem;

    async fn part(&mut self) -> Result<Option<Bytes>, Problem> {
        let until = self.deadline.min(Instant::now() + self.stall);
        match timeout_at(until, self.body.frame()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(frame))) => Ok(Some(frame.into_data().unwrap_or_default())),
            Ok(Some(Err(error))) => {
                log::debug!("the owner's update: {error}");
                Err(Problem::bad_request("the update was not received completely")
                    .close_connection())
            }
            Err(_) => Err(body::too_slow()),
        }
    }
}

/// `POST /api/v1/update/look`: asks the update server now.
pub(in crate::http) async fn check(State(state): State<HttpState>) -> Result<Response, Problem> {
    let device = require_device(&state)?;
    match device.updates().check().await {
        Ok(()) => report(device).await,
        Err(UpdateError::Steward(error)) => Err(steward_problem(error)),
        Err(error @ UpdateError::NoServer) => {
            Err(Problem::new(StatusCode::CONFLICT, error.to_string()))
        }
        Err(error) => Err(Problem::new(StatusCode::BAD_GATEWAY, error.to_string())),
    }
}

/// What is sent to have an update installed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstallRequest {
    version: String,
}

/// `POST /api/v1/update/install`: the version on offer, named so that the owner gets the one that was shown.
/// `GET /api/v1/update` tells the progress.
pub(in crate::http) async fn install(
    State(state): State<HttpState>,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<StatusCode, Problem> {
    let device = require_device(&state)?;
    let InstallRequest { version } = body::expect_json(&headers, &body, r#"{"version": "1.2.3"}"#)?;
    expect_ready(device).await?;
    match device.updates().start(&version) {
        Ok(_goes_on) => Ok(StatusCode::ACCEPTED),
        Err(error) => Err(Problem::new(StatusCode::CONFLICT, error.to_string())),
    }
}
