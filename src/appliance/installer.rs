//! Installs update bundles, one at a time, and knows how far it is.
//!
//! A bundle is passed on to the steward as it is received, and never held as a whole. Once it is
//! complete, the rest goes on without its sender: a telephone that goes to sleep does not undo an
//! update.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{OwnedMutexGuard, watch};

use super::steward_client::{
    Replies, RequestBody, StewardClient, StewardError, StewardReply, StewardRequest,
};

/// Why something cannot be a bundle, by its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LengthError {
    /// It is empty.
    #[error("the update is empty")]
    Empty,
    /// It is larger than the room for a system.
    #[error("an update has at most {} MB", Installer::LARGEST >> 20)]
    TooLarge,
}

/// Where a bundle comes from.
pub trait BundleSource: Send {
    /// Why no more of it comes.
    type Error: fmt::Display + Send;

    /// The next part of it; `None` at its end.
    fn part(&mut self) -> impl Future<Output = Result<Option<Bytes>, Self::Error>> + Send;
}

/// Why a bundle was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError<E> {
    /// One at a time.
    #[error("an update is being installed already")]
    Busy,
    /// It does not have the length that was announced.
    #[error("the update was not received completely")]
    Length,
    /// It was not received.
    #[error("{0}")]
    Bundle(E),
    /// The steward refused it, or could not be reached.
    #[error(transparent)]
    Steward(#[from] StewardError),
}

/// How far an installation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstallProgress {
    /// From 0 to 100.
    pub percent: u8,
    /// What is being done, in words.
    pub step: String,
}

/// Installs bundles. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Installer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    steward: StewardClient,
    lock: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<InstallerState>,
    /// Sent to whenever something about updates is another.
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct InstallerState {
    progress: Option<InstallProgress>,
    refused: Option<String>,
}

impl Installer {
    /// Most bytes of a bundle: both partitions of a system together.
    pub const LARGEST: u64 = 200 << 20;

    /// Checks the length of a bundle in bytes.
    ///
    /// # Errors
    /// When no bundle has this length.
    pub const fn check_length(length: u64) -> Result<(), LengthError> {
        match length {
            0 => Err(LengthError::Empty),
            1..=Self::LARGEST => Ok(()),
            _ => Err(LengthError::TooLarge),
        }
    }

    pub(super) fn new(steward: StewardClient) -> Self {
        let changes = watch::Sender::new(());
        Self(Arc::new(Shared { steward, lock: Arc::default(), state: Mutex::default(), changes }))
    }

    /// How far the current installation is; `None` if there is none.
    #[must_use]
    pub fn progress(&self) -> Option<InstallProgress> {
        self.state().progress.clone()
    }

    /// Why the last bundle was not installed, if it was not.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        self.state().refused.clone()
    }

    /// Begins an installation: there is no other until it is over. `None` if there is one already.
    #[must_use]
    pub fn begin(&self) -> Option<Installation> {
        let lock = self.0.lock.clone().try_lock_owned().ok()?;
        self.change(|state| {
            state.progress = Some(InstallProgress { percent: 0, step: "receiving".into() });
            state.refused = Some("the update was not received completely".into());
        });
        Some(Installation { installer: self.clone(), lock: Some(lock) })
    }

    /// Installs a bundle of `length` bytes. The device restarts a moment after it is done.
    ///
    /// # Errors
    /// When it was not installed. What runs was not touched.
    pub async fn install<B: BundleSource>(
        &self,
        length: u64,
        bundle: &mut B,
    ) -> Result<(), InstallError<B::Error>> {
        self.begin().ok_or(InstallError::Busy)?.run(length, bundle).await
    }

    /// Says when something about updates is another than before.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    /// Tells that something about updates is another.
    pub(super) fn tell_change(&self) {
        self.0.changes.send_replace(());
    }

    fn change(&self, change: impl FnOnce(&mut InstallerState)) {
        change(&mut self.state());
        self.tell_change();
    }

    fn state(&self) -> MutexGuard<'_, InstallerState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came first.
enum First<E> {
    /// The steward's last reply.
    Replied(Result<(), StewardError>),
    /// The end of the bundle.
    Sent(Result<(), InstallError<E>>),
}

