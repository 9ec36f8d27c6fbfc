//! Sender reports (RFC 3550 §6.4.1), by which a receiver relates a stream to the wall clock and to
//! other streams of the same camera.

use std::time::Duration;

/// What a report says.
pub(super) struct SenderReport<'a> {
    pub(super) ssrc: u32,
    /// The present as wall-clock time since 1970.
    pub(super) wall: Duration,
    /// The same moment on the stream's RTP clock.
    pub(super) timestamp: u32,
    pub(super) packets: u64,
    pub(super) payload_bytes: u64,
    pub(super) cname: &'a str,
}

impl SenderReport<'_> {
    /// Writes it, with the CNAME, as a compound packet.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0x80, 200, 0, 6]);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&ntp_time(self.wall).to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        // Both wrap by definition.
        out.extend_from_slice(&(self.packets as u32).to_be_bytes());
        out.extend_from_slice(&(self.payload_bytes as u32).to_be_bytes());
        source_description(self.ssrc, self.cname, out);
    }
}

/// An SDES packet with one CNAME (RFC 3550 §6.5).
fn source_description(ssrc: u32, cname: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0x81, 202, 0, 0]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    // The length is one byte.
    let cname = &cname.as_bytes()[..cname.len().min(255)];
    out.extend_from_slice(&[1, cname.len() as u8]);
    out.extend_from_slice(cname);
    // At least one zero ends the list, and more pad it to a whole word.
    out.resize(out.len() + 4 - (out.len() - start) % 4, 0);
    let words = (out.len() - start) / 4 - 1;
    out[start + 3] = words as u8;
}

/// A time since 1970 as an NTP timestamp (RFC 5905 §6): seconds since 1900, 32.32 fixed point.
#[must_use]
pub fn ntp_time(wall: Duration) -> u64 {
    let seconds = wall.as_secs() + 2_208_988_800;
    let fraction = (u64::from(wall.subsec_nanos()) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ntp_timestamp_counts_from_1900() {
        assert_eq!(ntp_time(Duration::from_millis(1500)) >> 32, 2_208_988_801);
        assert_eq!(ntp_time(Duration::from_millis(1500)) as u32, 1 << 31);
    }

    #[test]
    fn a_report_is_a_compound_packet_of_whole_words() {
        for cname in ["", "a", "ab", "abc", "abcd", &"x".repeat(300)] {
            let report = SenderReport {
                ssrc: 7,
                wall: Duration::from_secs(1),
                timestamp: 90_000,
                packets: 1 << 32 | 3,
                payload_bytes: 4,
                cname,
            };
            let mut out = Vec::new();
            report.write(&mut out);
            assert_eq!(out.len() % 4, 0);
            assert_eq!(out[..8], [0x80, 200, 0, 6, 0, 0, 0, 7]);
            assert_eq!(out[16..28], [0, 1, 0x5f, 0x90, 0, 0, 0, 3, 0, 0, 0, 4]);
            let words = usize::from(out[28 + 3]);
            assert_eq!(out.len(), 28 + (words + 1) * 4, "{cname}");
        }
    }
}
