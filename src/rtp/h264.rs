//! H.264 as RTP payloads (RFC 6184, packetization mode 1).
//!
//! NAL units too large for a packet become fragmentation units (FU-A, §5.8) of *equal* size, the
//! last one shorter by less than their number: the kernel's segmentation offload sends a run of
//! equal datagrams in one call.

use bytes::Bytes;

use super::payload::RtpPayload;
use crate::media::AccessUnit;

/// Largest RTP payload in bytes. With headers, extensions, SRTP tag, UDP and IPv6 it makes 1280,
/// which every IPv6 link carries without fragments (RFC 8200 §5), tunnels included.
const MAX_PAYLOAD: usize = 1180;

const FU_A: u8 = 28;

/// The payloads of a picture, in order.
pub(super) fn payloads(unit: &AccessUnit) -> Vec<RtpPayload> {
    let mut payloads = Vec::with_capacity(unit.bytes().len() / MAX_PAYLOAD + 4);
    for range in unit.nal_ranges() {
        packetize_nal(&unit.bytes().slice(range), &mut payloads);
    }
    payloads
}

fn packetize_nal(nal: &Bytes, payloads: &mut Vec<RtpPayload>) {
    if nal.len() <= MAX_PAYLOAD {
        payloads.push(RtpPayload::whole(nal.clone()));
        return;
    }
    let header = nal[0];
    let indicator = (header & 0xe0) | FU_A;
    let body = nal.len() - 1;
    let count = body.div_ceil(MAX_PAYLOAD - 2);
    let size = body.div_ceil(count);
    for i in 0..count {
        let (from, to) = (1 + i * size, (1 + (i + 1) * size).min(nal.len()));
        let start = if i == 0 { 0x80 } else { 0 };
        let end = if i + 1 == count { 0x40 } else { 0 };
        let head = [indicator, start | end | (header & 0x1f)];
        payloads.push(RtpPayload::fragment(head, nal.slice(from..to)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts NAL units together again the way a receiver does (RFC 6184 §5.8).
    fn reassemble(payloads: &[RtpPayload]) -> Vec<Vec<u8>> {
        let mut nals: Vec<Vec<u8>> = Vec::new();
        for payload in payloads {
            match payload.head() {
                [] => nals.push(payload.body().to_vec()),
                [indicator, header] => {
                    if header & 0x80 != 0 {
                        nals.push(vec![indicator & 0xe0 | header & 0x1f]);
                    }
                    nals.last_mut().unwrap().extend_from_slice(payload.body());
                }
                other => panic!("{other:?}"),
            }
        }
        nals
    }

    #[test]
    fn whatever_the_size_a_receiver_gets_the_nal_unit_back() {
        for len in (1..3000).chain([10_000, 65_535, 400_001]) {
            let nal: Vec<u8> =
                (0..len).map(|i| if i == 0 { 0x65 } else { (i * 7) as u8 }).collect();
            let mut payloads = Vec::new();
            packetize_nal(&nal.clone().into(), &mut payloads);
            assert_eq!(reassemble(&payloads), [nal], "{len} bytes");
            assert!(payloads.iter().all(|c| c.size() <= MAX_PAYLOAD));
        }
    }

    #[test]
    fn all_fragments_but_the_last_are_equal_and_the_last_is_not_longer() {
        for len in [1182, 5000, 8333, 123_456] {
            let mut payloads = Vec::new();
            packetize_nal(&vec![0x41; len].into(), &mut payloads);
            let sizes: Vec<usize> = payloads.iter().map(RtpPayload::size).collect();
            let (last, rest) = sizes.split_last().unwrap();
            assert!(rest.iter().all(|s| s == &rest[0]) && *last <= rest[0], "{sizes:?}");
            assert!(rest[0] - last < sizes.len(), "{sizes:?}");
        }
    }
}
