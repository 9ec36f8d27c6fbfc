//! The device, as its page shows and controls it: its state, its network, its updates.
//!
//! In comes what the owner wants; out go requests to the [steward](super::StewardClient), and their
//! results, also for whoever has lost the connection meanwhile: joining a network takes away the
//! page's own connection, and installing an update ends in a restart.

mod wifi_join;

use super::installer::Installer;
use super::updates::UpdateChecker;
use super::{
    DeviceStatus, JoinRequest, SeenNetwork, StewardClient, StewardError, StewardReply,
    StewardRequest,
};
use crate::config::Update;

pub use wifi_join::WifiJoin;

use wifi_join::WifiJoiner;

/// The device. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Device {
    steward: StewardClient,
    installer: Installer,
    wifi: WifiJoiner,
    updates: UpdateChecker,
}

impl Device {
    /// The device that this steward runs, and that gets its updates as `settings` say.
    #[must_use]
    pub fn new(steward: StewardClient, settings: Update) -> Self {
        let installer = Installer::new(steward.clone());
        let updates = UpdateChecker::new(settings, steward.clone(), installer.clone());
        Self { wifi: WifiJoiner::new(steward.clone()), steward, installer, updates }
    }

    /// Installs bundles.
    #[must_use]
    pub fn installer(&self) -> &Installer {
        &self.installer
    }

    /// Checks for updates.
    #[must_use]
    pub fn updates(&self) -> &UpdateChecker {
        &self.updates
    }

    /// How the device is.
    ///
    /// # Errors
    /// When the steward does not respond.
    pub async fn status(&self) -> Result<DeviceStatus, StewardError> {
        self.steward.status().await
    }

    /// The Wi-Fi networks in range, the strongest first.
    ///
    /// # Errors
    /// When there is no Wi-Fi, or the steward does not respond.
    pub async fn networks(&self) -> Result<Vec<SeenNetwork>, StewardError> {
        match self.steward.ask(&StewardRequest::Networks).await? {
            StewardReply::Networks { networks } => Ok(networks),
            _ => Err(StewardError::unexpected()),
        }
    }

    /// Joins a network. Once begun, it goes on even if nobody waits for it any more.
    ///
    /// # Errors
    /// When that failed. Everything is then as before.
    pub async fn join(&self, join: JoinRequest) -> Result<(), StewardError> {
        self.wifi.join(join).await
    }

    /// The network that was chosen last, and whether it was joined.
    #[must_use]
    pub fn last_join(&self) -> Option<WifiJoin> {
        self.wifi.last()
    }

    /// Restarts the device, a moment later.
    ///
    /// # Errors
    /// When the steward refuses or does not respond.
    pub async fn restart(&self) -> Result<(), StewardError> {
        self.steward.ask(&StewardRequest::Restart).await.map(drop)
    }

    /// Has the device erase everything it keeps and restart, a moment later.
    ///
    /// # Errors
    /// When the steward refuses or does not respond.
    pub async fn reset(&self) -> Result<(), StewardError> {
        self.steward.ask(&StewardRequest::Reset).await.map(drop)
    }

    /// The last lines of the log, the oldest first.
    ///
    /// # Errors
    /// When the steward does not respond.
    pub async fn log(&self) -> Result<Vec<String>, StewardError> {
        match self.steward.ask(&StewardRequest::Log).await? {
            StewardReply::Log { lines } => Ok(lines),
            _ => Err(StewardError::unexpected()),
        }
    }
}
