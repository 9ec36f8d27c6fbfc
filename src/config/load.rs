//! From a file's bytes to a [`Config`] and the problems met on the way.
//!
//! Three rules. A value that cannot be used leaves its key at the default, and of a list the
//! entries that can be used are kept. A file that cannot be read to its end counts up to the line
//! where reading fails. And a mistake never makes sign-in weaker: where one may have hidden who
//! was meant to be let in, or would send a password in the clear, sign-in is locked.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::hint::{Hint, hint};
use super::keys::{Key, Taken, find_key, guards, holds_secrets, is_section};
use super::problem::{Place, Problem, ProblemKind};
use super::shape::{Refusal, Value, quoted};
use super::stray::{self, PROTECTS, Stray, What};
use super::text::Text;
use super::together::{self, Clash};
use super::{Config, Places};

/// Most problems that are told. A file with more is no configuration at all.
const MOST_PROBLEMS: usize = 100;

/// How often reading is tried again with the line at fault, and all below it, cut off.
const ATTEMPTS: usize = 4;

/// Said after whatever locks sign-in.
pub(super) const LOCKED: &str = "sign-in is locked until this is mended";

/// Said of what the command line sets and cannot be used.
pub(super) const UNCHANGED: &str = "nothing was changed";

/// What became of a configuration file.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What to run with: complete, whatever was wrong with the file.
    pub config: Config,
    /// What was wrong, in the order of the file.
    pub problems: Vec<Problem>,
    /// How far the file could be read.
    pub extent: Extent,
    /// Where what it sets stands.
    pub places: Places,
}

/// How far a file could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// To its end.
    Whole,
    /// Up to a place that is no text, or no TOML.
    Cut,
}

impl Loaded {
    /// For a file that is there but could not be read at all: defaults, and sign-in locked,
    /// because nobody knows what it says about that.
    #[must_use]
    pub fn unreadable(defaults: Config, name: &str, why: &std::io::Error) -> Self {
        let text = Text::decode(&[]);
        let mut reader = Reader::new(defaults, Origin::File { name: name.into(), text: &text });
        reader.unreadable(0, 1, &format!("the file cannot be read ({why})"));
        reader.finish()
    }

    /// Whether something the owner asked for is not done as asked.
    #[must_use]
    pub fn any_refused(&self) -> bool {
        self.problems.iter().any(Problem::is_refusal)
    }

    /// Runs on with the last good configuration when this file could not be read to its end; the
    /// problems stay. A file that was read to its end counts, whatever is wrong in it.
    #[must_use]
    pub fn or_last_good(self, last_good: Option<Config>) -> Self {
        match (self.extent, last_good) {
            (Extent::Cut, Some(config)) => Self { config, ..self },
            _ => self,
        }
    }
}

impl Config {
    /// Reads a configuration file. `name` is what problems call it. Never fails and never panics,
    /// whatever the bytes; see [`Loaded`].
    #[must_use]
    pub fn load(bytes: &[u8], name: &str) -> Loaded {
        Self::load_over(Self::default(), bytes, name)
    }

    /// The same, over other defaults: what holds for each key that the file does not set well.
    #[must_use]
    pub fn load_over(defaults: Self, bytes: &[u8], name: &str) -> Loaded {
        let text = Text::decode(bytes);
        let mut reader = Reader::new(defaults, Origin::File { name: name.into(), text: &text });
        let table = reader.parse(&text);
        reader.table("", &table);
        reader.check_together();
        reader.finish()
    }
}

/// `unknown key …: did you mean …?`
pub(super) fn unknown(what: &str, hint: &str, guard: bool) -> String {
    let separator = if hint.is_empty() { "" } else { ": " };
    // What to write, unless the hint says it.
    let meant =
        if hint.contains("`tls`") { "to protect".into() } else { format!("for {PROTECTS}") };
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
        text: &'t Text,
    },
    /// The command line.
    Set {
        /// The key, as it may be told.
        key: String,
        /// Whether the value itself, or the file that holds it, stands there.
        by: By,
    },
}

