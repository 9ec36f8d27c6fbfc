//! The figures of the rooms that serve no HTTP themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::http::{Metric, MetricValue, MetricsSource};
use crate::media::Delays;
use crate::pipeline::Counters;
use crate::stills::Stills;
use crate::transform::CopyMeter;

/// What one camera's pipeline counts.
pub(super) struct PipelineMetrics {
    pub(super) counters: Arc<Counters>,
    pub(super) copies: CopyMeter,
    pub(super) stills: Stills,
}

impl MetricsSource for PipelineMetrics {
    fn metrics(&self) -> Vec<Metric> {
        let c = &self.counters;
        let counter = |name, help, counter: &AtomicU64| Metric {
            name,
            help,
            value: MetricValue::Counter(counter.load(Ordering::Relaxed)),
        };
        let delays = |name, help, delays: &Delays| Metric {
            name,
            help,
            value: MetricValue::Delays(delays.summary()),
        };
        vec![
            Metric {
                name: "stills",
                help: "Still pictures made, for snapshots and MJPEG",
                value: MetricValue::Counter(self.stills.made()),
            },
            counter("frames_captured", "Frames taken from the camera", &c.captured),
            counter("frames_dropped", "Frames dropped, for newer ones or by a step", &c.dropped),
            counter("frames_left_out", "Frames there was no time to encode", &c.left_out),
            counter("frames_encoded", "Frames encoded, placeholders included", &c.encoded),
            counter("camera_losses", "Times the camera was lost", &c.camera_losses),
            counter(
                "encoder_restarts",
                "Times an encoder failed and was started again",
                &c.encoder_restarts,
            ),
            delays("capture_delay_seconds", "From exposure until picked up", &c.capture),
            delays("transform_seconds", "Spent transforming a frame", &c.transform),
            delays("encode_seconds", "From handing a frame to the encoder", &c.encode),
            Metric {
                name: "frame_bytes_copied",
                help: "Bytes of frames copied between camera and encoder",
                value: MetricValue::Counter(self.copies.bytes()),
            },
        ]
    }
}

/// What the process costs.
pub(super) struct ProcessMetrics {
    pub(super) runtime: tokio::runtime::Handle,
}

impl MetricsSource for ProcessMetrics {
    fn metrics(&self) -> Vec<Metric> {
        let gauge = |name, help, value| Metric { name, help, value: MetricValue::Gauge(value) };
        let tasks = self.runtime.metrics().num_alive_tasks();
        let mut metrics = vec![gauge("http_tasks", "Tasks of the HTTP side", tasks as f64)];
        if let Some((memory, threads)) = process() {
            metrics.push(gauge("resident_bytes", "Memory in use", memory));
            metrics.push(gauge("threads", "Threads", threads));
        }
        metrics
    }
}

/// Resident memory in bytes, and the number of threads (proc(5)).
fn process() -> Option<(f64, f64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| -> Option<f64> {
        let line = status.lines().find(|l| l.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some((field("VmRSS:")? * 1024.0, field("Threads:")?))
}
