//! From the samples in a file to pictures at the moment they are due.

use std::fs::File;
use std::time::Duration;

use bytes::Bytes;

use super::clip::{Clip, ClipInfo, REPEAT_AFTER};
use super::error::ClipError;
use super::pacer::Pacer;
use crate::camera::{Capture, CaptureMode};
use crate::decoder::{Decoder, DecoderError};
use crate::media::h264::{BitstreamError, ParameterSets};
use crate::media::{AccessUnit, Frame, MediaTime};
use crate::transform::{DisplayTransform, Orientation, Transform};

/// So many access units may pass before a frame comes out: any stream's reordering, and then some.
const MAX_DECODER_DELAY: usize = 32;

/// A clip being played.
pub(super) struct Player {
    clip: Clip<File>,
    /// Place in the clip of the sample that is next.
    place: usize,
    /// How often the clip was played to its end.
    loops: u64,
    parameter_sets: ParameterSets,
    /// Without it, access units are passed through.
    decoding: Option<Decoding>,
    /// Access units in a row of which nothing came out.
    without_output: usize,
    /// Access units that had to be left out so far.
    damaged: usize,
}

/// What makes frames of access units.
struct Decoding {
    decoder: Decoder,
    display_transform: Option<DisplayTransform>,
    /// The frame that is shown now, and its position.
    current: Option<(Frame, Duration)>,
    /// The one that follows it.
    next: Option<(Frame, Duration)>,
    /// How many were delivered.
    sequence: u64,
}

impl Player {
    /// From the beginning. Of a clip that is to be decoded, the first frame is made at once: what
    /// would fail later is refused now, and what is needed before that frame may take a while.
    pub fn new(clip: Clip<File>, capture_mode: CaptureMode) -> Result<Self, ClipError> {
        let decoding = match capture_mode {
            CaptureMode::PassThrough => None,
            CaptureMode::Decode => Some(Decoding::of(clip.info())?),
        };
        let mut player = Self {
            clip,
            place: 0,
            loops: 0,
            parameter_sets: ParameterSets::default(),
            decoding,
            without_output: 0,
            damaged: 0,
        };
        if player.decoding.is_some() {
            player.decode_first()?;
        }
        Ok(player)
    }

