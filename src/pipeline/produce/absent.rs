//! What viewers see while the source delivers nothing, and when it is opened again.

use std::time::Duration;

use super::{OPENING, Producer, RETRY, STALL, Watch};
use crate::hub::{SourceState, reasons};
use crate::media::MediaTime;
use crate::pipeline::Counters;
use crate::transform::Card;

/// How often a card is shown in place of the picture. Slow enough to cost nothing, fast enough
/// for receivers to believe in the stream.
const CARD_INTERVAL: Duration = Duration::from_millis(200);

/// Cards are this big until a camera has shown what size its pictures are.
const CARD_SIZE: (u32, u32) = (1280, 720);

/// Why there is no picture.
pub(super) struct Absence {
    card: Card,
    pub(super) next_card: MediaTime,
    /// When to open the camera again; never when the source has ended for good.
    retry: Option<MediaTime>,
}

impl Producer {
    pub(super) fn ended(&mut self, watch: &mut Watch) {
        log::info!("the source has ended: {}", self.source_name);
        let now = MediaTime::now();
        let (state, card, retry) = if self.fixed.infinite_frames {
            let reason = "the source has ended";
            (SourceState::Lost(reason.into()), Card::no_signal(reason), Some(now + RETRY.1))
        } else {
            (SourceState::Ended, Card::the_end(), None)
        };
        self.tell(state);
        watch.absence = Some(Absence { card, next_card: now, retry });
    }

    /// The owner reads all of the reason in the log; what viewers see names no place on the owner's
    /// disk.
    pub(super) fn lost(&mut self, watch: &mut Watch, reason: &str) {
        let (log, reason) = reasons(&self.source_name, reason);
        let now = MediaTime::now();
        if watch.absence.is_none() {
            Counters::add(&self.counters.camera_losses, 1);
            log::warn!("{}: {log}; trying again until it is back", self.source_name);
        }
        self.tell(SourceState::Lost(reason.clone()));
        let next_card = watch.absence.as_ref().map_or(now, |a| a.next_card);
        watch.absence = Some(Absence {
            card: Card::no_signal(reason),
            next_card,
            retry: Some(now + watch.backoff),
        });
        watch.backoff = (watch.backoff * 2).min(RETRY.1);
    }

    /// While there is no picture: shows the card, and opens the camera again when it is time.
    pub(super) fn mind_absence(&mut self, watch: &mut Watch) {
        let now = watch.now;
        let Some(absence) = &mut watch.absence else {
            return;
        };
        let again = absence.retry.is_some_and(|at| now >= at)
            && watch.opening.is_none_or(|since| now.since(since) >= OPENING);
        if again {
            absence.retry = Some(now + watch.backoff.max(STALL));
        }
        let card_due = now >= absence.next_card;
        if card_due {
            absence.next_card = now + CARD_INTERVAL;
        }
        if again {
            self.open(watch);
        }
        if card_due {
            self.show_card(watch);
        }
    }

    fn show_card(&mut self, watch: &mut Watch) {
        let size = watch.running.as_ref().map(|r| (r.settings.width, r.settings.height));
        let size = size
            .or_else(|| watch.mode.map(|m| self.chain.output_size((m.width, m.height))))
            .unwrap_or(CARD_SIZE);
        let Some(absence) = &mut watch.absence else {
            return;
        };
        let now = MediaTime::now();
        match absence.card.draw(size, now, &self.pool) {
            Ok(frame) => {
                let fps = watch.mode.map_or(30.0, |mode| mode.fps);
                self.encode(watch, &frame, fps, now);
            }
            Err(error) => log::debug!("no card: {error}"),
        }
    }
}

/// The camera works, but is not to be seen yet. It is not lost, nor to be opened once more.
pub(super) fn settling(watch: &mut Watch) {
    watch.last_picture = watch.now;
    if let Some(Absence { retry: Some(retry), .. }) = &mut watch.absence {
        *retry = watch.now + STALL.max(watch.backoff);
    }
}
