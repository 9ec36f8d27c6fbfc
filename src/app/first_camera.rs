//! `camera.source = "auto"`: the first camera there is, and the test picture while there is none.
//!
//! A camera may come later than the daemon: its driver is still being loaded, or somebody plugs it
//! in on seeing that it is missing. So the question is asked whenever the source is opened, and now
//! and then while the test picture is shown. Once there was a camera, it is waited for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::camera::pattern::TestPattern;
use crate::camera::{
    Camera, CameraError, Capture, Constraints, Control, ControlValues, Mode, Waker,
};

/// How often a camera is looked for while the test picture is shown.
const LOOK: Duration = Duration::from_secs(2);

/// Whether this build looks for cameras.
pub(super) const LOOKS: bool = cfg!(any(feature = "libcamera", feature = "v4l2"));

/// Why it finds none, where it does not.
pub(super) const LOOKS_FOR_NONE: &str = "this build of Picket looks for no camera, as it was made \
                                         without the features \"libcamera\" and \"v4l2\"";

/// What the test picture is called, here as in `camera.source`.
pub(super) const TEST_PICTURE: &str = "pattern";

/// A camera, and what to call it.
pub(super) type Named = (String, Box<dyn Camera>);

/// The first camera there is, or the test picture.
pub(super) struct FirstCamera {
    find: Box<dyn FnMut() -> Option<Named> + Send>,
    source: Named,
    found: bool,
    looked: Instant,
    /// Wakes the source there is now.
    waker: Arc<Mutex<Option<Waker>>>,
}

impl FirstCamera {
    /// Looks with `find`.
    pub(super) fn new(find: impl FnMut() -> Option<Named> + Send + 'static) -> Self {
        let mut camera = Self {
            find: Box::new(find),
            source: (TEST_PICTURE.into(), Box::new(TestPattern::new())),
            found: false,
            looked: Instant::now(),
            waker: Arc::default(),
        };
        if !camera.look() {
            match LOOKS {
                true => log::info!("no camera found; showing the test picture until there is one"),
                false => log::info!("showing the test picture: {LOOKS_FOR_NONE}"),
            }
        }
        camera
    }

    /// Whether there is a camera now.
    fn look(&mut self) -> bool {
        self.looked = Instant::now();
        if !self.found
            && let Some(source) = (self.find)()
        {
            *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = source.1.waker();
            (self.source, self.found) = (source, true);
        }
        self.found
    }
}

impl Camera for FirstCamera {
    fn name(&self) -> Option<String> {
        Some(self.source.0.clone())
    }

    fn open(&mut self, wanted: &Constraints) -> Result<Mode, CameraError> {
        self.look();
        self.source.1.open(wanted)
    }

    fn capture(&mut self) -> Result<Capture, CameraError> {
        if !self.found && self.looked.elapsed() >= LOOK && self.look() {
            let message = "a camera has come, and takes the place of the test picture";
            return Err(CameraError::NotFound(message.into()));
        }
        self.source.1.capture()
    }

    fn controls(&self) -> Vec<Control> {
        self.source.1.controls()
    }

    fn set_controls(&mut self, values: &ControlValues) -> Result<(), CameraError> {
        self.source.1.set_controls(values)
    }

    fn waker(&self) -> Option<Waker> {
        let waker = self.waker.clone();
        Some(Box::new(move || {
            if let Some(wake) = &*waker.lock().unwrap_or_else(PoisonError::into_inner) {
                wake();
            }
        }))
    }

    fn stop(&mut self) {
        self.source.1.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn width(camera: &mut FirstCamera) -> u32 {
        let wanted = Constraints { width: Some(320), height: Some(240), fps: Some(30.0) };
        camera.open(&wanted).unwrap().width
    }

    #[test]
    fn a_camera_that_comes_late_takes_the_test_picture_s_place() {
        let there = Arc::new(Mutex::new(false));
        let find = there.clone();
        let mut camera = FirstCamera::new(move || {
            let there = *find.lock().unwrap();
            there.then(|| ("late".to_owned(), Box::new(TestPattern::new()) as Box<dyn Camera>))
        });
        assert_eq!(width(&mut camera), 320);
        assert_eq!(camera.name().as_deref(), Some(TEST_PICTURE));
        assert!(camera.capture().is_ok());
        *there.lock().unwrap() = true;
        // Not at once: looking costs something.
        assert!(camera.capture().is_ok());
        camera.looked = Instant::now().checked_sub(LOOK).unwrap();
        assert!(camera.capture().is_err());
        camera.stop();
        width(&mut camera);
        assert_eq!(camera.name().as_deref(), Some("late"));
        // Once it was there, it is waited for.
        *there.lock().unwrap() = false;
        camera.stop();
        width(&mut camera);
        assert_eq!(camera.name().as_deref(), Some("late"));
    }
}
