//! One stretch of streaming: from setting the formats to the last buffer.
//!
//! The thread that has frames puts them into the OUTPUT queue ([`EncodingSession::submit`]); a thread of
//! the session's own takes back what the device returns in both queues ([`DequeueThread`]). A frame is
//! held until the device has returned its buffer, since a camera that got it earlier would overwrite
//! what is being read.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::buffers::{map_all, queue_capture_buffers, request_output_buffers};
use super::dequeue_thread::DequeueThread;
use super::error::{DeviceError, During, no_such_buffer};
use super::format::{InputFormat, copy_in, set_coded_format, set_raw_format};
use super::node::Node;
use super::options;
use super::output::CodedSink;
use super::state::{QueueState, Shared, StopMode};
use crate::encoder::{EncoderSettings, FrameType};
use crate::media::{Frame, MediaTime};
use crate::transform::CopyMeter;
use crate::v4l2::{
    Buffer, Device, DeviceEvent, DevicePoller, Mapping, MemoryType, Queue, VideoFormat,
};

/// How long a frame waits for the device to have a free buffer before it is skipped.
const BUFFER_TIMEOUT: Duration = Duration::from_millis(100);

/// A device that returns nothing for this long while it holds frames is stuck.
const STUCK_AFTER: Duration = Duration::from_millis(1500);

/// One that swallows this many frames in [`STUCK_AFTER`] and codes none is stuck as well. Rate control
/// skips some, never that many.
const MAX_SWALLOWED: u32 = 10;

/// How long the end of a session may take before its thread is left to itself.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

pub(super) struct EncodingSession {
    shared: Arc<Shared>,
    input: InputFormat,
    /// What the device made of the input's format.
    agreed: VideoFormat,
    /// The OUTPUT buffers, where frames are copied in.
    mappings: Vec<Mapping>,
    can_force_key_frame: bool,
    last_time: MediaTime,
    thread: Option<JoinHandle<()>>,
}

impl EncodingSession {
    pub(super) fn start(
        node: &Node,
        settings: &EncoderSettings,
        input: InputFormat,
        coded_size: u32,
        sink: Arc<Mutex<CodedSink>>,
    ) -> Result<Self, DeviceError> {
        let device = Device::open(node.path()).during("opening it")?;
        // The order is the kernel's ("Stateful Video Encoder Interface", Initialization).
        set_coded_format(&device, node, settings, coded_size)?;
        let agreed = set_raw_format(&device, input)?;
        options::apply(&device, node.format(), settings);
        for event in [DeviceEvent::EndOfStream, DeviceEvent::SourceChange] {
            if let Err(error) = device.subscribe(event) {
                log::debug!("the encoder reports no {event:?}: {error}");
            }
        }
        let output_buffers = request_output_buffers(&device, input.memory)?;
        let mappings = match input.memory {
            MemoryType::Dmabuf => Vec::new(),
            MemoryType::Mmap => map_all(&device, Queue::OutputMplane, output_buffers)?,
        };
        let capture_buffers = queue_capture_buffers(&device)?;
        let can_force_key_frame = options::can_force_key_frame(&device);
        device.stream_on(Queue::OutputMplane).during("starting it")?;
        device.stream_on(Queue::CaptureMplane).during("starting it")?;
        let poller = DevicePoller::new(device.fd()).during("preparing to wait for it")?;
        let state = QueueState::new(output_buffers as usize);
        let shared = Arc::new(Shared::new(device, input.memory, poller, state));
        let dequeue = DequeueThread::new(shared.clone(), capture_buffers, sink);
        let thread = std::thread::Builder::new()
            .name("encoder".into())
            .spawn(move || dequeue.run())
            .during("starting a thread")?;
        log::debug!("{node} runs: {input:?}, agreed on {agreed:?}");
        Ok(Self {
            shared,
            input,
            agreed,
            mappings,
            can_force_key_frame,
            last_time: MediaTime::default(),
            thread: Some(thread),
        })
    }

    /// Whether it was started for frames of this format.
    pub(super) fn takes(&self, input: &InputFormat) -> bool {
        self.input == *input
    }

    pub(super) fn can_force_key_frame(&self) -> bool {
        self.can_force_key_frame
    }

    pub(super) fn set_bitrate(&self, bitrate_bps: u32) -> Result<u32, DeviceError> {
        options::set_bitrate(&self.shared.device, bitrate_bps)
            .ok_or_else(|| DeviceError::Unsupported("it cannot change its bit rate".into()))
    }

