//! The status LED and the button of a housing, served by one task.
//!
//! The task sleeps until the LED's next change or the button's next sample, whichever is first. The
//! button is polled: that costs the same whatever a long wire picks up, where every edge of it
//! would be an interrupt.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::button::{ButtonEvent, Contact, Debouncer};
use super::gpio::{self, GpioError, InputPin};
use super::status_led::{LedInputs, LedStatus, StatusLed};
use crate::config::{self, Level};

/// How often the inputs of the LED are read.
const INPUTS_INTERVAL: Duration = Duration::from_millis(500);

/// How often the button is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Reads what decides what the LED shows. Called about twice a second; must not block.
pub type ReadLedInputs = Box<dyn FnMut() -> LedInputs + Send>;

/// The LED and the button. The LED is switched off when this is stopped or dropped.
#[derive(Debug)]
pub struct LedAndButton {
    task: JoinHandle<()>,
}

impl LedAndButton {
    /// Takes the configured pins and serves them on `runtime`; presses of the button are sent to
    /// `presses`. `None` when there is neither. A pin that is configured but not available is
    /// reported in the log.
    #[must_use]
    pub fn start(
        led: &config::Led,
        button: &config::Button,
        read_inputs: ReadLedInputs,
        presses: mpsc::Sender<ButtonEvent>,
        runtime: &Handle,
    ) -> Option<Self> {
        let now = Instant::now();
        let led = led.pin.map(|number| {
            let pin = gpio::output_pin(number, led.active.other())?;
            let led = StatusLed::new(pin, led.active, now);
            Ok(LedDriver { led, read_inputs, last: None })
        });
        let button = button.pin.map(|number| {
            let pin = gpio::input_pin(number, button.active.other())?;
            let debouncer = Debouncer::new(now);
            Ok(ButtonDriver { debouncer, pin, active: button.active, presses })
        });
        let (led, no_led) = split(led);
        let (button, no_button) = split(button);
        for (level, line) in log_lines(no_led, no_button) {
            log::log!(level, "{line}");
        }
        Drivers::new(led, button).map(|drivers| Self::run(drivers, runtime))
    }

    fn run(mut drivers: Drivers, runtime: &Handle) -> Self {
        let task = runtime.spawn(async move {
            loop {
                let next = drivers.step(tokio::time::Instant::now().into_std());
                tokio::time::sleep_until(next.into()).await;
            }
        });
        Self { task }
    }

    /// Switches the LED off and releases the pins. Returns when that is done.
    pub async fn stop(mut self) {
        self.task.abort();
        // Always an error: it was aborted.
        let _ = (&mut self.task).await;
    }
}

impl Drop for LedAndButton {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is available, and why something is not.
fn split<T>(wanted: Option<Result<T, GpioError>>) -> (Option<T>, Option<GpioError>) {
    match wanted {
        None => (None, None),
        Some(Ok(available)) => (Some(available), None),
        Some(Err(why)) => (None, Some(why)),
    }
}

/// What to log about pins that are configured and not available; a common reason once.
fn log_lines(no_led: Option<GpioError>, no_button: Option<GpioError>) -> Vec<(log::Level, String)> {
    let log_line = |what: &str, why: GpioError| {
        // A card made for a Pi may well be tried elsewhere: there is nothing to fix there.
        let level = if why == GpioError::NotAPi { log::Level::Info } else { log::Level::Warn };
        (level, format!("{what} no effect: {why}"))
    };
    match (no_led, no_button) {
        (Some(one), Some(other)) if one == other => {
            vec![log_line("[led] and [button] have", one)]
        }
        (led, button) => {
            let led = led.map(|why| log_line("[led] has", why));
            led.into_iter().chain(button.map(|why| log_line("[button] has", why))).collect()
        }
    }
}

/// The LED, and what decides what it shows.
struct LedDriver {
    led: StatusLed,
    read_inputs: ReadLedInputs,
    /// The status that was read last, and when to read the next one.
    last: Option<(LedStatus, Instant)>,
}

impl LedDriver {
    /// Does what is due `now`, while the button is held as `held` says; returns when the next thing
    /// is due.
    fn step(&mut self, held: Option<ButtonEvent>, now: Instant) -> Instant {
        let (status, next_read) = match self.last {
            Some(last) if now < last.1 => last,
            _ => ((self.read_inputs)().status(), now + INPUTS_INTERVAL),
        };
        self.last = Some((status, next_read));
        let status = match held {
            Some(ButtonEvent::Long5) => LedStatus::Held5,
            Some(ButtonEvent::Long20) => LedStatus::Held20,
            Some(ButtonEvent::Short) | None => status,
        };
        self.led.show(status, now);
        self.led.refresh(now).map_or(next_read, |change| change.min(next_read))
    }
}

/// The button on its pin, and where its presses go.
struct ButtonDriver {
    debouncer: Debouncer,
    pin: Box<dyn InputPin>,
    active: Level,
    presses: mpsc::Sender<ButtonEvent>,
}

impl ButtonDriver {
    /// Samples the button; while it is held, returns what releasing it now would be.
    fn step(&mut self, now: Instant) -> Option<ButtonEvent> {
        let closed = self.pin.level() == self.active;
        let contact = if closed { Contact::Closed } else { Contact::Open };
        if let Some(event) = self.debouncer.sample(contact, now) {
            // If nobody receives it, a press is lost rather than acted upon late.
            let _ = self.presses.try_send(event);
        }
        self.debouncer.held(now)
    }
}

/// What the task serves: at least one of the two.
struct Drivers {
    led: Option<LedDriver>,
    button: Option<ButtonDriver>,
}

impl Drivers {
    fn new(led: Option<LedDriver>, button: Option<ButtonDriver>) -> Option<Self> {
        (led.is_some() || button.is_some()).then_some(Self { led, button })
    }

