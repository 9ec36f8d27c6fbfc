//! The pictures a viewer may still need.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Published;
use crate::media::{AccessUnit, MediaTime};

/// How long pictures from before the newest key picture are kept for viewers who are behind; one
/// who is further behind skips to the key picture.
pub(super) const MAX_LAG: Duration = Duration::from_secs(1);

/// Memory for a group of pictures that never ends (a file with a single key picture): past it the
/// beginning is dropped, and who joins waits for the next key picture.
const MAX_BYTES: usize = 24 << 20;

/// Pictures in coding order: the current group of pictures from its key picture on, and before it
/// what is younger than [`MAX_LAG`].
#[derive(Debug, Default)]
pub(super) struct Ring {
    units: VecDeque<Arc<Published>>,
    next: u64,
    newest_key: Option<u64>,
    bytes: usize,
    last_time: Option<MediaTime>,
    /// After a restart nothing can be decoded until a key picture.
    awaiting_key: bool,
}

impl Ring {
    /// Adds a picture.
    pub(super) fn push(&mut self, unit: AccessUnit, now: MediaTime) {
        let sequence = self.next;
        self.next += 1;
        if unit.is_key() {
            self.newest_key = Some(sequence);
            self.awaiting_key = false;
        }
        let time = match self.last_time {
            Some(last) if unit.time() <= last => last + Duration::from_millis(1),
            _ => unit.time(),
        };
        self.last_time = Some(time);
        self.bytes += unit.bytes().len();
        self.units.push_back(Arc::new(Published { unit, sequence, at: now, time }));
        self.evict(now);
    }

    fn evict(&mut self, now: MediaTime) {
        while let Some(oldest) = self.units.front() {
            let before_group = self.newest_key.is_none_or(|key| oldest.sequence < key);
            let stale = before_group && now.since(oldest.at) > MAX_LAG;
            if !stale && self.bytes <= MAX_BYTES {
                break;
            }
            self.bytes -= oldest.unit.bytes().len();
            if self.newest_key == Some(oldest.sequence) {
                self.newest_key = None;
            }
            self.units.pop_front();
        }
    }

    /// Drops everything; numbering goes on.
    pub(super) fn restart(&mut self) {
        *self = Self {
            next: self.next,
            last_time: self.last_time,
            awaiting_key: true,
            ..Self::default()
        };
    }

    /// The picture numbered `sequence`, if kept.
    pub(super) fn get(&self, sequence: u64) -> Option<&Arc<Published>> {
        let first = self.units.front()?.sequence;
        let index = sequence.checked_sub(first)?;
        self.units.get(usize::try_from(index).ok()?)
    }

    /// Where the next picture will be.
    pub(super) fn end(&self) -> u64 {
        self.next
    }

    pub(super) fn newest_key(&self) -> Option<&Arc<Published>> {
        self.get(self.newest_key?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::media::h264::ParameterSets;
    use crate::media::h264::tests::{PPS, SPS, annex_b};

    pub(in crate::hub) fn at(ms: u64) -> MediaTime {
        MediaTime::from_nanos(1_000_000_000 + ms * 1_000_000)
    }

    pub(in crate::hub) fn unit(key: bool, time: MediaTime, padding: usize) -> AccessUnit {
        let mut slice = vec![if key { 0x65 } else { 0x41 }, 0x88];
        slice.resize(2 + padding, 0xaa);
        let data = if key { annex_b(&[SPS, PPS, &slice]) } else { annex_b(&[&slice]) };
        AccessUnit::from_annex_b(data.into(), time, &mut ParameterSets::default()).unwrap()
    }

    #[test]
    fn the_current_group_is_kept_whole_and_older_pictures_for_a_second() {
        let mut ring = Ring::default();
        for i in 0..90 {
            ring.push(unit(i % 60 == 0, at(i * 33), 0), at(i * 33));
        }
        assert_eq!(ring.newest_key().unwrap().sequence, 60);
        assert!(ring.get(60).is_some() && ring.get(89).is_some());
        assert!(ring.get(57).is_none(), "1056 ms old");
        assert!(ring.get(59).is_some(), "990 ms old");
    }

    #[test]
    fn a_group_without_end_does_not_eat_the_memory() {
        let mut ring = Ring::default();
        ring.push(unit(true, at(0), 1 << 20), at(0));
        for i in 1..100 {
            ring.push(unit(false, at(i), 1 << 20), at(i));
        }
        assert!(ring.bytes <= MAX_BYTES);
        assert!(ring.newest_key().is_none());
        assert!(ring.get(99).is_some());
    }

    #[test]
    fn times_always_move_forward() {
        let mut ring = Ring::default();
        for ms in [50, 50, 20, 90] {
            ring.push(unit(true, at(ms), 0), at(ms));
        }
        let times: Vec<_> = (0..4).map(|i| ring.get(i)).map(|p| p.map(|p| p.time)).collect();
        assert!(times.iter().flatten().is_sorted_by(|a, b| a < b), "{times:?}");
    }

    #[test]
    fn numbering_survives_a_restart() {
        let mut ring = Ring::default();
        ring.push(unit(true, at(0), 0), at(0));
        ring.restart();
        assert!(ring.get(0).is_none());
        ring.push(unit(true, at(1), 0), at(1));
        assert_eq!(ring.newest_key().unwrap().sequence, 1);
    }
}
