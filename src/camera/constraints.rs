//! Choosing the mode of a camera that is nearest to what its owner wants.

/// What the owner wants of a camera, like `ideal` in the constraints of W3C Media Capture: the nearest
/// mode there is will be used.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Constraints {
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Pictures a second.
    pub fps: Option<f64>,
}

/// A way a camera can run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mode {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pictures a second; the nominal rate when it varies.
    pub fps: f64,
}

/// The mode nearest to what is wanted: smallest fitness distance in the sense of W3C Media
/// Capture and Streams §"SelectSettings" (the sum over the constraints of |difference| ÷ larger of
/// the two). Among equals the earlier wins, so list a camera's favourites first. `None` for no modes.
#[must_use]
pub fn nearest_mode(modes: &[Mode], wanted: &Constraints) -> Option<Mode> {
    let distance = |mode: &Mode| {
        let far = |want: Option<f64>, have: f64| {
            want.map_or(0.0, |w| if w == have { 0.0 } else { (w - have).abs() / w.max(have) })
        };
        far(wanted.width.map(f64::from), f64::from(mode.width))
            + far(wanted.height.map(f64::from), f64::from(mode.height))
            + far(wanted.fps, mode.fps)
    };
    modes.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [Mode; 4] = [
        Mode { width: 1280, height: 720, fps: 30.0 },
        Mode { width: 1920, height: 1080, fps: 30.0 },
        Mode { width: 640, height: 480, fps: 30.0 },
        Mode { width: 640, height: 480, fps: 90.0 },
    ];

    fn pick(
        width: impl Into<Option<u32>>,
        height: impl Into<Option<u32>>,
        fps: impl Into<Option<f64>>,
    ) -> Mode {
        let wanted = Constraints { width: width.into(), height: height.into(), fps: fps.into() };
        nearest_mode(&MODES, &wanted).unwrap()
    }

    #[test]
    fn no_constraints_get_the_camera_s_favourite() {
        assert_eq!(pick(None, None, None), MODES[0]);
    }

    #[test]
    fn the_nearest_mode_wins() {
        assert_eq!(pick(1900, 1000, None), MODES[1]);
        assert_eq!(pick(320, 240, None), MODES[2]);
        assert_eq!(pick(640, 480, 60.0), MODES[3]);
        assert_eq!(pick(None, None, 120.0), MODES[3]);
    }
}
