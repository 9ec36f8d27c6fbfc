//! The memory that pictures lie in: buffers of the camera, lent picture by picture.
//!
//! A buffer's file descriptor and mapping are ours and last as long as any picture in it, whatever
//! has become of the camera. The buffer itself goes back to the camera when the last clone of the
//! frame in it is dropped, on any thread.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};

use super::event::CaptureEvent;
use super::ffi::{self, Mapping, Reading};
use crate::media::FrameMemory;

/// The memory of one buffer.
pub(super) struct BufferMemory {
    fd: OwnedFd,
    /// Bytes that belong to the picture; there are at least as many behind the descriptor.
    len: usize,
    contents: OnceLock<Contents>,
}

enum Contents {
    Mapped(Mapping),
    /// In place of what could not be mapped: a wrong picture is better than none at all.
    Blank(Vec<u8>),
}

impl BufferMemory {
    pub(super) fn new(fd: OwnedFd, len: usize) -> Self {
        Self { fd, len, contents: OnceLock::new() }
    }

    fn bytes(&self) -> &[u8] {
        let contents = self.contents.get_or_init(|| match Mapping::new(&self.fd, self.len) {
            Ok(mapping) => Contents::Mapped(mapping),
            Err(error) => {
                log::error!("cannot read the camera's memory: {error}");
                Contents::Blank(vec![0; self.len])
            }
        });
        match contents {
            Contents::Mapped(mapping) => mapping.bytes(),
            Contents::Blank(zeros) => zeros,
        }
    }
}

/// A buffer with a picture in it, on loan from the camera.
pub(super) struct LentBuffer {
    memory: Arc<BufferMemory>,
    reading: OnceLock<()>,
    slot: usize,
    /// To the session that lent it. When that is over nobody listens, and nobody needs to: its buffers
    /// are no longer the camera's.
    session: Sender<CaptureEvent>,
}

impl LentBuffer {
    pub(super) fn new(
        memory: Arc<BufferMemory>,
        slot: usize,
        session: Sender<CaptureEvent>,
    ) -> Self {
        Self { memory, reading: OnceLock::new(), slot, session }
    }
}

impl FrameMemory for LentBuffer {
    fn bytes(&self) -> &[u8] {
        self.reading.get_or_init(|| ffi::announce(&self.memory.fd, Reading::Begins));
        self.memory.bytes()
    }

    fn len(&self) -> usize {
        self.memory.len
    }

    fn dmabuf(&self) -> Option<BorrowedFd<'_>> {
        Some(self.memory.fd.as_fd())
    }
}

impl Drop for LentBuffer {
    fn drop(&mut self) {
        if self.reading.get().is_some() {
            ffi::announce(&self.memory.fd, Reading::Ends);
        }
        // From now on the camera writes to the buffer.
        let _ = self.session.send(CaptureEvent::Returned(self.slot));
    }
}
