//! A certificate of the owner's own, in files that some other program renews.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::SystemTime;

use super::authority::believable;
use super::certificate::Certificate;
use super::folder::read_text;
use crate::config::{FileChange, FileStamp, FileWatch};

/// What the mode of a file says if everybody may read it.
const FOR_EVERYBODY: u32 = 0o004;

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

    /// What the owner should know of files that can be used.
    pub(super) fn concerns(&self, certificate: &Certificate, now: SystemTime) -> Vec<String> {
        let mut concerns = Vec::new();
        let chain = self.chain.display();
        if certificate.has_ended(now) {
            concerns.push(format!("the certificate in {chain} is not valid any more: renew it"));
        }
        // A clock that is not set yet says nothing.
        if believable(now) == now && now < certificate.not_before {
            concerns.push(format!("the certificate in {chain} is not valid yet"));
        }
        if std::fs::metadata(&self.key).is_ok_and(|key| key.mode() & FOR_EVERYBODY != 0) {
            let key = self.key.display();
            concerns.push(format!(
                "everybody on this machine can read the private key: `chmod o-rwx {key}` prevents it"
            ));
        }
        concerns
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
