//! SHA-256 (FIPS 180-4), for downloads and entity tags.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use base16ct::{lower, mixed};

/// The SHA-256 of some bytes; written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checksum([u8; 32]);

impl Checksum {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut sum = [0; 32];
        sum.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(sum)
    }

    /// A strong entity tag (RFC 9110 §8.8.3), quotes included. Half the digits are plenty to
    /// tell the versions of a file apart.
    pub(super) fn entity_tag(&self) -> String {
        let digits = self.to_string();
        format!("\"{}\"", &digits[..32])
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lower::encode_string(&self.0))
    }
}

/// A text is not 64 hexadecimal digits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAChecksum;

impl FromStr for Checksum {
    type Err = NotAChecksum;

    /// Takes 64 hexadecimal digits of either case, as `sha256sum` prints them.
    fn from_str(text: &str) -> Result<Self, NotAChecksum> {
        let mut sum = [0; 32];
        let read = mixed::decode(text.trim(), &mut sum).map_err(|_| NotAChecksum)?;
        if read.len() != 32 {
            return Err(NotAChecksum);
        }
        Ok(Self(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example "abc".
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn what_is_written_is_read_back() {
        let sum = Checksum::of(b"abc");
        assert_eq!(sum.to_string(), ABC);
        assert_eq!(ABC.parse(), Ok(sum));
        assert_eq!(format!(" {}\n", ABC.to_uppercase()).parse(), Ok(sum));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "abc", &ABC[1..], &format!("{ABC}0"), &ABC.replace('f', "g"), &"é".repeat(32)]
        {
            assert_eq!(text.parse::<Checksum>(), Err(NotAChecksum), "{text:?}");
        }
    }
}
