//! What the configuration means to each room.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::device::OnTheCard;
use super::first_camera::FirstCamera;
use super::meters::House;
use super::password::ConfigFile;
use super::sign_ins::SignIns;
use super::unavailable::Unavailable;
use crate::appliance::{Device, OtherName, Steward};
use crate::camera::file::{FileCamera, FileMode};
#[cfg(feature = "libcamera")]
use crate::camera::libcamera::{self, Flip, LibCamera, Selector};
use crate::camera::pattern::Pattern;
use crate::camera::{Camera, Constraints, ControlPanel};
use crate::config::{self, Config, Places, Problem, ProblemKind, Source};
use crate::http::{self, Auth, PasswordStore, Paths};
use crate::hub::Hub;
use crate::media::h264::{ProfileLevel, level_for};
use crate::pipeline::{FixedSettings, LiveSettings};
use crate::rtc::servers::IceServer;
use crate::rtc::{Rtc, RtcSettings};
use crate::site::{Mount, Report, Site, SiteError, SiteSettings, TemplateFault};
use crate::stills::Stills;
use crate::transform::{Colours, Corner, OverlaySettings, Rotation, TransformSettings};

/// The camera, and what to call it. One that this build cannot drive becomes a camera that says
/// so whenever it is opened: the page then tells the owner, and the daemon runs.
///
/// A clip is passed on as it is coded unless something is to be done to its pictures. What the
/// camera does itself is taken out of `transform`.
pub(super) fn camera(
    config: &Config,
    touched: Touched,
    transform: &mut TransformSettings,
) -> (String, Box<dyn Camera>) {
    let name = config.camera.source.to_string();
    let camera: Box<dyn Camera> = match &config.camera.source {
        Source::Auto => Box::new(first_camera(touched, transform)),
        Source::Pattern => Box::new(Pattern::new()),
        Source::File(path) => Box::new(FileCamera::new(
            path,
            match touched {
                Touched::No => FileMode::PassThrough,
                Touched::Yes => FileMode::Decode,
            },
        )),
        #[cfg(feature = "libcamera")]
        Source::Libcamera(number) => {
            let which = number.map_or(Selector::First, |n| Selector::Index(n as usize));
            Box::new(libcamera(which, transform))
        }
        #[cfg(not(feature = "libcamera"))]
        Source::Libcamera(_) => Box::new(Unavailable::feature("libcamera", "Pi cameras")),
        Source::V4l2(which) => v4l2_camera(Some(which), touched),
        Source::Url(_) | Source::Page(_) | Source::Gst(_) => Box::new(Unavailable::streams()),
    };
    (name, camera)
}

/// The first camera there is, built-in ones before those on USB; without one, the test picture.
#[allow(unused_variables, reason = "a build without camera drivers looks for none")]
fn first_camera(touched: Touched, transform: &mut TransformSettings) -> FirstCamera {
    // One that comes later cannot take anything out of the transform any more.
    #[cfg(feature = "libcamera")]
    let mut built_in = libcamera::is_there().then(|| libcamera(Selector::First, transform));
    FirstCamera::new(move || {
        #[cfg(feature = "libcamera")]
        if libcamera::is_there() {
            let camera = built_in.take().unwrap_or_else(|| LibCamera::new(Selector::First));
            return Some(("libcamera".into(), Box::new(camera)));
        }
        #[cfg(feature = "v4l2")]
        if crate::camera::v4l2::any() {
            return Some(("the first V4L2 camera".into(), v4l2_camera(None, touched)));
        }
        None
    })
}

#[cfg(feature = "v4l2")]
fn v4l2_camera(which: Option<&PathBuf>, touched: Touched) -> Box<dyn Camera> {
    use crate::camera::v4l2::{Coded, V4l2Camera};
    let coded = match touched {
        Touched::No => Coded::PassOn,
        Touched::Yes => Coded::Avoid,
    };
    Box::new(V4l2Camera::new(which.cloned(), coded))
}

