//! USB cameras, and whatever else the kernel shows as a capture device.
//!
//! In come a device's name and wishes; out come frames in the driver's own memory, exported as
//! DMABUFs so that a hardware encoder can read them where they are, or access units when the
//! camera codes H.264 itself in a way that browsers decode. Of a camera's many modes the nearest
//! is taken; raw formats are preferred to JPEG, which has to be decoded.

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
use super::{
    Camera, CameraError, Capture, Constraints, Control, ControlValues, Found, FoundMode, Mode,
    nearest,
};
use crate::media::h264::{NalType, ParameterSets, SpsInfo};
use crate::media::{AccessUnit, Frame, FrameMemory, FramePool, MediaTime, PixelFormat};
use crate::v4l2::{Capability, Dequeued, Device, FourCc, Geometry, PictureFormat, Queue};

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
    /// Pictures taken since the camera was opened.
    sequence: u64,
    last_time: MediaTime,
    parameter_sets: ParameterSets,
    pool: FramePool,
    damaged: u32,
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
        _ => CameraError::Io { what: format!("cannot open {shown}"), source },
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
    let what = format!("{what} of {}", device.path().display());
    |source| match source.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::BUSY) => {
            CameraError::Unsupported(format!("{what}: another program is using the camera"))
        }
        Some(rustix::io::Errno::NODEV | rustix::io::Errno::NXIO) => {
            CameraError::Lost("it was unplugged".into())
        }
        _ => CameraError::Io { what, source },
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
        let stream = Stream::start(device, format)?;
        self.running = Some(Running {
            stream,
            format,
            sequence: 0,
            last_time: MediaTime::default(),
            parameter_sets: ParameterSets::default(),
            pool: FramePool::new(),
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
            match running.picture(&taken)? {
                Some(capture) => return Ok(capture),
                None if running.damaged > MAX_DAMAGED => {
                    return Err(CameraError::Lost(
                        "it delivers nothing but damaged pictures".into(),
                    ));
                }
                None => running.damaged += 1,
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
    /// What is in a buffer that came back; `None` when it is damaged, or not to be shown.
    fn picture(&mut self, taken: &Dequeued) -> Result<Option<Capture>, CameraError> {
        let lent = Stream::lend(&self.stream, taken.index)?;
        if taken.error || taken.used == 0 {
            return Ok(None);
        }
        self.sequence += 1;
        let time = self.time_of(taken.time);
        let used = taken.used as usize;
        let capture = match self.format.code {
            FourCc::H264 => {
                let coded = lent.bytes().get(..used).map(Bytes::copy_from_slice);
                coded.map(|data| self.coded(data, time)).transpose()?.flatten()
            }
            FourCc::MJPEG => {
                let frame = lent.bytes().get(..used).and_then(|jpeg| self.decoded(jpeg, time));
                frame.map(Capture::Frame)
            }
            _ => self.raw(lent, used, time).map(Capture::Frame),
        };
        if capture.is_some() {
            self.damaged = 0;
        }
        Ok(capture)
    }

    fn raw(&self, lent: buffers::Lent, used: usize, time: MediaTime) -> Option<Frame> {
        let PictureFormat { code, width, height, stride, .. } = self.format;
        let format = code.pixels()?;
        let planes = Geometry { format, width, height, stride: stride as usize }.planes()?;
        // A picture that was cut short on the wire is not shown.
        let last = planes.len().checked_sub(1)?;
        let (row, rows) = format.plane_size(last, width, height)?;
        let needed = planes[last].offset + planes[last].stride * (rows - 1) + row;
        if used < needed {
            return None;
        }
        Frame::new(format, (width, height), &planes, Arc::new(lent), time, self.sequence).ok()
    }

    fn decoded(&self, jpeg: &[u8], time: MediaTime) -> Option<Frame> {
        use zune_jpeg::JpegDecoder;
        use zune_jpeg::zune_core::bytestream::ZCursor;
        use zune_jpeg::zune_core::colorspace::ColorSpace;
        use zune_jpeg::zune_core::options::DecoderOptions;

        let PictureFormat { width, height, .. } = self.format;
        let options = DecoderOptions::new_fast()
            .jpeg_set_out_colorspace(ColorSpace::RGB)
            .set_max_width(width as usize)
            .set_max_height(height as usize);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
        decoder.decode_headers().ok()?;
        let size = decoder.dimensions()?;
        if size != (width as usize, height as usize) {
            return None;
        }
        let mut pixels = self.pool.take(Frame::packed_len(PixelFormat::Rgb, (width, height)));
        decoder.decode_into(&mut pixels).ok()?;
        let memory = Arc::new(pixels);
        Frame::packed(PixelFormat::Rgb, (width, height), memory, time, self.sequence).ok()
    }

    fn coded(&mut self, data: Bytes, time: MediaTime) -> Result<Option<Capture>, CameraError> {
        let Ok(unit) = AccessUnit::from_annex_b(data, time, &mut self.parameter_sets) else {
            return Ok(None);
        };
        let sps = unit.nals().find(|nal| NalType::of(nal) == NalType::Sps);
        if let Some(info) = sps.and_then(|sps| SpsInfo::parse(sps).ok())
            && (info.may_reorder || info.interlaced || !info.is_420_8bit)
        {
            return Err(CameraError::Unsupported(
                "its H.264 is not what browsers decode: set camera.colorspace = \"gray\" or an \
                 overlay to have its raw pictures encoded instead"
                    .into(),
            ));
        }
        Ok(Some(Capture::AccessUnit(unit)))
    }

    /// The driver's stamp if it can be true, else the present: some stamp with another clock, and
    /// some with none. Never before the last one.
    fn time_of(&mut self, stamp: MediaTime) -> MediaTime {
        let now = MediaTime::now();
        let sane = stamp <= now && now.since(stamp) < Duration::from_secs(5);
        let time = if sane { stamp } else { now };
        self.last_time = time.max(self.last_time + Duration::from_micros(1));
        self.last_time
    }
}

impl fmt::Debug for V4l2Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V4l2Camera({:?})", self.which)
    }
}
