//! Taking what the camera delivers and making of it what viewers watch; in [`absent`], what becomes
//! of them while it delivers nothing.

mod absent;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::afresh::{Afresh, Undone};
use super::capture::{CameraThread, News};
use super::submissions::{self, Submissions};
use super::sustain::{Change, Sustain};
use super::{Counters, EncoderFactory, FixedSettings, LiveSettings, Parts, Tap};
use crate::camera::{Constraints, Mode};
use crate::encoder::{Encoder, EncoderError, EncoderSettings, PictureKind};
use crate::hub::{Hub, KeyPictures, Layer, SourceInfo, SourceState};
use crate::media::{AccessUnit, Frame, FramePool, MediaTime};
use crate::transform::{Chain, Transform};
use absent::{Absence, settling};

/// A camera that has been silent this long is lost.
const STALL: Duration = Duration::from_secs(2);

/// How long a camera may take to open. Some need seconds to upload firmware to the sensor, and
/// being told to start again would only set them back.
const OPENING: Duration = Duration::from_secs(10);

/// How long the camera stays on after the last viewer left: a page being reloaded is gone for
/// less than this.
const LINGER: Duration = Duration::from_secs(3);

/// First and longest wait before a lost camera is opened again.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// An encoder that fails this often in a row is reported as the source's fault rather than
/// quietly made anew.
const MAX_ENCODER_FAILURES: u32 = 5;

