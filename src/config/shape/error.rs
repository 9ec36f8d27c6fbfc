//! What is wrong with a value, in words that show no secret.

use std::ops::Range;

use toml::de::DeValue;

/// Why a value, or a part of it, is not used.
#[derive(Debug)]
pub(in crate::config) struct ValueError {
    /// Where it stands in the text.
    pub at: Range<usize>,
    /// "expects …, found …"
    pub message: String,
}

/// What is wrong with a value.
#[derive(Debug, Default)]
pub(in crate::config) struct ValueErrors {
    list: Vec<ValueError>,
    /// Whether a part of the value may be secret. Then no message shows any of it.
    redacted: bool,
}

impl ValueErrors {
    /// Nothing so far. If it is `redacted`, no message shows any of the value.
    pub fn new(redacted: bool) -> Self {
        Self { list: Vec::new(), redacted }
    }

    /// Adds one.
    pub fn push(&mut self, at: Range<usize>, message: String) {
        self.list.push(ValueError { at, message });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a sentence to the last one.
    pub(super) fn add_to_last(&mut self, words: &str) {
        if let Some(last) = self.list.last_mut() {
            last.message += words;
        }
    }

    /// A value that was found, in words.
    pub(super) fn describe(&self, value: &DeValue<'_>) -> String {
        match self.redacted {
            true => type_name(value).to_owned(),
            false => describe(value),
        }
    }

    /// A name that was found, in words.
    pub(super) fn describe_name(&self, name: &str) -> String {
        if self.redacted { "another one".to_owned() } else { quoted(name) }
    }
}

impl IntoIterator for ValueErrors {
    type Item = ValueError;
    type IntoIter = std::vec::IntoIter<ValueError>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

/// What a value is, in words: `the string "fast"`, `a list`.
pub(in crate::config) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {}", quoted(text)),
        DeValue::Integer(number) if number.as_str().len() <= 40 => format!("the number {number}"),
        DeValue::Float(number) if number.as_str().len() <= 40 => format!("the number {number}"),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        _ => type_name(value).to_owned(),
    }
}

/// What type of value it is, without what it holds: for secrets.
pub(in crate::config) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Quotes text from the file, shortened and in one line. Addresses are not shown, because some
/// contain passwords and keys; nor are hashes, or keys in PEM.
pub(in crate::config) fn quoted(text: &str) -> String {
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
