//! The index of a raw H.264 byte stream (`.h264`, `.264`: H.264 Annex B).
//!
//! There is no index in such a file, so it is read through once, a chunk at a time, to find where each
//! access unit begins.

use std::io::{Read, Seek, SeekFrom};

use super::error::ClipError;
use super::index::{Index, Presentation, Sample, SampleDescription, Timing};
use super::limits::{MAX_PICTURES, MAX_UNIT_BYTES};
use super::nal_framing::NalFraming;
use super::parameter_sets::ActiveParameterSets;
use crate::camera::picture_detector::{NalRole, Picture, PictureDetector};

/// Of each NAL unit this much is scanned at: all of a parameter set, the header of a slice.
const HEAD: usize = 4096;
/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// Whether a file that begins with these bytes is a byte stream: a start code, perhaps after
/// zeros.
pub(super) fn is_byte_stream(head: &[u8]) -> bool {
    let zeros = head.iter().take_while(|&&b| b == 0).count();
    zeros >= 2 && head.get(zeros) == Some(&1)
}

/// Reads through the file.
pub(super) fn read_index<R: Read + Seek>(file: &mut R) -> Result<Index, ClipError> {
    let len = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut indexer = AccessUnitIndexer::default();
    let mut nals = NalScanner::new(file);
    while let Some(nal) = nals.next()? {
        indexer.take(nal.at, nal.head)?;
    }
    if indexer.detector.output_order_is_unknown() {
        return Err(ClipError::NoOutputOrder);
    }
    let fps = indexer.detector.vui_fps();
    let (samples, sets) = indexer.finish(len)?;
    let mut index = Index {
        descriptions: vec![SampleDescription {
            framing: NalFraming::AnnexB,
            parameter_sets: sets.into_vec(),
        }],
        samples,
        last_duration: 0,
        timing: Timing::ConstantRate(fps),
        missing: 0,
        presentation: Presentation::default(),
    };
    index.check(len)?;
    Ok(index)
}

/// Gathers NAL units into access units.
#[derive(Default)]
struct AccessUnitIndexer {
    detector: PictureDetector,
    samples: Vec<Sample>,
    /// Where the current access unit begins.
    start: u64,
    /// Its picture, once its first slice was seen.
    picture: Option<Picture>,
    /// Parameter sets up to the first key frame, which may be far behind them.
    sets: ActiveParameterSets,
    key_seen: bool,
}

impl AccessUnitIndexer {
    /// The NAL unit whose start code is at `at`.
    fn take(&mut self, at: u64, head: &[u8]) -> Result<(), ClipError> {
        if !self.key_seen {
            self.sets.learn_nal(head);
        }
        match self.detector.take(head) {
            NalRole::FirstSlice(picture) => {
                self.end_unit(at)?;
                self.key_seen |= picture.idr;
                self.picture = Some(picture);
            }
            NalRole::BeforePicture => self.end_unit(at)?,
            NalRole::Continuation => {}
        }
        if at - self.start > u64::from(MAX_UNIT_BYTES) {
            return Err(ClipError::UnitTooLarge(self.start));
        }
        Ok(())
    }

    /// Ends the current access unit before `at`, if it has its picture.
    fn end_unit(&mut self, at: u64) -> Result<(), ClipError> {
        let Some(picture) = self.picture.take() else {
            return Ok(());
        };
        let size = u32::try_from(at - self.start).unwrap_or(u32::MAX);
        if size > MAX_UNIT_BYTES {
            return Err(ClipError::UnitTooLarge(self.start));
        }
        if self.samples.len() == MAX_PICTURES {
            return Err(ClipError::TooLong);
        }
        self.samples.push(Sample {
            offset: self.start,
            size,
            sync: picture.idr,
            shown: true,
            description_index: 0,
            // Not a time yet, only an order; see `Timing::ConstantRate`.
            pts: picture.output_rank,
        });
        self.start = at;
        Ok(())
    }

    fn finish(mut self, len: u64) -> Result<(Vec<Sample>, ActiveParameterSets), ClipError> {
        self.end_unit(len)?;
        Ok((self.samples, self.sets))
    }
}

fn find_start_code(bytes: &[u8], from: usize) -> Option<usize> {
    let at = bytes[from..].windows(3).position(|w| w == [0, 0, 1])?;
    Some(from + at)
}

