//! A viewer made of the str0m library in RTP mode: light enough for a thousand of them, and with
//! a handle on every packet.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

use super::daemon::{Daemon, PATIENCE};

/// A viewer of one daemon.
pub struct Peer {
    rtc: Rtc,
    link: Link,
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
pub type Lose = Box<dyn FnMut(&[u8]) -> bool + Send>;

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
    /// Key frames: pictures with an SPS.
    pub key_frames: u64,
    /// The latest SPS, a NAL unit.
    pub sps: Vec<u8>,
    /// When the first key frame was complete.
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
    /// Begins a key frame.
    pub sps: bool,
}

impl Seen {
    /// Packets there have been between the first and the last seen.
    pub fn expected(&self) -> u64 {
        let numbers = || self.log.iter().map(|a| a.number);
        numbers().max().zip(numbers().min()).map_or(0, |(max, min)| max - min + 1)
    }

    /// The longest time between two pictures that could be shown: each when its last packet and
    /// all before it are there, or from a key frame on.
    pub fn longest_freeze(&self) -> Duration {
        let mut log = self.log.clone();
        log.sort_by_key(|a| a.number);
        let (mut longest, mut shown) = (Duration::ZERO, None::<Instant>);
        let mut complete_at = None::<Instant>;
        let mut next = None::<u64>;
        for packet in log {
            if next != Some(packet.number) && !packet.sps {
                // A hole: nothing can be shown before a key frame.
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
    link: Link,
    local: SocketAddr,
}

/// How datagrams travel.
enum Link {
    Udp(UdpSocket),
    /// RFC 4571: each with its length in front.
    Tcp(TcpLink),
}

/// A connection made once there is somebody to connect to, and what of the next datagram has come.
#[derive(Default)]
struct TcpLink {
    stream: Option<TcpStream>,
    came: Vec<u8>,
}

impl TcpLink {
    fn datagram(&mut self, wait: Duration) -> std::io::Result<Vec<u8>> {
        let Some(stream) = &mut self.stream else {
            return Err(ErrorKind::WouldBlock.into());
        };
        loop {
            if let [high, low, rest @ ..] = &self.came[..] {
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                if let Some(datagram) = rest.get(..len) {
                    let datagram = datagram.to_vec();
                    self.came.drain(..2 + len);
                    return Ok(datagram);
                }
            }
            stream.set_read_timeout(Some(wait))?;
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer)? {
                0 => return Err(ErrorKind::ConnectionReset.into()),
                len => self.came.extend_from_slice(&buffer[..len]),
            }
        }
    }

    fn send(&mut self, local: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let stream = self.stream.get_or_insert_with(|| connect_from(local, to));
        let mut bytes = (datagram.len() as u16).to_be_bytes().to_vec();
        bytes.extend_from_slice(datagram);
        let _ = stream.write_all(&bytes);
    }
}

fn connect_from(local: SocketAddr, to: SocketAddr) -> TcpStream {
    let domain = socket2::Domain::for_address(to);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&local.into()).expect("a free port");
    socket.connect(&to.into()).expect("the camera listens");
    socket.into()
}

impl Offered {
    pub fn new() -> Self {
        Self::from("127.0.0.1")
    }

    /// An offer from a socket on `ip`.
    pub fn from(ip: &str) -> Self {
        Self::by_udp(ip, false)
    }

    /// An offer of a viewer that answers connectivity checks and makes none.
    pub fn ice_lite() -> Self {
        Self::by_udp("127.0.0.1", true)
    }

    /// An offer from a port that another has had.
    pub fn from_port(port: u16) -> Self {
        Self::over_udp(UdpSocket::bind(("127.0.0.1", port)).expect("a free port"), false)
    }

    fn by_udp(ip: &str, ice_lite: bool) -> Self {
        Self::over_udp(UdpSocket::bind((ip, 0)).expect("a free port"), ice_lite)
    }

