//! Session descriptions (RFC 8866, JSEP RFC 8829), as far as a camera needs them.
//!
//! A viewer offers; Picket answers. An [`Offer`] is read strictly, line by line, so that a mistake
//! can be told with its line; what Picket does not know it ignores, as RFC 8866 §5 asks. Each
//! [`MediaSection`] has a transport of its own or shares that of a bundle. The answer
//! ([`answer::write`]) answers every section, and is written from what is really sent: one H.264 payload type whose
//! `profile-level-id` comes from the stream's own SPS, its RTX companion, and the header
//! extensions that will be in the packets. Nothing else is promised.

pub(super) mod answer;
mod fragment;
mod h264;
mod negotiated;
mod offer;
mod section;
mod transport;

pub use fragment::Fragment;
pub use h264::{Payload, Refusal};
pub(super) use negotiated::NegotiatedTrack;
pub use offer::Offer;
pub use section::{Direction, MediaSection};
pub use transport::{Credentials, Setup, Transport};

use std::borrow::Cow;

/// What is wrong with a session description or fragment, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct SdpError {
    /// Line at fault, from 1; for something missing, the line where the section begins.
    pub line: usize,
    /// What was expected.
    pub problem: String,
}

impl SdpError {
    fn new(line: usize, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into() }
    }
}

/// The lines of a description as `(number, type, value)`.
///
/// Line ends may be CRLF or LF alone; empty lines are let pass, as every receiver does.
fn lines(text: &str) -> impl Iterator<Item = Result<(usize, char, &str), SdpError>> {
    text.split('\n').enumerate().filter_map(|(i, line)| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        let mut chars = line.chars();
        Some(match (chars.next(), chars.next()) {
            (Some(kind), Some('=')) if kind.is_ascii_lowercase() => {
                Ok((i + 1, kind, chars.as_str()))
            }
            _ => Err(SdpError::new(i + 1, "expected a line of the form x=…")),
        })
    })
}

/// `name:value` or `name` of an attribute line.
fn attribute(value: &str) -> (&str, &str) {
    let (name, value) = value.split_once(':').unwrap_or((value, ""));
    (name, value.trim_start())
}

/// A `token` of RFC 8866 §9, and a little more: visible characters.
fn token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A description without what clients, and those who paste, put into it by mistake: a byte order
/// mark, spaces around lines and more than one in a row. Lines keep their numbers.
fn tidy(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let blank = |c: char| matches!(c, ' ' | '\t');
    let untidy = |line: &str| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        line.starts_with(blank)
            || line.ends_with(blank)
            || line.contains("  ")
            || line.contains('\t')
    };
    if !text.split('\n').any(untidy) {
        return Cow::Borrowed(text);
    }
    let mut tidied = String::with_capacity(text.len());
    for line in text.split('\n') {
        let words = line.trim_end_matches('\r').split(blank).filter(|word| !word.is_empty());
        for (i, word) in words.enumerate() {
            if i > 0 {
                tidied.push(' ');
            }
            tidied.push_str(word);
        }
        tidied.push('\n');
    }
    Cow::Owned(tidied)
}
