//! `--set`: what lines of the file do, on the command line.
//!
//! After the first `=` stands a TOML value or, if it is not one that the key can use, a plain string, so
//! that the shell's quotes are enough: `camera.source=file:clip.mp4`. Before it stands a key, a section,
//! or an entry of a key that is a table: `http.mounts."/clips"=/data/clips`; several of those make one
//! table, as lines of a file do.
//!
//! And `--set-file`: a value in a file of its own, so that it does not stand on the command line, where
//! everybody on the machine can read it.

use std::path::Path;

use toml::de::{DeString, DeTable, DeValue};

use super::hint::{Hint, hint_for_path};
use super::keys::{CAMERAS, Key, find_key, guards, holds_secrets, is_section, keys};
use super::load::{LOCKED, Origin, Reader, SetBy, UNCHANGED, unknown};
use super::misplaced;
use super::secret::REDACTED;
use super::shape::Value;
use super::{Config, Loaded, Places, Problem, ProblemKind, Secret};

impl Config {
    /// Sets one key, or the keys of a section, as `--set` does: `camera.source=file:clip.mp4`.
    ///
    /// # Errors
    /// When there is no such key or the value cannot be used. The key is then as before, except
    /// that a mistake in one that guards sign-in locks it, as in the file.
    pub fn apply_set(&mut self, assignment: &str) -> Result<(), Vec<Problem>> {
        let problems = self.apply_sets(&[assignment], &mut Places::default());
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Sets several, the later ones over the earlier ones. Returns what is wrong with them, and adds
    /// where they stand to `places`.
    pub fn apply_sets<S: AsRef<str>>(&mut self, sets: &[S], places: &mut Places) -> Vec<Problem> {
        let sets = sets.iter().map(|set| Assignment::read(set.as_ref()));
        self.apply_all(sets, places)
    }

    /// Sets values that stand in files of their own, as `--set-file` does: each key with what was read
    /// from its file, or why that cannot be used. A key that takes a string takes the text as it
    /// is; any other reads it as TOML. Problems and places are as with [`Config::apply_sets`].
    pub fn apply_texts<K: AsRef<str>>(
        &mut self,
        texts: &[(K, Result<Secret, String>)],
        places: &mut Places,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut several = Vec::new();
        for (key, text) in texts {
            let text = text.as_ref().map(Secret::expose);
            let set = Assignment::new(key.as_ref(), text.unwrap_or_default(), SetBy::File);
            match text {
                Ok(_) => several.push(set),
                Err(why) => problems.push(set.without_value(self, why)),
            }
        }
        problems.extend(self.apply_all(several, places));
        problems
    }

    fn apply_all<'s>(
        &mut self,
        sets: impl IntoIterator<Item = Assignment<'s>>,
        places: &mut Places,
    ) -> Vec<Problem> {
        let mut several: Vec<Assignment<'_>> = Vec::new();
        for set in sets {
            // An entry joins the others of its table, unless the whole table was set in between.
            let last = several.iter_mut().rfind(|other| other.is_of_the_same_key(&set));
            match last {
                Some(other) if set.is_entry && other.is_entry => other.join(set),
                _ => several.push(set),
            }
        }
        several.iter().flat_map(|set| set.apply(self, places)).collect()
    }

    /// A warning for each of these `--set`s that contains a secret.
    #[must_use]
    pub fn secrets_in<S: AsRef<str>>(sets: &[S]) -> Vec<Problem> {
        let sets = sets.iter().map(|set| (set.as_ref(), Assignment::read(set.as_ref())));
        let secret = sets.filter(|(written, set)| set.has_secret(written));
        secret.map(|(_, set)| set.problem(ProblemKind::Warning, EXPOSED.to_owned())).collect()
    }
}

/// Splits `KEY=FILE` of a `--set-file`.
#[must_use]
pub fn split_set_file(assignment: &str) -> (&str, &Path) {
    let (key, file) = split(assignment);
    (key, Path::new(file))
}

/// The warning about a secret on the command line.
const EXPOSED: &str = "everybody on this machine can read it on the command line, in \
                       /proc/PID/cmdline; write it into a file that only Picket can read, and name \
                       that with --set-file";

