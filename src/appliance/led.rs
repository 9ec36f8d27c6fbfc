//! The status lamp: what it has to say, and by which rhythm it says it.
//!
//! [`House::sign`] decides what there is to say, [`Sign::rhythm`] is the table of rhythms, and
//! [`Lamp`] plays one on a pin. None of them reads a clock.

use std::time::{Duration, Instant};

use super::gpio::Output;
use crate::config::Level;
use crate::hub::SourceState;

/// How far Picket has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is still opening its sockets and fetching its pages.
    Starting,
    /// It can be reached.
    Up,
}

/// How the house is doing, as far as a lamp can tell.
#[derive(Clone, Debug)]
pub struct House {
    /// How far Picket has come.
    pub stage: Stage,
    /// How the source is doing. An encoder that keeps failing is a lost source, too.
    pub source: SourceState,
    /// How many are watching.
    pub viewers: usize,
    /// Whether this device has an address at which others can reach it, in a network that it has
    /// not only opened itself.
    pub has_network: bool,
}

impl House {
    /// The one thing that matters most.
    ///
    /// Being watched comes before having no address, which may be both when the viewer sits at
    /// the device itself: whoever stands before the camera is to know.
    pub(super) fn sign(&self) -> Sign {
        if self.stage == Stage::Starting {
            Sign::Starting
        } else if matches!(self.source, SourceState::Lost(_)) {
            Sign::Fault
        } else if self.viewers > 0 {
            Sign::Watched
        } else if !self.has_network {
            Sign::NoNetwork
        } else if self.source == SourceState::Starting {
            Sign::Starting
        } else {
            Sign::Ready
        }
    }
}

/// Something the lamp can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Picket, or the camera, is starting.
    Starting,
    /// No address: nobody can watch, unless they join the network that the device opens itself.
    NoNetwork,
    /// All is well, and nobody watches.
    Ready,
    /// Somebody watches.
    Watched,
    /// There should be a picture, and there is none.
    Fault,
    /// The button has been held for 5 seconds.
    Held5,
    /// The button has been held for 20 seconds.
    Held20,
}

