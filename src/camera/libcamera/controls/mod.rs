//! Picket's names for a camera's controls, and libcamera's.
//!
//! In come what a camera says of its controls and the values an owner wants; out come [`Control`]s with
//! their ranges, and the values to put into libcamera's requests.
//!
//! libcamera has several controls for what an owner sees as one: exposure is a mode and a time, flicker
//! a mode and a period. Ranges are those the camera reports; a control it does not report is not there.

mod menus;
mod region;

use std::collections::BTreeMap;

use libcamera::camera::Camera;
use libcamera::control_value::ControlValue as Value;
use libcamera::controls::{
    AfMetering, AfMode, AfTrigger, AnalogueGainMode, ControlId, ExposureTimeMode,
};
use libcamera::geometry::Rectangle;
use libcamera::properties::ScalerCropMaximum;

use self::menus::Menu;
use crate::camera::{Control, ControlRange, ControlValue, ControlValues};

/// What the camera says of its controls, by libcamera's numbers for them.
type ControlInfoMap = BTreeMap<u32, ControlInfo>;

/// What the camera says of one control.
#[derive(Clone, Debug)]
struct ControlInfo {
    min: Value,
    max: Value,
    default: Value,
    /// What it may be, for a control with names; empty if the camera does not list them.
    values: Vec<Value>,
}

/// The controls of one camera.
#[derive(Debug)]
pub(super) struct DriverControls {
    infos: ControlInfoMap,
    /// All of the sensor that can be shown, in its pixels; empty before the camera is configured.
    sensor: Rectangle,
    /// Width and height of the picture.
    picture: (u32, u32),
}

/// Controls that are a number and nothing else.
const NUMBERS: [(&str, ControlId); 5] = [
    ("brightness", ControlId::Brightness),
    ("contrast", ControlId::Contrast),
    ("saturation", ControlId::Saturation),
    ("sharpness", ControlId::Sharpness),
    ("exposure_value", ControlId::ExposureValue),
];

/// A control that is a number, or left to the camera.
struct AutoControl {
    name: &'static str,
    number: ControlId,
    mode: ControlId,
    auto: i32,
    manual: i32,
}

const EXPOSURE: AutoControl = AutoControl {
    name: "exposure",
    number: ControlId::ExposureTime,
    mode: ControlId::ExposureTimeMode,
    auto: ExposureTimeMode::Auto as i32,
    manual: ExposureTimeMode::Manual as i32,
};

const GAIN: AutoControl = AutoControl {
    name: "gain",
    number: ControlId::AnalogueGain,
    mode: ControlId::AnalogueGainMode,
    auto: AnalogueGainMode::Auto as i32,
    manual: AnalogueGainMode::Manual as i32,
};

/// Control values by number; what is put in later wins.
type Changes = BTreeMap<u32, Value>;

impl DriverControls {
    /// The controls of `camera`, whose picture is, or will be, of size `picture`.
    pub(super) fn of(camera: &Camera<'_>, picture: (u32, u32)) -> Self {
        let infos = camera
            .controls()
            .into_iter()
            .map(|(id, info)| {
                let (min, max, default) = (info.min(), info.max(), info.def());
                (id, ControlInfo { min, max, default, values: info.values() })
            })
            .collect();
        let sensor = camera.properties().get::<ScalerCropMaximum>();
        let sensor = sensor.map_or(region::NOTHING, |ScalerCropMaximum(sensor)| sensor);
        Self { infos, sensor, picture }
    }

    /// What an owner may set.
    pub(super) fn controls(&self) -> Vec<Control> {
        let numbers = NUMBERS.into_iter().filter_map(|(name, id)| self.number(name, id));
        let automatic = [EXPOSURE, GAIN].into_iter().filter_map(|control| self.automatic(&control));
        let menus = menus::ALL.iter().filter_map(|menu| self.menu(menu));
        let gains = self.range(ControlId::ColourGains).map(|(min, max)| Control {
            name: "awb_gains",
            range: ControlRange::Numbers { len: 2, min, max },
            default: None,
        });
        let regions = [("af_window", ControlId::AfWindows), ("roi", ControlId::ScalerCrop)];
        let regions = regions.into_iter().filter(|(_, id)| self.info(*id).is_some());
        let regions =
            regions.map(|(name, _)| Control { name, range: ControlRange::Region, default: None });
        let lens = self.number("lens_position", ControlId::LensPosition);
        numbers.chain(automatic).chain(menus).chain(gains).chain(lens).chain(regions).collect()
    }

