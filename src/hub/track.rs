//! The tracks of a camera's stream, and what is known of each.

use super::ring::Ring;
use super::throttle::KeyFrameThrottle;

/// A track: what one decoder at the receiver's end gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackId {
    /// The picture, in one of its layers.
    Video(Layer),
    /// The sound.
    Audio,
}

impl TrackId {
    /// The track everybody gets who asks for nothing else.
    pub const MAIN: Self = Self::Video(Layer::Main);

    /// How many there can be.
    pub(super) const COUNT: usize = 3;

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Video(Layer::Main) => 0,
            Self::Video(Layer::Low) => 1,
            Self::Audio => 2,
        }
    }
}

/// An encode of the picture: the same picture, at the same time, for another network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Layer {
    /// As the owner configured it.
    #[default]
    Main,
    /// Smaller, for viewers whose network cannot carry the first.
    Low,
}

impl Layer {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Main, Self::Low];

    /// The layer's name in APIs: the `rid` of W3C's `RTCRtpEncodingParameters`.
    #[must_use]
    pub const fn rid(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Low => "low",
        }
    }

    /// The layer of this `rid`.
    #[must_use]
    pub fn with_rid(rid: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.rid() == rid)
    }
}

/// What went through a track since the start, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Pictures, or packets of sound, published.
    pub samples: u64,
    /// Key frames among the pictures.
    pub key_frames: u64,
    /// Coded bytes.
    pub bytes: u64,
    /// Key-frame requests heard, before they were coalesced.
    pub key_frame_requests: u64,
}

/// Whether pictures that come coded are to be decoded and encoded again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Transcoding {
    #[default]
    NotRequested,
    /// Somebody watches who cannot decode them as they come.
    Requested,
    Impossible,
}

#[derive(Default)]
pub(super) struct TrackState {
    pub(super) ring: Ring,
    pub(super) throttle: KeyFrameThrottle,
    pub(super) totals: Totals,
    pub(super) transcoding: Transcoding,
}
