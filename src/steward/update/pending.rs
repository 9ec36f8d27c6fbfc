//! An update that was written and has yet to pass its trial, remembered across the restart.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::appliance::BootSlot;

/// Its file in the steward's directory.
const NAME: &str = "update.json";

/// The update.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PendingUpdate {
    pub(super) version: String,
    pub(super) slot: BootSlot,
    /// Why it is rolled back, once that is known.
    pub(super) why: Option<String>,
    /// Whether the system that wrote it had a working camera.
    #[serde(default)]
    pub(super) camera: bool,
}

impl PendingUpdate {
    /// The one that is remembered in `state_dir`, if there is one.
    pub(super) fn load(state_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(state_dir.join(NAME)).ok()?).ok()
    }

    /// Remembers it in `state_dir`.
    pub(super) fn save(&self, state_dir: &Path) -> io::Result<()> {
        let file = state_dir.join(NAME);
        let new = file.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(self)?)?;
        std::fs::File::open(&new)?.sync_all()?;
        std::fs::rename(&new, &file)?;
        rustix::fs::sync();
        Ok(())
    }

    /// Forgets the one in `state_dir`.
    pub(super) fn delete(state_dir: &Path) {
        let _ = std::fs::remove_file(state_dir.join(NAME));
    }
}
