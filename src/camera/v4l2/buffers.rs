//! The driver's buffers, and lending them out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::error::describe;
use crate::camera::CameraError;
use crate::media::{FrameMemory, MediaTime};
use crate::v4l2::{
    Buffer, DequeuedBuffer, Device, DevicePoller, Mapping, MemoryType, Queue, Ready, VideoFormat,
};

/// Enough for an encoder that holds four, one on its way there, and some for the camera to fill.
const BUFFERS: u32 = 8;

/// A streaming device with its buffers. Lives as long as anybody holds a picture of it.
pub(super) struct Stream {
    device: Device,
    poller: DevicePoller,
    buffers: Vec<CameraBuffer>,
    streaming: AtomicBool,
    /// Buffers that the rest of the program holds.
    lent: AtomicUsize,
}

struct CameraBuffer {
    mapping: Mapping,
    dmabuf: Option<OwnedFd>,
}

impl Stream {
    pub(super) fn start(device: Device, format: VideoFormat) -> Result<Arc<Self>, CameraError> {
        let count = device
            .request_buffers(Queue::Capture, MemoryType::Mmap, BUFFERS)
            .map_err(describe(&device, "cannot make buffers for the pictures"))?;
        let mut buffers = Vec::new();
        for index in 0..count {
            let mapping = device
                .query_buffer(Queue::Capture, index)
                .and_then(|(offset, len)| Mapping::new(device.fd(), offset, len))
                .map_err(describe(&device, "cannot map the buffers"))?;
            // Without it the picture can still be copied.
            let dmabuf = device.export_buffer(Queue::Capture, index).ok();
            buffers.push(CameraBuffer { mapping, dmabuf });
        }
        let poller =
            DevicePoller::new(device.fd()).map_err(describe(&device, "cannot prepare to wait"))?;
        let stream = Arc::new(Self {
            device,
            poller,
            buffers,
            streaming: AtomicBool::new(true),
            lent: AtomicUsize::new(0),
        });
        for index in 0..count {
            stream.requeue(index).map_err(describe(&stream.device, "cannot queue the buffers"))?;
        }
        stream
            .device
            .stream_on(Queue::Capture)
            .map_err(describe(&stream.device, "cannot start the pictures"))?;
        log::debug!("{} buffers of {format:?}", stream.buffers.len());
        Ok(stream)
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// The next buffer with a picture, waiting at most for `timeout`.
    pub(super) fn next(&self, timeout: Duration) -> Result<DequeuedBuffer, CameraError> {
        // Since when something has been wrong. The clock is not read before that: with every picture,
        // even that counts.
        let mut wrong_since: Option<Instant> = None;
        loop {
            let left = wrong_since.map_or(timeout, |since| timeout.saturating_sub(since.elapsed()));
            // Waiting comes first: right after one picture there is no other.
            let ready = self
                .poller
                .wait(Some(left))
                .map_err(describe(&self.device, "cannot wait for pictures"))?;
            match self.device.dequeue(Queue::Capture, MemoryType::Mmap) {
                Ok(dequeued) if (dequeued.index as usize) < self.buffers.len() => {
                    return Ok(dequeued);
                }
                Ok(dequeued) => {
                    let index = dequeued.index;
                    return Err(CameraError::Lost(format!(
                        "its driver named a buffer that does not exist ({index})"
                    )));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(describe(&self.device, "cannot take pictures")(error)),
            }
            if ready == Ready::default() || left.is_zero() {
                return Err(CameraError::Lost(format!(
                    "no picture for {} seconds",
                    timeout.as_secs()
                )));
            }
            if ready.error && self.device.capability().is_err() {
                return Err(CameraError::Lost("it was unplugged".into()));
            }
            wrong_since.get_or_insert_with(Instant::now);
            if ready.error {
                // All buffers are lent out: one must come back before there is anything to wait for.
                std::thread::sleep(left.min(Duration::from_millis(2)));
            }
        }
    }

    /// Lends out the buffer of a picture. It goes back to the camera when it is dropped.
    pub(super) fn lend(this: &Arc<Self>, index: u32) -> Result<LentBuffer, CameraError> {
        if index as usize >= this.buffers.len() {
            return Err(CameraError::Lost(format!(
                "its driver named a buffer that does not exist ({index})"
            )));
        }
        this.lent.fetch_add(1, Ordering::Relaxed);
        Ok(LentBuffer { stream: this.clone(), index })
    }

    /// Ends the pictures. Those lent out stay whole.
    pub(super) fn stop(&self) {
        self.streaming.store(false, Ordering::Release);
        let off = self.device.stream_off(Queue::Capture);
        // The kernel keeps a freed buffer for as long as it is mapped or exported.
        let freed = self.device.request_buffers(Queue::Capture, MemoryType::Mmap, 0);
        if let Err(error) = off.and(freed) {
            log::debug!("stopping {}: {error}", self.device.path().display());
        }
        let lent = self.lent.load(Ordering::Relaxed);
        if lent > 0 {
            log::debug!("{lent} pictures of the camera are still in use");
        }
    }

    fn requeue(&self, index: u32) -> std::io::Result<()> {
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
pub(super) struct LentBuffer {
    stream: Arc<Stream>,
    index: u32,
}

impl LentBuffer {
    fn buffer(&self) -> &CameraBuffer {
        &self.stream.buffers[self.index as usize]
    }
}

impl FrameMemory for LentBuffer {
    fn bytes(&self) -> &[u8] {
        self.buffer().mapping.bytes()
    }

    fn dmabuf(&self) -> Option<BorrowedFd<'_>> {
        self.buffer().dmabuf.as_ref().map(AsFd::as_fd)
    }
}

impl Drop for LentBuffer {
    fn drop(&mut self) {
        self.stream.lent.fetch_sub(1, Ordering::Relaxed);
        if self.stream.streaming.load(Ordering::Acquire)
            && let Err(error) = self.stream.requeue(self.index)
        {
            log::debug!("the camera does not take buffer {} back: {error}", self.index);
        }
    }
}
