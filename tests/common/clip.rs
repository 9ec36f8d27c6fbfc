//! Clips that ffmpeg makes in a folder of the test's own, played here and in ffmpeg.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use picket::camera::{Camera, CameraError, Capture, CaptureMode, Constraints, Mode};
use picket::media::{Frame, MediaTime};
use picket::testing::camera::file::{FileCamera, PlaybackClock};
use picket::testing::decoder::Decoder;

/// A folder that is gone when the test is over.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("picket-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Runs ffmpeg in the folder; `arguments` are divided at spaces, except in `'…'`.
    pub fn ffmpeg(&self, arguments: &str) {
        let line = format!("ffmpeg -nostdin -v error -y {arguments}");
        let out = self.sh(&line);
        assert!(out.status.success(), "{line}\n{}", String::from_utf8_lossy(&out.stderr));
    }

    /// Runs a line of a shell in the folder.
    pub fn sh(&self, line: &str) -> Output {
        Command::new("sh").args(["-c", line]).current_dir(&self.0).output().expect("a shell")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Sides of the grid on which pictures are compared.
pub const GRID: usize = 8;

/// The brightness of the pictures that ffmpeg shows: of each square of a grid, in limited range.
pub fn as_ffmpeg_shows(clip: &Path) -> Vec<[u8; GRID * GRID]> {
    let filter = format!(
        "scale=trunc(iw*sar/2)*2:trunc(ih/2)*2:out_range=tv,scale={GRID}:{GRID}:flags=area,\
         format=yuv420p"
    );
    let out = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(clip)
        .args(["-map", "0:v:0", "-vf", &filter, "-vsync", "passthrough"])
        .args(["-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let pictures = out.stdout.chunks_exact(GRID * GRID * 3 / 2);
    pictures.map(|picture| picture[..GRID * GRID].try_into().expect("a grid")).collect()
}

/// When each picture is shown in ffmpeg, in milliseconds from the first.
pub fn times_in_ffmpeg(clip: &Path) -> Vec<f64> {
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries"])
        .args(["frame=best_effort_timestamp_time", "-of", "csv=p=0"])
        .arg(clip)
        .output()
        .expect("ffprobe");
    let text = String::from_utf8_lossy(&out.stdout);
    let times = text.lines().filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok());
    let times: Vec<f64> = times.map(|seconds| seconds * 1e3).collect();
    times.iter().map(|time| time - times[0]).collect()
}

/// A clock that moves only when somebody waits for it.
#[derive(Clone, Default)]
pub struct FakeClock(Arc<AtomicU64>);

impl PlaybackClock for FakeClock {
    fn now(&self) -> MediaTime {
        MediaTime::from_nanos(self.0.load(Ordering::Relaxed))
    }
    fn sleep_until(&self, moment: MediaTime) {
        self.0.fetch_max(moment.as_nanos(), Ordering::Relaxed);
    }
}

/// A clip being played.
pub struct Played {
    pub mode: Mode,
    /// Whether it was passed through as it is.
    pub passed: bool,
    pub frames: Vec<Frame>,
}

/// Plays so many pictures.
pub fn play(clip: &Path, mode: CaptureMode, count: usize) -> Result<Played, CameraError> {
    let mut camera = FileCamera::with_clock(clip, mode, Box::new(FakeClock::default()));
    let mode = camera.open(&Constraints::default())?;
    let (mut passed, mut frames) = (false, Vec::new());
    let mut decoder = Decoder::new().expect("a decoder");
    let mut units = 0;
    while frames.len() < count && units < count {
        match camera.capture()? {
            Capture::Frame(frame) => frames.push(frame),
            Capture::AccessUnit(unit) => {
                (passed, units) = (true, units + 1);
                frames.extend(decoder.decode(&unit).expect("it decodes"));
            }
            Capture::End => panic!("a clip has no end"),
        }
    }
    frames.extend(decoder.flush());
    frames.truncate(count);
    Ok(Played { mode, passed, frames })
}

/// The brightness of each square of a grid.
pub fn grid(frame: &Frame) -> [u8; GRID * GRID] {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    std::array::from_fn(|square| {
        let (column, row) = (square % GRID, square / GRID);
        let rows = row * height / GRID..(row + 1) * height / GRID;
        let columns = column * width / GRID..(column + 1) * width / GRID;
        let (mut sum, mut count) = (0, 0);
        for y in rows {
            let line = &frame.plane(0)[y * frame.stride(0)..];
            sum += line[columns.clone()].iter().map(|&b| u64::from(b)).sum::<u64>();
            count += columns.len() as u64;
        }
        (sum / count.max(1)) as u8
    })
}

pub fn assert_alike(name: &str, place: usize, ours: &[u8], theirs: &[u8]) {
    let worst = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst < Some(10), "{name}: picture {place}\n{ours:?}\n{theirs:?}");
}

/// Plays a clip in both ways and compares it with what ffmpeg shows, over the point
/// where it starts again. Returns whether it is passed through as it is.
pub fn plays_as_in_ffmpeg(clip: &Path) -> bool {
    plays_as(clip, clip)
}

/// Plays a clip in both ways and compares it with what ffmpeg shows of another.
pub fn plays_as(clip: &Path, other: &Path) -> bool {
    let name = clip.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (wanted, times) = (as_ffmpeg_shows(other), times_in_ffmpeg(other));
    assert!(!wanted.is_empty(), "{name}: ffmpeg shows nothing");
    assert_eq!(wanted.len(), times.len(), "{name}: ffmpeg contradicts itself");
    let mut passed = false;
    for mode in [CaptureMode::PassThrough, CaptureMode::Decode] {
        let played = play(clip, mode, wanted.len() + 3).unwrap_or_else(|e| panic!("{e}"));
        passed |= played.passed;
        let fits = (played.mode.width, played.mode.height);
        assert_eq!((played.frames[0].width(), played.frames[0].height()), fits, "{name}");
        assert_eq!(played.frames.len(), wanted.len() + 3, "{name}");
        for (i, frame) in played.frames.iter().enumerate() {
            assert_alike(&name, i, &grid(frame), &wanted[i % wanted.len()]);
        }
        let first = played.frames[0].time();
        for (i, (frame, time)) in played.frames.iter().zip(&times).enumerate() {
            let ours = frame.time().since(first).as_secs_f64() * 1e3;
            assert!((ours - time).abs() < 2.0, "{name}: picture {i} at {ours}, not {time} ms");
        }
    }
    passed
}

/// A source of pictures of which each is another.
pub const SOURCE: &str = "-f lavfi -i testsrc=s=160x120:r=25:d=1.6";

/// The place of a box's contents, and its length.
pub fn find_box(bytes: &[u8], kind: &[u8; 4]) -> (usize, usize) {
    let at = bytes.windows(4).position(|w| w == kind).expect("the box is there");
    let size = u32::from_be_bytes(bytes[at - 4..at].try_into().expect("four bytes"));
    (at + 4, size as usize - 8)
}