pub(super) struct Producer {
    source_name: String,
    camera: CameraThread,
    chain: Chain,
    encoder: EncoderFactory,
    fixed: FixedSettings,
    live: watch::Receiver<LiveSettings>,
    hub: Hub,
    stop: Arc<AtomicBool>,
    restart: Arc<AtomicBool>,
    counters: Arc<Counters>,
    /// Counts the turns of the loop, for whoever minds it.
    turns: Arc<AtomicU64>,
    tap: Tap,
    pool: FramePool,
    /// What was learnt of this machine, and of which size and rate.
    sustain: Option<((u32, u32), f64, Sustain)>,
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

/// One stretch of watching, from the first viewer to the last.
struct Watch {
    mode: Option<Mode>,
    /// Since when the camera has been opening; `None` once it is open or has failed.
    opening: Option<MediaTime>,
    running: Option<Running>,
    /// When this turn's news came. The clock is looked at once a turn: with every picture, even that
    /// counts.
    now: MediaTime,
    last_picture: MediaTime,
    absence: Option<Absence>,
    backoff: Duration,
    unwatched_since: Option<MediaTime>,
    encoder_failures: u32,
    /// Coded pictures flow, and the last one published was one of them.
    passing_through: bool,
    /// Set from when a viewer came who cannot decode them.
    afresh: Option<Afresh>,
    live: LiveSettings,
}

/// An encoder at work.
struct Running {
    encoder: Box<dyn Encoder>,
    settings: EncoderSettings,
    submissions: Arc<Submissions>,
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
            parts.controls,
            parts.fixed.time_delay,
            counters.clone(),
        )?;
        Ok(Self {
            source_name: parts.source_name,
            camera,
            chain: parts.chain,
            encoder: parts.encoder,
            fixed: parts.fixed,
            live: parts.live,
            hub,
            stop,
            restart,
            counters,
            turns,
            tap,
            pool: FramePool::new(),
            sustain: None,
            live_as: None,
        })
    }

    pub(super) fn run(mut self) {
        while !self.stopping() {
            Counters::add(&self.turns, 1);
            if self.fixed.keep_warm || self.hub.wait_watched(Duration::from_secs(1)) {
                self.watch();
            }
        }
        self.camera.quit();
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
        self.restart.store(false, Ordering::Relaxed);
        log::info!("camera on: {}", self.source_name);
        self.tell(SourceState::Starting);
        let now = MediaTime::now();
        let mut watch = Watch {
            mode: None,
            opening: None,
            running: None,
            now,
            last_picture: now,
            absence: None,
            backoff: RETRY.0,
            unwatched_since: None,
            encoder_failures: 0,
            passing_through: false,
            afresh: None,
            live,
        };
        self.open(&mut watch);
        while !self.stopping() && !self.abandoned(&mut watch) {
            Counters::add(&self.turns, 1);
            self.follow_settings(&mut watch);
            if self.restart.swap(false, Ordering::Relaxed) {
                self.open(&mut watch);
                watch.last_picture = watch.now;
            }
            let news = self.camera.next(patience(&watch));
            watch.now = MediaTime::now();
            match news {
                News::Opened(mode, name) => {
                    self.source_name = name.unwrap_or_else(|| self.source_name.clone());
                    self.live_as = None;
                    log::debug!("{} opened: {mode:?}", self.source_name);
                    watch.mode = Some(mode);
                    watch.opening = None;
                    watch.last_picture = watch.now;
                }
                News::Settling => settling(&mut watch),
                News::Frame(frame) => self.frame(&mut watch, frame),
                News::AccessUnit(unit) => self.coded(&mut watch, unit),
                News::Ended => self.ended(&mut watch),
                News::Failed(error) => {
                    watch.opening = None;
                    self.lost(&mut watch, &error.to_string());
                }
                News::Silence => {}
            }
            if watch.absence.is_none() && watch.now.since(watch.last_picture) >= STALL {
                self.lost(&mut watch, "no picture for 2 seconds");
            }
            self.mind_absence(&mut watch);
        }
        self.camera.rest();
        self.hub.restart_layer(Layer::Main, KeyPictures::OnDemand);
        self.hub.forget_to_encode_afresh(Layer::Main);
        self.tell(SourceState::Idle);
        log::info!("camera off: nobody is watching");
    }

    fn open(&mut self, watch: &mut Watch) {
        self.camera.run(self.constraints(&watch.live));
        watch.opening = Some(MediaTime::now());
    }

    fn abandoned(&self, watch: &mut Watch) -> bool {
        if self.fixed.keep_warm || self.hub.viewers() > 0 {
            watch.unwatched_since = None;
            return false;
        }
        let now = MediaTime::now();
        now.since(*watch.unwatched_since.get_or_insert(now)) >= LINGER
    }

    fn follow_settings(&mut self, watch: &mut Watch) {
        if !self.live.has_changed().unwrap_or(false) {
            return;
        }
        let new = self.live.borrow_and_update().clone();
        let other_rate = new.fps != watch.live.fps;
        if new.overlay != watch.live.overlay
            && let Err(error) = self.chain.set_overlay(new.overlay.clone())
        {
            log::warn!("the writing in the picture stays as it was: {error}");
        }
        if let Some(Running { encoder, settings, .. }) = &mut watch.running
            && new.bitrate_bps != settings.bitrate_bps
        {
            match encoder.set_bitrate(new.bitrate_bps) {
                Ok(set) => {
                    settings.bitrate_bps = new.bitrate_bps;
                    log::info!("bit rate is now {} kbit/s", set / 1000);
                }
                Err(EncoderError::Unsupported(why)) => log::warn!("the bit rate stays: {why}"),
                Err(error) => {
                    log::warn!("{error}; starting it anew");
                    watch.running = None;
                }
            }
        }
        watch.live = new;
        if other_rate {
            self.open(watch);
            watch.last_picture = watch.now;
        }
    }

    fn frame(&mut self, watch: &mut Watch, frame: Frame) {
        let fps = watch.mode.map_or(30.0, |mode| mode.fps);
        // Before the picture is brought into shape, because the encoder says what shape it takes.
        if watch.running.is_none() || watch.passing_through {
            let size = self.chain.output_size((frame.width(), frame.height()));
            match self.ensure_encoder(watch, size, fps) {
                Ok(()) => {}
                Err(EncoderError::Unsupported(why)) if watch.afresh.is_some() => {
                    self.give_up_afresh(watch, &why);
                    return self.open(watch);
                }
                Err(error) => {
                    self.encoder_failed(watch, &error);
                    return;
                }
            }
        }
        if !self.has_time_for(watch, &frame, fps) {
            watch.last_picture = watch.now;
            Counters::add(&self.counters.left_out, 1);
            return;
        }
        self.counters.capture.note(watch.now.since(frame.time()));
        match self.chain.apply(frame) {
            Ok(frame) => {
                let transformed = MediaTime::now();
                self.counters.transform.note(transformed.since(watch.now));
                if self.encode(watch, &frame, fps, transformed) {
                    self.took(watch);
                    self.present(watch, frame_size(&frame));
                }
            }
            Err(error) => self.lost(watch, &error.to_string()),
        }
    }

    /// Whether the machine has time for this picture, or it is to be left out. When the picture is
    /// to come back, it is not.
    fn has_time_for(&mut self, watch: &Watch, frame: &Frame, fps: f64) -> bool {
        let size = frame_size(frame);
        let known = self.sustain.as_ref().is_some_and(|(s, f, _)| (*s, *f) == (size, fps));
        if !known {
            self.sustain = Some((size, fps, Sustain::new(fps)));
        }
        let Some((_, _, sustain)) = &mut self.sustain else {
            return true;
        };
        sustain.takes(frame.time()) || watch.absence.is_some()
    }

    /// Takes note of how long this turn's picture took, and follows if that is too long.
    fn took(&mut self, watch: &mut Watch) {
        let Some(Running { encoder, settings, .. }) = &mut watch.running else {
            return;
        };
        let Some((_, full, sustain)) = &mut self.sustain else {
            return;
        };
        if !encoder.codes_at_once() {
            return;
        }
        let busy = MediaTime::now().since(watch.now);
        let Some(change) = sustain.took(busy, Instant::now()) else {
            return;
        };
        let (fps, (width, height)) = (sustain.fps(), (settings.width, settings.height));
        match change {
            Change::Down(each) => log::warn!(
                "a picture of {width}×{height} takes this machine {} ms to encode, too long for \
                 {full:.0} a second: showing {fps:.0} a second; a smaller camera.width and \
                 camera.height would allow more",
                each.as_millis()
            ),
            Change::Up => log::info!("there is time to spare: showing {fps:.0} pictures a second"),
        }
        settings.fps = fps;
        if let Err(error) = encoder.set_fps(fps) {
            log::warn!("{error}; starting it anew");
            watch.running = None;
        }
    }

    /// Pictures a second that are coded, of `fps` that the camera delivers.
    fn coded_fps(&self, fps: f64) -> f64 {
        let sustained = self.sustain.as_ref().filter(|(_, full, _)| *full == fps);
        sustained.map_or(fps, |(_, _, sustain)| sustain.fps())
    }

    /// Encodes a picture, at `now`, and publishes what comes of it; false when that failed.
    fn encode(&mut self, watch: &mut Watch, frame: &Frame, fps: f64, now: MediaTime) -> bool {
        let result = self.encode_once(watch, frame, fps, now);
        let Err(error) = result else {
            watch.encoder_failures = 0;
            return true;
        };
        self.encoder_failed(watch, &error);
        false
    }

    fn encoder_failed(&mut self, watch: &mut Watch, error: &EncoderError) {
        watch.running = None;
        watch.encoder_failures += 1;
        Counters::add(&self.counters.encoder_restarts, 1);
        if watch.encoder_failures < MAX_ENCODER_FAILURES {
            log::warn!("{error}; starting the encoder anew");
        } else {
            let times = watch.encoder_failures;
            self.lost(watch, &format!("{error} ({times} times in a row)"));
        }
    }

    fn encode_once(
        &mut self,
        watch: &mut Watch,
        frame: &Frame,
        fps: f64,
        now: MediaTime,
    ) -> Result<(), EncoderError> {
        self.ensure_encoder(watch, frame_size(frame), fps)?;
        self.tap.offer(frame);
        let Some(Running { encoder, submissions, .. }) = &mut watch.running else {
            return Ok(());
        };
        let kind = match self.hub.takes_key_picture(Layer::Main) {
            true => PictureKind::Key,
            false => PictureKind::Any,
        };
        submissions.begin(frame.time(), now);
        encoder.encode(frame, kind)
    }

    /// Has an encoder running for pictures of this size.
    fn ensure_encoder(
        &mut self,
        watch: &mut Watch,
        (width, height): (u32, u32),
        fps: f64,
    ) -> Result<(), EncoderError> {
        let fits = |r: &Running| (r.settings.width, r.settings.height) == (width, height);
        if watch.passing_through || !watch.running.as_ref().is_some_and(fits) {
            let settings = EncoderSettings {
                width,
                height,
                fps: self.coded_fps(fps),
                bitrate_bps: watch.live.bitrate_bps,
                keyframe_interval: self.fixed.keyframe_interval,
            };
            self.hub.restart_layer(Layer::Main, KeyPictures::OnDemand);
            watch.passing_through = false;
            let submissions = Arc::new(Submissions::default());
            let sink = submissions::sink(&submissions, &self.hub, &self.counters);
            // The old one is over before the new one begins: a device may have room for one.
            watch.running = None;
            let encoder = (self.encoder)(settings, sink)?;
            self.chain.keep(encoder.formats());
            watch.running = Some(Running { encoder, settings, submissions });
        }
        Ok(())
    }

    /// Takes a picture that came coded: passes it on, or has it encoded afresh where a viewer has
    /// asked for that.
    fn coded(&mut self, watch: &mut Watch, unit: AccessUnit) {
        if let Some(afresh) = &mut watch.afresh {
            match afresh.undo(&unit) {
                Undone::Frame(frame) => return self.frame(watch, frame),
                Undone::Nothing => {
                    watch.last_picture = watch.now;
                    return;
                }
                Undone::Impossible(why) => self.give_up_afresh(watch, &why),
            }
        }
        if watch.passing_through && self.hub.is_to_encode_afresh(Layer::Main) {
            self.begin_afresh(watch);
        }
        self.pass_through(watch, unit);
    }

    /// From now on pictures are decoded and encoded afresh. The source begins anew for that, because
    /// its next key picture may be far; those who watch go on seeing what there is meanwhile.
    fn begin_afresh(&mut self, watch: &mut Watch) {
        let key = self.hub.newest_key_picture(Layer::Main);
        match Afresh::begin(key.as_ref().map(|key| &key.unit)) {
            Ok(afresh) => watch.afresh = Some(afresh),
            Err(error) => return self.give_up_afresh(watch, &error.to_string()),
        }
        self.open(watch);
    }

    fn give_up_afresh(&mut self, watch: &mut Watch, why: &str) {
        log::warn!(
            "the source's own coding cannot be undone ({why}): it is passed on as it is, and not \
             every viewer may see it"
        );
        watch.afresh = None;
        self.hub.cannot_encode_afresh(Layer::Main);
    }

    /// Publishes a picture that came coded.
    fn pass_through(&mut self, watch: &mut Watch, unit: AccessUnit) {
        if !watch.passing_through || watch.absence.is_some() {
            // Whatever was published last, a coded picture can follow it only from a key on.
            if !unit.is_key() {
                watch.last_picture = watch.now;
                return;
            }
            self.hub.restart_layer(Layer::Main, KeyPictures::AsTheyCome);
            watch.passing_through = true;
            watch.running = None;
        }
        self.hub.publish(Layer::Main, unit);
        if let Some(mode) = watch.mode {
            self.present(watch, (mode.width, mode.height));
        }
    }

    /// Tells viewers how the source is doing.
    fn tell(&mut self, state: SourceState) {
        self.live_as = None;
        self.hub.set_source(state);
    }

    /// A picture of the source has reached the hub.
    fn present(&mut self, watch: &mut Watch, size: (u32, u32)) {
        watch.last_picture = watch.now;
        watch.backoff = RETRY.0;
        if watch.absence.take().is_some() {
            log::info!("the picture is back: {}", self.source_name);
        }
        let live_as = LiveAs {
            encoder: watch.running.as_ref().map_or("none", |r| r.encoder.name()),
            size,
            fps: watch.mode.map_or(0.0, |mode| self.coded_fps(mode.fps)),
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

/// How long to wait for the camera before something else needs doing.
fn patience(watch: &Watch) -> Duration {
    match &watch.absence {
        Some(absence) => absence.next_card.since(watch.now),
        None => (watch.last_picture + STALL).since(watch.now),
    }
    .min(Duration::from_millis(250))
}
