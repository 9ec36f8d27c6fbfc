//! The index of an MP4 or MOV file (ISO/IEC 14496-12, QuickTime File Format).
//!
//! In comes the file; out goes an [`Index`] of its H.264 track: of several, the first that is enabled
//! and has pictures. Only the index is read, never the pictures: `moov`, and in a fragmented file every
//! `moof`.
//!
//! Written here and not left to a crate, because the file is whatever a user copied onto an SD card.
//! `re_mp4` (0.5.1) refuses a file cut short although its index is whole, and looks up tables by
//! numbers out of the file: of 2000 clips with two bytes changed it panicked on 17 and did not come
//! back from 7. `mp4parse` (0.17) does not read fragments. What a player needs is little: the
//! tables below are read where they lie, bounded by the bytes that are there.

mod boxes;
mod fragments;
mod presentation;
mod sample_table;
mod track;

use std::io::{Read, Seek, SeekFrom};

use boxes::FourCc;
use fragments::MovieFragments;
use track::Track;

use super::error::ClipError;
use super::index::{Edit, Index, Presentation, Timing};
use super::limits::MAX_PICTURES;

/// A `moov` of this size describes days of video.
const MAX_MOOV: u64 = 64 << 20;
/// One fragment's `moof`: seconds of video, a few kilobytes.
const MAX_MOOF: u64 = 4 << 20;
/// Boxes at the top of a file. A recorder that writes a fragment for every picture needs two each.
const MAX_BOXES: usize = 4 * MAX_PICTURES;

/// Whether a file that begins with these bytes is MP4 or MOV: a box that may come first.
pub(super) fn is_mp4(head: &[u8]) -> bool {
    const FIRST: [&[u8; 4]; 10] =
        [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof", b"uuid"];
    head.get(4..8).is_some_and(|t| FIRST.iter().any(|f| t == *f))
}

/// Reads the index.
pub(super) fn read_index<R: Read + Seek>(file: &mut R) -> Result<Index, ClipError> {
    let len = file.seek(SeekFrom::End(0))?;
    let mut track: Option<Track> = None;
    let mut fragments = MovieFragments::default();
    let mut at = 0;
    for _ in 0..MAX_BOXES {
        let Some(found) = TopLevelBox::read(file, at, len)? else {
            break;
        };
        match &found.kind {
            b"moov" if track.is_none() => {
                let moov = found.payload(file, MAX_MOOV, len)?.ok_or(ClipError::NoIndex)?;
                track = Some(Track::read(&moov)?);
            }
            b"moof" => {
                // A recording that was cut off in a fragment's index plays up to there.
                let (Some(track), Some(moof)) = (&track, found.payload(file, MAX_MOOF, len)?)
                else {
                    break;
                };
                fragments.read(&moof, at, track)?;
            }
            _ => {}
        }
        at = found.end;
    }
    let track = track.ok_or(ClipError::NoIndex)?;
    let mut samples = track.samples;
    let mut last_duration = track.last_duration;
    let mut presentation = track.presentation;
    if !fragments.samples.is_empty() {
        let own_end = samples.iter().map(|s| s.pts).max().unwrap_or(0);
        open_last_edit(&mut presentation, own_end.saturating_add_unsigned(last_duration));
        samples.append(&mut fragments.samples);
        last_duration = fragments.last_duration;
    }
    let mut index = Index {
        descriptions: track.descriptions,
        samples,
        last_duration,
        timing: Timing::Timestamps,
        missing: 0,
        presentation,
    };
    index.check(len)?;
    Ok(index)
}

/// Lets the last edit last to the end of the fragments where it lasts to that of `moov`'s own
/// samples: its recorder did not know of more when it wrote it.
fn open_last_edit(presentation: &mut Presentation, own_end: i64) {
    if let Some(Edit { media_time: Some(start), segment_duration, .. }) =
        presentation.edit_list.last_mut()
        && let Some(duration) = *segment_duration
    {
        let end = start.saturating_add_unsigned(duration);
        let past = end.saturating_sub_unsigned(presentation.movie_tick) > own_end;
        *segment_duration = segment_duration.filter(|_| past);
    }
}

/// A box at the top of the file.
struct TopLevelBox {
    kind: FourCc,
    payload_start: u64,
    /// Where the next one begins; past the end of a file that was cut short.
    end: u64,
}

impl TopLevelBox {
    /// The box at `at`, or none where the file ends or stops making sense.
    fn read<R: Read + Seek>(file: &mut R, at: u64, len: u64) -> std::io::Result<Option<Self>> {
        let mut header = [0; 16];
        let room = len.saturating_sub(at).min(16) as usize;
        if room < 8 {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut header[..room])?;
        let Some((kind, header_len, size)) = boxes::header(&header[..room]) else {
            return Ok(None);
        };
        let end = size.map_or(Some(len), |size| at.checked_add(size));
        Ok(end.map(|end| Self { kind, payload_start: at + header_len as u64, end }))
    }

    /// What is in the box; `None` when the file ends before the box does.
    fn payload<R: Read + Seek>(
        &self,
        file: &mut R,
        limit: u64,
        len: u64,
    ) -> Result<Option<Vec<u8>>, ClipError> {
        if self.end > len {
            return Ok(None);
        }
        let size = self.end.saturating_sub(self.payload_start);
        if size > limit {
            return Err(ClipError::Damaged("it is larger than any clip's could be"));
        }
        let mut payload = vec![0; size as usize];
        file.seek(SeekFrom::Start(self.payload_start))?;
        file.read_exact(&mut payload)?;
        Ok(Some(payload))
    }
}
