//! Bringing a recording's pictures to how they are meant to be displayed, before anything else is done
//! to them: with square pixels, and upright.

use super::convert::{MatrixCoefficients, convert};
use super::i420::CopyMeter;
use super::orientation::Orientation;
use super::resize::Resizer;
use super::{Transform, TransformError};
use crate::media::{Frame, FramePool};

/// Stretches, then turns and mirrors.
pub(crate) struct DisplayTransform {
    /// Width and height with square pixels, before turning.
    square_size: (u32, u32),
    orientation: Orientation,
    resizer: Resizer,
    pools: Pools,
    copies: CopyMeter,
}

/// One pool a step: a pool keeps buffers of one size only, and the steps differ in theirs.
#[derive(Default)]
struct Pools {
    converted: FramePool,
    oriented: FramePool,
}

impl DisplayTransform {
    /// Pictures become `square_size` pixels before they are given their `orientation`.
    pub(crate) fn new((width, height): (u32, u32), orientation: Orientation) -> Self {
        Self {
            square_size: (width & !1, height & !1),
            orientation,
            resizer: Resizer::default(),
            pools: Pools::default(),
            copies: CopyMeter::default(),
        }
    }

    /// The size pictures come out with.
    pub(crate) fn output_size(&self) -> (u32, u32) {
        self.orientation.size(self.square_size)
    }
}

impl Transform for DisplayTransform {
    fn apply(&mut self, frame: Frame) -> Result<Frame, TransformError> {
        let (time, sequence) = (frame.time(), frame.sequence());
        let matrix = MatrixCoefficients::for_height(self.square_size.1);
        let i420 = convert(frame, matrix, &self.pools.converted, &self.copies)?;
        let i420 = self.resizer.apply(i420, self.square_size)?;
        let i420 = self.orientation.apply(i420, &self.pools.oriented, &self.copies)?;
        Ok(i420.into_frame(time, sequence)?)
    }
}
