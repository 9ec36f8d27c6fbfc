use super::*;

fn info(min: impl Into<Value>, max: impl Into<Value>, default: impl Into<Value>) -> ControlInfo {
    ControlInfo { min: min.into(), max: max.into(), default: default.into(), values: Vec::new() }
}

fn named(values: &[i32], default: Value) -> ControlInfo {
    let value = |n: Option<&i32>| n.map_or(Value::None, |n| Value::from(*n));
    ControlInfo {
        min: value(values.first()),
        max: value(values.last()),
        default,
        values: values.iter().map(|n| Value::from(*n)).collect(),
    }
}

/// A Camera Module 3 as libcamera 0.7.1's `rpi/vc4` reports it in a 16:9 mode.
fn imx708() -> DriverControls {
    let modes = |last: i32| (0..=last).collect::<Vec<_>>();
    let infos = [
        (ControlId::Brightness, info(-1.0f32, 1.0f32, 0.0f32)),
        (ControlId::Contrast, info(0.0f32, 32.0f32, 1.0f32)),
        (ControlId::Saturation, info(0.0f32, 32.0f32, 1.0f32)),
        (ControlId::Sharpness, info(0.0f32, 16.0f32, 1.0f32)),
        (ControlId::ExposureValue, info(-8.0f32, 8.0f32, 0.0f32)),
        (ControlId::ExposureTimeMode, named(&[0, 1], Value::from(0))),
        (ControlId::ExposureTime, info(26, 220_417_486, 20_000)),
        (ControlId::AnalogueGainMode, named(&[0, 1], Value::from(0))),
        (ControlId::AnalogueGain, info(1.12f32, 16.0f32, 1.0f32)),
        (
            ControlId::AwbEnable,
            ControlInfo { values: Vec::new(), ..info(false, true, Value::None) },
        ),
        (ControlId::AwbMode, named(&modes(7), Value::from(0))),
        (ControlId::ColourGains, info(0.0f32, 32.0f32, Value::None)),
        (ControlId::AeMeteringMode, named(&modes(3), Value::from(0))),
        (ControlId::AeFlickerMode, named(&[0, 1], Value::from(0))),
        (ControlId::AeFlickerPeriod, info(100, 1_000_000, Value::None)),
        (ControlId::HdrMode, named(&modes(4), Value::from(0))),
        (ControlId::NoiseReductionMode, named(&modes(4), Value::from(0))),
        (ControlId::AfMode, named(&modes(2), Value::from(0))),
        (ControlId::AfMetering, named(&[0, 1], Value::from(0))),
        (ControlId::AfWindows, info(region::NOTHING, region::NOTHING, Value::None)),
        (ControlId::AfTrigger, named(&[0, 1], Value::from(0))),
        (ControlId::LensPosition, info(0.0f32, 32.0f32, 1.0f32)),
        (ControlId::ScalerCrop, info(region::NOTHING, region::NOTHING, Value::None)),
        (ControlId::FrameDurationLimits, info(8333i64, 220_535_845i64, [33_333i64, 33_333])),
    ];
    DriverControls {
        infos: infos.into_iter().map(|(id, info)| (id as u32, info)).collect(),
        sensor: Rectangle { x: 768, y: 432, width: 3072, height: 1728 },
        picture: (1280, 720),
    }
}

fn bare() -> DriverControls {
    DriverControls { infos: ControlInfoMap::new(), sensor: region::NOTHING, picture: (1280, 720) }
}

