//! WHEP (draft-ietf-wish-whep): a session is a resource made by `POST`, changed by `PATCH` and
//! ended by `DELETE`.
//!
//! Both trickle and ICE restart are supported, so 422 is never answered; offers are answered or
//! refused, never countered, so neither is 406.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH, LINK, LOCATION,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::body::{Whole, expect_media_type};
use super::offer::refused;
use super::problem::Problem;
use super::routes::{Name, Stranger};
use super::{Access, HttpState, IceServer, Peer, auth};
use crate::rtc::sdp::Fragment;
use crate::rtc::{Caller, Holder, IfMatch, PatchError, Patched};

const SDP: &str = "application/sdp";
const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// Names of the one camera there is.
const CAMERAS: [&str; 2] = ["main", "0"];

/// Entity tags looked at in one `If-Match`.
const MAX_TAGS: usize = 4;

/// Where a session is, seen from a path at the site's root such as `/whep` and `/offer`: relative,
/// because a proxy may show us below a path of its own.
pub(super) fn resource(id: &str) -> String {
    format!("whep/{id}")
}

/// A session's name: 32 hexadecimal digits. What is none is not even looked up.
pub(super) fn session_id(name: &str) -> Result<String, Problem> {
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if name.len() == 32 && name.bytes().all(digit) {
        Ok(name.to_owned())
    } else {
        Err(no_such_session())
    }
}

/// The answer to who asks for a session that is over, or was never theirs.
pub(super) async fn over(state: &HttpState, id: String, by: Holder) -> Problem {
    match state.rtc.why_ended(id, by).await {
        Some(why) => Problem::not_found(format!("the session was ended: {why}")),
        None => no_such_session(),
    }
}

pub(super) fn no_such_session() -> Problem {
    Problem::not_found("no such session, or it is over")
}

/// `POST /whep`.
pub(super) async fn post(
    State(state): State<HttpState>,
    Extension(peer): Extension<Peer>,
    Extension(holder): Extension<Holder>,
    headers: HeaderMap,
    body: Whole,
) -> Result<Response, Problem> {
    create(&state, peer.caller(holder), &headers, body, resource).await
}

/// Accepts an offer; `location` names the new session as seen from where it was posted.
async fn create(
    state: &HttpState,
    by: Caller,
    headers: &HeaderMap,
    body: Whole,
    location: fn(&str) -> String,
) -> Result<Response, Problem> {
    expect_media_type(headers, SDP).map_err(|p| p.with(ACCEPT_POST, SDP))?;
    let answer = state.rtc.offer(body.text()?, by).await.map_err(refused)?;
    let mut response = (StatusCode::CREATED, answer.sdp).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(SDP));
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(SDP_FRAGMENT));
    headers.insert(LOCATION, header(&location(&answer.id))?);
    headers.insert(ETAG, header(&answer.etag)?);
    for link in state.settings.ice_servers.get().iter().flat_map(links) {
        headers.append(LINK, header(&link)?);
    }
    Ok(response)
}

/// `POST /whep/{camera}`.
pub(super) async fn post_camera(
    State(state): State<HttpState>,
    Name(camera): Name,
    Extension(peer): Extension<Peer>,
    Extension(holder): Extension<Holder>,
    headers: HeaderMap,
    body: Whole,
) -> Result<Response, Problem> {
    if !CAMERAS.contains(&camera.as_str()) {
        let detail = "no such camera; the one there is is called main";
        return Err(Problem::not_found(detail));
    }
    create(&state, peer.caller(holder), &headers, body, str::to_owned).await
}

/// `PATCH /whep/{session}`: candidates, or an ICE restart.
///
/// Players such as MediaMTX's show their token when they open a session, and not when they trickle.
/// A stranger who knows the session's name and its credentials, both of them secrets of its
/// viewer's, may add candidates.
pub(super) async fn patch(
    State(state): State<HttpState>,
    Name(name): Name,
    Extension(peer): Extension<Peer>,
    holder: Option<Extension<Holder>>,
    stranger: Option<Extension<Stranger>>,
    headers: HeaderMap,
    body: Whole,
) -> Result<Response, Problem> {
    let holder = holder.map(|Extension(holder)| holder);
    match stranger {
        None => change(&state, &name, (peer, holder), if_match(&headers), &headers, body).await,
        Some(Extension(Stranger(problem))) => {
            let by = (peer, None);
            let changed = change(&state, &name, by, IfMatch::Absent, &headers, body).await;
            changed.map_err(|_| problem)
        }
    }
}

