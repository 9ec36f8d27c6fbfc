//! One encode for all viewers.
//!
//! In come [`AccessUnit`]s from the [`pipeline`](crate::pipeline), once each; out they go to
//! every [`Viewer`], who may join at any moment, fall behind, or ask for a key picture. What moves
//! back is the demand: whether anybody is watching at all, whether a key picture is wanted, and whether
//! the source's own coding will do.
//!
//! The rules are in two small machines without clock or lock of their own, so that tests drive
//! them by hand: [`ring`] keeps the pictures a viewer may still need and says where to begin;
//! [`gate`] turns a storm of key-picture requests into at most two key pictures a second.

mod arrivals;
mod gate;
mod ring;
mod state;
mod viewer;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use arrivals::Arrivals;
pub use state::{SourceInfo, SourceState, reasons};
pub use viewer::{Delivery, Viewer};

use crate::media::{AccessUnit, DelaySummary, Delays, MediaTime};
use arrivals::Bell;
use gate::KeyGate;
use ring::Ring;

/// Which encode of the picture a viewer gets. Today there is one; a second, smaller one is for
/// viewers whose network cannot carry the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Layer {
    /// The picture as the owner configured it.
    #[default]
    Main,
}

impl Layer {
    /// Every layer there is, in the order of [`Layer::index`].
    pub const ALL: [Self; 1] = [Self::Main];

    /// The layer's name in APIs: the `rid` of W3C's `RTCRtpEncodingParameters`.
    #[must_use]
    pub const fn rid(self) -> &'static str {
        match self {
            Self::Main => "main",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Main => 0,
        }
    }
}

/// Whether the source can make a key picture when one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeyPictures {
    /// An encoder is at hand: a key picture comes with the next frame.
    #[default]
    OnDemand,
    /// The pictures were coded elsewhere: key pictures come when they come, and a viewer who
    /// joins is given the group of pictures so far, however old.
    AsTheyCome,
}

/// A handle to the hub; clones are handles to the same one.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

struct Shared {
    layers: [Mutex<LayerState>; Layer::ALL.len()],
    /// Wakes consumers.
    bell: Bell,
    source: watch::Sender<SourceState>,
    /// From exposure to here, a layer each.
    delays: [Delays; Layer::ALL.len()],
    /// Signalled when `watched` may have changed, for the pipeline's thread.
    viewers: Mutex<usize>,
    viewers_changed: Condvar,
}

#[derive(Default)]
struct LayerState {
    ring: Ring,
    gate: KeyGate,
    totals: Totals,
    afresh: Afresh,
}

/// Whether pictures that come coded are to be encoded afresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Afresh {
    #[default]
    Unasked,
    /// Somebody watches who cannot decode them as they come.
    Asked,
    Impossible,
}

