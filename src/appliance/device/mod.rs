//! The device, as its owner deals with it on its page: how it is, which network it is in, what it
//! installs.
//!
//! In come what the owner wants; out go questions to the [steward](super::Steward), and what came
//! of them, also for who was cut off while they were being answered: joining a network takes the
//! page's own connection away, and installing ends in a restart.

mod choice;
mod installer;

use super::updates::Updates;
use super::{DeviceStatus, Join, Reply, Request, SeenNetwork, Steward, StewardError};
use crate::config::Update;

pub use choice::{Choice, ChoiceOutcome};
pub use installer::{Bundle, InstallError, Installer, LengthError, Step, Turn};

use choice::Choices;

/// The device. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Device {
    steward: Steward,
    installer: Installer,
    choices: Choices,
    updates: Updates,
}

impl Device {
    /// The device that `steward` minds, and that gets its updates as `settings` say.
    #[must_use]
    pub fn new(steward: Steward, settings: Update) -> Self {
        let installer = Installer::new(steward.clone());
        let updates = Updates::new(settings, steward.clone(), installer.clone());
        Self { choices: Choices::new(steward.clone()), steward, installer, updates }
    }

    /// Installs bundles.
    #[must_use]
    pub fn installer(&self) -> &Installer {
        &self.installer
    }

    /// Looks for updates.
    #[must_use]
    pub fn updates(&self) -> &Updates {
        &self.updates
    }

    /// How the device is.
    ///
    /// # Errors
    /// When the steward does not answer.
    pub async fn status(&self) -> Result<DeviceStatus, StewardError> {
        self.steward.status().await
    }

    /// The wireless networks in reach, the strongest first.
    ///
    /// # Errors
    /// When there is no radio, or the steward does not answer.
    pub async fn networks(&self) -> Result<Vec<SeenNetwork>, StewardError> {
        match self.steward.ask(&Request::Networks).await? {
            Reply::Networks { networks } => Ok(networks),
            _ => Err(StewardError::unexpected()),
        }
    }

    /// Joins a network. Once begun it goes on, even if nobody waits for it any more.
    ///
    /// # Errors
    /// When that did not work. All is as before then.
    pub async fn join(&self, join: Join) -> Result<(), StewardError> {
        self.choices.join(join).await
    }

    /// What became of the network that was chosen last.
    #[must_use]
    pub fn choice(&self) -> Option<Choice> {
        self.choices.last()
    }

    /// Restarts the device, a moment later.
    ///
    /// # Errors
    /// When the steward refuses or does not answer.
    pub async fn restart(&self) -> Result<(), StewardError> {
        self.steward.ask(&Request::Restart).await.map(drop)
    }

    /// Has the device forget everything and restart, a moment later.
    ///
    /// # Errors
    /// When the steward refuses or does not answer.
    pub async fn reset(&self) -> Result<(), StewardError> {
        self.steward.ask(&Request::Reset).await.map(drop)
    }

    /// The last lines of the log, the oldest first.
    ///
    /// # Errors
    /// When the steward does not answer.
    pub async fn log(&self) -> Result<Vec<String>, StewardError> {
        match self.steward.ask(&Request::Log).await? {
            Reply::Log { lines } => Ok(lines),
            _ => Err(StewardError::unexpected()),
        }
    }
}
