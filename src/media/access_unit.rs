//! Compressed pictures.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::MediaTime;
use super::h264::{self, BitstreamError, NalType, ParameterSets};

/// One coded picture with everything needed to decode it in order: an H.264 access unit
/// (ITU-T H.264 §7.4.1.2.3) as an Annex B byte stream. Cheap to clone: clones share the bytes.
///
/// Kept promises: at least one slice; no access unit delimiters, filler or end-of-stream NAL
/// units; a key frame starts with its SPS and PPS, so decoding can begin at any key frame.
#[derive(Clone)]
pub struct AccessUnit {
    data: Bytes,
    nals: NalRanges,
    key: bool,
    time: MediaTime,
    ready: MediaTime,
}

/// More NAL units than this in one picture is not video but an attack.
const MAX_NALS: usize = 4096;

impl AccessUnit {
    /// Takes the NAL units of one picture out of an Annex B byte stream.
    ///
    /// `time` is when the picture was exposed. `parameter_sets` remembers the SPS and PPS that
    /// pass, and supplies them to a key frame that comes without (the Pi's encoder can be
    /// told to leave them out, and files keep them elsewhere); in that case the bytes are copied
    /// once to make room.
    ///
    /// # Errors
    /// When there is no slice, more than one picture can hold, a damaged SPS, or a key frame
    /// whose parameter sets were never seen.
    pub fn from_annex_b(
        data: Bytes,
        time: MediaTime,
        parameter_sets: &mut ParameterSets,
    ) -> Result<Self, BitstreamError> {
        let mut nals = NalRanges::default();
        let (mut key, mut slices, mut has_sps, mut has_pps) = (false, 0_usize, false, false);
        for range in h264::nal_ranges(&data) {
            let nal = &data[range.clone()];
            match NalType::of(nal) {
                NalType::Idr => {
                    key = true;
                    slices += 1;
                }
                NalType::Slice => slices += 1,
                NalType::Sps => {
                    parameter_sets.saw_sps(nal)?;
                    has_sps = true;
                }
                NalType::Pps => {
                    parameter_sets.saw_pps(nal);
                    has_pps = true;
                }
                NalType::Sei => {}
                NalType::Partition => return Err(BitstreamError::DataPartitioning),
                NalType::Framing => continue,
                NalType::Other(_) => {}
            }
            if nals.len() == MAX_NALS {
                return Err(BitstreamError::TooManyNalUnits(MAX_NALS));
            }
            nals.push(range);
        }
        if slices == 0 {
            return Err(BitstreamError::NoPicture);
        }
        if !key || (has_sps && has_pps) {
            return Ok(Self { data, nals, key, time, ready: MediaTime::now() });
        }
        let (sps, pps) = parameter_sets.both().ok_or(BitstreamError::NoParameterSets)?;
        let rest = nals
            .iter()
            .map(|r| &data[r])
            .filter(|nal| !matches!(NalType::of(nal), NalType::Sps | NalType::Pps));
        Ok(Self::from_nals([&sps[..], &pps[..]].into_iter().chain(rest), true, time))
    }

    fn from_nals<'a>(nals: impl Iterator<Item = &'a [u8]>, key: bool, time: MediaTime) -> Self {
        let mut data = Vec::new();
        let mut ranges = NalRanges::default();
        for nal in nals {
            data.extend_from_slice(&h264::START_CODE);
            let start = data.len();
            data.extend_from_slice(nal);
            ranges.push(start..data.len());
        }
        Self { data: data.into(), nals: ranges, key, time, ready: MediaTime::now() }
    }

    /// The NAL units in order, each without its start code.
    #[must_use]
    pub fn nals(&self) -> NalUnits<'_> {
        NalUnits { data: &self.data, ranges: self.nals.iter() }
    }

    /// Where the NAL units lie in [`AccessUnit::bytes`].
    pub fn nal_ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.nals.iter()
    }

    /// The Annex B byte stream.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.data
    }

    /// Whether decoding can begin here: an IDR picture with its parameter sets.
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.key
    }

    /// When the picture was exposed.
    #[must_use]
    pub fn time(&self) -> MediaTime {
        self.time
    }

    /// When the coded picture left the encoder (or the file).
    #[must_use]
    pub fn ready(&self) -> MediaTime {
        self.ready
    }
}

impl fmt::Debug for AccessUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.key { "key " } else { "" };
        write!(f, "{kind}AccessUnit of {} bytes at {:?}", self.data.len(), self.time)
    }
}

/// Where NAL units lie. The first has a place of its own: most pictures have no other, and nothing
/// is allocated for them.
#[derive(Clone, Default)]
struct NalRanges {
    first: Option<Range<usize>>,
    more: Vec<Range<usize>>,
}

type RangeIter<'a> = std::iter::Chain<
    std::option::IntoIter<Range<usize>>,
    std::iter::Cloned<std::slice::Iter<'a, Range<usize>>>,
>;

impl NalRanges {
    fn push(&mut self, range: Range<usize>) {
        match self.first {
            None => self.first = Some(range),
            Some(_) => self.more.push(range),
        }
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    fn iter(&self) -> RangeIter<'_> {
        self.first.clone().into_iter().chain(self.more.iter().cloned())
    }
}

/// Iterator over the NAL units of an [`AccessUnit`].
#[derive(Clone)]
pub struct NalUnits<'a> {
    data: &'a [u8],
    ranges: RangeIter<'a>,
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        self.ranges.next().map(|r| &self.data[r])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::h264::tests::{PPS, SPS, annex_b};

    const AUD: &[u8] = &[9, 0xf0];
    const IDR: &[u8] = &[0x65, 1, 2, 3];
    const P: &[u8] = &[0x41, 4, 5];

    fn unit(nals: &[&[u8]], sets: &mut ParameterSets) -> Result<AccessUnit, BitstreamError> {
        AccessUnit::from_annex_b(annex_b(nals).into(), MediaTime::default(), sets)
    }

    #[test]
    fn a_key_unit_without_parameter_sets_gets_the_last_ones_seen() {
        let mut sets = ParameterSets::default();
        let whole = unit(&[AUD, SPS, PPS, IDR], &mut sets).unwrap();
        assert!(whole.is_key());
        assert_eq!(whole.nals().collect::<Vec<_>>(), [SPS, PPS, IDR]);
        let bare = unit(&[AUD, IDR], &mut sets).unwrap();
        assert_eq!(bare.nals().collect::<Vec<_>>(), [SPS, PPS, IDR]);
        let half = unit(&[PPS, IDR], &mut sets).unwrap();
        assert_eq!(half.nals().collect::<Vec<_>>(), [SPS, PPS, IDR]);
    }

    #[test]
    fn a_key_unit_that_could_never_be_decoded_is_refused() {
        let mut sets = ParameterSets::default();
        assert_eq!(unit(&[IDR], &mut sets).unwrap_err(), BitstreamError::NoParameterSets);
        assert!(!unit(&[P], &mut sets).unwrap().is_key());
    }

    #[test]
    fn bytes_without_a_picture_are_refused() {
        let mut sets = ParameterSets::default();
        assert_eq!(unit(&[], &mut sets).unwrap_err(), BitstreamError::NoPicture);
        assert_eq!(unit(&[SPS, PPS], &mut sets).unwrap_err(), BitstreamError::NoPicture);
        let many = vec![P; MAX_NALS + 1];
        assert_eq!(unit(&many, &mut sets).unwrap_err(), BitstreamError::TooManyNalUnits(MAX_NALS));
    }
}
