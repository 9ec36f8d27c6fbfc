//! Keeping who is signed in where it outlasts a restart.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Auth;
use super::sessions::Sessions;

/// Where the sessions of browsers are kept. Its calls may block.
pub trait SessionStore: Send + Sync {
    /// What was saved last; `None` if nothing was.
    ///
    /// # Errors
    /// When it cannot be read; the text says why.
    fn load(&self) -> Result<Option<Vec<u8>>, String>;

    /// Puts this in place of what was saved, in one step.
    ///
    /// # Errors
    /// When it cannot be written; the text says why.
    fn save(&self, bytes: &[u8]) -> Result<(), String>;

    /// Forgets what was saved.
    ///
    /// # Errors
    /// When it cannot be removed; the text says why.
    fn forget(&self) -> Result<(), String>;
}

/// How long what was written down about the time that sessions have left may be old. Less would
/// only wear out the card.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// A clock that differs by so much from what it was has been set: written down with the old one,
/// the sessions would seem to be over after a restart.
const SET: Duration = Duration::from_secs(600);

/// Who keeps them, and since when.
pub(super) struct Keeper {
    store: Box<dyn SessionStore>,
    saved: Mutex<Saved>,
}

#[derive(Clone, Copy)]
struct Saved {
    at: Instant,
    clock: SystemTime,
    failed: bool,
}

impl Keeper {
    fn new(store: Box<dyn SessionStore>, at: Instant) -> Self {
        let saved = Saved { at, clock: SystemTime::now(), failed: false };
        Self { store, saved: Mutex::new(saved) }
    }

    /// Whether what was written down is out of date, though nobody signed in or out.
    fn is_stale(&self, now: Instant) -> bool {
        // Held while it is being saved.
        let Ok(saved) = self.saved.try_lock() else {
            return false;
        };
        let passed = now.saturating_duration_since(saved.at);
        let by_clock = SystemTime::now();
        let expected = saved.clock + passed;
        let set = by_clock.duration_since(expected).unwrap_or_else(|e| e.duration());
        passed > STALE || set > SET
    }
}

impl Auth {
    /// Keeps who is signed in in `store`, and lets in who was signed in when it was last saved there. May
    /// block. What is damaged lets nobody in.
    #[must_use]
    pub fn remembering(mut self, store: Box<dyn SessionStore>) -> Self {
        let now = self.now();
        let kept = store.load().and_then(|bytes| match bytes {
            Some(bytes) => Sessions::read(&bytes, now, SystemTime::now()),
            None => Ok(Sessions::default()),
        });
        match kept {
            Ok(kept) => self.state().sessions = kept,
            Err(why) => log::warn!("who was signed in before has to sign in again: {why}"),
        }
        self.keeper = Some(Keeper::new(store, now));
        self
    }

    /// Writes down who is signed in. May block.
    pub(super) fn save(&self) {
        let Some(keeper) = &self.keeper else {
            return;
        };
        // One at a time, and what is written is the newest.
        let mut saved = keeper.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, clock) = (self.now(), SystemTime::now());
        let bytes = self.state().sessions.write(now, clock);
        let result = keeper.store.save(&bytes);
        // What was saved before may hold somebody who has signed out since.
        let forgotten = if result.is_err() { keeper.store.forget() } else { Ok(()) };
        match (&result, &forgotten) {
            (Ok(()), _) => {}
            (Err(why), _) if saved.failed => log::debug!("sign-ins are still not kept: {why}"),
            (Err(why), Ok(())) => {
                log::warn!("after a restart, everybody has to sign in again: {why}");
            }
            (Err(why), Err(also)) => log::warn!(
                "after a restart, who has signed out may be signed in again: {why}; {also}"
            ),
        }
        *saved = Saved { at: now, clock, failed: result.is_err() };
    }

    /// Whether it is time to [`save`](Self::save) again.
    pub(super) fn is_stale(&self) -> bool {
        self.keeper.as_ref().is_some_and(|keeper| keeper.is_stale(self.now()))
            && !self.state().sessions.is_empty()
    }
}
