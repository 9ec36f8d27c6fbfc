//! The result of reading a configuration file.

use super::{KEPT, LOCKED};
use crate::config::{Config, Places, Problem};

/// The result of reading a configuration file.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What to run with: complete, whatever was wrong with the file.
    pub config: Config,
    /// What was wrong, in the order of the file.
    pub problems: Vec<Problem>,
    /// How far the file could be read.
    pub completeness: Completeness,
    /// Where the values that it sets stand.
    pub places: Places,
}

/// How far a file could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// To its end.
    Complete,
    /// Only up to a place that is not text, or not TOML.
    Partial,
}

impl Loaded {
    /// Whether something the owner asked for is not done as asked.
    #[must_use]
    pub fn any_refused(&self) -> bool {
        self.problems.iter().any(Problem::is_refusal)
    }

    /// With the last good configuration if this file could not be read to its end; the problems stay,
    /// and say that that one does. A file that was read to its end is used, whatever is wrong in it.
    #[must_use]
    pub fn or_last_good(self, last_good: Option<Config>) -> Self {
        match (self.completeness, last_good) {
            (Completeness::Partial, Some(config)) => {
                let mut problems = self.problems;
                for problem in &mut problems {
                    if let Some(what) = problem.message.strip_suffix(LOCKED) {
                        problem.message = format!("{what}{KEPT}");
                    }
                }
                Self { config, problems, ..self }
            }
            _ => self,
        }
    }
}