/// What is set.
#[derive(Clone, Copy)]
enum Target {
    Key(&'static Key),
    Section,
    /// All cameras beside `main`.
    Cameras,
    Unknown,
}

/// One `--set`, or several that make one table.
struct Assignment<'s> {
    /// What messages show of what stands before the `=`.
    name: String,
    /// The key or section that it names, without quotes.
    path: String,
    target: Target,
    by: SetBy,
    /// Whether it is an entry of the key's table.
    is_entry: bool,
    /// The value as TOML, if it is any.
    value: Result<Value<'s>, String>,
    /// The value as a plain string.
    string: Value<'s>,
    /// Whether it looks like a list or a table.
    is_compound: bool,
}

impl<'s> Assignment<'s> {
    fn read(assignment: &'s str) -> Self {
        let (name, written) = split(assignment);
        Self::new(name, written, SetBy::Value)
    }

    fn new(name: &str, written: &'s str, by: SetBy) -> Self {
        let parts = parts(name);
        let mut set = Self {
            name: name.escape_debug().take(80).collect(),
            path: parts.join("."),
            target: Target::Unknown,
            by,
            is_entry: false,
            value: DeValue::parse(written.trim()).map_err(|error| error.message().to_owned()),
            string: Value::new(0..0, DeValue::String(written.into())),
            is_compound: written.trim_start().starts_with(['[', '{']),
        };
        // A quoted name may contain a dot, and then is not the path it looks like.
        let whole = parts.iter().position(|part| part.contains('.')).unwrap_or(parts.len());
        let key = (1..=whole).rev().find_map(|n| Some((n, find_key(&parts[..n].join("."))?)));
        if let Some((n, key)) = key {
            set.target = Target::Key(key);
            set.is_entry = n < parts.len();
            set.path = key.name.to_owned();
            if !set.is_entry || key.is_redacted() || !parts[n].starts_with('/') {
                set.name = key.name.to_owned();
            }
            if set.is_entry {
                let entry = set.value.unwrap_or_else(|_| set.string.clone());
                set.value = Ok(table(&parts[n..], entry));
                set.string = table(&parts[n..], set.string);
            }
        } else if whole == parts.len() && is_section(&set.path) {
            set.target = if set.path == CAMERAS { Target::Cameras } else { Target::Section };
            set.name.clone_from(&set.path);
        } else if hint_for_path(&set.path).words.is_empty()
            || (1..=parts.len()).any(|n| holds_secrets(&parts[..n].join(".")))
        {
            // A name that is not similar to any may be a value, and secret.
            let mut sections = (1..parts.len()).rev().map(|n| parts[..n].join("."));
            let known = sections.find(|section| is_section(section));
            set.name = match known {
                Some(section) => format!("{section}.…"),
                None if name.is_empty() => String::new(),
                None => "…".to_owned(),
            };
        }
        set
    }

    /// Whether its value, which is a part of what is `written`, is or holds a secret.
    fn has_secret(&self, written: &str) -> bool {
        let concerned = |key: &Key| match self.target {
            Target::Key(own) => own.name == key.name,
            Target::Section => key.split().0 == self.path,
            Target::Cameras | Target::Unknown => false,
        };
        let mut config = Config::default();
        let _ = self.apply(&mut config, &mut Places::default());
        if let Target::Cameras = self.target {
            let sources = config.cameras.iter().map(|camera| camera.camera.source.to_string());
            return written.contains(['@', '?'])
                || sources.into_iter().any(|s| s.contains(REDACTED));
        }
        let mut concerned = keys().iter().filter(|key| concerned(key));
        let own_password = |key: &Key| key.split().0 == "auth" || key.name == "wifi.password";
        concerned.any(|key| match self.target {
            Target::Key(_) if own_password(key) => true,
            _ => {
                let set = key.value(&config).filter(|_| !key.same(&config, &Config::default()));
                let hidden = set.is_some_and(|value| value.to_string().contains(REDACTED));
                // URLs contain secrets before an `@` and after a `?`.
                hidden || (key.is_sensitive() && written.contains(['@', '?']))
            }
        })
    }

    /// Reports why there is no value to be set.
    fn without_value(&self, config: &mut Config, why: &str) -> Problem {
        let guard = match self.target {
            Target::Key(key) => key.guard,
            Target::Section => guards(&self.path),
            Target::Cameras => false,
            Target::Unknown => hint_for_path(&self.path).guard,
        };
        let end = if guard { LOCKED } else { UNCHANGED };
        self.locking_problem(config, ProblemKind::Refused, format!("{why}; {end}"), guard)
    }

