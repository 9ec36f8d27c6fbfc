//! The use of STUN and TURN servers against coturn, over real sockets on loopback.
//!
//! coturn's clock is the real one, ours is pushed forward where a test would have to wait, which
//! is the point of passing time in. Without coturn the tests say so and pass, except in CI.

mod common;

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use common::coturn::Coturn;
use picket::testing::webrtc::stun_turn::{
    Candidate, Handled, IceServer, Kind, Poll, ServerProblem, Servers,
};

/// Nothing on loopback takes this long; a test that waits for it has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the engine does, as little of it as will do: one socket, one thread.
struct Engine {
    socket: UdpSocket,
    servers: Servers,
    /// How far our clock is ahead of the real one.
    ahead: Duration,
    gained: Vec<Candidate>,
    lost: Vec<Candidate>,
    /// What came through relays: from whom, and what.
    received: Vec<(SocketAddr, Vec<u8>)>,
    sent: usize,
    /// Requests without an answer, by their transaction IDs (RFC 8489 §5).
    open: HashSet<Vec<u8>>,
}

impl Engine {
    fn new(scheme: &str, coturn: &Coturn) -> Self {
        Self::on(UdpSocket::bind("127.0.0.1:0").unwrap(), scheme, "hunter2", coturn)
    }

    fn on(socket: UdpSocket, scheme: &str, password: &str, coturn: &Coturn) -> Self {
        let entry = IceServer {
            urls: vec![format!("{scheme}:127.0.0.1:{}", coturn.port)],
            username: Some("camera".into()),
            credential: Some(password.into()),
        };
        Self {
            socket,
            servers: Servers::new(&[entry], Instant::now()),
            ahead: Duration::ZERO,
            gained: vec![],
            lost: vec![],
            received: vec![],
            sent: 0,
            open: HashSet::new(),
        }
    }

    /// With a relay, and `peer` let through.
    fn with_relay(coturn: &Coturn, peer: &UdpSocket) -> Self {
        let mut engine = Self::new("turn", coturn);
        let now = engine.now();
        engine.servers.set_sessions(now, 1);
        engine.servers.permit(now, peer.local_addr().unwrap().ip());
        engine.run("a relay", |e| e.relay().is_some());
        engine
    }

    fn now(&self) -> Instant {
        Instant::now() + self.ahead
    }

    fn relay(&self) -> Option<SocketAddr> {
        let mut candidates = self.servers.candidates().into_iter();
        candidates.find(|c| c.kind == Kind::Relay).map(|c| c.address)
    }

    fn problem(&self) -> Option<ServerProblem> {
        self.servers.status()[0].problem.clone()
    }

    /// Until something has happened.
    fn run(&mut self, what: &str, mut happened: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !happened(self) {
            assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
            self.step();
        }
    }

    /// Until every request is answered.
    fn settle(&mut self) {
        self.run("answers", |e| {
            e.send_requests();
            e.open.is_empty()
        });
    }

    /// Until there is nothing to send; how long that will be so.
    fn send_requests(&mut self) -> Duration {
        loop {
            match self.servers.poll(self.now()) {
                Poll::Transmit { to, bytes } => {
                    self.sent += 1;
                    self.open.insert(bytes[8..20].to_vec());
                    self.socket.send_to(&bytes, to).unwrap();
                }
                Poll::Gained(candidate) => self.gained.push(candidate),
                Poll::Lost(candidate) => self.lost.push(candidate),
                Poll::Wait(until) => break until.saturating_duration_since(self.now()),
            }
        }
    }

    /// Until there is nothing to send, then for at most one datagram.
    fn step(&mut self) {
        let wait = self.send_requests();
        // A test's condition may depend on time, so it is looked at now and then.
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(20));
        self.socket.set_read_timeout(Some(wait)).unwrap();
        let mut buffer = [0; 1500];
        if let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            self.open.remove(&buffer[8..20]);
            match self.servers.handle(self.now(), from, &buffer[..length]) {
                Handled::Relayed { peer, data, .. } => self.received.push((peer, data.to_vec())),
                // A second answer, where we pushed the clock past a repetition.
                Handled::Consumed | Handled::NotMine => {}
            }
        }
    }

    /// Sends `segments` through the relay. How long each datagram to the server is; `None` if the
    /// peer is not let through yet.
    fn send(&mut self, peer: SocketAddr, segments: &[u8], size: usize) -> Option<usize> {
        let (now, relay) = (self.now(), self.relay()?);
        let mut out = vec![];
        let sent = self.servers.send(now, relay, peer, segments, size, &mut out)?;
        for datagram in out.chunks(sent.segment_size) {
            self.socket.send_to(datagram, sent.to).unwrap();
        }
        Some(sent.segment_size)
    }
}

/// A viewer that is nothing but a socket.
fn peer() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn receive(peer: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 1500];
    let (length, from) = peer.recv_from(&mut buffer).expect("nothing came");
    (buffer[..length].to_vec(), from)
}

macro_rules! coturn_or_skip {
    () => {
        match Coturn::start() {
            Some(server) => server,
            None => return,
        }
    };
}

#[test]
fn a_stun_server_tells_our_address() {
    let coturn = coturn_or_skip!();
    let mut engine = Engine::new("stun", &coturn);
    engine.run("an answer", |e| !e.gained.is_empty());
    let expected = Candidate {
        kind: Kind::ServerReflexive,
        address: engine.socket.local_addr().unwrap(),
        server: SocketAddr::from(([127, 0, 0, 1], coturn.port)),
    };
    assert_eq!(engine.servers.candidates(), [expected]);
    assert!(!engine.servers.gathering());

    // The same twenty-five seconds later, without a change.
    let sent = engine.sent;
    engine.ahead += Duration::from_secs(26);
    engine.run("a refresh", |e| e.sent > sent);
    assert_eq!((engine.gained.len(), engine.lost.len()), (1, 0));
}

