//! A USB camera's controls under Picket's names.
//!
//! Drivers count in numbers of their own. Where Picket has a neutral value (brightness 0, contrast
//! 1) it is the driver's default, and each side of it reaches to the driver's end.

use v4l::v4l_sys as sys;

use crate::camera::{CameraError, Control, ControlRange, ControlValue, ControlValues};
use crate::v4l2::{self, Device};

/// How Picket's numbers become a driver's.
#[derive(Clone, Copy)]
enum Scale {
    /// Picket's least, neutral and most stand for the driver's least, default and most.
    Around { least: f64, neutral: f64, most: f64 },
    /// The driver's number times this is Picket's; the words in `auto` let the camera decide.
    Times { factor: f64, auto: Option<Automatic> },
    /// Words for the driver's numbers.
    Words(&'static [(&'static str, i32)]),
}

/// A control that turns automatic setting of another on and off.
#[derive(Clone, Copy)]
struct Automatic {
    id: u32,
    on: i32,
    off: i32,
}

const KNOWN: [(&str, u32, Scale); 9] = [
    (
        "brightness",
        sys::V4L2_CID_BRIGHTNESS,
        Scale::Around { least: -1.0, neutral: 0.0, most: 1.0 },
    ),
    ("contrast", sys::V4L2_CID_CONTRAST, Scale::Around { least: 0.0, neutral: 1.0, most: 2.0 }),
    ("saturation", sys::V4L2_CID_SATURATION, Scale::Around { least: 0.0, neutral: 1.0, most: 2.0 }),
    ("sharpness", sys::V4L2_CID_SHARPNESS, Scale::Around { least: 0.0, neutral: 1.0, most: 2.0 }),
    (
        "exposure",
        sys::V4L2_CID_EXPOSURE_ABSOLUTE,
        // In units of 100 µs; aperture priority is what cameras with a fixed iris call automatic.
        Scale::Times {
            factor: 100.0,
            auto: Some(Automatic { id: sys::V4L2_CID_EXPOSURE_AUTO, on: 3, off: 1 }),
        },
    ),
    (
        "gain",
        sys::V4L2_CID_GAIN,
        Scale::Times {
            factor: 1.0,
            auto: Some(Automatic { id: sys::V4L2_CID_AUTOGAIN, on: 1, off: 0 }),
        },
    ),
    ("af_mode", sys::V4L2_CID_FOCUS_AUTO, Scale::Words(&[("manual", 0), ("continuous", 1)])),
    ("awb", sys::V4L2_CID_AUTO_WHITE_BALANCE, Scale::Words(&[("auto", 1)])),
    (
        "flicker",
        sys::V4L2_CID_POWER_LINE_FREQUENCY,
        Scale::Words(&[("off", 0), ("50hz", 1), ("60hz", 2), ("auto", 3)]),
    ),
];

/// The controls a device has.
pub(super) fn list(device: &Device) -> Vec<Control> {
    let each = KNOWN.iter().filter_map(|(name, id, scale)| {
        let control = device.control(*id)?;
        let range = match *scale {
            Scale::Around { least, most, .. } => ControlRange::Number { min: least, max: most },
            Scale::Times { factor, auto } => {
                let (min, max) = (control.min as f64 * factor, control.max as f64 * factor);
                match auto.and_then(|auto| device.control(auto.id)) {
                    Some(_) => ControlRange::AutoOrNumber { min, max },
                    None => ControlRange::Number { min, max },
                }
            }
            Scale::Words(words) => {
                let there = words.iter().filter(|(_, n)| in_range(&control, *n));
                ControlRange::Words(there.map(|(word, _)| *word).collect())
            }
        };
        Some(Control { name, range, default: Some(default_of(&control, *scale)) })
    });
    each.collect()
}

fn in_range(control: &v4l2::ControlInfo, number: i32) -> bool {
    (control.min..=control.max).contains(&i64::from(number))
}

