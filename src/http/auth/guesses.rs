//! How often passwords may be tried.
//!
//! Per address at most ten a minute, and sixty a minute in all, because each costs the camera a
//! good part of a second. So that guessers from many addresses do not keep the owner out, those
//! who have asked least come first. A machine without clock: the caller says what time it is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Attempts an address has in [`MINUTE`].
const PER_SOURCE: usize = 10;
const MINUTE: Duration = Duration::from_secs(60);

/// Attempts in all: this many at once, then one per [`REFILL`]; sixty in any minute.
const BURST: u32 = 10;
const REFILL: Duration = Duration::from_millis(1200);

/// For how long it counts how often an address has asked.
const MEMORY: Duration = Duration::from_secs(600);

/// Addresses remembered; past it, the one not heard of for longest is forgotten.
const MAX_SOURCES: usize = 1024;

/// Who may wait for a turn at once, one of each address.
const MAX_WAITING: usize = 128;

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

#[derive(Debug, Default)]
pub(super) struct Guesses {
    sources: HashMap<IpAddr, Source>,
    waiting: Vec<Waiter>,
    /// When the attempts used up will all be there again.
    full_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Source {
    tried: Vec<Instant>,
    asked: Vec<Instant>,
}

#[derive(Debug)]
struct Waiter {
    source: IpAddr,
    since: Instant,
}

impl Guesses {
    /// Queues `source`.
    pub(super) fn ask(&mut self, source: IpAddr, now: Instant) -> Result<(), TooMany> {
        self.remember(source, now);
        let entry = self.sources.entry(source).or_default();
        entry.tried.retain(|at| now < *at + MINUTE);
        if let Some(oldest) = entry.tried.first()
            && entry.tried.len() >= PER_SOURCE
        {
            return Err(TooMany(*oldest + MINUTE - now));
        }
        let queued = self.waiting.iter().any(|w| w.source == source);
        if queued || self.waiting.len() >= MAX_WAITING {
            return Err(TooMany(REFILL));
        }
        self.waiting.push(Waiter { source, since: now });
        Ok(())
    }

    /// Whether it is the turn of `source`, which is queued. Taking the turn ends the queueing.
    pub(super) fn turn(&mut self, source: IpAddr, now: Instant) -> Result<Turn, TooMany> {
        let Some(since) = self.waiting.iter().find(|w| w.source == source).map(|w| w.since) else {
            return Err(TooMany(REFILL));
        };
        let ready_at = self.ready_at(now);
        if now >= ready_at && self.first(now) == Some(source) {
            self.leave(source);
            self.full_at = Some(self.full_at.map_or(now, |at| at.max(now)) + REFILL);
            self.sources.entry(source).or_default().tried.push(now);
            return Ok(Turn::Now);
        }
        let wait = ready_at.saturating_duration_since(now).max(REFILL / 12);
        if now + wait > since + PATIENCE {
            self.leave(source);
            return Err(TooMany(PATIENCE));
        }
        Ok(Turn::In(wait))
    }

    /// `source` waits no longer.
    pub(super) fn leave(&mut self, source: IpAddr) {
        self.waiting.retain(|w| w.source != source);
    }

    /// `source` knew the password: what it tried before was no guessing.
    pub(super) fn forgive(&mut self, source: IpAddr) {
        self.sources.remove(&source);
    }

    /// When the next attempt is there.
    fn ready_at(&self, now: Instant) -> Instant {
        let full = self.full_at.unwrap_or(now);
        full.checked_sub(REFILL * (BURST - 1)).unwrap_or(now).max(now)
    }

    /// Of those who wait, who has asked least; of equals, who has waited longest.
    fn first(&self, now: Instant) -> Option<IpAddr> {
        let asked = |source: &IpAddr| {
            let asked = self.sources.get(source).map(|s| s.asked.as_slice());
            asked.unwrap_or_default().iter().filter(|at| now < **at + MEMORY).count()
        };
        let first = self.waiting.iter().min_by_key(|w| (asked(&w.source), w.since));
        first.map(|w| w.source)
    }

    fn remember(&mut self, source: IpAddr, now: Instant) {
        if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(&source) {
            let longest = self.sources.iter().min_by_key(|(_, s)| s.asked.last().copied());
            if let Some(longest) = longest.map(|(source, _)| *source) {
                self.sources.remove(&longest);
            }
        }
        let asked = &mut self.sources.entry(source).or_default().asked;
        asked.retain(|at| now < *at + MEMORY);
        // More than this says nothing new, and would let a flood grow the list.
        if asked.len() < 64 {
            asked.push(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from(0xc000_0200 + n).into()
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn attempt(guesses: &mut Guesses, source: IpAddr, now: Instant) -> Result<Turn, TooMany> {
        guesses.ask(source, now)?;
        guesses.turn(source, now)
    }

    #[test]
    fn an_address_has_ten_attempts_a_minute() {
        let (mut guesses, start) = (Guesses::default(), Instant::now());
        for i in 0..10 {
            assert_eq!(attempt(&mut guesses, address(1), start + SECOND * 2 * i), Ok(Turn::Now));
        }
        let refused = attempt(&mut guesses, address(1), start + SECOND * 20);
        assert_eq!(refused, Err(TooMany(SECOND * 40)));
        assert_eq!(attempt(&mut guesses, address(2), start + SECOND * 20), Ok(Turn::Now));
        assert_eq!(attempt(&mut guesses, address(1), start + SECOND * 60), Ok(Turn::Now));
    }

    #[test]
    fn all_addresses_together_have_sixty_attempts_a_minute() {
        let (mut guesses, start) = (Guesses::default(), Instant::now());
        let mut done = 0;
        for tenth in 0..600 {
            for source in 0..100 {
                let now = start + Duration::from_millis(100) * tenth;
                let _ = guesses.ask(address(source), now);
                done += u32::from(guesses.turn(address(source), now) == Ok(Turn::Now));
            }
        }
        assert!((55..=60).contains(&done), "{done}");
    }

    #[test]
    fn an_owner_gets_a_turn_while_many_addresses_guess() {
        let (mut guesses, start) = (Guesses::default(), Instant::now());
        let owner = address(1000);
        let mut owner_asked = None;
        for tenth in 0..1200 {
            let now = start + Duration::from_millis(100) * tenth;
            for source in 0..64 {
                let _ = guesses.ask(address(source), now);
                let _ = guesses.turn(address(source), now);
            }
            if tenth == 300 {
                guesses.ask(owner, now).unwrap();
                owner_asked = Some(now);
            }
            if let Some(asked) = owner_asked {
                match guesses.turn(owner, now) {
                    Ok(Turn::Now) => return assert!(now - asked < SECOND * 5),
                    Ok(Turn::In(_)) => {}
                    Err(e) => panic!("{e:?}"),
                }
            }
        }
        panic!("the owner never got a turn");
    }

    #[test]
    fn who_leaves_the_queue_holds_nobody_up() {
        let (mut guesses, start) = (Guesses::default(), Instant::now());
        for n in 0..BURST {
            assert_eq!(attempt(&mut guesses, address(n), start), Ok(Turn::Now));
        }
        assert!(matches!(attempt(&mut guesses, address(50), start), Ok(Turn::In(_))));
        assert!(matches!(attempt(&mut guesses, address(51), start), Ok(Turn::In(_))));
        guesses.leave(address(50));
        let later = start + REFILL;
        assert_eq!(guesses.turn(address(51), later), Ok(Turn::Now));
    }
}
