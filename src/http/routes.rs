//! The one table of routes.
//!
//! A route is a row of [`table`] and names who may use it; the router is made from the rows, so
//! that there is no way to serve a path without having said so. What users add ([`ExtraRoutes`])
//! says so as well, and may not take the place of a row.

use std::collections::BTreeSet;
use std::fmt;

use axum::Router;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::problem::Problem;
use super::{
    HttpState, api, auth, controls, device, forwarded, guard, headers, metrics, mjpeg,
    mjpg_streamer, offer, pages, problem, snapshot, update, whep,
};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Everybody. Only for what is needed to sign in, and what says nothing.
    Open,
    /// Whoever may watch: the owner, and who holds a token.
    Viewer,
    /// The owner.
    Owner,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Viewer => "viewer",
            Self::Owner => "owner",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Stands for `HEAD` too.
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Verb {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
            Self::Options => MethodFilter::OPTIONS,
        }
    }
}

/// A row of the table.
pub(super) struct Route {
    pub(super) verb: Verb,
    pub(super) path: String,
    pub(super) access: Access,
    terms: Terms,
    handler: MethodRouter<HttpState>,
}

/// Who may use a route, and how they may show it.
#[derive(Debug, Clone, Copy)]
struct Terms {
    access: Access,
    /// Whether the handler is asked about strangers as well.
    asks_handler: bool,
    /// Whether a token may stand in the URL of a picture, where `http.token_in_url` allows it.
    token_in_url: bool,
}

impl Terms {
    const fn new(access: Access) -> Self {
        Self { access, asks_handler: false, token_in_url: false }
    }
}

/// Told to the handler of a route that decides about strangers itself: what to answer, if nothing
/// else speaks for them.
#[derive(Debug, Clone)]
pub(super) struct Stranger(pub(super) Problem);

impl Route {
    pub(super) fn new<H, T>(verb: Verb, path: &str, access: Access, handler: H) -> Self
    where
        H: Handler<T, HttpState>,
        T: 'static,
    {
        let terms = Terms::new(access);
        Self { verb, path: path.to_owned(), access, terms, handler: on(verb.filter(), handler) }
    }

    /// Has the handler decide about strangers: see [`Stranger`].
    fn asking_handler(mut self) -> Self {
        self.terms.asks_handler = true;
        self
    }

    /// Takes a token in the URL of a picture, where the configuration allows it.
    fn token_in_url(mut self) -> Self {
        self.terms.token_in_url = true;
        self
    }
}

