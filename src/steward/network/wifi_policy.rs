//! What the Wi-Fi interface is to do. Time and events are passed in, so that tests need no
//! hardware.
//!
//! With networks in `config.toml` it joins one of them and never stops trying: after a power cut
//! the camera is often up before its router. Only if passwords are wrong, which waiting does not
//! fix, or if no network is named and no cable is plugged in, does the device become an access
//! point, by which its owner can reach it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long after the start a cable may take to be noticed.
const CABLE_TIME: Duration = Duration::from_secs(15);

/// How long a network that its owner chose on the page may take to be joined.
const CHOSEN_TIME: Duration = Duration::from_secs(40);

/// How long the access point stays open before the named networks are tried again, unless a station
/// is connected to it.
const OPEN_TIME: Duration = Duration::from_secs(5 * 60);

/// How long the others are waited for if only some of several networks refuse their password: their
/// routers may still be starting.
const OTHERS_TIME: Duration = Duration::from_secs(2 * 60);

/// A password counts as wrong once it was refused this often: with interference, a right one is
/// sometimes refused, too.
const MAX_REFUSALS: u32 = 2;

/// What the Wi-Fi interface does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WifiMode {
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
pub(super) enum WifiEvent {
    /// Time has passed.
    Tick,
    /// Whether a cable has an address.
    Cable(bool),
    /// The network was joined.
    Joined,
    /// The network was lost.
    Left,
    /// The network of this name refused its password.
    PasswordRefused(String),
    /// How many stations are connected to the access point.
    Stations(usize),
    /// The owner chose the network of this name on the page.
    Choose(String),
}

/// What follows from an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WifiDecision {
    /// The chosen network was joined, and is kept.
    KeepChoice,
    /// The chosen network was not joined.
    DropChoice {
        /// Because its password is wrong; otherwise it was not found, or did not respond.
        refused: bool,
    },
    /// It is useless to wait any longer for the networks that `config.toml` names.
    GiveUp {
        /// Those whose password is wrong, the preferred one first.
        refused: Vec<String>,
    },
}

/// Decides what the Wi-Fi interface does.
#[derive(Debug)]
pub(super) struct WifiPolicy {
    mode: WifiMode,
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
    stations: usize,
}

impl WifiPolicy {
    /// Begins at `now`, with the networks that `config.toml` names, the preferred one first.
    pub(super) fn new(named: Vec<String>, now: Instant) -> Self {
        Self {
            mode: if named.is_empty() { WifiMode::Off } else { WifiMode::Named },
            since: now,
            named,
            chosen: None,
            cable: false,
            joined: false,
            refusals: BTreeMap::new(),
            stations: 0,
        }
    }

    /// What the Wi-Fi interface is to do now.
    pub(super) const fn mode(&self) -> WifiMode {
        self.mode
    }

    /// The named networks whose password was refused so often that it must be wrong, the preferred
    /// one first.
    pub(super) fn refused(&self) -> impl Iterator<Item = &String> {
        self.named.iter().filter(|name| self.is_refused(name))
    }

    fn is_refused(&self, name: &str) -> bool {
        self.refusals.get(name).is_some_and(|refusals| *refusals >= MAX_REFUSALS)
    }

    /// Whether none of the named networks is going to be joined, `waited` after they were first
    /// tried.
    fn is_hopeless(&self, waited: Duration) -> bool {
        match self.refused().count() {
            0 => false,
            refused => refused == self.named.len() || waited >= OTHERS_TIME,
        }
    }

