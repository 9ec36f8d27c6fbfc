//! Figures, and how they become text in the OpenMetrics format.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::media::DelaySummary;

/// Something that counts.
pub trait MetricsSource: Send + Sync {
    /// The figures as they are now.
    fn metrics(&self) -> Vec<Metric>;
}

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name without the prefix `picket_`, and for a counter without the ending `_total`:
    /// "frames_captured".
    pub name: &'static str,
    /// What it says, in a few words.
    pub help: &'static str,
    /// The figure.
    pub value: MetricValue,
}

/// The figure, by its kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricValue {
    /// Only grows.
    Counter(u64),
    /// Goes up and down.
    Gauge(f64),
    /// A histogram, in seconds. Its name is to end in "seconds".
    Delays(DelaySummary),
}

impl Metric {
    pub(super) const fn new(name: &'static str, help: &'static str, value: MetricValue) -> Self {
        Self { name, help, value }
    }
}

/// Metrics as the library wants them: those of one name together, each with its camera.
#[derive(Default)]
pub(super) struct Metrics(Vec<(Metric, Option<Arc<str>>)>);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} metrics", self.0.len())
    }
}

impl Metrics {
    /// Adds samples of a camera, or of none.
    pub(super) fn add(&mut self, camera: Option<&Arc<str>>, samples: Vec<Metric>) {
        self.0.extend(samples.into_iter().map(|metric| (metric, camera.cloned())));
    }

    /// All of them as text.
    pub(super) fn encode(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("picket");
        registry.register_collector(Box::new(self));
        let mut page = String::new();
        text::encode(&mut page, &registry)?;
        Ok(page)
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut names: Vec<&str> = Vec::new();
        for (Metric { name, help, value }, _) in &self.0 {
            if names.contains(name) {
                continue;
            }
            names.push(name);
            let mut family = encoder.encode_descriptor(name, help, None, value.metric_type())?;
            // A name is either the device's, with one sample, or the cameras', with one each.
            for (metric, camera) in self.0.iter().filter(|(metric, _)| metric.name == *name) {
                let Some(camera) = camera else {
                    metric.value.encode(family)?;
                    break;
                };
                metric.value.encode(family.encode_family(&[("camera", &**camera)])?)?;
            }
        }
        Ok(())
    }
}

impl EncodeMetric for MetricValue {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        match *self {
            Self::Counter(n) => ConstCounter::new(n).encode(encoder),
            Self::Gauge(n) => ConstGauge::new(n).encode(encoder),
            Self::Delays(delays) => Histogram(delays).encode(encoder),
        }
    }

    fn metric_type(&self) -> MetricType {
        match self {
            Self::Counter(_) => MetricType::Counter,
            Self::Gauge(_) => MetricType::Gauge,
            Self::Delays(_) => MetricType::Histogram,
        }
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
