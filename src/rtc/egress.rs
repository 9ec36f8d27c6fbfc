//! Writing RTP: one session's outgoing stream, from cut pictures to sealed datagrams.
//!
//! In come [`Cut`] pictures and the viewer's NACKs; out go datagrams in a [`Batch`], laid out so
//! that runs of equal size leave in one system call. Every packet is written exactly once, where
//! it is sent from. What has been sent is remembered as a reference to the picture, not as
//! packets, so a retransmission costs no memory until it happens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::batch::Batch;
use super::packetize::Cut;
use super::sdp::{ExtensionIds, Payload};
use super::srtp::{MAX_RTCP_TRAILER, Sealer, SrtpError};
use crate::media::MediaTime;

/// How long a sent picture can be asked for again. A viewer who has missed it longer has given
/// up on it and asked for a key picture.
const MEMORY: Duration = Duration::from_secs(2);

/// RTP clock of video (RFC 6184 §8.2.1).
const CLOCK_HZ: u32 = 90_000;

/// What a stream needs to know from the negotiation.
#[derive(Debug, Clone)]
pub(super) struct StreamParameters {
    pub(super) payload: Payload,
    pub(super) extensions: ExtensionIds,
    pub(super) ssrc: u32,
    pub(super) rtx_ssrc: u32,
    pub(super) cname: String,
    /// Random, so that an eavesdropper cannot guess plain text (RFC 3550 §5.1).
    pub(super) timestamp_offset: u32,
}

/// Counts of one session, for the statistics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) packets: u64,
    pub(super) payload_bytes: u64,
    pub(super) pictures: u64,
    pub(super) key_pictures: u64,
    pub(super) retransmitted_packets: u64,
    pub(super) retransmitted_bytes: u64,
}

/// One outgoing stream.
pub(super) struct Egress {
    parameters: StreamParameters,
    sealer: Sealer,
    /// Extended sequence number of the next packet, and of the next retransmission. Starting low
    /// keeps the first roll-over far from the receiver's first guess of it (RFC 3711 §3.3.1).
    next: u64,
    next_rtx: u64,
    next_rtcp: u32,
    history: VecDeque<SentPicture>,
    resends: Resends,
    last_timestamp: Option<(u32, MediaTime)>,
    sent: Sent,
}

struct SentPicture {
    first: u64,
    cut: Arc<Cut>,
    timestamp: u32,
    at: MediaTime,
}

impl Egress {
    pub(super) fn new(parameters: StreamParameters, sealer: Sealer, first_sequence: u16) -> Self {
        Self {
            parameters,
            sealer,
            next: u64::from(first_sequence & 0x7fff),
            next_rtx: u64::from(first_sequence.rotate_left(7) & 0x7fff),
            next_rtcp: 0,
            history: VecDeque::new(),
            resends: Resends::default(),
            last_timestamp: None,
            sent: Sent::default(),
        }
    }

    pub(super) fn sent(&self) -> Sent {
        self.sent
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.parameters.ssrc
    }

    /// Writes chunks `range` of a picture; the whole picture when nothing holds it back.
    pub(super) fn picture(
        &mut self,
        cut: &Arc<Cut>,
        range: std::ops::Range<usize>,
        now: MediaTime,
        out: &mut Batch,
    ) -> Result<(), SrtpError> {
        let timestamp = self.timestamp(cut.picture.time);
        if range.start == 0 {
            self.last_timestamp = Some((timestamp, cut.picture.time));
            self.remember(cut, timestamp, now);
            self.sent.pictures += 1;
            self.sent.key_pictures += u64::from(cut.picture.unit.is_key());
        }
        for i in range {
            let chunk = &cut.chunks[i];
            let header = Header {
                pt: self.parameters.payload.pt,
                marker: i + 1 == cut.chunks.len(),
                index: self.next,
                timestamp,
                ssrc: self.parameters.ssrc,
            };
            self.write(&header, &[chunk.head(), chunk.body()], now, out)?;
            self.next += 1;
            self.sent.packets += 1;
            self.sent.payload_bytes += chunk.len() as u64;
        }
        Ok(())
    }

    fn timestamp(&self, time: MediaTime) -> u32 {
        // Wraps by definition.
        (time.ticks(CLOCK_HZ) as u32).wrapping_add(self.parameters.timestamp_offset)
    }

    fn remember(&mut self, cut: &Arc<Cut>, timestamp: u32, now: MediaTime) {
        while self.history.front().is_some_and(|s| now.since(s.at) > MEMORY) {
            self.history.pop_front();
        }
        self.history.push_back(SentPicture {
            first: self.next,
            cut: cut.clone(),
            timestamp,
            at: now,
        });
    }

