//! The entry point for fuzzing: reads a clip from memory the way [`FileCamera`](super::FileCamera) reads
//! it from a file. Returns without a panic whatever the bytes are, in a time and with an amount of
//! memory bounded by their number.

use std::io::Cursor;

use super::clip::Clip;
#[cfg(feature = "testing")]
use crate::decoder::Decoder;
use crate::media::h264::ParameterSets;
use crate::media::{AccessUnit, MediaTime};

/// Examines `data` as if it were a file, then reads every access unit. Returns how many there were, or
/// why there are none.
pub fn read_clip(data: &[u8]) -> Result<usize, String> {
    units(data, usize::MAX).map(|units| units.len())
}

/// As [`read_clip`], and decodes the first 30. Returns how many frames came out.
#[cfg(feature = "testing")]
pub fn decode_clip(data: &[u8]) -> Result<usize, String> {
    let units = units(data, 30)?;
    let mut decoder = Decoder::new().map_err(|e| e.to_string())?;
    let frames = units.iter().filter(|unit| matches!(decoder.decode(unit), Ok(Some(_)))).count();
    Ok(frames + decoder.flush().len())
}

fn units(data: &[u8], limit: usize) -> Result<Vec<AccessUnit>, String> {
    let mut clip = Clip::open(Cursor::new(data), 30.0).map_err(|e| e.to_string())?;
    let mut parameter_sets = ParameterSets::default();
    let mut units = Vec::new();
    for place in 0..clip.info().samples().len().min(limit) {
        let bytes = clip.read(place).map_err(|e| e.to_string())?;
        let time = MediaTime::from_nanos(place as u64);
        units.extend(AccessUnit::from_annex_b(bytes, time, &mut parameter_sets));
    }
    Ok(units)
}
