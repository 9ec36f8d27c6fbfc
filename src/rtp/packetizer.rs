//! Cutting samples into RTP payloads, each once for all receivers.

use std::collections::VecDeque;
use std::sync::Arc;

use super::h264;
use super::payload::RtpPayload;
use crate::hub::Published;
use crate::media::Sample;

/// Samples kept for receivers that come for them a little later.
const MAX_KEPT: usize = 64;

/// A sample, ready to be sent.
#[derive(Debug)]
pub struct PacketizedSample {
    /// The sample.
    pub published: Arc<Published>,
    /// Its payloads in order.
    pub payloads: Vec<RtpPayload>,
}

impl PacketizedSample {
    /// Cuts a sample: H.264 by RFC 6184, Opus by RFC 7587.
    #[must_use]
    pub fn new(published: Arc<Published>) -> Self {
        let payloads = match &published.sample {
            Sample::Video(unit) => h264::payloads(unit),
            // RFC 7587 §4.2: one packet, one payload.
            Sample::Audio(packet) => vec![RtpPayload::whole(packet.data.clone())],
        };
        Self { published, payloads }
    }

    /// Whether the last packet of it has the marker bit: at the end of a picture (RFC 6184 §5.1).
    pub(super) fn is_marked(&self) -> bool {
        self.published.sample.video().is_some()
    }
}

/// Cuts samples, and keeps the newest of them for the next receiver.
#[derive(Default)]
pub struct Packetizer {
    /// The newest last.
    kept: VecDeque<Arc<PacketizedSample>>,
}

impl Packetizer {
    /// The sample, packetized, as it was for the receiver before.
    pub fn packetize(&mut self, sample: &Arc<Published>) -> Arc<PacketizedSample> {
        let found = self.kept.iter().rev().find(|kept| Arc::ptr_eq(&kept.published, sample));
        if let Some(packetized) = found {
            return packetized.clone();
        }
        let packetized = Arc::new(PacketizedSample::new(sample.clone()));
        if self.kept.len() == MAX_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(packetized.clone());
        packetized
    }

    /// The sample that was packetized last.
    #[must_use]
    pub fn newest(&self) -> Option<&Published> {
        Some(&*self.kept.back()?.published)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::media::{AudioPacket, MediaTime};

    fn sound(n: u8) -> Arc<Published> {
        let time = MediaTime::from_nanos(u64::from(n) * 20_000_000);
        let data = Bytes::from(vec![n; 80]);
        let packet = AudioPacket { data, time, duration: Duration::from_millis(20) };
        let sequence = u64::from(n);
        Arc::new(Published { sample: Sample::Audio(packet), sequence, at: time, time })
    }

    #[test]
    fn a_packet_of_sound_is_one_payload_without_a_mark() {
        let packetized = PacketizedSample::new(sound(3));
        let [payload] = &packetized.payloads[..] else { panic!("{packetized:?}") };
        assert_eq!((payload.head(), payload.body()), (&[][..], &[3; 80][..]));
        assert!(!packetized.is_marked());
    }

    #[test]
    fn a_sample_is_cut_once_for_all_who_come_for_it_soon() {
        let mut packetizer = Packetizer::default();
        let samples: Vec<_> = (0..100).map(sound).collect();
        let first: Vec<_> = samples.iter().map(|s| packetizer.packetize(s)).collect();
        assert_eq!(packetizer.newest().map(|s| s.sequence), Some(99));
        for (sample, packetized) in samples.iter().zip(&first).rev().take(MAX_KEPT) {
            assert!(Arc::ptr_eq(&packetizer.packetize(sample), packetized));
        }
        assert_eq!(packetizer.kept.len(), MAX_KEPT);
    }
}
