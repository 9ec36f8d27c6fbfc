//! A session's own thread: takes back what the device has read, and delivers what it has coded.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::session::{Deliver, Refused, While, empty, no_such_buffer};
use super::shared::{Shared, Stop};
use super::{CodedPicture, lock};
use crate::encoder::coded;
use crate::v4l2::{Dequeued, Event, Mapping, Memory, Queue};

/// Coded pictures are cut from pieces of memory of this many bytes, because the system charges for
/// each time that it is asked for more. Small enough for a picture that is kept to keep little else.
const PIECE: usize = 64 << 10;

/// The session's thread.
pub(super) struct Worker {
    shared: Arc<Shared>,
    /// The CAPTURE buffers.
    coded: Vec<Mapping>,
    deliver: Arc<Mutex<Deliver>>,
    /// What is left of a [`PIECE`].
    memory: BytesMut,
}

/// How a look at the device ended.
#[derive(PartialEq)]
enum Outcome {
    GoOn,
    /// A drain has ended.
    Drained,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        coded: Vec<Mapping>,
        deliver: Arc<Mutex<Deliver>>,
    ) -> Self {
        Self { shared, coded, deliver, memory: BytesMut::new() }
    }

    pub(super) fn run(mut self) {
        loop {
            let stop = self.shared.lock().stop;
            if stop == Stop::Now {
                break;
            }
            match self.turn() {
                Ok(Outcome::Drained) if stop == Stop::Drained => break,
                Ok(_) => {}
                Err(refused) => {
                    self.shared.lock().broken = Some(refused);
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
            std::mem::take(&mut state.slots)
        };
        drop(frames);
        self.shared.changed.notify_all();
    }

    /// Waits for the device and takes what it has.
    fn turn(&mut self) -> Result<Outcome, Refused> {
        let ready = self.shared.waiter.wait(None).while_("waiting for it")?;
        // Once a turn: with every picture, even a look at the clock counts.
        let now = Instant::now();
        if ready.event {
            self.events()?;
        }
        if ready.output || ready.error {
            self.take_back(now)?;
        }
        // Whatever it was ready for then: by now it has mostly coded what it has read, and to look
        // costs less than to wait once more.
        self.take_coded(now)
    }

    fn events(&self) -> Result<(), Refused> {
        while let Ok(event) = self.shared.device.next_event() {
            if event == Event::SourceChange {
                return Err(Refused::Cannot("its format changed".into()));
            }
        }
        Ok(())
    }

    /// Takes back a picture the device has read, if there is one. When there are more, waiting for
    /// them takes no time.
    fn take_back(&self, now: Instant) -> Result<(), Refused> {
        let Some(done) = self.dequeue(Queue::OutputMplane, self.shared.memory)? else {
            return Ok(());
        };
        let (frame, waited_for) = {
            let mut state = self.shared.lock();
            state.progress = now;
            let slot = state.slots.get_mut(done.index as usize).ok_or_else(no_such_buffer)?;
            (slot.frame.take(), state.waiting > 0)
        };
        // Outside the lock: this may be the moment the camera gets its buffer back.
        drop(frame);
        if waited_for {
            self.shared.changed.notify_all();
        }
        Ok(())
    }

    /// Takes a picture the device has coded, if there is one.
    fn take_coded(&mut self, now: Instant) -> Result<Outcome, Refused> {
        let done = match self.shared.device.dequeue(Queue::CaptureMplane, Memory::Mmap) {
            Ok(done) => done,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                return Ok(Outcome::GoOn);
            }
            // After the last buffer of a drain.
            Err(error) if error.raw_os_error() == Some(EPIPE) => return Ok(Outcome::Drained),
            Err(error) => return Err(Refused::Call("taking what it coded", error)),
        };
        self.deliver(&done, now)?;
        let room = self.coded.get(done.index as usize).ok_or_else(no_such_buffer)?;
        if done.last {
            return Ok(Outcome::Drained);
        }
        let again = empty(done.index, room);
        self.shared.device.queue(Queue::CaptureMplane, &again).while_("giving it a buffer back")?;
        Ok(Outcome::GoOn)
    }

    fn deliver(&mut self, done: &Dequeued, now: Instant) -> Result<(), Refused> {
        let room = self.coded.get(done.index as usize).ok_or_else(no_such_buffer)?;
        let bytes = coded::written(room.bytes(), done.offset, done.used);
        let bytes = bytes.ok_or_else(|| Refused::Cannot("it wrote past its buffer".into()))?;
        let time = {
            let mut state = self.shared.lock();
            state.progress = now;
            // Its session is over, and another may have begun.
            if state.stop == Stop::Now {
                return Ok(());
            }
            if done.error || bytes.is_empty() {
                // Pictures that follow refer to this one, which nobody will see.
                state.key_wanted |= done.error;
                return Ok(());
            }
            // A picture that fills its buffer goes on in the next one.
            if bytes.len() == room.bytes().len() {
                return Err(Refused::Overflow);
            }
            state.coded = now;
            state.swallowed = 0;
            coded::time_of(&mut state.pending, done.time)
        };
        let picture = CodedPicture { data: keep(bytes, &mut self.memory), time, key: done.key };
        let delivered = (lock(&self.deliver))(picture);
        if let Err(why) = delivered {
            log::warn!("the encoder made a picture that is none: {why}");
            self.shared.lock().key_wanted = true;
        }
        Ok(())
    }

    fn dequeue(&self, queue: Queue, memory: Memory) -> Result<Option<Dequeued>, Refused> {
        match self.shared.device.dequeue(queue, memory) {
            Ok(done) => Ok(Some(done)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.raw_os_error() == Some(EPIPE) => Ok(None),
            Err(error) => Err(Refused::Call("taking a picture back", error)),
        }
    }
}

/// Copies a picture out of the device's buffer, which is to be used again.
fn keep(picture: &[u8], memory: &mut BytesMut) -> Bytes {
    if memory.capacity() < picture.len() {
        *memory = BytesMut::with_capacity(picture.len().max(PIECE));
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
        let pictures: Vec<Vec<u8>> = [1, PIECE - 1, 1, 3 * PIECE, 5]
            .iter()
            .zip(1..)
            .map(|(n, fill)| vec![fill; *n])
            .collect();
        let kept: Vec<Bytes> = pictures.iter().map(|p| keep(p, &mut memory)).collect();
        assert_eq!(kept, pictures);
        assert_eq!(kept[0].as_ptr().wrapping_add(1), kept[1].as_ptr(), "one piece");
    }
}
