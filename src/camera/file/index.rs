//! Where in a file its pictures are, and when each is to be shown.

use bytes::Bytes;

use super::edits::Edit;
use super::error::ClipError;
use super::parameter_sets::Sets;
use crate::transform::Symmetry;

/// Half a day at 25 pictures a second. The index of a clip as long as that takes 24 MiB.
pub(super) const MAX_PICTURES: usize = 1 << 20;
/// More than any level allows for one picture; a damaged size must not take all memory.
pub(super) const MAX_UNIT_BYTES: u32 = 16 << 20;

/// Faster than any camera, slower than any viewer's patience: timestamps that say so are not
/// timestamps.
const PLAUSIBLE_FPS: std::ops::RangeInclusive<f64> = 1.0 / 60.0..=250.0;

/// No picture stays longer, in nanoseconds. A damaged timestamp must not show one for years; a
/// slide show is hurried a little.
const LONGEST_STAY: i64 = 60_000_000_000;

/// The NAL units of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After start codes (H.264 Annex B).
    StartCodes,
    /// After their length in this many bytes (ISO/IEC 14496-15 §5.3.3).
    Lengths(usize),
}

/// How some of a clip's pictures are coded: a clip spliced of several recordings has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub framing: Framing,
    /// SPS and PPS kept outside the pictures.
    pub parameter_sets: Vec<Bytes>,
}

