//! Writing on the picture: a line of text, the time, or both, white on a dark translucent background.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::draw::{Colour, Mask, TextRenderer};
use super::i420::I420Buffer;
use super::{TransformError, clock};

/// What is written on the picture, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverlaySettings {
    /// Any text, for instance the camera's name; what is too long for the picture is cut.
    pub text: String,
    /// How the time of exposure is written, as `strftime` has it: `%Y-%m-%d %H:%M:%S`.
    pub time_format: Option<String>,
    /// Where it stands.
    pub corner: Corner,
}

/// A corner of the picture, as the viewer sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Corner {
    #[default]
    TopLeft,
    TopRight,
    BottomLeft,
    BottomRight,
}

/// Longer formats are refused: they are worked through for every picture.
const LONGEST_FORMAT: usize = 200;

/// Draws the overlay; its letters are rendered again only when they change.
pub(super) struct Overlay {
    settings: OverlaySettings,
    zone: TimeZone,
    rendered: Option<RenderedOverlay>,
}

/// The overlay as it was drawn last.
struct RenderedOverlay {
    size: (u32, u32),
    time: String,
    renderer: TextRenderer,
    background: Mask,
    lines: Vec<Mask>,
}

impl Overlay {
    pub(super) fn new(settings: OverlaySettings, zone: TimeZone) -> Result<Self, TransformError> {
        if let Some(format) = &settings.time_format {
            let refused = |reason: String| TransformError::TimeFormat {
                format: format.chars().take(LONGEST_FORMAT).collect(),
                reason,
            };
            if format.len() > LONGEST_FORMAT {
                return Err(refused(format!("it is longer than {LONGEST_FORMAT} bytes")));
            }
            let sample = Timestamp::UNIX_EPOCH.to_zoned(zone.clone());
            jiff::fmt::strtime::format(format, &sample).map_err(|e| refused(e.to_string()))?;
        }
        Ok(Self { settings, zone, rendered: None })
    }

    /// Whether there is anything to draw at all.
    pub(super) fn is_empty(&self) -> bool {
        self.settings.text.is_empty() && self.settings.time_format.is_none()
    }

    /// Draws on a picture that was exposed at `now`.
    pub(super) fn draw(&mut self, picture: &mut I420Buffer, now: SystemTime) {
        let (size, time) = (picture.size(), self.time(now));
        let rendered = match self.rendered.take() {
            Some(rendered) if rendered.size == size && rendered.time == time => rendered,
            old => {
                let renderer = match old {
                    Some(old) if old.size == size => old.renderer,
                    _ => TextRenderer::new(line_height(size)),
                };
                RenderedOverlay::new(size, &self.settings.text, time, renderer)
            }
        };
        rendered.blend(picture, self.settings.corner);
        self.rendered = Some(rendered);
    }

    fn time(&self, now: SystemTime) -> String {
        let Some(format) = &self.settings.time_format else {
            return String::new();
        };
        if !clock::is_set(now) {
            return "clock not set".to_owned();
        }
        Timestamp::try_from(now)
            .and_then(|now| jiff::fmt::strtime::format(format, &now.to_zoned(self.zone.clone())))
            .unwrap_or_else(|_| "clock out of range".to_owned())
    }
}

/// Lines grow with the shorter side, so that a picture turned by 90° keeps its type.
fn line_height((width, height): (u32, u32)) -> u32 {
    (width.min(height) / 22).clamp(11, 200)
}

