//! A camera's stream: its tracks, and everybody who follows them.
//!
//! In come [`Sample`]s from the [`pipeline`](crate::pipeline), once each; out they go to every
//! [`Viewer`], who may join at any moment, fall behind, change the layer at a key frame, or ask for a
//! key frame. What moves back is the demand: which tracks anybody follows, whether a key frame is
//! wanted, and whether the source's own coding will do.
//!
//! A track has a [`ring`] of the samples a viewer may still need, which says where to begin, and a
//! [`throttle`] that turns a storm of key-frame requests into at most two key frames a second. Neither
//! has a clock or a lock of its own, so that tests drive them by hand.

mod ring;
mod signal;
mod state;
mod throttle;
mod track;
mod viewer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use ring::Published;
pub use signal::{FrameNotifier, PublishSignal};
pub use state::{SourceInfo, SourceState, reasons};
pub use throttle::KeyFrames;
pub use track::{Layer, Totals, TrackId};
pub use viewer::{Delivery, Viewer};

use crate::media::{DelaySummary, Delays, MediaTime, Sample};
use track::{TrackState, Transcoding};

/// A handle to a camera's stream; clones are handles to the same one.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

struct Shared {
    tracks: [Mutex<TrackState>; TrackId::COUNT],
    /// Wakes consumers, of this camera or of several.
    signal: PublishSignal,
    /// Counts what was published, of all tracks.
    published: AtomicU64,
    source: watch::Sender<SourceState>,
    /// Told of every change of the source.
    observer: Box<dyn Fn(&SourceState) + Send + Sync>,
    /// From exposure to here, a track each.
    delays: [Delays; TrackId::COUNT],
    /// How many follow each track, for the pipeline's thread.
    viewers: Mutex<[usize; TrackId::COUNT]>,
    viewers_changed: Condvar,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Hub {
    /// A stream with no samples and no viewers.
    #[must_use]
    pub fn new() -> Self {
        Self::signalling(PublishSignal::default())
    }

    /// The same, giving a signal that other cameras give, too, whenever something is published.
    #[must_use]
    pub fn signalling(signal: PublishSignal) -> Self {
        Self::observed(signal, |_| {})
    }

    /// The same, telling `observer` each time the source is doing otherwise.
    #[must_use]
    pub fn observed(
        signal: PublishSignal,
        observer: impl Fn(&SourceState) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            tracks: Default::default(),
            signal,
            published: AtomicU64::new(0),
            source: watch::Sender::new(SourceState::Idle),
            observer: Box::new(observer),
            delays: Default::default(),
            viewers: Mutex::default(),
            viewers_changed: Condvar::new(),
        }))
    }

    /// Hands a sample to everybody who follows `track`. Samples come in coding order; a time that
    /// does not move forward is moved, because every receiver relies on it.
    pub fn publish(&self, track: TrackId, sample: impl Into<Sample>) {
        let (sample, now) = (sample.into(), MediaTime::now());
        self.0.delays[track.index()].note(now.since(sample.time()));
        {
            let mut state = self.track(track);
            state.totals.samples += 1;
            state.totals.bytes += sample.bytes().len() as u64;
            if sample.is_sync() {
                state.totals.key_frames += u64::from(sample.video().is_some());
                state.throttle.key_frame(now);
            }
            state.ring.push(sample, now);
        }
        self.0.published.fetch_add(1, Ordering::Release);
        self.0.signal.give();
    }

    /// How many samples were published so far, of all tracks.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.0.published.load(Ordering::Acquire)
    }

    /// Asks for a key frame on `layer`.
    pub fn request_key_frame(&self, layer: Layer) {
        let mut state = self.track(TrackId::Video(layer));
        state.totals.key_frame_requests += 1;
        state.throttle.request();
    }

    /// Whether the next picture of `layer` should be a key frame. Takes the request: it says so
    /// once for each.
    #[must_use]
    pub fn take_key_frame_request(&self, layer: Layer) -> bool {
        self.track(TrackId::Video(layer)).throttle.take_request(MediaTime::now)
    }

    /// Waits until somebody watches, at most for `timeout`; says whether somebody does.
    #[must_use]
    pub fn wait_watched(&self, timeout: Duration) -> bool {
        let viewers = lock(&self.0.viewers);
        let waited =
            self.0.viewers_changed.wait_timeout_while(viewers, timeout, |n| watching(n) == 0);
        watching(&waited.unwrap_or_else(PoisonError::into_inner).0) > 0
    }

    /// Wakes whoever is in [`Hub::wait_watched`], so that it notices a shutdown.
    pub fn nudge(&self) {
        self.0.viewers_changed.notify_all();
    }

    /// How many are watching the picture, all layers together.
    #[must_use]
    pub fn viewers(&self) -> usize {
        watching(&lock(&self.0.viewers))
    }

    /// Whether anybody follows `track`, or is about to.
    #[must_use]
    pub fn is_wanted(&self, track: TrackId) -> bool {
        lock(&self.0.viewers)[track.index()] > 0
    }

    /// Tells consumers how the source is doing.
    pub fn set_source(&self, state: SourceState) {
        self.0.source.send_if_modified(|old| {
            let changed = *old != state;
            *old = state;
            if changed {
                (self.0.observer)(old);
            }
            changed
        });
    }

    /// How the source is doing, now and from now on.
    #[must_use]
    pub fn source(&self) -> watch::Receiver<SourceState> {
        self.0.source.subscribe()
    }

    /// Says when samples of any track are published from now on.
    #[must_use]
    pub fn notifier(&self) -> FrameNotifier {
        self.0.signal.notifier()
    }

    /// What went through `track` so far.
    #[must_use]
    pub fn totals(&self, track: TrackId) -> Totals {
        self.track(track).totals
    }

    /// How long samples of `track` took from exposure until they were published.
    #[must_use]
    pub fn delays(&self, track: TrackId) -> DelaySummary {
        self.0.delays[track.index()].summary()
    }

    /// The newest key frame of `layer`, if it is still kept.
    #[must_use]
    pub fn newest_key_frame(&self, layer: Layer) -> Option<Arc<Published>> {
        self.track(TrackId::Video(layer)).ring.newest_sync().cloned()
    }

    /// Whether a key frame comes when one is asked for, on the main layer.
    #[must_use]
    pub fn makes_key_frames(&self) -> bool {
        self.track(TrackId::MAIN).throttle.key_frames() == KeyFrames::OnDemand
    }

    /// Asks for pictures that any viewer decodes, where those of the main layer are passed on as their
    /// source coded them. Answers whether there is hope.
    pub fn request_transcoding(&self) -> bool {
        let mut state = self.track(TrackId::MAIN);
        let hope = state.transcoding != Transcoding::Impossible
            && state.throttle.key_frames() == KeyFrames::SourceControlled;
        if hope {
            state.transcoding = Transcoding::Requested;
        }
        hope
    }

    /// Whether somebody has asked for that.
    #[must_use]
    pub fn is_transcoding_requested(&self) -> bool {
        self.track(TrackId::MAIN).transcoding == Transcoding::Requested
    }

    /// Says that it cannot be done.
    pub fn refuse_transcoding(&self) {
        self.track(TrackId::MAIN).transcoding = Transcoding::Impossible;
    }

    /// Takes back what was asked and said of it: the source starts again, and so do its viewers.
    pub fn reset_transcoding(&self) {
        self.track(TrackId::MAIN).transcoding = Transcoding::NotRequested;
    }

    /// Forgets the pictures of `layer`: the next one belongs to another stream and must be a key
    /// frame. Viewers stay and go on with it.
    pub fn restart_layer(&self, layer: Layer, key_frames: KeyFrames) {
        let mut state = self.track(TrackId::Video(layer));
        state.ring.restart();
        state.throttle.set_key_frames(key_frames);
    }

    fn count(&self, track: TrackId, by: isize) {
        let count = &mut lock(&self.0.viewers)[track.index()];
        *count = count.saturating_add_signed(by);
        self.0.viewers_changed.notify_all();
    }

    fn track(&self, track: TrackId) -> MutexGuard<'_, TrackState> {
        lock(&self.0.tracks[track.index()])
    }
}

/// Those who keep the camera running.
fn watching(viewers: &[usize; TrackId::COUNT]) -> usize {
    Layer::ALL.into_iter().map(|layer| viewers[TrackId::Video(layer).index()]).sum()
}

/// The state behind these locks is whole between any two statements, so a panic elsewhere that
/// poisoned one is no reason to go dark.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