/// What the container asks of whoever shows the pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Showing {
    /// Turned and mirrored like this.
    pub symmetry: Symmetry,
    /// Turned by an angle that is none of the four.
    pub slanted: bool,
    /// Width and height of a pixel, as a ratio.
    pub pixel_aspect: Option<(u32, u32)>,
    /// Whether black is 0 and white 255, rather than 16 and 235.
    pub full_range: Option<bool>,
    /// Which parts are shown, in their order; none means all.
    pub edits: Vec<Edit>,
    /// The unit in which the edits' durations were written, in nanoseconds.
    pub tick: u64,
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
    /// Whether it is shown, or only needed by others that are.
    pub shown: bool,
    /// Which [`Description`] it is coded by.
    pub description: u8,
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
    pub descriptions: Vec<Description>,
    /// In coding order.
    pub samples: Vec<Sample>,
    /// How long the last picture stays, in nanoseconds.
    pub last_duration: u64,
    pub timing: Timing,
    /// Pictures the index lists but the file ends before.
    pub missing: usize,
    pub showing: Showing,
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

    /// How the NAL units of pictures of this description are told apart.
    pub fn framing(&self, description: u8) -> Framing {
        let described = self.descriptions.get(usize::from(description));
        described.map_or(Framing::StartCodes, |d| d.framing)
    }

    /// The parameter sets that are kept outside the pictures of this description.
    pub fn sets(&self, description: u8) -> Sets {
        let described = self.descriptions.get(usize::from(description));
        Sets::of(described.map_or(&[], |d| &d.parameter_sets))
    }

    /// The descriptions that pictures are coded by.
    pub fn used_descriptions(&self) -> Vec<u8> {
        let mut used = [false; 256];
        self.samples.iter().for_each(|s| used[usize::from(s.description)] = true);
        (0..=u8::MAX).filter(|&d| used[usize::from(d)]).collect()
    }

    /// Lays the pictures on a line of time that begins at zero. `fallback_fps` is the rate where
    /// the file names none that can be.
    pub fn timeline(&mut self, fallback_fps: f64) -> Timeline {
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
        let longest_stay = self.shorten_stays();
        let first = self.samples.iter().map(|s| s.pts).min().unwrap_or(0);
        let (mut last, mut count) = (0, 0_u64);
        for sample in &mut self.samples {
            sample.pts = sample.pts.saturating_sub(first);
            if sample.shown {
                last = last.max(sample.pts);
                count += 1;
            }
        }
        let mut period = last.unsigned_abs().saturating_add(self.last_duration);
        if self.last_duration == 0 && count > 1 {
            // Nobody said how long the last picture stays: as long as the others on average.
            period = period.saturating_add(period / (count - 1));
        }
        let longest_stay = longest_stay.max(period - last.unsigned_abs());
        Timeline { period, fps: count as f64 * 1e9 / period as f64, longest_stay }
    }

    /// Lets no picture stay longer than [`LONGEST_STAY`]. Answers how long the longest does.
    fn shorten_stays(&mut self) -> u64 {
        self.last_duration = self.last_duration.min(LONGEST_STAY.unsigned_abs());
        let in_order = self.samples.windows(2).all(|w| w[0].pts <= w[1].pts);
        let mut shown: Vec<u32> = (0..).take(self.samples.len()).collect();
        if !in_order {
            shown.sort_by_key(|&i| self.samples[i as usize].pts);
        }
        let (mut before, mut taken_off, mut longest) = (None, 0_i64, 0);
        for i in shown {
            let pts = &mut self.samples[i as usize].pts;
            let stay = before.map_or(0, |before| pts.saturating_sub(before));
            before = Some(*pts);
            taken_off = taken_off.saturating_add((stay - LONGEST_STAY).max(0));
            longest = longest.max(stay.min(LONGEST_STAY));
            *pts = pts.saturating_sub(taken_off);
        }
        longest.unsigned_abs()
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
    /// How long the picture that stays longest does, in nanoseconds.
    pub longest_stay: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(timing: Timing, pts: &[i64]) -> Index {
        let sample = |(i, &pts): (usize, &i64)| Sample {
            offset: i as u64 * 10,
            size: 10,
            sync: i == 0,
            shown: true,
            description: 0,
            pts,
        };
        Index {
            descriptions: Vec::new(),
            samples: pts.iter().enumerate().map(sample).collect(),
            last_duration: 0,
            timing,
            missing: 0,
            showing: Showing::default(),
        }
    }

    fn times(index: &Index) -> Vec<i64> {
        index.samples.iter().map(|s| s.pts).collect()
    }

    #[test]
    fn the_line_of_time_begins_at_the_first_picture_that_is_played() {
        let mut clip = index(Timing::Stamped, &[0, 100_000_000, 140_000_000, 180_000_000]);
        clip.samples.remove(0);
        let line = clip.timeline(30.0);
        assert_eq!(times(&clip), [0, 40_000_000, 80_000_000]);
        assert_eq!(line.period, 120_000_000);
        assert!((line.fps - 25.0).abs() < 1e-9);
    }

    #[test]
    fn even_pictures_keep_their_order_of_showing() {
        let mut clip = index(Timing::Even(Some(50.0)), &[0, 6, 2, 4]);
        assert!(clip.reorders());
        let line = clip.timeline(30.0);
        assert_eq!(times(&clip), [0, 60_000_000, 20_000_000, 40_000_000]);
        assert_eq!(line.period, 80_000_000);
    }

    #[test]
    fn timestamps_that_cannot_be_give_way_to_the_wished_rate() {
        for pts in [&[0, 0, 0][..], &[0, 1, 2], &[0]] {
            let mut clip = index(Timing::Stamped, pts);
            let line = clip.timeline(10.0);
            assert!((line.fps - 10.0).abs() < 1e-6, "{pts:?}: {line:?}");
        }
        let mut clip = index(Timing::Even(Some(1e9)), &[0, 1]);
        assert_eq!(clip.timeline(10.0).period, 200_000_000);
    }

    #[test]
    fn a_gap_of_hours_is_cut_to_a_minute() {
        const SECOND: i64 = 1_000_000_000;
        // In coding order, as with a B-frame.
        let mut clip = index(Timing::Stamped, &[0, 9000 * SECOND, SECOND, 9001 * SECOND]);
        let line = clip.timeline(30.0);
        assert_eq!(times(&clip), [0, 61 * SECOND, SECOND, 62 * SECOND]);
        assert_eq!(line.longest_stay, LONGEST_STAY as u64);
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
        clip.samples = vec![Sample { size: u32::MAX, ..clip.samples[0] }];
        let huge = u64::from(u32::MAX);
        assert!(matches!(clip.check(huge), Err(ClipError::UnitTooLarge(0))));
    }
}
