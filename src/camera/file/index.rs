//! Where in a file its access units are, and when each picture is to be shown.

use bytes::Bytes;

use super::error::ClipError;
use super::limits::MAX_UNIT_BYTES;
use super::nal_framing::NalFraming;
use super::parameter_sets::ActiveParameterSets;
use crate::transform::Orientation;

/// Faster than any camera, slower than anything worth watching: timestamps that say so are not
/// timestamps.
const PLAUSIBLE_FPS: std::ops::RangeInclusive<f64> = 1.0 / 60.0..=250.0;

/// No picture is shown for longer, in nanoseconds. A damaged timestamp must not show one for years; a
/// slide show is sped up a little.
const MAX_SAMPLE_DURATION: i64 = 60_000_000_000;

/// How some of a clip's samples are coded (ISO/IEC 14496-12 §8.5.2). A clip that was spliced from
/// several recordings has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SampleDescription {
    pub framing: NalFraming,
    /// SPS and PPS that are kept outside the samples.
    pub parameter_sets: Vec<Bytes>,
}

/// How the container wants the pictures presented.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Presentation {
    /// Turned and mirrored like this.
    pub orientation: Orientation,
    /// Turned by an angle that is not a multiple of 90°, which is not done.
    pub unsupported_rotation: bool,
    /// Width and height of a pixel, as a ratio.
    pub pixel_aspect: Option<(u32, u32)>,
    /// Whether black is 0 and white 255, rather than 16 and 235.
    pub full_range: Option<bool>,
    /// Which parts are shown, in their order; none means all.
    pub edit_list: Vec<Edit>,
    /// One tick of the movie's timescale, in which the edits' durations were written, in nanoseconds.
    pub movie_tick: u64,
}

/// An entry of the edit list (ISO/IEC 14496-12 §8.6.6): a part of the track that is shown. Times in
/// nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edit {
    /// Where it begins on the track's own timeline; `None` where nothing new is shown.
    pub media_time: Option<i64>,
    /// How long it is shown; `None` is to the track's end.
    pub segment_duration: Option<u64>,
    /// How fast: 1 as it was recorded, 0 a picture that stands still.
    pub media_rate: f64,
}

/// An access unit in the file (ISO/IEC 14496-12: sample).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u32,
    /// Whether the container calls it a sync sample, at which decoding can begin. It may be wrong.
    pub sync: bool,
    /// Whether it is shown, or only needed to decode others that are.
    pub shown: bool,
    /// Which [`SampleDescription`] it is coded by.
    pub description_index: u8,
    /// When it is to be shown, in nanoseconds from an arbitrary zero.
    pub pts: i64,
}

/// How the times of an index came about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Timing {
    /// The container gives every sample its time.
    Timestamps,
    /// The pictures follow each other at a constant rate, which the stream itself may name.
    ConstantRate(Option<f64>),
}

/// The samples of a file.
#[derive(Debug)]
pub(super) struct Index {
    pub descriptions: Vec<SampleDescription>,
    /// In decoding order.
    pub samples: Vec<Sample>,
    /// How long the last picture is shown, in nanoseconds.
    pub last_duration: u64,
    pub timing: Timing,
    /// Samples the index lists but the file ends before.
    pub missing: usize,
    pub presentation: Presentation,
}

