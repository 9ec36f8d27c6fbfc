//! What the rooms `camera` and `encoder` say to the kernel's video devices (V4L2), in safe words.
//!
//! In come a device node and plain values; out come what the driver made of them. The meaning of
//! the calls is the kernel's ("Video for Linux API", Part I of the media userspace API); nothing
//! here knows what a camera or an encoder is for. All the unsafe code of both is here.
//!
//! Buffers have one plane of memory, which is what the Pi's drivers and USB cameras use: formats
//! with chroma in another buffer (`NM12` and its like) are not asked for.

mod device;
mod format;
mod mapping;
mod negotiate;
mod waiter;

pub(crate) use device::{Buffer, Capability, Control, Dequeued, Device, Event, Memory, Queue};
pub(crate) use format::{Colours, FourCc, PictureFormat, SizeRange};
pub(crate) use mapping::Mapping;
pub(crate) use waiter::{Ready, Waiter};
