//! The log of the device: its last lines, in memory. Nothing is written to the card.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use log::LevelFilter;

use super::sanitize;

/// Most lines that are kept.
const MAX_LINES: usize = 1000;
/// Most characters of a line.
const MAX_LINE: usize = 400;

static LINES: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Starts logging, to the console and to this buffer.
pub(super) fn init() {
    let _ = env_logger::Builder::new()
        .filter_level(LevelFilter::Warn)
        .filter_module("picket", LevelFilter::Trace)
        .format(|_, record| {
            push(format!("steward: {:<5} {}", record.level(), record.args()));
            Ok(())
        })
        .try_init();
    log::set_max_level(LevelFilter::Info);
}

/// Adds a line.
pub(super) fn push(line: String) {
    let line = sanitize::line(&line, MAX_LINE);
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    // A console that nobody reads is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
    if lines.len() == MAX_LINES {
        lines.pop_front();
    }
    lines.push_back(line);
}

/// The lines, the oldest first.
pub(super) fn lines() -> Vec<String> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}
