//! Why a check for updates failed, or an update was not installed.

use crate::appliance::StewardError;

/// Why a check for updates failed, or an update was not installed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// There is no server to ask.
    #[error("update.url is not set, so there is no server to ask for updates")]
    NoServer,
    /// The owner wants a version that is not available.
    #[error("version {0} is not available any more; check for updates again")]
    NotAvailable(String),
    /// `update.url`, or where it leads.
    #[error("update.url does not lead to a usable https:// or http:// address")]
    Address,
    /// The server refuses.
    #[error("the update server answered with status {0}")]
    Status(u16),
    /// The network fails.
    #[error("the update server could not be asked: {0}")]
    Transfer(String),
    /// Nothing comes any more.
    #[error("the update server sends no more data")]
    Stalled,
    /// The manifest is not valid.
    #[error("the update server's manifest cannot be used: {0}")]
    Manifest(String),
    /// The bundle is not of the size in the manifest.
    #[error("the update does not have the size that was announced")]
    Size,
    /// The steward does not respond.
    #[error(transparent)]
    Steward(#[from] StewardError),
}
