//! Turning and mirroring: the eight orientations of a picture, each made in one pass.

use super::TransformError;
use super::i420::{CopyMeter, I420Buffer, I420Frame, PlaneView};
use crate::media::FramePool;

/// How far the picture is turned, for a camera that is mounted on its side or upside down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// As the camera sees it.
    #[default]
    None,
    /// By a quarter.
    Clockwise90,
    /// Upside down.
    Clockwise180,
    /// By three quarters, which is a quarter to the left.
    Clockwise270,
}

/// One of the eight ways up of a picture, as in Exif: first rows and columns change places where
/// `transpose` says, then the outcome is mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orientation {
    pub(crate) transpose: bool,
    /// Left and right change places.
    pub(crate) mirror_x: bool,
    /// Top and bottom change places.
    pub(crate) mirror_y: bool,
}

impl Orientation {
    /// The picture turned by `rotation`, then mirrored as the viewer sees it: left and right
    /// change places with `hflip`, top and bottom with `vflip`.
    pub(super) fn new(rotation: Rotation, hflip: bool, vflip: bool) -> Self {
        let (transpose, mirror_x, mirror_y) = match rotation {
            Rotation::None => (false, false, false),
            Rotation::Clockwise90 => (true, true, false),
            Rotation::Clockwise180 => (false, true, true),
            Rotation::Clockwise270 => (true, false, true),
        };
        Self { transpose, mirror_x: mirror_x ^ hflip, mirror_y: mirror_y ^ vflip }
    }

    /// The size of a picture of this size afterwards.
    pub(crate) fn size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.transpose { (height, width) } else { (width, height) }
    }

    /// Turns and mirrors a picture; one that stays as it is keeps its memory.
    pub(super) fn apply(
        self,
        picture: I420Frame,
        pool: &FramePool,
        copies: &CopyMeter,
    ) -> Result<I420Frame, TransformError> {
        if self == Self::default() {
            return Ok(picture);
        }
        let mut buffer = I420Buffer::new(pool, self.size(picture.size()))?;
        for (from, to) in picture.planes().iter().zip(buffer.planes_mut()) {
            if self.transpose {
                self.transpose_plane(from, to);
            } else {
                self.mirror_plane(from, to);
            }
            copies.add(to.len());
        }
        Ok(I420Frame::Owned(buffer))
    }

    fn mirror_plane(self, from: &PlaneView<'_>, to: &mut [u8]) {
        let write: fn(&[u8], &mut [u8]) = if self.mirror_x {
            |from, to| {
                for (from, to) in from.iter().rev().zip(to) {
                    *to = *from;
                }
            }
        } else {
            |from, to| to.copy_from_slice(from)
        };
        let lines = to.chunks_exact_mut(from.width());
        if self.mirror_y {
            let last_first = lines.rev();
            from.rows().zip(last_first).for_each(|(f, t)| write(f, t));
        } else {
            from.rows().zip(lines).for_each(|(f, t)| write(f, t));
        }
    }

    /// Works in square tiles, so that neither the rows read nor the rows written leave the cache
    /// between two visits: a column walked from top to bottom would touch a new line each step.
    fn transpose_plane(self, from: &PlaneView<'_>, to: &mut [u8]) {
        let (width, height) = (from.height(), from.width());
        let mut tile = [[0u8; TILE]; TILE];
        for x0 in (0..width).step_by(TILE) {
            let columns = TILE.min(width - x0);
            for y0 in (0..height).step_by(TILE) {
                let rows = TILE.min(height - y0);
                // Column x of the outcome is a row of the source, row y one of its columns.
                let source_x = if self.mirror_y { height - y0 - rows } else { y0 };
                for (i, line) in tile.iter_mut().take(columns).enumerate() {
                    let x = x0 + i;
                    let source_y = if self.mirror_x { width - 1 - x } else { x };
                    read(&from.row(source_y)[source_x..source_x + rows], line);
                }
                let turned = transposed(tile);
                let lines = to[y0 * width..].chunks_mut(width).take(rows);
                for (i, line) in lines.enumerate() {
                    let row = if self.mirror_y { rows - 1 - i } else { i };
                    write(&turned[row], &mut line[x0..x0 + columns]);
                }
            }
        }
    }
}

/// Side of a tile: one vector register's worth of pixels.
const TILE: usize = 16;

/// Copies up to a tile's row; a whole one, the usual case, as a single register.
fn read(from: &[u8], to: &mut [u8; TILE]) {
    match <&[u8; TILE]>::try_from(from) {
        Ok(whole) => *to = *whole,
        Err(_) => to[..from.len()].copy_from_slice(from),
    }
}

fn write(from: &[u8; TILE], to: &mut [u8]) {
    match <&mut [u8; TILE]>::try_from(&mut *to) {
        Ok(whole) => *whole = *from,
        Err(_) => to.copy_from_slice(&from[..to.len()]),
    }
}

