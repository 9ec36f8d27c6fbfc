//! From the camera to the hub: the one line along which pictures are made.
//!
//! Two threads do it, for each camera. One drives the [`Camera`] and may be held up by it for as long
//! as a driver likes ([`capture`]). The other takes what the camera delivers, transforms it, and has it
//! encoded by one [`output`] or more, a layer each, which publish in the [`Hub`] ([`produce`]). When
//! nothing comes it says so, shows a placeholder and has the camera opened again ([`absence`]; the
//! states are in [`run`]). When a software encoder needs more time than there is, frames are left out
//! evenly ([`load_shedder`]); pictures that came coded are passed on, or decoded for those who need
//! another coding ([`transcode`]). Raw frames are also given to whoever asks for one ([`tap`]).
//! Neither thread ever waits for a viewer, and both rest while nobody watches.

mod absence;
mod capture;
mod counters;
mod in_flight;
mod load_shedder;
mod log_prefix;
mod output;
mod produce;
mod run;
mod settings;
mod tap;
mod transcode;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::hub::Hub;
use crate::transform::CopyMeter;

pub use counters::Counters;
pub use log_prefix::{log_for, log_prefix};
pub use settings::{EncoderFactory, FixedSettings, LiveSettings, OutputSettings, Parts};
pub use tap::Tap;

/// A running pipeline. Stops when told to or dropped.
pub struct Pipeline {
    hub: Hub,
    stop: Arc<AtomicBool>,
    restart: Arc<AtomicBool>,
    counters: Arc<Counters>,
    copies: CopyMeter,
    tap: Tap,
    /// Counts the turns of the thread's loop.
    turns: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts both threads. The camera stays off until somebody watches.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn start(parts: Parts, hub: Hub) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let restart = Arc::new(AtomicBool::new(false));
        let counters = Arc::new(Counters::default());
        let copies = parts.chain.copies();
        let (turns, tap) = (Arc::new(AtomicU64::new(0)), Tap::default());
        let camera_name = parts.camera_name.clone();
        let producer = produce::Producer::new(
            parts,
            hub.clone(),
            (stop.clone(), restart.clone()),
            counters.clone(),
            turns.clone(),
            tap.clone(),
        )?;
        let thread = std::thread::Builder::new().name("pipeline".into()).spawn(move || {
            log_prefix::works_for(camera_name);
            producer.run();
        })?;
        Ok(Self { hub, stop, restart, counters, copies, tap, turns, thread: Some(thread) })
    }

    /// Whether pictures can be made: false once the thread that makes them has crashed.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// How often the thread that makes pictures has gone around. It does so every two seconds at
    /// least, whatever the camera does, so one that stays where it was has been stuck for so long.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// The pipeline's counts.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Has the source start again, a file from its beginning, if it is running.
    pub fn restarter(&self) -> impl Fn() + Send + Sync + use<> {
        let restart = self.restart.clone();
        move || restart.store(true, Ordering::Relaxed)
    }

    /// Bytes of raw picture copied between camera and encoder.
    #[must_use]
    pub fn copies(&self) -> &CopyMeter {
        &self.copies
    }

    /// Where raw pictures can be had.
    #[must_use]
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Stops the pipeline and releases the camera. Returns when both is done; a camera that is
    /// stuck in its driver is left behind after half a second.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.hub.nudge();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the pipeline thread had crashed");
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
    }
}
