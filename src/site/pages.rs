//! Pages: the owner's own, and those for errors.

use super::SiteError;
use super::name::FileName;

/// A page of the owner's: a path and the template shown there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    path: String,
    template: String,
}

impl Page {
    pub(super) fn new(path: &str, template: &str) -> Result<Self, SiteError> {
        let literal = |c: char| c.is_ascii_graphic() && !"?#%{}*\\\"<>".contains(c);
        // `/` alone is the index; a closing `/` is allowed and means another path.
        let name = path.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        let well_formed = path.chars().all(literal)
            && name.is_some_and(|name| {
                (name.is_empty() && path == "/") || FileName::parse(name).is_ok()
            });
        if !well_formed {
            return Err(SiteError::BadPagePath(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), template: template.to_owned() })
    }

    /// The literal path; begins with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The template's name below `templates/`.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }
}

/// A page that says what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorPage {
    /// `404.html`
    NotFound,
    /// `500.html`
    ServerError,
}

impl ErrorPage {
    /// The template's name below `templates/`.
    #[must_use]
    pub fn template(self) -> &'static str {
        match self {
            Self::NotFound => "404.html",
            Self::ServerError => "500.html",
        }
    }

    /// The page when its template is itself broken; needs nothing.
    pub(super) fn minimal(self) -> &'static str {
        match self {
            // Without a link: where the camera is depends on where this is shown.
            Self::NotFound => {
                "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
                 <title>There is nothing here</title>\n<h1>There is nothing here</h1>\n\
                 <p>The camera has no such page.</p></html>\n"
            }
            Self::ServerError => {
                "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
                 <title>Something went wrong</title>\n<h1>This page could not be shown</h1>\n\
                 <p>The camera\u{2019}s log says why. <a href=\"\">Try again</a></p></html>\n"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_path_is_one_a_browser_can_ask_for() {
        for path in ["/", "/about", "/about/", "/a/b.html", "/a-b_c~d", "/x@y"] {
            assert_eq!(Page::new(path, "about.html").unwrap().path(), path);
        }
        for path in [
            "", "about", "//", "//host", "/a//b", "/../x", "/a/..", "/.git", "/a b", "/a?b",
            "/a#b", "/{id}", "/*", "/a%2fb", "/a\\b", "/é", "/a\n", "/<x>",
        ] {
            let error = Page::new(path, "about.html").unwrap_err();
            assert!(matches!(error, SiteError::BadPagePath(_)), "{path:?}: {error}");
        }
    }
}
