//! Writing a new password into `config.toml`.

use std::path::{Path, PathBuf};

use crate::appliance::replace_file;
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
    // A link stays one.
    let file = &std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    // A new one holds a hash.
    let former = std::fs::metadata(file).ok();
    replace_file(file, Path::new(&new), changed.as_bytes(), former.as_ref())
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

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

    fn mode(file: &Path) -> u32 {
        std::fs::metadata(file).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_an_old_one_is_never_opened_further() {
        let hash = PasswordHash::of("a new password").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        ConfigFile(Some(file.clone())).store(&hash).unwrap();
        assert_eq!(mode(&file), 0o600);
        for before in [0o644, 0o640, 0o600, 0o400] {
            std::fs::set_permissions(&file, Permissions::from_mode(before)).unwrap();
            ConfigFile(Some(file.clone())).store(&hash).unwrap();
            assert_eq!(mode(&file), before, "{before:o}");
        }
        // What does not say who may read it stays behind.
        std::fs::set_permissions(&file, Permissions::from_mode(0o4755)).unwrap();
        ConfigFile(Some(file.clone())).store(&hash).unwrap();
        assert_eq!(mode(&file), 0o755);
    }

    #[test]
    fn whoever_left_the_temporary_file_reads_nothing_of_the_new_one() {
        let hash = PasswordHash::of("a new password").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (file, new) =
            (folder.path().join("config.toml"), folder.path().join("config.toml.new"));
        std::fs::write(&new, "left").unwrap();
        std::fs::set_permissions(&new, Permissions::from_mode(0o666)).unwrap();
        let mut left = std::fs::File::open(&new).unwrap();
        ConfigFile(Some(file.clone())).store(&hash).unwrap();
        let mut read = String::new();
        std::io::Read::read_to_string(&mut left, &mut read).unwrap();
        assert_eq!(read, "left");
        // Nor where it leads elsewhere.
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(&elsewhere, "other").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &new).unwrap();
        ConfigFile(Some(file.clone())).store(&hash).unwrap();
        assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "other");
        assert!(file.metadata().unwrap().is_file() && !new.exists());
    }

    #[test]
    fn a_file_behind_a_link_is_replaced_where_it_is() {
        let hash = PasswordHash::of("a new password").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.toml"), folder.path().join("config.toml"));
        std::fs::write(&file, "# mine\n").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        ConfigFile(Some(link.clone())).store(&hash).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert!(std::fs::read_to_string(&file).unwrap().contains("password_hash"));
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn nothing_is_left_where_the_file_cannot_be_replaced() {
        let hash = PasswordHash::of("a new password").unwrap();
        let folder = tempfile::tempdir().unwrap();
        // A folder with something in it cannot be replaced by a file.
        let file = folder.path().join("config.toml");
        std::fs::create_dir_all(file.join("x")).unwrap();
        let new = folder.path().join("new");
        replace_file(&file, &new, hash.expose().as_bytes(), None).unwrap_err();
        assert!(!new.exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told() {
        let hash = PasswordHash::of("a new password").unwrap();
        let error = ConfigFile(Some("/dev/null/config.toml".into())).store(&hash).unwrap_err();
        assert!(error.contains("/dev/null/config.toml"), "{error}");
        assert!(ConfigFile(None).store(&hash).unwrap_err().contains("--config"));
    }
}
