//! How often passwords may be tried.
//!
//! Each attempt costs the camera a good part of a second, so there are sixty a minute in all, and ten
//! for each client. Who counts as one client depends: a browser that has signed in before is
//! recognized by a cookie of its own, and an address from which somebody has signed in, by itself;
//! everybody else counts by network. When more clients ask than there are attempts, those that are
//! recognized come first, then those that have asked least, and among equals chance decides. So
//! nobody who guesses passwords keeps the owner out, from however many addresses. It has no clock:
//! the caller says what time it is.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::sign_in_sessions::CredentialId;
use crate::web::network_of;

/// Attempts of one client in [`WINDOW`], and of a site: the IPv6 networks of one household.
const MAX_ATTEMPTS: usize = 10;
const MAX_ATTEMPTS_OF_SITE: usize = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// Attempts in all: this many at once, then one per [`REFILL`]; sixty in any minute.
const BURST: u32 = 10;
const REFILL: Duration = Duration::from_millis(1200);

/// For how long it counts how often a client has asked.
const HISTORY_LEN: Duration = Duration::from_secs(600);

/// Most clients that are remembered; past it, the one not heard of for longest is forgotten.
const MAX_KEYS: usize = 1024;

/// Most clients that wait at once, and most of those that count as one.
const MAX_WAITING: usize = 128;
const MAX_WAITING_OF_KEY: usize = 4;

/// Addresses from which somebody has signed in.
const MAX_KNOWN_ADDRESSES: usize = 32;

/// How long a client waits for its turn.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(5);

/// Come back after this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyAttempts(pub(super) Duration);

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Try the password.
    Proceed,
    /// Ask again after this long.
    Wait(Duration),
}

/// A client that wants to try a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    /// The browser, if it has signed in before.
    pub(super) browser: Option<CredentialId>,
}

/// Names a client that waits.
pub(super) type Ticket = u64;

/// Whom attempts are counted for. The first come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum LimitKey {
    Browser(CredentialId),
    Address(IpAddr),
    Network(IpAddr),
    /// Many networks of one site.
    Site(IpAddr),
}

impl LimitKey {
    fn is_known(&self) -> bool {
        matches!(self, Self::Browser(_) | Self::Address(_))
    }

