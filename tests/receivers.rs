//! WebRTC stacks that share no code with ours play the camera: the `webrtc` crate, aiortc and
//! GStreamer, each by both doors, `/whep` and `/offer`.
//!
//! They decode what they get and read the strip of the test picture back
//! (`src/camera/pattern.rs`), so that what counts is pictures seen, not packets received.
//! `scripts/install-test-tools` installs them. What is missing is skipped, except in CI.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use common::alone;
use common::daemon::{Daemon, PATIENCE, wait_for};
use common::example::example;
use picket::media::h264::{NalType, nal_ranges};
use picket::testing::camera::pattern::read_strip;
use serde_json::{Value, json};

/// How much is watched, by the clock in the picture.
const PLAYED: Duration = Duration::from_secs(5);

/// Small enough for any machine to decode several of.
const PICTURE: [&str; 2] = ["camera.width=640", "camera.height=360"];
const SIZE: (usize, usize) = (640, 360);

const DOORS: [&str; 2] = ["whep", "offer"];

/// Whether `command` can be run with success. If not, says so; in CI that is a failure.
fn installed(what: &str, command: &mut Command) -> bool {
    let output = command.output();
    let reason = match &output {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(e) => e.to_string(),
    };
    let advice = "scripts/install-test-tools installs it";
    assert!(std::env::var_os("CI").is_none(), "no {what}: {reason}; {advice}");
    eprintln!("skipped: no {what}: {reason}; {advice}");
    false
}

/// Pictures sent to a session so far.
fn sent(session: &Value) -> u64 {
    session["stats"]["framesSent"].as_u64().expect("a count")
}

/// At least 95 of 100.
fn enough(seen: u64, of: u64) -> bool {
    seen * 100 >= of * 95
}

/// Stops sending to a session, and tells how many pictures it was sent.
fn pause(daemon: &Daemon, id: &str) -> u64 {
    let path = format!("/api/v1/sessions/{id}");
    ureq::patch(daemon.url(&path)).send_json(json!({ "active": false })).expect("paused");
    sent(&daemon.get_json(&path))
}

/// A picture as its strip describes it: frame number and wall-clock time.
type Stamp = (u32, Duration);

/// Every picture was readable, and each is one after the one before. A camera that was held up
/// may take two within a millisecond.
fn assert_right(stamps: &[Option<Stamp>]) {
    assert!(stamps.iter().all(Option::is_some), "damaged pictures: {stamps:?}");
    let ordered = stamps.windows(2).all(|w| match (w[0], w[1]) {
        (Some((before, then)), Some((after, now))) => before < after && then <= now,
        _ => false,
    });
    assert!(ordered, "pictures out of order: {stamps:?}");
}

/// A viewer that speaks the language of `receivers/protocol.py`.
struct Viewer {
    child: Child,
    orders: ChildStdin,
    says: Receiver<String>,
    /// The session's resource.
    session: String,
    stamps: Vec<Option<Stamp>>,
}

impl Viewer {
    fn start(program: Command, daemon: &Daemon, door: &str) -> Self {
        Self::start_with(program, daemon, door, &[])
    }