    /// What to tell the camera when its controls were set as in `before` and are to be set as in
    /// `after`. What is not in `after` goes back to the camera's own choice; what the camera does not
    /// have is left out.
    pub(super) fn changes(
        &self,
        before: &ControlValues,
        after: &ControlValues,
    ) -> Vec<(u32, Value)> {
        let mut changes = Changes::new();
        let changed = |names: &[&str]| names.iter().any(|n| before.get(*n) != after.get(*n));
        for (name, id) in NUMBERS {
            if changed(&[name]) {
                self.set_number(&mut changes, id, after.get(name));
            }
        }
        for control in [EXPOSURE, GAIN] {
            if changed(&[control.name]) {
                self.set_automatic(&mut changes, &control, after.get(control.name));
            }
        }
        for menu in menus::ALL {
            if changed(&[menu.name]) {
                self.set_menu(&mut changes, menu, after.get(menu.name));
            }
        }
        if changed(&["awb", "awb_gains"]) {
            self.set_white_balance(&mut changes, after);
        }
        if changed(&["af_mode", "lens_position"]) {
            self.set_focus(&mut changes, after);
        }
        if changed(&["af_window"]) {
            self.set_focus_window(&mut changes, after.get("af_window"));
        }
        if changed(&["roi"]) {
            self.set_region(&mut changes, after.get("roi"));
        }
        changes.into_iter().collect()
    }

    /// Shortest and longest time a picture can last, in microseconds.
    pub(super) fn frame_duration_limits(&self) -> Option<(i64, i64)> {
        let info = self.info(ControlId::FrameDurationLimits)?;
        Some((number(&info.min)? as i64, number(&info.max)? as i64))
    }

    /// Has every picture last `micros`.
    pub(super) fn frame_duration(micros: i64) -> (u32, Value) {
        (ControlId::FrameDurationLimits as u32, Value::from([micros, micros]))
    }

    fn info(&self, id: ControlId) -> Option<&ControlInfo> {
        self.infos.get(&(id as u32))
    }

    /// Smallest and largest number a control takes.
    fn range(&self, id: ControlId) -> Option<(f64, f64)> {
        let info = self.info(id)?;
        let (min, max) = (number(&info.min)?, number(&info.max)?);
        (min <= max).then_some((min, max))
    }

    fn number(&self, name: &'static str, id: ControlId) -> Option<Control> {
        let (min, max) = self.range(id)?;
        let default = number(&self.info(id)?.default).map(ControlValue::Number);
        Some(Control { name, range: ControlRange::Number { min, max }, default })
    }

    fn automatic(&self, control: &AutoControl) -> Option<Control> {
        let (min, max) = self.range(control.number)?;
        if self.info(control.mode).is_none() {
            return self.number(control.name, control.number);
        }
        let range = ControlRange::AutoOrNumber { min, max };
        Some(Control {
            name: control.name,
            range,
            default: Some(ControlValue::Word("auto".into())),
        })
    }

    fn menu(&self, menu: &Menu) -> Option<Control> {
        let info = self.info(menu.id)?;
        let can = menu.words.iter().filter(|(_, value)| takes(info, *value));
        let can: Vec<_> = can.map(|(word, _)| *word).collect();
        let default = number(&info.default).and_then(|n| menu.word(n as i32));
        let default = default.filter(|word| can.contains(word));
        (!can.is_empty()).then(|| Control {
            name: menu.name,
            range: ControlRange::Words(can),
            default: default.map(|word| ControlValue::Word(word.into())),
        })
    }

    /// Puts in the camera's default, if it has one.
    fn set_default(&self, changes: &mut Changes, id: ControlId) {
        if let Some(info) = self.info(id)
            && !matches!(info.default, Value::None)
        {
            changes.insert(id as u32, info.default.clone());
        }
    }

    fn set_number(&self, changes: &mut Changes, id: ControlId, value: Option<&ControlValue>) {
        match (self.info(id), value) {
            (Some(info), Some(ControlValue::Number(n))) => {
                changes.insert(id as u32, typed(info, *n));
            }
            _ => self.set_default(changes, id),
        }
    }

    /// Puts in `value` if the camera has the control at all.
    fn set_if_there(&self, changes: &mut Changes, id: ControlId, value: impl Into<Value>) {
        if self.info(id).is_some() {
            changes.insert(id as u32, value.into());
        }
    }

    fn set_automatic(
        &self,
        changes: &mut Changes,
        control: &AutoControl,
        value: Option<&ControlValue>,
    ) {
        if let Some(ControlValue::Number(_)) = value {
            self.set_if_there(changes, control.mode, control.manual);
            self.set_number(changes, control.number, value);
        } else if self.info(control.mode).is_some() {
            self.set_if_there(changes, control.mode, control.auto);
        } else {
            self.set_default(changes, control.number);
        }
    }

