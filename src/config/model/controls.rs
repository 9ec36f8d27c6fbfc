//! `[camera.controls]`: the camera's own controls.
//!
//! They reach a camera by their names and as plain values (see `app::controls`), so a new one is
//! a field here and a row in `keys/controls.rs`; the camera says which of them it has.

use std::time::Duration;

use crate::config::values::Roi;

/// `[camera.controls]`. What is `None` stays as the camera has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Controls {
    /// −1 (black) to 1 (white).
    pub brightness: Option<f64>,
    /// 0 (flat) upwards; 1 is neutral.
    pub contrast: Option<f64>,
    /// 0 (grey) upwards; 1 is neutral.
    pub saturation: Option<f64>,
    /// 0 (none) upwards; 1 is neutral.
    pub sharpness: Option<f64>,
    /// Smoothing of noise.
    pub noise_reduction: Option<NoiseReduction>,
    /// Exposure time.
    pub exposure: Option<Auto<Duration>>,
    /// Correction of automatic exposure, in stops.
    pub exposure_value: Option<f64>,
    /// Which part of the picture automatic exposure measures.
    pub metering: Option<Metering>,
    /// Amplification of the sensor, 1 upwards.
    pub gain: Option<Auto<f64>>,
    /// White balance.
    pub awb: Option<Awb>,
    /// White balance fixed by hand.
    pub awb_gains: Option<Gains>,
    /// Focus.
    pub af_mode: Option<AfMode>,
    /// The part of the picture that is to be sharp.
    pub af_window: Option<Roi>,
    /// Focus distance in dioptres, for [`AfMode::Manual`]; 0 is infinity.
    pub lens_position: Option<f64>,
    /// High dynamic range.
    pub hdr: Option<Hdr>,
    /// Compensation for lights that flicker.
    pub flicker: Option<Flicker>,
    /// The part of the sensor that is shown.
    pub roi: Option<Roi>,
}

/// Left to the camera, or fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auto<T> {
    /// The camera decides, picture by picture.
    Auto,
    /// Always this.
    Fixed(T),
}

/// The kind of light that white balance assumes; the names are those of libcamera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awb {
    /// Found out from the picture.
    Auto,
    /// Light bulbs.
    Incandescent,
    /// Studio lamps.
    Tungsten,
    /// Fluorescent tubes.
    Fluorescent,
    /// Light in rooms, of whatever kind.
    Indoor,
    /// The sun.
    Daylight,
    /// An overcast sky.
    Cloudy,
}

/// Amplification of two colours against green.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gains {
    /// Of red, 0 to 32.
    pub red: f64,
    /// Of blue, 0 to 32.
    pub blue: f64,
}

/// How much work is put into removing noise; the names are those of libcamera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseReduction {
    /// None.
    Off,
    /// As little as the camera can.
    Minimal,
    /// As much as does not lower the frame rate.
    Fast,
    /// As much as the camera can, at a lower frame rate if need be.
    HighQuality,
}

/// Which part of the picture automatic exposure measures; the names are those of libcamera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metering {
    /// All of it, the middle above all.
    CentreWeighted,
    /// The middle only.
    Spot,
    /// All of it.
    Matrix,
    /// As the tuning file says.
    Custom,
}

/// How the lens is focused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfMode {
    /// It stays where [`Controls::lens_position`] puts it.
    Manual,
    /// Once, at the start.
    Auto,
    /// All the time.
    Continuous,
}

/// How a high dynamic range is achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hdr {
    /// Not at all.
    Off,
    /// From one exposure, by tone mapping.
    SingleExposure,
    /// From several exposures.
    MultiExposure,
    /// From several exposures, for the dark.
    Night,
}

/// Mains frequency of the lights in view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flicker {
    /// Daylight, or lights that do not flicker.
    Off,
    /// 50 Hz mains.
    Hz50,
    /// 60 Hz mains.
    Hz60,
    /// The camera finds out.
    Auto,
}