    fn over_udp(socket: UdpSocket, ice_lite: bool) -> Self {
        let local = socket.local_addr().expect("bound");
        let candidate = Candidate::host(local, "udp").expect("a usable address");
        Self::over(Link::Udp(socket), candidate, ice_lite)
    }

    /// An offer of a viewer that connects to the camera by TCP.
    pub fn by_tcp() -> Self {
        // The port is free when the listener is gone, and given to nobody soon.
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let local = listener.local_addr().expect("bound");
        let candidate = Candidate::builder().tcp().host(local).tcptype(TcpType::Active).build();
        let link = Link::Tcp(TcpLink::default());
        Self::over(link, candidate.expect("a usable address"), false)
    }

    fn over(link: Link, candidate: Candidate, ice_lite: bool) -> Self {
        let local = candidate.addr();
        let mut rtc = RtcConfig::new()
            .clear_codecs()
            .enable_h264(true)
            .set_rtp_mode(true)
            .set_ice_lite(ice_lite)
            .build(Instant::now());
        rtc.add_local_candidate(candidate);
        let mut api = rtc.sdp_api();
        let mid = api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().expect("an offer");
        Self { sdp: offer.to_sdp_string(), rtc, pending, mid, link, local }
    }

    /// Posts the offer to `/offer`.
    pub fn send(self, daemon: &Daemon) -> Peer {
        let answer = post_offer(daemon, &self.sdp);
        self.accept(answer["sdp"].as_str().expect("an answer"), answer["session"].as_str())
    }

    /// The same for the camera of this name.
    pub fn send_to(self, camera: &str, daemon: &Daemon) -> Peer {
        let body = json!({ "type": "offer", "sdp": self.sdp });
        let mut response = ureq::post(&daemon.url(&format!("/offer?camera={camera}")))
            .send_json(&body)
            .expect("an answer");
        let answer: Value = response.body_mut().read_json().expect("JSON");
        self.accept(answer["sdp"].as_str().expect("an answer"), answer["session"].as_str())
    }

    pub fn accept(self, answer: &str, session: Option<&str>) -> Peer {
        let Self { mut rtc, pending, mid, link, local, .. } = self;
        let parsed = SdpAnswer::from_sdp_string(answer).expect("a readable answer");
        rtc.sdp_api().accept_answer(pending, parsed).expect("an acceptable answer");
        Peer {
            rtc,
            link,
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

    pub fn request_key_frame(&mut self) {
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

    /// Leaves without a word. Returns the port it had.
    pub fn vanish(self) -> u16 {
        self.local.port()
    }

    fn step(&mut self, longest: Duration) {
        self.send();
        let now = Instant::now();
        let wait = self.wake.saturating_duration_since(now).min(longest);
        let wait = wait.max(Duration::from_millis(1));
        let mut buffer = [0; 2048];
        let received = match &mut self.link {
            Link::Udp(socket) => {
                socket.set_read_timeout(Some(wait)).expect("a valid timeout");
                let received = socket.recv_from(&mut buffer);
                received.map(|(len, source)| (Protocol::Udp, source, buffer[..len].to_vec()))
            }
            Link::Tcp(link) => {
                if link.stream.is_none() {
                    std::thread::sleep(wait);
                }
                let source = link.stream.as_ref().and_then(|s| s.peer_addr().ok());
                let received = link.datagram(wait);
                received.map(|bytes| (Protocol::Tcp, source.expect("connected"), bytes))
            }
        };
        let held;
        let input = match received {
            Ok((protocol, source, bytes)) => {
                held = bytes;
                let bytes = &held[..];
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
                let Ok(receive) = Receive::new(protocol, source, self.local, bytes) else {
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
                Output::Transmit(t) => match &mut self.link {
                    Link::Udp(socket) => drop(socket.send_to(&t.contents, t.destination)),
                    Link::Tcp(link) => link.send(self.local, t.destination, &t.contents),
                },
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
                seen.key_frames += u64::from(sps);
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
                    if seen.key_frames > 0 && seen.first_key.is_none() {
                        seen.first_key = Some(Instant::now());
                    }
                }
            }
            _ => {}
        }
    }
}
