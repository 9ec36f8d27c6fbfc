//! What an RTP packet carries.

use bytes::Bytes;

/// One RTP payload: a slice of the sample's own bytes plus at most two bytes in front.
#[derive(Debug)]
pub struct RtpPayload {
    head: [u8; 2],
    head_len: u8,
    body: Bytes,
}

impl RtpPayload {
    /// A payload that is all of the sample's.
    pub(super) fn whole(body: Bytes) -> Self {
        Self { head: [0; 2], head_len: 0, body }
    }

    /// A payload with two bytes of its own in front.
    pub(super) fn fragment(head: [u8; 2], body: Bytes) -> Self {
        Self { head, head_len: 2, body }
    }

    /// What goes before the body.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    /// The sample's own bytes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Bytes of both.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::from(self.head_len) + self.body.len()
    }
}
