//! Keeping the service manager informed, where there is one.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

use super::cameras::CameraUnit;
use crate::appliance::ServiceManager;
use crate::webrtc::WebRtc;

/// A thread that has not answered for this long misses a beat. The manager acts on the second.
const PATIENCE: Duration = Duration::from_secs(1);

/// How the daemon is doing, told to whoever started it.
pub(super) struct Service {
    manager: Option<ServiceManager>,
    heartbeat: Option<Interval>,
    /// The turns of each camera's pipeline at the last beat.
    turns: Vec<u64>,
    /// The cameras that were last told to hang.
    stuck: String,
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
        Self { manager, heartbeat, turns: Vec::new(), stuck: String::new() }
    }

    /// Waits until the next [`beat`](Self::beat) is due: without end where nobody listens for it.
    pub(super) async fn heartbeat(&mut self) {
        match &mut self.heartbeat {
            Some(beat) => drop(beat.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Tells that all is well, if it is. A lost camera is nothing a restart would fix; a thread of
    /// our own that has crashed or hangs is. One camera of several that hangs is left alone: a restart
    /// would take the others from their viewers.
    pub(super) async fn beat(&mut self, cameras: &[CameraUnit], webrtc: &WebRtc) {
        let turns: Vec<u64> = cameras.iter().map(|camera| camera.pipeline.turns()).collect();
        let before = std::mem::replace(&mut self.turns, turns);
        let is_stuck = |(at, camera): (usize, &CameraUnit)| {
            !camera.pipeline.is_running() || before.get(at) == Some(&self.turns[at])
        };
        let stuck: Vec<&str> = cameras
            .iter()
            .enumerate()
            .filter(|camera| is_stuck(*camera))
            .map(|(_, camera)| &*camera.name)
            .collect();
        let told = stuck.join(", ");
        if !stuck.is_empty() {
            if told != self.stuck {
                log::error!("the video pipeline of {told} has crashed or hangs");
            }
            if stuck.len() == cameras.len() {
                log::error!("leaving it to the service manager to start Picket again");
                return;
            }
        }
        self.stuck = told;
        if !matches!(tokio::time::timeout(PATIENCE, webrtc.answers()).await, Ok(true)) {
            log::error!("the webrtc thread does not answer: leaving it to the service manager");
            return;
        }
        if let Some(manager) = &self.manager {
            manager.keep_alive();
        }
    }

    /// Tells that Picket is about to end.
    pub(super) fn stopping(&self) {
        if let Some(manager) = &self.manager {
            manager.stopping();
        }
    }
}
