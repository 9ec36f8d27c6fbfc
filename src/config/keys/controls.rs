//! Rows for the camera's own controls.

use super::key::{Key, key};
use crate::config::shape::{Choice, Number, Optional, OrAuto, RedBlue, Region, Time, Unit};
use crate::config::{AfMode, Awb, Flicker, Hdr, Metering, NoiseReduction};

pub(super) fn keys() -> Vec<Key> {
    vec![
        key!(
            "camera.controls.brightness",
            camera.controls.brightness,
            Optional(Number(-1.0, 1.0)),
            "From −1, black, to 1, white; 0 is neutral."
        )
        .live()
        .example("0.1"),
        key!(
            "camera.controls.contrast",
            camera.controls.contrast,
            Optional(Number(0.0, 32.0)),
            "0 is flat, 1 neutral."
        )
        .live()
        .example("1.2"),
        key!(
            "camera.controls.saturation",
            camera.controls.saturation,
            Optional(Number(0.0, 32.0)),
            "0 is grey, 1 neutral."
        )
        .live()
        .example("0.9"),
        key!(
            "camera.controls.sharpness",
            camera.controls.sharpness,
            Optional(Number(0.0, 16.0)),
            "0 is none, 1 neutral. More sharpens noise too, which costs bits."
        )
        .live()
        .example("1.5"),
        key!(
            "camera.controls.noise_reduction",
            camera.controls.noise_reduction,
            Optional(Choice(&[
                ("off", NoiseReduction::Off),
                ("minimal", NoiseReduction::Minimal),
                ("fast", NoiseReduction::Fast),
                ("high-quality", NoiseReduction::HighQuality),
            ])),
            "Smooths noise away, and fine detail with it. `high-quality` may reduce the frame rate."
        )
        .live()
        .example("\"fast\""),
        key!(
            "camera.controls.exposure",
            camera.controls.exposure,
            Optional(OrAuto(Time(Unit::Microseconds, 1.0, 60_000_000.0))),
            "Exposure time. One that is longer than a frame lasts slows the camera down."
        )
        .live()
        .example("10000"),
        key!(
            "camera.controls.exposure_value",
            camera.controls.exposure_value,
            Optional(Number(-8.0, 8.0)),
            "Makes automatic exposure darker (below 0) or brighter."
        )
        .unit("stops")
        .live()
        .example("0.5"),
        key!(
            "camera.controls.metering",
            camera.controls.metering,
            Optional(Choice(&[
                ("centre-weighted", Metering::CentreWeighted),
                ("spot", Metering::Spot),
                ("matrix", Metering::Matrix),
                ("custom", Metering::Custom),
            ])),
            "Which part of the picture automatic exposure measures: mostly its middle, only its \
             middle, all of it, or what `camera.tuning_file` says."
        )
        .live()
        .example("\"matrix\""),
        key!(
            "camera.controls.gain",
            camera.controls.gain,
            Optional(OrAuto(Number(1.0, 64.0))),
            "Amplification of the sensor. More shows more in the dark, and more noise."
        )
        .live()
        .example("2"),
        key!(
            "camera.controls.awb",
            camera.controls.awb,
            Optional(Choice(&[
                ("auto", Awb::Auto),
                ("incandescent", Awb::Incandescent),
                ("tungsten", Awb::Tungsten),
                ("fluorescent", Awb::Fluorescent),
                ("indoor", Awb::Indoor),
                ("daylight", Awb::Daylight),
                ("cloudy", Awb::Cloudy),
            ])),
            "White balance: the kind of light in the scene."
        )
        .live()
        .example("\"daylight\""),
        key!(
            "camera.controls.awb_gains",
            camera.controls.awb_gains,
            Optional(RedBlue(0.0, 32.0)),
            "White balance by hand, in place of `awb`: how much red and blue are amplified against \
             green. With both at 1 the picture is as the sensor sees it, which is greenish."
        )
        .live()
        .example("[1.8, 1.5]"),
        key!(
            "camera.controls.af_mode",
            camera.controls.af_mode,
            Optional(Choice(&[
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
            Optional(Region),
            "The part of the picture that automatic focus makes sharp."
        )
        .live()
        .example("[0.4, 0.4, 0.2, 0.2]"),
        key!(
            "camera.controls.lens_position",
            camera.controls.lens_position,
            Optional(Number(0.0, 32.0)),
            "Where manual focus is sharp: 0 is infinity, 2 half a metre, 10 ten centimetres."
        )
        .unit("dioptres")
        .live()
        .example("0.5"),
        key!(
            "camera.controls.hdr",
            camera.controls.hdr,
            Optional(Choice(&[
                ("off", Hdr::Off),
                ("single-exposure", Hdr::SingleExposure),
                ("multi-exposure", Hdr::MultiExposure),
                ("night", Hdr::Night),
            ])),
            "Keeps detail in both light and shade. With several exposures it reduces the frame \
             rate, and what moves may appear twice."
        )
        .live()
        .example("\"single-exposure\""),
        key!(
            "camera.controls.flicker",
            camera.controls.flicker,
            Optional(Choice(&[
                ("off", Flicker::Off),
                ("50hz", Flicker::Hz50),
                ("60hz", Flicker::Hz60),
                ("auto", Flicker::Auto),
            ])),
            "Adapts the exposure time to lights that flicker with the mains: 50 Hz in most of the \
             world, 60 Hz in North America and parts of Asia."
        )
        .live()
        .example("\"50hz\""),
        key!(
            "camera.controls.roi",
            camera.controls.roi,
            Optional(Region),
            "The part of the sensor that is shown: a lossless zoom as long as the sensor has more \
             pixels than the picture."
        )
        .live()
        .example("[0.25, 0.25, 0.5, 0.5]"),
    ]
}
