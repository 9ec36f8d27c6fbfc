//! The sample table, `stbl` (ISO/IEC 14496-12 §8.5 to §8.7), read where it lies.

use super::boxes::{ByteReader, find};
use crate::camera::file::error::ClipError;
use crate::camera::file::index::Sample;
use crate::camera::file::limits::MAX_PICTURES;

/// The samples in decoding order, and how long the last one is shown in nanoseconds. None at all is
/// not an error: a fragmented file keeps them elsewhere.
pub(super) fn read(stbl: &[u8], timescale: u32) -> Result<(Vec<Sample>, u64), ClipError> {
    let sizes =
        SampleSizes::read(stbl).ok_or(ClipError::Damaged("the table of sizes is cut short"))?;
    if sizes.count > MAX_PICTURES {
        return Err(ClipError::TooLong);
    }
    let mut samples = Vec::with_capacity(sizes.count);
    let mut durations = RunLengths::read(stbl, b"stts");
    let mut composition_offsets = RunLengths::read(stbl, b"ctts");
    let mut sync = SyncSamples::read(stbl);
    let mut offsets = SampleOffsets::read(stbl);
    let (mut decode_time, mut duration) = (0_i64, 0);
    for i in 0..sizes.count {
        let Some(size) = sizes.get(i) else { break };
        let Some(offset) = offsets.next(size) else {
            break;
        };
        // Signed in version 1 of the table, and many write it so in version 0.
        let composition_offset = composition_offsets.next().map_or(0, |d| i64::from(d as i32));
        samples.push(Sample {
            offset,
            size,
            sync: sync.contains(i),
            shown: true,
            description_index: offsets.description_index,
            pts: nanos(decode_time.saturating_add(composition_offset), timescale),
        });
        duration = durations.next().unwrap_or(duration);
        decode_time = decode_time.saturating_add(i64::from(duration));
    }
    let last = nanos(i64::from(duration), timescale).unsigned_abs();
    Ok((samples, last))
}

/// Ticks to nanoseconds, without drift however long the clip.
pub(super) fn nanos(ticks: i64, timescale: u32) -> i64 {
    let nanos = i128::from(ticks) * 1_000_000_000 / i128::from(timescale.max(1));
    // Bounded to ±146 years, so that differences never overflow.
    nanos.clamp(i128::from(i64::MIN / 2), i128::from(i64::MAX / 2)) as i64
}

/// The place among the descriptions of the one with this number; numbers begin at 1.
pub(super) fn description_index(number: u32) -> u8 {
    u8::try_from(number.saturating_sub(1)).unwrap_or(u8::MAX)
}

/// What follows version, flags and count in a table.
fn entries<'a>(stbl: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    find(stbl, kind)?.get(8..)
}

/// `stsz` or `stz2`: how large each sample is.
struct SampleSizes<'a> {
    count: usize,
    /// Size of every sample, where they are all the same.
    same: u32,
    bits: usize,
    table: &'a [u8],
}

impl<'a> SampleSizes<'a> {
    fn read(stbl: &'a [u8]) -> Option<Self> {
        let (body, compact) = match (find(stbl, b"stsz"), find(stbl, b"stz2")) {
            (Some(body), _) => (body, false),
            (None, Some(body)) => (body, true),
            (None, None) => (&[0; 12][..], false),
        };
        let mut fields = ByteReader(body);
        fields.version_and_flags()?;
        let first = fields.u32()?;
        let count = fields.u32()? as usize;
        let (same, bits) = if compact { (0, (first & 0xff) as usize) } else { (first, 32) };
        let table = fields.0;
        let there = match bits {
            _ if same > 0 => usize::MAX,
            4 | 8 | 16 | 32 => table.len().saturating_mul(8) / bits,
            _ => return None,
        };
        Some(Self { count: count.min(there), same, bits, table })
    }

    fn get(&self, i: usize) -> Option<u32> {
        if self.same > 0 {
            return Some(self.same);
        }
        let mut fields = ByteReader(self.table.get(i * self.bits / 8..)?);
        match self.bits {
            4 if i.is_multiple_of(2) => Some(u32::from(fields.u8()? >> 4)),
            4 => Some(u32::from(fields.u8()? & 15)),
            8 => fields.u8().map(u32::from),
            16 => fields.u16().map(u32::from),
            _ => fields.u32(),
        }
    }
}

/// `stts` or `ctts`: a value for each of a run of samples.
struct RunLengths<'a> {
    table: ByteReader<'a>,
    left: u32,
    value: u32,
}

impl<'a> RunLengths<'a> {
    fn read(stbl: &'a [u8], kind: &[u8; 4]) -> Self {
        Self { table: ByteReader(entries(stbl, kind).unwrap_or_default()), left: 0, value: 0 }
    }
}

impl Iterator for RunLengths<'_> {
    type Item = u32;
    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            self.left = self.table.u32()?;
            self.value = self.table.u32()?;
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// `stss`: the numbers, from 1 and growing, of the samples at which decoding can begin. Without
/// the table that is every sample.
struct SyncSamples<'a> {
    table: Option<ByteReader<'a>>,
    next: Option<u32>,
}

impl<'a> SyncSamples<'a> {
    fn read(stbl: &'a [u8]) -> Self {
        let mut table = entries(stbl, b"stss").map(ByteReader);
        let next = table.as_mut().and_then(ByteReader::u32);
        Self { table, next }
    }

