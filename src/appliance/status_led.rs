//! The status LED: what it shows, and by which blink pattern.
//!
//! [`LedInputs::status`] decides what is shown, [`LedStatus::pattern`] is the table of blink
//! patterns, and [`StatusLed`] plays one on a pin. None of them reads a clock.

use std::time::{Duration, Instant};

use super::gpio::OutputPin;
use crate::config::Level;
use crate::hub::SourceState;

/// Whether Picket has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartState {
    /// It is still opening its sockets and downloading its pages.
    Starting,
    /// It can be reached.
    Started,
}

/// What decides what the LED shows.
#[derive(Clone, Debug)]
pub struct LedInputs {
    /// Whether Picket has started.
    pub start: StartState,
    /// The state of the source. An encoder that keeps failing is a lost source, too.
    pub source: SourceState,
    /// How many viewers there are.
    pub viewers: usize,
    /// Whether this device has an address at which others can reach it, other than on its own
    /// access point.
    pub has_network: bool,
}

impl LedInputs {
    /// The one thing that matters most.
    ///
    /// Being watched comes before having no address, which may both be true if the viewer is on the
    /// device itself: whoever stands in front of the camera is to know.
    pub(super) fn status(&self) -> LedStatus {
        if self.start == StartState::Starting {
            LedStatus::Starting
        } else if matches!(self.source, SourceState::Lost(_)) {
            LedStatus::Fault
        } else if self.viewers > 0 {
            LedStatus::Watched
        } else if !self.has_network {
            LedStatus::NoNetwork
        } else if self.source == SourceState::Starting {
            LedStatus::Starting
        } else {
            LedStatus::Ready
        }
    }
}

/// What the LED can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LedStatus {
    /// Picket, or the camera, is starting.
    Starting,
    /// There is no address: nobody can watch, except on the device's own access point.
    NoNetwork,
    /// All is well, and nobody is watching.
    Ready,
    /// Somebody is watching.
    Watched,
    /// There should be a picture, and there is none.
    Fault,
    /// The button has been held for 5 seconds.
    Held5,
    /// The button has been held for 20 seconds.
    Held20,
}

impl LedStatus {
    /// For how many milliseconds the LED is on, off, on, off and so on, repeated; nothing for an
    /// LED that stays on.
    const fn pattern(self) -> &'static [u64] {
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

