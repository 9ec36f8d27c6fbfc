//! Finding the encoder among the video devices.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::encoder::EncoderSettings;
use crate::v4l2::{Device, FourCc, Queue};

/// Shortest side, in pixels.
const LEAST: u32 = 32;

/// A coded format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// ITU-T H.264.
    H264,
    /// Fast Walsh–Hadamard transform: the kernel's `vicodec`.
    Fwht,
}

impl Coding {
    pub(super) const fn code(self) -> FourCc {
        match self {
            Self::H264 => FourCc::H264,
            Self::Fwht => FourCc::FWHT,
        }
    }

    /// Largest width and height. The Pi's driver accepts 1920×1200 and makes garbage of it
    /// (raspberrypi/linux#6045), so the bound is ours to keep.
    pub(crate) const fn most(self) -> (u32, u32) {
        match self {
            Self::H264 => (1920, 1088),
            Self::Fwht => (4096, 2160),
        }
    }
}

/// An encoder's device node. The Pi's is `/dev/video11` as a rule, but numbers are given in the
/// order in which drivers load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    path: PathBuf,
    driver: String,
    coding: Coding,
}

impl Node {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The driver's name.
    #[must_use]
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// Whether it codes pictures of this size.
    #[must_use]
    pub fn fits(&self, settings: &EncoderSettings) -> bool {
        let EncoderSettings { width, height, .. } = *settings;
        let (most_width, most_height) = self.coding.most();
        let even = width % 2 == 0 && height % 2 == 0;
        even && (LEAST..=most_width).contains(&width) && (LEAST..=most_height).contains(&height)
    }

    /// What it makes.
    #[must_use]
    pub fn coding(&self) -> Coding {
        self.coding
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path.display(), self.driver)
    }
}

/// Every device that codes raw pictures Picket has into `coding`.
#[must_use]
pub fn list(coding: Coding) -> Vec<Node> {
    Device::nodes().into_iter().filter_map(|path| look_at(&path, coding)).collect()
}

/// The first device that codes raw pictures Picket has into `coding`; `None` when there is none.
#[must_use]
pub fn find(coding: Coding) -> Option<Node> {
    Device::nodes().into_iter().find_map(|path| look_at(&path, coding))
}

fn look_at(path: &Path, coding: Coding) -> Option<Node> {
    let device = Device::open(path).ok()?;
    let capability = device.capability().ok()?;
    let codes = capability.is_m2m()
        && device.formats(Queue::CaptureMplane).contains(&coding.code())
        && device
            .formats(Queue::OutputMplane)
            .iter()
            .any(|code| matches!(*code, FourCc::NV12 | FourCc::I420));
    codes.then(|| Node { path: path.to_owned(), driver: capability.driver, coding })
}
