//! The promises of this room, against a server in memory and a clock moved by hand.

mod allocation;
mod traffic;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH};
use turn_types::stun::message::BINDING;

use super::fake::{Fake, PASSWORD, USERNAME, data_indication};
use super::transaction::GIVES_UP_AFTER;
use super::*;

const SERVER: &str = "192.0.2.1:3478";
const PEER: &str = "192.0.2.77:40000";

fn server() -> SocketAddr {
    SERVER.parse().unwrap()
}

fn peer() -> SocketAddr {
    PEER.parse().unwrap()
}

fn entry(url: &str) -> IceServer {
    IceServer {
        urls: vec![url.into()],
        username: Some(USERNAME.into()),
        credential: Some(PASSWORD.into()),
    }
}

const STUN: &str = "stun:192.0.2.1";
const TURN: &str = "turn:192.0.2.1";

/// The daemon's side, the server, and the time.
struct World {
    servers: Servers,
    fake: Fake,
    /// The server does not hear us.
    away: bool,
    now: Instant,
    gained: Vec<Candidate>,
    lost: Vec<Candidate>,
    /// Datagrams we sent.
    sent: usize,
}

impl World {
    fn new(url: &str) -> Self {
        let now = Instant::now();
        Self {
            servers: Servers::new(&[entry(url)], now),
            fake: Fake::new(),
            away: false,
            now,
            gained: vec![],
            lost: vec![],
            sent: 0,
        }
    }

    /// With a relay for one session.
    fn with_relay() -> Self {
        let mut world = Self::new(TURN);
        world.servers.set_sessions(world.now, 1);
        world.settle();
        assert_eq!(world.relays().len(), 1, "{:?}", world.servers.status());
        world
    }

    /// With a relay that lets [`PEER`] through.
    fn with_peer() -> Self {
        let mut world = Self::with_relay();
        world.servers.permit(world.now, peer().ip());
        world.settle();
        assert_eq!(world.fake.count(CREATE_PERMISSION, 0), 1);
        world
    }

    /// Exchanges datagrams, which takes no time, until both wait. Until when.
    fn settle(&mut self) -> Instant {
        for _ in 0..1000 {
            match self.servers.poll(self.now) {
                Poll::Transmit { to, bytes } => {
                    assert_eq!(to, server());
                    self.sent += 1;
                    if self.away {
                        continue;
                    }
                    if let Some(answer) = self.fake.answer(&bytes) {
                        let handled = self.servers.handle(self.now, to, &answer);
                        assert_eq!(handled, Handled::Consumed);
                    }
                }
                Poll::Gained(candidate) => self.gained.push(candidate),
                Poll::Lost(candidate) => self.lost.push(candidate),
                Poll::Wait(until) => {
                    assert!(until > self.now, "a busy loop");
                    return until;
                }
            }
        }
        panic!("it never comes to rest");
    }

    /// Lets time pass. How often we woke up.
    fn pass(&mut self, time: Duration) -> usize {
        let end = self.now + time;
        let mut wakes = 0;
        loop {
            let until = self.settle();
            if until > end {
                self.now = end;
                return wakes;
            }
            self.now = until;
            wakes += 1;
        }
    }

    fn addresses(&self, kind: Kind) -> Vec<SocketAddr> {
        let candidates = self.servers.candidates().into_iter();
        let of_kind = candidates.filter(|c| c.kind == kind);
        of_kind.map(|c| c.address).collect()
    }

    fn relays(&self) -> Vec<SocketAddr> {
        self.addresses(Kind::Relay)
    }

    fn send(&mut self, segments: &[u8], segment_size: usize) -> Option<(Wrapped, Vec<u8>)> {
        let (now, relay, mut out) = (self.now, self.fake.relay, vec![]);
        let wrapped = self.servers.send(now, relay, peer(), segments, segment_size, &mut out)?;
        Some((wrapped, out))
    }

