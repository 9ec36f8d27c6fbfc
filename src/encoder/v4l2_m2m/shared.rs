//! What the two threads of a session share: the device, and who has which buffer.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::lock;
use super::session::Refused;
use crate::media::{Frame, MediaTime};
use crate::v4l2::{Device, Memory, Waiter};

/// Pictures the device may hold. With fewer than four the Pi's encoder falls behind its own rate.
pub(super) const HELD: usize = 4;

/// What both threads work on.
pub(super) struct Shared {
    pub(super) device: Device,
    /// Of the OUTPUT buffers.
    pub(super) memory: Memory,
    /// What the session's thread waits with; its bell has it look at `state`.
    pub(super) waiter: Waiter,
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
}

pub(super) struct State {
    /// The OUTPUT buffers.
    pub(super) slots: Vec<Slot>,
    /// Pictures that went in and did not come out yet: the stamp the device knows them by, and
    /// their time.
    pub(super) pending: VecDeque<(MediaTime, MediaTime)>,
    /// When the device last gave a buffer back.
    pub(super) progress: Instant,
    /// When it last gave a coded picture.
    pub(super) coded: Instant,
    /// Pictures that went in since then.
    pub(super) swallowed: u32,
    /// A picture was lost on the way out: the next must stand alone.
    pub(super) key_wanted: bool,
    pub(super) broken: Option<Refused>,
    pub(super) stop: Stop,
    pub(super) ended: bool,
    /// How many wait for a change.
    pub(super) waiting: u32,
}

/// An OUTPUT buffer.
#[derive(Clone, Default)]
pub(super) struct Slot {
    /// The picture that the device reads from it.
    pub(super) frame: Option<Frame>,
    /// The DMABUF that was last in it, by its number. Numbers are used again: this is a guess.
    pub(super) dmabuf: Option<RawFd>,
}

impl State {
    /// Whether the device may be given another picture.
    pub(super) fn has_room(&self) -> bool {
        let held = self.slots.iter().filter(|slot| slot.frame.is_some()).count();
        held < self.slots.len().min(HELD)
    }

    /// The buffer for the next picture, if there is room for it: the one that had its DMABUF last
    /// time, else one that had none yet.
    pub(super) fn free(&self, dmabuf: Option<RawFd>) -> Option<usize> {
        if !self.has_room() {
            return None;
        }
        let free = || self.slots.iter().enumerate().filter(|(_, slot)| slot.frame.is_none());
        let with = |wanted| free().find(|(_, slot)| slot.dmabuf == wanted);
        with(dmabuf).or_else(|| with(None)).or_else(|| free().next()).map(|(index, _)| index)
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stop {
    No,
    /// When the device has finished what it holds.
    Drained,
    Now,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Waits until something is so, at most for `timeout`.
    pub(super) fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        timeout: Duration,
        until: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        state.waiting += 1;
        let waited = self.changed.wait_timeout_while(state, timeout, |s| !until(s));
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.waiting -= 1;
        state
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::media::PixelFormat;

    fn state(slots: usize) -> State {
        State {
            slots: vec![Slot::default(); slots],
            pending: VecDeque::new(),
            progress: Instant::now(),
            coded: Instant::now(),
            swallowed: 0,
            key_wanted: false,
            broken: None,
            stop: Stop::No,
            ended: false,
            waiting: 0,
        }
    }

    fn lend(state: &mut State, dmabuf: RawFd) -> Option<usize> {
        let index = state.free(Some(dmabuf))?;
        let memory = Arc::new(vec![0; 96]);
        let frame = Frame::packed(PixelFormat::I420, (8, 8), memory, MediaTime::default(), 0);
        state.slots[index] = Slot { frame: frame.ok(), dmabuf: Some(dmabuf) };
        Some(index)
    }

    #[test]
    fn a_dmabuf_comes_back_to_the_buffer_it_was_in() {
        let mut state = state(16);
        let mut homes = std::collections::HashMap::new();
        for turn in 0..50 {
            let dmabuf = 10 + turn * 3 % 8;
            let index = lend(&mut state, dmabuf).expect("room");
            assert_eq!(*homes.entry(dmabuf).or_insert(index), index);
            state.slots[index].frame = None;
        }
        assert_eq!(homes.len(), 8);
    }

    #[test]
    fn the_device_holds_no_more_than_it_needs() {
        for (slots, room) in [(16, HELD), (4, 4), (2, 2), (0, 0)] {
            let mut state = state(slots);
            let lent: Vec<_> = (0..).map_while(|dmabuf| lend(&mut state, dmabuf)).collect();
            assert_eq!(lent.len(), room, "{slots} buffers");
            assert!(lent.iter().enumerate().all(|(i, index)| !lent[..i].contains(index)));
        }
    }

    #[test]
    fn other_dmabufs_than_before_take_the_place_of_those() {
        let mut state = state(2);
        for dmabuf in 0..10 {
            let index = lend(&mut state, dmabuf).expect("room");
            state.slots[index].frame = None;
        }
    }
}
