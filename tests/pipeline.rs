//! From camera to hub: what happens when cameras misbehave.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use picket::camera::{Camera, CameraError, Capture, Constraints, Mode, Waker};
use picket::media::h264::{NalType, SpsInfo};
use picket::media::{Frame, MediaTime, PixelFormat};
use picket::stream::{Layer, SourceState, TrackId};
use picket::testing::camera::CameraControls;
use picket::testing::encoder::openh264::OpenH264;
use picket::testing::encoder::{Encoder, EncoderError, FrameType};
use picket::testing::hub::{Delivery, Hub, Viewer};
use picket::testing::pipeline::{
    EncoderFactory, FixedSettings, LiveSettings, OutputSettings, Parts, Pipeline,
};
use picket::testing::transform::{Chain, TransformSettings};
use picket::transform::{Transform, TransformError};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(20);

/// What the test tells its camera to do next.
enum Next {
    Frame,
    Fail,
    End,
    Panic,
}

/// A camera whose every picture is ordered by the test. Silence is when nothing is ordered.
struct Puppet {
    orders: Receiver<Next>,
    open: Arc<AtomicBool>,
    opened: Arc<AtomicU32>,
    refuse: Arc<AtomicBool>,
    sequence: u64,
}

struct Strings {
    orders: Sender<Next>,
    open: Arc<AtomicBool>,
    opened: Arc<AtomicU32>,
    refuse: Arc<AtomicBool>,
}

fn puppet() -> (Puppet, Strings) {
    let (sender, orders) = channel();
    let (open, refuse) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let opened = Arc::new(AtomicU32::new(0));
    let strings = Strings {
        orders: sender,
        open: open.clone(),
        opened: opened.clone(),
        refuse: refuse.clone(),
    };
    (Puppet { orders, open, opened, refuse, sequence: 0 }, strings)
}

impl Camera for Puppet {
    fn open(&mut self, _wanted: &Constraints) -> Result<Mode, CameraError> {
        if self.refuse.load(Ordering::SeqCst) {
            return Err(CameraError::NotFound("no camera is plugged in".into()));
        }
        self.open.store(true, Ordering::SeqCst);
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Mode { width: 64, height: 48, fps: 30.0 })
    }

    fn capture(&mut self) -> Result<Capture, CameraError> {
        match self.orders.recv() {
            Ok(Next::Frame) => {
                self.sequence += 1;
                let size = (64, 48);
                let bytes = vec![90; Frame::packed_len(PixelFormat::I420, size)];
                let now = MediaTime::now();
                let bytes = Arc::new(bytes);
                Frame::packed(PixelFormat::I420, size, bytes, now, self.sequence)
                    .map(Capture::Frame)
                    .map_err(|e| CameraError::Lost(e.to_string()))
            }
            Ok(Next::Fail) => Err(CameraError::Lost("the cable came off".into())),
            Ok(Next::Panic) => panic!("a bug in the camera's code"),
            Ok(Next::End) | Err(_) => Ok(Capture::End),
        }
    }

    fn stop(&mut self) {
        self.open.store(false, Ordering::SeqCst);
    }
}

struct Stage {
    pipeline: Pipeline,
    hub: Hub,
    strings: Strings,
    settings: watch::Sender<LiveSettings>,
}

fn stage(infinite_frames: bool) -> Stage {
    stage_with(infinite_frames, openh264())
}

fn openh264() -> EncoderFactory {
    Box::new(|settings, sink| Ok(Box::new(OpenH264::new(settings, sink)?) as Box<dyn Encoder>))
}

fn stage_with(infinite_frames: bool, encoder: EncoderFactory) -> Stage {
    let (camera, strings) = puppet();
    let settling = Duration::ZERO;
    let (pipeline, hub, settings) = start(Box::new(camera), infinite_frames, encoder, settling);
    Stage { pipeline, hub, strings, settings }
}

