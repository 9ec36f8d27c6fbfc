//! The use of STUN and TURN servers: how viewers beyond the local network reach the camera.
//!
//! In come the configured servers, the addresses their names resolve to, datagrams from the one
//! UDP socket all sessions share, and the present moment. Out go datagrams to send, candidates
//! that come and go, and what sessions receive through a relay. Nothing here touches a socket, a
//! name server or a clock.
//!
//! A STUN server ([`binding`]) is asked at the start and every 25 s, so that an answer to an offer
//! can name our public address at once. A TURN server ([`turn`]) is asked for one allocation when
//! there is a session, and gives it back when there has been none for a minute. Requests and
//! their repetition are in [`transaction`], bytes in [`wire`], whom a relay lets through in
//! [`peers`].
//!
//! The protocol's messages are the `turn-types` crate's. Its sibling `turn-client-proto` would be
//! the state machine as well, and is not used, by what its source (0.7.3) does: a server that
//! restarts (437 to a refresh) is noticed only when the lifetime of half an hour ends, a server
//! that still holds our former allocation (437 to an allocation) is a dead end, a lifetime below
//! ten minutes is ignored, refusals come without their reason, permissions and channels are
//! renewed for as long as the allocation lives, and an over-long user name panics.

mod asks;
mod binding;
mod canonical;
#[cfg(any(test, fuzzing))]
#[cfg_attr(not(test), allow(dead_code))] // the tests use all of it
mod fake;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod lease;
mod name;
mod outbox;
mod peers;
mod server;
mod status;
#[cfg(test)]
mod tests;
mod transaction;
mod turn;
mod url;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use canonical::canonical;
use outbox::Outbox;
pub use outbox::{Candidate, Kind, Poll};
use server::{Client, Server};
pub use status::ServerProblem;
#[cfg(any(test, feature = "testing"))]
pub use status::ServerStatus;
pub use turn::Wrapped;
pub use url::{Host, IceServer};
use wire::Arrived;

/// An allocation outlives the last session by this: someone reloading the page need not wait.
const KEEP_IDLE: Duration = Duration::from_secs(60);

/// Whatever a server does, it makes us work no more often than this.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// The wait when there is nothing to wait for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// All servers the daemon itself uses.
///
/// ```no_run
/// # use picket::testing::webrtc::stun_turn::{Handled, IceServer, Poll, Servers};
/// # use std::{net::UdpSocket, time::Instant};
/// # fn engine(socket: &UdpSocket, list: &[IceServer]) -> std::io::Result<()> {
/// let mut servers = Servers::new(list, Instant::now());
/// let mut buffer = [0; 2048];
/// loop {
///     let wait = loop {
///         match servers.poll(Instant::now()) {
///             Poll::Transmit { to, bytes } => { socket.send_to(&bytes, to)?; }
///             Poll::Gained(_candidate) => { /* new sessions offer it */ }
///             Poll::Lost(_candidate) => { /* and no longer */ }
///             Poll::Wait(until) => break until,
///         }
///     };
///     for _lookup in servers.wanted_lookups(Instant::now()) { /* in a task of its own */ }
///     # let _ = wait;
///     let (length, from) = socket.recv_from(&mut buffer)?; // until `wait` at most
///     match servers.handle(Instant::now(), from, &buffer[..length]) {
///         Handled::NotMine => { /* the sessions' */ }
///         Handled::Consumed => {}
///         Handled::Relayed { relay, peer, data } => { /* as if `data` had come to `relay` */
///             # let _ = (relay, peer, data);
///         }
///     }
/// }
/// # }
/// ```
pub struct Servers {
    servers: Vec<Server>,
    demand: Demand,
    out: Outbox,
    /// When there is something to do.
    wake: Instant,
}

/// Whether relays are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    Sessions,
    /// No session; relays are kept until this moment.
    IdleUntil(Instant),
    Closed,
}

/// Names a server in [`Servers::wanted_lookups`] and [`Servers::resolved`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerId(usize);

/// A name to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    pub server: ServerId,
    pub host: String,
    pub port: u16,
}

/// What became of an incoming datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Handled<'a> {
    /// No server sent it, or none that we asked.
    NotMine,
    /// An answer to one of our requests. [`Servers::poll`] has more to say.
    Consumed,
    /// `peer` sent this to our `relay`.
    Relayed { relay: SocketAddr, peer: SocketAddr, data: &'a [u8] },
}

