//! From the pictures in a file to pictures at the moment they are due.

use std::fs::File;
use std::time::Duration;

use bytes::Bytes;

use super::clip::{Clip, LONGEST_SILENCE, Plan};
use super::error::ClipError;
use super::pace::Pacer;
use crate::camera::Capture;
use crate::decoder::{Decoder, DecoderError};
use crate::media::h264::{BitstreamError, ParameterSets};
use crate::media::{AccessUnit, Frame, MediaTime};
use crate::transform::{Reshape, Symmetry, Transform};

/// So many units may pass before a picture comes out: any stream's lag, and then some.
const TRIAL: usize = 32;

/// How a clip's pictures come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Coded, as they are in the file.
    AsItIs,
    /// As raw frames.
    Decoded,
}

/// A clip being played.
pub(super) struct Player {
    clip: Clip<File>,
    /// Place in the clip of the unit that is next.
    place: usize,
    /// How often the clip was played to its end.
    rounds: u64,
    parameter_sets: ParameterSets,
    studio: Option<Studio>,
    /// Units in a row of which nothing came out.
    fruitless: usize,
    /// Units that had to be left out so far.
    damaged: usize,
}

/// What makes raw frames of coded pictures.
struct Studio {
    decoder: Decoder,
    reshape: Option<Reshape>,
    /// The picture that is shown now, and its position.
    shown: Option<(Frame, Duration)>,
    /// The one that follows it.
    next: Option<(Frame, Duration)>,
    /// How many were given out.
    sequence: u64,
}

impl Player {
    /// From the beginning. Of a clip that is to be decoded, the first picture is made at once: what
    /// would fail later is refused now, and what is needed before that picture may take a while.
    pub fn new(clip: Clip<File>, delivery: Delivery) -> Result<Self, ClipError> {
        let studio = match delivery {
            Delivery::AsItIs => None,
            Delivery::Decoded => Some(Studio::for_clip(clip.plan())?),
        };
        let mut player = Self {
            clip,
            place: 0,
            rounds: 0,
            parameter_sets: ParameterSets::default(),
            studio,
            fruitless: 0,
            damaged: 0,
        };
        if player.studio.is_some() {
            player.make_first()?;
        }
        Ok(player)
    }

    fn make_first(&mut self) -> Result<(), ClipError> {
        let hidden = self.clip.plan().samples().iter().take_while(|s| !s.shown).count();
        let mut failure = ClipError::NoPictures;
        for _ in 0..hidden + TRIAL {
            let (bytes, position) = self.next_unit()?;
            match self.decode(bytes, position) {
                Ok(()) if self.studio.as_ref().is_some_and(|s| s.next.is_some()) => return Ok(()),
                Ok(()) => {}
                Err(e) if is_damage(&e) => {
                    self.damaged += 1;
                    failure = e;
                }
                Err(e) => return Err(e),
            }
        }
        Err(failure)
    }

    /// Width and height of the pictures.
    pub fn size(&self) -> (u32, u32) {
        let reshape = self.studio.as_ref().and_then(|studio| studio.reshape.as_ref());
        let sps = &self.clip.plan().sps;
        reshape.map_or((sps.width, sps.height), Reshape::size)
    }

    /// Waits until the next picture is due.
    pub fn next(&mut self, pacer: &mut Pacer) -> Result<Capture, ClipError> {
        loop {
            if let Some(studio) = &mut self.studio
                && let Some(frame) = studio.due(pacer)
            {
                return Ok(Capture::Frame(frame));
            }
            let (bytes, position) = self.next_unit()?;
            let captured = if self.studio.is_some() {
                self.decode(bytes, position).map(|()| None)
            } else {
                self.pass(bytes, position.shown, pacer).map(Some)
            };
            match captured {
                Ok(Some(captured)) => {
                    self.fruitless = 0;
                    return Ok(captured);
                }
                Ok(None) => {}
                Err(e) if is_damage(&e) => {
                    log::debug!("picture {} of the clip is left out: {e}", self.place);
                    self.damaged += 1;
                }
                Err(e) => return Err(e),
            }
            if self.studio.as_ref().is_some_and(|studio| studio.next.is_some()) {
                self.fruitless = 0;
                continue;
            }
            self.fruitless += 1;
            if self.fruitless > self.clip.plan().samples().len() + TRIAL {
                return Err(ClipError::NoPictures);
            }
        }
    }

