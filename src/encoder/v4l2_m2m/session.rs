//! One stretch of streaming: from setting the formats to the last buffer.
//!
//! The thread that has pictures puts them into the OUTPUT queue ([`Session::submit`]); a thread of
//! the session's own takes from both queues whatever comes back ([`Worker`]). A frame is held until the device
//! has given its buffer back, since a camera that got it earlier would paint over what is being
//! read.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::shared::{HELD, Shared, Slot, State, Stop};
use super::worker::Worker;
use super::{CodedPicture, Node, options};
use crate::encoder::{EncoderSettings, PictureKind};
use crate::media::geometry::Geometry;
use crate::media::{Frame, MediaTime, PixelFormat};
use crate::transform::CopyMeter;
use crate::v4l2::{
    Buffer, Colours, Device, Event, FourCc, Mapping, Memory, PictureFormat, Queue, Waiter,
};

/// Takes what the device codes, on the session's thread.
pub(super) type Deliver = Box<dyn FnMut(CodedPicture) -> Result<(), String> + Send>;

/// Buffers for pictures that are imported: enough for each of a camera's to have one of its own.
/// The kernel maps a DMABUF for the device anew when it comes in another buffer than last time.
const IMPORTED: u32 = 16;
const CAPTURE_BUFFERS: u32 = 6;

/// Least and most room for a coded picture. The Pi's driver offers 512 KiB, which large key
/// pictures overflow; it then goes on in the next buffer and says nothing of it.
pub(super) const CODED_SIZE: std::ops::RangeInclusive<u32> = 1 << 20..=8 << 20;

/// How long a picture waits for the device to have room before it is skipped.
const ROOM_WITHIN: Duration = Duration::from_millis(100);

/// A device that gives nothing back for this long while it holds pictures is stuck.
const STUCK_AFTER: Duration = Duration::from_millis(1500);

/// One that swallows this many pictures in [`STUCK_AFTER`] and codes none is as well. Rate control
/// skips some, never that many.
const SWALLOWED: u32 = 10;

/// How long the end of a session may take before its thread is left to itself.
const END_WITHIN: Duration = Duration::from_millis(500);

/// How pictures come in. A session serves one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) format: PixelFormat,
    width: u32,
    height: u32,
    /// Of the first plane, for pictures that are imported.
    stride: usize,
    pub(super) memory: Memory,
}

impl Input {
    /// The kind of `frame`: imported where it is, if that may be tried and it has a DMABUF whose
    /// planes lie as the kernel has them.
    pub(super) fn of(frame: &Frame, may_import: bool) -> Self {
        let (format, width, height) = (frame.format(), frame.width(), frame.height());
        let stride = frame.stride(0);
        let as_the_kernel = Geometry { format, width, height, stride }
            .planes()
            .is_some_and(|planes| *planes == *frame.layout());
        let import = may_import && as_the_kernel && frame.memory().dmabuf().is_some();
        match import {
            true => Self { format, width, height, stride, memory: Memory::Dmabuf },
            false => Self { format, width, height, stride: 0, memory: Memory::Mmap },
        }
    }
}

/// Why the device did not do as asked.
#[derive(Debug)]
pub(super) enum Refused {
    /// It cannot read pictures where they are; it may still take copies.
    Import(String),
    /// A call failed.
    Call(&'static str, std::io::Error),
    /// A coded picture was larger than the room for it.
    Overflow,
    /// It cannot do what is needed.
    Cannot(String),
    /// It works no longer.
    Stuck(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import(why) => write!(f, "it imports no pictures: {why}"),
            Self::Call(what, error) => write!(f, "{what}: {error}"),
            Self::Overflow => write!(f, "it coded a picture that is larger than its buffers"),
            Self::Cannot(why) => write!(f, "{why}"),
            Self::Stuck(why) => write!(f, "it is stuck: {why}"),
        }
    }
}

