//! Where in a file its pictures are, and when each is to be shown.

use bytes::Bytes;

use super::error::ClipError;

/// Half a day at 25 pictures a second. The index of a clip as long as that takes 24 MiB.
pub(super) const MAX_PICTURES: usize = 1 << 20;
/// More than any level allows for one picture; a damaged size must not take all memory.
pub(super) const MAX_UNIT_BYTES: u32 = 16 << 20;

/// Faster than any camera, slower than any viewer's patience: timestamps that say so are not
/// timestamps.
const PLAUSIBLE_FPS: std::ops::RangeInclusive<f64> = 1.0 / 60.0..=250.0;

/// The NAL units of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After start codes (H.264 Annex B).
    StartCodes,
    /// After their length in this many bytes (ISO/IEC 14496-15 §5.3.3).
    Lengths(usize),
}

/// One coded picture in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u32,
    /// Whether the container says decoding can begin here. It may be wrong.
    pub sync: bool,
    /// When it is to be shown, in nanoseconds from an arbitrary zero.
    pub pts: i64,
}

/// How the times of an index came about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Timing {
    /// The container gives every picture its time.
    Stamped,
    /// The pictures follow each other evenly, at the rate the stream itself names if it does.
    Even(Option<f64>),
}

/// What was found in a file.
#[derive(Debug)]
pub(super) struct Index {
    pub framing: Framing,
    /// In coding order.
    pub samples: Vec<Sample>,
    /// How long the last picture stays, in nanoseconds.
    pub last_duration: u64,
    pub timing: Timing,
    /// SPS and PPS kept outside the pictures.
    pub parameter_sets: Vec<Bytes>,
    /// Pictures the index lists but the file ends before.
    pub missing: usize,
    /// By how many degrees clockwise players are asked to turn the picture.
    pub turned: u16,
}

impl Index {
    /// Drops what lies past the end of the file, and refuses what cannot be true.
    pub fn check(&mut self, file_len: u64) -> Result<(), ClipError> {
        let within =
            |s: &Sample| s.offset.checked_add(u64::from(s.size)).is_some_and(|end| end <= file_len);
        // From the first missing picture on nothing can be decoded before the next key picture,
        // and a file cut short has none.
        let there = self.samples.iter().take_while(|s| within(s)).count();
        self.missing = self.samples.len() - there;
        self.samples.truncate(there);
        self.samples.retain(|s| s.size > 0);
        if let Some(s) = self.samples.iter().find(|s| s.size > MAX_UNIT_BYTES) {
            return Err(ClipError::UnitTooLarge(s.offset));
        }
        // Pictures do not overlap. An index that claims they do could make a small file keep us
        // reading for hours.
        let total: u64 = self.samples.iter().map(|s| u64::from(s.size)).sum();
        if total > file_len {
            return Err(ClipError::Damaged("its pictures overlap"));
        }
        if self.samples.is_empty() {
            return Err(ClipError::NoPictures);
        }
        Ok(())
    }

    /// Whether some picture is shown before one that is coded earlier.
    pub fn reorders(&self) -> bool {
        self.samples.windows(2).any(|w| w[1].pts < w[0].pts)
    }

    /// Lays the pictures from `start` on a line of time that begins at zero. `fallback_fps` is
    /// the rate where the file names none that can be.
    pub fn timeline(&mut self, start: usize, fallback_fps: f64) -> Timeline {
        self.samples.drain(..start.min(self.samples.len()));
        if let Timing::Even(fps) = self.timing {
            self.space_evenly(fps.filter(|f| plausible(*f)).unwrap_or(fallback_fps));
        }
        let line = self.measure();
        if plausible(line.fps) {
            return line;
        }
        self.space_evenly(fallback_fps);
        self.measure()
    }

    fn measure(&mut self) -> Timeline {
        let first = self.samples.iter().map(|s| s.pts).min().unwrap_or(0);
        let mut last = 0;
        for sample in &mut self.samples {
            sample.pts = sample.pts.saturating_sub(first);
            last = last.max(sample.pts);
        }
        let count = self.samples.len();
        let mut period = last.unsigned_abs().saturating_add(self.last_duration);
        if self.last_duration == 0 && count > 1 {
            // Nobody said how long the last picture stays: as long as the others on average.
            period = period.saturating_add(period / (count as u64 - 1));
        }
        Timeline { period, fps: count as f64 * 1e9 / period as f64 }
    }

