//! What `moov` says about the track that is to be played.

use bytes::Bytes;

use super::boxes::{Fields, FourCc, boxes, descend, find};
use super::tables;
use crate::camera::file::error::ClipError;
use crate::camera::file::index::{Framing, Sample};

/// The first H.264 track of a file.
pub(super) struct Track {
    pub id: u32,
    /// Ticks a second.
    pub timescale: u32,
    pub framing: Framing,
    pub parameter_sets: Vec<Bytes>,
    pub samples: Vec<Sample>,
    pub last_duration: u64,
    pub turned: u16,
    /// What fragments leave unsaid.
    pub defaults: FragmentDefaults,
}

/// `trex` (ISO/IEC 14496-12 §8.8.3).
#[derive(Clone, Copy, Default)]
pub(super) struct FragmentDefaults {
    pub duration: u32,
    pub size: u32,
    pub flags: u32,
}

impl Track {
    pub fn read(moov: &[u8]) -> Result<Self, ClipError> {
        if find(moov, b"cmov").is_some() {
            return Err(ClipError::Codec("in a compressed QuickTime index".into()));
        }
        let mut others = Vec::new();
        for (_, trak) in boxes(moov).filter(|(kind, _)| kind == b"trak") {
            match CodedAs::of(trak) {
                CodedAs::H264(entry) => return Self::read_h264(moov, trak, entry),
                CodedAs::Video(what) => return Err(ClipError::Codec(what)),
                CodedAs::Else(what) if others.len() < 8 && !others.contains(&what) => {
                    others.push(what);
                }
                CodedAs::Else(_) => {}
            }
        }
        Err(ClipError::NoVideo(if others.is_empty() {
            "an empty index".into()
        } else {
            others.join(", ")
        }))
    }

    fn read_h264(moov: &[u8], trak: &[u8], entry: &[u8]) -> Result<Self, ClipError> {
        const NO_CONFIG: ClipError = ClipError::Damaged("it has no H.264 configuration (avcC)");
        // A visual sample entry: 78 bytes of its own, then boxes (ISO/IEC 14496-12 §12.1.3).
        let config = entry.get(78..).and_then(|e| find(e, b"avcC"));
        let (framing, parameter_sets) = config.and_then(configuration).ok_or(NO_CONFIG)?;
        let stbl = descend(trak, &[b"mdia", b"minf", b"stbl"]).unwrap_or_default();
        let timescale = timescale(trak).ok_or(ClipError::Damaged("it has no timescale"))?;
        let mut track = Self {
            id: track_id(trak).unwrap_or(0),
            timescale,
            framing,
            parameter_sets,
            samples: Vec::new(),
            last_duration: 0,
            turned: turned(trak).unwrap_or(0),
            defaults: FragmentDefaults::default(),
        };
        track.defaults = fragment_defaults(moov, track.id).unwrap_or_default();
        (track.samples, track.last_duration) = tables::read(stbl, timescale)?;
        Ok(track)
    }
}

/// What a track holds.
enum CodedAs<'a> {
    /// H.264, with its sample entry.
    H264(&'a [u8]),
    /// Other video, by name.
    Video(String),
    /// No video at all, by name.
    Else(String),
}

impl<'a> CodedAs<'a> {
    fn of(trak: &'a [u8]) -> Self {
        // hdlr: version and flags, a reserved word, the kind of track.
        let handler =
            descend(trak, &[b"mdia", b"hdlr"]).and_then(|h| h.get(8..12)).unwrap_or(b"????");
        let entry = descend(trak, &[b"mdia", b"minf", b"stbl", b"stsd"])
            .and_then(|stsd| boxes(stsd.get(8..)?).next());
        match (handler, entry) {
            (b"vide", Some((kind, body))) if matches!(&kind, b"avc1" | b"avc3") => Self::H264(body),
            (b"vide", Some((kind, _))) => Self::Video(codec_name(kind)),
            (b"vide", None) => Self::Video("of no stated kind".into()),
            (b"soun", _) => Self::Else("sound".into()),
            (other, _) => Self::Else(format!("a track of kind '{}'", other.escape_ascii())),
        }
    }
}

fn codec_name(kind: FourCc) -> String {
    match &kind {
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => "H.265 (HEVC)".into(),
        b"av01" => "AV1".into(),
        b"vp08" => "VP8".into(),
        b"vp09" => "VP9".into(),
        b"mp4v" => "MPEG-4 part 2".into(),
        b"jpeg" | b"mjpa" | b"mjpb" => "Motion JPEG".into(),
        b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => "ProRes".into(),
        b"encv" => "encrypted".into(),
        other => format!("'{}'", other.escape_ascii()),
    }
}

