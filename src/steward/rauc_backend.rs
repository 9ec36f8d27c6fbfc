//! `picket slot …`: RAUC's "custom bootloader backend", by which it asks about the two systems.
//! RAUC only writes systems here; the steward decides which one starts and whether it stays. So the
//! calls that would change something do nothing.

use std::io;
use std::path::Path;

use super::boot_partition::BootPartition;
use super::sd_card::SdCard;
use super::{autoboot, paths};

/// Carries out a call of RAUC's, and returns what is to be printed.
///
/// # Errors
/// When it is not a call of RAUC's, or the card cannot be read.
pub fn rauc_backend(arguments: &[String]) -> io::Result<Option<String>> {
    let running = SdCard::of_root_filesystem()?.running;
    let boot = BootPartition::at_directory(Path::new(paths::BOOT));
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["get-primary"] => Ok(Some(autoboot::default_slot(&boot)?.to_string())),
        ["get-current"] => Ok(Some(running.to_string())),
        // A system that is being written is never started, and one that was written is only tried.
        ["get-state", _] => Ok(Some("good".into())),
        ["set-primary", _] | ["set-state", _, _] => Ok(None),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a call of RAUC's")),
    }
}