    /// Handles an event.
    pub(super) fn handle(&mut self, event: WifiEvent, now: Instant) -> Option<WifiDecision> {
        match event {
            WifiEvent::Tick => {}
            WifiEvent::Cable(cable) => self.cable = cable,
            WifiEvent::Joined => {
                self.joined = true;
                self.refusals.clear();
            }
            WifiEvent::Left => {}
            WifiEvent::PasswordRefused(name) => *self.refusals.entry(name).or_default() += 1,
            WifiEvent::Stations(stations) => self.stations = stations,
            WifiEvent::Choose(name) => {
                self.chosen = Some(name);
                self.enter(WifiMode::Chosen, now);
                return None;
            }
        }
        let waited = now.duration_since(self.since);
        match self.mode {
            WifiMode::Off if self.named.is_empty() && !self.cable && waited >= CABLE_TIME => {
                self.enter(WifiMode::AccessPoint, now);
            }
            // A network that was joined once is joined again with the same password.
            WifiMode::Named if self.is_hopeless(waited) && !self.joined && !self.cable => {
                let refused = self.refused().cloned().collect();
                self.enter(WifiMode::AccessPoint, now);
                return Some(WifiDecision::GiveUp { refused });
            }
            WifiMode::AccessPoint
                if self.stations == 0 && !self.named.is_empty() && waited >= OPEN_TIME =>
            {
                self.enter(WifiMode::Named, now);
            }
            WifiMode::AccessPoint if self.stations == 0 && self.named.is_empty() && self.cable => {
                self.enter(WifiMode::Off, now);
            }
            WifiMode::Chosen if self.joined => {
                if let Some(chosen) = self.chosen.take() {
                    self.named.retain(|name| *name != chosen);
                    self.named.insert(0, chosen);
                }
                self.enter(WifiMode::Named, now);
                self.joined = true;
                return Some(WifiDecision::KeepChoice);
            }
            WifiMode::Chosen => {
                let refused = self.chosen.as_ref().is_some_and(|name| self.is_refused(name));
                if refused || waited >= CHOSEN_TIME {
                    let back = match (self.named.is_empty(), self.cable) {
                        (false, _) => WifiMode::Named,
                        (true, true) => WifiMode::Off,
                        (true, false) => WifiMode::AccessPoint,
                    };
                    self.enter(back, now);
                    return Some(WifiDecision::DropChoice { refused });
                }
            }
            _ => {}
        }
        None
    }

