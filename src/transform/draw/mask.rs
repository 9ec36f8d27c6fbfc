//! Shapes as coverage, and their blending into a picture.

use crate::transform::i420::I420Buffer;

/// A colour in limited-range Y′CbCr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour {
    pub(crate) y: u8,
    pub(crate) u: u8,
    pub(crate) v: u8,
}

impl Colour {
    pub(crate) const WHITE: Self = Self::gray(235);
    pub(crate) const BLACK: Self = Self::gray(16);

    /// A neutral tone, 16 (black) to 235 (white).
    pub(crate) const fn gray(y: u8) -> Self {
        Self { y, u: 128, v: 128 }
    }
}

/// How much of each pixel a shape covers: 0 leaves the picture as it is, 255 hides it.
#[derive(Clone, Debug)]
pub(crate) struct Mask {
    width: usize,
    height: usize,
    coverage: Vec<u8>,
}

impl Mask {
    /// A mask that covers nothing.
    pub(crate) fn empty(width: usize, height: usize) -> Self {
        Self { width, height, coverage: vec![0; width * height] }
    }

    /// A mask whose coverage, 0.0 to 1.0, is `cover(x, y)` at the pixel's centre.
    pub(crate) fn from_fn(width: usize, height: usize, cover: impl Fn(f32, f32) -> f32) -> Self {
        let coverage = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x as f32 + 0.5, y as f32 + 0.5)))
            .map(|(x, y)| (cover(x, y) * 255.0 + 0.5) as u8)
            .collect();
        Self { width, height, coverage }
    }

    /// A rectangle with round corners.
    pub(crate) fn rounded(width: usize, height: usize, radius: f32) -> Self {
        let (half_w, half_h) = (width as f32 / 2.0, height as f32 / 2.0);
        let radius = radius.min(half_w).min(half_h);
        Self::from_fn(width, height, |x, y| {
            // Distance to the rectangle that is smaller by the radius on every side.
            let dx = ((x - half_w).abs() - (half_w - radius)).max(0.0);
            let dy = ((y - half_h).abs() - (half_h - radius)).max(0.0);
            (radius - dx.hypot(dy) + 0.5).clamp(0.0, 1.0)
        })
    }

    /// The same shape, at most `opacity` (of 255) opaque.
    pub(crate) fn faded(mut self, opacity: u8) -> Self {
        for cover in &mut self.coverage {
            *cover = mix(0, *cover, opacity);
        }
        self
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// Adds another mask's coverage with its top left corner at (`x`, `y`).
    pub(super) fn add(&mut self, other: &Self, x: i32, y: i32) {
        let Some(columns) = overlap(self.width, other.width, x) else {
            return;
        };
        let Some(rows) = overlap(self.height, other.height, y) else {
            return;
        };
        for i in 0..rows.len {
            let to = (rows.to + i) * self.width + columns.to;
            let from = (rows.from + i) * other.width + columns.from;
            let from = &other.coverage[from..from + columns.len];
            for (to, from) in self.coverage[to..to + columns.len].iter_mut().zip(from) {
                *to = to.saturating_add(*from);
            }
        }
    }

    /// Sets one pixel's coverage, 0.0 to 1.0; pixels outside are ignored.
    pub(super) fn set(&mut self, x: usize, y: usize, cover: f32) {
        if x < self.width
            && let Some(pixel) = self.coverage.get_mut(y * self.width + x)
        {
            *pixel = (cover * 255.0 + 0.5) as u8;
        }
    }

    #[cfg(test)]
    pub(super) fn coverage(&self) -> &[u8] {
        &self.coverage
    }

    fn row(&self, y: usize, columns: &Overlap) -> &[u8] {
        &self.coverage[y * self.width + columns.from..][..columns.len]
    }
}

