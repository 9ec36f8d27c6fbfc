//! The folder that keys and certificates are kept in.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use crate::appliance::replace_file;

/// Chains that public authorities issue have about 5 KB.
pub(super) const MAX_FILE: u64 = 256 * 1024;

/// A folder that only this program can look into.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// A file's text; `None` where there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, String> {
        let path = self.0.join(name);
        match read_text(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        }
    }

    /// Puts a file in place of the one of that name, whole, for nobody else to read.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.0.join(name);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .and_then(|()| {
                let new = self.0.join(format!("{name}.new"));
                replace_file(&path, &new, text.as_bytes(), None)
            })
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

/// Reads a file that is not longer than any of its kind.
pub(super) fn read_text(path: &std::path::Path) -> std::io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other("it is too large"));
    }
    String::from_utf8(bytes)
        .map_err(|_| std::io::Error::other("it is not in PEM format, which is text"))
}