/// Names the call that failed.
pub(super) trait While<T> {
    fn while_(self, what: &'static str) -> Result<T, Refused>;
}

impl<T> While<T> for std::io::Result<T> {
    fn while_(self, what: &'static str) -> Result<T, Refused> {
        self.map_err(|error| Refused::Call(what, error))
    }
}

pub(super) struct Session {
    shared: Arc<Shared>,
    input: Input,
    /// What the device made of the input's format.
    agreed: PictureFormat,
    /// The OUTPUT buffers, where pictures are copied in.
    rooms: Vec<Mapping>,
    can_force_key: bool,
    last_time: MediaTime,
    worker: Option<JoinHandle<()>>,
}

impl Session {
    pub(super) fn start(
        node: &Node,
        settings: &EncoderSettings,
        input: Input,
        coded_size: u32,
        deliver: Arc<Mutex<Deliver>>,
    ) -> Result<Self, Refused> {
        let device = Device::open(node.path()).while_("opening it")?;
        // The order is the kernel's ("Stateful Video Encoder Interface", Initialization).
        set_coded_format(&device, node, settings, coded_size)?;
        let agreed = set_raw_format(&device, input)?;
        options::apply(&device, node.coding(), settings);
        for event in [Event::EndOfStream, Event::SourceChange] {
            if let Err(error) = device.subscribe(event) {
                log::debug!("the encoder reports no {event:?}: {error}");
            }
        }
        let wanted = match input.memory {
            Memory::Dmabuf => IMPORTED,
            Memory::Mmap => HELD as u32,
        };
        let count = device.request_buffers(Queue::OutputMplane, input.memory, wanted);
        let count = match (count, input.memory) {
            (Ok(0), _) => return Err(Refused::Cannot("it has no buffers for pictures".into())),
            (Err(error), Memory::Dmabuf) => return Err(Refused::Import(error.to_string())),
            (other, _) => other.while_("making buffers for pictures")?,
        };
        let rooms = match input.memory {
            Memory::Dmabuf => Vec::new(),
            Memory::Mmap => map_all(&device, Queue::OutputMplane, count)?,
        };
        let coded = device
            .request_buffers(Queue::CaptureMplane, Memory::Mmap, CAPTURE_BUFFERS)
            .while_("making buffers for what it codes")?;
        let coded = map_all(&device, Queue::CaptureMplane, coded)?;
        for (index, room) in coded.iter().enumerate() {
            device
                .queue(Queue::CaptureMplane, &empty(index as u32, room))
                .while_("queueing buffers for what it codes")?;
        }
        let can_force_key = options::can_force_key(&device);
        device.stream_on(Queue::OutputMplane).while_("starting it")?;
        device.stream_on(Queue::CaptureMplane).while_("starting it")?;
        let now = Instant::now();
        let shared = Arc::new(Shared {
            waiter: Waiter::new(device.fd()).while_("preparing to wait for it")?,
            device,
            memory: input.memory,
            state: Mutex::new(State {
                slots: vec![Slot::default(); count as usize],
                pending: VecDeque::new(),
                progress: now,
                coded: now,
                swallowed: 0,
                key_wanted: false,
                broken: None,
                stop: Stop::No,
                ended: false,
                waiting: 0,
            }),
            changed: Condvar::new(),
        });
        let worker = Worker::new(shared.clone(), coded, deliver);
        let worker = std::thread::Builder::new()
            .name("encoder".into())
            .spawn(move || worker.run())
            .while_("starting a thread")?;
        log::debug!("{node} runs: {input:?}, agreed on {agreed:?}");
        Ok(Self {
            shared,
            input,
            agreed,
            rooms,
            can_force_key,
            last_time: MediaTime::default(),
            worker: Some(worker),
        })
    }

    /// Whether pictures of this kind are what it was started for.
    pub(super) fn takes(&self, input: &Input) -> bool {
        self.input == *input
    }

    pub(super) fn can_force_key(&self) -> bool {
        self.can_force_key
    }

    pub(super) fn set_bitrate(&self, bitrate_bps: u32) -> Result<u32, Refused> {
        options::set_bitrate(&self.shared.device, bitrate_bps)
            .ok_or_else(|| Refused::Cannot("it cannot change its bit rate".into()))
    }

