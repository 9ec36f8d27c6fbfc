//! Pages and files for browsers.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::provider::Pages;
use crate::http::access::Access;
use crate::http::auth;
use crate::http::camera::AskedCamera;
use crate::http::path::PathParam;
use crate::http::problem::Problem;
use crate::http::security_headers::tile_policy;
use crate::http::state::HttpState;
use crate::site::{StaticFile, root_path};

/// Whom a page is shown to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    Owner,
    /// Whoever may watch.
    Viewer,
}

/// `GET /`: the player of the camera that `?camera=` names. Without a name, the only camera's, or all
/// of them in a grid, whose tiles are players without anything around them (`view=tile`).
pub(in crate::http) async fn index(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    let owner = auth::authorize(&state.auth, Access::Owner, &request).is_ok();
    let audience = if owner { Audience::Owner } else { Audience::Viewer };
    let query = request.uri().query().unwrap_or_default();
    let has = |wanted: (&str, Option<&str>)| {
        form_urlencoded::parse(query.as_bytes())
            .any(|(name, value)| name == wanted.0 && wanted.1.is_none_or(|wanted| value == wanted))
    };
    let AskedCamera(camera) = AskedCamera::of(request.uri(), &state)?;
    let is_tile = has(("view", Some("tile")));
    let template = match has(("camera", None)) || state.cameras.len() == 1 {
        true => "index.html",
        false => "grid.html",
    };
    let shown = Shown { camera: Some(camera), is_tile };
    let framing = is_tile.then(|| tile_policy(&state.settings));
    let mut response = page(state, template.into(), root_path("/"), audience, shown).await?;
    if let Some([policy, frame_options]) = framing {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        response.headers_mut().insert(X_FRAME_OPTIONS, frame_options);
    }
    Ok(response)
}

/// What a player shows.
#[derive(Default)]
struct Shown {
    camera: Option<Arc<str>>,
    is_tile: bool,
}

/// A page of the owner's.
pub(in crate::http) async fn own_page(
    state: HttpState,
    template: String,
    path: String,
) -> Result<Response, Problem> {
    page(state, template, root_path(&path), Audience::Viewer, Shown::default()).await
}

/// A file below a prefix of the owner's.
pub(in crate::http) async fn mounted_file(
    state: HttpState,
    prefix: String,
    name: String,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = blocking(&state, move |pages| pages.mounted_file(&prefix, &name)).await?;
    serve_file(file, &headers)
}

async fn page(
    state: HttpState,
    template: String,
    root_path: String,
    audience: Audience,
    Shown { camera, is_tile }: Shown,
) -> Result<Response, Problem> {
    let names: Vec<&str> = state.cameras.iter().map(|camera| &*camera.name).collect();
    let context = json!({
        // The camera that is shown, and all there are.
        "camera": camera.as_deref(),
        "cameras": names,
        // Whether it is one of several on a page.
        "tile": is_tile,
        "root_path": root_path,
        // Whether there is a device to look after, and its owner is looking.
        "device": state.device.is_some() && audience == Audience::Owner,
        "version": env!("CARGO_PKG_VERSION"),
        "hostname": state.settings.hostname,
        "ice_servers": *state.settings.ice_servers.get(),
    });
    let page = blocking(&state, move |pages| pages.render(&template, &context)).await?;
    page.map(|html| Html(html).into_response()).map_err(|e| {
        log::error!("a page cannot be shown: {e}");
        Problem::internal("this page's template is broken; the camera's log says where")
            .trace(e.to_string())
    })
}

/// `GET /static/{*path}`.
pub(in crate::http) async fn static_file(
    State(state): State<HttpState>,
    PathParam(name): PathParam,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = blocking(&state, move |pages| pages.file(&name)).await?;
    serve_file(file, &headers)
}

fn serve_file(file: Option<StaticFile>, headers: &HeaderMap) -> Result<Response, Problem> {
    let file = file.ok_or_else(|| Problem::not_found("there is no such file"))?;
    let etag = HeaderValue::from_str(&file.etag)
        .map_err(|_| Problem::internal("the file has no usable entity tag"))?;
    // The page may keep it, and asks each time whether it is still the same.
    let fresh = [(CACHE_CONTROL, HeaderValue::from_static("no-cache")), (ETAG, etag)];
    if etag_matches(headers, &file.etag) {
        return Ok((StatusCode::NOT_MODIFIED, fresh).into_response());
    }
    let mime = [(CONTENT_TYPE, HeaderValue::from_static(file.mime))];
    Ok((fresh, mime, Body::from(file.bytes)).into_response())
}

/// Whether `If-None-Match` names the tag (RFC 9110 §13.1.2, by weak comparison).
fn etag_matches(headers: &HeaderMap, etag: &str) -> bool {
    let lines = headers.get_all(IF_NONE_MATCH);
    lines
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(|tag| tag.trim())
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Does what may read the disk where it keeps nobody waiting.
async fn blocking<T: Send + 'static>(
    state: &HttpState,
    work: impl FnOnce(&dyn Pages) -> T + Send + 'static,
) -> Result<T, Problem> {
    let pages = Arc::clone(&state.pages);
    tokio::task::spawn_blocking(move || work(pages.as_ref()))
        .await
        .map_err(|_| Problem::internal("rendering the page crashed"))
}
