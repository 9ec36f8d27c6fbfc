//! USB cameras, and whatever else the kernel shows as a capture device.
//!
//! In come a device's name and what is wanted of it; out come frames in the driver's own memory,
//! exported as DMABUFs so that a hardware encoder can read them where they are, or access units where
//! the camera codes H.264 itself in a way that browsers decode ([`coded_stream`](super::coded_stream)).
//! Of a camera's many modes the nearest is used; raw formats are preferred to JPEG, which has to be
//! decoded.

mod buffers;
mod controls;
mod error;
mod modes;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use self::buffers::Stream;
use self::error::describe;
use self::modes::{FormatMode, format_modes};
use super::coded_stream::{CodedStream, Received};
use super::{
    Camera, CameraError, CameraInfo, Capture, CaptureMode, Constraints, Control, ControlValues,
    Mode, ModeInfo, nearest_mode,
};
use crate::decoder::jpeg::MjpegDecoder;
use crate::media::geometry::Geometry;
use crate::media::stamps::Stamps;
use crate::media::{Frame, FrameMemory, MediaTime};
use crate::v4l2::{Capability, DequeuedBuffer, Device, FourCc, Queue, VideoFormat};

/// A camera that delivers nothing for this long is lost.
const STALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Wanted of a camera whose owner does not say: what every network and encoder can carry.
const DEFAULT: Constraints = Constraints { width: Some(1280), height: Some(720), fps: Some(30.0) };

/// Damaged pictures in a row after which the camera is said to be lost.
const MAX_DAMAGED: u32 = 60;

/// A camera behind a V4L2 capture node.
pub struct V4l2Camera {
    which: Option<PathBuf>,
    capture_mode: CaptureMode,
    open: Option<OpenCamera>,
}

struct OpenCamera {
    stream: Arc<Stream>,
    format: VideoFormat,
    stamps: Stamps,
    coded: CodedStream,
    jpeg: MjpegDecoder,
    /// Pictures in a row that could not be used.
    damaged: u32,
}

/// What a buffer of the camera's held.
enum Content {
    Picture(Capture),
    /// Nothing to be shown, and nothing wrong.
    Nothing,
    Damaged,
}

impl V4l2Camera {
    /// The camera at a node such as `/dev/video0`, or the one whose name contains `which` when it
    /// is not a path; the first there is without. A name finds a camera again that was plugged
    /// into another port.
    #[must_use]
    pub fn new(which: Option<PathBuf>, capture_mode: CaptureMode) -> Self {
        Self { which, capture_mode, open: None }
    }

    fn find(&self) -> Result<Device, CameraError> {
        match &self.which {
            Some(path) if path.is_absolute() => open(path),
            which => {
                let wanted = which.as_ref().map(|name| name.to_string_lossy().to_lowercase());
                let fits = |found: &Capability| match &wanted {
                    None => true,
                    Some(name) => found.card.to_lowercase().contains(name),
                };
                let found = cameras().find(|(_, capability)| fits(capability));
                found.map(|(device, _)| device).ok_or_else(|| self.not_found())
            }
        }
    }

    fn not_found(&self) -> CameraError {
        let there: Vec<String> = cameras()
            .map(|(device, capability)| {
                format!("{} ({})", device.path().display(), capability.card)
            })
            .collect();
        let wanted = match &self.which {
            Some(name) => format!("there is no camera named \"{}\"", name.display()),
            None => "there is no camera".into(),
        };
        CameraError::NotFound(match there.is_empty() {
            true => format!("{wanted}, nor any other V4L2 camera: check its cable"),
            false => format!("{wanted}; there are {}", there.join(", ")),
        })
    }

    /// The device's mode nearest to what is wanted.
    fn choose(
        &self,
        device: &Device,
        wanted: &Constraints,
    ) -> Result<(FormatMode, Mode), CameraError> {
        let all = format_modes(device, self.capture_mode);
        let wanted = Constraints {
            width: wanted.width.or(if wanted.height.is_none() { DEFAULT.width } else { None }),
            height: wanted.height.or(if wanted.width.is_none() { DEFAULT.height } else { None }),
            fps: wanted.fps.or(DEFAULT.fps),
        };
        let modes: Vec<Mode> = all.iter().map(|format| format.mode).collect();
        let mode = nearest_mode(&modes, &wanted);
        let chosen = mode.and_then(|mode| all.into_iter().find(|format| format.mode == mode));
        chosen.zip(mode).ok_or_else(|| {
            let formats = device.formats(Queue::Capture);
            CameraError::Unsupported(format!(
                "{} offers no format Picket can use, only {formats:?}",
                device.path().display()
            ))
        })
    }
}

/// The capture devices there are, with what they call themselves.
fn cameras() -> impl Iterator<Item = (Device, Capability)> {
    Device::nodes().into_iter().filter_map(|path| {
        let device = Device::open(&path).ok()?;
        let capability = device.capability().ok()?;
        // USB cameras have a second node, for metadata, without formats.
        let camera = capability.captures() && !device.formats(Queue::Capture).is_empty();
        camera.then_some((device, capability))
    })
}

fn open(path: &Path) -> Result<Device, CameraError> {
    let shown = path.display();
    let device = Device::open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => {
            CameraError::NotFound(format!("there is no {shown}: is the camera plugged in?"))
        }
        _ => CameraError::Io { what: format!("cannot open {shown}"), why: source },
    })?;
    match device.capability() {
        Ok(capability) if capability.captures() => Ok(device),
        Ok(capability) => Err(CameraError::Unsupported(format!(
            "{shown} ({}) is not a camera: `picket probe` lists those there are",
            capability.card
        ))),
        Err(_) => Err(CameraError::Unsupported(format!("{shown} is not a video device"))),
    }
}