/// Every built-in route.
#[rustfmt::skip]
pub(super) fn table() -> Vec<Route> {
    use Access::{Open, Owner, Viewer};
    use Verb::{Delete, Get, Options, Patch, Post, Put};
    vec![
        Route::new(Get,     "/",                       Viewer, mjpg_streamer::index).token_in_url(),
        Route::new(Get,     "/static/{*path}",         Viewer, pages::static_file),
        Route::new(Get,     "/offer",                  Viewer, offer::offer),
        Route::new(Post,    "/offer",                  Viewer, offer::offer),
        Route::new(Post,    "/close_connection",       Viewer, offer::close_connection),
        Route::new(Get,     "/whep",                   Viewer, whep::get),
        Route::new(Post,    "/whep",                   Viewer, whep::post),
        Route::new(Options, "/whep",                   Open,   whep::options),
        Route::new(Get,     "/whep/{name}",            Viewer, whep::get_named),
        Route::new(Post,    "/whep/{name}",            Viewer, whep::post_camera),
        Route::new(Patch,   "/whep/{name}",            Viewer, whep::patch).asking_handler(),
        Route::new(Delete,  "/whep/{name}",            Viewer, whep::delete),
        Route::new(Options, "/whep/{name}",            Open,   whep::options_named),
        Route::new(Get,     "/api/v1/status",          Viewer, api::status),
        Route::new(Get,     "/api/v1/clock",           Viewer, api::clock),
        Route::new(Get,     "/api/v1/sessions",        Owner,  api::sessions),
        Route::new(Get,     "/api/v1/sessions/{id}",   Owner,  api::session),
        Route::new(Patch,   "/api/v1/sessions/{id}",   Owner,  api::steer_session),
        Route::new(Delete,  "/api/v1/sessions/{id}",   Owner,  api::end_session),
        Route::new(Get,     "/api/v1/controls",        Viewer, controls::get),
        Route::new(Patch,   "/api/v1/controls",        Owner,  controls::patch),
        Route::new(Get,     "/device",                 Owner,  device::page),
        Route::new(Get,     "/device.css",             Owner,  device::style),
        Route::new(Get,     "/device.js",              Owner,  device::script),
        Route::new(Get,     "/api/v1/device",          Owner,  device::get),
        Route::new(Get,     "/api/v1/device/networks", Owner,  device::networks),
        Route::new(Put,     "/api/v1/device/network",  Owner,  device::join),
        Route::new(Post,    "/api/v1/device/restart",  Owner,  device::restart),
        Route::new(Post,    "/api/v1/device/reset",    Owner,  device::reset),
        Route::new(Get,     "/api/v1/device/log",      Owner,  device::log),
        Route::new(Get,     "/api/v1/update",          Owner,  update::get),
        Route::new(Post,    "/api/v1/update",          Owner,  update::upload),
        Route::new(Post,    "/api/v1/update/look",     Owner,  update::look),
        Route::new(Post,    "/api/v1/update/install",  Owner,  update::install),
        Route::new(Get,     "/snapshot.jpg",           Viewer, snapshot::get).token_in_url(),
        Route::new(Get,     "/stream.mjpg",            Viewer, mjpeg::get).token_in_url(),
        Route::new(Get,     "/webcam",                 Viewer, mjpg_streamer::webcam).token_in_url(),
        Route::new(Get,     "/webcam/",                Viewer, mjpg_streamer::webcam).token_in_url(),
        Route::new(Get,     "/metrics",                Viewer, metrics::get),
        Route::new(Get,     "/healthz",                Open,   api::healthz),
        Route::new(Get,     "/login",                  Open,   auth::page),
        Route::new(Get,     "/login.css",              Open,   auth::style),
        Route::new(Post,    "/login",                  Open,   auth::sign_in),
        Route::new(Post,    "/setup",                  Open,   auth::set_up),
        Route::new(Post,    "/logout",                 Viewer, auth::sign_out),
        Route::new(Post,    "/logout/everywhere",      Owner,  auth::sign_out_everywhere),
    ]
}

/// The table as `METHOD PATH ACCESS`, one route a line.
#[must_use]
pub fn listing() -> String {
    table().iter().map(|r| format!("{} {} {}\n", r.verb.name(), r.path, r.access)).collect()
}

/// A library user's routes and mounted applications, and who may use them.
///
/// ```
/// use picket::http::axum::routing::get;
/// use picket::http::{Access, ExtraRoutes};
///
/// let routes = ExtraRoutes::new(Access::Viewer).route("/hello", get(|| async { "hello" }));
/// ```
pub struct ExtraRoutes {
    access: Access,
    added: Vec<(String, Added)>,
}

enum Added {
    Route(Box<MethodRouter>),
    Mount(Router),
}

impl ExtraRoutes {
    /// No routes yet.
    #[must_use]
    pub fn new(access: Access) -> Self {
        Self { access, added: Vec::new() }
    }

    /// Serves `path`, in the HTTP library's notation: `/doors/{door}`.
    #[must_use]
    pub fn route(mut self, path: &str, handler: MethodRouter) -> Self {
        self.added.push((path.to_owned(), Added::Route(Box::new(handler))));
        self
    }

    /// Serves everything below `prefix`.
    #[must_use]
    pub fn mount(mut self, prefix: &str, application: Router) -> Self {
        let prefix = prefix.trim_end_matches('/').to_owned();
        self.added.push((prefix, Added::Mount(application)));
        self
    }
}

