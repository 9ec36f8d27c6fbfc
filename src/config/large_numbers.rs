//! Numbers that are valid TOML and too large for the editor of a file.
//!
//! The reader keeps numbers as they are written, and refuses only the one that a key cannot use. The
//! editor (`toml_edit`) refuses the whole file because of it. So such numbers are taken out before an
//! edit and put back after it.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How many digits of a placeholder number it.
const COUNT: usize = 8;

/// The numbers that were taken out of a text.
pub(super) struct LargeNumbers<'t> {
    /// What each placeholder begins with; it occurs nowhere else in the text.
    stem: String,
    /// As they were written.
    numbers: Vec<&'t str>,
}

impl<'t> LargeNumbers<'t> {
    /// The text with a small number in the place of each that is too large. What is not TOML stays
    /// as it is.
    pub(super) fn take_out(text: &'t str) -> (String, Self) {
        let mut spans = Vec::new();
        if let Ok(table) = DeTable::parse(text) {
            table.get_ref().values().for_each(|value| find(value, &mut spans));
        }
        spans.sort_by_key(|span| span.start);
        let numbers: Vec<&str> = spans.iter().filter_map(|span| text.get(span.clone())).collect();
        // Longer than anything that is written into the file: no name or password contains it.
        let mut stems = (0..).map(|salt: usize| format!("0.{salt:070}"));
        let stem = stems.find(|stem| !text.contains(stem)).unwrap_or_default();
        let (mut plain, mut end) = (String::with_capacity(text.len()), 0);
        for (number, span) in spans.into_iter().enumerate() {
            plain += &text[end..span.start];
            plain += &format!("{stem}{number:0COUNT$}");
            end = span.end;
        }
        plain += &text[end..];
        (plain, Self { stem, numbers })
    }

    /// The text with the numbers back in their places.
    pub(super) fn put_back(&self, text: &str) -> String {
        if self.numbers.is_empty() {
            return text.to_owned();
        }
        let mut pieces = text.split(&self.stem);
        let mut whole = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (number, rest) = piece.split_at_checked(COUNT).unwrap_or((piece, ""));
            let number = number.parse::<usize>().ok().and_then(|n| self.numbers.get(n));
            whole += number.unwrap_or(&"0");
            whole += rest;
        }
        whole
    }
}

fn find(value: &Spanned<DeValue<'_>>, spans: &mut Vec<Range<usize>>) {
    let too_large = match value.get_ref() {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).is_err(),
        DeValue::Float(number) => {
            let named = number.as_str().ends_with(|c: char| c.is_ascii_alphabetic());
            !named && number.as_str().parse::<f64>().is_ok_and(f64::is_infinite)
        }
        DeValue::Array(list) => return list.iter().for_each(|value| find(value, spans)),
        DeValue::Table(table) => return table.values().for_each(|value| find(value, spans)),
        _ => false,
    };
    if too_large {
        spans.push(value.span());
    }
}
