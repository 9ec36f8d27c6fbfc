//! `scripts/board-check` on a machine that is no board: it passes what works, and fails what does not.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// What the check is run with.
struct Bench {
    folder: TempDir,
    binary: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, binary: env!("CARGO_BIN_EXE_picket").into() }
    }

    /// With a picket that is not what it should be: a script, in which `$PICKET` is the real one.
    fn with_picket(script: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let bench = Self::new();
        let binary = bench.folder.path().join("picket");
        let real = bench.binary.display();
        std::fs::write(&binary, format!("#!/bin/sh\nPICKET='{real}'\n{script}\n"))
            .expect("written");
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).expect("set");
        Self { binary, ..bench }
    }

    fn run(&self, arguments: &[&str]) -> Checked {
        self.judge(&[&["--slow"], arguments].concat())
    }

    /// With rates and delays judged, too.
    fn judge(&self, arguments: &[&str]) -> Checked {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let report = self.folder.path().join("report.txt");
        let output = Command::new(root.join("scripts/board-check"))
            .args(["--no-questions", "--seconds", "1"])
            // Small pictures, so that a machine with other work keeps up.
            .args(["--set", "camera.width=320", "--set", "camera.height=240"])
            .arg("--binary")
            .arg(&self.binary)
            .arg("--report")
            .arg(&report)
            .args(arguments)
            .output()
            .expect("bash runs");
        Checked { report: std::fs::read_to_string(report).unwrap_or_default(), output }
    }
}

struct Checked {
    output: Output,
    report: String,
}

impl Checked {
    fn text(&self) -> String {
        let both = [&self.output.stdout[..], &self.output.stderr[..]].concat();
        String::from_utf8_lossy(&both).into_owned()
    }

    /// The lines that begin so.
    fn lines(&self, kind: &str) -> Vec<String> {
        let text = self.text();
        text.lines().filter(|line| line.starts_with(kind)).map(str::to_owned).collect()
    }

    fn has(&self, kind: &str, what: &str) -> bool {
        self.lines(kind).iter().any(|line| line.contains(what))
    }
}

#[test]
fn what_works_passes_and_is_reported() {
    let clip = concat!("file:", env!("CARGO_MANIFEST_DIR"), "/tests/media/plain.mp4");
    let checked = Bench::new().run(&["--source", clip, "--encoder", "openh264"]);
    assert!(checked.output.status.success(), "{}", checked.text());
    assert_eq!(checked.lines("FAIL"), [""; 0]);
    for what in [
        "program: picket ",
        "pattern with openh264, steady",
        "pattern with openh264, still picture",
        "plain.mp4 with openh264, steady",
    ] {
        assert!(checked.has("PASS", what), "{what}:\n{}", checked.text());
    }
    assert!(checked.has("SKIP", "board: this is not a Raspberry Pi"));
    assert!(
        checked.has("SKIP", "replug")
            && checked.has("SKIP", "LED")
            && checked.has("SKIP", "button")
    );
    // All that who reads the report has to know.
    for part in ["picket_frames_captured_total", "\"auto\":", "mean of each stage", "Linux "] {
        assert!(checked.report.contains(part), "{part}:\n{}", checked.report);
    }
    assert!(!checked.report.contains("password"), "a report may be shown to anybody");
}

#[test]
fn a_camera_that_gives_no_picture_fails_with_the_reason() {
    let checked =
        Bench::new().run(&["--source", "file:/nowhere/clip.mp4", "--encoder", "openh264"]);
    assert_eq!(checked.output.status.code(), Some(1), "{}", checked.text());
    assert!(checked.has("FAIL", "no picture in 20 seconds"), "{}", checked.text());
    assert!(checked.has("FAIL", "/nowhere/clip.mp4"), "{}", checked.text());
    assert!(checked.report.contains("the last lines of its log"), "{}", checked.report);
    assert!(checked.has("PASS", "pattern with openh264, steady"), "the others are tried");
}

#[test]
fn without_any_camera_that_is_what_fails() {
    let bench = Bench::with_picket(
        "case $1$2 in probe) \"$PICKET\" probe | sed '/^Cameras/,/^$/{/^  /d}' ;;
         *) exec \"$PICKET\" \"$@\" ;; esac",
    );
    let checked = bench.run(&["--encoder", "openh264"]);
    assert_eq!(checked.output.status.code(), Some(1), "{}", checked.text());
    assert!(checked.has("FAIL", "cameras: none"), "{}", checked.text());
}

#[test]
fn an_encoder_that_does_not_work_fails() {
    let checked = Bench::new().run(&["--encoder", "v4l2-m2m"]);
    // A machine that has one would pass.
    if checked.has("PASS", "pattern with v4l2-m2m, steady") {
        return;
    }
    assert_eq!(checked.output.status.code(), Some(1), "{}", checked.text());
    assert!(checked.has("FAIL", "pattern with v4l2-m2m"), "{}", checked.text());
}

#[test]
fn a_daemon_that_does_not_start_fails_with_its_last_words() {
    let bench = Bench::with_picket(
        "case \"$*\" in *file:*) echo 'this picket ends at once' >&2; exit 3 ;; esac
         exec \"$PICKET\" \"$@\"",
    );
    let checked = bench.run(&["--source", "file:any.mp4", "--encoder", "openh264"]);
    assert_eq!(checked.output.status.code(), Some(1), "{}", checked.text());
    assert!(
        checked.has("FAIL", "it does not start: this picket ends at once"),
        "{}",
        checked.text()
    );
}

/// A Pi 4 with a camera whose daemon says these figures of itself.
struct Figures {
    /// Pictures a second, of 30.
    rate: f64,
    copied: u64,
    restarts: u64,
    losses: u64,
    left_out: u64,
    delay: f64,
    snapshot: &'static [u8],
}

