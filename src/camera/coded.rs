//! Pictures that a camera has coded as H.264 itself.
//!
//! What browsers decode is passed on as it is. The rest is decoded, to be encoded afresh: pictures
//! that are shown in another order than they are coded in (B-frames), which WebRTC has no way to
//! say, and all of them where something is to be done to the picture. A damaged picture costs that
//! picture, and when it was to be decoded, those up to the next key picture.

use bytes::Bytes;

use super::CameraError;
use super::file::picture::{Pictures, Role};
use crate::decoder::{Decoder, DecoderError};
use crate::media::h264::{BitstreamError, NalType, ParameterSets, SpsInfo};
use crate::media::{AccessUnit, Frame, MediaTime};

/// One camera's coded pictures, from its opening on.
pub(super) struct CodedPictures {
    parameter_sets: ParameterSets,
    way: Way,
    /// Whether the stream leaves open in which order its pictures are shown.
    may_reorder: bool,
    order: Pictures,
    last_shown: Option<i64>,
}

enum Way {
    PassOn,
    Decode(Box<Decoder>),
}

/// What became of a buffer of the camera's.
#[derive(Debug)]
pub(super) enum Coded {
    /// A picture to be passed on.
    Unit(AccessUnit),
    /// A picture to be encoded.
    Frame(Frame),
    /// No picture, and nothing wrong.
    Nothing,
    /// It was not what it should be.
    Damaged,
}

impl CodedPictures {
    /// To be passed on as far as they can be.
    pub(super) fn pass_on() -> Self {
        Self::new(Way::PassOn)
    }

    /// To be decoded.
    pub(super) fn decode() -> Result<Self, CameraError> {
        Ok(Self::new(Way::Decode(Box::new(decoder()?))))
    }

    fn new(way: Way) -> Self {
        Self {
            parameter_sets: ParameterSets::screened(),
            way,
            may_reorder: false,
            order: Pictures::default(),
            last_shown: None,
        }
    }

    /// Takes what the camera put into a buffer.
    ///
    /// # Errors
    /// When its H.264 is of a kind that Picket can neither pass on nor decode.
    pub(super) fn take(&mut self, data: Bytes, time: MediaTime) -> Result<Coded, CameraError> {
        let unit = match AccessUnit::from_annex_b(data, time, &mut self.parameter_sets) {
            Ok(unit) => unit,
            Err(BitstreamError::NoPicture) => return Ok(Coded::Nothing),
            Err(_) => return Ok(Coded::Damaged),
        };
        if matches!(self.way, Way::PassOn)
            && let Some(why) = self.hindrance(&unit)
        {
            log::info!("the camera's own H.264 {why}; decoding it, to encode it afresh");
            self.way = Way::Decode(Box::new(decoder()?));
        }
        let Way::Decode(decoder) = &mut self.way else {
            return Ok(Coded::Unit(unit));
        };
        match decoder.decode(&unit) {
            Ok(Some(frame)) => Ok(Coded::Frame(frame)),
            Ok(None) => Ok(Coded::Nothing),
            Err(DecoderError::Damaged(_)) => Ok(Coded::Damaged),
            Err(DecoderError::Unsupported(why)) => {
                Err(CameraError::Unsupported(format!("its own H.264 is of no use: {why}")))
            }
            Err(error @ DecoderError::Failed(_)) => Err(CameraError::Lost(error.to_string())),
        }
    }

    /// Why browsers would not show this picture as it is.
    fn hindrance(&mut self, unit: &AccessUnit) -> Option<&'static str> {
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
                && let Role::NewPicture(picture) = self.order.take(nal)
            {
                if self.last_shown.is_some_and(|last| picture.rank < last) {
                    return Some("has pictures out of order (B-frames)");
                }
                self.last_shown = Some(picture.rank);
            }
        }
        None
    }
}

fn decoder() -> Result<Decoder, CameraError> {
    Decoder::new().map_err(|error| CameraError::Lost(error.to_string()))
}

/// The door for fuzzing: whatever a camera sends, what comes out keeps its promises.
///
/// # Panics
/// If there is a mistake in this room.
#[cfg(any(fuzzing, test))]
pub(crate) fn try_out(buffers: &[&[u8]], decode: bool) -> (usize, usize) {
    let mut camera = match decode {
        true => CodedPictures::decode().expect("a decoder"),
        false => CodedPictures::pass_on(),
    };
    let (mut units, mut frames, mut readable) = (0, 0, false);
    for (n, buffer) in buffers.iter().enumerate() {
        let time = MediaTime::from_nanos(n as u64 * 33_000_000);
        match camera.take(Bytes::copy_from_slice(buffer), time) {
            Ok(Coded::Unit(unit)) => {
                units += 1;
                assert!(frames == 0 && !decode, "once decoded, always decoded");
                assert!(unit.nals().any(|nal| NalType::of(nal).is_slice()));
                let mut sets = unit.nals().filter(|nal| NalType::of(nal) == NalType::Sps);
                let sound = sets.all(|sps| SpsInfo::parse(sps).is_ok());
                assert!(sound || !readable, "once its headers can be read, they always can");
                readable |= sound && unit.is_key();
            }
            Ok(Coded::Frame(frame)) => {
                frames += 1;
                assert!(!frame.plane(0).is_empty() && !frame.plane(2).is_empty());
                assert!(frame.time() <= time);
            }
            Ok(Coded::Nothing | Coded::Damaged) => {}
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
        let mut order = Pictures::default();
        for range in nal_ranges(&data) {
            let nal = &data[range];
            let role = order.take(nal);
            if pictures.is_empty() || (coded && !matches!(role, Role::Behind)) {
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
    fn what_browsers_decode_is_passed_on_as_it_is() {
        let plain = buffers("plain.h264");
        assert_eq!(plain.len(), 12);
        let (units, frames) = try_out(&slices(&plain), false);
        assert_eq!((units, frames), (plain.len(), 0));
    }

    #[test]
    fn pictures_out_of_order_are_decoded_instead() {
        let reordered = buffers("bframes.h264");
        // Twice: what was passed on before the first picture out of order ends at a key picture.
        let twice = [slices(&reordered), slices(&reordered)].concat();
        let (units, frames) = try_out(&twice, false);
        assert!(units < 10, "{units} passed on of {}", reordered.len());
        assert!(frames > reordered.len() / 2, "{frames} of {} decoded", reordered.len());
    }

    #[test]
    fn where_pictures_are_to_be_changed_they_are_decoded() {
        let plain = buffers("plain.h264");
        let (units, frames) = try_out(&slices(&plain), true);
        assert_eq!(units, 0);
        assert!(frames + 2 >= plain.len(), "{frames} of {}", plain.len());
    }

    #[test]
    fn interlaced_pictures_are_refused_with_the_reason() {
        let sps = buffers("plain.h264");
        let mut camera = CodedPictures::pass_on();
        assert!(matches!(
            camera.take(sps[0].clone().into(), MediaTime::default()),
            Ok(Coded::Unit(_))
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
        let told = CodedPictures::pass_on()
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
        let (units, _) = try_out(&slices(&plain), false);
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
                try_out(&slices(&pictures), round % 2 == 0);
            }
        }
    }
}
