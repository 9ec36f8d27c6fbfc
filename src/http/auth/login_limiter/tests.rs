//! Who gets to try a password while others guess.

use super::*;

fn at(address: &str) -> Client {
    Client { address: address.parse().unwrap(), browser: None }
}

fn number(n: u32) -> Client {
    Client { address: std::net::Ipv4Addr::from(0xc000_0200 + n).into(), browser: None }
}

fn known(n: u8) -> Client {
    Client { browser: Some([n; 16]), ..at("203.0.113.1") }
}

const SECOND: Duration = Duration::from_secs(1);
const TENTH: Duration = Duration::from_millis(100);

/// A world in which some guess, and somebody wants to sign in.
struct World {
    limiter: LoginLimiter,
    now: Instant,
    random: u32,
    waiting: Vec<Ticket>,
}

impl World {
    fn new() -> Self {
        let (limiter, now) = (LoginLimiter::default(), Instant::now());
        Self { limiter, now, random: 1, waiting: Vec::new() }
    }

    /// Numbers without a pattern, the same each time (xorshift).
    fn tie_breaker(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }

    fn enqueue(&mut self, client: Client) -> Result<Ticket, TooManyAttempts> {
        let tie_breaker = self.tie_breaker();
        self.limiter.enqueue(client, tie_breaker, self.now)
    }

    fn attempt(&mut self, client: Client) -> Result<Decision, TooManyAttempts> {
        let ticket = self.enqueue(client)?;
        self.limiter.poll(ticket, self.now)
    }

    /// A tenth of a second in which all of `guessers` try. How often they could.
    fn guess(&mut self, guessers: &[Client]) -> usize {
        self.now += TENTH;
        for guesser in guessers {
            let ticket = self.enqueue(*guesser);
            self.waiting.extend(ticket.ok());
        }
        let (before, now) = (self.limiter.waiting.len(), self.now);
        self.waiting.retain(|t| matches!(self.limiter.poll(*t, now), Ok(Decision::Wait(_))));
        before - self.limiter.waiting.len()
    }

    /// How long it takes `owner` to get a turn, who asks again when told to come back.
    fn sign_in(&mut self, owner: Client, guessers: &[Client]) -> Option<Duration> {
        let begun = self.now;
        let mut ticket = None;
        while self.now < begun + SECOND * 60 {
            self.guess(guessers);
            ticket = ticket.or_else(|| self.enqueue(owner).ok());
            match ticket.map(|ticket| self.limiter.poll(ticket, self.now)) {
                Some(Ok(Decision::Proceed)) => return Some(self.now - begun),
                Some(Ok(Decision::Wait(_))) => {}
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
            assert_eq!(world.attempt(at(one)), Ok(Decision::Proceed));
        }
        world.now = start + SECOND * 20;
        assert_eq!(world.attempt(at(same)), Err(TooManyAttempts(SECOND * 40)));
        assert_eq!(world.attempt(at(other)), Ok(Decision::Proceed));
        world.now = start + SECOND * 60;
        assert_eq!(world.attempt(at(one)), Ok(Decision::Proceed));
    }
}

#[test]
fn all_together_have_sixty_tries_a_minute() {
    let mut world = World::new();
    let guessers: Vec<Client> = (0..100).map(number).collect();
    let tried: usize = (0..600).map(|_| world.guess(&guessers)).sum();
    // What was given up while waiting counts here, too.
    let counted: usize = world.limiter.histories.values().map(|m| m.attempts.len()).sum();
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
    world.limiter.reset(at("2001:db8::77"));
    // Among those who guess is its own network.
    let neighbours: Vec<Client> = (0..64).map(|n| at(&format!("2001:db8::{n:x}"))).collect();
    (0..100).for_each(|_| _ = world.guess(&neighbours));
    let took = world.sign_in(at("2001:db8::77"), &neighbours);
    assert!(took.is_some_and(|took| took < SECOND * 2), "{took:?}");
}

#[test]
fn those_who_wait_together_have_ten_tries_together() {
    let mut world = World::new();
    for _ in 0..9 {
        world.now += SECOND * 2;
        assert_eq!(world.attempt(at("2001:db8::1")), Ok(Decision::Proceed));
    }
    let waiting = (2..6).filter_map(|n| world.enqueue(at(&format!("2001:db8::{n}"))).ok());
    let waiting: Vec<Ticket> = waiting.collect();
    assert_eq!(waiting.len(), 4);
    let tries = |world: &mut World| {
        let now = world.now;
        waiting.iter().filter(|t| world.limiter.poll(**t, now) == Ok(Decision::Proceed)).count()
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
        world.attempt(known(1)) == Ok(Decision::Proceed)
    });
    assert_eq!(tries.count(), 10);
}

#[test]
fn among_equals_chance_decides() {
    let mut won = 0;
    let mut world = World::new();
    for round in 0..100 {
        let newcomers: Vec<Client> = (0..10).map(|n| number(1000 + round * 10 + n)).collect();
        world.now += SECOND * 30;
        // The tries that are there at once are used up by others.
        (0..BURST).for_each(|n| _ = world.attempt(known(n as u8)));
        let tickets: Vec<Ticket> =
            newcomers.iter().filter_map(|client| world.enqueue(*client).ok()).collect();
        world.now += REFILL;
        let last = tickets.last().copied().unwrap();
        let now = world.now;
        let first = tickets.iter().find(|t| world.limiter.poll(**t, now) == Ok(Decision::Proceed));
        won += u32::from(first == Some(&last));
        tickets.iter().for_each(|t| world.limiter.cancel(*t));
    }
    assert!((2..30).contains(&won), "who came last was first {won} times of a hundred");
}

#[test]
fn who_leaves_the_queue_holds_nobody_up() {
    let mut world = World::new();
    for n in 0..BURST {
        assert_eq!(world.attempt(number(n)), Ok(Decision::Proceed));
    }
    let (first, second) = (world.enqueue(number(50)).unwrap(), world.enqueue(number(51)).unwrap());
    assert!(matches!(world.limiter.poll(first, world.now), Ok(Decision::Wait(_))));
    assert!(matches!(world.limiter.poll(second, world.now), Ok(Decision::Wait(_))));
    world.limiter.cancel(first);
    assert_eq!(world.limiter.poll(second, world.now + REFILL), Ok(Decision::Proceed));
}

#[test]
fn a_crowd_takes_no_memory() {
    let mut world = World::new();
    for n in 0..5000 {
        let _ = world.enqueue(number(n));
    }
    assert!(world.limiter.waiting.len() <= MAX_WAITING);
    assert!(world.limiter.histories.len() <= MAX_KEYS + 1);
}