impl Servers {
    /// From the configuration. Entries with a mistake are left out, and those for viewers only
    /// (`stuns:`, `turns:`, `?transport=tcp`); the log says so.
    #[must_use]
    pub fn new(list: &[IceServer], now: Instant) -> Self {
        let mut servers = Vec::new();
        for entry in list {
            match entry.parse() {
                Ok(urls) => {
                    servers.extend(urls.into_iter().filter_map(|u| Server::new(u, entry, now)));
                }
                Err(error) => log::warn!("an ICE server is left out: {error}"),
            }
        }
        Self { servers, demand: Demand::IdleUntil(now), out: Outbox::default(), wake: now }
    }

    /// Names to look up now, each handed out once; the answers go to [`Servers::resolved`]. Ask
    /// whenever [`Servers::poll`] says to wait.
    pub fn wanted_lookups(&mut self, now: Instant) -> Vec<Lookup> {
        let mut wanted = Vec::new();
        for (id, server) in self.servers.iter_mut().enumerate() {
            if let Host::Name(host) = &server.url.host
                && server.name.take_lookup(now)
            {
                wanted.push(Lookup {
                    server: ServerId(id),
                    host: host.clone(),
                    port: server.url.port,
                });
            }
        }
        wanted
    }

    /// The answer to a lookup: the addresses our socket can reach, empty if there is none.
    pub fn resolved(&mut self, now: Instant, id: ServerId, addresses: Vec<SocketAddr>) {
        let Some(server) = self.servers.get_mut(id.0) else {
            return;
        };
        server.name.resolved(now, addresses);
        if server.name.address().is_none() {
            server.note(Err(ServerProblem::Unresolved));
        }
        self.wake = now;
    }

    /// How many sessions there are: relays exist while there is any, and for a minute after.
    pub fn set_sessions(&mut self, now: Instant, sessions: usize) {
        self.demand = match (self.demand, sessions) {
            (Demand::Closed, _) => return,
            (Demand::Sessions, 0) => Demand::IdleUntil(now + KEEP_IDLE),
            (idle, 0) => idle,
            _ => Demand::Sessions,
        };
        self.wake = now;
    }

