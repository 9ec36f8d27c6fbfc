//! What every handler has at hand.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::auth::Authenticator;
use super::metrics::MetricsSource;
use super::pages::Pages;
use super::pictures::Snapshotter;
use super::problem::Problem;
use super::settings::HttpSettings;
use crate::appliance::Device;
use crate::camera::CameraControls;
use crate::events::Events;
use crate::hub::Hub;
use crate::webrtc::WebRtc;

/// A camera, as far as this room needs it.
pub struct Camera {
    /// Its name in addresses.
    pub name: Arc<str>,
    /// Its stream.
    pub hub: Hub,
    /// What its controls are to be set to.
    pub controls: CameraControls,
    /// Makes still pictures; `None` where nothing can.
    pub snapshots: Option<Arc<dyn Snapshotter>>,
    /// Makes the source start again: its timestamps, and a file from its start. Called for
    /// `/close_connection`.
    pub restart_source: Box<dyn Fn() + Send + Sync>,
    /// What its pipeline counts.
    pub metrics: Option<Box<dyn MetricsSource>>,
    /// How long it is given after it was opened, before its first picture.
    pub settle: Duration,
}

/// The other rooms, as far as this one needs them.
pub struct Dependencies {
    /// The cameras, the main one first.
    pub cameras: Vec<Camera>,
    /// What happens.
    pub events: Events,
    /// Where sessions are.
    pub webrtc: Arc<WebRtc>,
    /// Who may sign in.
    pub auth: Arc<Authenticator>,
    /// What pages look like.
    pub pages: Arc<dyn Pages>,
    /// The device itself; `None` where this is not the image.
    pub device: Option<Device>,
    /// What the other rooms count.
    pub metrics: Vec<Box<dyn MetricsSource>>,
    /// Settings of this room.
    pub settings: HttpSettings,
}

/// [`Dependencies`], shared by all requests.
#[derive(Clone)]
pub struct HttpState(Arc<Shared>);

struct Shared {
    dependencies: Dependencies,
    started: Instant,
    /// For each camera, one for each who may watch it by MJPEG.
    mjpeg_permits: HashMap<Arc<str>, Arc<Semaphore>>,
}

impl HttpState {
    /// Takes the dependencies.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        let places = dependencies.settings.mjpeg.viewers.min(Semaphore::MAX_PERMITS);
        let names = dependencies.cameras.iter().map(|camera| camera.name.clone());
        let mjpeg_permits = names.map(|name| (name, Arc::new(Semaphore::new(places)))).collect();
        Self(Arc::new(Shared { dependencies, started: Instant::now(), mjpeg_permits }))
    }

    /// The camera of this name. `main` and `0` are the first.
    pub(super) fn camera(&self, name: &str) -> Result<&Camera, Problem> {
        let cameras = &self.0.dependencies.cameras;
        let found = cameras.iter().find(|camera| *camera.name == *name);
        let first = || cameras.first().filter(|_| ["main", "0"].contains(&name));
        found.or_else(first).ok_or_else(|| {
            let known: Vec<&str> = cameras.iter().map(|camera| &*camera.name).collect();
            Problem::not_found(format!(
                "there is no camera of that name; there are: {}",
                known.join(", ")
            ))
        })
    }

    pub(super) fn started(&self) -> Instant {
        self.0.started
    }

    pub(super) fn mjpeg_permits(&self, camera: &Camera) -> Arc<Semaphore> {
        self.0.mjpeg_permits.get(&camera.name).cloned().unwrap_or_else(|| Semaphore::new(0).into())
    }

    /// How many watch a camera by MJPEG.
    pub(super) fn mjpeg_viewers(&self, camera: &Camera) -> usize {
        let free = self.mjpeg_permits(camera).available_permits();
        self.settings.mjpeg.viewers.saturating_sub(free)
    }
}

impl Deref for HttpState {
    type Target = Dependencies;
    fn deref(&self) -> &Dependencies {
        &self.0.dependencies
    }
}
