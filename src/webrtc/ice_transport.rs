//! The way to viewers: the UDP socket, TCP, and the STUN and TURN servers, as one.
//!
//! Sessions send and receive here without knowing whether a datagram goes straight to the viewer
//! or through a relay, and the engine asks here for the addresses to name in an answer.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use str0m::Candidate;
use str0m::net::Protocol;
use tokio::sync::mpsc;

use super::candidates::{Addresses, SignallingPath, may_be_checked};
use super::path::{Path, Remote};
use super::stun_turn::{Handled, IceServer, Kind, Poll, ServerId, Servers};
use super::tcp::{Arrived, Tcp};
use super::udp::{Received, UdpTransport};

/// What a name server answered.
type Resolved = (ServerId, Vec<SocketAddr>);

/// How often it is looked whether this machine's addresses have changed. Servers are asked then what
/// they see; they are anyway, every 25 s.
const COMPARE_EVERY: Duration = Duration::from_secs(5);

/// Names looked up at once, at most; there are as many as servers in the configuration.
const LOOKUPS: usize = 16;

pub(super) struct IceTransport {
    udp: UdpTransport,
    /// Where viewers may connect by TCP.
    tcp: Option<Tcp>,
    /// What came by TCP and was waited for.
    arrived: Option<Arrived>,
    addresses: Addresses,
    servers: Servers,
    /// Which list of servers is in use: an answer about a former list is of no use.
    generation: u64,
    resolved: mpsc::Receiver<(u64, Resolved)>,
    resolver: mpsc::Sender<(u64, Resolved)>,
    /// Addresses on TURN servers that sessions may send from.
    relays: Vec<SocketAddr>,
    wake: Instant,
    /// When this machine's addresses are compared next, for the servers' sake.
    compare_at: Instant,
    sessions: usize,
    wrapped: Vec<u8>,
}

impl IceTransport {
    pub(super) fn new(
        udp: UdpTransport,
        tcp: Option<Tcp>,
        announce: Vec<IpAddr>,
        servers: &[IceServer],
        now: Instant,
    ) -> Self {
        let (resolver, resolved) = mpsc::channel(LOOKUPS);
        Self {
            addresses: Addresses::new(udp.port(), udp.ipv6(), tcp.is_some(), announce),
            servers: Servers::new(servers, now),
            udp,
            tcp,
            arrived: None,
            generation: 0,
            resolved,
            resolver,
            relays: Vec::new(),
            wake: now,
            compare_at: now,
            sessions: 0,
            wrapped: Vec::new(),
        }
    }

    /// Uses other servers from now on. Sessions that go through a former relay lose it, and
    /// restart ICE.
    pub(super) fn set_servers(&mut self, servers: &[IceServer], now: Instant) {
        self.close(now);
        self.relays.clear();
        self.generation += 1;
        self.servers = Servers::new(servers, now);
        self.servers.set_sessions(now, self.sessions);
        self.serve(now);
    }

