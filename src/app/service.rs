//! Keeping the service manager informed, where there is one.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

use crate::appliance::ServiceManager;
use crate::pipeline::Pipeline;
use crate::rtc::Rtc;

/// A thread that has not answered for this long misses a beat. The manager acts on the second.
const PATIENCE: Duration = Duration::from_secs(1);

/// How the daemon is doing, told to whoever started it.
pub(super) struct Service {
    manager: Option<ServiceManager>,
    heartbeat: Option<Interval>,
    /// The pipeline's turns at the last beat.
    turns: Option<u64>,
}

impl Service {
    /// Tells that Picket is ready. Wants to be called where timers run, and once what viewers need
    /// is there.
    pub(super) fn ready() -> Self {
        let manager = ServiceManager::from_environment();
        let watchdog = manager.as_ref().and_then(ServiceManager::watchdog);
        // Half the time allowed, as sd_watchdog_enabled(3) recommends.
        let heartbeat = watchdog.map(|allowed| {
            let mut beat = tokio::time::interval(allowed / 2);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            beat
        });
        if let Some(manager) = &manager {
            manager.ready();
        }
        Self { manager, heartbeat, turns: None }
    }

    /// Waits until the next [`beat`](Self::beat) is due: for ever, where nobody listens for it.
    pub(super) async fn heartbeat(&mut self) {
        match &mut self.heartbeat {
            Some(beat) => drop(beat.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Tells that all is well, if it is. A lost camera is nothing a restart would mend; a thread of
    /// our own that has crashed or hangs is.
    pub(super) async fn beat(&mut self, pipeline: &Pipeline, rtc: &Rtc) {
        if !pipeline.is_running() {
            log::error!(
                "the pipeline has crashed: leaving it to the service manager to start anew"
            );
            return;
        }
        let turns = pipeline.turns();
        if self.turns.replace(turns) == Some(turns) {
            log::error!("the pipeline is stuck: leaving it to the service manager to start anew");
            return;
        }
        if !matches!(tokio::time::timeout(PATIENCE, rtc.answers()).await, Ok(true)) {
            log::error!("the rtc thread does not answer: leaving it to the service manager");
            return;
        }
        if let Some(manager) = &self.manager {
            manager.well();
        }
    }

    /// Tells that Picket is about to end.
    pub(super) fn stopping(&self) {
        if let Some(manager) = &self.manager {
            manager.stopping();
        }
    }
}
