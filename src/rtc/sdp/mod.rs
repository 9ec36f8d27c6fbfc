//! Session descriptions (RFC 8866, JSEP RFC 8829), as far as a camera needs them.
//!
//! A viewer offers; Picket answers. An [`Offer`] is read strictly, line by line, so that a mistake
//! can be told with its line; what Picket does not know it ignores, as RFC 8866 §5 asks. The
//! answer ([`answer::write`]) is written from what is really sent: one H.264 payload type whose
//! `profile-level-id` comes from the stream's own SPS, its RTX companion, and the header
//! extensions that will be in the packets. Nothing else is promised.

pub(super) mod answer;
mod fragment;
mod h264;
mod offer;

pub use fragment::Fragment;
pub use h264::{Feedback, Payload, Refusal};
pub use offer::{Direction, ExtensionIds, MediaSection, Offer, Setup};

use str0m::Candidate;

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

/// ICE username fragment and password (RFC 8839 §5.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// 4 to 256 ice-chars.
    pub ufrag: String,
    /// 22 to 256 ice-chars.
    pub pwd: String,
}

/// Candidates taken from one peer; more say nothing new and cost pairs to check.
const MAX_CANDIDATES: usize = 32;

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
    value.split_once(':').unwrap_or((value, ""))
}

/// Reads `a=ice-ufrag` or `a=ice-pwd` into its place. Checked strictly, because the text goes
/// into descriptions of our own and into STUN.
fn read_credential(
    into: &mut Credentials,
    line: usize,
    name: &str,
    value: &str,
) -> Result<(), SdpError> {
    let (slot, least) = match name {
        "ice-ufrag" => (&mut into.ufrag, 4),
        _ => (&mut into.pwd, 22),
    };
    let ice_char = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    if !(least..=256).contains(&value.len()) || !value.bytes().all(ice_char) {
        return Err(SdpError::new(
            line,
            format!("{name} must be {least} to 256 letters, digits, + or /"),
        ));
    }
    slot.clear();
    slot.push_str(value);
    Ok(())
}

/// Reads a candidate, or `None` for one that cannot be used here (TCP, a `.local` name, another
/// component): those are skipped silently, as WHEP and RFC 8838 ask.
fn read_candidate(value: &str) -> Option<Candidate> {
    // Some clients repeat the attribute's name inside the value.
    let value = value.strip_prefix("candidate:").unwrap_or(value);
    if value.len() > 512 || value.split(' ').nth(1) != Some("1") {
        return None;
    }
    let candidate = Candidate::from_sdp_string(&format!("candidate:{value}")).ok()?;
    let usable = candidate.proto() == str0m::net::Protocol::Udp && candidate.addr().port() != 0;
    usable.then_some(candidate)
}
