//! Writing a new password into `config.toml`.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::{PasswordHash, edit};
use crate::http::PasswordStore;

/// Keeps the password in the configuration file the daemon was started with. Comments and order
/// of the file stay as they are.
pub(super) struct ConfigFile(pub(super) Option<PathBuf>);

impl PasswordStore for ConfigFile {
    fn store(&self, hash: &PasswordHash) -> Result<(), String> {
        let Some(file) = &self.0 else {
            return Err(
                "Picket was started without a configuration file, so there is no place to \
                        keep a password: start it with --config FILE"
                    .into(),
            );
        };
        store(file, hash).map_err(|e| format!("cannot write {}: {e}", file.display()))
    }
}

fn store(file: &Path, hash: &PasswordHash) -> Result<(), String> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(e.to_string()),
    };
    let changed = edit::set_password(&bytes, hash).map_err(|e| e.to_string())?;
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    // A file kept from others must not become readable by being replaced; a new one holds a hash.
    let mode = std::fs::metadata(file).map(|metadata| metadata.permissions());
    let mode = mode.unwrap_or(Permissions::from_mode(0o600));
    replace(file, Path::new(&new), changed.as_bytes(), mode).map_err(|e| e.to_string())
}

/// Puts `contents` in place of the file in one step, by way of the file `new`: after a power cut it
/// is the old one or the new one, whole. It is never readable by more than `mode` lets.
pub(super) fn replace(
    file: &Path,
    new: &Path,
    contents: &[u8],
    mode: Permissions,
) -> std::io::Result<()> {
    let mut out =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(new)?;
    // One that was left by a power cut may have been anybody's.
    out.set_permissions(mode)?;
    out.write_all(contents)?;
    out.sync_all()?;
    std::fs::rename(new, file)?;
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Auth, Config};

    #[test]
    fn the_password_goes_into_the_file_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let before =
            "# my camera\n[camera]\nfps = 25 # slow\n\n[auth]\npassword = \"old one, long\"\n";
        std::fs::write(&file, before).unwrap();
        let hash = PasswordHash::of("a new password").unwrap();
        ConfigFile(Some(file.clone())).store(&hash).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("# my camera") && text.contains("fps = 25 # slow"), "{text}");
        assert!(!text.contains("old one"), "{text}");
        let Auth::Set(credentials) = Config::load(text.as_bytes(), "f").config.auth else {
            panic!("{text}")
        };
        let crate::config::Password::Hash(read) = credentials.password.unwrap() else { panic!() };
        assert!(read.verify("a new password"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told() {
        let hash = PasswordHash::of("a new password").unwrap();
        let error = ConfigFile(Some("/dev/null/config.toml".into())).store(&hash).unwrap_err();
        assert!(error.contains("/dev/null/config.toml"), "{error}");
        assert!(ConfigFile(None).store(&hash).unwrap_err().contains("--config"));
    }
}