    /// To be asked for growing `i`, from 0.
    fn contains(&mut self, i: usize) -> bool {
        let Some(table) = &mut self.table else {
            return true;
        };
        while self.next.is_some_and(|n| (n as usize) < i + 1) {
            self.next = table.u32();
        }
        self.next.is_some_and(|n| n as usize == i + 1)
    }
}

/// `stsc` with `stco` or `co64`: samples lie in chunks, one behind the other in each.
struct SampleOffsets<'a> {
    offsets: ByteReader<'a>,
    wide: bool,
    /// Number of the current chunk, from 1.
    chunk: u32,
    /// Where the next sample begins, and how many are left in the chunk.
    at: u64,
    left: u32,
    runs: ByteReader<'a>,
    per_chunk: u32,
    /// Of the samples of the current chunk.
    description_index: u8,
}

impl<'a> SampleOffsets<'a> {
    fn read(stbl: &'a [u8]) -> Self {
        let (table, wide) = match entries(stbl, b"co64") {
            Some(table) => (table, true),
            None => (entries(stbl, b"stco").unwrap_or_default(), false),
        };
        // Each run: first chunk, samples per chunk, sample description.
        let runs = entries(stbl, b"stsc").unwrap_or_default();
        Self {
            offsets: ByteReader(table),
            wide,
            chunk: 0,
            at: 0,
            left: 0,
            runs: ByteReader(runs),
            per_chunk: 0,
            description_index: 0,
        }
    }

    /// Where the next sample, of `size` bytes, begins.
    fn next(&mut self, size: u32) -> Option<u64> {
        while self.left == 0 {
            self.at = if self.wide { self.offsets.u64()? } else { u64::from(self.offsets.u32()?) };
            self.chunk += 1;
            let mut ahead = self.runs;
            while ahead.u32().is_some_and(|first| first <= self.chunk) {
                self.per_chunk = ahead.u32()?;
                self.description_index = description_index(ahead.u32()?);
                self.runs = ahead;
            }
            self.left = self.per_chunk;
        }
        self.left -= 1;
        let at = self.at;
        self.at = at.saturating_add(u64::from(size));
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box of big-endian words.
    fn table(kind: &[u8; 4], words: &[u32]) -> Vec<u8> {
        let mut bytes = (8 + 4 * words.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(kind);
        bytes.extend(words.iter().flat_map(|w| w.to_be_bytes()));
        bytes
    }

    fn stbl(tables: &[Vec<u8>]) -> Vec<u8> {
        tables.concat()
    }

    #[test]
    fn samples_follow_each_other_in_chunks_and_in_time() {
        let stbl = stbl(&[
            table(b"stsz", &[0, 0, 5, 10, 20, 30, 40, 50]),
            table(b"stsc", &[0, 2, 1, 2, 1, 3, 1, 1]),
            table(b"stco", &[0, 3, 1000, 2000, 3000]),
            table(b"stts", &[0, 2, 1, 100, 4, 200]),
            table(b"ctts", &[0, 2, 1, 300, 1, u32::MAX]),
            table(b"stss", &[0, 2, 1, 4]),
        ]);
        let (samples, last) = read(&stbl, 1000).unwrap();
        let offsets: Vec<u64> = samples.iter().map(|s| s.offset).collect();
        assert_eq!(offsets, [1000, 1010, 2000, 2030, 3000]);
        let millis: Vec<i64> = samples.iter().map(|s| s.pts / 1_000_000).collect();
        assert_eq!(millis, [300, 99, 300, 500, 700]);
        let sync: Vec<bool> = samples.iter().map(|s| s.sync).collect();
        assert_eq!(sync, [true, false, false, true, false]);
        assert_eq!(last, 200_000_000);
    }

    #[test]
    fn counts_beyond_the_table_do_not_matter() {
        let stbl = stbl(&[
            table(b"stsz", &[0, 0, u32::MAX, 10, 20]),
            table(b"stsc", &[0, u32::MAX, 1, 7, 1]),
            table(b"stco", &[0, u32::MAX, 1000]),
            table(b"stts", &[0, u32::MAX, u32::MAX, u32::MAX]),
        ]);
        let (samples, _) = read(&stbl, 1).unwrap();
        assert_eq!(samples.len(), 2);
    }

    #[test]
    fn one_size_for_all_does_not_make_endless_samples() {
        let many = stbl(&[table(b"stsz", &[0, 1, u32::MAX])]);
        assert!(matches!(read(&many, 1), Err(ClipError::TooLong)));
        // A million samples of no bytes, in chunks of which there are none.
        let none = stbl(&[table(b"stsz", &[0, 9, MAX_PICTURES as u32])]);
        assert_eq!(read(&none, 1).unwrap().0.len(), 0);
    }

    #[test]
    fn compact_sizes_are_unpacked() {
        let stbl = stbl(&[
            table(b"stz2", &[0, 4, 3, 0x1230_0000]),
            table(b"stsc", &[0, 1, 1, 3, 1]),
            table(b"stco", &[0, 1, 0]),
        ]);
        let sizes: Vec<u32> = read(&stbl, 1).unwrap().0.iter().map(|s| s.size).collect();
        assert_eq!(sizes, [1, 2, 3]);
    }

    #[test]
    fn hours_of_ticks_become_nanoseconds_without_drift() {
        assert_eq!(nanos(30_000 * 3600 * 24, 30_000), 86_400_000_000_000);
        assert_eq!(nanos(-1001, 30_000), -33_366_666);
        assert_eq!(nanos(i64::MAX, 1), i64::MAX / 2);
    }
}
