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

use super::HttpState;
use super::body::{self, BodyTimeout, Whole};
use super::device::{device, refused};
use super::problem::Problem;
use crate::appliance::{
    Bundle, Device, InstallError, Installer, LengthError, News, Outcome, Step, UpdateError,
    UpdateStatus,
};

/// An upload must come at least so fast on the whole, in bytes a second. That is little enough for
/// a telephone at the edge of its network.
const SLOWEST: u64 = 16 * 1024;

/// A system on trial is kept, or left, within this time.
const TRIAL: Duration = Duration::from_secs(180);

#[derive(Serialize)]
struct Report {
    /// The last update's version and what became of it.
    #[serde(flatten)]
    last: UpdateStatus,
    /// How far the bundle is that is being installed.
    installing: Option<Step>,
    /// Why the last one was not installed.
    refused: Option<String>,
    news: News,
}

/// `GET /api/v1/update`.
pub(super) async fn get(State(state): State<HttpState>) -> Result<Response, Problem> {
    report(device(&state)?).await
}

async fn report(device: &Device) -> Result<Response, Problem> {
    let last = device.status().await.map_err(refused)?.update;
    let (installing, refused) = (device.installer().now(), device.installer().refused());
    Ok(body::json(&Report { last, installing, refused, news: device.updates().news() }))
}

/// Refuses what the device cannot do now, before anybody sends it megabytes.
async fn expect_ready(device: &Device) -> Result<(), Problem> {
    let busy = |detail| Problem::new(StatusCode::CONFLICT, detail).closing();
    if device.installer().now().is_some() {
        return Err(busy("an update is being installed already"));
    }
    match device.status().await.map_err(|error| refused(error).closing())?.update.outcome {
        Outcome::Installing { .. } => Err(busy("an update is being installed already")),
        Outcome::Trying => {
            Err(busy("the last update is still being tried; wait a few minutes").retry_after(TRIAL))
        }
        Outcome::None | Outcome::Kept | Outcome::FellBack { .. } => Ok(()),
    }
}

/// `POST /api/v1/update`: the bundle. Answered when it is installed; a moment later the device
/// restarts.
pub(super) async fn upload(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    let device = device(&state)?;
    let length = length(request.headers())?;
    expect_ready(device).await?;
    let stall = request.extensions().get::<BodyTimeout>().copied().unwrap_or_default().0;
    let deadline = Instant::now() + stall + Duration::from_secs(length / SLOWEST);
    // It counts as being at work all the time, not as waiting for its client: the owner's update
    // is not given up for newcomers, and a client that stalls is ended here.
    let mut upload = Upload { body: request.into_body(), stall, deadline };
    log::info!("the owner sends an update of {length} bytes");
    let error = match device.installer().install(length, &mut upload).await {
        Ok(()) => return Ok(body::json(&json!({ "installed": true }))),
        Err(error) => error,
    };
    log::warn!("the owner's update was not installed: {error}");
    Err(match error {
        InstallError::Busy => Problem::new(StatusCode::CONFLICT, error.to_string()).closing(),
        InstallError::Length => Problem::bad_request(error.to_string()).closing(),
        InstallError::Bundle(problem) => problem,
        InstallError::Steward(error) => {
            // Who is still sending would not hear the answer.
            while let Ok(Some(_)) = upload.part().await {}
            refused(error).closing()
        }
    })
}

/// The announced length of a bundle: the steward wants to know it beforehand.
fn length(headers: &HeaderMap) -> Result<u64, Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let Some(length) = length else {
        let detail = "expected a Content-Length";
        return Err(Problem::new(StatusCode::LENGTH_REQUIRED, detail).closing());
    };
    match Installer::check_length(length) {
        Ok(()) => Ok(length),
        Err(LengthError::Empty) => Err(Problem::bad_request("expected an update as the body")),
        Err(error @ LengthError::TooLarge) => {
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()).closing())
        }
    }
}

/// A bundle that a client sends.
struct Upload {
    body: Body,
    /// Between two parts of it.
    stall: Duration,
    /// For the whole of it.
    deadline: Instant,
}

impl Bundle for Upload {
    type Error = Problem;

    async fn part(&mut self) -> Result<Option<Bytes>, Problem> {
        let until = self.deadline.min(Instant::now() + self.stall);
        match timeout_at(until, self.body.frame()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(frame))) => Ok(Some(frame.into_data().unwrap_or_default())),
            Ok(Some(Err(error))) => {
                log::debug!("the owner's update: {error}");
                Err(Problem::bad_request("the update was not received to its end").closing())
            }
            Err(_) => Err(body::too_slow()),
        }
    }
}

/// `POST /api/v1/update/look`: asks the update server now.
pub(super) async fn look(State(state): State<HttpState>) -> Result<Response, Problem> {
    let device = device(&state)?;
    match device.updates().look().await {
        Ok(()) => report(device).await,
        Err(UpdateError::Steward(error)) => Err(refused(error)),
        Err(error @ UpdateError::NoServer) => {
            Err(Problem::new(StatusCode::CONFLICT, error.to_string()))
        }
        Err(error) => Err(Problem::new(StatusCode::BAD_GATEWAY, error.to_string())),
    }
}

/// What is sent to have an update installed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    version: String,
}

/// `POST /api/v1/update/install`: the version on offer, named so that its owner gets what was seen.
/// `GET /api/v1/update` tells how it goes.
pub(super) async fn install(
    State(state): State<HttpState>,
    headers: HeaderMap,
    body: Whole,
) -> Result<StatusCode, Problem> {
    let device = device(&state)?;
    let Wanted { version } = body::sent(&headers, &body, r#"{"version": "1.2.3"}"#)?;
    expect_ready(device).await?;
    match device.updates().start(&version) {
        Ok(_goes_on) => Ok(StatusCode::ACCEPTED),
        Err(error) => Err(Problem::new(StatusCode::CONFLICT, error.to_string())),
    }
}
