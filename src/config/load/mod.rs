//! From a file's bytes to a [`Config`] and the problems found on the way.
//!
//! Three rules. A value that cannot be used leaves its key at the default, and of a list the
//! entries that can be used are kept. A file that cannot be read to its end is used up to the
//! line where reading fails. And a mistake never makes sign-in weaker: if one may have hidden who was
//! meant to be let in, or would send a password in the clear, sign-in is locked.

mod cameras;
mod loaded;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use loaded::{Completeness, Loaded};
use toml::de::{DeTable, DeValue};

use super::conflicts::{self, Conflict};
use super::hint::{Hint, hint};
use super::keys::{CAMERAS, Key, ReadOutcome, find_key, guards, header, holds_secrets, is_section};
use super::misplaced::{self, CREDENTIAL_KEYS, Kind, MisplacedCredential};
use super::problem::{Place, Problem, ProblemKind};
use super::shape::{Value, ValueError, quoted};
use super::text::FileText;
use super::{Config, Places};

/// The most problems that are reported. A file with more is not a configuration at all.
const MAX_PROBLEMS: usize = 100;

/// How often parsing is tried, each time without the line at fault and everything below it.
const ATTEMPTS: usize = 4;

/// Ends every message about something that locks sign-in.
pub(super) const LOCKED: &str = "sign-in is locked until this is fixed";

/// What is said instead where a configuration is in force already.
const KEPT: &str = "the configuration in force stays until this is fixed";

/// Ends every message about a value on the command line that cannot be used.
pub(super) const UNCHANGED: &str = "nothing was changed";

impl Loaded {
    /// For a file that is there but could not be read at all: defaults, and sign-in locked,
    /// because nobody knows what it says about that.
    #[must_use]
    pub fn unreadable(defaults: Config, name: &str, why: &std::io::Error) -> Self {
        let text = FileText::decode(&[]);
        let mut reader = Reader::new(defaults, Origin::File { name: name.into(), text: &text });
        let why = match why.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => format!("the file cannot be read ({why})"),
        };
        reader.unreadable(0, &format!("{why}; defaults are used"));
        reader.finish()
    }
}

impl Config {
    /// Reads a configuration file. `name` is what problems call it. Never fails and never panics,
    /// whatever the bytes; see [`Loaded`].
    #[must_use]
    pub fn load(bytes: &[u8], name: &str) -> Loaded {
        Self::load_over(Self::default(), bytes, name)
    }

    /// The same, over other defaults: the values of all keys that the file does not set, or not well.
    #[must_use]
    pub fn load_over(defaults: Self, bytes: &[u8], name: &str) -> Loaded {
        let text = FileText::decode(bytes);
        let mut reader = Reader::new(defaults, Origin::File { name: name.into(), text: &text });
        let table = reader.parse(&text);
        reader.table("", &table);
        reader.check_conflicts();
        reader.finish()
    }
}

/// `unknown key …: did you mean …?`
pub(super) fn unknown(what: &str, hint: &str, guard: bool) -> String {
    let separator = if hint.is_empty() { "" } else { ": " };
    // What to write, unless the hint says it.
    let meant =
        if hint.contains("`tls`") { "to protect".into() } else { format!("for {CREDENTIAL_KEYS}") };
    match guard {
        true => format!("{what}{separator}{hint}; it may have been meant {meant}, so {LOCKED}"),
        false => format!("{what}{separator}{hint}"),
    }
}

/// Where what is read comes from.
pub(super) enum Origin<'t> {
    /// A file.
    File {
        /// What problems call it.
        name: Arc<str>,
        /// What is in it.
        text: &'t FileText,
    },
    /// The command line.
    Set {
        /// The key, as far as it may be shown.
        key: String,
        /// Whether the command line has the value itself, or the file that contains it.
        by: SetBy,
    },
}

/// How the command line sets a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetBy {
    /// `--set KEY=VALUE`
    Value,
    /// `--set-file KEY=FILE`
    File,
}

impl SetBy {
    /// The place of what is set.
    pub(super) fn place(self, key: String) -> Place {
        match self {
            Self::Value => Place::Set { key },
            Self::File => Place::SetFile { key },
        }
    }
}

impl Origin<'_> {
    /// The place of a byte of it.
    fn place(&self, at: usize) -> Place {
        match self {
            Self::File { name, text } => {
                let (line, column) = text.position(at);
                Place::File { name: name.clone(), line, column }
            }
            Self::Set { key, by } => by.place(key.clone()),
        }
    }
}

/// Reads what is set, and collects the problems.
pub(super) struct Reader<'t> {
    origin: Origin<'t>,
    /// The values of keys that cannot be used.
    defaults: Config,
    config: Config,
    /// Problems with the byte they stand at, by which they are sorted at the end.
    problems: Vec<(usize, Problem)>,
    /// Where each key that was found stands: its name, not its value.
    seen: BTreeMap<&'static str, usize>,
    places: Places,
    /// Why sign-in is to be locked. That is done at the end, so that nothing is set after it.
    lock: Option<String>,
    completeness: Completeness,
}

