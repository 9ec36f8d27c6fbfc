//! A clip that can be played: its index checked, its access units read one by one.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::error::ClipError;
use super::file_type::{FileType, detect};
use super::index::{Index, Presentation, Sample, SampleDescription, Timeline};
use super::nal_framing::NalFraming;
use super::parameter_sets::{AccessUnitKind, ActiveParameterSets};
use super::{annexb, edit_list, mp4};
use crate::camera::picture_detector::{NalRole, PictureDetector};
use crate::media::h264::{SpsInfo, nal_ranges};

/// So many samples that may be key frames are looked at to find the first that is one.
const MAX_KEY_FRAME_CANDIDATES: usize = 1000;
/// So many samples are looked at to see whether the stream reorders.
const MAX_ORDER_CHECKS: usize = 100;

/// What is known of a clip once it was examined. Kept while the clip is closed: examining a raw stream
/// takes as long as reading it.
#[derive(Debug)]
pub(super) struct ClipInfo {
    index: Index,
    pub timeline: Timeline,
    pub sps: SpsInfo,
    /// Whether its edit list was unusable.
    pub edit_list_ignored: bool,
}

/// A picture that is shown for longer is repeated meanwhile, which takes an encoder: the pipeline and
/// viewers would take the silence for a lost camera.
pub(super) const REPEAT_AFTER: Duration = Duration::from_secs(1);

impl ClipInfo {
    /// The samples that are played, in decoding order; the first is a key frame.
    pub fn samples(&self) -> &[Sample] {
        &self.index.samples
    }

    /// Samples that are listed in the index, but which the file ends before.
    pub fn missing(&self) -> usize {
        self.index.missing
    }

    /// How the container wants the pictures presented.
    pub fn presentation(&self) -> &Presentation {
        &self.index.presentation
    }

    /// Whether black is 0 and white 255. What the stream itself says comes first, as in other
    /// players: its encoder knew.
    pub fn full_range(&self) -> bool {
        self.sps.full_range.or(self.index.presentation.full_range).unwrap_or(false)
    }

    /// The size at which the picture has square pixels: as high as it is coded, unless that would
    /// make it wider than anybody needs.
    pub fn square_size(&self) -> (u32, u32) {
        let SpsInfo { width, height, pixel_aspect, .. } = self.sps;
        // What the container says comes first here (ISO/IEC 14496-12 §12.1.4.1).
        let Some((w, h)) = self.index.presentation.pixel_aspect.or(pixel_aspect) else {
            return (width, height);
        };
        let stretch = f64::from(w) / f64::from(h);
        // Less cannot be seen, and more cannot be meant.
        if (0.98..1.02).contains(&stretch) || !(0.1..10.0).contains(&stretch) {
            return (width, height);
        }
        let even = |side: f64| ((side / 2.0).round() as u32 * 2).max(2);
        let stretched = even(f64::from(width) * stretch);
        if stretched > width.max(1920) {
            return (width & !1, even(f64::from(height) / stretch));
        }
        (stretched, height & !1)
    }

    /// Why the access units cannot be passed through as they are, if they cannot.
    pub fn why_not_pass_through(&self) -> Option<&'static str> {
        let shown = self.samples().iter().all(|s| s.shown);
        let signalled = self.sps.full_range.unwrap_or(false) == self.full_range();
        let square = self.square_size() == (self.sps.width, self.sps.height);
        let reorders = self.index.reorders();
        let turned = self.presentation().orientation != <_>::default();
        let silent = self.timeline.longest_sample > REPEAT_AFTER.as_nanos() as u64;
        let all = [
            (!shown, "is cut between key frames, so that others are needed than are shown"),
            (reorders, "has B-frames, which WebRTC cannot carry"),
            (turned, "asks to be shown turned or mirrored"),
            (!square, "has pixels that are not square"),
            (!signalled, "has another range of brightness than its video says"),
            (silent, "shows a picture for longer than a second"),
        ];
        all.into_iter().find(|(is, _)| *is).map(|(_, why)| why)
    }
}

/// An open clip.
pub(super) struct Clip<R> {
    file: R,
    info: Arc<ClipInfo>,
    parameter_sets: ActiveParameterSets,
    /// The sample description those are of.
    description_index: u8,
}

impl<R: Read + Seek> Clip<R> {
    /// Examines the file. `fallback_fps` is the rate where the file names none.
    pub fn open(mut file: R, fallback_fps: f64) -> Result<Self, ClipError> {
        let mut buffered = BufReader::new(&mut file);
        let head = head(&mut buffered)?;
        let index = match detect(&head) {
            FileType::Mp4 => mp4::read_index(&mut buffered)?,
            FileType::ByteStream => annexb::read_index(&mut buffered)?,
            FileType::Empty => return Err(ClipError::Empty),
            FileType::OtherVideo(name) => return Err(ClipError::OtherVideo(name)),
            FileType::Other(name) => return Err(ClipError::NotAClip(name)),
        };
        Self::examine(file, index, fallback_fps)
    }

    /// The same clip again.
    pub fn reopen(file: R, info: Arc<ClipInfo>) -> Self {
        let parameter_sets = ActiveParameterSets::default();
        let mut clip = Self { file, info, parameter_sets, description_index: 0 };
        clip.use_description(0);
        clip
    }

    pub fn info(&self) -> &Arc<ClipInfo> {
        &self.info
    }

