//! Which camera is meant.

/// Which of libcamera's cameras.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LibcameraSelector {
    /// The first; built-in ones come before those on a USB cable.
    #[default]
    First,
    /// By its place in libcamera's list, from 0, which may be another after a restart.
    Index(usize),
    /// By its id, which stays with the connector that it is plugged into.
    Id(String),
}

impl LibcameraSelector {
    /// Whether both are certainly the same camera.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let index = |selector: &Self| match selector {
            Self::First => Some(0),
            Self::Index(index) => Some(*index),
            Self::Id(_) => None,
        };
        self == other || index(self).is_some_and(|this| index(other) == Some(this))
    }
}
