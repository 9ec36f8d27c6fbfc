//! What every handler has at hand.

use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{Semaphore, watch};

use super::{Auth, LocalDomains, Meters, MjpegSettings, Pages, Snapshotter};
use crate::appliance::{Device, OtherName};
use crate::camera::ControlPanel;
use crate::config::Subnet;
use crate::hub::Hub;
use crate::rtc::Rtc;

/// The other rooms, as far as this one needs them.
pub struct Parts {
    /// Where pictures are.
    pub hub: Hub,
    /// Where sessions are.
    pub rtc: Arc<Rtc>,
    /// Who may sign in.
    pub auth: Arc<Auth>,
    /// What pages look like.
    pub pages: Arc<dyn Pages>,
    /// What the camera's knobs are to be set to.
    pub controls: ControlPanel,
    /// Makes still pictures; `None` where nothing can.
    pub snapshots: Option<Arc<dyn Snapshotter>>,
    /// The device itself; `None` where this is not the image.
    pub device: Option<Device>,
    /// What the other rooms count.
    pub meters: Vec<Box<dyn Meters>>,
    /// Makes the source begin anew: its timestamps, and a file from its start. Called for
    /// `/close_connection`.
    pub restart_source: Box<dyn Fn() + Send + Sync>,
    /// Settings of this room.
    pub settings: Settings,
}

/// Settings of this room.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The device's name, under which it is reached as `name` and `name.local`.
    pub hostname: String,
    /// Another name of its own under which it is reached as `name.local`, while it has one.
    pub other_name: Option<watch::Receiver<OtherName>>,
    /// Further names under which it is reached.
    pub allowed_hosts: Vec<String>,
    /// Domains in which its name is its own.
    pub domains: LocalDomains,
    /// Proxies that are believed whom they speak for.
    pub trusted_proxies: Vec<Subnet>,
    /// Origins whose pages may use the API: `https://example.org`.
    pub cors: Vec<String>,
    /// Whose pages may show this one in a frame, and its pictures, as CSP's `frame-ancestors` has
    /// it: `https://example.org`, `'self'`.
    pub frame_ancestors: Vec<String>,
    /// MJPEG.
    pub mjpeg: MjpegSettings,
    /// How long the camera is given after it was opened, before its first picture.
    pub settle: Duration,
    /// Whether a token may stand in the URL of a picture.
    pub token_in_url: bool,
    /// STUN and TURN servers told to viewers.
    pub ice_servers: IceServers,
    /// Many viewers, or one at a time.
    pub sharing: Sharing,
}

/// Whether viewers share the stream; `stream.live_broadcast` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Many viewers see the same.
    #[default]
    Broadcast,
    /// One viewer, who may end the session and begin it anew through `/close_connection`.
    Single,
}

/// A STUN or TURN server (`RTCIceServer`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IceServer {
    /// `stun:` and `turn:` addresses.
    pub urls: Vec<String>,
    /// User name, for TURN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password, for TURN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// The list of STUN and TURN servers; clones are handles to the same list, which may change while
/// viewers come and go.
#[derive(Debug, Clone, Default)]
pub struct IceServers(Arc<RwLock<Arc<[IceServer]>>>);

impl IceServers {
    /// The servers as of now.
    #[must_use]
    pub fn get(&self) -> Arc<[IceServer]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells viewers of other servers from now on.
    pub fn set(&self, servers: Vec<IceServer>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = servers.into();
    }
}

impl From<Vec<IceServer>> for IceServers {
    fn from(servers: Vec<IceServer>) -> Self {
        let list = Self::default();
        list.set(servers);
        list
    }
}

/// [`Parts`], shared by all requests.
#[derive(Clone)]
pub struct HttpState(Arc<Shared>);

struct Shared {
    parts: Parts,
    started: Instant,
    /// One for each who may watch by MJPEG.
    mjpeg_places: Arc<Semaphore>,
}

impl HttpState {
    /// Takes the parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let places = parts.settings.mjpeg.viewers.min(Semaphore::MAX_PERMITS);
        let mjpeg_places = Arc::new(Semaphore::new(places));
        Self(Arc::new(Shared { parts, started: Instant::now(), mjpeg_places }))
    }

    pub(super) fn started(&self) -> Instant {
        self.0.started
    }

    pub(super) fn mjpeg_places(&self) -> &Arc<Semaphore> {
        &self.0.mjpeg_places
    }

    /// How many watch by MJPEG.
    pub(super) fn mjpeg_viewers(&self) -> usize {
        let free = self.0.mjpeg_places.available_permits();
        self.settings.mjpeg.viewers.saturating_sub(free)
    }
}

impl Deref for HttpState {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}
