//! What viewers see while the source delivers nothing, and when it is opened again.

use std::time::Duration;

use super::counters::Counters;
use super::produce::Producer;
use super::run::{Absence, RETRY, Run, STALL, SourcePhase};
use crate::hub::{SourceState, reasons};
use crate::media::MediaTime;
use crate::transform::Placeholder;

/// How often a placeholder is shown. Slow enough to cost nothing, fast enough for receivers to
/// believe in the stream.
const PLACEHOLDER_INTERVAL: Duration = Duration::from_millis(200);

/// Placeholders are this big until a camera has shown what size its pictures are.
const PLACEHOLDER_SIZE: (u32, u32) = (1280, 720);

/// How long a camera may take to open. Some need seconds to upload firmware to the sensor, and
/// being told to start again would only set them back.
const OPENING: Duration = Duration::from_secs(10);

impl Producer {
    /// The source has no more.
    pub(super) fn ended(&mut self, run: &mut Run) {
        log::info!("the source has ended: {}", self.source_name);
        let now = MediaTime::now();
        let (state, placeholder, retry) = if self.fixed.infinite_frames {
            let reason = "the source has ended";
            (SourceState::Lost(reason.into()), Placeholder::no_signal(reason), Some(now + RETRY.1))
        } else {
            (SourceState::Ended, Placeholder::the_end(), None)
        };
        self.tell(state);
        run.phase = SourcePhase::Absent(Absence {
            placeholder,
            next_placeholder: now,
            retry,
            opening: None,
        });
    }

    /// The owner reads all of the reason in the log; what viewers see names no place on the owner's
    /// disk.
    pub(super) fn lost(&mut self, run: &mut Run, reason: &str) {
        let (log, reason) = reasons(&self.source_name, reason);
        let now = MediaTime::now();
        if run.absence().is_none() {
            Counters::add(&self.counters.camera_losses, 1);
            log::warn!("{}: {log}; trying again until it is back", self.source_name);
        }
        self.tell(SourceState::Lost(reason.clone()));
        let (next_placeholder, opening) = match &run.phase {
            SourcePhase::Absent(absence) => (absence.next_placeholder, absence.opening),
            SourcePhase::Opening => (now, Some(run.last_picture)),
            SourcePhase::Delivering => (now, None),
        };
        run.phase = SourcePhase::Absent(Absence {
            placeholder: Placeholder::no_signal(reason),
            next_placeholder,
            retry: Some(now + run.backoff),
            opening,
        });
        run.backoff = (run.backoff * 2).min(RETRY.1);
    }

    /// While there is no picture: shows the placeholder, and opens the camera again when it is time.
    pub(super) fn mind_absence(&mut self, run: &mut Run) {
        let (now, backoff) = (run.now, run.backoff);
        let SourcePhase::Absent(absence) = &mut run.phase else {
            return;
        };
        let again = absence.retry.is_some_and(|at| now >= at)
            && absence.opening.is_none_or(|since| now.since(since) >= OPENING);
        if again {
            absence.retry = Some(now + backoff.max(STALL));
        }
        let is_due = now >= absence.next_placeholder;
        if is_due {
            absence.next_placeholder = now + PLACEHOLDER_INTERVAL;
        }
        if again {
            self.open(run);
        }
        if is_due {
            self.show_placeholder(run);
        }
    }

    fn show_placeholder(&mut self, run: &mut Run) {
        let coded = self.outputs.first().and_then(|main| main.active_size());
        let size = coded
            .or_else(|| run.mode.map(|m| self.chain.output_size((m.width, m.height))))
            .unwrap_or(PLACEHOLDER_SIZE);
        let SourcePhase::Absent(absence) = &mut run.phase else {
            return;
        };
        let now = MediaTime::now();
        match absence.placeholder.draw(size, now, &self.pool) {
            Ok(frame) => drop(self.encode(run, &frame, now)),
            Err(error) => log::debug!("no placeholder: {error}"),
        }
    }
}
