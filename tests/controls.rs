//! The camera's controls, from `config.toml` and over HTTP down to a program's own camera.

mod common;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use common::client::{Reply, ask, get};
use common::daemon::wait_for;
use picket::camera::{
    Camera, CameraError, Capture, Constraints, Control, ControlRange, ControlValue, ControlValues,
    Mode,
};
use picket::config::Config;
use picket::testing::camera::pattern::TestPattern;
use picket::{ConfigSource, Picket, Stopper};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The test picture, with controls that do nothing but remember how they were set.
struct Controllable {
    picture: TestPattern,
    calls: Calls,
}

/// What was done with the camera since the start.
type Calls = Arc<Mutex<Vec<Call>>>;

#[derive(Clone, Debug, PartialEq)]
enum Call {
    Set(ControlValues),
    Captured,
    Stopped,
}

impl Controllable {
    fn record(&self, call: Call) {
        self.calls.lock().expect("whole").push(call);
    }
}

/// A brightness that the driver refuses although it is in range.
const REFUSED: f64 = 0.75;

impl Camera for Controllable {
    fn open(&mut self, wanted: &Constraints) -> Result<Mode, CameraError> {
        self.picture.open(wanted)
    }

    fn capture(&mut self) -> Result<Capture, CameraError> {
        self.record(Call::Captured);
        self.picture.capture()
    }

    fn controls(&self) -> Vec<Control> {
        let control = |name, range, default| Control { name, range, default };
        vec![
            control(
                "brightness",
                ControlRange::Number { min: -1.0, max: 1.0 },
                Some(ControlValue::Number(0.0)),
            ),
            control("exposure", ControlRange::AutoOrNumber { min: 100.0, max: 33_000.0 }, None),
            control(
                "awb",
                ControlRange::Words(vec!["auto", "daylight"]),
                Some(ControlValue::Word("auto".into())),
            ),
            control("awb_gains", ControlRange::Numbers { len: 2, min: 0.0, max: 8.0 }, None),
            control("roi", ControlRange::Region, None),
        ]
    }

    fn set_controls(&mut self, values: &ControlValues) -> Result<(), CameraError> {
        self.record(Call::Set(values.clone()));
        if values.get("brightness") == Some(&ControlValue::Number(REFUSED)) {
            return Err(CameraError::Unsupported("the sensor is too hot for that".into()));
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.record(Call::Stopped);
        self.picture.stop();
    }
}

/// A Picket with such a camera, as a program that uses the library runs it.
struct TestServer {
    address: SocketAddr,
    calls: Calls,
    file: PathBuf,
    _folder: tempfile::TempDir,
    stopper: Stopper,
    running: Option<JoinHandle<()>>,
}

/// The camera runs although nobody watches.
const WARM: &str = "[stream]\nkeep_warm = true\n";

impl TestServer {
    fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.toml");
        write(&file, config);
        let sets = ["http.listen=127.0.0.1:0", "webrtc.udp_port=0", "camera.width=320"];
        let mut source = ConfigSource {
            file: Some(file.clone()),
            sets: sets.map(str::to_owned).to_vec(),
            ..ConfigSource::default()
        };
        let (config, problems) = source.load(None);
        assert_eq!(problems, []);
        let calls = Calls::default();
        let camera = Controllable { picture: TestPattern::new(), calls: Arc::clone(&calls) };
        let picket = Picket::builder(config).follow(source).camera(camera);
        let picket = picket.build().expect("built");
        let (address, stopper) = (picket.address(), picket.stopper());
        let running = Some(std::thread::spawn(move || picket.run()));
        Self { address, calls, file, _folder: folder, stopper, running }
    }

    /// One whose camera is on.
    fn warm(controls: &str) -> Self {
        let server = Self::start(&format!("{WARM}[camera.controls]\n{controls}\n"));
        wait_for("the camera to be on", || server.controls()["camera"] == "on");
        server
    }

