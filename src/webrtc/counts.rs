//! What the WebRTC side counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::media::Delays;

/// Counts of the WebRTC side, of one camera or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Viewers connected.
    pub connected: usize,
    /// Offers answered but not connected yet.
    pub connecting: usize,
    /// Offers answered since the start.
    pub offers_accepted: u64,
    /// Datagrams the kernel had no room for; told for all cameras together.
    pub datagrams_dropped: u64,
}

impl std::iter::Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(cameras: I) -> Self {
        cameras.fold(Self::default(), |sum, camera| Self {
            connected: sum.connected + camera.connected,
            connecting: sum.connecting + camera.connecting,
            offers_accepted: sum.offers_accepted + camera.offers_accepted,
            datagrams_dropped: sum.datagrams_dropped + camera.datagrams_dropped,
        })
    }
}

/// What the engine counts for one camera, to be read from other threads.
#[derive(Debug, Default)]
pub(super) struct CameraCounts {
    pub(super) connected: AtomicUsize,
    pub(super) connecting: AtomicUsize,
    pub(super) offers_accepted: AtomicU64,
    pub(super) delays: Arc<Delays>,
}

impl CameraCounts {
    pub(super) fn totals(&self) -> Totals {
        Totals {
            connected: self.connected.load(Ordering::Relaxed),
            connecting: self.connecting.load(Ordering::Relaxed),
            offers_accepted: self.offers_accepted.load(Ordering::Relaxed),
            datagrams_dropped: 0,
        }
    }
}
