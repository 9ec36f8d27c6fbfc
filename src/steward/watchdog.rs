//! The hardware watchdog (Documentation/watchdog/watchdog-api.rst): it restarts the device unless
//! it is fed. It is fed while the daemon is healthy, so it also covers what the daemon checks: that
//! pictures move.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use rustix::ioctl::{Updater, ioctl, opcode};
use tokio::sync::watch;

use super::daemon::DaemonHealth;
use super::stop_token::StopToken;

/// `WDIOC_SETTIMEOUT`: takes seconds, and returns those that the driver has set.
const WDIOC_SETTIMEOUT: rustix::ioctl::Opcode = opcode::read_write::<i32>(b'W', 6);

/// How long the daemon may fail before the whole device is restarted. Long enough for the owner of
/// a camera that crashes at every start to read the reason on its page or card.
const FAILING_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// A watchdog that is running.
#[derive(Debug)]
pub(super) struct Watchdog {
    device: File,
    interval: Duration,
}

impl Watchdog {
    /// Starts the watchdog.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn open(timeout: Duration) -> io::Result<Self> {
        let device = File::options().write(true).open("/dev/watchdog")?;
        let mut seconds = i32::try_from(timeout.as_secs()).unwrap_or(15);
        // SAFETY: the request takes a pointer to an int, which outlives the call.
        let set = unsafe { ioctl(&device, Updater::<WDIOC_SETTIMEOUT, i32>::new(&mut seconds)) };
        if let Err(error) = set {
            log::info!("the watchdog keeps its default timeout: {error}");
        }
        Ok(Self { device, interval: timeout / 4 })
    }

    /// Feeds it as long as [`FeedPolicy`] allows, and disables it if `stop` comes first.
    pub(super) async fn feed(mut self, health: watch::Receiver<DaemonHealth>, mut stop: StopToken) {
        let mut policy = FeedPolicy::new(Instant::now());
        loop {
            let now = *health.borrow();
            if !policy.should_feed(now, Instant::now()) {
                log::error!("the daemon has been failing for too long: restarting the device");
                return std::future::pending().await;
            }
            if let Err(error) = self.device.write_all(b".") {
                log::warn!("the watchdog cannot be fed: {error}");
            }
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                () = stop.stopped() => break,
            }
        }
        // The magic close character, which disables it if the driver allows that.
        let _ = self.device.write_all(b"V");
    }
}

/// Decides whether the watchdog is fed.
#[derive(Debug)]
struct FeedPolicy {
    last_healthy: Instant,
}

impl FeedPolicy {
    const fn new(now: Instant) -> Self {
        Self { last_healthy: now }
    }

    fn should_feed(&mut self, health: DaemonHealth, now: Instant) -> bool {
        if health == DaemonHealth::Healthy {
            self.last_healthy = now;
        }
        now.duration_since(self.last_healthy) < FAILING_TIMEOUT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_fails_for_minutes_has_the_device_restarted() {
        let start = Instant::now();
        let mut policy = FeedPolicy::new(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(policy.should_feed(DaemonHealth::Starting, at(0)));
        assert!(policy.should_feed(DaemonHealth::Failing(9), at(200)));
        assert!(policy.should_feed(DaemonHealth::Healthy, at(250)));
        assert!(policy.should_feed(DaemonHealth::Failing(1), at(500)));
        assert!(!policy.should_feed(DaemonHealth::Failing(30), at(551)));
    }
}
