//! What a camera is called.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// Most characters of a name.
const LONGEST: usize = 32;

/// The name of a camera: what it is called in the configuration, in URLs and in metrics.
///
/// 1 to 32 of the characters `a-z`, `0-9`, `-` and `_`; neither `0`, which in URLs means the first
/// camera, nor 32 hexadecimal digits, which there mean a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CameraName(Arc<str>);

/// The name of the camera of `[camera]`.
pub(in crate::config) static MAIN: LazyLock<CameraName> =
    LazyLock::new(|| CameraName("main".into()));

impl CameraName {
    /// The name of the camera of `[camera]`: `main`.
    #[must_use]
    pub fn main() -> Self {
        MAIN.clone()
    }

    /// Whether this is the camera of `[camera]`.
    #[must_use]
    pub fn is_main(&self) -> bool {
        *self == *MAIN
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not the name of a camera. The message follows what was found: `"Garden": …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CameraNameError {
    /// It is empty, too long, or has a character that URLs would have to escape.
    #[error("a name is 1 to {LONGEST} of the characters a-z, 0-9, - and _")]
    Malformed,
    /// It would be a name in lower case.
    #[error("write it in lower case, \"{0}\"")]
    Capitals(String),
    /// It is `0`.
    #[error("in URLs, 0 means the first camera; choose another name")]
    Zero,
    /// It is 32 hexadecimal digits.
    #[error("in URLs, 32 hexadecimal digits mean a session; choose another name")]
    Session,
}

impl FromStr for CameraName {
    type Err = CameraNameError;
    fn from_str(text: &str) -> Result<Self, CameraNameError> {
        let lower = text.to_ascii_lowercase();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
        if !(1..=LONGEST).contains(&text.len()) || !lower.bytes().all(plain) {
            return Err(CameraNameError::Malformed);
        }
        match text {
            "0" => Err(CameraNameError::Zero),
            _ if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Err(CameraNameError::Session)
            }
            _ if text != lower => Err(CameraNameError::Capitals(lower)),
            _ => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for CameraName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::accepts;

    #[test]
    fn a_camera_s_name_can_stand_in_a_url_and_means_nothing_else_there() {
        let hex = "0123456789abcdef".repeat(2);
        accepts::<CameraName>(
            &["garden", "back-door_2", "1", "-", "main", &"x".repeat(32), &hex[1..]],
            &["", "0", "Garden", "a b", "a/b", "a.b", "ä", "%20", &"x".repeat(33), &hex],
        );
        let told = "Garden".parse::<CameraName>().unwrap_err().to_string();
        assert!(told.contains("\"garden\""), "{told}");
        assert_eq!("main".parse(), Ok(CameraName::main()));
    }
}
