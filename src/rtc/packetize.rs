//! Cutting an access unit into RTP payloads (RFC 6184, packetization mode 1), once for all
//! sessions: a chunk is a slice of the picture's own bytes plus at most two bytes in front.
//!
//! NAL units too large for a packet become fragmentation units (FU-A, §5.8) of *equal* size, the
//! last one shorter by less than their number: the kernel's segmentation offload sends a run of
//! equal datagrams in one call.

use std::sync::Arc;

use bytes::Bytes;

use crate::hub::Published;

/// Largest RTP payload in bytes. With headers, extensions, SRTP tag, UDP and IPv6 it makes 1280,
/// which every IPv6 link carries without fragments (RFC 8200 §5), tunnels included.
pub(super) const MAX_PAYLOAD: usize = 1180;

const FU_A: u8 = 28;

/// A picture, ready to be sent.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) picture: Arc<Published>,
    pub(super) chunks: Vec<Chunk>,
}

/// One RTP payload.
#[derive(Debug)]
pub(super) struct Chunk {
    head: [u8; 2],
    head_len: u8,
    body: Bytes,
}

impl Chunk {
    /// What goes before the body: the two header bytes of a fragmentation unit, or nothing.
    pub(super) fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.head_len) + self.body.len()
    }
}

impl Cut {
    pub(super) fn new(picture: Arc<Published>) -> Self {
        let unit = &picture.unit;
        let mut chunks = Vec::with_capacity(unit.bytes().len() / MAX_PAYLOAD + 4);
        for range in unit.nal_ranges() {
            cut_nal(&unit.bytes().slice(range), &mut chunks);
        }
        Self { picture, chunks }
    }
}

fn cut_nal(nal: &Bytes, chunks: &mut Vec<Chunk>) {
    if nal.len() <= MAX_PAYLOAD {
        chunks.push(Chunk { head: [0; 2], head_len: 0, body: nal.clone() });
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
        chunks.push(Chunk {
            head: [indicator, start | end | (header & 0x1f)],
            head_len: 2,
            body: nal.slice(from..to),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts NAL units together again the way a receiver does (RFC 6184 §5.8).
    fn reassemble(chunks: &[Chunk]) -> Vec<Vec<u8>> {
        let mut nals: Vec<Vec<u8>> = Vec::new();
        for chunk in chunks {
            match chunk.head() {
                [] => nals.push(chunk.body().to_vec()),
                [indicator, header] => {
                    if header & 0x80 != 0 {
                        nals.push(vec![indicator & 0xe0 | header & 0x1f]);
                    }
                    nals.last_mut().unwrap().extend_from_slice(chunk.body());
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
            let mut chunks = Vec::new();
            cut_nal(&nal.clone().into(), &mut chunks);
            assert_eq!(reassemble(&chunks), [nal], "{len} bytes");
            assert!(chunks.iter().all(|c| c.len() <= MAX_PAYLOAD));
        }
    }

    #[test]
    fn all_fragments_but_the_last_are_equal_and_the_last_is_not_longer() {
        for len in [1182, 5000, 8333, 123_456] {
            let mut chunks = Vec::new();
            cut_nal(&vec![0x41; len].into(), &mut chunks);
            let sizes: Vec<usize> = chunks.iter().map(Chunk::len).collect();
            let (last, rest) = sizes.split_last().unwrap();
            assert!(rest.iter().all(|s| s == &rest[0]) && *last <= rest[0], "{sizes:?}");
            assert!(rest[0] - last < sizes.len(), "{sizes:?}");
        }
    }
}
