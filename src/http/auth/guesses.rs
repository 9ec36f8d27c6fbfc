//! How often passwords may be tried.
//!
//! Each try costs the camera a good part of a second, so there are sixty a minute in all, and for
//! each who asks ten. Who that is depends: a browser that has signed in before is known by a cookie
//! of its own, and an address from which somebody has signed in, by itself; everybody else counts by
//! network. When there are more who ask than tries, those whom we know come first, then those who
//! have asked least, and among equals chance decides. So nobody who guesses keeps the owner out,
//! from however many addresses. A machine without clock: the caller says what time it is.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::sessions::Number;
use crate::web::network_of;

/// Tries one has in [`MINUTE`], and a network of IPv6 networks, as a household is given.
const OF_ONE: usize = 10;
const OF_SITE: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);

/// Tries in all: this many at once, then one per [`REFILL`]; sixty in any minute.
const BURST: u32 = 10;
const REFILL: Duration = Duration::from_millis(1200);

/// For how long it counts how often one has asked.
const MEMORY: Duration = Duration::from_secs(600);

/// Of so many it is remembered; past it, the one not heard of for longest is forgotten.
const MAX_REMEMBERED: usize = 1024;

/// Who may wait for a turn at once, and how many of those who count as one.
const MAX_WAITING: usize = 128;
const MAX_WAITING_OF_ONE: usize = 4;

/// Addresses from which somebody has signed in.
const MAX_KNOWN: usize = 32;

/// How long one waits for a turn.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Come back after this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany(pub(super) Duration);

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Try the password.
    Now,
    /// Ask again after this long.
    In(Duration),
}

/// Somebody who wants to try a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) address: IpAddr,
    /// The browser, if it has signed in before.
    pub(super) browser: Option<Number>,
}

/// Names somebody who waits.
pub(super) type Ticket = u64;

/// Whom tries are counted for. The first are worth most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Browser(Number),
    Address(IpAddr),
    Network(IpAddr),
    /// Many networks of one site.
    Site(IpAddr),
}

impl Who {
    fn is_known(&self) -> bool {
        matches!(self, Self::Browser(_) | Self::Address(_))
    }

    fn most(&self) -> usize {
        if matches!(self, Self::Site(_)) { OF_SITE } else { OF_ONE }
    }
}

#[derive(Debug, Default)]
pub(super) struct Guesses {
    remembered: HashMap<Who, Memory>,
    /// The latest last.
    known: VecDeque<IpAddr>,
    waiting: Vec<Waiter>,
    next_ticket: Ticket,
    /// When the tries used up will all be there again.
    full_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Memory {
    tried: Vec<Instant>,
    asked: Vec<Instant>,
    last: Option<Instant>,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    who: Who,
    site: Option<Who>,
    since: Instant,
    rank: Rank,
}

/// The lower, the sooner it is one's turn.
type Rank = (bool, bool, usize, u32);

impl Guesses {
    /// Queues somebody; `lot` decides among equals.
    pub(super) fn ask(&mut self, asker: Asker, lot: u32, now: Instant) -> Result<Ticket, TooMany> {
        let (who, site) = (self.who(asker), site_of(asker));
        let site = site.filter(|_| !who.is_known());
        for one in counted(who, site) {
            self.remember(one, now);
            self.expect_left(one, now)?;
        }
        let ticket = self.next_ticket;
        let rank = self.rank(who, site, lot, now);
        // Of those who count as one, the lot decides who waits.
        let same: Vec<&Waiter> = self.waiting.iter().filter(|w| w.who == who).collect();
        let crowd = if same.len() >= MAX_WAITING_OF_ONE {
            same
        } else if self.waiting.len() >= MAX_WAITING {
            self.waiting.iter().collect()
        } else {
            Vec::new()
        };
        match crowd.into_iter().map(|w| (w.rank, w.ticket)).max() {
            Some((last, _)) if last <= rank => return Err(TooMany(REFILL)),
            Some((_, last)) => self.leave(last),
            None => {}
        }
        self.next_ticket += 1;
        self.waiting.push(Waiter { ticket, who, site, since: now, rank });
        Ok(ticket)
    }

