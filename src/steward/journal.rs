//! The log of the device: its last lines, in memory. Nothing is written to the card.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use log::LevelFilter;

use super::plain;

/// How many lines are kept, and how long one may be.
const LINES: usize = 1000;
const LINE: usize = 400;

static LAST: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Starts logging: to the console, and to the lines that are kept.
pub(super) fn start() {
    let _ = env_logger::Builder::new()
        .filter_level(LevelFilter::Warn)
        .filter_module("picket", LevelFilter::Trace)
        .format(|_, record| {
            add(format!("steward: {:<5} {}", record.level(), record.args()));
            Ok(())
        })
        .try_init();
    log::set_max_level(LevelFilter::Info);
}

/// Adds a line.
pub(super) fn add(line: String) {
    let line = plain::line(&line, LINE);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    // A console that nobody reads is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
    if last.len() == LINES {
        last.pop_front();
    }
    last.push_back(line);
}

/// The lines, the oldest first.
pub(super) fn last() -> Vec<String> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}
