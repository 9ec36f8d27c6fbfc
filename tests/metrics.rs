//! `/metrics`, as Prometheus's own parser reads it.

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::client::get;
use common::daemon::{Daemon, metric, wait_for};
use common::peer::Peer;

/// Prints what it reads, a family a line: type, name, number of samples. Ends with an error where
/// the text breaks the format; of histograms it demands sorted buckets, `+Inf` among them, and a
/// count that is the last bucket's.
const PARSER: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for family in parse(sys.stdin.read()):
    print(family.type, family.name, len(family.samples))
";

/// What the parser makes of a page.
fn parsed(page: &str) -> Vec<String> {
    let venv = std::env::var_os("PICKET_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv"), PathBuf::from);
    let mut parser = Command::new(venv.join("bin/python"))
        .args(["-c", PARSER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python runs; scripts/install-test-tools installs it");
    let mut stdin = parser.stdin.take().expect("piped");
    stdin.write_all(page.as_bytes()).expect("taken");
    drop(stdin);
    let out = parser.wait_with_output().expect("an end");
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{error}\n{page}");
    String::from_utf8(out.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn the_parser_tells_what_breaks_the_format() {
    let page = "# HELP a_seconds A.\n# TYPE a_seconds histogram\na_seconds_sum 0\n\
                a_seconds_count 0\na_seconds_bucket{le=\"1.7976931348623157e308\"} 0\n# EOF\n";
    assert!(std::panic::catch_unwind(|| parsed(page)).is_err());
    let mended = page.replace("1.7976931348623157e308", "+Inf");
    assert_eq!(parsed(&mended), ["histogram a_seconds 3"]);
}

#[test]
fn prometheus_reads_the_metrics_of_a_camera_at_rest_and_of_one_that_is_watched() {
    let daemon = Daemon::start(&["camera.width=320", "camera.height=240"]);
    let reply = get(daemon.http, "/metrics");
    let mime = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(reply.header("content-type"), mime);
    assert!(reply.body.ends_with("\n# EOF\n"));
    let idle = parsed(&reply.body);
    for family in [
        "gauge picket_viewers 1",
        "gauge picket_mjpeg_viewers 1",
        "counter picket_offers_accepted 1",
        // Twelve bounds, `+Inf`, count and sum.
        "histogram picket_hub_delay_seconds 15",
        "histogram picket_send_delay_seconds 15",
        "histogram picket_capture_delay_seconds 15",
    ] {
        assert!(idle.contains(&family.to_owned()), "{family} in {idle:#?}");
    }
    let mut peer = Peer::connect(&daemon);
    peer.run_until("pictures", |seen| seen.pictures > 3);
    let still = get(daemon.http, "/snapshot.jpg");
    assert_eq!(still.status, 200);
    wait_for("the viewer is counted", || metric(&daemon.metrics(), "picket_viewers") == 1.0);
    assert_eq!(parsed(&daemon.metrics()), idle, "no family comes or goes");
}
