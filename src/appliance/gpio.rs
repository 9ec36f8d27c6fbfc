//! The GPIO pins of a Raspberry Pi's header: the one place that uses the library for them.
//!
//! On other machines, and in a build without the feature `gpio`, every pin is refused with the
//! reason.

use super::board::{Board, board};
use super::gpio_chips::{GpioChip, gpio_chips};
use crate::config::Level;

/// A pin that Picket drives. It gets its former mode back when dropped.
pub(super) trait OutputPin: Send {
    fn set(&mut self, level: Level);
}

/// A pin that Picket reads.
pub(super) trait InputPin: Send {
    fn level(&self) -> Level;
}

/// Why a pin cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpioError {
    /// This build has no code for it.
    #[cfg(any(not(feature = "gpio"), test))]
    #[error("this build of Picket has no GPIO: it was made without the feature \"gpio\"")]
    NotBuilt,
    /// There are no such pins on this machine.
    #[error("this machine is not a Raspberry Pi with GPIO that Picket knows")]
    NotAPi,
    /// Picket has no permission.
    #[error("{0} may not be opened: add the user that runs Picket to the group \"gpio\"")]
    Denied(String),
    /// The other of LED and button has it.
    #[cfg(feature = "gpio")]
    #[error("GPIO {0} is in use already: LED and button need one each")]
    Taken(u8),
    /// The system failed.
    #[cfg(feature = "gpio")]
    #[error("GPIO cannot be used: {0}")]
    Failed(String),
}

/// The header with its pins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpioHeader {
    /// The GPIO chip its pins belong to.
    pub chip: String,
    /// The pins, in the order of their numbers.
    pub pins: Vec<GpioPin>,
    /// Why Picket cannot use them, if it cannot.
    pub unusable: Option<GpioError>,
}

/// One pin of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpioPin {
    /// Its BCM number, as `led.pin` and `button.pin` have it.
    pub number: u8,
    /// Its name in the device tree: "GPIO17", "ID_SDA".
    pub name: String,
    /// What uses it now; `None` when it is free.
    pub user: Option<String>,
}

/// The pins of the 40-pin header; the chip has more, which are wired on the board.
const HEADER_PINS: std::ops::RangeInclusive<u8> = 0..=27;

/// The pins there are to choose from, and what uses them. Changes none of them.
///
/// # Errors
/// Why there are none.
pub fn gpio_header() -> Result<GpioHeader, GpioError> {
    assemble(&board(), gpio_chips(), pins::modes())
}