/// Finds NAL units in a byte stream without holding more than a chunk of it.
struct NalScanner<R> {
    file: R,
    /// A chunk of the file, and where it begins there.
    chunk: Vec<u8>,
    chunk_at: u64,
    /// How far the chunk was scanned.
    scanned: usize,
    /// The current NAL unit: where its start code is, and its head.
    at: Option<u64>,
    head: Vec<u8>,
    out: Vec<u8>,
}

/// A NAL unit: where its start code is, and its first [`HEAD`] bytes.
struct Nal<'a> {
    at: u64,
    head: &'a [u8],
}

impl<R: Read> NalScanner<R> {
    fn new(file: R) -> Self {
        Self {
            file,
            chunk: Vec::with_capacity(CHUNK),
            chunk_at: 0,
            scanned: 0,
            at: None,
            head: Vec::new(),
            out: Vec::new(),
        }
    }

    fn next(&mut self) -> std::io::Result<Option<Nal<'_>>> {
        loop {
            let found = find_start_code(&self.chunk, self.scanned);
            // The last two bytes may be the beginning of a start code.
            let end = found.unwrap_or(self.chunk.len().saturating_sub(2).max(self.scanned));
            self.keep_head(end);
            self.scanned = end;
            if let Some(start) = found {
                self.scanned = start + 3;
                let last = self.at.replace(self.chunk_at + start as u64);
                std::mem::swap(&mut self.head, &mut self.out);
                self.head.clear();
                if let Some(at) = last {
                    return Ok(Some(self.done(at)));
                }
            } else if !self.read_on()? {
                self.keep_head(self.chunk.len());
                self.scanned = self.chunk.len();
                std::mem::swap(&mut self.head, &mut self.out);
                self.head.clear();
                let last = self.at.take();
                return Ok(last.map(|at| self.done(at)));
            }
        }
    }

    /// The unit whose head is in `out`, less the zeros that belong to the next start code.
    fn done(&mut self, at: u64) -> Nal<'_> {
        while self.out.last() == Some(&0) {
            self.out.pop();
        }
        let head = &self.out;
        Nal { at, head }
    }

    fn keep_head(&mut self, end: usize) {
        if self.at.is_some() {
            let room = HEAD - self.head.len();
            let from = self.scanned;
            let until = end.max(from).min(from + room);
            self.head.extend_from_slice(&self.chunk[from..until]);
        }
    }

    /// Replaces what was scanned by what follows in the file. False at its end.
    fn read_on(&mut self) -> std::io::Result<bool> {
        self.chunk.drain(..self.scanned);
        self.chunk_at += self.scanned as u64;
        self.scanned = 0;
        let more = (&mut self.file).take(CHUNK as u64).read_to_end(&mut self.chunk)?;
        Ok(more > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::media::h264::nal_ranges;

    /// Gives one byte more with every read, so that start codes fall on every kind of boundary.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            self.1 += 1;
            let n = self.1.min(to.len()).min(self.0.len());
            to[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn scanned(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut scanner = NalScanner::new(Trickle(bytes, 0));
        let mut heads = Vec::new();
        while let Some(nal) = scanner.next().unwrap() {
            assert_eq!(bytes[nal.at as usize..][..3], [0, 0, 1]);
            heads.push(nal.head.to_vec());
        }
        heads.retain(|h| !h.is_empty());
        heads
    }

    #[test]
    fn the_scanner_finds_what_a_search_of_the_whole_finds() {
        let mut seed = 1_u32;
        for len in 0..600 {
            let bytes: Vec<u8> = (0..len)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    [0, 0, 0, 1, 2][(seed >> 16) as usize % 5]
                })
                .collect();
            let whole: Vec<Vec<u8>> = nal_ranges(&bytes).map(|r| bytes[r].to_vec()).collect();
            assert_eq!(scanned(&bytes), whole);
        }
    }

    #[test]
    fn of_a_long_nal_unit_only_the_head_is_kept() {
        let mut bytes = vec![0, 0, 1];
        bytes.resize(3 * CHUNK, 7);
        bytes.extend([0, 0, 1, 9]);
        let heads = scanned(&bytes);
        assert_eq!(heads, [vec![7; HEAD], vec![9]]);
    }

    #[test]
    fn bytes_without_an_end_are_not_taken_for_a_picture() {
        let mut bytes = vec![0, 0, 0, 1, 0x65, 0x88];
        bytes.resize(MAX_UNIT_BYTES as usize + 8, 0xff);
        let error = read_index(&mut Cursor::new(bytes)).unwrap_err();
        assert!(matches!(error, ClipError::UnitTooLarge(0)), "{error}");
    }
}
