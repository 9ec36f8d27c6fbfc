//! Parts of the sensor: from shares of its width and height to its pixels.

use libcamera::geometry::Rectangle;

use crate::camera::ControlValue;

/// No pixels at all.
pub(super) const NOTHING: Rectangle = Rectangle { x: 0, y: 0, width: 0, height: 0 };

/// Left, top, width and height, as shares.
pub(super) type Region = [f64; 4];

/// Everything.
pub(super) const ALL: Region = [0.0, 0.0, 1.0, 1.0];

/// Smaller parts would leave nothing to scale.
const MIN_SIDE: u32 = 16;

/// The region a value stands for.
pub(super) fn of(value: Option<&ControlValue>) -> Option<Region> {
    match value {
        Some(ControlValue::Numbers(numbers)) => <Region>::try_from(&numbers[..]).ok(),
        _ => None,
    }
}

/// The pixels of `sensor` that `region` takes in; always some, always inside.
pub(super) fn part(sensor: Rectangle, [x, y, width, height]: Region) -> Rectangle {
    let (x, width) = stretch(sensor.width, x, width);
    let (y, height) = stretch(sensor.height, y, height);
    Rectangle {
        x: sensor.x.saturating_add_unsigned(x),
        y: sensor.y.saturating_add_unsigned(y),
        width,
        height,
    }
}

/// From where on and how long, of `whole` pixels. Shares outside of 0 to 1 are cut off.
fn stretch(whole: u32, from: f64, length: f64) -> (u32, u32) {
    let pixels = |share: f64| (share.clamp(0.0, 1.0) * f64::from(whole)).round() as u32;
    let length = pixels(length).max(MIN_SIDE.min(whole));
    (pixels(from).min(whole - length), length)
}

/// The largest part in the middle of `area` that is shaped like a picture of this size: the camera
/// would distort any other.
pub(super) fn in_shape_of((width, height): (u32, u32), area: Rectangle) -> Rectangle {
    let across = u64::from(area.width) * u64::from(height);
    let down = u64::from(area.height) * u64::from(width);
    let narrowed = |n: u64, by: u32, at_most: u32| {
        u32::try_from(n / u64::from(by.max(1))).unwrap_or(at_most).clamp(at_most.min(1), at_most)
    };
    let (new_width, new_height) = if across > down {
        (narrowed(down, height, area.width), area.height)
    } else {
        (area.width, narrowed(across, width, area.height))
    };
    Rectangle {
        x: area.x.saturating_add_unsigned((area.width - new_width) / 2),
        y: area.y.saturating_add_unsigned((area.height - new_height) / 2),
        width: new_width,
        height: new_height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An imx219 in its full mode.
    const SENSOR: Rectangle = Rectangle { x: 8, y: 8, width: 3280, height: 2464 };

    #[test]
    fn a_region_is_cut_to_the_shape_of_the_picture_around_its_middle() {
        let crop = |region| {
            let crop = in_shape_of((1280, 720), part(SENSOR, region));
            (crop.x, crop.y, crop.width, crop.height)
        };
        assert_eq!(crop(ALL), (8, 317, 3280, 1845));
        assert_eq!(crop([0.25, 0.25, 0.5, 0.5]), (828, 779, 1640, 922));
        assert_eq!(crop([0.0, 0.0, 0.1, 1.0]), (8, 1148, 328, 184));
    }

    /// Whatever sensor, picture and region, the crop lies inside the sensor and is not empty.
    #[test]
    fn a_crop_never_leaves_the_sensor() {
        let mut rng = fastrand::Rng::with_seed(5);
        let share = |rng: &mut fastrand::Rng| match rng.u8(..8) {
            0 => f64::NAN,
            1 => rng.f64() * 1e300 - 5e299,
            _ => rng.f64(),
        };
        for _ in 0..20_000 {
            let side = |rng: &mut fastrand::Rng| if rng.u8(..8) == 0 { 1 } else { rng.u32(1..) };
            let sensor = Rectangle {
                x: rng.i32(-100..100),
                y: rng.i32(-100..100),
                width: side(&mut rng) % 20_000 + 1,
                height: side(&mut rng) % 20_000 + 1,
            };
            let region = [share(&mut rng), share(&mut rng), share(&mut rng), share(&mut rng)];
            let area = part(sensor, region);
            let crop = in_shape_of((rng.u32(1..9000), rng.u32(1..9000)), area);
            for (inner, outer) in [(area, sensor), (crop, area)] {
                assert!(inner.width > 0 && inner.height > 0, "{inner:?} of {outer:?}");
                assert!(inner.x >= outer.x && inner.y >= outer.y);
                let end = |at: i32, length: u32| i64::from(at) + i64::from(length);
                assert!(end(inner.x, inner.width) <= end(outer.x, outer.width));
                assert!(end(inner.y, inner.height) <= end(outer.y, outer.height));
            }
        }
    }
}
