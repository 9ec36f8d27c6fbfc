//! The camera's stream, set up: its frames, their memory, and requests.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use libcamera::camera::{ActiveCamera, CameraConfiguration};
use libcamera::framebuffer::AsFrameBuffer;
use libcamera::framebuffer_allocator::{FrameBuffer, FrameBufferAllocator};
use libcamera::request::Request;
use libcamera::stream::Stream;

use super::error::io_error;
use super::event::CaptureEvent;
use super::memory::{BufferMemory, LentBuffer};
use super::settings::{CaptureSettings, Flip};
use super::{configuration, ffi, manager};
use crate::camera::CameraError;
use crate::media::layout::{self, Piece, Shape};
use crate::media::{Frame, MediaTime, Plane};

/// A stream of the camera.
pub(super) struct CaptureStream {
    pub(super) stream: Stream,
    pub(super) shape: Shape,
    /// What its frames lie in, one for each slot.
    memory: Vec<SlotMemory>,
}

struct SlotMemory {
    buffer: Arc<BufferMemory>,
    planes: Vec<Plane>,
}

impl CaptureStream {
    /// Configures the camera as near to the settings as it can be. Of the requests, number n has the
    /// cookie n and the buffer of slot n.
    pub(super) fn set_up(
        camera: &mut ActiveCamera<'static>,
        settings: &CaptureSettings,
    ) -> Result<(Self, Vec<Request>), CameraError> {
        let model = manager::model(camera);
        let mut configuration = configuration::choose(camera, settings)?;
        camera
            .configure(&mut configuration)
            .map_err(io_error(format!("cannot configure the camera {model}")))?;
        warn_of_flip(&model, &configuration, settings);
        let (stream, buffers) = Self::allocate(camera, &configuration)?;
        let requests = requests(camera, &stream, buffers)?;
        Ok((stream, requests))
    }

    /// The stream with its buffers.
    fn allocate(
        camera: &ActiveCamera<'static>,
        configuration: &CameraConfiguration,
    ) -> Result<(Self, Vec<FrameBuffer>), CameraError> {
        let stream_configuration = configuration.get(0).ok_or_else(no_stream)?;
        let shape = configuration::shape(&stream_configuration)?;
        let stream = stream_configuration.stream().ok_or_else(no_stream)?;
        let buffers = FrameBufferAllocator::new(camera)
            .alloc(&stream)
            .map_err(io_error("the camera gets no memory for its pictures"))?;
        let memory =
            buffers.iter().map(|buffer| slot_memory(&shape, buffer)).collect::<Result<_, _>>()?;
        Ok((Self { stream, shape, memory }, buffers))
    }

    /// The frame in `slot`; its buffer is returned to `session`.
    pub(super) fn frame(
        &self,
        slot: usize,
        session: Sender<CaptureEvent>,
        (time, sequence): (MediaTime, u64),
    ) -> Result<Frame, CameraError> {
        let memory = self.memory.get(slot).ok_or_else(no_stream)?;
        let Shape { format, width, height, .. } = self.shape;
        let lent = Arc::new(LentBuffer::new(memory.buffer.clone(), slot, session));
        Frame::new(format, (width, height), &memory.planes, lent, time, sequence)
            .map_err(|error| CameraError::Unsupported(error.to_string()))
    }
}

/// Our own hold on the memory of a buffer.
fn slot_memory(shape: &Shape, buffer: &FrameBuffer) -> Result<SlotMemory, CameraError> {
    let cannot_use = io_error("cannot use the camera's memory");
    let planes = buffer.planes();
    let pieces: Vec<Piece> = (0..planes.len())
        .filter_map(|i| planes.get(i))
        .map(|plane| Piece { fd: plane.fd(), offset: plane.offset(), len: plane.len() })
        .collect();
    let first = planes.get(0).ok_or_else(no_stream)?;
    let fd = ffi::own_descriptor(buffer, &first).map_err(cannot_use)?;
    let held = ffi::bytes_behind(&fd).map_err(io_error("cannot measure the camera's memory"))?;
    let (planes, len) = layout::planes(shape, &pieces, held)
        .map_err(|error| CameraError::Unsupported(format!("the camera's pictures: {error}")))?;
    Ok(SlotMemory { buffer: Arc::new(BufferMemory::new(fd, len)), planes })
}

/// One request for each buffer.
fn requests(
    camera: &mut ActiveCamera<'static>,
    stream: &CaptureStream,
    buffers: Vec<FrameBuffer>,
) -> Result<Vec<Request>, CameraError> {
    let mut requests = Vec::with_capacity(buffers.len());
    for (slot, buffer) in buffers.into_iter().enumerate() {
        let mut request = camera.create_request(Some(slot as u64)).ok_or_else(no_stream)?;
        request
            .add_buffer(&stream.stream, buffer)
            .map_err(io_error("the camera does not take its own memory"))?;
        requests.push(request);
    }
    if requests.is_empty() {
        return Err(no_stream());
    }
    Ok(requests)
}

/// Tells the owner of a flip that the camera cannot do.
fn warn_of_flip(model: &str, configuration: &CameraConfiguration, settings: &CaptureSettings) {
    let wanted = configuration::orientation(settings.flip);
    if settings.flip != Flip::None && configuration.orientation() != wanted {
        log::warn!("{model} cannot mirror its picture; it is shown as it comes");
    }
}

fn no_stream() -> CameraError {
    CameraError::Unsupported("the camera offers no video stream".into())
}
