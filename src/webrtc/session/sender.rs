//! One track on its way to one viewer: W3C's `RTCRtpSender`.

use std::sync::Arc;
use std::time::Instant;

use super::StatsReport;
use crate::hub::{Delivery, Layer, TrackId, Viewer};
use crate::media::MediaTime;
use crate::rtp::{
    DatagramBatch, PacketizedSample, Packetizer, ProtectionError, Retransmission, RtpStream,
};
use crate::webrtc::pace::{KeyRequests, Pacer};
use crate::webrtc::sdp::{Direction, NegotiatedTrack};
use crate::webrtc::srtp::Sealer;

/// Packets that may wait to be sent again. More at once is not a loss but an attack.
const MAX_NACKS: usize = 1024;

pub(in crate::webrtc) struct Sender {
    pub(super) track: NegotiatedTrack,
    viewer: Viewer,
    /// Once there are keys.
    stream: Option<RtpStream<Arc<Sealer>>>,
    /// A sample of which some is still to be sent.
    under_way: Option<(Arc<PacketizedSample>, usize)>,
    /// What the viewer reported missing, to be sent again.
    nacks: Vec<u16>,
    key_requests: KeyRequests,
    pub(super) direction: Direction,
    pub(super) active: bool,
    pub(super) stats: StatsReport,
}

impl Sender {
    pub(super) fn new(track: NegotiatedTrack, viewer: Viewer) -> Self {
        viewer.request_key_frame();
        Self {
            track,
            viewer,
            stream: None,
            under_way: None,
            nacks: Vec::new(),
            key_requests: KeyRequests::default(),
            direction: Direction::SendOnly,
            active: true,
            stats: StatsReport::default(),
        }
    }

    pub(super) fn track_id(&self) -> TrackId {
        self.viewer.track()
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.track.rtp.ssrc
    }

    pub(super) fn retransmission(&self) -> Option<Retransmission> {
        self.track.rtp.retransmission
    }

    /// Begins to send, if it has not begun; false if it has: other keys for the same packet numbers
    /// would give both away.
    pub(super) fn start(&mut self, sealer: Arc<Sealer>, first_sequence: u16) -> bool {
        if self.stream.is_some() {
            return false;
        }
        let parameters = self.track.rtp.clone();
        self.stream = Some(RtpStream::new(parameters, sealer, first_sequence));
        true
    }

    /// Whether the owner wants it sent.
    pub(super) fn is_sending(&self) -> bool {
        self.active && matches!(self.direction, Direction::SendOnly | Direction::SendRecv)
    }

    /// Pauses or resumes it.
    pub(super) fn steer(&mut self, active: Option<bool>, direction: Option<Direction>) {
        let was = self.is_sending();
        self.active = active.unwrap_or(self.active);
        self.direction = direction.unwrap_or(self.direction);
        if self.is_sending() && !was {
            self.viewer.rejoin();
            self.viewer.request_key_frame();
        }
        if !self.is_sending() {
            self.under_way = None;
        }
    }

    /// Sends another layer from its next key frame on. Of the sound there is one.
    pub(super) fn switch_to(&mut self, layer: Layer) {
        if matches!(self.viewer.track(), TrackId::Video(_)) {
            self.viewer.switch_to(layer);
        }
    }

    /// The viewer cannot go on without a key frame (PLI, FIR).
    pub(super) fn want_key_frame(&mut self, now: MediaTime) {
        if self.key_requests.allow(now) {
            self.viewer.request_key_frame();
        }
    }

    /// The viewer misses a packet.
    pub(super) fn missing(&mut self, sequence: u16) {
        self.stats.nack_count += 1;
        if self.nacks.len() < MAX_NACKS {
            self.nacks.push(sequence);
        }
    }

    /// Sends again what is missing.
    pub(super) fn resend(
        &mut self,
        rtt: std::time::Duration,
        now: MediaTime,
        out: &mut DatagramBatch,
    ) -> Result<(), ProtectionError> {
        if let Some(stream) = &mut self.stream {
            for sequence in self.nacks.drain(..) {
                stream.resend(sequence, rtt, now, out)?;
            }
        }
        Ok(())
    }

    /// Sends what has come, as fast as the pacer lets it; true when something was sent.
    pub(super) fn send(
        &mut self,
        now: Instant,
        time: MediaTime,
        pacer: &mut Pacer,
        packetizer: &mut Packetizer,
        out: &mut DatagramBatch,
    ) -> Result<bool, ProtectionError> {
        let Some(stream) = self.stream.as_mut().filter(|_| self.active) else {
            return Ok(false);
        };
        let mut sent = false;
        loop {
            let (sample, done) = match self.under_way.take() {
                Some(under_way) => under_way,
                None => match self.viewer.next(time) {
                    Delivery::Nothing => return Ok(sent),
                    Delivery::Sample(sample) => (packetizer.packetize(&sample), 0),
                    Delivery::Skipped(sample) => {
                        self.stats.skips += 1;
                        (packetizer.packetize(&sample), 0)
                    }
                },
            };
            let end = pacer.take(&sample, done, now);
            if end > done {
                stream.send(&sample, done..end, time, out)?;
                sent = true;
            }
            if end < sample.payloads.len() {
                self.under_way = Some((sample, end));
                return Ok(sent);
            }
        }
    }

    /// Whether the pacer holds something back.
    pub(super) fn is_held_back(&self) -> bool {
        self.under_way.is_some()
    }

    pub(super) fn report(
        &mut self,
        now: MediaTime,
        wall: std::time::Duration,
        out: &mut DatagramBatch,
    ) -> Result<(), ProtectionError> {
        match &mut self.stream {
            Some(stream) => stream.sender_report(now, wall, out),
            None => Ok(()),
        }
    }

    /// What was sent, and what the viewer says of it.
    pub(super) fn stats(&self) -> StatsReport {
        let sent = self.stream.as_ref().map(RtpStream::sent).unwrap_or_default();
        StatsReport {
            packets_sent: sent.packets,
            bytes_sent: sent.payload_bytes,
            frames_sent: sent.samples,
            key_frames_sent: sent.key_frames,
            retransmitted_packets_sent: sent.retransmitted_packets,
            retransmitted_bytes_sent: sent.retransmitted_bytes,
            ..self.stats.clone()
        }
    }
}
