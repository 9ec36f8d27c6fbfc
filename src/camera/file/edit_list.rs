//! Which parts of a track are shown, and when: the edit list (ISO/IEC 14496-12 §8.6.6, QuickTime File
//! Format "Edit List Atoms").
//!
//! A trimmed clip keeps the samples before the cut, because those after it refer to them. They are
//! decoded and not shown. Where a part repeats or is moved, its samples are listed once more.

use super::error::ClipError;
use super::index::{Edit, Index, Sample};
use super::limits::MAX_PICTURES;

/// By how much a time may have been rounded, in nanoseconds: less than any picture is shown.
const MAX_ROUNDING: i64 = 2_000_000;

/// Of a picture that began before the part that is shown, less than this is not shown, in
/// nanoseconds: nobody would miss it, and other players leave it out.
const MIN_REMAINDER: i64 = 100_000_000;

/// The samples in the order in which their pictures are shown.
struct PresentationOrder {
    /// Their places in decoding order.
    places: Vec<u32>,
    /// When each begins, and at last when the last one ends.
    starts: Vec<i64>,
}

impl PresentationOrder {
    fn of(index: &Index) -> Self {
        let mut places: Vec<u32> = (0..).take(index.samples.len()).collect();
        places.sort_by_key(|&i| index.samples[i as usize].pts);
        let mut starts: Vec<i64> = places.iter().map(|&i| index.samples[i as usize].pts).collect();
        let last_duration = match (index.last_duration, starts.as_slice()) {
            (0, [.., before, last]) => last - before,
            (duration, _) => i64::try_from(duration).unwrap_or(i64::MAX),
        };
        starts.push(starts.last().map_or(0, |last| last.saturating_add(last_duration)));
        Self { places, starts }
    }

    /// Where a time belongs that was rounded to `tick`: to a picture's start, if one is near.
    fn snap(&self, time: i64, tick: i64) -> i64 {
        let after = self.starts.partition_point(|&b| b < time);
        let near = [after.checked_sub(1), Some(after)].into_iter().flatten();
        let near = near.filter_map(|i| self.starts.get(i).copied());
        near.min_by_key(|b| b.abs_diff(time))
            .filter(|b| b.abs_diff(time) < tick.unsigned_abs())
            .unwrap_or(time)
    }

    /// The ranks of the pictures of which something is seen from `start` until `end`.
    fn between(&self, start: i64, end: i64) -> std::ops::Range<usize> {
        let starts = &self.starts[..self.places.len()];
        if starts.is_empty() || self.starts.last().is_none_or(|&end| end <= start) {
            return 0..0;
        }
        let behind = starts.partition_point(|&b| b < end);
        let mut first = starts.partition_point(|&b| b <= start).saturating_sub(1);
        let is_remainder = starts[first] < start && self.starts[first + 1] - start < MIN_REMAINDER;
        // Unless there is nothing else.
        if is_remainder && first + 1 < behind {
            first += 1;
        }
        first..behind.max(first)
    }
}

/// Lays the samples that the edits show on one timeline, with those that are needed to decode them.
/// `key_frame_before` returns the place of the nearest key frame at or before another place.
///
/// Returns whether anything is left; the index stays as it is if not.
pub(super) fn apply(
    index: &mut Index,
    mut key_frame_before: impl FnMut(&[Sample], usize) -> Result<Option<usize>, ClipError>,
) -> Result<bool, ClipError> {
    let movie_tick = index.presentation.movie_tick;
    let tick = i64::try_from(movie_tick).unwrap_or(i64::MAX).min(MAX_ROUNDING);
    let order = PresentationOrder::of(index);
    let mut samples: Vec<Sample> = Vec::new();
    // Where the timeline has got to, and when the last picture appeared on it.
    let (mut now, mut last) = (0_i64, 0_i64);
    for edit in &index.presentation.edit_list {
        let Some(segment) = Segment::of(edit, &order, tick) else {
            // Before anything was shown there is nothing to wait for: sound is left out.
            if !samples.is_empty() {
                now = now.saturating_add(signed(edit.segment_duration).unwrap_or(0));
            }
            continue;
        };
        let places = &order.places[order.between(segment.media_start, segment.media_end)];
        let (Some(&first), Some(&last_place)) = (places.iter().min(), places.iter().max()) else {
            continue;
        };
        let Some(key) = key_frame_before(&index.samples, first as usize)? else {
            continue;
        };
        if samples.len() + (last_place as usize + 1 - key) > MAX_PICTURES {
            return Err(ClipError::TooLong);
        }
        let end = now.saturating_add(segment.duration);
        let begin = samples.len();
        for sample in &index.samples[key..=last_place as usize] {
            // What is only decoded comes before or after all that is shown: see `Player::decode`.
            let pts = if sample.pts < segment.media_start { now } else { end };
            samples.push(Sample { shown: false, pts, ..*sample });
        }
        for &place in places {
            let place = place as usize;
            let pts = now.saturating_add(segment.offset_of(index.samples[place].pts));
            let sample = &mut samples[begin + place - key];
            (sample.shown, sample.pts) = (true, pts);
            last = last.max(pts);
        }
        now = end;
    }
    if samples.is_empty() {
        return Ok(false);
    }
    index.samples = samples;
    index.last_duration = now.saturating_sub(last).unsigned_abs();
    Ok(true)
}

/// The part of the track's own timeline that an edit shows.
struct Segment {
    media_start: i64,
    media_end: i64,
    /// How long it is shown.
    duration: i64,
    rate: f64,
}

impl Segment {
    /// `None` for an edit that shows nothing new.
    fn of(edit: &Edit, order: &PresentationOrder, tick: i64) -> Option<Self> {
        let media_start = order.snap(edit.media_time?, tick);
        let track_end = order.starts.last().copied().unwrap_or(media_start);
        let rate = edit.media_rate;
        let duration = signed(edit.segment_duration);
        // A picture that stands still.
        if rate == 0.0 {
            let media_end = media_start.saturating_add(1);
            return Some(Self {
                media_start,
                media_end,
                duration: duration.unwrap_or(0),
                rate: 1.0,
            });
        }
        let Some(duration) = duration else {
            let duration = (track_end.saturating_sub(media_start) as f64 / rate) as i64;
            return Some(Self { media_start, media_end: track_end, duration, rate });
        };
        let media_end = media_start.saturating_add((duration as f64 * rate) as i64);
        // A file that was cut short has less than its edit list names.
        let snapped = order.snap(media_end, tick).min(track_end.max(media_start));
        let duration = match snapped == media_end {
            true => duration,
            false => ((snapped - media_start) as f64 / rate) as i64,
        };
        Some(Self { media_start, media_end: snapped, duration: duration.max(1), rate })
    }

    /// How long after the segment's start a picture is shown.
    fn offset_of(&self, pts: i64) -> i64 {
        let since = pts.max(self.media_start).saturating_sub(self.media_start);
        (since as f64 / self.rate) as i64
    }
}

fn signed(duration: Option<u64>) -> Option<i64> {
    duration.map(|nanos| i64::try_from(nanos).unwrap_or(i64::MAX))
}
