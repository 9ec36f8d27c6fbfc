//! `/stream.mjpg`: pictures one after the other, for clients that show no video.
//!
//! What browsers call "multipart/x-mixed-replace": each part takes the place of the one before. A
//! client gets the newest picture whenever it has taken the last one, so that a slow one sees
//! fewer; nothing queues up for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::snapshot;
use crate::events::Event;
use crate::http::camera::{AskedCamera, named_after};
use crate::http::path::PathParam;
use crate::http::peer::Peer;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::hub::{TrackId, Viewer};
use crate::stills::{Still, Wish};
use crate::webrtc::Holder;

/// What stands between two pictures; mjpg-streamer's, which some programs take for granted.
const BOUNDARY: &str = "boundarydonotcross";
const MIME: &str = "multipart/x-mixed-replace;boundary=boundarydonotcross";

/// The frame rate that is asked for.
fn requested_fps(uri: &Uri) -> Result<Option<f64>, Problem> {
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let Some((_, fps)) = pairs.find(|(name, _)| name == "fps") else {
        return Ok(None);
    };
    match fps.parse() {
        Ok(fps) if fps > 0.0 => Ok(Some(fps)),
        _ => Err(Problem::bad_request("fps: expected a frame rate above 0, such as ?fps=2")),
    }
}

/// `GET /stream.mjpg`.
pub(in crate::http) async fn get(
    State(state): State<HttpState>,
    request: Parts,
) -> Result<Response, Problem> {
    let fps = requested_fps(&request.uri)?;
    let camera = AskedCamera::of(&request.uri, &state)?;
    multipart(state, camera, &request, fps).await
}

/// `GET /stream/{camera}.mjpg`.
pub(in crate::http) async fn get_named(
    State(state): State<HttpState>,
    PathParam(file): PathParam,
    request: Parts,
) -> Result<Response, Problem> {
    let camera = named_after(&file, ".mjpg", &state)?;
    let fps = requested_fps(&request.uri)?;
    multipart(state, camera, &request, fps).await
}

/// Pictures at a rate of `fps`, or as many as the settings allow.
pub(super) async fn multipart(
    state: HttpState,
    AskedCamera(name): AskedCamera,
    request: &Parts,
    fps: Option<f64>,
) -> Result<Response, Problem> {
    let head = [
        (CONTENT_TYPE, HeaderValue::from_static(MIME)),
        // A proxy that collects what it passes on would show the past (nginx).
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    if request.method == Method::HEAD {
        return Ok(head.into_response());
    }
    let camera = state.camera(&name)?;
    let Ok(permit) = state.mjpeg_permits(camera).try_acquire_owned() else {
        let most = state.settings.mjpeg.viewers;
        let detail =
            format!("there are {most} MJPEG viewers already, as many as stream.max_viewers allows");
        let full = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        return Err(full.retry_after(Duration::from_secs(10)));
    };
    let from = request.extensions.get::<Peer>().map(Peer::source);
    let mut viewer = MjpegViewer {
        camera: name,
        interval: state.settings.mjpeg.interval(fps),
        due: Instant::now(),
        after: 0,
        _hub_viewer: camera.hub.join(TrackId::MAIN),
        permit: Some(permit),
        from,
        holder: request.extensions.get::<Holder>().copied(),
        state,
    };
    // The first is waited for, so that what keeps it away can still be told.
    let first =
        snapshot::first_picture(viewer.state.camera(&viewer.camera)?, viewer.wish()).await?;
    viewer.joined();
    let first = viewer.part(first);
    let rest = stream::unfold(Some(viewer), |viewer| async {
        let mut viewer = viewer?;
        match viewer.next().await {
            Some(part) => Some((part, Some(viewer))),
            None => Some((vec![Bytes::from_static(b"--\r\n")], None)),
        }
    });
    let parts = stream::once(async { first }).chain(rest);
    let pieces = parts.flat_map(stream::iter).map(Ok::<_, std::convert::Infallible>);
    let begin = stream::once(async { Ok(Bytes::from(format!("--{BOUNDARY}"))) });
    Ok((head, Body::from_stream(begin.chain(pieces))).into_response())
}

/// Somebody who watches this way.
struct MjpegViewer {
    /// The camera's name.
    camera: Arc<str>,
    interval: Duration,
    /// When the next picture is.
    due: Instant,
    /// The number of the last picture.
    after: u64,
    /// Keeps the camera on between two pictures.
    _hub_viewer: Viewer,
    permit: Option<OwnedSemaphorePermit>,
    from: Option<IpAddr>,
    holder: Option<Holder>,
    state: HttpState,
}

impl MjpegViewer {
    fn wish(&self) -> Wish {
        // A viewer that wants few pictures gets them as fresh as the others'.
        Wish { after: self.after, age: self.state.settings.mjpeg.interval(None) }
    }

    /// The next picture, when it is time; `None` when there are no more.
    async fn next(&mut self) -> Option<Vec<Bytes>> {
        self.due = (self.due + self.interval).max(Instant::now());
        tokio::time::sleep_until(self.due).await;
        if self.holder.is_some_and(|holder| !self.state.auth.admits(&holder)) {
            log::debug!("MJPEG stream ended: its viewer may no longer watch");
            return None;
        }
        let snapshots = self.state.camera(&self.camera).ok()?.snapshots.clone()?;
        match snapshots.still(self.wish()).await {
            Ok(still) => Some(self.part(still)),
            Err(why) => {
                log::debug!("MJPEG stream ended: {why}");
                None
            }
        }
    }

    /// What is sent of a picture. Its end is told at once, without waiting for the next, or
    /// browsers would show it only then.
    fn part(&mut self, still: Still) -> Vec<Bytes> {
        self.after = still.number;
        let length = still.jpeg.len();
        let head = format!("\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
        vec![head.into(), still.jpeg, Bytes::from(format!("\r\n--{BOUNDARY}"))]
    }

    fn watching(&self) -> usize {
        self.state.camera(&self.camera).map_or(0, |camera| self.state.mjpeg_viewers(camera))
    }

    /// Tells everybody how many watch; gives the number.
    fn tell_watching(&self) -> usize {
        let watching = self.watching();
        let camera = self.camera.clone();
        self.state.events.emit(Event::MjpegViewers { camera, watching });
        watching
    }

    fn joined(&self) {
        let watching = self.tell_watching();
        log::info!("viewer joined{} by MJPEG, {watching} watching by MJPEG", self.source_text());
    }

    fn source_text(&self) -> String {
        self.from.map_or_else(String::new, |from| format!(" from {from}"))
    }
}

impl Drop for MjpegViewer {
    fn drop(&mut self) {
        self.permit = None;
        // Even one that waits for its first picture is in others' counts, but was not announced.
        let watching = self.tell_watching();
        if self.after > 0 {
            log::info!("viewer{} left MJPEG, {watching} watching by MJPEG", self.source_text());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_is_none_is_told() {
        let asked = |uri: &str| requested_fps(&uri.parse().unwrap()).map_err(|p| p.status);
        assert_eq!(asked("/stream.mjpg?t=1&fps=2.5"), Ok(Some(2.5)));
        assert_eq!(asked("/stream.mjpg"), Ok(None));
        for fps in ["0", "-1", "NaN", "fast", ""] {
            let bad = asked(&format!("/stream.mjpg?fps={fps}"));
            assert_eq!(bad, Err(StatusCode::BAD_REQUEST), "{fps}");
        }
    }
}
