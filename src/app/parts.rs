//! What the configuration means to each room.

use std::path::PathBuf;
use std::time::Duration;

use super::first_camera::FirstCamera;
use super::unavailable::Unavailable;
#[cfg(feature = "libcamera")]
use crate::camera::LibcameraSelector;
use crate::camera::file::FileCamera;
#[cfg(feature = "libcamera")]
use crate::camera::libcamera::{self, Flip, LibCamera};
use crate::camera::pattern::TestPattern;
use crate::camera::{Camera, CaptureMode, Constraints};
use crate::config::{self, CameraSettings, Config, Places, Problem, ProblemKind, Source};
use crate::http::RoutePaths;
use crate::media::h264::{ProfileLevel, level_for};
use crate::pipeline::{FixedSettings, LiveSettings, OutputSettings};
use crate::site::{Mount, Site, SiteError, SiteReport, SiteSettings, TemplateFault};
use crate::transform::{OverlaySettings, TransformSettings};
use crate::webrtc::WebRtcSettings;
use crate::webrtc::stun_turn::IceServer;

/// The camera, and what to call it. One that this build cannot drive becomes a camera that says
/// so whenever it is opened: the page then tells the owner, and the daemon runs.
///
/// A clip is passed on as it is coded unless something is to be done to its pictures. What the
/// camera does itself is taken out of `transform`.
pub(super) fn camera(
    settings: CameraSettings<'_>,
    touched: Touched,
    transform: &mut TransformSettings,
) -> (String, Box<dyn Camera>) {
    let source = &settings.camera.source;
    let name = source.to_string();
    let camera: Box<dyn Camera> = match source {
        Source::Auto => Box::new(first_camera(touched, transform)),
        Source::Pattern => Box::new(TestPattern::new()),
        Source::File(path) => Box::new(FileCamera::new(
            path,
            match touched {
                Touched::No => CaptureMode::PassThrough,
                Touched::Yes => CaptureMode::Decode,
            },
        )),
        #[cfg(feature = "libcamera")]
        Source::Libcamera(which) => Box::new(libcamera(which.clone(), transform)),
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
    let mut built_in =
        libcamera::is_there().then(|| libcamera(LibcameraSelector::First, transform));
    FirstCamera::new(move || {
        #[cfg(feature = "libcamera")]
        if libcamera::is_there() {
            let camera =
                built_in.take().unwrap_or_else(|| LibCamera::new(LibcameraSelector::First));
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
    use crate::camera::v4l2::V4l2Camera;
    let coded = match touched {
        Touched::No => CaptureMode::PassThrough,
        Touched::Yes => CaptureMode::Decode,
    };
    Box::new(V4l2Camera::new(which.cloned(), coded))
}

#[cfg(not(feature = "v4l2"))]
fn v4l2_camera(_: Option<&PathBuf>, _: Touched) -> Box<dyn Camera> {
    Box::new(Unavailable::feature("v4l2", "USB cameras"))
}

/// A camera that turns and mirrors its pictures itself if it can, which costs no copy.
#[cfg(feature = "libcamera")]
fn libcamera(which: LibcameraSelector, transform: &mut TransformSettings) -> LibCamera {
    use crate::transform::Rotation;
    let TransformSettings { rotation, hflip, vflip, .. } = *transform;
    let flip = match (rotation, hflip, vflip) {
        (Rotation::None, true, false) | (Rotation::Clockwise180, false, true) => Flip::Horizontal,
        (Rotation::None, false, true) | (Rotation::Clockwise180, true, false) => Flip::Vertical,
        (Rotation::None, true, true) | (Rotation::Clockwise180, false, false) => Flip::Both,
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
    pub(super) fn by(
        settings: CameraSettings<'_>,
        config: &Config,
        steps_of_the_program: usize,
    ) -> Self {
        // Without writing in the picture, the time zone has no effect.
        let nothing = TransformSettings {
            time_zone: config.device.timezone.to_string(),
            ..Default::default()
        };
        let untouched = transform(settings, config) == nothing && steps_of_the_program == 0;
        if untouched { Self::No } else { Self::Yes }
    }
}

pub(super) fn transform(
    CameraSettings { camera, .. }: CameraSettings<'_>,
    config: &Config,
) -> TransformSettings {
    TransformSettings {
        rotation: camera.rotation,
        hflip: camera.hflip,
        vflip: camera.vflip,
        frame_size_reduction: camera.frame_size_reduction,
        colour_mode: camera.colorspace,
        overlay: overlay(camera),
        time_zone: config.device.timezone.to_string(),
    }
}

fn overlay(camera: &config::Camera) -> Option<OverlaySettings> {
    let config::Overlay { text, time, position } = &camera.overlay;
    (text.is_some() || *time).then(|| OverlaySettings {
        text: text.clone().unwrap_or_default(),
        time_format: time.then(|| "%Y-%m-%d %H:%M:%S".into()),
        corner: *position,
    })
}

pub(super) fn live(settings: CameraSettings<'_>) -> LiveSettings {
    let CameraSettings { camera, encoder, .. } = settings;
    let main = OutputSettings::main(encoder.bitrate.bps());
    LiveSettings { outputs: vec![main], fps: camera.fps, overlay: overlay(camera) }
}

pub(super) fn fixed(settings: CameraSettings<'_>, config: &Config) -> FixedSettings {
    let CameraSettings { camera, encoder, .. } = settings;
    FixedSettings {
        constraints: Constraints { width: camera.width, height: camera.height, fps: None },
        keyframe_interval: encoder.keyframe_interval,
        infinite_frames: config.stream.infinite_frames,
        keep_warm: config.stream.keep_warm,
        time_delay: time_delay(camera),
    }
}

/// How long a camera is given to settle.
pub(super) fn time_delay(camera: &config::Camera) -> Duration {
    match camera.source {
        // Nothing in it has to settle, and its beginning is as good as the rest.
        Source::File(_) => Duration::ZERO,
        _ => camera.time_delay,
    }
}

/// What a camera is expected to send, where no picture has shown it yet.
pub(super) fn expected_profile(settings: CameraSettings<'_>) -> ProfileLevel {
    let camera = settings.camera;
    let (width, height) = (camera.width.unwrap_or(1280), camera.height.unwrap_or(720));
    ProfileLevel::constrained_baseline(level_for(width, height, camera.fps.unwrap_or(30.0)))
}

pub(super) fn webrtc(config: &Config) -> WebRtcSettings {
    WebRtcSettings {
        tcp: config.webrtc.tcp,
        udp_port: config.webrtc.udp_port,
        ipv6: config.webrtc.ipv6,
        announce: config.webrtc.announce.clone(),
        ice_servers: ice_servers(config),
        live_broadcast: config.stream.live_broadcast,
        max_viewers: config.stream.max_viewers as usize,
        infinite_frames: config.stream.infinite_frames,
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
    let (opened, download) = match Site::open_without_download(&site_settings(config)) {
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
    opened: Result<(Site, SiteReport), SiteError>,
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
            SiteReport { warnings: Vec::new(), ..report }.log();
            site
        }
        Err(error) => {
            let message = format!("cannot be used: {error}; the built-in pages are shown");
            say("site.data_location", "", ProblemKind::Refused, &message);
            Site::embedded()
        }
    };
    if !config.cameras.is_empty() && !awaited && !shows_any_camera(&site) {
        let message = "has an index.html that shows the main camera whichever is asked for; with \
                       site.overwrite_default_files it is replaced by one that shows all of them";
        say("site.data_location", "", ProblemKind::Warning, message);
    }
    let mut paths = RoutePaths::built_in();
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
                    site.add_page_unchecked(path, template)
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

/// Whether the page of one camera is told which one, as those of one-camera versions are not.
fn shows_any_camera(site: &Site) -> bool {
    const NAME: &str = "a-camera-of-this-name";
    let values = serde_json::json!({ "camera": NAME, "cameras": [NAME, "another"] });
    site.render("index.html", &values).is_ok_and(|page| page.contains(NAME))
}

/// The name that the system goes by, and the first part of it.
pub(super) fn system_name() -> Option<(String, String)> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let label = name.split('.').next().filter(|label| !label.is_empty())?;
    Some((name.to_owned(), label.to_owned()))
}

/// The STUN and TURN servers, for the daemon and for viewers.
pub(super) fn ice_servers(config: &Config) -> Vec<IceServer> {
    config.webrtc.ice_servers.iter().map(ice_server).collect()
}

/// One of them.
pub(super) fn ice_server(server: &config::IceServer) -> IceServer {
    IceServer {
        urls: server.urls.iter().map(ToString::to_string).collect(),
        username: server.username.clone(),
        credential: server.credential.as_ref().map(|c| c.expose().to_owned()),
    }
}
