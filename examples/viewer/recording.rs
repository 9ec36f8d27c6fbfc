//! From pictures to a file.

use std::fmt;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use picket::media::h264::{NalType, SpsInfo};
use shiguredo_mp4::boxes::{Avc1Box, AvccBox, SampleEntry, VisualSampleEntryFields};
use shiguredo_mp4::mux::{Mp4FileMuxer, Sample};
use shiguredo_mp4::{TrackKind, Uint};

use super::connection::CLOCK_RATE;
use super::pictures::{Picture, nals};

/// A file being written.
pub struct Recording {
    format: Format,
    pictures: u64,
    /// From the first picture to the latest, in RTP time.
    length: u64,
    latest: Option<u32>,
}

enum Format {
    /// The pictures as they are, one after the other. Has no times; can be cut anywhere.
    AnnexB(Box<dyn Write>),
    Mp4(Box<Mp4>),
}

/// What was saved.
#[derive(Debug)]
pub struct Saved {
    pictures: u64,
    length: Duration,
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pictures, {:.1} s", self.pictures, self.length.as_secs_f64())
    }
}

impl Recording {
    /// A file in the format its name asks for.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let create =
            || File::create(path).with_context(|| format!("cannot write {}", path.display()));
        let format = match path.extension().and_then(|e| e.to_str()) {
            _ if path == Path::new("-") => Format::AnnexB(Box::new(std::io::stdout())),
            Some("h264" | "264") => Format::AnnexB(Box::new(create()?)),
            Some("mp4") => Format::Mp4(Box::new(Mp4::new(create()?)?)),
            _ => bail!("{}: the name must end in .mp4 or .h264", path.display()),
        };
        Ok(Self { format, pictures: 0, length: 0, latest: None })
    }

    pub fn write(&mut self, picture: &Picture) -> anyhow::Result<()> {
        // RTP time wraps around every 13 hours; differences do not mind.
        let since_latest = picture.time.wrapping_sub(self.latest.unwrap_or(picture.time));
        let written = match &mut self.format {
            Format::AnnexB(out) => out.write_all(&picture.data).map_err(Into::into),
            Format::Mp4(mp4) => mp4.write(picture, since_latest),
        };
        written.context("cannot save the picture")?;
        self.latest = Some(picture.time);
        self.length += u64::from(since_latest);
        self.pictures += 1;
        Ok(())
    }

    /// From the first picture to the latest.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.length as f64 / f64::from(CLOCK_RATE))
    }

    pub fn finish(mut self) -> anyhow::Result<Saved> {
        match &mut self.format {
            Format::AnnexB(out) => out.flush()?,
            Format::Mp4(mp4) => mp4.finish().context("cannot finish the file")?,
        }
        Ok(Saved { pictures: self.pictures, length: self.length() })
    }
}

/// An MP4 file with one video track (ISO/IEC 14496-12, -15). Pictures go to the file as they
/// come; the table of contents follows at the end, and without it the file cannot be played.
struct Mp4 {
    file: File,
    muxer: Mp4FileMuxer,
    /// Where the next picture goes.
    position: u64,
    /// Written, but not yet in the table: how long it is shown is known when the next one comes.
    pending: Option<Sample>,
}

const TIMESCALE: NonZeroU32 = NonZeroU32::new(CLOCK_RATE).expect("not zero");

/// How long the last picture is shown when it is the only one.
const ONE_PICTURE: u32 = CLOCK_RATE / 30;

impl Mp4 {
    fn new(mut file: File) -> anyhow::Result<Self> {
        let muxer = Mp4FileMuxer::new()?;
        let head = muxer.initial_boxes_bytes();
        file.write_all(head)?;
        let position = head.len() as u64;
        Ok(Self { file, muxer, position, pending: None })
    }

    fn write(&mut self, picture: &Picture, since_latest: u32) -> anyhow::Result<()> {
        if let Some(previous) = self.pending.take() {
            self.muxer.append_sample(&Sample { duration: since_latest, ..previous })?;
        }
        // MP4 has lengths where a byte stream has start codes (ISO/IEC 14496-15 §5.3.2).
        let mut data = Vec::with_capacity(picture.data.len() + 16);
        for nal in nals(&picture.data) {
            data.extend_from_slice(&u32::try_from(nal.len())?.to_be_bytes());
            data.extend_from_slice(nal);
        }
        self.file.write_all(&data)?;
        self.pending = Some(Sample {
            track_kind: TrackKind::Video,
            sample_entry: picture.key.then(|| description(&picture.data)).transpose()?,
            keyframe: picture.key,
            timescale: TIMESCALE,
            duration: ONE_PICTURE,
            composition_time_offset: None,
            data_offset: self.position,
            data_size: data.len(),
        });
        self.position += data.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        if let Some(last) = self.pending.take() {
            self.muxer.append_sample(&last)?;
        }
        for (offset, bytes) in self.muxer.finalize()?.offset_and_bytes_pairs() {
            self.file.seek(SeekFrom::Start(offset))?;
            self.file.write_all(bytes)?;
        }
        Ok(())
    }
}

/// What a player must know before it sees the first picture, from the parameter sets of a key
/// picture.
fn description(key_picture: &[u8]) -> anyhow::Result<SampleEntry> {
    let all = |wanted| -> Vec<Vec<u8>> {
        nals(key_picture).filter(|n| NalType::of(n) == wanted).map(Into::into).collect()
    };
    let sps_list = all(NalType::Sps);
    let sps = SpsInfo::parse(sps_list.first().context("a key picture without an SPS")?)?;
    // WebRTC knows nothing but 4:2:0 with 8 bits; baseline and main have no place to say so.
    let says_chroma = !matches!(sps.profile_level.profile_idc, 66 | 77 | 88);
    Ok(SampleEntry::Avc1(Avc1Box {
        visual: VisualSampleEntryFields {
            data_reference_index: VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
            width: sps.width.try_into()?,
            height: sps.height.try_into()?,
            horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
            vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
            frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
            compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
            depth: VisualSampleEntryFields::DEFAULT_DEPTH,
        },
        avcc_box: AvccBox {
            avc_profile_indication: sps.profile_level.profile_idc,
            profile_compatibility: sps.profile_level.constraints,
            avc_level_indication: sps.profile_level.level_idc,
            length_size_minus_one: Uint::new(3),
            sps_list,
            pps_list: all(NalType::Pps),
            chroma_format: says_chroma.then(|| Uint::new(1)),
            bit_depth_luma_minus8: says_chroma.then(|| Uint::new(0)),
            bit_depth_chroma_minus8: says_chroma.then(|| Uint::new(0)),
            sps_ext_list: Vec::new(),
        },
        unknown_boxes: Vec::new(),
    }))
}
