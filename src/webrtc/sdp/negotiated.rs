//! What an offer and its answer have agreed on.

use super::Payload;
use crate::rtp::RtpParameters;

/// A track that is sent.
#[derive(Debug, Clone)]
pub(in crate::webrtc) struct NegotiatedTrack {
    /// The tag of its section.
    pub(in crate::webrtc) mid: String,
    pub(in crate::webrtc) payload: Payload,
    pub(in crate::webrtc) rtp: RtpParameters,
}
