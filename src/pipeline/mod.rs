//! From the camera to the hub: the one line along which pictures are made.
//!
//! Two threads do it. One drives the [`Camera`] and may be held up by it for as long as a driver
//! likes ([`capture`]). The other takes what the camera delivers, transforms it, encodes it and
//! publishes it in the [`Hub`]; when nothing comes it says so, shows a card in place of the
//! picture and has the camera opened again ([`produce`]). When a software encoder needs more time
//! than there is, pictures are left out evenly ([`sustain`]). On the way to the encoder, a picture is
//! also given to who asks for a raw one ([`tap`]). Neither thread ever waits for a viewer, and both
//! rest while nobody watches.

mod afresh;
mod capture;
mod produce;
mod submissions;
mod sustain;
mod tap;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::camera::{Camera, Constraints, ControlPanel};
use crate::encoder::{Encoder, EncoderError, EncoderSettings, Sink};
use crate::hub::Hub;
use crate::media::Delays;
use crate::transform::{Chain, CopyMeter, OverlaySettings};

pub use tap::Tap;

/// Makes an encoder for the given settings.
pub type EncoderFactory =
    Box<dyn FnMut(EncoderSettings, Sink) -> Result<Box<dyn Encoder>, EncoderError> + Send>;

/// What a pipeline is made of.
pub struct Parts {
    /// The source as the owner calls it, for messages.
    pub source_name: String,
    /// The camera.
    pub camera: Box<dyn Camera>,
    /// What the camera's knobs are to be set to; may change while pictures flow.
    pub controls: ControlPanel,
    /// What happens to pictures before they are encoded.
    pub chain: Chain,
    /// Makes encoders.
    pub encoder: EncoderFactory,
    /// What stays as it is until a restart.
    pub fixed: FixedSettings,
    /// What may change while pictures flow.
    pub live: watch::Receiver<LiveSettings>,
}

/// Settings that need a restart.
#[derive(Clone, Debug)]
pub struct FixedSettings {
    /// Wished size of the camera's picture; the rate is in [`LiveSettings`].
    pub constraints: Constraints,
    /// Longest time between key pictures.
    pub keyframe_interval: Duration,
    /// Show a card while the source is away, rather than end the stream with the source.
    pub infinite_frames: bool,
    /// Keep camera and encoder running without viewers.
    pub keep_warm: bool,
    /// How long a camera's first pictures are taken and thrown away, so that it settles.
    pub time_delay: Duration,
}

/// Settings that take effect at once.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveSettings {
    /// Encoder's target in bits a second.
    pub bitrate_bps: u32,
    /// Wished pictures a second.
    pub fps: Option<f64>,
    /// Text drawn into the picture.
    pub overlay: Option<OverlaySettings>,
}

/// Counts for the metrics, kept since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Raw pictures taken from the camera.
    pub captured: AtomicU64,
    /// Raw pictures dropped because a newer one was there before they were looked at.
    pub dropped: AtomicU64,
    /// Raw pictures left out because this machine has no time to encode them all.
    pub left_out: AtomicU64,
    /// Raw pictures encoded, cards included. An encoder may skip some.
    pub encoded: AtomicU64,
    /// From exposure until the pipeline takes a raw picture up.
    pub capture: Delays,
    /// Spent transforming a raw picture.
    pub transform: Delays,
    /// From handing a raw picture to the encoder until its access unit is published.
    pub encode: Delays,
    /// Times the camera was lost.
    pub camera_losses: AtomicU64,
    /// Times the encoder was made anew after an error.
    pub encoder_restarts: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

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
        let producer = produce::Producer::new(
            parts,
            hub.clone(),
            (stop.clone(), restart.clone()),
            counters.clone(),
            turns.clone(),
            tap.clone(),
        )?;
        let thread =
            std::thread::Builder::new().name("pipeline".into()).spawn(move || producer.run())?;
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

    /// Has the source begin anew, a file from its start, if it is running.
    pub fn restarter(&self) -> impl Fn() + Send + Sync + use<> {
        let restart = self.restart.clone();
        move || restart.store(true, Ordering::Relaxed)
    }

    /// Bytes of raw picture written anew between camera and encoder.
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
