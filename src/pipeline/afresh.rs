//! Pictures that came coded, decoded to be encoded afresh: for a viewer who cannot decode them as
//! they come.

use crate::decoder::{Decoder, DecoderError};
use crate::media::h264::{NalType, ProfileLevel};
use crate::media::{AccessUnit, Frame};

/// From a key picture on something must come out of as many; no decoder holds back more.
const PATIENCE: u32 = 60;

/// A source's own coding, undone.
pub(super) struct Afresh {
    decoder: Decoder,
    /// Pictures from the first key picture on, as long as none has come out.
    fruitless: Option<u32>,
}

/// What became of a coded picture.
pub(super) enum Undone {
    Frame(Frame),
    /// None came out yet.
    Nothing,
    /// It cannot be done, for this reason.
    Impossible(String),
}

impl Afresh {
    /// Begins with the source's next key picture; `key` is one that came before. Tells the owner.
    pub(super) fn begin(key: Option<&AccessUnit>) -> Result<Self, DecoderError> {
        let decoder = Decoder::new()?;
        let coding = key.map_or_else(|| "H.264".into(), coding);
        log::info!(
            "a viewer cannot decode the source's own coding ({coding}): it is decoded and encoded \
             afresh for everybody, until the camera is off again, which costs CPU; a source in \
             constrained baseline profile would need none of it"
        );
        Ok(Self { decoder, fruitless: None })
    }

    pub(super) fn undo(&mut self, unit: &AccessUnit) -> Undone {
        let damage = match self.decoder.decode(unit) {
            Ok(Some(frame)) => {
                self.fruitless = Some(0);
                return Undone::Frame(frame);
            }
            Ok(None) => String::from("no picture comes out of the decoder"),
            Err(DecoderError::Damaged(why)) => why,
            Err(error) => return Undone::Impossible(error.to_string()),
        };
        self.fruitless = match self.fruitless {
            None => unit.is_key().then_some(1),
            Some(count) => Some(count + 1),
        };
        match self.fruitless {
            Some(PATIENCE..) => Undone::Impossible(damage),
            _ => Undone::Nothing,
        }
    }
}

/// What a key picture is coded as, for people.
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
    use crate::camera::file::{FileCamera, FileMode};
    use crate::camera::{Camera, Capture, Constraints};
    use crate::media::h264::ParameterSets;
    use crate::media::h264::tests::annex_b;
    use crate::media::{MediaTime, h264};

    fn units(clip: &str) -> Vec<AccessUnit> {
        let file = format!("{}/tests/media/{clip}", env!("CARGO_MANIFEST_DIR"));
        let mut camera = FileCamera::new(file, FileMode::PassThrough);
        camera.open(&Constraints::default()).unwrap();
        let unit = |_| match camera.capture().unwrap() {
            Capture::AccessUnit(unit) => unit,
            other => panic!("{other:?}"),
        };
        (0..6).map(unit).collect()
    }

    #[test]
    fn pictures_come_out_from_the_next_key_picture_on() {
        let units = units("plain.mp4");
        assert_eq!(coding(&units[0]), "constrained baseline profile");
        let mut afresh = Afresh::begin(None).unwrap();
        for unit in &units[1..] {
            assert!(matches!(afresh.undo(unit), Undone::Nothing));
        }
        for unit in &units {
            assert!(
                matches!(afresh.undo(unit), Undone::Frame(frame) if frame.time() == unit.time())
            );
        }
    }

    #[test]
    fn a_stream_out_of_which_nothing_comes_is_given_up() {
        let mut afresh = Afresh::begin(None).unwrap();
        let key = annex_b(&[h264::tests::SPS, h264::tests::PPS, &[0x65, 0x88, 0x84]]);
        let key = || {
            let time = MediaTime::default();
            AccessUnit::from_annex_b(key.clone().into(), time, &mut ParameterSets::default())
        };
        let tries =
            (0..1000).take_while(|_| matches!(afresh.undo(&key().unwrap()), Undone::Nothing));
        assert!((1..100).contains(&tries.count()));
        let Undone::Impossible(why) = afresh.undo(&key().unwrap()) else {
            panic!("still hoping");
        };
        assert!(!why.is_empty());
    }
}
