//! The samples a viewer may still need.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::media::{MediaTime, Sample};

/// How long pictures from before the newest key frame are kept for viewers who are behind; one
/// who is further behind skips to the key frame.
pub(super) const MAX_LAG: Duration = Duration::from_secs(1);

/// Memory for a group of pictures that never ends (a file with a single key frame): past it the
/// beginning is dropped, and who joins waits for the next key frame.
const MAX_BYTES: usize = 24 << 20;

/// A sample in the hub.
#[derive(Debug)]
pub struct Published {
    /// The sample.
    pub sample: Sample,
    /// Position in the track, without gaps.
    pub sequence: u64,
    /// When it entered the hub.
    pub at: MediaTime,
    /// The sample's time, made strictly increasing along the track.
    pub time: MediaTime,
}

/// Samples in coding order: from the newest one on at which decoding can begin (of video, the current
/// group of pictures), and before it what is younger than [`MAX_LAG`].
#[derive(Debug, Default)]
pub(super) struct Ring {
    samples: VecDeque<Arc<Published>>,
    next: u64,
    newest_sync: Option<u64>,
    bytes: usize,
    last_time: Option<MediaTime>,
}

impl Ring {
    /// Adds a sample.
    pub(super) fn push(&mut self, sample: Sample, now: MediaTime) {
        let sequence = self.next;
        self.next += 1;
        if sample.is_sync() {
            self.newest_sync = Some(sequence);
        }
        let time = match self.last_time {
            Some(last) if sample.time() <= last => last + Duration::from_millis(1),
            _ => sample.time(),
        };
        self.last_time = Some(time);
        self.bytes += sample.bytes().len();
        self.samples.push_back(Arc::new(Published { sample, sequence, at: now, time }));
        self.evict(now);
    }

    fn evict(&mut self, now: MediaTime) {
        while let Some(oldest) = self.samples.front() {
            let before_group = self.newest_sync.is_none_or(|sync| oldest.sequence < sync);
            let stale = before_group && now.since(oldest.at) > MAX_LAG;
            if !stale && self.bytes <= MAX_BYTES {
                break;
            }
            self.bytes -= oldest.sample.bytes().len();
            if self.newest_sync == Some(oldest.sequence) {
                self.newest_sync = None;
            }
            self.samples.pop_front();
        }
    }

    /// Drops everything; numbering goes on.
    pub(super) fn restart(&mut self) {
        *self = Self { next: self.next, last_time: self.last_time, ..Self::default() };
    }

    /// The sample numbered `sequence`, if kept.
    pub(super) fn get(&self, sequence: u64) -> Option<&Arc<Published>> {
        let first = self.samples.front()?.sequence;
        let index = sequence.checked_sub(first)?;
        self.samples.get(usize::try_from(index).ok()?)
    }

    /// The number of the next sample.
    pub(super) fn end(&self) -> u64 {
        self.next
    }

    pub(super) fn newest_sync(&self) -> Option<&Arc<Published>> {
        self.get(self.newest_sync?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::media::h264::ParameterSets;
    use crate::media::h264::tests::{PPS, SPS, annex_b};
    use crate::media::{AccessUnit, AudioPacket};

    pub(in crate::hub) fn at(ms: u64) -> MediaTime {
        MediaTime::from_nanos(1_000_000_000 + ms * 1_000_000)
    }

    pub(in crate::hub) fn unit(key: bool, time: MediaTime, padding: usize) -> Sample {
        let mut slice = vec![if key { 0x65 } else { 0x41 }, 0x88];
        slice.resize(2 + padding, 0xaa);
        let data = if key { annex_b(&[SPS, PPS, &slice]) } else { annex_b(&[&slice]) };
        let sets = &mut ParameterSets::default();
        AccessUnit::from_annex_b(data.into(), time, sets).unwrap().into()
    }

    /// 20 ms of sound.
    pub(in crate::hub) fn sound(time: MediaTime) -> Sample {
        let duration = Duration::from_millis(20);
        Sample::Audio(AudioPacket { data: vec![0xfc; 80].into(), time, duration })
    }

    #[test]
    fn of_sound_the_last_second_is_kept_and_anybody_begins_at_the_newest() {
        let mut ring = Ring::default();
        for i in 0..200 {
            ring.push(sound(at(i * 20)), at(i * 20));
        }
        assert_eq!(ring.newest_sync().unwrap().sequence, 199);
        assert!(ring.get(149).is_some() && ring.get(148).is_none());
    }

    #[test]
    fn the_current_group_is_kept_whole_and_older_pictures_for_a_second() {
        let mut ring = Ring::default();
        for i in 0..90 {
            ring.push(unit(i % 60 == 0, at(i * 33), 0), at(i * 33));
        }
        assert_eq!(ring.newest_sync().unwrap().sequence, 60);
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
        assert!(ring.newest_sync().is_none());
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
        assert_eq!(ring.newest_sync().unwrap().sequence, 1);
    }
}
