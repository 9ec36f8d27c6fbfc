//! The camera's streams, set up: their pictures, memory and requests.

use std::sync::Arc;

use libcamera::camera::{ActiveCamera, CameraConfiguration};
use libcamera::framebuffer::AsFrameBuffer;
use libcamera::framebuffer_allocator::{FrameBuffer, FrameBufferAllocator};
use libcamera::request::Request;
use libcamera::stream::Stream;

use super::choice::{self, Wishes};
use super::memory::{Buffer, Lent, Loan};
use super::{Flip, ffi, io_error, manager};
use crate::camera::CameraError;
use crate::media::layout::{self, Piece, Shape};
use crate::media::{Frame, MediaTime, Plane};

/// All there is to a camera that is about to start.
pub(super) struct Streams {
    pub(super) main: Pictures,
    pub(super) companion: Option<Pictures>,
    /// Number n has the cookie n and the buffers of slot n.
    pub(super) requests: Vec<Request>,
}

/// A stream of the camera.
pub(super) struct Pictures {
    pub(super) stream: Stream,
    pub(super) shape: Shape,
    /// What its pictures lie in, one for each slot.
    memory: Vec<Memory>,
}

struct Memory {
    buffer: Arc<Buffer>,
    planes: Vec<Plane>,
}

impl Streams {
    /// Configures the camera as near to the wishes as it can be.
    pub(super) fn set_up(
        camera: &mut ActiveCamera<'static>,
        wishes: &Wishes,
    ) -> Result<Self, CameraError> {
        let model = manager::model(camera);
        let mut configuration = choice::choose(camera, wishes)?;
        camera
            .configure(&mut configuration)
            .map_err(io_error(format!("cannot configure the camera {model}")))?;
        say_what_was_not_done(&model, &configuration, wishes);
        let mut allocator = FrameBufferAllocator::new(camera);
        let (main, buffers) = pictures(0, &configuration, &mut allocator)?;
        let second = match configuration.len() {
            2.. => Some(pictures(1, &configuration, &mut allocator)?),
            _ => None,
        };
        let (companion, requests) = requests(camera, &main, buffers, second)?;
        Ok(Self { main, companion, requests })
    }
}

impl Pictures {
    /// The picture in `slot`.
    pub(super) fn frame(
        &self,
        slot: usize,
        loan: &Arc<Loan>,
        (time, sequence): (MediaTime, u64),
    ) -> Result<Frame, CameraError> {
        let memory = self.memory.get(slot).ok_or_else(no_stream)?;
        let Shape { format, width, height, .. } = self.shape;
        let lent = Arc::new(Lent::new(memory.buffer.clone(), loan.clone()));
        Frame::new(format, (width, height), &memory.planes, lent, time, sequence)
            .map_err(|error| CameraError::Unsupported(error.to_string()))
    }
}

/// Stream `index` with its buffers.
fn pictures(
    index: usize,
    configuration: &CameraConfiguration,
    allocator: &mut FrameBufferAllocator,
) -> Result<(Pictures, Vec<FrameBuffer>), CameraError> {
    let stream_configuration = configuration.get(index).ok_or_else(no_stream)?;
    let shape = choice::shape(&stream_configuration)?;
    let stream = stream_configuration.stream().ok_or_else(no_stream)?;
    let buffers =
        allocator.alloc(&stream).map_err(io_error("the camera gets no memory for its pictures"))?;
    let memory = buffers.iter().map(|buffer| memory(&shape, buffer)).collect::<Result<_, _>>()?;
    Ok((Pictures { stream, shape, memory }, buffers))
}

/// Our own hold on the memory of a buffer.
fn memory(shape: &Shape, buffer: &FrameBuffer) -> Result<Memory, CameraError> {
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
    Ok(Memory { buffer: Arc::new(Buffer::new(fd, len)), planes })
}

/// One request for each buffer of the main stream, with one of the companion's in it; without a
/// companion if it has fewer buffers.
fn requests(
    camera: &mut ActiveCamera<'static>,
    main: &Pictures,
    buffers: Vec<FrameBuffer>,
    second: Option<(Pictures, Vec<FrameBuffer>)>,
) -> Result<(Option<Pictures>, Vec<Request>), CameraError> {
    let (companion, mut small) = second
        .filter(|(_, small)| small.len() >= buffers.len())
        .map_or((None, Vec::new().into_iter()), |(pictures, small)| {
            (Some(pictures), small.into_iter())
        });
    let mut requests = Vec::with_capacity(buffers.len());
    for (slot, buffer) in buffers.into_iter().enumerate() {
        let mut request = camera.create_request(Some(slot as u64)).ok_or_else(no_stream)?;
        let cannot_add = || io_error("the camera does not take its own memory");
        request.add_buffer(&main.stream, buffer).map_err(cannot_add())?;
        if let (Some(companion), Some(buffer)) = (&companion, small.next()) {
            request.add_buffer(&companion.stream, buffer).map_err(cannot_add())?;
        }
        requests.push(request);
    }
    if requests.is_empty() {
        return Err(no_stream());
    }
    Ok((companion, requests))
}

/// Wishes the camera cannot fulfil, for the owner to know.
fn say_what_was_not_done(model: &str, configuration: &CameraConfiguration, wishes: &Wishes) {
    if wishes.companion.is_some() && configuration.len() < 2 {
        log::info!("{model} does not make two pictures at once; there is only the large one");
    }
    if wishes.flip != Flip::None && configuration.orientation() != choice::orientation(wishes.flip)
    {
        log::warn!("{model} cannot mirror its picture; it is shown as it comes");
    }
}

fn no_stream() -> CameraError {
    CameraError::Unsupported("the camera offers no stream of pictures".into())
}
