//! The shapes a value may have in `config.toml`: what is expected, how it is read, how it is
//! written back.
//!
//! A [`Shape`] is the one place that knows all three, so the message for a wrong value, the
//! reference and the API cannot disagree. Shapes nest: `Maybe(Whole(1, 9))`, `List(Parsed(…))`.

mod compound;
mod special;

use std::fmt::Display;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

pub(super) use compound::{ByPath, List, MOST_ENTRIES, Maybe, OrAuto};
pub(super) use special::{
    Hidden, IceServerTable, Passphrase, Rate, RedBlue, Region, SourceName, TlsTable, Unseen,
    WebUrl, WifiTable, ZoneName,
};

/// A value in the file, with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// Why a value, or a part of it, is not used.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Where it stands in the text.
    pub at: Range<usize>,
    /// "expects …, found …"
    pub message: String,
}

/// Collects refusals.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    list: Vec<Refusal>,
    /// Whether a part of the value may be secret. Then nothing of it is told.
    withheld: bool,
}

impl Refusals {
    /// None so far, of a value of which nothing is told if it is `withheld`.
    pub fn new(withheld: bool) -> Self {
        Self { list: Vec::new(), withheld }
    }

    /// Adds one.
    pub fn push(&mut self, at: Range<usize>, message: String) {
        self.list.push(Refusal { at, message });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether all was taken.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a sentence to the last one.
    fn add_to_last(&mut self, words: &str) {
        if let Some(last) = self.list.last_mut() {
            last.message += words;
        }
    }

    /// What was found, in words.
    fn found(&self, value: &DeValue<'_>) -> String {
        match self.withheld {
            true => kind(value).to_owned(),
            false => found(value),
        }
    }

    /// A name that was found, in words.
    fn found_name(&self, name: &str) -> String {
        if self.withheld { "another one".to_owned() } else { quoted(name) }
    }
}

impl IntoIterator for Refusals {
    type Item = Refusal;
    type IntoIter = std::vec::IntoIter<Refusal>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

/// One shape of value, for the type `T`.
pub(super) trait Shape<T>: Send + Sync {
    /// What is expected, to follow "expects": "a whole number from 1 to 9".
    fn expects(&self) -> String;

    /// Reads a value. `None` when nothing of it can be used; a list of which a part can be used
    /// is `Some`, with a refusal for each part that cannot.
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<T>;

    /// Writes it as it would stand in the file. `None` is for what is not set.
    fn write(&self, value: &T) -> Option<toml::Value>;

    /// Whether it, or a part of it, may be secret.
    fn hides(&self) -> bool {
        false
    }

    /// Refuses a value, naming what was found instead.
    fn refuse<U>(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<U>
    where
        Self: Sized,
    {
        let found = refusals.found(value.get_ref());
        refusals.push(value.span(), format!("expects {}, found {found}", self.expects()));
        None
    }
}

/// What a value is, in words: `the string "fast"`, `a list`.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {}", quoted(text)),
        DeValue::Integer(number) if number.as_str().len() <= 40 => format!("the number {number}"),
        DeValue::Float(number) if number.as_str().len() <= 40 => format!("the number {number}"),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        _ => kind(value).to_owned(),
    }
}

/// What kind of value it is, and nothing of what it holds: for secrets.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Quotes text from the file: short and in one line. An address is not shown, because passwords and
/// keys stand in some; nor is a hash, or a key in PEM.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.contains(['@', '?']) || ["://", "$argon2", "-----"].iter().any(|s| text.contains(s)) {
        return "\"…\" (not shown, as it may hold a password)".to_owned();
    }
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("\"{}\"", short.escape_debug())
}

fn int(value: &Value<'_>) -> Option<i64> {
    let number = value.get_ref().as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn real(value: &Value<'_>) -> Option<f64> {
    match value.get_ref() {
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => int(value).map(|number| number as f64),
    }
}

/// A number as it is best read: `2` rather than `2.0`.
fn number(value: f64) -> toml::Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        toml::Value::Integer(value as i64)
    } else {
        toml::Value::Float(value)
    }
}

/// `true` or `false`.
pub(super) struct Switch;

