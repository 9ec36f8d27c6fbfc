//! Signing in and out, and setting the first password.

use std::sync::Arc;
use std::time::Instant;

use axum::http::{HeaderMap, StatusCode};

use super::authenticator::{Authenticator, State};
use super::authorize::is_from_near;
use super::cookies::{CookieKind, cookies};
use super::policy::Policy;
use super::refusal::{LOCKED_OUT, TOKENS_ONLY, TOO_FAR, locked_out, no_password_yet, too_many};
use super::sign_in_sessions::SecretHash;
use crate::config::{Auth as AuthConfig, Credentials, Password, PasswordError, PasswordHash};
use crate::http::forwarded::ProxyInfo;
use crate::http::peer::Peer;
use crate::http::problem::{Problem, Remedy};

/// What whoever wants to sign in is asked for.
pub(in crate::http) enum LoginForm {
    /// The password.
    Password,
    /// A first password.
    FirstPassword,
    /// Nothing, and why.
    Nobody(&'static str),
}

/// What a browser is given that has signed in: who it is, and that it has.
pub(in crate::http) struct SignInCookies {
    pub(in crate::http) session: String,
    pub(in crate::http) browser: String,
}

impl Authenticator {
    pub(in crate::http) fn login_form(&self, peer: Peer, proxy: &ProxyInfo) -> LoginForm {
        let policy = self.state().policy.clone();
        match policy {
            Policy::Set { password: Some(_), .. } => LoginForm::Password,
            Policy::Set { password: None, .. } => LoginForm::Nobody(TOKENS_ONLY),
            Policy::Unset if is_from_near(peer, proxy) => LoginForm::FirstPassword,
            Policy::Unset => LoginForm::Nobody(TOO_FAR),
            Policy::Locked => LoginForm::Nobody(LOCKED_OUT),
        }
    }

    /// Signs a browser in that sent `candidate`.
    pub(in crate::http) async fn sign_in(
        self: &Arc<Self>,
        candidate: String,
        peer: Peer,
        headers: &HeaderMap,
    ) -> Result<SignInCookies, Problem> {
        let password = match &self.state().policy {
            Policy::Set { password, .. } => password.clone(),
            Policy::Unset => return Err(no_password_yet()),
            Policy::Locked => return Err(locked_out()),
        };
        let Some(password) = password else {
            return Err(Problem::new(StatusCode::FORBIDDEN, TOKENS_ONLY));
        };
        let client = self.await_turn(peer.source(), headers).await.map_err(too_many)?;
        if !self.check(password.clone(), candidate).await? {
            log::info!("somebody at {} tried to sign in with a wrong password", peer.source());
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "that is not the password");
            return Err(problem.remedy(Remedy::SignIn));
        }
        let cookies = {
            let mut state = self.state();
            // The password may have been changed while the old one was being checked.
            let current =
                matches!(&state.policy, Policy::Set { password: Some(p), .. } if *p == password);
            if !current {
                let detail = "the password has just been changed; sign in again";
                return Err(Problem::new(StatusCode::UNAUTHORIZED, detail).remedy(Remedy::SignIn));
            }
            state.login_limiter.reset(client);
            state.issue_cookies(headers, self.now())
        };
        self.save_in_background().await;
        log::info!("the owner signed in from {}", peer.source());
        cookies.ok_or_else(no_random_numbers)
    }

    /// Signs out the browser that sent `headers`; gives the names of the cookies that signed it in.
    pub(in crate::http) async fn sign_out(self: &Arc<Self>, headers: &HeaderMap) -> Vec<String> {
        let mut names = Vec::new();
        {
            let mut state = self.state();
            let State { policy, sessions, .. } = &mut *state;
            for (name, value) in cookies(headers, CookieKind::Session) {
                if sessions.revoke(value, policy.session_key()) {
                    names.push(name.to_owned());
                }
            }
        }
        if !names.is_empty() {
            self.changes.send_replace(());
            self.save_in_background().await;
        }
        names
    }

