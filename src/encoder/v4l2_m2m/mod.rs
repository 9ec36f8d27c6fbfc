//! Hardware encoding through a stateful V4L2 memory-to-memory device: the H.264 encoder of the Pi
//! Zero 2 W, 3 and 4 (`bcm2835-codec`), and any other that keeps to the kernel's "Memory-to-memory
//! Stateful Video Encoder Interface".
//!
//! In come frames, best as DMABUFs, which the device then reads where the camera wrote them; out
//! come access units, on a thread of their own ([`session`]). The two queues of the device are
//! independent: it may give a picture back without having coded it (rate control skips), so what
//! was coded is matched to what went in by its time stamp, never by its turn. What a driver does
//! not have (a bit rate, a frame rate, a way to ask for a key picture) it does without.
//!
//! The coded format is data: the kernel's own `vicodec`, which speaks FWHT, runs through the same
//! code, which is how it is tested on a real kernel without a Pi.

mod node;
mod options;
mod session;
mod shared;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

pub use node::{Coding, Node, Unfit, find, list, unfit};

use super::{Encoder, EncoderError, EncoderSettings, PictureKind, Sink, coded};
use crate::media::{Frame, MediaTime, PixelFormat};
use crate::transform::CopyMeter;
use session::{CODED_SIZE, Deliver, Input, Refused, Session};

/// A picture as the device coded it.
#[derive(Clone, Debug)]
pub struct CodedPicture {
    /// The coded bytes.
    pub data: Bytes,
    /// When the picture was exposed.
    pub time: MediaTime,
    /// The driver calls it a key picture. Not every driver says so.
    pub key: bool,
}

/// The encoder.
pub struct V4l2M2m {
    node: Node,
    settings: EncoderSettings,
    deliver: Arc<Mutex<Deliver>>,
    session: Option<Session>,
    /// Whether the device takes pictures where they are; found out with the first one.
    import: Import,
    /// Room for a coded picture, in bytes; grows when one did not fit.
    coded_size: u32,
    copies: CopyMeter,
}

#[derive(Clone, Copy, PartialEq)]
enum Import {
    Untried,
    Refused,
}

impl V4l2M2m {
    /// An encoder on `node`, which must code H.264, that hands what it makes to `sink`. `copies`
    /// counts what it has to copy because the device could not read a picture where it was.
    ///
    /// # Errors
    /// When the settings are beyond the device.
    pub fn new(
        node: Node,
        settings: EncoderSettings,
        sink: Sink,
        copies: CopyMeter,
    ) -> Result<Self, EncoderError> {
        if node.coding() != Coding::H264 {
            return Err(EncoderError::Unsupported(format!("{node} does not code H.264")));
        }
        Self::raw(node, settings, access_units(sink), copies)
    }

    /// The same for any coded format, delivering what the device wrote as it is.
    ///
    /// # Errors
    /// As [`V4l2M2m::new`].
    pub fn raw(
        node: Node,
        settings: EncoderSettings,
        deliver: impl FnMut(CodedPicture) -> Result<(), String> + Send + 'static,
        copies: CopyMeter,
    ) -> Result<Self, EncoderError> {
        let EncoderSettings { width, height, .. } = settings;
        if !node.fits(&settings) {
            return Err(EncoderError::Unsupported(format!(
                "{node} does not code {width}×{height}: set camera.width and camera.height to \
                 even sizes from 32 up to 1920 and 1088, or encoder.backend = \"openh264\""
            )));
        }
        Ok(Self {
            node,
            settings,
            deliver: Arc::new(Mutex::new(Box::new(deliver))),
            session: None,
            import: Import::Untried,
            // Half of what the picture takes raw is more than any useful bit rate fills.
            coded_size: (width * height * 3 / 4).clamp(*CODED_SIZE.start(), *CODED_SIZE.end()),
            copies,
        })
    }

    /// Hands a picture to a session that suits it, starting one if need be.
    fn submit(&mut self, frame: &Frame, kind: PictureKind) -> Result<(), Refused> {
        let input = Input::of(frame, self.import == Import::Untried);
        // The old one is over before the new one begins, so that pictures stay in order.
        self.session.take_if(|session| !session.takes(&input));
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(Session::start(
                &self.node,
                &self.settings,
                input,
                self.coded_size,
                self.deliver.clone(),
            )?),
        };
        session.submit(frame, kind, &self.copies)
    }

    /// Whether a device that refused may take the picture in another way, which is then the way
    /// from now on. Each way is left once, so this comes to an end.
    fn adapt(&mut self, refused: &Refused) -> bool {
        match refused {
            Refused::Import(why) if self.import == Import::Untried => {
                log::info!("{} does not import these pictures ({why}); copying them", self.node);
                self.import = Import::Refused;
            }
            Refused::Overflow if self.coded_size < *CODED_SIZE.end() => {
                self.coded_size *= 2;
                log::info!("{}: a picture outgrew its buffer; making them larger", self.node);
            }
            _ => return false,
        }
        true
    }

    fn failed(&self, refused: Refused) -> EncoderError {
        EncoderError::Failed(format!("{}: {refused}", self.node))
    }

    /// Has the device finish what it holds, at most within `patience`, and stops it. The next
    /// picture starts it again.
    ///
    /// # Errors
    /// When the device did not finish in time.
    pub fn drain(&mut self, patience: std::time::Duration) -> Result<(), EncoderError> {
        match self.session.take() {
            None => Ok(()),
            Some(session) => session.drain(patience).map_err(|refused| self.failed(refused)),
        }
    }
}

impl Encoder for V4l2M2m {
    fn name(&self) -> &'static str {
        "v4l2-m2m"
    }

    fn formats(&self) -> &'static [PixelFormat] {
        &[PixelFormat::I420, PixelFormat::Nv12]
    }

    fn encode(&mut self, frame: &Frame, kind: PictureKind) -> Result<(), EncoderError> {
        let EncoderSettings { width, height, .. } = self.settings;
        if (frame.width(), frame.height()) != (width, height) {
            return Err(EncoderError::Unsupported(format!(
                "the encoder was set up for {width}×{height} and got {frame:?}"
            )));
        }
        if kind == PictureKind::Key && self.session.as_ref().is_some_and(|s| !s.can_force_key()) {
            // A session begins with a key picture: the one way that every driver knows.
            self.session = None;
        }
        while let Err(refused) = self.submit(frame, kind) {
            self.session = None;
            if !self.adapt(&refused) {
                return Err(self.failed(refused));
            }
        }
        Ok(())
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<u32, EncoderError> {
        self.settings.bitrate_bps = bitrate_bps;
        match &self.session {
            None => Ok(bitrate_bps),
            Some(session) => session
                .set_bitrate(bitrate_bps)
                .map_err(|refused| EncoderError::Unsupported(format!("{}: {refused}", self.node))),
        }
    }
}

/// Makes access units of what the device codes.
fn access_units(sink: Sink) -> impl FnMut(CodedPicture) -> Result<(), String> + Send {
    let mut units = coded::Units::new(sink);
    move |CodedPicture { data, time, .. }| units.take(data, time).map_err(|e| e.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
