//! What the rooms `camera` and `encoder` say to the kernel's video devices (V4L2), in safe Rust.
//!
//! In come a device node and plain values; out comes what the driver made of them. The meaning of
//! the calls is the kernel's ("Video for Linux API", Part I of the media userspace API); nothing
//! here knows what a camera or an encoder is for. All the unsafe code of both is here.
//!
//! Buffers have one plane of memory, which is what the Pi's drivers and USB cameras use: formats
//! with chroma in another buffer (`NM12` and its like) are not asked for.

mod device;
mod format;
mod mapping;
mod negotiate;
mod poller;
mod types;

pub(crate) use device::Device;
pub(crate) use format::{FourCc, FrameSizeRange, VideoFormat};
pub(crate) use mapping::Mapping;
pub(crate) use poller::{DevicePoller, Ready};
pub(crate) use types::{
    Buffer, Capability, ControlInfo, DequeuedBuffer, DeviceEvent, MemoryType, Queue,
};