/// Rows and columns change places.
fn transposed(tile: [[u8; TILE]; TILE]) -> [[u8; TILE]; TILE] {
    std::array::from_fn(|y| std::array::from_fn(|x| tile[x][y]))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ROTATIONS, frame_of, planes};
    use super::*;
    use crate::media::{Frame, PixelFormat};

    fn apply(orientation: Orientation, frame: &Frame) -> Frame {
        orientation
            .apply(I420Frame::Borrowed(frame.clone()), &FramePool::new(), &CopyMeter::default())
            .and_then(|picture| Ok(picture.into_frame(frame.time(), frame.sequence())?))
            .unwrap()
    }

    /// Every pixel of a plane unlike its neighbours; 4×2 with this luma:
    /// ```text
    /// 0 1 2 3
    /// 4 5 6 7
    /// ```
    fn small() -> Frame {
        frame_of(PixelFormat::I420, (4, 2), (3, 1), |p, x, y| (p * 100 + x + 4 * y) as u8)
    }

    #[test]
    fn each_orientation_puts_every_pixel_where_it_belongs() {
        type Luma = &'static [&'static [u8]];
        let expected: [(Rotation, bool, bool, Luma, [u8; 2]); 8] = [
            (Rotation::None, false, false, &[&[0, 1, 2, 3], &[4, 5, 6, 7]], [100, 101]),
            (Rotation::None, true, false, &[&[3, 2, 1, 0], &[7, 6, 5, 4]], [101, 100]),
            (Rotation::None, false, true, &[&[4, 5, 6, 7], &[0, 1, 2, 3]], [100, 101]),
            (Rotation::Clockwise180, false, false, &[&[7, 6, 5, 4], &[3, 2, 1, 0]], [101, 100]),
            (
                Rotation::Clockwise90,
                false,
                false,
                &[&[4, 0], &[5, 1], &[6, 2], &[7, 3]],
                [100, 101],
            ),
            (
                Rotation::Clockwise270,
                false,
                false,
                &[&[3, 7], &[2, 6], &[1, 5], &[0, 4]],
                [101, 100],
            ),
            (Rotation::Clockwise90, true, false, &[&[0, 4], &[1, 5], &[2, 6], &[3, 7]], [100, 101]),
            (Rotation::Clockwise90, false, true, &[&[7, 3], &[6, 2], &[5, 1], &[4, 0]], [101, 100]),
        ];
        for (rotation, hflip, vflip, luma, chroma) in expected {
            let [y, u, v] = planes(&apply(Orientation::new(rotation, hflip, vflip), &small()));
            assert_eq!(y, luma, "{rotation:?} {hflip} {vflip}");
            assert_eq!(u.concat(), chroma, "{rotation:?} {hflip} {vflip}");
            assert_eq!(v.concat(), chroma.map(|c| c + 100), "{rotation:?} {hflip} {vflip}");
        }
    }

    #[test]
    fn turning_and_mirroring_both_ways_make_eight_orientations() {
        let mut seen = Vec::new();
        for rotation in ROTATIONS {
            for (hflip, vflip) in [(false, false), (true, false), (false, true), (true, true)] {
                let orientation = Orientation::new(rotation, hflip, vflip);
                if !seen.contains(&orientation) {
                    seen.push(orientation);
                }
            }
        }
        assert_eq!(seen.len(), 8);
    }

    #[test]
    fn turning_back_gives_the_same_picture_at_any_size() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..60 {
            let size = (random.u32(1..50) * 2, random.u32(1..50) * 2);
            let seed = random.usize(..);
            let frame = frame_of(PixelFormat::I420, size, (random.usize(0..20), 2), |p, x, y| {
                (seed ^ (x * 31 + y * 17 + p * 7).wrapping_mul(2_654_435_761)) as u8
            });
            let quarter = Orientation::new(Rotation::Clockwise90, false, false);
            let three = Orientation::new(Rotation::Clockwise270, false, false);
            let half = Orientation::new(Rotation::Clockwise180, false, false);
            let once = apply(quarter, &frame);
            assert_eq!((once.width(), once.height()), (size.1, size.0));
            let twice = apply(quarter, &once);
            assert_eq!(planes(&twice), planes(&apply(half, &frame)), "{size:?}");
            assert_eq!(planes(&apply(three, &once)), planes(&frame), "{size:?}");
            let four = apply(quarter, &apply(quarter, &twice));
            assert_eq!(planes(&four), planes(&frame), "{size:?}");
            for orientation in [(true, false), (false, true)] {
                let mirror = Orientation::new(Rotation::Clockwise90, orientation.0, orientation.1);
                let again = apply(mirror, &apply(mirror, &frame));
                assert_eq!(planes(&again), planes(&frame), "{mirror:?} {size:?}");
            }
        }
    }
}
