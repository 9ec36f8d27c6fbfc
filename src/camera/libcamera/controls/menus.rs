//! Controls that are set to one of several words.

use libcamera::controls::{
    AeFlickerMode, AeMeteringMode, AfMode, AwbMode, ControlId, HdrMode, NoiseReductionMode,
};

/// A control's words and what libcamera has for them.
pub(super) struct Menu {
    pub(super) name: &'static str,
    pub(super) id: ControlId,
    pub(super) words: &'static [(&'static str, i32)],
}

pub(super) const ALL: &[Menu] = &[
    Menu {
        name: "awb",
        id: ControlId::AwbMode,
        words: &[
            ("auto", AwbMode::AwbAuto as i32),
            ("incandescent", AwbMode::AwbIncandescent as i32),
            ("tungsten", AwbMode::AwbTungsten as i32),
            ("fluorescent", AwbMode::AwbFluorescent as i32),
            ("indoor", AwbMode::AwbIndoor as i32),
            ("daylight", AwbMode::AwbDaylight as i32),
            ("cloudy", AwbMode::AwbCloudy as i32),
        ],
    },
    Menu {
        name: "metering",
        id: ControlId::AeMeteringMode,
        words: &[
            ("centre-weighted", AeMeteringMode::MeteringCentreWeighted as i32),
            ("spot", AeMeteringMode::MeteringSpot as i32),
            ("matrix", AeMeteringMode::MeteringMatrix as i32),
            ("custom", AeMeteringMode::MeteringCustom as i32),
        ],
    },
    Menu {
        name: "af_mode",
        id: ControlId::AfMode,
        words: &[
            ("manual", AfMode::Manual as i32),
            ("auto", AfMode::Auto as i32),
            ("continuous", AfMode::Continuous as i32),
        ],
    },
    Menu {
        name: "hdr",
        id: ControlId::HdrMode,
        words: &[
            ("off", HdrMode::Off as i32),
            ("single-exposure", HdrMode::SingleExposure as i32),
            ("multi-exposure", HdrMode::MultiExposure as i32),
            ("night", HdrMode::Night as i32),
        ],
    },
    Menu {
        name: "flicker",
        id: ControlId::AeFlickerMode,
        words: &[
            ("off", AeFlickerMode::FlickerOff as i32),
            ("50hz", AeFlickerMode::FlickerManual as i32),
            ("60hz", AeFlickerMode::FlickerManual as i32),
            ("auto", AeFlickerMode::FlickerAuto as i32),
        ],
    },
    Menu {
        name: "noise_reduction",
        id: ControlId::NoiseReductionMode,
        words: &[
            ("off", NoiseReductionMode::Off as i32),
            ("minimal", NoiseReductionMode::Minimal as i32),
            ("fast", NoiseReductionMode::Fast as i32),
            ("high-quality", NoiseReductionMode::HighQuality as i32),
        ],
    },
];

impl Menu {
    pub(super) fn value(&self, word: &str) -> Option<i32> {
        self.words.iter().find(|(w, _)| *w == word).map(|(_, value)| *value)
    }

    pub(super) fn word(&self, value: i32) -> Option<&'static str> {
        self.words.iter().find(|(_, v)| *v == value).map(|(word, _)| *word)
    }
}

/// How long lights on mains of this frequency take from one flash to the next, in microseconds: they
/// flash twice a period.
pub(super) fn flicker_period(word: &str) -> Option<i32> {
    match word {
        "50hz" => Some(10_000),
        "60hz" => Some(8_333),
        _ => None,
    }
}
