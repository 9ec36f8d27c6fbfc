//! One stretch of capturing, from open to stop.
//!
//! Each request has a slot, and its number for a cookie. A request is with the camera, or in its
//! slot while its pictures are lent. All that happens arrives in one channel, from libcamera's
//! thread (a request is done, the camera is gone) and from whoever drops a picture (its buffer
//! may go back); only the camera's own thread, in [`Session::next`], acts on it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use libcamera::control::ControlList;
use libcamera::control_value::ControlValue as Value;
use libcamera::framebuffer::{AsFrameBuffer, FrameMetadataStatus};
use libcamera::framebuffer_allocator::FrameBuffer;
use libcamera::request::{Request, RequestStatus, ReuseFlag};
use libcamera::utils::UniquePtr;

use super::choice::{self, Wishes};
use super::ffi::Active;
use super::knobs::Knobs;
use super::memory::Loan;
use super::streams::{Pictures, Streams};
use super::{Selector, io_error, manager};
use crate::camera::{CameraError, Control, ControlValues, Mode};
use crate::media::layout::Shape;
use crate::media::stamps::Stamps;
use crate::media::{Frame, MediaTime};

/// A camera that delivers nothing for this long has stalled.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a session hears of.
pub(super) enum Event {
    /// The camera is done with a request.
    Done(Request),
    /// The pictures of a slot are no longer used.
    Returned(usize),
    /// The camera was unplugged.
    Removed,
    /// Somebody wants [`Session::next`] to return.
    Woken,
}

/// The way to wake whichever session there is.
pub(super) type Wake = Arc<Mutex<Option<Sender<Event>>>>;

/// Has the session's [`Session::next`] return.
pub(super) fn wake(wake: &Wake) {
    if let Some(session) = wake.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        let _ = session.send(Event::Woken);
    }
}

pub(super) struct Session {
    id: String,
    mode: Mode,
    knobs: Knobs,
    values: ControlValues,
    /// What the next request is to carry.
    pending: Vec<(u32, Value)>,
    main: Pictures,
    companion: Option<Pictures>,
    slots: Vec<Slot>,
    stamps: Stamps,
    door: Sender<Event>,
    events: Receiver<Event>,
    // Dropped after the requests and buffers that belong to it.
    camera: Active,
}

/// Where a request waits while its pictures are lent.
#[derive(Default)]
struct Slot(Option<Request>);

impl Session {
    pub(super) fn start(
        which: &Selector,
        wishes: &Wishes,
        values: &ControlValues,
    ) -> Result<Self, CameraError> {
        let found = manager::find(which)?;
        let (id, model) = (found.id().to_owned(), manager::model(&found));
        let mut camera = found.acquire().map_err(|error| refusal(&model, error))?;
        let Streams { main, companion, requests } = Streams::set_up(&mut camera, wishes)?;
        let (door, events) = channel();
        let knobs = Knobs::of(&camera, (main.shape.width, main.shape.height));
        let limits = knobs.frame_duration_limits();
        let (duration, fps) = choice::frame_duration(wishes.constraints.fps, limits);
        let mut first = knobs.changes(&ControlValues::new(), values);
        first.extend(duration.map(Knobs::frame_duration));
        let done = door.clone();
        camera.on_request_completed(move |request| {
            // While the camera runs there is somebody to receive it.
            let _ = done.send(Event::Done(request));
        });
        manager::watch(&id, door.clone());
        let Shape { width, height, .. } = main.shape;
        log::debug!("{model} delivers {:?}", main.shape);
        let mut session = Self {
            id,
            mode: Mode { width, height, fps },
            knobs,
            values: values.clone(),
            pending: Vec::new(),
            slots: std::iter::repeat_with(Slot::default).take(requests.len()).collect(),
            main,
            companion,
            stamps: Stamps::default(),
            door,
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
        self.knobs.controls()
    }

    /// Where events for this session go in.
    pub(super) fn door(&self) -> Sender<Event> {
        self.door.clone()
    }

    /// Sets knobs with the next request.
    pub(super) fn set_controls(&mut self, values: &ControlValues) {
        self.pending.extend(self.knobs.changes(&self.values, values));
        self.values = values.clone();
    }

    /// The next picture; the latest, if several have come since the last: who is late wants to
    /// see what is, not what was.
    pub(super) fn next(&mut self) -> Result<Frame, CameraError> {
        let until = Instant::now() + PATIENCE;
        let mut latest = None;
        loop {
            let left = match latest {
                Some(_) => Duration::ZERO,
                None => until.saturating_duration_since(Instant::now()),
            };
            match self.events.recv_timeout(left) {
                Ok(Event::Done(request)) => latest = self.take(request)?.or(latest),
                Ok(Event::Returned(slot)) => {
                    if let Some(request) = self.slots.get_mut(slot).and_then(|slot| slot.0.take()) {
                        self.queue(request)?;
                    }
                }
                Ok(Event::Removed) => return Err(lost("it was unplugged")),
                Ok(Event::Woken) => return Err(lost("it was told to stop")),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return latest.ok_or_else(|| self.stalled());
                }
            }
        }
    }

    /// What is in a request that the camera is done with; nothing if it is not fit to be seen.
    fn take(&mut self, request: Request) -> Result<Option<Frame>, CameraError> {
        if request.status() == RequestStatus::Cancelled {
            // The camera is giving up. If it goes on nevertheless, the request is not missed;
            // if it does not, queueing it again would go round in circles.
            return Ok(None);
        }
        let metadata = {
            let buffer = request.buffer::<FrameBuffer>(&self.main.stream);
            buffer
                .and_then(AsFrameBuffer::metadata)
                .map(|m| (m.status(), m.timestamp(), m.sequence()))
        };
        let Some((FrameMetadataStatus::Success, nanos, count)) = metadata else {
            // Damaged on its way from the sensor, or from before exposure was settled.
            self.queue(request)?;
            return Ok(None);
        };
        let companion_is_good = self.companion.as_ref().is_some_and(|companion| {
            let buffer = request.buffer::<FrameBuffer>(&companion.stream);
            let status = buffer.and_then(AsFrameBuffer::metadata).map(|m| m.status());
            status == Some(FrameMetadataStatus::Success)
        });
        let slot = request.cookie() as usize;
        let Some(place) = self.slots.get_mut(slot) else {
            return Err(lost("it returned a request that is not ours"));
        };
        place.0 = Some(request);
        let stamps = self.stamps.next(nanos, count, MediaTime::now());
        let loan = Loan::new(slot, self.door.clone());
        let frame = self.main.frame(slot, &loan, stamps)?;
        match self.companion.as_ref().filter(|_| companion_is_good) {
            Some(companion) => {
                let small = companion.frame(slot, &loan, stamps)?;
                Ok(Some(frame.with_companion(small)))
            }
            None => Ok(Some(frame)),
        }
    }

    /// Hands a request to the camera, with the knobs that are to change.
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
        let seconds = PATIENCE.as_secs();
        if self.slots.iter().all(|slot| slot.0.is_some()) {
            return lost(&format!(
                "all {} pictures it has room for have been in use for {seconds} seconds",
                self.slots.len()
            ));
        }
        lost(&format!("it has delivered nothing for {seconds} seconds; check its cable"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        manager::unwatch(&self.id);
        // Returns when every request has been cancelled and sent to `events`; from then on
        // libcamera calls us no more. Pictures still lent keep their memory.
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

fn refusal(model: &str, error: std::io::Error) -> CameraError {
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
