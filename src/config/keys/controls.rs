//! Rows for the camera's own knobs.

use super::{Key, key};
use crate::config::shape::{Maybe, OrAuto, Real, RedBlue, Region, Time, Unit, Words};
use crate::config::{AfMode, Awb, Flicker, Hdr, Metering, NoiseReduction};

pub(super) fn keys() -> Vec<Key> {
    vec![
        key!(
            "camera.controls.brightness",
            camera.controls.brightness,
            Maybe(Real(-1.0, 1.0)),
            "From −1, black, to 1, white; 0 is neutral."
        )
        .live()
        .example("0.1"),
        key!(
            "camera.controls.contrast",
            camera.controls.contrast,
            Maybe(Real(0.0, 32.0)),
            "0 is flat, 1 neutral."
        )
        .live()
        .example("1.2"),
        key!(
            "camera.controls.saturation",
            camera.controls.saturation,
            Maybe(Real(0.0, 32.0)),
            "0 is grey, 1 neutral."
        )
        .live()
        .example("0.9"),
        key!(
            "camera.controls.sharpness",
            camera.controls.sharpness,
            Maybe(Real(0.0, 16.0)),
            "0 is none, 1 neutral. More sharpens noise too, which costs bits."
        )
        .live()
        .example("1.5"),
        key!(
            "camera.controls.noise_reduction",
            camera.controls.noise_reduction,
            Maybe(Words(&[
                ("off", NoiseReduction::Off),
                ("minimal", NoiseReduction::Minimal),
                ("fast", NoiseReduction::Fast),
                ("high-quality", NoiseReduction::HighQuality),
            ])),
            "Smooths noise away, and fine detail with it. `high-quality` may cost frame rate."
        )
        .live()
        .example("\"fast\""),
        key!(
            "camera.controls.exposure",
            camera.controls.exposure,
            Maybe(OrAuto(Time(Unit::Microseconds, 1.0, 60_000_000.0))),
            "Shutter time. One longer than a picture lasts slows the camera down."
        )
        .live()
        .example("10000"),
        key!(
            "camera.controls.exposure_value",
            camera.controls.exposure_value,
            Maybe(Real(-8.0, 8.0)),
            "Makes automatic exposure darker (below 0) or lighter."
        )
        .unit("stops")
        .live()
        .example("0.5"),
        key!(
            "camera.controls.metering",
            camera.controls.metering,
            Maybe(Words(&[
                ("centre-weighted", Metering::CentreWeighted),
                ("spot", Metering::Spot),
                ("matrix", Metering::Matrix),
                ("custom", Metering::Custom),
            ])),
            "Which part of the picture automatic exposure goes by: mostly its middle, only its \
             middle, all of it, or what `camera.tuning_file` says."
        )
        .live()
        .example("\"matrix\""),
        key!(
            "camera.controls.gain",
            camera.controls.gain,
            Maybe(OrAuto(Real(1.0, 64.0))),
            "Amplification of the sensor. More shows more in the dark, and more noise."
        )
        .live()
        .example("2"),
        key!(
            "camera.controls.awb",
            camera.controls.awb,
            Maybe(Words(&[
                ("auto", Awb::Auto),
                ("incandescent", Awb::Incandescent),
                ("tungsten", Awb::Tungsten),
                ("fluorescent", Awb::Fluorescent),
                ("indoor", Awb::Indoor),
                ("daylight", Awb::Daylight),
                ("cloudy", Awb::Cloudy),
            ])),
            "White balance: the light to reckon with."
        )
        .live()
        .example("\"daylight\""),
        key!(
            "camera.controls.awb_gains",
            camera.controls.awb_gains,
            Maybe(RedBlue(0.0, 32.0)),
            "White balance by hand, in place of `awb`: how much red and blue are amplified \
             against green. Both at 1 is what the sensor sees, which is greenish."
        )
        .live()
        .example("[1.8, 1.5]"),
        key!(
            "camera.controls.af_mode",
            camera.controls.af_mode,
            Maybe(Words(&[
                ("manual", AfMode::Manual),
                ("auto", AfMode::Auto),
                ("continuous", AfMode::Continuous),
            ])),
            "Focus: where `lens_position` puts it, once at the start, or all the time."
        )
        .live()
        .example("\"continuous\""),
        key!(
            "camera.controls.af_window",
            camera.controls.af_window,
            Maybe(Region),
            "The part of the picture that automatic focus makes sharp."
        )
        .live()
        .example("[0.4, 0.4, 0.2, 0.2]"),
        key!(
            "camera.controls.lens_position",
            camera.controls.lens_position,
            Maybe(Real(0.0, 32.0)),
            "Where manual focus is sharp: 0 is infinity, 2 half a metre, 10 ten centimetres."
        )
        .unit("dioptres")
        .live()
        .example("0.5"),
        key!(
            "camera.controls.hdr",
            camera.controls.hdr,
            Maybe(Words(&[
                ("off", Hdr::Off),
                ("single-exposure", Hdr::SingleExposure),
                ("multi-exposure", Hdr::MultiExposure),
                ("night", Hdr::Night),
            ])),
            "Keeps detail in both light and shade. From several exposures it costs frame rate, and \
             what moves may show twice."
        )
        .live()
        .example("\"single-exposure\""),
        key!(
            "camera.controls.flicker",
            camera.controls.flicker,
            Maybe(Words(&[
                ("off", Flicker::Off),
                ("50hz", Flicker::Hz50),
                ("60hz", Flicker::Hz60),
                ("auto", Flicker::Auto),
            ])),
            "Suits the shutter to lamps that flicker with the mains: 50 Hz in most of the world, \
             60 Hz in North America and parts of Asia."
        )
        .live()
        .example("\"50hz\""),
        key!(
            "camera.controls.roi",
            camera.controls.roi,
            Maybe(Region),
            "The part of the sensor that is shown: a zoom without loss as far as the sensor has \
             more pixels than the picture."
        )
        .live()
        .example("[0.25, 0.25, 0.5, 0.5]"),
    ]
}