    fn controls(&self) -> Value {
        let reply = get(self.address, "/api/v1/controls");
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    fn patch(&self, change: &Value) -> Reply {
        ask(self.address, "PATCH", "/api/v1/controls", &[JSON], &change.to_string())
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("whole").clone()
    }

    /// What the camera was told, each time.
    fn told(&self) -> Vec<ControlValues> {
        let told = self.calls().into_iter().filter_map(|call| match call {
            Call::Set(values) => Some(values),
            Call::Captured | Call::Stopped => None,
        });
        told.collect()
    }

    /// Waits until the camera has been told exactly this, last.
    fn wait_for_camera(&self, expected: &[(&str, ControlValue)]) {
        let expected = values(expected);
        wait_for(&format!("the camera to be set to {expected:?}"), || {
            self.told().last() == Some(&expected)
        });
    }

    /// Waits until the camera has been asked for more pictures.
    fn wait_for_captures(&self) {
        let captures = || self.calls().iter().filter(|call| **call == Call::Captured).count();
        let before = captures();
        wait_for("more pictures", || captures() > before + 3);
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).expect("written");
}

fn values(values: &[(&str, ControlValue)]) -> ControlValues {
    values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn number(value: f64) -> ControlValue {
    ControlValue::Number(value)
}

fn word(word: &str) -> ControlValue {
    ControlValue::Word(word.to_owned())
}

/// What the answer says of one control.
fn entry<'a>(document: &'a Value, name: &str) -> &'a Value {
    let controls = document["controls"].as_array().expect("a list");
    controls.iter().find(|c| c["name"] == name).expect("a control of that name")
}

#[test]
fn what_the_file_says_is_set_when_the_camera_opens() {
    let server = TestServer::warm("brightness = 0.25\nexposure = 10000\nawb_gains = [1.5, 2]");
    server.wait_for_camera(&[
        ("awb_gains", ControlValue::Numbers(vec![1.5, 2.0])),
        ("brightness", number(0.25)),
        ("exposure", number(10_000.0)),
    ]);
    let controls = server.controls();
    assert_eq!(
        *entry(&controls, "brightness"),
        json!({
            "name": "brightness",
            "range": { "kind": "number", "min": -1.0, "max": 1.0 },
            "default": 0.0,
            "value": 0.25,
        })
    );
    assert_eq!(
        *entry(&controls, "awb"),
        json!({
            "name": "awb",
            "range": { "kind": "words", "words": ["auto", "daylight"] },
            "default": "auto",
            "value": null,
        })
    );
    let range = &entry(&controls, "exposure")["range"];
    assert_eq!(*range, json!({ "kind": "auto-or-number", "min": 100.0, "max": 33_000.0 }));
    assert_eq!(entry(&controls, "roi")["range"], json!({ "kind": "region" }));
}

#[test]
fn what_the_camera_does_not_have_or_reach_is_skipped() {
    let server = TestServer::warm("gain = 2\nexposure = 50000\nawb = \"cloudy\"\nbrightness = 0.1");
    server.wait_for_camera(&[("brightness", number(0.1))]);
    server.wait_for_captures();
}

#[test]
fn a_change_over_http_reaches_the_camera_while_it_runs() {
    let server = TestServer::warm("brightness = 0.25");
    server.wait_for_camera(&[("brightness", number(0.25))]);
    let change = json!({ "brightness": -0.5, "awb": "daylight", "roi": [0.25, 0.25, 0.5, 0.5] });
    let reply = server.patch(&change);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json(), server.controls());
    assert_eq!(entry(&reply.json(), "brightness")["value"], -0.5);
    server.wait_for_camera(&[
        ("awb", word("daylight")),
        ("brightness", number(-0.5)),
        ("roi", ControlValue::Numbers(vec![0.25, 0.25, 0.5, 0.5])),
    ]);

    let back = json!({ "brightness": null, "awb": null, "roi": null, "exposure": "auto" });
    assert_eq!(entry(&server.patch(&back).json(), "brightness")["value"], 0.25);
    server.wait_for_camera(&[("brightness", number(0.25)), ("exposure", word("auto"))]);
    server.wait_for_captures();
}

#[test]
fn a_change_that_is_refused_in_part_changes_nothing_and_says_what_is_possible() {
    let server = TestServer::warm("");
    server.wait_for_camera(&[]);
    for (change, says) in [
        (
            json!({ "brightness": 0.5, "zoom": 2 }),
            "there is no control \"zoom\"; this camera has brightness, exposure, awb, awb_gains, roi",
        ),
        (json!({ "brightness": 0.5, "gain": null }), "there is no control \"gain\""),
        (
            json!({ "awb": "daylight", "brightness": 1.5 }),
            "brightness expects a number from -1 to 1",
        ),
        (json!({ "brightness": "auto" }), "brightness expects a number from -1 to 1"),
        (json!({ "exposure": 99 }), "exposure expects \"auto\" or a number from 100 to 33000"),
        (json!({ "awb": "cloudy" }), "awb expects one of \"auto\", \"daylight\""),
        (json!({ "awb_gains": [1] }), "awb_gains expects a list of 2 numbers from 0 to 8"),
        (json!({ "roi": [0.5, 0, 0.6, 1] }), "roi expects [x, y, width, height]"),
    ] {
        let reply = server.patch(&change);
        assert_eq!(reply.status, 422, "{change}");
        assert!(reply.detail().starts_with(says), "{}", reply.detail());
    }
    for change in [json!({ "brightness": true }), json!({ "roi": ["a"] }), json!([1])] {
        assert_eq!(server.patch(&change).status, 400, "{change}");
    }
    let long = json!({ "x".repeat(64 * 1024): 1 });
    assert_eq!(server.patch(&long).status, 413);
    let plain = [("Content-Type", "text/plain")];
    assert_eq!(ask(server.address, "PATCH", "/api/v1/controls", &plain, "{}").status, 415);

    server.wait_for_captures();
    assert!(server.told().iter().all(ControlValues::is_empty));
    assert_eq!(entry(&server.controls(), "brightness")["value"], Value::Null);
}