    fn is_of_the_same_key(&self, other: &Self) -> bool {
        matches!((self.target, other.target), (Target::Key(a), Target::Key(b)) if a.name == b.name)
    }

    /// Adds an entry of the same table.
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
            (Target::Cameras, _) => match &self.value {
                Ok(value) => {
                    let mut reader = Reader::new(config.clone(), self.origin());
                    reader.cameras(0, value);
                    reader.finish()
                }
                Err(why) => {
                    let message = format!("expects a list of tables: {why}; {UNCHANGED}");
                    return vec![self.problem(ProblemKind::Refused, message)];
                }
            },
            (Target::Section, None) => {
                let why = match &self.value {
                    Err(why) if self.is_compound => format!(": {why}"),
                    _ => ", such as `{ key = \"value\" }`".to_owned(),
                };
                let guard = guards(&self.path);
                let end = if guard { LOCKED } else { UNCHANGED };
                let message = format!("is a section and expects a table{why}; {end}");
                return vec![self.locking_problem(config, ProblemKind::Refused, message, guard)];
            }
            (Target::Unknown, _) => {
                let Hint { words, guard, .. } = hint_for_path(&self.path);
                let root = self.path.split('.').next().unwrap_or_default();
                let value = self.value.as_ref().unwrap_or(&self.string);
                let misplaced = misplaced::in_unknown(root, value);
                let guard = guard || misplaced.is_some() || misplaced::is_hash(&self.path);
                let message = unknown("there is no such key", &words, guard);
                let kind = if guard { ProblemKind::Refused } else { ProblemKind::Unknown };
                return vec![self.locking_problem(config, kind, message, guard)];
            }
        };
        *config = loaded.config;
        places.take(loaded.places);
        loaded.problems
    }

    /// Reads a key from the TOML value, otherwise from the string; messages are about the former.
    fn read_key(&self, config: &Config, key: &'static Key) -> Loaded {
        let read = |value: &Value<'_>| {
            let mut reader = Reader::new(config.clone(), self.origin());
            reader.key(key, value);
            reader.finish()
        };
        let string = || read(&self.string);
        match &self.value {
            _ if self.by == SetBy::File => {
                let plain = string();
                if plain.problems.is_empty() {
                    return plain;
                }
                let other = self.value.as_ref().ok().map(read);
                let taken = |loaded: &Loaded| loaded.problems.is_empty() || self.is_compound;
                other.filter(taken).unwrap_or(plain)
            }
            Ok(value) => {
                let loaded = read(value);
                if loaded.problems.is_empty() {
                    return loaded;
                }
                Some(string()).filter(|loaded| loaded.problems.is_empty()).unwrap_or(loaded)
            }
            Err(why) => {
                let mut loaded = string();
                // For a list or a table, what is wrong with its TOML is the better message.
                if let ([.., problem], true) = (loaded.problems.as_mut_slice(), self.is_compound) {
                    let end = if key.guard { LOCKED } else { UNCHANGED };
                    problem.message = format!("expects {}: {why}; {end}", key.expects());
                }
                loaded
            }
        }
    }

    fn origin(&self) -> Origin<'static> {
        Origin::Set { key: self.name.clone(), by: self.by }
    }

    fn problem(&self, kind: ProblemKind, message: String) -> Problem {
        Problem { place: self.by.place(self.name.clone()), kind, message }
    }

    /// A problem, which locks sign-in if the value may have been meant to guard it.
    fn locking_problem(
        &self,
        config: &mut Config,
        kind: ProblemKind,
        message: String,
        guard: bool,
    ) -> Problem {
        let problem = self.problem(kind, message);
        if guard {
            config.auth.lock(problem.to_string());
        }
        problem
    }
}

/// The key and the value, without the spaces around them. A quoted part of the key may contain a `=`.
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
    // A quote that is never closed quotes nothing.
    match at.or_else(|| assignment.find('=')) {
        Some(at) => (assignment[..at].trim(), assignment[at + 1..].trim()),
        None => (assignment.trim(), ""),
    }
}

/// The parts of a dotted key, without quotes. An entry that would need quotes in TOML is accepted without
/// them: the shell has removed them.
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

/// Puts the entries of one table into another one; anything but a table replaces the other one.
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
