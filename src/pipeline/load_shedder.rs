//! Coding no more pictures than the machine has time for.
//!
//! A software encoder that is too slow for its camera would take all of a core, starve whoever
//! sends to viewers, and show pictures at uneven intervals while its rate control reckons with a
//! rate that does not come. So the time pictures take is measured against the time there is, and
//! when it is not enough, pictures are left out evenly, at one of a few [`SHARES`] of the camera's
//! rate. Down goes at once, to what can be sustained; up goes one step at a time, after a while in
//! which there was time to spare, and ever more rarely when it proved too much.
//!
//! Time is passed in, so that tests need not wait.

use std::time::{Duration, Instant};

use crate::media::MediaTime;

/// Shares of the camera's rate, as divisions. Halves and thirds are the smoothest there are.
const SHARES: [(u32, u32); 6] = [(1, 1), (2, 3), (1, 2), (1, 3), (1, 4), (1, 6)];

/// How long is measured before anything is decided: long enough for a key frame and a burst of
/// motion not to count for much.
const WINDOW: Duration = Duration::from_secs(2);

/// And at least so many pictures.
const LEAST_PICTURES: u32 = 5;

/// Above this share of the time, the machine does not keep up.
const TOO_MUCH: f64 = 0.9;

/// What a lower rate is to take, at most.
const SUSTAINABLE: f64 = 0.75;

/// What a higher rate must be expected to take, at most, before it is tried.
const TO_SPARE: f64 = 0.6;

/// How long there must be time to spare before a higher rate is tried: at first, and at most,
/// after it has failed again and again.
const TRY_AFTER: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));

/// A higher rate that has to be given up within this long was a mistake.
const PROBATION: Duration = Duration::from_secs(30);

/// Decides which frames are left out.
#[derive(Debug)]
pub(super) struct LoadShedder {
    /// What the camera delivers, in pictures a second.
    fps: f64,
    /// The place in [`SHARES`].
    step: usize,
    /// When the next picture is due, at a lower rate than the camera's.
    due: Option<MediaTime>,
    window: Option<Window>,
    /// Since when there has been time to spare.
    spare_since: Option<Instant>,
    /// When a higher rate was last tried.
    raised: Option<Instant>,
    try_after: Duration,
}

/// What is being measured.
#[derive(Debug)]
struct Window {
    began: Instant,
    pictures: u32,
    busy: Duration,
}

/// The rate has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    /// Fewer pictures from now on: one takes this long.
    Down(Duration),
    /// More pictures.
    Up,
}

impl LoadShedder {
    /// For a camera of this rate.
    pub(super) fn new(fps: f64) -> Self {
        Self {
            fps: if fps.is_finite() { fps.clamp(0.1, 1000.0) } else { 30.0 },
            step: 0,
            due: None,
            window: None,
            spare_since: None,
            raised: None,
            try_after: TRY_AFTER.0,
        }
    }

    /// Pictures a second that are coded.
    pub(super) fn fps(&self) -> f64 {
        self.fps_at(self.step)
    }

    fn fps_at(&self, step: usize) -> f64 {
        let (of, parts) = SHARES[step];
        self.fps * f64::from(of) / f64::from(parts)
    }

    /// Whether this picture is to be coded, or left out.
    pub(super) fn admit(&mut self, picture: MediaTime) -> bool {
        if self.step == 0 {
            return true;
        }
        let interval = Duration::from_secs_f64(1.0 / self.fps());
        let Some(due) = self.due else {
            self.due = Some(picture + interval);
            return true;
        };
        // A camera is not on the dot: half of its own interval early is in time.
        let early = Duration::from_secs_f64(0.5 / self.fps);
        if picture + early < due {
            // Unless its clock has gone back.
            if due.since(picture) <= 2 * interval {
                return false;
            }
            self.due = Some(picture + interval);
            return true;
        }
        // From when it was due, so that the intervals stay even; from now, after a gap.
        self.due = Some(if picture.since(due) < interval { due } else { picture } + interval);
        true
    }

