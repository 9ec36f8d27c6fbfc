//! What a track carries.

use std::time::Duration;

use bytes::Bytes;

use super::{AccessUnit, MediaTime};

/// One coded picture, or one packet of coded sound. Cheap to clone: clones share the bytes.
#[derive(Clone, Debug)]
pub enum Sample {
    /// A coded picture: H.264.
    Video(AccessUnit),
    /// A packet of coded sound: Opus.
    Audio(AudioPacket),
}

impl Sample {
    /// When the picture was exposed, or the first of the sound was recorded.
    #[must_use]
    pub fn time(&self) -> MediaTime {
        match self {
            Self::Video(unit) => unit.time(),
            Self::Audio(packet) => packet.time,
        }
    }

    /// The coded bytes: an Annex B byte stream, or an Opus packet.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Video(unit) => unit.bytes(),
            Self::Audio(packet) => &packet.data,
        }
    }

    /// Whether decoding can begin here: at a key frame, and at every packet of sound.
    #[must_use]
    pub fn is_sync(&self) -> bool {
        match self {
            Self::Video(unit) => unit.is_key(),
            Self::Audio(_) => true,
        }
    }

    /// The picture, where it is one.
    #[must_use]
    pub fn video(&self) -> Option<&AccessUnit> {
        match self {
            Self::Video(unit) => Some(unit),
            Self::Audio(_) => None,
        }
    }
}

impl From<AccessUnit> for Sample {
    fn from(unit: AccessUnit) -> Self {
        Self::Video(unit)
    }
}

/// One packet of coded sound: Opus (RFC 6716 §3), of 2.5 to 120 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioPacket {
    /// The packet.
    pub data: Bytes,
    /// When the first of it was recorded.
    pub time: MediaTime,
    /// How much sound it is.
    pub duration: Duration,
}
