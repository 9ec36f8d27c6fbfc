//! Text as a mask, in the font that is built into the program.

use std::collections::HashMap;
use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};

use super::Mask;

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("font/NotoSans-Medium-subset.ttf"))
        .expect("the font that is built in was readable when it was tested")
});

/// Longer text is cut: no picture is wide enough for it, and it is measured again and again.
const MAX_CHARACTERS: usize = 512;

/// Renders text in one size, and keeps the glyphs it has drawn.
///
/// Characters the font does not have become an empty box; control characters and those without
/// an appearance of their own (joiners, direction marks, variation selectors) are left out.
pub(crate) struct TextRenderer {
    line_height: u32,
    glyphs: HashMap<(GlyphId, u8), Glyph>,
}

struct Glyph {
    mask: Mask,
    left: i32,
    top: i32,
}

/// Glyphs are drawn at this many positions between two pixels, so that letters stay evenly spaced
/// in small type.
const POSITIONS: f32 = 4.0;

impl TextRenderer {
    /// A renderer whose lines are `line_height` pixels high, ascenders and descenders included;
    /// capitals take about half of that. Odd heights are rounded up, so that lines set one below
    /// the other keep their distance (see [`I420Buffer::blend`](crate::transform::i420::I420Buffer::blend)).
    pub(crate) fn new(line_height: u32) -> Self {
        Self { line_height: line_height.next_multiple_of(2).max(2), glyphs: HashMap::new() }
    }

    pub(crate) fn line_height(&self) -> u32 {
        self.line_height
    }

    /// How wide `text` is on one line, in pixels.
    pub(crate) fn width_of(&self, text: &str) -> u32 {
        self.advance(&printable(text)).ceil() as u32
    }

    /// `text` on one line, ended by "…" where it would be wider than `most` pixels.
    pub(crate) fn line(&mut self, text: &str, most: u32) -> Mask {
        let text = self.cut(printable(text), most as f32);
        let width = self.advance(&text).ceil().min(most as f32) as usize;
        let mut line = Mask::empty(width, self.line_height as usize);
        let mut x = 0.0;
        for c in text.chars() {
            let id = FONT.glyph_id(c);
            let glyph = self.glyph(id, x);
            line.add(&glyph.mask, x.floor() as i32 + glyph.left, glyph.top);
            x += self.scaled_advance(id);
        }
        line
    }

    /// `text` broken at spaces into lines at most `most` pixels wide and about equally long; what
    /// does not fit into `lines` of them ends in "…".
    pub(crate) fn wrap(&mut self, text: &str, most: u32, lines: usize) -> Vec<Mask> {
        let text = printable(text);
        let mut broken = self.broken(&text, most, lines);
        let mut narrower = most;
        let step = (most / 32).max(1);
        while broken.len() > 1 && narrower > step {
            narrower -= step;
            let next = self.broken(&text, narrower, broken.len() + 1);
            if next.len() > broken.len() {
                break;
            }
            broken = next;
        }
        let broken: Vec<_> = broken.into_iter().map(str::to_owned).collect();
        broken.iter().map(|line| self.line(line, most)).collect()
    }

    /// `text` in at most `lines` pieces, of which all but the last are no wider than `most`.
    fn broken<'t>(&self, text: &'t str, most: u32, lines: usize) -> Vec<&'t str> {
        let mut rest = text.trim();
        let mut broken = Vec::new();
        while !rest.is_empty() && broken.len() < lines {
            let end = match broken.len() + 1 {
                last if last == lines => rest.len(),
                _ => self.break_point(rest, most as f32),
            };
            broken.push(rest[..end].trim_end());
            rest = rest[end..].trim_start();
        }
        broken
    }

    /// Where the first line of `text` ends: before the last word that does not fit any more, or
    /// within the first word if that is too long itself.
    fn break_point(&self, text: &str, most: f32) -> usize {
        let (mut width, mut at_space) = (0.0, 0);
        for (i, c) in text.char_indices() {
            if c == ' ' {
                at_space = i;
            }
            width += self.scaled_advance(FONT.glyph_id(c));
            if width > most && c != ' ' {
                let first = text.chars().next().map_or(1, char::len_utf8);
                return if at_space > 0 { at_space } else { i.max(first) };
            }
        }
        text.len()
    }

    fn cut(&self, mut text: String, most: f32) -> String {
        if self.advance(&text) <= most {
            return text;
        }
        let ellipsis = self.advance("…");
        let mut width = ellipsis;
        let kept = text
            .chars()
            .take_while(|c| {
                width += self.scaled_advance(FONT.glyph_id(*c));
                width <= most
            })
            .map(char::len_utf8)
            .sum();
        text.truncate(kept);
        text.truncate(text.trim_end().len());
        text.push('…');
        text
    }

    fn advance(&self, text: &str) -> f32 {
        text.chars().map(|c| self.scaled_advance(FONT.glyph_id(c))).sum()
    }

    fn scaled_advance(&self, id: GlyphId) -> f32 {
        FONT.as_scaled(self.scale()).h_advance(id)
    }

    fn scale(&self) -> PxScale {
        PxScale::from(self.line_height as f32)
    }

    /// The glyph as it looks when it begins at `x`; the cache is bounded by the font.
    fn glyph(&mut self, id: GlyphId, x: f32) -> &Glyph {
        let scale = self.scale();
        let position = (x.fract() * POSITIONS) as u8;
        self.glyphs.entry((id, position)).or_insert_with(|| {
            let baseline = FONT.as_scaled(scale).ascent();
            let at = point(f32::from(position) / POSITIONS, baseline.round());
            let Some(outline) = FONT.outline_glyph(id.with_scale_and_position(scale, at)) else {
                return Glyph { mask: Mask::empty(0, 0), left: 0, top: 0 };
            };
            let bounds = outline.px_bounds();
            let mut mask = Mask::empty(bounds.width() as usize, bounds.height() as usize);
            outline.draw(|x, y, cover| mask.set(x as usize, y as usize, cover));
            Glyph { mask, left: bounds.min.x as i32, top: bounds.min.y as i32 }
        })
    }
}

