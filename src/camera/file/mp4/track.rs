//! What `moov` says about the track that is to be played.

use bytes::Bytes;

use super::boxes::{ByteReader, FourCc, boxes, find, find_path};
use super::{presentation, sample_table};
use crate::camera::file::error::ClipError;
use crate::camera::file::index::{Presentation, Sample, SampleDescription};
use crate::camera::file::nal_framing::NalFraming;

/// The H.264 track of a file.
pub(super) struct Track {
    pub id: u32,
    /// Ticks a second.
    pub timescale: u32,
    pub descriptions: Vec<SampleDescription>,
    pub samples: Vec<Sample>,
    pub last_duration: u64,
    pub presentation: Presentation,
    /// What fragments leave unsaid.
    pub defaults: FragmentDefaults,
}

/// `trex` (ISO/IEC 14496-12 §8.8.3).
#[derive(Clone, Copy, Default)]
pub(super) struct FragmentDefaults {
    /// Place among the descriptions.
    pub description_index: u8,
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
        let mut video = None;
        let mut tracks: Vec<(bool, &[u8])> = Vec::new();
        for (_, trak) in boxes(moov).filter(|(kind, _)| kind == b"trak") {
            match TrackFormat::of(trak) {
                TrackFormat::H264 => tracks.push((!is_enabled(trak), trak)),
                TrackFormat::OtherVideo(what) => video = video.or(Some(what)),
                TrackFormat::NotVideo(what) if others.len() < 8 && !others.contains(&what) => {
                    others.push(what);
                }
                TrackFormat::NotVideo(_) => {}
            }
        }
        // The first that is meant to be shown and has pictures; of the others, the first.
        tracks.sort_by_key(|(disabled, _)| *disabled);
        let fragmented = find(moov, b"mvex").is_some();
        let has_pictures = |trak: &&[u8]| fragmented || has_samples(trak);
        let mut tracks = tracks.into_iter().map(|(_, trak)| trak);
        if let Some(first) = tracks.next() {
            let trak = Some(first).filter(has_pictures).or_else(|| tracks.find(has_pictures));
            return Self::read_h264(moov, trak.unwrap_or(first));
        }
        Err(match video {
            Some(OtherVideo::Encrypted) => ClipError::Encrypted,
            Some(OtherVideo::Codec(what)) => ClipError::Codec(what),
            None if others.is_empty() => ClipError::NoVideo("an empty index".into()),
            None => ClipError::NoVideo(others.join(", ")),
        })
    }

    fn read_h264(moov: &[u8], trak: &[u8]) -> Result<Self, ClipError> {
        let stbl = find_path(trak, &[b"mdia", b"minf", b"stbl"]).unwrap_or_default();
        let timescale = timescale(trak).ok_or(ClipError::Damaged("it has no timescale"))?;
        let descriptions = descriptions(stbl)?;
        let id = track_id(trak).unwrap_or(0);
        let (samples, last_duration) = sample_table::read(stbl, timescale)?;
        // Those of the first description hold for all.
        let (_, entry) = sample_entries(stbl).next().unwrap_or_default();
        Ok(Self {
            id,
            timescale,
            descriptions,
            samples,
            last_duration,
            presentation: presentation::read(moov, trak, timescale, boxes_of(entry))?,
            defaults: fragment_defaults(moov, id).unwrap_or_default(),
        })
    }
}

/// The sample entries of `stsd`: how samples are coded.
fn sample_entries(stbl: &[u8]) -> impl Iterator<Item = (FourCc, &[u8])> {
    boxes(find(stbl, b"stsd").and_then(|stsd| stsd.get(8..)).unwrap_or_default())
}

/// The boxes in a visual sample entry, behind 78 bytes of its own (ISO/IEC 14496-12 §12.1.3).
fn boxes_of(entry: &[u8]) -> &[u8] {
    entry.get(78..).unwrap_or_default()
}

fn descriptions(stbl: &[u8]) -> Result<Vec<SampleDescription>, ClipError> {
    const NO_CONFIG: ClipError = ClipError::Damaged("it has no H.264 configuration (avcC)");
    let read = |(kind, entry): (FourCc, &[u8])| {
        match TrackFormat::video(kind) {
            TrackFormat::H264 => {}
            TrackFormat::OtherVideo(OtherVideo::Encrypted) => return Err(ClipError::Encrypted),
            TrackFormat::OtherVideo(OtherVideo::Codec(what)) | TrackFormat::NotVideo(what) => {
                return Err(ClipError::Codec(format!("in parts {what}")));
            }
        }
        find(boxes_of(entry), b"avcC").and_then(avc_configuration).ok_or(NO_CONFIG)
    };
    let descriptions: Vec<_> =
        sample_entries(stbl).take(256).map(read).collect::<Result<_, _>>()?;
    if descriptions.is_empty() { Err(NO_CONFIG) } else { Ok(descriptions) }
}

