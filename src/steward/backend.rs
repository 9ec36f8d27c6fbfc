//! `picket slot …`: what RAUC asks about the two systems (its "custom bootloader backend"). RAUC
//! writes; when a system is started and whether it is kept is the steward's business, so most of
//! what RAUC says here is heard and nothing is done.

use std::io;
use std::path::Path;

use super::card::Card;
use super::owner::Owner;
use super::slots;

/// Answers RAUC.
///
/// # Errors
/// When the question is none that RAUC asks, or the card cannot be read.
pub fn slot(question: &[String]) -> io::Result<Option<String>> {
    let running = Card::of_root()?.running;
    let owner = Owner::folder(Path::new(super::BOOT));
    let words: Vec<&str> = question.iter().map(String::as_str).collect();
    match words[..] {
        ["get-primary"] => Ok(Some(slots::kept(&owner)?.to_string())),
        ["get-current"] => Ok(Some(running.to_string())),
        // One that is being written is not started, and one that was written is only tried.
        ["get-state", _] => Ok(Some("good".into())),
        ["set-primary", _] | ["set-state", _, _] => Ok(None),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "RAUC asks no such question")),
    }
}
