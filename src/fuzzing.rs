//! The entry points for fuzzing what devices say: each function takes bytes for the answers of a driver
//! and panics if a promise is broken that must hold whatever a driver says.
//!
//! Readers of files and of the network have theirs beside what they read; here they are named.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::channel;

use bytes::Bytes;

use crate::camera::CaptureMode;
#[cfg(fuzzing)]
pub use crate::camera::file::fuzz::read_clip as clip;
#[cfg(fuzzing)]
pub use crate::config::fuzzing::load as config;
use crate::encoder::device_output::{AccessUnits, time_of, written};
#[cfg(fuzzing)]
pub use crate::http::fuzzing::forwarded;
use crate::media::geometry::Geometry;
use crate::media::h264::NalType;
use crate::media::layout::{self, Piece, Shape};
use crate::media::stamps::Stamps;
use crate::media::{AccessUnit, Frame, MediaTime, PixelFormat};
#[cfg(fuzzing)]
pub use crate::webrtc::fuzz_dtls as dtls;
#[cfg(fuzzing)]
pub use crate::webrtc::sdp::{Fragment, Offer};
#[cfg(fuzzing)]
pub use crate::webrtc::stun_turn::fuzz::handle as stun_turn;

/// Numbers out of bytes; zeros when there are no more.
struct Told<'a>(&'a [u8]);

impl Told<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let n = N.min(self.0.len());
        let (now, rest) = self.0.split_at(n);
        bytes[..n].copy_from_slice(now);
        self.0 = rest;
        bytes
    }

    fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    /// Mostly a number that a picture could have, at times any.
    fn size(&mut self) -> u32 {
        match self.byte() {
            0 => u32::from_le_bytes(self.take()),
            1 => u32::MAX - u32::from(self.byte()),
            n @ 2..=127 => u32::from(n),
            _ => u32::from(u16::from_le_bytes(self.take())) % 4096,
        }
    }

    fn length(&mut self) -> usize {
        match self.byte() {
            0 => usize::MAX - usize::from(self.byte()),
            1 => u64::from_le_bytes(self.take()) as usize,
            _ => u32::from_le_bytes([self.byte(), self.byte(), self.byte() & 3, 0]) as usize,
        }
    }

    fn format(&mut self) -> PixelFormat {
        const FORMATS: [PixelFormat; 8] = [
            PixelFormat::Nv12,
            PixelFormat::I420,
            PixelFormat::Yuyv,
            PixelFormat::Rgb,
            PixelFormat::Bgr,
            PixelFormat::Gray,
            PixelFormat::Bgra,
            PixelFormat::Other(*b"MJPG"),
        ];
        FORMATS[usize::from(self.byte()) % FORMATS.len()]
    }
}

/// Reading every byte of a frame's planes, as an encoder does.
fn read_all(frame: &Frame) {
    for plane in 0..frame.format().planes() {
        let (row, rows) = frame
            .format()
            .plane_size(plane, frame.width(), frame.height())
            .expect("it has that plane");
        let stride = frame.stride(plane);
        let bytes = frame.plane(plane);
        assert!(bytes.len() >= stride * (rows - 1) + row, "{frame:?}");
    }
}

/// A driver's sizes, strides, offsets and lengths: a picture that is taken for one lies within its
/// memory, and one that is copied stays within its room.
///
/// # Panics
/// If there is a mistake.
pub fn memory(input: &[u8]) {
    let mut told = Told(input);
    let (format, width, height) = (told.format(), told.size(), told.size());
    let stride = told.size();

    // As V4L2 describes it.
    let held = told.length().min(1 << 20);
    let geometry = Geometry { format, width, height, stride: stride as usize };
    let used = told.length();
    if let Some(planes) = geometry.whole_in(used.min(held)) {
        let memory = Arc::new(vec![0_u8; held]);
        let frame = Frame::new(format, (width, height), &planes, memory, MediaTime::default(), 0);
        // Beyond the largest side there is no frame; within, it is whole.
        if let Ok(frame) = frame {
            read_all(&frame);
            copied(&mut told, &frame);
        }
    }

    // As libcamera does.
    let count = usize::from(told.byte() % 5);
    let pieces: Vec<Piece> = (0..count)
        .map(|_| Piece {
            fd: i32::from(told.byte() / 250),
            offset: (told.byte() > 3).then(|| told.length()),
            len: told.length(),
        })
        .collect();
    let held = told.length().min(1 << 20);
    if let Ok((planes, len)) =
        layout::planes(&Shape { format, width, height, stride }, &pieces, held)
    {
        assert!(len <= held, "{len} of {held}");
        let memory = Arc::new(vec![0_u8; len]);
        if let Ok(frame) =
            Frame::new(format, (width, height), &planes, memory, MediaTime::default(), 0)
        {
            read_all(&frame);
        }
    }
}

