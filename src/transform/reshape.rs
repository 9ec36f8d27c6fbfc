//! Bringing a recording's pictures into the shape in which they are to be seen, before anything else
//! is done to them: square pixels, upright.

use super::convert::{Matrix, convert};
use super::orient::Symmetry;
use super::resize::Resizer;
use super::{Transform, TransformError};
use crate::media::{Frame, FramePool};
use crate::transform::CopyMeter;

/// Stretches, then turns and mirrors.
pub(crate) struct Reshape {
    stretched: (u32, u32),
    symmetry: Symmetry,
    resizer: Resizer,
    turned: FramePool,
    converted: FramePool,
    copies: CopyMeter,
}

impl Reshape {
    /// Pictures become `stretched` pixels before they are turned by `symmetry`.
    pub(crate) fn new(stretched: (u32, u32), symmetry: Symmetry) -> Self {
        Self {
            stretched: (stretched.0 & !1, stretched.1 & !1),
            symmetry,
            resizer: Resizer::default(),
            turned: FramePool::new(),
            converted: FramePool::new(),
            copies: CopyMeter::default(),
        }
    }

    /// The size pictures come out with.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.symmetry.size(self.stretched)
    }
}

impl Transform for Reshape {
    fn apply(&mut self, frame: Frame) -> Result<Frame, TransformError> {
        let (time, sequence) = (frame.time(), frame.sequence());
        let matrix = Matrix::of_lines(self.stretched.1);
        let draft = convert(frame, matrix, &self.converted, &self.copies)?;
        let draft = self.resizer.apply(draft, self.stretched)?;
        let draft = self.symmetry.apply(draft, &self.turned, &self.copies)?;
        Ok(draft.into_frame(time, sequence)?)
    }
}
