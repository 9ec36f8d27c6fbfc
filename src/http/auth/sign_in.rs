//! Signing in and out, and setting the first password.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::cookies::{Kind, cookies};
use super::sessions::{Digest, LIFETIME};
use super::{
    Auth, LOCKED_OUT, Policy, Setting, State, TOO_FAR, is_from_near, locked_out, strength, too_far,
    too_many,
};
use crate::config::{Credentials, Password, PasswordError, PasswordHash};
use crate::http::body::{Whole, expect_media_type, media_type};
use crate::http::builtin;
use crate::http::forwarded::Passage;
use crate::http::guard::Approach;
use crate::http::problem::{Problem, Remedy};
use crate::http::{HttpState, Peer};
use crate::site::root_path;

const FORM: &str = "application/x-www-form-urlencoded";

/// How long a browser is known to have signed in before. Browsers keep nothing for longer.
const KNOWN_FOR: Duration = Duration::from_secs(400 * 24 * 3600);

/// Cookies taken back at once.
const MAX_NAMES: usize = 32;

/// What is sent to sign in.
#[derive(Deserialize)]
struct Entry {
    password: String,
    /// Where the browser was going.
    #[serde(default)]
    next: Option<String>,
}

impl Entry {
    fn read(headers: &HeaderMap, body: &Whole) -> Result<Self, Problem> {
        if media_type(headers).as_deref() != Some(FORM) {
            expect_media_type(headers, "application/json")?;
            return body.json(r#"{"password": "…"}"#);
        }
        let field = |wanted: &str| {
            form_urlencoded::parse(&body.0)
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        let password = field("password");
        Ok(Self {
            password: password.ok_or_else(|| Problem::bad_request("expected a field password"))?,
            next: field("next"),
        })
    }
}

/// `GET /login`: where there is a password to ask for. Without one, it is the page to set it.
pub(in crate::http) async fn page(
    extract::State(state): extract::State<HttpState>,
    Extension(peer): Extension<Peer>,
    Extension(passage): Extension<Passage>,
) -> Response {
    let policy = state.auth.state().policy.clone();
    match policy {
        Policy::Set { password: Some(_), .. } => builtin::sign_in(".", "", "/").into_response(),
        Policy::Set { password: None, .. } => nobody_can(TOKENS_ONLY),
        Policy::Unset if is_from_near(peer, &passage) => builtin::set_up(".", "").into_response(),
        Policy::Unset => nobody_can(TOO_FAR),
        Policy::Locked => nobody_can(LOCKED_OUT),
    }
}

/// Why there is no password to ask for, though somebody gets in.
const TOKENS_ONLY: &str =
    "no password has been set; this camera is open to holders of a token only";

fn nobody_can(why: &str) -> Response {
    builtin::notice(".", "Nobody can sign in", why, None, ("Try again", "login")).into_response()
}

/// `GET /login.css`.
pub(in crate::http) async fn style() -> Response {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "max-age=3600")];
    (headers, builtin::STYLE).into_response()
}

/// `POST /login`, by form or JSON.
pub(in crate::http) async fn sign_in(
    extract::State(state): extract::State<HttpState>,
    Extension(peer): Extension<Peer>,
    Extension(approach): Extension<Approach>,
    Extension(passage): Extension<Passage>,
    headers: HeaderMap,
    body: Whole,
) -> Result<Response, Problem> {
    let entry = Entry::read(&headers, &body)?;
    let auth = &state.auth;
    let password = match &auth.state().policy {
        Policy::Set { password, .. } => password.clone(),
        Policy::Unset => return Err(no_password_yet()),
        Policy::Locked => return Err(locked_out()),
    };
    let Some(password) = password else {
        return Err(Problem::new(StatusCode::FORBIDDEN, TOKENS_ONLY));
    };
    let asker = auth.turn(peer.source(), &headers).await.map_err(too_many)?;
    let known = auth.check(password.clone(), entry.password).await?;
    if !known {
        log::info!("somebody at {} tried to sign in with a wrong password", peer.source());
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "that is not the password");
        return Err(problem.remedy(Remedy::SignIn));
    }
    let cookies = {
        let mut guarded = auth.state();
        // The password may have been changed while the old one was being checked.
        let current =
            matches!(&guarded.policy, Policy::Set { password: Some(p), .. } if *p == password);
        if !current {
            let detail = "the password has just been changed; sign in again";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, detail).remedy(Remedy::SignIn));
        }
        guarded.guesses.forgive(asker);
        guarded.let_in(&headers, auth.now())
    };
    save(auth).await;
    log::info!("the owner signed in from {}", peer.source());
    signed_in(cookies, approach, &passage, &headers, entry.next.as_deref())
}

