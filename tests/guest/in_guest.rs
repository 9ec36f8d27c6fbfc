//! All tests that run in the emulated machine, in one program.

#[path = "../guest.rs"]
mod guest;
#[path = "../guest_gpio.rs"]
mod guest_gpio;
#[path = "../guest_usb.rs"]
mod guest_usb;
#[path = "../libcamera.rs"]
mod libcamera;
#[path = "../libcamera_leaks.rs"]
mod libcamera_leaks;
