//! libcamera's camera manager, of which a process may have only one.
//!
//! It is started when a camera is first asked for and, once there was one, never stopped: cameras,
//! buffers and callbacks may live as long as it does, and it is what notices that a camera comes or
//! goes.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libcamera::camera::Camera;
use libcamera::camera_manager::CameraManager;
use libcamera::properties;
use libcamera::stream::StreamRole;

use super::controls::DriverControls;
use super::error::io_error;
use super::event::CaptureEvent;
use super::ffi::Manager;
use crate::camera::{CameraError, CameraInfo, LibcameraSelector, Location, ModeInfo};

static MANAGER: Mutex<Option<Manager>> = Mutex::new(None);

/// Whether a camera has been handed out, which must not outlive its manager.
static HANDED_OUT: AtomicBool = AtomicBool::new(false);

/// The sessions to tell when the camera of an id is gone.
static WATCHERS: Mutex<Vec<(String, Sender<CaptureEvent>)>> = Mutex::new(Vec::new());

/// The cameras there are, built-in ones first. Numbers count in this order, which is that of
/// `rpicam-hello --list-cameras`, so that it stays the same from boot to boot.
fn cameras() -> Result<Vec<Camera<'static>>, CameraError> {
    let mut manager = lock(&MANAGER);
    let mut cameras = list_of(manager.as_ref());
    if cameras.is_empty() && !HANDED_OUT.load(Ordering::Relaxed) {
        // Where there is no udev to tell of new cameras, a manager that starts sees them. There may be
        // one at a time.
        *manager = None;
        *manager = Some(start()?);
        cameras = list_of(manager.as_ref());
    }
    HANDED_OUT.fetch_or(!cameras.is_empty(), Ordering::Relaxed);
    cameras.sort_by_cached_key(|c| (is_external(c), Reverse(c.id().to_owned())));
    Ok(cameras)
}

fn list_of(manager: Option<&Manager>) -> Vec<Camera<'static>> {
    let list = manager.map(|manager| manager.0.cameras());
    let list = list.as_ref();
    (0..list.map_or(0, |l| l.len())).filter_map(|i| list?.get(i)).collect()
}

fn start() -> Result<Manager, CameraError> {
    let mut manager = CameraManager::new_unstarted().map_err(io_error("cannot use libcamera"))?;
    manager.on_camera_removed(|camera| {
        let id = camera.id();
        lock(&WATCHERS).retain(|(watched, watcher)| {
            watched != id || watcher.send(CaptureEvent::Removed).is_err()
        });
    });
    manager.start().map_err(io_error("cannot start libcamera"))?;
    log::debug!("libcamera {} started", manager.version());
    Ok(Manager(manager))
}

/// Has `watcher` told when the camera is gone.
pub(super) fn watch(id: &str, watcher: Sender<CaptureEvent>) {
    lock(&WATCHERS).push((id.to_owned(), watcher));
}

/// Ends all watching of the camera.
pub(super) fn unwatch(id: &str) {
    lock(&WATCHERS).retain(|(watched, _)| watched != id);
}

/// The camera that `selector` means.
pub(super) fn find(selector: &LibcameraSelector) -> Result<Camera<'static>, CameraError> {
    let mut cameras = cameras()?;
    let at = match selector {
        LibcameraSelector::First => Some(0),
        LibcameraSelector::Index(index) => Some(*index),
        LibcameraSelector::Id(id) => cameras.iter().position(|camera| camera.id() == id),
    };
    if let Some(at) = at.filter(|at| *at < cameras.len()) {
        return Ok(cameras.swap_remove(at));
    }
    let mut there: Vec<_> = cameras.iter().map(|camera| format!("\"{}\"", camera.id())).collect();
    there.sort();
    Err(CameraError::NotFound(match (selector, there.len()) {
        (_, 0) => "no camera was found: check that its cable sits straight at both ends, and \
                   that config.txt has camera_auto_detect=1 or the dtoverlay of your camera"
            .into(),
        (LibcameraSelector::Index(index), 1) => {
            format!("there is no camera number {index}: there is one, number 0")
        }
        (LibcameraSelector::Index(index), n) => {
            format!("there is no camera number {index}: there are {n}, counted from 0")
        }
        (LibcameraSelector::Id(id), _) => {
            format!("there is no camera \"{id}\": there is {}", there.join(" and "))
        }
        (LibcameraSelector::First, _) => "the camera is gone".into(),
    }))
}

/// Whether there is a camera that is built in, as on a Pi's ribbon cable. Those on a USB cable are in
/// libcamera's list too, but V4L2 gets more out of them.
pub(super) fn any_built_in() -> Result<bool, CameraError> {
    Ok(cameras()?.iter().any(|camera| !is_external(camera)))
}

/// All cameras there are.
pub(super) fn list() -> Result<Vec<CameraInfo>, CameraError> {
    Ok(cameras()?.iter().enumerate().map(|(index, camera)| info(index, camera)).collect())
}

fn info(index: usize, camera: &Camera<'_>) -> CameraInfo {
    CameraInfo {
        source: format!("libcamera:{index}"),
        id: camera.id().to_owned(),
        model: model(camera),
        location: location(camera),
        modes: modes(camera),
        controls: DriverControls::of(camera, (16, 9)).controls(),
    }
}

fn modes(camera: &Camera<'_>) -> Vec<ModeInfo> {
    let Some(configuration) = camera.generate_configuration(&[StreamRole::VideoRecording]) else {
        return Vec::new();
    };
    let Some(stream) = configuration.get(0) else {
        return Vec::new();
    };
    let formats = stream.formats();
    let layouts = formats.pixel_formats();
    let sizes = |format| formats.sizes(format).into_iter().map(move |size| (format, size));
    layouts
        .into_iter()
        .flat_map(sizes)
        .map(|(format, size)| ModeInfo {
            format: format.to_string(),
            width: size.width,
            height: size.height,
            // Known only once the camera is configured.
            max_fps: None,
        })
        .collect()
}

/// What to call the camera in messages.
pub(super) fn model(camera: &Camera<'_>) -> String {
    let model = camera.properties().get::<properties::Model>();
    model.map_or_else(|_| camera.id().to_owned(), |properties::Model(model)| model)
}

fn location(camera: &Camera<'_>) -> Option<Location> {
    Some(match camera.properties().get::<properties::Location>().ok()? {
        properties::Location::CameraFront => Location::Front,
        properties::Location::CameraBack => Location::Back,
        properties::Location::CameraExternal => Location::External,
    })
}

fn is_external(camera: &Camera<'_>) -> bool {
    location(camera) == Some(Location::External)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