    fn max_attempts(&self) -> usize {
        if matches!(self, Self::Site(_)) { MAX_ATTEMPTS_OF_SITE } else { MAX_ATTEMPTS }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct LoginLimiter {
    histories: HashMap<LimitKey, History>,
    /// The latest last.
    known_addresses: VecDeque<IpAddr>,
    waiting: Vec<Waiter>,
    next_ticket: Ticket,
    /// When all attempts will be available again.
    full_at: Option<Instant>,
}

/// What a client has done lately.
#[derive(Debug, Default)]
struct History {
    /// Passwords tried.
    attempts: Vec<Instant>,
    /// Turns asked for.
    requests: Vec<Instant>,
    last: Option<Instant>,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    key: LimitKey,
    site: Option<LimitKey>,
    since: Instant,
    rank: Rank,
}

/// The lower, the sooner it is one's turn.
type Rank = (bool, bool, usize, u32);

impl LoginLimiter {
    /// Queues a client; `tie_breaker` decides among equals.
    pub(super) fn enqueue(
        &mut self,
        client: Client,
        tie_breaker: u32,
        now: Instant,
    ) -> Result<Ticket, TooManyAttempts> {
        let (key, site) = (self.key(client), site_of(client));
        let site = site.filter(|_| !key.is_known());
        for one in keys(key, site) {
            self.record_request(one, now);
            self.check_attempts_left(one, now)?;
        }
        let ticket = self.next_ticket;
        let rank = self.rank(key, site, tie_breaker, now);
        // Of those who count as one, the tie-breaker decides who waits.
        let same: Vec<&Waiter> = self.waiting.iter().filter(|w| w.key == key).collect();
        let crowd = if same.len() >= MAX_WAITING_OF_KEY {
            same
        } else if self.waiting.len() >= MAX_WAITING {
            self.waiting.iter().collect()
        } else {
            Vec::new()
        };
        match crowd.into_iter().map(|w| (w.rank, w.ticket)).max() {
            Some((last, _)) if last <= rank => return Err(TooManyAttempts(REFILL)),
            Some((_, last)) => self.cancel(last),
            None => {}
        }
        self.next_ticket += 1;
        self.waiting.push(Waiter { ticket, key, site, since: now, rank });
        Ok(ticket)
    }

    /// Whether it is this ticket's turn. Taking the turn ends the waiting.
    pub(super) fn poll(
        &mut self,
        ticket: Ticket,
        now: Instant,
    ) -> Result<Decision, TooManyAttempts> {
        let Some(waiter) = self.waiting.iter().find(|w| w.ticket == ticket) else {
            return Err(TooManyAttempts(REFILL));
        };
        let (since, key, site) = (waiter.since, waiter.key, waiter.site);
        let ready_at = self.ready_at(now);
        let first = self.waiting.iter().map(|w| (w.rank, w.ticket)).min().map(|(_, first)| first);
        if now >= ready_at && first == Some(ticket) {
            self.cancel(ticket);
            // Others who count as the same may have tried meanwhile.
            for one in keys(key, site) {
                self.check_attempts_left(one, now)?;
            }
            self.full_at = Some(self.full_at.map_or(now, |at| at.max(now)) + REFILL);
            for one in keys(key, site) {
                if let Some(history) = self.histories.get_mut(&one) {
                    history.attempts.push(now);
                }
            }
            return Ok(Decision::Proceed);
        }
        let wait = ready_at.saturating_duration_since(now).max(REFILL / 12);
        if now + wait > since + MAX_WAIT {
            self.cancel(ticket);
            return Err(TooManyAttempts(MAX_WAIT));
        }
        Ok(Decision::Wait(wait))
    }

    /// Whether `one` has an attempt left in this minute.
    fn check_attempts_left(&mut self, one: LimitKey, now: Instant) -> Result<(), TooManyAttempts> {
        // One that was forgotten meanwhile has as many as a newcomer.
        let Some(History { attempts, .. }) = self.histories.get_mut(&one) else { return Ok(()) };
        attempts.retain(|at| now < *at + WINDOW);
        match attempts.first() {
            Some(oldest) if attempts.len() >= one.max_attempts() => {
                Err(TooManyAttempts(*oldest + WINDOW - now))
            }
            _ => Ok(()),
        }
    }

    /// Forgets the addresses from which somebody has signed in.
    pub(super) fn forget_addresses(&mut self) {
        self.known_addresses.clear();
    }

    /// Whoever holds this ticket waits no longer.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        self.waiting.retain(|w| w.ticket != ticket);
    }

    /// `client` knew the password: its earlier attempts no longer count, and from now on it comes
    /// first.
    pub(super) fn reset(&mut self, client: Client) {
        self.histories.remove(&self.key(client));
        let address = client.address.to_canonical();
        self.known_addresses.retain(|known| *known != address);
        if self.known_addresses.len() == MAX_KNOWN_ADDRESSES {
            self.known_addresses.pop_front();
        }
        self.known_addresses.push_back(address);
    }

    fn key(&self, Client { address, browser }: Client) -> LimitKey {
        let address = address.to_canonical();
        match browser {
            Some(number) => LimitKey::Browser(number),
            None if self.known_addresses.contains(&address) => LimitKey::Address(address),
            None => LimitKey::Network(network_of(address)),
        }
    }

    /// When the next attempt is available.
    fn ready_at(&self, now: Instant) -> Instant {
        let full = self.full_at.unwrap_or(now);
        full.checked_sub(REFILL * (BURST - 1)).unwrap_or(now).max(now)
    }

    fn rank(&self, key: LimitKey, site: Option<LimitKey>, tie_breaker: u32, now: Instant) -> Rank {
        let asked = |key: LimitKey| {
            let asked = self.histories.get(&key).map(|m| m.requests.as_slice());
            asked.unwrap_or_default().iter().filter(|at| now < **at + HISTORY_LEN).count()
        };
        // A site may hold several networks that have done no harm.
        let asked = asked(key).max(site.map_or(0, asked) / 2);
        let is_browser = matches!(key, LimitKey::Browser(_));
        (!is_browser, !key.is_known(), asked, tie_breaker)
    }

    fn record_request(&mut self, key: LimitKey, now: Instant) {
        if self.histories.len() >= MAX_KEYS && !self.histories.contains_key(&key) {
            let longest = self.histories.iter().min_by_key(|(_, m)| m.last);
            if let Some(longest) = longest.map(|(key, _)| *key) {
                self.histories.remove(&longest);
            }
        }
        let history = self.histories.entry(key).or_default();
        history.last = Some(now);
        let requests = &mut history.requests;
        requests.retain(|at| now < *at + HISTORY_LEN);
        // More than this says nothing new, and would let a flood grow the list.
        if requests.len() < 64 {
            requests.push(now);
        }
    }
}

/// All that an attempt counts for.
fn keys(key: LimitKey, site: Option<LimitKey>) -> impl Iterator<Item = LimitKey> {
    std::iter::once(key).chain(site)
}

/// The /56 that an IPv6 address is in: from so many networks, a household chooses (RFC 6177 §2).
fn site_of(client: Client) -> Option<LimitKey> {
    match network_of(client.address) {
        IpAddr::V6(network) => {
            let site = network.to_bits() >> 72 << 72;
            Some(LimitKey::Site(Ipv6Addr::from_bits(site).into()))
        }
        IpAddr::V4(_) => None,
    }
}

#[cfg(test)]
mod tests;
