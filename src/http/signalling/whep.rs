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

use super::session::{
    no_such_session, offer_problem, session_ended, session_id_or_camera, session_url,
};
use crate::http::access::{Access, Unauthenticated};
use crate::http::auth;
use crate::http::body::{RequestBody, expect_media_type};
use crate::http::camera::AskedCamera;
use crate::http::path::PathParam;
use crate::http::peer::Peer;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::webrtc::stun_turn::IceServer;
use crate::webrtc::{Caller, Holder, IfMatch, PatchError, Patched};

const SDP: &str = "application/sdp";
const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// Entity tags looked at in one `If-Match`.
const MAX_TAGS: usize = 4;

/// `POST /whep`.
pub(in crate::http) async fn post(
    State(state): State<HttpState>,
    camera: AskedCamera,
    Extension(peer): Extension<Peer>,
    Extension(holder): Extension<Holder>,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<Response, Problem> {
    create(&state, camera, peer.caller(holder), &headers, body, session_url).await
}

/// Accepts an offer; `location` names the new session as seen from where it was posted.
async fn create(
    state: &HttpState,
    AskedCamera(camera): AskedCamera,
    by: Caller,
    headers: &HeaderMap,
    body: RequestBody,
    location: fn(&str) -> String,
) -> Result<Response, Problem> {
    expect_media_type(headers, SDP).map_err(|p| p.with_header(ACCEPT_POST, SDP))?;
    let answer = state.webrtc.offer(camera, body.text()?, by).await.map_err(offer_problem)?;
    let mut response = (StatusCode::CREATED, answer.sdp).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(SDP));
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(SDP_FRAGMENT));
    headers.insert(LOCATION, header(&location(&answer.id))?);
    headers.insert(ETAG, header(&answer.etag)?);
    for link in state.settings.ice_servers.get().iter().flat_map(ice_server_links) {
        headers.append(LINK, header(&link)?);
    }
    Ok(response)
}

/// `POST /whep/{camera}`.
pub(in crate::http) async fn post_camera(
    State(state): State<HttpState>,
    PathParam(camera): PathParam,
    Extension(peer): Extension<Peer>,
    Extension(holder): Extension<Holder>,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<Response, Problem> {
    let camera = AskedCamera(state.camera(&camera)?.name.clone());
    create(&state, camera, peer.caller(holder), &headers, body, str::to_owned).await
}

/// `PATCH /whep/{session}`: candidates, or an ICE restart.
///
/// Players such as MediaMTX's show their token when they open a session, and not when they trickle.
/// Whoever knows the session's name and its ICE credentials, both of them secrets of its viewer,
/// may add candidates.
pub(in crate::http) async fn patch(
    State(state): State<HttpState>,
    PathParam(name): PathParam,
    Extension(peer): Extension<Peer>,
    holder: Option<Extension<Holder>>,
    unauthenticated: Option<Extension<Unauthenticated>>,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<Response, Problem> {
    let holder = holder.map(|Extension(holder)| holder);
    match unauthenticated {
        None => {
            apply_fragment(&state, &name, (peer, holder), if_match(&headers), &headers, body).await
        }
        Some(Extension(Unauthenticated(problem))) => {
            let by = (peer, None);
            let changed = apply_fragment(&state, &name, by, IfMatch::Absent, &headers, body).await;
            changed.map_err(|_| problem)
        }
    }
}

async fn apply_fragment(
    state: &HttpState,
    name: &str,
    (peer, by): (Peer, Option<Holder>),
    if_match: IfMatch,
    headers: &HeaderMap,
    body: RequestBody,
) -> Result<Response, Problem> {
    let id = session_id_or_camera(state, name)?;
    expect_media_type(headers, SDP_FRAGMENT)
        .map_err(|p| p.with_header(ACCEPT_PATCH, SDP_FRAGMENT))?;
    let fragment = body.text()?;
    let path = peer.signalling_path();
    match state.webrtc.patch(id.clone(), by, if_match, &fragment, path).await {
        Ok(Patched::Trickled) => Ok(StatusCode::NO_CONTENT.into_response()),
        Ok(Patched::Restarted { etag, fragment }) => Ok((
            [(CONTENT_TYPE, HeaderValue::from_static(SDP_FRAGMENT)), (ETAG, header(&etag)?)],
            fragment,
        )
            .into_response()),
        Err(PatchError::NoSuchSession) => Err(match by {
            Some(by) => session_ended(state, id, by).await,
            None => no_such_session(),
        }),
        Err(e @ PatchError::Sdp(_)) => Err(Problem::bad_request(e.to_string())),
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
pub(in crate::http) async fn delete(
    State(state): State<HttpState>,
    PathParam(name): PathParam,
    Extension(by): Extension<Holder>,
) -> Result<StatusCode, Problem> {
    let id = session_id_or_camera(&state, &name)?;
    if state.webrtc.close(id.clone(), by).await {
        Ok(StatusCode::OK)
    } else {
        Err(session_ended(&state, id, by).await)
    }
}

/// `GET /whep`: there is something here, and nothing to read.
pub(in crate::http) async fn get(AskedCamera(_): AskedCamera) -> StatusCode {
    StatusCode::NO_CONTENT
}

/// `GET /whep/{camera}` and `GET /whep/{session}`.
pub(in crate::http) async fn get_named(
    State(state): State<HttpState>,
    PathParam(name): PathParam,
    Extension(by): Extension<Holder>,
) -> Result<StatusCode, Problem> {
    if state.camera(&name).is_ok() {
        return Ok(StatusCode::NO_CONTENT);
    }
    let id = session_id_or_camera(&state, &name)?;
    match state.webrtc.session(id.clone(), by).await {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(session_ended(&state, id, by).await),
    }
}

/// `OPTIONS /whep`: what can be done here, and, for viewers, by which servers. TURN's
/// credentials are nobody else's business.
pub(in crate::http) async fn options(State(state): State<HttpState>, request: Request) -> Response {
    let headers = [(ALLOW, "GET, HEAD, OPTIONS, POST"), (ACCEPT_POST, SDP)];
    with_ice_servers(&state, &request, (StatusCode::OK, headers).into_response())
}

/// `OPTIONS /whep/{name}`. Says the same of every name, whether there is such a session or not.
pub(in crate::http) async fn options_named(
    State(state): State<HttpState>,
    PathParam(name): PathParam,
    request: Request,
) -> Response {
    let methods = "DELETE, GET, HEAD, OPTIONS, PATCH, POST";
    let headers = [(ALLOW, methods), (ACCEPT_POST, SDP), (ACCEPT_PATCH, SDP_FRAGMENT)];
    let response = (StatusCode::OK, headers).into_response();
    if state.camera(&name).is_ok() {
        with_ice_servers(&state, &request, response)
    } else {
        response
    }
}

/// The response with the STUN and TURN servers, for viewers only.
fn with_ice_servers(state: &HttpState, request: &Request, mut response: Response) -> Response {
    if auth::authorize(&state.auth, Access::Viewer, request).is_ok() {
        let servers = state.settings.ice_servers.get();
        let links = servers.iter().flat_map(ice_server_links);
        for link in links.filter_map(|link| header(&link).ok()) {
            response.headers_mut().append(LINK, link);
        }
    }
    response
}

/// A server as `Link` fields, one for each address.
fn ice_server_links(server: &IceServer) -> impl Iterator<Item = String> {
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
        .map_err(|_| Problem::internal("a setting contains a character that HTTP cannot transmit"))
}
