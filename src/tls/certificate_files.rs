//! A certificate of the owner's own, in files that some other program renews.

use std::path::PathBuf;

use super::certificate::Certificate;
use super::folder::read_text;
use crate::config::{FileChange, FileStamp, FileWatch};

/// A chain and its key. They are looked at now and then, and read again when they have changed.
#[derive(Debug)]
pub(super) struct CertificateFiles {
    chain: PathBuf,
    key: PathBuf,
    watches: [FileWatch; 2],
}

impl CertificateFiles {
    pub(super) fn new(chain: PathBuf, key: PathBuf) -> Self {
        Self { chain, key, watches: Default::default() }
    }

    /// Reads them as they are.
    ///
    /// # Errors
    /// When they cannot be used; the text names the file.
    pub(super) fn read(&mut self) -> Result<Certificate, String> {
        self.watches = [&self.chain, &self.key].map(|path| FileWatch::new(FileStamp::of(path)));
        let read = |path: &PathBuf| {
            read_text(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
        };
        let (chain, key) = (read(&self.chain)?, read(&self.key)?);
        Certificate::from_pem(&chain, &key).map_err(|error| {
            format!("{} and {} cannot be used: {error}", self.chain.display(), self.key.display())
        })
    }

    /// Whether they have changed since they were read, and are not being written.
    pub(super) fn have_changed(&mut self) -> bool {
        let stamps = [FileStamp::of(&self.chain), FileStamp::of(&self.key)];
        let looks: Vec<_> =
            self.watches.iter_mut().zip(stamps).map(|(watch, seen)| watch.look(seen)).collect();
        // Whoever renews them writes one after the other.
        looks.contains(&FileChange::Changed) && !looks.contains(&FileChange::Settling)
    }
}
