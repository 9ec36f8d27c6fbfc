//! The log: one line an event, on standard error, for the owner of a camera.

use std::io::Write;

use log::LevelFilter;

use crate::config::Problem;
use crate::pipeline::log_prefix;

/// Starts logging at `level`. The level can be changed at any time with [`log::set_max_level`].
///
/// Picket's own lines follow the level; the libraries' are shown from warnings up, and whole only
/// at trace, because what a library calls information is noise to an owner.
pub fn start(level: LevelFilter) {
    let _ = env_logger::Builder::new()
        .filter_level(LevelFilter::Warn)
        .filter_module("picket", LevelFilter::Trace)
        // They warn of what viewers do, of which sessions tell in words what anybody can act on.
        .filter_module("dimpl", LevelFilter::Off)
        .filter_module("is", LevelFilter::Off)
        .filter_module("rustls", LevelFilter::Off)
        .filter_module("sctp_proto", LevelFilter::Off)
        .filter_module("str0m", LevelFilter::Off)
        .format(|out, record| {
            let level = record.level();
            let style = out.default_level_style(level);
            writeln!(out, "{style}{level:<5}{style:#} {}{}", log_prefix(), record.args())
        })
        .try_init();
    log::set_max_level(level);
}

/// Tells what could not be done as the configuration says.
pub(super) fn tell(problems: impl IntoIterator<Item = Problem>) {
    problems.into_iter().for_each(|problem| log::warn!("{problem}"));
}
