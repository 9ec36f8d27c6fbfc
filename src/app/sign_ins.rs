//! Keeping who is signed in, in a file of the data folder.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::appliance::replace_file;
use crate::config::Config;
use crate::http::SessionStore;

/// The file's name in the data folder.
const NAME: &str = "sign-ins.json";

/// Sixty-four sign-ins take 7 KB.
const MAX_FILE: u64 = 64 * 1024;

/// The file. Only hashes stand in it; still it is for nobody else to read.
pub(super) struct SignIns(PathBuf);

impl SignIns {
    /// The one for this configuration; `None` where nothing may be kept.
    pub(super) fn of(config: &Config) -> Option<Self> {
        Some(Self(data_folder(config)?.join(NAME)))
    }
}

/// Where Picket may keep what it makes itself. A service is given its folder by who runs it: systemd,
/// or on the image the steward.
pub(super) fn data_folder(config: &Config) -> Option<PathBuf> {
    let given = std::env::var_os("STATE_DIRECTORY");
    let given = given.as_ref().and_then(|folders| std::env::split_paths(folders).next());
    config.site.data_location.clone().or(given).filter(|folder| !folder.as_os_str().is_empty())
}

impl SessionStore for SignIns {
    fn load(&self) -> Result<Option<Vec<u8>>, String> {
        match read(&self.0) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(format!("cannot read {}: {e}", self.0.display())),
        }
    }

    fn save(&self, bytes: &[u8]) -> Result<(), String> {
        let new = self.0.with_extension("json.new");
        replace_file(&self.0, &new, bytes, None)
            .map_err(|e| format!("cannot write {}: {e}", self.0.display()))
    }

    fn forget(&self) -> Result<(), String> {
        match std::fs::remove_file(&self.0) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(format!("cannot remove {}: {e}", self.0.display()))
            }
            _ => Ok(()),
        }
    }
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(file)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        0..=MAX_FILE => Ok(bytes),
        _ => Err(std::io::Error::other("it is too large")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_is_nobody_elses_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = SignIns(folder.path().join(NAME));
        assert_eq!(store.load(), Ok(None));
        std::fs::write(folder.path().join("sign-ins.json.new"), "left").unwrap();
        for bytes in [&b"one, long"[..], b"two"] {
            store.save(bytes).unwrap();
            assert_eq!(store.load(), Ok(Some(bytes.to_vec())));
            let mode = std::fs::metadata(&store.0).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn whoever_left_the_temporary_file_reads_nothing_of_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = SignIns(folder.path().join(NAME));
        let new = folder.path().join("sign-ins.json.new");
        std::fs::write(&new, "left").unwrap();
        let mut left = std::fs::File::open(&new).unwrap();
        store.save(b"hashes").unwrap();
        let mut read = String::new();
        left.read_to_string(&mut read).unwrap();
        assert_eq!(read, "left");
    }

    #[test]
    fn what_cannot_be_read_or_written_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = SignIns(folder.path().join(NAME));
        std::fs::write(&store.0, vec![b' '; 100_000]).unwrap();
        assert!(store.load().unwrap_err().contains("too large"));
        assert!(SignIns(folder.path().into()).load().unwrap_err().contains("not a file"));
        let nowhere = SignIns("/dev/null/sign-ins.json".into());
        assert!(nowhere.load().is_err() && nowhere.save(b"x").is_err());
    }
}