    /// Whether it is the turn of who holds this ticket. Taking the turn ends the queueing.
    pub(super) fn turn(&mut self, ticket: Ticket, now: Instant) -> Result<Turn, TooMany> {
        let Some(waiter) = self.waiting.iter().find(|w| w.ticket == ticket) else {
            return Err(TooMany(REFILL));
        };
        let (since, who, site) = (waiter.since, waiter.who, waiter.site);
        let ready_at = self.ready_at(now);
        let first = self.waiting.iter().map(|w| (w.rank, w.ticket)).min().map(|(_, first)| first);
        if now >= ready_at && first == Some(ticket) {
            self.leave(ticket);
            // Others who count as the same may have tried meanwhile.
            for one in counted(who, site) {
                self.expect_left(one, now)?;
            }
            self.full_at = Some(self.full_at.map_or(now, |at| at.max(now)) + REFILL);
            for one in counted(who, site) {
                if let Some(memory) = self.remembered.get_mut(&one) {
                    memory.tried.push(now);
                }
            }
            return Ok(Turn::Now);
        }
        let wait = ready_at.saturating_duration_since(now).max(REFILL / 12);
        if now + wait > since + PATIENCE {
            self.leave(ticket);
            return Err(TooMany(PATIENCE));
        }
        Ok(Turn::In(wait))
    }

    /// Whether `one` has a try left in this minute.
    fn expect_left(&mut self, one: Who, now: Instant) -> Result<(), TooMany> {
        // Who was forgotten meanwhile has as many as a newcomer.
        let Some(Memory { tried, .. }) = self.remembered.get_mut(&one) else { return Ok(()) };
        tried.retain(|at| now < *at + MINUTE);
        match tried.first() {
            Some(oldest) if tried.len() >= one.most() => Err(TooMany(*oldest + MINUTE - now)),
            _ => Ok(()),
        }
    }

    /// Forgets from where somebody has signed in.
    pub(super) fn forget_known(&mut self) {
        self.known.clear();
    }

    /// Who holds this ticket waits no longer.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.waiting.retain(|w| w.ticket != ticket);
    }

    /// `asker` knew the password: what was tried before was no guessing, and who comes from there
    /// again comes first.
    pub(super) fn forgive(&mut self, asker: Asker) {
        self.remembered.remove(&self.who(asker));
        let address = asker.address.to_canonical();
        self.known.retain(|known| *known != address);
        if self.known.len() == MAX_KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(address);
    }

    fn who(&self, Asker { address, browser }: Asker) -> Who {
        let address = address.to_canonical();
        match browser {
            Some(number) => Who::Browser(number),
            None if self.known.contains(&address) => Who::Address(address),
            None => Who::Network(network_of(address)),
        }
    }

    /// When the next try is there.
    fn ready_at(&self, now: Instant) -> Instant {
        let full = self.full_at.unwrap_or(now);
        full.checked_sub(REFILL * (BURST - 1)).unwrap_or(now).max(now)
    }

    fn rank(&self, who: Who, site: Option<Who>, lot: u32, now: Instant) -> Rank {
        let asked = |who: Who| {
            let asked = self.remembered.get(&who).map(|m| m.asked.as_slice());
            asked.unwrap_or_default().iter().filter(|at| now < **at + MEMORY).count()
        };
        // A site may hold several networks that have done no harm.
        let asked = asked(who).max(site.map_or(0, asked) / 2);
        let is_browser = matches!(who, Who::Browser(_));
        (!is_browser, !who.is_known(), asked, lot)
    }

    fn remember(&mut self, who: Who, now: Instant) {
        if self.remembered.len() >= MAX_REMEMBERED && !self.remembered.contains_key(&who) {
            let longest = self.remembered.iter().min_by_key(|(_, m)| m.last);
            if let Some(longest) = longest.map(|(who, _)| *who) {
                self.remembered.remove(&longest);
            }
        }
        let memory = self.remembered.entry(who).or_default();
        memory.last = Some(now);
        let asked = &mut memory.asked;
        asked.retain(|at| now < *at + MEMORY);
        // More than this says nothing new, and would let a flood grow the list.
        if asked.len() < 64 {
            asked.push(now);
        }
    }
}

/// All that a try counts for.
fn counted(who: Who, site: Option<Who>) -> impl Iterator<Item = Who> {
    std::iter::once(who).chain(site)
}