    fn decode_first(&mut self) -> Result<(), ClipError> {
        let hidden = self.clip.info().samples().iter().take_while(|s| !s.shown).count();
        let mut failure = ClipError::NoPictures;
        for _ in 0..hidden + MAX_DECODER_DELAY {
            let (bytes, position) = self.next_unit()?;
            match self.decode(bytes, position) {
                Ok(()) if self.has_next_frame() => return Ok(()),
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
        let decoding = self.decoding.as_ref();
        let display_transform = decoding.and_then(|decoding| decoding.display_transform.as_ref());
        let sps = &self.clip.info().sps;
        display_transform.map_or((sps.width, sps.height), DisplayTransform::output_size)
    }

    /// Waits until the next picture is due.
    pub fn next(&mut self, pacer: &mut Pacer) -> Result<Capture, ClipError> {
        loop {
            if let Some(decoding) = &mut self.decoding
                && let Some(frame) = decoding.frame_due(pacer)
            {
                return Ok(Capture::Frame(frame));
            }
            let (bytes, position) = self.next_unit()?;
            let captured = if self.decoding.is_some() {
                self.decode(bytes, position).map(|()| None)
            } else {
                self.pass_through(bytes, position.time, pacer).map(Some)
            };
            match captured {
                Ok(Some(captured)) => {
                    self.without_output = 0;
                    return Ok(captured);
                }
                Ok(None) => {}
                Err(e) if is_damage(&e) => {
                    log::debug!("picture {} of the clip is left out: {e}", self.place);
                    self.damaged += 1;
                }
                Err(e) => return Err(e),
            }
            if self.has_next_frame() {
                self.without_output = 0;
                continue;
            }
            self.without_output += 1;
            if self.without_output > self.clip.info().samples().len() + MAX_DECODER_DELAY {
                return Err(ClipError::NoPictures);
            }
        }
    }

    fn has_next_frame(&self) -> bool {
        self.decoding.as_ref().is_some_and(|decoding| decoding.next.is_some())
    }

    /// The next access unit in decoding order, and its position on the timeline that goes on over all
    /// loops.
    fn next_unit(&mut self) -> Result<(Bytes, Position), ClipError> {
        let samples = self.clip.info().samples();
        let (count, duration) = (samples.len(), self.clip.info().timeline.duration);
        let sample = samples.get(self.place);
        let pts = sample.map_or(0, |s| s.pts.unsigned_abs());
        let time = Duration::from_nanos(duration)
            .saturating_mul(u32::try_from(self.loops).unwrap_or(u32::MAX))
            .saturating_add(Duration::from_nanos(pts));
        let position = Position { time, hidden: sample.is_some_and(|s| !s.shown) };
        let bytes = self.clip.read(self.place)?;
        self.place += 1;
        if self.place >= count {
            self.place = 0;
            self.loops += 1;
            if self.loops == 1 && self.damaged > 0 {
                let damaged = self.damaged;
                log::warn!("{damaged} of the clip's {count} pictures are damaged and left out");
            }
        }
        Ok((bytes, position))
    }

    fn pass_through(
        &mut self,
        bytes: Bytes,
        position: Duration,
        pacer: &mut Pacer,
    ) -> Result<Capture, ClipError> {
        let time = pacer.wait_until_due(position);
        let unit = AccessUnit::from_annex_b(bytes, time, &mut self.parameter_sets)?;
        Ok(Capture::AccessUnit(unit))
    }

    /// Puts the next access unit into the decoder, and the frame that comes out of it next in line.
    fn decode(&mut self, bytes: Bytes, position: Position) -> Result<(), ClipError> {
        let time = position.to_decoder_time();
        let unit = AccessUnit::from_annex_b(bytes, time, &mut self.parameter_sets)?;
        if let Some(decoding) = &mut self.decoding
            && let Some(frame) = decoding.decoder.decode(&unit)?
        {
            let position = Position::of_decoder_time(frame.time());
            if !position.hidden {
                let frame = match &mut decoding.display_transform {
                    Some(display_transform) => display_transform.apply(frame)?,
                    None => frame,
                };
                decoding.next = Some((frame, position.time));
            }
        }
        Ok(())
    }
}

impl Decoding {
    fn of(clip: &ClipInfo) -> Result<Self, ClipError> {
        let (size, orientation) = (clip.square_size(), clip.presentation().orientation);
        let as_coded =
            orientation == Orientation::default() && size == (clip.sps.width, clip.sps.height);
        Ok(Self {
            decoder: Decoder::new()?.assuming_full_range(clip.full_range()),
            display_transform: (!as_coded).then(|| DisplayTransform::new(size, orientation)),
            current: None,
            next: None,
            sequence: 0,
        })
    }

    /// The frame that is to be seen next, when that is due. One that is shown for long is repeated, and
    /// so is the last one while those behind it take long to decode.
    fn frame_due(&mut self, pacer: &mut Pacer) -> Option<Frame> {
        let current = self.current.as_ref().map(|(_, position)| *position);
        let (due, position) = match (&self.next, current) {
            (Some((_, next)), Some(current)) if *next > current + REPEAT_AFTER => {
                let repeated = current + REPEAT_AFTER;
                (pacer.wait_until_due(repeated), Some(repeated))
            }
            (Some((_, next)), _) => {
                let due = pacer.wait_until_due(*next);
                self.current = self.next.take();
                (due, None)
            }
            (None, Some(_)) => (pacer.overdue(REPEAT_AFTER)?, None),
            (None, None) => return None,
        };
        let (frame, shown_at) = self.current.as_mut()?;
        *shown_at = position.unwrap_or(*shown_at);
        let frame = frame.clone().restamped(due, self.sequence);
        self.sequence += 1;
        Some(frame)
    }
}

/// Where a picture is on the clip's timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    time: Duration,
    /// Only decoded, because others refer to it.
    hidden: bool,
}

impl Position {
    /// Inside the decoder, positions stand for times: what the clock says when a picture is due is
    /// not known before its turn comes. The decoder outputs the earliest first, and that must be one
    /// that is hidden, where it comes before the first that is shown at the same moment.
    fn to_decoder_time(self) -> MediaTime {
        let nanos = u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX);
        MediaTime::from_nanos(nanos.saturating_mul(2).saturating_add(u64::from(!self.hidden)))
    }

    fn of_decoder_time(time: MediaTime) -> Self {
        let nanos = time.as_nanos();
        Self { time: Duration::from_nanos(nanos / 2), hidden: nanos.is_multiple_of(2) }
    }
}

/// Whether the access unit after this one may be fine.
fn is_damage(error: &ClipError) -> bool {
    matches!(
        error,
        ClipError::Bitstream(BitstreamError::NoPicture | BitstreamError::NoParameterSets)
            | ClipError::Bitstream(BitstreamError::TooManyNalUnits(_))
            | ClipError::Decoder(DecoderError::Damaged(_))
    )
}
