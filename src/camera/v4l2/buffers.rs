//! The driver's buffers, and lending them out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::failed;
use crate::camera::CameraError;
use crate::media::{FrameMemory, MediaTime};
use crate::v4l2::{Buffer, Dequeued, Device, Mapping, Memory, PictureFormat, Queue, Ready, Waiter};

/// Enough for an encoder that holds four, one under way to it, and some for the camera to fill.
const BUFFERS: u32 = 8;

/// A streaming device with its buffers. Lives as long as anybody holds a picture of it.
pub(super) struct Stream {
    device: Device,
    waiter: Waiter,
    buffers: Vec<Slot>,
    streaming: AtomicBool,
    /// Buffers that the rest of the house holds.
    lent: AtomicUsize,
}

struct Slot {
    mapping: Mapping,
    dmabuf: Option<OwnedFd>,
}

impl Stream {
    pub(super) fn start(device: Device, format: PictureFormat) -> Result<Arc<Self>, CameraError> {
        let count = device
            .request_buffers(Queue::Capture, Memory::Mmap, BUFFERS)
            .map_err(failed(&device, "cannot make buffers for the pictures"))?;
        let mut buffers = Vec::new();
        for index in 0..count {
            let mapping = device
                .locate(Queue::Capture, index)
                .and_then(|(offset, len)| Mapping::new(device.fd(), offset, len))
                .map_err(failed(&device, "cannot map the buffers"))?;
            // Without it the picture can still be copied.
            let dmabuf = device.export(Queue::Capture, index).ok();
            buffers.push(Slot { mapping, dmabuf });
        }
        let waiter = Waiter::new(device.fd()).map_err(failed(&device, "cannot prepare to wait"))?;
        let stream = Arc::new(Self {
            device,
            waiter,
            buffers,
            streaming: AtomicBool::new(true),
            lent: AtomicUsize::new(0),
        });
        for index in 0..count {
            stream.give_back(index).map_err(failed(&stream.device, "cannot queue the buffers"))?;
        }
        stream
            .device
            .stream_on(Queue::Capture)
            .map_err(failed(&stream.device, "cannot start the pictures"))?;
        log::debug!("{} buffers of {format:?}", stream.buffers.len());
        Ok(stream)
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// The next buffer with a picture, waiting at most for `silence`.
    pub(super) fn next(&self, silence: Duration) -> Result<Dequeued, CameraError> {
        // Since when something was amiss. The clock is not looked at before that: with every
        // picture, even that counts.
        let mut amiss: Option<Instant> = None;
        loop {
            let left = amiss.map_or(silence, |since| silence.saturating_sub(since.elapsed()));
            // Waiting comes first: who has just taken a picture would find no other.
            let ready = self
                .waiter
                .wait(Some(left))
                .map_err(failed(&self.device, "cannot wait for pictures"))?;
            match self.device.dequeue(Queue::Capture, Memory::Mmap) {
                Ok(taken) if (taken.index as usize) < self.buffers.len() => return Ok(taken),
                Ok(taken) => {
                    let index = taken.index;
                    return Err(CameraError::Lost(format!("its driver made up buffer {index}")));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(failed(&self.device, "cannot take pictures")(error)),
            }
            if ready == Ready::default() || left.is_zero() {
                return Err(CameraError::Lost(format!(
                    "no picture for {} seconds",
                    silence.as_secs()
                )));
            }
            if ready.error && self.device.capability().is_err() {
                return Err(CameraError::Lost("it was unplugged".into()));
            }
            amiss.get_or_insert_with(Instant::now);
            if ready.error {
                // All buffers are lent out: one must come back before there is anything to wait for.
                std::thread::sleep(left.min(Duration::from_millis(2)));
            }
        }
    }

    /// Lends out the buffer of a picture. It goes back to the camera when it is dropped.
    pub(super) fn lend(this: &Arc<Self>, index: u32) -> Result<Lent, CameraError> {
        if index as usize >= this.buffers.len() {
            return Err(CameraError::Lost(format!("its driver made up buffer {index}")));
        }
        this.lent.fetch_add(1, Ordering::Relaxed);
        Ok(Lent { stream: this.clone(), index })
    }

    /// Ends the pictures. Those lent out stay whole.
    pub(super) fn stop(&self) {
        self.streaming.store(false, Ordering::Release);
        let off = self.device.stream_off(Queue::Capture);
        // The kernel keeps a freed buffer for whoever has it mapped or exported.
        let freed = self.device.request_buffers(Queue::Capture, Memory::Mmap, 0);
        if let Err(error) = off.and(freed) {
            log::debug!("stopping {}: {error}", self.device.path().display());
        }
        let lent = self.lent.load(Ordering::Relaxed);
        if lent > 0 {
            log::debug!("{lent} pictures of the camera are still in use");
        }
    }

    fn give_back(&self, index: u32) -> std::io::Result<()> {
        let len = self.buffers[index as usize].mapping.bytes().len();
        let buffer = Buffer {
            index,
            used: 0,
            len: u32::try_from(len).unwrap_or(u32::MAX),
            dmabuf: None,
            time: MediaTime::default(),
        };
        self.device.queue(Queue::Capture, &buffer)
    }
}

/// A buffer with a picture in it, on loan.
pub(super) struct Lent {
    stream: Arc<Stream>,
    index: u32,
}

impl Lent {
    fn slot(&self) -> &Slot {
        &self.stream.buffers[self.index as usize]
    }
}

impl FrameMemory for Lent {
    fn bytes(&self) -> &[u8] {
        self.slot().mapping.bytes()
    }

    fn dmabuf(&self) -> Option<BorrowedFd<'_>> {
        self.slot().dmabuf.as_ref().map(AsFd::as_fd)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.stream.lent.fetch_sub(1, Ordering::Relaxed);
        if self.stream.streaming.load(Ordering::Acquire)
            && let Err(error) = self.stream.give_back(self.index)
        {
            log::debug!("the camera does not take buffer {} back: {error}", self.index);
        }
    }
}
