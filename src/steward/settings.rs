//! `config.toml` as the steward uses it: read once at the start, changed in place where the device
//! itself has to change something, and copied for the daemon without what that must not know.

use std::io;

use super::owner::Owner;
use crate::config::{
    Auth, Config, CountryCode, EditError, Loaded, Password, PasswordError, PasswordHash,
    WifiNetwork, edit, without_wireless_passwords,
};

/// Its name on the owner's partition.
pub(super) const FILE: &str = "config.toml";

/// Why the file was not changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("the password cannot be hashed: {0}")]
    Password(PasswordError),
    #[error("config.toml cannot be written: {0}")]
    Io(io::Error),
}

impl From<PasswordError> for SettingsError {
    fn from(error: PasswordError) -> Self {
        Self::Password(error)
    }
}

impl From<io::Error> for SettingsError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the file over the image's `defaults`.
pub(super) fn read(owner: &Owner, defaults: Config) -> Loaded {
    match owner.read(FILE) {
        Ok(bytes) => Config::load_over(defaults, &bytes.unwrap_or_default(), FILE),
        Err(error) => Loaded::unreadable(defaults, FILE, &error),
    }
}

/// Puts the hash in the place of a password that stands in the file in the clear. Says whether it
/// did.
///
/// # Errors
/// When the file cannot be changed; the password then stays in it, and works.
pub(super) fn hide_password(owner: &Owner, auth: &Auth) -> Result<bool, SettingsError> {
    let Some(Password::Plain(plain)) = auth.credentials().and_then(|c| c.password) else {
        return Ok(false);
    };
    keep_password(owner, &PasswordHash::of(plain.expose())?)?;
    Ok(true)
}

/// Writes the hash of a new password into the file.
///
/// # Errors
/// When the file cannot be changed.
pub(super) fn keep_password(owner: &Owner, hash: &PasswordHash) -> Result<(), SettingsError> {
    change(owner, |file| edit::set_password(file, hash))
}

/// Writes a network that was joined into the file, as the preferred one.
///
/// # Errors
/// When the file cannot be changed.
pub(super) fn keep_network(
    owner: &Owner,
    network: &WifiNetwork,
    country: Option<&CountryCode>,
) -> Result<(), SettingsError> {
    change(owner, |file| edit::set_network(file, network, country))
}

/// Takes the order to forget everything out of the file.
///
/// # Errors
/// When the file cannot be changed.
pub(super) fn clear_factory_reset(owner: &Owner) -> Result<(), SettingsError> {
    change(owner, edit::clear_factory_reset)
}

fn change(
    owner: &Owner,
    change: impl FnOnce(&[u8]) -> Result<String, EditError>,
) -> Result<(), SettingsError> {
    let changed = change(&owner.read(FILE)?.unwrap_or_default())?;
    Ok(owner.write(FILE, changed.as_bytes())?)
}

/// The file for the daemon.
pub(super) fn for_the_daemon(owner: &Owner) -> String {
    match owner.read(FILE) {
        Ok(bytes) => without_wireless_passwords(&bytes.unwrap_or_default()),
        // It must not take a file that cannot be read for one that says nothing.
        Err(_) => without_wireless_passwords(b"="),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_loses_the_password_and_keeps_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::folder(folder.path());
        assert_eq!(read(&owner, Config::default()).config, Config::default());
        owner.write(FILE, b"[auth]\npassword = \"correct horse\"\n").unwrap();
        let auth = || read(&owner, Config::default()).config.auth;
        assert!(hide_password(&owner, &auth()).unwrap());
        let Some(Password::Hash(hash)) = auth().credentials().and_then(|c| c.password) else {
            panic!("no hash")
        };
        assert!(hash.verify("correct horse"));
        assert!(!for_the_daemon(&owner).contains("correct horse"));
        // The second time, there is nothing to do.
        assert!(!hide_password(&owner, &auth()).unwrap());
    }

    #[test]
    fn a_file_that_cannot_be_read_locks_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::folder(folder.path());
        std::fs::create_dir(owner.path(FILE)).unwrap();
        let copy = for_the_daemon(&owner);
        let auth = Config::load(copy.as_bytes(), FILE).config.auth;
        assert!(matches!(auth, Auth::Locked { .. }));
    }
}
