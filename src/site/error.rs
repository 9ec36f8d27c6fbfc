//! What can go wrong in this room. Each error tells all of it in its own words, the reason
//! included; none has a source that would tell it once more.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why the site cannot be set up as the settings ask.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Something else has the name of the data location.
    #[error(
        "the data location {} is not a directory; name a directory, or remove the setting to use \
         the built-in pages", .0.display()
    )]
    NotADirectory(PathBuf),
    /// The data location does not exist and cannot be made.
    #[error(
        "the data location {} does not exist and cannot be created ({why}); create it, or \
         remove the setting to use the built-in pages", location.display()
    )]
    CannotCreate {
        /// The data location.
        location: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// Nothing can be written into the data location.
    #[error(
        "the data location {} cannot be written ({why}); allow picket to write there, name \
         another directory, or remove the setting to use the built-in pages", location.display()
    )]
    NotWritable {
        /// The data location.
        location: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// A folder that the data location must have cannot be made.
    #[error(
        "{} must be a directory ({why}); move what has that name", folder.display()
    )]
    BadLayout {
        /// The folder in question.
        folder: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// A mount's prefix is not a plain path of its own.
    #[error(
        "the mount path {0:?} is not usable; give a path such as \"/media\" of letters, digits, \
         '-', '_', '.' and '~' that is not below /static"
    )]
    BadPrefix(String),
    /// A mount's folder cannot be opened.
    #[error("the mount {prefix} needs the directory {} ({why}); create it", dir.display())]
    BadMount {
        /// The mount's prefix.
        prefix: String,
        /// The folder to be served.
        dir: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// A page's path is not one that a browser can ask for.
    #[error(
        "the page path {0:?} is not usable; give a path such as \"/about\" that begins with '/' \
         and has no spaces, '?', '#', '%', braces or '..'"
    )]
    BadPagePath(String),
    /// A page's template is missing or broken.
    #[error("the page {path} cannot be shown: {fault}")]
    BadPage {
        /// The page's path.
        path: String,
        /// What is wrong with its template.
        fault: TemplateError,
    },
    /// Two pages or mounts have the same path.
    #[error("the path {0} is given twice; remove one of them")]
    Duplicate(String),
    /// A route's name is taken already.
    #[error("the route name {0:?} is taken; give this one another name")]
    DuplicateRoute(String),
}

/// What kind of fault a template has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateFault {
    /// There is no template of that name.
    Missing,
    /// It is not a well-formed template.
    Syntax,
    /// It would never end, or take far too long.
    Endless,
    /// It, or what it renders to, is larger than allowed.
    TooLarge,
    /// It went wrong while it was rendered.
    Failed,
}

/// Why a template could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The kind of fault.
    pub fault: TemplateFault,
    /// The template at fault, which may be one that the asked-for template extends or includes.
    pub template: String,
    /// The line at fault, counted from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl std::error::Error for TemplateError {}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "templates/{}", self.template)?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl TemplateError {
    pub(super) fn missing(template: &str) -> Self {
        Self {
            fault: TemplateFault::Missing,
            template: template.to_owned(),
            line: None,
            message: "there is no such template".to_owned(),
        }
    }
}