    fn problem(&self) -> Option<ServerProblem> {
        self.servers.status()[0].problem.clone()
    }
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

#[test]
fn the_public_address_is_known_at_the_start_and_asked_for_every_25_s() {
    let mut world = World::new(STUN);
    assert_eq!(world.servers.candidates(), []);
    world.settle();
    let candidate =
        Candidate { kind: Kind::ServerReflexive, address: world.fake.mapped, server: server() };
    assert_eq!(world.servers.candidates(), [candidate]);
    assert_eq!(world.gained, [candidate]);
    world.pass(Duration::from_secs(100));
    assert_eq!(world.fake.count(BINDING, 0), 5);
    assert_eq!(world.gained.len(), 1, "announced once");
}

#[test]
fn a_changed_public_address_replaces_the_old_one() {
    let mut world = World::new(STUN);
    world.settle();
    let old = world.fake.mapped;
    world.fake.mapped = "203.0.113.10:8189".parse().unwrap();
    world.pass(Duration::from_secs(100));
    assert_eq!(world.lost[0].address, old);
    assert_eq!(world.addresses(Kind::ServerReflexive), [world.fake.mapped]);
}

#[test]
fn a_silent_stun_server_is_forgotten_and_found_again() {
    let mut world = World::new(STUN);
    world.settle();
    world.away = true;
    world.pass(Duration::from_secs(26) + GIVES_UP_AFTER);
    assert_eq!(world.servers.candidates(), []);
    assert_eq!(world.problem(), Some(ServerProblem::Silent(server())));
    world.away = false;
    world.pass(GIVES_UP_AFTER);
    assert_eq!(world.servers.candidates().len(), 1);
    assert_eq!(world.problem(), None);
}

#[test]
fn gathering_ends_with_the_first_answer() {
    let mut world = World::new(STUN);
    let Poll::Transmit { bytes, .. } = world.servers.poll(world.now) else {
        panic!("no request");
    };
    assert!(world.servers.gathering());
    let answer = world.fake.answer(&bytes).unwrap();
    world.servers.handle(world.now, server(), &answer);
    assert!(!world.servers.gathering());
}

#[test]
fn names_are_resolved_outside_and_again_every_five_minutes() {
    let mut world = World::new("stun:stun.example.org");
    let lookup = world.servers.wanted_lookups(world.now).remove(0);
    assert_eq!((&*lookup.host, lookup.port), ("stun.example.org", 3478));
    assert_eq!(world.servers.wanted_lookups(world.now), []);
    world.servers.resolved(world.now, lookup.server, vec![]);
    assert_eq!(world.problem(), Some(ServerProblem::Unresolved));
    let again = world.settle();
    assert_eq!(again - world.now, Duration::from_secs(5));
    world.now = again;
    assert_eq!(world.servers.wanted_lookups(again).len(), 1);
    world.servers.resolved(again, lookup.server, vec![server()]);
    world.settle();
    assert_eq!(world.servers.candidates().len(), 1);
    assert_eq!(world.problem(), None);
    world.pass(minutes(5));
    assert_eq!(world.servers.wanted_lookups(world.now).len(), 1);
}

#[test]
fn servers_for_viewers_only_and_wrong_ones_are_left_out() {
    let list = ["stuns:a", "turns:b", "turn:c?transport=tcp", "nonsense"].map(entry);
    let mut servers = Servers::new(&list, Instant::now());
    assert_eq!(servers.status(), []);
    assert!(matches!(servers.poll(Instant::now()), Poll::Wait(_)));
}

#[test]
fn an_answer_is_taken_once_and_only_from_the_server() {
    let mut world = World::new(STUN);
    let Poll::Transmit { bytes, .. } = world.servers.poll(world.now) else {
        panic!("no request");
    };
    let answer = world.fake.answer(&bytes).unwrap();
    let mut forged = answer.clone();
    forged[19] ^= 1;
    let elsewhere = "192.0.2.2:3478".parse().unwrap();
    for (from, datagram, handled) in [
        (elsewhere, &answer, Handled::NotMine),
        (server(), &forged, Handled::NotMine),
        (server(), &bytes, Handled::NotMine),
        (server(), &answer, Handled::Consumed),
        (server(), &answer, Handled::NotMine),
    ] {
        assert_eq!(world.servers.handle(world.now, from, datagram), handled);
    }
}