    /// Offers these sections.
    fn start_with(mut program: Command, daemon: &Daemon, door: &str, sections: &[&str]) -> Self {
        program.arg(daemon.url("")).arg(door).args(sections);
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the viewer starts");
        let orders = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (lines, says) = channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
        });
        let mut viewer = Self { child, orders, says, session: String::new(), stamps: Vec::new() };
        viewer.session = viewer.hear("session");
        viewer
    }

    fn id(&self) -> &str {
        self.session.rsplit('/').next().expect("a path")
    }

    /// Waits for the line that begins with `word`, taking note of pictures on the way.
    fn hear(&mut self, word: &str) -> String {
        loop {
            let line = self.says.recv_timeout(PATIENCE).expect("the viewer goes on");
            let (first, rest) = line.split_once(' ').unwrap_or((&line, ""));
            if first == "frame" {
                self.stamps.push(stamp(rest));
            }
            if first == word {
                return rest.to_owned();
            }
        }
    }

    /// Watches for [`PLAYED`].
    fn play(&mut self) {
        let spans = |stamps: &[Option<Stamp>]| {
            let mut times = stamps.iter().flatten().map(|(_, time)| *time);
            let first = times.next().unwrap_or_default();
            times.next_back().unwrap_or(first) - first
        };
        while spans(&self.stamps) < PLAYED {
            self.hear("frame");
        }
    }

    /// Waits until enough of the `sent` pictures are decoded.
    fn catch_up(&mut self, sent: u64) {
        while !enough(self.stamps.len() as u64, sent) {
            self.hear("frame");
        }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("the viewer listens");
        self.hear("closed");
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn stamp(words: &str) -> Option<Stamp> {
    let (number, millis) = words.split_once(' ')?;
    Some((number.parse().ok()?, Duration::from_millis(millis.parse().ok()?)))
}

/// Watches with two viewers at once, one by each door; each then ends its session by HTTP, after
/// which the camera has forgotten it.
fn both_doors_play(program: impl Fn() -> Command) {
    let _alone = alone();
    let daemon = Daemon::start(&PICTURE);
    let mut viewers = DOORS.map(|door| Viewer::start(program(), &daemon, door));
    for viewer in &mut viewers {
        viewer.play();
        let sent = pause(&daemon, viewer.id());
        viewer.catch_up(sent);
        assert_right(&viewer.stamps);
    }
    let ids = viewers.each_ref().map(|v| v.id().to_owned());
    for (viewer, id) in viewers.iter_mut().zip(ids) {
        viewer.order("delete");
        let left = daemon.get_json("/api/v1/sessions");
        let left = left.as_array().expect("a list");
        assert!(left.iter().all(|s| s["id"] != id.as_str()), "{id} is still there");
    }
    assert_eq!(daemon.get_json("/api/v1/sessions"), json!([]));
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers").join(name)
}

fn python(interpreter: &Path, name: &str) -> Command {
    let mut command = Command::new(interpreter);
    // -B: leaves no compiled files in the source tree.
    command.arg("-B").arg(script(name));
    command
}

/// aiortc lives in a virtual environment.
fn aiortc() -> Command {
    let venv = std::env::var_os("PICKET_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv"), PathBuf::from);
    python(&venv.join("bin/python"), "aiortc_viewer.py")
}

/// GStreamer's Python side belongs to the system's Python.
fn gstreamer() -> Command {
    python(Path::new("/usr/bin/python3"), "gst_viewer.py")
}

#[test]
fn aiortc_plays() {
    if installed("aiortc", aiortc().arg("--check")) {
        both_doors_play(aiortc);
    }
}

#[test]
fn aiortc_that_asks_for_more_than_video_sees_it() {
    if !installed("aiortc", aiortc().arg("--check")) {
        return;
    }
    let _alone = alone();
    let daemon = Daemon::start(&PICTURE);
    for sections in [&["audio", "video"][..], &["video", "data"], &["audio", "video", "data"]] {
        let mut viewer = Viewer::start_with(aiortc(), &daemon, "whep", sections);
        for _ in 0..5 {
            viewer.hear("frame");
        }
        assert_right(&viewer.stamps);
        viewer.order("delete");
    }
}

#[test]
fn a_viewer_who_leaves_is_no_error_in_the_log() {
    if !installed("aiortc", aiortc().arg("--check")) {
        return;
    }
    let _alone = alone();
    let daemon = Daemon::start(&PICTURE);
    let mut viewer = Viewer::start_with(aiortc(), &daemon, "whep", &["video", "data"]);
    viewer.hear("frame");
    // Its data channel is aborted before it says goodbye.
    viewer.order("close");
    let log = daemon.log_until("0 watching");
    assert!(!log.iter().any(|line| line.contains("ERROR")), "{log:#?}");
}

#[test]
fn gstreamer_plays() {
    if installed("GStreamer with webrtcbin", gstreamer().arg("--check")) {
        both_doors_play(gstreamer);
    }
}

#[test]
fn gstreamer_plays_when_the_camera_begins_the_handshake() {
    if installed("GStreamer with webrtcbin", gstreamer().arg("--check")) {
        both_doors_play(|| {
            let mut command = gstreamer();
            command.arg("--passive");
            command
        });
    }
}

#[test]
fn aiortc_that_only_says_goodbye_is_gone_at_once() {
    if !installed("aiortc", aiortc().arg("--check")) {
        return;
    }
    let _alone = alone();
    let daemon = Daemon::start(&PICTURE);
    let mut viewer = Viewer::start(aiortc(), &daemon, "whep");
    viewer.hear("frame");
    viewer.order("close");
    // "left" is what the log says of a goodbye, "is gone" of a silence.
    daemon.wait_for_log("left, 0 watching");
    daemon.wait_for_sessions("nobody", <[Value]>::is_empty);
}

/// The example `viewer`, as it is now.
fn viewer(daemon: &Daemon, door: &str, file: &Path) -> Command {
    let mut command = example("viewer");
    command.arg(daemon.url("/")).arg(file).args(["--door", door]);
    command
}

