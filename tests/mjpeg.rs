//! MJPEG: what programs that show no video get.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Instant;

use common::client::{connect, get};
use common::daemon::{Daemon, metric, wait_for};

const SMALL: [&str; 2] = ["camera.width=320", "camera.height=240"];

fn small(more: &[&str]) -> Daemon {
    Daemon::start(&[&SMALL, more].concat())
}

fn clip(name: &str) -> String {
    format!("camera.source=file:{}/tests/media/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Somebody who watches, and takes pictures when told to.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn new(to: SocketAddr, path: &str) -> Self {
        let mut stream = connect(to);
        // HTTP/1.0, so that what comes is the body as it is.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {to}\r\n\r\n").expect("sent");
        let mut listener = Self(BufReader::new(stream));
        assert!(listener.line().contains(" 200 "), "{path}");
        while !listener.line().is_empty() {}
        listener
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// The next picture; `None` at the end that is told as such.
    fn picture(&mut self) -> Option<Vec<u8>> {
        let mut boundary = self.line();
        if boundary.is_empty() {
            boundary = self.line();
        }
        if boundary == "--boundarydonotcross--" {
            return None;
        }
        assert_eq!(boundary, "--boundarydonotcross");
        assert_eq!(self.line(), "Content-Type: image/jpeg");
        let length = self.line();
        let length = length.strip_prefix("Content-Length: ").and_then(|n| n.parse().ok());
        assert_eq!(self.line(), "");
        let mut picture = vec![0; length.expect("a length")];
        self.0.read_exact(&mut picture).expect("a picture");
        assert!(picture.starts_with(&[0xff, 0xd8]) && picture.ends_with(&[0xff, 0xd9]));
        Some(picture)
    }
}

/// What ffmpeg makes of an address: a checksum for each of its first pictures.
fn ffmpeg(url: &str, arguments: &[&str], pictures: usize) -> BTreeSet<String> {
    let out = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin"])
        .args(arguments)
        .args(["-i", url, "-frames:v", &pictures.to_string(), "-f", "framemd5", "-"])
        .output()
        .expect("ffmpeg runs; scripts/install-test-tools installs it");
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
    let text = String::from_utf8(out.stdout).expect("text");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.rsplit_once(' ')?.1.to_owned())).collect()
}

#[test]
fn ffmpeg_reads_the_stream_at_every_address_it_has() {
    let daemon = small(&[]);
    for path in ["/stream.mjpg", "/?action=stream", "/webcam/?action=stream&fps=9"] {
        // By what the answer says it is, and as the bare pictures in it.
        for arguments in [&[][..], &["-f", "mpjpeg"], &["-f", "mjpeg"]] {
            assert_eq!(ffmpeg(&daemon.url(path), arguments, 4).len(), 4, "{path} {arguments:?}");
        }
    }
    for path in ["/?action=snapshot", "/webcam/?action=snapshot", "/webcam?action=snapshot&1"] {
        assert_eq!(ffmpeg(&daemon.url(path), &[], 1).len(), 1, "{path}");
    }
}

#[test]
fn clips_that_are_passed_on_as_they_are_coded_are_seen_so_too() {
    for name in ["plain.mp4", "fragmented.mp4"] {
        let daemon = Daemon::start(&[&clip(name)]);
        let seen = ffmpeg(&daemon.url("/stream.mjpg"), &[], 4);
        assert!(seen.len() > 1, "{name}: it stands still");
        let status = daemon.get_json("/api/v1/status");
        assert_eq!(status["source"]["mode"]["encoder"], "none", "{name}");
    }
}

#[test]
fn who_watches_a_camera_that_is_lost_sees_the_card() {
    let daemon = Daemon::start(&["camera.source=file:/no/such.mp4"]);
    assert!(!ffmpeg(&daemon.url("/stream.mjpg"), &[], 2).is_empty());
    assert_eq!(daemon.get_json("/api/v1/status")["source"]["state"], "lost");
}

