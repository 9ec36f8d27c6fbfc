//! How `moov` wants the pictures presented: turned, stretched, in which range of brightness, and which
//! parts of them.

use super::boxes::{ByteReader, boxes, find, find_path};
use super::sample_table::nanos;
use crate::camera::file::error::ClipError;
use crate::camera::file::index::{Edit, Presentation};
use crate::camera::file::limits::MAX_EDITS;
use crate::transform::Orientation;

/// Reads it: of the movie, of the track `trak` with so many ticks a second, and of the boxes in its
/// sample entry.
pub(super) fn read(
    moov: &[u8],
    trak: &[u8],
    timescale: u32,
    entry_boxes: &[u8],
) -> Result<Presentation, ClipError> {
    let movie = matrix(find(moov, b"mvhd"), [32, 44]).unwrap_or(IDENTITY);
    let track = matrix(find(trak, b"tkhd"), [36, 48]).unwrap_or(IDENTITY);
    let orientation = orientation(product(track, movie));
    let movie_timescale = movie_timescale(moov).unwrap_or(1000);
    Ok(Presentation {
        orientation: orientation.unwrap_or_default(),
        unsupported_rotation: orientation.is_none(),
        pixel_aspect: find(entry_boxes, b"pasp").and_then(pixel_aspect),
        full_range: boxes(entry_boxes)
            .filter(|(kind, _)| kind == b"colr")
            .find_map(|(_, colr)| full_range(colr)),
        edit_list: edit_list(trak, timescale, movie_timescale)?,
        movie_tick: nanos(1, movie_timescale).unsigned_abs(),
    })
}

/// A matrix's first two rows and columns, as signs: the point (p, q) goes to (ap + cq, bp + dq).
type MatrixSigns = [i32; 4];

const IDENTITY: MatrixSigns = [1, 0, 0, 1];

/// The matrix in `mvhd` or `tkhd` (ISO/IEC 14496-12 §8.2.2, §8.3.2), before which there are so many
/// bytes in versions 0 and 1.
fn matrix(header: Option<&[u8]>, before: [usize; 2]) -> Option<MatrixSigns> {
    let mut fields = ByteReader(header?);
    let (version, _) = fields.version_and_flags()?;
    fields.bytes(before[usize::from(version == 1)])?;
    // Row by row: a b u, c d v, x y w.
    let (a, b, _u) = (fields.i32()?, fields.i32()?, fields.i32()?);
    let (c, d) = (fields.i32()?, fields.i32()?);
    let largest = [a, b, c, d].map(i32::unsigned_abs).into_iter().max()?;
    // What rounding left of a zero counts as zero.
    let sign = |n: i32| if n.unsigned_abs() <= largest / 256 { 0 } else { n.signum() };
    Some([sign(a), sign(b), sign(c), sign(d)])
}

/// First one, then the other.
fn product([a, b, c, d]: MatrixSigns, [e, f, g, h]: MatrixSigns) -> MatrixSigns {
    [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h]
}

/// What a matrix does, where it turns by multiples of 90° and mirrors only. One of zeros says nothing.
fn orientation([a, b, c, d]: MatrixSigns) -> Option<Orientation> {
    let orientation = |transpose, mirror_x, mirror_y| Orientation { transpose, mirror_x, mirror_y };
    match (a, b, c, d) {
        (0, 0, 0, 0) => Some(Orientation::default()),
        (x, 0, 0, y) if x != 0 && y != 0 => Some(orientation(false, x < 0, y < 0)),
        (0, y, x, 0) if x != 0 && y != 0 => Some(orientation(true, x < 0, y < 0)),
        _ => None,
    }
}

/// `pasp` (ISO/IEC 14496-12 §12.1.4).
fn pixel_aspect(pasp: &[u8]) -> Option<(u32, u32)> {
    let mut fields = ByteReader(pasp);
    let (horizontal, vertical) = (fields.u32()?, fields.u32()?);
    (horizontal > 0 && vertical > 0).then_some((horizontal, vertical))
}