/// What of `text` can be seen: white space becomes a space, invisible characters go.
fn printable(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            c if c.is_whitespace() => Some(' '),
            c if c.is_control() => None,
            // Soft hyphen, joiners and direction marks, variation selectors, byte order mark.
            '\u{ad}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' => None,
            c => Some(c),
        })
        .take(MAX_CHARACTERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers_something(mask: &Mask) -> bool {
        mask.coverage().iter().any(|c| *c > 128)
    }

    #[test]
    fn latin_greek_and_cyrillic_are_written_and_the_rest_is_a_box() {
        for c in "AzÀÿßñŁőΩжЯ€°–“…".chars() {
            assert_ne!(FONT.glyph_id(c), GlyphId(0), "{c}");
        }
        let mut renderer = TextRenderer::new(24);
        assert!(covers_something(&renderer.line("北", 100)));
        assert_eq!(renderer.line("北", 100).coverage(), renderer.line("😀", 100).coverage());
    }

    #[test]
    fn a_line_is_never_wider_than_it_may_be() {
        let mut renderer = TextRenderer::new(18);
        for most in [0, 1, 2, 5, 12, 40, 200, 2000] {
            for text in ["", " ", "W", "iiiiiiiii", "A reasonably long line of text", "😀😀😀😀"]
            {
                let line = renderer.line(text, most);
                assert!(line.width() <= most as usize, "{text:?} {most}");
                assert_eq!(line.height(), 18);
            }
        }
    }

    #[test]
    fn what_is_cut_ends_in_an_ellipsis_and_what_fits_is_whole() {
        let renderer = TextRenderer::new(20);
        assert_eq!(renderer.cut("short".into(), 500.0), "short");
        let cut = renderer.cut("a line that is too long to fit".into(), 120.0);
        assert!(cut.ends_with('…') && cut.starts_with("a li"), "{cut}");
    }

    #[test]
    fn lines_break_between_words_and_lose_none() {
        let renderer = TextRenderer::new(20);
        let text = "the camera was unplugged or its cable is loose";
        let lines = renderer.broken(text, 150, 10);
        assert!(lines.len() > 2, "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert!(lines.iter().all(|line| renderer.width_of(line) <= 150), "{lines:?}");
    }

    #[test]
    fn a_word_that_is_too_long_is_broken_itself() {
        let renderer = TextRenderer::new(20);
        let word = "x".repeat(100);
        let lines = renderer.broken(&word, 150, 100);
        assert!(lines.len() > 2);
        assert_eq!(lines.concat(), word);
        // Even where a single letter is too wide, each line takes one.
        assert_eq!(renderer.broken("WWW", 1, 9), ["W", "W", "W"]);
    }

    #[test]
    fn hostile_text_is_harmless() {
        let long = "a\u{301}😀\u{202e}".repeat(3000);
        let controls: String = (0..0x300).filter_map(char::from_u32).collect();
        let mut renderer = TextRenderer::new(16);
        for text in [long.as_str(), controls.as_str(), "\u{202e}\u{feff}\u{200d}", "\0\0", "\r\n\t"]
        {
            assert!(renderer.line(text, 300).width() <= 300);
            assert!(renderer.wrap(text, 100, 3).len() <= 3);
        }
        assert_eq!(printable("a\r\n\u{7}b\u{202e}c"), "a  bc");
        assert_eq!(printable(&long).chars().count(), MAX_CHARACTERS);
    }

    #[test]
    fn glyphs_are_kept_and_their_number_is_bounded_by_the_font() {
        let mut renderer = TextRenderer::new(12);
        renderer.line("00:00", 500);
        let known = renderer.glyphs.len();
        renderer.line("00:00", 500);
        assert_eq!(renderer.glyphs.len(), known);
        for start in (0x20..0x3000).step_by(100) {
            let text: String = (start..start + 100).filter_map(char::from_u32).collect();
            renderer.line(&text, 10_000);
        }
        assert!(renderer.glyphs.len() <= FONT.glyph_count() * POSITIONS as usize);
    }
}
