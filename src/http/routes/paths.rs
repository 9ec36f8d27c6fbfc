//! The paths that are taken, so that none is given twice and the HTTP library is never asked for
//! one that it panics at.

use std::collections::BTreeSet;

use super::table::table;

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
    Duplicate(String),
    /// Not a path.
    #[error("{0:?} is not a path; expected one like /doors or /doors/{{door}}")]
    Malformed(String),
}

/// All paths, built-in ones first, so that none is given twice.
#[derive(Debug)]
pub struct RoutePaths {
    built_in: Vec<String>,
    added: Vec<String>,
}

impl RoutePaths {
    /// Those of the table.
    #[must_use]
    pub fn built_in() -> Self {
        Self { built_in: table().into_iter().map(|route| route.path).collect(), added: Vec::new() }
    }

    /// Adds a path, in the notation of [`ExtraRoutes::route`](super::ExtraRoutes::route).
    ///
    /// # Errors
    /// When it is no path, or cannot be told from one that is there.
    pub fn add(&mut self, path: &str) -> Result<(), RouteError> {
        if !is_path(path) {
            return Err(RouteError::Malformed(path.to_owned()));
        }
        if let Some(built_in) = self.built_in.iter().find(|b| covers(b, path) || conflicts(b, path))
        {
            return Err(RouteError::Shadows { added: path.to_owned(), built_in: built_in.clone() });
        }
        if self.added.iter().any(|other| conflicts(other, path)) {
            return Err(RouteError::Duplicate(path.to_owned()));
        }
        self.added.push(path.to_owned());
        Ok(())
    }

    /// Adds all that is below a prefix, such as a folder of the owner's.
    ///
    /// # Errors
    /// As [`RoutePaths::add`].
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
fn conflicts(one: &str, other: &str) -> bool {
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

/// Whether the HTTP library takes it; it panics at what it does not take.
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

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::{MethodFilter, on};

    use super::*;

    fn check(path: &str) -> Result<(), RouteError> {
        RoutePaths::built_in().add(path)
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
        let mut paths = RoutePaths::built_in();
        assert_eq!(paths.add("/{page}"), Ok(()));
        assert_eq!(paths.add("/{other}"), Err(RouteError::Duplicate("/{other}".into())));
        assert_eq!(paths.add("/{*all}"), Err(RouteError::Duplicate("/{*all}".into())));
        assert_eq!(paths.add("/{page}/x"), Ok(()));
    }

    /// The library has the last word on what it takes; on what it does not, it panics.
    #[test]
    fn every_folder_that_is_taken_can_be_served_beside_the_built_in_routes() {
        let serve = |path: &str| {
            let routes = table().into_iter().map(|r| (r.path, r.method.filter()));
            let one = |router: Router, (path, method): (String, MethodFilter)| {
                router.route(&path, on(method, || async {}))
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
            match RoutePaths::built_in().add_below(prefix) {
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
}
