//! Where pages and files come from.

use serde_json::Value;

use crate::site::{ErrorPage, Site, StaticFile};

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