impl Index {
    /// Drops what lies past the end of the file, and refuses what cannot be true.
    pub fn check(&mut self, file_len: u64) -> Result<(), ClipError> {
        let within =
            |s: &Sample| s.offset.checked_add(u64::from(s.size)).is_some_and(|end| end <= file_len);
        // From the first missing picture on nothing can be decoded before the next key frame,
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

    /// Whether some picture is shown before one that is decoded earlier.
    pub fn reorders(&self) -> bool {
        self.samples.windows(2).any(|w| w[1].pts < w[0].pts)
    }

    /// How the NAL units of samples of this description are told apart.
    pub fn framing(&self, description_index: u8) -> NalFraming {
        let description = self.descriptions.get(usize::from(description_index));
        description.map_or(NalFraming::AnnexB, |d| d.framing)
    }

    /// The parameter sets that are kept outside the samples of this description.
    pub fn parameter_sets(&self, description_index: u8) -> ActiveParameterSets {
        let description = self.descriptions.get(usize::from(description_index));
        ActiveParameterSets::of(description.map_or(&[], |d| &d.parameter_sets))
    }

    /// The descriptions that samples are coded by.
    pub fn used_descriptions(&self) -> Vec<u8> {
        let mut used = [false; 256];
        self.samples.iter().for_each(|s| used[usize::from(s.description_index)] = true);
        (0..=u8::MAX).filter(|&d| used[usize::from(d)]).collect()
    }

    /// Lays the samples on a timeline that begins at zero. `fallback_fps` is the rate where the file
    /// names none that is possible.
    pub fn timeline(&mut self, fallback_fps: f64) -> Timeline {
        if let Timing::ConstantRate(fps) = self.timing {
            self.set_constant_rate(fps.filter(|f| plausible(*f)).unwrap_or(fallback_fps));
        }
        let timeline = self.measure();
        if plausible(timeline.fps) {
            return timeline;
        }
        self.set_constant_rate(fallback_fps);
        self.measure()
    }

    fn measure(&mut self) -> Timeline {
        let longest_sample = self.cap_sample_durations();
        let first = self.samples.iter().map(|s| s.pts).min().unwrap_or(0);
        let (mut last, mut count) = (0, 0_u64);
        for sample in &mut self.samples {
            sample.pts = sample.pts.saturating_sub(first);
            if sample.shown {
                last = last.max(sample.pts);
                count += 1;
            }
        }
        let mut duration = last.unsigned_abs().saturating_add(self.last_duration);
        if self.last_duration == 0 && count > 1 {
            // Not said how long the last picture is shown: as long as the others on average.
            duration = duration.saturating_add(duration / (count - 1));
        }
        let longest_sample = longest_sample.max(duration - last.unsigned_abs());
        Timeline { duration, fps: count as f64 * 1e9 / duration as f64, longest_sample }
    }

    /// Lets no picture be shown for longer than [`MAX_SAMPLE_DURATION`]. Returns how long the longest is.
    fn cap_sample_durations(&mut self) -> u64 {
        self.last_duration = self.last_duration.min(MAX_SAMPLE_DURATION.unsigned_abs());
        let in_order = self.samples.windows(2).all(|w| w[0].pts <= w[1].pts);
        let mut shown: Vec<u32> = (0..).take(self.samples.len()).collect();
        if !in_order {
            shown.sort_by_key(|&i| self.samples[i as usize].pts);
        }
        let (mut before, mut removed, mut longest) = (None, 0_i64, 0);
        for i in shown {
            let pts = &mut self.samples[i as usize].pts;
            let duration = before.map_or(0, |before| pts.saturating_sub(before));
            before = Some(*pts);
            removed = removed.saturating_add((duration - MAX_SAMPLE_DURATION).max(0));
            longest = longest.max(duration.min(MAX_SAMPLE_DURATION));
            *pts = pts.saturating_sub(removed);
        }
        longest.unsigned_abs()
    }

    fn set_constant_rate(&mut self, fps: f64) {
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

/// How long a clip is, and how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Timeline {
    /// From the first picture to when it is shown again, in nanoseconds; above zero.
    pub duration: u64,
    /// Pictures a second on average.
    pub fps: f64,
    /// How long the picture that is shown longest is, in nanoseconds.
    pub longest_sample: u64,
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
            description_index: 0,
            pts,
        };
        Index {
            descriptions: Vec::new(),
            samples: pts.iter().enumerate().map(sample).collect(),
            last_duration: 0,
            timing,
            missing: 0,
            presentation: Presentation::default(),
        }
    }

    fn times(index: &Index) -> Vec<i64> {
        index.samples.iter().map(|s| s.pts).collect()
    }

    #[test]
    fn the_timeline_begins_at_the_first_picture_that_is_played() {
        let mut clip = index(Timing::Timestamps, &[0, 100_000_000, 140_000_000, 180_000_000]);
        clip.samples.remove(0);
        let timeline = clip.timeline(30.0);
        assert_eq!(times(&clip), [0, 40_000_000, 80_000_000]);
        assert_eq!(timeline.duration, 120_000_000);
        assert!((timeline.fps - 25.0).abs() < 1e-9);
    }

    #[test]
    fn pictures_at_a_constant_rate_keep_their_output_order() {
        let mut clip = index(Timing::ConstantRate(Some(50.0)), &[0, 6, 2, 4]);
        assert!(clip.reorders());
        let timeline = clip.timeline(30.0);
        assert_eq!(times(&clip), [0, 60_000_000, 20_000_000, 40_000_000]);
        assert_eq!(timeline.duration, 80_000_000);
    }

    #[test]
    fn timestamps_that_cannot_be_true_give_way_to_the_wanted_rate() {
        for pts in [&[0, 0, 0][..], &[0, 1, 2], &[0]] {
            let mut clip = index(Timing::Timestamps, pts);
            let timeline = clip.timeline(10.0);
            assert!((timeline.fps - 10.0).abs() < 1e-6, "{pts:?}: {timeline:?}");
        }
        let mut clip = index(Timing::ConstantRate(Some(1e9)), &[0, 1]);
        assert_eq!(clip.timeline(10.0).duration, 200_000_000);
    }

    #[test]
    fn a_gap_of_hours_is_cut_to_a_minute() {
        const SECOND: i64 = 1_000_000_000;
        // In coding order, as with a B-frame.
        let mut clip = index(Timing::Timestamps, &[0, 9000 * SECOND, SECOND, 9001 * SECOND]);
        let timeline = clip.timeline(30.0);
        assert_eq!(times(&clip), [0, 61 * SECOND, SECOND, 62 * SECOND]);
        assert_eq!(timeline.longest_sample, MAX_SAMPLE_DURATION as u64);
    }

    #[test]
    fn pictures_past_the_end_of_the_file_are_left_out_and_counted() {
        let mut clip = index(Timing::Timestamps, &[0, 1, 2]);
        clip.check(25).unwrap();
        assert_eq!((clip.samples.len(), clip.missing), (2, 1));
        let mut nothing = index(Timing::Timestamps, &[0]);
        assert!(matches!(nothing.check(5), Err(ClipError::NoPictures)));
    }

    #[test]
    fn an_index_that_reads_the_same_bytes_again_and_again_is_refused() {
        let mut clip = index(Timing::Timestamps, &[0; 100]);
        for sample in &mut clip.samples {
            sample.offset = 0;
        }
        assert!(matches!(clip.check(50), Err(ClipError::Damaged(_))));
        clip.samples = vec![Sample { size: u32::MAX, ..clip.samples[0] }];
        let huge = u64::from(u32::MAX);
        assert!(matches!(clip.check(huge), Err(ClipError::UnitTooLarge(0))));
    }
}
