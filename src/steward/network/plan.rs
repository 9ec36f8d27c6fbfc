//! What the radio is to do: a machine without clock or radio of its own, so that tests drive it by
//! hand.
//!
//! With networks in `config.toml` the radio joins one of them and never stops trying: after a power
//! cut the camera is often up before its router. Only where the password is wrong, which waiting
//! does not mend, or where no network is named and no cable is plugged, does the device open a
//! network of its own, by which its owner can reach it.

use std::time::{Duration, Instant};

/// How long a cable may take to show itself after the start.
const CABLE: Duration = Duration::from_secs(15);

/// How long a network that its owner chose on the page may take to be joined.
const CHOSEN: Duration = Duration::from_secs(40);

/// How long the device's own network stays open before the named ones are tried again, unless
/// somebody is in it.
const OPEN: Duration = Duration::from_secs(5 * 60);

/// A password must be refused this often: now and then a good one is, where the radio is noisy.
const REFUSALS: u32 = 2;

/// What the radio does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing.
    Off,
    /// Joins, or has joined, a network that `config.toml` names.
    Named,
    /// Joins the network its owner chose on the page.
    Chosen,
    /// Is an access point.
    AccessPoint,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Time went by.
    Nothing,
    /// A cable has an address, or has none any more.
    Cable(bool),
    /// The network was joined.
    Joined,
    /// The network was lost.
    Left,
    /// The network refused the password.
    Refused,
    /// How many devices are in the device's own network.
    Guests(usize),
    /// The owner chose a network on the page.
    Choose,
}

/// What comes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The choice worked: it is to be kept.
    Keep,
    /// The choice did not work.
    Drop {
        /// Because its password is wrong; otherwise it was not found, or did not answer.
        refused: bool,
    },
}

/// Decides what the radio does.
#[derive(Debug)]
pub(super) struct Plan {
    mode: Mode,
    since: Instant,
    /// Whether `config.toml` names a network.
    named: bool,
    cable: bool,
    /// Whether the network of this mode has been joined.
    joined: bool,
    refusals: u32,
    guests: usize,
}

impl Plan {
    /// Begins at `now`.
    pub(super) fn new(named: bool, now: Instant) -> Self {
        let mode = if named { Mode::Named } else { Mode::Off };
        Self { mode, since: now, named, cable: false, joined: false, refusals: 0, guests: 0 }
    }

    /// What the radio is to do now.
    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the password of the network was refused so often that it must be wrong.
    pub(super) const fn is_refused(&self) -> bool {
        self.refusals >= REFUSALS
    }

    /// Takes in what happened.
    pub(super) fn take(&mut self, event: Event, now: Instant) -> Option<Verdict> {
        match event {
            Event::Nothing => {}
            Event::Cable(cable) => self.cable = cable,
            Event::Joined => (self.joined, self.refusals) = (true, 0),
            Event::Left => {}
            Event::Refused => self.refusals += 1,
            Event::Guests(guests) => self.guests = guests,
            Event::Choose => {
                self.enter(Mode::Chosen, now);
                return None;
            }
        }
        let waited = now.duration_since(self.since);
        match self.mode {
            Mode::Off if !self.named && !self.cable && waited >= CABLE => {
                self.enter(Mode::AccessPoint, now);
            }
            // One that was joined once is joined again with the same password.
            Mode::Named if self.is_refused() && !self.joined && !self.cable => {
                self.enter(Mode::AccessPoint, now);
            }
            Mode::AccessPoint if self.guests == 0 && self.named && waited >= OPEN => {
                self.enter(Mode::Named, now);
            }
            Mode::AccessPoint if self.guests == 0 && !self.named && self.cable => {
                self.enter(Mode::Off, now);
            }
            Mode::Chosen if self.joined => {
                self.named = true;
                self.enter(Mode::Named, now);
                self.joined = true;
                return Some(Verdict::Keep);
            }
            Mode::Chosen if self.is_refused() || waited >= CHOSEN => {
                let refused = self.is_refused();
                let back = match (self.named, self.cable) {
                    (true, _) => Mode::Named,
                    (false, true) => Mode::Off,
                    (false, false) => Mode::AccessPoint,
                };
                self.enter(back, now);
                return Some(Verdict::Drop { refused });
            }
            _ => {}
        }
        None
    }

