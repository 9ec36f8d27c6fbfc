//! SPS and PPS: which are in force, and giving them to key pictures that come without.

use bytes::Bytes;

use super::error::ClipError;
use super::index::Framing;
use crate::media::h264::{BitstreamError, NalType, START_CODE, SpsInfo, nal_ranges};

/// The parameter sets in force: each replaces an earlier one with the same number.
#[derive(Default)]
pub(super) struct Sets {
    all: Vec<Bytes>,
}

/// What is in a picture's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    /// An IDR picture.
    KeyPicture,
    /// Any other.
    Other,
}

impl Sets {
    pub fn of(sets: &[Bytes]) -> Self {
        Self { all: sets.to_vec() }
    }

    /// Remembers the parameter sets in a picture.
    pub fn learn(&mut self, bytes: &[u8], framing: Framing) -> Contents {
        let mut contents = Contents::Other;
        each_nal(bytes, framing, |nal| {
            self.learn_nal(nal);
            if NalType::of(nal) == NalType::Idr {
                contents = Contents::KeyPicture;
            }
        });
        contents
    }

    /// Remembers a NAL unit if it is a parameter set.
    pub fn learn_nal(&mut self, nal: &[u8]) {
        if matches!(NalType::of(nal), NalType::Sps | NalType::Pps) {
            self.put(nal);
        }
    }

    /// The picture as a byte stream. A key picture begins with all parameter sets in force,
    /// wherever they are in the file.
    pub fn complete(&mut self, bytes: &[u8], framing: Framing) -> Bytes {
        let is_key = self.learn(bytes, framing) == Contents::KeyPicture;
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

    fn put(&mut self, nal: &[u8]) {
        /// Table 7-1 allows 32 SPS and 256 PPS.
        const MAX_SETS: usize = 288;
        let same = |old: &Bytes| set_number(old) == set_number(nal);
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

/// Type and number of a parameter set: the number is the first Exp-Golomb code of a PPS, and in an
/// SPS follows profile and level (H.264 §7.3.2.1.1, §7.3.2.2).
fn set_number(nal: &[u8]) -> (NalType, u32) {
    let kind = NalType::of(nal);
    let at = if kind == NalType::Sps { 4 } else { 1 };
    let mut word = [0; 4];
    for (to, from) in word.iter_mut().zip(nal.iter().skip(at)) {
        *to = *from;
    }
    let word = u32::from_be_bytes(word);
    // Numbers have at most 17 bits as a code: zeros, a one, and as many bits again.
    let zeros = word.leading_zeros().min(8);
    (kind, (word >> (31 - 2 * zeros)).wrapping_sub(1))
}

/// Hands over the NAL units of a picture. Ends where lengths make no sense any more.
fn each_nal<'a>(bytes: &'a [u8], framing: Framing, mut take: impl FnMut(&'a [u8])) {
    let length_bytes = match framing {
        Framing::StartCodes => {
            return nal_ranges(bytes).for_each(|range| take(&bytes[range]));
        }
        Framing::Lengths(n) => n,
    };
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_at_checked(length_bytes) {
        let length = length.iter().fold(0, |n, &b| n << 8 | usize::from(b));
        let Some((nal, after)) = after.split_at_checked(length) else {
            return;
        };
        if !nal.is_empty() {
            take(nal);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_are_told_apart_by_their_numbers() {
        // Numbers 0, 1 and 3: codes 1, 010 and 00100.
        let sps = |code: u8| [0x67, 66, 0xc0, 30, code];
        assert_eq!(set_number(&sps(0b1000_0000)), (NalType::Sps, 0));
        assert_eq!(set_number(&sps(0b0100_0000)), (NalType::Sps, 1));
        assert_eq!(set_number(&[0x68, 0b0010_0000]), (NalType::Pps, 3));
        assert_eq!(set_number(&[0x68]).0, NalType::Pps);
    }

    #[test]
    fn a_key_picture_gets_every_parameter_set_in_force() {
        let mut sets = Sets::default();
        let stream = |nals: &[&[u8]]| -> Vec<u8> {
            nals.iter().flat_map(|n| [&START_CODE, *n].concat()).collect()
        };
        let sps: &[u8] = &[0x67, 66, 0xc0, 30, 0x80];
        let (pps0, pps1): (&[u8], &[u8]) = (&[0x68, 0x80], &[0x68, 0x40]);
        let newer: &[u8] = &[0x68, 0xc0];
        let (idr, p): (&[u8], &[u8]) = (&[0x65, 1], &[0x41, 2]);
        let mixed = sets.complete(&stream(&[pps0, sps, pps1, idr]), Framing::StartCodes);
        assert_eq!(mixed, stream(&[sps, pps0, pps1, idr]));
        let other = stream(&[newer, p]);
        assert_eq!(sets.complete(&other, Framing::StartCodes), other);
        let bare = sets.complete(&[0, 2, 0x65, 1], Framing::Lengths(2));
        assert_eq!(bare, stream(&[sps, newer, pps1, idr]));
    }

    #[test]
    fn lengths_that_lead_outside_end_the_picture() {
        let mut found = Vec::new();
        let bytes = [0, 1, 7, 0, 0, 0, 9, 1, 2];
        each_nal(&bytes, Framing::Lengths(2), |nal| found.push(nal));
        assert_eq!(found, [[7]]);
    }
}
