//! The shapes a value may have in `config.toml`: what is expected, how it is read, how it is
//! written back.
//!
//! A [`Shape`] is the one place that knows all three, so the message for a wrong value, the
//! reference and the API cannot disagree. Shapes nest: `Optional(Integer(1, 9))`, `List(Parsed(…))`.

mod compound;
mod error;
mod special;
mod tls;

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

#[cfg(feature = "steward")]
pub(super) use compound::MAX_ENTRIES;
pub(super) use compound::{List, Optional, OrAuto, PathMap};
pub(super) use error::{ValueError, ValueErrors, describe, quoted, type_name};
pub(super) use special::{
    IceServerTable, Passphrase, Rate, RedBlue, Region, SecretText, SensitiveParsed, SourceName,
    WebUrl, WifiTable, ZoneName,
};

pub(super) use tls::TlsSource;

/// A value in the file, with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// One shape of value, for the type `T`.
pub(super) trait Shape<T>: Send + Sync {
    /// What is expected, to follow "expects": "a whole number from 1 to 9".
    fn expects(&self) -> String;

    /// Reads a value. `None` when nothing of it can be used; a list of which a part can be used
    /// is `Some`, with an error for each part that cannot.
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<T>;

    /// Writes it as it would stand in the file. `None` is for what is not set.
    fn write(&self, value: &T) -> Option<toml::Value>;

    /// Whether it, or a part of it, may be secret.
    fn is_sensitive(&self) -> bool {
        false
    }

    /// Rejects a value; the message says what was found instead.
    fn reject<U>(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<U>
    where
        Self: Sized,
    {
        let found = errors.describe(value.get_ref());
        errors.push(value.span(), format!("expects {}, found {found}", self.expects()));
        None
    }
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

/// A number in its simplest form: `2` rather than `2.0`.
fn number(value: f64) -> toml::Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        toml::Value::Integer(value as i64)
    } else {
        toml::Value::Float(value)
    }
}

/// `true` or `false`.
pub(super) struct Boolean;

impl Shape<bool> for Boolean {
    fn expects(&self) -> String {
        "`true` or `false`".to_owned()
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<bool> {
        value.get_ref().as_bool().or_else(|| self.reject(value, errors))
    }
    fn write(&self, value: &bool) -> Option<toml::Value> {
        Some((*value).into())
    }
}

/// A whole number from the first to the second.
pub(super) struct Integer(pub i64, pub i64);

impl<T: TryFrom<i64> + Into<i64> + Copy> Shape<T> for Integer {
    fn expects(&self) -> String {
        format!("a whole number from {} to {}", self.0, self.1)
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<T> {
        int(value)
            .filter(|number| (self.0..=self.1).contains(number))
            .and_then(|number| T::try_from(number).ok())
            .or_else(|| Shape::<T>::reject(self, value, errors))
    }
    fn write(&self, value: &T) -> Option<toml::Value> {
        Some(toml::Value::Integer((*value).into()))
    }
}

/// A number from the first to the second.
pub(super) struct Number(pub f64, pub f64);

impl Shape<f64> for Number {
    fn expects(&self) -> String {
        format!("a number from {} to {}", self.0, self.1)
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<f64> {
        real(value)
            .filter(|number| (self.0..=self.1).contains(number))
            .or_else(|| self.reject(value, errors))
    }
    fn write(&self, value: &f64) -> Option<toml::Value> {
        Some(number(*value))
    }
}

/// A time in a unit, from the first to the second number.
pub(super) struct Time(pub Unit, pub f64, pub f64);

/// The unit of a time.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Seconds,
    /// The unit of exposure times.
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
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<Duration> {
        real(value)
            .filter(|number| (self.1..=self.2).contains(number))
            .map(|number| Duration::from_nanos((number * self.0.nanos()).round() as u64))
            .or_else(|| self.reject(value, errors))
    }
    fn write(&self, value: &Duration) -> Option<toml::Value> {
        Some(number(value.as_nanos() as f64 / self.0.nanos()))
    }
}

/// One of a few words.
pub(super) struct Choice<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq + Send + Sync> Shape<T> for Choice<T> {
    fn expects(&self) -> String {
        either(self.0.iter().map(|(word, _)| format!("\"{word}\"")))
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<T> {
        let text = value.get_ref().as_str();
        let known = self.0.iter().find(|(word, _)| Some(*word) == text);
        known.map(|(_, meaning)| *meaning).or_else(|| self.reject(value, errors))
    }
    fn write(&self, value: &T) -> Option<toml::Value> {
        let known = self.0.iter().find(|(_, meaning)| meaning == value);
        known.map(|(word, _)| (*word).into())
    }
}

/// One of a few numbers.
pub(super) struct NumericChoice<T: 'static>(pub &'static [(i64, T)]);

impl<T: Copy + PartialEq + Send + Sync> Shape<T> for NumericChoice<T> {
    fn expects(&self) -> String {
        either(self.0.iter().map(|(step, _)| step.to_string()))
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<T> {
        let number = int(value);
        let known = self.0.iter().find(|(step, _)| Some(*step) == number);
        known.map(|(_, meaning)| *meaning).or_else(|| self.reject(value, errors))
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
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<T> {
        let parsed = value.get_ref().as_str().and_then(|text| text.parse().ok());
        parsed.or_else(|| Shape::<T>::reject(self, value, errors))
    }
    fn write(&self, value: &T) -> Option<toml::Value> {
        Some(value.to_string().into())
    }
}

/// Any text in one line, of 1 to so many characters.
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
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<String> {
        let text = value.get_ref().as_str().filter(|text| self.accepts(text));
        text.map(str::to_owned).or_else(|| self.reject(value, errors))
    }
    fn write(&self, value: &String) -> Option<toml::Value> {
        Some(value.as_str().into())
    }
}

/// The path of a file or folder; the text says which is expected.
pub(super) struct FilePath(pub &'static str);

impl Shape<PathBuf> for FilePath {
    fn expects(&self) -> String {
        self.0.to_owned()
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<PathBuf> {
        let text = value.get_ref().as_str().filter(|text| Text(4096).accepts(text));
        text.map(PathBuf::from).or_else(|| self.reject(value, errors))
    }
    fn write(&self, value: &PathBuf) -> Option<toml::Value> {
        Some(value.display().to_string().into())
    }
}