async fn change(
    state: &HttpState,
    name: &str,
    (peer, by): (Peer, Option<Holder>),
    if_match: IfMatch,
    headers: &HeaderMap,
    body: Whole,
) -> Result<Response, Problem> {
    let id = session_id(name)?;
    expect_media_type(headers, SDP_FRAGMENT).map_err(|p| p.with(ACCEPT_PATCH, SDP_FRAGMENT))?;
    let fragment = Fragment::parse(&body.text()?)
        .map_err(|e| Problem::bad_request(format!("the fragment cannot be used: {e}")))?;
    let path = peer.signalling_path();
    match state.rtc.patch(id.clone(), by, if_match, fragment, path).await {
        Ok(Patched::Trickled) => Ok(StatusCode::NO_CONTENT.into_response()),
        Ok(Patched::Restarted { etag, fragment }) => Ok((
            [(CONTENT_TYPE, HeaderValue::from_static(SDP_FRAGMENT)), (ETAG, header(&etag)?)],
            fragment,
        )
            .into_response()),
        Err(PatchError::NoSuchSession) => Err(match by {
            Some(by) => over(state, id, by).await,
            None => no_such_session(),
        }),
        Err(e @ PatchError::NoPrecondition) => {
            Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, e.to_string()))
        }
        Err(e @ PatchError::StaleEtag) => {
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, e.to_string()))
        }
        Err(e @ PatchError::Internal(_)) => Err(Problem::internal(e.to_string())),
        Err(e @ PatchError::Stopping) => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, e.to_string()))
        }
    }
}

/// What `If-Match` says (RFC 9110 §13.1.1).
fn if_match(headers: &HeaderMap) -> IfMatch {
    let lines = headers.get_all(IF_MATCH);
    let tags: Vec<String> = lines
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(|tag| tag.trim().to_owned())
        .filter(|tag| !tag.is_empty())
        .take(MAX_TAGS)
        .collect();
    match tags.as_slice() {
        [] => IfMatch::Absent,
        [tag] if tag == "*" => IfMatch::Any,
        _ => IfMatch::Tags(tags),
    }
}

/// `DELETE /whep/{session}`. An `If-Match` on it says nothing (draft §4.4).
pub(super) async fn delete(
    State(state): State<HttpState>,
    Name(name): Name,
    Extension(by): Extension<Holder>,
) -> Result<StatusCode, Problem> {
    let id = session_id(&name)?;
    if state.rtc.close(id.clone(), by).await {
        Ok(StatusCode::OK)
    } else {
        Err(over(&state, id, by).await)
    }
}

/// `GET /whep`: there is something here, and nothing to read.
pub(super) async fn get() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// `GET /whep/{camera}` and `GET /whep/{session}`.
pub(super) async fn get_named(
    State(state): State<HttpState>,
    Name(name): Name,
    Extension(by): Extension<Holder>,
) -> Result<StatusCode, Problem> {
    if CAMERAS.contains(&name.as_str()) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let id = session_id(&name)?;
    match state.rtc.session(id.clone(), by).await {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(over(&state, id, by).await),
    }
}

/// `OPTIONS /whep`: what can be done here, and, for who may watch, by way of which servers. TURN's
/// credentials are nobody else's business.
pub(super) async fn options(State(state): State<HttpState>, request: Request) -> Response {
    let headers = [(ALLOW, "GET, HEAD, OPTIONS, POST"), (ACCEPT_POST, SDP)];
    linked(&state, &request, (StatusCode::OK, headers).into_response())
}

/// `OPTIONS /whep/{name}`. Says the same of every name, whether there is such a session or not.
pub(super) async fn options_named(
    State(state): State<HttpState>,
    Name(name): Name,
    request: Request,
) -> Response {
    let methods = "DELETE, GET, HEAD, OPTIONS, PATCH, POST";
    let headers = [(ALLOW, methods), (ACCEPT_POST, SDP), (ACCEPT_PATCH, SDP_FRAGMENT)];
    let response = (StatusCode::OK, headers).into_response();
    if CAMERAS.contains(&name.as_str()) { linked(&state, &request, response) } else { response }
}

/// The response with the STUN and TURN servers, for who may watch.
fn linked(state: &HttpState, request: &Request, mut response: Response) -> Response {
    if auth::authorize(&state.auth, Access::Viewer, request).is_ok() {
        let servers = state.settings.ice_servers.get();
        let links = servers.iter().flat_map(links).filter_map(|link| header(&link).ok());
        for link in links {
            response.headers_mut().append(LINK, link);
        }
    }
    response
}

/// A server as `Link` fields, one for each address.
fn links(server: &IceServer) -> impl Iterator<Item = String> {
    let mut parameters = String::from("; rel=\"ice-server\"");
    if let (Some(username), Some(credential)) = (&server.username, &server.credential) {
        parameters += &format!(
            "; username={}; credential={}; credential-type=\"password\"",
            quoted(username),
            quoted(credential)
        );
    }
    server.urls.iter().map(move |url| format!("<{url}>{parameters}"))
}

/// A quoted-string (RFC 9110 §5.6.4).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn header(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text)
        .map_err(|_| Problem::internal("a setting holds a character that HTTP cannot carry"))
}
