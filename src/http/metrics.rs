//! `/metrics`, in the OpenMetrics text format.

use std::fmt;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::HttpState;
use super::problem::Problem;
use crate::hub::{Layer, SourceState};
use crate::media::DelaySummary;

const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Something that counts.
pub trait Meters: Send + Sync {
    /// The figures as they are now.
    fn samples(&self) -> Vec<Sample>;
}

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its name without the prefix `picket_`, and for a counter without the ending `_total`:
    /// "frames_captured".
    pub name: &'static str,
    /// What it says, in a few words.
    pub help: &'static str,
    /// The figure.
    pub value: Value,
}

/// The figure, by its kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Only grows.
    Counter(u64),
    /// Goes up and down.
    Gauge(f64),
    /// A histogram, in seconds. Its name is to end in "seconds".
    Delays(DelaySummary),
}

impl Sample {
    const fn new(name: &'static str, help: &'static str, value: Value) -> Self {
        Self { name, help, value }
    }
}

/// Samples as the library wants them.
struct Samples(Vec<Sample>);

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples", self.0.len())
    }
}

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Sample { name, help, value } in &self.0 {
            let metric: Box<dyn EncodeMetric> = match *value {
                Value::Counter(n) => Box::new(ConstCounter::new(n)),
                Value::Gauge(n) => Box::new(ConstGauge::new(n)),
                Value::Delays(delays) => Box::new(Histogram(delays)),
            };
            let line = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
            metric.encode(line)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Histogram(DelaySummary);

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bound = |bound: Option<Duration>| bound.map_or(f64::INFINITY, |b| b.as_secs_f64());
        let buckets: Vec<(f64, u64)> = self.0.buckets().map(|(b, n)| (bound(b), n)).collect();
        let sum = self.0.sum().as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, self.0.count(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// `GET /metrics`.
pub(super) async fn get(State(state): State<HttpState>) -> Result<Response, Problem> {
    let mut samples = own(&state);
    samples.extend(state.meters.iter().flat_map(|m| m.samples()));
    let mut registry = Registry::with_prefix("picket");
    registry.register_collector(Box::new(Samples(samples)));
    let mut page = String::new();
    text::encode(&mut page, &registry)
        .map_err(|e| Problem::internal(format!("cannot write the metrics: {e}")))?;
    Ok(([(CONTENT_TYPE, FORMAT)], page).into_response())
}

/// What this room's neighbours count.
fn own(state: &HttpState) -> Vec<Sample> {
    use Value::{Counter, Delays, Gauge};
    let (sent, made) = (state.rtc.totals(), state.hub.totals(Layer::Main));
    let live = matches!(*state.hub.source().borrow(), SourceState::Live(_));
    let uptime = state.started().elapsed().as_secs_f64();
    vec![
        Sample::new("uptime_seconds", "Seconds since the start", Gauge(uptime)),
        Sample::new("source_live", "1 while the camera delivers", Gauge(f64::from(live))),
        Sample::new("viewers", "Viewers connected", Gauge(sent.connected as f64)),
        Sample::new(
            "viewers_connecting",
            "Offers not connected yet",
            Gauge(sent.connecting as f64),
        ),
        Sample::new("mjpeg_viewers", "Viewers by MJPEG", Gauge(state.mjpeg_viewers() as f64)),
        Sample::new("offers_accepted", "Offers answered", Counter(sent.offers_accepted)),
        Sample::new(
            "datagrams_dropped",
            "Datagrams the kernel had no room for",
            Counter(sent.datagrams_dropped),
        ),
        Sample::new("pictures", "Pictures encoded", Counter(made.pictures)),
        Sample::new("key_pictures", "Key pictures among them", Counter(made.key_pictures)),
        Sample::new("encoded_bytes", "Bytes of H.264", Counter(made.bytes)),
        Sample::new("key_requests", "Key pictures asked for", Counter(made.key_requests)),
        Sample::new(
            "hub_delay_seconds",
            "From exposure until the coded picture is there for everybody",
            Delays(state.hub.delays(Layer::Main)),
        ),
        Sample::new(
            "send_delay_seconds",
            "From there until every viewer's packets are with the kernel",
            Delays(state.rtc.send_delays()),
        ),
    ]
}