    /// Answers a NACK for the packet whose 16-bit sequence number is `sequence` (RFC 4588).
    /// Says whether it was sent again: it is not when it is no longer remembered, was sent again
    /// less than `rtt` ago, or the viewer takes no retransmissions.
    pub(super) fn resend(
        &mut self,
        sequence: u16,
        rtt: Duration,
        now: MediaTime,
        out: &mut Batch,
    ) -> Result<bool, SrtpError> {
        let Some(rtx_pt) = self.parameters.payload.rtx else {
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
        let (cut, timestamp) = (sent.cut.clone(), sent.timestamp);
        let Some(chunk) = cut.chunks.get(number) else {
            return Ok(false);
        };
        if !self.resends.allow(index, chunk.len(), self.sent.payload_bytes, rtt, now) {
            return Ok(false);
        }
        let header = Header {
            pt: rtx_pt,
            marker: number + 1 == cut.chunks.len(),
            index: self.next_rtx,
            timestamp,
            ssrc: self.parameters.rtx_ssrc,
        };
        // RFC 4588 §4: the payload is preceded by the original sequence number.
        let original = sequence.to_be_bytes();
        self.write(&header, &[&original, chunk.head(), chunk.body()], now, out)?;
        self.next_rtx += 1;
        self.sent.retransmitted_packets += 1;
        self.sent.retransmitted_bytes += chunk.len() as u64;
        Ok(true)
    }

    fn write(
        &self,
        header: &Header,
        payload: &[&[u8]],
        now: MediaTime,
        out: &mut Batch,
    ) -> Result<(), SrtpError> {
        let Self { parameters, sealer, .. } = self;
        out.datagram(|buffer| {
            let start = buffer.len();
            header.write(&parameters.extensions, now, buffer);
            let header_len = buffer.len() - start;
            payload.iter().for_each(|part| buffer.extend_from_slice(part));
            buffer.resize(buffer.len() + sealer.tag_len(), 0);
            sealer.seal_rtp(&mut buffer[start..], header_len, header.ssrc, header.index)
        })
    }

    /// Writes a sender report (RFC 3550 §6.4.1) with the CNAME: which wall-clock moment the
    /// stream's timestamps mean, and how much has been sent. Nothing before the first picture.
    pub(super) fn sender_report(
        &mut self,
        now: MediaTime,
        wall: Duration,
        out: &mut Batch,
    ) -> Result<(), SrtpError> {
        let Some((timestamp, time)) = self.last_timestamp else {
            return Ok(());
        };
        let ticks = MediaTime::from_nanos(now.since(time).as_nanos() as u64).ticks(CLOCK_HZ) as u32;
        let mut report = Vec::with_capacity(28 + 64 + MAX_RTCP_TRAILER);
        report.extend_from_slice(&[0x80, 200, 0, 6]);
        report.extend_from_slice(&self.parameters.ssrc.to_be_bytes());
        report.extend_from_slice(&ntp(wall).to_be_bytes());
        report.extend_from_slice(&timestamp.wrapping_add(ticks).to_be_bytes());
        // Both wrap by definition.
        report.extend_from_slice(&(self.sent.packets as u32).to_be_bytes());
        report.extend_from_slice(&(self.sent.payload_bytes as u32).to_be_bytes());
        source_description(self.parameters.ssrc, &self.parameters.cname, &mut report);
        let index = self.next_rtcp;
        self.next_rtcp += 1;
        self.sealer.seal_rtcp(&mut report, self.parameters.ssrc, index)?;
        out.datagram(|buffer| {
            buffer.extend_from_slice(&report);
            Ok(())
        })
    }
}

/// An SDES packet with one CNAME (RFC 3550 §6.5).
fn source_description(ssrc: u32, cname: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0x81, 202, 0, 0]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[1, cname.len() as u8]);
    out.extend_from_slice(cname.as_bytes());
    // At least one zero ends the list, and more pad it to a whole word.
    out.resize(out.len() + 4 - (out.len() - start) % 4, 0);
    let words = (out.len() - start) / 4 - 1;
    out[start + 3] = words as u8;
}

/// A time since 1970 as an NTP timestamp (RFC 5905 §6): seconds since 1900, 32.32 fixed point.
pub(super) fn ntp(wall: Duration) -> u64 {
    let seconds = wall.as_secs() + 2_208_988_800;
    let fraction = (u64::from(wall.subsec_nanos()) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}

struct Header {
    pt: u8,
    marker: bool,
    index: u64,
    timestamp: u32,
    ssrc: u32,
}

impl Header {
    /// RFC 3550 §5.1 and, for the extensions, the one-byte form of RFC 8285 §4.2. The same
    /// extensions go with every packet, so that all are of one size.
    fn write(&self, extensions: &ExtensionIds, now: MediaTime, out: &mut Vec<u8>) {
        let ExtensionIds { playout_delay, abs_send_time } = *extensions;
        let extended = playout_delay.is_some() || abs_send_time.is_some();
        out.push(if extended { 0x90 } else { 0x80 });
        out.push(u8::from(self.marker) << 7 | self.pt);
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

/// Keeps retransmissions from making a bad network worse.
#[derive(Default)]
struct Resends {
    /// When a packet was last sent again, for those of late.
    recent: VecDeque<(u64, MediaTime)>,
    bytes: u64,
    /// Payload bytes sent and sent again when the current second began.
    window: Option<(MediaTime, u64, u64)>,
}

/// Retransmissions of one second may be a third of what was sent in it, and this much in any
/// case, so that a quiet stream can be repaired too.
const FREE_BYTES: u64 = 64 << 10;

impl Resends {
    fn allow(
        &mut self,
        index: u64,
        len: usize,
        sent_bytes: u64,
        rtt: Duration,
        now: MediaTime,
    ) -> bool {
        // Until a resent packet could have arrived, asking again is the same question.
        let wait = rtt.max(Duration::from_millis(5));
        while self.recent.front().is_some_and(|(_, at)| now.since(*at) > wait) {
            self.recent.pop_front();
        }
        if self.recent.iter().any(|(i, _)| *i == index) {
            return false;
        }
        let (_, sent_then, resent_then) = match self.window {
            Some(window) if now.since(window.0) < Duration::from_secs(1) => window,
            _ => *self.window.insert((now, sent_bytes, self.bytes)),
        };
        let allowed = FREE_BYTES + (sent_bytes - sent_then) / 3;
        if self.bytes - resent_then + len as u64 > allowed {
            return false;
        }
        self.bytes += len as u64;
        self.recent.push_back((index, now));
        true
    }
}

#[cfg(test)]
mod tests;
