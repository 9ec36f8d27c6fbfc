//! All tests that run in the emulated machine, in one program.

#[path = "../guest.rs"]
mod guest;
#[path = "../libcamera.rs"]
mod libcamera;
#[path = "../libcamera_leaks.rs"]
mod libcamera_leaks;
