//! From a server's name to an address that answers. The looking up itself happens outside.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::canonical::canonical;
use super::url::{Host, ServerUrl};

/// Names are looked up again this often: a server that moved is found, and a provider that spreads
/// load by DNS is asked again.
const LOOK_UP_EVERY: Duration = Duration::from_secs(300);

/// Pauses after failed lookups: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LAST_PAUSE: Duration = LOOK_UP_EVERY;

/// Where a server is, as far as is known.
#[derive(Debug)]
pub(super) struct Name {
    /// In the order they are tried.
    addresses: Vec<SocketAddr>,
    /// How often the next address was moved to; the address in turn is this modulo their number.
    moves: usize,
    lookup: Lookup,
}

#[derive(Debug)]
enum Lookup {
    /// The address was written in the URL.
    Needless,
    Due {
        at: Instant,
        pause: Duration,
    },
    /// Handed out; the answer will come.
    Asked {
        pause: Duration,
    },
}

impl Name {
    pub(super) fn new(url: &ServerUrl, now: Instant) -> Self {
        match url.host {
            Host::Address(ip) => Self {
                addresses: vec![canonical(SocketAddr::new(ip, url.port))],
                moves: 0,
                lookup: Lookup::Needless,
            },
            Host::Name(_) => Self {
                addresses: Vec::new(),
                moves: 0,
                lookup: Lookup::Due { at: now, pause: FIRST_PAUSE },
            },
        }
    }

    /// The address to try now.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let count = self.addresses.len().max(1);
        self.addresses.get(self.moves % count).copied()
    }

    /// The address did not answer: the next one is in turn. When all have failed the name is
    /// looked up again, unless that has just been tried.
    pub(super) fn move_on(&mut self, now: Instant) {
        self.moves += 1;
        if let Lookup::Due { at, pause } = &mut self.lookup
            && self.moves.is_multiple_of(self.addresses.len().max(1))
        {
            *at = (*at).min(now + *pause);
        }
    }

    /// Whether a lookup is due; it then counts as asked.
    pub(super) fn take_lookup(&mut self, now: Instant) -> bool {
        match self.lookup {
            Lookup::Due { at, pause } if at <= now => {
                self.lookup = Lookup::Asked { pause };
                true
            }
            _ => false,
        }
    }

    /// When a lookup is due.
    pub(super) fn lookup_at(&self) -> Option<Instant> {
        match self.lookup {
            Lookup::Due { at, .. } => Some(at),
            Lookup::Needless | Lookup::Asked { .. } => None,
        }
    }

    /// The result of a lookup; empty if it failed. Addresses known before are kept then: a name
    /// server that is away does not make a server move.
    pub(super) fn resolved(&mut self, now: Instant, addresses: Vec<SocketAddr>) {
        let pause = match self.lookup {
            Lookup::Asked { pause } | Lookup::Due { pause, .. } => pause,
            Lookup::Needless => return,
        };
        if addresses.is_empty() {
            self.lookup = Lookup::Due { at: now + pause, pause: (pause * 2).min(LAST_PAUSE) };
            return;
        }
        let mut addresses: Vec<_> = addresses.into_iter().map(canonical).collect();
        // IPv4 first: that is where the NATs are, so its mapped address is the one of use, and
        // relays hand out IPv4 addresses unless asked otherwise (RFC 8656 §7.2).
        addresses.sort_by_key(SocketAddr::is_ipv6);
        if addresses != self.addresses {
            self.addresses = addresses;
            self.moves = 0;
        }
        self.lookup = Lookup::Due { at: now + LOOK_UP_EVERY, pause: FIRST_PAUSE };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(now: Instant) -> Name {
        Name::new(&ServerUrl::parse("stun:example.org").unwrap(), now)
    }

    fn addresses(of: &[&str]) -> Vec<SocketAddr> {
        of.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_is_never_looked_up() {
        let now = Instant::now();
        let mut name = Name::new(&ServerUrl::parse("stun:192.0.2.1").unwrap(), now);
        assert_eq!(name.address(), Some("192.0.2.1:3478".parse().unwrap()));
        assert!(!name.take_lookup(now));
        name.move_on(now);
        assert_eq!(name.address(), Some("192.0.2.1:3478".parse().unwrap()));
        assert_eq!(name.lookup_at(), None);
    }

    #[test]
    fn failed_lookups_are_repeated_ever_more_slowly() {
        let start = Instant::now();
        let (mut name, mut now, mut pauses) = (named(start), start, vec![]);
        for _ in 0..9 {
            assert!(name.take_lookup(now));
            assert!(!name.take_lookup(now), "handed out once");
            name.resolved(now, vec![]);
            let next = name.lookup_at().unwrap();
            pauses.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn ipv4_addresses_are_tried_first_and_then_the_others_in_turn() {
        let now = Instant::now();
        let mut name = named(now);
        assert_eq!(name.address(), None);
        assert!(name.take_lookup(now));
        let given = addresses(&["[2001:db8::1]:1", "192.0.2.1:1", "[::ffff:192.0.2.2]:1"]);
        name.resolved(now, given);
        let expected = addresses(&["192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1"]);
        for address in &expected {
            assert_eq!(name.lookup_at(), Some(now + LOOK_UP_EVERY));
            assert_eq!(name.address().as_ref(), Some(address));
            name.move_on(now);
        }
        assert_eq!(name.address(), Some(expected[0]));
        assert_eq!(name.lookup_at(), Some(now + FIRST_PAUSE));
    }

    #[test]
    fn a_name_server_that_is_away_does_not_lose_the_address() {
        let now = Instant::now();
        let mut name = named(now);
        assert!(name.take_lookup(now));
        name.resolved(now, addresses(&["192.0.2.1:1"]));
        let later = now + LOOK_UP_EVERY;
        assert!(name.take_lookup(later));
        name.resolved(later, vec![]);
        assert_eq!(name.address(), Some("192.0.2.1:1".parse().unwrap()));
    }
}
