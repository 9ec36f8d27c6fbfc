//! A clip that can be played: its index checked, its pictures read one by one.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;

use super::error::ClipError;
use super::index::{Index, Sample, Timeline};
use super::kind::{Kind, kind_of};
use super::parameter_sets::{Contents, Sets};
use super::picture::{Pictures, Role};
use super::{annexb, mp4};
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
}

impl Plan {
    /// The pictures that are played, in coding order; the first is a key picture.
    pub fn samples(&self) -> &[Sample] {
        &self.index.samples
    }

    /// Whether some picture is shown before one that is coded earlier.
    pub fn reorders(&self) -> bool {
        self.index.reorders()
    }

    /// Pictures that are listed in the index, but which the file ends before.
    pub fn missing(&self) -> usize {
        self.index.missing
    }

    /// By how many degrees clockwise players are asked to turn the picture.
    pub fn turned(&self) -> u16 {
        self.index.turned
    }
}

/// An open clip.
pub(super) struct Clip<R> {
    file: R,
    plan: Arc<Plan>,
    parameter_sets: Sets,
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
            Kind::Other(name) => return Err(ClipError::NotAClip(name)),
        };
        Self::look_through(file, index, fallback_fps)
    }

    /// The same clip again.
    pub fn reopen(file: R, plan: Arc<Plan>) -> Self {
        let parameter_sets = Sets::of(&plan.index.parameter_sets);
        Self { file, plan, parameter_sets }
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
        if place == 0 {
            // Those from the end of the clip are no longer in force.
            self.parameter_sets = Sets::of(&self.plan.index.parameter_sets);
        }
        Ok(self.parameter_sets.complete(&bytes, self.plan.index.framing))
    }

    fn look_through(mut file: R, mut index: Index, fallback_fps: f64) -> Result<Self, ClipError> {
        let mut sets = Sets::of(&index.parameter_sets);
        let start = find_key_picture(&mut file, &index, &mut sets)?;
        let sps = sets.sps()?;
        if sps.interlaced {
            return Err(ClipError::Interlaced);
        }
        if !sps.is_420_8bit {
            return Err(ClipError::Colour);
        }
        index.parameter_sets = sets.into_vec();
        let line = index.timeline(start, fallback_fps);
        let mut clip = Self::reopen(file, Arc::new(Plan { index, line, sps }));
        if sps.may_reorder && !clip.plan.reorders() && clip.codes_out_of_order()? {
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

/// The place of the first IDR picture. Meanwhile `sets` learns the parameter sets up to there.
///
/// The container marks pictures at which decoding can begin, but among them are recovery points,
/// at which only a patient decoder can (H.264 §D.2.8), and the mark itself may be wrong.
fn find_key_picture<R: Read + Seek>(
    file: &mut R,
    index: &Index,
    sets: &mut Sets,
) -> Result<usize, ClipError> {
    let trust_marks = index.samples.iter().any(|s| s.sync);
    let places = index.samples.iter().enumerate();
    let candidates = places.filter(|(_, s)| s.sync || !trust_marks);
    for (place, sample) in candidates.take(KEY_SEARCH) {
        let bytes = read_sample(file, sample)?;
        if sets.learn(&bytes, index.framing) == Contents::KeyPicture {
            return Ok(place);
        }
    }
    Err(ClipError::NoKeyPicture)
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
