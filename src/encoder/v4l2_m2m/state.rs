//! What the two threads of a session share: the device, and who has which buffer.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::DeviceError;
use crate::media::{Frame, MediaTime};
use crate::v4l2::{Device, DevicePoller, MemoryType};

/// Frames the device may hold. With fewer than four the Pi's encoder falls behind its own rate.
pub(super) const MAX_HELD: usize = 4;

/// What both threads work on.
pub(super) struct Shared {
    pub(super) device: Device,
    /// Of the OUTPUT buffers.
    pub(super) memory: MemoryType,
    /// What the session's thread waits with; waking it makes it look at the state.
    pub(super) poller: DevicePoller,
    state: Mutex<QueueState>,
    changed: Condvar,
}

pub(super) struct QueueState {
    pub(super) output: Vec<OutputBuffer>,
    /// Frames that went in and did not come out yet: the stamp the device knows them by, and their
    /// time.
    pub(super) pending: VecDeque<(MediaTime, MediaTime)>,
    /// When the device last returned a buffer.
    pub(super) last_returned: Instant,
    /// When it last returned something coded.
    pub(super) last_coded: Instant,
    /// Frames that went in since then.
    pub(super) swallowed: u32,
    /// A picture was lost on the way out: the next must be a key frame.
    pub(super) key_frame_needed: bool,
    pub(super) broken: Option<DeviceError>,
    pub(super) stop: StopMode,
    pub(super) ended: bool,
    /// How many threads wait for a change.
    waiting: u32,
}

/// An OUTPUT buffer.
#[derive(Clone, Default)]
pub(super) struct OutputBuffer {
    /// The frame that the device reads from it.
    pub(super) frame: Option<Frame>,
    /// The DMABUF that was last in it, by its number. Numbers are used again: this is a guess.
    pub(super) dmabuf: Option<RawFd>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum StopMode {
    /// Not at all.
    No,
    /// When the device has finished what it holds.
    Drained,
    Now,
}

impl QueueState {
    pub(super) fn new(output_buffers: usize) -> Self {
        let now = Instant::now();
        Self {
            output: vec![OutputBuffer::default(); output_buffers],
            pending: VecDeque::new(),
            last_returned: now,
            last_coded: now,
            swallowed: 0,
            key_frame_needed: false,
            broken: None,
            stop: StopMode::No,
            ended: false,
            waiting: 0,
        }
    }

    /// Whether the device may be given another frame.
    pub(super) fn has_room(&self) -> bool {
        let held = self.output.iter().filter(|buffer| buffer.frame.is_some()).count();
        held < self.output.len().min(MAX_HELD)
    }

    /// The buffer for the next frame, if there is room for it: the one that had its DMABUF last time,
    /// else one that had none yet.
    pub(super) fn free(&self, dmabuf: Option<RawFd>) -> Option<usize> {
        if !self.has_room() {
            return None;
        }
        let free = || self.output.iter().enumerate().filter(|(_, buffer)| buffer.frame.is_none());
        let with = |wanted| free().find(|(_, buffer)| buffer.dmabuf == wanted);
        with(dmabuf).or_else(|| with(None)).or_else(|| free().next()).map(|(index, _)| index)
    }

    /// A frame is about to be queued.
    pub(super) fn submitted(
        &mut self,
        index: usize,
        frame: &Frame,
        dmabuf: Option<RawFd>,
        stamp: MediaTime,
    ) {
        if let Some(buffer) = self.output.get_mut(index) {
            *buffer = OutputBuffer { frame: Some(frame.clone()), dmabuf };
        }
        self.pending.push_back((stamp, frame.time()));
        self.swallowed += 1;
    }

    /// The frame that was about to be queued was not.
    pub(super) fn take_back_submitted(&mut self, index: usize) {
        if let Some(buffer) = self.output.get_mut(index) {
            *buffer = OutputBuffer::default();
        }
        self.pending.pop_back();
    }
}

impl Shared {
    pub(super) fn new(
        device: Device,
        memory: MemoryType,
        poller: DevicePoller,
        state: QueueState,
    ) -> Self {
        Self { device, memory, poller, state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, QueueState> {
        lock(&self.state)
    }

    /// Waits until a condition holds, at most for `timeout`.
    pub(super) fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, QueueState>,
        timeout: Duration,
        until: impl Fn(&QueueState) -> bool,
    ) -> MutexGuard<'a, QueueState> {
        state.waiting += 1;
        let waited = self.changed.wait_timeout_while(state, timeout, |s| !until(s));
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.waiting -= 1;
        state
    }

    /// The OUTPUT buffer at `index` was returned at `now`. Returns its frame, to be dropped outside the
    /// lock, and whether there is somebody to notify.
    pub(super) fn output_returned(
        &self,
        index: usize,
        now: Instant,
    ) -> Option<(Option<Frame>, bool)> {
        let mut state = self.lock();
        state.last_returned = now;
        let frame = state.output.get_mut(index)?.frame.take();
        Some((frame, state.waiting > 0))
    }

    /// Has those that wait look again.
    pub(super) fn notify(&self) {
        self.changed.notify_all();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::media::PixelFormat;

    fn lend(state: &mut QueueState, dmabuf: RawFd) -> Option<usize> {
        let index = state.free(Some(dmabuf))?;
        let memory = Arc::new(vec![0; 96]);
        let frame = Frame::packed(PixelFormat::I420, (8, 8), memory, MediaTime::default(), 0);
        state.output[index] = OutputBuffer { frame: frame.ok(), dmabuf: Some(dmabuf) };
        Some(index)
    }

    #[test]
    fn a_dmabuf_comes_back_to_the_buffer_it_was_in() {
        let mut state = QueueState::new(16);
        let mut homes = std::collections::HashMap::new();
        for turn in 0..50 {
            let dmabuf = 10 + turn * 3 % 8;
            let index = lend(&mut state, dmabuf).expect("room");
            assert_eq!(*homes.entry(dmabuf).or_insert(index), index);
            state.output[index].frame = None;
        }
        assert_eq!(homes.len(), 8);
    }

    #[test]
    fn the_device_holds_no_more_than_it_needs() {
        for (buffers, room) in [(16, MAX_HELD), (4, 4), (2, 2), (0, 0)] {
            let mut state = QueueState::new(buffers);
            let lent: Vec<_> = (0..).map_while(|dmabuf| lend(&mut state, dmabuf)).collect();
            assert_eq!(lent.len(), room, "{buffers} buffers");
            assert!(lent.iter().enumerate().all(|(i, index)| !lent[..i].contains(index)));
        }
    }

    #[test]
    fn other_dmabufs_than_before_take_the_place_of_those() {
        let mut state = QueueState::new(2);
        for dmabuf in 0..10 {
            let index = lend(&mut state, dmabuf).expect("room");
            state.output[index].frame = None;
        }
    }
}