impl RenderedOverlay {
    fn new(size: (u32, u32), text: &str, time: String, mut renderer: TextRenderer) -> Self {
        let (pad_x, pad_y) = padding(renderer.line_height());
        let most = size.0.saturating_sub(2 * pad_x).max(2);
        // The time must not be what a long text pushes out: it gets a line of its own then.
        let together = [text, time.as_str()].map(str::trim);
        let together: Vec<_> = together.into_iter().filter(|s| !s.is_empty()).collect();
        let one_line = together.join("   ");
        let lines: Vec<_> = if renderer.width_of(&one_line) <= most {
            vec![renderer.line(&one_line, most)]
        } else {
            let room = (size.1 / renderer.line_height()).max(1) as usize;
            let last = together.len().saturating_sub(room);
            let kept = together[last..].iter();
            kept.map(|line| renderer.line(line, most)).collect()
        };
        let widest = lines.iter().map(Mask::width).max().unwrap_or(0);
        let high: usize = lines.iter().map(Mask::height).sum();
        let box_width = (widest + 2 * pad_x as usize).min(size.0 as usize);
        let box_height = (high + 2 * pad_y as usize).min(size.1 as usize);
        let radius = renderer.line_height() as f32 * 0.3;
        Self {
            size,
            time,
            background: Mask::rounded(box_width, box_height, radius).faded(160),
            lines,
            renderer,
        }
    }

    fn blend(&self, picture: &mut I420Buffer, corner: Corner) {
        let (width, height) = (self.size.0 as i32, self.size.1 as i32);
        let (box_width, box_height) =
            (self.background.width() as i32, self.background.height() as i32);
        let margin = self.renderer.line_height() as i32 / 2;
        let margin_x = margin.min((width - box_width) / 2);
        let margin_y = margin.min((height - box_height) / 2);
        let (far_x, far_y) = (width - box_width - margin_x, height - box_height - margin_y);
        let (x, y) = match corner {
            Corner::TopLeft => (margin_x, margin_y),
            Corner::TopRight => (far_x, margin_y),
            Corner::BottomLeft => (margin_x, far_y),
            Corner::BottomRight => (far_x, far_y),
        };
        // Even, as `blend` would make them: the letters must keep their place on the background.
        let (x, y) = (x & !1, y & !1);
        picture.blend(&self.background, (x, y), Colour::BLACK);
        let (pad_x, pad_y) = padding(self.renderer.line_height());
        let mut line_y = y + pad_y as i32;
        for line in &self.lines {
            picture.blend(line, (x + pad_x as i32, line_y), Colour::WHITE);
            line_y += line.height() as i32;
        }
    }
}