    fn space_evenly(&mut self, fps: f64) {
        let nanos = (1e9 / fps) as u64;
        let mut shown: Vec<u32> = (0..).take(self.samples.len()).collect();
        shown.sort_by_key(|&i| self.samples[i as usize].pts);
        for (rank, &i) in shown.iter().enumerate() {
            // The product of rank and rate, not a sum of rounded intervals, keeps 29.97 exact.
            self.samples[i as usize].pts = (rank as f64 * 1e9 / fps) as i64;
        }
        self.last_duration = nanos;
    }
}

fn plausible(fps: f64) -> bool {
    PLAUSIBLE_FPS.contains(&fps)
}

/// How long a clip is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Timeline {
    /// From the first picture to when it is shown again, in nanoseconds; above zero.
    pub period: u64,
    /// Pictures a second on average.
    pub fps: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(timing: Timing, pts: &[i64]) -> Index {
        let sample = |(i, &pts): (usize, &i64)| Sample {
            offset: i as u64 * 10,
            size: 10,
            sync: i == 0,
            pts,
        };
        Index {
            framing: Framing::StartCodes,
            samples: pts.iter().enumerate().map(sample).collect(),
            last_duration: 0,
            timing,
            parameter_sets: Vec::new(),
            missing: 0,
            turned: 0,
        }
    }

    fn times(index: &Index) -> Vec<i64> {
        index.samples.iter().map(|s| s.pts).collect()
    }

    #[test]
    fn the_line_of_time_begins_at_the_first_picture_that_is_played() {
        let mut clip = index(Timing::Stamped, &[0, 100_000_000, 140_000_000, 180_000_000]);
        let line = clip.timeline(1, 30.0);
        assert_eq!(times(&clip), [0, 40_000_000, 80_000_000]);
        assert_eq!(line.period, 120_000_000);
        assert!((line.fps - 25.0).abs() < 1e-9);
    }

    #[test]
    fn even_pictures_keep_their_order_of_showing() {
        let mut clip = index(Timing::Even(Some(50.0)), &[0, 6, 2, 4]);
        assert!(clip.reorders());
        let line = clip.timeline(0, 30.0);
        assert_eq!(times(&clip), [0, 60_000_000, 20_000_000, 40_000_000]);
        assert_eq!(line.period, 80_000_000);
    }

    #[test]
    fn timestamps_that_cannot_be_give_way_to_the_wished_rate() {
        for pts in [&[0, 0, 0][..], &[0, 1, 2], &[0]] {
            let mut clip = index(Timing::Stamped, pts);
            let line = clip.timeline(0, 10.0);
            assert!((line.fps - 10.0).abs() < 1e-6, "{pts:?}: {line:?}");
        }
        let mut clip = index(Timing::Even(Some(1e9)), &[0, 1]);
        assert_eq!(clip.timeline(0, 10.0).period, 200_000_000);
    }

    #[test]
    fn pictures_past_the_end_of_the_file_are_left_out_and_counted() {
        let mut clip = index(Timing::Stamped, &[0, 1, 2]);
        clip.check(25).unwrap();
        assert_eq!((clip.samples.len(), clip.missing), (2, 1));
        let mut nothing = index(Timing::Stamped, &[0]);
        assert!(matches!(nothing.check(5), Err(ClipError::NoPictures)));
    }

    #[test]
    fn an_index_that_reads_the_same_bytes_again_and_again_is_refused() {
        let mut clip = index(Timing::Stamped, &[0; 100]);
        for sample in &mut clip.samples {
            sample.offset = 0;
        }
        assert!(matches!(clip.check(50), Err(ClipError::Damaged(_))));
        clip.samples = vec![Sample { offset: 0, size: u32::MAX, sync: true, pts: 0 }];
        let huge = u64::from(u32::MAX);
        assert!(matches!(clip.check(huge), Err(ClipError::UnitTooLarge(0))));
    }
}
