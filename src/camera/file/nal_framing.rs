//! NAL units in a file: after start codes, or after their lengths.

use crate::media::h264::nal_ranges;

/// How the NAL units of a clip are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NalFraming {
    /// After start codes (H.264 Annex B).
    AnnexB,
    /// After their length in this many bytes (ISO/IEC 14496-15 §5.3.3).
    LengthPrefixed(usize),
}

/// Hands over the NAL units of an access unit. Ends where lengths stop making sense.
pub(super) fn each_nal<'a>(bytes: &'a [u8], framing: NalFraming, mut take: impl FnMut(&'a [u8])) {
    let length_bytes = match framing {
        NalFraming::AnnexB => {
            return nal_ranges(bytes).for_each(|range| take(&bytes[range]));
        }
        NalFraming::LengthPrefixed(n) => n,
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
    fn lengths_that_lead_outside_end_the_access_unit() {
        let mut found = Vec::new();
        let bytes = [0, 1, 7, 0, 0, 0, 9, 1, 2];
        each_nal(&bytes, NalFraming::LengthPrefixed(2), |nal| found.push(nal));
        assert_eq!(found, [[7]]);
    }
}
