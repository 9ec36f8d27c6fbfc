//! What is wrong with a configuration, in words for its owner.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// One thing that is wrong, and where. Prints as `FILE:LINE:COL: message`.
///
/// The message never holds a secret, so it may go to the log, to the page and onto the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// What kind of mistake it is.
    pub kind: ProblemKind,
    /// What is wrong, what was expected, and what Picket does instead.
    pub message: String,
}

/// Where a problem stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// The file's name, as it was given.
        name: Arc<str>,
        /// Line, counted from 1.
        line: usize,
        /// Character of that line, counted from 1.
        column: usize,
    },
    /// On the command line, in `--set` of this key.
    Set {
        /// The key, as it was given; if it does not exist, without the parts that are not similar to any.
        key: String,
    },
    /// In the file that the command line names in `--set-file` of this key.
    SetFile {
        /// The key, as in [`Place::Set`].
        key: String,
    },
    /// Nowhere that could be shown: the value is the default, or a program set it.
    Nowhere {
        /// The key.
        key: Cow<'static, str>,
    },
}

/// The kinds of mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// From here on the file cannot be read.
    Unreadable,
    /// A value cannot be used; the default, or what is left of a list, is used instead.
    Refused,
    /// There is no such key or section; it has no effect.
    Unknown,
    /// Everything is used as written, but that is probably not what was meant.
    Warning,
}

impl Place {
    /// Line and column in the file, by which places are put in order; `None` elsewhere.
    #[must_use]
    pub const fn line(&self) -> Option<(usize, usize)> {
        match self {
            Self::File { line, column, .. } => Some((*line, *column)),
            Self::Set { .. } | Self::SetFile { .. } | Self::Nowhere { .. } => None,
        }
    }
}

impl Problem {
    /// Whether something the owner asked for is not done as asked: `picket check` then fails.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self.kind, ProblemKind::Unreadable | ProblemKind::Refused)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line, column } => write!(f, "{name}:{line}:{column}"),
            Self::Set { key } => write!(f, "--set {key}"),
            Self::SetFile { key } => write!(f, "--set-file {key}"),
            Self::Nowhere { key } => f.write_str(key),
        }
    }
}
