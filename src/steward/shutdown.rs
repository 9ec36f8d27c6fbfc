//! The last steps of the steward, when the device shuts down, restarts or is reset.

use std::fmt;
use std::io;
use std::path::Path;

use super::boot_partition::BootPartition;
use super::reboot::{self, BootTarget};
use super::sd_card::SdCard;
use super::{config_file, data_partition, paths};

/// Why the steward ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shutdown {
    /// Init is shutting the device down.
    Terminated,
    /// The device is to restart.
    Reboot(BootTarget),
    /// The device is to erase everything it keeps, and to restart as it was shipped.
    FactoryReset,
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminated => "the device is shutting down",
            Self::Reboot(BootTarget::Default) => "the device is restarting",
            Self::Reboot(BootTarget::Tryboot) => "the device is restarting into the other system",
            Self::FactoryReset => "the device is being reset",
        })
    }
}

/// Unmounts the data partition and restarts the device, where that is what is to be done. All parts
/// of the steward must have ended.
///
/// # Errors
/// When the kernel does not restart the device.
pub(super) async fn finish(
    shutdown: Shutdown,
    card: &SdCard,
    boot: &BootPartition,
) -> io::Result<()> {
    let data = Path::new(paths::DATA);
    let target = match shutdown {
        Shutdown::Terminated => {
            data_partition::unmount(data);
            return Ok(());
        }
        Shutdown::Reboot(target) => {
            data_partition::unmount(data);
            target
        }
        Shutdown::FactoryReset => {
            if let Err(error) = data_partition::erase(card, data).await {
                log::error!("the data partition is not erased completely: {error}");
            }
            let shipped = std::fs::read(paths::SHIPPED_CONFIG);
            if let Err(error) = shipped.and_then(|text| boot.write(config_file::NAME, &text)) {
                log::error!("config.toml is not reset to what was shipped: {error}");
            }
            BootTarget::Default
        }
    };
    rustix::fs::sync();
    Err(reboot::now(target))
}