/// `avcC` (ISO/IEC 14496-15 §5.3.3.1): how NAL units are told apart, and SPS and PPS.
fn configuration(avcc: &[u8]) -> Option<(Framing, Vec<Bytes>)> {
    let mut fields = Fields(avcc);
    // Version, profile, constraints, level: the SPS says the same.
    fields.bytes(4)?;
    let length_bytes = usize::from(fields.u8()? & 3) + 1;
    let mut sets = Vec::new();
    for mask in [0x1f, 0xff] {
        for _ in 0..fields.u8()? & mask {
            let len = fields.u16()?;
            sets.push(Bytes::copy_from_slice(fields.bytes(len.into())?));
        }
    }
    Some((Framing::Lengths(length_bytes), sets))
}

/// `mdhd`: ticks a second; never zero.
fn timescale(trak: &[u8]) -> Option<u32> {
    let mut mdhd = Fields(descend(trak, &[b"mdia", b"mdhd"])?);
    let (version, _) = mdhd.version_and_flags()?;
    mdhd.bytes(if version == 1 { 16 } else { 8 })?;
    mdhd.u32().filter(|&t| t > 0)
}

fn track_id(trak: &[u8]) -> Option<u32> {
    let mut tkhd = Fields(find(trak, b"tkhd")?);
    let (version, _) = tkhd.version_and_flags()?;
    tkhd.bytes(if version == 1 { 16 } else { 8 })?;
    tkhd.u32()
}

/// `tkhd`'s matrix (ISO/IEC 14496-12 §8.3.2) as degrees clockwise, where it is a quarter turn or
/// two or three.
fn turned(trak: &[u8]) -> Option<u16> {
    let mut tkhd = Fields(find(trak, b"tkhd")?);
    let (version, _) = tkhd.version_and_flags()?;
    tkhd.bytes(if version == 1 { 32 } else { 20 })?;
    tkhd.bytes(16)?;
    // The matrix row by row: a b u, c d v, x y w; the point (p, q) goes to (ap + cq, bp + dq).
    let (a, b, _u) = (tkhd.i32()?, tkhd.i32()?, tkhd.i32()?);
    let (c, d) = (tkhd.i32()?, tkhd.i32()?);
    match (a.signum(), b.signum(), c.signum(), d.signum()) {
        (0, 1, -1, 0) => Some(90),
        (-1, 0, 0, -1) => Some(180),
        (0, -1, 1, 0) => Some(270),
        _ => Some(0),
    }
}

fn fragment_defaults(moov: &[u8], id: u32) -> Option<FragmentDefaults> {
    boxes(find(moov, b"mvex")?).filter(|(kind, _)| kind == b"trex").find_map(|(_, body)| {
        let mut trex = Fields(body);
        trex.version_and_flags()?;
        if trex.u32()? != id {
            return None;
        }
        let _description = trex.u32()?;
        Some(FragmentDefaults { duration: trex.u32()?, size: trex.u32()?, flags: trex.u32()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_says_how_far_to_turn() {
        const ONE: i32 = 0x1_0000;
        for ([a, b, c, d], degrees) in [
            ([ONE, 0, 0, ONE], 0),
            ([0, ONE, -ONE, 0], 90),
            ([-ONE, 0, 0, -ONE], 180),
            ([0, -ONE, ONE, 0], 270),
        ] {
            let mut tkhd = vec![0; 4 + 20 + 16];
            for value in [a, b, 0, c, d, 0, 0, 0, 0x4000_0000] {
                tkhd.extend(value.to_be_bytes());
            }
            let size = (tkhd.len() as u32 + 8).to_be_bytes();
            let trak = [&size[..], b"tkhd", &tkhd].concat();
            assert_eq!(turned(&trak), Some(degrees));
        }
    }

    #[test]
    fn a_configuration_that_is_cut_short_is_none() {
        let whole = [1, 66, 0, 30, 0xff, 0xe1, 0, 2, 0x67, 1, 1, 0, 1, 0x68];
        let (framing, sets) = configuration(&whole).unwrap();
        assert_eq!(framing, Framing::Lengths(4));
        assert_eq!(sets, [&[0x67, 1][..], &[0x68]]);
        for len in 0..whole.len() {
            assert!(configuration(&whole[..len]).is_none(), "{len}");
        }
    }
}
