//! A viewer made of the str0m library in RTP mode: light enough for a thousand of them, and with
//! a handle on every packet.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

use super::daemon::{Daemon, PATIENCE};

/// A viewer of one daemon.
pub struct Peer {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    wake: Instant,
    mid: Mid,
    video_pt: u8,
    pub session: String,
    pub answer: String,
    pub seen: Seen,
    /// Drops each received datagram for which it says so.
    pub lose: Option<Lose>,
}

/// Says whether to lose a datagram.
pub type Lose = Box<dyn FnMut(&[u8]) -> bool>;

/// What a viewer has seen so far.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    pub connected: bool,
    pub closed: bool,
    pub packets: u64,
    /// Pictures whose last packet came.
    pub pictures: u64,
    /// RTP times of pictures, in order of arrival.
    pub times: Vec<u32>,
    /// Key pictures: pictures with an SPS.
    pub key_pictures: u64,
    /// The latest SPS, a NAL unit.
    pub sps: Vec<u8>,
    /// When the first key picture was complete.
    pub first_key: Option<Instant>,
    pub disconnected: bool,
    /// Every packet of the video that came or was repaired: its number, when, and what it is.
    pub log: Vec<Arrival>,
    /// Packets of the video that came at the first attempt.
    pub direct: u64,
}

/// One packet of the video.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub number: u64,
    pub at: Instant,
    /// The last of its picture.
    pub marker: bool,
    /// Begins a key picture.
    pub sps: bool,
}

impl Seen {
    /// Packets there have been between the first and the last seen.
    pub fn expected(&self) -> u64 {
        let numbers = || self.log.iter().map(|a| a.number);
        numbers().max().zip(numbers().min()).map_or(0, |(max, min)| max - min + 1)
    }

    /// The longest time between two pictures that could be shown: each when its last packet and
    /// all before it are there, or from a key picture on.
    pub fn longest_freeze(&self) -> Duration {
        let mut log = self.log.clone();
        log.sort_by_key(|a| a.number);
        let (mut longest, mut shown) = (Duration::ZERO, None::<Instant>);
        let mut complete_at = None::<Instant>;
        let mut next = None::<u64>;
        for packet in log {
            if next != Some(packet.number) && !packet.sps {
                // A hole: nothing can be shown before a key picture.
                complete_at = None;
                next = None;
                continue;
            }
            next = Some(packet.number + 1);
            let at = complete_at.map_or(packet.at, |before| before.max(packet.at));
            complete_at = Some(at);
            if packet.marker {
                if let Some(before) = shown {
                    longest = longest.max(at.saturating_duration_since(before));
                }
                shown = Some(at);
            }
        }
        longest
    }
}

/// An offer and what is needed to take up its answer.
pub struct Offered {
    pub sdp: String,
    rtc: Rtc,
    pending: SdpPendingOffer,
    mid: Mid,
    socket: UdpSocket,
    local: SocketAddr,
}

impl Offered {
    pub fn new() -> Self {
        Self::from("127.0.0.1")
    }

    /// An offer from a socket on `ip`.
    pub fn from(ip: &str) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        let local = socket.local_addr().expect("bound");
        let mut rtc = RtcConfig::new()
            .clear_codecs()
            .enable_h264(true)
            .set_rtp_mode(true)
            .build(Instant::now());
        rtc.add_local_candidate(Candidate::host(local, "udp").expect("a usable address"));
        let mut api = rtc.sdp_api();
        let mid = api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().expect("an offer");
        Self { sdp: offer.to_sdp_string(), rtc, pending, mid, socket, local }
    }

    /// Posts the offer to `/offer`.
    pub fn send(self, daemon: &Daemon) -> Peer {
        let answer = post_offer(daemon, &self.sdp);
        self.accept(answer["sdp"].as_str().expect("an answer"), answer["session"].as_str())
    }

    pub fn accept(self, answer: &str, session: Option<&str>) -> Peer {
        let Self { mut rtc, pending, mid, socket, local, .. } = self;
        let parsed = SdpAnswer::from_sdp_string(answer).expect("a readable answer");
        rtc.sdp_api().accept_answer(pending, parsed).expect("an acceptable answer");
        Peer {
            rtc,
            socket,
            local,
            wake: Instant::now(),
            mid,
            video_pt: video_pt(answer),
            session: session.unwrap_or_default().into(),
            answer: answer.into(),
            seen: Seen::default(),
            lose: None,
        }
    }
}

/// The payload type of the answer's video.
fn video_pt(answer: &str) -> u8 {
    let line = answer.lines().find(|l| l.starts_with("m=video")).expect("video");
    line.split(' ').nth(3).and_then(|pt| pt.parse().ok()).expect("a payload type")
}

