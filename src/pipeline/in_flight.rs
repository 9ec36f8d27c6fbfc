//! The frames that are with an encoder, and where what it makes of them goes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::counters::Counters;
use crate::encoder::Sink;
use crate::hub::{Hub, TrackId};
use crate::media::MediaTime;

/// The frames that are with an encoder: their time, and when it got them. It may skip some.
#[derive(Default)]
pub(super) struct InFlight(Mutex<VecDeque<(MediaTime, MediaTime)>>);

impl InFlight {
    /// More than any encoder keeps.
    const MAX: usize = 32;

    pub(super) fn begin(&self, picture: MediaTime, now: MediaTime) {
        let mut pictures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pictures.len() == Self::MAX {
            pictures.pop_front();
        }
        pictures.push_back((picture, now));
    }

    fn finish(&self, picture: MediaTime) -> Option<MediaTime> {
        let mut pictures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = pictures.iter().position(|(time, _)| *time == picture)?;
        pictures.drain(..=at).next_back().map(|(_, begun)| begun)
    }
}

/// Where an encoder puts what it makes, on whatever thread.
pub(super) fn sink(
    in_flight: &Arc<InFlight>,
    hub: &Hub,
    track: TrackId,
    counters: &Arc<Counters>,
) -> Sink {
    let (in_flight, hub, counters) = (in_flight.clone(), hub.clone(), counters.clone());
    Box::new(move |unit| {
        if let Some(begun) = in_flight.finish(unit.time()) {
            counters.encode.note(unit.ready().since(begun));
        }
        Counters::add(&counters.encoded, 1);
        hub.publish(track, unit);
    })
}
