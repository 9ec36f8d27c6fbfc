//! What the radio is to do: a machine without clock or radio of its own, so that tests drive it by
//! hand.
//!
//! With networks in `config.toml` the radio joins one of them and never stops trying: after a power
//! cut the camera is often up before its router. Only where passwords are wrong, which waiting
//! does not mend, or where no network is named and no cable is plugged, does the device open a
//! network of its own, by which its owner can reach it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a cable may take to show itself after the start.
const CABLE: Duration = Duration::from_secs(15);

/// How long a network that its owner chose on the page may take to be joined.
const CHOSEN: Duration = Duration::from_secs(40);

/// How long the device's own network stays open before the named ones are tried again, unless
/// somebody is in it.
const OPEN: Duration = Duration::from_secs(5 * 60);

/// How long the others are waited for where only some of several networks refuse their password:
/// their routers may still be starting.
const OTHERS: Duration = Duration::from_secs(2 * 60);

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Time went by.
    Nothing,
    /// A cable has an address, or has none any more.
    Cable(bool),
    /// The network was joined.
    Joined,
    /// The network was lost.
    Left,
    /// The network of this name refused its password.
    Refused(String),
    /// How many devices are in the device's own network.
    Guests(usize),
    /// The owner chose the network of this name on the page.
    Choose(String),
}

/// What comes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The choice worked: it is to be kept.
    Keep,
    /// The choice did not work.
    Drop {
        /// Because its password is wrong; otherwise it was not found, or did not answer.
        refused: bool,
    },
    /// Nothing comes of waiting any longer for the networks that `config.toml` names.
    GiveUp {
        /// Those whose password is wrong, the preferred one first.
        refused: Vec<String>,
    },
}

/// Decides what the radio does.
#[derive(Debug)]
pub(super) struct Plan {
    mode: Mode,
    since: Instant,
    /// The networks that `config.toml` names, the preferred one first.
    named: Vec<String>,
    /// The network that its owner chose last.
    chosen: Option<String>,
    cable: bool,
    /// Whether the network of this mode has been joined.
    joined: bool,
    /// How often each network has refused its password.
    refusals: BTreeMap<String, u32>,
    guests: usize,
}

impl Plan {
    /// Begins at `now`, with the networks that `config.toml` names, the preferred one first.
    pub(super) fn new(named: Vec<String>, now: Instant) -> Self {
        Self {
            mode: if named.is_empty() { Mode::Off } else { Mode::Named },
            since: now,
            named,
            chosen: None,
            cable: false,
            joined: false,
            refusals: BTreeMap::new(),
            guests: 0,
        }
    }

    /// What the radio is to do now.
    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    /// The named networks whose password was refused so often that it must be wrong, the preferred
    /// one first.
    pub(super) fn refused(&self) -> impl Iterator<Item = &String> {
        self.named.iter().filter(|name| self.is_refused(name))
    }

    fn is_refused(&self, name: &str) -> bool {
        self.refusals.get(name).is_some_and(|refusals| *refusals >= REFUSALS)
    }

    /// Whether none of the named networks is going to be joined, `waited` after they were first
    /// tried.
    fn is_hopeless(&self, waited: Duration) -> bool {
        match self.refused().count() {
            0 => false,
            refused => refused == self.named.len() || waited >= OTHERS,
        }
    }

    /// Takes in what happened.
    pub(super) fn take(&mut self, event: Event, now: Instant) -> Option<Verdict> {
        match event {
            Event::Nothing => {}
            Event::Cable(cable) => self.cable = cable,
            Event::Joined => {
                self.joined = true;
                self.refusals.clear();
            }
            Event::Left => {}
            Event::Refused(name) => *self.refusals.entry(name).or_default() += 1,
            Event::Guests(guests) => self.guests = guests,
            Event::Choose(name) => {
                self.chosen = Some(name);
                self.enter(Mode::Chosen, now);
                return None;
            }
        }
        let waited = now.duration_since(self.since);
        match self.mode {
            Mode::Off if self.named.is_empty() && !self.cable && waited >= CABLE => {
                self.enter(Mode::AccessPoint, now);
            }
            // One that was joined once is joined again with the same password.
            Mode::Named if self.is_hopeless(waited) && !self.joined && !self.cable => {
                let refused = self.refused().cloned().collect();
                self.enter(Mode::AccessPoint, now);
                return Some(Verdict::GiveUp { refused });
            }
            Mode::AccessPoint if self.guests == 0 && !self.named.is_empty() && waited >= OPEN => {
                self.enter(Mode::Named, now);
            }
            Mode::AccessPoint if self.guests == 0 && self.named.is_empty() && self.cable => {
                self.enter(Mode::Off, now);
            }
            Mode::Chosen if self.joined => {
                if let Some(chosen) = self.chosen.take() {
                    self.named.retain(|name| *name != chosen);
                    self.named.insert(0, chosen);
                }
                self.enter(Mode::Named, now);
                self.joined = true;
                return Some(Verdict::Keep);
            }
            Mode::Chosen => {
                let refused = self.chosen.as_ref().is_some_and(|name| self.is_refused(name));
                if refused || waited >= CHOSEN {
                    let back = match (self.named.is_empty(), self.cable) {
                        (false, _) => Mode::Named,
                        (true, true) => Mode::Off,
                        (true, false) => Mode::AccessPoint,
                    };
                    self.enter(back, now);
                    return Some(Verdict::Drop { refused });
                }
            }
            _ => {}
        }
        None
    }

