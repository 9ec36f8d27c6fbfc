//! Values that must never be shown.

use std::fmt;

use serde::{Serialize, Serializer};

/// What stands wherever a secret would be printed.
pub(super) const REDACTED: &str = "(secret)";

/// A password, token or key. Printing it, in any way, shows only that there is one; whoever needs
/// the text itself calls [`Secret::expose`], so that every such place can be found by name.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `candidate` is this secret. Takes as long for a nearly right candidate as for a
    /// wholly wrong one, so that the time of an answer does not tell how much of it was right.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        let (mine, theirs) = (self.0.as_bytes(), candidate.as_bytes());
        let difference = mine.iter().zip(theirs).fold(0, |acc, (a, b)| acc | (a ^ b));
        mine.len() == theirs.len() && std::hint::black_box(difference) == 0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2hunter2");
        let json = serde_json::to_string(&secret).unwrap();
        for shown in [format!("{secret}"), format!("{secret:?}"), json] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn only_the_very_same_text_matches() {
        let secret = Secret::new("hunter2hunter2");
        assert!(secret.matches("hunter2hunter2"));
        for other in ["", "hunter2hunter", "hunter2hunter3", "hunter2hunter22"] {
            assert!(!secret.matches(other), "{other}");
        }
    }
}
