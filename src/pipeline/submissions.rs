//! The pictures an encoder has at hand, and where what it makes of them goes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Counters;
use crate::encoder::Sink;
use crate::hub::{Hub, Layer};
use crate::media::MediaTime;

/// Pictures an encoder has at hand: their time, and when it got them. It may skip some.
#[derive(Default)]
pub(super) struct Submissions(Mutex<VecDeque<(MediaTime, MediaTime)>>);

impl Submissions {
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
pub(super) fn sink(submissions: &Arc<Submissions>, hub: &Hub, counters: &Arc<Counters>) -> Sink {
    let (submissions, hub, counters) = (submissions.clone(), hub.clone(), counters.clone());
    Box::new(move |unit| {
        if let Some(begun) = submissions.finish(unit.time()) {
            counters.encode.note(unit.ready().since(begun));
        }
        Counters::add(&counters.encoded, 1);
        hub.publish(Layer::Main, unit);
    })
}