impl Shape<bool> for Switch {
    fn expects(&self) -> String {
        "`true` or `false`".to_owned()
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<bool> {
        value.get_ref().as_bool().or_else(|| self.refuse(value, refusals))
    }
    fn write(&self, value: &bool) -> Option<toml::Value> {
        Some((*value).into())
    }
}

/// A whole number from the first to the second.
pub(super) struct Whole(pub i64, pub i64);

impl<T: TryFrom<i64> + Into<i64> + Copy> Shape<T> for Whole {
    fn expects(&self) -> String {
        format!("a whole number from {} to {}", self.0, self.1)
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<T> {
        int(value)
            .filter(|number| (self.0..=self.1).contains(number))
            .and_then(|number| T::try_from(number).ok())
            .or_else(|| Shape::<T>::refuse(self, value, refusals))
    }
    fn write(&self, value: &T) -> Option<toml::Value> {
        Some(toml::Value::Integer((*value).into()))
    }
}

/// A number from the first to the second.
pub(super) struct Real(pub f64, pub f64);

impl Shape<f64> for Real {
    fn expects(&self) -> String {
        format!("a number from {} to {}", self.0, self.1)
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<f64> {
        real(value)
            .filter(|number| (self.0..=self.1).contains(number))
            .or_else(|| self.refuse(value, refusals))
    }
    fn write(&self, value: &f64) -> Option<toml::Value> {
        Some(number(*value))
    }
}

/// A time, counted in a unit, from the first to the second number of them.
pub(super) struct Time(pub Unit, pub f64, pub f64);

/// What a time is counted in.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Seconds,
    /// As cameras count exposure.
    Microseconds,
}

impl Unit {
    fn nanos(self) -> f64 {
        match self {
            Self::Seconds => 1e9,
            Self::Microseconds => 1e3,
        }
    }
    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Microseconds => "microseconds",
        }
    }
}

impl Shape<Duration> for Time {
    fn expects(&self) -> String {
        let Self(unit, min, max) = self;
        format!("a number of {} from {min} to {max}", unit.name())
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<Duration> {
        real(value)
            .filter(|number| (self.1..=self.2).contains(number))
            .map(|number| Duration::from_nanos((number * self.0.nanos()).round() as u64))
            .or_else(|| self.refuse(value, refusals))
    }
    fn write(&self, value: &Duration) -> Option<toml::Value> {
        Some(number(value.as_nanos() as f64 / self.0.nanos()))
    }
}

/// One of a few words.
pub(super) struct Words<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq + Send + Sync> Shape<T> for Words<T> {
    fn expects(&self) -> String {
        either(self.0.iter().map(|(word, _)| format!("\"{word}\"")))
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<T> {
        let text = value.get_ref().as_str();
        let known = self.0.iter().find(|(word, _)| Some(*word) == text);
        known.map(|(_, meaning)| *meaning).or_else(|| self.refuse(value, refusals))
    }
    fn write(&self, value: &T) -> Option<toml::Value> {
        let known = self.0.iter().find(|(_, meaning)| meaning == value);
        known.map(|(word, _)| (*word).into())
    }
}

/// One of a few numbers.
pub(super) struct Steps<T: 'static>(pub &'static [(i64, T)]);

impl<T: Copy + PartialEq + Send + Sync> Shape<T> for Steps<T> {
    fn expects(&self) -> String {
        either(self.0.iter().map(|(step, _)| step.to_string()))
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<T> {
        let number = int(value);
        let known = self.0.iter().find(|(step, _)| Some(*step) == number);
        known.map(|(_, meaning)| *meaning).or_else(|| self.refuse(value, refusals))
    }
    fn write(&self, value: &T) -> Option<toml::Value> {
        let known = self.0.iter().find(|(_, meaning)| meaning == value);
        known.map(|(step, _)| (*step).into())
    }
}

/// "a, b or c".
fn either(choices: impl Iterator<Item = String>) -> String {
    let mut choices: Vec<_> = choices.collect();
    let last = choices.pop().unwrap_or_default();
    if choices.is_empty() { last } else { format!("{} or {last}", choices.join(", ")) }
}

/// A string that a type can parse, and what that type expects.
pub(super) struct Parsed(pub &'static str);

impl<T: FromStr + Display> Shape<T> for Parsed {
    fn expects(&self) -> String {
        self.0.to_owned()
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<T> {
        let parsed = value.get_ref().as_str().and_then(|text| text.parse().ok());
        parsed.or_else(|| Shape::<T>::refuse(self, value, refusals))
    }
    fn write(&self, value: &T) -> Option<toml::Value> {
        Some(value.to_string().into())
    }
}

/// Any text of one line, up to a number of characters; an empty one is refused.
pub(super) struct Text(pub usize);

impl Text {
    fn accepts(&self, text: &str) -> bool {
        (1..=self.0).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    }
}

impl Shape<String> for Text {
    fn expects(&self) -> String {
        format!("a string of 1 to {} characters in one line", self.0)
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<String> {
        let text = value.get_ref().as_str().filter(|text| self.accepts(text));
        text.map(str::to_owned).or_else(|| self.refuse(value, refusals))
    }
    fn write(&self, value: &String) -> Option<toml::Value> {
        Some(value.as_str().into())
    }
}

/// A file or folder; the words say which.
pub(super) struct Place(pub &'static str);

impl Shape<PathBuf> for Place {
    fn expects(&self) -> String {
        self.0.to_owned()
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<PathBuf> {
        let text = value.get_ref().as_str().filter(|text| Text(4096).accepts(text));
        text.map(PathBuf::from).or_else(|| self.refuse(value, refusals))
    }
    fn write(&self, value: &PathBuf) -> Option<toml::Value> {
        Some(value.display().to_string().into())
    }
}