    /// Takes note of a picture that took this long, until `now`.
    pub(super) fn record(&mut self, busy: Duration, now: Instant) -> Option<Change> {
        let window =
            self.window.get_or_insert(Window { began: now, pictures: 0, busy: Duration::ZERO });
        // The first one began before the window.
        if window.began != now {
            window.pictures += 1;
            window.busy += busy;
        }
        let span = now.duration_since(window.began);
        if span < WINDOW || window.pictures < LEAST_PICTURES {
            return None;
        }
        let each = window.busy / window.pictures;
        let load = window.busy.as_secs_f64() / span.as_secs_f64();
        self.window = None;
        if load > TOO_MUCH {
            return self.lower(each, now);
        }
        self.raise(each, now)
    }

    /// The time it takes, at a rate.
    fn load_at(&self, step: usize, each: Duration) -> f64 {
        self.fps_at(step) * each.as_secs_f64()
    }

    fn lower(&mut self, each: Duration, now: Instant) -> Option<Change> {
        self.spare_since = None;
        let last = SHARES.len() - 1;
        if self.step == last {
            return None;
        }
        if self.raised.take().is_some_and(|at| now.duration_since(at) < PROBATION) {
            self.try_after = (self.try_after * 2).min(TRY_AFTER.1);
        }
        let below = self.step + 1..=last;
        let fits = below.clone().find(|step| self.load_at(*step, each) <= SUSTAINABLE);
        self.step = fits.unwrap_or(last);
        self.due = None;
        Some(Change::Down(each))
    }

