//! The little that needs `unsafe`: file descriptors and mapped memory that libcamera hands out as
//! numbers, and handles of which only we know on which threads they may be used.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use libcamera::camera::ActiveCamera;
use libcamera::camera_manager::CameraManager;
use libcamera::framebuffer::{AsFrameBuffer, FrameBufferPlaneRef};
use rustix::ioctl::{Setter, ioctl, opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The camera manager, which may be used on any thread.
pub(super) struct Manager(pub(super) CameraManager);

// SAFETY: libcamera's CameraManager runs a thread of its own and is bound to no other. It is kept
// in a mutex and used by one thread at a time; its callbacks are set before it is started and
// never again.
unsafe impl Send for Manager {}

/// A camera we have to ourselves, which may be used on any thread.
pub(super) struct Active(pub(super) ActiveCamera<'static>);

// SAFETY: libcamera's Camera is bound to no thread: it asks only that calls that change its state
// do not overlap, which `&mut` sees to. The lifetime is that of the manager, which lives as long
// as the process.
unsafe impl Send for Active {}

/// A descriptor of our own for the memory of a buffer's plane: it outlives the buffer.
pub(super) fn own_descriptor(
    _buffer: &impl AsFrameBuffer,
    plane: &FrameBufferPlaneRef<'_>,
) -> io::Result<OwnedFd> {
    let fd = plane.fd();
    if fd < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the descriptor belongs to the buffer, which is borrowed for as long as this lasts.
    let lent = unsafe { BorrowedFd::borrow_raw(fd) };
    lent.try_clone_to_owned()
}

/// How many bytes lie behind a DMABUF or memfd; both answer a seek to their end.
pub(super) fn bytes_behind(fd: &OwnedFd) -> io::Result<usize> {
    let end = File::from(fd.try_clone()?).seek(SeekFrom::End(0))?;
    usize::try_from(end).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Memory of a device, mapped for reading.
pub(super) struct Mapping {
    start: NonNull<c_void>,
    len: usize,
}

// SAFETY: the mapping is only ever read, and belongs to nobody else.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes, of which there must be as many (see [`bytes_behind`]).
    pub(super) fn new(fd: &OwnedFd, len: usize) -> io::Result<Self> {
        // SAFETY: the kernel chooses the place, so nothing of ours is overwritten.
        let start =
            unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, fd, 0)? };
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }

    /// What it holds. While the buffer is the camera's, the camera writes to it: to be called only
    /// while the buffer is lent to us.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for as long as `self` lives, `len` bytes that exist (the caller of `new`
        // asked), and not written while the camera has lent the buffer, which `memory::LentBuffer` keeps
        // track of.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it is ours, and borrows of its bytes have ended.
        let unmapped = unsafe { munmap(self.start.as_ptr(), self.len) };
        if let Err(error) = unmapped {
            log::error!("cannot give mapped camera memory back: {error}");
        }
    }
}

/// Either end of a stretch in which the CPU reads device memory.
#[derive(Clone, Copy)]
pub(super) enum Reading {
    Begins,
    Ends,
}

/// Tells the kernel that the CPU begins or ends to read a DMABUF, so that caches are right
/// (`linux/dma-buf.h`, `DMA_BUF_IOCTL_SYNC`). Memory that is no DMABUF refuses, and needs none.
pub(super) fn announce(fd: &OwnedFd, reading: Reading) {
    const READ: u64 = 1 << 0;
    const END: u64 = 1 << 2;
    const SYNC: rustix::ioctl::Opcode = opcode::write::<u64>(b'b', 0);
    let flags = match reading {
        Reading::Begins => READ,
        Reading::Ends => READ | END,
    };
    // SAFETY: the request takes a `struct dma_buf_sync`, which is one u64 of flags.
    let told = unsafe { ioctl(fd, Setter::<SYNC, u64>::new(flags)) };
    if let Err(error) = told {
        log::trace!("no cache maintenance for a camera buffer: {error}");
    }
}
