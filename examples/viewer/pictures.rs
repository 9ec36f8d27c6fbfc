//! From RTP packets to pictures.

use std::time::{Duration, Instant};

use bytes::Bytes;
use picket::media::h264::{NalType, nal_ranges};
use rtc::media::Sample;
use rtc::media::io::sample_builder::SampleBuilder;
use rtc::rtp::Packet;
use rtc::rtp::codec::h264::H264Packet;

use super::connection::CLOCK_RATE;

/// One picture.
pub struct Picture {
    /// NAL units with start codes (H.264 Annex B).
    pub data: Bytes,
    /// RTP time: when the camera took it, in units of 1/90 000 s from anywhere, modulo 2³².
    pub time: u32,
    /// It needs no other picture to be shown.
    pub key: bool,
}

/// Puts packets in order and back together.
pub struct Pictures {
    /// Orders packets by sequence number, cuts at the marker bit, and undoes RFC 6184: single NAL
    /// units, several in one packet (STAP-A), one over several packets (FU-A).
    builder: SampleBuilder<H264Packet>,
    state: State,
}

enum State {
    /// Nothing can be shown before a key picture: at the start, and after a loss.
    NeedsKeyPicture {
        asked: Option<Instant>,
    },
    Showing,
}

/// Packets kept for a missing one before them, and for how long: what NACK does not bring back
/// by then is lost.
const MOST_PACKETS: u16 = 1024;
const LONGEST_WAIT: Duration = Duration::from_millis(300);

/// The camera answers at once, but the request or the picture may be lost like anything else.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

impl Default for Pictures {
    fn default() -> Self {
        Self {
            builder: SampleBuilder::new(MOST_PACKETS, H264Packet::default(), CLOCK_RATE)
                .with_max_time_delay(LONGEST_WAIT),
            // The camera begins each session with a key picture: no need to ask for the first.
            state: State::NeedsKeyPicture { asked: Some(Instant::now()) },
        }
    }
}

impl Pictures {
    pub fn push(&mut self, packet: Packet) {
        // An empty packet is padding, sent to measure the network.
        if !packet.payload.is_empty() {
            self.builder.push(Instant::now(), packet);
        }
    }

    /// The next picture that can be shown.
    pub fn next(&mut self) -> Option<Picture> {
        while let Some(sample) = self.builder.pop(Instant::now()) {
            if sample.prev_dropped_packets > 0 && matches!(self.state, State::Showing) {
                log::info!("{} packets lost", sample.prev_dropped_packets);
                self.state = State::NeedsKeyPicture { asked: None };
            }
            let picture = Picture::from(sample);
            if picture.key {
                self.state = State::Showing;
            }
            if matches!(self.state, State::Showing) {
                return Some(picture);
            }
        }
        None
    }

    /// Whether it is time to ask the camera for a key picture.
    pub fn key_picture_wanted(&mut self) -> bool {
        match &mut self.state {
            State::NeedsKeyPicture { asked }
                if asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN_AFTER) =>
            {
                *asked = Some(Instant::now());
                true
            }
            _ => false,
        }
    }
}

impl From<Sample> for Picture {
    fn from(sample: Sample) -> Self {
        let has = |wanted| nals(&sample.data).any(|nal| NalType::of(nal) == wanted);
        // An IDR picture without its parameter sets is of no use to somebody who joins.
        let key = has(NalType::Idr) && has(NalType::Sps) && has(NalType::Pps);
        Self { data: sample.data, time: sample.packet_timestamp, key }
    }
}

/// The NAL units of a picture, without start codes.
pub fn nals(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    nal_ranges(data).map(|range| &data[range])
}