/// `POST /logout`.
pub(in crate::http) async fn sign_out(
    extract::State(state): extract::State<HttpState>,
    Extension(approach): Extension<Approach>,
    Extension(passage): Extension<Passage>,
    headers: HeaderMap,
) -> Response {
    let mut names = vec![Kind::Session.name(approach.port)];
    {
        let mut guarded = state.auth.state();
        let State { policy, sessions, .. } = &mut *guarded;
        for (name, value) in cookies(&headers, Kind::Session) {
            if sessions.close(value, policy.bond()) {
                names.push(name.to_owned());
            }
        }
    }
    if names.len() > 1 {
        state.auth.changes.send_replace(());
        save(&state.auth).await;
    }
    gone("/logout", &names, &passage)
}

/// `POST /logout/everywhere`: no browser is signed in any more, this one included.
pub(in crate::http) async fn sign_out_everywhere(
    extract::State(state): extract::State<HttpState>,
    Extension(peer): Extension<Peer>,
    Extension(approach): Extension<Approach>,
    Extension(passage): Extension<Passage>,
    headers: HeaderMap,
) -> Response {
    {
        let mut guarded = state.auth.state();
        let mut shown = cookies(&headers, Kind::Browser).map(|(_, value)| value);
        let this_one = shown.find_map(|value| guarded.sessions.knows(value));
        guarded.sessions.close_all();
        guarded.sessions.forget_known(this_one);
        guarded.guesses.forget_known();
    }
    state.auth.changes.send_replace(());
    save(&state.auth).await;
    log::info!("the owner signed out everywhere, from {}", peer.source());
    let shown = cookies(&headers, Kind::Session).map(|(name, _)| name.to_owned());
    let own = Kind::Session.name(approach.port);
    let names: Vec<String> = std::iter::once(own).chain(shown).take(MAX_NAMES).collect();
    gone("/logout/everywhere", &names, &passage)
}

/// Writes down who is signed in, where it keeps nobody waiting.
async fn save(auth: &Arc<Auth>) {
    let auth = Arc::clone(auth);
    // One that crashed has said so itself.
    let _ = tokio::task::spawn_blocking(move || auth.save()).await;
}

/// The answer to who has signed out: these cookies are gone.
fn gone(from: &str, names: &[String], passage: &Passage) -> Response {
    let mut response = see_other(from, "/");
    for name in names {
        let path = &passage.prefix;
        let gone = format!("{name}=; HttpOnly; SameSite=Strict; Path={path}/; Max-Age=0");
        if let Ok(gone) = HeaderValue::from_str(&gone) {
            response.headers_mut().append(SET_COOKIE, gone);
        }
    }
    response
}

/// `POST /setup`: the first password. Open while there is none, and only then.
pub(in crate::http) async fn set_up(
    extract::State(state): extract::State<HttpState>,
    Extension(peer): Extension<Peer>,
    Extension(approach): Extension<Approach>,
    Extension(passage): Extension<Passage>,
    headers: HeaderMap,
    body: Whole,
) -> Result<Response, Problem> {
    let entry = Entry::read(&headers, &body)?;
    let auth = Arc::clone(&state.auth);
    auth.expect_unset()?;
    if !is_from_near(peer, &passage) {
        return Err(too_far());
    }
    if !approach.known {
        let detail = "the first password is set under a name that is known to be this camera's; \
                      add the one that this page has to http.allowed_hosts, or open the page under \
                      the camera's own name or address";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
    }
    if let Some(weakness) = strength::weakness(&entry.password, &state.settings.hostname) {
        return Err(Problem::bad_request(weakness.to_string()).remedy(Remedy::SetUp));
    }
    let turn = auth.turn(peer.source(), &headers).await;
    let asker = turn.map_err(|wait| too_many(wait).remedy(Remedy::SetUp))?;
    let turn = Arc::clone(&auth.hashing).lock_owned().await;
    let keeper = Arc::clone(&auth);
    // Once begun it is done, even if the client hangs up. Of two who set a password at the same
    // time, one is first and the other is refused.
    let kept = tokio::task::spawn_blocking(move || {
        let _one_at_a_time = turn;
        keeper.expect_unset()?;
        let hash = PasswordHash::of(&entry.password).map_err(not_hashed)?;
        let not_kept = |why| Problem::internal(format!("the password was not set: {why}"));
        keeper.store.store(&hash).map_err(not_kept)?;
        keeper.apply(&Setting::Set(Credentials {
            password: Some(Password::Hash(hash)),
            tokens: Vec::new(),
        }));
        Ok::<_, Problem>(())
    });
    kept.await.map_err(|_| Problem::internal("setting the password crashed"))??;
    log::info!("the owner set a password from {}", peer.source());
    let cookies = {
        let mut guarded = auth.state();
        guarded.guesses.forgive(asker);
        guarded.let_in(&headers, auth.now())
    };
    save(&auth).await;
    signed_in(cookies, approach, &passage, &headers, None)
}

