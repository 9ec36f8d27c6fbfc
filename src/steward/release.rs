//! The version and board of the system that runs, and when it was built.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, Timespec, clock_settime};

/// Where the image has these facts.
const FOLDER: &str = "/usr/lib/picket";

/// The system that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    /// Its version.
    pub(super) version: String,
    /// The board it was built for.
    pub(super) board: String,
    /// When it was built, since 1970.
    built: Duration,
}

impl Release {
    pub(super) fn read() -> Self {
        let read =
            |file: &str| std::fs::read_to_string(Path::new(FOLDER).join(file)).unwrap_or_default();
        Self::parse(&read("release"), &read("board"))
    }

    fn parse(release: &str, board: &str) -> Self {
        let value = |name: &str| {
            release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        };
        Self {
            version: value("VERSION").unwrap_or(env!("CARGO_PKG_VERSION")).trim().to_owned(),
            board: board.trim().to_owned(),
            built: Duration::from_secs(
                value("BUILD_EPOCH").and_then(|s| s.trim().parse().ok()).unwrap_or(0),
            ),
        }
    }

    /// Sets the clock to when this system was built, if it is behind that: a Pi has no clock that
    /// goes on while it is off.
    pub(super) fn set_clock(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if now >= self.built {
            return;
        }
        let time = Timespec { tv_sec: self.built.as_secs().cast_signed(), tv_nsec: 0 };
        if let Err(error) = clock_settime(ClockId::Realtime, time) {
            log::warn!("the clock cannot be set: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_says_what_it_is() {
        let release = Release::parse("VERSION=0.3.0\nBUILD_EPOCH=1790000000\n", "picket-rpi64\n");
        assert_eq!((release.version.as_str(), release.board.as_str()), ("0.3.0", "picket-rpi64"));
        assert_eq!(release.built.as_secs(), 1_790_000_000);
        assert_eq!(Release::parse("", "").version, env!("CARGO_PKG_VERSION"));
    }
}