/// With a camera that takes its time to settle.
fn stage_settling(time_delay: Duration) -> Stage {
    let (camera, strings) = puppet();
    let (pipeline, hub, settings) = start(Box::new(camera), true, openh264(), time_delay);
    Stage { pipeline, hub, strings, settings }
}

/// With these steps and these outputs.
fn stage_of(chain: Chain, outputs: Vec<OutputSettings>) -> Stage {
    let (camera, strings) = puppet();
    let (camera, settling) = (Box::new(camera), Duration::ZERO);
    let (pipeline, hub, settings) = start_with(camera, true, openh264(), settling, chain, outputs);
    Stage { pipeline, hub, strings, settings }
}

fn start(
    camera: Box<dyn Camera>,
    infinite_frames: bool,
    encoder: EncoderFactory,
    time_delay: Duration,
) -> (Pipeline, Hub, watch::Sender<LiveSettings>) {
    let chain = Chain::new(TransformSettings::default()).unwrap();
    let outputs = vec![OutputSettings::main(300_000)];
    start_with(camera, infinite_frames, encoder, time_delay, chain, outputs)
}

fn start_with(
    camera: Box<dyn Camera>,
    infinite_frames: bool,
    encoder: EncoderFactory,
    time_delay: Duration,
    chain: Chain,
    outputs: Vec<OutputSettings>,
) -> (Pipeline, Hub, watch::Sender<LiveSettings>) {
    let hub = Hub::new();
    let live = LiveSettings { outputs, fps: None, overlay: None };
    let (settings, live) = watch::channel(live);
    let parts = Parts {
        camera_name: None,
        source_name: "puppet".into(),
        camera,
        controls: CameraControls::default(),
        chain,
        encoder,
        fixed: FixedSettings {
            constraints: Constraints::default(),
            keyframe_interval: Duration::from_secs(10),
            infinite_frames,
            keep_warm: false,
            time_delay,
        },
        live,
    };
    let pipeline = Pipeline::start(parts, hub.clone()).unwrap();
    (pipeline, hub, settings)
}

impl Stage {
    fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < until, "waited in vain: {what}; {:?}", self.state());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn state(&self) -> SourceState {
        self.hub.source().borrow().clone()
    }

    fn is_open(&self) -> bool {
        self.strings.open.load(Ordering::SeqCst)
    }

    fn order(&self, next: Next) {
        self.strings.orders.send(next).unwrap();
    }

    /// Orders frames until one of them has come through. One may be swallowed by a camera that
    /// was just told to close.
    fn play(&self) {
        let captured = || self.pipeline.counters().captured.load(Ordering::Relaxed);
        let before = captured();
        let ordered = Cell::new(None::<Instant>);
        self.wait("a picture", || {
            if ordered.get().is_none_or(|at| at.elapsed() > Duration::from_millis(300)) {
                self.order(Next::Frame);
                ordered.set(Some(Instant::now()));
            }
            captured() > before && matches!(self.state(), SourceState::Live(_))
        });
    }

    fn lost_because(&self, reason: &str) {
        self.wait(reason, || match self.state() {
            SourceState::Lost(why) => why.contains(reason),
            _ => false,
        });
    }
}

fn pictures(viewer: &mut Viewer) -> usize {
    std::iter::from_fn(|| match viewer.next(MediaTime::now()) {
        Delivery::Nothing => None,
        Delivery::Sample(_) | Delivery::Skipped(_) => Some(()),
    })
    .count()
}

#[test]
fn the_camera_runs_only_while_somebody_watches() {
    let stage = stage(true);
    assert!(!stage.is_open());
    let viewer = stage.hub.join(TrackId::MAIN);
    stage.wait("opened", || stage.is_open());
    stage.play();
    drop(viewer);
    stage.order(Next::Frame);
    stage.wait("released", || {
        let _ = stage.strings.orders.send(Next::Frame);
        !stage.is_open() && stage.state() == SourceState::Idle
    });
    let _viewer = stage.hub.join(TrackId::MAIN);
    stage.wait("opened again", || stage.is_open());
}