/// What a browser is given that has signed in: who it is, and that it has.
struct Cookies {
    session: String,
    browser: String,
}

impl State {
    /// Signs a browser in; `None` where the system gives no random numbers.
    fn let_in(&mut self, headers: &HeaderMap, now: Instant) -> Option<Cookies> {
        // What was opened under a former session of this browser would outlast its signing out.
        for (_, former) in cookies(headers, Kind::Session) {
            self.sessions.close(former, self.policy.bond());
        }
        let session = self.sessions.open(self.policy.bond(), now)?;
        let mut shown = cookies(headers, Kind::Browser).map(|(_, value)| value);
        let known = shown.find(|value| self.sessions.knows(value).is_some());
        Some(Cookies { session, browser: self.sessions.know(known)? })
    }
}

impl Auth {
    /// Checks a password where it keeps nobody waiting, one at a time.
    async fn check(&self, password: Password, candidate: String) -> Result<bool, Problem> {
        let turn = Arc::clone(&self.hashing).lock_owned().await;
        let checked = tokio::task::spawn_blocking(move || {
            let _one_at_a_time = turn;
            match password {
                Password::Plain(secret) => Digest::of(secret.expose()).is_of(&candidate),
                Password::Hash(hash) => hash.verify(&candidate),
            }
        });
        checked.await.map_err(|_| Problem::internal("checking the password crashed"))
    }

    fn expect_unset(&self) -> Result<(), Problem> {
        match self.state().policy {
            Policy::Unset => Ok(()),
            Policy::Set { .. } => {
                let detail = "a password has been set already; the owner changes it in config.toml";
                Err(Problem::new(StatusCode::FORBIDDEN, detail))
            }
            Policy::Locked => Err(locked_out()),
        }
    }
}

fn not_hashed(error: PasswordError) -> Problem {
    let detail = error.to_string();
    match error {
        PasswordError::Length => Problem::bad_request(detail).remedy(Remedy::SetUp),
        PasswordError::Hashing(_) => Problem::internal(detail),
    }
}

fn no_password_yet() -> Problem {
    let detail = "no password has been set yet";
    Problem::new(StatusCode::FORBIDDEN, detail).remedy(Remedy::SetUp)
}

/// The answer to a right password: the cookies, and for a form the way on.
fn signed_in(
    cookies: Option<Cookies>,
    approach: Approach,
    passage: &Passage,
    headers: &HeaderMap,
    next: Option<&str>,
) -> Result<Response, Problem> {
    let cookies = cookies.ok_or_else(|| Problem::internal("the system gives no random numbers"))?;
    let secure = if approach.secure { "; Secure" } else { "" };
    let mut response = if media_type(headers).as_deref() == Some(FORM) {
        see_other("/login", next.filter(|n| is_local(n)).unwrap_or("/"))
    } else {
        StatusCode::NO_CONTENT.into_response()
    };
    for (kind, value, lifetime) in
        [(Kind::Session, cookies.session, LIFETIME), (Kind::Browser, cookies.browser, KNOWN_FOR)]
    {
        let cookie = format!(
            "{}={value}; HttpOnly; SameSite=Strict; Path={}/; Max-Age={}{secure}",
            kind.name(approach.port),
            passage.prefix,
            lifetime.as_secs()
        );
        let cookie = HeaderValue::from_str(&cookie);
        let cookie = cookie.map_err(|_| Problem::internal("a path that no cookie can have"))?;
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Whether `next` stays here: a path, and not one that a browser reads as another host's, or that
/// climbs out of the path below which a proxy shows us.
fn is_local(next: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'\\';
    let climbs = |segment: &str| {
        let dots = segment.replace("%2e", ".").replace("%2E", ".");
        dots == "." || dots == ".."
    };
    let path = next.split(['?', '#']).next().unwrap_or_default();
    next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(plain)
        && !path.split('/').any(climbs)
}

/// Leads from one absolute path of ours to another: relatively, because a proxy may show us below a
/// path of its own.
fn see_other(from: &str, to: &str) -> Response {
    let location = HeaderValue::from_str(&format!("{}{to}", root_path(from)));
    let location = location.unwrap_or(HeaderValue::from_static("./"));
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_nowhere_else() {
        for next in ["/", "/about?x=1", "/a//b", "/a?b=/../c", "/..a"] {
            assert!(is_local(next), "{next}");
        }
        for next in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nb",
            "/ü",
            "/../other",
            "/a/%2E%2e",
            "/./x",
        ] {
            assert!(!is_local(next), "{next}");
        }
    }
}
