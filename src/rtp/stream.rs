//! One receiver's outgoing stream, from packetized samples to protected datagrams.
//!
//! Every packet is written exactly once, where it is sent from. What has been sent is remembered as
//! a reference to the sample, not as packets, so a retransmission costs no memory until it happens.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::header::{Header, HeaderExtensions};
use super::resend::ResendLimiter;
use super::sender_report::SenderReport;
use super::{DatagramBatch, PacketizedSample, Protection, ProtectionError};
use crate::media::{AccessUnit, MediaTime};

/// How long a sent sample can be asked for again. A receiver that has missed it longer has given up
/// on it and asked for a key frame.
const REMEMBERED_FOR: Duration = Duration::from_secs(2);

/// A sender report with its CNAME, and what SRTCP adds.
const REPORT_BYTES: usize = 28 + 64 + 20;

/// What a stream's packets say, as agreed on with the receiver.
#[derive(Debug, Clone)]
pub struct RtpParameters {
    /// The payload type.
    pub payload_type: u8,
    /// The RTP clock in Hz: 90 000 for video (RFC 6184 §8.2.1), 48 000 for Opus (RFC 7587 §4.1).
    pub clock_rate: u32,
    /// Header extensions in every packet.
    pub extensions: HeaderExtensions,
    /// The synchronization source.
    pub ssrc: u32,
    /// Where packets are sent again, if they are.
    pub retransmission: Option<Retransmission>,
    /// The canonical name (RFC 7022), the same for all streams to one receiver.
    pub cname: String,
    /// Random, so that an eavesdropper cannot guess plain text (RFC 3550 §5.1).
    pub timestamp_offset: u32,
}

/// The stream in which packets are sent again (RFC 4588).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retransmission {
    /// Its payload type.
    pub payload_type: u8,
    /// Its synchronization source.
    pub ssrc: u32,
}

/// What was sent since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SentTotals {
    /// Packets, but for those sent again.
    pub packets: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// Pictures, or packets of sound.
    pub samples: u64,
    /// Key frames among the pictures.
    pub key_frames: u64,
    /// Packets sent again.
    pub retransmitted_packets: u64,
    /// Bytes of their payloads.
    pub retransmitted_bytes: u64,
}

/// One outgoing stream, protected by `P`.
pub struct RtpStream<P> {
    parameters: RtpParameters,
    protection: P,
    /// Extended sequence number of the next packet, and of the next retransmission. Starting low
    /// keeps the first roll-over far from the receiver's first guess of it (RFC 3711 §3.3.1).
    next: u64,
    next_rtx: u64,
    next_rtcp: u32,
    history: VecDeque<SentSample>,
    resends: ResendLimiter,
    last_timestamp: Option<(u32, MediaTime)>,
    sent: SentTotals,
}

struct SentSample {
    /// The extended sequence number of its first packet.
    first: u64,
    sample: Arc<PacketizedSample>,
    timestamp: u32,
    at: MediaTime,
}

impl<P: Protection> RtpStream<P> {
    /// A stream that has sent nothing yet. The first sequence number should be random.
    #[must_use]
    pub fn new(parameters: RtpParameters, protection: P, first_sequence: u16) -> Self {
        Self {
            parameters,
            protection,
            next: u64::from(first_sequence & 0x7fff),
            next_rtx: u64::from(first_sequence.rotate_left(7) & 0x7fff),
            next_rtcp: 0,
            history: VecDeque::new(),
            resends: ResendLimiter::default(),
            last_timestamp: None,
            sent: SentTotals::default(),
        }
    }

    /// What was sent so far.
    #[must_use]
    pub fn sent(&self) -> SentTotals {
        self.sent
    }

    /// Writes payloads `range` of a sample; all of them when nothing holds it back. Samples come in
    /// order, and so do the parts of one.
    ///
    /// # Errors
    /// When a packet cannot be protected. The stream must not be used any more then.
    pub fn send(
        &mut self,
        sample: &Arc<PacketizedSample>,
        range: Range<usize>,
        now: MediaTime,
        out: &mut DatagramBatch,
    ) -> Result<(), ProtectionError> {
        let PacketizedSample { published, payloads } = &**sample;
        let timestamp = match self.last_timestamp {
            Some((last, _)) if range.start > 0 => last,
            last => {
                let timestamp = self.timestamp(published.time);
                // The same moment in another layer is another picture to receivers.
                let is_taken = last.is_some_and(|(last, _)| last == timestamp);
                timestamp.wrapping_add(u32::from(is_taken))
            }
        };
        if range.start == 0 {
            self.last_timestamp = Some((timestamp, published.time));
            self.remember(sample, timestamp, now);
            self.sent.samples += 1;
            let is_key = published.sample.video().is_some_and(AccessUnit::is_key);
            self.sent.key_frames += u64::from(is_key);
        }
        for i in range {
            let payload = &payloads[i];
            let header = Header {
                payload_type: self.parameters.payload_type,
                marker: i + 1 == payloads.len() && sample.is_marked(),
                index: self.next,
                timestamp,
                ssrc: self.parameters.ssrc,
            };
            self.write(&header, &[payload.head(), payload.body()], now, out)?;
            self.next += 1;
            self.sent.packets += 1;
            self.sent.payload_bytes += payload.size() as u64;
        }
        Ok(())
    }

