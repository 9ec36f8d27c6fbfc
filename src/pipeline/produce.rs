//! Taking what the camera delivers and making of it what viewers watch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::capture::{CameraEvent, CameraThread};
use super::counters::Counters;
use super::load_shedder::{Change, LoadShedder};
use super::output::{EncoderParts, Output};
use super::run::{Coding, RETRY, Run, SourcePhase};
use super::settings::{EncoderFactory, FixedSettings, LiveSettings, Parts};
use super::tap::Tap;
use super::transcode::{Transcoded, Transcoder};
use crate::camera::Constraints;
use crate::encoder::EncoderError;
use crate::hub::{Hub, KeyFrames, Layer, SourceInfo, SourceState, TrackId};
use crate::media::{AccessUnit, Frame, FramePool, MediaTime};
use crate::transform::{Chain, Transform};

/// How long the camera stays on after the last viewer left: a page being reloaded is gone for
/// less than this.
const LINGER: Duration = Duration::from_secs(3);

/// An encoder that fails this often in a row is reported as the source's fault rather than
/// quietly made again.
const MAX_ENCODER_FAILURES: u32 = 5;

/// How long nothing is tried after a crash.
const AFTER_A_CRASH: Duration = Duration::from_secs(1);

pub(super) struct Producer {
    pub(super) source_name: String,
    camera: CameraThread,
    pub(super) chain: Chain,
    factory: EncoderFactory,
    /// The main layer's first.
    pub(super) outputs: Vec<Output>,
    pub(super) fixed: FixedSettings,
    live: watch::Receiver<LiveSettings>,
    hub: Hub,
    stop: Arc<AtomicBool>,
    restart: Arc<AtomicBool>,
    pub(super) counters: Arc<Counters>,
    /// Counts the turns of the loop, for whoever watches over it.
    turns: Arc<AtomicU64>,
    tap: Tap,
    pub(super) pool: FramePool,
    /// What was learnt of this machine, and of which size and rate.
    load: Option<((u32, u32), f64, LoadShedder)>,
    /// What the hub was last told, if that was that pictures come.
    live_as: Option<LiveAs>,
}

/// What makes pictures that come other pictures than those before.
#[derive(Clone, Copy, PartialEq)]
struct LiveAs {
    encoder: &'static str,
    size: (u32, u32),
    fps: f64,
}

impl Producer {
    pub(super) fn new(
        parts: Parts,
        hub: Hub,
        (stop, restart): (Arc<AtomicBool>, Arc<AtomicBool>),
        counters: Arc<Counters>,
        turns: Arc<AtomicU64>,
        tap: Tap,
    ) -> std::io::Result<Self> {
        let camera = CameraThread::start(
            parts.camera,
            parts.camera_name,
            parts.controls,
            parts.fixed.time_delay,
            counters.clone(),
        )?;
        Ok(Self {
            source_name: parts.source_name,
            camera,
            chain: parts.chain,
            factory: parts.encoder,
            outputs: Vec::new(),
            fixed: parts.fixed,
            live: parts.live,
            hub,
            stop,
            restart,
            counters,
            turns,
            tap,
            pool: FramePool::new(),
            load: None,
            live_as: None,
        })
    }

    pub(super) fn run(mut self) {
        while !self.stopping() {
            Counters::add(&self.turns, 1);
            if !self.fixed.keep_warm && !self.hub.wait_watched(Duration::from_secs(1)) {
                continue;
            }
            // A step may be the library user's code. Its panic is one stretch of watching that went
            // wrong, not the end of the camera.
            if catch_unwind(AssertUnwindSafe(|| self.watch())).is_err() {
                self.crashed();
            }
        }
        self.camera.quit();
    }

    fn crashed(&mut self) {
        log::error!("{}: its video pipeline crashed; starting again", self.source_name);
        self.rest();
        Counters::add(&self.counters.camera_losses, 1);
        self.tell(SourceState::Lost("the video pipeline crashed; see the log".into()));
        let until = Instant::now() + AFTER_A_CRASH;
        while !self.stopping() && Instant::now() < until {
            Counters::add(&self.turns, 1);
            std::thread::sleep(Duration::from_millis(50));
        }
        // Whoever is still there sees it start again; nobody else is to find it lost.
        self.tell(SourceState::Idle);
    }

