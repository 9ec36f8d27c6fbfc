//! `--set`: the lines of a file that stand on the command line.
//!
//! What stands behind the first `=` is a TOML value or, where it is none that the key can use, a
//! plain string, so that a shell need not be told of quotes: `camera.source=file:clip.mp4`. What
//! stands before it is a key, a section, or an entry of a key that is a table:
//! `http.mounts."/clips"=/data/clips`; several of those make one table, as lines of a file do.

use toml::de::{DeString, DeTable, DeValue};

use super::hint::{Hint, hint_for_path};
use super::keys::{Key, find_key, guards, is_section};
use super::load::{LOCKED, Origin, Reader, UNCHANGED, unknown};
use super::shape::Value;
use super::{Config, Loaded, Place, Places, Problem, ProblemKind};

impl Config {
    /// Sets one key, or the keys of a section, as `--set` does: `camera.source=file:clip.mp4`.
    ///
    /// # Errors
    /// When there is no such key or the value cannot be used. The key is then as before, except
    /// that a mistake in one that guards access locks sign-in, as in the file.
    pub fn apply_set(&mut self, assignment: &str) -> Result<(), Vec<Problem>> {
        let problems = self.apply_sets(&[assignment], &mut Places::default());
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Sets several, the later ones over the earlier ones. What is wrong with them comes back, and
    /// where they stand goes into `places`.
    pub fn apply_sets<S: AsRef<str>>(&mut self, sets: &[S], places: &mut Places) -> Vec<Problem> {
        let mut several: Vec<Assignment<'_>> = Vec::new();
        for set in sets {
            let set = Assignment::read(set.as_ref());
            // An entry joins the others of its table, unless all of it was set in between.
            let last = several.iter_mut().rfind(|other| other.is_of_the_same_key(&set));
            match last {
                Some(other) if set.is_entry && other.is_entry => other.join(set),
                _ => several.push(set),
            }
        }
        several.iter().flat_map(|set| set.apply(self, places)).collect()
    }
}

/// What is set.
#[derive(Clone, Copy)]
enum Target {
    Key(&'static Key),
    Section,
    Unknown,
}

/// One `--set`, or several that make one table.
struct Assignment<'s> {
    /// What stands before the `=`.
    name: String,
    /// The key or section that it names, without quotes.
    path: String,
    target: Target,
    /// Whether it is an entry of the key's table.
    is_entry: bool,
    /// As TOML, if it is any.
    value: Result<Value<'s>, String>,
    /// As a plain string.
    string: Value<'s>,
    /// Whether it looks like a list or a table.
    is_compound: bool,
}

impl<'s> Assignment<'s> {
    fn read(assignment: &'s str) -> Self {
        let (name, written) = split(assignment);
        let parts = parts(name);
        let mut set = Self {
            name: name.escape_debug().take(80).collect(),
            path: parts.join("."),
            target: Target::Unknown,
            is_entry: false,
            value: DeValue::parse(written).map_err(|error| error.message().to_owned()),
            string: Value::new(0..0, DeValue::String(written.into())),
            is_compound: written.starts_with(['[', '{']),
        };
        // A quoted name may hold a dot, and then is not the path it looks like.
        let whole = parts.iter().position(|part| part.contains('.')).unwrap_or(parts.len());
        let key = (1..=whole).rev().find_map(|n| Some((n, find_key(&parts[..n].join("."))?)));
        if let Some((n, key)) = key {
            set.target = Target::Key(key);
            set.is_entry = n < parts.len();
            set.path = key.name.to_owned();
            if set.is_entry {
                let entry = set.value.unwrap_or_else(|_| set.string.clone());
                set.value = Ok(table(&parts[n..], entry));
                set.string = table(&parts[n..], set.string);
            }
        } else if whole == parts.len() && is_section(&set.path) {
            set.target = Target::Section;
        }
        set
    }

    fn is_of_the_same_key(&self, other: &Self) -> bool {
        matches!((self.target, other.target), (Target::Key(a), Target::Key(b)) if a.name == b.name)
    }

    /// Takes in an entry of the same table.
    fn join(&mut self, entry: Self) {
        if let (Ok(value), Ok(other)) = (&mut self.value, entry.value) {
            merge(value, other);
        }
        merge(&mut self.string, entry.string);
    }