#[test]
fn a_silent_camera_is_noticed_and_a_card_shown_until_it_is_back() {
    let stage = stage(true);
    let viewer = RefCell::new(stage.hub.join(TrackId::MAIN));
    let seen = || pictures(&mut viewer.borrow_mut()) > 0;
    let silent_since = Instant::now();
    stage.order(Next::Frame);
    stage.wait("the picture", seen);
    stage.lost_because("no picture for 2 seconds");
    assert!(silent_since.elapsed() >= Duration::from_millis(1500));
    for _ in 0..3 {
        stage.wait("a card, for the same viewer", seen);
    }
    stage.play();
    stage.wait("the picture again", seen);
    assert_eq!(stage.hub.viewers(), 1);
}

#[test]
fn while_a_camera_settles_its_pictures_are_taken_and_seen_by_nobody() {
    // Longer than a silent camera would be waited for.
    let delay = Duration::from_millis(2500);
    let stage = stage_settling(delay);
    let before = MediaTime::now();
    let viewer = RefCell::new(stage.hub.join(TrackId::MAIN));
    stage.wait("opened", || stage.is_open());
    let first = Cell::new(None);
    stage.wait("a picture", || {
        stage.order(Next::Frame);
        if let Delivery::Sample(picture) = viewer.borrow_mut().next(MediaTime::now()) {
            first.set(Some(picture.sample.time()));
        }
        first.get().is_some()
    });
    let waited = first.get().expect("seen").since(before);
    assert!(waited >= delay, "{waited:?}");
    let counters = stage.pipeline.counters();
    assert_eq!(counters.camera_losses.load(Ordering::Relaxed), 0, "it was never lost");
    assert_eq!(stage.strings.opened.load(Ordering::SeqCst), 1);
}

#[test]
fn a_camera_that_falls_silent_while_it_settles_is_lost_and_one_that_does_not_comes_back() {
    let stage = stage_settling(Duration::from_millis(2500));
    let _viewer = stage.hub.join(TrackId::MAIN);
    stage.wait("opened", || stage.is_open());
    stage.order(Next::Frame);
    stage.lost_because("no picture for 2 seconds");
    stage.wait("back", || {
        stage.order(Next::Frame);
        matches!(stage.state(), SourceState::Live(_))
    });
}

#[test]
fn a_camera_that_fails_is_opened_again_until_it_works() {
    let stage = stage(true);
    let _viewer = stage.hub.join(TrackId::MAIN);
    stage.play();
    let opened = || stage.strings.opened.load(Ordering::SeqCst);
    let failed = Cell::new(opened());
    stage.order(Next::Fail);
    // Refused only when this has been seen, of which the next reason would take the place.
    stage.lost_because("the cable came off");
    stage.strings.refuse.store(true, Ordering::SeqCst);
    stage.wait("refused", || {
        // That may have been before it was to be refused.
        if opened() > failed.get() {
            failed.set(opened());
            stage.order(Next::Fail);
        }
        matches!(stage.state(), SourceState::Lost(why) if why.contains("no camera is plugged in"))
    });
    stage.strings.refuse.store(false, Ordering::SeqCst);
    stage.wait("opened again", || opened() > failed.get());
    stage.play();
}

#[test]
fn a_panic_in_the_camera_s_code_is_a_lost_camera() {
    let stage = stage(true);
    let _viewer = stage.hub.join(TrackId::MAIN);
    stage.play();
    stage.order(Next::Panic);
    stage.lost_because("panicked");
    stage.wait("opened again", || stage.strings.opened.load(Ordering::SeqCst) >= 2);
    stage.play();
}

#[test]
fn a_source_that_ends_leaves_a_card_or_ends_the_stream() {
    let infinite = stage(true);
    let _viewer = infinite.hub.join(TrackId::MAIN);
    infinite.play();
    infinite.order(Next::End);
    infinite.lost_because("the source has ended");

    let finite = stage(false);
    let _viewer = finite.hub.join(TrackId::MAIN);
    finite.play();
    finite.order(Next::End);
    finite.wait("ended", || finite.state() == SourceState::Ended);
}

