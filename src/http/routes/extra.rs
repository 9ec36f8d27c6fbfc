//! Routes and middleware that a program adds to the built-in ones.

use axum::Router;
use axum::routing::MethodRouter;

use crate::http::access::Access;

/// A library user's routes and mounted applications, and who may use them.
///
/// ```
/// use picket::http::axum::routing::get;
/// use picket::http::{Access, ExtraRoutes};
///
/// let routes = ExtraRoutes::new(Access::Viewer).route("/hello", get(|| async { "hello" }));
/// ```
pub struct ExtraRoutes {
    pub(super) access: Access,
    pub(super) added: Vec<(String, ExtraRoute)>,
}

pub(super) enum ExtraRoute {
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
        self.added.push((path.to_owned(), ExtraRoute::Route(Box::new(handler))));
        self
    }

    /// Serves everything below `prefix`.
    #[must_use]
    pub fn mount(mut self, prefix: &str, application: Router) -> Self {
        let prefix = prefix.trim_end_matches('/').to_owned();
        self.added.push((prefix, ExtraRoute::Mount(application)));
        self
    }
}

/// A library user's middleware: `|router| router.layer(mine)`.
pub type Middleware = Box<dyn FnOnce(Router) -> Router + Send>;
