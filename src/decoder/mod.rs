//! Coded pictures back to raw ones: H.264 here, Motion JPEG in `jpeg`.
//!
//! In come [`AccessUnit`]s in decoding order, damaged ones among them; out come I420 [`Frame`]s in output
//! order, each with the time its access unit came with. Their brightness is in the limited range (16 to
//! 235) whatever it was in the stream, as everywhere in this program, so that what is drawn on them fits
//! and encoders need not be told. Used for still pictures (`/snapshot.jpg`) and for clips that cannot be
//! passed through as they are (see [`camera::file`](crate::camera::file)).
//!
//! The work is done by OpenH264, which decodes progressive 4:2:0 8 bit pictures of the baseline, main
//! and high profiles. Everything else is refused before it reaches the library.

#[cfg(feature = "jpeg")]
pub mod jpeg;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use ::openh264::OpenH264API;
use ::openh264::decoder as lib;
use ::openh264::formats::YUVSource;

use crate::media::h264::{NalType, START_CODE, SpsInfo};
use crate::media::{AccessUnit, Frame, FramePool, MediaTime, PixelFormat};

/// Why there is no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecoderError {
    /// The stream uses something the decoder cannot do; another try is pointless.
    #[error("{0}")]
    Unsupported(String),
    /// The bytes are damaged, or refer to a picture that was. Later access units may decode again, from
    /// the next key frame at the latest.
    #[error("damaged, or coded in a way that cannot be decoded: {0}")]
    Damaged(String),
    /// The library itself failed.
    #[error("the decoder failed: {0}")]
    Failed(String),
}

/// The largest picture decoded, in macroblocks of 16×16 pixels: level 5.1 (H.264 table A-1),
/// 4096×2304. A few hostile bytes must not make the library reserve gigabytes.
const MAX_MACROBLOCKS: u32 = 36_864;

/// No stream holds back more pictures than this (H.264 §A.3.1, `MaxDpbFrames`), and the library one
/// more.
const MAX_DELAY: usize = 17;

/// The decoder.
pub struct Decoder {
    inner: lib::Decoder,
    /// Nothing is decoded before a key frame: there is nothing to refer to.
    started: bool,
    /// Times of the access units in `inner` whose frames have not come out. Frames come out in output
    /// order, so that the next has the earliest of these times. Those before a key frame go first
    /// whatever the clock: a source may step it back.
    times: BinaryHeap<Reverse<(u64, MediaTime)>>,
    key_frames: u64,
    /// Decoded, in output order.
    ready: VecDeque<Frame>,
    pool: FramePool,
    /// The NAL units of the current access unit that the library is to see.
    input: Vec<u8>,
    /// The SPS of the last key frame.
    sps: Vec<u8>,
    sequence: u64,
    /// Whether brightness goes from 0 to 255 in the stream, and where the stream does not say.
    full_range: bool,
    default_full_range: bool,
}

impl Decoder {
    /// A decoder that waits for its first key frame.
    ///
    /// # Errors
    /// When the library cannot be set up.
    pub fn new() -> Result<Self, DecoderError> {
        Ok(Self {
            inner: new_library()?,
            started: false,
            times: BinaryHeap::new(),
            key_frames: 0,
            ready: VecDeque::new(),
            pool: FramePool::new(),
            input: Vec::new(),
            sps: Vec::new(),
            sequence: 0,
            full_range: false,
            default_full_range: false,
        })
    }

    /// The same decoder for a stream of full range, unless the stream itself says otherwise.
    #[must_use]
    pub fn assuming_full_range(mut self, full_range: bool) -> Self {
        self.default_full_range = full_range;
        self
    }

