//! `/stream.mjpg`: pictures one after the other, for who shows no video.
//!
//! What browsers call "multipart/x-mixed-replace": each part takes the place of the one before. A
//! client gets the newest picture whenever it has taken the last one, so that a slow one sees
//! fewer; nothing queues up for it.

use std::net::IpAddr;
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

use super::problem::Problem;
use super::{HttpState, Peer, snapshot};
use crate::hub::{Layer, Viewer};
use crate::rtc::Holder;
use crate::stills::{Still, Wish};

/// What stands between two pictures; mjpg-streamer's, which some programs take for granted.
const BOUNDARY: &str = "boundarydonotcross";
const MIME: &str = "multipart/x-mixed-replace;boundary=boundarydonotcross";

/// Fewest pictures a second one may ask for: one in ten seconds.
const SLOWEST: f64 = 0.1;

/// Settings of MJPEG.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MjpegSettings {
    /// Most pictures a second.
    pub fps: f64,
    /// Most who watch this way at once.
    pub viewers: usize,
}

impl Default for MjpegSettings {
    fn default() -> Self {
        Self { fps: 5.0, viewers: 100 }
    }
}

impl MjpegSettings {
    /// Time from one picture to the next, where `fps` is asked for.
    pub(super) fn interval(&self, fps: Option<f64>) -> Duration {
        let most = self.fps.max(SLOWEST);
        Duration::from_secs_f64(fps.map_or(most, |fps| fps.clamp(SLOWEST, most)).recip())
    }
}

/// The pictures a second that are asked for.
fn asked(uri: &Uri) -> Result<Option<f64>, Problem> {
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let Some((_, fps)) = pairs.find(|(name, _)| name == "fps") else {
        return Ok(None);
    };
    match fps.parse() {
        Ok(fps) if fps > 0.0 => Ok(Some(fps)),
        _ => Err(Problem::bad_request("fps is pictures a second, a number above 0: ?fps=2")),
    }
}

/// `GET /stream.mjpg`.
pub(super) async fn get(
    State(state): State<HttpState>,
    request: Parts,
) -> Result<Response, Problem> {
    let fps = asked(&request.uri)?;
    answer(state, &request, fps).await
}

/// Pictures at `fps` a second, or as many as the settings allow.
pub(super) async fn answer(
    state: HttpState,
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
    let Ok(place) = state.mjpeg_places().clone().try_acquire_owned() else {
        let most = state.settings.mjpeg.viewers;
        let detail = format!(
            "{most} are watching by MJPEG already, which is all that stream.max_viewers allows"
        );
        let full = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        return Err(full.retry_after(Duration::from_secs(10)));
    };
    let from = request.extensions.get::<Peer>().map(Peer::source);
    let mut listener = Listener {
        interval: state.settings.mjpeg.interval(fps),
        due: Instant::now(),
        after: 0,
        _viewer: state.hub.join(Layer::Main),
        place: Some(place),
        from,
        holder: request.extensions.get::<Holder>().copied(),
        state,
    };
    // The first is waited for, so that what keeps it away can still be told.
    let first = snapshot::first(&listener.state, listener.wish()).await?;
    listener.joined();
    let first = listener.take(first);
    let rest = stream::unfold(Some(listener), |listener| async {
        let mut listener = listener?;
        match listener.next().await {
            Some(part) => Some((part, Some(listener))),
            None => Some((vec![Bytes::from_static(b"--\r\n")], None)),
        }
    });
    let parts = stream::once(async { first }).chain(rest);
    let pieces = parts.flat_map(stream::iter).map(Ok::<_, std::convert::Infallible>);
    let begin = stream::once(async { Ok(Bytes::from(format!("--{BOUNDARY}"))) });
    Ok((head, Body::from_stream(begin.chain(pieces))).into_response())
}

/// Somebody who watches this way.
struct Listener {
    interval: Duration,
    /// When the next picture is.
    due: Instant,
    /// The number of the last picture.
    after: u64,
    /// Keeps the camera on between two pictures.
    _viewer: Viewer,
    place: Option<OwnedSemaphorePermit>,
    from: Option<IpAddr>,
    holder: Option<Holder>,
    state: HttpState,
}

impl Listener {
    fn wish(&self) -> Wish {
        // Even of who wants few pictures, none is to be older than the others'.
        Wish { after: self.after, age: self.state.settings.mjpeg.interval(None) }
    }

    /// The next picture, when it is time; `None` when there are no more.
    async fn next(&mut self) -> Option<Vec<Bytes>> {
        self.due = (self.due + self.interval).max(Instant::now());
        tokio::time::sleep_until(self.due).await;
        if self.holder.is_some_and(|holder| !self.state.auth.admits(&holder)) {
            log::debug!("MJPEG ends: whoever asked for it may no longer watch");
            return None;
        }
        let snapshots = self.state.snapshots.clone()?;
        match snapshots.still(self.wish()).await {
            Ok(still) => Some(self.take(still)),
            Err(why) => {
                log::debug!("MJPEG ends: {why}");
                None
            }
        }
    }

    /// What is sent of a picture. Its end is told at once, without waiting for the next, or
    /// browsers would show it only then.
    fn take(&mut self, still: Still) -> Vec<Bytes> {
        self.after = still.number;
        let length = still.jpeg.len();
        let head = format!("\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
        vec![head.into(), still.jpeg, Bytes::from(format!("\r\n--{BOUNDARY}"))]
    }

    fn joined(&self) {
        let watching = self.state.mjpeg_viewers();
        log::info!("viewer joined{} by MJPEG, {watching} watching so", self.whence());
    }

    fn whence(&self) -> String {
        self.from.map_or_else(String::new, |from| format!(" from {from}"))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.place = None;
        // Who got no picture was not announced either.
        if self.after > 0 {
            let watching = self.state.mjpeg_viewers();
            log::info!("viewer{} left MJPEG, {watching} watching so", self.whence());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_pictures_than_the_settings_allow() {
        let settings = MjpegSettings { fps: 5.0, viewers: 1 };
        let ms = |fps| settings.interval(fps).as_millis();
        assert_eq!(
            [None, Some(2.0), Some(50.0), Some(f64::INFINITY)].map(ms),
            [200, 500, 200, 200]
        );
        assert_eq!(ms(Some(f64::MIN_POSITIVE)), 10_000);
    }

    #[test]
    fn a_rate_that_is_none_is_told() {
        let asked = |uri: &str| asked(&uri.parse().unwrap()).map_err(|p| p.status);
        assert_eq!(asked("/stream.mjpg?t=1&fps=2.5"), Ok(Some(2.5)));
        assert_eq!(asked("/stream.mjpg"), Ok(None));
        for fps in ["0", "-1", "NaN", "fast", ""] {
            let bad = asked(&format!("/stream.mjpg?fps={fps}"));
            assert_eq!(bad, Err(StatusCode::BAD_REQUEST), "{fps}");
        }
    }
}