    fn raise(&mut self, each: Duration, now: Instant) -> Option<Change> {
        // It has proved itself.
        if self.raised.is_some_and(|at| now.duration_since(at) >= PROBATION) {
            self.raised = None;
            self.try_after = TRY_AFTER.0;
        }
        if self.step == 0 || self.load_at(self.step - 1, each) > TO_SPARE {
            self.spare_since = None;
            return None;
        }
        let since = *self.spare_since.get_or_insert(now);
        if now.duration_since(since) < self.try_after {
            return None;
        }
        self.step -= 1;
        self.due = None;
        self.spare_since = None;
        self.raised = Some(now);
        Some(Change::Up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A camera and an encoder in a time of their own.
    struct Scene {
        shedder: LoadShedder,
        began: Instant,
        elapsed: Duration,
        interval: Duration,
        /// The picture that was looked at last.
        last: u32,
        changes: Vec<(f64, Duration)>,
    }

    impl Scene {
        fn new(fps: f64) -> Self {
            Self {
                shedder: LoadShedder::new(fps),
                began: Instant::now(),
                elapsed: Duration::ZERO,
                interval: Duration::from_secs_f64(1.0 / fps),
                last: 0,
                changes: Vec::new(),
            }
        }

        /// Lets pictures come for a time, each of which takes `each` to code, and answers how
        /// many were coded. Of those that come while one is coded only the newest is kept, as it
        /// is in the pipeline.
        fn play(&mut self, time: Duration, each: Duration) -> usize {
            let until = self.elapsed + time;
            let mut coded = 0;
            while self.elapsed < until {
                // The camera's newest picture, if it is another; else the next.
                let newest = (self.elapsed.as_nanos() / self.interval.as_nanos()) as u32;
                self.last = newest.max(self.last + 1);
                let at = self.interval * self.last;
                self.elapsed = self.elapsed.max(at);
                let picture = MediaTime::from_nanos(at.as_nanos() as u64);
                if !self.shedder.admit(picture) {
                    continue;
                }
                coded += 1;
                self.elapsed += each;
                if self.shedder.record(each, self.began + self.elapsed).is_some() {
                    self.changes.push((self.shedder.fps(), self.elapsed));
                }
            }
            coded
        }

        fn rates(&self) -> Vec<f64> {
            self.changes.iter().map(|(fps, _)| *fps).collect()
        }
    }

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_machine_that_keeps_up_codes_every_picture() {
        let mut scene = Scene::new(30.0);
        let coded = scene.play(secs(60), ms(20));
        assert!((1795..=1801).contains(&coded), "{coded}");
        assert_eq!(scene.changes, []);
    }

    #[test]
    fn one_that_does_not_goes_to_what_it_can_shedder_in_one_step() {
        for (each, rate) in [(35, 20.0), (45, 15.0), (70, 10.0), (90, 7.5), (140, 5.0), (900, 5.0)]
        {
            let mut scene = Scene::new(30.0);
            scene.play(secs(10), ms(each));
            assert_eq!(scene.rates(), [rate], "{each} ms each");
            assert!(scene.changes[0].1 < secs(6), "{:?}", scene.changes);
        }
    }

    #[test]
    fn what_is_left_out_is_left_out_evenly() {
        for (each, rate) in [(35, 20), (45, 15), (70, 10)] {
            let mut scene = Scene::new(30.0);
            scene.play(secs(5), ms(each));
            let coded = scene.play(secs(9), ms(each));
            assert!((9 * rate - 2..=9 * rate + 2).contains(&coded), "{coded} at {rate}");
        }
        // A camera that is not on the dot: 3 ms to and fro.
        let mut shedder = LoadShedder { step: 2, ..LoadShedder::new(30.0) };
        let taken: Vec<bool> = (0..20_u64)
            .map(|n| {
                shedder.admit(MediaTime::from_nanos(
                    n * 33_333_333 + [3, 0][n as usize % 2] * 1_000_000,
                ))
            })
            .collect();
        assert_eq!(taken, [true, false].repeat(10));
    }

    #[test]
    fn a_short_burst_changes_nothing() {
        let mut scene = Scene::new(30.0);
        for _ in 0..20 {
            scene.play(secs(3), ms(15));
            scene.play(ms(400), ms(60));
        }
        assert_eq!(scene.changes, []);
    }

    #[test]
    fn when_there_is_time_again_the_rate_rises_step_by_step() {
        let mut scene = Scene::new(30.0);
        scene.play(secs(10), ms(70));
        scene.play(secs(120), ms(8));
        assert_eq!(scene.rates(), [10.0, 15.0, 20.0, 30.0]);
        let rises: Vec<Duration> = scene.changes.windows(2).map(|c| c[1].1 - c[0].1).collect();
        assert!(rises.iter().all(|rise| *rise >= TRY_AFTER.0), "{rises:?}");
    }

    #[test]
    fn a_rate_that_proves_too_much_is_tried_ever_more_rarely() {
        // At the lower rate a picture looks cheap, at the higher one it is dear: as when the
        // processor gets hot and slows down.
        let mut scene = Scene::new(30.0);
        let hour = secs(3600);
        while scene.elapsed < hour {
            let each = if scene.shedder.step == 0 { ms(35) } else { ms(15) };
            scene.play(ms(500), each);
        }
        let rises = scene.rates().iter().filter(|fps| **fps == 30.0).count();
        assert!((6..=13).contains(&rises), "{rises} tries in an hour");
    }

    #[test]
    fn a_machine_on_the_edge_does_not_swing() {
        // 29 ms of 33 are just bearable, and 20 fps would be easy; so it stays.
        let mut scene = Scene::new(30.0);
        scene.play(secs(600), ms(29));
        assert_eq!(scene.changes, []);
        // Once down, 30 fps is not tried: they would take more than there is to spare.
        let mut scene = Scene::new(30.0);
        scene.play(secs(10), ms(35));
        scene.play(secs(600), ms(25));
        assert_eq!(scene.rates(), [20.0]);
    }

    #[test]
    fn mad_rates_and_clocks_do_no_harm() {
        for fps in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-9, 1e9] {
            let mut shedder = LoadShedder { step: 5, ..LoadShedder::new(fps) };
            let mut random = fastrand::Rng::with_seed(5);
            let mut now = Instant::now();
            for _ in 0..5000 {
                shedder.admit(MediaTime::from_nanos(random.u64(..)));
                now += Duration::from_micros(random.u64(..100_000));
                shedder.record(Duration::from_nanos(random.u64(..1 << 33)), now);
                assert!(shedder.fps().is_finite() && shedder.fps() > 0.0);
            }
        }
        // A clock that was set back does not silence the camera.
        let mut shedder = LoadShedder { step: 2, ..LoadShedder::new(30.0) };
        assert!(shedder.admit(MediaTime::from_nanos(90_000_000_000)));
        assert!(shedder.admit(MediaTime::from_nanos(1_000_000_000)));
    }
}
