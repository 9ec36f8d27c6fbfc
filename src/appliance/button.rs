//! A button: its contact is debounced, and each press told by how long it was held.
//!
//! Nothing here reads a clock or a pin.

use std::fmt;
use std::time::{Duration, Instant};

/// The level of a contact counts once it has been stable for this long. Cheap switches bounce for
/// up to 10 ms, worn ones for longer; a finger is never this quick.
const DEBOUNCE_TIME: Duration = Duration::from_millis(30);

/// A press of the button, by how long it was held. It is reported when the button is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ButtonEvent {
    /// For less than 5 seconds.
    Short,
    /// For 5 seconds or more.
    Long5,
    /// For 20 seconds or more.
    Long20,
}

impl ButtonEvent {
    fn of_duration(held: Duration) -> Self {
        match held.as_secs() {
            0..5 => Self::Short,
            5..20 => Self::Long5,
            20.. => Self::Long20,
        }
    }
}

impl ButtonEvent {
    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long5 => "5 s",
            Self::Long20 => "20 s",
        }
    }
}

impl fmt::Display for ButtonEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "pressed briefly",
            Self::Long5 => "held for 5 seconds",
            Self::Long20 => "held for 20 seconds",
        })
    }
}

/// The contact of a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    Open,
    Closed,
}

/// The position of the button, debounced.
#[derive(Clone, Copy, Debug)]
enum Position {
    /// Not seen released yet: held since before Picket started, stuck, or wired the other way
    /// round. For how long is unknown, so its release means nothing.
    Unknown,
    Released,
    PressedAt(Instant),
}

/// Debounces a button and measures its presses.
#[derive(Debug)]
pub(super) struct Debouncer {
    position: Position,
    contact: Contact,
    /// Since when the contact has had its level, bouncing included.
    since: Instant,
}