    /// Does what is due `now`; returns when the next thing is due.
    fn step(&mut self, now: Instant) -> Instant {
        let held = self.button.as_mut().and_then(|button| button.step(now));
        let poll = self.button.is_some().then_some(now + POLL_INTERVAL);
        let change = self.led.as_mut().map(|led| led.step(held, now));
        poll.into_iter().chain(change).min().unwrap_or(now + INPUTS_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::appliance::StartState;
    use crate::appliance::gpio::fake::{FakeInput, FakeLine, FakeOutput};
    use crate::hub::SourceState;

    /// An LED and a button, both active at low level, with time driven by hand.
    struct Bench {
        drivers: Drivers,
        led: FakeLine,
        button: FakeLine,
        viewers: Arc<Mutex<usize>>,
        reads: Arc<Mutex<usize>>,
        presses: mpsc::Receiver<ButtonEvent>,
        now: Instant,
        due: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            let (led, button) = (FakeLine::new(Level::High), FakeLine::new(Level::High));
            let (viewers, reads) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
            let (sender, presses) = mpsc::channel(1);
            let (watching, counted) = (viewers.clone(), reads.clone());
            let read_inputs: ReadLedInputs = Box::new(move || {
                *counted.lock().unwrap() += 1;
                LedInputs {
                    start: StartState::Started,
                    source: SourceState::Idle,
                    viewers: *watching.lock().unwrap(),
                    has_network: true,
                }
            });
            let status_led = StatusLed::new(Box::new(FakeOutput(led.clone())), Level::Low, now);
            let led_driver = LedDriver { led: status_led, read_inputs, last: None };
            let button_driver = ButtonDriver {
                debouncer: Debouncer::new(now),
                pin: Box::new(FakeInput(button.clone())),
                active: Level::Low,
                presses: sender,
            };
            let drivers = Drivers { led: Some(led_driver), button: Some(button_driver) };
            Self { drivers, led, button, viewers, reads, presses, now, due: now }
        }

        /// Lets time pass, and returns for how many milliseconds of it the LED was on.
        fn pass(&mut self, millis: u64) -> u64 {
            let tick = Duration::from_millis(1);
            let mut lit = 0;
            for _ in 0..millis {
                if self.now >= self.due {
                    self.due = self.drivers.step(self.now);
                    assert!(self.due > self.now);
                }
                lit += u64::from(self.led.level() == Level::Low);
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
    fn a_viewer_lights_the_led_within_half_a_second() {
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
        assert!((19..=21).contains(&*bench.reads.lock().unwrap()));
    }

    #[test]
    fn a_held_button_shows_on_the_led_how_far_it_has_come() {
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
        assert!(bench.pass(4_000) <= 160, "back to what it showed before");
        assert_eq!(bench.presses.try_recv(), Ok(ButtonEvent::Long20));
    }

    #[test]
    fn presses_come_out_and_never_hold_up_the_led() {
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
    async fn the_led_is_dark_once_the_panel_has_stopped() {
        let Bench { drivers, led, viewers, .. } = Bench::new();
        *viewers.lock().unwrap() = 1;
        let running = LedAndButton::run(drivers, &Handle::current());
        // Takes no time: the clock is paused, and leaps once all tasks wait for it.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(led.level(), Level::Low);
        running.stop().await;
        assert_eq!(led.level(), Level::High);
    }

    #[tokio::test]
    async fn without_pins_there_is_no_panel() {
        let read_inputs: ReadLedInputs = Box::new(|| unreachable!("nobody asks"));
        let (led, button) = (config::Led::default(), config::Button::default());
        let presses = mpsc::channel(1).0;
        assert!(
            LedAndButton::start(&led, &button, read_inputs, presses, &Handle::current()).is_none()
        );
    }

    #[test]
    fn what_cannot_be_had_is_told_once() {
        assert_eq!(log_lines(None, None), []);
        let not_a_pi = || Some(GpioError::NotAPi);
        let told = log_lines(not_a_pi(), not_a_pi());
        let [(log::Level::Info, line)] = &*told else { panic!("{told:?}") };
        assert!(line.starts_with("[led] and [button] have no effect: this machine"), "{line}");
        let told = log_lines(None, Some(GpioError::Denied("/dev/gpiochip0".into())));
        let [(log::Level::Warn, line)] = &*told else { panic!("{told:?}") };
        assert!(line.starts_with("[button] has no effect: /dev/gpiochip0"), "{line}");
    }
}
