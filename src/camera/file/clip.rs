//! A clip that can be played: its index checked, its pictures read one by one.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::error::ClipError;
use super::index::{Description, Framing, Index, Sample, Showing, Timeline};
use super::kind::{Kind, kind_of};
use super::parameter_sets::{Contents, Sets};
use super::picture::{Pictures, Role};
use super::{annexb, edits, mp4};
use crate::media::h264::{SpsInfo, nal_ranges};

/// So many pictures that may be key pictures are looked at to find the first that is one.
const KEY_SEARCH: usize = 1000;
/// So many pictures are looked at to see whether the stream reorders.
const ORDER_SEARCH: usize = 100;

/// What is known of a clip once it was looked through. Kept while the clip is closed: looking
/// through a raw stream takes as long as reading it.
#[derive(Debug)]
pub(super) struct Plan {
    index: Index,
    pub line: Timeline,
    pub sps: SpsInfo,
    /// Whether its edit list was of no use.
    pub edits_ignored: bool,
}

/// A picture that stays longer is shown again meanwhile, which takes an encoder: the pipeline and
/// viewers would take the silence for a lost camera.
pub(super) const LONGEST_SILENCE: Duration = Duration::from_secs(1);

impl Plan {
    /// The pictures that are played, in coding order; the first is a key picture.
    pub fn samples(&self) -> &[Sample] {
        &self.index.samples
    }

    /// Pictures that are listed in the index, but which the file ends before.
    pub fn missing(&self) -> usize {
        self.index.missing
    }

    /// What the container asks of whoever shows the pictures.
    pub fn showing(&self) -> &Showing {
        &self.index.showing
    }

    /// Whether black is 0 and white 255. What the stream itself says comes first, as in other
    /// players: its encoder knew.
    pub fn full_range(&self) -> bool {
        self.sps.full_range.or(self.index.showing.full_range).unwrap_or(false)
    }

    /// The size at which the picture has square pixels: as high as it is coded, unless that would
    /// make it wider than anybody needs.
    pub fn square_size(&self) -> (u32, u32) {
        let SpsInfo { width, height, pixel_aspect, .. } = self.sps;
        // What the container says comes first here (ISO/IEC 14496-12 §12.1.4.1).
        let Some((w, h)) = self.index.showing.pixel_aspect.or(pixel_aspect) else {
            return (width, height);
        };
        let stretch = f64::from(w) / f64::from(h);
        // Nobody sees so little, and nobody means so much.
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

    /// Why the coded pictures cannot be sent as they are, if they cannot.
    pub fn hindrance(&self) -> Option<&'static str> {
        let shown = self.samples().iter().all(|s| s.shown);
        let told = self.sps.full_range.unwrap_or(false) == self.full_range();
        let square = self.square_size() == (self.sps.width, self.sps.height);
        let (reorders, turned) = (self.index.reorders(), self.showing().symmetry != <_>::default());
        let silent = self.line.longest_stay > LONGEST_SILENCE.as_nanos() as u64;
        let all = [
            (!shown, "is cut between key pictures, so that others are needed than are shown"),
            (reorders, "has B-frames, which WebRTC cannot carry"),
            (turned, "asks to be shown turned or mirrored"),
            (!square, "has pixels that are not square"),
            (!told, "has another range of brightness than its video says"),
            (silent, "shows a picture for longer than a second"),
        ];
        all.into_iter().find(|(is, _)| *is).map(|(_, why)| why)
    }
}

/// An open clip.
pub(super) struct Clip<R> {
    file: R,
    plan: Arc<Plan>,
    parameter_sets: Sets,
    /// The description those are of.
    description: u8,
}

impl<R: Read + Seek> Clip<R> {
    /// Looks through the file. `fallback_fps` is the rate where the file names none.
    pub fn open(mut file: R, fallback_fps: f64) -> Result<Self, ClipError> {
        let mut buffered = BufReader::new(&mut file);
        let head = head(&mut buffered)?;
        let index = match kind_of(&head) {
            Kind::Mp4 => mp4::read_index(&mut buffered)?,
            Kind::ByteStream => annexb::read_index(&mut buffered)?,
            Kind::Empty => return Err(ClipError::Empty),
            Kind::Video(name) => return Err(ClipError::OtherVideo(name)),
            Kind::Other(name) => return Err(ClipError::NotAClip(name)),
        };
        Self::look_through(file, index, fallback_fps)
    }