#[test]
fn packets_pass_a_relay_both_ways_first_by_indication_then_by_channel() {
    let coturn = coturn_or_skip!();
    let (viewer, address) = peer();
    let mut engine = Engine::with_relay(&coturn, &viewer);
    let relay = engine.relay().unwrap();

    engine.run("permission", |e| e.send(address, b"check", 5).is_some());
    assert_eq!(receive(&viewer), (b"check".to_vec(), relay));
    viewer.send_to(b"answer", relay).unwrap();
    engine.run("the answer", |e| !e.received.is_empty());
    assert_eq!(engine.received, [(address, b"answer".to_vec())]);

    // A picture; after it there is a channel, whose header has four bytes.
    let picture: Vec<u8> = (0..6000_u32).map(|n| (n / 7) as u8).collect();
    assert_eq!(engine.send(address, &picture, 1000), Some(1036));
    for segment in picture.chunks(1000) {
        assert_eq!(receive(&viewer).0, segment);
    }
    engine.run("a channel", |e| e.send(address, b"media", 5) == Some(9));
    loop {
        let (data, from) = receive(&viewer);
        assert_eq!((&*data, from), (&b"media"[..], relay));
        if viewer.set_nonblocking(true).is_ok() && viewer.peek(&mut [0; 8]).is_err() {
            break;
        }
    }
    viewer.set_nonblocking(false).unwrap();

    let mut picture = picture;
    picture.truncate(5500);
    assert_eq!(engine.send(address, &picture, 1000), Some(1004));
    let mut got = vec![];
    while got.len() < picture.len() {
        let (data, _) = receive(&viewer);
        if data != b"media" {
            got.extend(data);
        }
    }
    assert_eq!(got, picture);
    viewer.send_to(b"by channel", relay).unwrap();
    engine.run("what came by channel", |e| e.received.len() == 2);
    assert_eq!(engine.received[1], (address, b"by channel".to_vec()));
}

#[test]
fn a_relay_is_refreshed_and_given_back() {
    let coturn = coturn_or_skip!();
    let (viewer, address) = peer();
    let mut engine = Engine::with_relay(&coturn, &viewer);
    engine.run("permission", |e| e.send(address, b"check", 5).is_some());
    // An hour, in which all is renewed that needs to be.
    for _ in 0..150 {
        let sent = engine.sent;
        engine.ahead += Duration::from_secs(26);
        engine.run("a refresh", |e| e.sent > sent);
        // Or the next push would be a silence of 26 s to what is still asked.
        engine.settle();
        let deadline = Instant::now() + DEADLINE;
        while engine.send(address, b"still here", 10).is_none() {
            assert!(Instant::now() < deadline);
            engine.step();
        }
        engine.settle();
    }
    assert_eq!(engine.lost, []);
    assert_eq!(engine.problem(), None);

    let now = engine.now();
    engine.servers.close(now);
    engine.run("the end", |e| e.servers.is_closed());
    assert_eq!(engine.lost.len(), 2);

    // The server has really let go: the same socket gets another relay.
    let socket = engine.socket.try_clone().unwrap();
    let mut next = Engine::on(socket, "turn", "hunter2", &coturn);
    next.servers.set_sessions(next.now(), 1);
    next.run("a relay", |e| e.relay().is_some());
}

#[test]
fn a_daemon_that_was_killed_gets_a_relay_when_it_is_back() {
    let coturn = coturn_or_skip!();
    let (viewer, _) = peer();
    let killed = Engine::with_relay(&coturn, &viewer);
    let mut engine = Engine::on(killed.socket, "turn", "hunter2", &coturn);
    engine.servers.set_sessions(Instant::now(), 1);
    engine.run("a relay", |e| e.relay().is_some());
    assert_eq!(engine.problem(), None);
}

#[test]
fn a_wrong_password_is_told_and_does_not_make_a_busy_loop() {
    let coturn = coturn_or_skip!();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut engine = Engine::on(socket, "turn", "wrong", &coturn);
    engine.servers.set_sessions(Instant::now(), 1);
    engine.run("an error", |e| e.problem().is_some());
    assert_eq!(engine.problem(), Some(ServerProblem::Credentials));
    let sent = engine.sent;
    // Three, but for what is repeated to a server on a busy machine. A loop would send thousands.
    assert!(sent <= 8, "{sent}");
    let Poll::Wait(until) = engine.servers.poll(engine.now()) else {
        panic!("it tries again at once");
    };
    assert!(until >= engine.now() + Duration::from_secs(50));
}

#[test]
fn a_server_killed_and_restarted_is_asked_for_a_new_relay() {
    let mut coturn = coturn_or_skip!();
    let (viewer, address) = peer();
    let mut engine = Engine::with_relay(&coturn, &viewer);
    engine.run("permission", |e| e.send(address, b"check", 5).is_some());
    receive(&viewer);

    coturn.restart();
    engine.ahead += Duration::from_secs(26);
    engine.run("the loss", |e| e.lost.iter().any(|c| c.kind == Kind::Relay));
    engine.run("a new relay", |e| e.relay().is_some());
    engine.run("permission", |e| e.send(address, b"again", 5).is_some());
    assert_eq!(receive(&viewer), (b"again".to_vec(), engine.relay().unwrap()));

    // Killed for good: the candidates disappear when its silence has lasted 40 s.
    coturn.kill();
    engine.run("silence", |e| {
        e.ahead += Duration::from_secs(5);
        e.servers.candidates().is_empty()
    });
    assert!(matches!(engine.problem(), Some(ServerProblem::Silent(_))));
}