const GOOD: Figures = Figures {
    rate: 30.0,
    copied: 0,
    restarts: 0,
    losses: 0,
    left_out: 0,
    delay: 0.05,
    snapshot: &[0xff, 0xd8, 0xff, 0xe0],
};

/// The lines of a check of such a daemon that begin so.
fn judged(figures: Figures, kind: &str) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut looks = 0.0;
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            // The whole of it: to close a connection with something unread would cut the answer off.
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let body = match head.first().and_then(|line| line.split(' ').nth(1)) {
                Some("/metrics") => {
                    looks += 1.0;
                    metrics(&figures, looks).into_bytes()
                }
                Some("/snapshot.jpg") => figures.snapshot.to_vec(),
                _ => br#"{"source":{"state":"live","mode":{"name":"libcamera:0","encoder":"v4l2-m2m","width":1280,"height":720,"fps":30.0}}}"#.to_vec(),
            };
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\ncontent-type: any\r\n\r\n");
            let _ = stream.write_all(&body);
        }
    });
    let bench = Bench::with_picket(&format!(
        r#"case $1 in
         --version) echo picket 0.0.0 ;;
         probe) printf 'Board\n  a Pi\n\nCameras\n  libcamera:0  imx219 (id)\n\nEncoders\n\n`auto` chooses\n'
                printf '  encoder.backend = "v4l2-m2m": /dev/video11 codes H.264\n' ;;
         run) echo 'picket: watch at http://{address}/'; trap 'exit 0' TERM; while :; do sleep 0.1; done ;;
         esac"#
    ));
    let checked = bench.judge(&["--encoder", "v4l2-m2m"]);
    assert!(checked.has("PASS", "cameras: libcamera:0"), "{}", checked.text());
    let clean = checked.lines("FAIL").is_empty();
    assert_eq!(checked.output.status.success(), clean, "{}", checked.text());
    let of_camera = |line: &String| line.contains("libcamera:0 with");
    checked.lines(kind).into_iter().filter(of_camera).collect()
}

fn metrics(figures: &Figures, looks: f64) -> String {
    let pictures = (figures.rate * looks) as u64;
    let mut page = format!(
        "# TYPE picket_source_live gauge\npicket_source_live{{camera=\"main\"}} 1.0\npicket_uptime_seconds {looks}\n\
         picket_pictures_total{{camera=\"main\"}} {pictures}\npicket_frame_bytes_copied_total{{camera=\"main\"}} {}\n\
         picket_encoder_restarts_total{{camera=\"main\"}} {}\npicket_camera_losses_total{{camera=\"main\"}} {}\n\
         picket_frames_left_out_total{{camera=\"main\"}} {}\n",
        figures.copied * pictures,
        figures.restarts,
        figures.losses,
        figures.left_out * pictures
    );
    for stage in ["capture_delay", "transform", "encode", "hub_delay"] {
        let sum = figures.delay * pictures as f64;
        page +=
            &format!("picket_{stage}_seconds_sum {sum}\npicket_{stage}_seconds_count {pictures}\n");
    }
    page
}

#[test]
fn each_figure_that_is_not_as_expected_fails_by_itself() {
    assert_eq!(judged(GOOD, "FAIL"), [""; 0]);
    assert_eq!(judged(GOOD, "PASS").len(), 6, "{:?}", judged(GOOD, "PASS"));
    for (figures, told) in [
        (Figures { rate: 20.0, ..GOOD }, "rate: 20.0 pictures a second (expected 27.0"),
        (Figures { copied: 1_382_400, ..GOOD }, "copied: 1382400 bytes a picture (expected 0)"),
        (Figures { restarts: 2, ..GOOD }, "the encoder restarted 2 times"),
        (Figures { losses: 1, ..GOOD }, "the camera was lost 1 times"),
        (Figures { left_out: 1, ..GOOD }, "left out for want of time: 30 (expected 0)"),
        (Figures { delay: 0.4, ..GOOD }, "400.0 ms (expected 100 or less)"),
        (Figures { snapshot: b"{}", ..GOOD }, "still picture"),
    ] {
        let failed = judged(figures, "FAIL");
        assert!(failed.len() == 1 && failed[0].contains(told), "{told}: {failed:?}");
    }
}

#[test]
fn a_daemon_that_does_not_end_fails_and_is_ended() {
    let bench = Bench::with_picket(
        "case $1 in run) ;; *) exec \"$PICKET\" \"$@\" ;; esac
         trap '' TERM
         \"$PICKET\" \"$@\" &
         pid=$!
         echo $pid > \"$(dirname \"$0\")/pid\"
         while kill -0 $pid 2>/dev/null; do wait $pid; sleep 1; done",
    );
    let checked = bench.run(&["--encoder", "openh264"]);
    assert!(checked.has("FAIL", "it does not end within 4 seconds"), "{}", checked.text());
    // The real one behind the script is this test's to end.
    let pid = std::fs::read_to_string(bench.folder.path().join("pid")).expect("it ran");
    let _ = Command::new("sh").args(["-c", "kill \"$0\"", pid.trim()]).status();
}

#[test]
fn a_mistake_on_its_command_line_is_told_before_anything_runs() {
    for (arguments, told) in [
        (&["--seconds", "soon"][..], "takes a number"),
        (&["--binary", "/nowhere/picket"], "is not there"),
        (&["--frobnicate"], "usage:"),
        (&["--led"], "needs a value"),
    ] {
        let checked = Bench::new().run(arguments);
        assert_eq!(checked.output.status.code(), Some(2), "{arguments:?}");
        assert!(checked.text().contains(told), "{arguments:?}: {}", checked.text());
    }
}