    fn enter(&mut self, mode: Mode, now: Instant) {
        (self.mode, self.since) = (mode, now);
        (self.joined, self.guests) = (false, 0);
        self.refusals.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan, and the moments since it began.
    fn plan(named: &[&str]) -> (Plan, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let named = named.iter().map(ToString::to_string).collect();
        (Plan::new(named, start), move |seconds| start + Duration::from_secs(seconds))
    }

    fn refused(name: &str) -> Event {
        Event::Refused(name.to_owned())
    }

    fn choose(name: &str) -> Event {
        Event::Choose(name.to_owned())
    }

    fn give_up(refused: &[&str]) -> Option<Verdict> {
        let refused = refused.iter().map(ToString::to_string).collect();
        Some(Verdict::GiveUp { refused })
    }

    #[test]
    fn without_a_network_or_a_cable_the_device_opens_its_own() {
        let (mut plan, at) = plan(&[]);
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
        let (mut plan, at) = plan(&[]);
        plan.take(Event::Cable(true), at(5));
        plan.take(Event::Nothing, at(1000));
        assert_eq!(plan.mode(), Mode::Off);
    }

    #[test]
    fn a_named_network_that_is_away_is_waited_for() {
        let (mut plan, at) = plan(&["home"]);
        plan.take(Event::Nothing, at(100_000));
        assert_eq!(plan.mode(), Mode::Named);
        plan.take(Event::Joined, at(100_001));
        plan.take(Event::Left, at(100_002));
        plan.take(refused("home"), at(100_003));
        plan.take(refused("home"), at(100_004));
        assert_eq!(plan.mode(), Mode::Named, "it was joined with this password before");
    }

    #[test]
    fn a_wrong_password_opens_the_device_s_own_network_for_a_while() {
        let (mut plan, at) = plan(&["home"]);
        plan.take(refused("home"), at(5));
        assert_eq!(plan.mode(), Mode::Named, "once may be noise");
        assert_eq!(plan.take(refused("home"), at(15)), give_up(&["home"]));
        assert_eq!(plan.mode(), Mode::AccessPoint);
        plan.take(Event::Guests(1), at(20));
        plan.take(Event::Nothing, at(1000));
        assert_eq!(plan.mode(), Mode::AccessPoint, "somebody is in it");
        plan.take(Event::Guests(0), at(1001));
        assert_eq!(plan.mode(), Mode::Named);
        assert_eq!(plan.refused().count(), 0);
    }

    #[test]
    fn of_several_networks_only_those_that_refuse_are_blamed() {
        let (mut plan, at) = plan(&["home", "garden"]);
        // Once each is noise, however many there are.
        assert_eq!(plan.take(refused("home"), at(5)), None);
        assert_eq!(plan.take(refused("garden"), at(10)), None);
        assert_eq!(plan.take(refused("garden"), at(20)), None);
        assert_eq!(plan.refused().collect::<Vec<_>>(), ["garden"]);
        assert_eq!(plan.mode(), Mode::Named, "home may be right");
        plan.take(Event::Joined, at(25));
        assert_eq!(plan.refused().count(), 0);
    }

    #[test]
    fn a_network_that_may_still_come_up_is_waited_for_but_not_for_ever() {
        let (mut plan, at) = plan(&["home", "garden"]);
        plan.take(refused("home"), at(5));
        plan.take(refused("home"), at(15));
        assert_eq!(plan.take(Event::Nothing, at(119)), None);
        assert_eq!(plan.take(Event::Nothing, at(120)), give_up(&["home"]));
        assert_eq!(plan.mode(), Mode::AccessPoint, "or its owner has no way in");
        // Where all refuse, nothing is waited for.
        plan.take(Event::Nothing, at(420));
        assert_eq!(plan.mode(), Mode::Named);
        for name in ["garden", "home", "garden"] {
            assert_eq!(plan.take(refused(name), at(430)), None);
        }
        assert_eq!(plan.take(refused("home"), at(440)), give_up(&["home", "garden"]));
    }

    #[test]
    fn a_choice_that_works_is_kept_and_one_that_does_not_leads_back() {
        let (mut plan, at) = plan(&[]);
        plan.take(Event::Nothing, at(15));
        plan.take(choose("home"), at(60));
        assert_eq!(plan.mode(), Mode::Chosen);
        plan.take(refused("home"), at(65));
        assert_eq!(plan.take(refused("home"), at(70)), Some(Verdict::Drop { refused: true }));
        assert_eq!(plan.mode(), Mode::AccessPoint);

        plan.take(choose("home"), at(100));
        assert_eq!(plan.take(Event::Nothing, at(139)), None);
        assert_eq!(plan.take(Event::Nothing, at(140)), Some(Verdict::Drop { refused: false }));
        assert_eq!(plan.mode(), Mode::AccessPoint);

        plan.take(choose("home"), at(200));
        assert_eq!(plan.take(Event::Joined, at(210)), Some(Verdict::Keep));
        assert_eq!(plan.mode(), Mode::Named);
        // From now on it is a named one.
        plan.take(refused("home"), at(220));
        plan.take(refused("home"), at(230));
        assert_eq!(plan.refused().collect::<Vec<_>>(), ["home"]);
    }
}