    fn timestamp(&self, time: MediaTime) -> u32 {
        let ticks = time.ticks(self.parameters.clock_rate);
        // Wraps by definition.
        (ticks as u32).wrapping_add(self.parameters.timestamp_offset)
    }

    fn remember(&mut self, sample: &Arc<PacketizedSample>, timestamp: u32, now: MediaTime) {
        while self.history.front().is_some_and(|s| now.since(s.at) > REMEMBERED_FOR) {
            self.history.pop_front();
        }
        // What is never sent again need not be kept.
        if self.parameters.retransmission.is_some() {
            let sample = sample.clone();
            self.history.push_back(SentSample { first: self.next, sample, timestamp, at: now });
        }
    }

    /// Answers a NACK for the packet whose 16-bit sequence number is `sequence` (RFC 4588).
    /// Says whether it was sent again: it is not when it is no longer remembered, was sent again
    /// less than `rtt` ago, or the receiver takes no retransmissions.
    ///
    /// # Errors
    /// As with [`RtpStream::send`].
    pub fn resend(
        &mut self,
        sequence: u16,
        rtt: Duration,
        now: MediaTime,
        out: &mut DatagramBatch,
    ) -> Result<bool, ProtectionError> {
        let Some(Retransmission { payload_type, ssrc }) = self.parameters.retransmission else {
            return Ok(false);
        };
        // The newest index with these low 16 bits.
        let behind = (self.next.wrapping_sub(1) as u16).wrapping_sub(sequence);
        let Some(index) = self.next.checked_sub(1 + u64::from(behind)) else {
            return Ok(false);
        };
        let at = self.history.partition_point(|s| s.first <= index);
        let Some(sent) = at.checked_sub(1).and_then(|i| self.history.get(i)) else {
            return Ok(false);
        };
        let number = usize::try_from(index - sent.first).unwrap_or(usize::MAX);
        let (sample, timestamp) = (sent.sample.clone(), sent.timestamp);
        let Some(payload) = sample.payloads.get(number) else {
            return Ok(false);
        };
        if !self.resends.allow(index, payload.size(), self.sent.payload_bytes, rtt, now) {
            return Ok(false);
        }
        let marker = number + 1 == sample.payloads.len() && sample.is_marked();
        let header = Header { payload_type, marker, index: self.next_rtx, timestamp, ssrc };
        // RFC 4588 §4: the payload is preceded by the original sequence number.
        let original = sequence.to_be_bytes();
        self.write(&header, &[&original, payload.head(), payload.body()], now, out)?;
        self.next_rtx += 1;
        self.sent.retransmitted_packets += 1;
        self.sent.retransmitted_bytes += payload.size() as u64;
        Ok(true)
    }

    fn write(
        &self,
        header: &Header,
        payload: &[&[u8]],
        now: MediaTime,
        out: &mut DatagramBatch,
    ) -> Result<(), ProtectionError> {
        let Self { parameters, protection, .. } = self;
        out.datagram(|buffer| {
            let start = buffer.len();
            header.write(parameters.extensions, now, buffer);
            let header_len = buffer.len() - start;
            payload.iter().for_each(|part| buffer.extend_from_slice(part));
            buffer.resize(buffer.len() + protection.rtp_overhead(), 0);
            protection.protect_rtp(&mut buffer[start..], header_len, header.ssrc, header.index)
        })
    }

    /// Writes a sender report with the CNAME: which wall-clock moment the stream's timestamps mean,
    /// and how much has been sent. Nothing before the first sample.
    ///
    /// # Errors
    /// As with [`RtpStream::send`].
    pub fn sender_report(
        &mut self,
        now: MediaTime,
        wall: Duration,
        out: &mut DatagramBatch,
    ) -> Result<(), ProtectionError> {
        let Some((timestamp, time)) = self.last_timestamp else {
            return Ok(());
        };
        let RtpParameters { ssrc, clock_rate, ref cname, .. } = self.parameters;
        let elapsed = MediaTime::from_nanos(now.since(time).as_nanos() as u64);
        let report = SenderReport {
            ssrc,
            wall,
            timestamp: timestamp.wrapping_add(elapsed.ticks(clock_rate) as u32),
            packets: self.sent.packets,
            payload_bytes: self.sent.payload_bytes,
            cname,
        };
        let mut packet = Vec::with_capacity(REPORT_BYTES);
        report.write(&mut packet);
        let index = self.next_rtcp;
        self.next_rtcp += 1;
        self.protection.protect_rtcp(&mut packet, ssrc, index)?;
        out.datagram(|buffer| {
            buffer.extend_from_slice(&packet);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