/// Copies a picture to where a driver says that it wants it.
fn copied(told: &mut Told<'_>, frame: &Frame) {
    let wanted = Geometry {
        format: if told.byte() == 0 { told.format() } else { frame.format() },
        width: told.size(),
        height: told.size(),
        stride: told.size() as usize,
    };
    // What lies behind the room must stay as it is; a slice's end sees to that.
    let mut room = vec![0xaa_u8; told.length().min(1 << 20)];
    if let Ok(bytes) = wanted.copy_in(frame, &mut room) {
        assert!(bytes <= room.len());
        let needed: usize = (0..frame.format().planes())
            .filter_map(|i| frame.format().plane_size(i, frame.width(), frame.height()))
            .map(|(row, rows)| row * rows)
            .sum();
        assert_eq!(bytes, needed, "all of it or an error");
    }
}

/// A driver's time stamps and counts: times and numbers only go forward.
///
/// # Panics
/// If there is a mistake.
pub fn stamps(input: &[u8]) {
    let mut told = Told(input);
    let mut stamps = Stamps::default();
    let mut now = MediaTime::from_nanos(1 << 40);
    let mut last = None;
    while !told.0.is_empty() {
        now = now + std::time::Duration::from_micros(told.size().into());
        let nanos = match told.byte() {
            0 => 0,
            1 => u64::from_le_bytes(told.take()),
            2 => now.as_nanos() + u64::from(told.size()) * 1000,
            _ => now.as_nanos().saturating_sub(u64::from(told.size()) * 1000),
        };
        let (time, number) = stamps.next(nanos, told.size(), now);
        if let Some((before, count)) = last {
            assert!(time > before && number > count, "{time:?} after {before:?}");
        }
        last = Some((time, number));
    }
}

/// What an encoder device hands back: parts of a buffer, stamps and H.264. Every access unit can be
/// decoded from a key frame on, and the list of what is awaited only shrinks.
///
/// # Panics
/// If there is a mistake.
pub fn encoder(input: &[u8]) {
    let mut told = Told(input);
    let mut pending: VecDeque<(MediaTime, MediaTime)> = (0..told.byte() % 8)
        .map(|n| (MediaTime::from_nanos(n.into()), MediaTime::from_nanos(1000 + u64::from(n))))
        .collect();
    let (sender, units) = channel::<AccessUnit>();
    let mut made = AccessUnits::new(Box::new(move |unit| {
        let _ = sender.send(unit);
    }));
    while !told.0.is_empty() {
        let length = usize::from(told.byte()) * 2;
        let (offset, used) = match told.byte() {
            0 => (told.size(), told.size()),
            _ => (0, length as u32),
        };
        let (buffer, rest) = told.0.split_at(length.min(told.0.len()));
        told.0 = rest;
        let Some(bytes) = written(buffer, offset, used) else {
            continue;
        };
        assert!(bytes.len() <= buffer.len());
        let before = pending.len();
        let time = time_of(&mut pending, MediaTime::from_nanos(told.byte().into()));
        assert!(pending.len() <= before);
        let _ = made.take(Bytes::copy_from_slice(bytes), time);
        for unit in units.try_iter() {
            assert_eq!(unit.time(), time);
            assert!(unit.nals().any(|nal| NalType::of(nal).is_slice()));
            let has = |kind| unit.nals().any(|nal| NalType::of(nal) == kind);
            assert!(!unit.is_key() || (has(NalType::Sps) && has(NalType::Pps)));
        }
    }
}