/// The cameras there are, with what they offer.
#[must_use]
pub fn list() -> Vec<CameraInfo> {
    let found = cameras().map(|(device, capability)| {
        let modes = format_modes(&device, CaptureMode::PassThrough).into_iter().map(
            |FormatMode { code, mode }| ModeInfo {
                format: code.to_string(),
                width: mode.width,
                height: mode.height,
                max_fps: Some(mode.fps),
            },
        );
        let node = device.path().display();
        CameraInfo {
            source: format!("v4l2:{node}"),
            id: capability.bus,
            model: capability.card,
            location: None,
            modes: modes.collect(),
            controls: controls::list(&device),
        }
    });
    found.collect()
}

/// Whether there is a V4L2 camera at all.
#[must_use]
pub fn any() -> bool {
    cameras().next().is_some()
}

impl Camera for V4l2Camera {
    fn open(&mut self, wanted: &Constraints) -> Result<Mode, CameraError> {
        self.stop();
        let device = self.find()?;
        let (chosen, mode) = self.choose(&device, wanted)?;
        let wanted = VideoFormat {
            code: chosen.code,
            width: mode.width,
            height: mode.height,
            stride: 0,
            size: 0,
            matrix: None,
        };
        let format = device
            .set_format(Queue::Capture, &wanted)
            .map_err(describe(&device, "cannot set the picture format"))?;
        if format.code != chosen.code {
            return Err(CameraError::Unsupported(format!(
                "{} offers {} and then delivers {}",
                device.path().display(),
                chosen.code,
                format.code
            )));
        }
        // Some drivers have one rate only and do not take another.
        let fps = device.set_frame_rate(Queue::Capture, mode.fps).unwrap_or(mode.fps);
        let coded = CodedStream::new(self.capture_mode)?;
        let stream = Stream::start(device, format)?;
        self.open = Some(OpenCamera {
            stream,
            format,
            stamps: Stamps::default(),
            coded,
            jpeg: MjpegDecoder::default(),
            damaged: 0,
        });
        Ok(Mode { width: format.width, height: format.height, fps })
    }

    fn capture(&mut self) -> Result<Capture, CameraError> {
        let Some(open) = &mut self.open else {
            return Err(CameraError::Lost("it is not open".into()));
        };
        loop {
            let dequeued = open.stream.next(STALL_TIMEOUT)?;
            match open.receive(&dequeued) {
                Ok(Content::Picture(capture)) => {
                    open.damaged = 0;
                    return Ok(capture);
                }
                Ok(Content::Nothing) => {}
                Ok(Content::Damaged) if open.damaged > MAX_DAMAGED => {
                    return Err(CameraError::Lost(
                        "it delivers nothing but damaged pictures".into(),
                    ));
                }
                Ok(Content::Damaged) => open.damaged += 1,
                Err(error) => {
                    // Its raw pictures may be of use where its own coding is not.
                    self.capture_mode = CaptureMode::Decode;
                    return Err(error);
                }
            }
        }
    }

    fn controls(&self) -> Vec<Control> {
        self.open.as_ref().map_or_else(Vec::new, |r| controls::list(r.stream.device()))
    }

    fn set_controls(&mut self, values: &ControlValues) -> Result<(), CameraError> {
        match &self.open {
            Some(open) => controls::set(open.stream.device(), values),
            None => Ok(()),
        }
    }

    fn stop(&mut self) {
        if let Some(open) = self.open.take() {
            open.stream.stop();
        }
    }
}

impl OpenCamera {
    fn receive(&mut self, dequeued: &DequeuedBuffer) -> Result<Content, CameraError> {
        let lent = Stream::lend(&self.stream, dequeued.index)?;
        if dequeued.error || dequeued.used == 0 {
            return Ok(Content::Damaged);
        }
        let VideoFormat { code, width, height, .. } = self.format;
        let nanos = dequeued.time.as_nanos();
        let (time, sequence) = self.stamps.next(nanos, dequeued.sequence, MediaTime::now());
        let used = dequeued.used as usize;
        let frame = match code {
            FourCc::H264 => {
                let Some(data) = lent.bytes().get(..used).map(Bytes::copy_from_slice) else {
                    return Ok(Content::Damaged);
                };
                return Ok(match self.coded.take(data, time)? {
                    Received::AccessUnit(unit) => Content::Picture(Capture::AccessUnit(unit)),
                    Received::Frame(frame) => Content::Picture(Capture::Frame(frame)),
                    Received::Nothing => Content::Nothing,
                    Received::Damaged => Content::Damaged,
                });
            }
            FourCc::MJPEG => {
                let jpeg = lent.bytes().get(..used);
                jpeg.and_then(|jpeg| self.jpeg.decode(jpeg, (width, height), time, sequence))
            }
            _ => self.raw(lent, used, time, sequence),
        };
        Ok(frame.map_or(Content::Damaged, |frame| Content::Picture(Capture::Frame(frame))))
    }

    fn raw(
        &self,
        lent: buffers::LentBuffer,
        used: usize,
        time: MediaTime,
        sequence: u64,
    ) -> Option<Frame> {
        let VideoFormat { code, width, height, stride, .. } = self.format;
        let format = code.pixel_format()?;
        let planes = Geometry { format, width, height, stride: stride as usize }.whole_in(used)?;
        Frame::new(format, (width, height), &planes, Arc::new(lent), time, sequence).ok()
    }
}

impl fmt::Debug for V4l2Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V4l2Camera({:?})", self.which)
    }
}
