//! Who may do what.
//!
//! The owner signs in with a password and is known by a cookie; programs show a token, as a bearer
//! or as the password of HTTP Basic, and may watch. What is opened with either ends with it
//! ([`holders`]). Where no password has been set, this machine itself may do everything, and who
//! comes from near gets the page on which the owner sets one. Where the configuration cannot be
//! trusted, nobody may do anything.
//!
//! Who comes by way of a proxy is never this machine itself. But not every proxy can be told from a
//! program on this machine, so a password must be set before one is put in front.

mod cookies;
mod guesses;
mod holders;
mod keeping;
mod sessions;
mod sign_in;
mod strength;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::header::{ACCEPT, AUTHORIZATION, USER_AGENT, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use base64ct::{Base64Unpadded, Encoding};
use tokio::sync::watch;

use super::forwarded::Passage;
use super::guard::Approach;
use super::problem::{Problem, Remedy, in_words};
use super::{Access, Peer};
use crate::config::{Auth as Setting, Credentials, Password, PasswordHash};
use crate::rtc::Holder;
use crate::web::is_near;
use cookies::{Kind, cookies};
use guesses::{Asker, Guesses, Ticket, TooMany, Turn};
use holders::THIS_MACHINE;
use keeping::Keeper;
use sessions::{Digest, Sessions};

pub use holders::end_withdrawn;
pub use keeping::SessionStore;
pub(super) use sign_in::{page, set_up, sign_in, sign_out, sign_out_everywhere, style};

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
pub struct Auth {
    state: Mutex<State>,
    store: Box<dyn PasswordStore>,
    clock: Clock,
    keeper: Option<Keeper>,
    /// Held while a password is hashed: one at a time, because each takes memory and a core.
    hashing: Arc<tokio::sync::Mutex<()>>,
    /// Told when somebody may no longer watch.
    changes: watch::Sender<()>,
}

struct State {
    policy: Policy,
    /// The password by which browsers have signed in.
    password: Option<Password>,
    sessions: Sessions,
    guesses: Guesses,
}

#[derive(Clone, PartialEq, Eq)]
enum Policy {
    Unset,
    Set { password: Option<Password>, tokens: Vec<Digest> },
    Locked,
}

impl Policy {
    fn new(setting: &Setting) -> Self {
        match setting {
            Setting::Unset => Self::Unset,
            Setting::Set(Credentials { password, tokens }) => Self::Set {
                password: password.clone(),
                tokens: tokens.iter().map(|t| Digest::of(t.expose())).collect(),
            },
            Setting::Locked { why } => {
                log::error!("nobody can sign in: {why}");
                Self::Locked
            }
        }
    }
}

impl Policy {
    fn password(&self) -> Option<&Password> {
        match self {
            Self::Set { password, .. } => password.as_ref(),
            Self::Unset | Self::Locked => None,
        }
    }

    /// What sessions are bound to.
    fn bond(&self) -> &str {
        match self.password() {
            Some(Password::Plain(secret)) => secret.expose(),
            Some(Password::Hash(hash)) => hash.expose(),
            None => "",
        }
    }
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Owner(Holder),
    Viewer(Holder),
    Stranger,
    /// A stranger, while there is no password.
    MaySetUp,
    /// The same, from too far away.
    TooFar,
    /// Anybody, while nobody can sign in.
    LockedOut,
}

impl Auth {
    /// Decides by `setting`, and keeps a password set on the page in `store`.
    #[must_use]
    pub fn new(setting: &Setting, store: Box<dyn PasswordStore>) -> Self {
        Self::with_clock(setting, store, Arc::new(Instant::now))
    }

    /// The same by another clock.
    #[must_use]
    pub fn with_clock(setting: &Setting, store: Box<dyn PasswordStore>, clock: Clock) -> Self {
        let policy = Policy::new(setting);
        Self {
            state: Mutex::new(State {
                password: policy.password().cloned(),
                policy,
                sessions: Sessions::default(),
                guesses: Guesses::default(),
            }),
            store,
            clock,
            keeper: None,
            hashing: Arc::default(),
            changes: watch::Sender::default(),
        }
    }

