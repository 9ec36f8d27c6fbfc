//! What happens, as server-sent events.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use common::client::{ask, connect, get};
use common::daemon::Daemon;
use common::peer::{Offered, Peer};
use picket::Picket;
use picket::config::Config;
use serde_json::Value;

/// Somebody who listens.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn new(daemon: &Daemon, headers: &str) -> Self {
        let mut stream = connect(daemon.http);
        let host = daemon.http;
        let request = format!("GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        Self(BufReader::new(stream))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).expect("readable") > 0, "it ended");
        line.trim_end().to_owned()
    }

    /// The next event, with its data.
    fn next(&mut self) -> (String, Value) {
        loop {
            let line = self.line();
            if let Some(event) = line.strip_prefix("event: ") {
                let data = self.line();
                let data = data.strip_prefix("data: ").expect("data");
                return (event.to_owned(), serde_json::from_str(data).expect("JSON"));
            }
        }
    }

    /// The next event of which `wanted` is true.
    fn until(&mut self, wanted: impl Fn(&str, &Value) -> bool) -> Value {
        loop {
            let (event, data) = self.next();
            if wanted(&event, &data) {
                return data;
            }
        }
    }
}

fn small() -> Daemon {
    Daemon::start(&["camera.source=pattern", "camera.width=320", "camera.height=240"])
}

#[test]
fn whoever_subscribes_is_told_how_things_are_and_then_what_changes() {
    let daemon = small();
    let mut listener = Listener::new(&daemon, "");
    let (event, data) = listener.next();
    assert_eq!(
        (event.as_str(), &data["camera"], &data["state"]),
        ("source", &"main".into(), &"idle".into())
    );
    let (event, data) = listener.next();
    assert_eq!((event.as_str(), &data["connected"]), ("viewers", &0.into()));
    let peer = Peer::connect(&daemon);
    listener.until(|event, data| event == "source" && data["state"] == "starting");
    listener.until(|event, data| event == "viewers" && data["connected"] == 1);
    let mut late = Listener::new(&daemon, "");
    late.until(|event, data| event == "viewers" && data["connected"] == 1);
    peer.close();
    for listener in [&mut listener, &mut late] {
        listener.until(|event, data| event == "viewers" && data["connected"] == 0);
    }
}

#[test]
fn a_session_is_told_of_by_w3c_s_names_each_change_once() {
    let daemon = small();
    let mut listener = Listener::new(&daemon, "");
    listener.next();
    let peer = Peer::connect(&daemon);
    let id = peer.session.clone();
    let mut states = Vec::new();
    let mut collect = |listener: &mut Listener, last: &str| {
        while states.last().is_none_or(|state| state != last) {
            let data =
                listener.until(|event, data| event == "session" && data["id"] == id.as_str());
            states.push(data["connectionState"].as_str().expect("a state").to_owned());
        }
    };
    collect(&mut listener, "connected");
    peer.close();
    collect(&mut listener, "closed");
    // ICE may be quick enough for a state to be passed by.
    let known = ["new", "connecting", "connected", "closed"];
    let at = |state: &String| known.iter().position(|known| known == state).expect("a known state");
    assert!(states.iter().map(at).is_sorted_by(|a, b| a < b), "{states:?}");
    assert_eq!(states.first().map(String::as_str), Some("new"));
}

#[test]
fn an_offer_that_gives_way_to_newer_ones_is_told_to_have_failed() {
    let daemon = small();
    let mut listener = Listener::new(&daemon, "");
    let offer = || {
        let headers = [("content-type", "application/sdp")];
        ask(daemon.http, "POST", "/whep", &headers, &Offered::new().sdp).status
    };
    assert_eq!(offer(), 201);
    let first = listener.until(|event, _| event == "session")["id"].clone();
    // More than one sender has places for.
    for _ in 0..128 {
        assert_eq!(offer(), 201);
    }
    let is_over = |data: &Value| data["connectionState"] == "failed";
    listener.until(|event, data| event == "session" && data["id"] == first && is_over(data));
}

#[test]
fn what_changes_nothing_is_no_event() {
    let daemon = small();
    let mut listener = Listener::new(&daemon, "");
    listener.until(|event, _| event == "viewers");
    let json = [("content-type", "application/merge-patch+json")];
    assert_eq!(ask(daemon.http, "PATCH", "/api/v1/controls", &json, "{}").status, 200);
    let _peer = Peer::connect(&daemon);
    let mut told = Vec::new();
    while told.last().is_none_or(|event| event != "session") {
        told.push(listener.next().0);
    }
    assert!(!told.iter().any(|event| event == "controls"), "{told:?}");
}

#[test]
fn events_are_for_those_who_may_watch() {
    let mut daemon = Daemon::start(&[
        "camera.source=pattern",
        "auth.password=correct horse battery",
        "auth.tokens=[\"0123456789abcdef-viewer\"]",
    ]);
    assert_eq!(get(daemon.http, "/api/v1/events").status, 401);
    let bearer = "Authorization: Bearer 0123456789abcdef-viewer\r\n";
    let mut listener = Listener::new(&daemon, bearer);
    listener.next();
    daemon.token = Some("0123456789abcdef-viewer".into());
    daemon.signal("-TERM");
    let mut rest = String::new();
    listener.0.read_to_string(&mut rest).expect("readable");
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "it was ended, not cut off: {rest:?}");
    assert!(daemon.wait().success(), "a listener keeps nobody from stopping");
}

#[tokio::test]
async fn a_program_that_embeds_picket_hears_them_too() {
    let mut config = Config::default();
    for set in ["http.listen=127.0.0.1:0", "webrtc.udp_port=0", "camera.source=pattern"] {
        config.apply_set(set).expect("a setting");
    }
    let (heard, first) = std::sync::mpsc::channel();
    let running = std::thread::spawn(move || {
        let picket = Picket::builder(config).build().expect("builds");
        let (stopper, mut events, address) = (picket.stopper(), picket.events(), picket.address());
        let listening = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let event = runtime.block_on(events.next());
            heard.send(event.is_some()).expect("heard");
            stopper.stop();
        });
        let asking = std::thread::spawn(move || get(address, "/snapshot.jpg").status);
        picket.run();
        listening.join().expect("an end");
        asking.join().expect("an end")
    });
    assert!(first.recv().expect("an event"));
    running.join().expect("an end");
}
