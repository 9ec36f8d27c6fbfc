//! Samples of a fragmented file: `moof` (ISO/IEC 14496-12 §8.8).

use super::boxes::{ByteReader, boxes, find};
use super::sample_table::{description_index, nanos};
use super::track::{FragmentDefaults, Track};
use crate::camera::file::error::ClipError;
use crate::camera::file::index::Sample;
use crate::camera::file::limits::MAX_PICTURES;

/// `sample_is_non_sync_sample`.
const IS_NON_SYNC: u32 = 0x1_0000;

/// The fragments read so far.
#[derive(Default)]
pub(super) struct MovieFragments {
    pub samples: Vec<Sample>,
    pub last_duration: u64,
    /// Decoding time of the next sample in ticks, for fragments that do not give it (`tfdt`).
    decode_time: i64,
}

/// `tfhd`: where the samples of one fragment lie, and what they have in common.
struct TrackFragmentHeader {
    track_id: u32,
    base: Option<u64>,
    base_is_moof: bool,
    defaults: FragmentDefaults,
}

impl MovieFragments {
    /// Reads one `moof`, which begins at byte `at` of the file.
    pub fn read(&mut self, moof: &[u8], at: u64, track: &Track) -> Result<(), ClipError> {
        // Without a base of its own, a track's data follows that of the track before it.
        let mut end_of_last = at;
        for (_, traf) in boxes(moof).filter(|(kind, _)| kind == b"traf") {
            let Some(header) = header(traf, track.defaults) else {
                return Ok(());
            };
            let implied = if header.base_is_moof { at } else { end_of_last };
            let base = header.base.unwrap_or(implied);
            end_of_last = self.read_track(traf, base, &header, track)?;
        }
        Ok(())
    }

    /// Returns where the data of the fragment's track ends.
    fn read_track(
        &mut self,
        traf: &[u8],
        base: u64,
        header: &TrackFragmentHeader,
        track: &Track,
    ) -> Result<u64, ClipError> {
        let ours = header.track_id == track.id;
        if ours && let Some(time) = find(traf, b"tfdt").and_then(decode_time) {
            self.decode_time = time;
        }
        let mut at = base;
        for (_, trun) in boxes(traf).filter(|(kind, _)| kind == b"trun") {
            let Some(mut run) = TrackRun::read(trun, base, at, header.defaults) else {
                continue;
            };
            while ours && let Some((offset, sample)) = run.next() {
                self.push(&sample, offset, track.timescale)?;
            }
            at = run.end();
        }
        Ok(at)
    }

    fn push(&mut self, sample: &RunSample, offset: u64, timescale: u32) -> Result<(), ClipError> {
        if self.samples.len() == MAX_PICTURES {
            return Err(ClipError::TooLong);
        }
        let pts = self.decode_time.saturating_add(sample.composition_offset.into());
        self.samples.push(Sample {
            offset,
            size: sample.size,
            sync: sample.flags & IS_NON_SYNC == 0,
            shown: true,
            description_index: sample.description_index,
            pts: nanos(pts, timescale),
        });
        self.decode_time = self.decode_time.saturating_add(sample.duration.into());
        self.last_duration = nanos(sample.duration.into(), timescale).unsigned_abs();
        Ok(())
    }
}

fn header(traf: &[u8], mut defaults: FragmentDefaults) -> Option<TrackFragmentHeader> {
    let mut tfhd = ByteReader(find(traf, b"tfhd")?);
    let (_, flags) = tfhd.version_and_flags()?;
    let track_id = tfhd.u32()?;
    let base = if flags & 0x1 != 0 { Some(tfhd.u64()?) } else { None };
    if flags & 0x2 != 0 {
        defaults.description_index = description_index(tfhd.u32()?);
    }
    for (bit, value) in
        [(0x8, &mut defaults.duration), (0x10, &mut defaults.size), (0x20, &mut defaults.flags)]
    {
        if flags & bit != 0 {
            *value = tfhd.u32()?;
        }
    }
    Some(TrackFragmentHeader { track_id, base, base_is_moof: flags & 0x2_0000 != 0, defaults })
}

fn decode_time(tfdt: &[u8]) -> Option<i64> {
    let mut tfdt = ByteReader(tfdt);
    match tfdt.version_and_flags()? {
        (0, _) => tfdt.u32().map(i64::from),
        _ => tfdt.u64().map(|t| i64::try_from(t).unwrap_or(i64::MAX)),
    }
}

/// `trun`: samples that lie one behind the other.
struct TrackRun<'a> {
    samples: ByteReader<'a>,
    left: u32,
    flags: u32,
    first_flags: Option<u32>,
    defaults: FragmentDefaults,
    /// Where the next sample begins.
    at: u64,
}

struct RunSample {
    description_index: u8,
    duration: u32,
    size: u32,
    flags: u32,
    composition_offset: i32,
}

impl<'a> TrackRun<'a> {
    /// `follows` is where the run before ended, at which this one begins unless it says otherwise.
    fn read(trun: &'a [u8], base: u64, follows: u64, defaults: FragmentDefaults) -> Option<Self> {
        let mut fields = ByteReader(trun);
        let (_, flags) = fields.version_and_flags()?;
        let left = fields.u32()?;
        let mut at = follows;
        if flags & 0x1 != 0 {
            at = base.checked_add_signed(fields.i32()?.into())?;
        }
        let mut first_flags = None;
        if flags & 0x4 != 0 {
            first_flags = Some(fields.u32()?);
        }
        Some(Self { samples: fields, left, flags, first_flags, defaults, at })
    }

    /// The next sample, and where it begins.
    fn next(&mut self) -> Option<(u64, RunSample)> {
        self.left = self.left.checked_sub(1)?;
        let flags = self.flags;
        let mut field = |bit: u32, default: u32| {
            if flags & bit == 0 { Some(default) } else { self.samples.u32() }
        };
        let mut sample = RunSample {
            description_index: self.defaults.description_index,
            duration: field(0x100, self.defaults.duration)?,
            size: field(0x200, self.defaults.size)?,
            flags: field(0x400, self.defaults.flags)?,
            // Signed in version 1, and many write it so in version 0.
            composition_offset: field(0x800, 0)? as i32,
        };
        if let Some(flags) = self.first_flags.take() {
            sample.flags = flags;
        }
        let offset = self.at;
        self.at = offset.saturating_add(u64::from(sample.size));
        Some((offset, sample))
    }

    /// Where the data of what is left of the run ends.
    fn end(mut self) -> u64 {
        if self.flags & 0xf00 == 0 {
            // Such samples take no bytes here, so that nothing bounds their number.
            let rest = u64::from(self.left) * u64::from(self.defaults.size);
            return self.at.saturating_add(rest);
        }
        while self.next().is_some() {}
        self.at
    }
}