#[test]
fn a_changed_file_is_followed_while_the_camera_runs() {
    let server = TestServer::warm("brightness = 0.25");
    server.wait_for_camera(&[("brightness", number(0.25))]);
    server.patch(&json!({ "exposure": 500 }));
    server.wait_for_camera(&[("brightness", number(0.25)), ("exposure", number(500.0))]);
    let text = format!("{WARM}[camera.controls]\nawb = \"daylight\"\nexposure = 9000\n");
    write(&server.file, &text);
    // What was asked for over HTTP stands.
    server.wait_for_camera(&[("awb", word("daylight")), ("exposure", number(500.0))]);
    server.wait_for_captures();
}

#[test]
fn a_camera_that_refuses_goes_on_giving_pictures() {
    let server = TestServer::warm("");
    assert_eq!(server.patch(&json!({ "brightness": REFUSED })).status, 200);
    server.wait_for_camera(&[("brightness", number(REFUSED))]);
    wait_for("the refusal", || server.controls()["refused"] == "the sensor is too hot for that");
    server.wait_for_captures();
    let calls = server.calls();
    let refused = Call::Set(values(&[("brightness", number(REFUSED))]));
    let at = calls.iter().position(|call| *call == refused).expect("it was told");
    assert_eq!(calls[at + 1], Call::Captured);
    server.patch(&json!({ "brightness": 0.5 }));
    wait_for("the end of it", || server.controls().get("refused").is_none());
}

#[test]
fn before_anybody_watched_the_controls_are_not_known() {
    let server = TestServer::start("[camera.controls]\nbrightness = 0.25\n");
    assert_eq!(server.controls(), json!({ "camera": "off", "controls": [] }));
    let reply = server.patch(&json!({ "brightness": 0.5 }));
    assert_eq!(reply.status, 409);
    assert!(reply.detail().contains("while somebody is watching"), "{}", reply.detail());
    assert!(reply.header("retry-after").parse::<u32>().expect("seconds") > 0);

    // A snapshot turns it on for a moment. Afterwards it can be set for the next who watch.
    let look = || get(server.address, "/snapshot.jpg").status == 200;
    wait_for("a snapshot", look);
    server.wait_for_camera(&[("brightness", number(0.25))]);
    wait_for("the camera to be off", || server.controls()["camera"] == "off");
    let told = server.told();
    assert_eq!(server.patch(&json!({ "brightness": 0.5 })).status, 200);
    assert_eq!(server.told(), told);
    wait_for("a snapshot", look);
    server.wait_for_camera(&[("brightness", number(0.5))]);
}

#[test]
fn a_camera_without_controls_has_an_empty_list() {
    let mut config = Config::default();
    for set in ["http.listen=127.0.0.1:0", "webrtc.udp_port=0", "stream.keep_warm=true"] {
        config.apply_set(set).expect("accepted");
    }
    let picket = Picket::builder(config).camera(TestPattern::new()).build().expect("built");
    let (address, stopper) = (picket.address(), picket.stopper());
    let running = std::thread::spawn(move || picket.run());
    let controls = || get(address, "/api/v1/controls").json();
    wait_for("the camera to be on", || controls()["camera"] == "on");
    assert_eq!(controls()["controls"], json!([]));
    let reply = ask(address, "PATCH", "/api/v1/controls", &[JSON], r#"{"gain": 1}"#);
    assert_eq!(reply.status, 422);
    assert!(reply.detail().ends_with("this camera has none"), "{}", reply.detail());
    stopper.stop();
    running.join().expect("a good end");
}
