//! What a hardware encoder returns, none of it believed: where in its buffer, of which picture, and
//! whether it is H.264 at all.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Sink;
use crate::media::h264::{BitstreamError, ParameterSets};
use crate::media::{AccessUnit, MediaTime};

/// The part of a buffer that the device says it has written; `None` when there is no such part.
pub(crate) fn written(buffer: &[u8], offset: u32, used: u32) -> Option<&[u8]> {
    let start = offset as usize;
    buffer.get(start..start.checked_add(used as usize)?)
}

/// The time of the frame that went in with `stamp`. Those before it were skipped by the device. Of each
/// pending frame, the stamp the device knows it by comes first.
pub(crate) fn time_of(
    pending: &mut VecDeque<(MediaTime, MediaTime)>,
    stamp: MediaTime,
) -> MediaTime {
    match pending.iter().position(|(s, _)| *s == stamp) {
        Some(at) => pending.drain(..=at).next_back().map_or(stamp, |(_, time)| time),
        // Headers in a buffer of their own have a stamp of their own with some drivers.
        None => pending.front().map_or(stamp, |(_, time)| *time),
    }
}

/// Makes access units of what a device has coded.
pub(crate) struct AccessUnits {
    parameter_sets: ParameterSets,
    sink: Sink,
}

impl AccessUnits {
    pub(crate) fn new(sink: Sink) -> Self {
        Self { parameter_sets: ParameterSets::screened(), sink }
    }

    /// Takes a buffer's contents. Those with nothing but parameter sets, which some drivers begin with,
    /// are remembered for the key frames that come without.
    ///
    /// # Errors
    /// When it is not an access unit, so that the next must be a key frame.
    pub(crate) fn take(&mut self, data: Bytes, time: MediaTime) -> Result<(), BitstreamError> {
        match AccessUnit::from_annex_b(data, time, &mut self.parameter_sets) {
            Ok(unit) => (self.sink)(unit),
            Err(BitstreamError::NoPicture) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::media::h264::tests::{PPS, SPS, annex_b};

    fn at(micros: u64) -> MediaTime {
        MediaTime::from_nanos(micros * 1000)
    }

    #[test]
    fn a_picture_the_device_skipped_does_not_shift_the_times_of_the_next() {
        let mut pending = VecDeque::from([(at(1), at(10)), (at(2), at(20)), (at(3), at(30))]);
        assert_eq!(time_of(&mut pending, at(2)), at(20));
        assert_eq!(time_of(&mut pending, at(3)), at(30));
        assert!(pending.is_empty());
        assert_eq!(time_of(&mut pending, at(9)), at(9), "a stamp out of nowhere is taken as it is");
    }

    #[test]
    fn what_a_device_did_not_write_is_not_read() {
        assert_eq!(written(&[1, 2, 3, 4], 1, 2), Some(&[2, 3][..]));
        for (offset, used) in [(0, 5), (4, 1), (5, 0), (u32::MAX, u32::MAX), (1, u32::MAX)] {
            assert_eq!(written(&[1, 2, 3, 4], offset, used), None, "{offset} {used}");
        }
    }

    #[test]
    fn headers_in_a_buffer_of_their_own_are_put_before_every_key_frame() {
        const IDR: &[u8] = &[0x65, 1, 2, 3];
        let (units, made) = channel();
        let mut take = AccessUnits::new(Box::new(move |unit| units.send(unit).unwrap()));
        take.take(annex_b(&[SPS, PPS]).into(), at(7)).unwrap();
        assert!(made.try_recv().is_err(), "headers alone are no picture");
        for _ in 0..2 {
            take.take(annex_b(&[IDR]).into(), at(7)).unwrap();
            let unit: AccessUnit = made.try_recv().unwrap();
            assert_eq!(unit.nals().collect::<Vec<_>>(), [SPS, PPS, IDR]);
            assert_eq!(unit.time(), at(7));
        }
    }

    #[test]
    fn damaged_headers_are_not_kept_for_later() {
        const IDR: &[u8] = &[0x65, 1, 2, 3];
        let (units, made) = channel();
        let mut take = AccessUnits::new(Box::new(move |unit| units.send(unit).unwrap()));
        let sps = &h264_of_openh264();
        take.take(annex_b(&[sps, PPS]).into(), at(1)).unwrap();
        assert!(take.take(annex_b(&[&sps[..sps.len() - 3], PPS, IDR]).into(), at(2)).is_err());
        take.take(annex_b(&[IDR]).into(), at(3)).unwrap();
        let unit: AccessUnit = made.try_recv().unwrap();
        assert_eq!(unit.nals().next(), Some(&sps[..]));
    }

    /// An SPS as an encoder writes it.
    fn h264_of_openh264() -> Vec<u8> {
        use crate::encoder::openh264::OpenH264;
        use crate::encoder::{Encoder, EncoderSettings, FrameType};
        use crate::media::h264::NalType;
        use crate::media::{Frame, PixelFormat};

        let (units, made) = channel();
        let settings = EncoderSettings {
            width: 32,
            height: 32,
            fps: 30.0,
            bitrate_bps: 100_000,
            keyframe_interval: std::time::Duration::from_secs(10),
        };
        let sink = Box::new(move |unit: AccessUnit| units.send(unit).unwrap());
        let mut encoder = OpenH264::new(settings, sink).unwrap();
        let bytes = std::sync::Arc::new(vec![90; 32 * 32 * 3 / 2]);
        let frame = Frame::packed(PixelFormat::I420, (32, 32), bytes, at(1), 0).unwrap();
        encoder.encode(&frame, FrameType::Key).unwrap();
        let unit = made.recv().unwrap();
        unit.nals().find(|nal| NalType::of(nal) == NalType::Sps).unwrap().to_vec()
    }
}
