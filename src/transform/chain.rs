//! The steps in their order.

use jiff::tz::TimeZone;

use super::clock::{SystemClock, WallClock};
use super::convert::{MatrixCoefficients, convert};
use super::i420::CopyMeter;
use super::orientation::{Orientation, Rotation};
use super::overlay::{Overlay, OverlaySettings};
use super::resize::{Resizer, reduced};
use super::{Transform, TransformError};
use crate::media::{Frame, FramePool, PixelFormat};

/// What is to be done to every picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransformSettings {
    /// How far it is turned.
    pub rotation: Rotation,
    /// Whether left and right change places, after turning.
    pub hflip: bool,
    /// Whether top and bottom change places, after turning.
    pub vflip: bool,
    /// By how many percent both sides shrink, 0 to 90.
    pub frame_size_reduction: u8,
    /// Whether it keeps its colour.
    pub colour_mode: ColourMode,
    /// What is written on it.
    pub overlay: Option<OverlaySettings>,
    /// The zone whose time is written, by its IANA name; UTC where it is empty.
    pub time_zone: String,
}

/// Whether pictures keep their colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourMode {
    /// As the camera sees them.
    #[default]
    Colour,
    /// Shades of grey. At night colour is mostly noise, which costs bits.
    Gray,
}

/// A chroma sample without colour.
const NO_COLOUR: u8 = 128;

/// Everything between camera and encoder: first the user's own steps, then the owner's settings.
///
/// What comes out is I420 of even size, or what the encoder takes as it is
/// ([`Chain::set_passthrough_formats`]). The picture is made smaller as early as possible, since every
/// later step is then cheaper, and written on last, so that letters are neither scaled nor turned.
pub struct Chain {
    custom_steps: Vec<Box<dyn Transform>>,
    reduction_percent: u8,
    orientation: Orientation,
    colour_mode: ColourMode,
    overlay: Option<Overlay>,
    zone: TimeZone,
    clock: Box<dyn WallClock>,
    resizer: Resizer,
    pools: Pools,
    copies: CopyMeter,
    /// Formats that the encoder takes without a conversion.
    passthrough_formats: &'static [PixelFormat],
}

/// One pool a step: a pool keeps buffers of one size only, and the steps differ in theirs.
#[derive(Default)]
struct Pools {
    converted: FramePool,
    oriented: FramePool,
    overlaid: FramePool,
}

impl Chain {
    /// A chain that does what `settings` say.
    ///
    /// # Errors
    /// When the time zone does not exist or the overlay's time format is wrong.
    pub fn new(settings: TransformSettings) -> Result<Self, TransformError> {
        let copies = CopyMeter::default();
        let mut chain = Self {
            custom_steps: Vec::new(),
            reduction_percent: settings.frame_size_reduction.min(90),
            orientation: Orientation::new(settings.rotation, settings.hflip, settings.vflip),
            colour_mode: settings.colour_mode,
            overlay: None,
            zone: zone_named(&settings.time_zone)?,
            clock: Box::new(SystemClock),
            resizer: Resizer::counting(copies.clone()),
            pools: Pools::default(),
            copies,
            passthrough_formats: &[],
        };
        chain.set_overlay(settings.overlay)?;
        Ok(chain)
    }

    /// The same chain with one more step of the user's own, which sees pictures as the camera
    /// and the steps before it left them.
    #[must_use]
    pub fn with_transform(mut self, step: Box<dyn Transform>) -> Self {
        self.custom_steps.push(step);
        self
    }

    /// The same chain, telling the time by `clock`.
    #[cfg(test)]
    fn with_clock(mut self, clock: Box<dyn WallClock>) -> Self {
        self.clock = clock;
        self
    }

    /// Changes what is written on the picture, from the next one on.
    ///
    /// # Errors
    /// When the time format is wrong; the overlay stays as it was then.
    pub fn set_overlay(&mut self, overlay: Option<OverlaySettings>) -> Result<(), TransformError> {
        self.overlay = overlay
            .map(|settings| Overlay::new(settings, self.zone.clone()))
            .transpose()?
            .filter(|overlay| !overlay.is_empty());
        Ok(())
    }

    /// From now on, pictures of these formats to which nothing is to be done pass as they are.
    pub fn set_passthrough_formats(&mut self, formats: &'static [PixelFormat]) {
        self.passthrough_formats = formats;
    }

    fn passes_through(&self, frame: &Frame) -> bool {
        self.passthrough_formats.contains(&frame.format())
            && frame.width().is_multiple_of(2)
            && frame.height().is_multiple_of(2)
            && reduced((frame.width(), frame.height()), self.reduction_percent)
                == (frame.width(), frame.height())
            && self.orientation == Orientation::default()
            && self.colour_mode == ColourMode::Colour
            && self.overlay.is_none()
    }

    /// The size a picture of `input` pixels comes out with, provided the user's own steps leave
    /// its size alone.
    #[must_use]
    pub fn output_size(&self, (width, height): (u32, u32)) -> (u32, u32) {
        self.orientation.size(reduced((width & !1, height & !1), self.reduction_percent))
    }

