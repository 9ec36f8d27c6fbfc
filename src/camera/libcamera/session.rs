//! One stretch of capturing, from open to stop.
//!
//! Each request has a slot, and its number for a cookie. A request is with the camera, or in its slot
//! while its frame is lent. All that happens arrives in one channel, from libcamera's thread (a request
//! is completed, the camera is gone) and from the thread that drops a frame (its buffer may go back);
//! only the camera's own thread, in [`CaptureSession::next`], acts on it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use libcamera::control::ControlList;
use libcamera::control_value::ControlValue as Value;
use libcamera::framebuffer::{AsFrameBuffer, FrameMetadataStatus};
use libcamera::framebuffer_allocator::FrameBuffer;
use libcamera::request::{Request, RequestStatus, ReuseFlag};
use libcamera::utils::UniquePtr;

use super::controls::DriverControls;
use super::error::io_error;
use super::event::CaptureEvent;
use super::ffi::Active;
use super::settings::CaptureSettings;
use super::stream::CaptureStream;
use super::{configuration, manager};
use crate::camera::{CameraError, Control, ControlValues, LibcameraSelector, Mode};
use crate::media::layout::Shape;
use crate::media::stamps::Stamps;
use crate::media::{Frame, MediaTime};

/// A camera that delivers nothing for this long has stalled.
const STALL_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct CaptureSession {
    id: String,
    mode: Mode,
    controls: DriverControls,
    values: ControlValues,
    /// What the next request is to carry.
    pending: Vec<(u32, Value)>,
    stream: CaptureStream,
    /// The requests whose frames are lent, each in its slot.
    slots: Vec<Option<Request>>,
    stamps: Stamps,
    sender: Sender<CaptureEvent>,
    events: Receiver<CaptureEvent>,
    // Dropped after the requests and buffers that belong to it.
    camera: Active,
}

impl CaptureSession {
    pub(super) fn start(
        selector: &LibcameraSelector,
        settings: &CaptureSettings,
        values: &ControlValues,
    ) -> Result<Self, CameraError> {
        let found = manager::find(selector)?;
        let (id, model) = (found.id().to_owned(), manager::model(&found));
        let mut camera = found.acquire().map_err(|error| cannot_acquire(&model, error))?;
        let (stream, requests) = CaptureStream::set_up(&mut camera, settings)?;
        let (sender, events) = channel();
        let Shape { width, height, .. } = stream.shape;
        let controls = DriverControls::of(&camera, (width, height));
        let limits = controls.frame_duration_limits();
        let (duration, fps) = configuration::frame_duration(settings.constraints.fps, limits);
        let mut first = controls.changes(&ControlValues::new(), values);
        first.extend(duration.map(DriverControls::frame_duration));
        let completed = sender.clone();
        camera.on_request_completed(move |request| {
            // While the camera runs there is somebody to receive it.
            let _ = completed.send(CaptureEvent::Completed(request));
        });
        manager::watch(&id, sender.clone());
        log::debug!("{model} delivers {:?}", stream.shape);
        let mut session = Self {
            id,
            mode: Mode { width, height, fps },
            controls,
            values: values.clone(),
            pending: Vec::new(),
            slots: std::iter::repeat_with(|| None).take(requests.len()).collect(),
            stream,
            stamps: Stamps::default(),
            sender,
            events,
            camera: Active(camera),
        };
        session
            .camera
            .0
            .start(Some(&*control_list(&first)))
            .map_err(io_error(format!("cannot start the camera {model}")))?;
        for request in requests {
            session.queue(request)?;
        }
        Ok(session)
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn controls(&self) -> Vec<Control> {
        self.controls.controls()
    }

    /// Sends events to this session.
    pub(super) fn sender(&self) -> Sender<CaptureEvent> {
        self.sender.clone()
    }

    /// Sets controls with the next request.
    pub(super) fn set_controls(&mut self, values: &ControlValues) {
        self.pending.extend(self.controls.changes(&self.values, values));
        self.values = values.clone();
    }

    /// The next frame; the latest, if several have come since the last: a caller that is late wants
    /// what is seen now, not what was.
    pub(super) fn next(&mut self) -> Result<Frame, CameraError> {
        let until = Instant::now() + STALL_TIMEOUT;
        let mut latest = None;
        loop {
            let left = match latest {
                Some(_) => Duration::ZERO,
                None => until.saturating_duration_since(Instant::now()),
            };
            match self.events.recv_timeout(left) {
                Ok(CaptureEvent::Completed(request)) => latest = self.receive(request)?.or(latest),
                Ok(CaptureEvent::Returned(slot)) => {
                    if let Some(request) = self.slots.get_mut(slot).and_then(Option::take) {
                        self.queue(request)?;
                    }
                }
                Ok(CaptureEvent::Removed) => return Err(lost("it was unplugged")),
                Ok(CaptureEvent::Woken) => return Err(lost("it was told to stop")),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return latest.ok_or_else(|| self.stalled());
                }
            }
        }
    }