/// Why the routing table cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// A built-in route would be hidden.
    #[error(
        "the route {added} would take the place of the built-in {built_in}; choose another path"
    )]
    Shadows {
        /// The route that was added.
        added: String,
        /// The built-in it hides.
        built_in: String,
    },
    /// Two added routes are the same.
    #[error("the route {0} was added twice; remove one")]
    Twice(String),
    /// Not a path.
    #[error("{0:?} is no path; expected one like /doors or /doors/{{door}}")]
    Malformed(String),
}

/// All paths, built-in ones first, so that none is given twice.
#[derive(Debug, Default)]
pub struct Paths {
    built_in: Vec<String>,
    added: Vec<String>,
}

impl Paths {
    /// Those of the table.
    #[must_use]
    pub fn built_in() -> Self {
        Self { built_in: table().into_iter().map(|route| route.path).collect(), added: Vec::new() }
    }

    /// Adds a path, in the notation of [`ExtraRoutes::route`].
    ///
    /// # Errors
    /// When it is no path, or cannot be told from one that is there.
    pub fn add(&mut self, path: &str) -> Result<(), RouteError> {
        if !is_path(path) {
            return Err(RouteError::Malformed(path.to_owned()));
        }
        if let Some(built_in) = self.built_in.iter().find(|b| covers(b, path) || clash(b, path)) {
            return Err(RouteError::Shadows { added: path.to_owned(), built_in: built_in.clone() });
        }
        if self.added.iter().any(|other| clash(other, path)) {
            return Err(RouteError::Twice(path.to_owned()));
        }
        self.added.push(path.to_owned());
        Ok(())
    }

    /// Adds all that is below a prefix, such as a folder of the owner's.
    ///
    /// # Errors
    /// As [`Paths::add`].
    pub fn add_below(&mut self, prefix: &str) -> Result<(), RouteError> {
        self.add(&below(prefix))
    }
}

/// Everything below a prefix.
pub(super) fn below(prefix: &str) -> String {
    format!("{prefix}/{{*path}}")
}

/// Whether two paths cannot be told apart by the HTTP library, which panics then: up to a place they
/// are the same but for the names of their parameters, and there both end, or one has a parameter
/// and the other one takes all the rest.
fn clash(one: &str, other: &str) -> bool {
    let (mut ours, mut theirs) = (one.split('/'), other.split('/'));
    loop {
        match (ours.next().map(nameless), theirs.next().map(nameless)) {
            (None, None) => return true,
            (Some("{*}"), Some("{*}" | "{}")) | (Some("{}"), Some("{*}")) => return true,
            (Some(our), Some(their)) if our == their => {}
            _ => return false,
        }
    }
}

fn nameless(segment: &str) -> &str {
    match segment.strip_prefix('{') {
        Some(name) if name.starts_with('*') => "{*}",
        Some(_) => "{}",
        None => segment,
    }
}

/// Whether the HTTP library will take it: it panics on what it will not.
fn is_path(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else {
        return false;
    };
    let last = segments.split('/').count() - 1;
    let mut names = BTreeSet::new();
    segments.split('/').enumerate().all(|(i, segment)| {
        let Some(name) = segment.strip_prefix('{') else {
            return !segment.contains(['{', '}', '?', '#']) && !segment.starts_with([':', '*']);
        };
        let Some(name) = name.strip_suffix('}') else {
            return false;
        };
        let (name, wild) = name.strip_prefix('*').map_or((name, false), |n| (n, true));
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty() && name.chars().all(plain) && names.insert(name) && (!wild || i == last)
    })
}

