//! Decides who may do what, and remembers who is signed in.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use axum::http::HeaderMap;
use tokio::sync::watch;

use super::cookies::{CookieKind, cookies};
use super::login_limiter::{Client, Decision, LoginLimiter, Ticket, TooManyAttempts};
use super::policy::Policy;
use super::session_store::{SessionSaver, SessionStore};
use super::sign_in_sessions::SignInSessions;
use crate::config::{Auth as AuthConfig, Password, PasswordHash};
use crate::webrtc::Holder;

/// Where a password set on the page is kept.
pub trait PasswordStore: Send + Sync {
    /// Writes the hash to the configuration. May block.
    ///
    /// # Errors
    /// When it cannot be written; the text says why and what to do.
    fn store(&self, hash: &PasswordHash) -> Result<(), String>;
}

/// What time it is; another clock in tests.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Decides who may do what.
pub struct Authenticator {
    state: Mutex<State>,
    pub(super) store: Box<dyn PasswordStore>,
    clock: Clock,
    saver: Option<SessionSaver>,
    /// Held while a password is hashed: one at a time, because each takes memory and a core.
    pub(super) hashing: Arc<tokio::sync::Mutex<()>>,
    /// Told when somebody may no longer watch.
    pub(super) changes: watch::Sender<()>,
}

pub(super) struct State {
    pub(super) policy: Policy,
    /// The password by which browsers have signed in.
    password: Option<Password>,
    pub(super) sessions: SignInSessions,
    pub(super) login_limiter: LoginLimiter,
}

/// This machine itself, while there is no password.
pub(super) const LOOPBACK_OWNER: Holder = Holder::owner([0; 16]);

impl Authenticator {
    /// Decides by `config`, and keeps a password set on the page in `store`.
    #[must_use]
    pub fn new(config: &AuthConfig, store: Box<dyn PasswordStore>) -> Self {
        Self::with_clock(config, store, Arc::new(Instant::now))
    }

    /// The same by another clock.
    #[must_use]
    pub fn with_clock(config: &AuthConfig, store: Box<dyn PasswordStore>, clock: Clock) -> Self {
        let policy = Policy::new(config);
        Self {
            state: Mutex::new(State {
                password: policy.password().cloned(),
                policy,
                sessions: SignInSessions::default(),
                login_limiter: LoginLimiter::default(),
            }),
            store,
            clock,
            saver: None,
            hashing: Arc::default(),
            changes: watch::Sender::default(),
        }
    }

    /// Decides by another configuration from now on. Whoever signed in with a password that is no
    /// longer the password is signed out.
    pub fn apply(&self, config: &AuthConfig) {
        let policy = Policy::new(config);
        let mut state = self.state();
        // A mistake that locks sign-in for a while says nothing about who is signed in.
        let changed = policy != Policy::Locked && {
            let before = std::mem::replace(&mut state.password, policy.password().cloned());
            before != state.password
        };
        let any = changed && state.sessions.revoke_all();
        if changed {
            // Knowing the former password is worth nothing now.
            state.sessions.forget_browsers(None);
            state.login_limiter.forget_addresses();
        }
        state.policy = policy;
        drop(state);
        self.changes.send_replace(());
        if any {
            self.save();
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Instant {
        (self.clock)()
    }

    /// Whether what `holder` has may go on.
    pub fn admits(&self, holder: &Holder) -> bool {
        // Sign-in has no say in what the program does itself.
        if holder.is_program() {
            return true;
        }
        let state = self.state();
        match &state.policy {
            Policy::Locked => false,
            Policy::Unset => *holder == LOOPBACK_OWNER,
            Policy::Set { tokens, .. } => {
                state.sessions.contains(holder.credential(), self.now())
                    || tokens.iter().any(|token| token.id() == *holder.credential())
            }
        }
    }

    /// Keeps in `store` who is signed in, and starts with those that were signed in when it was last
    /// saved there. May block. Damaged data lets nobody in.
    #[must_use]
    pub fn with_session_store(mut self, store: Box<dyn SessionStore>) -> Self {
        let now = self.now();
        let kept = store.load().and_then(|bytes| match bytes {
            Some(bytes) => SignInSessions::read(&bytes, now, SystemTime::now()),
            None => Ok(SignInSessions::default()),
        });
        match kept {
            Ok(kept) => self.state().sessions = kept,
            Err(why) => log::warn!("everybody has to sign in again: {why}"),
        }
        self.saver = Some(SessionSaver::new(store, now));
        self
    }

    /// Saves who is signed in. May block.
    pub(super) fn save(&self) {
        if let Some(saver) = &self.saver {
            saver.save(|| self.now(), |now, clock| self.state().sessions.write(now, clock));
        }
    }

    /// Whether it is time to [`save`](Self::save) again.
    fn is_stale(&self) -> bool {
        self.saver.as_ref().is_some_and(|saver| saver.is_stale(self.now()))
            && !self.state().sessions.is_empty()
    }

    /// Waits until whoever comes from `source` may try a password.
    pub(super) async fn await_turn(
        &self,
        source: IpAddr,
        headers: &HeaderMap,
    ) -> Result<Client, TooManyAttempts> {
        let tie_breaker = tie_breaker();
        let (client, ticket) = {
            let mut state = self.state();
            let mut shown = cookies(headers, CookieKind::Browser);
            let browser = shown.find_map(|(_, value)| state.sessions.recognize(value));
            let client = Client { address: source, browser };
            (client, state.login_limiter.enqueue(client, tie_breaker, self.now())?)
        };
        // Leaves the queue too when the client hangs up and this future is dropped.
        let _queued = Queued { auth: self, ticket };
        loop {
            let turn = self.state().login_limiter.poll(ticket, self.now())?;
            match turn {
                Decision::Proceed => return Ok(client),
                Decision::Wait(wait) => tokio::time::sleep(wait).await,
            }
        }
    }
}

/// A number that nobody can predict.
fn tie_breaker() -> u32 {
    let mut random = [0; 4];
    // Without random numbers, first come is first served.
    let _ = aws_lc_rs::rand::fill(&mut random);
    u32::from_ne_bytes(random)
}

struct Queued<'a> {
    auth: &'a Authenticator,
    ticket: Ticket,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.auth.state().login_limiter.cancel(self.ticket);
    }
}

/// Saves who is signed in, if what was saved is out of date.
pub(in crate::http) fn save_if_stale(auth: &Arc<Authenticator>) {
    if auth.is_stale() {
        let auth = Arc::clone(auth);
        tokio::task::spawn_blocking(move || auth.save());
    }
}