    /// Decides by another setting from now on. Who signed in with a password that is no longer
    /// the password is signed out.
    pub fn apply(&self, setting: &Setting) {
        let policy = Policy::new(setting);
        let mut state = self.state();
        // A mistake that locks sign-in for a while says nothing about who is signed in.
        let changed = policy != Policy::Locked && {
            let before = std::mem::replace(&mut state.password, policy.password().cloned());
            before != state.password
        };
        let any = changed && state.sessions.close_all();
        if changed {
            // Whoever knew the former password is nobody's friend for that.
            state.sessions.forget_known(None);
            state.guesses.forget_known();
        }
        state.policy = policy;
        drop(state);
        self.changes.send_replace(());
        if any {
            self.save();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Instant {
        (self.clock)()
    }

    fn standing(&self, request: &Request) -> Standing {
        let headers = request.headers();
        // Looked at before the lock is taken: it asks the kernel.
        let unset = self.state().policy == Policy::Unset;
        let near = unset && may_set_up(request);
        let state = self.state();
        let tokens = match &state.policy {
            Policy::Locked => return Standing::LockedOut,
            Policy::Unset if is_local(request) => return Standing::Owner(THIS_MACHINE),
            Policy::Unset if near => return Standing::MaySetUp,
            Policy::Unset => return Standing::TooFar,
            Policy::Set { tokens, .. } => tokens,
        };
        let (bond, now) = (state.policy.bond(), self.now());
        let mut sessions = cookies(headers, Kind::Session);
        if let Some(number) = sessions.find_map(|(_, v)| state.sessions.find(v, bond, now)) {
            return Standing::Owner(Holder::owner(number));
        }
        let in_url = request.extensions().get::<UrlToken>();
        let shown = [header_token(headers), in_url.map(|UrlToken(token)| token.clone())];
        let known = |shown: &String| tokens.iter().find(|token| token.is_of(shown));
        match shown.iter().flatten().find_map(known) {
            Some(token) => Standing::Viewer(Holder::viewer(token.number())),
            None => Standing::Stranger,
        }
    }

    /// Waits until whoever comes from `source` may try a password.
    async fn turn(&self, source: IpAddr, headers: &HeaderMap) -> Result<Asker, TooMany> {
        let lot = lot();
        let (asker, ticket) = {
            let mut state = self.state();
            let mut shown = cookies(headers, Kind::Browser);
            let browser = shown.find_map(|(_, value)| state.sessions.knows(value));
            let asker = Asker { address: source, browser };
            (asker, state.guesses.ask(asker, lot, self.now())?)
        };
        // Leaves the queue too when the client hangs up and this future is dropped.
        let _queued = Queued { auth: self, ticket };
        loop {
            let turn = self.state().guesses.turn(ticket, self.now())?;
            match turn {
                Turn::Now => return Ok(asker),
                Turn::In(wait) => tokio::time::sleep(wait).await,
            }
        }
    }
}

/// A number that nobody can foretell.
fn lot() -> u32 {
    let mut random = [0; 4];
    // Without random numbers, first come is first served.
    let _ = aws_lc_rs::rand::fill(&mut random);
    u32::from_ne_bytes(random)
}

struct Queued<'a> {
    auth: &'a Auth,
    ticket: Ticket,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.auth.state().guesses.leave(self.ticket);
    }
}

/// Whether whoever sent `request` may use what `access` guards, and by which credential.
pub(super) fn authorize(
    auth: &Auth,
    access: Access,
    request: &Request,
) -> Result<Option<Holder>, Problem> {
    if access == Access::Open {
        return Ok(None);
    }
    match (auth.standing(request), access) {
        (Standing::Owner(holder), _)
        | (Standing::Viewer(holder), Access::Viewer | Access::Open) => Ok(Some(holder)),
        (Standing::Viewer(_), Access::Owner) => {
            let detail = "a token lets one watch; this is for the owner, who signs in";
            Err(Problem::new(StatusCode::FORBIDDEN, detail))
        }
        (Standing::Stranger, _) => {
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "sign in, or show a token");
            let problem = problem.with(WWW_AUTHENTICATE, "Bearer").remedy(Remedy::SignIn);
            // A browser would ask for it in a window of its own, even for a script's request.
            Err(if is_browser(request.headers()) {
                problem
            } else {
                problem.with(WWW_AUTHENTICATE, BASIC)
            })
        }
        (Standing::MaySetUp, _) => {
            let detail = "no password has been set yet; open this address in a browser to set one";
            Err(Problem::new(StatusCode::FORBIDDEN, detail).remedy(Remedy::SetUp))
        }
        (Standing::TooFar, _) => Err(too_far()),
        (Standing::LockedOut, _) => Err(locked_out()),
    }
}