/// `colr` (ISO/IEC 14496-12 §12.1.5): whether the range is full, where it says.
fn full_range(colr: &[u8]) -> Option<bool> {
    let mut fields = ByteReader(colr);
    if &fields.four_cc()? != b"nclx" {
        return None;
    }
    // Primaries, transfer and matrix.
    fields.bytes(6)?;
    Some(fields.u8()? & 0x80 != 0)
}

/// `mvhd`: ticks a second of the whole movie; never zero.
fn movie_timescale(moov: &[u8]) -> Option<u32> {
    let mut mvhd = ByteReader(find(moov, b"mvhd")?);
    let (version, _) = mvhd.version_and_flags()?;
    mvhd.bytes(if version == 1 { 16 } else { 8 })?;
    mvhd.u32().filter(|&t| t > 0)
}

/// `elst` (ISO/IEC 14496-12 §8.6.6).
fn edit_list(trak: &[u8], timescale: u32, movie_timescale: u32) -> Result<Vec<Edit>, ClipError> {
    let mut fields = ByteReader(find_path(trak, &[b"edts", b"elst"]).unwrap_or_default());
    let Some((version, _)) = fields.version_and_flags() else {
        return Ok(Vec::new());
    };
    let count = fields.u32().unwrap_or(0) as usize;
    let mut edits = Vec::new();
    while edits.len() < count.min(MAX_EDITS)
        && let Some((duration, media_time, media_rate)) = read_edit(&mut fields, version)
    {
        if media_rate < 0.0 {
            return Err(ClipError::Backwards);
        }
        // Zero is to the end: a recorder that writes fragments does not know it yet.
        edits.push(Edit {
            media_time: (media_time != -1).then(|| nanos(media_time.max(0), timescale)),
            segment_duration: (duration > 0)
                .then(|| nanos(duration, movie_timescale).unsigned_abs()),
            media_rate,
        });
    }
    Ok(edits)
}