    /// The access unit at `place` in the clip as a byte stream. A key frame comes with parameter sets.
    pub fn read(&mut self, place: usize) -> Result<Bytes, ClipError> {
        let sample = self.info.samples().get(place);
        let sample = *sample.ok_or(ClipError::NoPictures)?;
        let bytes = read_sample(&mut self.file, &sample)?;
        // Those from the end of the clip are no longer active at its beginning.
        if place == 0 || sample.description_index != self.description_index {
            self.use_description(sample.description_index);
        }
        let framing = self.info.index.framing(sample.description_index);
        Ok(self.parameter_sets.byte_stream(&bytes, framing))
    }

    fn use_description(&mut self, description_index: u8) {
        self.parameter_sets = self.info.index.parameter_sets(description_index);
        self.description_index = description_index;
    }

    fn examine(mut file: R, mut index: Index, fallback_fps: f64) -> Result<Self, ClipError> {
        let (start, sets) = find_key_frame(&mut file, &index)?;
        let sps = sets.sps()?;
        let description_index = index.samples.get(start).map_or(0, |s| s.description_index);
        if let Some(description) = index.descriptions.get_mut(usize::from(description_index)) {
            description.parameter_sets = sets.into_vec();
        }
        index.samples.drain(..start);
        for used in index.used_descriptions() {
            // Those that come with the samples are checked when they come.
            if let Ok(sps) = index.parameter_sets(used).sps() {
                check_sps(&sps)?;
            }
        }
        let edited = !index.presentation.edit_list.is_empty();
        let descriptions = index.descriptions.clone();
        let edit_list_ignored = edited
            && !edit_list::apply(&mut index, |samples, place| {
                key_frame_before(&mut file, &descriptions, samples, place)
            })?;
        let timeline = index.timeline(fallback_fps);
        let info = Arc::new(ClipInfo { index, timeline, sps, edit_list_ignored });
        let mut clip = Self::reopen(file, info);
        if sps.may_reorder && !clip.info.index.reorders() && clip.is_reordered()? {
            return Err(ClipError::NoOutputOrder);
        }
        let Self { file, info, .. } = clip;
        Ok(Self::reopen(file, info))
    }

    /// Whether the slices say that pictures are output in another order than they are decoded in.
    fn is_reordered(&mut self) -> Result<bool, ClipError> {
        let mut detector = PictureDetector::default();
        let mut latest = i64::MIN;
        for place in 0..self.info.samples().len().min(MAX_ORDER_CHECKS) {
            let unit = self.read(place)?;
            for nal in nal_ranges(&unit) {
                if let NalRole::FirstSlice(picture) = detector.take(&unit[nal]) {
                    if picture.output_rank < latest {
                        return Ok(true);
                    }
                    latest = picture.output_rank;
                }
            }
        }
        Ok(false)
    }
}

/// Refuses what browsers do not decode.
fn check_sps(sps: &SpsInfo) -> Result<(), ClipError> {
    if sps.interlaced {
        return Err(ClipError::Interlaced);
    }
    if !sps.is_420_8bit {
        return Err(ClipError::ChromaFormat);
    }
    Ok(())
}

/// The place of the first IDR picture, and the parameter sets that are active there.
///
/// The container marks sync samples, but among them are recovery points, from which only a patient
/// decoder recovers (H.264 §D.2.8), and the mark itself may be wrong.
fn find_key_frame<R: Read + Seek>(
    file: &mut R,
    index: &Index,
) -> Result<(usize, ActiveParameterSets), ClipError> {
    let trust_marks = index.samples.iter().any(|s| s.sync);
    let places = index.samples.iter().enumerate();
    let candidates = places.filter(|(_, s)| s.sync || !trust_marks);
    let mut sets: Option<(u8, ActiveParameterSets)> = None;
    for (place, sample) in candidates.take(MAX_KEY_FRAME_CANDIDATES) {
        let description_index = sample.description_index;
        let (_, active) = match sets.take() {
            Some(same) if same.0 == description_index => sets.insert(same),
            _ => sets.insert((description_index, index.parameter_sets(description_index))),
        };
        let bytes = read_sample(file, sample)?;
        let framing = index.framing(description_index);
        if active.learn(&bytes, framing) == AccessUnitKind::KeyFrame {
            let sets = sets.map(|(_, sets)| sets).unwrap_or_default();
            return Ok((place, sets));
        }
    }
    Err(ClipError::NoKeyFrame)
}

/// The place of the nearest IDR picture at or before `place`; without one that is marked, the
/// first sample, which is one.
fn key_frame_before<R: Read + Seek>(
    file: &mut R,
    descriptions: &[SampleDescription],
    samples: &[Sample],
    place: usize,
) -> Result<Option<usize>, ClipError> {
    let candidates = (1..=place.min(samples.len().saturating_sub(1))).rev();
    let candidates = candidates.filter(|&i| samples[i].sync);
    for i in candidates.take(MAX_KEY_FRAME_CANDIDATES) {
        let sample = &samples[i];
        let description = descriptions.get(usize::from(sample.description_index));
        let bytes = read_sample(file, sample)?;
        let framing = description.map_or(NalFraming::AnnexB, |d| d.framing);
        if ActiveParameterSets::default().learn(&bytes, framing) == AccessUnitKind::KeyFrame {
            return Ok(Some(i));
        }
    }
    Ok((!samples.is_empty()).then_some(0))
}

fn read_sample<R: Read + Seek>(file: &mut R, sample: &Sample) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; sample.size as usize];
    file.seek(SeekFrom::Start(sample.offset))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn head<R: Read + Seek>(file: &mut R) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(512).read_to_end(&mut head)?;
    Ok(head)
}