    /// A session learnt that its peer may be at `ip`: relays are to let its packets through.
    pub fn permit(&mut self, now: Instant, ip: IpAddr) {
        for turn in self.servers.iter_mut().filter_map(Server::turn) {
            turn.permit(now, ip.to_canonical());
            if turn.take_urgent() {
                self.wake = now;
            }
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Our own addresses have changed: asks all servers again.
    pub fn network_changed(&mut self, now: Instant) {
        for server in &mut self.servers {
            match &mut server.client {
                Client::Stun(binding) => binding.refresh(now),
                Client::Turn(turn) => turn.refresh(now),
            }
        }
        self.wake = now;
    }

    /// Gives all relays back. Go on polling and handling for a second.
    pub fn close(&mut self, now: Instant) {
        self.demand = Demand::Closed;
        self.wake = now;
    }

    /// Whether nothing of ours is left on any server.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.demand == Demand::Closed
            && self.out.is_empty()
            && self.servers.iter().all(|server| match &server.client {
                Client::Stun(_) => true,
                Client::Turn(turn) => turn.at_rest(),
            })
    }

    /// Whether a first answer is still under way that may bring a candidate. An answer to an
    /// offer may wait for it, for a moment.
    #[must_use]
    pub fn gathering(&self) -> bool {
        self.servers.iter().any(|server| match &server.client {
            Client::Stun(binding) => binding.pending(),
            Client::Turn(turn) => turn.pending(),
        })
    }

    /// The candidates there are now. Several servers may have seen us at the same address.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for server in &self.servers {
            let Some(address) = server.address() else {
                continue;
            };
            let mut add = |kind, found: Option<SocketAddr>| {
                candidates.extend(found.map(|found| Candidate {
                    kind,
                    address: found,
                    server: address,
                }));
            };
            add(Kind::ServerReflexive, server.mapped());
            add(Kind::Relay, server.relay());
        }
        candidates
    }

    /// How each server is doing.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn status(&self) -> Vec<ServerStatus> {
        self.servers.iter().map(Server::status).collect()
    }

    /// What to do next. Call until it says [`Poll::Wait`], after every other call and when the
    /// wait is over.
    pub fn poll(&mut self, now: Instant) -> Poll {
        if let Some(poll) = self.out.pop() {
            return poll;
        }
        if now >= self.wake {
            self.drive(now);
        }
        self.out.pop().unwrap_or(Poll::Wait(self.wake))
    }

    fn drive(&mut self, now: Instant) {
        let mut wake = now + LONGEST_WAIT;
        let wanted = match self.demand {
            Demand::Sessions => true,
            Demand::IdleUntil(end) if now < end => {
                wake = wake.min(end);
                true
            }
            Demand::IdleUntil(_) | Demand::Closed => false,
        };
        for server in &mut self.servers {
            let next = match &mut server.client {
                Client::Stun(_) if self.demand == Demand::Closed => continue,
                Client::Stun(binding) => binding.drive(now, &mut server.name, &mut self.out),
                Client::Turn(turn) => turn.drive(now, wanted, &mut server.name, &mut self.out),
            };
            let next = match next {
                Ok(next) => next,
                Err(problem) => {
                    server.note(Err(problem));
                    Some(now)
                }
            };
            let soonest = next.into_iter().chain(server.name.lookup_at()).min();
            wake = soonest.map_or(wake, |soonest| wake.min(soonest));
        }
        self.wake = wake.max(now + SHORTEST_WAIT);
    }

    /// Takes an incoming datagram if it comes from a server and answers what we asked, or came
    /// through a relay of ours. Everything else is for the sessions.
    pub fn handle<'a>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &'a [u8],
    ) -> Handled<'a> {
        let from = canonical(from);
        if self.servers.iter().all(|s| s.address() != Some(from)) {
            return Handled::NotMine;
        }
        let Some(arrived) = wire::parse(datagram) else {
            return Handled::NotMine;
        };
        // A stun: and a turn: URL may name the same server.
        let mut servers = self.servers.iter_mut();
        let servers = servers.by_ref().filter(|s| s.address() == Some(from));
        match arrived {
            Arrived::Reply(reply) => {
                for server in servers {
                    let outcome = match &mut server.client {
                        Client::Stun(binding) => binding.reply(now, &reply, &mut self.out),
                        Client::Turn(turn) => turn.reply(now, &reply, &mut self.out),
                    };
                    if let Some(outcome) = outcome {
                        server.note(outcome);
                        self.wake = now;
                        return Handled::Consumed;
                    }
                }
                Handled::NotMine
            }
            Arrived::Channel { number, data } => {
                let mut turns = servers.filter_map(Server::turn);
                match turns.find_map(|turn| turn.received_on(now, number)) {
                    Some((relay, peer)) => Handled::Relayed { relay, peer, data },
                    None => Handled::NotMine,
                }
            }
            Arrived::Data { peer, data } => {
                let mut turns = servers.filter_map(Server::turn);
                match turns.find_map(|turn| turn.received_from(now, peer)) {
                    Some(relay) => Handled::Relayed { relay, peer, data },
                    None => Handled::NotMine,
                }
            }
        }
    }

    /// Wraps what a session sends from `relay` to `peer`: `segments` holds datagrams of
    /// `segment_size` bytes one after the other, the last may be shorter. They are appended to
    /// `out` wrapped, in the same manner, ready for one segmented send. `None`, and nothing
    /// appended: the relay is gone, or does not let the peer through yet, which is then asked for.
    pub fn send(
        &mut self,
        now: Instant,
        relay: SocketAddr,
        peer: SocketAddr,
        segments: &[u8],
        segment_size: usize,
        out: &mut Vec<u8>,
    ) -> Option<Wrapped> {
        let segment_size = NonZeroU16::new(u16::try_from(segment_size).ok()?)?;
        let mut turns = self.servers.iter_mut().filter_map(Server::turn);
        let turn = turns.find(|turn| turn.relay() == Some(relay))?;
        let wrapped = turn.wrap(now, canonical(peer), segments, segment_size, out);
        if turn.take_urgent() {
            self.wake = now;
        }
        wrapped
    }
}