#[cfg(not(feature = "v4l2"))]
fn v4l2_camera(_: Option<&PathBuf>, _: Touched) -> Box<dyn Camera> {
    Box::new(Unavailable::feature("v4l2", "USB cameras"))
}

/// A camera that turns and mirrors its pictures itself if it can, which costs no copy.
#[cfg(feature = "libcamera")]
fn libcamera(which: Selector, transform: &mut TransformSettings) -> LibCamera {
    let TransformSettings { rotation, hflip, vflip, .. } = *transform;
    let flip = match (rotation, hflip, vflip) {
        (Rotation::None, true, false) | (Rotation::Half, false, true) => Flip::Horizontal,
        (Rotation::None, false, true) | (Rotation::Half, true, false) => Flip::Vertical,
        (Rotation::None, true, true) | (Rotation::Half, false, false) => Flip::Both,
        _ => Flip::None,
    };
    if flip == Flip::None || !libcamera::can_flip(&which, flip) {
        return LibCamera::new(which);
    }
    (transform.rotation, transform.hflip, transform.vflip) = (Rotation::None, false, false);
    LibCamera::new(which).flipped(flip)
}

/// Whether pictures are changed on their way to the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touched {
    No,
    Yes,
}

impl Touched {
    pub(super) fn by(config: &Config, steps_of_the_program: usize) -> Self {
        // Without writing in the picture, the time zone has no effect.
        let nothing = TransformSettings {
            time_zone: config.device.timezone.to_string(),
            ..Default::default()
        };
        let untouched = transform(config) == nothing && steps_of_the_program == 0;
        if untouched { Self::No } else { Self::Yes }
    }
}

pub(super) fn transform(config: &Config) -> TransformSettings {
    let camera = &config.camera;
    TransformSettings {
        rotation: match camera.rotation {
            config::Rotation::None => Rotation::None,
            config::Rotation::Quarter => Rotation::Clockwise90,
            config::Rotation::Half => Rotation::Half,
            config::Rotation::ThreeQuarters => Rotation::Clockwise270,
        },
        hflip: camera.hflip,
        vflip: camera.vflip,
        frame_size_reduction: camera.frame_size_reduction,
        colours: match camera.colorspace {
            config::Colorspace::Color => Colours::Kept,
            config::Colorspace::Gray => Colours::Gray,
        },
        overlay: overlay(config),
        time_zone: config.device.timezone.to_string(),
    }
}

fn overlay(config: &Config) -> Option<OverlaySettings> {
    let config::Overlay { text, time, position } = &config.camera.overlay;
    (text.is_some() || *time).then(|| OverlaySettings {
        text: text.clone().unwrap_or_default(),
        time_format: time.then(|| "%Y-%m-%d %H:%M:%S".into()),
        corner: match position {
            config::Corner::TopLeft => Corner::TopLeft,
            config::Corner::TopRight => Corner::TopRight,
            config::Corner::BottomLeft => Corner::BottomLeft,
            config::Corner::BottomRight => Corner::BottomRight,
        },
    })
}

pub(super) fn live(config: &Config) -> LiveSettings {
    LiveSettings {
        bitrate_bps: config.encoder.bitrate.bps(),
        fps: config.camera.fps,
        overlay: overlay(config),
    }
}

pub(super) fn fixed(config: &Config) -> FixedSettings {
    FixedSettings {
        constraints: Constraints {
            width: config.camera.width,
            height: config.camera.height,
            fps: None,
        },
        keyframe_interval: config.encoder.keyframe_interval,
        infinite_frames: config.stream.infinite_frames,
        keep_warm: config.stream.keep_warm,
        time_delay: match config.camera.source {
            // Nothing in it has to settle, and its beginning is as good as the rest.
            Source::File(_) => Duration::ZERO,
            _ => config.camera.time_delay,
        },
    }
}