    /// Takes the next access unit in decoding order; returns the next frame in output order, if it is
    /// known yet. Outside the baseline profile frames are delayed by one, and by up to 17 in a stream
    /// that reorders; [`flush`](Self::flush) gets them out.
    ///
    /// # Errors
    /// When the stream is of a kind that cannot be decoded, or the access unit is damaged. After
    /// [`DecoderError::Damaged`], go on with the next one: all before the next key frame are skipped,
    /// because they refer to what is missing.
    pub fn decode(&mut self, unit: &AccessUnit) -> Result<Option<Frame>, DecoderError> {
        if unit.is_key() {
            self.detect_new_sequence(unit)?;
            self.started = true;
            self.key_frames += 1;
        }
        if self.started {
            self.collect(unit)?;
            self.decode_input(unit.time())?;
        }
        Ok(self.ready.pop_front())
    }

    /// The frames still held back, in output order. Decoding then waits for a key frame.
    pub fn flush(&mut self) -> Vec<Frame> {
        // A library that cannot be replaced here fails at the next key frame, which says so.
        let _ = self.restart();
        self.ready.drain(..).collect()
    }

    /// Where another coded video sequence begins, gets the last pictures of the old one out: the library
    /// would lose them.
    fn detect_new_sequence(&mut self, key: &AccessUnit) -> Result<(), DecoderError> {
        let sps = key.nals().find(|nal| NalType::of(nal) == NalType::Sps).unwrap_or_default();
        if self.sps == sps {
            return Ok(());
        }
        if self.started {
            self.restart()?;
        }
        self.sps.clear();
        self.sps.extend_from_slice(sps);
        Ok(())
    }

    fn decode_input(&mut self, time: MediaTime) -> Result<(), DecoderError> {
        match self.inner.decode(&self.input) {
            Ok(picture) => {
                self.times.push(Reverse((self.key_frames, time)));
                if let Some(picture) = picture
                    && let Some(Reverse((_, time))) = self.times.pop()
                {
                    let range = self.full_range;
                    let frame = copy(&picture, range, &self.pool, time, self.sequence)?;
                    self.sequence += 1;
                    self.ready.push_back(frame);
                }
            }
            Err(e) => {
                self.restart()?;
                return Err(DecoderError::Damaged(e.to_string()));
            }
        }
        // Were a picture lost unnoticed, all after it would have the time of the one before.
        if self.times.len() > MAX_DELAY {
            self.restart()?;
            return Err(DecoderError::Damaged("pictures are missing".into()));
        }
        Ok(())
    }

    /// Gets the pictures that are waiting out of the library, then replaces it: flushing makes it lose
    /// count of its buffers, and it would run out of them (`FlushFrame` in welsDecoderExt.cpp).
    fn restart(&mut self) -> Result<(), DecoderError> {
        for picture in self.inner.flush_remaining().unwrap_or_default() {
            let Some(Reverse((_, time))) = self.times.pop() else {
                break;
            };
            let range = self.full_range;
            if let Ok(frame) = copy(&picture, range, &self.pool, time, self.sequence) {
                self.sequence += 1;
                self.ready.push_back(frame);
            }
        }
        self.times.clear();
        self.started = false;
        self.inner = new_library()?;
        Ok(())
    }

    /// Puts the slices and parameter sets of `unit` into `input`. The rest (SEI, layers of
    /// scalable and multi-view coding) does not change the picture, and what the library does not
    /// see cannot confuse it.
    fn collect(&mut self, unit: &AccessUnit) -> Result<(), DecoderError> {
        self.input.clear();
        for nal in unit.nals() {
            match NalType::of(nal) {
                NalType::Sps => {
                    let signalled = check(nal)?.full_range;
                    self.full_range = signalled.unwrap_or(self.default_full_range);
                }
                NalType::Pps | NalType::Slice | NalType::Idr => {}
                _ => continue,
            }
            self.input.extend_from_slice(&START_CODE);
            self.input.extend_from_slice(nal);
        }
        Ok(())
    }
}

fn new_library() -> Result<lib::Decoder, DecoderError> {
    // Flushing after every access unit, the default, would undo the output order.
    let config = lib::DecoderConfig::new().flush_after_decode(lib::Flush::NoFlush);
    lib::Decoder::with_api_config(OpenH264API::from_source(), config)
        .map_err(|e| DecoderError::Failed(e.to_string()))
}