    /// The same clip again.
    pub fn reopen(file: R, plan: Arc<Plan>) -> Self {
        let mut clip = Self { file, plan, parameter_sets: Sets::default(), description: 0 };
        clip.describe(0);
        clip
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The coded picture at `place` in the clip as a byte stream. A key picture comes with
    /// parameter sets.
    pub fn read(&mut self, place: usize) -> Result<Bytes, ClipError> {
        let sample = self.plan.samples().get(place);
        let sample = *sample.ok_or(ClipError::NoPictures)?;
        let bytes = read_sample(&mut self.file, &sample)?;
        // Those from the end of the clip are no longer in force at its beginning.
        if place == 0 || sample.description != self.description {
            self.describe(sample.description);
        }
        let framing = self.plan.index.framing(sample.description);
        Ok(self.parameter_sets.complete(&bytes, framing))
    }

    fn describe(&mut self, description: u8) {
        self.parameter_sets = self.plan.index.sets(description);
        self.description = description;
    }

    fn look_through(mut file: R, mut index: Index, fallback_fps: f64) -> Result<Self, ClipError> {
        let (start, sets) = find_key_picture(&mut file, &index)?;
        let sps = sets.sps()?;
        let description = index.samples.get(start).map_or(0, |s| s.description);
        if let Some(described) = index.descriptions.get_mut(usize::from(description)) {
            described.parameter_sets = sets.into_vec();
        }
        index.samples.drain(..start);
        for used in index.used_descriptions() {
            // Those that come with the pictures are looked at when they come.
            if let Ok(sps) = index.sets(used).sps() {
                acceptable(&sps)?;
            }
        }
        let edited = !index.showing.edits.is_empty();
        let descriptions = index.descriptions.clone();
        let edits_ignored = edited
            && !edits::apply(&mut index, |samples, place| {
                key_before(&mut file, &descriptions, samples, place)
            })?;
        let line = index.timeline(fallback_fps);
        let mut clip = Self::reopen(file, Arc::new(Plan { index, line, sps, edits_ignored }));
        if sps.may_reorder && !clip.plan.index.reorders() && clip.codes_out_of_order()? {
            return Err(ClipError::NoShowingOrder);
        }
        let Self { file, plan, .. } = clip;
        Ok(Self::reopen(file, plan))
    }

    /// Whether the slices say that pictures are shown in another order than they are coded in.
    fn codes_out_of_order(&mut self) -> Result<bool, ClipError> {
        let mut pictures = Pictures::default();
        let mut latest = i64::MIN;
        for place in 0..self.plan.samples().len().min(ORDER_SEARCH) {
            let unit = self.read(place)?;
            for nal in nal_ranges(&unit) {
                if let Role::NewPicture(picture) = pictures.take(&unit[nal]) {
                    if picture.rank < latest {
                        return Ok(true);
                    }
                    latest = picture.rank;
                }
            }
        }
        Ok(false)
    }
}

/// Refuses what browsers do not decode.
fn acceptable(sps: &SpsInfo) -> Result<(), ClipError> {
    if sps.interlaced {
        return Err(ClipError::Interlaced);
    }
    if !sps.is_420_8bit {
        return Err(ClipError::Colour);
    }
    Ok(())
}

/// The place of the first IDR picture, and the parameter sets in force there.
///
/// The container marks pictures at which decoding can begin, but among them are recovery points,
/// at which only a patient decoder can (H.264 §D.2.8), and the mark itself may be wrong.
fn find_key_picture<R: Read + Seek>(
    file: &mut R,
    index: &Index,
) -> Result<(usize, Sets), ClipError> {
    let trust_marks = index.samples.iter().any(|s| s.sync);
    let places = index.samples.iter().enumerate();
    let candidates = places.filter(|(_, s)| s.sync || !trust_marks);
    let mut sets: Option<(u8, Sets)> = None;
    for (place, sample) in candidates.take(KEY_SEARCH) {
        let description = sample.description;
        let (_, in_force) = match sets.take() {
            Some(same) if same.0 == description => sets.insert(same),
            _ => sets.insert((description, index.sets(description))),
        };
        let bytes = read_sample(file, sample)?;
        if in_force.learn(&bytes, index.framing(description)) == Contents::KeyPicture {
            let sets = sets.map(|(_, sets)| sets).unwrap_or_default();
            return Ok((place, sets));
        }
    }
    Err(ClipError::NoKeyPicture)
}

/// The place of the nearest IDR picture at or before `place`; without one that is marked, the
/// first picture, which is one.
fn key_before<R: Read + Seek>(
    file: &mut R,
    descriptions: &[Description],
    samples: &[Sample],
    place: usize,
) -> Result<Option<usize>, ClipError> {
    let candidates = (1..=place.min(samples.len().saturating_sub(1))).rev();
    let candidates = candidates.filter(|&i| samples[i].sync);
    for i in candidates.take(KEY_SEARCH) {
        let sample = &samples[i];
        let framing = descriptions.get(usize::from(sample.description)).map(|d| d.framing);
        let bytes = read_sample(file, sample)?;
        let framing = framing.unwrap_or(Framing::StartCodes);
        if Sets::default().learn(&bytes, framing) == Contents::KeyPicture {
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