    /// Waits until there is something to read or a name was resolved.
    pub(super) async fn ready(&mut self, now: impl Fn() -> Instant) {
        let by_tcp = async {
            match &mut self.tcp {
                Some(tcp) => tcp.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.udp.readable() => {}
            arrived = by_tcp => self.arrived = arrived,
            Some((generation, (id, addresses))) = self.resolved.recv() => {
                if generation == self.generation {
                    self.servers.resolved(now(), id, addresses);
                    self.serve(now());
                }
            }
        }
    }

    /// When [`IceTransport::serve`] is to be called next.
    pub(super) fn wake_at(&self) -> Instant {
        self.wake
    }

    /// How many sessions there are, answered or waiting for their answer.
    pub(super) fn set_sessions(&mut self, sessions: usize, now: Instant) {
        if self.sessions != sessions {
            self.sessions = sessions;
            self.servers.set_sessions(now, sessions);
            self.serve(now);
        }
    }

    /// A viewer may be at these addresses: relays are to let it through.
    pub(super) fn permit(&mut self, candidates: &[Candidate], viewer: IpAddr, now: Instant) {
        for candidate in candidates.iter().filter(|c| may_be_checked(c, viewer)) {
            self.servers.permit(now, candidate.addr().ip());
        }
        self.serve(now);
    }

    /// Whether a server's first answer is still under way.
    pub(super) fn gathering(&self) -> bool {
        self.servers.gathering()
    }

    /// Every address at which a viewer whose request came this way may reach us.
    pub(super) fn candidates(&self, path: SignallingPath) -> Vec<Candidate> {
        let mut candidates = self.addresses.candidates(path);
        let bases: Vec<SocketAddr> = candidates.iter().map(Candidate::addr).collect();
        for found in self.servers.candidates() {
            let of_family = |base: &&SocketAddr| base.is_ipv4() == found.address.is_ipv4();
            let Some(base) = bases.iter().find(of_family) else {
                continue;
            };
            let candidate = match found.kind {
                Kind::ServerReflexive => Candidate::server_reflexive(found.address, *base, "udp"),
                Kind::Relay => Candidate::relayed(found.address, *base, "udp"),
            };
            let known = |c: &Candidate| {
                candidates.iter().any(|k| k.addr() == c.addr() && k.proto() == c.proto())
            };
            let new = candidate.ok().filter(|c| !known(c));
            candidates.extend(new);
        }
        candidates
    }

    /// Does what the servers need done.
    pub(super) fn serve(&mut self, now: Instant) {
        if now >= self.compare_at && !self.servers.is_empty() {
            self.compare_at = now + COMPARE_EVERY;
            if self.addresses.have_changed() {
                log::debug!("this machine has other addresses now");
                self.servers.network_changed(now);
            }
        }
        loop {
            match self.servers.poll(now) {
                Poll::Transmit { to, bytes } => self.udp.send(None, to, &bytes, bytes.len()),
                Poll::Gained(candidate) => {
                    log::info!("reachable at {} ({})", candidate.address, candidate.kind);
                    if candidate.kind == Kind::Relay {
                        self.relays.push(candidate.address);
                    }
                }
                Poll::Lost(candidate) => {
                    let (address, kind) = (candidate.address, candidate.kind);
                    log::info!("no longer reachable at {address} ({kind})");
                    self.relays.retain(|relay| *relay != address);
                }
                Poll::Wait(until) => {
                    self.wake = match self.servers.is_empty() {
                        true => until,
                        false => until.min(self.compare_at),
                    };
                    break;
                }
            }
        }
        for lookup in self.servers.wanted_lookups(now) {
            let (resolver, generation) = (self.resolver.clone(), self.generation);
            let ipv6 = self.udp.ipv6();
            tokio::spawn(async move {
                let found = tokio::net::lookup_host((lookup.host.as_str(), lookup.port)).await;
                let usable = found.into_iter().flatten().filter(|a| a.is_ipv4() || ipv6);
                let answer = (lookup.server, usable.collect());
                let _ = resolver.send((generation, answer)).await;
            });
        }
    }

    /// Gives relays back, as far as that goes without waiting for an answer.
    pub(super) fn close(&mut self, now: Instant) {
        self.servers.close(now);
        self.serve(now);
    }

    /// Reads what has come; `each` gets what is for the sessions, and says whether one has
    /// recognized its viewer. False when nothing had come.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        mut each: impl FnMut(Path, &[u8]) -> bool,
    ) -> std::io::Result<bool> {
        let by_tcp = self.receive_tcp(&mut each);
        let Self { udp, servers, .. } = self;
        let mut served = false;
        let more = udp.receive(|received| {
            let Received { source, destination, datagrams } = received;
            for datagram in datagrams {
                let by_udp = |local, remote| Path { protocol: Protocol::Udp, local, remote };
                match servers.handle(now, source, datagram) {
                    Handled::NotMine => drop(each(by_udp(destination, source), datagram)),
                    Handled::Consumed => served = true,
                    Handled::Relayed { relay, peer, data } => drop(each(by_udp(relay, peer), data)),
                }
            }
        })?;
        if served {
            self.serve(now);
        }
        Ok(more || by_tcp)
    }

    /// One datagram, so that no connection keeps the others waiting.
    fn receive_tcp(&mut self, each: &mut impl FnMut(Path, &[u8]) -> bool) -> bool {
        let Some(tcp) = &mut self.tcp else { return false };
        let Some(arrived) = self.arrived.take().or_else(|| tcp.try_next()) else { return false };
        let Arrived { local, remote, datagram } = arrived;
        if each(Path { protocol: Protocol::Tcp, local, remote }, &datagram) {
            tcp.recognize(remote);
        }
        true
    }

    /// These addresses are no session's any more.
    pub(super) fn forget(&self, remotes: &[Remote]) {
        let Some(tcp) = &self.tcp else { return };
        for (protocol, remote) in remotes {
            if *protocol == Protocol::Tcp {
                tcp.close(*remote);
            }
        }
    }

    /// Sends on a path that begins at an address of ours or at a relay's.
    pub(super) fn send(&mut self, path: Path, bytes: &[u8], segment: usize) {
        let Path { protocol, local: source, remote: destination } = path;
        if protocol != Protocol::Udp {
            let sent = self.tcp.as_ref().is_some_and(|tcp| tcp.send(destination, bytes, segment));
            if !sent {
                self.udp.dropped += bytes.len().div_ceil(segment.max(1)) as u64;
            }
            return;
        }
        if !self.relays.contains(&source) {
            let source = Some(source.ip());
            return self.udp.send(source, destination, bytes, segment);
        }
        self.wrapped.clear();
        let (now, wrapped) = (Instant::now(), &mut self.wrapped);
        let sent = self.servers.send(now, source, destination, bytes, segment, wrapped);
        if let Some(envelope) = sent {
            self.udp.send(None, envelope.to, &self.wrapped, envelope.segment_size);
        }
        if self.wake <= now {
            self.serve(now);
        }
    }

    /// Datagrams the kernel had no room for.
    pub(super) fn dropped(&self) -> u64 {
        self.udp.dropped
    }
}
