//! The hardware watchdog (Documentation/watchdog/watchdog-api.rst): it restarts the device unless
//! it is fed. It is fed while the daemon is well, so that it also watches over what the daemon
//! watches: that pictures move.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use rustix::ioctl::{Updater, ioctl, opcode};
use tokio::sync::watch;

use super::daemon::Health;
use super::stop::Stop;

/// `WDIOC_SETTIMEOUT`: takes seconds, and returns those it could set.
const SET_TIMEOUT: rustix::ioctl::Opcode = opcode::read_write::<i32>(b'W', 6);

/// How long the daemon may fail before the whole device is restarted. Long enough for the owner of
/// a camera that crashes at every start to read on its page or card why.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// A watchdog that was switched on.
#[derive(Debug)]
pub(super) struct Watchdog {
    device: File,
    interval: Duration,
}

impl Watchdog {
    /// Switches the watchdog on.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn open(timeout: Duration) -> io::Result<Self> {
        let device = File::options().write(true).open("/dev/watchdog")?;
        let mut seconds = i32::try_from(timeout.as_secs()).unwrap_or(15);
        // SAFETY: the request takes a pointer to an int, which outlives the call.
        let set = unsafe { ioctl(&device, Updater::<SET_TIMEOUT, i32>::new(&mut seconds)) };
        if let Err(error) = set {
            log::info!("the watchdog keeps its own timeout: {error}");
        }
        Ok(Self { device, interval: timeout / 4 })
    }

    /// Feeds it for as long as it should, and switches it off when `stop` comes first.
    pub(super) async fn feed(mut self, health: watch::Receiver<Health>, mut stop: Stop) {
        let mut appetite = Appetite::new(Instant::now());
        loop {
            let healthy = *health.borrow();
            if !appetite.feeds(healthy, Instant::now()) {
                log::error!("the daemon has been failing for too long: restarting the device");
                return std::future::pending().await;
            }
            if let Err(error) = self.device.write_all(b".") {
                log::warn!("the watchdog is not fed: {error}");
            }
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                () = stop.wait() => break,
            }
        }
        // The sign that ends it, where the driver can end at all.
        let _ = self.device.write_all(b"V");
    }
}

/// Decides whether the watchdog is fed.
#[derive(Debug)]
struct Appetite {
    well_at: Instant,
}

impl Appetite {
    const fn new(now: Instant) -> Self {
        Self { well_at: now }
    }

    fn feeds(&mut self, health: Health, now: Instant) -> bool {
        if health == Health::Well {
            self.well_at = now;
        }
        now.duration_since(self.well_at) < PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_fails_for_minutes_has_the_device_restarted() {
        let start = Instant::now();
        let mut appetite = Appetite::new(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(appetite.feeds(Health::Starting, at(0)));
        assert!(appetite.feeds(Health::Failing(9), at(200)));
        assert!(appetite.feeds(Health::Well, at(250)));
        assert!(appetite.feeds(Health::Failing(1), at(500)));
        assert!(!appetite.feeds(Health::Failing(30), at(551)));
    }
}
