//! The RTP header (RFC 3550 §5.1).

use crate::media::MediaTime;

/// Numbers that the receiver gave to the header extensions (RFC 8285) that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeaderExtensions {
    /// Playout delay limits.
    pub playout_delay: Option<u8>,
    /// Absolute send time, from which the receiver estimates its bandwidth.
    pub abs_send_time: Option<u8>,
}

pub(super) struct Header {
    pub(super) payload_type: u8,
    pub(super) marker: bool,
    /// The extended sequence number.
    pub(super) index: u64,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
}

impl Header {
    /// Writes it with the extensions in the one-byte form of RFC 8285 §4.2. The same extensions go
    /// with every packet, so that all are of one size.
    pub(super) fn write(&self, extensions: HeaderExtensions, now: MediaTime, out: &mut Vec<u8>) {
        let HeaderExtensions { playout_delay, abs_send_time } = extensions;
        let extended = playout_delay.is_some() || abs_send_time.is_some();
        out.push(if extended { 0x90 } else { 0x80 });
        out.push(u8::from(self.marker) << 7 | self.payload_type);
        out.extend_from_slice(&(self.index as u16).to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        if !extended {
            return;
        }
        // Each takes one byte of header and three of data: a word, so nothing needs padding.
        let words = u8::from(playout_delay.is_some()) + u8::from(abs_send_time.is_some());
        out.extend_from_slice(&[0xbe, 0xde, 0, words]);
        if let Some(id) = abs_send_time {
            // Seconds in 6.18 fixed point; wraps every 64 seconds by definition.
            let time = (u128::from(now.as_nanos()) << 18) / 1_000_000_000;
            out.push(id << 4 | 2);
            out.extend_from_slice(&(time as u32).to_be_bytes()[1..]);
        }
        if let Some(id) = playout_delay {
            // Minimum and maximum delay, 12 bits each: show every picture as soon as it is there.
            out.extend_from_slice(&[id << 4 | 2, 0, 0, 0]);
        }
    }
}