    /// Hands a picture to the device. Without room for it in time, the picture is skipped.
    pub(super) fn submit(
        &mut self,
        frame: &Frame,
        kind: PictureKind,
        copies: &CopyMeter,
    ) -> Result<(), Refused> {
        let dmabuf = match self.input.memory {
            Memory::Dmabuf => frame.memory().dmabuf(),
            Memory::Mmap => None,
        };
        let number = dmabuf.map(|fd| fd.as_raw_fd());
        let Some((index, key_wanted)) = self.room(number)? else {
            return Ok(());
        };
        if kind == PictureKind::Key || key_wanted {
            self.force_key();
        }
        // The device knows pictures by their stamp, in microseconds: each needs one of its own.
        let micros = frame.time().as_nanos() / 1000;
        let next = self.last_time.as_nanos() / 1000 + 1;
        let stamp = MediaTime::from_nanos(micros.max(next) * 1000);
        self.last_time = stamp;
        if self.input.memory == Memory::Mmap {
            let room = self.rooms.get_mut(index).ok_or_else(no_such_buffer)?;
            copies.add(copy_in(frame, &self.agreed, room)?);
        }
        // Before queueing, because the device may be done before we come back.
        {
            let mut state = self.shared.lock();
            if let Some(slot) = state.slots.get_mut(index) {
                *slot = Slot { frame: Some(frame.clone()), dmabuf: number };
            }
            state.pending.push_back((stamp, frame.time()));
            state.swallowed += 1;
        }
        let queued = self.queue(index, frame, dmabuf, stamp);
        if queued.is_err() {
            let mut state = self.shared.lock();
            if let Some(slot) = state.slots.get_mut(index) {
                *slot = Slot::default();
            }
            state.pending.pop_back();
        }
        queued
    }

    fn queue(
        &self,
        index: usize,
        frame: &Frame,
        dmabuf: Option<BorrowedFd<'_>>,
        stamp: MediaTime,
    ) -> Result<(), Refused> {
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
                Memory::Dmabuf => Refused::Import(error.to_string()),
                Memory::Mmap => Refused::Call("queueing a picture", error),
            }
        })
    }

    /// A free OUTPUT buffer, the one that had this DMABUF last time if it can be, and whether its
    /// picture must be a key picture.
    fn room(&self, dmabuf: Option<RawFd>) -> Result<Option<(usize, bool)>, Refused> {
        let mut state = self.shared.lock();
        let mut free = state.free(dmabuf);
        if free.is_none() {
            let has_room = |s: &State| s.broken.is_some() || s.has_room();
            state = self.shared.wait(state, ROOM_WITHIN, has_room);
            free = state.free(dmabuf);
        }
        if let Some(why) = &state.broken {
            return Err(again(why));
        }
        if state.swallowed >= SWALLOWED && state.coded.elapsed() >= STUCK_AFTER {
            let swallowed = state.swallowed;
            return Err(Refused::Stuck(format!("it took {swallowed} pictures and gave none")));
        }
        match free {
            Some(index) => Ok(Some((index, std::mem::take(&mut state.key_wanted)))),
            None if state.progress.elapsed() >= STUCK_AFTER => {
                Err(Refused::Stuck("it holds all its buffers and gives none back".into()))
            }
            None => Ok(None),
        }
    }

    fn force_key(&self) {
        if self.can_force_key
            && let Err(error) = options::force_key(&self.shared.device)
        {
            log::debug!("the encoder makes no key picture on demand: {error}");
        }
    }

    /// Has the device finish what it holds.
    pub(super) fn drain(self, patience: Duration) -> Result<(), Refused> {
        self.shared.device.drain().while_("draining it")?;
        let mut state = self.shared.lock();
        state.stop = Stop::Drained;
        let state = self.shared.wait(state, patience, |s| s.ended);
        match (&state.broken, state.ended) {
            (Some(why), _) => Err(again(why)),
            (None, true) => Ok(()),
            (None, false) => Err(Refused::Stuck("it did not finish in time".into())),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stop = Stop::Now;
        self.shared.waiter.ring();
        // A driver may hold its caller for as long as it likes while it stops.
        let ended = self.shared.wait(state, END_WITHIN, |s| s.ended).ended;
        if let Some(worker) = self.worker.take()
            && ended
        {
            let _ = worker.join();
        } else {
            log::warn!("the encoder does not stop; leaving it to the system");
        }
    }
}

