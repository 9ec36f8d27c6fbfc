//! A clip of the user's own, played again and again: `source = "file:clip.mp4"`.
//!
//! In comes an MP4 or MOV file, fragmented or not, or a raw H.264 stream; out come its coded
//! pictures as they are, each when its own timestamps say it is due, without a break where the
//! clip begins anew. Sound and other tracks are left out.
//!
//! What is shown is what a player shows: the parts that the edit list names, upright, in the shape
//! that its pixels have. Where the coded pictures cannot be sent as they are
//! ([`Plan::hindrance`](clip::Plan::hindrance) lists why: B-frames, a cut between key pictures, a
//! turn, …), and where the configuration asks for changes, they are decoded and come out as raw
//! frames, to be encoded afresh. What cannot be played is refused with what was found and what to do
//! about it.
//!
//! One picture is in memory at a time, and an index of 24 bytes for each; a clip may be larger
//! than the memory. A file is untrusted: whatever is in it, reading it is bounded and never
//! panics ([`fuzz`] is the door for the tests of that).

mod annexb;
mod clip;
mod edits;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod index;
mod kind;
mod mp4;
mod pace;
mod parameter_sets;
pub(super) mod picture;
mod player;

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

pub use pace::{Clock, SystemClock};

use super::{Camera, CameraError, Capture, Constraints, Mode};
use clip::{Clip, Plan};
use error::{ClipError, conversion};
use pace::Pacer;
use player::{Delivery, Player};

/// Pictures a second where neither the clip nor the owner names a rate.
const DEFAULT_FPS: f64 = 30.0;

/// What is to come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileMode {
    /// Coded pictures as they are in the file, if that can be; else as [`FileMode::Decode`].
    PassThrough,
    /// Raw frames.
    Decode,
}

/// Plays a clip in a loop.
pub struct FileCamera {
    path: PathBuf,
    mode: FileMode,
    pacer: Pacer,
    /// What was found in the file when it was looked through, and which file that was.
    known: Option<(Version, Arc<Plan>)>,
    player: Option<Player>,
}

/// When one of these is different, a clip has to be looked through again.
#[derive(Clone, Copy, PartialEq)]
struct Version {
    len: u64,
    modified: Option<SystemTime>,
    fallback_fps: f64,
}

impl FileCamera {
    /// The clip at `path`. The file is not touched before [`Camera::open`].
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, mode: FileMode) -> Self {
        Self::with_clock(path, mode, Box::new(SystemClock))
    }

    /// As [`FileCamera::new`], paced by another clock.
    #[must_use]
    pub fn with_clock(path: impl Into<PathBuf>, mode: FileMode, clock: Box<dyn Clock>) -> Self {
        Self { path: path.into(), mode, pacer: Pacer::new(clock), known: None, player: None }
    }

    fn open_clip(&mut self, wanted: &Constraints) -> Result<Clip<File>, CameraError> {
        let metadata = self.look_at_file()?;
        let file = File::open(&self.path).map_err(|e| self.cannot_read(e))?;
        let version = Version {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            fallback_fps: wanted.fps.filter(|f| (0.1..=250.0).contains(f)).unwrap_or(DEFAULT_FPS),
        };
        if let Some((seen, plan)) = &self.known
            && *seen == version
        {
            return Ok(Clip::reopen(file, Arc::clone(plan)));
        }
        let clip = Clip::open(file, version.fallback_fps).map_err(|e| self.refusal(e))?;
        self.tell_owner(clip.plan());
        self.known = Some((version, Arc::clone(clip.plan())));
        Ok(clip)
    }

    /// Opening a pipe or a device could block for ever, so that only a plain file is opened.
    fn look_at_file(&self) -> Result<Metadata, CameraError> {
        let path = self.path.display();
        let metadata = std::fs::metadata(&self.path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => CameraError::NotFound(format!(
                "there is no file {path}: check the name after \"file:\" in the camera's source"
            )),
            _ => self.cannot_read(e),
        })?;
        if metadata.is_dir() {
            return Err(CameraError::Unsupported(format!(
                "{path} is a directory: name one clip in it, such as file:{path}/clip.mp4"
            )));
        }
        if !metadata.is_file() {
            return Err(CameraError::Unsupported(format!(
                "{path} is not a plain file: name an MP4, MOV or .h264 file"
            )));
        }
        Ok(metadata)
    }

    fn tell_owner(&self, plan: &Plan) {
        let path = self.path.display();
        if plan.missing() > 0 {
            log::warn!(
                "{path} is cut short: {} missing at its end, the {} before that are played",
                match plan.missing() {
                    1 => "a picture is".to_owned(),
                    n => format!("{n} pictures are"),
                },
                plan.samples().len()
            );
        }
        if plan.edits_ignored {
            log::warn!("{path} has an edit list that leaves nothing of it; all of it is played");
        }
        if plan.showing().slanted {
            log::warn!("{path} asks to be turned by an angle that is none of the four: it is not");
        }
        if self.mode == FileMode::PassThrough
            && let Some(why) = plan.hindrance()
        {
            log::info!(
                "{path} {why}: it is decoded and encoded afresh, which costs CPU; to do that once \
                 and for all: {}",
                conversion(&self.path)
            );
        }
    }

    fn cannot_read(&self, source: std::io::Error) -> CameraError {
        CameraError::Io { what: format!("cannot read {}", self.path.display()), why: source }
    }

    /// Why the clip cannot be played.
    fn refusal(&self, error: ClipError) -> CameraError {
        match error {
            ClipError::Io(source) => self.cannot_read(source),
            error => CameraError::Unsupported(self.explained(&error)),
        }
    }

    /// What is wrong with the clip, and what to do about it.
    fn explained(&self, error: &ClipError) -> String {
        let path = self.path.display();
        if error.can_be_converted() {
            return format!("{path}: {error}; to convert it: {}", conversion(&self.path));
        }
        format!("{path}: {error}")
    }

    /// Why the clip cannot be played any longer.
    fn loss(&self, error: ClipError) -> CameraError {
        let path = self.path.display();
        CameraError::Lost(match error {
            ClipError::Io(e) if e.kind() == ErrorKind::UnexpectedEof => {
                format!("{path} became shorter while it was played")
            }
            error => self.explained(&error),
        })
    }
}

impl Camera for FileCamera {
    fn open(&mut self, wanted: &Constraints) -> Result<Mode, CameraError> {
        self.player = None;
        let clip = self.open_clip(wanted)?;
        let plan = Arc::clone(clip.plan());
        let delivery = match (self.mode, plan.hindrance()) {
            (FileMode::PassThrough, None) => Delivery::AsItIs,
            _ => Delivery::Decoded,
        };
        let player = Player::new(clip, delivery).map_err(|e| self.refusal(e))?;
        let (width, height) = player.size();
        self.player = Some(player);
        self.pacer.restart(plan.line.fps);
        Ok(Mode { width, height, fps: plan.line.fps })
    }

    fn capture(&mut self) -> Result<Capture, CameraError> {
        let Some(player) = &mut self.player else {
            return Err(CameraError::Lost("the clip is not open".into()));
        };
        let captured = player.next(&mut self.pacer);
        captured.map_err(|e| self.loss(e))
    }

    fn stop(&mut self) {
        self.player = None;
    }
}
