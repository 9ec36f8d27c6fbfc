//! The pins of a Raspberry Pi's header: the one place that knows the library for them.
//!
//! Off a Pi, and in a build without the feature `gpio`, every pin is refused with the reason.

use crate::config::Level;

/// A pin that Picket drives. Goes back to what it was when dropped.
pub(super) trait Output: Send {
    fn set(&mut self, level: Level);
}

/// A pin that Picket listens to.
pub(super) trait Input: Send {
    fn level(&self) -> Level;
}

/// Why a pin cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpioError {
    /// This build has no code for it.
    #[error("this build of Picket has no GPIO: it was made without the feature \"gpio\"")]
    NotBuilt,
    /// There are no such pins on this machine.
    #[error("this machine is no Raspberry Pi with GPIO that Picket knows")]
    NotAPi,
    /// The system keeps them from Picket.
    #[error("{0} may not be opened: add the user that runs Picket to the group \"gpio\"")]
    Denied(String),
    /// The other of lamp and button has it.
    #[error("GPIO {0} is in use already: lamp and button need one each")]
    Taken(u8),
    /// The system failed.
    #[error("GPIO cannot be used: {0}")]
    Failed(String),
}

/// One pin of the header, as [`lines`] found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its BCM number, as `led.pin` and `button.pin` have it.
    pub pin: u8,
    /// What it is set to be: `in`, `out`, or `alt0` and so on where another part of the chip,
    /// such as a serial port, has it.
    pub mode: String,
}

/// What board this is, by its own account: "Raspberry Pi 4 Model B Rev 1.4". `None` where the
/// firmware describes none, as on a PC.
#[must_use]
pub fn board() -> Option<String> {
    // A string of a device tree ends in a NUL (Devicetree Specification §2.2.4).
    let text = std::fs::read_to_string("/proc/device-tree/model").ok()?;
    let name = text.trim_end_matches('\0').trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The pins there are to choose from. Changes none of them.
///
/// # Errors
/// When none can be used; says why.
pub fn lines() -> Result<Vec<Line>, GpioError> {
    pins::lines()
}

/// Takes a pin to drive it, at `first` to begin with.
pub(super) fn output(pin: u8, first: Level) -> Result<Box<dyn Output>, GpioError> {
    pins::output(pin, first)
}

/// Takes a pin to listen to it, with a resistor that pulls it to `rest` when nothing else does.
pub(super) fn input(pin: u8, rest: Level) -> Result<Box<dyn Input>, GpioError> {
    pins::input(pin, rest)
}

#[cfg(feature = "gpio")]
mod pins {
    use rppal::gpio::{Error, Gpio, InputPin, OutputPin};

    use super::{GpioError, Input, Level, Line, Output};

    /// The pins of the 40-pin header; further ones of the chip are wired on the board.
    const HEADER: std::ops::RangeInclusive<u8> = 0..=27;

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

    impl Output for OutputPin {
        fn set(&mut self, level: Level) {
            match level {
                Level::High => self.set_high(),
                Level::Low => self.set_low(),
            }
        }
    }

    impl Input for InputPin {
        fn level(&self) -> Level {
            if self.is_high() { Level::High } else { Level::Low }
        }
    }

    pub(super) fn output(pin: u8, first: Level) -> Result<Box<dyn Output>, GpioError> {
        let pin = Gpio::new()?.get(pin)?;
        Ok(Box::new(match first {
            Level::High => pin.into_output_high(),
            Level::Low => pin.into_output_low(),
        }))
    }

    pub(super) fn input(pin: u8, rest: Level) -> Result<Box<dyn Input>, GpioError> {
        let pin = Gpio::new()?.get(pin)?;
        Ok(Box::new(match rest {
            Level::High => pin.into_input_pullup(),
            Level::Low => pin.into_input_pulldown(),
        }))
    }

    pub(super) fn lines() -> Result<Vec<Line>, GpioError> {
        let gpio = Gpio::new()?;
        // What another part of this process has is in use, which is to be told, too.
        let mode = |pin| match gpio.get(pin) {
            Ok(pin) => pin.mode().to_string().to_lowercase(),
            Err(_) => "in use".to_owned(),
        };
        Ok(HEADER.map(|pin| Line { pin, mode: mode(pin) }).collect())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_error_says_what_to_do() {
            let words = |error: Error| GpioError::from(error).to_string();
            assert!(words(Error::UnknownModel).contains("no Raspberry Pi"));
            assert!(words(Error::PermissionDenied("/dev/gpiomem".into())).contains("group"));
            assert!(words(Error::PinUsed(17)).starts_with("GPIO 17 is in use"));
        }
    }
}

#[cfg(not(feature = "gpio"))]
mod pins {
    use super::{GpioError, Input, Level, Line, Output};

    pub(super) fn output(_: u8, _: Level) -> Result<Box<dyn Output>, GpioError> {
        Err(GpioError::NotBuilt)
    }

    pub(super) fn input(_: u8, _: Level) -> Result<Box<dyn Input>, GpioError> {
        Err(GpioError::NotBuilt)
    }

    pub(super) fn lines() -> Result<Vec<Line>, GpioError> {
        Err(GpioError::NotBuilt)
    }
}

/// Pins for tests.
#[cfg(test)]
pub(super) mod fake {
    use std::sync::{Arc, Mutex};

    use super::{Input, Level, Output};

    /// What a pin is connected to.
    #[derive(Clone)]
    pub(in crate::appliance) struct Wire(Arc<Mutex<Level>>);

    impl Wire {
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

    pub(in crate::appliance) struct FakeOutput(pub(in crate::appliance) Wire);

    impl Output for FakeOutput {
        fn set(&mut self, level: Level) {
            self.0.put(level);
        }
    }

    pub(in crate::appliance) struct FakeInput(pub(in crate::appliance) Wire);

    impl Input for FakeInput {
        fn level(&self) -> Level {
            self.0.level()
        }
    }
}