/// The /56 that an IPv6 address is in: from so many networks, a household chooses (RFC 6177 §2).
fn site_of(asker: Asker) -> Option<Who> {
    match network_of(asker.address) {
        IpAddr::V6(network) => {
            let site = network.to_bits() >> 72 << 72;
            Some(Who::Site(Ipv6Addr::from_bits(site).into()))
        }
        IpAddr::V4(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Asker {
        Asker { address: address.parse().unwrap(), browser: None }
    }

    fn number(n: u32) -> Asker {
        Asker { address: std::net::Ipv4Addr::from(0xc000_0200 + n).into(), browser: None }
    }

    fn known(n: u8) -> Asker {
        Asker { browser: Some([n; 16]), ..at("203.0.113.1") }
    }

    const SECOND: Duration = Duration::from_secs(1);
    const TENTH: Duration = Duration::from_millis(100);

    /// A world in which some guess, and somebody wants to sign in.
    struct World {
        guesses: Guesses,
        now: Instant,
        lots: u32,
        waiting: Vec<Ticket>,
    }

    impl World {
        fn new() -> Self {
            let (guesses, now) = (Guesses::default(), Instant::now());
            Self { guesses, now, lots: 1, waiting: Vec::new() }
        }

        /// Numbers without a pattern, the same each time (xorshift).
        fn lot(&mut self) -> u32 {
            self.lots ^= self.lots << 13;
            self.lots ^= self.lots >> 17;
            self.lots ^= self.lots << 5;
            self.lots
        }

        fn ask(&mut self, asker: Asker) -> Result<Ticket, TooMany> {
            let lot = self.lot();
            self.guesses.ask(asker, lot, self.now)
        }

        fn attempt(&mut self, asker: Asker) -> Result<Turn, TooMany> {
            let ticket = self.ask(asker)?;
            self.guesses.turn(ticket, self.now)
        }

        /// A tenth of a second in which all of `guessers` try. How often they could.
        fn guess(&mut self, guessers: &[Asker]) -> usize {
            self.now += TENTH;
            for guesser in guessers {
                let ticket = self.ask(*guesser);
                self.waiting.extend(ticket.ok());
            }
            let (before, now) = (self.guesses.waiting.len(), self.now);
            self.waiting.retain(|t| matches!(self.guesses.turn(*t, now), Ok(Turn::In(_))));
            before - self.guesses.waiting.len()
        }

        /// How long it takes `owner` to get a turn, who asks again when told to come back.
        fn sign_in(&mut self, owner: Asker, guessers: &[Asker]) -> Option<Duration> {
            let begun = self.now;
            let mut ticket = None;
            while self.now < begun + SECOND * 60 {
                self.guess(guessers);
                ticket = ticket.or_else(|| self.ask(owner).ok());
                match ticket.map(|ticket| self.guesses.turn(ticket, self.now)) {
                    Some(Ok(Turn::Now)) => return Some(self.now - begun),
                    Some(Ok(Turn::In(_))) => {}
                    Some(Err(_)) | None => ticket = None,
                }
            }
            None
        }
    }

    #[test]
    fn one_has_ten_tries_a_minute() {
        for (one, same, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::2:3", "2001:db8:0:1::1"),
        ] {
            let mut world = World::new();
            let start = world.now;
            for i in 0..10 {
                world.now = start + SECOND * 2 * i;
                assert_eq!(world.attempt(at(one)), Ok(Turn::Now));
            }
            world.now = start + SECOND * 20;
            assert_eq!(world.attempt(at(same)), Err(TooMany(SECOND * 40)));
            assert_eq!(world.attempt(at(other)), Ok(Turn::Now));
            world.now = start + SECOND * 60;
            assert_eq!(world.attempt(at(one)), Ok(Turn::Now));
        }
    }

    #[test]
    fn all_together_have_sixty_tries_a_minute() {
        let mut world = World::new();
        let guessers: Vec<Asker> = (0..100).map(number).collect();
        let tried: usize = (0..600).map(|_| world.guess(&guessers)).sum();
        // What was given up while waiting counts here, too.
        let counted: usize = world.guesses.remembered.values().map(|m| m.tried.len()).sum();
        assert!((55..=60).contains(&counted), "{counted} of {tried}");
    }

    #[test]
    fn an_owner_whom_nobody_knows_gets_a_turn_while_many_guess() {
        for guessers in [
            (0..64).map(number).collect::<Vec<_>>(),
            (0..64).map(|n| at(&format!("2001:db8::{n:x}"))).collect(),
            // Ever new networks of one household.
            (0..64).map(|n| at(&format!("2001:db8:0:{n:x}::1"))).collect(),
        ] {
            let mut world = World::new();
            (0..300).for_each(|_| _ = world.guess(&guessers));
            for owner in ["198.51.100.1", "2001:db8:1::1"] {
                let took = world.sign_in(at(owner), &guessers);
                assert!(took.is_some_and(|took| took < SECOND * 5), "{owner}: {took:?}");
            }
        }
    }

    #[test]
    fn a_browser_that_has_signed_in_before_comes_first_whoever_guesses_from_where() {
        let mut world = World::new();
        let mut n = 0;
        // A thousand addresses a second, each of them new.
        let mut crowd = || {
            n += 100;
            (n..n + 100).map(number).collect::<Vec<_>>()
        };
        (0..100).for_each(|_| _ = world.guess(&crowd()));
        for browser in 0..5 {
            let took = world.sign_in(known(browser), &crowd());
            assert!(took.is_some_and(|took| took < SECOND * 2), "{took:?}");
            (0..20).for_each(|_| _ = world.guess(&crowd()));
        }
        world.guesses.forgive(at("2001:db8::77"));
        // Among those who guess is its own network.
        let neighbours: Vec<Asker> = (0..64).map(|n| at(&format!("2001:db8::{n:x}"))).collect();
        (0..100).for_each(|_| _ = world.guess(&neighbours));
        let took = world.sign_in(at("2001:db8::77"), &neighbours);
        assert!(took.is_some_and(|took| took < SECOND * 2), "{took:?}");
    }

    #[test]
    fn those_who_wait_together_have_ten_tries_together() {
        let mut world = World::new();
        for _ in 0..9 {
            world.now += SECOND * 2;
            assert_eq!(world.attempt(at("2001:db8::1")), Ok(Turn::Now));
        }
        let waiting = (2..6).filter_map(|n| world.ask(at(&format!("2001:db8::{n}"))).ok());
        let waiting: Vec<Ticket> = waiting.collect();
        assert_eq!(waiting.len(), 4);
        let tries = |world: &mut World| {
            let now = world.now;
            waiting.iter().filter(|t| world.guesses.turn(**t, now) == Ok(Turn::Now)).count()
        };
        let mut all = 0;
        for _ in 0..4 {
            world.now += SECOND;
            all += tries(&mut world);
        }
        assert_eq!(all, 1);
    }

    #[test]
    fn a_known_browser_guesses_no_more_than_others() {
        let mut world = World::new();
        let tries = (0..60).filter(|_| {
            world.now += SECOND / 2;
            world.attempt(known(1)) == Ok(Turn::Now)
        });
        assert_eq!(tries.count(), 10);
    }

    #[test]
    fn among_equals_chance_decides() {
        let mut won = 0;
        let mut world = World::new();
        for round in 0..100 {
            let newcomers: Vec<Asker> = (0..10).map(|n| number(1000 + round * 10 + n)).collect();
            world.now += SECOND * 30;
            // The tries that are there at once are used up by others.
            (0..BURST).for_each(|n| _ = world.attempt(known(n as u8)));
            let tickets: Vec<Ticket> =
                newcomers.iter().filter_map(|who| world.ask(*who).ok()).collect();
            world.now += REFILL;
            let last = tickets.last().copied().unwrap();
            let now = world.now;
            let first = tickets.iter().find(|t| world.guesses.turn(**t, now) == Ok(Turn::Now));
            won += u32::from(first == Some(&last));
            tickets.iter().for_each(|t| world.guesses.leave(*t));
        }
        assert!((2..30).contains(&won), "who came last was first {won} times of a hundred");
    }

    #[test]
    fn who_leaves_the_queue_holds_nobody_up() {
        let mut world = World::new();
        for n in 0..BURST {
            assert_eq!(world.attempt(number(n)), Ok(Turn::Now));
        }
        let (first, second) = (world.ask(number(50)).unwrap(), world.ask(number(51)).unwrap());
        assert!(matches!(world.guesses.turn(first, world.now), Ok(Turn::In(_))));
        assert!(matches!(world.guesses.turn(second, world.now), Ok(Turn::In(_))));
        world.guesses.leave(first);
        assert_eq!(world.guesses.turn(second, world.now + REFILL), Ok(Turn::Now));
    }

    #[test]
    fn a_crowd_takes_no_memory() {
        let mut world = World::new();
        for n in 0..5000 {
            let _ = world.ask(number(n));
        }
        assert!(world.guesses.waiting.len() <= MAX_WAITING);
        assert!(world.guesses.remembered.len() <= MAX_REMEMBERED + 1);
    }
}
