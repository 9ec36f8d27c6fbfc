//! Installing a bundle: one at a time, with its progress for whoever asks.
//!
//! The bundle is passed on to the steward as it comes, and is never held whole. As soon as it is
//! there, the rest goes on without whoever brought it: a telephone that goes to sleep does not
//! undo an update.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::OwnedMutexGuard;

use crate::appliance::{Answers, Data, Reply, Request, Steward, StewardError};

/// Why something is no bundle by its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LengthError {
    /// There is nothing of it.
    #[error("the update is empty")]
    Empty,
    /// There is more of it than a system has room for.
    #[error("an update has at most {} MB", Installer::LARGEST >> 20)]
    TooLarge,
}

/// A bundle on its way here.
pub trait Bundle: Send {
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
    /// It has not the length that was announced.
    #[error("the update was not received to its end")]
    Length,
    /// It did not come.
    #[error("{0}")]
    Bundle(E),
    /// The steward did not want it, or could not be reached.
    #[error(transparent)]
    Steward(#[from] StewardError),
}

/// How far an installation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
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
    steward: Steward,
    busy: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Option<Step>,
    refused: Option<String>,
}

impl Installer {
    /// Most bytes of a bundle: both partitions of a system together.
    pub const LARGEST: u64 = 200 << 20;

    /// Turns away what can be no bundle by its `length` in bytes.
    ///
    /// # Errors
    /// When it is none that a bundle has.
    pub const fn check_length(length: u64) -> Result<(), LengthError> {
        match length {
            0 => Err(LengthError::Empty),
            1..=Self::LARGEST => Ok(()),
            _ => Err(LengthError::TooLarge),
        }
    }

    pub(super) fn new(steward: Steward) -> Self {
        Self(Arc::new(Shared { steward, busy: Arc::default(), state: Mutex::default() }))
    }

    /// How far the installation is that is under way.
    #[must_use]
    pub fn now(&self) -> Option<Step> {
        self.state().now.clone()
    }

    /// Why the last bundle was not installed, if it was not.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        self.state().refused.clone()
    }

    /// Takes a turn: nobody else installs until it is over. `None` while another one has it.
    #[must_use]
    pub fn turn(&self) -> Option<Turn> {
        let alone = self.0.busy.clone().try_lock_owned().ok()?;
        let mut state = self.state();
        state.now = Some(Step { percent: 0, step: "receiving".into() });
        state.refused = Some("the update was not received to its end".into());
        drop(state);
        Some(Turn { installer: self.clone(), alone: Some(alone) })
    }

    /// Installs a bundle of `length` bytes. The device restarts a moment after it is done.
    ///
    /// # Errors
    /// When it was not installed. What runs was not touched.
    pub async fn install<B: Bundle>(
        &self,
        length: u64,
        bundle: &mut B,
    ) -> Result<(), InstallError<B::Error>> {
        self.turn().ok_or(InstallError::Busy)?.install(length, bundle).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How sending came to its end.
enum Sent<E> {
    Answered(Result<(), StewardError>),
    Whole(Result<(), InstallError<E>>),
}

async fn send<B: Bundle>(
    length: u64,
    bundle: &mut B,
    data: &mut Data,
) -> Result<(), InstallError<B::Error>> {
    let mut left = length;
    while left > 0 {
        let part = bundle.part().await.map_err(InstallError::Bundle)?;
        let part = part.ok_or(InstallError::Length)?;
        left = left.checked_sub(part.len() as u64).ok_or(InstallError::Length)?;
        if data.send(&part).await.is_err() {
            // The steward has hung up, and has said why.
            break;
        }
    }
    Ok(())
}

/// The installation that is under way; over when dropped.
#[derive(Debug)]
pub struct Turn {
    installer: Installer,
    /// Until it is dropped.
    alone: Option<OwnedMutexGuard<()>>,
}

impl Turn {
    /// See [`Installer::install`].
    ///
    /// # Errors
    /// When it was not installed. What runs was not touched.
    pub async fn install<B: Bundle>(
        self,
        length: u64,
        bundle: &mut B,
    ) -> Result<(), InstallError<B::Error>> {
        let asked = self.installer.0.steward.begin(&Request::Install { length }).await;
        let (mut data, mut answers) = asked.map_err(|error| self.refused(error))?.split();
        let sent = tokio::select! {
            // What the steward says comes first: it may have hung up because of it.
            biased;
            answer = self.follow(&mut answers) => Sent::Answered(answer),
            sent = send(length, bundle, &mut data) => Sent::Whole(sent),
        };
        match sent {
            Sent::Answered(answer) => Ok(answer?),
            Sent::Whole(Err(error)) => Err(self.refused(error)),
            Sent::Whole(Ok(())) => {
                let rest = tokio::spawn(async move {
                    // Letting go of it would be hanging up.
                    let _data = data;
                    self.follow(&mut answers).await
                });
                let ended = rest.await.map_err(std::io::Error::other).map_err(StewardError::from);
                Ok(ended??)
            }
        }
    }

    /// Follows the steward's answers to the last one.
    async fn follow(&self, answers: &mut Answers) -> Result<(), StewardError> {
        loop {
            let answer = answers.next().await;
            match answer.map_err(|error| self.refused(error))? {
                Reply::Progress { percent, step } => {
                    self.installer.state().now = Some(Step { percent: percent.min(100), step });
                }
                Reply::Done => {
                    self.installer.state().refused = None;
                    return Ok(());
                }
                _ => return Err(self.refused(StewardError::unexpected())),
            }
        }
    }

    /// Remembers why it came to nothing.
    fn refused<E: fmt::Display>(&self, error: E) -> E {
        self.installer.state().refused = Some(error.to_string());
        error
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.installer.state();
        state.now = None;
        // Before anybody can see that nothing is under way: who then begins must not be told that
        // something is. And not before this is written, or it would wipe out the next one's step.
        drop(self.alone.take());
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
    fn who_sees_that_nothing_is_under_way_can_begin() {
        let installer = Installer::new(Steward::at("/nowhere"));
        for round in 0..2000 {
            let turn = installer.turn().expect("nothing is under way");
            assert!(installer.turn().is_none(), "one at a time");
            let ends = std::thread::spawn(move || drop(turn));
            while installer.now().is_some() {
                std::hint::spin_loop();
            }
            let next = installer.turn();
            assert!(next.is_some(), "round {round}");
            ends.join().expect("ended");
            assert!(installer.now().is_some(), "round {round}: the end wiped out the beginning");
        }
    }
}