pub(super) fn rtc(config: &Config) -> RtcSettings {
    let camera = &config.camera;
    let (width, height) = (camera.width.unwrap_or(1280), camera.height.unwrap_or(720));
    RtcSettings {
        tcp: config.webrtc.tcp,
        udp_port: config.webrtc.udp_port,
        ipv6: config.webrtc.ipv6,
        announce: config.webrtc.announce.clone(),
        ice_servers: own_ice_servers(config),
        live_broadcast: config.stream.live_broadcast,
        max_viewers: config.stream.max_viewers as usize,
        infinite_frames: config.stream.infinite_frames,
        expected_profile: ProfileLevel::constrained_baseline(level_for(
            width,
            height,
            camera.fps.unwrap_or(30.0),
        )),
    }
}

pub(super) fn site_settings(config: &Config) -> SiteSettings {
    let settings = &config.site;
    // Without a folder to put them in, nothing is fetched; that was told with the file.
    let (url, sha256) = settings.download().filter(|_| settings.data_location.is_some()).unzip();
    SiteSettings {
        data_location: settings.data_location.clone(),
        overwrite_default_files: settings.overwrite_default_files,
        download_url: url.map(|u| u.expose().to_owned()),
        download_sha256: sha256.map(ToString::to_string),
    }
}

/// The site, and what cannot be had of it. What has to be downloaded is, beside everything else:
/// a server that does not answer keeps nobody waiting.
pub(super) fn site(config: &Config, places: &Places) -> (Site, Vec<Problem>) {
    let (opened, download) = match Site::open_at_once(&site_settings(config)) {
        Ok((site, report, download)) => (Ok((site, report)), download),
        Err(error) => (Err(error), None),
    };
    let awaited = download.is_some();
    if let Some(download) = download {
        log::info!("downloading the data-files; the built-in pages are shown until they are here");
        let fetch = move || match download.run() {
            Ok(report) => report.log(),
            Err(error) => log::warn!("the data-files were not downloaded: {error}"),
        };
        if let Err(error) = std::thread::Builder::new().name("download".into()).spawn(fetch) {
            log::warn!("the data-files are not downloaded: {error}");
        }
    }
    furnish(opened, config, places, awaited)
}

/// Adds the owner's folders and pages to a site. What cannot be had is left out: without its data
/// location, the site is the one inside the program. Where files are `awaited`, a page's template
/// may be among them.
pub(super) fn furnish(
    opened: Result<(Site, Report), SiteError>,
    config: &Config,
    places: &Places,
    awaited: bool,
) -> (Site, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut say = |key, entry: &str, kind, message: &str| {
        problems.push(places.entry_problem(key, entry, kind, message));
    };
    let mut site = match opened {
        Ok((site, report)) => {
            for warning in &report.warnings {
                let message = format!("has a fault: {warning}");
                say("site.data_location", "", ProblemKind::Warning, &message);
            }
            Report { warnings: Vec::new(), ..report }.log();
            site
        }
        Err(error) => {
            let message = format!("cannot be used: {error}; the built-in pages are shown");
            say("site.data_location", "", ProblemKind::Refused, &message);
            Site::embedded()
        }
    };
    let mut paths = Paths::built_in();
    for (prefix, folder) in &config.http.mounts {
        let added = Mount::new(prefix.as_str(), folder)
            .map_err(|error| error.to_string())
            .and_then(|mount| {
                paths.add_below(prefix.as_str()).map_err(|error| error.to_string())?;
                site.add_mount(mount).map_err(|error| error.to_string())
            });
        if let Err(why) = added {
            let message = format!("has a folder that is not served: {why}");
            say("http.mounts", prefix.as_str(), ProblemKind::Refused, &message);
        }
    }
    for (path, template) in &config.http.pages {
        let (path, template) = (path.as_str(), template.as_str());
        let added = paths.add(path).map_err(|error| error.to_string()).and_then(|()| {
            let added = match site.add_page(path, template) {
                Err(SiteError::BadPage { fault, .. })
                    if awaited && fault.fault == TemplateFault::Missing =>
                {
                    site.add_page_unseen(path, template)
                }
                added => added,
            };
            added.map_err(|error| error.to_string())
        });
        if let Err(why) = added {
            let message = format!("has a page that is not served: {why}");
            say("http.pages", path, ProblemKind::Refused, &message);
        }
    }
    (site, problems)
}

