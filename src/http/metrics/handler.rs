//! `/metrics`, in the OpenMetrics text format.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::metric::{Metric, MetricValue, Metrics};
use crate::http::problem::Problem;
use crate::http::state::{Camera, HttpState};
use crate::hub::{SourceState, TrackId};

const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`.
pub(in crate::http) async fn get(State(state): State<HttpState>) -> Result<Response, Problem> {
    let mut metrics = Metrics::default();
    metrics.add(None, own(&state));
    for camera in &state.cameras {
        metrics.add(Some(&camera.name), of_camera(&state, camera));
        metrics.add(Some(&camera.name), camera.metrics.iter().flat_map(|m| m.metrics()).collect());
    }
    metrics.add(None, state.metrics.iter().flat_map(|m| m.metrics()).collect());
    let page = metrics.encode();
    let page = page.map_err(|e| Problem::internal(format!("cannot write the metrics: {e}")))?;
    Ok(([(CONTENT_TYPE, FORMAT)], page).into_response())
}

/// What this room's neighbours count.
fn own(state: &HttpState) -> Vec<Metric> {
    use MetricValue::{Counter, Gauge};
    let uptime = state.started().elapsed().as_secs_f64();
    let dropped = state.webrtc.totals().datagrams_dropped;
    vec![
        Metric::new("uptime_seconds", "Seconds since the start", Gauge(uptime)),
        Metric::new(
            "datagrams_dropped",
            "Datagrams that the kernel had no room for",
            Counter(dropped),
        ),
    ]
}

/// What they count for one camera.
fn of_camera(state: &HttpState, camera: &Camera) -> Vec<Metric> {
    use MetricValue::{Counter, Delays, Gauge};
    let sent = state.webrtc.totals_of(&camera.name);
    let made = camera.hub.totals(TrackId::MAIN);
    let live = matches!(*camera.hub.source().borrow(), SourceState::Live(_));
    let mjpeg = state.mjpeg_viewers(camera);
    vec![
        Metric::new("source_live", "1 while the camera delivers pictures", Gauge(f64::from(live))),
        Metric::new("viewers", "Viewers connected", Gauge(sent.connected as f64)),
        Metric::new(
            "viewers_connecting",
            "Offers not connected yet",
            Gauge(sent.connecting as f64),
        ),
        Metric::new("mjpeg_viewers", "Viewers by MJPEG", Gauge(mjpeg as f64)),
        Metric::new("offers_accepted", "Offers answered", Counter(sent.offers_accepted)),
        Metric::new("pictures", "Pictures encoded", Counter(made.samples)),
        Metric::new("key_frames", "Key frames among them", Counter(made.key_frames)),
        Metric::new("encoded_bytes", "Bytes of H.264", Counter(made.bytes)),
        Metric::new("key_requests", "Key frames asked for", Counter(made.key_frame_requests)),
        Metric::new(
            "hub_delay_seconds",
            "From exposure until the encoded picture is available to viewers",
            Delays(camera.hub.delays(TrackId::MAIN)),
        ),
        Metric::new(
            "send_delay_seconds",
            "From then until the packets of all viewers are with the kernel",
            Delays(state.webrtc.send_delays(&camera.name)),
        ),
    ]
}