    fn apply(&self, config: &mut Config, places: &mut Places) -> Vec<Problem> {
        let table = self.value.as_ref().ok().and_then(|value| value.get_ref().as_table());
        let loaded = match (self.target, table) {
            (Target::Key(key), _) => self.read_key(config, key),
            (Target::Section, Some(table)) => {
                let mut reader = Reader::new(config.clone(), self.origin());
                reader.table(&self.path, table);
                reader.finish()
            }
            (Target::Section, None) => {
                let why = match &self.value {
                    Err(why) if self.is_compound => format!(": {why}"),
                    _ => ", such as `{ key = \"value\" }`".to_owned(),
                };
                let guard = guards(&self.path);
                let end = if guard { LOCKED } else { UNCHANGED };
                let message = format!("is a section and expects a table{why}; {end}");
                return vec![self.problem(config, ProblemKind::Refused, message, guard)];
            }
            (Target::Unknown, _) => {
                let Hint { words, guard } = hint_for_path(&self.path);
                let message = unknown("there is no such key", &words, guard);
                let kind = if guard { ProblemKind::Refused } else { ProblemKind::Unknown };
                return vec![self.problem(config, kind, message, guard)];
            }
        };
        *config = loaded.config;
        places.take(loaded.places);
        loaded.problems
    }

    /// Reads a key from TOML, else from the string; what is wrong is told of the TOML.
    fn read_key(&self, config: &Config, key: &'static Key) -> Loaded {
        let read = |value: &Value<'_>| {
            let mut reader = Reader::new(config.clone(), self.origin());
            reader.key(key, value);
            reader.finish()
        };
        let string = || read(&self.string);
        match &self.value {
            Ok(value) => {
                let loaded = read(value);
                if loaded.problems.is_empty() {
                    return loaded;
                }
                Some(string()).filter(|loaded| loaded.problems.is_empty()).unwrap_or(loaded)
            }
            Err(why) => {
                let mut loaded = string();
                // Who writes a list or a table wants to know what is wrong with it.
                if let ([problem, ..], true) = (loaded.problems.as_mut_slice(), self.is_compound) {
                    let end = if key.guard { LOCKED } else { UNCHANGED };
                    problem.message = format!("expects {}: {why}; {end}", key.expects());
                }
                loaded
            }
        }
    }

    fn origin(&self) -> Origin<'static> {
        Origin::Set { key: self.name.clone() }
    }

    /// A problem, which locks sign-in where it may have been meant to guard it.
    fn problem(
        &self,
        config: &mut Config,
        kind: ProblemKind,
        message: String,
        guard: bool,
    ) -> Problem {
        let problem = Problem { place: Place::Set { key: self.name.clone() }, kind, message };
        if guard {
            config.auth.lock(problem.to_string());
        }
        problem
    }
}

/// The key and the value, without the spaces around them. A quoted part of the key may hold a `=`.
fn split(assignment: &str) -> (&str, &str) {
    let mut quote = None;
    let at = assignment.find(|c: char| {
        match (quote, c) {
            (None, '=') => return true,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        false
    });
    // A quote that stays open quotes nothing.
    match at.or_else(|| assignment.find('=')) {
        Some(at) => (assignment[..at].trim(), assignment[at + 1..].trim()),
        None => (assignment.trim(), ""),
    }
}

/// The parts of a dotted key, without quotes. An entry that TOML would want quoted is taken without:
/// the shell has eaten the quotes.
fn parts(name: &str) -> Vec<String> {
    let line = format!("{name} = 0");
    if let Ok(parsed) = DeTable::parse(&line) {
        let mut parts = Vec::new();
        let mut table = Some(parsed.get_ref());
        while let Some((name, value)) = table.and_then(|table| table.iter().next()) {
            parts.push(name.get_ref().to_string());
            table = value.get_ref().as_table();
        }
        return parts;
    }
    let mut dots = name.match_indices('.');
    let entry = dots.find_map(|(at, _)| Some((find_key(&name[..at])?, &name[at + 1..])));
    match entry {
        Some((key, entry)) if !entry.is_empty() => {
            key.name.split('.').chain([entry]).map(str::to_owned).collect()
        }
        _ => name.split('.').map(str::to_owned).collect(),
    }
}

/// A table that has `value` at the end of a path.
fn table<'s>(path: &[String], value: Value<'s>) -> Value<'s> {
    path.iter().rev().fold(value, |value, part| {
        let mut table = DeTable::new();
        table.insert(toml::Spanned::new(0..0, DeString::from(part.clone())), value);
        Value::new(0..0, DeValue::Table(table))
    })
}

/// Puts the entries of one table into another one; what is no table takes the other's place.
fn merge<'s>(into: &mut Value<'s>, from: Value<'s>) {
    match (into.get_mut(), from.into_inner()) {
        (DeValue::Table(into), DeValue::Table(from)) => {
            for (name, value) in from {
                match into.get_mut(name.get_ref().as_ref()) {
                    Some(there) => merge(there, value),
                    None => drop(into.insert(name, value)),
                }
            }
        }
        (into, from) => *into = from,
    }
}
