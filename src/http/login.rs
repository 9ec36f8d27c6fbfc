//! Signing in and out, and setting the first password, over HTTP.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::auth::{self, CookieKind, LIFETIME, LoginForm, SignInCookies};
use super::body::{RequestBody, expect_media_type, media_type};
use super::builtin;
use super::cross_origin::TargetUri;
use super::forwarded::ProxyInfo;
use super::peer::Peer;
use super::problem::{Problem, Remedy};
use super::secure;
use super::state::HttpState;
use crate::site::root_path;

const FORM: &str = "application/x-www-form-urlencoded";

/// How long a browser is recognized as one that has signed in. Browsers keep nothing for longer.
const BROWSER_LIFETIME: Duration = Duration::from_secs(400 * 24 * 3600);

/// Most cookies that are deleted at once.
const MAX_NAMES: usize = 32;

/// What is sent to sign in.
#[derive(Deserialize)]
struct LoginRequest {
    password: String,
    /// Where the browser was going.
    #[serde(default)]
    next: Option<String>,
}

impl LoginRequest {
    fn read(headers: &HeaderMap, body: &RequestBody) -> Result<Self, Problem> {
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
            password: password
                .ok_or_else(|| Problem::bad_request("expected a field named password"))?,
            next: field("next"),
        })
    }
}

/// `GET /login`: asks for the password, or for a first one where there is none.
pub(super) async fn page(
    State(state): State<HttpState>,
    Extension(peer): Extension<Peer>,
    Extension(proxy): Extension<ProxyInfo>,
) -> Response {
    let exposure = secure::exposure(&state, peer, &proxy);
    match state.auth.login_form(peer, &proxy) {
        LoginForm::Password => builtin::sign_in_page(".", "", "/", exposure).into_response(),
        LoginForm::FirstPassword => builtin::first_password_page(".", "", exposure).into_response(),
        LoginForm::Nobody(why) => {
            let next = ("Try again", "login");
            builtin::message_page(".", "Nobody can sign in", why, None, next).into_response()
        }
    }
}

/// `GET /login.css`.
pub(super) async fn style() -> Response {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "max-age=3600")];
    (headers, builtin::STYLE).into_response()
}

/// `POST /login`, by form or JSON.
pub(super) async fn sign_in(
    State(state): State<HttpState>,
    Extension(peer): Extension<Peer>,
    Extension(target): Extension<TargetUri>,
    Extension(proxy): Extension<ProxyInfo>,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<Response, Problem> {
    let login = LoginRequest::read(&headers, &body)?;
    let cookies = state.auth.sign_in(login.password, peer, &headers).await?;
    signed_in(cookies, target, &proxy, &headers, login.next.as_deref())
}

/// `POST /logout`.
pub(super) async fn sign_out(
    State(state): State<HttpState>,
    Extension(target): Extension<TargetUri>,
    Extension(proxy): Extension<ProxyInfo>,
    headers: HeaderMap,
) -> Response {
    let mut names = vec![CookieKind::Session.name(target.port)];
    names.extend(state.auth.sign_out(&headers).await);
    signed_out("/logout", &names, &proxy)
}

/// `POST /logout/everywhere`: no browser is signed in any more, this one included.
pub(super) async fn sign_out_everywhere(
    State(state): State<HttpState>,
    Extension(peer): Extension<Peer>,
    Extension(target): Extension<TargetUri>,
    Extension(proxy): Extension<ProxyInfo>,
    headers: HeaderMap,
) -> Response {
    let mut names = vec![CookieKind::Session.name(target.port)];
    names.extend(state.auth.sign_out_everywhere(&headers).await);
    log::info!("the owner signed out everywhere, from {}", peer.source());
    names.truncate(MAX_NAMES);
    signed_out("/logout/everywhere", &names, &proxy)
}

/// The answer to signing out: these cookies are deleted.
fn signed_out(from: &str, names: &[String], proxy: &ProxyInfo) -> Response {
    let mut response = redirect(from, "/");
    for name in names {
        let path = &proxy.prefix;
        let deleted = format!("{name}=; HttpOnly; SameSite=Strict; Path={path}/; Max-Age=0");
        if let Ok(deleted) = HeaderValue::from_str(&deleted) {
            response.headers_mut().append(SET_COOKIE, deleted);
        }
    }
    response
}

/// `POST /setup`: the first password. Open while there is none, and only then.
pub(super) async fn set_first_password(
    State(state): State<HttpState>,
    Extension(peer): Extension<Peer>,
    Extension(target): Extension<TargetUri>,
    Extension(proxy): Extension<ProxyInfo>,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<Response, Problem> {
    let login = LoginRequest::read(&headers, &body)?;
    state.auth.expect_unset()?;
    if !auth::is_from_near(peer, &proxy) {
        return Err(auth::too_far());
    }
    if !target.host_known {
        let detail = "the first password can only be set under a name of this camera's; \
                      add the one of this page to http.allowed_hosts, or open the page under \
                      the camera's own name or address";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
    }
    if let Some(weakness) = auth::weakness(&login.password, &state.settings.hostname) {
        return Err(Problem::bad_request(weakness.to_string()).remedy(Remedy::SetUp));
    }
    let cookies = state.auth.set_first_password(login.password, peer, &headers).await?;
    signed_in(cookies, target, &proxy, &headers, None)
}

/// The answer to the right password: the cookies, and for a form where to go next.
fn signed_in(
    cookies: SignInCookies,
    target: TargetUri,
    proxy: &ProxyInfo,
    headers: &HeaderMap,
    next: Option<&str>,
) -> Result<Response, Problem> {
    let secure = if target.secure { "; Secure" } else { "" };
    let mut response = if media_type(headers).as_deref() == Some(FORM) {
        redirect("/login", next.filter(|n| is_local_path(n)).unwrap_or("/"))
    } else {
        StatusCode::NO_CONTENT.into_response()
    };
    for (kind, value, lifetime) in [
        (CookieKind::Session, cookies.session, LIFETIME),
        (CookieKind::Browser, cookies.browser, BROWSER_LIFETIME),
    ] {
        let cookie = format!(
            "{}={value}; HttpOnly; SameSite=Strict; Path={}/; Max-Age={}{secure}",
            kind.name(target.port),
            proxy.prefix,
            lifetime.as_secs()
        );
        let cookie = HeaderValue::from_str(&cookie);
        let cookie =
            cookie.map_err(|_| Problem::internal("the path cannot be used in a cookie"))?;
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Whether `next` stays here: a path, and not one that a browser reads as another host's, or that
/// climbs out of the path below which a proxy shows us.
fn is_local_path(next: &str) -> bool {
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
fn redirect(from: &str, to: &str) -> Response {
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
            assert!(is_local_path(next), "{next}");
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
            assert!(!is_local_path(next), "{next}");
        }
    }
}