    /// How many bytes the chain has written into fresh memory so far; the user's own steps do
    /// not count.
    #[must_use]
    pub fn copies(&self) -> CopyMeter {
        self.copies.clone()
    }
}

impl Transform for Chain {
    fn apply(&mut self, mut frame: Frame) -> Result<Frame, TransformError> {
        for step in &mut self.custom_steps {
            frame = step.apply(frame)?;
        }
        if self.passes_through(&frame) {
            return Ok(frame);
        }
        let (time, sequence) = (frame.time(), frame.sequence());
        // Of the picture that will be coded, because its encoder signals the matrix.
        let (_, height) = self.output_size((frame.width(), frame.height()));
        let matrix = MatrixCoefficients::for_height(height);

        let mut i420 = convert(frame, matrix, &self.pools.converted, &self.copies)?;
        let size = reduced(i420.size(), self.reduction_percent);
        i420 = self.resizer.apply(i420, size)?;
        i420 = self.orientation.apply(i420, &self.pools.oriented, &self.copies)?;
        if self.colour_mode == ColourMode::Colour && self.overlay.is_none() {
            return Ok(i420.into_frame(time, sequence)?);
        }
        let mut buffer = i420.into_buffer(&self.pools.overlaid, &self.copies)?;
        if self.colour_mode == ColourMode::Gray {
            let [_, u, v] = buffer.planes_mut();
            u.fill(NO_COLOUR);
            v.fill(NO_COLOUR);
        }
        if let Some(overlay) = &mut self.overlay {
            overlay.draw(&mut buffer, self.clock.at(time));
        }
        Ok(buffer.into_frame(time, sequence)?)
    }
}