pub(super) fn auth(config: &Config, file: Option<&Path>, steward: Option<&Steward>) -> Auth {
    let store: Box<dyn PasswordStore> = match steward {
        Some(steward) => Box::new(OnTheCard(steward.clone())),
        None => Box::new(ConfigFile(file.map(Path::to_owned))),
    };
    let auth = Auth::new(&config.auth, store);
    match SignIns::of(config) {
        Some(file) => auth.remembering(Box::new(file)),
        None => {
            log::info!(
                "there is no folder to keep sign-ins in, so that they end with a restart; \
                 site.data_location may name one"
            );
            auth
        }
    }
}

pub(super) fn limits(config: &Config) -> http::Limits {
    http::Limits {
        connections: config.http.max_connections as usize,
        connections_per_address: config.http.max_connections_per_address as usize,
        proxies: config.http.trusted_proxies.clone(),
        ..http::Limits::default()
    }
}

/// The rooms that `http` talks to.
pub(super) struct Rooms {
    pub(super) hub: Hub,
    pub(super) rtc: Arc<Rtc>,
    pub(super) stills: Stills,
    pub(super) auth: Arc<Auth>,
    pub(super) site: Arc<Site>,
    pub(super) ice_servers: http::IceServers,
    pub(super) controls: ControlPanel,
    pub(super) device: Option<Device>,
    pub(super) other_name: watch::Receiver<OtherName>,
}

pub(super) fn http(
    config: &Config,
    rooms: Rooms,
    house: House,
    restart_source: impl Fn() + Send + Sync + 'static,
) -> http::Parts {
    let Rooms { hub, rtc, stills, auth, site, ice_servers, controls, device, other_name } = rooms;
    http::Parts {
        snapshots: Some(Arc::new(stills)),
        meters: vec![Box::new(house)],
        restart_source: Box::new(restart_source),
        hub,
        rtc,
        auth,
        pages: site,
        controls,
        device,
        settings: http::Settings {
            hostname: config.device.hostname.to_string(),
            other_name: Some(other_name),
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
            settle: fixed(config).time_delay,
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
fn allowed_hosts(config: &Config) -> Vec<String> {
    let own = system_name().map(|(name, label)| [name, label.clone(), format!("{label}.local")]);
    let set = config.http.allowed_hosts.iter().map(ToString::to_string);
    set.chain(own.into_iter().flatten()).collect()
}

/// The name that the system goes by, and the first part of it.
pub(super) fn system_name() -> Option<(String, String)> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let label = name.split('.').next().filter(|label| !label.is_empty())?;
    Some((name.to_owned(), label.to_owned()))
}

/// The servers the daemon uses itself.
pub(super) fn own_ice_servers(config: &Config) -> Vec<IceServer> {
    config.webrtc.ice_servers.iter().map(own_ice_server).collect()
}

/// One of them.
pub(super) fn own_ice_server(server: &config::IceServer) -> IceServer {
    IceServer {
        urls: server.urls.iter().map(ToString::to_string).collect(),
        username: server.username.clone(),
        credential: server.credential.as_ref().map(|c| c.expose().to_owned()),
    }
}

/// The servers viewers are told of.
pub(super) fn ice_servers(config: &Config) -> Vec<http::IceServer> {
    let servers = own_ice_servers(config).into_iter();
    servers
        .map(|IceServer { urls, username, credential }| http::IceServer {
            urls,
            username,
            credential,
        })
        .collect()
}