/// What a camera that codes H.264 itself sends, in buffers that each begin with their length in two
/// bytes; the first byte says whether pictures are to be decoded.
///
/// # Panics
/// If there is a mistake.
pub fn camera(input: &[u8]) {
    let Some((decode, mut rest)) = input.split_first() else {
        return;
    };
    let mut buffers = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(tail.len());
        let (buffer, tail) = tail.split_at(length);
        buffers.push(buffer);
        rest = tail;
    }
    let capture_mode = if decode % 2 == 1 { CaptureMode::Decode } else { CaptureMode::PassThrough };
    crate::camera::coded_stream::fuzz(&buffers, capture_mode);
}

/// What a camera that sends Motion JPEG sends, in buffers as above.
///
/// # Panics
/// If there is a mistake.
#[cfg(feature = "jpeg")]
pub fn jpeg(mut input: &[u8]) {
    let mut pictures = Vec::new();
    while let Some((length, tail)) = input.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(tail.len());
        let (picture, tail) = tail.split_at(length);
        pictures.push(picture);
        input = tail;
    }
    crate::decoder::jpeg::fuzz(&pictures);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::h264::tests::{PPS, SPS, annex_b};

    fn random_bytes(random: &mut fastrand::Rng, most: usize) -> Vec<u8> {
        let length = random.usize(..most);
        std::iter::repeat_with(|| random.u8(..)).take(length).collect()
    }

    #[test]
    fn no_driver_can_make_a_picture_reach_outside_its_memory() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            memory(&random_bytes(&mut random, 96));
        }
    }

    /// As above, with answers that are nearly right, or all is refused and nothing tried.
    #[test]
    fn a_picture_that_is_copied_is_copied_whole_or_not_at_all() {
        let mut random = fastrand::Rng::with_seed(2);
        let mut whole = 0;
        for _ in 0..5000 {
            let format =
                [PixelFormat::Nv12, PixelFormat::I420, PixelFormat::Yuyv][random.usize(..3)];
            let size = (random.u32(1..60), random.u32(1..60));
            let bytes = Arc::new(vec![7_u8; Frame::packed_len(format, size)]);
            let frame = Frame::packed(format, size, bytes, MediaTime::default(), 0).unwrap();
            let about = |random: &mut fastrand::Rng, n: u32| match random.u8(..8) {
                0 => random.u32(..),
                1 => 0,
                _ => n + random.u32(..20),
            };
            let wanted = Geometry {
                format,
                width: about(&mut random, size.0),
                height: about(&mut random, size.1),
                stride: about(&mut random, size.0 * 2) as usize,
            };
            let mut room = vec![0_u8; random.usize(..16_384)];
            if let Ok(copied) = wanted.copy_in(&frame, &mut room) {
                assert_eq!(copied, room.iter().filter(|byte| **byte == 7).count());
                whole += 1;
            }
        }
        assert!(whole > 500, "{whole} of 5000");
    }

    #[test]
    fn time_and_number_only_go_forward_whatever_a_driver_says() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..3000 {
            stamps(&random_bytes(&mut random, 400));
        }
    }

    #[test]
    fn whatever_an_encoder_hands_back_is_a_picture_or_none() {
        let mut random = fastrand::Rng::with_seed(4);
        let picture = annex_b(&[SPS, PPS, &[0x65, 1, 2, 3, 4, 5]]);
        for _ in 0..5000 {
            let mut input = vec![random.u8(..)];
            for _ in 0..random.usize(..6) {
                let mut buffer = picture.clone();
                for _ in 0..random.usize(..4) {
                    let at = random.usize(..buffer.len());
                    buffer[at] = random.u8(..);
                }
                buffer.resize(buffer.len().next_multiple_of(2), 0);
                input.push((buffer.len() / 2) as u8);
                input.push(random.u8(..3));
                input.extend(buffer);
                input.push(random.u8(..8));
            }
            encoder(&input);
        }
    }
}
