//! The figures of the rooms that serve no HTTP themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::http::{Meters, Sample, Value};
use crate::media::Delays;
use crate::pipeline::Counters;
use crate::stills::Stills;
use crate::transform::CopyMeter;

/// What the pipeline counts, and what the process costs.
pub(super) struct House {
    pub(super) counters: Arc<Counters>,
    pub(super) copies: CopyMeter,
    pub(super) stills: Stills,
    pub(super) runtime: tokio::runtime::Handle,
}

impl Meters for House {
    fn samples(&self) -> Vec<Sample> {
        let c = &self.counters;
        let counter = |name, help, counter: &AtomicU64| Sample {
            name,
            help,
            value: Value::Counter(counter.load(Ordering::Relaxed)),
        };
        let gauge = |name, help, value| Sample { name, help, value: Value::Gauge(value) };
        let delays = |name, help, delays: &Delays| Sample {
            name,
            help,
            value: Value::Delays(delays.summary()),
        };
        let mut samples = vec![
            Sample {
                name: "stills",
                help: "Still pictures made, for snapshots and MJPEG",
                value: Value::Counter(self.stills.made()),
            },
            counter("frames_captured", "Raw pictures taken from the camera", &c.captured),
            counter("frames_dropped", "Raw pictures dropped for newer ones", &c.dropped),
            counter("frames_left_out", "Raw pictures there was no time to encode", &c.left_out),
            counter("frames_encoded", "Raw pictures encoded, cards included", &c.encoded),
            counter("camera_losses", "Times the camera was lost", &c.camera_losses),
            counter("encoder_restarts", "Times the encoder was made anew", &c.encoder_restarts),
            delays("capture_delay_seconds", "From exposure until picked up", &c.capture),
            delays("transform_seconds", "Spent transforming a picture", &c.transform),
            delays("encode_seconds", "From handing a picture to the encoder", &c.encode),
            Sample {
                name: "frame_bytes_copied",
                help: "Bytes of raw picture written anew between camera and encoder",
                value: Value::Counter(self.copies.bytes()),
            },
        ];
        let tasks = self.runtime.metrics().num_alive_tasks();
        samples.push(gauge("http_tasks", "Tasks of the HTTP side", tasks as f64));
        if let Some((memory, threads)) = process() {
            samples.push(gauge("resident_bytes", "Memory in use", memory));
            samples.push(gauge("threads", "Threads", threads));
        }
        samples
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