/// What went through a layer since the start, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Pictures published.
    pub pictures: u64,
    /// Key pictures among them.
    pub key_pictures: u64,
    /// Bytes of H.264.
    pub bytes: u64,
    /// Key-picture requests heard, before they were coalesced.
    pub key_requests: u64,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Hub {
    /// A hub with no pictures and no viewers.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            layers: Default::default(),
            bell: Bell::default(),
            source: watch::Sender::new(SourceState::Idle),
            delays: Default::default(),
            viewers: Mutex::new(0),
            viewers_changed: Condvar::new(),
        }))
    }

    /// Hands a picture to everybody who watches `layer`. Pictures come in coding order; a time
    /// that does not move forward is moved, because every receiver relies on it.
    pub fn publish(&self, layer: Layer, unit: AccessUnit) {
        let now = MediaTime::now();
        self.0.delays[layer.index()].note(now.since(unit.time()));
        {
            let mut state = self.layer(layer);
            state.totals.pictures += 1;
            state.totals.bytes += unit.bytes().len() as u64;
            if unit.is_key() {
                state.totals.key_pictures += 1;
                state.gate.key_picture(now);
            }
            state.ring.push(unit, now);
        }
        self.0.bell.ring();
    }

    /// A viewer of `layer`. Its existence keeps the camera running.
    #[must_use]
    pub fn join(&self, layer: Layer) -> Viewer {
        *lock(&self.0.viewers) += 1;
        self.0.viewers_changed.notify_all();
        Viewer::new(self.clone(), layer)
    }

    /// Asks for a key picture on `layer`.
    pub fn request_key_picture(&self, layer: Layer) {
        let mut state = self.layer(layer);
        state.totals.key_requests += 1;
        state.gate.request();
    }

    /// Whether the next picture of `layer` should be a key picture. Says so once per request.
    #[must_use]
    pub fn takes_key_picture(&self, layer: Layer) -> bool {
        self.layer(layer).gate.take(MediaTime::now)
    }

    /// Waits until somebody watches, at most for `timeout`; says whether somebody does.
    #[must_use]
    pub fn wait_watched(&self, timeout: Duration) -> bool {
        let viewers = lock(&self.0.viewers);
        let waited = self.0.viewers_changed.wait_timeout_while(viewers, timeout, |n| *n == 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0 > 0
    }

    /// Wakes whoever is in [`Hub::wait_watched`], so that it notices a shutdown.
    pub fn nudge(&self) {
        self.0.viewers_changed.notify_all();
    }

    /// How many are watching, all layers together.
    #[must_use]
    pub fn viewers(&self) -> usize {
        *lock(&self.0.viewers)
    }

    /// Tells consumers how the source is doing.
    pub fn set_source(&self, state: SourceState) {
        self.0.source.send_if_modified(|old| {
            let changed = *old != state;
            *old = state;
            changed
        });
    }

    /// How the source is doing, now and from now on.
    #[must_use]
    pub fn source(&self) -> watch::Receiver<SourceState> {
        self.0.source.subscribe()
    }

    /// Says when pictures of any layer are published from now on.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        Arrivals::new(self.clone())
    }

    /// What went through `layer` so far.
    #[must_use]
    pub fn totals(&self, layer: Layer) -> Totals {
        self.layer(layer).totals
    }

    /// How long pictures of `layer` took from exposure until they were published.
    #[must_use]
    pub fn delays(&self, layer: Layer) -> DelaySummary {
        self.0.delays[layer.index()].summary()
    }

    /// The newest key picture of `layer`, if it is still kept.
    #[must_use]
    pub fn newest_key_picture(&self, layer: Layer) -> Option<Arc<Published>> {
        self.layer(layer).ring.newest_key().cloned()
    }

    /// Whether a key picture comes when one is asked for, on the main layer.
    #[must_use]
    pub fn makes_key_pictures(&self) -> bool {
        self.layer(Layer::Main).gate.key_pictures() == KeyPictures::OnDemand
    }

    /// Asks for pictures that any viewer decodes, where those of `layer` are passed on as their source
    /// coded them. Answers whether there is hope.
    pub fn ask_to_encode_afresh(&self, layer: Layer) -> bool {
        let mut state = self.layer(layer);
        let hope = state.afresh != Afresh::Impossible
            && state.gate.key_pictures() == KeyPictures::AsTheyCome;
        if hope {
            state.afresh = Afresh::Asked;
        }
        hope
    }

    /// Whether somebody has asked for that.
    #[must_use]
    pub fn is_to_encode_afresh(&self, layer: Layer) -> bool {
        self.layer(layer).afresh == Afresh::Asked
    }

    /// Says that it cannot be done.
    pub fn cannot_encode_afresh(&self, layer: Layer) {
        self.layer(layer).afresh = Afresh::Impossible;
    }

    /// Takes back what was asked and said of it: the source begins anew, and so do its viewers.
    pub fn forget_to_encode_afresh(&self, layer: Layer) {
        self.layer(layer).afresh = Afresh::Unasked;
    }

    /// Forgets the pictures of `layer`: the next one belongs to another stream and must be a key
    /// picture. Viewers stay and go on with it.
    pub fn restart_layer(&self, layer: Layer, key_pictures: KeyPictures) {
        let mut state = self.layer(layer);
        state.ring.restart();
        state.gate.set_key_pictures(key_pictures);
    }

    fn leave(&self) {
        let mut viewers = lock(&self.0.viewers);
        *viewers = viewers.saturating_sub(1);
        self.0.viewers_changed.notify_all();
    }

    fn layer(&self, layer: Layer) -> MutexGuard<'_, LayerState> {
        lock(&self.0.layers[layer.index()])
    }
}

/// A picture in the hub.
#[derive(Debug)]
pub struct Published {
    /// The picture.
    pub unit: AccessUnit,
    /// Position in the layer's stream, without gaps.
    pub sequence: u64,
    /// When it entered the hub.
    pub at: MediaTime,
    /// The picture's time, made strictly increasing along the stream.
    pub time: MediaTime,
}

/// The state behind these locks is whole between any two statements, so a panic elsewhere that
/// poisoned one is no reason to go dark.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
