//! The WebRTC side by itself, fed by the test picture and watched by a peer in the same process.

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::peer::{Offered, Peer};
use picket::camera::{Camera, Capture, Constraints};
use picket::media::h264::ProfileLevel;
use picket::signalling::{Answer, OfferError};
use picket::stream::{Layer, TrackId};
use picket::testing::camera::pattern::TestPattern;
use picket::testing::encoder::openh264::OpenH264;
use picket::testing::encoder::{Encoder, EncoderSettings, FrameType};
use picket::testing::events::Events;
use picket::testing::hub::{Hub, PublishSignal};
use picket::testing::webrtc::{
    Caller, Holder, SignallingPath, WatchedCamera, WebRtc, WebRtcSettings,
};

const SOMEBODY: Caller = Caller {
    holder: Holder::viewer([1; 16]),
    path: SignallingPath { viewer: IpAddr::V4(Ipv4Addr::LOCALHOST), camera: None },
};

/// A camera, an encoder, a hub and the WebRTC side.
struct Stage {
    runtime: tokio::runtime::Runtime,
    webrtc: WebRtc,
    hub: Hub,
    stop: Arc<AtomicBool>,
    feeder: Option<std::thread::JoinHandle<()>>,
}

impl Stage {
    fn new() -> Self {
        Self::for_viewers(10)
    }

    fn for_viewers(max_viewers: usize) -> Self {
        let signal = PublishSignal::default();
        let hub = Hub::signalling(signal.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let feeder = {
            let (hub, stop) = (hub.clone(), stop.clone());
            std::thread::spawn(move || feed(&hub, &stop))
        };
        let settings = WebRtcSettings {
            tcp: false,
            udp_port: 0,
            ipv6: true,
            announce: Vec::new(),
            ice_servers: Vec::new(),
            live_broadcast: true,
            max_viewers,
            infinite_frames: true,
        };
        let camera = WatchedCamera {
            name: "main".into(),
            hub: hub.clone(),
            expected_profile: ProfileLevel::constrained_baseline(31),
        };
        let webrtc = WebRtc::start(settings, vec![camera], signal, Events::default());
        let webrtc = webrtc.expect("starts");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, webrtc, hub, stop, feeder: Some(feeder) }
    }

    fn offer(&self, sdp: &str, by: Caller) -> Result<Answer, OfferError> {
        self.runtime.block_on(self.webrtc.offer("main".into(), sdp.to_owned(), by))
    }

    fn watch(&self) -> Peer {
        self.watch_by(SOMEBODY)
    }

    fn watch_by(&self, by: Caller) -> Peer {
        let offered = Offered::new();
        let answer = self.offer(&offered.sdp, by).unwrap();
        let mut peer = offered.accept(&answer.sdp, Some(&answer.id));
        peer.run_until("connected", |seen| seen.connected);
        peer
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.runtime.block_on(self.webrtc.stop());
        let _ = self.feeder.take().map(std::thread::JoinHandle::join);
    }
}

fn feed(hub: &Hub, stop: &AtomicBool) {
    let mut camera = TestPattern::new();
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
    let sink = Box::new(move |unit| publisher.publish(TrackId::MAIN, unit));
    let mut encoder = OpenH264::new(settings, sink).expect("an encoder");
    while !stop.load(Ordering::Relaxed) {
        let Capture::Frame(frame) = camera.capture().expect("a picture") else {
            return;
        };
        let key = hub.take_key_frame_request(Layer::Main);
        let kind = if key { FrameType::Key } else { FrameType::Any };
        encoder.encode(&frame, kind).expect("encodes");
    }
}

#[test]
fn a_viewer_who_joins_sees_a_picture_and_the_stream_goes_on() {
    let stage = Stage::new();
    let mut peer = stage.watch();
    peer.run_until("pictures", |seen| seen.pictures >= 30 && seen.key_frames >= 1);
    let times = &peer.seen.times;
    assert!(times.windows(2).all(|w| w[1].wrapping_sub(w[0]) < 90_000), "{times:?}");
}