fn assemble(
    board: &Board,
    chips: Vec<GpioChip>,
    modes: Result<Vec<(u8, String)>, GpioError>,
) -> Result<GpioHeader, GpioError> {
    if !board.is_raspberry_pi() {
        return Err(GpioError::NotAPi);
    }
    let has_header = |chip: &GpioChip| {
        chip.lines.len() > usize::from(*HEADER_PINS.end())
            && (chip.label.starts_with("pinctrl-bcm") || chip.label.starts_with("pinctrl-rp1"))
    };
    let chip = chips.into_iter().find(has_header);
    let chip = chip.ok_or_else(|| GpioError::Denied("/dev/gpiochip0".into()))?;
    let (modes, unusable) = match modes {
        Ok(modes) => (modes, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let pins = HEADER_PINS.zip(chip.lines).map(|(number, line)| {
        let mode = modes.iter().find(|(pin, _)| *pin == number).map(|(_, mode)| mode.as_str());
        let user = match (line.user, mode) {
            (Some(user), _) if user.is_empty() => Some("somebody".into()),
            (Some(user), _) => Some(user),
            // Such as a serial port or a bus, which the kernel does not list as a user.
            (None, Some(mode)) if mode.starts_with("alt") => {
                Some(format!("another part of the chip ({mode})"))
            }
            (None, _) => None,
        };
        GpioPin { number, name: line.name, user }
    });
    Ok(GpioHeader {
        chip: format!("{} ({})", chip.name, chip.label),
        pins: pins.collect(),
        unusable,
    })
}

/// Why this build cannot use any pin on this machine; `None` if it can.
#[must_use]
pub fn gpio_unavailable() -> Option<GpioError> {
    pins::unavailable()
}

/// Takes a pin to drive it, at the level `first` to begin with.
pub(super) fn output_pin(number: u8, first: Level) -> Result<Box<dyn OutputPin>, GpioError> {
    pins::output(number, first)
}

/// Takes a pin to read it, with a resistor that pulls it to the level `rest`.
pub(super) fn input_pin(number: u8, rest: Level) -> Result<Box<dyn InputPin>, GpioError> {
    pins::input(number, rest)
}

#[cfg(feature = "gpio")]
mod pins {
    use rppal::gpio::{self, Error, Gpio};

    use super::{GpioError, HEADER_PINS, InputPin, Level, OutputPin};

    impl From<Error> for GpioError {
        fn from(error: Error) -> Self {
            match error {
                Error::UnknownModel => Self::NotAPi,
                Error::PermissionDenied(path) => Self::Denied(path),
                Error::PinUsed(pin) => Self::Taken(pin),
                other => Self::Failed(other.to_string()),
            }
        }
    }

    impl OutputPin for gpio::OutputPin {
        fn set(&mut self, level: Level) {
            match level {
                Level::High => self.set_high(),
                Level::Low => self.set_low(),
            }
        }
    }

    impl InputPin for gpio::InputPin {
        fn level(&self) -> Level {
            if self.is_high() { Level::High } else { Level::Low }
        }
    }

    pub(super) fn output(number: u8, first: Level) -> Result<Box<dyn OutputPin>, GpioError> {
        let pin = Gpio::new()?.get(number)?;
        Ok(Box::new(match first {
            Level::High => pin.into_output_high(),
            Level::Low => pin.into_output_low(),
        }))
    }

    pub(super) fn input(number: u8, rest: Level) -> Result<Box<dyn InputPin>, GpioError> {
        let pin = Gpio::new()?.get(number)?;
        Ok(Box::new(match rest {
            Level::High => pin.into_input_pullup(),
            Level::Low => pin.into_input_pulldown(),
        }))
    }

    pub(super) fn unavailable() -> Option<GpioError> {
        Gpio::new().err().map(GpioError::from)
    }

    /// What each pin of the header is set to be: `in`, `out`, or `alt0` and so on where another
    /// part of the chip has it.
    pub(super) fn modes() -> Result<Vec<(u8, String)>, GpioError> {
        let gpio = Gpio::new()?;
        let mode = |pin| Some((pin, gpio.get(pin).ok()?.mode().to_string().to_lowercase()));
        Ok(HEADER_PINS.filter_map(mode).collect())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_error_says_what_to_do() {
            let words = |error: Error| GpioError::from(error).to_string();
            assert!(words(Error::UnknownModel).contains("not a Raspberry Pi"));
            assert!(words(Error::PermissionDenied("/dev/gpiomem".into())).contains("group"));
            assert!(words(Error::PinUsed(17)).starts_with("GPIO 17 is in use"));
        }
    }
}

#[cfg(not(feature = "gpio"))]
mod pins {
    use super::{GpioError, InputPin, Level, OutputPin};

    pub(super) fn output(_: u8, _: Level) -> Result<Box<dyn OutputPin>, GpioError> {
        Err(GpioError::NotBuilt)
    }

    pub(super) fn input(_: u8, _: Level) -> Result<Box<dyn InputPin>, GpioError> {
        Err(GpioError::NotBuilt)
    }

    pub(super) fn unavailable() -> Option<GpioError> {
        Some(GpioError::NotBuilt)
    }

    pub(super) fn modes() -> Result<Vec<(u8, String)>, GpioError> {
        Err(GpioError::NotBuilt)
    }
}

#[cfg(test)]
mod tests {
    use super::super::gpio_chips::GpioLine;
    use super::*;

    fn pi() -> Board {
        let compatible = vec!["raspberrypi,4-model-b".to_owned(), "brcm,bcm2711".to_owned()];
        Board { model: Some("Raspberry Pi 4 Model B Rev 1.4".into()), compatible }
    }

    fn chip(label: &str, count: usize) -> GpioChip {
        let line = |n| GpioLine { name: format!("GPIO{n}"), user: None };
        GpioChip {
            name: "gpiochip0".into(),
            label: label.into(),
            lines: (0..count).map(line).collect(),
        }
    }

    #[test]
    fn the_header_s_pins_are_told_with_who_uses_them() {
        let mut soc = chip("pinctrl-bcm2711", 58);
        soc.lines[17].user = Some("status LED".into());
        soc.lines[18].user = Some(String::new());
        let others = vec![chip("raspberrypi-exp-gpio", 8), soc];
        let modes = Ok(vec![(14, "alt0".to_owned()), (4, "in".to_owned())]);
        let header = assemble(&pi(), others, modes).unwrap();
        assert_eq!(header.chip, "gpiochip0 (pinctrl-bcm2711)");
        assert_eq!(header.pins.len(), 28);
        let user = |pin: usize| header.pins[pin].user.as_deref();
        assert_eq!(user(17), Some("status LED"));
        assert_eq!(user(18), Some("somebody"));
        assert_eq!(user(14), Some("another part of the chip (alt0)"));
        assert_eq!((user(4), header.pins[4].name.as_str()), (None, "GPIO4"));
        assert_eq!(header.unusable, None);
    }

    #[test]
    fn a_pi_whose_pins_cannot_be_used_says_why() {
        let soc = vec![chip("pinctrl-rp1", 54)];
        let header = assemble(&pi(), soc, Err(GpioError::NotBuilt)).unwrap();
        assert_eq!(header.unusable, Some(GpioError::NotBuilt));
        let denied = assemble(&pi(), vec![], Err(GpioError::NotBuilt)).unwrap_err();
        assert!(denied.to_string().contains("group"), "{denied}");
    }

    #[test]
    fn elsewhere_there_is_no_header() {
        let board = Board { model: Some("linux,dummy-virt".into()), ..Board::default() };
        let chips = vec![chip("9030000.pl061", 8)];
        assert_eq!(assemble(&board, chips, Ok(vec![])), Err(GpioError::NotAPi));
    }
}

/// Pins for tests.
#[cfg(test)]
pub(super) mod fake {
    use std::sync::{Arc, Mutex};

    use super::{InputPin, Level, OutputPin};

    /// The line that a pin is connected to.
    #[derive(Clone)]
    pub(in crate::appliance) struct FakeLine(Arc<Mutex<Level>>);

    impl FakeLine {
        pub(in crate::appliance) fn new(level: Level) -> Self {
            Self(Arc::new(Mutex::new(level)))
        }

        pub(in crate::appliance) fn level(&self) -> Level {
            *self.0.lock().unwrap()
        }

        pub(in crate::appliance) fn put(&self, level: Level) {
            *self.0.lock().unwrap() = level;
        }
    }

    pub(in crate::appliance) struct FakeOutput(pub(in crate::appliance) FakeLine);

    impl OutputPin for FakeOutput {
        fn set(&mut self, level: Level) {
            self.0.put(level);
        }
    }

    pub(in crate::appliance) struct FakeInput(pub(in crate::appliance) FakeLine);

    impl InputPin for FakeInput {
        fn level(&self) -> Level {
            self.0.level()
        }
    }
}
