//! A device node, and every call Picket makes to one.

// Each unsafe block is one ioctl whose argument is a local variable of the type its request number
// was made from.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use v4l::v4l_sys as sys;
use v4l::v4l2::vidioc;

use super::types::{
    Buffer, Capability, ControlInfo, DequeuedBuffer, DeviceEvent, MemoryType, Queue,
};
use crate::media::MediaTime;

/// An open video device. Calls do not block: what is not there yet is
/// [`WouldBlock`](io::ErrorKind::WouldBlock).
#[derive(Debug)]
pub(crate) struct Device {
    file: File,
    path: PathBuf,
}

// Two requests the `v4l` crate has no number for (linux/videodev2.h, 89 and 90).
const VIDIOC_DQEVENT: u64 = request(2, 89, size_of::<sys::v4l2_event>());
const VIDIOC_SUBSCRIBE_EVENT: u64 = request(1, 90, size_of::<sys::v4l2_event_subscription>());

/// `_IOC` of asm-generic/ioctl.h for 'V'.
const fn request(direction: u64, number: u64, size: usize) -> u64 {
    direction << 30 | (size as u64) << 16 | (b'V' as u64) << 8 | number
}

impl Device {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits() as i32)
            .open(path)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// All video nodes there are, in the order of their numbers.
    pub(crate) fn nodes() -> Vec<PathBuf> {
        let number = |path: &Path| -> Option<u32> {
            path.file_name()?.to_str()?.strip_prefix("video")?.parse().ok()
        };
        let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
        let mut nodes: Vec<(u32, PathBuf)> =
            entries.map(|e| e.path()).filter_map(|p| Some((number(&p)?, p))).collect();
        nodes.sort();
        nodes.into_iter().map(|(_, path)| path).collect()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(super) fn ioctl<T>(&self, request: u64, argument: &mut T) -> io::Result<()> {
        loop {
            // SAFETY: `request` was made from the size of `T`, which is what the kernel reads
            // and writes; pointers inside point to locals of the caller that outlive the call.
            let result = unsafe {
                v4l::v4l2::ioctl(self.file.as_raw_fd(), request, (&raw mut *argument).cast())
            };
            match result {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    pub(crate) fn capability(&self) -> io::Result<Capability> {
        // SAFETY: this and every other structure of the interface is plain numbers, for which
        // zero is a valid value and what its documentation asks reserved fields to be.
        let mut raw: sys::v4l2_capability = unsafe { zeroed() };
        self.ioctl(vidioc::VIDIOC_QUERYCAP, &mut raw)?;
        let has_own = raw.capabilities & sys::V4L2_CAP_DEVICE_CAPS != 0;
        Ok(Capability {
            driver: text(&raw.driver),
            card: text(&raw.card),
            bus: text(&raw.bus_info),
            flags: if has_own { raw.device_caps } else { raw.capabilities },
        })
    }

    /// What a control may be; `None` when the device does not have it or does not use it now.
    pub(crate) fn control(&self, id: u32) -> Option<ControlInfo> {
        // SAFETY: see `capability`.
        let mut raw: sys::v4l2_queryctrl = unsafe { zeroed() };
        raw.id = id;
        self.ioctl(vidioc::VIDIOC_QUERYCTRL, &mut raw).ok()?;
        usable(&raw)
    }

    pub(crate) fn set_control(&self, id: u32, value: i32) -> io::Result<()> {
        let mut raw = sys::v4l2_control { id, value };
        self.ioctl(vidioc::VIDIOC_S_CTRL, &mut raw)
    }

    /// Makes a queue's buffers, and says how many there are; 0 frees them.
    pub(crate) fn request_buffers(
        &self,
        queue: Queue,
        memory: MemoryType,
        count: u32,
    ) -> io::Result<u32> {
        // SAFETY: see `capability`.
        let mut raw: sys::v4l2_requestbuffers = unsafe { zeroed() };
        (raw.count, raw.type_, raw.memory) = (count, queue.number(), memory.number());
        self.ioctl(vidioc::VIDIOC_REQBUFS, &mut raw)?;
        Ok(raw.count)
    }

    /// Where a buffer of the device's own memory can be mapped, and its length.
    pub(crate) fn query_buffer(&self, queue: Queue, index: u32) -> io::Result<(u64, usize)> {
        let mut plane = new_plane();
        let mut raw = new_buffer(queue, MemoryType::Mmap, index, &mut plane);
        self.ioctl(vidioc::VIDIOC_QUERYBUF, &mut raw)?;
        // SAFETY: for device memory the driver fills in the offset.
        let (offset, len) = if queue.is_mplane() {
            unsafe { (plane.m.mem_offset, plane.length) }
        } else {
            unsafe { (raw.m.offset, raw.length) }
        };
        Ok((u64::from(offset), len as usize))
    }

    /// A buffer of the device's own memory as a DMABUF.
    pub(crate) fn export_buffer(&self, queue: Queue, index: u32) -> io::Result<OwnedFd> {
        // SAFETY: see `capability`.
        let mut raw: sys::v4l2_exportbuffer = unsafe { zeroed() };
        (raw.type_, raw.index) = (queue.number(), index);
        raw.flags = (OFlags::CLOEXEC | OFlags::RDWR).bits();
        // Zero is standard input, and not to be taken for what a driver left as it was.
        raw.fd = -1;
        self.ioctl(vidioc::VIDIOC_EXPBUF, &mut raw)?;
        // SAFETY: on success the descriptor is new and nobody else's.
        unsafe { owned(raw.fd) }
    }

    /// Hands a buffer to the device.
    pub(crate) fn queue(&self, queue: Queue, buffer: &Buffer<'_>) -> io::Result<()> {
        let memory = if buffer.dmabuf.is_some() { MemoryType::Dmabuf } else { MemoryType::Mmap };
        let mut plane = new_plane();
        plane.bytesused = buffer.used;
        plane.length = buffer.len;
        if let Some(fd) = buffer.dmabuf {
            plane.m.fd = fd.as_raw_fd();
        }
        let mut raw = new_buffer(queue, memory, buffer.index, &mut plane);
        if !queue.is_mplane() {
            (raw.bytesused, raw.length) = (buffer.used, buffer.len);
        }
        let micros = (buffer.time.as_nanos() / 1000) as i64;
        raw.timestamp.tv_sec = micros / 1_000_000;
        raw.timestamp.tv_usec = micros % 1_000_000;
        self.ioctl(vidioc::VIDIOC_QBUF, &mut raw)
    }

    /// Takes a buffer back, if one is ready.
    pub(crate) fn dequeue(&self, queue: Queue, memory: MemoryType) -> io::Result<DequeuedBuffer> {
        let mut plane = new_plane();
        let mut raw = new_buffer(queue, memory, 0, &mut plane);
        self.ioctl(vidioc::VIDIOC_DQBUF, &mut raw)?;
        let (used, offset) = match queue.is_mplane() {
            true => (plane.bytesused, plane.data_offset),
            false => (raw.bytesused, 0),
        };
        let seconds = u64::try_from(raw.timestamp.tv_sec).unwrap_or(0);
        let micros = u64::try_from(raw.timestamp.tv_usec).unwrap_or(0);
        let nanos = seconds.saturating_mul(1_000_000_000).saturating_add(micros * 1000);
        Ok(DequeuedBuffer {
            index: raw.index,
            used,
            offset,
            time: MediaTime::from_nanos(nanos),
            sequence: raw.sequence,
            error: raw.flags & sys::V4L2_BUF_FLAG_ERROR != 0,
            last: raw.flags & sys::V4L2_BUF_FLAG_LAST != 0,
        })
    }

    pub(crate) fn stream_on(&self, queue: Queue) -> io::Result<()> {
        self.ioctl(vidioc::VIDIOC_STREAMON, &mut queue.number())
    }

    /// Stops a queue; all its buffers are ours again.
    pub(crate) fn stream_off(&self, queue: Queue) -> io::Result<()> {
        self.ioctl(vidioc::VIDIOC_STREAMOFF, &mut queue.number())
    }

    /// Has an encoder finish what was queued, and mark the last buffer.
    #[cfg(feature = "testing")]
    pub(crate) fn drain(&self) -> io::Result<()> {
        // SAFETY: see `capability`.
        let mut raw: sys::v4l2_encoder_cmd = unsafe { zeroed() };
        raw.cmd = sys::V4L2_ENC_CMD_STOP;
        self.ioctl(vidioc::VIDIOC_ENCODER_CMD, &mut raw)
    }

    /// Has events of a kind reported.
    pub(crate) fn subscribe(&self, event: DeviceEvent) -> io::Result<()> {
        // SAFETY: see `capability`.
        let mut raw: sys::v4l2_event_subscription = unsafe { zeroed() };
        raw.type_ = match event {
            DeviceEvent::EndOfStream => sys::V4L2_EVENT_EOS,
            DeviceEvent::SourceChange => sys::V4L2_EVENT_SOURCE_CHANGE,
            DeviceEvent::Other(number) => number,
        };
        self.ioctl(VIDIOC_SUBSCRIBE_EVENT, &mut raw)
    }

    pub(crate) fn next_event(&self) -> io::Result<DeviceEvent> {
        // SAFETY: see `capability`.
        let mut raw: sys::v4l2_event = unsafe { zeroed() };
        self.ioctl(VIDIOC_DQEVENT, &mut raw)?;
        Ok(match raw.type_ {
            sys::V4L2_EVENT_EOS => DeviceEvent::EndOfStream,
            sys::V4L2_EVENT_SOURCE_CHANGE => DeviceEvent::SourceChange,
            other => DeviceEvent::Other(other),
        })
    }
}

/// A descriptor that the kernel has made, if it has made one.
///
/// # Safety
/// An `fd` that is not negative must be open and nobody else's.
unsafe fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::other("the driver exported a buffer without a descriptor"));
    }
    // SAFETY: as the caller says; and it is not negative, which no `OwnedFd` may be.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn new_plane() -> sys::v4l2_plane {
    // SAFETY: see `Device::capability`.
    unsafe { zeroed() }
}