    /// The next unit in coding order, and its position on the line of time that goes on over all
    /// rounds.
    fn next_unit(&mut self) -> Result<(Bytes, Position), ClipError> {
        let samples = self.clip.plan().samples();
        let (count, period) = (samples.len(), self.clip.plan().line.period);
        let sample = samples.get(self.place);
        let pts = sample.map_or(0, |s| s.pts.unsigned_abs());
        let shown = Duration::from_nanos(period)
            .saturating_mul(u32::try_from(self.rounds).unwrap_or(u32::MAX))
            .saturating_add(Duration::from_nanos(pts));
        let position = Position { shown, hidden: sample.is_some_and(|s| !s.shown) };
        let bytes = self.clip.read(self.place)?;
        self.place += 1;
        if self.place >= count {
            self.place = 0;
            self.rounds += 1;
            if self.rounds == 1 && self.damaged > 0 {
                let damaged = self.damaged;
                log::warn!("{damaged} of the clip's {count} pictures are damaged and left out");
            }
        }
        Ok((bytes, position))
    }

    fn pass(
        &mut self,
        bytes: Bytes,
        position: Duration,
        pacer: &mut Pacer,
    ) -> Result<Capture, ClipError> {
        let time = pacer.wait_for(position);
        let unit = AccessUnit::from_annex_b(bytes, time, &mut self.parameter_sets)?;
        Ok(Capture::AccessUnit(unit))
    }

    /// Puts the next unit into the decoder, and what comes out of it next in line.
    fn decode(&mut self, bytes: Bytes, position: Position) -> Result<(), ClipError> {
        let unit = AccessUnit::from_annex_b(bytes, position.to_time(), &mut self.parameter_sets)?;
        if let Some(studio) = &mut self.studio
            && let Some(frame) = studio.decoder.decode(&unit)?
        {
            let position = Position::of_time(frame.time());
            if !position.hidden {
                let frame = match &mut studio.reshape {
                    Some(reshape) => reshape.apply(frame)?,
                    None => frame,
                };
                studio.next = Some((frame, position.shown));
            }
        }
        Ok(())
    }
}

impl Studio {
    fn for_clip(plan: &Plan) -> Result<Self, ClipError> {
        let reshape = Reshape::new(plan.square_size(), plan.showing().symmetry);
        let as_coded = plan.showing().symmetry == Symmetry::default()
            && plan.square_size() == (plan.sps.width, plan.sps.height);
        Ok(Self {
            decoder: Decoder::new()?.assuming_full_range(plan.full_range()),
            reshape: (!as_coded).then_some(reshape),
            shown: None,
            next: None,
            sequence: 0,
        })
    }

    /// The picture that is to be seen next, when that is due. One that stays long is seen again,
    /// and so is the last one while those behind it take long to decode.
    fn due(&mut self, pacer: &mut Pacer) -> Option<Frame> {
        let shown_at = self.shown.as_ref().map(|(_, at)| *at);
        let (due, position) = match (&self.next, shown_at) {
            (Some((_, next)), Some(shown)) if *next > shown + LONGEST_SILENCE => {
                (pacer.wait_for(shown + LONGEST_SILENCE), Some(shown + LONGEST_SILENCE))
            }
            (Some((_, next)), _) => {
                let due = pacer.wait_for(*next);
                self.shown = self.next.take();
                (due, None)
            }
            (None, Some(_)) => (pacer.overdue(LONGEST_SILENCE)?, None),
            (None, None) => return None,
        };
        let (frame, at) = self.shown.as_mut()?;
        *at = position.unwrap_or(*at);
        let frame = frame.clone().restamped(due, self.sequence);
        self.sequence += 1;
        Some(frame)
    }
}

/// Where a picture is on the clip's line of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    shown: Duration,
    /// Only decoded, because others refer to it.
    hidden: bool,
}

impl Position {
    /// Inside the decoder, positions stand for times: what the clock says when a picture is due is
    /// not known before its turn comes. The decoder gives out the earliest first, and that must be
    /// one that is hidden, where it comes before the first that is shown at the same moment.
    fn to_time(self) -> MediaTime {
        let nanos = u64::try_from(self.shown.as_nanos()).unwrap_or(u64::MAX);
        MediaTime::from_nanos(nanos.saturating_mul(2).saturating_add(u64::from(!self.hidden)))
    }

    fn of_time(time: MediaTime) -> Self {
        let nanos = time.as_nanos();
        Self { shown: Duration::from_nanos(nanos / 2), hidden: nanos.is_multiple_of(2) }
    }
}

/// Whether the unit after this one may be fine.
fn is_damage(error: &ClipError) -> bool {
    matches!(
        error,
        ClipError::Bitstream(BitstreamError::NoPicture | BitstreamError::NoParameterSets)
            | ClipError::Bitstream(BitstreamError::TooManyNalUnits(_))
            | ClipError::Decoder(DecoderError::Damaged(_))
    )
}
