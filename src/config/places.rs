//! Where the values of a configuration stand, for what is found out about them later.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Place, Problem, ProblemKind};

/// Where each value stands that a file or a command line sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// By the key, and by the entry of its list (`0`, `1`, …) or table; empty for all of it.
    known: BTreeMap<(&'static str, Arc<str>), Place>,
}

impl Places {
    /// Where the value of `key` stands.
    #[must_use]
    pub fn of(&self, key: &'static str) -> Place {
        self.of_entry(key, "")
    }

    /// Where the entry of its list or table stands, as far as that is known.
    #[must_use]
    pub fn of_entry(&self, key: &'static str, entry: &str) -> Place {
        let known = |entry: &str| self.known.get(&(key, Arc::from(entry))).cloned();
        known(entry).or_else(|| known("")).unwrap_or(Place::Nowhere { key })
    }

    /// A problem with the value of `key`. The message follows its name: "names no folder".
    #[must_use]
    pub fn problem(&self, key: &'static str, kind: ProblemKind, message: &str) -> Problem {
        self.entry_problem(key, "", kind, message)
    }

    /// The same with an entry of its list or table.
    #[must_use]
    pub fn entry_problem(
        &self,
        key: &'static str,
        entry: &str,
        kind: ProblemKind,
        message: &str,
    ) -> Problem {
        let place = self.of_entry(key, entry);
        let message = match place {
            Place::File { .. } => format!("`{key}` {message}"),
            // These name it themselves.
            Place::Set { .. } | Place::SetFile { .. } | Place::Nowhere { .. } => message.to_owned(),
        };
        Problem { place, kind, message }
    }

    /// Takes note of where a key is set, in place of what was known of it.
    pub(super) fn set(&mut self, key: &'static str, place: Place) {
        self.known.retain(|(other, _), _| *other != key);
        self.known.insert((key, Arc::from("")), place);
    }

    /// Takes in others, over those that are known.
    pub(super) fn take(&mut self, others: Self) {
        for (key, entry) in others.known.keys() {
            if entry.is_empty() {
                self.known.retain(|(known, _), _| known != key);
            }
        }
        self.known.extend(others.known);
    }

    /// Takes note of where an entry of it stands.
    pub(super) fn set_entry(&mut self, key: &'static str, entry: &str, place: Place) {
        self.known.insert((key, Arc::from(entry)), place);
    }
}
