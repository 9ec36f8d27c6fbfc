//! How the camera is doing: `/api/v1/status`, and what time it is there.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use crate::http::access::Access;
use crate::http::problem::Problem;
use crate::http::state::{Camera, HttpState};
use crate::http::{auth, body};
use crate::hub::{SourceState, TrackId};
use crate::media::utc_now;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusReport {
    version: &'static str,
    /// Seconds since the start.
    uptime: f64,
    /// HTTPS, where it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    https: Option<HttpsReport>,
    /// The main camera.
    #[serde(flatten)]
    main: CameraStatus,
    /// All of them, the main one first.
    cameras: Vec<NamedStatus>,
}

#[derive(Serialize)]
struct HttpsReport {
    port: u16,
    /// SHA-256, of the certificate that browsers must be told to trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

#[derive(Serialize)]
struct NamedStatus {
    name: String,
    #[serde(flatten)]
    status: CameraStatus,
}

#[derive(Serialize)]
struct CameraStatus {
    source: SourceReport,
    viewers: ViewersReport,
    totals: TotalsReport,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceReport {
    /// "idle", "starting", "live", "lost" or "ended".
    state: String,
    /// Why it is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What it delivers, while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<StreamReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamReport {
    name: String,
    encoder: String,
    width: u32,
    height: u32,
    fps: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ViewersReport {
    connected: usize,
    connecting: usize,
    /// By MJPEG.
    mjpeg: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TotalsReport {
    offers_accepted: u64,
    pictures: u64,
    key_frames: u64,
    bytes: u64,
    key_requests: u64,
    datagrams_dropped: u64,
}

impl SourceReport {
    /// As the owner, or somebody who only watches, is to see it.
    pub(super) fn new(source: SourceState, owner: bool) -> Self {
        let state = source.to_string();
        match source {
            SourceState::Live(info) => Self {
                state,
                mode: Some(StreamReport {
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

impl CameraStatus {
    fn new(state: &HttpState, camera: &Camera, owner: bool) -> Self {
        let source = camera.hub.source().borrow().clone();
        let sent = state.webrtc.totals_of(&camera.name);
        let made = camera.hub.totals(TrackId::MAIN);
        Self {
            source: SourceReport::new(source, owner),
            viewers: ViewersReport {
                connected: sent.connected,
                connecting: sent.connecting,
                mjpeg: state.mjpeg_viewers(camera),
            },
            totals: TotalsReport {
                offers_accepted: sent.offers_accepted,
                pictures: made.samples,
                key_frames: made.key_frames,
                bytes: made.bytes,
                key_requests: made.key_frame_requests,
                datagrams_dropped: state.webrtc.totals().datagrams_dropped,
            },
        }
    }
}

/// `GET /api/v1/status`.
pub(in crate::http) async fn get(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    let owner = auth::authorize(&state.auth, Access::Owner, &request).is_ok();
    let status = |camera: &Camera| CameraStatus::new(&state, camera, owner);
    let named =
        |camera: &Camera| NamedStatus { name: camera.name.to_string(), status: status(camera) };
    let https = state.settings.secure_page.as_ref().and_then(|page| {
        Some(HttpsReport { port: page.port()?, fingerprint: page.fingerprint().map(str::to_owned) })
    });
    Ok(body::json(&StatusReport {
        https,
        version: env!("CARGO_PKG_VERSION"),
        uptime: state.started().elapsed().as_secs_f64(),
        main: status(state.camera("main")?),
        cameras: state.cameras.iter().map(named).collect(),
    }))
}

#[derive(Serialize)]
struct ClockReport {
    /// Milliseconds since 1970 by the camera's wall clock.
    now: u64,
}

/// `GET /api/v1/clock`: the page measures with it how far its own clock is off, for the delay.
pub(in crate::http) async fn clock() -> Response {
    let now = u64::try_from(utc_now().as_millis()).unwrap_or(u64::MAX);
    body::json(&ClockReport { now })
}