#[test]
fn ten_who_watch_are_given_the_same_pictures_and_when_they_are_gone_none_are_made() {
    let daemon = small(&["stream.mjpeg_fps=4"]);
    let began = Instant::now();
    let listeners = (0..10).map(|_| {
        let mut listener = Listener::new(daemon.http, "/stream.mjpg");
        std::thread::spawn(move || (0..6).filter_map(|_| listener.picture()).count())
    });
    let listeners: Vec<_> = listeners.collect();
    let taken: usize = listeners.into_iter().map(|l| l.join().expect("no panic")).sum();
    assert_eq!(taken, 60);
    let made = metric(&daemon.metrics(), "picket_stills_total");
    assert!(made <= began.elapsed().as_secs_f64() * 4.0 + 2.0, "{made} were made");
    wait_for("nobody to watch", || metric(&daemon.metrics(), "picket_mjpeg_viewers") == 0.0);
    wait_for("the camera to rest", || {
        daemon.get_json("/api/v1/status")["source"]["state"] == "idle"
    });
    let made = metric(&daemon.metrics(), "picket_stills_total");
    // Somebody else has the camera on, but wants no stills.
    let _watching = Listener::new(daemon.http, "/stream.mjpg?fps=0.1");
    let encoded = metric(&daemon.metrics(), "picket_frames_encoded_total");
    wait_for("pictures", || {
        metric(&daemon.metrics(), "picket_frames_encoded_total") > encoded + 30.0
    });
    assert_eq!(metric(&daemon.metrics(), "picket_stills_total"), made + 1.0);
}

#[test]
fn who_takes_pictures_slowly_skips_some_and_holds_up_nobody() {
    let daemon = small(&["stream.mjpeg_fps=30"]);
    let mut slow = Listener::new(daemon.http, "/stream.mjpg");
    let mut quick = Listener::new(daemon.http, "/stream.mjpg");
    let before: Vec<_> = (0..90).filter_map(|_| quick.picture()).collect();
    assert_eq!(before.len(), 90);
    // The slow one first gets what was on its way, then what is new.
    let shown = std::iter::from_fn(|| slow.picture()).take_while(|p| before.contains(p)).count();
    assert!(shown < 60, "{shown} of 90 pictures had queued up");
}

#[test]
fn more_than_may_watch_are_told_to_come_later() {
    let daemon = small(&["stream.max_viewers=2"]);
    let mut first = Listener::new(daemon.http, "/stream.mjpg");
    let _second = Listener::new(daemon.http, "/?action=stream");
    let reply = get(daemon.http, "/stream.mjpg");
    assert_eq!((reply.status, reply.header("retry-after")), (503, "10"));
    assert!(reply.detail().contains("stream.max_viewers"));
    assert!(first.picture().is_some());
    drop(first);
    wait_for("the place to be free", || metric(&daemon.metrics(), "picket_mjpeg_viewers") < 2.0);
    assert!(Listener::new(daemon.http, "/stream.mjpg").picture().is_some());
    assert_eq!(daemon.get_json("/api/v1/status")["viewers"]["connected"], 0);
}

#[test]
fn the_stream_ends_as_such_when_the_daemon_does() {
    let mut daemon = small(&[]);
    let mut listener = Listener::new(daemon.http, "/stream.mjpg");
    assert!(listener.picture().is_some());
    daemon.signal("-TERM");
    while listener.picture().is_some() {}
    assert!(daemon.wait().success());
}

#[test]
fn what_is_no_action_or_no_rate_is_told() {
    let daemon = small(&[]);
    assert_eq!(get(daemon.http, "/?action=command").status, 404);
    assert_eq!(get(daemon.http, "/webcam/").status, 404);
    assert_eq!(get(daemon.http, "/stream.mjpg?fps=fast").status, 400);
    assert!(get(daemon.http, "/?from=home").body.contains("<video"));
}

#[test]
fn a_snapshot_waits_for_a_camera_that_is_given_time_to_settle() {
    let daemon = small(&["camera.time_delay=4"]);
    let began = Instant::now();
    assert_eq!(ffmpeg(&daemon.url("/snapshot.jpg"), &[], 1).len(), 1);
    assert!(began.elapsed().as_secs_f64() >= 4.0);
    // Once it is on, nobody waits as long again.
    let began = Instant::now();
    assert_eq!(ffmpeg(&daemon.url("/snapshot.jpg"), &[], 1).len(), 1);
    assert!(began.elapsed().as_secs_f64() < 4.0);
}
