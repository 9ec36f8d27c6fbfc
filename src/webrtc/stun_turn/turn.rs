//! One allocation on one TURN server (RFC 8656), shared by all sessions.
//!
//! ```text
//!            wanted               granted       lost: refused, silent, forgotten
//!   Resting ───────▶ Allocating ─────────▶ Up ────────────────────────────────▶ Resting
//!                      │      ▲             │ no longer wanted
//!             there is │      │             ▼
//!          one already ▼      │          Closing ─────────▶ Resting
//!                     Reclaiming
//! ```

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use super::asks::{Answer, Asks};
use super::name::Name;
use super::outbox::{Kind, Outbox};
use super::peers::{Peers, Route};
use super::status::ServerProblem;
use super::wire::{self, Ask, Reply, Verdict};

/// For how long we ask the server to relay: the default of RFC 8656 §7.1, so that an allocation
/// we could not end is soon gone.
const LIFETIME: Duration = Duration::from_secs(600);

/// What keeps an allocation, and what ends it.
const REFRESH: Ask = Ask::Refresh(LIFETIME);
const END: Ask = Ask::Refresh(Duration::ZERO);

/// The allocation is refreshed far more often than its lifetime asks for: the refresh also keeps
/// the NAT's mapping towards the server, and is how a restarted server is noticed.
const REFRESH_EVERY: Duration = super::binding::REFRESH_EVERY;

/// Pause after a server said no. Its quota, its clock or its users may change; a minute is what
/// RFC 8656 §7.4 asks for where it is full.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// Pauses after silence or loss grow to this; every try is itself 40 s long.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A server that still holds an allocation for our address and port is asked to end it, and then
/// for a new one, this often. coturn takes a second or two to let go.
const MAX_RECLAIMS: u8 = 4;
const RECLAIM_PAUSE: Duration = Duration::from_secs(1);

/// RFC 8656 §18: there is no such allocation, or, asking for one, there is one already.
const ALLOCATION_MISMATCH: u16 = 437;

/// Our conversation with one TURN server.
pub(super) struct Turn {
    /// The address in use, or used last.
    server: Option<SocketAddr>,
    state: State,
    asks: Asks,
    peers: Peers,
    /// Failures since it last worked for a while.
    failures: u32,
    /// How often [`State::Reclaiming`] was tried since the last allocation or failure.
    reclaims: u8,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing on the server that we know of, and no new try before this moment.
    Resting(Instant),
    Allocating,
    /// An allocation we know nothing of is being ended: of a daemon that ran here before and was
    /// killed, or our own that the server is slow to let go.
    Reclaiming,
    Up(Allocation),
    Closing,
}

#[derive(Debug, Clone, Copy)]
struct Allocation {
    relay: SocketAddr,
    mapped: Option<SocketAddr>,
    expires: Instant,
    refresh: Instant,
}

/// Where wrapped packets go, and how long each of them is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrapped {
    /// The TURN server.
    pub to: SocketAddr,
    /// Length of every datagram appended but the last, which may be shorter.
    pub segment_size: usize,
}

impl Turn {
    pub(super) fn new(username: &str, password: &str, now: Instant) -> Self {
        Self {
            server: None,
            state: State::Resting(now),
            asks: Asks::new(username, password),
            peers: Peers::new(),
            failures: 0,
            reclaims: 0,
        }
    }

    pub(super) fn server(&self) -> Option<SocketAddr> {
        self.server
    }

    fn allocation(&self) -> Option<&Allocation> {
        match &self.state {
            State::Up(allocation) => Some(allocation),
            _ => None,
        }
    }

    pub(super) fn relay(&self) -> Option<SocketAddr> {
        self.allocation().map(|allocation| allocation.relay)
    }

    pub(super) fn mapped(&self) -> Option<SocketAddr> {
        self.allocation().and_then(|allocation| allocation.mapped)
    }

    /// Whether an answer that may bring a candidate is being waited for.
    pub(super) fn pending(&self) -> bool {
        matches!(self.state, State::Allocating | State::Reclaiming)
    }

