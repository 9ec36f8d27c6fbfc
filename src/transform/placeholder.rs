//! The picture that is shown where there is none: it says what is wrong.

use std::f32::consts::TAU;

use super::TransformError;
use super::draw::{Colour, Mask, TextRenderer};
use super::i420::I420Buffer;
use crate::media::{Frame, FramePool, MediaTime};

/// A picture with a title, a reason beneath it, and an indicator that moves slowly from side to side,
/// by which a viewer sees that the stream itself is alive.
pub struct Placeholder {
    title: &'static str,
    reason: String,
    accent: Colour,
    background: Option<Background>,
}

/// What does not move, drawn once for a size.
struct Background {
    size: (u32, u32),
    planes: [Vec<u8>; 3],
    /// The middle of the indicator's path.
    centre: (f32, f32),
    /// How far it goes to either side, in pixels.
    reach: f32,
    /// Its radius in pixels.
    radius: f32,
}

const AMBER: Colour = Colour { y: 168, u: 60, v: 165 };
const SILVER: Colour = Colour { y: 170, u: 133, v: 124 };

/// How long the indicator takes from one side to the other and back.
const PERIOD_NANOS: u64 = 5_000_000_000;

impl Placeholder {
    /// The camera gives no picture; `reason` says why, in words for the viewer.
    #[must_use]
    pub fn no_signal(reason: impl Into<String>) -> Self {
        Self::new("No signal", reason.into(), AMBER)
    }

    /// The source has come to its end.
    #[must_use]
    pub fn the_end() -> Self {
        Self::new("The end", String::new(), SILVER)
    }

    fn new(title: &'static str, reason: String, accent: Colour) -> Self {
        Self { title, reason, accent, background: None }
    }

    /// The placeholder as it looks at `time`, stamped with it; I420 of this size, odd sides rounded down.
    ///
    /// # Errors
    /// When a side is below 2 or above 16 384 pixels.
    pub fn draw(
        &mut self,
        (width, height): (u32, u32),
        time: MediaTime,
        pool: &FramePool,
    ) -> Result<Frame, TransformError> {
        let size = (width & !1, height & !1);
        let mut buffer = I420Buffer::new(pool, size)?;
        let background = match self.background.take() {
            Some(background) if background.size == size => background,
            _ => self.lay_out(&mut buffer),
        };
        for (from, to) in background.planes.iter().zip(buffer.planes_mut()) {
            to.copy_from_slice(from);
        }
        background.draw_indicator(&mut buffer, time, self.accent);
        self.background = Some(background);
        Ok(buffer.into_frame(time, 0)?)
    }

    fn lay_out(&self, buffer: &mut I420Buffer) -> Background {
        let size @ (width, height) = buffer.size();
        fill_background(buffer);
        let short = width.min(height);
        let most = width * 84 / 100;
        let mut title = TextRenderer::new(title_height(self.title, short, most));
        let mut small = TextRenderer::new((title.line_height() * 45 / 100).max(11));
        let gap = title.line_height() / 4;
        let radius = (short as f32 / 110.0).max(1.5);
        let track = (radius * 11.0) as u32;

        // What finds no room is left out, the reason first: on a thumbnail only the indicator remains.
        let room = (height * 90 / 100).saturating_sub(track);
        let lines_that_fit = room.saturating_sub(title.line_height() + gap) / small.line_height();
        let lines = small.wrap(&self.reason, most, lines_that_fit.min(4) as usize);
        let titles = if title.line_height() <= room && title.width_of(self.title) <= most {
            vec![title.line(self.title, most)]
        } else {
            Vec::new()
        };
        let (title_color, line_color) = (Colour::gray(226), Colour::gray(158));
        let title_block: u32 = titles.iter().map(|t| t.height() as u32).sum();
        let line_block = lines.len() as u32 * small.line_height();
        let gap = if lines.is_empty() { 0 } else { gap };
        let mut y = height.saturating_sub(title_block + gap + line_block + track) / 2;
        for mask in &titles {
            y = centred(buffer, mask, y, title_color);
        }
        y += gap;
        for mask in &lines {
            y = centred(buffer, mask, y, line_color);
        }
        let reach = (width as f32 * 0.09).max(radius).min(width as f32 / 2.0 - radius);
        Background {
            size,
            planes: buffer.planes_mut().map(|plane| plane.to_vec()),
            centre: (width as f32 / 2.0, ((y + track * 3 / 5) & !1) as f32),
            reach,
            radius,
        }
    }
}

impl Background {
    /// Draws the indicator where it is at `time`, with its glow, on its path.
    fn draw_indicator(&self, buffer: &mut I420Buffer, time: MediaTime, accent: Colour) {
        let phase = (time.as_nanos() % PERIOD_NANOS) as f32 / PERIOD_NANOS as f32;
        let x = self.centre.0 + self.reach * (phase * TAU).sin();
        let y = self.centre.1;
        let (reach, radius) = (self.reach, self.radius);
        let path = Mask::rounded((reach * 2.0) as usize + 2, 2, 1.0).faded(60);
        buffer.blend(&path, ((self.centre.0 - reach) as i32, y as i32), Colour::gray(170));

        let side = (radius * 10.0) as usize | 1;
        let (left, top) =
            ((x - side as f32 / 2.0) as i32 & !1, (y - side as f32 / 2.0) as i32 & !1);
        // The centre keeps its fraction of a pixel: the indicator glides instead of hopping.
        let (cx, cy) = (x - left as f32, y - top as f32 + 1.0);
        let indicator = Mask::from_fn(side, side, |px, py| {
            let distance = (px - cx).hypot(py - cy);
            let disc = (radius - distance + 0.5).clamp(0.0, 1.0);
            let glow = (1.0 - distance / (radius * 4.5)).max(0.0).powi(2) * 0.35;
            disc.max(glow)
        });
        buffer.blend(&indicator, (left, top), accent);
    }
}

