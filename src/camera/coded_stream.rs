//! The H.264 that a camera makes itself.
//!
//! What browsers decode is passed through as it is. The rest is decoded, to be encoded again: pictures
//! that are output in another order than they are coded in (B-frames), which WebRTC has no way to say,
//! and all of them where something is to be done to the picture. A damaged access unit costs that
//! picture, and when it was to be decoded, those up to the next key frame.

use bytes::Bytes;

use super::picture_detector::{NalRole, PictureDetector};
use super::{CameraError, CaptureMode};
use crate::decoder::{Decoder, DecoderError};
use crate::media::h264::{BitstreamError, NalType, ParameterSets, SpsInfo};
use crate::media::{AccessUnit, Frame, MediaTime};

/// One camera's coded stream, from its opening on.
pub(super) struct CodedStream {
    parameter_sets: ParameterSets,
    /// Without one, access units are passed through.
    decoder: Option<Box<Decoder>>,
    /// Whether the stream leaves open in which order its pictures are output.
    may_reorder: bool,
    detector: PictureDetector,
    last_output_rank: Option<i64>,
}

/// What became of a buffer of the camera's.
#[derive(Debug)]
pub(super) enum Received {
    /// To be passed through.
    AccessUnit(AccessUnit),
    /// Decoded, to be encoded.
    Frame(Frame),
    /// No picture, and nothing wrong.
    Nothing,
    /// It was not what it should be.
    Damaged,
}

impl CodedStream {
    /// One that delivers frames, or access units as far as they can be passed through.
    pub(super) fn new(capture_mode: CaptureMode) -> Result<Self, CameraError> {
        Ok(Self {
            parameter_sets: ParameterSets::screened(),
            decoder: match capture_mode {
                CaptureMode::PassThrough => None,
                CaptureMode::Decode => Some(new_decoder()?),
            },
            may_reorder: false,
            detector: PictureDetector::default(),
            last_output_rank: None,
        })
    }

    /// Takes what the camera put into a buffer.
    ///
    /// # Errors
    /// When its H.264 is of a kind that Picket can neither pass through nor decode.
    pub(super) fn take(&mut self, data: Bytes, time: MediaTime) -> Result<Received, CameraError> {
        let unit = match AccessUnit::from_annex_b(data, time, &mut self.parameter_sets) {
            Ok(unit) => unit,
            Err(BitstreamError::NoPicture) => return Ok(Received::Nothing),
            Err(_) => return Ok(Received::Damaged),
        };
        if self.decoder.is_none()
            && let Some(why) = self.why_not_pass_through(&unit)
        {
            log::info!("the camera's own H.264 {why}; decoding and re-encoding it");
            self.decoder = Some(new_decoder()?);
        }
        let Some(decoder) = &mut self.decoder else {
            return Ok(Received::AccessUnit(unit));
        };
        match decoder.decode(&unit) {
            Ok(Some(frame)) => Ok(Received::Frame(frame)),
            Ok(None) => Ok(Received::Nothing),
            Err(DecoderError::Damaged(_)) => Ok(Received::Damaged),
            Err(DecoderError::Unsupported(why)) => {
                Err(CameraError::Unsupported(format!("its own H.264 cannot be used: {why}")))
            }
            Err(error @ DecoderError::Failed(_)) => Err(CameraError::Lost(error.to_string())),
        }
    }

    /// Why browsers would not show this access unit as it is.
    fn why_not_pass_through(&mut self, unit: &AccessUnit) -> Option<&'static str> {
        for nal in unit.nals() {
            if NalType::of(nal) == NalType::Sps
                && let Ok(info) = SpsInfo::parse(nal)
            {
                if info.interlaced {
                    return Some("is interlaced");
                }
                if !info.is_420_8bit {
                    return Some("has colours that browsers do not decode");
                }
                self.may_reorder = info.may_reorder;
            }
            // Most cameras that leave it open do not reorder.
            if self.may_reorder
                && let NalRole::FirstSlice(picture) = self.detector.take(nal)
            {
                if self.last_output_rank.is_some_and(|last| picture.output_rank < last) {
                    return Some("has pictures out of order (B-frames)");
                }
                self.last_output_rank = Some(picture.output_rank);
            }
        }
        None
    }
}

fn new_decoder() -> Result<Box<Decoder>, CameraError> {
    Decoder::new().map(Box::new).map_err(|error| CameraError::Lost(error.to_string()))
}