    fn enter(&mut self, mode: Mode, now: Instant) {
        (self.mode, self.since) = (mode, now);
        (self.joined, self.refusals, self.guests) = (false, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan, and the moments since it began.
    fn plan(named: bool) -> (Plan, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        (Plan::new(named, start), move |seconds| start + Duration::from_secs(seconds))
    }

    #[test]
    fn without_a_network_or_a_cable_the_device_opens_its_own() {
        let (mut plan, at) = plan(false);
        assert_eq!(plan.take(Event::Nothing, at(14)), None);
        assert_eq!(plan.mode(), Mode::Off);
        plan.take(Event::Nothing, at(15));
        assert_eq!(plan.mode(), Mode::AccessPoint);
        // A cable ends it, but not under somebody's fingers.
        plan.take(Event::Guests(1), at(20));
        plan.take(Event::Cable(true), at(30));
        assert_eq!(plan.mode(), Mode::AccessPoint);
        plan.take(Event::Guests(0), at(40));
        assert_eq!(plan.mode(), Mode::Off);
    }

    #[test]
    fn a_cable_is_all_a_device_needs() {
        let (mut plan, at) = plan(false);
        plan.take(Event::Cable(true), at(5));
        plan.take(Event::Nothing, at(1000));
        assert_eq!(plan.mode(), Mode::Off);
    }

    #[test]
    fn a_named_network_that_is_away_is_waited_for() {
        let (mut plan, at) = plan(true);
        plan.take(Event::Nothing, at(100_000));
        assert_eq!(plan.mode(), Mode::Named);
        plan.take(Event::Joined, at(100_001));
        plan.take(Event::Left, at(100_002));
        plan.take(Event::Refused, at(100_003));
        plan.take(Event::Refused, at(100_004));
        assert_eq!(plan.mode(), Mode::Named, "it was joined with this password before");
    }

    #[test]
    fn a_wrong_password_opens_the_device_s_own_network_for_a_while() {
        let (mut plan, at) = plan(true);
        plan.take(Event::Refused, at(5));
        assert_eq!(plan.mode(), Mode::Named, "once may be noise");
        plan.take(Event::Refused, at(15));
        assert_eq!(plan.mode(), Mode::AccessPoint);
        plan.take(Event::Guests(1), at(20));
        plan.take(Event::Nothing, at(1000));
        assert_eq!(plan.mode(), Mode::AccessPoint, "somebody is in it");
        plan.take(Event::Guests(0), at(1001));
        assert_eq!(plan.mode(), Mode::Named);
        assert!(!plan.is_refused());
    }

    #[test]
    fn a_choice_that_works_is_kept_and_one_that_does_not_leads_back() {
        let (mut plan, at) = plan(false);
        plan.take(Event::Nothing, at(15));
        plan.take(Event::Choose, at(60));
        assert_eq!(plan.mode(), Mode::Chosen);
        plan.take(Event::Refused, at(65));
        assert_eq!(plan.take(Event::Refused, at(70)), Some(Verdict::Drop { refused: true }));
        assert_eq!(plan.mode(), Mode::AccessPoint);

        plan.take(Event::Choose, at(100));
        assert_eq!(plan.take(Event::Nothing, at(139)), None);
        assert_eq!(plan.take(Event::Nothing, at(140)), Some(Verdict::Drop { refused: false }));
        assert_eq!(plan.mode(), Mode::AccessPoint);

        plan.take(Event::Choose, at(200));
        assert_eq!(plan.take(Event::Joined, at(210)), Some(Verdict::Keep));
        assert_eq!(plan.mode(), Mode::Named);
    }
}
