//! From the pictures in a file to pictures at the moment they are due.

use std::fs::File;
use std::time::Duration;

use bytes::Bytes;

use super::clip::Clip;
use super::error::ClipError;
use super::pace::Pacer;
use crate::camera::Capture;
use crate::decoder::{Decoder, DecoderError};
use crate::media::h264::{BitstreamError, ParameterSets};
use crate::media::{AccessUnit, Frame, MediaTime};

/// So many units are decoded to see whether the clip can be: any stream's lag, and then some.
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
    decoder: Option<Decoder>,
    /// Units in a row of which nothing came out.
    fruitless: usize,
    /// Units that had to be left out so far.
    damaged: usize,
}

impl Player {
    /// From the beginning. A clip that is to be decoded is tried first.
    pub fn new(mut clip: Clip<File>, delivery: Delivery) -> Result<Self, ClipError> {
        let decoder = match delivery {
            Delivery::AsItIs => None,
            Delivery::Decoded => {
                try_decoding(&mut clip)?;
                Some(Decoder::new()?)
            }
        };
        Ok(Self {
            clip,
            place: 0,
            rounds: 0,
            parameter_sets: ParameterSets::default(),
            decoder,
            fruitless: 0,
            damaged: 0,
        })
    }

    /// Waits until the next picture is due.
    pub fn next(&mut self, pacer: &mut Pacer) -> Result<Capture, ClipError> {
        loop {
            let (bytes, position) = self.next_unit()?;
            let captured = if self.decoder.is_some() {
                self.decode(bytes, position, pacer)
            } else {
                self.pass(bytes, position, pacer).map(Some)
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
            self.fruitless += 1;
            if self.fruitless > self.clip.plan().samples().len() + TRIAL {
                return Err(ClipError::NoPictures);
            }
        }
    }

    /// The next unit in coding order, and its position on the line of time that goes on over all
    /// rounds.
    fn next_unit(&mut self) -> Result<(Bytes, Duration), ClipError> {
        let samples = self.clip.plan().samples();
        let (count, period) = (samples.len(), self.clip.plan().line.period);
        let pts = samples.get(self.place).map_or(0, |s| s.pts.unsigned_abs());
        let position = Duration::from_nanos(period)
            .saturating_mul(u32::try_from(self.rounds).unwrap_or(u32::MAX))
            .saturating_add(Duration::from_nanos(pts));
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

    /// Inside the decoder, positions stand for times: what the clock says when a picture is due is
    /// not known before its turn comes.
    fn decode(
        &mut self,
        bytes: Bytes,
        position: Duration,
        pacer: &mut Pacer,
    ) -> Result<Option<Capture>, ClipError> {
        let time = MediaTime::default() + position;
        let unit = AccessUnit::from_annex_b(bytes, time, &mut self.parameter_sets)?;
        let Some(decoder) = &mut self.decoder else {
            return Ok(None);
        };
        let Some(frame) = decoder.decode(&unit)? else {
            return Ok(None);
        };
        self.check_size(&frame)?;
        let due = pacer.wait_for(frame.time().since(MediaTime::default()));
        let sequence = frame.sequence();
        Ok(Some(Capture::Frame(frame.restamped(due, sequence))))
    }

    /// A clip spliced of parts of different size can be passed on, but not encoded afresh.
    fn check_size(&self, frame: &Frame) -> Result<(), ClipError> {
        let sps = &self.clip.plan().sps;
        if (frame.width(), frame.height()) == (sps.width, sps.height) {
            return Ok(());
        }
        Err(ClipError::Decoder(DecoderError::Unsupported(format!(
            "its pictures change from {}×{} to {}×{} on the way",
            sps.width,
            sps.height,
            frame.width(),
            frame.height()
        ))))
    }
}

/// Decodes the beginning of a clip, to refuse at once what would fail later.
fn try_decoding(clip: &mut Clip<File>) -> Result<(), ClipError> {
    let mut decoder = Decoder::new()?;
    let mut parameter_sets = ParameterSets::default();
    let mut failure = ClipError::NoPictures;
    let mut attempt = |place| -> Result<bool, ClipError> {
        let time = MediaTime::from_nanos(place as u64);
        let unit = AccessUnit::from_annex_b(clip.read(place)?, time, &mut parameter_sets)?;
        Ok(decoder.decode(&unit)?.is_some())
    };
    for place in 0..TRIAL {
        match attempt(place) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(ClipError::NoPictures) => break,
            Err(e) if is_damage(&e) => failure = e,
            Err(e) => return Err(e),
        }
    }
    if decoder.flush().is_empty() {
        return Err(failure);
    }
    Ok(())
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
