//! SPS and PPS: which are active, and adding them to key frames that come without.

use bytes::Bytes;

use super::error::ClipError;
use super::nal_framing::{NalFraming, each_nal};
use crate::media::h264::{BitstreamError, NalType, START_CODE, SpsInfo};

/// The active parameter sets: each replaces an earlier one with the same id.
#[derive(Default)]
pub(super) struct ActiveParameterSets {
    all: Vec<Bytes>,
}

/// What an access unit holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AccessUnitKind {
    /// An IDR picture.
    KeyFrame,
    /// Any other.
    Other,
}

impl ActiveParameterSets {
    pub fn of(sets: &[Bytes]) -> Self {
        Self { all: sets.to_vec() }
    }

    /// Remembers the parameter sets in an access unit.
    pub fn learn(&mut self, bytes: &[u8], framing: NalFraming) -> AccessUnitKind {
        let mut kind = AccessUnitKind::Other;
        each_nal(bytes, framing, |nal| {
            self.learn_nal(nal);
            if NalType::of(nal) == NalType::Idr {
                kind = AccessUnitKind::KeyFrame;
            }
        });
        kind
    }

    /// Remembers a NAL unit if it is a parameter set.
    pub fn learn_nal(&mut self, nal: &[u8]) {
        if matches!(NalType::of(nal), NalType::Sps | NalType::Pps) {
            self.insert(nal);
        }
    }

    /// An access unit as a byte stream. A key frame begins with all active parameter sets, wherever
    /// they are in the file.
    pub fn byte_stream(&mut self, bytes: &[u8], framing: NalFraming) -> Bytes {
        let is_key = self.learn(bytes, framing) == AccessUnitKind::KeyFrame;
        let mut unit = Vec::with_capacity(bytes.len() + 256);
        let mut add = |nal: &[u8]| {
            unit.extend_from_slice(&START_CODE);
            unit.extend_from_slice(nal);
        };
        if is_key {
            self.all.iter().for_each(|set| add(set));
        }
        each_nal(bytes, framing, |nal| {
            let is_set = matches!(NalType::of(nal), NalType::Sps | NalType::Pps);
            if !(is_key && is_set) {
                add(nal);
            }
        });
        unit.into()
    }

    fn insert(&mut self, nal: &[u8]) {
        /// Table 7-1 allows 32 SPS and 256 PPS.
        const MAX_SETS: usize = 288;
        let same = |old: &Bytes| set_id(old) == set_id(nal);
        if let Some(old) = self.all.iter_mut().find(|old| same(old)) {
            if *old != nal {
                *old = Bytes::copy_from_slice(nal);
            }
        } else if self.all.len() < MAX_SETS {
            let set = Bytes::copy_from_slice(nal);
            // An SPS goes before every PPS, which refer to it.
            let place = match NalType::of(nal) {
                NalType::Sps => 0,
                _ => self.all.len(),
            };
            self.all.insert(place, set);
        }
    }

    /// The sets, every SPS before every PPS.
    pub fn into_vec(self) -> Vec<Bytes> {
        self.all
    }

    /// What the first SPS says.
    pub fn sps(&self) -> Result<SpsInfo, ClipError> {
        let sps = self.all.iter().find(|s| NalType::of(s) == NalType::Sps);
        let sps = sps.ok_or(BitstreamError::NoParameterSets)?;
        Ok(SpsInfo::parse(sps)?)
    }
}

/// Type and id of a parameter set: the id is the first Exp-Golomb code of a PPS, and in an SPS follows
/// profile and level (H.264 §7.3.2.1.1, §7.3.2.2).
fn set_id(nal: &[u8]) -> (NalType, u32) {
    let kind = NalType::of(nal);
    let at = if kind == NalType::Sps { 4 } else { 1 };
    let mut word = [0; 4];
    for (to, from) in word.iter_mut().zip(nal.iter().skip(at)) {
        *to = *from;
    }
    let word = u32::from_be_bytes(word);
    // Ids have at most 17 bits as a code: zeros, a one, and as many bits again.
    let zeros = word.leading_zeros().min(8);
    (kind, (word >> (31 - 2 * zeros)).wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_are_told_apart_by_their_ids() {
        // Ids 0, 1 and 3: codes 1, 010 and 00100.
        let sps = |code: u8| [0x67, 66, 0xc0, 30, code];
        assert_eq!(set_id(&sps(0b1000_0000)), (NalType::Sps, 0));
        assert_eq!(set_id(&sps(0b0100_0000)), (NalType::Sps, 1));
        assert_eq!(set_id(&[0x68, 0b0010_0000]), (NalType::Pps, 3));
        assert_eq!(set_id(&[0x68]).0, NalType::Pps);
    }

    #[test]
    fn a_key_frame_gets_every_active_parameter_set() {
        let mut sets = ActiveParameterSets::default();
        let stream = |nals: &[&[u8]]| -> Vec<u8> {
            nals.iter().flat_map(|n| [&START_CODE, *n].concat()).collect()
        };
        let sps: &[u8] = &[0x67, 66, 0xc0, 30, 0x80];
        let (pps0, pps1): (&[u8], &[u8]) = (&[0x68, 0x80], &[0x68, 0x40]);
        let newer: &[u8] = &[0x68, 0xc0];
        let (idr, p): (&[u8], &[u8]) = (&[0x65, 1], &[0x41, 2]);
        let mixed = sets.byte_stream(&stream(&[pps0, sps, pps1, idr]), NalFraming::AnnexB);
        assert_eq!(mixed, stream(&[sps, pps0, pps1, idr]));
        let other = stream(&[newer, p]);
        assert_eq!(sets.byte_stream(&other, NalFraming::AnnexB), other);
        let bare = sets.byte_stream(&[0, 2, 0x65, 1], NalFraming::LengthPrefixed(2));
        assert_eq!(bare, stream(&[sps, newer, pps1, idr]));
    }
}