    /// Nothing of what was published so far is followed by what comes next.
    fn rest(&mut self) {
        self.camera.rest();
        for output in &mut self.outputs {
            output.stop();
            self.hub.restart_layer(output.layer(), KeyFrames::OnDemand);
        }
        self.hub.reset_transcoding();
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn constraints(&self, live: &LiveSettings) -> Constraints {
        Constraints { fps: live.fps, ..self.fixed.constraints }
    }

    /// Makes pictures until nobody has watched for a while.
    fn watch(&mut self) {
        let live = self.live.borrow_and_update().clone();
        self.outputs = live.outputs.iter().map(|settings| Output::new(*settings)).collect();
        self.restart.store(false, Ordering::Relaxed);
        log::info!("camera on: {}", self.source_name);
        self.tell(SourceState::Starting);
        let mut run = Run::new(live, MediaTime::now());
        self.open(&mut run);
        while !self.stopping() && !self.is_abandoned(&mut run) {
            Counters::add(&self.turns, 1);
            self.turn(&mut run);
        }
        self.rest();
        self.tell(SourceState::Idle);
        let why = if self.stopping() { "Picket stops" } else { "nobody is watching" };
        log::info!("camera off: {}: {why}", self.source_name);
    }

    /// Waits for what the camera does next, and follows.
    fn turn(&mut self, run: &mut Run) {
        self.follow_settings(run);
        if self.restart.swap(false, Ordering::Relaxed) {
            self.open(run);
            run.last_picture = run.now;
        }
        let event = self.camera.next(run.patience());
        run.now = MediaTime::now();
        match event {
            CameraEvent::Opened(mode, name) => {
                self.source_name = name.unwrap_or_else(|| self.source_name.clone());
                self.live_as = None;
                log::debug!("{} opened: {mode:?}", self.source_name);
                run.mode = Some(mode);
                run.last_picture = run.now;
                run.opening_is_over();
            }
            CameraEvent::Settling => run.is_settling(),
            CameraEvent::Frame(frame) => self.frame(run, frame),
            CameraEvent::AccessUnit(unit) => self.coded(run, unit),
            CameraEvent::Ended => self.ended(run),
            CameraEvent::Failed(error) => {
                run.opening_is_over();
                self.lost(run, &error.to_string());
            }
            CameraEvent::Timeout => {}
        }
        if run.has_stalled() {
            let why = run.dropped_because.take();
            self.lost(run, why.as_deref().unwrap_or("no picture for 2 seconds"));
        }
        self.mind_absence(run);
    }

    pub(super) fn open(&mut self, run: &mut Run) {
        self.camera.run(self.constraints(&run.live));
        run.is_opening(MediaTime::now());
    }

    fn is_abandoned(&self, run: &mut Run) -> bool {
        if self.fixed.keep_warm || self.hub.viewers() > 0 {
            run.unwatched_since = None;
            return false;
        }
        let now = MediaTime::now();
        now.since(*run.unwatched_since.get_or_insert(now)) >= LINGER
    }

    fn follow_settings(&mut self, run: &mut Run) {
        if !self.live.has_changed().unwrap_or(false) {
            return;
        }
        let new = self.live.borrow_and_update().clone();
        if new.overlay != run.live.overlay
            && let Err(error) = self.chain.set_overlay(new.overlay.clone())
        {
            log::warn!("the text in the picture stays as it was: {error}");
        }
        self.outputs.retain(|output| new.outputs.iter().any(|o| o.layer == output.layer()));
        for settings in &new.outputs {
            match self.outputs.iter_mut().find(|output| output.layer() == settings.layer) {
                Some(output) => output.set(*settings),
                None => self.outputs.push(Output::new(*settings)),
            }
        }
        let other_rate = new.fps != run.live.fps;
        run.live = new;
        if other_rate {
            self.open(run);
            run.last_picture = run.now;
        }
    }

    fn frame(&mut self, run: &mut Run, frame: Frame) {
        // Before the frame is brought into shape, because the encoder says what shape it takes.
        if run.is_passed_through() || self.main().is_none_or(|main| main.active_size().is_none()) {
            let size = self.chain.output_size((frame.width(), frame.height()));
            match self.ensure_main(run, size) {
                Ok(()) => {}
                Err(EncoderError::Unsupported(why)) if run.is_transcoding() => {
                    self.refuse_transcoding(run, &why);
                    return self.open(run);
                }
                Err(error) => return self.encoder_failed(run, &error),
            }
        }
        if !self.has_time_for(run, &frame) {
            // Where those that are taken up are dropped, one left out is no sign of life.
            if run.dropped_because.is_none() {
                run.last_picture = run.now;
            }
            Counters::add(&self.counters.left_out, 1);
            return;
        }
        self.counters.capture.note(run.now.since(frame.time()));
        match self.chain.apply(frame) {
            Ok(frame) => {
                let transformed = MediaTime::now();
                self.counters.transform.note(transformed.since(run.now));
                if self.encode(run, &frame, transformed) {
                    self.record_load(run);
                    self.present(run, frame_size(&frame));
                }
            }
            Err(error) => self.drop_frame(run, error.to_string()),
        }
    }

    /// A step could not work on a frame. The next may be all right; if none is, the source is as good
    /// as silent.
    fn drop_frame(&self, run: &mut Run, why: String) {
        Counters::add(&self.counters.dropped, 1);
        if run.dropped_because.as_ref() != Some(&why) {
            log::warn!("{}: a frame is dropped: {why}", self.source_name);
            run.dropped_because = Some(why);
        }
    }

    /// Whether the machine has time for this frame, or it is to be left out. When the picture is
    /// to come back, it is not.
    fn has_time_for(&mut self, run: &Run, frame: &Frame) -> bool {
        let (size, fps) = (frame_size(frame), run.fps());
        let known = self.load.as_ref().is_some_and(|(s, f, _)| (*s, *f) == (size, fps));
        if !known {
            self.load = Some((size, fps, LoadShedder::new(fps)));
        }
        let Some((_, _, load)) = &mut self.load else {
            return true;
        };
        load.admit(frame.time()) || run.absence().is_some()
    }

    /// Takes note of how long this turn's frame took, and follows if that is too long.
    fn record_load(&mut self, run: &Run) {
        let Some((_, full, load)) = &mut self.load else {
            return;
        };
        if !self.outputs.iter().any(Output::is_synchronous) {
            return;
        }
        let busy = MediaTime::now().since(run.now);
        let Some(change) = load.record(busy, Instant::now()) else {
            return;
        };
        let fps = load.fps();
        let (width, height) =
            self.outputs.first().and_then(Output::active_size).unwrap_or_default();
        match change {
            Change::Down(each) => log::warn!(
                "{}: a picture of {width}×{height} takes this machine {} ms to encode, too long for \
                 {full:.0} a second: showing {fps:.0} a second; a smaller width and height in the \
                 camera's configuration would allow more",
                self.source_name,
                each.as_millis()
            ),
            Change::Up => log::info!(
                "{}: there is time to spare: showing {fps:.0} pictures a second",
                self.source_name
            ),
        }
        self.outputs.iter_mut().for_each(|output| output.set_fps(fps));
    }

    /// Pictures a second that are coded, of `fps` that the camera delivers.
    fn coded_fps(&self, fps: f64) -> f64 {
        let known = self.load.as_ref().filter(|(_, full, _)| *full == fps);
        known.map_or(fps, |(_, _, load)| load.fps())
    }

    fn main(&self) -> Option<&Output> {
        self.outputs.first()
    }

    /// Encodes a frame, at `now`, as every layer that is wanted; false when the main one failed.
    pub(super) fn encode(&mut self, run: &mut Run, frame: &Frame, now: MediaTime) -> bool {
        let result = self.ensure_main(run, frame_size(frame)).and_then(|()| {
            self.tap.offer(frame);
            match self.outputs.first_mut() {
                Some(main) => main.encode(frame, &self.hub, now),
                None => Ok(()),
            }
        });
        if let Err(error) = result {
            self.encoder_failed(run, &error);
            return false;
        }
        run.encoder_failures = 0;
        self.encode_further(run, frame, now);
        true
    }

    /// Encodes the other layers. What goes wrong there is theirs alone.
    fn encode_further(&mut self, run: &Run, frame: &Frame, now: MediaTime) {
        let fps = self.coded_fps(run.fps());
        for output in self.outputs.iter_mut().skip(1) {
            if !output.is_wanted(&self.hub) {
                output.stop();
                continue;
            }
            let parts = EncoderParts {
                factory: &mut self.factory,
                hub: &self.hub,
                counters: &self.counters,
                fps,
                keyframe_interval: self.fixed.keyframe_interval,
            };
            let encoded = output
                .ensure(frame_size(frame), parts)
                .and_then(|()| output.encode(frame, &self.hub, now));
            if let Err(error) = encoded {
                log::warn!("layer {}: {error}", output.layer().rid());
                Counters::add(&self.counters.encoder_restarts, 1);
                output.stop();
            }
        }
    }

    fn encoder_failed(&mut self, run: &mut Run, error: &EncoderError) {
        self.outputs.iter_mut().for_each(Output::stop);
        run.encoder_failures += 1;
        Counters::add(&self.counters.encoder_restarts, 1);
        if run.encoder_failures < MAX_ENCODER_FAILURES {
            log::warn!("{error}; starting the encoder again");
        } else {
            let times = run.encoder_failures;
            self.lost(run, &format!("{error} ({times} times in a row)"));
        }
    }

    /// Has the main layer's encoder running for frames of this size, before the transform chain.
    fn ensure_main(&mut self, run: &mut Run, size: (u32, u32)) -> Result<(), EncoderError> {
        let fps = self.coded_fps(run.fps());
        let Some(main) = self.outputs.first_mut() else { return Ok(()) };
        if run.is_passed_through() {
            main.stop();
        }
        let before = main.active_size();
        let parts = EncoderParts {
            factory: &mut self.factory,
            hub: &self.hub,
            counters: &self.counters,
            fps,
            keyframe_interval: self.fixed.keyframe_interval,
        };
        let ensured = main.ensure(size, parts);
        // Whether it was had or not, what was published before is over.
        run.frames_are_published();
        ensured?;
        if before != main.active_size() {
            self.chain.set_passthrough_formats(main.formats());
        }
        Ok(())
    }

    /// Takes a picture that came coded: passes it on, or has it encoded again where a viewer has
    /// asked for that.
    fn coded(&mut self, run: &mut Run, unit: AccessUnit) {
        if let Coding::ToBeTranscoded(transcoder) | Coding::Transcoded(transcoder) = &mut run.coding
        {
            match transcoder.decode(&unit) {
                Transcoded::Frame(frame) => return self.frame(run, frame),
                Transcoded::Nothing => {
                    run.last_picture = run.now;
                    return;
                }
                Transcoded::Impossible(why) => self.refuse_transcoding(run, &why),
            }
        }
        if run.is_passed_through() && self.hub.is_transcoding_requested() {
            self.begin_transcoding(run);
        }
        self.pass_through(run, unit);
    }

    /// From now on pictures are decoded and encoded again. The source starts again for that, because
    /// its next key frame may be far; those who watch go on seeing what there is meanwhile.
    fn begin_transcoding(&mut self, run: &mut Run) {
        let key = self.hub.newest_key_frame(Layer::Main);
        match Transcoder::begin(key.as_ref().and_then(|key| key.sample.video())) {
            Ok(transcoder) => run.coding = Coding::ToBeTranscoded(transcoder),
            Err(error) => return self.refuse_transcoding(run, &error.to_string()),
        }
        self.open(run);
    }

    fn refuse_transcoding(&mut self, run: &mut Run, why: &str) {
        log::warn!(
            "the source's own coding cannot be undone ({why}): it is passed on as it is, and not \
             every viewer may see it"
        );
        run.transcoding_is_over();
        self.hub.refuse_transcoding();
    }

    /// Publishes a picture that came coded.
    fn pass_through(&mut self, run: &mut Run, unit: AccessUnit) {
        if !run.is_passed_through() || run.absence().is_some() {
            // Whatever was published last, a coded picture can follow it only from a key on.
            if !unit.is_key() {
                run.last_picture = run.now;
                return;
            }
            self.hub.restart_layer(Layer::Main, KeyFrames::SourceControlled);
            if !run.is_passed_through() {
                run.coding = Coding::PassedThrough;
            }
            self.outputs.iter_mut().for_each(Output::stop);
        }
        self.hub.publish(TrackId::MAIN, unit);
        if let Some(mode) = run.mode {
            self.present(run, (mode.width, mode.height));
        }
    }

    /// Tells viewers how the source is doing.
    pub(super) fn tell(&mut self, state: SourceState) {
        self.live_as = None;
        self.hub.set_source(state);
    }

    /// A picture of the source has reached the hub.
    fn present(&mut self, run: &mut Run, size: (u32, u32)) {
        run.last_picture = run.now;
        run.backoff = RETRY.0;
        run.dropped_because = None;
        if run.absence().is_some() {
            log::info!("the picture is back: {}", self.source_name);
            run.phase = SourcePhase::Delivering;
        }
        let live_as = LiveAs {
            encoder: self.main().and_then(Output::encoder_name).unwrap_or("none"),
            size,
            fps: run.mode.map_or(0.0, |mode| self.coded_fps(mode.fps)),
        };
        // Viewers are told once, not with every picture.
        if self.live_as == Some(live_as) {
            return;
        }
        let LiveAs { encoder, size: (width, height), fps } = live_as;
        let (name, encoder) = (self.source_name.clone(), encoder.into());
        self.tell(SourceState::Live(SourceInfo { name, encoder, width, height, fps }));
        self.live_as = Some(live_as);
    }
}

fn frame_size(frame: &Frame) -> (u32, u32) {
    (frame.width(), frame.height())
}