/// Whether whoever sent `request` may set the first password: it is whoever comes first, and must
/// not be whoever finds the camera in the Internet.
fn may_set_up(request: &Request) -> bool {
    let extensions = request.extensions();
    let Some(peer) = extensions.get::<Peer>() else { return false };
    is_from_near(*peer, extensions.get::<Passage>().unwrap_or(&Passage::default()))
}

fn is_from_near(peer: Peer, passage: &Passage) -> bool {
    !passage.client_unknown && is_near(peer.source())
}

/// Why somebody may not even set the first password.
const TOO_FAR: &str = "no password has been set yet, and the first is set from the camera's own \
                       network only: open the camera's page there, or write the password into \
                       config.toml; a proxy that leads there must be named in \
                       http.trusted_proxies";

fn too_far() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, TOO_FAR)
}

/// Brings what is written down about who is signed in up to date, now and then.
pub(super) fn keep(auth: &Arc<Auth>) {
    if auth.is_stale() {
        let auth = Arc::clone(auth);
        tokio::task::spawn_blocking(move || auth.save());
    }
}

/// Whether this machine's own program or browser sent it, as far as can be told.
pub(super) fn is_local(request: &Request) -> bool {
    let extensions = request.extensions();
    let proxied = extensions.get::<Passage>().is_some_and(|passage| passage.proxied);
    let renamed = extensions.get::<Approach>().is_some_and(|approach| approach.renamed);
    let local = extensions.get::<Peer>().is_some_and(|peer| peer.source().is_loopback());
    local && !proxied && !renamed
}

/// Why nobody gets in.
const LOCKED_OUT: &str = "nobody can sign in, because the camera's configuration cannot be used as \
                          it is; its log and picket-status.txt on its card say what to mend";

fn locked_out() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, LOCKED_OUT)
}

fn too_many(TooMany(wait): TooMany) -> Problem {
    let detail = format!("too many attempts to sign in; try again in {}", in_words(wait));
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
        .retry_after(wait.max(Duration::from_secs(1)))
        .remedy(Remedy::SignIn)
}

/// The challenge of HTTP Basic (RFC 7617 §2.1).
const BASIC: &str = "Basic realm=\"Picket\", charset=\"UTF-8\"";

/// Whether a browser sent it: all call themselves that, and nearly no program does.
fn is_browser(headers: &HeaderMap) -> bool {
    let starts = |name, with: &str| {
        headers.get(name).is_some_and(|v: &HeaderValue| v.as_bytes().starts_with(with.as_bytes()))
    };
    starts(USER_AGENT, "Mozilla/")
        || starts(ACCEPT, "text/html")
        || headers.contains_key("sec-fetch-site")
}

/// The token in `Authorization`: a bearer's (RFC 6750 §2.1), or the password of HTTP Basic
/// (RFC 7617 §2).
fn header_token(headers: &HeaderMap) -> Option<String> {
    let (scheme, shown) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let shown = shown.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(shown.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = Base64Unpadded::decode_vec(shown.trim_end_matches('=')).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

/// A token that stands in the URL.
#[derive(Clone)]
struct UrlToken(String);

/// Has a token in the URL count for this request.
pub(super) fn take_token_from_url(request: &mut Request) {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let token = form_urlencoded::parse(query).find(|(name, _)| name == "token");
    if let Some(token) = token.map(|(_, token)| UrlToken(token.into_owned())) {
        request.extensions_mut().insert(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_bearers_or_the_password_of_basic() {
        let shown = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            header_token(&HeaderMap::from_iter([(AUTHORIZATION, value)]))
        };
        for value in
            ["Bearer a:b", "bearer  a:b ", "Basic dXNlcjphOmI=", "basic OmE6Yg==", "Basic OmE6Yg"]
        {
            assert_eq!(shown(value).as_deref(), Some("a:b"), "{value}");
        }
        for value in
            ["Basic", "Basic ", "Basic ?", "Basic dXNlcg==", "Basic /w==", "Digest a:b", "a:b"]
        {
            assert_eq!(shown(value), None, "{value}");
        }
    }

    #[test]
    fn who_guesses_too_often_is_told_for_how_long_to_wait() {
        let told = too_many(TooMany(Duration::from_secs(40))).to_string();
        assert_eq!(told, "too many attempts to sign in; try again in 40 seconds");
    }
}
