//! USB cameras, and whatever else the kernel shows as a capture device.
//!
//! In come a device's name and wishes; out come frames in the driver's own memory, exported as
//! DMABUFs so that a hardware encoder can read them where they are, or access units when the
//! camera codes H.264 itself in a way that browsers decode ([`coded`]). Of a camera's
//! many modes the nearest is taken; raw formats are preferred to JPEG, which has to be decoded.

mod buffers;
mod controls;
mod modes;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use self::buffers::Stream;
use self::modes::{Offer, offers};
use super::coded::{self, CodedPictures};
use super::{
    Camera, CameraError, Capture, Constraints, Control, ControlValues, Found, FoundMode, Mode,
    nearest,
};
use crate::decoder::jpeg::JpegPictures;
use crate::media::geometry::Geometry;
use crate::media::stamps::Stamps;
use crate::media::{Frame, FrameMemory, MediaTime};
use crate::v4l2::{Capability, Dequeued, Device, FourCc, PictureFormat, Queue};

/// A camera that says nothing for this long is lost.
const SILENCE: Duration = Duration::from_secs(2);

/// Wanted of a camera when its owner asks for nothing: what every network and encoder can carry.
const FAVOURITE: Constraints =
    Constraints { width: Some(1280), height: Some(720), fps: Some(30.0) };

/// Damaged pictures in a row after which the camera is said to be lost.
const MAX_DAMAGED: u32 = 60;

/// Whether a picture that the camera has coded may be passed on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coded {
    /// Nothing is to be done to the pictures.
    PassOn,
    /// Something is, so raw ones are needed.
    Avoid,
}

/// A camera behind a V4L2 capture node.
pub struct V4l2Camera {
    which: Option<PathBuf>,
    coded: Coded,
    running: Option<Running>,
}

struct Running {
    stream: Arc<Stream>,
    format: PictureFormat,
    stamps: Stamps,
    coded: CodedPictures,
    jpeg: JpegPictures,
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
    pub fn new(which: Option<PathBuf>, coded: Coded) -> Self {
        Self { which, coded, running: None }
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

    /// The device's offer nearest to what is wanted.
    fn choose(&self, device: &Device, wanted: &Constraints) -> Result<(Offer, Mode), CameraError> {
        let all = offers(device, self.coded);
        let wanted = Constraints {
            width: wanted.width.or(if wanted.height.is_none() { FAVOURITE.width } else { None }),
            height: wanted.height.or(if wanted.width.is_none() { FAVOURITE.height } else { None }),
            fps: wanted.fps.or(FAVOURITE.fps),
        };
        let modes: Vec<Mode> = all.iter().map(|offer| offer.mode).collect();
        let mode = nearest(&modes, &wanted);
        let chosen = mode.and_then(|mode| all.into_iter().find(|offer| offer.mode == mode));
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
            "{shown} ({}) is no camera: `picket probe` lists those there are",
            capability.card
        ))),
        Err(_) => Err(CameraError::Unsupported(format!("{shown} is no video device"))),
    }
}