async fn send<B: BundleSource>(
    length: u64,
    bundle: &mut B,
    body: &mut RequestBody,
) -> Result<(), InstallError<B::Error>> {
    let mut left = length;
    while left > 0 {
        let part = bundle.part().await.map_err(InstallError::Bundle)?;
        let part = part.ok_or(InstallError::Length)?;
        left = left.checked_sub(part.len() as u64).ok_or(InstallError::Length)?;
        if body.send(&part).await.is_err() {
            // The steward has closed the connection; its reply says why.
            break;
        }
    }
    Ok(())
}

/// An installation, which is over when this is dropped.
#[derive(Debug)]
pub struct Installation {
    installer: Installer,
    /// Always there until this is dropped.
    lock: Option<OwnedMutexGuard<()>>,
}

impl Installation {
    /// See [`Installer::install`].
    ///
    /// # Errors
    /// When it was not installed. What runs was not touched.
    pub async fn run<B: BundleSource>(
        self,
        length: u64,
        bundle: &mut B,
    ) -> Result<(), InstallError<B::Error>> {
        let exchange = self.installer.0.steward.begin(&StewardRequest::Install { length }).await;
        let (mut body, mut replies) = exchange.map_err(|error| self.refused(error))?.split();
        let first = tokio::select! {
            // The reply is polled first: the steward may have closed the connection because of it.
            biased;
            reply = self.follow(&mut replies) => First::Replied(reply),
            sent = send(length, bundle, &mut body) => First::Sent(sent),
        };
        match first {
            First::Replied(reply) => Ok(reply?),
            First::Sent(Err(error)) => Err(self.refused(error)),
            First::Sent(Ok(())) => {
                let rest = tokio::spawn(async move {
                    // Dropping it would close the connection.
                    let _body = body;
                    self.follow(&mut replies).await
                });
                let ended = rest.await.map_err(std::io::Error::other).map_err(StewardError::from);
                Ok(ended??)
            }
        }
    }

    /// Follows the steward's replies up to the last one.
    async fn follow(&self, replies: &mut Replies) -> Result<(), StewardError> {
        loop {
            let reply = replies.next().await;
            match reply.map_err(|error| self.refused(error))? {
                StewardReply::Progress { percent, step } => {
                    let progress = InstallProgress { percent: percent.min(100), step };
                    self.installer.change(|state| state.progress = Some(progress));
                }
                StewardReply::Done => {
                    self.installer.change(|state| state.refused = None);
                    return Ok(());
                }
                _ => return Err(self.refused(StewardError::unexpected())),
            }
        }
    }

    /// Remembers why it failed.
    fn refused<E: fmt::Display>(&self, error: E) -> E {
        self.installer.change(|state| state.refused = Some(error.to_string()));
        error
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let mut state = self.installer.state();
        state.progress = None;
        // Before anybody can see that there is no installation: whoever then begins one must not be
        // refused. And not before the line above, which would erase the next one's progress.
        drop(self.lock.take());
        drop(state);
        self.installer.tell_change();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_not_told_to_be_too_large() {
        let told = |length| Installer::check_length(length).map_err(|error| error.to_string());
        assert_eq!(told(0), Err("the update is empty".into()));
        assert_eq!(told(1), Ok(()));
        assert_eq!(told(Installer::LARGEST), Ok(()));
        assert_eq!(told(Installer::LARGEST + 1), Err("an update has at most 200 MB".into()));
    }

    #[test]
    fn a_beginning_and_an_end_are_changes() {
        let installer = Installer::new(StewardClient::at("/nowhere"));
        let mut changes = installer.changes();
        assert!(!changes.has_changed().unwrap());
        let installation = installer.begin().expect("nothing is under way");
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        drop(installation);
        assert!(changes.has_changed().unwrap());
    }

    #[test]
    fn who_sees_that_nothing_is_under_way_can_begin() {
        let installer = Installer::new(StewardClient::at("/nowhere"));
        for round in 0..2000 {
            let installation = installer.begin().expect("nothing is under way");
            assert!(installer.begin().is_none(), "one at a time");
            let ends = std::thread::spawn(move || drop(installation));
            while installer.progress().is_some() {
                std::hint::spin_loop();
            }
            let next = installer.begin();
            assert!(next.is_some(), "round {round}");
            ends.join().expect("ended");
            assert!(
                installer.progress().is_some(),
                "round {round}: the end wiped out the beginning"
            );
        }
    }
}
