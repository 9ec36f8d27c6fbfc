//! Lamp and button, kept going by one task.
//!
//! The task sleeps until the lamp's next change or the button's next look, whichever is first.
//! The button is looked at rather than waited for: looking costs the same whatever a long wire
//! picks up, where every edge of it would be an interrupt.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::button::{Button, ButtonEvent, Contact};
use super::gpio::{self, GpioError, Input};
use super::led::{House, Lamp, Sign};
use crate::config::{self, Level};

/// How often the house is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often the button is looked at.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Tells how the house is doing. Called about twice a second; must not block.
pub type Look = Box<dyn FnMut() -> House + Send>;

/// The lamp and the button of a housing. The lamp goes out when it is stopped or dropped.
#[derive(Debug)]
pub struct Panel {
    task: JoinHandle<()>,
}

impl Panel {
    /// Takes the pins that are configured and sees to them on `runtime`; presses of the button
    /// come out of `presses`. `None` when there is nothing to see to. What is configured but
    /// cannot be had is told in the log.
    #[must_use]
    pub fn start(
        led: &config::Led,
        button: &config::Button,
        look: Look,
        presses: mpsc::Sender<ButtonEvent>,
        runtime: &Handle,
    ) -> Option<Self> {
        let now = Instant::now();
        let lamp = led.pin.map(|pin| {
            let output = gpio::output(pin, led.active.other())?;
            Ok(Signals { lamp: Lamp::new(output, led.active, now), look, house: None })
        });
        let switch = button.pin.map(|pin| {
            let input = gpio::input(pin, button.active.other())?;
            Ok(Switch { button: Button::new(now), input, active: button.active, presses })
        });
        let (lamp, no_lamp) = split(lamp);
        let (switch, no_switch) = split(switch);
        for (level, line) in complaints(no_lamp, no_switch) {
            log::log!(level, "{line}");
        }
        Front::new(lamp, switch).map(|front| Self::run(front, runtime))
    }

    fn run(mut front: Front, runtime: &Handle) -> Self {
        let task = runtime.spawn(async move {
            loop {
                let next = front.step(tokio::time::Instant::now().into_std());
                tokio::time::sleep_until(next.into()).await;
            }
        });
        Self { task }
    }