impl<'t> Reader<'t> {
    pub(super) fn new(defaults: Config, origin: Origin<'t>) -> Self {
        Self {
            origin,
            config: defaults.clone(),
            defaults,
            problems: Vec::new(),
            seen: BTreeMap::new(),
            places: Places::default(),
            lock: None,
            completeness: Completeness::Complete,
        }
    }

    /// Parses the text, or as many whole lines from its beginning as are TOML by themselves. What
    /// they say is then what they say in the whole file too: TOML forbids that a later line
    /// changes what an earlier one set.
    fn parse(&mut self, text: &'t FileText) -> DeTable<'t> {
        let mut fault = text.fault.map(|why| (text.text.len(), why.to_owned()));
        let mut end = match fault {
            Some((at, _)) => text.line_start(at),
            None => text.text.len(),
        };
        let mut table = DeTable::new();
        for _ in 0..ATTEMPTS {
            match DeTable::parse(&text.text[..end]) {
                Ok(parsed) => {
                    table = parsed.into_inner();
                    break;
                }
                Err(e) => {
                    let at = e.span().map_or(0, |span| span.start);
                    end = text.line_start(at.min(end.saturating_sub(1)));
                    fault.get_or_insert_with(|| (at, e.message().to_owned()));
                }
            }
        }
        if let Some((at, why)) = fault {
            let from_line = if table.is_empty() { 1 } else { text.position(end).0 };
            self.unreadable(at, &format!("{why}; nothing from line {from_line} on is used"));
        }
        table
    }

    fn unreadable(&mut self, at: usize, what: &str) {
        self.completeness = Completeness::Partial;
        self.report_locking(at, ProblemKind::Unreadable, format!("{what}, and {LOCKED}"));
    }

    /// Reads one table of the file, the section `path` or, when empty, the file itself.
    pub(super) fn table(&mut self, path: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let at = name.span().start;
            let name = name.get_ref().as_ref();
            let full = full_name(path, name);
            if let Some(key) = find_key(&full) {
                self.seen.insert(key.name, at);
                self.key(key, value);
            } else if full == CAMERAS {
                self.cameras(at, value);
            } else if is_section(&full) {
                match value.get_ref() {
                    DeValue::Table(table) => self.table(&full, table),
                    _ => self.not_a_table(&full, at, value),
                }
            } else {
                self.unknown(path, name, at, value);
            }
            if self.has_too_many_problems() {
                return;
            }
        }
    }

    /// Whether there are more problems than are reported.
    fn has_too_many_problems(&self) -> bool {
        self.problems.len() > MAX_PROBLEMS
    }

    pub(super) fn key(&mut self, key: &'static Key, value: &Value<'_>) {
        let on_the_command_line = matches!(self.origin, Origin::Set { .. });
        // All or nothing, even of a list: the command line is not used in part.
        let before = on_the_command_line.then(|| self.config.clone());
        let (outcome, errors) = key.read(value, &mut self.config);
        if !errors.is_empty()
            && let Some(before) = before
        {
            self.config = before;
        }
        self.note_places(key, value);
        self.report_misplaced(misplaced::in_key(key, value));
        for ValueError { at, message } in errors {
            let end = match outcome {
                _ if key.guard => LOCKED.to_owned(),
                _ if on_the_command_line => UNCHANGED.to_owned(),
                ReadOutcome::Stored => "it is left out".to_owned(),
                ReadOutcome::Rejected => {
                    format!("the default is used, {}", key.in_words(&self.defaults))
                }
            };
            let message = match &self.origin {
                // The place names the key.
                Origin::Set { key: given, .. } if given == key.name => format!("{message}; {end}"),
                _ => format!("`{}` {message}; {end}", key.name),
            };
            match key.guard {
                true => self.report_locking(at.start, ProblemKind::Refused, message),
                false => self.report(at.start, ProblemKind::Refused, message),
            }
        }
    }

    /// Takes note of where a key's value stands and, if none of them was left out, its entries.
    fn note_places(&mut self, key: &'static Key, value: &Value<'_>) {
        self.places.set(key.name, self.origin.place(value.span().start));
        let taken = key.value(&self.config);
        match (value.get_ref(), taken) {
            (DeValue::Array(entries), Some(toml::Value::Array(taken)))
                if entries.len() == taken.len() =>
            {
                for (number, entry) in entries.iter().enumerate() {
                    let place = self.origin.place(entry.span().start);
                    self.places.set_entry(key.name, &number.to_string(), place);
                }
            }
            (DeValue::Table(entries), _) => {
                for (name, _) in entries {
                    let place = self.origin.place(name.span().start);
                    self.places.set_entry(key.name, name.get_ref(), place);
                }
            }
            _ => {}
        }
    }