/// Whether everything that `path` matches was matched by `built_in`.
fn covers(built_in: &str, path: &str) -> bool {
    let (mut ours, mut theirs) = (built_in.split('/'), path.split('/'));
    loop {
        match (ours.next(), theirs.next()) {
            (Some(our), Some(_)) if our.starts_with("{*") => return true,
            (Some(our), Some(their)) if our.starts_with('{') => {
                if their.starts_with("{*") {
                    return false;
                }
            }
            (Some(our), Some(their)) if our == their => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// A library user's middleware: `|router| router.layer(mine)`.
pub type Wrap = Box<dyn FnOnce(Router) -> Router + Send>;

/// Makes the service: the table, the owner's pages and mounts, the library user's routes and
/// middleware, and around it all what every request passes.
///
/// The user's middleware stands between: a request from another web site never gets to it, and it
/// can never get around the question who may use a route, which is asked inside, at each route.
///
/// # Errors
/// When an added route hides a built-in one, is there twice, or is no path.
pub fn service(
    state: &HttpState,
    extras: Vec<ExtraRoutes>,
    wraps: Vec<Wrap>,
) -> Result<Router, RouteError> {
    let mut router = router(state, extras)?;
    for wrap in wraps {
        router = wrap(router);
    }
    Ok(router
        .layer(middleware::from_fn_with_state(state.clone(), guard::guard))
        .layer(middleware::from_fn_with_state(state.clone(), problem::present))
        .layer(middleware::from_fn_with_state(state.clone(), forwarded::see_through))
        .layer(middleware::from_fn_with_state(state.clone(), headers::harden)))
}

fn router(state: &HttpState, extras: Vec<ExtraRoutes>) -> Result<Router, RouteError> {
    let mut paths = Paths::default();
    let mut router = Router::new();
    for route in table() {
        paths.built_in.push(route.path.clone());
        router = router.route(&route.path.clone(), route.guarded(state));
    }
    for route in pages::routes(state.pages.as_ref()) {
        paths.add(&route.path)?;
        router = router.route(&route.path.clone(), route.guarded(state));
    }
    let mut router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state.clone());
    for extra in extras {
        for (path, added) in extra.added {
            let terms = Terms::new(extra.access);
            let ask = || middleware::from_fn_with_state((state.clone(), terms), ask_access);
            router = match added {
                Added::Route(handler) => {
                    paths.add(&path)?;
                    router.route(&path, handler.layer(ask()))
                }
                Added::Mount(application) => {
                    // The library serves a mount under these.
                    paths.add(&path)?;
                    paths.add(&format!("{path}/{{*rest}}"))?;
                    router.nest(&path, application.layer(ask()))
                }
            };
        }
    }
    Ok(router)
}

impl Route {
    /// The handler, behind the question whether the caller may use it.
    fn guarded(self, state: &HttpState) -> MethodRouter<HttpState> {
        let context = (state.clone(), self.terms);
        self.handler.route_layer(middleware::from_fn_with_state(context, ask_access))
    }
}

/// The one parameter of a path. One that is not even text names nothing.
pub(super) struct Name(pub(super) String);

impl FromRequestParts<HttpState> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(nothing_here()),
        }
    }
}

fn nothing_here() -> Problem {
    Problem::not_found("there is nothing at this address")
}