impl Debouncer {
    /// Begins at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { position: Position::Unknown, contact: Contact::Closed, since: now }
    }

    /// Takes a sample of the contact; returns the press that has ended.
    pub(super) fn sample(&mut self, contact: Contact, now: Instant) -> Option<ButtonEvent> {
        if contact != self.contact {
            (self.contact, self.since) = (contact, now);
        }
        if now.duration_since(self.since) < DEBOUNCE_TIME {
            return None;
        }
        match (self.position, contact) {
            (Position::Unknown, Contact::Open) => self.position = Position::Released,
            (Position::Released, Contact::Closed) => {
                self.position = Position::PressedAt(self.since);
            }
            (Position::PressedAt(pressed), Contact::Open) => {
                self.position = Position::Released;
                return Some(ButtonEvent::of_duration(self.since.duration_since(pressed)));
            }
            _ => {}
        }
        None
    }

    /// What the press would be if the button were released `now`; `None` while it is not pressed.
    pub(super) fn held(&self, now: Instant) -> Option<ButtonEvent> {
        let Position::PressedAt(pressed) = self.position else {
            return None;
        };
        // Perhaps it has been released already, and the contact is not stable yet.
        let end = if self.contact == Contact::Open { self.since } else { now };
        Some(ButtonEvent::of_duration(end.duration_since(pressed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A released button, sampled every 10 ms.
    struct Sampled {
        button: Debouncer,
        start: Instant,
        now: Instant,
        events: Vec<ButtonEvent>,
    }

    impl Sampled {
        fn new() -> Self {
            let mut sampled = Self::from_the_start();
            sampled.stays(Contact::Open, 100);
            sampled.start = sampled.now;
            sampled
        }

        fn from_the_start() -> Self {
            let now = Instant::now();
            Self { button: Debouncer::new(now), start: now, now, events: Vec::new() }
        }

        fn stays(&mut self, contact: Contact, millis: u64) -> &mut Self {
            for _ in 0..millis / 10 {
                self.events.extend(self.button.sample(contact, self.now));
                self.now += Duration::from_millis(10);
            }
            self
        }
    }

    fn held_for(millis: u64) -> Vec<ButtonEvent> {
        let mut sampled = Sampled::new();
        sampled.stays(Contact::Closed, millis).stays(Contact::Open, 100);
        sampled.events
    }

    #[test]
    fn the_length_of_a_press_decides_what_it_is() {
        assert_eq!(held_for(100), [ButtonEvent::Short]);
        assert_eq!(held_for(4_900), [ButtonEvent::Short]);
        assert_eq!(held_for(4_990), [ButtonEvent::Short]);
        assert_eq!(held_for(5_000), [ButtonEvent::Long5]);
        assert_eq!(held_for(19_900), [ButtonEvent::Long5]);
        assert_eq!(held_for(20_000), [ButtonEvent::Long20]);
        assert_eq!(held_for(300_000), [ButtonEvent::Long20]);
    }

    #[test]
    fn nothing_is_told_before_the_button_is_let_go() {
        let mut sampled = Sampled::new();
        sampled.stays(Contact::Closed, 30_000);
        assert_eq!(sampled.events, []);
    }

    #[test]
    fn a_contact_that_bounces_is_one_press() {
        let mut sampled = Sampled::new();
        for _ in 0..5 {
            sampled.stays(Contact::Closed, 10).stays(Contact::Open, 20);
        }
        sampled.stays(Contact::Closed, 1_000);
        for _ in 0..5 {
            sampled.stays(Contact::Open, 10).stays(Contact::Closed, 20);
        }
        sampled.stays(Contact::Open, 1_000);
        assert_eq!(sampled.events, [ButtonEvent::Short]);
    }

    #[test]
    fn a_spark_on_the_wire_is_no_press() {
        assert_eq!(held_for(20), []);
    }

    #[test]
    fn a_contact_that_opens_for_a_moment_is_still_held() {
        let mut sampled = Sampled::new();
        sampled.stays(Contact::Closed, 3_000).stays(Contact::Open, 20);
        sampled.stays(Contact::Closed, 3_000).stays(Contact::Open, 100);
        assert_eq!(sampled.events, [ButtonEvent::Long5]);
    }

    #[test]
    fn two_presses_are_not_added_up() {
        let mut sampled = Sampled::new();
        for _ in 0..2 {
            sampled.stays(Contact::Closed, 3_000).stays(Contact::Open, 100);
        }
        assert_eq!(sampled.events, [ButtonEvent::Short; 2]);
    }

    #[test]
    fn a_button_held_since_before_the_start_means_nothing_until_it_was_let_go() {
        let mut sampled = Sampled::from_the_start();
        sampled.stays(Contact::Closed, 30_000);
        assert_eq!(sampled.button.held(sampled.now), None);
        sampled.stays(Contact::Open, 100);
        assert_eq!(sampled.events, []);
        sampled.stays(Contact::Closed, 6_000).stays(Contact::Open, 100);
        assert_eq!(sampled.events, [ButtonEvent::Long5]);
    }

    #[test]
    fn while_it_is_held_one_can_see_how_far_it_has_come() {
        let mut sampled = Sampled::new();
        assert_eq!(sampled.button.held(sampled.now), None);
        sampled.stays(Contact::Closed, 1_000);
        let at = |sampled: &Sampled, millis| {
            sampled.button.held(sampled.start + Duration::from_millis(millis))
        };
        assert_eq!(at(&sampled, 4_999), Some(ButtonEvent::Short));
        assert_eq!(at(&sampled, 5_000), Some(ButtonEvent::Long5));
        assert_eq!(at(&sampled, 20_000), Some(ButtonEvent::Long20));
        // Released a moment before, which is not stable yet.
        sampled.stays(Contact::Closed, 3_990).stays(Contact::Open, 20);
        assert_eq!(sampled.button.held(sampled.now), Some(ButtonEvent::Short));
    }
}
