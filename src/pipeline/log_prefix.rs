//! Which camera a thread works for, so that its log lines can begin with that.
//!
//! What is logged on these threads comes from many rooms (cameras, encoders, steps of the transform),
//! which know nothing of other cameras.

use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static CAMERA: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// The calling thread works for `camera` from now on; nothing to say where there is one camera only.
pub(super) fn works_for(camera: Option<Arc<str>>) {
    CAMERA.set(camera);
}

/// Does `work` with log lines that begin with `camera`, as those of its own threads do.
pub fn log_for<T>(camera: Option<Arc<str>>, work: impl FnOnce() -> T) -> T {
    let before = CAMERA.replace(camera);
    let done = work();
    CAMERA.set(before);
    done
}

/// "garden: " on the threads of the camera `garden`; empty where there is only one camera.
#[must_use]
pub fn log_prefix() -> String {
    CAMERA
        .with_borrow(|camera| camera.as_ref().map_or_else(String::new, |name| format!("{name}: ")))
}
