//! What the `http` room is given: the other rooms, and what the configuration means to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::cameras::CameraUnit;
use super::device::OnTheCard;
use super::meters::{PipelineMetrics, ProcessMetrics};
use super::parts::{system_name, time_delay};
use super::password::ConfigFile;
use super::sign_ins::SignIns;
use crate::appliance::{AlternativeName, Device, StewardClient};
use crate::config::Config;
use crate::events::Events;
use crate::http::{self, Authenticator, PasswordStore};
use crate::site::Site;
use crate::webrtc::WebRtc;

pub(super) fn auth(
    config: &Config,
    file: Option<&Path>,
    steward: Option<&StewardClient>,
) -> Authenticator {
    let store: Box<dyn PasswordStore> = match steward {
        Some(steward) => Box::new(OnTheCard(steward.clone())),
        None => Box::new(ConfigFile(file.map(Path::to_owned))),
    };
    let auth = Authenticator::new(&config.auth, store);
    match SignIns::of(config) {
        Some(file) => auth.with_session_store(Box::new(file)),
        None => {
            log::info!(
                "sign-ins will not survive a restart: set site.data_location to a folder to keep \
                 them in"
            );
            auth
        }
    }
}

pub(super) fn limits(config: &Config) -> http::ServerLimits {
    http::ServerLimits {
        max_connections: config.http.max_connections as usize,
        max_connections_per_address: config.http.max_connections_per_address as usize,
        proxies: config.http.trusted_proxies.clone(),
        ..http::ServerLimits::default()
    }
}

/// The rooms that `http` talks to.
pub(super) struct Rooms {
    pub(super) webrtc: Arc<WebRtc>,
    pub(super) events: Events,
    pub(super) auth: Arc<Authenticator>,
    pub(super) site: Arc<Site>,
    pub(super) ice_servers: http::IceServers,
    pub(super) device: Option<Device>,
    pub(super) other_name: watch::Receiver<AlternativeName>,
    pub(super) secure_page: Option<http::SecurePage>,
}

/// A camera as `http` knows it.
fn http_camera(unit: &CameraUnit, config: &Config) -> http::Camera {
    let settings = config.all_cameras().find(|camera| camera.name.as_str() == &*unit.name);
    http::Camera {
        name: unit.name.clone(),
        hub: unit.hub.clone(),
        controls: unit.controls.clone(),
        snapshots: Some(Arc::new(unit.stills.clone())),
        restart_source: Box::new(unit.pipeline.restarter()),
        metrics: Some(Box::new(PipelineMetrics {
            counters: unit.pipeline.counters().clone(),
            copies: unit.pipeline.copies().clone(),
            stills: unit.stills.clone(),
        })),
        settle: settings.map_or(Duration::ZERO, |settings| time_delay(settings.camera)),
    }
}

pub(super) fn dependencies(
    config: &Config,
    cameras: &[CameraUnit],
    rooms: Rooms,
    runtime: &Handle,
) -> http::Dependencies {
    let Rooms { webrtc, events, auth, site, ice_servers, device, .. } = rooms;
    http::Dependencies {
        cameras: cameras.iter().map(|unit| http_camera(unit, config)).collect(),
        metrics: vec![Box::new(ProcessMetrics { runtime: runtime.clone() })],
        webrtc,
        events,
        auth,
        pages: site,
        device,
        settings: http::HttpSettings {
            hostname: config.device.hostname.to_string(),
            other_name: Some(rooms.other_name),
            secure_page: rooms.secure_page,
            allowed_hosts: allowed_hosts(config),
            domains: http::LocalDomains::of("/etc/resolv.conf"),
            trusted_proxies: config.http.trusted_proxies.clone(),
            token_in_url: config.http.token_in_url,
            cors: config.http.cors.iter().map(ToString::to_string).collect(),
            frame_ancestors: config.http.frame_ancestors.iter().map(ToString::to_string).collect(),
            mjpeg: http::MjpegSettings {
                fps: config.stream.mjpeg_fps,
                viewers: if config.stream.live_broadcast {
                    config.stream.max_viewers as usize
                } else {
                    1
                },
            },
            ice_servers,
            sharing: if config.stream.live_broadcast {
                http::Sharing::Broadcast
            } else {
                http::Sharing::Single
            },
        },
    }
}

/// The names of the configuration, and those this machine goes by without it: on a system that
/// Picket was added to, that has a name already.
pub(super) fn allowed_hosts(config: &Config) -> Vec<String> {
    let own = system_name().map(|(name, label)| [name, label.clone(), format!("{label}.local")]);
    let set = config.http.allowed_hosts.iter().map(ToString::to_string);
    set.chain(own.into_iter().flatten()).collect()
}