/// Room between the letters and the edge of their background, across and down; even.
fn padding(line_height: u32) -> (u32, u32) {
    ((line_height / 3).max(2) & !1, (line_height / 8) & !1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::media::FramePool;

    const CORNERS: [Corner; 4] =
        [Corner::TopLeft, Corner::TopRight, Corner::BottomLeft, Corner::BottomRight];

    fn settings(text: &str, time_format: Option<&str>, corner: Corner) -> OverlaySettings {
        OverlaySettings {
            text: text.to_owned(),
            time_format: time_format.map(str::to_owned),
            corner,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// Draws on a gray picture; gives the luma, row by row.
    fn drawn(overlay: &mut Overlay, size: (u32, u32), now: SystemTime) -> Vec<Vec<u8>> {
        let mut picture = I420Buffer::new(&FramePool::new(), size).unwrap();
        picture.planes_mut().into_iter().for_each(|p| p.fill(128));
        overlay.draw(&mut picture, now);
        picture.planes()[0].rows().map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn the_overlay_is_seen_in_its_corner_at_every_size() {
        for size in [(16, 16), (18, 40), (64, 16), (160, 120), (320, 240), (720, 1280), (1280, 720)]
        {
            for (i, corner) in CORNERS.into_iter().enumerate() {
                let settings = settings("Garden", Some("%H:%M"), corner);
                let mut overlay = Overlay::new(settings, TimeZone::UTC).unwrap();
                let luma = drawn(&mut overlay, size, at(1_800_000_000));
                let bright = luma.iter().flatten().filter(|p| **p > 180).count();
                let dark = luma.iter().flatten().filter(|p| **p < 100).count();
                assert!(bright > 0 && dark > bright, "{size:?} {corner:?}: {bright} {dark}");
                if size.0 < 320 {
                    continue;
                }
                let (width, height) = (size.0 as usize, size.1 as usize);
                for (y, row) in luma.iter().enumerate() {
                    for (x, pixel) in row.iter().enumerate() {
                        let here =
                            (x >= width / 2) == (i % 2 == 1) && (y >= height / 2) == (i >= 2);
                        assert!(here || *pixel == 128, "{size:?} {corner:?}: {x},{y} is {pixel}");
                    }
                }
            }
        }
    }

    #[test]
    fn long_and_hostile_text_stays_within_the_picture_and_leaves_the_time_readable() {
        let long = "W".repeat(10_000);
        let emoji = "\u{202e}😀\n\0".repeat(2000);
        for text in [long.as_str(), emoji.as_str()] {
            for size in [(16, 16), (320, 240)] {
                let settings = settings(text, Some("%H:%M:%S"), Corner::BottomRight);
                let mut overlay = Overlay::new(settings, TimeZone::UTC).unwrap();
                let now = drawn(&mut overlay, size, at(1_800_000_000));
                let later = drawn(&mut overlay, size, at(1_800_000_001));
                assert!(size.0 < 100 || now != later, "the seconds cannot be seen at {size:?}");
            }
        }
    }

    #[test]
    fn the_time_is_written_in_the_owners_zone() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let settings = settings("", Some("%Y-%m-%d %H:%M:%S %Z"), Corner::TopLeft);
        let overlay = Overlay::new(settings, berlin).unwrap();
        assert_eq!(overlay.time(at(1_783_000_000)), "2026-07-02 15:46:40 CEST");
        assert_eq!(overlay.time(at(1_798_000_000)), "2026-12-23 05:26:40 CET");
    }

    #[test]
    fn a_clock_that_is_not_set_is_not_shown_as_the_time() {
        let settings = settings("", Some("%H:%M"), Corner::TopLeft);
        let overlay = Overlay::new(settings, TimeZone::UTC).unwrap();
        assert_eq!(overlay.time(at(60)), "clock not set");
        assert_eq!(overlay.time(at(u64::MAX / 4)), "clock out of range");
    }

    #[test]
    fn letters_are_rendered_again_only_when_they_change() {
        let settings = settings("Garden", Some("%H:%M:%S"), Corner::TopLeft);
        let mut overlay = Overlay::new(settings, TimeZone::UTC).unwrap();
        drawn(&mut overlay, (320, 240), at(1_800_000_000));
        // A mark that only survives if nothing is rendered again.
        overlay.rendered.as_mut().unwrap().lines.clear();
        let lines = |overlay: &Overlay| overlay.rendered.as_ref().unwrap().lines.len();
        drawn(&mut overlay, (320, 240), at(1_800_000_000));
        assert_eq!(lines(&overlay), 0);
        drawn(&mut overlay, (320, 240), at(1_800_000_001));
        assert_eq!(lines(&overlay), 1);
        overlay.rendered.as_mut().unwrap().lines.clear();
        drawn(&mut overlay, (640, 480), at(1_800_000_001));
        assert_eq!(lines(&overlay), 1);
    }

    #[test]
    fn a_wrong_time_format_is_refused_with_an_example() {
        for format in ["%", "%!", "100 %", &"%H".repeat(200)] {
            let settings = settings("", Some(format), Corner::TopLeft);
            let refused = Overlay::new(settings, TimeZone::UTC).err().unwrap();
            assert!(refused.to_string().contains("%H:%M:%S"), "{refused}");
        }
    }

    #[test]
    fn formats_that_ask_for_much_are_cut_like_any_long_text() {
        let settings = settings("", Some("%255Y%255d%255N"), Corner::TopLeft);
        if let Ok(mut overlay) = Overlay::new(settings, TimeZone::UTC) {
            let luma = drawn(&mut overlay, (320, 240), at(1_800_000_000));
            assert_eq!(luma.len(), 240);
        }
    }
}