    /// The frame of a request that the camera is done with; none if it is not fit to be seen.
    fn receive(&mut self, request: Request) -> Result<Option<Frame>, CameraError> {
        if request.status() == RequestStatus::Cancelled {
            // The camera is giving up. If it goes on nevertheless, the request is not missed; if it
            // does not, queueing it again would never end.
            return Ok(None);
        }
        let metadata = {
            let buffer = request.buffer::<FrameBuffer>(&self.stream.stream);
            buffer
                .and_then(AsFrameBuffer::metadata)
                .map(|m| (m.status(), m.timestamp(), m.sequence()))
        };
        let Some((FrameMetadataStatus::Success, nanos, count)) = metadata else {
            // Damaged on its way from the sensor, or from before exposure was settled.
            self.queue(request)?;
            return Ok(None);
        };
        let slot = request.cookie() as usize;
        let Some(lent) = self.slots.get_mut(slot) else {
            return Err(lost("it returned a request that is not ours"));
        };
        *lent = Some(request);
        let stamps = self.stamps.next(nanos, count, MediaTime::now());
        self.stream.frame(slot, self.sender.clone(), stamps).map(Some)
    }

    /// Hands a request to the camera, with the controls that are to change.
    fn queue(&mut self, mut request: Request) -> Result<(), CameraError> {
        if request.status() != RequestStatus::Pending {
            request.reuse(ReuseFlag::REUSE_BUFFERS);
        }
        for (id, value) in self.pending.drain(..) {
            if let Err(error) = request.controls_mut().set_raw(id, value) {
                log::warn!("the camera does not take a control: {error}");
            }
        }
        self.camera
            .0
            .queue_request(request)
            .map_err(|(_, error)| lost(&format!("it takes no more requests ({error})")))
    }

    fn stalled(&self) -> CameraError {
        let seconds = STALL_TIMEOUT.as_secs();
        if self.slots.iter().all(Option::is_some) {
            return lost(&format!(
                "all {} pictures it has room for have been in use for {seconds} seconds",
                self.slots.len()
            ));
        }
        lost(&format!("it has delivered nothing for {seconds} seconds; check its cable"))
    }
}

impl Drop for CaptureSession {
    fn drop(&mut self) {
        manager::unwatch(&self.id);
        // Returns when every request has been cancelled and sent to `events`; from then on
        // libcamera calls us no more. CaptureStream still lent keep their memory.
        if let Err(error) = self.camera.0.stop() {
            log::debug!("the camera does not stop properly: {error}");
        }
    }
}

fn control_list(values: &[(u32, Value)]) -> UniquePtr<ControlList> {
    let mut list = ControlList::new();
    for (id, value) in values {
        if let Err(error) = list.set_raw(*id, value.clone()) {
            log::warn!("the camera does not take a control: {error}");
        }
    }
    list
}

fn cannot_acquire(model: &str, error: std::io::Error) -> CameraError {
    match error.kind() {
        std::io::ErrorKind::ResourceBusy => CameraError::Unsupported(format!(
            "the camera {model} is being used by another program: stop that one first"
        )),
        _ => CameraError::Io { what: format!("cannot use the camera {model}"), why: error },
    }
}

fn lost(reason: &str) -> CameraError {
    CameraError::Lost(reason.into())
}
