//! A session's own thread: takes back what the device has read, and delivers what it has coded.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::buffers::empty;
use super::error::{DeviceError, During, no_such_buffer};
use super::output::{CodedPicture, CodedSink};
use super::state::{Shared, StopMode, lock};
use crate::encoder::device_output;
use crate::v4l2::{DequeuedBuffer, DeviceEvent, Mapping, MemoryType, Queue};

/// Coded pictures are cut from chunks of memory of this many bytes, because each allocation costs time.
/// Small enough for a picture that is kept to keep little else.
const CHUNK: usize = 64 << 10;

/// The session's thread.
pub(super) struct DequeueThread {
    shared: Arc<Shared>,
    /// The CAPTURE buffers.
    capture: Vec<Mapping>,
    sink: Arc<Mutex<CodedSink>>,
    /// What is left of a [`CHUNK`].
    memory: BytesMut,
}

/// How a look at the device ended.
#[derive(PartialEq)]
enum Outcome {
    Continue,
    /// A drain has ended.
    Drained,
}

impl DequeueThread {
    pub(super) fn new(
        shared: Arc<Shared>,
        capture: Vec<Mapping>,
        sink: Arc<Mutex<CodedSink>>,
    ) -> Self {
        Self { shared, capture, sink, memory: BytesMut::new() }
    }

    pub(super) fn run(mut self) {
        loop {
            let stop = self.shared.lock().stop;
            if stop == StopMode::Now {
                break;
            }
            match self.run_once() {
                Ok(Outcome::Drained) if stop == StopMode::Drained => break,
                Ok(_) => {}
                Err(error) => {
                    self.shared.lock().broken = Some(error);
                    break;
                }
            }
        }
        // Whatever the device still holds is ours again after this.
        for queue in [Queue::OutputMplane, Queue::CaptureMplane] {
            if let Err(error) = self.shared.device.stream_off(queue) {
                log::debug!("stopping the encoder: {error}");
            }
        }
        let frames = {
            let mut state = self.shared.lock();
            state.ended = true;
            std::mem::take(&mut state.output)
        };
        drop(frames);
        self.shared.notify();
    }

    /// Waits for the device and takes what it has.
    fn run_once(&mut self) -> Result<Outcome, DeviceError> {
        let ready = self.shared.poller.wait(None).during("waiting for it")?;
        // Read once each time: with every picture, even a look at the clock counts.
        let now = Instant::now();
        if ready.event {
            self.handle_events()?;
        }
        if ready.output || ready.error {
            self.take_back(now)?;
        }
        // Whatever it was ready for then: by now it has mostly coded what it has read, and to look
        // costs less than to wait once more.
        self.take_coded(now)
    }

    fn handle_events(&self) -> Result<(), DeviceError> {
        while let Ok(event) = self.shared.device.next_event() {
            if event == DeviceEvent::SourceChange {
                return Err(DeviceError::Unsupported("its format changed".into()));
            }
        }
        Ok(())
    }

    /// Takes back a frame the device has read, if there is one. When there are more, waiting for them
    /// takes no time.
    fn take_back(&self, now: Instant) -> Result<(), DeviceError> {
        let Some(done) = self.dequeue(Queue::OutputMplane, self.shared.memory)? else {
            return Ok(());
        };
        let returned = self.shared.output_returned(done.index as usize, now);
        let (frame, awaited) = returned.ok_or_else(no_such_buffer)?;
        // Outside the lock: this may be the moment the camera gets its buffer back.
        drop(frame);
        if awaited {
            self.shared.notify();
        }
        Ok(())
    }

    /// Takes a picture the device has coded, if there is one.
    fn take_coded(&mut self, now: Instant) -> Result<Outcome, DeviceError> {
        let done = match self.shared.device.dequeue(Queue::CaptureMplane, MemoryType::Mmap) {
            Ok(done) => done,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                return Ok(Outcome::Continue);
            }
            // After the last buffer of a drain.
            Err(error) if error.raw_os_error() == Some(EPIPE) => return Ok(Outcome::Drained),
            Err(error) => return Err(DeviceError::Call("taking what it coded", error)),
        };
        self.deliver(&done, now)?;
        let mapping = self.capture.get(done.index as usize).ok_or_else(no_such_buffer)?;
        if done.last {
            return Ok(Outcome::Drained);
        }
        let emptied = empty(done.index, mapping);
        self.shared
            .device
            .queue(Queue::CaptureMplane, &emptied)
            .during("giving it a buffer back")?;
        Ok(Outcome::Continue)
    }

    fn deliver(&mut self, done: &DequeuedBuffer, now: Instant) -> Result<(), DeviceError> {
        let mapping = self.capture.get(done.index as usize).ok_or_else(no_such_buffer)?;
        let bytes = device_output::written(mapping.bytes(), done.offset, done.used);
        let bytes =
            bytes.ok_or_else(|| DeviceError::Unsupported("it wrote past its buffer".into()))?;
        let time = {
            let mut state = self.shared.lock();
            state.last_returned = now;
            // Its session is over, and another may have begun.
            if state.stop == StopMode::Now {
                return Ok(());
            }
            if done.error || bytes.is_empty() {
                // Pictures that follow refer to this one, which nobody will see.
                state.key_frame_needed |= done.error;
                return Ok(());
            }
            // A picture that fills its buffer goes on in the next one.
            if bytes.len() == mapping.bytes().len() {
                return Err(DeviceError::Overflow);
            }
            state.last_coded = now;
            state.swallowed = 0;
            device_output::time_of(&mut state.pending, done.time)
        };
        let picture = CodedPicture { data: copy_out(bytes, &mut self.memory), time };
        let delivered = (lock(&self.sink))(picture);
        if let Err(why) = delivered {
            log::warn!("the encoder made something that is not a picture: {why}");
            self.shared.lock().key_frame_needed = true;
        }
        Ok(())
    }

    fn dequeue(
        &self,
        queue: Queue,
        memory: MemoryType,
    ) -> Result<Option<DequeuedBuffer>, DeviceError> {
        match self.shared.device.dequeue(queue, memory) {
            Ok(done) => Ok(Some(done)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.raw_os_error() == Some(EPIPE) => Ok(None),
            Err(error) => Err(DeviceError::Call("taking a picture back", error)),
        }
    }
}

/// Copies a picture out of the device's buffer, which is to be used again.
fn copy_out(picture: &[u8], memory: &mut BytesMut) -> Bytes {
    if memory.capacity() < picture.len() {
        *memory = BytesMut::with_capacity(picture.len().max(CHUNK));
    }
    memory.extend_from_slice(picture);
    memory.split().freeze()
}

/// "Broken pipe": nothing more comes out of a queue that was drained.
const EPIPE: i32 = rustix::io::Errno::PIPE.raw_os_error();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_share_memory_and_stay_what_they_are() {
        let mut memory = BytesMut::new();
        let pictures: Vec<Vec<u8>> = [1, CHUNK - 1, 1, 3 * CHUNK, 5]
            .iter()
            .zip(1..)
            .map(|(n, fill)| vec![fill; *n])
            .collect();
        let kept: Vec<Bytes> = pictures.iter().map(|p| copy_out(p, &mut memory)).collect();
        assert_eq!(kept, pictures);
        assert_eq!(kept[0].as_ptr().wrapping_add(1), kept[1].as_ptr(), "one chunk");
    }
}