    fn not_a_table(&mut self, section: &str, at: usize, value: &Value<'_>) {
        let mut message = format!("[{section}] expects a table, written `[{section}]` once");
        if section == "camera" && value.get_ref().is_array() {
            message += &format!("; further cameras are written `{}`", header(CAMERAS));
        }
        match guards(section) {
            true => self.report_locking(at, ProblemKind::Refused, format!("{message}; {LOCKED}")),
            false => {
                self.report(at, ProblemKind::Refused, message);
                self.report_misplaced(misplaced::in_unknown(section, value));
            }
        }
    }

    fn unknown(&mut self, section: &str, name: &str, at: usize, value: &Value<'_>) {
        let Hint { words, guard, section: meant } = hint(section, name);
        if misplaced::is_hash(name) {
            return self.report_misplaced(Some(MisplacedCredential { at, kind: Kind::Hash }));
        }
        // A name that is not similar to any may be a value, and secret.
        let shown = match !words.is_empty() && !holds_secrets(section) {
            true => quoted(name),
            false => String::new(),
        };
        let shown = shown.trim_matches('"');
        let stands_in = header(section);
        let what = match (value.get_ref(), section, shown) {
            (DeValue::Table(_), "", "") => "unknown section".to_owned(),
            (DeValue::Table(_), "", _) => format!("unknown section [{shown}]"),
            (_, "", "") => "unknown key outside of any section".to_owned(),
            (_, "", _) => format!("unknown key `{shown}` outside of any section"),
            (.., "") => format!("unknown key in {stands_in}"),
            _ => format!("unknown key `{shown}` in {stands_in}"),
        };
        let guard = guard || section == "auth";
        let message = unknown(&what, &words, guard);
        match guard {
            true => self.report_locking(at, ProblemKind::Refused, message),
            false => {
                self.report(at, ProblemKind::Unknown, message);
                self.report_misplaced(misplaced::in_unknown(meant.unwrap_or(section), value));
            }
        }
    }

    /// Reports a credential that has no effect where it stands.
    fn report_misplaced(&mut self, found: Option<MisplacedCredential>) {
        if let Some(found) = found {
            let message = format!("{}; {LOCKED}", found.words());
            self.report_locking(found.at, ProblemKind::Refused, message);
        }
    }

    /// Reports mistakes that show only when several keys are looked at together.
    fn check_conflicts(&mut self) {
        let both = |a, b| Some(*self.seen.get(a)?.max(self.seen.get(b)?));
        if let Some(at) = both("auth.password", "auth.password_hash") {
            let message =
                format!("`password` and `password_hash` are both given; remove one; {LOCKED}");
            self.report_locking(at, ProblemKind::Refused, message);
        }
        for Conflict { key, kind, message } in conflicts::check(&mut self.config) {
            self.report(self.place_of(key), kind, format!("`{key}` {message}"));
        }
    }

    fn place_of(&self, key: &str) -> usize {
        self.seen.get(key).copied().unwrap_or_default()
    }

    /// Reports a problem that locks sign-in.
    fn report_locking(&mut self, at: usize, kind: ProblemKind, message: String) {
        let problem = self.problem(at, kind, message);
        self.lock.get_or_insert_with(|| problem.to_string());
        self.problems.push((at, problem));
    }

    fn report(&mut self, at: usize, kind: ProblemKind, message: String) {
        let problem = self.problem(at, kind, message);
        self.problems.push((at, problem));
    }

    /// The number of things so far that are not done as asked.
    fn refusals(&self) -> usize {
        self.problems.iter().filter(|(_, problem)| problem.is_refusal()).count()
    }

    fn problem(&self, at: usize, kind: ProblemKind, message: String) -> Problem {
        Problem { place: self.origin.place(at), kind, message }
    }

    pub(super) fn finish(mut self) -> Loaded {
        if self.problems.len() > MAX_PROBLEMS {
            self.problems.truncate(MAX_PROBLEMS);
            let message = format!(
                "more than {MAX_PROBLEMS} problems, so this is no Picket configuration; {LOCKED}"
            );
            self.report_locking(0, ProblemKind::Refused, message);
        }
        self.problems.sort_by_key(|(at, _)| *at);
        if let Some(why) = self.lock {
            self.config.auth.lock(why);
        }
        Loaded {
            config: self.config,
            problems: self.problems.into_iter().map(|(_, problem)| problem).collect(),
            completeness: self.completeness,
            places: self.places,
        }
    }
}

/// The name, with its path, of what stands in the table `path`. A quoted name may contain a dot, and
/// then is not the path it looks like: it is the name of nothing.
fn full_name(path: &str, name: &str) -> String {
    match path {
        _ if name.contains('.') => String::new(),
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}