/// The title's line height: a ninth of the shorter side, or less where its width asks for it.
fn title_height(title: &str, short: u32, most: u32) -> u32 {
    let height = (short / 8).max(14);
    let width = TextRenderer::new(height).width_of(title).max(1);
    if width <= most { height } else { (height * most / width).max(11) }
}

/// Blends `mask` into the middle of the picture at height `y`, and says where the next one goes.
fn centred(buffer: &mut I420Buffer, mask: &Mask, y: u32, colour: Colour) -> u32 {
    let x = (buffer.size().0 as i32 - mask.width() as i32) / 2;
    buffer.blend(mask, (x, y as i32), colour);
    y + mask.height() as u32
}

/// Dark grey, a little lighter above the middle.
fn fill_background(buffer: &mut I420Buffer) {
    let (width, height) = buffer.size();
    let (width, height) = (width as usize, height as usize);
    let [y, u, v] = buffer.planes_mut();
    for (row, line) in y.chunks_exact_mut(width).enumerate() {
        let dy = (row as f32 / height as f32 - 0.42) * 1.3;
        for (column, pixel) in line.iter_mut().enumerate() {
            let dx = column as f32 / width as f32 - 0.5;
            let tone = 27.0 + 20.0 * (-(dx * dx + dy * dy) * 3.5).exp();
            *pixel = (tone + dither(column, row)) as u8;
        }
    }
    u.fill(133);
    v.fill(125);
}

/// Ordered dither (Bayer, 4×4), 0 to 1: without it so slow a gradient shows its steps as bands.
fn dither(x: usize, y: usize) -> f32 {
    const BAYER: [[u8; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
    (f32::from(BAYER[y % 4][x % 4]) + 0.5) / 16.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::planes;
    use super::*;

    fn bright(frame: &Frame) -> usize {
        planes(frame)[0].iter().flatten().filter(|p| **p > 130).count()
    }

    #[test]
    fn a_placeholder_can_be_drawn_at_any_size() {
        let pool = FramePool::new();
        let mut random = fastrand::Rng::with_seed(1);
        let sizes = [(2, 2), (16, 16), (16, 1000), (1000, 16), (320, 240), (17, 33)];
        let more = std::iter::repeat_with(|| (random.u32(2..400), random.u32(2..400))).take(30);
        for size in sizes.into_iter().chain(more) {
            for mut placeholder in [
                Placeholder::no_signal("The camera was unplugged."),
                Placeholder::no_signal("W".repeat(10_000)),
                Placeholder::no_signal("\0\u{202e}😀\n".repeat(999)),
                Placeholder::the_end(),
            ] {
                let frame = placeholder.draw(size, MediaTime::from_nanos(7), &pool).unwrap();
                assert_eq!((frame.width(), frame.height()), (size.0 & !1, size.1 & !1));
                assert_eq!(frame.time(), MediaTime::from_nanos(7));
            }
        }
        assert!(Placeholder::the_end().draw((1, 16), MediaTime::default(), &pool).is_err());
    }

    #[test]
    fn title_and_reason_can_be_read() {
        let pool = FramePool::new();
        let draw = |mut placeholder: Placeholder| {
            let frame = placeholder.draw((640, 360), MediaTime::default(), &pool).unwrap();
            bright(&frame)
        };
        let (bare, with_reason) = (
            draw(Placeholder::no_signal("")),
            draw(Placeholder::no_signal("the camera was unplugged")),
        );
        assert!(bare > 500, "{bare}");
        assert!(with_reason > bare + 300, "{with_reason} {bare}");
        assert!(draw(Placeholder::the_end()) > 300);
    }

    #[test]
    fn something_moves_a_little_so_that_the_stream_is_seen_to_live() {
        let pool = FramePool::new();
        for size in [(16, 16), (640, 360)] {
            let mut placeholder = Placeholder::no_signal("the camera was unplugged");
            let start = MediaTime::from_nanos(0);
            let first = planes(&placeholder.draw(size, start, &pool).unwrap());
            let later = start + Duration::from_millis(500);
            let second = planes(&placeholder.draw(size, later, &pool).unwrap());
            let pixels = first[0].iter().flatten().zip(second[0].iter().flatten());
            let changed = pixels.filter(|(a, b)| a != b).count();
            let all = (size.0 * size.1) as usize;
            assert!(changed > 0, "{size:?}: nothing moves");
            assert!(changed < all / 2, "{size:?}: {changed} of {all} pixels change");
            // The same moment again gives the same buffer: nothing is left behind.
            let again = planes(&placeholder.draw(size, start, &pool).unwrap());
            assert_eq!(first, again);
        }
    }

    #[test]
    fn a_placeholder_follows_the_size_it_is_asked_for() {
        let pool = FramePool::new();
        let mut placeholder = Placeholder::no_signal("the camera was unplugged");
        let small = placeholder.draw((320, 240), MediaTime::default(), &pool).unwrap();
        let large = placeholder.draw((640, 480), MediaTime::default(), &pool).unwrap();
        assert!(bright(&large) > bright(&small) * 2);
    }
}