/// Segment duration in ticks of the movie, media time in ticks of the track, media rate.
fn read_edit(fields: &mut ByteReader<'_>, version: u8) -> Option<(i64, i64, f64)> {
    let (duration, media_time) = match version {
        1 => (i64::try_from(fields.u64()?).unwrap_or(i64::MAX), fields.u64()?.cast_signed()),
        _ => (i64::from(fields.u32()?), i64::from(fields.i32()?)),
    };
    let rate = f64::from(fields.i32()?) / f64::from(1 << 16);
    // Slower than 1/250 is no rate, but a picture that stands still.
    Some((duration, media_time, if rate.abs() < 0.004 { 0.0 } else { rate }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full_box(kind: &[u8; 4], version: u8, body: &[u8]) -> Vec<u8> {
        let size = (body.len() as u32 + 12).to_be_bytes();
        [&size[..], kind, &[version, 0, 0, 0], body].concat()
    }

    fn header(kind: &[u8; 4], before: usize, [a, b, c, d]: [i32; 4]) -> Vec<u8> {
        let mut body = vec![0; before];
        for value in [a, b, 0, c, d, 0, 0, 0, 0x4000_0000] {
            body.extend(value.to_be_bytes());
        }
        full_box(kind, 0, &body)
    }

    const ONE: i32 = 0x1_0000;

    #[test]
    fn the_matrix_says_how_to_turn_and_mirror() {
        for (matrix, (transpose, mirror_x, mirror_y)) in [
            ([ONE, 0, 0, ONE], (false, false, false)),
            ([0, ONE, -ONE, 0], (true, true, false)),
            ([-ONE, 0, 0, -ONE], (false, true, true)),
            ([0, -ONE, ONE, 0], (true, false, true)),
            ([-ONE, 0, 0, ONE], (false, true, false)),
            ([ONE, 0, 0, -ONE], (false, false, true)),
            ([0, ONE, ONE, 0], (true, false, false)),
            ([0, -ONE, -ONE, 0], (true, true, true)),
            // As a program wrote it that computed sines.
            ([-3, 2 * ONE, -2 * ONE, 1], (true, true, false)),
        ] {
            let wanted = Orientation { transpose, mirror_x, mirror_y };
            let trak = header(b"tkhd", 36, matrix);
            let moov = header(b"mvhd", 32, [ONE, 0, 0, ONE]);
            assert_eq!(read(&moov, &trak, 1, &[]).unwrap().orientation, wanted, "{matrix:?}");
            // The movie's matrix comes after the track's.
            let moov = header(b"mvhd", 32, matrix);
            let trak = header(b"tkhd", 36, [ONE, 0, 0, ONE]);
            assert_eq!(read(&moov, &trak, 1, &[]).unwrap().orientation, wanted, "{matrix:?}");
        }
        let quarter = [0, ONE, -ONE, 0];
        let (moov, trak) = (header(b"mvhd", 32, quarter), header(b"tkhd", 36, quarter));
        let half = Orientation { transpose: false, mirror_x: true, mirror_y: true };
        assert_eq!(read(&moov, &trak, 1, &[]).unwrap().orientation, half);
    }

    #[test]
    fn what_is_turned_by_another_angle_is_not_turned() {
        let trak = header(b"tkhd", 36, [46_341, 46_341, -46_341, 46_341]);
        let presentation = read(&[], &trak, 1, &[]).unwrap();
        assert!(presentation.unsupported_rotation);
        assert_eq!(presentation.orientation, Orientation::default());
    }

    fn track(elst: Vec<u8>) -> Vec<u8> {
        [&(elst.len() as u32 + 8).to_be_bytes()[..], b"edts", &elst].concat()
    }

    #[test]
    fn both_versions_of_an_edit_list_say_the_same() {
        let (mut short, mut long) = (vec![0, 0, 0, 4], vec![0, 0, 0, 4]);
        for (duration, from, rate) in
            [(500_u32, -1, ONE), (2000, 12_800, ONE), (1000, 0, 0), (0, 6400, ONE / 2)]
        {
            short.extend([duration.to_be_bytes(), i32::to_be_bytes(from)].concat());
            long.extend(u64::from(duration).to_be_bytes());
            long.extend(i64::from(from).to_be_bytes());
            short.extend(rate.to_be_bytes());
            long.extend(rate.to_be_bytes());
        }
        let wanted = [
            Edit { media_time: None, segment_duration: Some(500_000_000), media_rate: 1.0 },
            Edit {
                media_time: Some(1_000_000_000),
                segment_duration: Some(2_000_000_000),
                media_rate: 1.0,
            },
            Edit { media_time: Some(0), segment_duration: Some(1_000_000_000), media_rate: 0.0 },
            Edit { media_time: Some(500_000_000), segment_duration: None, media_rate: 0.5 },
        ];
        for (version, body) in [(0, short), (1, long)] {
            let trak = track(full_box(b"elst", version, &body));
            assert_eq!(edit_list(&trak, 12_800, 1000).unwrap(), wanted, "version {version}");
            // More entries than there are.
            let mut body = body;
            body[0] = 0xff;
            let trak = track(full_box(b"elst", version, &body));
            assert_eq!(edit_list(&trak, 12_800, 1000).unwrap().len(), 4);
        }
        let backwards = [&[0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0][..], &(-ONE).to_be_bytes()].concat();
        let trak = track(full_box(b"elst", 0, &backwards));
        assert!(matches!(edit_list(&trak, 1, 1), Err(ClipError::Backwards)));
    }

    #[test]
    fn only_nclx_tells_of_the_range() {
        assert_eq!(full_range(b"nclx\0\x01\0\x01\0\x01\x80"), Some(true));
        assert_eq!(full_range(b"nclx\0\x01\0\x01\0\x01\x00"), Some(false));
        assert_eq!(full_range(b"nclc\0\x01\0\x01\0\x01\x80"), None);
        assert_eq!(full_range(b"nclx\0\x01"), None);
    }
}
