//! What a pipeline counts.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::media::Delays;

/// Counts for the metrics, kept since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Raw pictures taken from the camera.
    pub captured: AtomicU64,
    /// Raw pictures dropped because a newer one was there before they were looked at.
    pub dropped: AtomicU64,
    /// Raw pictures left out because this machine has no time to encode them all.
    pub left_out: AtomicU64,
    /// Raw pictures encoded, placeholders included. An encoder may skip some.
    pub encoded: AtomicU64,
    /// From exposure until the pipeline takes a raw picture up.
    pub capture: Delays,
    /// Spent transforming a raw picture.
    pub transform: Delays,
    /// From handing a raw picture to the encoder until its access unit is published.
    pub encode: Delays,
    /// Times the camera was lost.
    pub camera_losses: AtomicU64,
    /// Times an encoder was made again after an error.
    pub encoder_restarts: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}
