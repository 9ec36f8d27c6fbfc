//! `/metrics`: what this program counts, for Prometheus.
//!
//! In come the figures of all rooms, by [`MetricsSource`] or asked of the hub and the WebRTC side; out
//! goes a page in the OpenMetrics text format.

mod handler;
mod metric;

pub(super) use handler::get;
pub use metric::{Metric, MetricValue, MetricsSource};
