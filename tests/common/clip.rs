//! Clips that ffmpeg makes in a folder of the test's own, and what ffmpeg shows of a clip.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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