/// A buffer's description; it points to `plane`, which must outlive it, for queues that have it.
fn new_buffer(
    queue: Queue,
    memory: MemoryType,
    index: u32,
    plane: &mut sys::v4l2_plane,
) -> sys::v4l2_buffer {
    // SAFETY: see `Device::capability`.
    let mut raw: sys::v4l2_buffer = unsafe { zeroed() };
    (raw.index, raw.type_, raw.memory) = (index, queue.number(), memory.number());
    if queue.is_mplane() {
        raw.m.planes = plane;
        raw.length = 1;
    }
    raw
}

fn usable(raw: &sys::v4l2_queryctrl) -> Option<ControlInfo> {
    let unusable = sys::V4L2_CTRL_FLAG_DISABLED | sys::V4L2_CTRL_FLAG_READ_ONLY;
    if raw.flags & unusable != 0 {
        return None;
    }
    Some(ControlInfo {
        id: raw.id,
        name: text(&raw.name),
        min: raw.minimum.into(),
        max: raw.maximum.into(),
        step: u64::try_from(raw.step).unwrap_or(1).max(1),
        default: raw.default_value.into(),
    })
}

/// Text a driver gave, up to its first zero, whatever bytes it is made of.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_request_numbers_are_made_as_the_crates_are() {
        let theirs = vidioc::VIDIOC_QUERYCAP;
        assert_eq!(request(2, 0, size_of::<sys::v4l2_capability>()), theirs);
        let theirs = vidioc::VIDIOC_STREAMON;
        assert_eq!(request(1, 18, size_of::<i32>()), theirs);
    }

    #[test]
    fn a_file_that_is_no_video_device_is_told_from_one() {
        let device = Device::open(Path::new("/dev/null")).unwrap();
        assert!(device.capability().is_err());
        assert!(device.formats(Queue::CaptureMplane).is_empty());
        assert!(device.control(sys::V4L2_CID_BRIGHTNESS).is_none());
    }

    #[test]
    fn a_descriptor_that_a_driver_did_not_make_is_owned_by_nobody() {
        for fd in [-1, i32::MIN] {
            // SAFETY: it is negative.
            assert!(unsafe { owned(fd) }.is_err(), "{fd}");
        }
        let made = File::open("/dev/null").unwrap();
        let number = std::os::fd::IntoRawFd::into_raw_fd(made);
        // SAFETY: it is open, and was given up by its owner.
        assert_eq!(unsafe { owned(number) }.unwrap().as_raw_fd(), number);
    }

    #[test]
    fn text_of_a_driver_ends_at_its_zero_or_its_end() {
        assert_eq!(text(b"uvcvideo\0rest"), "uvcvideo");
        assert_eq!(text(b"full\xff"), "full\u{fffd}");
    }
}
