//! The cameras of the house: each with its stream, its pipeline, its controls and its stills, and
//! nothing that another one depends on.

use std::sync::Arc;

use tokio::sync::watch;

use super::error::PicketError;
use super::parts::{self, Touched};
use super::{controls, encoders};
use crate::camera::{Camera, CameraControls};
use crate::config::{self, Config};
use crate::events::{Event, Events};
use crate::hub::{Hub, PublishSignal};
use crate::pipeline::{LiveSettings, Parts, Pipeline, log_for};
use crate::stills::Stills;
use crate::transform::{Chain, Transform};
use crate::webrtc::WatchedCamera;

/// What a program brings for one camera.
#[derive(Default)]
pub(super) struct Brought {
    /// A source of its own, in place of the configured one.
    pub(super) camera: Option<Box<dyn Camera>>,
    /// Steps before Picket's own.
    pub(super) transforms: Vec<Box<dyn Transform>>,
}

/// A camera at work.
pub(super) struct CameraUnit {
    pub(super) name: Arc<str>,
    pub(super) hub: Hub,
    pub(super) controls: CameraControls,
    pub(super) stills: Stills,
    pub(super) pipeline: Pipeline,
    live: watch::Sender<LiveSettings>,
    watched: WatchedCamera,
    events: Events,
}

impl CameraUnit {
    /// Starts it; the camera itself rests until somebody watches.
    pub(super) fn start(
        settings: config::CameraSettings<'_>,
        config: &Config,
        brought: Brought,
        signal: &PublishSignal,
        events: &Events,
    ) -> Result<Self, PicketError> {
        let Brought { camera, transforms } = brought;
        let name: Arc<str> = settings.name.as_str().into();
        let hub = {
            let (camera, events) = (name.clone(), events.clone());
            Hub::observed(signal.clone(), move |state| {
                let (camera, state) = (camera.clone(), state.clone());
                events.emit(Event::Source { camera, state });
            })
        };
        let controls = CameraControls::new(controls::controls(settings));
        let touched = Touched::by(settings, config, transforms.len());
        let mut transform = parts::transform(settings, config);
        let (source_name, camera) = match camera {
            Some(camera) => ("the program's own camera".to_owned(), camera),
            None => parts::camera(settings, touched, &mut transform),
        };
        let chain = Chain::new(transform)?;
        let chain = transforms.into_iter().fold(chain, Chain::with_transform);
        let (live, receiver) = watch::channel(parts::live(settings));
        let parts = Parts {
            camera_name: log_name(&name, config),
            source_name,
            camera,
            controls: controls.clone(),
            encoder: encoders::factory(settings.encoder.backend, chain.copies()),
            chain,
            fixed: parts::fixed(settings, config),
            live: receiver,
        };
        let pipeline = Pipeline::start(parts, hub.clone())?;
        let stills = Stills::new(hub.clone(), pipeline.tap().clone());
        let watched = WatchedCamera {
            name: name.clone(),
            hub: hub.clone(),
            expected_profile: parts::expected_profile(settings),
        };
        let events = events.clone();
        Ok(Self { name, hub, controls, stills, pipeline, live, watched, events })
    }

    /// As its viewers see it.
    pub(super) fn watched(&self) -> WatchedCamera {
        self.watched.clone()
    }

    /// What follows its configuration while it runs.
    pub(super) fn live_parts(&self) -> LiveParts {
        LiveParts {
            name: self.name.clone(),
            live: self.live.clone(),
            controls: self.controls.clone(),
            events: self.events.clone(),
        }
    }
}

/// What log lines about a camera begin with: its name, where there are several.
fn log_name(name: &Arc<str>, config: &Config) -> Option<Arc<str>> {
    (!config.cameras.is_empty()).then(|| name.clone())
}

/// What of a camera can change while viewers watch.
pub(super) struct LiveParts {
    name: Arc<str>,
    live: watch::Sender<LiveSettings>,
    controls: CameraControls,
    events: Events,
}

impl LiveParts {
    /// Takes what the configuration says from now on, if it still knows the camera.
    pub(super) fn apply(&self, config: &Config) {
        let mut all = config.all_cameras();
        let Some(settings) = all.find(|camera| camera.name.as_str() == &*self.name) else {
            return;
        };
        let new = parts::live(settings);
        self.live.send_if_modified(|live| {
            let differs = *live != new;
            *live = new;
            differs
        });
        let changed = log_for(log_name(&self.name, config), || {
            self.controls.configure(controls::controls(settings))
        });
        if changed {
            self.events.emit(Event::Controls { camera: self.name.clone() });
        }
    }
}
