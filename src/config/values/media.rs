//! Values of the picture.

use std::str::FromStr;

use super::Malformed;

/// A bit rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bitrate(u32);

impl Bitrate {
    /// The lowest with a usable picture: the step of the Pi's encoder.
    pub const MIN: Self = Self(25_000);
    /// The highest; the Pi's encoder reaches half of it.
    pub const MAX: Self = Self(50_000_000);
    /// What a new Picket starts with: 720p that looks good, and fits a slow uplink.
    pub const DEFAULT: Self = Self(2_000_000);

    /// This many bits per second, if that is within [`Self::MIN`] and [`Self::MAX`].
    #[must_use]
    pub fn from_bps(bps: u32) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&Self(bps)).then_some(Self(bps))
    }

    /// In bits per second.
    #[must_use]
    pub const fn bps(self) -> u32 {
        self.0
    }
}

impl FromStr for Bitrate {
    type Err = Malformed;
    /// Takes `2000000`, `2500k` and `2.5M`.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        let (number, unit) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1e3),
            Some(b'M') => (&text[..text.len() - 1], 1e6),
            _ => (text, 1.0),
        };
        let bps = (number.trim().parse::<f64>().map_err(|_| Malformed)? * unit).round();
        let in_range = (f64::from(Self::MIN.0)..=f64::from(Self::MAX.0)).contains(&bps);
        if in_range { Ok(Self(bps as u32)) } else { Err(Malformed) }
    }
}

/// A part of the sensor, each number a share of its width or height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roi {
    /// Left edge, 0 to 1.
    pub x: f64,
    /// Upper edge, 0 to 1.
    pub y: f64,
    /// Width, above 0, at most 1 − x.
    pub width: f64,
    /// Height, above 0, at most 1 − y.
    pub height: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::accepts;

    #[test]
    fn a_bit_rate_may_be_written_short() {
        for (text, bps) in [("2M", 2_000_000), ("2500k", 2_500_000), ("2.5M", 2_500_000)] {
            assert_eq!(text.parse::<Bitrate>().map(Bitrate::bps), Ok(bps));
        }
        accepts::<Bitrate>(
            &["25000", "50 M"],
            &["", "M", "2m", "-2M", "24999", "51M", "nan", "1e99"],
        );
    }
}
