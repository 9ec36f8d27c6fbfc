//! Who may use a route.

use std::fmt;

use super::problem::Problem;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Everybody. Only for what is needed to sign in, and for what gives nothing away.
    Open,
    /// Whoever may watch: the owner, and holders of a token.
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

/// Told to a handler that decides itself about requests without a valid credential: what to answer
/// if nothing else speaks for the client.
#[derive(Debug, Clone)]
pub(super) struct Unauthenticated(pub(super) Problem);