/// The cameras there are, with what they offer.
#[must_use]
pub fn list() -> Vec<Found> {
    let found = cameras().map(|(device, capability)| {
        let modes =
            offers(&device, Coded::PassOn).into_iter().map(|Offer { code, mode }| FoundMode {
                format: code.to_string(),
                width: mode.width,
                height: mode.height,
                max_fps: Some(mode.fps),
            });
        let node = device.path().display();
        Found {
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

/// Names what failed, for the owner.
fn failed(device: &Device, what: &str) -> impl FnOnce(std::io::Error) -> CameraError {
    // Put into words only when something has failed: this is passed by with every picture.
    move |source| {
        let what = format!("{what} of {}", device.path().display());
        match source.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::BUSY) => {
                CameraError::Unsupported(format!("{what}: another program is using the camera"))
            }
            Some(rustix::io::Errno::NODEV | rustix::io::Errno::NXIO) => {
                CameraError::Lost("it was unplugged".into())
            }
            _ => CameraError::Io { what, why: source },
        }
    }
}

impl Camera for V4l2Camera {
    fn open(&mut self, wanted: &Constraints) -> Result<Mode, CameraError> {
        self.stop();
        let device = self.find()?;
        let (offer, mode) = self.choose(&device, wanted)?;
        let wished = PictureFormat {
            code: offer.code,
            width: mode.width,
            height: mode.height,
            stride: 0,
            size: 0,
            colours: None,
        };
        let format = device
            .set_format(Queue::Capture, &wished)
            .map_err(failed(&device, "cannot set the picture format"))?;
        if format.code != offer.code {
            return Err(CameraError::Unsupported(format!(
                "{} offers {} and then delivers {}",
                device.path().display(),
                offer.code,
                format.code
            )));
        }
        // Some drivers have one rate only and do not take another.
        let fps = device.set_rate(Queue::Capture, mode.fps).unwrap_or(mode.fps);
        let coded = match self.coded {
            Coded::PassOn => CodedPictures::pass_on(),
            Coded::Avoid => CodedPictures::decode()?,
        };
        let stream = Stream::start(device, format)?;
        self.running = Some(Running {
            stream,
            format,
            stamps: Stamps::default(),
            coded,
            jpeg: JpegPictures::default(),
            damaged: 0,
        });
        Ok(Mode { width: format.width, height: format.height, fps })
    }

    fn capture(&mut self) -> Result<Capture, CameraError> {
        let Some(running) = &mut self.running else {
            return Err(CameraError::Lost("it is not open".into()));
        };
        loop {
            let taken = running.stream.next(SILENCE)?;
            match running.picture(&taken) {
                Ok(Content::Picture(capture)) => {
                    running.damaged = 0;
                    return Ok(capture);
                }
                Ok(Content::Nothing) => {}
                Ok(Content::Damaged) if running.damaged > MAX_DAMAGED => {
                    return Err(CameraError::Lost(
                        "it delivers nothing but damaged pictures".into(),
                    ));
                }
                Ok(Content::Damaged) => running.damaged += 1,
                Err(error) => {
                    // Its raw pictures may be of use where its own coding is not.
                    self.coded = Coded::Avoid;
                    return Err(error);
                }
            }
        }
    }

    fn controls(&self) -> Vec<Control> {
        self.running.as_ref().map_or_else(Vec::new, |r| controls::list(r.stream.device()))
    }

    fn set_controls(&mut self, values: &ControlValues) -> Result<(), CameraError> {
        match &self.running {
            Some(running) => controls::set(running.stream.device(), values),
            None => Ok(()),
        }
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stream.stop();
        }
    }
}

impl Running {
    fn picture(&mut self, taken: &Dequeued) -> Result<Content, CameraError> {
        let lent = Stream::lend(&self.stream, taken.index)?;
        if taken.error || taken.used == 0 {
            return Ok(Content::Damaged);
        }
        let PictureFormat { code, width, height, .. } = self.format;
        let nanos = taken.time.as_nanos();
        let (time, sequence) = self.stamps.next(nanos, taken.sequence, MediaTime::now());
        let used = taken.used as usize;
        let frame = match code {
            FourCc::H264 => {
                let Some(data) = lent.bytes().get(..used).map(Bytes::copy_from_slice) else {
                    return Ok(Content::Damaged);
                };
                return Ok(match self.coded.take(data, time)? {
                    coded::Coded::Unit(unit) => Content::Picture(Capture::AccessUnit(unit)),
                    coded::Coded::Frame(frame) => Content::Picture(Capture::Frame(frame)),
                    coded::Coded::Nothing => Content::Nothing,
                    coded::Coded::Damaged => Content::Damaged,
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
        lent: buffers::Lent,
        used: usize,
        time: MediaTime,
        sequence: u64,
    ) -> Option<Frame> {
        let PictureFormat { code, width, height, stride, .. } = self.format;
        let format = code.pixels()?;
        let planes = Geometry { format, width, height, stride: stride as usize }.whole_in(used)?;
        Frame::new(format, (width, height), &planes, Arc::new(lent), time, sequence).ok()
    }
}

impl fmt::Debug for V4l2Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V4l2Camera({:?})", self.which)
    }
}