/// Why a session broke, told to the next who uses it.
fn again(why: &Refused) -> Refused {
    match why {
        Refused::Overflow => Refused::Overflow,
        other => Refused::Stuck(other.to_string()),
    }
}

/// What the device codes into.
fn set_coded_format(
    device: &Device,
    node: &Node,
    settings: &EncoderSettings,
    size: u32,
) -> Result<(), Refused> {
    let code = node.coding().code();
    let wanted = PictureFormat {
        code,
        width: settings.width,
        height: settings.height,
        stride: 0,
        size,
        colours: None,
    };
    let set = device.set_format(Queue::CaptureMplane, &wanted).while_("setting what it codes")?;
    match set.code == code {
        true => Ok(()),
        false => Err(Refused::Cannot(format!("it codes {} rather than {code}", set.code))),
    }
}

/// What the device reads. What it answers decides where rows begin, never our own arithmetic.
fn set_raw_format(device: &Device, input: Input) -> Result<PictureFormat, Refused> {
    let Input { format, width, height, stride, memory } = input;
    let code = FourCc::of_pixels(format)
        .ok_or_else(|| Refused::Cannot(format!("it takes no {format} pictures")))?;
    let wanted = PictureFormat {
        code,
        width,
        height,
        stride: u32::try_from(stride).unwrap_or(0),
        size: 0,
        colours: Some(Colours::of_lines(height)),
    };
    let set = device.set_format(Queue::OutputMplane, &wanted).while_("setting what it reads")?;
    if set.code != code {
        return Err(Refused::Cannot(format!("it reads {} rather than {code}", set.code)));
    }
    let other_rows = memory == Memory::Dmabuf && set.stride as usize != stride;
    // A driver that rounds the height up puts the chroma further down than it is.
    let other_height = memory == Memory::Dmabuf && set.height != height;
    if other_rows || other_height {
        return Err(Refused::Import(format!(
            "its rows are {} bytes and {} in number, the camera's {stride} and {height}",
            set.stride, set.height
        )));
    }
    if set.width < width || set.height < height {
        return Err(Refused::Cannot(format!(
            "it codes at most {}×{} pixels of {width}×{height}",
            set.width, set.height
        )));
    }
    Ok(set)
}

fn map_all(device: &Device, queue: Queue, count: u32) -> Result<Vec<Mapping>, Refused> {
    let map = |index| {
        let (offset, len) = device.locate(queue, index)?;
        Mapping::new(device.fd(), offset, len)
    };
    (0..count).map(map).collect::<std::io::Result<_>>().while_("mapping its buffers")
}

pub(super) fn empty(index: u32, room: &Mapping) -> Buffer<'static> {
    Buffer {
        index,
        used: 0,
        len: u32::try_from(room.bytes().len()).unwrap_or(u32::MAX),
        dmabuf: None,
        time: MediaTime::default(),
    }
}

pub(super) fn no_such_buffer() -> Refused {
    Refused::Cannot("it speaks of a buffer that it does not have".into())
}

/// Copies a picture to where the device's rows are; says how many bytes that were.
fn copy_in(frame: &Frame, agreed: &PictureFormat, room: &mut Mapping) -> Result<usize, Refused> {
    let PictureFormat { width, height, stride, .. } = *agreed;
    let geometry = Geometry { format: frame.format(), width, height, stride: stride as usize };
    let copied = geometry.copy_in(frame, room.bytes_mut());
    copied.map_err(|why| Refused::Cannot(why.to_string()))
}
