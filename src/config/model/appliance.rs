//! The device around the camera.

use std::time::Duration;

use crate::config::values::{PrivateUrl, SshKey};

/// `[led]`
#[derive(Clone, Debug, PartialEq)]
pub struct Led {
    /// GPIO (BCM number) of the LED; none for no LED.
    pub pin: Option<u8>,
    /// Level at which it is lit.
    pub active: Level,
}

/// `[button]`
#[derive(Clone, Debug, PartialEq)]
pub struct Button {
    /// GPIO (BCM number) of the button; none for no button.
    pub pin: Option<u8>,
    /// Level while it is pressed.
    pub active: Level,
}

/// The level of a GPIO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// 3.3 V.
    High,
    /// 0 V.
    Low,
}

impl Level {
    /// The other one of the two.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::High => Self::Low,
            Self::Low => Self::High,
        }
    }
}

/// `[watchdog]`
#[derive(Clone, Debug, PartialEq)]
pub struct Watchdog {
    /// Whether the hardware restarts a device that hangs.
    pub enabled: bool,
    /// How long it may hang.
    pub timeout: Duration,
}

/// `[update]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Where updates are announced; none for no updates.
    pub url: Option<PrivateUrl>,
    /// How often to look there.
    pub check: Schedule,
    /// Who decides to install.
    pub install: Install,
}

/// How often updates are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// Only when the owner asks.
    Never,
    /// Once a day.
    #[default]
    Daily,
    /// Once a week.
    Weekly,
}

/// Who decides that an update is installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Install {
    /// The owner.
    #[default]
    Manual,
    /// Picket, when nobody watches.
    Automatic,
}

/// `[ssh]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ssh {
    /// Who may sign in; without any, no SSH server runs.
    pub authorized_keys: Vec<SshKey>,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// How much is logged.
    pub level: log::LevelFilter,
}

impl Default for Led {
    fn default() -> Self {
        Self { pin: None, active: Level::High }
    }
}

impl Default for Button {
    fn default() -> Self {
        Self { pin: None, active: Level::Low }
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self { enabled: true, timeout: Duration::from_secs(15) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: log::LevelFilter::Info }
    }
}
