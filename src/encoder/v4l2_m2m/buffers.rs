//! The device's buffers: made, mapped and queued.

use super::error::{DeviceError, During};
use super::state::MAX_HELD;
use crate::media::MediaTime;
use crate::v4l2::{Buffer, Device, Mapping, MemoryType, Queue};

/// Buffers for frames that are imported: enough for each of a camera's to have one of its own. The
/// kernel maps a DMABUF for the device again when it comes in another buffer than last time.
const IMPORT_BUFFERS: u32 = 16;
const CAPTURE_BUFFERS: u32 = 6;

/// Makes the OUTPUT buffers. Returns how many there are.
pub(super) fn request_output_buffers(
    device: &Device,
    memory: MemoryType,
) -> Result<u32, DeviceError> {
    let wanted = match memory {
        MemoryType::Dmabuf => IMPORT_BUFFERS,
        MemoryType::Mmap => MAX_HELD as u32,
    };
    match (device.request_buffers(Queue::OutputMplane, memory, wanted), memory) {
        (Ok(0), _) => Err(DeviceError::Unsupported("it has no buffers for pictures".into())),
        (Err(error), MemoryType::Dmabuf) => Err(DeviceError::Import(error.to_string())),
        (count, _) => count.during("making buffers for pictures"),
    }
}

/// Makes the CAPTURE buffers, and queues them for the device to fill.
pub(super) fn queue_capture_buffers(device: &Device) -> Result<Vec<Mapping>, DeviceError> {
    let count = device
        .request_buffers(Queue::CaptureMplane, MemoryType::Mmap, CAPTURE_BUFFERS)
        .during("making buffers for what it codes")?;
    let mappings = map_all(device, Queue::CaptureMplane, count)?;
    for (index, mapping) in mappings.iter().enumerate() {
        device
            .queue(Queue::CaptureMplane, &empty(index as u32, mapping))
            .during("queueing buffers for what it codes")?;
    }
    Ok(mappings)
}

/// Maps the first `count` buffers of a queue.
pub(super) fn map_all(
    device: &Device,
    queue: Queue,
    count: u32,
) -> Result<Vec<Mapping>, DeviceError> {
    let map = |index| {
        let (offset, len) = device.query_buffer(queue, index)?;
        Mapping::new(device.fd(), offset, len)
    };
    (0..count).map(map).collect::<std::io::Result<_>>().during("mapping its buffers")
}

/// A buffer for the device to fill.
pub(super) fn empty(index: u32, mapping: &Mapping) -> Buffer<'static> {
    Buffer {
        index,
        used: 0,
        len: u32::try_from(mapping.bytes().len()).unwrap_or(u32::MAX),
        dmabuf: None,
        time: MediaTime::default(),
    }
}