/// How the command line sets a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// `--set KEY=VALUE`
    Value,
    /// `--set-file KEY=FILE`
    File,
}

impl By {
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

/// Walks through what is set and gathers what it finds.
pub(super) struct Reader<'t> {
    origin: Origin<'t>,
    /// What holds for a key that cannot be used.
    defaults: Config,
    config: Config,
    /// Problems with the byte they stand at, by which they are sorted in the end.
    problems: Vec<(usize, Problem)>,
    /// Where each key that was met stands: its name, not its value.
    met: BTreeMap<&'static str, usize>,
    places: Places,
    /// Why sign-in is to be locked. Done in the end, so that nothing is set after it.
    lock: Option<String>,
    extent: Extent,
}

impl<'t> Reader<'t> {
    pub(super) fn new(defaults: Config, origin: Origin<'t>) -> Self {
        Self {
            origin,
            config: defaults.clone(),
            defaults,
            problems: Vec::new(),
            met: BTreeMap::new(),
            places: Places::default(),
            lock: None,
            extent: Extent::Whole,
        }
    }

    /// Parses the text, or as many whole lines from its beginning as are TOML by themselves. What
    /// they say is then what they say in the whole file too: TOML forbids that a later line
    /// changes what an earlier one set.
    fn parse(&mut self, text: &'t Text) -> DeTable<'t> {
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
            self.unreadable(at, from_line, &why);
        }
        table
    }

    fn unreadable(&mut self, at: usize, from_line: usize, why: &str) {
        self.extent = Extent::Cut;
        let message = format!("{why}; nothing from line {from_line} on is used, and {LOCKED}");
        self.guarded(at, ProblemKind::Unreadable, message);
    }