fn values(pairs: &[(&str, ControlValue)]) -> ControlValues {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn word(word: &str) -> ControlValue {
    ControlValue::Word(word.into())
}

fn numbers(numbers: &[f64]) -> ControlValue {
    ControlValue::Numbers(numbers.to_vec())
}

/// Libcamera's values have no equality; their debug form tells them apart.
fn shown(changes: &[(u32, Value)]) -> Vec<String> {
    let show = |(id, value): &(u32, Value)| {
        let id = ControlId::try_from(*id).expect("a control");
        format!("{id:?} {value:?}")
    };
    changes.iter().map(show).collect()
}

fn set(pairs: &[(&str, ControlValue)]) -> Vec<String> {
    shown(&imx708().changes(&ControlValues::new(), &values(pairs)))
}

fn reset(pairs: &[(&str, ControlValue)]) -> Vec<String> {
    shown(&imx708().changes(&values(pairs), &ControlValues::new()))
}

#[test]
fn a_camera_s_controls_have_the_ranges_it_reports() {
    let controls = imx708().controls();
    let shown: Vec<_> = controls
        .iter()
        .map(|control| {
            let default = control.default.as_ref().map(|d| format!(", {d}")).unwrap_or_default();
            format!("{}: {}{default}", control.name, control.range)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "brightness: a number from -1 to 1, 0",
            "contrast: a number from 0 to 32, 1",
            "saturation: a number from 0 to 32, 1",
            "sharpness: a number from 0 to 16, 1",
            "exposure_value: a number from -8 to 8, 0",
            "exposure: \"auto\" or a number from 26 to 220417486, \"auto\"",
            "gain: \"auto\" or a number from 1.12 to 16, \"auto\"",
            "awb: one of \"auto\", \"incandescent\", \"tungsten\", \"fluorescent\", \"indoor\", \
             \"daylight\", \"cloudy\", \"auto\"",
            "metering: one of \"centre-weighted\", \"spot\", \"matrix\", \"custom\", \
             \"centre-weighted\"",
            "af_mode: one of \"manual\", \"auto\", \"continuous\", \"manual\"",
            "hdr: one of \"off\", \"single-exposure\", \"multi-exposure\", \"night\", \"off\"",
            // The Pi does not find the mains frequency out by itself.
            "flicker: one of \"off\", \"50hz\", \"60hz\", \"off\"",
            "noise_reduction: one of \"off\", \"minimal\", \"fast\", \"high-quality\", \"off\"",
            "awb_gains: a list of 2 numbers from 0 to 32",
            "lens_position: a number from 0 to 32, 1",
            "af_window: [x, y, width, height], each a share from 0 to 1, within the picture",
            "roi: [x, y, width, height], each a share from 0 to 1, within the picture",
        ]
    );
    assert_eq!(imx708().frame_duration_limits(), Some((8333, 220_535_845)));
}

#[test]
fn a_camera_without_controls_takes_none_and_tells_of_none() {
    assert_eq!(bare().controls(), []);
    assert_eq!(bare().frame_duration_limits(), None);
    let all = values(&[
        ("brightness", ControlValue::Number(0.5)),
        ("exposure", ControlValue::Number(1000.0)),
        ("gain", word("auto")),
        ("awb", word("daylight")),
        ("awb_gains", numbers(&[1.0, 1.0])),
        ("flicker", word("50hz")),
        ("af_mode", word("auto")),
        ("lens_position", ControlValue::Number(1.0)),
        ("af_window", numbers(&[0.0, 0.0, 1.0, 1.0])),
        ("roi", numbers(&[0.0, 0.0, 0.5, 0.5])),
    ]);
    assert_eq!(shown(&bare().changes(&ControlValues::new(), &all)), [""; 0]);
    assert_eq!(shown(&bare().changes(&all, &ControlValues::new())), [""; 0]);
}

#[test]
fn numbers_are_sent_in_the_camera_s_own_type() {
    assert_eq!(set(&[("brightness", ControlValue::Number(0.5))]), ["Brightness Float([0.5])"]);
    assert_eq!(reset(&[("contrast", ControlValue::Number(2.0))]), ["Contrast Float([1.0])"]);
}

#[test]
fn exposure_and_gain_are_fixed_or_left_to_the_camera() {
    assert_eq!(
        set(&[("exposure", ControlValue::Number(10_000.4)), ("gain", word("auto"))]),
        [
            "ExposureTime Int32([10000])",
            "ExposureTimeMode Int32([1])",
            "AnalogueGainMode Int32([0])"
        ]
    );
    assert_eq!(
        reset(&[("exposure", ControlValue::Number(10_000.0))]),
        ["ExposureTimeMode Int32([0])"]
    );
}

#[test]
fn flicker_is_named_by_the_mains() {
    assert_eq!(
        set(&[("flicker", word("50hz"))]),
        ["AeFlickerMode Int32([1])", "AeFlickerPeriod Int32([10000])"]
    );
    assert_eq!(reset(&[("flicker", word("60hz"))]), ["AeFlickerMode Int32([0])"]);
}

#[test]
fn gains_of_one_s_own_turn_white_balance_off_and_on_again() {
    let gains = ("awb_gains", numbers(&[1.5, 2.0]));
    assert_eq!(
        set(&[gains.clone(), ("awb", word("daylight"))]),
        ["AwbEnable Bool([false])", "AwbMode Int32([5])", "ColourGains Float([1.5, 2.0])"]
    );
    assert_eq!(reset(&[gains]), ["AwbEnable Bool([true])"]);
}

#[test]
fn a_lens_position_makes_focus_manual_unless_it_is_said_otherwise() {
    let near = ("lens_position", ControlValue::Number(10.0));
    assert_eq!(
        set(std::slice::from_ref(&near)),
        ["AfMode Int32([0])", "LensPosition Float([10.0])"]
    );
    assert_eq!(set(&[near, ("af_mode", word("continuous"))]), ["AfMode Int32([2])"]);
    assert_eq!(set(&[("af_mode", word("auto"))]), ["AfMode Int32([1])", "AfTrigger Int32([0])"]);
}

#[test]
fn regions_are_in_the_pixels_of_the_sensor() {
    let rectangle = |x, y, width, height| format!("{:?}", Rectangle { x, y, width, height });
    assert_eq!(
        set(&[("roi", numbers(&[0.5, 0.5, 0.5, 0.5]))]),
        [format!("ScalerCrop Rectangle([{}])", rectangle(2304, 1296, 1536, 864))]
    );
    assert_eq!(
        reset(&[("roi", numbers(&[0.5, 0.5, 0.5, 0.5]))]),
        [format!("ScalerCrop Rectangle([{}])", rectangle(768, 432, 3072, 1728))]
    );
    assert_eq!(
        set(&[("af_window", numbers(&[0.0, 0.0, 0.25, 0.5]))]),
        [
            "AfMetering Int32([1])".to_owned(),
            format!("AfWindows Rectangle([{}])", rectangle(768, 432, 768, 864))
        ]
    );
    assert_eq!(reset(&[("af_window", numbers(&[0.0, 0.0, 0.25, 0.5]))]), ["AfMetering Int32([0])"]);
}

#[test]
fn what_stays_as_it_was_is_not_sent_again() {
    let before = values(&[("brightness", ControlValue::Number(0.5)), ("af_mode", word("auto"))]);
    let mut after = before.clone();
    assert_eq!(shown(&imx708().changes(&before, &after)), [""; 0]);
    after.insert("brightness".into(), ControlValue::Number(0.25));
    assert_eq!(shown(&imx708().changes(&before, &after)), ["Brightness Float([0.25])"]);
}

/// Ranges may be missing, empty, of the wrong type or upside down.
#[test]
fn no_camera_s_ranges_do_harm() {
    let mut rng = fastrand::Rng::with_seed(23);
    let value = |rng: &mut fastrand::Rng| match rng.u8(..9) {
        0 => Value::None,
        1 => Value::from(rng.bool()),
        2 => Value::from(rng.u8(..)),
        3 => Value::from(rng.i32(..)),
        4 => Value::from(rng.i64(..)),
        5 => Value::from(f32::from_bits(rng.u32(..))),
        6 => Value::from([rng.i64(..), rng.i64(..)]),
        7 => Value::from(Vec::<i32>::new()),
        _ => Value::from(Rectangle { x: rng.i32(..), y: 0, width: rng.u32(..), height: 1 }),
    };
    let wanted = values(&[
        ("brightness", ControlValue::Number(f64::NAN)),
        ("exposure", ControlValue::Number(1e300)),
        ("gain", numbers(&[])),
        ("awb", word("moonlight")),
        ("awb_gains", numbers(&[1.0])),
        ("flicker", word("60hz")),
        ("lens_position", ControlValue::Number(-1.0)),
        ("roi", numbers(&[f64::INFINITY, -1.0, 0.0, 9.0])),
        ("af_window", numbers(&[f64::NAN; 4])),
    ]);
    for _ in 0..2000 {
        let mut controls = imx708();
        controls.infos.retain(|_, _| rng.u8(..4) > 0);
        for info in controls.infos.values_mut() {
            let mut fresh = || value(&mut rng);
            *info =
                ControlInfo { min: fresh(), max: fresh(), default: fresh(), values: vec![fresh()] };
        }
        controls.sensor.width = rng.u32(..9000);
        for control in controls.controls() {
            if let ControlRange::Number { min, max } = control.range {
                assert!(min <= max, "{}", control.name);
            }
        }
        let _ = controls.frame_duration_limits();
        let there = |(id, _): &(u32, Value)| controls.infos.contains_key(id);
        assert!(controls.changes(&ControlValues::new(), &wanted).iter().all(there));
        assert!(controls.changes(&wanted, &ControlValues::new()).iter().all(there));
    }
}