/// The entry point for fuzzing: whatever a camera sends, what comes out keeps its promises.
///
/// # Panics
/// If there is a mistake in this room.
#[cfg(any(fuzzing, test))]
pub(crate) fn fuzz(buffers: &[&[u8]], capture_mode: CaptureMode) -> (usize, usize) {
    let mut camera = CodedStream::new(capture_mode).expect("a decoder");
    let (mut units, mut frames, mut readable) = (0, 0, false);
    for (n, buffer) in buffers.iter().enumerate() {
        let time = MediaTime::from_nanos(n as u64 * 33_000_000);
        match camera.take(Bytes::copy_from_slice(buffer), time) {
            Ok(Received::AccessUnit(unit)) => {
                units += 1;
                assert!(frames == 0, "once decoded, always decoded");
                assert_eq!(capture_mode, CaptureMode::PassThrough);
                assert!(unit.nals().any(|nal| NalType::of(nal).is_slice()));
                let mut sets = unit.nals().filter(|nal| NalType::of(nal) == NalType::Sps);
                let sound = sets.all(|sps| SpsInfo::parse(sps).is_ok());
                assert!(sound || !readable, "once its headers can be read, they always can");
                readable |= sound && unit.is_key();
            }
            Ok(Received::Frame(frame)) => {
                frames += 1;
                assert!(!frame.plane(0).is_empty() && !frame.plane(2).is_empty());
                assert!(frame.time() <= time);
            }
            Ok(Received::Nothing | Received::Damaged) => {}
            Err(_) => break,
        }
    }
    (units, frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::h264::nal_ranges;

    /// The buffers a camera would deliver: a clip of tests/media, picture by picture.
    fn buffers(clip: &str) -> Vec<Vec<u8>> {
        let file = format!("{}/tests/media/{clip}", env!("CARGO_MANIFEST_DIR"));
        let data = std::fs::read(file).expect("the clip is there");
        let mut pictures: Vec<Vec<u8>> = Vec::new();
        let mut coded = false;
        let mut detector = PictureDetector::default();
        for range in nal_ranges(&data) {
            let nal = &data[range];
            let role = detector.take(nal);
            if pictures.is_empty() || (coded && !matches!(role, NalRole::Continuation)) {
                pictures.push(Vec::new());
                coded = false;
            }
            coded |= NalType::of(nal).is_slice();
            let picture = pictures.last_mut().expect("one");
            picture.extend_from_slice(&[0, 0, 0, 1]);
            picture.extend_from_slice(nal);
        }
        pictures
    }

    fn slices(buffers: &[Vec<u8>]) -> Vec<&[u8]> {
        buffers.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn what_browsers_decode_is_passed_through_as_it_is() {
        let plain = buffers("plain.h264");
        assert_eq!(plain.len(), 12);
        let (units, frames) = fuzz(&slices(&plain), CaptureMode::PassThrough);
        assert_eq!((units, frames), (plain.len(), 0));
    }

    #[test]
    fn pictures_out_of_order_are_decoded_instead() {
        let reordered = buffers("bframes.h264");
        // Twice: what was passed on before the first picture out of order ends at a key frame.
        let twice = [slices(&reordered), slices(&reordered)].concat();
        let (units, frames) = fuzz(&twice, CaptureMode::PassThrough);
        assert!(units < 10, "{units} passed on of {}", reordered.len());
        assert!(frames > reordered.len() / 2, "{frames} of {} decoded", reordered.len());
    }

    #[test]
    fn where_pictures_are_to_be_changed_they_are_decoded() {
        let plain = buffers("plain.h264");
        let (units, frames) = fuzz(&slices(&plain), CaptureMode::Decode);
        assert_eq!(units, 0);
        assert!(frames + 2 >= plain.len(), "{frames} of {}", plain.len());
    }

    #[test]
    fn interlaced_pictures_are_refused_with_the_reason() {
        let sps = buffers("plain.h264");
        let mut camera = CodedStream::new(CaptureMode::PassThrough).unwrap();
        assert!(matches!(
            camera.take(sps[0].clone().into(), MediaTime::default()),
            Ok(Received::AccessUnit(_))
        ));
        // The clip that is interlaced is in an MP4, which keeps its SPS in a box.
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/media/interlaced.mp4");
        let data = std::fs::read(file).expect("the clip is there");
        let at = data.windows(4).position(|w| w == b"avcC").expect("an avcC box") + 4;
        let sps_len = usize::from(u16::from_be_bytes([data[at + 6], data[at + 7]]));
        let sps = &data[at + 8..at + 8 + sps_len];
        let picture = [
            &[0, 0, 0, 1],
            sps,
            &[0, 0, 0, 1, 0x68, 0xce, 0x38, 0x80, 0, 0, 0, 1, 0x65, 0x88, 0x84],
        ];
        let told = CodedStream::new(CaptureMode::PassThrough)
            .unwrap()
            .take(picture.concat().into(), MediaTime::default())
            .expect_err("refused");
        assert!(told.to_string().contains("interlaced"), "{told}");
    }

    #[test]
    fn a_damaged_picture_costs_itself_and_no_other() {
        let mut plain = buffers("plain.h264");
        let whole = plain.len();
        // Cut within its headers, and turned to noise.
        plain[5] = vec![0xff; 300];
        plain[8].truncate(4);
        let (units, _) = fuzz(&slices(&plain), CaptureMode::PassThrough);
        assert_eq!(units, whole - 2);
    }

    #[test]
    fn no_damage_makes_it_panic_or_pass_on_what_cannot_be_read() {
        let mut random = fastrand::Rng::with_seed(21);
        for clip in ["plain.h264", "bframes.h264", "slices.h264"] {
            let whole = buffers(clip);
            for round in 0..60 {
                let mut pictures: Vec<Vec<u8>> = whole.iter().take(12).cloned().collect();
                for picture in &mut pictures {
                    for _ in 0..random.usize(..4) {
                        // Headers are where the meaning is.
                        let reach = if random.bool() { 40 } else { usize::MAX };
                        let at = random.usize(..picture.len().min(reach).max(1));
                        match random.u8(..5) {
                            0 => picture.truncate(at),
                            1 => picture.insert(at, random.u8(..)),
                            2 => picture.extend_from_within(at..),
                            _ if !picture.is_empty() => picture[at] ^= 1 << random.u8(..8),
                            _ => {}
                        }
                    }
                }
                random.shuffle(&mut pictures[1..]);
                let capture_mode = [CaptureMode::Decode, CaptureMode::PassThrough][round % 2];
                fuzz(&slices(&pictures), capture_mode);
            }
        }
    }
}