    fn set_menu(&self, changes: &mut Changes, menu: &Menu, value: Option<&ControlValue>) {
        let Some(info) = self.info(menu.id) else {
            return;
        };
        let word = match value {
            Some(ControlValue::Word(word)) => menu.value(word).filter(|v| takes(info, *v)),
            _ => None,
        };
        let Some(chosen) = word else {
            self.set_default(changes, menu.id);
            return;
        };
        self.set_if_there(changes, menu.id, chosen);
        if menu.id == ControlId::AeFlickerMode
            && let Some(ControlValue::Word(word)) = value
            && let Some(micros) = menus::flicker_period(word)
        {
            self.set_if_there(changes, ControlId::AeFlickerPeriod, micros);
        }
    }

    /// Gains of one's own take the place of the camera's white balance.
    fn set_white_balance(&self, changes: &mut Changes, after: &ControlValues) {
        let gains = match after.get("awb_gains") {
            Some(ControlValue::Numbers(gains)) => <[f64; 2]>::try_from(&gains[..]).ok(),
            _ => None,
        };
        let gains = gains.filter(|_| self.info(ControlId::ColourGains).is_some());
        self.set_if_there(changes, ControlId::AwbEnable, gains.is_none());
        if let Some(gains) = gains {
            let gains = gains.map(|gain| gain as f32);
            changes.insert(ControlId::ColourGains as u32, Value::from(gains));
        }
    }

    /// A lens is where it was put only while focus is manual, and "auto" needs a start signal.
    fn set_focus(&self, changes: &mut Changes, after: &ControlValues) {
        let position = after.get("lens_position");
        let mode = match after.get("af_mode") {
            Some(ControlValue::Word(mode)) => Some(mode.as_str()),
            _ if position.is_some() => Some("manual"),
            _ => None,
        };
        match mode {
            Some("manual") => {
                self.set_if_there(changes, ControlId::AfMode, AfMode::Manual as i32);
                self.set_number(changes, ControlId::LensPosition, position);
            }
            Some("auto") => {
                self.set_if_there(changes, ControlId::AfTrigger, AfTrigger::Start as i32);
            }
            Some(_) => {}
            None => self.set_default(changes, ControlId::AfMode),
        }
    }

    fn set_focus_window(&self, changes: &mut Changes, value: Option<&ControlValue>) {
        if self.info(ControlId::AfWindows).is_none() {
            return;
        }
        let window = region::of(value).map(|region| region::part(self.sensor, region));
        let metering = match window {
            Some(window) => {
                changes.insert(ControlId::AfWindows as u32, Value::from(vec![window]));
                AfMetering::Windows
            }
            None => AfMetering::Auto,
        };
        self.set_if_there(changes, ControlId::AfMetering, metering as i32);
    }

    fn set_region(&self, changes: &mut Changes, value: Option<&ControlValue>) {
        if self.sensor.width == 0 || self.sensor.height == 0 {
            return;
        }
        let part = region::part(self.sensor, region::of(value).unwrap_or(region::ALL));
        let crop = region::in_shape_of(self.picture, part);
        self.set_if_there(changes, ControlId::ScalerCrop, crop);
    }
}

/// Whether a control with names takes the value with this number.
fn takes(info: &ControlInfo, value: i32) -> bool {
    let wanted = f64::from(value);
    if !info.values.is_empty() {
        return info.values.iter().any(|v| number(v) == Some(wanted));
    }
    matches!((number(&info.min), number(&info.max)), (Some(min), Some(max))
        if (min..=max).contains(&wanted))
}

/// The (first) number in a value, if it is one.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Byte(n) => f64::from(*n.first()?),
        Value::Uint16(n) => f64::from(*n.first()?),
        Value::Uint32(n) => f64::from(*n.first()?),
        Value::Int32(n) => f64::from(*n.first()?),
        Value::Int64(n) => *n.first()? as f64,
        // As it is written: 1.12 as a float is a little more, and an owner's 1.12 would be refused.
        Value::Float(n) => n.first()?.to_string().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// `n` as the type the camera uses for this control.
fn typed(info: &ControlInfo, n: f64) -> Value {
    match info.min {
        Value::Byte(_) => Value::from(n.round() as u8),
        Value::Uint16(_) => Value::from(n.round() as u16),
        Value::Uint32(_) => Value::from(n.round() as u32),
        Value::Int32(_) => Value::from(n.round() as i32),
        Value::Int64(_) => Value::from(n.round() as i64),
        _ => Value::from(n as f32),
    }
}

#[cfg(test)]
mod tests;