/// Decodes a recording with ffmpeg and reads the strip of each picture.
fn stamps_of(file: &Path) -> Vec<Option<Stamp>> {
    let (width, height) = SIZE;
    let decoded = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg runs");
    let complaints = String::from_utf8_lossy(&decoded.stderr);
    assert!(decoded.status.success() && complaints.is_empty(), "{complaints}");
    let pictures = decoded.stdout.chunks_exact(width * height);
    pictures
        .map(|luma| {
            let at = |x: f64, y: f64| {
                luma[(y * height as f64) as usize * width + (x * width as f64) as usize]
            };
            read_strip(at).map(|(time, number)| (number, time))
        })
        .collect()
}

/// Pictures in an H.264 file that is still being written.
fn pictures_in(file: &Path) -> u64 {
    let data = std::fs::read(file).unwrap_or_default();
    let slices = nal_ranges(&data).filter(|range| NalType::of(&data[range.clone()]).is_slice());
    slices.count() as u64
}

#[test]
fn the_webrtc_crate_plays_and_records_by_both_doors() {
    if !installed("ffmpeg", Command::new("ffmpeg").arg("-version")) {
        return;
    }
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    for door in DOORS {
        let daemon = Daemon::start(&PICTURE);
        let file = folder.path().join(format!("{door}.h264"));
        let mut viewer = viewer(&daemon, door, &file).spawn().expect("it runs");
        let mut session = Value::Null;
        wait_for("the first picture", || pictures_in(&file) > 0);
        // The crate passes over what comes before it has made a track of the stream, so pictures
        // are counted from the first it has.
        let missed = |sent: u64, saved: u64| sent.saturating_sub(saved);
        let mut late = 0;
        wait_for("pictures", || {
            let saved = pictures_in(&file);
            session = daemon.get_json("/api/v1/sessions")[0].clone();
            if late == 0 && session.is_object() {
                late = missed(sent(&session), saved);
            }
            session.is_object() && saved >= 30 * PLAYED.as_secs()
        });
        let sent = pause(&daemon, session["id"].as_str().expect("an id")) - late;
        wait_for("the last pictures", || enough(pictures_in(&file), sent));

        interrupt(&viewer);
        assert!(viewer.wait().expect("waitable").success());
        assert_eq!(daemon.get_json("/api/v1/sessions"), json!([]), "its place is free at once");
        let stamps = stamps_of(&file);
        assert!(enough(stamps.len() as u64, sent), "{} of {sent}", stamps.len());
        assert_right(&stamps);
    }
}

#[test]
fn the_webrtc_crate_records_mp4_with_the_camera_s_own_times() {
    if !installed("ffprobe", Command::new("ffprobe").arg("-version")) {
        return;
    }
    let _alone = alone();
    let daemon = Daemon::start(&PICTURE);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out.mp4");
    let status = viewer(&daemon, "whep", &file).args(["--seconds", "5"]).status();
    assert!(status.expect("it runs").success());
    assert_eq!(daemon.get_json("/api/v1/sessions"), json!([]), "its place is free at once");

    let probed = Command::new("ffprobe")
        .args(["-v", "error", "-of", "json", "-show_streams", "-show_entries", "packet=pts_time"])
        .arg(&file)
        .output()
        .expect("ffprobe runs");
    assert!(probed.status.success() && probed.stderr.is_empty(), "{probed:?}");
    let probed: Value = serde_json::from_slice(&probed.stdout).expect("JSON");
    let stream = &probed["streams"][0];
    assert_eq!(stream["codec_name"], "h264");
    assert_eq!((&stream["width"], &stream["height"]), (&json!(SIZE.0), &json!(SIZE.1)));
    let seconds = |value: &Value| value.as_str().and_then(|s| s.parse::<f64>().ok());
    let times: Vec<f64> = probed["packets"]
        .as_array()
        .expect("packets")
        .iter()
        .map(|packet| seconds(&packet["pts_time"]).expect("a time"))
        .collect();

    let stamps = stamps_of(&file);
    assert_right(&stamps);
    assert_eq!(stamps.len(), times.len());
    assert!(PLAYED.as_secs_f64() <= *times.last().expect("pictures"));
    // The camera takes picture n at n / 30 s.
    let first = stamps[0].expect("readable").0;
    for (time, stamp) in times.iter().zip(&stamps) {
        let taken = f64::from(stamp.expect("readable").0 - first) / 30.0;
        assert!((time - taken).abs() < 0.002, "shown at {time} s, taken at {taken} s");
    }
}

/// Ctrl-C.
fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}