#[test]
fn the_bit_rate_changes_without_a_new_encoder() {
    let stage = stage(true);
    let _viewer = stage.hub.join(TrackId::MAIN);
    stage.play();
    let keys = stage.hub.totals(TrackId::MAIN).key_frames;
    stage.settings.send_modify(|live| live.outputs = vec![OutputSettings::main(150_000)]);
    for _ in 0..5 {
        stage.play();
    }
    assert_eq!(stage.hub.totals(TrackId::MAIN).key_frames, keys);
    assert_eq!(stage.pipeline.counters().encoder_restarts.load(Ordering::Relaxed), 0);
}

/// Fails as often as it is to, then encodes.
struct Fragile {
    encoder: OpenH264,
    failures: Arc<AtomicU32>,
}

impl Encoder for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn encode(&mut self, frame: &Frame, kind: FrameType) -> Result<(), EncoderError> {
        let one_less = |n: u32| n.checked_sub(1);
        match self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => Err(EncoderError::Failed("it is stuck".into())),
            Err(_) => self.encoder.encode(frame, kind),
        }
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<u32, EncoderError> {
        self.encoder.set_bitrate(bitrate_bps)
    }
}

#[test]
fn an_encoder_is_made_anew_four_times_and_the_fifth_failure_in_a_row_is_reported() {
    let failures = Arc::new(AtomicU32::new(0));
    let to_come = failures.clone();
    let stage = stage_with(
        true,
        Box::new(move |settings, sink| {
            let encoder = OpenH264::new(settings, sink)?;
            Ok(Box::new(Fragile { encoder, failures: to_come.clone() }))
        }),
    );
    let _viewer = stage.hub.join(TrackId::MAIN);
    stage.play();
    let fails = |times| {
        failures.store(times, Ordering::SeqCst);
        stage.wait("failures", || {
            stage.order(Next::Frame);
            failures.load(Ordering::SeqCst) == 0
        });
    };
    let counters = stage.pipeline.counters();

    fails(4);
    // The last failure is counted after it was made.
    let restarts = || counters.encoder_restarts.load(Ordering::Relaxed);
    stage.wait("four encoders anew", || restarts() >= 4);
    stage.play();
    assert_eq!(restarts(), 4);
    assert_eq!(counters.camera_losses.load(Ordering::Relaxed), 0, "nothing was reported");

    // Cards in place of the picture fail as well.
    failures.store(u32::MAX, Ordering::SeqCst);
    stage.wait("the report", || {
        stage.order(Next::Frame);
        matches!(stage.state(), SourceState::Lost(_))
    });
    stage.lost_because("the encoder failed: it is stuck (");
    stage.lost_because("times in a row)");
    failures.store(0, Ordering::SeqCst);
    stage.play();
}

#[test]
fn stopping_releases_the_camera() {
    let mut stage = stage(true);
    let _viewer = stage.hub.join(TrackId::MAIN);
    stage.play();
    stage.order(Next::Frame);
    stage.pipeline.stop();
    let open = stage.strings.open.clone();
    let _ = stage.strings.orders.send(Next::Frame);
    stage.wait("released", || !open.load(Ordering::SeqCst));
}

#[test]
fn a_pipeline_that_crashes_says_so_and_starts_again() {
    let crashes = Arc::new(AtomicBool::new(true));
    let broken = crashes.clone();
    let encoder: EncoderFactory = Box::new(move |settings, sink| {
        assert!(!broken.load(Ordering::SeqCst), "a bug in the encoder's code");
        Ok(Box::new(OpenH264::new(settings, sink)?) as Box<dyn Encoder>)
    });
    let stage = stage_with(true, encoder);
    let _viewer = stage.hub.join(TrackId::MAIN);
    stage.order(Next::Frame);
    stage.lost_because("the video pipeline crashed");
    assert!(stage.pipeline.is_running());
    crashes.store(false, Ordering::SeqCst);
    stage.play();
}