#[test]
fn a_viewer_who_asks_gets_a_key_frame_and_a_storm_gets_two_a_second() {
    let stage = Stage::new();
    let mut peer = stage.watch();
    peer.run_until("a picture", |seen| seen.pictures >= 5);
    let (keys, pictures) = (peer.seen.key_frames, peer.seen.pictures);
    while peer.seen.pictures < pictures + 60 {
        peer.request_key_frame();
        peer.run_for(Duration::from_millis(10));
    }
    let made = peer.seen.key_frames - keys;
    assert!((1..=5).contains(&made), "{made} key frames in two seconds");
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
    let Stage { runtime, webrtc, .. } = &mut stage;
    runtime.block_on(webrtc.stop());
    for peer in &mut peers {
        peer.run_until("closed", |seen| seen.closed);
    }
}

/// Somebody else.
const ANOTHER: Caller = Caller { holder: Holder::viewer([2; 16]), path: SOMEBODY.path };

#[test]
fn of_six_who_connect_at_once_as_many_watch_as_are_allowed_and_the_rest_is_told_why() {
    let stage = Stage::for_viewers(2);
    let offered: Vec<Offered> = (0..6).map(|_| Offered::new()).collect();
    let answers: Vec<Answer> =
        offered.iter().map(|o| stage.offer(&o.sdp, SOMEBODY).expect("room, as yet")).collect();
    let mut peers: Vec<Peer> = Vec::new();
    for (offered, answer) in offered.into_iter().zip(&answers) {
        peers.push(offered.accept(&answer.sdp, Some(&answer.id)));
    }
    let threads: Vec<_> = peers
        .into_iter()
        .map(|mut peer| {
            std::thread::spawn(move || {
                // Two pictures: the first may be under way when it is turned away.
                peer.run_until("a picture, or the end", |s| s.closed || s.pictures > 1);
                peer
            })
        })
        .collect();
    let peers: Vec<Peer> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert_eq!(stage.webrtc.totals().connected, 2);
    let turned_away: Vec<&Peer> = peers.iter().filter(|peer| peer.seen.closed).collect();
    assert_eq!(turned_away.len(), 4);
    for peer in turned_away {
        assert_eq!(peer.seen.pictures, 0);
        let why = |by: Caller| {
            stage.runtime.block_on(stage.webrtc.why_ended(peer.session.clone(), by.holder))
        };
        let told = why(SOMEBODY).expect("a reason");
        assert!(told.contains("2 viewers are watching already"), "{told}");
        assert_eq!(why(ANOTHER), None, "it is nobody else's");
    }
}

#[test]
fn offers_without_end_of_one_credential_keep_no_other_viewer_out() {
    let stage = Stage::new();
    let mut before = stage.watch_by(ANOTHER);
    let offer = Offered::new().sdp;
    for _ in 0..600 {
        // However fast this machine is, nothing else can be the matter.
        let answer = stage.offer(&offer, SOMEBODY);
        assert!(matches!(answer, Ok(_) | Err(OfferError::Flood)), "{answer:?}");
    }
    let mut after = stage.watch_by(ANOTHER);
    for peer in [&mut before, &mut after] {
        let so_far = peer.seen.pictures;
        peer.run_until("pictures", |seen| seen.pictures > so_far + 5);
    }
}

#[test]
fn whom_a_viewer_only_names_gets_no_more_from_us_than_the_viewer_sent() {
    let stage = Stage::new();
    let bystander = |_| std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let bystanders: Vec<std::net::UdpSocket> = (0..32).map(bystander).collect();
    let mut sdp = Offered::new().sdp;
    let first = sdp.find("a=candidate").expect("a candidate");
    let last = sdp.rfind("a=candidate").expect("a candidate");
    let end = last + sdp[last..].find("\r\n").expect("the end of a line") + 2;
    let candidates: String = bystanders
        .iter()
        .enumerate()
        .map(|(n, socket)| {
            let port = socket.local_addr().expect("bound").port();
            format!("a=candidate:{n} 1 udp {} 127.0.0.1 {port} typ host\r\n", 2_130_706_431 - n)
        })
        .collect();
    sdp.replace_range(first..end, &candidates);
    stage.offer(&sdp, SOMEBODY).expect("accepted");
    common::daemon::wait_for("forgotten", || stage.webrtc.totals().connecting == 0);
    let mut got = 0;
    for socket in bystanders {
        socket.set_nonblocking(true).expect("possible");
        let mut buffer = [0; 2048];
        // With what IPv4 and UDP put in front.
        while let Ok(len) = socket.recv(&mut buffer) {
            got += len + 28;
        }
    }
    assert!(got > 0 && got <= sdp.len(), "{got} bytes for {}", sdp.len());
}