async fn ask_access(
    State((state, terms)): State<(HttpState, Terms)>,
    mut request: Request,
    next: Next,
) -> Response {
    let allowed = terms.token_in_url && state.settings.token_in_url;
    if allowed && mjpg_streamer::is_picture(request.uri()) {
        auth::take_token_from_url(&mut request);
    }
    match auth::authorize(&state.auth, terms.access, &request) {
        Ok(holder) => {
            auth::keep(&state.auth);
            if let Some(holder) = holder {
                request.extensions_mut().insert(holder);
            }
            next.run(request).await
        }
        Err(problem) if terms.asks_handler && problem.status == StatusCode::UNAUTHORIZED => {
            request.extensions_mut().insert(Stranger(problem));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// What is not there is not there for viewers only: strangers are not told what is.
async fn not_found(State(state): State<HttpState>, request: Request) -> Problem {
    auth::authorize(&state.auth, Access::Viewer, &request).err().unwrap_or_else(nothing_here)
}

async fn method_not_allowed(State(state): State<HttpState>, request: Request) -> Problem {
    auth::authorize(&state.auth, Access::Viewer, &request).err().unwrap_or_else(|| {
        let detail = format!("{} is not possible here; see Allow", request.method());
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str) -> Result<(), RouteError> {
        Paths::built_in().add(path)
    }

    #[test]
    fn a_route_that_hides_a_built_in_one_is_refused() {
        for path in [
            "/",
            "/offer",
            "/whep/front",
            "/whep/{camera}",
            "/static/mine.css",
            "/static/{*rest}",
            "/api/v1/sessions/latest",
        ] {
            assert!(matches!(check(path), Err(RouteError::Shadows { .. })), "{path}");
        }
        assert_eq!(
            check("/offer").unwrap_err().to_string(),
            "the route /offer would take the place of the built-in /offer; choose another path"
        );
    }

    #[test]
    fn what_the_library_cannot_tell_apart_is_refused() {
        for path in ["/whep/{*all}", "/api/v1/sessions/{*all}", "/static/{file}"] {
            assert!(matches!(check(path), Err(RouteError::Shadows { .. })), "{path}");
        }
        let mut paths = Paths::built_in();
        assert_eq!(paths.add("/{page}"), Ok(()));
        assert_eq!(paths.add("/{other}"), Err(RouteError::Twice("/{other}".into())));
        assert_eq!(paths.add("/{*all}"), Err(RouteError::Twice("/{*all}".into())));
        assert_eq!(paths.add("/{page}/x"), Ok(()));
    }

    /// The library has the last word on what it takes; on what it does not, it panics.
    #[test]
    fn every_folder_that_is_taken_can_be_served_beside_the_built_in_routes() {
        let serve = |path: &str| {
            let routes = table().into_iter().map(|r| (r.path, r.verb.filter()));
            let one = |router: Router, (path, verb): (String, MethodFilter)| {
                router.route(&path, on(verb, || async {}))
            };
            routes.fold(Router::new(), one).route(path, on(MethodFilter::GET, || async {}))
        };
        let mut prefixes = BTreeSet::from(["/clips".to_owned(), "/whep/x".to_owned()]);
        for route in table() {
            let parts: Vec<&str> = route.path.split('/').filter(|p| !p.starts_with('{')).collect();
            prefixes.extend((2..=parts.len()).map(|n| parts[..n].join("/")));
        }
        let (mut taken, mut refused) = (0, 0);
        for prefix in prefixes.iter().filter(|prefix| prefix.len() > 1) {
            match Paths::built_in().add_below(prefix) {
                Ok(()) => {
                    let _ = serve(&below(prefix));
                    taken += 1;
                }
                Err(_) => refused += 1,
            }
        }
        assert!(taken > 10 && refused > 2, "{taken} {refused}");
    }

    #[test]
    fn a_route_beside_the_built_in_ones_is_taken() {
        for path in ["/about", "/{page}", "/api/v2/x", "/{*all}", "/whep/a/b"] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn what_the_library_would_panic_at_is_an_error() {
        for path in
            ["about", "", "/:old", "/*old", "/{", "/{}", "/{a}b", "/a{b}", "/{*a}/b", "/{a}/{a}"]
        {
            assert!(matches!(check(path), Err(RouteError::Malformed(_))), "{path}");
        }
    }

    #[test]
    fn only_what_is_needed_to_sign_in_is_open() {
        let open: BTreeSet<String> = table()
            .into_iter()
            .filter(|r| r.access == Access::Open && r.verb != Verb::Options)
            .map(|r| r.path)
            .collect();
        let expected = ["/healthz", "/login", "/login.css", "/setup"];
        assert_eq!(open, expected.map(str::to_owned).into());
    }
}
