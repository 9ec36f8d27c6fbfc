//! The WebRTC side by itself, fed by the test picture and watched by a peer in the same process.

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::peer::{Offered, Peer};
use picket::camera::pattern::Pattern;
use picket::camera::{Camera, Capture, Constraints};
use picket::encoder::openh264::OpenH264;
use picket::encoder::{Encoder, EncoderSettings, PictureKind};
use picket::hub::{Hub, Layer};
use picket::media::h264::ProfileLevel;
use picket::rtc::{Rtc, RtcSettings, SignallingPath};

const LOOPBACK: SignallingPath =
    SignallingPath { viewer: IpAddr::V4(Ipv4Addr::LOCALHOST), camera: None };

/// A camera, an encoder, a hub and the WebRTC side.
struct Stage {
    runtime: tokio::runtime::Runtime,
    rtc: Rtc,
    hub: Hub,
    stop: Arc<AtomicBool>,
    feeder: Option<std::thread::JoinHandle<()>>,
}

impl Stage {
    fn new() -> Self {
        let hub = Hub::new();
        let stop = Arc::new(AtomicBool::new(false));
        let feeder = {
            let (hub, stop) = (hub.clone(), stop.clone());
            std::thread::spawn(move || feed(&hub, &stop))
        };
        let settings = RtcSettings {
            tcp: false,
            udp_port: 0,
            ipv6: true,
            announce: Vec::new(),
            ice_servers: Vec::new(),
            live_broadcast: true,
            max_viewers: 10,
            expected_profile: ProfileLevel::constrained_baseline(31),
        };
        let rtc = Rtc::start(settings, hub.clone()).expect("starts");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, rtc, hub, stop, feeder: Some(feeder) }
    }

    fn watch(&self) -> Peer {
        let offered = Offered::new();
        let answer = self.runtime.block_on(self.rtc.offer(offered.sdp.clone(), LOOPBACK)).unwrap();
        let mut peer = offered.accept(&answer.sdp, Some(&answer.id));
        peer.run_until("connected", |seen| seen.connected);
        peer
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.runtime.block_on(self.rtc.stop());
        let _ = self.feeder.take().map(std::thread::JoinHandle::join);
    }
}

fn feed(hub: &Hub, stop: &AtomicBool) {
    let mut camera = Pattern::new();
    let mode = camera
        .open(&Constraints { width: Some(320), height: Some(240), fps: Some(30.0) })
        .expect("opens");
    let settings = EncoderSettings {
        width: mode.width,
        height: mode.height,
        fps: mode.fps,
        bitrate_bps: 500_000,
        keyframe_interval: Duration::from_secs(10),
    };
    let publisher = hub.clone();
    let sink = Box::new(move |unit| publisher.publish(Layer::Main, unit));
    let mut encoder = OpenH264::new(settings, sink).expect("an encoder");
    while !stop.load(Ordering::Relaxed) {
        let Capture::Frame(frame) = camera.capture().expect("a picture") else {
            return;
        };
        let key = hub.takes_key_picture(Layer::Main);
        let kind = if key { PictureKind::Key } else { PictureKind::Any };
        encoder.encode(&frame, kind).expect("encodes");
    }
}

#[test]
fn a_viewer_who_joins_sees_a_picture_and_the_stream_goes_on() {
    let stage = Stage::new();
    let mut peer = stage.watch();
    peer.run_until("pictures", |seen| seen.pictures >= 30 && seen.key_pictures >= 1);
    let times = &peer.seen.times;
    assert!(times.windows(2).all(|w| w[1].wrapping_sub(w[0]) < 90_000), "{times:?}");
}

#[test]
fn a_viewer_who_asks_gets_a_key_picture_and_a_storm_gets_two_a_second() {
    let stage = Stage::new();
    let mut peer = stage.watch();
    peer.run_until("a picture", |seen| seen.pictures >= 5);
    let (keys, pictures) = (peer.seen.key_pictures, peer.seen.pictures);
    while peer.seen.pictures < pictures + 60 {
        peer.request_key_picture();
        peer.run_for(Duration::from_millis(10));
    }
    let made = peer.seen.key_pictures - keys;
    assert!((1..=5).contains(&made), "{made} key pictures in two seconds");
}

#[test]
fn who_says_goodbye_is_gone_at_once() {
    let stage = Stage::new();
    let peer = stage.watch();
    assert_eq!(stage.hub.viewers(), 1);
    peer.close();
    common::daemon::wait_for("gone", || stage.hub.viewers() == 0);
}

#[test]
fn stopping_tells_every_viewer_goodbye() {
    let mut stage = Stage::new();
    let mut peers = [stage.watch(), stage.watch()];
    let Stage { runtime, rtc, .. } = &mut stage;
    runtime.block_on(rtc.stop());
    for peer in &mut peers {
        peer.run_until("closed", |seen| seen.closed);
    }
}