    /// Reads one table of the file, the section `path` or, when empty, the file itself.
    pub(super) fn table(&mut self, path: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let at = name.span().start;
            let name = name.get_ref().as_ref();
            // A quoted name may hold a dot, and then is not the path it looks like.
            let full = match path {
                _ if name.contains('.') => String::new(),
                "" => name.to_owned(),
                _ => format!("{path}.{name}"),
            };
            if let Some(key) = find_key(&full) {
                self.met.insert(key.name, at);
                self.key(key, value);
            } else if is_section(&full) {
                match value.get_ref() {
                    DeValue::Table(table) => self.table(&full, table),
                    _ => self.not_a_table(&full, at, value),
                }
            } else {
                self.unknown(path, name, at, value);
            }
            if self.problems.len() > MOST_PROBLEMS {
                return;
            }
        }
    }

    pub(super) fn key(&mut self, key: &'static Key, value: &Value<'_>) {
        let on_the_command_line = matches!(self.origin, Origin::Set { .. });
        // Of a list, too, all or nothing: there is nothing that a part would be left out of.
        let before = on_the_command_line.then(|| self.config.clone());
        let (taken, refusals) = key.read(value, &mut self.config);
        if !refusals.is_empty()
            && let Some(before) = before
        {
            self.config = before;
        }
        self.note_places(key, value);
        self.strayed(stray::in_key(key, value));
        for Refusal { at, message } in refusals {
            let end = match taken {
                _ if key.guard => LOCKED.to_owned(),
                _ if on_the_command_line => UNCHANGED.to_owned(),
                Taken::Yes => "it is left out".to_owned(),
                Taken::No => format!("the default is used, {}", key.in_words(&self.defaults)),
            };
            let message = match &self.origin {
                // The place names it.
                Origin::Set { key: given, .. } if given == key.name => format!("{message}; {end}"),
                _ => format!("`{}` {message}; {end}", key.name),
            };
            match key.guard {
                true => self.guarded(at.start, ProblemKind::Refused, message),
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
        let message = format!("[{section}] expects a table, written `[{section}]` once");
        match guards(section) {
            true => self.guarded(at, ProblemKind::Refused, format!("{message}; {LOCKED}")),
            false => {
                self.report(at, ProblemKind::Refused, message);
                self.strayed(stray::in_unknown(section, value));
            }
        }
    }

    fn unknown(&mut self, section: &str, name: &str, at: usize, value: &Value<'_>) {
        let Hint { words, guard, section: meant } = hint(section, name);
        if stray::is_hash(name) {
            return self.strayed(Some(Stray { at, what: What::Hash }));
        }
        // A name that is like none there is may be what was to be its value.
        let shown = match !words.is_empty() && !holds_secrets(section) {
            true => quoted(name),
            false => String::new(),
        };
        let shown = shown.trim_matches('"');
        let what = match (value.get_ref(), section, shown) {
            (DeValue::Table(_), "", "") => "unknown section".to_owned(),
            (DeValue::Table(_), "", _) => format!("unknown section [{shown}]"),
            (_, "", "") => "unknown key outside of any section".to_owned(),
            (_, "", _) => format!("unknown key `{shown}` outside of any section"),
            (.., "") => format!("unknown key in [{section}]"),
            _ => format!("unknown key `{shown}` in [{section}]"),
        };
        let guard = guard || section == "auth";
        let message = unknown(&what, &words, guard);
        match guard {
            true => self.guarded(at, ProblemKind::Refused, message),
            false => {
                self.report(at, ProblemKind::Unknown, message);
                self.strayed(stray::in_unknown(meant.unwrap_or(section), value));
            }
        }
    }

    /// Tells of what was meant to protect and does not.
    fn strayed(&mut self, stray: Option<Stray>) {
        if let Some(stray) = stray {
            let message = format!("{}; {LOCKED}", stray.words());
            self.guarded(stray.at, ProblemKind::Refused, message);
        }
    }

    /// Checks what no key can tell alone.
    fn check_together(&mut self) {
        let both = |a, b| Some(*self.met.get(a)?.max(self.met.get(b)?));
        if let Some(at) = both("auth.password", "auth.password_hash") {
            let message =
                format!("`password` and `password_hash` are both given; remove one; {LOCKED}");
            self.guarded(at, ProblemKind::Refused, message);
        }
        for Clash { key, kind, message } in together::check(&mut self.config) {
            self.report(self.place_of(key), kind, format!("`{key}` {message}"));
        }
    }

    fn place_of(&self, key: &str) -> usize {
        self.met.get(key).copied().unwrap_or_default()
    }

    /// Reports a problem that locks sign-in.
    fn guarded(&mut self, at: usize, kind: ProblemKind, message: String) {
        let problem = self.problem(at, kind, message);
        self.lock.get_or_insert_with(|| problem.to_string());
        self.problems.push((at, problem));
    }

    fn report(&mut self, at: usize, kind: ProblemKind, message: String) {
        let problem = self.problem(at, kind, message);
        self.problems.push((at, problem));
    }

    fn problem(&self, at: usize, kind: ProblemKind, message: String) -> Problem {
        Problem { place: self.origin.place(at), kind, message }
    }

    pub(super) fn finish(mut self) -> Loaded {
        if self.problems.len() > MOST_PROBLEMS {
            self.problems.truncate(MOST_PROBLEMS);
            let message = format!(
                "more than {MOST_PROBLEMS} problems, so this is no Picket configuration; {LOCKED}"
            );
            self.guarded(0, ProblemKind::Refused, message);
        }
        self.problems.sort_by_key(|(at, _)| *at);
        if let Some(why) = self.lock {
            self.config.auth.lock(why);
        }
        Loaded {
            config: self.config,
            problems: self.problems.into_iter().map(|(_, problem)| problem).collect(),
            extent: self.extent,
            places: self.places,
        }
    }
}