    /// Puts the lamp out and lets go of the pins. Returns when that is done.
    pub async fn stop(mut self) {
        self.task.abort();
        // Ends in an error by design: it was aborted.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What was had, and why something was not.
fn split<T>(wanted: Option<Result<T, GpioError>>) -> (Option<T>, Option<GpioError>) {
    match wanted {
        None => (None, None),
        Some(Ok(had)) => (Some(had), None),
        Some(Err(why)) => (None, Some(why)),
    }
}

/// What to tell of the pins that are configured and cannot be had; a common reason once.
fn complaints(
    no_lamp: Option<GpioError>,
    no_switch: Option<GpioError>,
) -> Vec<(log::Level, String)> {
    let complaint = |what: &str, why: GpioError| {
        // A card made for a Pi may well be tried elsewhere: nothing there is to be mended.
        let level = if why == GpioError::NotAPi { log::Level::Info } else { log::Level::Warn };
        (level, format!("{what} no effect: {why}"))
    };
    match (no_lamp, no_switch) {
        (Some(one), Some(other)) if one == other => {
            vec![complaint("[led] and [button] have", one)]
        }
        (lamp, switch) => {
            let lamp = lamp.map(|why| complaint("[led] has", why));
            lamp.into_iter().chain(switch.map(|why| complaint("[button] has", why))).collect()
        }
    }
}

/// The lamp, and where it gets its signs from.
struct Signals {
    lamp: Lamp,
    look: Look,
    /// What the house had to say, and when to ask it again.
    house: Option<(Sign, Instant)>,
}

impl Signals {
    fn step(&mut self, pressed: Option<ButtonEvent>, now: Instant) -> Instant {
        let (sign, ask_again) = match self.house {
            Some(known) if now < known.1 => known,
            _ => ((self.look)().sign(), now + LOOK_EVERY),
        };
        self.house = Some((sign, ask_again));
        let sign = match pressed {
            Some(ButtonEvent::Long5) => Sign::Held5,
            Some(ButtonEvent::Long20) => Sign::Held20,
            Some(ButtonEvent::Short) | None => sign,
        };
        self.lamp.say(sign, now);
        self.lamp.play(now).map_or(ask_again, |change| change.min(ask_again))
    }
}

/// The button on its pin, and who hears of it.
struct Switch {
    button: Button,
    input: Box<dyn Input>,
    active: Level,
    presses: mpsc::Sender<ButtonEvent>,
}

impl Switch {
    /// Looks at the button; says what letting it go would amount to, while it is held.
    fn step(&mut self, now: Instant) -> Option<ButtonEvent> {
        let closed = self.input.level() == self.active;
        let contact = if closed { Contact::Closed } else { Contact::Open };
        if let Some(event) = self.button.see(contact, now) {
            // With nobody there to take it, a press is lost rather than acted upon late.
            let _ = self.presses.try_send(event);
        }
        self.button.so_far(now)
    }
}

/// What the task sees to: at least one of the two.
struct Front {
    signals: Option<Signals>,
    switch: Option<Switch>,
}

impl Front {
    fn new(signals: Option<Signals>, switch: Option<Switch>) -> Option<Self> {
        (signals.is_some() || switch.is_some()).then_some(Self { signals, switch })
    }

    /// Does what is due `now`; says when the next thing is.
    fn step(&mut self, now: Instant) -> Instant {
        let pressed = self.switch.as_mut().and_then(|switch| switch.step(now));
        let poll = self.switch.is_some().then_some(now + POLL_EVERY);
        let change = self.signals.as_mut().map(|signals| signals.step(pressed, now));
        poll.into_iter().chain(change).min().unwrap_or(now + LOOK_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::appliance::Stage;
    use crate::appliance::gpio::fake::{FakeInput, FakeOutput, Wire};
    use crate::hub::SourceState;

    /// A panel whose lamp and button shine and close at low level, with time driven by hand.
    struct Bench {
        front: Front,
        lamp: Wire,
        button: Wire,
        viewers: Arc<Mutex<usize>>,
        looks: Arc<Mutex<usize>>,
        presses: mpsc::Receiver<ButtonEvent>,
        now: Instant,
        due: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            let (lamp, button) = (Wire::new(Level::High), Wire::new(Level::High));
            let (viewers, looks) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
            let (sender, presses) = mpsc::channel(1);
            let (watching, counted) = (viewers.clone(), looks.clone());
            let look: Look = Box::new(move || {
                *counted.lock().unwrap() += 1;
                House {
                    stage: Stage::Up,
                    source: SourceState::Idle,
                    viewers: *watching.lock().unwrap(),
                    has_network: true,
                }
            });
            let output = Box::new(FakeOutput(lamp.clone()));
            let signals = Signals { lamp: Lamp::new(output, Level::Low, now), look, house: None };
            let switch = Switch {
                button: Button::new(now),
                input: Box::new(FakeInput(button.clone())),
                active: Level::Low,
                presses: sender,
            };
            let front = Front { signals: Some(signals), switch: Some(switch) };
            Self { front, lamp, button, viewers, looks, presses, now, due: now }
        }

        /// Lets time pass, and says for how many milliseconds of it the lamp shone.
        fn pass(&mut self, millis: u64) -> u64 {
            let tick = Duration::from_millis(1);
            let mut lit = 0;
            for _ in 0..millis {
                if self.now >= self.due {
                    self.due = self.front.step(self.now);
                    assert!(self.due > self.now);
                }
                lit += u64::from(self.lamp.level() == Level::Low);
                self.now += tick;
            }
            lit
        }

        fn press(&mut self, millis: u64) {
            self.button.put(Level::Low);
            self.pass(millis);
            self.button.put(Level::High);
            self.pass(100);
        }
    }

    #[test]
    fn a_viewer_lights_the_lamp_within_half_a_second() {
        let mut bench = Bench::new();
        assert_eq!(bench.pass(4_000), 80);
        *bench.viewers.lock().unwrap() = 1;
        bench.pass(500);
        assert_eq!(bench.pass(4_000), 4_000);
    }

    #[test]
    fn the_house_is_asked_twice_a_second_however_often_the_button_is_looked_at() {
        let mut bench = Bench::new();
        bench.pass(10_000);
        assert!((19..=21).contains(&*bench.looks.lock().unwrap()));
    }

    #[test]
    fn a_held_button_shows_on_the_lamp_how_far_it_has_come() {
        let mut bench = Bench::new();
        bench.pass(100);
        bench.button.put(Level::Low);
        assert!(bench.pass(4_900) < 200, "shown before 5 seconds");
        bench.pass(200);
        assert_eq!(bench.pass(3_000), 2_700, "one gap a second");
        bench.pass(11_950);
        bench.pass(1_000);
        assert_eq!(bench.pass(3_000), 2_400, "two gaps a second");
        bench.button.put(Level::High);
        bench.pass(100);
        assert!(bench.pass(4_000) <= 160, "back to what it said before");
        assert_eq!(bench.presses.try_recv(), Ok(ButtonEvent::Long20));
    }

    #[test]
    fn presses_come_out_and_never_hold_up_the_lamp() {
        let mut bench = Bench::new();
        bench.pass(100);
        bench.press(200);
        assert_eq!(bench.presses.try_recv(), Ok(ButtonEvent::Short));
        bench.press(5_100);
        bench.press(200);
        assert_eq!(bench.presses.try_recv(), Ok(ButtonEvent::Long5));
        assert!(bench.presses.try_recv().is_err(), "the one nobody took");
        bench.presses.close();
        bench.press(200);
        assert_eq!(bench.pass(4_000), 80);
    }

    #[tokio::test(start_paused = true)]
    async fn the_lamp_is_dark_once_the_panel_has_stopped() {
        let Bench { front, lamp, viewers, .. } = Bench::new();
        *viewers.lock().unwrap() = 1;
        let panel = Panel::run(front, &Handle::current());
        // Takes no time: the clock is paused, and leaps once all tasks wait for it.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(lamp.level(), Level::Low);
        panel.stop().await;
        assert_eq!(lamp.level(), Level::High);
    }

    #[tokio::test]
    async fn without_pins_there_is_no_panel() {
        let look: Look = Box::new(|| unreachable!("nobody asks"));
        let (led, button) = (config::Led::default(), config::Button::default());
        let presses = mpsc::channel(1).0;
        assert!(Panel::start(&led, &button, look, presses, &Handle::current()).is_none());
    }

    #[test]
    fn what_cannot_be_had_is_told_once() {
        assert_eq!(complaints(None, None), []);
        let not_a_pi = || Some(GpioError::NotAPi);
        let told = complaints(not_a_pi(), not_a_pi());
        let [(log::Level::Info, line)] = &*told else { panic!("{told:?}") };
        assert!(line.starts_with("[led] and [button] have no effect: this machine"), "{line}");
        let told = complaints(None, Some(GpioError::Taken(17)));
        let [(log::Level::Warn, line)] = &*told else { panic!("{told:?}") };
        assert!(line.starts_with("[button] has no effect: GPIO 17"), "{line}");
    }
}
