//! A button, and how long it was held.
//!
//! The contact is looked at again and again; what its bouncing, and the time that passes, amount
//! to is decided here. Nothing here reads a clock or a pin.

use std::fmt;
use std::time::{Duration, Instant};

/// A contact counts once it has stayed as it is for this long. Cheap switches bounce for up to
/// 10 ms, worn ones for longer; a finger is never this quick.
const SETTLE: Duration = Duration::from_millis(30);

/// What a press of the button amounts to, told when it is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ButtonEvent {
    /// Pressed, and let go before 5 seconds were over.
    Short,
    /// Held for 5 seconds or more.
    Long5,
    /// Held for 20 seconds or more.
    Long20,
}

impl ButtonEvent {
    fn after(held: Duration) -> Self {
        match held.as_secs() {
            0..5 => Self::Short,
            5..20 => Self::Long5,
            20.. => Self::Long20,
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

/// The two wires of a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    Open,
    Closed,
}

/// Where the button is, bouncing left out.
#[derive(Clone, Copy, Debug)]
enum Position {
    /// Not seen released yet: held since before Picket started, stuck, or wired the other way
    /// round. How long is not known, so letting go means nothing.
    Unknown,
    Released,
    PressedAt(Instant),
}

/// What is known of a button.
#[derive(Debug)]
pub(super) struct Button {
    position: Position,
    contact: Contact,
    /// Since when the contact has been as it is, bouncing included.
    since: Instant,
}

impl Button {
    /// A button first looked at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { position: Position::Unknown, contact: Contact::Closed, since: now }
    }

    /// Takes note of the contact as it is `now`; says what the press was that has ended.
    pub(super) fn see(&mut self, contact: Contact, now: Instant) -> Option<ButtonEvent> {
        if contact != self.contact {
            (self.contact, self.since) = (contact, now);
        }
        if now.duration_since(self.since) < SETTLE {
            return None;
        }
        match (self.position, contact) {
            (Position::Unknown, Contact::Open) => self.position = Position::Released,
            (Position::Released, Contact::Closed) => {
                self.position = Position::PressedAt(self.since);
            }
            (Position::PressedAt(pressed), Contact::Open) => {
                self.position = Position::Released;
                return Some(ButtonEvent::after(self.since.duration_since(pressed)));
            }
            _ => {}
        }
        None
    }

    /// What it would amount to if the button were let go `now`; `None` while it is not pressed.
    pub(super) fn so_far(&self, now: Instant) -> Option<ButtonEvent> {
        let Position::PressedAt(pressed) = self.position else {
            return None;
        };
        // Perhaps it has been let go, and the contact has not settled yet.
        let end = if self.contact == Contact::Open { self.since } else { now };
        Some(ButtonEvent::after(end.duration_since(pressed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A released button, looked at every 10 ms.
    struct Watched {
        button: Button,
        start: Instant,
        now: Instant,
        events: Vec<ButtonEvent>,
    }

    impl Watched {
        fn new() -> Self {
            let mut watched = Self::from_the_start();
            watched.stays(Contact::Open, 100);
            watched.start = watched.now;
            watched
        }

        fn from_the_start() -> Self {
            let now = Instant::now();
            Self { button: Button::new(now), start: now, now, events: Vec::new() }
        }

        fn stays(&mut self, contact: Contact, millis: u64) -> &mut Self {
            for _ in 0..millis / 10 {
                self.events.extend(self.button.see(contact, self.now));
                self.now += Duration::from_millis(10);
            }
            self
        }
    }

    fn held_for(millis: u64) -> Vec<ButtonEvent> {
        let mut watched = Watched::new();
        watched.stays(Contact::Closed, millis).stays(Contact::Open, 100);
        watched.events
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
        let mut watched = Watched::new();
        watched.stays(Contact::Closed, 30_000);
        assert_eq!(watched.events, []);
    }

    #[test]
    fn a_contact_that_bounces_is_one_press() {
        let mut watched = Watched::new();
        for _ in 0..5 {
            watched.stays(Contact::Closed, 10).stays(Contact::Open, 20);
        }
        watched.stays(Contact::Closed, 1_000);
        for _ in 0..5 {
            watched.stays(Contact::Open, 10).stays(Contact::Closed, 20);
        }
        watched.stays(Contact::Open, 1_000);
        assert_eq!(watched.events, [ButtonEvent::Short]);
    }

    #[test]
    fn a_spark_on_the_wire_is_no_press() {
        assert_eq!(held_for(20), []);
    }

    #[test]
    fn a_contact_that_opens_for_a_moment_is_still_held() {
        let mut watched = Watched::new();
        watched.stays(Contact::Closed, 3_000).stays(Contact::Open, 20);
        watched.stays(Contact::Closed, 3_000).stays(Contact::Open, 100);
        assert_eq!(watched.events, [ButtonEvent::Long5]);
    }

    #[test]
    fn two_presses_are_not_added_up() {
        let mut watched = Watched::new();
        for _ in 0..2 {
            watched.stays(Contact::Closed, 3_000).stays(Contact::Open, 100);
        }
        assert_eq!(watched.events, [ButtonEvent::Short; 2]);
    }

    #[test]
    fn a_button_held_since_before_the_start_means_nothing_until_it_was_let_go() {
        let mut watched = Watched::from_the_start();
        watched.stays(Contact::Closed, 30_000);
        assert_eq!(watched.button.so_far(watched.now), None);
        watched.stays(Contact::Open, 100);
        assert_eq!(watched.events, []);
        watched.stays(Contact::Closed, 6_000).stays(Contact::Open, 100);
        assert_eq!(watched.events, [ButtonEvent::Long5]);
    }

    #[test]
    fn while_it_is_held_one_can_see_how_far_it_has_come() {
        let mut watched = Watched::new();
        assert_eq!(watched.button.so_far(watched.now), None);
        watched.stays(Contact::Closed, 1_000);
        let at = |watched: &Watched, millis| {
            watched.button.so_far(watched.start + Duration::from_millis(millis))
        };
        assert_eq!(at(&watched, 4_999), Some(ButtonEvent::Short));
        assert_eq!(at(&watched, 5_000), Some(ButtonEvent::Long5));
        assert_eq!(at(&watched, 20_000), Some(ButtonEvent::Long20));
        // Let go a moment before, though that has not settled yet.
        watched.stays(Contact::Closed, 3_990).stays(Contact::Open, 20);
        assert_eq!(watched.button.so_far(watched.now), Some(ButtonEvent::Short));
    }
}
