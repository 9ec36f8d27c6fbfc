//! Pages and files for browsers.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

use super::problem::Problem;
use super::routes::{Access, Name, Route, Verb, below};
use super::{HttpState, auth};
use crate::site::{ErrorPage, Site, StaticFile, root_path};

/// What pages look like, and where files are. Its calls may read the disk: they are made where
/// blocking is allowed.
pub trait Pages: Send + Sync {
    /// Renders a template: "index.html".
    ///
    /// # Errors
    /// When there is none of that name, or it is broken.
    fn render(&self, template: &str, context: &Value) -> Result<String, PageError>;

    /// Renders a page that says what went wrong. Always gives one.
    fn error_page(&self, page: ErrorPage, context: &Value) -> String;

    /// The file of that name below `/static/`.
    fn file(&self, name: &str) -> Option<StaticFile>;

    /// Paths of pages of the owner's, and the template shown at each.
    fn pages(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Prefixes of folders of the owner's: "/recordings".
    fn mounts(&self) -> Vec<String> {
        Vec::new()
    }

    /// The file of that name below a prefix.
    fn mounted_file(&self, _prefix: &str, _name: &str) -> Option<StaticFile> {
        None
    }
}

/// Why a page cannot be shown: the template and the line at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PageError(pub String);

impl Pages for Site {
    fn render(&self, template: &str, context: &Value) -> Result<String, PageError> {
        Self::render(self, template, context).map_err(|e| PageError(e.to_string()))
    }

    fn error_page(&self, page: ErrorPage, context: &Value) -> String {
        Self::error_page(self, page, context)
    }

    fn file(&self, name: &str) -> Option<StaticFile> {
        Self::file(self, name)
    }

    fn pages(&self) -> Vec<(String, String)> {
        let pages = Self::pages(self).iter();
        pages.map(|p| (p.path().to_owned(), p.template().to_owned())).collect()
    }

    fn mounts(&self) -> Vec<String> {
        Self::mounts(self).iter().map(|m| m.prefix().to_owned()).collect()
    }

    fn mounted_file(&self, prefix: &str, name: &str) -> Option<StaticFile> {
        Self::mounts(self).iter().find(|m| m.prefix() == prefix)?.file(name)
    }
}

/// Routes of the owner's pages and mounts.
pub(super) fn routes(pages: &dyn Pages) -> Vec<Route> {
    let mut routes = Vec::new();
    for (path, template) in pages.pages() {
        let root = root_path(&path);
        let handler =
            move |State(state): State<HttpState>| page(state, template, root, Who::Viewer);
        routes.push(Route::new(Verb::Get, &path, Access::Viewer, handler));
    }
    for prefix in pages.mounts() {
        let path = below(&prefix);
        let handler = move |State(state): State<HttpState>,
                            Name(name): Name,
                            headers: HeaderMap| async move {
            let file = blocking(&state, move |pages| pages.mounted_file(&prefix, &name)).await?;
            serve_file(file, &headers)
        };
        routes.push(Route::new(Verb::Get, &path, Access::Viewer, handler));
    }
    routes
}

/// Whom a page is shown to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Owner,
    /// Whoever may watch.
    Viewer,
}

/// `GET /`: the player.
pub(super) async fn index(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    let owner = auth::authorize(&state.auth, Access::Owner, &request).is_ok();
    let who = if owner { Who::Owner } else { Who::Viewer };
    page(state, "index.html".into(), root_path("/"), who).await
}

async fn page(
    state: HttpState,
    template: String,
    root_path: String,
    who: Who,
) -> Result<Response, Problem> {
    let context = json!({
        "root_path": root_path,
        // Whether there is a device to look after, and its owner is looking.
        "device": state.device.is_some() && who == Who::Owner,
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
pub(super) async fn static_file(
    State(state): State<HttpState>,
    Name(name): Name,
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
    if has_it(headers, &file.etag) {
        return Ok((StatusCode::NOT_MODIFIED, fresh).into_response());
    }
    let mime = [(CONTENT_TYPE, HeaderValue::from_static(file.mime))];
    Ok((fresh, mime, Body::from(file.bytes)).into_response())
}

/// Whether `If-None-Match` names the tag (RFC 9110 §13.1.2, by weak comparison).
fn has_it(headers: &HeaderMap, etag: &str) -> bool {
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
        .map_err(|_| Problem::internal("a page crashed while it was made"))
}