/// A step that cannot work on some frames.
struct Picky {
    fails: Arc<AtomicBool>,
}

impl Transform for Picky {
    fn apply(&mut self, frame: Frame) -> Result<Frame, TransformError> {
        match self.fails.load(Ordering::SeqCst) {
            true => Err(TransformError::Other("it is upside down".into())),
            false => Ok(frame),
        }
    }
}

#[test]
fn a_step_that_fails_drops_its_frame_and_the_camera_stays() {
    let fails = Arc::new(AtomicBool::new(false));
    let step = Picky { fails: fails.clone() };
    let chain = Chain::new(TransformSettings::default()).unwrap().with_transform(Box::new(step));
    let stage = stage_of(chain, vec![OutputSettings::main(300_000)]);
    let _viewer = stage.hub.join(TrackId::MAIN);
    stage.play();
    fails.store(true, Ordering::SeqCst);
    let dropped = || stage.pipeline.counters().dropped.load(Ordering::Relaxed);
    let before = dropped();
    stage.order(Next::Frame);
    stage.wait("dropped", || dropped() > before);
    assert!(matches!(stage.state(), SourceState::Live(_)), "one frame is no camera");
    fails.store(false, Ordering::SeqCst);
    stage.play();
    // Where all are dropped, nobody sees anything, and the reason is the step's.
    fails.store(true, Ordering::SeqCst);
    stage.wait("lost", || {
        stage.order(Next::Frame);
        matches!(stage.state(), SourceState::Lost(why) if why.contains("it is upside down"))
    });
}

#[test]
fn a_second_layer_is_encoded_while_somebody_follows_it_and_smaller() {
    let low = OutputSettings { layer: Layer::Low, within: Some((32, 32)), bitrate_bps: 100_000 };
    let chain = Chain::new(TransformSettings::default()).unwrap();
    let stage = stage_of(chain, vec![OutputSettings::main(300_000), low]);
    let track = TrackId::Video(Layer::Low);
    let viewer = RefCell::new(stage.hub.join(TrackId::MAIN));
    stage.play();
    assert_eq!(stage.hub.totals(track).samples, 0, "nobody follows it");
    let _ = pictures(&mut viewer.borrow_mut());
    viewer.borrow_mut().switch_to(Layer::Low);
    stage.wait("the low layer", || {
        stage.order(Next::Frame);
        stage.hub.newest_key_frame(Layer::Low).is_some()
    });
    let key = stage.hub.newest_key_frame(Layer::Low).unwrap();
    let sps = key.sample.video().unwrap().nals().find(|nal| NalType::of(nal) == NalType::Sps);
    let info = SpsInfo::parse(sps.unwrap()).unwrap();
    assert_eq!((info.width, info.height), (32, 24));
    stage.wait("the viewer to have changed", || {
        stage.order(Next::Frame);
        let _ = pictures(&mut viewer.borrow_mut());
        viewer.borrow().track() == track
    });
    assert!(!stage.hub.is_wanted(TrackId::MAIN));
}

/// A camera that never delivers anything, and can be woken from waiting for it.
struct Sleeper {
    open: Arc<AtomicBool>,
    alarm: Sender<()>,
    alarms: Receiver<()>,
}

impl Camera for Sleeper {
    fn open(&mut self, _wanted: &Constraints) -> Result<Mode, CameraError> {
        while self.alarms.try_recv().is_ok() {}
        self.open.store(true, Ordering::SeqCst);
        Ok(Mode { width: 64, height: 48, fps: 30.0 })
    }

    fn capture(&mut self) -> Result<Capture, CameraError> {
        let _ = self.alarms.recv();
        Err(CameraError::Lost("woken".into()))
    }

    fn waker(&self) -> Option<Waker> {
        let alarm = self.alarm.clone();
        Some(Box::new(move || {
            let _ = alarm.send(());
        }))
    }

