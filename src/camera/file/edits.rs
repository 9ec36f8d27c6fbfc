//! Which parts of a track are shown, and when: the edit list (ISO/IEC 14496-12 §8.6.6, QuickTime
//! File Format "Edit List Atoms").
//!
//! A trimmed clip keeps the pictures before the cut, because those after it refer to them. They are
//! decoded and not shown. Where a part repeats or is moved, its pictures are listed once more.

use super::error::ClipError;
use super::index::{Index, MAX_PICTURES, Sample};

/// More than any editor makes by hand.
pub(super) const MAX_EDITS: usize = 1 << 16;

/// By how much a moment may have been rounded, in nanoseconds: less than any picture stays.
const MOST_ROUNDING: i64 = 2_000_000;

/// Of a picture that began before the part that is shown, less than this is not shown, in
/// nanoseconds: nobody would miss it, and other players leave it out.
const REMNANT: i64 = 100_000_000;

/// One part of the track, in the order of showing. Times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edit {
    /// Where it begins on the track's own line of time; `None` where nothing new is shown.
    pub from: Option<i64>,
    /// How long it is shown; `None` is to the track's end.
    pub lasts: Option<u64>,
    /// How fast: 1 as it was recorded, 0 a picture that stands still.
    pub rate: f64,
}

/// The pictures in the order of showing.
struct Shown {
    /// Their places in coding order.
    places: Vec<u32>,
    /// When each begins, and at last when the last one ends.
    begins: Vec<i64>,
}

impl Shown {
    fn of(index: &Index) -> Self {
        let mut places: Vec<u32> = (0..).take(index.samples.len()).collect();
        places.sort_by_key(|&i| index.samples[i as usize].pts);
        let mut begins: Vec<i64> = places.iter().map(|&i| index.samples[i as usize].pts).collect();
        let stay = match (index.last_duration, begins.as_slice()) {
            (0, [.., before, last]) => last - before,
            (stay, _) => i64::try_from(stay).unwrap_or(i64::MAX),
        };
        begins.push(begins.last().map_or(0, |last| last.saturating_add(stay)));
        Self { places, begins }
    }

    /// Where a moment belongs that was rounded to `tick`: to a picture's beginning, if one is near.
    fn snap(&self, moment: i64, tick: i64) -> i64 {
        let after = self.begins.partition_point(|&b| b < moment);
        let near = [after.checked_sub(1), Some(after)].into_iter().flatten();
        let near = near.filter_map(|i| self.begins.get(i).copied());
        near.min_by_key(|b| b.abs_diff(moment))
            .filter(|b| b.abs_diff(moment) < tick.unsigned_abs())
            .unwrap_or(moment)
    }

    /// The ranks of the pictures of which something is seen from `from` until `until`.
    fn between(&self, from: i64, until: i64) -> std::ops::Range<usize> {
        let begins = &self.begins[..self.places.len()];
        if begins.is_empty() || self.begins.last().is_none_or(|&end| end <= from) {
            return 0..0;
        }
        let end = begins.partition_point(|&b| b < until);
        let mut first = begins.partition_point(|&b| b <= from).saturating_sub(1);
        let is_remnant = begins[first] < from && self.begins[first + 1] - from < REMNANT;
        // Unless there is nothing else.
        if is_remnant && first + 1 < end {
            first += 1;
        }
        first..end.max(first)
    }
}

/// Lays the pictures that the edits show on one line of time, with those that are needed to decode
/// them. `key_before` answers the place of the nearest key picture at or before another place.
///
/// Answers whether anything is left; the index stays as it is if not.
pub(super) fn apply(
    index: &mut Index,
    mut key_before: impl FnMut(&[Sample], usize) -> Result<Option<usize>, ClipError>,
) -> Result<bool, ClipError> {
    let tick = i64::try_from(index.showing.tick).unwrap_or(i64::MAX).min(MOST_ROUNDING);
    let shown = Shown::of(index);
    let mut samples: Vec<Sample> = Vec::new();
    // Where the line of time has got to, and when the last picture appeared on it.
    let (mut now, mut last) = (0_i64, 0_i64);
    for edit in &index.showing.edits {
        let lasts = edit.lasts.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let Some(from) = edit.from else {
            // Before anything was shown there is nothing to wait for: sound is left out.
            if !samples.is_empty() {
                now = now.saturating_add(lasts.unwrap_or(0));
            }
            continue;
        };
        let from = shown.snap(from, tick);
        let Part { until, stays, speed } = part(edit, from, lasts, &shown, tick);
        let ranks = shown.between(from, until);
        let places = &shown.places[ranks.clone()];
        let (Some(&first), Some(&last_place)) = (places.iter().min(), places.iter().max()) else {
            continue;
        };
        let Some(key) = key_before(&index.samples, first as usize)? else {
            continue;
        };
        if samples.len() + (last_place as usize + 1 - key) > MAX_PICTURES {
            return Err(ClipError::TooLong);
        }
        let at = |pts: i64| {
            let since = pts.max(from).saturating_sub(from);
            now.saturating_add((since as f64 / speed) as i64)
        };
        let end = now.saturating_add(stays);
        let begin = samples.len();
        for sample in &index.samples[key..=last_place as usize] {
            // What is only decoded comes before or after all that is shown: see `Player::decode`.
            let pts = if sample.pts < from { now } else { end };
            samples.push(Sample { shown: false, pts, ..*sample });
        }
        for &place in places {
            let place = place as usize;
            let pts = at(index.samples[place].pts);
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

/// The part of the track's own line of time that an edit shows.
struct Part {
    until: i64,
    /// How long it is shown.
    stays: i64,
    speed: f64,
}

fn part(edit: &Edit, from: i64, lasts: Option<i64>, shown: &Shown, tick: i64) -> Part {
    let end = shown.begins.last().copied().unwrap_or(from);
    // A picture that stands still.
    if edit.rate == 0.0 {
        return Part { until: from.saturating_add(1), stays: lasts.unwrap_or(0), speed: 1.0 };
    }
    let Some(lasts) = lasts else {
        let stays = (end.saturating_sub(from) as f64 / edit.rate) as i64;
        return Part { until: end, stays, speed: edit.rate };
    };
    let until = from.saturating_add((lasts as f64 * edit.rate) as i64);
    // A file that was cut short has less than its edit list names.
    let snapped = shown.snap(until, tick).min(end.max(from));
    let stays = if snapped == until { lasts } else { ((snapped - from) as f64 / edit.rate) as i64 };
    Part { until: snapped, stays: stays.max(1), speed: edit.rate }
}