/// Refuses streams the library would fail at, with a reason.
fn check(sps: &[u8]) -> Result<SpsInfo, DecoderError> {
    let info = SpsInfo::parse(sps).map_err(|e| DecoderError::Damaged(e.to_string()))?;
    let SpsInfo { width, height, .. } = info;
    if info.interlaced {
        return Err(DecoderError::Unsupported("interlaced video cannot be decoded".into()));
    }
    if !info.is_420_8bit {
        return Err(DecoderError::Unsupported(
            "only 4:2:0 colour with 8 bits can be decoded".into(),
        ));
    }
    let macroblocks = width.div_ceil(16).saturating_mul(height.div_ceil(16));
    if macroblocks > MAX_MACROBLOCKS {
        return Err(DecoderError::Unsupported(format!(
            "{width}×{height} is too large to decode: 4096×2304 is the limit"
        )));
    }
    Ok(info)
}

fn copy(
    picture: &lib::DecodedYUV<'_>,
    full_range: bool,
    pool: &FramePool,
    time: MediaTime,
    sequence: u64,
) -> Result<Frame, DecoderError> {
    let impossible = || DecoderError::Failed("a picture smaller than it claims".into());
    let (width, height) = picture.dimensions();
    let size = (
        u32::try_from(width).map_err(|_| impossible())?,
        u32::try_from(height).map_err(|_| impossible())?,
    );
    let mut buffer = pool.take(Frame::packed_len(PixelFormat::I420, size));
    let (y, u, v) = picture.strides();
    let sources = [(picture.y(), y), (picture.u(), u), (picture.v(), v)];
    let mut rest = &mut buffer[..];
    for (i, (source, stride)) in sources.into_iter().enumerate() {
        let (row, rows) = PixelFormat::I420.plane_size(i, size.0, size.1).ok_or_else(impossible)?;
        if row == 0 || stride < row {
            return Err(impossible());
        }
        for r in 0..rows {
            let from = source.get(r * stride..r * stride + row);
            let (to, after) = rest.split_at_mut(row);
            let from = from.ok_or_else(impossible)?;
            match (full_range, i) {
                (false, _) => to.copy_from_slice(from),
                (true, 0) => map_range(from, to, &LIMITED_LUMA),
                (true, _) => map_range(from, to, &LIMITED_CHROMA),
            }
            rest = after;
        }
    }
    Frame::packed(PixelFormat::I420, size, Arc::new(buffer), time, sequence)
        .map_err(|e| DecoderError::Failed(e.to_string()))
}

/// Full range to limited (H.264 §E.2.1, `video_full_range_flag`): for each value the one that
/// means the same.
static LIMITED_LUMA: [u8; 256] = limited(0, 16, 219);
static LIMITED_CHROMA: [u8; 256] = limited(128, 128, 224);

const fn limited(zero: i32, becomes: i32, range: i32) -> [u8; 256] {
    let mut table = [0; 256];
    let mut value = 0;
    while value < 256 {
        let scaled = (value - zero) * range;
        let half = if scaled < 0 { -127 } else { 127 };
        table[value as usize] = (becomes + (scaled + half) / 255) as u8;
        value += 1;
    }
    table
}

fn map_range(from: &[u8], to: &mut [u8], table: &[u8; 256]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = table[usize::from(*from)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_range_becomes_limited_with_its_ends_in_place() {
        assert_eq!([0, 56, 128, 205, 255].map(|v: usize| LIMITED_LUMA[v]), [16, 64, 126, 192, 235]);
        assert_eq!(
            [0, 1, 128, 254, 255].map(|v: usize| LIMITED_CHROMA[v]),
            [16, 16, 128, 239, 240]
        );
        assert!(LIMITED_LUMA.is_sorted() && LIMITED_CHROMA.is_sorted());
    }
}