pub fn post_offer(daemon: &Daemon, sdp: &str) -> Value {
    post_offer_at(daemon.http, daemon, sdp)
}

/// Posts an offer to the daemon under another of its addresses.
pub fn post_offer_at(address: SocketAddr, daemon: &Daemon, sdp: &str) -> Value {
    let mut request = ureq::post(&format!("http://{address}/offer"));
    if let Some(token) = &daemon.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = json!({ "type": "offer", "sdp": sdp });
    let mut response = request.send_json(&body).expect("an answer");
    response.body_mut().read_json().expect("JSON")
}

impl Peer {
    /// Offers, and waits for the connection.
    pub fn connect(daemon: &Daemon) -> Self {
        let mut peer = Offered::new().send(daemon);
        peer.run_until("connected", |seen| seen.connected);
        peer
    }

    /// Runs until `done`.
    pub fn run_until(&mut self, what: &str, done: impl Fn(&Seen) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(&self.seen) {
            assert!(Instant::now() < until, "waited in vain: {what}; saw {:?}", self.seen);
            self.step(Duration::from_millis(50));
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.step(until.saturating_duration_since(Instant::now()));
        }
    }

    pub fn request_key_picture(&mut self) {
        let mut api = self.rtc.direct_api();
        let stream = api.stream_rx_by_mid(self.mid, None).expect("a stream");
        stream.request_keyframe(KeyframeRequestKind::Pli);
    }

    /// Says goodbye and waits until it is out.
    pub fn close(mut self) {
        let _ = self.rtc.close();
        while self.rtc.is_alive() {
            self.send();
        }
    }

    /// Leaves without a word.
    pub fn vanish(self) {}

    fn step(&mut self, longest: Duration) {
        self.send();
        let now = Instant::now();
        let wait = self.wake.saturating_duration_since(now).min(longest);
        let mut buffer = [0; 2048];
        self.socket
            .set_read_timeout(Some(wait.max(Duration::from_millis(1))))
            .expect("a valid timeout");
        let input = match self.socket.recv_from(&mut buffer) {
            Ok((len, source)) => {
                let bytes = &buffer[..len];
                if self.lose.as_mut().is_some_and(|lose| lose(bytes)) {
                    return;
                }
                // RTP (RFC 7983), of the video's own payload type: not a retransmission.
                let first_attempt = bytes.len() > 2 && bytes[0] >> 6 == 2;
                // Until the first packet could be opened, what comes is not counted anywhere.
                let counted = !self.seen.log.is_empty();
                if first_attempt && counted && bytes[1] & 0x7f == self.video_pt {
                    self.seen.direct += 1;
                }
                let Ok(receive) = Receive::new(Protocol::Udp, source, self.local, bytes) else {
                    return;
                };
                Input::Receive(Instant::now(), receive)
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Input::Timeout(Instant::now())
            }
            // The other side's socket is gone, and the system says so.
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => Input::Timeout(Instant::now()),
            Err(e) => panic!("{e}"),
        };
        self.rtc.handle_input(input).expect("the session goes on");
        self.send();
    }

    fn send(&mut self) {
        loop {
            let output = self.rtc.poll_output();
            match output.unwrap_or_else(|e| panic!("{e}; saw {:?}", self.seen)) {
                Output::Timeout(at) => {
                    self.wake = at;
                    return;
                }
                Output::Transmit(t) => {
                    let _ = self.socket.send_to(&t.contents, t.destination);
                }
                Output::Event(event) => self.event(event),
            }
        }
    }

    fn event(&mut self, event: Event) {
        let seen = &mut self.seen;
        match event {
            Event::Connected => seen.connected = true,
            Event::Closed => seen.closed = true,
            Event::IceConnectionStateChange(state) => {
                seen.disconnected = state == IceConnectionState::Disconnected;
            }
            Event::RtpPacket(packet) => {
                seen.packets += 1;
                let sps = packet.payload.first().is_some_and(|b| b & 0x1f == 7);
                seen.key_pictures += u64::from(sps);
                if seen.log.is_empty() {
                    seen.direct = 1;
                }
                if sps {
                    seen.sps = packet.payload.to_vec();
                }
                seen.log.push(Arrival {
                    number: *packet.seq_no,
                    at: Instant::now(),
                    marker: packet.header.marker,
                    sps,
                });
                if packet.header.marker {
                    seen.pictures += 1;
                    seen.times.push(packet.header.timestamp);
                    if seen.key_pictures > 0 && seen.first_key.is_none() {
                        seen.first_key = Some(Instant::now());
                    }
                }
            }
            _ => {}
        }
    }
}
