//! One stretch of watching, from the first viewer to the last, and the states it goes through.

use std::time::Duration;

use super::settings::LiveSettings;
use super::transcode::Transcoder;
use crate::camera::Mode;
use crate::media::MediaTime;
use crate::transform::Placeholder;

/// A camera that has been silent this long is lost.
pub(super) const STALL: Duration = Duration::from_secs(2);

/// First and longest wait before a lost camera is opened again.
pub(super) const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What is known of the source.
///
/// ```text
///            opened                silent for 2 s, failed, ended
/// Opening ──────────▶ Delivering ────────────────────────────────▶ Absent
///    │  ▲                 │  ▲                                      │  │
///    │  └── settings, ────┘  └───────────── a picture came ─────────┘  │ opened again and again,
///    │      restart                                                    │ but for one that has ended
///    └────────────── silent for 2 s, failed ───────────────────────────▶ for good
/// ```
pub(super) enum SourcePhase {
    /// It was told to open, and has said nothing yet.
    Opening,
    /// It is open, and there is no reason to doubt it.
    Delivering,
    /// Viewers see a placeholder.
    Absent(Absence),
}

/// Why there is no picture.
pub(super) struct Absence {
    pub(super) placeholder: Placeholder,
    pub(super) next_placeholder: MediaTime,
    /// When to open the camera again; never when the source has ended for good.
    pub(super) retry: Option<MediaTime>,
    /// Since when it has been opening, if it is.
    pub(super) opening: Option<MediaTime>,
}

/// What is published.
pub(super) enum Coding {
    /// Frames, encoded here. Nothing, as long as none has come.
    Encoded,
    /// Pictures as their source coded them.
    PassedThrough,
    /// The same until the first frame comes out of the transcoder, which is encoded here then.
    ToBeTranscoded(Transcoder),
    /// What came coded, decoded and encoded again.
    Transcoded(Transcoder),
}

pub(super) struct Run {
    pub(super) phase: SourcePhase,
    pub(super) coding: Coding,
    /// What the source delivers, once it has said so.
    pub(super) mode: Option<Mode>,
    /// When this turn's event came. The clock is read once a turn: with every picture, even that
    /// counts.
    pub(super) now: MediaTime,
    pub(super) last_picture: MediaTime,
    pub(super) backoff: Duration,
    pub(super) unwatched_since: Option<MediaTime>,
    pub(super) encoder_failures: u32,
    /// Why frames are dropped, as it was told last.
    pub(super) dropped_because: Option<String>,
    pub(super) live: LiveSettings,
}

impl Run {
    pub(super) fn new(live: LiveSettings, now: MediaTime) -> Self {
        Self {
            phase: SourcePhase::Opening,
            coding: Coding::Encoded,
            mode: None,
            now,
            last_picture: now,
            backoff: RETRY.0,
            unwatched_since: None,
            encoder_failures: 0,
            dropped_because: None,
            live,
        }
    }

    pub(super) fn absence(&self) -> Option<&Absence> {
        match &self.phase {
            SourcePhase::Absent(absence) => Some(absence),
            _ => None,
        }
    }

    /// Whether the source has been silent for too long.
    pub(super) fn has_stalled(&self) -> bool {
        self.absence().is_none() && self.now.since(self.last_picture) >= STALL
    }

    /// Whether what was published last is the source's own coding.
    pub(super) fn is_passed_through(&self) -> bool {
        matches!(self.coding, Coding::PassedThrough | Coding::ToBeTranscoded(_))
    }

    pub(super) fn is_transcoding(&self) -> bool {
        matches!(self.coding, Coding::ToBeTranscoded(_) | Coding::Transcoded(_))
    }

    /// What is published from now on are frames, encoded here.
    pub(super) fn frames_are_published(&mut self) {
        self.coding = match std::mem::replace(&mut self.coding, Coding::Encoded) {
            Coding::Encoded | Coding::PassedThrough => Coding::Encoded,
            Coding::ToBeTranscoded(transcoder) | Coding::Transcoded(transcoder) => {
                Coding::Transcoded(transcoder)
            }
        };
    }

    /// What comes coded is not decoded any more.
    pub(super) fn transcoding_is_over(&mut self) {
        self.coding = match self.is_passed_through() {
            true => Coding::PassedThrough,
            false => Coding::Encoded,
        };
    }

    /// The camera works, but is not to be seen yet. It is not lost, nor to be opened once more.
    pub(super) fn is_settling(&mut self) {
        self.last_picture = self.now;
        let wait = STALL.max(self.backoff);
        if let SourcePhase::Absent(Absence { retry: Some(retry), .. }) = &mut self.phase {
            *retry = self.now + wait;
        }
    }

    /// It has been told to open, at `now`.
    pub(super) fn is_opening(&mut self, now: MediaTime) {
        match &mut self.phase {
            SourcePhase::Absent(absence) => absence.opening = Some(now),
            phase => *phase = SourcePhase::Opening,
        }
    }

    /// It has opened, or has failed to.
    pub(super) fn opening_is_over(&mut self) {
        match &mut self.phase {
            SourcePhase::Absent(absence) => absence.opening = None,
            phase => *phase = SourcePhase::Delivering,
        }
    }

    /// Pictures a second that the source delivers.
    pub(super) fn fps(&self) -> f64 {
        self.mode.map_or(30.0, |mode| mode.fps)
    }

    /// How long to wait for the camera before something else needs doing.
    pub(super) fn patience(&self) -> Duration {
        match self.absence() {
            Some(absence) => absence.next_placeholder.since(self.now),
            None => (self.last_picture + STALL).since(self.now),
        }
        .min(Duration::from_millis(250))
    }
}