    fn stop(&mut self) {
        self.open.store(false, Ordering::SeqCst);
    }
}

#[test]
fn a_camera_that_waits_for_a_picture_is_released_when_the_pipeline_stops() {
    let open = Arc::new(AtomicBool::new(false));
    let (alarm, alarms) = channel();
    let sleeper = Sleeper { open: open.clone(), alarm, alarms };
    let (mut pipeline, hub, _settings) = start(Box::new(sleeper), true, openh264(), Duration::ZERO);
    let _viewer = hub.join(TrackId::MAIN);
    let until = Instant::now() + PATIENCE;
    while !open.load(Ordering::SeqCst) {
        assert!(Instant::now() < until, "never opened");
        std::thread::sleep(Duration::from_millis(5));
    }
    pipeline.stop();
    assert!(!open.load(Ordering::SeqCst), "left to the system");
}

/// A camera that delivers 30 pictures a second by itself.
struct Clockwork(u64);

impl Camera for Clockwork {
    fn open(&mut self, _wanted: &Constraints) -> Result<Mode, CameraError> {
        Ok(Mode { width: 64, height: 48, fps: 30.0 })
    }

    fn capture(&mut self) -> Result<Capture, CameraError> {
        // The pace of a camera.
        std::thread::sleep(Duration::from_millis(33));
        self.0 += 1;
        let bytes = Arc::new(vec![90; Frame::packed_len(PixelFormat::I420, (64, 48))]);
        Frame::packed(PixelFormat::I420, (64, 48), bytes, MediaTime::now(), self.0)
            .map(Capture::Frame)
            .map_err(|e| CameraError::Lost(e.to_string()))
    }

    fn stop(&mut self) {}
}

/// An encoder on a machine that is too slow for it.
struct Slow {
    inner: OpenH264,
    told: Arc<Mutex<Option<f64>>>,
}

impl Encoder for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn encode(&mut self, frame: &Frame, kind: FrameType) -> Result<(), EncoderError> {
        std::thread::sleep(Duration::from_millis(60));
        self.inner.encode(frame, kind)
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<u32, EncoderError> {
        self.inner.set_bitrate(bitrate_bps)
    }

    fn is_synchronous(&self) -> bool {
        true
    }

    fn set_fps(&mut self, fps: f64) -> Result<(), EncoderError> {
        *self.told.lock().unwrap() = Some(fps);
        self.inner.set_fps(fps)
    }
}

#[test]
fn a_machine_that_is_too_slow_shows_fewer_pictures_and_says_how_many() {
    let told = Arc::new(Mutex::new(None));
    let (for_encoder, camera) = (told.clone(), Box::new(Clockwork(0)));
    let encoder: EncoderFactory = Box::new(move |settings, sink| {
        let inner = OpenH264::new(settings, sink)?;
        Ok(Box::new(Slow { inner, told: for_encoder.clone() }) as Box<dyn Encoder>)
    });
    let (pipeline, hub, _settings) = start(camera, true, encoder, Duration::ZERO);
    let _viewer = hub.join(TrackId::MAIN);
    let until = Instant::now() + PATIENCE;
    let shown = loop {
        assert!(Instant::now() < until, "it never gave way: {:?}", hub.source().borrow());
        std::thread::sleep(Duration::from_millis(20));
        match &*hub.source().borrow() {
            SourceState::Live(info) if info.fps < 30.0 => break info.fps,
            _ => {}
        }
    };
    // 60 ms each are more than 15 a second take.
    assert!(shown <= 15.0, "{shown}");
    assert_eq!(*told.lock().unwrap(), Some(shown), "the rate control knows");
    let left_out = || pipeline.counters().left_out.load(Ordering::Relaxed);
    while left_out() == 0 {
        assert!(Instant::now() < until, "none was left out");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(pipeline.counters().encoder_restarts.load(Ordering::Relaxed), 0);
}
