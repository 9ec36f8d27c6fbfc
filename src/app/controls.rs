//! What `[camera.controls]` asks of the camera.

use crate::camera::{ControlValue, ControlValues};
use crate::config::{CameraSettings, Config, keys};

/// Each key of the section that is set, under its name there and in its unit.
pub(super) fn controls(settings: CameraSettings<'_>) -> ControlValues {
    // The keys read a whole configuration, of which this camera is then the main one.
    let config = &Config { camera: settings.camera.clone(), ..Config::default() };
    let keys = keys().iter().map(|key| (key.split(), key));
    keys.filter(|((section, _), _)| *section == "camera.controls")
        .filter_map(|((_, name), key)| Some((name.to_owned(), plain(key.value(config)?)?)))
        .collect()
}

/// A value as it stands in the file. No control is a switch, a date or a table; were one added,
/// the test below would fail.
fn plain(value: toml::Value) -> Option<ControlValue> {
    match value {
        toml::Value::String(word) => Some(ControlValue::Word(word)),
        toml::Value::Array(list) => {
            let numbers: Option<Vec<f64>> = list.iter().map(number).collect();
            numbers.map(ControlValue::Numbers)
        }
        other => number(&other).map(ControlValue::Number),
    }
}

fn number(value: &toml::Value) -> Option<f64> {
    match value {
        toml::Value::Integer(number) => Some(*number as f64),
        toml::Value::Float(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: &Config) -> ControlValues {
        controls(config.all_cameras().next().unwrap())
    }

    #[test]
    fn every_key_of_the_section_reaches_the_camera() {
        assert_eq!(of(&Config::default()), ControlValues::new());
        let mut config = Config::default();
        let mut set = Vec::new();
        for key in keys().iter().filter(|key| key.split().0 == "camera.controls") {
            let example = key.example.unwrap();
            config.apply_set(&format!("{}={example}", key.name)).unwrap();
            set.push(key.split().1.to_owned());
        }
        set.sort_unstable();
        assert_eq!(of(&config).into_keys().collect::<Vec<_>>(), set);
    }

    #[test]
    fn values_are_plain_and_in_the_unit_of_their_key() {
        let mut config = Config::default();
        for set in ["exposure=10000", "gain=\"auto\"", "awb=\"daylight\"", "awb_gains=[1.5, 2]"] {
            config.apply_set(&format!("camera.controls.{set}")).unwrap();
        }
        let word = |word: &str| ControlValue::Word(word.to_owned());
        let expected = [
            ("awb", word("daylight")),
            ("awb_gains", ControlValue::Numbers(vec![1.5, 2.0])),
            ("exposure", ControlValue::Number(10_000.0)),
            ("gain", word("auto")),
        ];
        let expected: ControlValues =
            expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(of(&config), expected);
    }
}