    fn enter(&mut self, mode: WifiMode, now: Instant) {
        (self.mode, self.since) = (mode, now);
        (self.joined, self.stations) = (false, 0);
        self.refusals.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy, and the moments since it began.
    fn policy(named: &[&str]) -> (WifiPolicy, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let named = named.iter().map(ToString::to_string).collect();
        (WifiPolicy::new(named, start), move |seconds| start + Duration::from_secs(seconds))
    }

    fn refused(name: &str) -> WifiEvent {
        WifiEvent::PasswordRefused(name.to_owned())
    }

    fn choose(name: &str) -> WifiEvent {
        WifiEvent::Choose(name.to_owned())
    }

    fn give_up(refused: &[&str]) -> Option<WifiDecision> {
        let refused = refused.iter().map(ToString::to_string).collect();
        Some(WifiDecision::GiveUp { refused })
    }

    #[test]
    fn without_a_network_or_a_cable_the_device_opens_its_own() {
        let (mut policy, at) = policy(&[]);
        assert_eq!(policy.handle(WifiEvent::Tick, at(14)), None);
        assert_eq!(policy.mode(), WifiMode::Off);
        policy.handle(WifiEvent::Tick, at(15));
        assert_eq!(policy.mode(), WifiMode::AccessPoint);
        // A cable ends it, but not under somebody's fingers.
        policy.handle(WifiEvent::Stations(1), at(20));
        policy.handle(WifiEvent::Cable(true), at(30));
        assert_eq!(policy.mode(), WifiMode::AccessPoint);
        policy.handle(WifiEvent::Stations(0), at(40));
        assert_eq!(policy.mode(), WifiMode::Off);
    }

    #[test]
    fn a_cable_is_all_a_device_needs() {
        let (mut policy, at) = policy(&[]);
        policy.handle(WifiEvent::Cable(true), at(5));
        policy.handle(WifiEvent::Tick, at(1000));
        assert_eq!(policy.mode(), WifiMode::Off);
    }

    #[test]
    fn a_named_network_that_is_away_is_waited_for() {
        let (mut policy, at) = policy(&["home"]);
        policy.handle(WifiEvent::Tick, at(100_000));
        assert_eq!(policy.mode(), WifiMode::Named);
        policy.handle(WifiEvent::Joined, at(100_001));
        policy.handle(WifiEvent::Left, at(100_002));
        policy.handle(refused("home"), at(100_003));
        policy.handle(refused("home"), at(100_004));
        assert_eq!(policy.mode(), WifiMode::Named, "it was joined with this password before");
    }

    #[test]
    fn a_wrong_password_opens_the_device_s_own_network_for_a_while() {
        let (mut policy, at) = policy(&["home"]);
        policy.handle(refused("home"), at(5));
        assert_eq!(policy.mode(), WifiMode::Named, "once may be noise");
        assert_eq!(policy.handle(refused("home"), at(15)), give_up(&["home"]));
        assert_eq!(policy.mode(), WifiMode::AccessPoint);
        policy.handle(WifiEvent::Stations(1), at(20));
        policy.handle(WifiEvent::Tick, at(1000));
        assert_eq!(policy.mode(), WifiMode::AccessPoint, "somebody is in it");
        policy.handle(WifiEvent::Stations(0), at(1001));
        assert_eq!(policy.mode(), WifiMode::Named);
        assert_eq!(policy.refused().count(), 0);
    }

    #[test]
    fn of_several_networks_only_those_that_refuse_are_blamed() {
        let (mut policy, at) = policy(&["home", "garden"]);
        // Once each is noise, however many there are.
        assert_eq!(policy.handle(refused("home"), at(5)), None);
        assert_eq!(policy.handle(refused("garden"), at(10)), None);
        assert_eq!(policy.handle(refused("garden"), at(20)), None);
        assert_eq!(policy.refused().collect::<Vec<_>>(), ["garden"]);
        assert_eq!(policy.mode(), WifiMode::Named, "home may be right");
        policy.handle(WifiEvent::Joined, at(25));
        assert_eq!(policy.refused().count(), 0);
    }

    #[test]
    fn a_network_that_may_still_come_up_is_waited_for_but_not_for_ever() {
        let (mut policy, at) = policy(&["home", "garden"]);
        policy.handle(refused("home"), at(5));
        policy.handle(refused("home"), at(15));
        assert_eq!(policy.handle(WifiEvent::Tick, at(119)), None);
        assert_eq!(policy.handle(WifiEvent::Tick, at(120)), give_up(&["home"]));
        assert_eq!(policy.mode(), WifiMode::AccessPoint, "or its owner has no way in");
        // Where all refuse, nothing is waited for.
        policy.handle(WifiEvent::Tick, at(420));
        assert_eq!(policy.mode(), WifiMode::Named);
        for name in ["garden", "home", "garden"] {
            assert_eq!(policy.handle(refused(name), at(430)), None);
        }
        assert_eq!(policy.handle(refused("home"), at(440)), give_up(&["home", "garden"]));
    }

    #[test]
    fn a_choice_that_works_is_kept_and_one_that_does_not_leads_back() {
        let (mut policy, at) = policy(&[]);
        policy.handle(WifiEvent::Tick, at(15));
        policy.handle(choose("home"), at(60));
        assert_eq!(policy.mode(), WifiMode::Chosen);
        policy.handle(refused("home"), at(65));
        assert_eq!(
            policy.handle(refused("home"), at(70)),
            Some(WifiDecision::DropChoice { refused: true })
        );
        assert_eq!(policy.mode(), WifiMode::AccessPoint);

        policy.handle(choose("home"), at(100));
        assert_eq!(policy.handle(WifiEvent::Tick, at(139)), None);
        assert_eq!(
            policy.handle(WifiEvent::Tick, at(140)),
            Some(WifiDecision::DropChoice { refused: false })
        );
        assert_eq!(policy.mode(), WifiMode::AccessPoint);

        policy.handle(choose("home"), at(200));
        assert_eq!(policy.handle(WifiEvent::Joined, at(210)), Some(WifiDecision::KeepChoice));
        assert_eq!(policy.mode(), WifiMode::Named);
        // From now on it is a named one.
        policy.handle(refused("home"), at(220));
        policy.handle(refused("home"), at(230));
        assert_eq!(policy.refused().collect::<Vec<_>>(), ["home"]);
    }
}