    /// Whether nothing of ours is left on the server, as far as we know.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn at_rest(&self) -> bool {
        matches!(self.state, State::Resting(_))
    }

    /// Makes sure now that the server still knows us; the network may have changed.
    pub(super) fn refresh(&mut self, now: Instant) {
        match &mut self.state {
            State::Up(allocation) => {
                self.asks.forget(REFRESH);
                allocation.refresh = now;
            }
            State::Resting(until) => *until = now,
            State::Allocating | State::Reclaiming | State::Closing => {}
        }
    }

    pub(super) fn permit(&mut self, now: Instant, ip: IpAddr) {
        // A relay reaches only its own kind of address (RFC 8656 §9.2); before there is one,
        // IPv4 is what it will be.
        if self.relay().is_none_or(|relay| relay.is_ipv4()) == ip.is_ipv4() {
            self.peers.permit(now, ip);
        }
    }

    /// Whether a session has asked for something that is not under way yet.
    pub(super) fn take_urgent(&mut self) -> bool {
        self.peers.take_urgent() && self.allocation().is_some()
    }

    /// Appends `segments` to `out`, wrapped for `peer`. `None`: the peer is not permitted yet, or
    /// never will be.
    pub(super) fn wrap(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        segments: &[u8],
        segment_size: NonZeroU16,
        out: &mut Vec<u8>,
    ) -> Option<Wrapped> {
        let to = self.server?;
        if self.relay()?.is_ipv4() != peer.is_ipv4() {
            return None;
        }
        let segment_size = match self.peers.route(now, peer, segments.len()) {
            Route::Channel(number) => wire::wrap_in_channel(number, segments, segment_size, out),
            Route::Indication => wire::wrap_in_indication(peer, segments, segment_size, out)?,
            Route::Closed => return None,
        };
        Some(Wrapped { to, segment_size })
    }

    /// The relay and the peer of something that came on a channel.
    pub(super) fn received_on(
        &mut self,
        now: Instant,
        number: u16,
    ) -> Option<(SocketAddr, SocketAddr)> {
        let relay = self.relay()?;
        Some((relay, self.peers.received_on(now, number)?))
    }

    /// The relay, if something of `peer` may come through it.
    pub(super) fn received_from(&mut self, now: Instant, peer: SocketAddr) -> Option<SocketAddr> {
        let relay = self.relay()?;
        self.peers.received_from(now, peer.ip()).then_some(relay)
    }

    /// Does what is due. Returns when it is to be called again.
    pub(super) fn drive(
        &mut self,
        now: Instant,
        wanted: bool,
        name: &mut Name,
        out: &mut Outbox,
    ) -> Result<Option<Instant>, ServerProblem> {
        match self.state {
            State::Resting(until) if wanted && until <= now => {
                self.server = name.address();
                if self.server.is_none() {
                    return Ok(None);
                }
                self.state = State::Allocating;
                self.asks.ask(now, Ask::Allocate(LIFETIME));
            }
            State::Resting(until) => return Ok(wanted.then_some(until)),
            State::Up(_) if !wanted => {
                self.leave(out);
                self.state = State::Closing;
                self.asks.ask(now, END);
            }
            State::Up(allocation) => self.maintain(now, allocation),
            State::Allocating | State::Reclaiming | State::Closing => {}
        }
        self.transmit(now, name, out)?;
        Ok(self.wake())
    }

    /// Renews what is about to end.
    fn maintain(&mut self, now: Instant, allocation: Allocation) {
        if allocation.refresh <= now {
            self.state = State::Up(Allocation { refresh: now + REFRESH_EVERY, ..allocation });
            self.peers.sweep(now);
            if !self.asks.is_under_way(REFRESH) {
                self.asks.ask(now, REFRESH);
            }
        }
        while self.asks.has_room()
            && let Some(ask) = self.peers.next_ask(now)
        {
            self.asks.ask(now, ask);
        }
    }

    /// Sends what is due and draws conclusions from silence.
    fn transmit(
        &mut self,
        now: Instant,
        name: &mut Name,
        out: &mut Outbox,
    ) -> Result<(), ServerProblem> {
        let Some(server) = self.server else {
            return Ok(());
        };
        let expired = self.allocation().is_some_and(|a| a.expires <= now);
        let mut silent = expired;
        for ask in self.asks.transmit(now, server, out) {
            match ask {
                Ask::Permit(_) | Ask::Bind { .. } => self.peers.refused(now, ask),
                END if matches!(self.state, State::Closing) => self.rest(now),
                Ask::Binding | Ask::Allocate(_) | Ask::Refresh(_) => silent = true,
            }
        }
        if silent {
            name.move_on(now);
            self.lose(now, self.pause(), out);
            return Err(ServerProblem::Silent(server));
        }
        Ok(())
    }

    /// When there is something to do.
    fn wake(&self) -> Option<Instant> {
        let next = match self.state {
            State::Up(allocation) => Some(allocation.refresh.min(allocation.expires)),
            State::Resting(until) => Some(until),
            State::Allocating | State::Reclaiming | State::Closing => None,
        };
        let peers = self.allocation().is_some() && self.asks.has_room();
        let peers = peers.then(|| self.peers.due()).flatten();
        [next, self.asks.due(), peers].into_iter().flatten().min()
    }

    /// Takes an answer if it is ours.
    pub(super) fn reply(
        &mut self,
        now: Instant,
        reply: &Reply<'_>,
        out: &mut Outbox,
    ) -> Option<Result<(), ServerProblem>> {
        Some(match self.asks.reply(now, reply)? {
            Answer::AskedAgain => Ok(()),
            Answer::Decided(ask, Verdict::Refused { code, reason, .. }) => {
                self.refused(now, ask, code, reason, out)
            }
            Answer::Decided(ask, Verdict::Granted { mapped, relayed, lifetime }) => match ask {
                Ask::Allocate(_) => self.allocated(now, mapped, relayed, lifetime, out),
                Ask::Refresh(_) => {
                    self.refreshed(now, lifetime);
                    Ok(())
                }
                Ask::Binding | Ask::Permit(_) | Ask::Bind { .. } => {
                    self.peers.granted(now, ask);
                    Ok(())
                }
            },
        })
    }

    fn allocated(
        &mut self,
        now: Instant,
        mapped: Option<SocketAddr>,
        relayed: Option<SocketAddr>,
        lifetime: Option<Duration>,
        out: &mut Outbox,
    ) -> Result<(), ServerProblem> {
        let (Some(relay), Some(lifetime), Some(server)) = (relayed, lifetime, self.server) else {
            self.lose(now, PAUSE_AFTER_REFUSAL, out);
            return Err(ServerProblem::Nonsense("it does not say where it relays"));
        };
        self.state = State::Up(Allocation {
            relay,
            mapped,
            expires: now + lifetime,
            refresh: now + REFRESH_EVERY.min(lifetime / 2),
        });
        self.reclaims = 0;
        out.gained(Kind::Relay, relay, server);
        if let Some(mapped) = mapped {
            out.gained(Kind::ServerReflexive, mapped, server);
        }
        Ok(())
    }

    fn refreshed(&mut self, now: Instant, lifetime: Option<Duration>) {
        match &mut self.state {
            State::Up(allocation) => {
                let lifetime = lifetime.unwrap_or(LIFETIME);
                allocation.expires = now + lifetime;
                allocation.refresh = now + REFRESH_EVERY.min(lifetime / 2);
                self.failures = 0;
            }
            State::Reclaiming => self.state = State::Resting(now + RECLAIM_PAUSE),
            State::Closing => self.rest(now),
            State::Resting(_) | State::Allocating => {}
        }
    }

    fn refused(
        &mut self,
        now: Instant,
        ask: Ask,
        code: u16,
        reason: String,
        out: &mut Outbox,
    ) -> Result<(), ServerProblem> {
        let problem = match code {
            401 | 438 => ServerProblem::Credentials,
            _ => ServerProblem::Refused { code, reason },
        };
        match (self.state, ask, code) {
            (State::Allocating, Ask::Allocate(_), ALLOCATION_MISMATCH)
                if self.reclaims < MAX_RECLAIMS =>
            {
                self.reclaims += 1;
                self.state = State::Reclaiming;
                self.asks.ask(now, END);
                Ok(())
            }
            (State::Reclaiming, END, ALLOCATION_MISMATCH) => {
                self.state = State::Resting(now + RECLAIM_PAUSE);
                Ok(())
            }
            (State::Closing, END, _) => {
                self.rest(now);
                Ok(())
            }
            // The server has restarted, or sees us at another address than before.
            (State::Up(_), _, ALLOCATION_MISMATCH) => {
                self.lose(now, self.pause(), out);
                Err(ServerProblem::Lost)
            }
            (_, Ask::Permit(_) | Ask::Bind { .. }, _) => {
                log::debug!("the relay refuses {ask:?}: {problem}");
                self.peers.refused(now, ask);
                Ok(())
            }
            _ => {
                self.lose(now, PAUSE_AFTER_REFUSAL, out);
                Err(problem)
            }
        }
    }

    /// The pause before the next try: none the first time, then ever longer.
    fn pause(&self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            n => Duration::from_secs(1 << n.min(10)).min(LONGEST_PAUSE),
        }
    }

    /// The allocation is gone, or there will be none for now.
    fn lose(&mut self, now: Instant, pause: Duration, out: &mut Outbox) {
        self.leave(out);
        self.failures += 1;
        self.reclaims = 0;
        self.state = State::Resting(now + pause);
    }

    /// The allocation was ended on purpose.
    fn rest(&mut self, now: Instant) {
        self.failures = 0;
        self.state = State::Resting(now);
    }

    /// Takes candidates and peers back.
    fn leave(&mut self, out: &mut Outbox) {
        self.asks.clear();
        self.peers.reset();
        if let (Some(allocation), Some(server)) = (self.allocation(), self.server) {
            out.lost(Kind::Relay, allocation.relay, server);
            if let Some(mapped) = allocation.mapped {
                out.lost(Kind::ServerReflexive, mapped, server);
            }
        }
    }
}