    /// Signs every browser out, the one that sent `headers` included; gives the names of its
    /// cookies.
    pub(in crate::http) async fn sign_out_everywhere(
        self: &Arc<Self>,
        headers: &HeaderMap,
    ) -> Vec<String> {
        {
            let mut state = self.state();
            let mut shown = cookies(headers, CookieKind::Browser).map(|(_, value)| value);
            let this_one = shown.find_map(|value| state.sessions.recognize(value));
            state.sessions.revoke_all();
            state.sessions.forget_browsers(this_one);
            state.login_limiter.forget_addresses();
        }
        self.changes.send_replace(());
        self.save_in_background().await;
        cookies(headers, CookieKind::Session).map(|(name, _)| name.to_owned()).collect()
    }

    /// Whether the first password may be set.
    pub(in crate::http) fn expect_unset(&self) -> Result<(), Problem> {
        match self.state().policy {
            Policy::Unset => Ok(()),
            Policy::Set { .. } => {
                let detail = "a password has been set already; the owner changes it in config.toml";
                Err(Problem::new(StatusCode::FORBIDDEN, detail))
            }
            Policy::Locked => Err(locked_out()),
        }
    }

    /// Sets the first password, and signs the browser in that sent it.
    pub(in crate::http) async fn set_first_password(
        self: &Arc<Self>,
        password: String,
        peer: Peer,
        headers: &HeaderMap,
    ) -> Result<SignInCookies, Problem> {
        let turn = self.await_turn(peer.source(), headers).await;
        let client = turn.map_err(|wait| too_many(wait).remedy(Remedy::SetUp))?;
        let turn = Arc::clone(&self.hashing).lock_owned().await;
        let saver = Arc::clone(self);
        // Once begun it is done, even if the client hangs up. Of two who set a password at the same
        // time, one is first and the other is refused.
        let kept = tokio::task::spawn_blocking(move || {
            let _one_at_a_time = turn;
            saver.expect_unset()?;
            let hash = PasswordHash::of(&password).map_err(not_hashed)?;
            let not_kept = |why| Problem::internal(format!("the password was not set: {why}"));
            saver.store.store(&hash).map_err(not_kept)?;
            saver.apply(&AuthConfig::Set(Credentials {
                password: Some(Password::Hash(hash)),
                tokens: Vec::new(),
            }));
            Ok::<_, Problem>(())
        });
        kept.await.map_err(|_| Problem::internal("setting the password crashed"))??;
        log::info!("the owner set a password from {}", peer.source());
        let cookies = {
            let mut state = self.state();
            state.login_limiter.reset(client);
            state.issue_cookies(headers, self.now())
        };
        self.save_in_background().await;
        cookies.ok_or_else(no_random_numbers)
    }

    /// Checks a password where it keeps nobody waiting, one at a time.
    async fn check(&self, password: Password, candidate: String) -> Result<bool, Problem> {
        let turn = Arc::clone(&self.hashing).lock_owned().await;
        let checked = tokio::task::spawn_blocking(move || {
            let _one_at_a_time = turn;
            match password {
                Password::Plain(secret) => SecretHash::of(secret.expose()).matches(&candidate),
                Password::Hash(hash) => hash.verify(&candidate),
            }
        });
        checked.await.map_err(|_| Problem::internal("checking the password crashed"))
    }

    /// Writes down who is signed in, where it keeps nobody waiting.
    async fn save_in_background(self: &Arc<Self>) {
        let auth = Arc::clone(self);
        // One that crashed has said so itself.
        let _ = tokio::task::spawn_blocking(move || auth.save()).await;
    }
}

impl State {
    /// Signs a browser in; `None` where the system gives no random numbers.
    fn issue_cookies(&mut self, headers: &HeaderMap, now: Instant) -> Option<SignInCookies> {
        // What was opened under a former session of this browser would outlast its signing out.
        for (_, former) in cookies(headers, CookieKind::Session) {
            self.sessions.revoke(former, self.policy.session_key());
        }
        let session = self.sessions.create(self.policy.session_key(), now)?;
        let mut shown = cookies(headers, CookieKind::Browser).map(|(_, value)| value);
        let known = shown.find(|value| self.sessions.recognize(value).is_some());
        Some(SignInCookies { session, browser: self.sessions.remember(known)? })
    }
}

fn not_hashed(error: PasswordError) -> Problem {
    let detail = error.to_string();
    match error {
        PasswordError::Length => Problem::bad_request(detail).remedy(Remedy::SetUp),
        PasswordError::Hashing(_) => Problem::internal(detail),
    }
}

fn no_random_numbers() -> Problem {
    Problem::internal("the system gives no random numbers")
}
