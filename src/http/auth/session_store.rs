//! Saving who is signed in, so that a restart signs nobody out.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

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

/// How old the saved times that sessions have left may be. Saving more often would only wear out
/// the card.
const SAVE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// A clock that is off by so much has been set: by times saved with the old one, the sessions
/// would seem to be over after a restart.
const CLOCK_SET: Duration = Duration::from_secs(600);

/// The store, and what was saved there last.
pub(super) struct SessionSaver {
    store: Box<dyn SessionStore>,
    saved: Mutex<Saved>,
}

#[derive(Clone, Copy)]
struct Saved {
    at: Instant,
    clock: SystemTime,
    failed: bool,
}

impl SessionSaver {
    pub(super) fn new(store: Box<dyn SessionStore>, at: Instant) -> Self {
        let saved = Saved { at, clock: SystemTime::now(), failed: false };
        Self { store, saved: Mutex::new(saved) }
    }

    /// Saves what `write` gives. May block.
    pub(super) fn save(
        &self,
        now: impl FnOnce() -> Instant,
        write: impl FnOnce(Instant, SystemTime) -> Vec<u8>,
    ) {
        // One at a time, and what is written is the newest.
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, clock) = (now(), SystemTime::now());
        let result = self.store.save(&write(now, clock));
        // What was saved before may hold somebody who has signed out since.
        let forgotten = if result.is_err() { self.store.forget() } else { Ok(()) };
        match (&result, &forgotten) {
            (Ok(()), _) => {}
            (Err(why), _) if saved.failed => log::debug!("sign-ins still cannot be saved: {why}"),
            (Err(why), Ok(())) => {
                log::warn!("after a restart, everybody has to sign in again: {why}");
            }
            (Err(why), Err(also)) => log::warn!(
                "after a restart, browsers that were signed out may be signed in again: {why}; {also}"
            ),
        }
        *saved = Saved { at: now, clock, failed: result.is_err() };
    }

    /// Whether what was saved is out of date, though nobody signed in or out.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        // Held while it is being saved.
        let Ok(saved) = self.saved.try_lock() else {
            return false;
        };
        let passed = now.saturating_duration_since(saved.at);
        let by_clock = SystemTime::now();
        let expected = saved.clock + passed;
        let set = by_clock.duration_since(expected).unwrap_or_else(|e| e.duration());
        passed > SAVE_EVERY || set > CLOCK_SET
    }
}
