//! Undoing a source's own coding, so that its pictures can be encoded again: for a viewer who cannot
//! decode them as they come.

use crate::decoder::{Decoder, DecoderError};
use crate::media::h264::{NalType, ProfileLevel};
use crate::media::{AccessUnit, Frame};

/// From a key frame on something must come out of as many; no decoder holds back more.
const PATIENCE: u32 = 60;

/// Decodes what came coded.
pub(super) struct Transcoder {
    decoder: Decoder,
    /// Pictures from the first key frame on, as long as none has come out.
    without_result: Option<u32>,
}

/// What became of a coded picture.
pub(super) enum Transcoded {
    Frame(Frame),
    /// None came out yet.
    Nothing,
    /// It cannot be done, for this reason.
    Impossible(String),
}

impl Transcoder {
    /// Begins with the source's next key frame; `key` is one that came before. Tells the owner.
    pub(super) fn begin(key: Option<&AccessUnit>) -> Result<Self, DecoderError> {
        let decoder = Decoder::new()?;
        let coding = key.map_or_else(|| "H.264".into(), coding);
        log::info!(
            "a viewer cannot decode the source's own coding ({coding}): it is decoded and encoded \
             again for everybody, until the camera is off again, which costs CPU; a source in \
             constrained baseline profile would need none of it"
        );
        Ok(Self { decoder, without_result: None })
    }

    pub(super) fn decode(&mut self, unit: &AccessUnit) -> Transcoded {
        let damage = match self.decoder.decode(unit) {
            Ok(Some(frame)) => {
                self.without_result = Some(0);
                return Transcoded::Frame(frame);
            }
            Ok(None) => String::from("no picture comes out of the decoder"),
            Err(DecoderError::Damaged(why)) => why,
            Err(error) => return Transcoded::Impossible(error.to_string()),
        };
        self.without_result = match self.without_result {
            None => unit.is_key().then_some(1),
            Some(count) => Some(count + 1),
        };
        match self.without_result {
            Some(PATIENCE..) => Transcoded::Impossible(damage),
            _ => Transcoded::Nothing,
        }
    }
}

/// What a key frame is coded as, for people.
fn coding(unit: &AccessUnit) -> String {
    let sps = unit.nals().find(|nal| NalType::of(nal) == NalType::Sps);
    match sps {
        Some([_, profile_idc, constraints, level_idc, ..]) => {
            let [profile_idc, constraints, level_idc] = [*profile_idc, *constraints, *level_idc];
            let coding = ProfileLevel { profile_idc, constraints, level_idc };
            format!("{} profile", coding.profile_name())
        }
        _ => "H.264".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::file::FileCamera;
    use crate::camera::{Camera, Capture, CaptureMode, Constraints};
    use crate::media::h264::ParameterSets;
    use crate::media::h264::tests::annex_b;
    use crate::media::{MediaTime, h264};

    fn units(clip: &str) -> Vec<AccessUnit> {
        let file = format!("{}/tests/media/{clip}", env!("CARGO_MANIFEST_DIR"));
        let mut camera = FileCamera::new(file, CaptureMode::PassThrough);
        camera.open(&Constraints::default()).unwrap();
        let unit = |_| match camera.capture().unwrap() {
            Capture::AccessUnit(unit) => unit,
            other => panic!("{other:?}"),
        };
        (0..6).map(unit).collect()
    }

    #[test]
    fn pictures_come_out_from_the_next_key_frame_on() {
        let units = units("plain.mp4");
        assert_eq!(coding(&units[0]), "constrained baseline profile");
        let mut transcoder = Transcoder::begin(None).unwrap();
        for unit in &units[1..] {
            assert!(matches!(transcoder.decode(unit), Transcoded::Nothing));
        }
        for unit in &units {
            assert!(
                matches!(transcoder.decode(unit), Transcoded::Frame(frame) if frame.time() == unit.time())
            );
        }
    }

    #[test]
    fn a_stream_out_of_which_nothing_comes_is_given_up() {
        let mut transcoder = Transcoder::begin(None).unwrap();
        let key = annex_b(&[h264::tests::SPS, h264::tests::PPS, &[0x65, 0x88, 0x84]]);
        let key = || {
            let time = MediaTime::default();
            AccessUnit::from_annex_b(key.clone().into(), time, &mut ParameterSets::default())
        };
        let tries = (0..1000)
            .take_while(|_| matches!(transcoder.decode(&key().unwrap()), Transcoded::Nothing));
        assert!((1..100).contains(&tries.count()));
        let Transcoded::Impossible(why) = transcoder.decode(&key().unwrap()) else {
            panic!("still hoping");
        };
        assert!(!why.is_empty());
    }
}