impl I420Buffer {
    /// Paints `colour` through `mask`, whose top left corner is put at (`x`, `y`), rounded down
    /// to even: chroma samples lie two pixels apart.
    pub(crate) fn blend(&mut self, mask: &Mask, (x, y): (i32, i32), colour: Colour) {
        let (width, height) = self.size();
        let (width, height) = (width as usize, height as usize);
        let Some(columns) = overlap(width, mask.width, x & !1) else {
            return;
        };
        let Some(rows) = overlap(height, mask.height, y & !1) else {
            return;
        };
        let [luma, u, v] = self.planes_mut();
        for i in 0..rows.len {
            let start = (rows.to + i) * width + columns.to;
            let to = &mut luma[start..start + columns.len];
            paint(to, mask.row(rows.from + i, &columns), colour.y);
        }
        let mut cover = vec![0; columns.len.div_ceil(2)];
        let nothing = vec![0; columns.len];
        for i in (0..rows.len).step_by(2) {
            let upper = mask.row(rows.from + i, &columns);
            let lower = match i + 1 {
                next if next < rows.len => mask.row(rows.from + next, &columns),
                _ => &nothing,
            };
            for ((cover, a), b) in cover.iter_mut().zip(upper.chunks(2)).zip(lower.chunks(2)) {
                let sum: u16 = a.iter().chain(b).map(|c| u16::from(*c)).sum();
                *cover = (sum / 4) as u8;
            }
            let start = (rows.to + i) / 2 * (width / 2) + columns.to / 2;
            paint(&mut u[start..start + cover.len()], &cover, colour.u);
            paint(&mut v[start..start + cover.len()], &cover, colour.v);
        }
    }
}

fn paint(to: &mut [u8], cover: &[u8], value: u8) {
    for (to, cover) in to.iter_mut().zip(cover) {
        *to = mix(*to, value, *cover);
    }
}

/// `share` (of 255) of `b`, and `a` for the rest.
fn mix(a: u8, b: u8, share: u8) -> u8 {
    let sum = u16::from(a) * u16::from(255 - share) + u16::from(b) * u16::from(share);
    ((sum + 127) / 255) as u8
}

/// Where a mask and what it is laid on meet along one axis.
struct Overlap {
    from: usize,
    to: usize,
    len: usize,
}

/// `mask` pixels laid on `ground` pixels from `at` on, or `None` when they do not meet.
fn overlap(ground: usize, mask: usize, at: i32) -> Option<Overlap> {
    let from = if at < 0 { at.unsigned_abs() as usize } else { 0 };
    let to = usize::try_from(at).unwrap_or(0);
    let len = mask.checked_sub(from)?.min(ground.checked_sub(to)?);
    (len > 0).then_some(Overlap { from, to, len })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FramePool;

    fn gray_picture(size: (u32, u32)) -> I420Buffer {
        let mut picture = I420Buffer::new(&FramePool::new(), size).unwrap();
        picture.planes_mut().into_iter().for_each(|p| p.fill(128));
        picture
    }

    #[test]
    fn full_coverage_hides_and_none_leaves_the_picture() {
        for (a, b) in [(0, 255), (16, 235), (200, 3)] {
            assert_eq!((mix(a, b, 0), mix(a, b, 255)), (a, b));
        }
        assert_eq!(mix(100, 200, 128), 150);
    }

    #[test]
    fn a_mask_may_hang_over_every_edge() {
        let mask = Mask::rounded(7, 5, 2.0);
        let mut picture = gray_picture((16, 12));
        for x in [-100, -8, -7, -6, -1, 0, 3, 12, 15, 16, 100, i32::MIN, i32::MAX] {
            for y in [-100, -6, -5, -4, -1, 0, 3, 8, 11, 12, 100, i32::MIN, i32::MAX] {
                picture.blend(&mask, (x, y), Colour::WHITE);
            }
        }
        assert_eq!(picture.planes()[0].row(0)[0], 235);
    }

    #[test]
    fn chroma_is_painted_where_luma_is() {
        let red = Colour { y: 81, u: 90, v: 240 };
        let mut picture = gray_picture((16, 16));
        picture.blend(&Mask::from_fn(4, 4, |_, _| 1.0), (6, 8), red);
        let [y, u, v] = picture.planes();
        for (py, row) in y.rows().enumerate() {
            for (px, value) in row.iter().enumerate() {
                let inside = (6..10).contains(&px) && (8..12).contains(&py);
                assert_eq!(*value, if inside { 81 } else { 128 }, "luma {px},{py}");
                let chroma = (u.row(py / 2)[px / 2], v.row(py / 2)[px / 2]);
                let wanted = if inside { (90, 240) } else { (128, 128) };
                assert_eq!(chroma, wanted, "chroma {px},{py}");
            }
        }
    }
}
