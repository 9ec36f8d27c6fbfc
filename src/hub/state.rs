//! How the source of pictures is doing.

use std::fmt;

/// What the source is and how it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceInfo {
    /// The source as the owner named it: "pattern", "file:clip.mp4".
    pub name: String,
    /// What codes the pictures: "openh264", or "none" when they come coded.
    pub encoder: String,
    /// Width viewers get, in pixels.
    pub width: u32,
    /// Height viewers get, in pixels.
    pub height: u32,
    /// Pictures a second.
    pub fps: f64,
}

/// The life of the source, as shown to viewers and the owner.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum SourceState {
    /// Nobody watches; the camera is off.
    #[default]
    Idle,
    /// Being opened for the first viewer.
    Starting,
    /// Delivering pictures.
    Live(SourceInfo),
    /// Not delivering, for the reason given; it is tried again all the time.
    Lost(String),
    /// Came to its end, and the owner wants it left at that.
    Ended,
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Live(_) => "live",
            Self::Lost(_) => "lost",
            Self::Ended => "ended",
        })
    }
}