/// What a track holds.
enum TrackFormat {
    /// H.264.
    H264,
    OtherVideo(OtherVideo),
    /// Something else than video, by name.
    NotVideo(String),
}

/// Video of another kind.
enum OtherVideo {
    /// By name.
    Codec(String),
    Encrypted,
}

impl TrackFormat {
    fn of(trak: &[u8]) -> Self {
        // hdlr: version and flags, a reserved word, the kind of track.
        let handler =
            find_path(trak, &[b"mdia", b"hdlr"]).and_then(|h| h.get(8..12)).unwrap_or(b"????");
        let stbl = find_path(trak, &[b"mdia", b"minf", b"stbl"]).unwrap_or_default();
        match (handler, sample_entries(stbl).next()) {
            (b"vide", Some((kind, _))) => Self::video(kind),
            (b"vide", None) => Self::OtherVideo(OtherVideo::Codec("of no stated kind".into())),
            (b"soun", _) => Self::NotVideo("sound".into()),
            (other, _) => Self::NotVideo(format!("a track of kind '{}'", other.escape_ascii())),
        }
    }

    fn video(kind: FourCc) -> Self {
        match &kind {
            b"avc1" | b"avc3" => Self::H264,
            b"encv" | b"drmi" => Self::OtherVideo(OtherVideo::Encrypted),
            _ => Self::OtherVideo(OtherVideo::Codec(codec_name(kind))),
        }
    }
}

/// `tkhd`'s `track_enabled`.
fn is_enabled(trak: &[u8]) -> bool {
    let flags = find(trak, b"tkhd").and_then(|tkhd| ByteReader(tkhd).version_and_flags());
    flags.is_none_or(|(_, flags)| flags & 1 != 0)
}

fn has_samples(trak: &[u8]) -> bool {
    let stbl = find_path(trak, &[b"mdia", b"minf", b"stbl"]).unwrap_or_default();
    let count = |kind| find(stbl, kind).and_then(|table| table.get(8..12));
    [b"stsz", b"stz2"].into_iter().filter_map(count).any(|count| count != [0; 4])
}

fn codec_name(kind: FourCc) -> String {
    match &kind {
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => "H.265 (HEVC)".into(),
        b"av01" => "AV1".into(),
        b"vp08" => "VP8".into(),
        b"vp09" => "VP9".into(),
        b"mp4v" => "MPEG-4 part 2".into(),
        b"s263" => "H.263".into(),
        b"vc-1" => "VC-1".into(),
        b"jpeg" | b"mjpa" | b"mjpb" => "Motion JPEG".into(),
        b"png " => "pictures as PNG".into(),
        b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => "ProRes".into(),
        other => format!("'{}'", other.escape_ascii()),
    }
}

/// `avcC` (ISO/IEC 14496-15 §5.3.3.1): how NAL units are told apart, and SPS and PPS.
fn avc_configuration(avcc: &[u8]) -> Option<SampleDescription> {
    let mut fields = ByteReader(avcc);
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
    Some(SampleDescription {
        framing: NalFraming::LengthPrefixed(length_bytes),
        parameter_sets: sets,
    })
}

/// `mdhd`: ticks a second; never zero.
fn timescale(trak: &[u8]) -> Option<u32> {
    let mut mdhd = ByteReader(find_path(trak, &[b"mdia", b"mdhd"])?);
    let (version, _) = mdhd.version_and_flags()?;
    mdhd.bytes(if version == 1 { 16 } else { 8 })?;
    mdhd.u32().filter(|&t| t > 0)
}

fn track_id(trak: &[u8]) -> Option<u32> {
    let mut tkhd = ByteReader(find(trak, b"tkhd")?);
    let (version, _) = tkhd.version_and_flags()?;
    tkhd.bytes(if version == 1 { 16 } else { 8 })?;
    tkhd.u32()
}

fn fragment_defaults(moov: &[u8], id: u32) -> Option<FragmentDefaults> {
    boxes(find(moov, b"mvex")?).filter(|(kind, _)| kind == b"trex").find_map(|(_, body)| {
        let mut trex = ByteReader(body);
        trex.version_and_flags()?;
        if trex.u32()? != id {
            return None;
        }
        Some(FragmentDefaults {
            description_index: sample_table::description_index(trex.u32()?),
            duration: trex.u32()?,
            size: trex.u32()?,
            flags: trex.u32()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_is_cut_short_is_none() {
        let whole = [1, 66, 0, 30, 0xff, 0xe1, 0, 2, 0x67, 1, 1, 0, 1, 0x68];
        let description = avc_configuration(&whole).unwrap();
        assert_eq!(description.framing, NalFraming::LengthPrefixed(4));
        assert_eq!(description.parameter_sets, [&[0x67, 1][..], &[0x68]]);
        for len in 0..whole.len() {
            assert!(avc_configuration(&whole[..len]).is_none(), "{len}");
        }
    }
}