fn zone_named(name: &str) -> Result<TimeZone, TransformError> {
    match name {
        "" => Ok(TimeZone::UTC),
        name => TimeZone::get(name).map_err(|_| TransformError::TimeZone(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::super::testing::{READABLE, ROTATIONS, frame_of, planes};
    use super::super::{Corner, FrameError};
    use super::*;
    use crate::media::MediaTime;

    struct FixedClock;

    impl WallClock for FixedClock {
        fn at(&self, _: MediaTime) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
        }
    }

    fn picture(format: PixelFormat, size: (u32, u32)) -> Frame {
        frame_of(format, size, (0, 0), |_, x, y| (x * 3 + y * 5) as u8)
    }

    fn overlay(text: &str) -> Option<OverlaySettings> {
        Some(OverlaySettings { text: text.to_owned(), ..OverlaySettings::default() })
    }

    #[test]
    fn a_picture_that_needs_nothing_passes_without_a_copy() {
        let mut chain = Chain::new(TransformSettings::default()).unwrap();
        let frame = picture(PixelFormat::I420, (64, 48));
        let memory = frame.memory().clone();
        let out = chain.apply(frame).unwrap();
        assert!(Arc::ptr_eq(&memory, out.memory()));
        assert_eq!(chain.copies().bytes(), 0);
    }

    #[test]
    fn a_format_the_encoder_takes_passes_unless_something_is_to_be_done() {
        let mut chain = Chain::new(TransformSettings::default()).unwrap();
        let frame = picture(PixelFormat::Nv12, (64, 48));
        assert_eq!(chain.apply(frame.clone()).unwrap().format(), PixelFormat::I420);
        chain.set_passthrough_formats(&[PixelFormat::Nv12]);
        let out = chain.apply(frame.clone()).unwrap();
        assert!(Arc::ptr_eq(frame.memory(), out.memory()));
        let odd = picture(PixelFormat::Nv12, (63, 48));
        assert_eq!(chain.apply(odd).unwrap().format(), PixelFormat::I420);
        chain.set_overlay(overlay("Garden")).unwrap();
        assert_eq!(chain.apply(frame).unwrap().format(), PixelFormat::I420);
    }

    #[test]
    fn a_shared_picture_is_copied_once_before_it_is_written_on() {
        let mut chain = Chain::new(TransformSettings {
            overlay: overlay("Garden"),
            ..TransformSettings::default()
        })
        .unwrap();
        let frame = picture(PixelFormat::I420, (64, 48));
        let before = planes(&frame);
        let out = chain.apply(frame.clone()).unwrap();
        assert_eq!(planes(&frame), before, "the camera's picture was changed");
        assert_ne!(planes(&out), before);
        assert_eq!(chain.copies().bytes(), 64 * 48 * 3 / 2);
        // A picture that was converted is ours already and is written on where it is.
        chain.apply(picture(PixelFormat::Nv12, (64, 48))).unwrap();
        assert_eq!(chain.copies().bytes(), 2 * 64 * 48 * 3 / 2);
    }

    #[test]
    fn a_gray_picture_keeps_its_light_and_loses_its_colour() {
        let gray =
            TransformSettings { colour_mode: ColourMode::Gray, ..TransformSettings::default() };
        let frame = picture(PixelFormat::I420, (64, 48));
        let out = Chain::new(gray).unwrap().apply(frame.clone()).unwrap();
        assert_eq!(out.plane(0), frame.plane(0));
        assert!(out.plane(1).iter().chain(out.plane(2)).all(|sample| *sample == 128));
    }

    #[test]
    fn everything_at_once_keeps_the_promised_size_and_the_stamps() {
        let mut random = fastrand::Rng::with_seed(8);
        for _ in 0..80 {
            let settings = TransformSettings {
                rotation: ROTATIONS[random.usize(0..4)],
                hflip: random.bool(),
                vflip: random.bool(),
                frame_size_reduction: random.u8(0..=90),
                colour_mode: if random.bool() { ColourMode::Gray } else { ColourMode::Colour },
                overlay: random.bool().then(|| overlay("Garden")).flatten(),
                time_zone: "Asia/Kolkata".to_owned(),
            };
            let mut chain = Chain::new(settings.clone()).unwrap().with_clock(Box::new(FixedClock));
            let size = (random.u32(2..200), random.u32(2..200));
            for format in READABLE {
                let spacing = (random.usize(0..30), random.usize(0..30));
                let frame = frame_of(format, size, spacing, |_, x, y| (x ^ y) as u8);
                let out = chain.apply(frame).unwrap();
                let got = (out.width(), out.height());
                assert_eq!(got, chain.output_size(size), "{settings:?} {size:?} {format}");
                assert!(got.0 % 2 == 0 && got.1 % 2 == 0);
                assert_eq!(out.format(), PixelFormat::I420);
                assert_eq!((out.time().as_nanos(), out.sequence()), (42, 7));
            }
        }
    }

    #[test]
    fn letters_are_neither_turned_nor_scaled_with_the_picture() {
        let gray = |size| frame_of(PixelFormat::I420, size, (0, 0), |_, _, _| 128);
        let mut plain = Chain::new(TransformSettings {
            overlay: overlay("Garden"),
            ..TransformSettings::default()
        })
        .unwrap();
        let mut turned = Chain::new(TransformSettings {
            rotation: Rotation::Clockwise90,
            hflip: true,
            frame_size_reduction: 50,
            overlay: overlay("Garden"),
            ..TransformSettings::default()
        })
        .unwrap();
        let wanted = plain.apply(gray((160, 120))).unwrap();
        let got = turned.apply(gray((240, 320))).unwrap();
        assert_eq!(planes(&got), planes(&wanted));
    }

    #[test]
    fn the_overlay_can_be_changed_and_taken_away_while_running() {
        let mut chain = Chain::new(TransformSettings::default()).unwrap();
        let frame = picture(PixelFormat::I420, (160, 120));
        chain.set_overlay(overlay("One")).unwrap();
        let one = planes(&chain.apply(frame.clone()).unwrap());
        chain.set_overlay(overlay("Two")).unwrap();
        let two = planes(&chain.apply(frame.clone()).unwrap());
        assert_ne!(one, two);
        let wrong = OverlaySettings {
            time_format: Some("%!".to_owned()),
            corner: Corner::BottomLeft,
            ..OverlaySettings::default()
        };
        assert!(chain.set_overlay(Some(wrong)).is_err());
        assert_eq!(planes(&chain.apply(frame.clone()).unwrap()), two);
        chain.set_overlay(None).unwrap();
        let none = chain.apply(frame.clone()).unwrap();
        assert!(Arc::ptr_eq(frame.memory(), none.memory()));
    }

    #[test]
    fn the_users_steps_come_first_and_see_the_cameras_own_format() {
        struct OnlyYuyv;
        impl Transform for OnlyYuyv {
            fn apply(&mut self, frame: Frame) -> Result<Frame, TransformError> {
                if frame.format() == PixelFormat::Yuyv {
                    Ok(frame)
                } else {
                    Err(FrameError::Format(frame.format()).into())
                }
            }
        }
        let mut chain =
            Chain::new(TransformSettings::default()).unwrap().with_transform(Box::new(OnlyYuyv));
        assert!(chain.apply(picture(PixelFormat::Yuyv, (32, 32))).is_ok());
        assert!(chain.apply(picture(PixelFormat::Nv12, (32, 32))).is_err());
    }

    #[test]
    fn a_time_zone_nobody_knows_is_refused_by_name() {
        for zone in ["Europe/Atlantis", "../../etc/passwd", "\0"] {
            let refused = Chain::new(TransformSettings {
                time_zone: zone.to_owned(),
                ..TransformSettings::default()
            });
            let message = refused.err().unwrap().to_string();
            assert!(message.contains(zone), "{message}");
        }
    }

    #[test]
    fn a_running_chain_uses_its_buffers_again() {
        let mut chain = Chain::new(TransformSettings {
            rotation: Rotation::Clockwise90,
            frame_size_reduction: 20,
            overlay: overlay("Garden"),
            ..TransformSettings::default()
        })
        .unwrap();
        let frame = picture(PixelFormat::Rgb, (320, 240));
        let first = chain.apply(frame.clone()).unwrap().plane(0).as_ptr();
        let second = chain.apply(frame).unwrap().plane(0).as_ptr();
        assert_eq!(first, second);
    }
}
