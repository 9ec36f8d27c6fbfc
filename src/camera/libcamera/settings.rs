//! What an owner wants of a camera.

use crate::camera::Constraints;

/// Mirroring that a camera may do itself, at no cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flip {
    /// As it is seen.
    #[default]
    None,
    /// Left and right change places.
    Horizontal,
    /// Top and bottom change places.
    Vertical,
    /// Both: a half turn.
    Both,
}

/// How a camera is to be run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CaptureSettings {
    pub(super) constraints: Constraints,
    pub(super) flip: Flip,
}
