//! `config.toml` as the steward uses it: read once at the start, edited where the device itself has
//! to change something, and copied for the daemon without what that must not know.

use std::io;

use super::boot_partition::BootPartition;
use crate::config::{
    Auth, Config, CountryCode, EditError, Loaded, Password, PasswordError, PasswordHash,
    WifiNetwork, edit, without_wireless_passwords,
};

/// Its name on the boot partition.
pub(super) const NAME: &str = "config.toml";

/// Why the file was not changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigFileError {
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("the password cannot be hashed: {0}")]
    Password(PasswordError),
    #[error("config.toml cannot be written: {0}")]
    Io(io::Error),
}

impl From<PasswordError> for ConfigFileError {
    fn from(error: PasswordError) -> Self {
        Self::Password(error)
    }
}

impl From<io::Error> for ConfigFileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the file over the image's `defaults`.
pub(super) fn read(boot: &BootPartition, defaults: Config) -> Loaded {
    match boot.read(NAME) {
        Ok(bytes) => Config::load_over(defaults, &bytes.unwrap_or_default(), NAME),
        Err(error) => Loaded::unreadable(defaults, NAME, &error),
    }
}

/// Replaces a plain-text password in the file by its hash. Returns whether there was one.
///
/// # Errors
/// When the file cannot be changed; the password then stays in it, and works.
pub(super) fn hide_password(boot: &BootPartition, auth: &Auth) -> Result<bool, ConfigFileError> {
    let Some(Password::Plain(plain)) = auth.credentials().and_then(|c| c.password) else {
        return Ok(false);
    };
    set_password(boot, &PasswordHash::of(plain.expose())?)?;
    Ok(true)
}

/// Writes the hash of a new password into the file.
///
/// # Errors
/// When the file cannot be changed.
pub(super) fn set_password(
    boot: &BootPartition,
    hash: &PasswordHash,
) -> Result<(), ConfigFileError> {
    change(boot, |file| edit::set_password(file, hash))
}

/// Writes a network that was joined into the file, as the preferred one.
///
/// # Errors
/// When the file cannot be changed.
pub(super) fn set_network(
    boot: &BootPartition,
    network: &WifiNetwork,
    country: Option<&CountryCode>,
) -> Result<(), ConfigFileError> {
    change(boot, |file| edit::set_network(file, network, country))
}

/// Removes `factory_reset = true` from the file.
///
/// # Errors
/// When the file cannot be changed.
pub(super) fn clear_factory_reset(boot: &BootPartition) -> Result<(), ConfigFileError> {
    change(boot, edit::clear_factory_reset)
}

fn change(
    boot: &BootPartition,
    change: impl FnOnce(&[u8]) -> Result<String, EditError>,
) -> Result<(), ConfigFileError> {
    let changed = change(&boot.read(NAME)?.unwrap_or_default())?;
    Ok(boot.write(NAME, changed.as_bytes())?)
}

/// The file for the daemon.
pub(super) fn for_daemon(boot: &BootPartition) -> String {
    match boot.read(NAME) {
        Ok(bytes) => without_wireless_passwords(&bytes.unwrap_or_default()),
        // A syntax error, so that the daemon does not take a file that cannot be read for an empty
        // one.
        Err(_) => without_wireless_passwords(b"="),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_loses_the_password_and_keeps_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let boot = BootPartition::at_directory(folder.path());
        assert_eq!(read(&boot, Config::default()).config, Config::default());
        boot.write(NAME, b"[auth]\npassword = \"correct horse\"\n").unwrap();
        let auth = || read(&boot, Config::default()).config.auth;
        assert!(hide_password(&boot, &auth()).unwrap());
        let Some(Password::Hash(hash)) = auth().credentials().and_then(|c| c.password) else {
            panic!("no hash")
        };
        assert!(hash.verify("correct horse"));
        assert!(!for_daemon(&boot).contains("correct horse"));
        // The second time, there is nothing to do.
        assert!(!hide_password(&boot, &auth()).unwrap());
    }

    #[test]
    fn a_file_that_cannot_be_read_locks_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let boot = BootPartition::at_directory(folder.path());
        std::fs::create_dir(boot.path(NAME)).unwrap();
        let copy = for_daemon(&boot);
        let auth = Config::load(copy.as_bytes(), NAME).config.auth;
        assert!(matches!(auth, Auth::Locked { .. }));
    }
}
