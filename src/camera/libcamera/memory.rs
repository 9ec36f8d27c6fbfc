//! The memory pictures lie in: buffers of the camera, lent picture by picture.
//!
//! A buffer's file descriptor and mapping are ours and last as long as any picture in it, whatever
//! has become of the camera. The buffer itself goes back to the camera when the last picture in
//! it, main or companion, is dropped, on whatever thread.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};

use super::ffi::{self, Mapping, Reading};
use super::session::Event;
use crate::media::FrameMemory;

/// The memory of one buffer.
pub(super) struct Buffer {
    fd: OwnedFd,
    /// Bytes that belong to the picture; there are at least as many behind the descriptor.
    len: usize,
    bytes: OnceLock<Bytes>,
}

enum Bytes {
    Mapped(Mapping),
    /// In place of what could not be mapped: a wrong picture is better than none at all.
    Blank(Vec<u8>),
}

impl Buffer {
    pub(super) fn new(fd: OwnedFd, len: usize) -> Self {
        Self { fd, len, bytes: OnceLock::new() }
    }

    fn bytes(&self) -> &[u8] {
        let mapped = self.bytes.get_or_init(|| match Mapping::new(&self.fd, self.len) {
            Ok(mapping) => Bytes::Mapped(mapping),
            Err(error) => {
                log::error!("cannot read the camera's memory: {error}");
                Bytes::Blank(vec![0; self.len])
            }
        });
        match mapped {
            Bytes::Mapped(mapping) => mapping.bytes(),
            Bytes::Blank(zeros) => zeros,
        }
    }
}

/// A buffer, or several filled together, on loan from the camera.
pub(super) struct Loan {
    slot: usize,
    /// To the session that lent it. When that is over nobody listens, which is as well: its
    /// buffers are the camera's no more.
    home: Sender<Event>,
}

impl Loan {
    pub(super) fn new(slot: usize, home: Sender<Event>) -> Arc<Self> {
        Arc::new(Self { slot, home })
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let _ = self.home.send(Event::Returned(self.slot));
    }
}

/// What a picture lies in.
pub(super) struct Lent {
    buffer: Arc<Buffer>,
    reading: OnceLock<()>,
    // Dropped last: from then on the camera writes to the buffer.
    _loan: Arc<Loan>,
}

impl Lent {
    pub(super) fn new(buffer: Arc<Buffer>, loan: Arc<Loan>) -> Self {
        Self { buffer, reading: OnceLock::new(), _loan: loan }
    }
}

impl FrameMemory for Lent {
    fn bytes(&self) -> &[u8] {
        self.reading.get_or_init(|| ffi::announce(&self.buffer.fd, Reading::Begins));
        self.buffer.bytes()
    }

    fn len(&self) -> usize {
        self.buffer.len
    }

    fn dmabuf(&self) -> Option<BorrowedFd<'_>> {
        Some(self.buffer.fd.as_fd())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.reading.get().is_some() {
            ffi::announce(&self.buffer.fd, Reading::Ends);
        }
    }
}