    /// Hands a frame to the device. Without a free buffer in time, the frame is skipped.
    pub(super) fn submit(
        &mut self,
        frame: &Frame,
        frame_type: FrameType,
        copies: &CopyMeter,
    ) -> Result<(), DeviceError> {
        let dmabuf = match self.input.memory {
            MemoryType::Dmabuf => frame.memory().dmabuf(),
            MemoryType::Mmap => None,
        };
        let number = dmabuf.map(|fd| fd.as_raw_fd());
        let Some((index, key_frame_needed)) = self.free_buffer(number)? else {
            return Ok(());
        };
        if frame_type == FrameType::Key || key_frame_needed {
            self.force_key_frame();
        }
        // The device knows frames by their stamp, in microseconds: each needs one of its own.
        let micros = frame.time().as_nanos() / 1000;
        let next = self.last_time.as_nanos() / 1000 + 1;
        let stamp = MediaTime::from_nanos(micros.max(next) * 1000);
        self.last_time = stamp;
        if self.input.memory == MemoryType::Mmap {
            let mapping = self.mappings.get_mut(index).ok_or_else(no_such_buffer)?;
            copies.add(copy_in(frame, &self.agreed, mapping)?);
        }
        // Before queueing, because the device may be done before this thread goes on.
        self.shared.lock().submitted(index, frame, number, stamp);
        let queued = self.queue(index, frame, dmabuf, stamp);
        if queued.is_err() {
            self.shared.lock().take_back_submitted(index);
        }
        queued
    }

    fn queue(
        &self,
        index: usize,
        frame: &Frame,
        dmabuf: Option<BorrowedFd<'_>>,
        stamp: MediaTime,
    ) -> Result<(), DeviceError> {
        let len = match dmabuf {
            Some(_) => u32::try_from(frame.memory().len()).unwrap_or(u32::MAX),
            None => self.agreed.size,
        };
        let buffer = Buffer {
            index: index as u32,
            used: self.agreed.size.min(len),
            len,
            dmabuf,
            time: stamp,
        };
        self.shared.device.queue(Queue::OutputMplane, &buffer).map_err(|error| {
            match self.input.memory {
                MemoryType::Dmabuf => DeviceError::Import(error.to_string()),
                MemoryType::Mmap => DeviceError::Call("queueing a picture", error),
            }
        })
    }

    /// A free OUTPUT buffer, if possible the one that had this DMABUF last time, and whether its frame
    /// must become a key frame.
    fn free_buffer(&self, dmabuf: Option<RawFd>) -> Result<Option<(usize, bool)>, DeviceError> {
        let mut state = self.shared.lock();
        let mut free = state.free(dmabuf);
        if free.is_none() {
            let has_room = |s: &QueueState| s.broken.is_some() || s.has_room();
            state = self.shared.wait(state, BUFFER_TIMEOUT, has_room);
            free = state.free(dmabuf);
        }
        if let Some(why) = &state.broken {
            return Err(repeated(why));
        }
        if state.swallowed >= MAX_SWALLOWED && state.last_coded.elapsed() >= STUCK_AFTER {
            let swallowed = state.swallowed;
            return Err(DeviceError::Stuck(format!("it took {swallowed} pictures and gave none")));
        }
        match free {
            Some(index) => Ok(Some((index, std::mem::take(&mut state.key_frame_needed)))),
            None if state.last_returned.elapsed() >= STUCK_AFTER => {
                Err(DeviceError::Stuck("it holds all its buffers and gives none back".into()))
            }
            None => Ok(None),
        }
    }

    fn force_key_frame(&self) {
        if self.can_force_key_frame
            && let Err(error) = options::force_key_frame(&self.shared.device)
        {
            log::debug!("the encoder makes no key frame on demand: {error}");
        }
    }

    /// Has the device finish what it holds.
    #[cfg(feature = "testing")]
    pub(super) fn drain(self, timeout: Duration) -> Result<(), DeviceError> {
        self.shared.device.drain().during("draining it")?;
        let mut state = self.shared.lock();
        state.stop = StopMode::Drained;
        let state = self.shared.wait(state, timeout, |s| s.ended);
        match (&state.broken, state.ended) {
            (Some(why), _) => Err(repeated(why)),
            (None, true) => Ok(()),
            (None, false) => Err(DeviceError::Stuck("it did not finish in time".into())),
        }
    }
}

impl Drop for EncodingSession {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stop = StopMode::Now;
        self.shared.poller.wake();
        // A driver may hold its caller for as long as it likes while it stops.
        let ended = self.shared.wait(state, STOP_TIMEOUT, |s| s.ended).ended;
        if let Some(thread) = self.thread.take()
            && ended
        {
            let _ = thread.join();
        } else {
            log::warn!("the encoder does not stop; leaving it to the system");
        }
    }
}

/// Why a session broke, told again to each caller that uses it.
fn repeated(why: &DeviceError) -> DeviceError {
    match why {
        DeviceError::Overflow => DeviceError::Overflow,
        other => DeviceError::Stuck(other.to_string()),
    }
}
