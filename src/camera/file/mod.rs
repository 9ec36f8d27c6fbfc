//! A clip of the user's own, played in a loop: `source = "file:clip.mp4"`.
//!
//! In comes an MP4 or MOV file, fragmented or not, or a raw H.264 byte stream; out come its access units
//! as they are, each when its own timestamps say it is due, without a break where the clip starts
//! again. Sound and other tracks are left out.
//!
//! What is shown is what a player shows: the parts that the edit list names, upright, in the shape
//! that its pixels have. Where the access units cannot be passed through as they are
//! ([`why_not_pass_through`](clip::ClipInfo::why_not_pass_through): B-frames, a cut between key frames,
//! a rotation, …), and where the configuration asks for changes, they are decoded and come out as
//! frames, to be encoded again. What cannot be played is refused with what was found and what to do
//! about it.
//!
//! One access unit is in memory at a time, and an index of 24 bytes for each; a clip may be larger than
//! the memory. A file is untrusted: whatever is in it, reading it is bounded and never panics
//! ([`fuzz`] is the entry point for the tests of that).

mod annexb;
mod clip;
mod edit_list;
mod error;
mod file_type;
#[cfg(any(fuzzing, feature = "testing"))]
pub mod fuzz;
mod index;
mod limits;
mod mp4;
mod nal_framing;
mod pacer;
mod parameter_sets;
mod player;

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

pub use pacer::PlaybackClock;

use super::{Camera, CameraError, Capture, CaptureMode, Constraints, Mode};
use clip::{Clip, ClipInfo};
use error::{ClipError, conversion_command};
use pacer::{MonotonicClock, Pacer};
use player::Player;

/// Pictures a second where neither the clip nor the owner names a rate.
const DEFAULT_FPS: f64 = 30.0;

/// Plays a clip in a loop.
pub struct FileCamera {
    path: PathBuf,
    capture_mode: CaptureMode,
    pacer: Pacer,
    /// What was found in the file when it was examined, and in which version of it.
    examined: Option<(FileVersion, Arc<ClipInfo>)>,
    player: Option<Player>,
}

/// When one of these is different, a clip has to be examined again.
#[derive(Clone, Copy, PartialEq)]
struct FileVersion {
    len: u64,
    modified: Option<SystemTime>,
    fallback_fps: f64,
}

impl FileCamera {
    /// The clip at `path`. The file is not touched before [`Camera::open`].
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, capture_mode: CaptureMode) -> Self {
        Self::with_clock(path, capture_mode, Box::new(MonotonicClock))
    }

    /// As [`FileCamera::new`], paced by another clock.
    #[must_use]
    pub fn with_clock(
        path: impl Into<PathBuf>,
        capture_mode: CaptureMode,
        clock: Box<dyn PlaybackClock>,
    ) -> Self {
        let pacer = Pacer::new(clock);
        Self { path: path.into(), capture_mode, pacer, examined: None, player: None }
    }

    fn open_clip(&mut self, wanted: &Constraints) -> Result<Clip<File>, CameraError> {
        let metadata = self.check_file()?;
        let file = File::open(&self.path).map_err(|e| self.cannot_read(e))?;
        let version = FileVersion {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            fallback_fps: wanted.fps.filter(|f| (0.1..=250.0).contains(f)).unwrap_or(DEFAULT_FPS),
        };
        if let Some((seen, info)) = &self.examined
            && *seen == version
        {
            return Ok(Clip::reopen(file, Arc::clone(info)));
        }
        let clip = Clip::open(file, version.fallback_fps).map_err(|e| self.cannot_play(e))?;
        self.log_findings(clip.info());
        self.examined = Some((version, Arc::clone(clip.info())));
        Ok(clip)
    }

    /// Opening a pipe or a device could block forever, so that only a plain file is opened.
    fn check_file(&self) -> Result<Metadata, CameraError> {
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

    fn log_findings(&self, info: &ClipInfo) {
        let path = self.path.display();
        if info.missing() > 0 {
            log::warn!(
                "{path} is cut short: {} missing at its end, the {} before that are played",
                match info.missing() {
                    1 => "a picture is".to_owned(),
                    n => format!("{n} pictures are"),
                },
                info.samples().len()
            );
        }
        if info.edit_list_ignored {
            log::warn!("{path} has an edit list that leaves nothing of it; all of it is played");
        }
        if info.presentation().unsupported_rotation {
            log::warn!(
                "{path} asks to be turned by an angle that is not a multiple of 90°; it is not turned"
            );
        }
        if self.capture_mode == CaptureMode::PassThrough
            && let Some(why) = info.why_not_pass_through()
        {
            log::info!(
                "{path} {why}: it is decoded and re-encoded, which costs CPU; to do that once and \
                 for all: {}",
                conversion_command(&self.path)
            );
        }
    }

    fn cannot_read(&self, source: std::io::Error) -> CameraError {
        CameraError::Io { what: format!("cannot read {}", self.path.display()), why: source }
    }

    /// Why the clip cannot be played.
    fn cannot_play(&self, error: ClipError) -> CameraError {
        match error {
            ClipError::Io(source) => self.cannot_read(source),
            error => CameraError::Unsupported(self.explained(&error)),
        }
    }

    /// What is wrong with the clip, and what to do about it.
    fn explained(&self, error: &ClipError) -> String {
        let path = self.path.display();
        if error.is_convertible() {
            return format!("{path}: {error}; to convert it: {}", conversion_command(&self.path));
        }
        format!("{path}: {error}")
    }

    /// Why the clip cannot be played any longer.
    fn lost(&self, error: ClipError) -> CameraError {
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
        let info = Arc::clone(clip.info());
        let capture_mode = match info.why_not_pass_through() {
            None => self.capture_mode,
            Some(_) => CaptureMode::Decode,
        };
        let player = Player::new(clip, capture_mode).map_err(|e| self.cannot_play(e))?;
        let (width, height) = player.size();
        self.player = Some(player);
        self.pacer.restart(info.timeline.fps);
        Ok(Mode { width, height, fps: info.timeline.fps })
    }

    fn capture(&mut self) -> Result<Capture, CameraError> {
        let Some(player) = &mut self.player else {
            return Err(CameraError::Lost("the clip is not open".into()));
        };
        let captured = player.next(&mut self.pacer);
        captured.map_err(|e| self.lost(e))
    }

    fn stop(&mut self) {
        self.player = None;
    }
}