impl Sign {
    /// For how many milliseconds the lamp is on, off, on, off and so on, over and over; nothing
    /// for a lamp that stays on.
    const fn rhythm(self) -> &'static [u64] {
        match self {
            Self::Starting => &[1000, 1000],
            Self::NoNetwork => &[150, 250, 150, 1450],
            Self::Ready => &[80, 3920],
            Self::Watched => &[],
            Self::Fault => &[100, 100],
            Self::Held5 => &[900, 100],
            Self::Held20 => &[700, 100, 100, 100],
        }
    }

    /// Whether the lamp is on, this long after the sign began, and for how long that holds.
    fn at(self, elapsed: Duration) -> (Light, Option<Duration>) {
        let steps = self.rhythm().iter().map(|millis| Duration::from_millis(*millis));
        let round: Duration = steps.clone().sum();
        if round.is_zero() {
            return (Light::On, None);
        }
        let mut into = Duration::from_nanos((elapsed.as_nanos() % round.as_nanos()) as u64);
        let mut light = Light::On;
        for step in steps {
            if into < step {
                return (light, Some(step - into));
            }
            into -= step;
            light = light.other();
        }
        (light, None)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Light {
    On,
    Off,
}

impl Light {
    fn other(self) -> Self {
        match self {
            Self::On => Self::Off,
            Self::Off => Self::On,
        }
    }
}

/// A lamp on a pin. It goes out with its owner.
pub(super) struct Lamp {
    output: Box<dyn Output>,
    active: Level,
    sign: Sign,
    since: Instant,
    light: Light,
}

impl Lamp {
    /// A lamp that shines at the level `active` and is off until it is [played](Self::play).
    pub(super) fn new(output: Box<dyn Output>, active: Level, now: Instant) -> Self {
        Self { output, active, sign: Sign::Starting, since: now, light: Light::Off }
    }

    /// What the lamp says from `now` on. A sign it says already goes on undisturbed.
    pub(super) fn say(&mut self, sign: Sign, now: Instant) {
        if self.sign != sign {
            (self.sign, self.since) = (sign, now);
        }
    }

    /// Sets the lamp as the sign has it `now`. Returns when that changes, if ever.
    pub(super) fn play(&mut self, now: Instant) -> Option<Instant> {
        let (light, left) = self.sign.at(now.duration_since(self.since));
        if light != self.light {
            self.light = light;
            self.output.set(match light {
                Light::On => self.active,
                Light::Off => self.active.other(),
            });
        }
        left.map(|left| now + left)
    }
}

impl Drop for Lamp {
    fn drop(&mut self) {
        self.output.set(self.active.other());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::gpio::fake::{FakeOutput, Wire};
    use crate::hub::SourceInfo;

    const SIGNS: [Sign; 7] = [
        Sign::Starting,
        Sign::NoNetwork,
        Sign::Ready,
        Sign::Watched,
        Sign::Fault,
        Sign::Held5,
        Sign::Held20,
    ];

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// How often the lamp comes on within 4 seconds, and for how much of them it is lit.
    fn look(sign: Sign) -> (usize, u64) {
        let lit = |at: u64| sign.at(millis(at)).0 == Light::On;
        let flashes = (1..=4_000).filter(|at| lit(*at) && !lit(at - 1)).count();
        (flashes, (0..4_000).filter(|at| lit(*at)).count() as u64)
    }

    #[test]
    fn signs_are_told_apart_by_eye() {
        for (i, one) in SIGNS.iter().enumerate() {
            for other in &SIGNS[i + 1..] {
                let ((flashes, lit), (other_flashes, other_lit)) = (look(*one), look(*other));
                let (fewer, more) = (flashes.min(other_flashes), flashes.max(other_flashes));
                let by_number = more >= 2 * fewer && more - fewer >= 2;
                let by_light = lit.abs_diff(other_lit) >= 1_000;
                assert!(by_number || by_light, "{one:?} looks like {other:?}");
            }
        }
    }

    #[test]
    fn no_flash_and_no_gap_is_too_short_to_be_seen() {
        for sign in SIGNS {
            assert!(sign.rhythm().iter().all(|step| *step >= 80), "{sign:?}");
            assert!(sign.rhythm().len().is_multiple_of(2), "{sign:?} begins its round unlit");
        }
    }

    #[test]
    fn a_rhythm_goes_round_and_tells_when_it_changes() {
        let at = |millis_in| Sign::NoNetwork.at(millis(millis_in));
        for round in [0, 2_000, 2_000_000_000] {
            assert_eq!(at(round), (Light::On, Some(millis(150))));
            assert_eq!(at(round + 149), (Light::On, Some(millis(1))));
            assert_eq!(at(round + 150), (Light::Off, Some(millis(250))));
            assert_eq!(at(round + 400), (Light::On, Some(millis(150))));
            assert_eq!(at(round + 1_999), (Light::Off, Some(millis(1))));
        }
        assert_eq!(Sign::Watched.at(millis(123_456)), (Light::On, None));
    }

    fn live() -> SourceState {
        SourceState::Live(SourceInfo {
            name: "pattern".into(),
            encoder: "openh264".into(),
            width: 1280,
            height: 720,
            fps: 30.0,
        })
    }

    fn house(source: SourceState, viewers: usize) -> House {
        House { stage: Stage::Up, source, viewers, has_network: true }
    }

    fn lost() -> SourceState {
        SourceState::Lost("no picture for 2 seconds".into())
    }

    #[test]
    fn the_lamp_says_what_matters_most() {
        assert_eq!(house(SourceState::Idle, 0).sign(), Sign::Ready);
        assert_eq!(house(live(), 3).sign(), Sign::Watched);
        assert_eq!(house(lost(), 3).sign(), Sign::Fault);
        assert_eq!(house(SourceState::Ended, 0).sign(), Sign::Ready);
    }

    #[test]
    fn a_camera_that_runs_for_nobody_is_not_watched() {
        assert_eq!(house(SourceState::Starting, 0).sign(), Sign::Starting);
        assert_eq!(house(live(), 0).sign(), Sign::Ready);
        assert_eq!(house(lost(), 0).sign(), Sign::Fault);
    }

    #[test]
    fn whoever_watches_is_shown_even_where_there_is_no_network() {
        let alone = |viewers| House { has_network: false, ..house(live(), viewers) };
        assert_eq!(alone(0).sign(), Sign::NoNetwork);
        assert_eq!(alone(1).sign(), Sign::Watched);
    }

    #[test]
    fn nothing_is_wrong_with_a_house_that_is_not_up_yet() {
        let rising = House { stage: Stage::Starting, has_network: false, ..house(lost(), 1) };
        assert_eq!(rising.sign(), Sign::Starting);
    }

    #[test]
    fn the_lamp_shines_at_the_level_it_is_wired_for_and_goes_out_at_the_end() {
        for active in [Level::High, Level::Low] {
            let (wire, now) = (Wire::new(active.other()), Instant::now());
            let mut lamp = Lamp::new(Box::new(FakeOutput(wire.clone())), active, now);
            assert_eq!(wire.level(), active.other());
            lamp.play(now);
            assert_eq!(wire.level(), active);
            lamp.play(now + millis(1_000));
            assert_eq!(wire.level(), active.other());
            lamp.play(now + millis(2_000));
            drop(lamp);
            assert_eq!(wire.level(), active.other());
        }
    }

    #[test]
    fn a_new_sign_begins_at_once_and_one_said_again_is_not_disturbed() {
        let (wire, start) = (Wire::new(Level::Low), Instant::now());
        let mut lamp = Lamp::new(Box::new(FakeOutput(wire.clone())), Level::High, start);
        lamp.play(start + millis(1_500));
        assert_eq!(wire.level(), Level::Low);
        let changed = start + millis(1_600);
        lamp.say(Sign::Ready, changed);
        assert_eq!(lamp.play(changed), Some(changed + millis(80)));
        assert_eq!(wire.level(), Level::High);
        lamp.say(Sign::Ready, changed + millis(79));
        lamp.play(changed + millis(80));
        assert_eq!(wire.level(), Level::Low);
    }
}