fn default_of(control: &v4l2::ControlInfo, scale: Scale) -> ControlValue {
    match scale {
        Scale::Around { neutral, .. } => ControlValue::Number(neutral),
        Scale::Times { auto: Some(_), .. } => ControlValue::Word("auto".into()),
        Scale::Times { factor, auto: None } => {
            ControlValue::Number(control.default as f64 * factor)
        }
        Scale::Words(words) => {
            let word = words.iter().find(|(_, n)| i64::from(*n) == control.default);
            ControlValue::Word(word.map_or("auto", |(word, _)| word).into())
        }
    }
}

/// Sets all controls: to the values given, and to the driver's default without one.
pub(super) fn set(device: &Device, values: &ControlValues) -> Result<(), CameraError> {
    let mut refused = Vec::new();
    for (name, id, scale) in KNOWN {
        let Some(control) = device.control(id) else {
            continue;
        };
        let value = values.get(name).cloned().unwrap_or_else(|| default_of(&control, scale));
        if let Err(error) = set_one(device, &control, scale, &value) {
            // What was not asked for may be locked by something else that is automatic.
            if values.contains_key(name) {
                refused.push(format!("{name} = {value}: {error}"));
            }
        }
    }
    match refused.is_empty() {
        true => Ok(()),
        false => {
            Err(CameraError::Unsupported(format!("the camera refused {}", refused.join(", "))))
        }
    }
}

fn set_one(
    device: &Device,
    control: &v4l2::ControlInfo,
    scale: Scale,
    value: &ControlValue,
) -> std::io::Result<()> {
    match (scale, value) {
        (Scale::Around { least, neutral, most }, ControlValue::Number(n)) => {
            device.set_control(control.id, around(control, (least, neutral, most), *n))
        }
        (Scale::Times { auto: Some(auto), .. }, ControlValue::Word(_)) => {
            device.set_control(auto.id, auto.on)
        }
        (Scale::Times { factor, auto }, ControlValue::Number(n)) => {
            // Not every camera has the switch, and some number its menu in another way.
            if let Some(auto) = auto
                && let Err(error) = device.set_control(auto.id, auto.off)
            {
                log::debug!("the camera's {} cannot be set by hand: {error}", control.name);
            }
            device.set_control(control.id, clamped(control, n / factor))
        }
        (Scale::Words(words), ControlValue::Word(word)) => {
            match words.iter().find(|(known, _)| known == word) {
                Some((_, number)) => device.set_control(control.id, *number),
                None => Err(std::io::ErrorKind::InvalidInput.into()),
            }
        }
        _ => Err(std::io::ErrorKind::InvalidInput.into()),
    }
}

/// Picket's number `n`, between `least` and `most`, on the driver's scale.
fn around(control: &v4l2::ControlInfo, (least, neutral, most): (f64, f64, f64), n: f64) -> i32 {
    let (min, default, max) = (control.min as f64, control.default as f64, control.max as f64);
    let number = if n < neutral {
        min + (default - min) * (n - least) / (neutral - least)
    } else {
        default + (max - default) * (n - neutral) / (most - neutral)
    };
    clamped(control, number)
}

fn clamped(control: &v4l2::ControlInfo, number: f64) -> i32 {
    let max = control.max.max(control.min);
    let whole = (number.round() as i64).clamp(control.min, max);
    i32::try_from(whole).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neutral_is_the_driver_s_default_and_the_ends_are_its_ends() {
        let control = v4l2::ControlInfo {
            id: sys::V4L2_CID_BRIGHTNESS,
            name: "Brightness".into(),
            min: -64,
            max: 64,
            step: 1,
            default: 16,
        };
        let scale = (-1.0, 0.0, 1.0);
        assert_eq!(around(&control, scale, 0.0), 16);
        assert_eq!(around(&control, scale, -1.0), -64);
        assert_eq!(around(&control, scale, 1.0), 64);
        assert_eq!(around(&control, scale, 0.5), 40);
        let impossible = v4l2::ControlInfo { min: i64::MAX, max: i64::MIN, ..control };
        assert_eq!(around(&impossible, scale, 0.5), 0);
    }
}
