//! Hardware encoding through a stateful V4L2 memory-to-memory device: the H.264 encoder of the Pi
//! Zero 2 W, 3 and 4 (`bcm2835-codec`), and any other that keeps to the kernel's "Memory-to-memory
//! Stateful Video Encoder Interface".
//!
//! In come frames, best as DMABUFs, which the device then reads where the camera wrote them; out come
//! access units, on a thread of their own ([`session`]). The two queues of the device are independent:
//! it may return a frame without having coded it (rate control skips), so what was coded is matched to
//! what went in by its time stamp, never by its order. What a driver does not have (a bit rate, a frame
//! rate, a way to ask for a key frame) it does without.
//!
//! The coded format is data: the kernel's own `vicodec`, which speaks FWHT, runs through the same
//! code, which is how it is tested on a real kernel without a Pi.

mod buffers;
mod dequeue_thread;
mod error;
mod format;
mod node;
mod options;
mod output;
mod session;
mod state;

use std::sync::{Arc, Mutex};

pub use node::{CodedFormat, Node, find, list, unsuitable};
pub use output::CodedPicture;

use super::{Encoder, EncoderError, EncoderSettings, FrameType, Sink, device_output};
use crate::media::{Frame, PixelFormat};
use crate::transform::CopyMeter;
use error::DeviceError;
use format::{CODED_BUFFER_SIZE, InputFormat};
use output::CodedSink;
use session::EncodingSession;

/// The encoder.
pub struct V4l2M2m {
    node: Node,
    settings: EncoderSettings,
    sink: Arc<Mutex<CodedSink>>,
    session: Option<EncodingSession>,
    /// Whether the device reads frames where they are; found out with the first one.
    import: Import,
    /// Bytes of a buffer for a coded picture; grows when one did not fit.
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
    /// counts what it has to copy because the device could not read a frame where it was.
    ///
    /// # Errors
    /// When the settings are beyond the device.
    pub fn new(
        node: Node,
        settings: EncoderSettings,
        sink: Sink,
        copies: CopyMeter,
    ) -> Result<Self, EncoderError> {
        if node.format() != CodedFormat::H264 {
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
        sink: impl FnMut(CodedPicture) -> Result<(), String> + Send + 'static,
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
            sink: Arc::new(Mutex::new(Box::new(sink))),
            session: None,
            import: Import::Untried,
            // Half of what the raw frame takes is more than any useful bit rate fills.
            coded_size: (width * height * 3 / 4)
                .clamp(*CODED_BUFFER_SIZE.start(), *CODED_BUFFER_SIZE.end()),
            copies,
        })
    }

    /// Hands a frame to a session for its format, starting one if need be.
    fn submit(&mut self, frame: &Frame, frame_type: FrameType) -> Result<(), DeviceError> {
        let input = InputFormat::of(frame, self.import == Import::Untried);
        // The old one is over before the new one begins, so that pictures stay in order.
        self.session.take_if(|session| !session.takes(&input));
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(EncodingSession::start(
                &self.node,
                &self.settings,
                input,
                self.coded_size,
                self.sink.clone(),
            )?),
        };
        session.submit(frame, frame_type, &self.copies)
    }

    /// Whether a device that failed may take the frame in another way, which is then used from now on.
    /// Each way is given up once, so this comes to an end.
    fn adapt(&mut self, error: &DeviceError) -> bool {
        match error {
            DeviceError::Import(why) if self.import == Import::Untried => {
                log::info!(
                    "{} does not import the camera's buffers ({why}); copying them",
                    self.node
                );
                self.import = Import::Refused;
            }
            DeviceError::Overflow if self.coded_size < *CODED_BUFFER_SIZE.end() => {
                self.coded_size *= 2;
                log::info!(
                    "{}: a coded picture did not fit its buffer; making the buffers larger",
                    self.node
                );
            }
            _ => return false,
        }
        true
    }

    fn failed(&self, error: DeviceError) -> EncoderError {
        EncoderError::Failed(format!("{}: {error}", self.node))
    }

    /// Has the device finish what it holds, at most within `timeout`, and stops it. The next frame
    /// starts it again.
    ///
    /// # Errors
    /// When the device did not finish in time.
    #[cfg(feature = "testing")]
    pub fn drain(&mut self, timeout: std::time::Duration) -> Result<(), EncoderError> {
        match self.session.take() {
            None => Ok(()),
            Some(session) => session.drain(timeout).map_err(|error| self.failed(error)),
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

    fn encode(&mut self, frame: &Frame, frame_type: FrameType) -> Result<(), EncoderError> {
        let EncoderSettings { width, height, .. } = self.settings;
        if (frame.width(), frame.height()) != (width, height) {
            return Err(EncoderError::Unsupported(format!(
                "the encoder was set up for {width}×{height} and got {frame:?}"
            )));
        }
        if frame_type == FrameType::Key
            && self.session.as_ref().is_some_and(|s| !s.can_force_key_frame())
        {
            // A session begins with a key frame: the one way that every driver knows.
            self.session = None;
        }
        while let Err(error) = self.submit(frame, frame_type) {
            self.session = None;
            if !self.adapt(&error) {
                return Err(self.failed(error));
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
                .map_err(|error| EncoderError::Unsupported(format!("{}: {error}", self.node))),
        }
    }
}

/// Makes access units of what the device codes.
fn access_units(sink: Sink) -> impl FnMut(CodedPicture) -> Result<(), String> + Send {
    let mut units = device_output::AccessUnits::new(sink);
    move |CodedPicture { data, time }| units.take(data, time).map_err(|e| e.to_string())
}