    /// Whether the LED is on, this long after the pattern began, and for how much longer it stays
    /// so.
    fn light_at(self, elapsed: Duration) -> (Light, Option<Duration>) {
        let steps = self.pattern().iter().map(|millis| Duration::from_millis(*millis));
        let period: Duration = steps.clone().sum();
        if period.is_zero() {
            return (Light::On, None);
        }
        let mut into = Duration::from_nanos((elapsed.as_nanos() % period.as_nanos()) as u64);
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

/// An LED on a pin. It is switched off when dropped.
pub(super) struct StatusLed {
    pin: Box<dyn OutputPin>,
    active: Level,
    status: LedStatus,
    since: Instant,
    light: Light,
}

impl StatusLed {
    /// An LED that is on at the level `active`, and off until it is [refreshed](Self::refresh).
    pub(super) fn new(pin: Box<dyn OutputPin>, active: Level, now: Instant) -> Self {
        Self { pin, active, status: LedStatus::Starting, since: now, light: Light::Off }
    }

    /// What the LED shows from `now` on. If it shows that already, its pattern goes on undisturbed.
    pub(super) fn show(&mut self, status: LedStatus, now: Instant) {
        if self.status != status {
            (self.status, self.since) = (status, now);
        }
    }

    /// Switches the LED as its pattern has it `now`. Returns when that changes, if ever.
    pub(super) fn refresh(&mut self, now: Instant) -> Option<Instant> {
        let (light, left) = self.status.light_at(now.duration_since(self.since));
        if light != self.light {
            self.light = light;
            self.pin.set(match light {
                Light::On => self.active,
                Light::Off => self.active.other(),
            });
        }
        left.map(|left| now + left)
    }
}

impl Drop for StatusLed {
    fn drop(&mut self) {
        self.pin.set(self.active.other());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::gpio::fake::{FakeLine, FakeOutput};
    use crate::hub::SourceInfo;

    const STATUSES: [LedStatus; 7] = [
        LedStatus::Starting,
        LedStatus::NoNetwork,
        LedStatus::Ready,
        LedStatus::Watched,
        LedStatus::Fault,
        LedStatus::Held5,
        LedStatus::Held20,
    ];

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// How often the LED comes on within 4 seconds, and for how much of them it is on.
    fn flashes_and_light(status: LedStatus) -> (usize, u64) {
        let lit = |at: u64| status.light_at(millis(at)).0 == Light::On;
        let flashes = (1..=4_000).filter(|at| lit(*at) && !lit(at - 1)).count();
        (flashes, (0..4_000).filter(|at| lit(*at)).count() as u64)
    }

    #[test]
    fn signs_are_told_apart_by_eye() {
        for (i, one) in STATUSES.iter().enumerate() {
            for other in &STATUSES[i + 1..] {
                let (flashes, lit) = flashes_and_light(*one);
                let (other_flashes, other_lit) = flashes_and_light(*other);
                let (fewer, more) = (flashes.min(other_flashes), flashes.max(other_flashes));
                let by_number = more >= 2 * fewer && more - fewer >= 2;
                let by_light = lit.abs_diff(other_lit) >= 1_000;
                assert!(by_number || by_light, "{one:?} looks like {other:?}");
            }
        }
    }

    #[test]
    fn no_flash_and_no_gap_is_too_short_to_be_seen() {
        for status in STATUSES {
            assert!(status.pattern().iter().all(|step| *step >= 80), "{status:?}");
            assert!(status.pattern().len().is_multiple_of(2), "{status:?} begins its period unlit");
        }
    }

    #[test]
    fn a_rhythm_goes_round_and_tells_when_it_changes() {
        let at = |millis_in| LedStatus::NoNetwork.light_at(millis(millis_in));
        for period in [0, 2_000, 2_000_000_000] {
            assert_eq!(at(period), (Light::On, Some(millis(150))));
            assert_eq!(at(period + 149), (Light::On, Some(millis(1))));
            assert_eq!(at(period + 150), (Light::Off, Some(millis(250))));
            assert_eq!(at(period + 400), (Light::On, Some(millis(150))));
            assert_eq!(at(period + 1_999), (Light::Off, Some(millis(1))));
        }
        assert_eq!(LedStatus::Watched.light_at(millis(123_456)), (Light::On, None));
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

    fn inputs(source: SourceState, viewers: usize) -> LedInputs {
        LedInputs { start: StartState::Started, source, viewers, has_network: true }
    }

    fn lost() -> SourceState {
        SourceState::Lost("no picture for 2 seconds".into())
    }

    #[test]
    fn the_led_says_what_matters_most() {
        assert_eq!(inputs(SourceState::Idle, 0).status(), LedStatus::Ready);
        assert_eq!(inputs(live(), 3).status(), LedStatus::Watched);
        assert_eq!(inputs(lost(), 3).status(), LedStatus::Fault);
        assert_eq!(inputs(SourceState::Ended, 0).status(), LedStatus::Ready);
    }

    #[test]
    fn a_camera_that_runs_for_nobody_is_not_watched() {
        assert_eq!(inputs(SourceState::Starting, 0).status(), LedStatus::Starting);
        assert_eq!(inputs(live(), 0).status(), LedStatus::Ready);
        assert_eq!(inputs(lost(), 0).status(), LedStatus::Fault);
    }

    #[test]
    fn whoever_watches_is_shown_even_where_there_is_no_network() {
        let alone = |viewers| LedInputs { has_network: false, ..inputs(live(), viewers) };
        assert_eq!(alone(0).status(), LedStatus::NoNetwork);
        assert_eq!(alone(1).status(), LedStatus::Watched);
    }

    #[test]
    fn nothing_is_wrong_with_a_house_that_is_not_up_yet() {
        let start = StartState::Starting;
        let rising = LedInputs { start, has_network: false, ..inputs(lost(), 1) };
        assert_eq!(rising.status(), LedStatus::Starting);
    }

    #[test]
    fn the_led_shines_at_the_level_it_is_wired_for_and_goes_out_at_the_end() {
        for active in [Level::High, Level::Low] {
            let (line, now) = (FakeLine::new(active.other()), Instant::now());
            let mut led = StatusLed::new(Box::new(FakeOutput(line.clone())), active, now);
            assert_eq!(line.level(), active.other());
            led.refresh(now);
            assert_eq!(line.level(), active);
            led.refresh(now + millis(1_000));
            assert_eq!(line.level(), active.other());
            led.refresh(now + millis(2_000));
            drop(led);
            assert_eq!(line.level(), active.other());
        }
    }

    #[test]
    fn a_new_sign_begins_at_once_and_one_said_again_is_not_disturbed() {
        let (line, start) = (FakeLine::new(Level::Low), Instant::now());
        let mut led = StatusLed::new(Box::new(FakeOutput(line.clone())), Level::High, start);
        led.refresh(start + millis(1_500));
        assert_eq!(line.level(), Level::Low);
        let changed = start + millis(1_600);
        led.show(LedStatus::Ready, changed);
        assert_eq!(led.refresh(changed), Some(changed + millis(80)));
        assert_eq!(line.level(), Level::High);
        led.show(LedStatus::Ready, changed + millis(79));
        led.refresh(changed + millis(80));
        assert_eq!(line.level(), Level::Low);
    }
}
