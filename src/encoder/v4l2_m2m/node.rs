//! Finding the encoder among the video devices.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::encoder::EncoderSettings;
use crate::v4l2::{Device, FourCc, Queue};

/// The shortest side, in pixels.
const MIN_SIDE: u32 = 32;

/// A coded format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodedFormat {
    /// ITU-T H.264.
    H264,
    /// Fast Walsh–Hadamard transform: the kernel's `vicodec`, on which this is tested.
    #[cfg(any(test, feature = "testing"))]
    Fwht,
}

impl CodedFormat {
    pub(super) const fn code(self) -> FourCc {
        match self {
            Self::H264 => FourCc::H264,
            #[cfg(any(test, feature = "testing"))]
            Self::Fwht => FourCc::FWHT,
        }
    }

    /// The largest width and height. The Pi's driver accepts 1920×1200 and makes garbage of it
    /// (raspberrypi/linux#6045), so the bound is ours to keep.
    pub(crate) const fn max_size(self) -> (u32, u32) {
        match self {
            Self::H264 => (1920, 1088),
            #[cfg(any(test, feature = "testing"))]
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
    format: CodedFormat,
}

impl Node {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The driver's name.
    #[must_use]
    #[cfg(feature = "testing")]
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// Whether it codes pictures of this size.
    #[must_use]
    pub fn fits(&self, settings: &EncoderSettings) -> bool {
        let EncoderSettings { width, height, .. } = *settings;
        let (most_width, most_height) = self.format.max_size();
        let even = width % 2 == 0 && height % 2 == 0;
        even && (MIN_SIDE..=most_width).contains(&width)
            && (MIN_SIDE..=most_height).contains(&height)
    }

    /// What it makes.
    #[must_use]
    pub fn format(&self) -> CodedFormat {
        self.format
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path.display(), self.driver)
    }
}

/// A codec that does not make what is wanted, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsuitableNode {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it: "it makes NV12 of H264".
    pub why: String,
}

impl fmt::Display for UnsuitableNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

/// Every device that codes raw pictures Picket has into `format`.
#[must_use]
pub fn list(format: CodedFormat) -> Vec<Node> {
    probe_all(format).filter_map(Result::ok).collect()
}

/// The first device that codes raw pictures Picket has into `format`; `None` when there is none.
#[must_use]
pub fn find(format: CodedFormat) -> Option<Node> {
    probe_all(format).find_map(Result::ok)
}

/// The codecs there are that do not.
#[must_use]
pub fn unsuitable(format: CodedFormat) -> Vec<UnsuitableNode> {
    probe_all(format).filter_map(Result::err).collect()
}

/// All codecs of this machine.
fn probe_all(format: CodedFormat) -> impl Iterator<Item = Result<Node, UnsuitableNode>> {
    Device::nodes().into_iter().filter_map(move |path| probe(path, format))
}

/// `None` for devices that are not codecs.
fn probe(path: PathBuf, format: CodedFormat) -> Option<Result<Node, UnsuitableNode>> {
    let device = match Device::open(&path) {
        Ok(device) => device,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let why = "may not be opened: add the user that runs Picket to the group \"video\"";
            return Some(Err(UnsuitableNode { path, why: why.into() }));
        }
        // Gone in the meantime, or another user's.
        Err(_) => return None,
    };
    let capability = device.capability().ok()?;
    if !capability.is_m2m() {
        return None;
    }
    let (takes, makes) =
        (device.formats(Queue::OutputMplane), device.formats(Queue::CaptureMplane));
    Some(match verdict(&takes, &makes, format) {
        Ok(()) => Ok(Node { path, driver: capability.driver, format }),
        Err(why) => Err(UnsuitableNode { path, why: format!("{} {why}", capability.driver) }),
    })
}

/// Whether a device with these formats is an encoder for `format`.
fn verdict(takes: &[FourCc], makes: &[FourCc], format: CodedFormat) -> Result<(), String> {
    let few = |codes: &[FourCc]| match codes {
        [] => "nothing".to_owned(),
        codes => {
            let names: Vec<_> = codes.iter().take(4).map(FourCc::to_string).collect();
            let more = if codes.len() > names.len() { " and others" } else { "" };
            format!("{}{more}", names.join(", "))
        }
    };
    if !makes.contains(&format.code()) {
        return Err(format!("makes {} of {}", few(makes), few(takes)));
    }
    if !takes.iter().any(|code| matches!(*code, FourCc::NV12 | FourCc::I420)) {
        return Err(format!("takes {} only", few(takes)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_that_is_no_such_encoder_is_told_with_what_it_does() {
        let h264 = |takes: &[FourCc], makes: &[FourCc]| verdict(takes, makes, CodedFormat::H264);
        assert_eq!(h264(&[FourCc::YUYV, FourCc::NV12], &[FourCc::H264]), Ok(()));
        assert_eq!(
            h264(&[FourCc::H264, FourCc::MJPEG], &[FourCc::I420, FourCc::NV12]),
            Err("makes YU12, NV12 of H264, MJPG".into())
        );
        assert_eq!(h264(&[FourCc::YUYV], &[FourCc::H264]), Err("takes YUYV only".into()));
        assert_eq!(h264(&[], &[]), Err("makes nothing of nothing".into()));
        assert!(verdict(&[FourCc::NV12], &[FourCc::FWHT], CodedFormat::Fwht).is_ok());
    }
}
