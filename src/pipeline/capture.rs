//! The camera on its own thread.
//!
//! The pipeline gives orders (run, rest) and takes what comes from a mailbox. The mailbox keeps
//! one raw frame, the newest: who encodes slower than the camera delivers should show what is,
//! not what was. Coded pictures are kept in order, and a source that is ahead waits.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::log_prefix::works_for;
use crate::camera::{
    AppliedVersion, Camera, CameraControls, CameraError, Capture, Constraints, Mode, Waker,
};
use crate::media::{AccessUnit, Frame};

/// What the camera thread has to say.
#[derive(Debug)]
pub(super) enum CameraEvent {
    /// With what to call the camera, if that is known only now.
    Opened(Mode, Option<String>),
    /// A picture came that is not to be seen: the camera has not settled yet.
    Settling,
    Frame(Frame),
    AccessUnit(AccessUnit),
    Ended,
    Failed(CameraError),
    /// Nothing has come yet, mostly for as long as the time given.
    Timeout,
}

/// Coded pictures that may wait; about two seconds.
const MAX_WAITING: usize = 64;

/// How long a stop waits for the camera before leaving its thread behind.
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// Until something changes, whenever that is.
const FOREVER: Duration = Duration::MAX;

#[derive(Clone, Copy, PartialEq)]
enum Order {
    Rest,
    /// Open the camera and take pictures. The number tells one order from the next.
    Run(u64, Constraints),
    Quit,
}

struct Mailbox {
    order: Order,
    events: VecDeque<CameraEvent>,
    /// The thread is neither in the camera's code nor about to be.
    resting: bool,
    /// How many wait for a change.
    waiting: u32,
}

struct Shared {
    mailbox: Mutex<Mailbox>,
    /// Signalled on every change of the mailbox that somebody waits for.
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the mailbox go, and wakes those who wait for a change: after that, because they need
    /// it, and only if there are any, because it costs a call of the kernel for each picture.
    fn tell(&self, mailbox: MutexGuard<'_, Mailbox>) {
        let waited_for = mailbox.waiting > 0;
        drop(mailbox);
        if waited_for {
            self.changed.notify_all();
        }
    }

    /// Waits for `timeout` or until something changes, or nothing at all: who has to be sure looks
    /// again. To make sure here would mean two more looks at the clock for each picture.
    fn wait<'a>(
        &self,
        mut mailbox: MutexGuard<'a, Mailbox>,
        timeout: Duration,
    ) -> MutexGuard<'a, Mailbox> {
        mailbox.waiting += 1;
        let waited = self.changed.wait_timeout(mailbox, timeout);
        let mut mailbox = waited.unwrap_or_else(PoisonError::into_inner).0;
        mailbox.waiting -= 1;
        mailbox
    }
}

/// Handle to the camera's thread.
pub(super) struct CameraThread {
    shared: Arc<Shared>,
    waker: Option<Waker>,
    runs: u64,
}

impl CameraThread {
    pub(super) fn start(
        camera: Box<dyn Camera>,
        camera_name: Option<Arc<str>>,
        controls: CameraControls,
        time_delay: Duration,
        counters: Arc<Counters>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            mailbox: Mutex::new(Mailbox {
                order: Order::Rest,
                events: VecDeque::new(),
                resting: true,
                waiting: 0,
            }),
            changed: Condvar::new(),
        });
        let waker = camera.waker();
        let worker = Worker { camera, controls, shared: shared.clone(), time_delay, counters };
        std::thread::Builder::new().name("camera".into()).spawn(move || {
            works_for(camera_name);
            worker.run();
        })?;
        Ok(Self { shared, waker, runs: 0 })
    }

    /// Has the camera opened, or closed and opened again.
    pub(super) fn run(&mut self, wanted: Constraints) {
        self.runs += 1;
        self.order(Order::Run(self.runs, wanted));
    }

    /// Has the camera closed.
    pub(super) fn rest(&self) {
        self.order(Order::Rest);
    }

    fn order(&self, order: Order) {
        let mut mailbox = self.shared.lock();
        mailbox.order = order;
        mailbox.events.clear();
        // Before the lock is let go: what is woken must be the run that this order ends, not the
        // one it begins.
        if let Some(wake) = &self.waker {
            wake();
        }
        self.shared.tell(mailbox);
    }

    /// What comes next, waiting at most `timeout` for it.
    pub(super) fn next(&self, timeout: Duration) -> CameraEvent {
        let mut mailbox = self.shared.lock();
        if mailbox.events.is_empty() {
            mailbox = self.shared.wait(mailbox, timeout);
        }
        let event = mailbox.events.pop_front();
        self.shared.tell(mailbox);
        event.unwrap_or(CameraEvent::Timeout)
    }

    /// Ends the thread, waiting a little for the camera to be released.
    pub(super) fn quit(&self) {
        self.order(Order::Quit);
        let deadline = Instant::now() + STOP_PATIENCE;
        let mut mailbox = self.shared.lock();
        while !mailbox.resting {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                log::warn!("the camera does not answer; leaving it to the system");
                return;
            }
            mailbox = self.shared.wait(mailbox, left);
        }
    }
}

struct Worker {
    camera: Box<dyn Camera>,
    controls: CameraControls,
    shared: Arc<Shared>,
    time_delay: Duration,
    counters: Arc<Counters>,
}

impl Worker {
    fn run(mut self) {
        let mut done = 0;
        loop {
            let (number, wanted) = {
                let mut mailbox = self.shared.lock();
                loop {
                    match mailbox.order {
                        Order::Quit => return,
                        Order::Run(number, wanted) if number != done => {
                            mailbox.resting = false;
                            break (number, wanted);
                        }
                        Order::Rest | Order::Run(..) => {
                            mailbox = self.shared.wait(mailbox, FOREVER)
                        }
                    }
                }
            };
            done = number;
            // A camera may be the library user's code; its panic is a lost camera, not ours.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.deliver(number, &wanted)));
            let stopped = catch_unwind(AssertUnwindSafe(|| self.camera.stop()));
            self.controls.camera_closed();
            let failure = match (outcome, stopped) {
                (Ok(Ok(())), Ok(())) => None,
                (Ok(Err(error)), _) => Some(error),
                _ => Some(CameraError::Lost("its code panicked; see the log".into())),
            };
            let mut mailbox = self.shared.lock();
            mailbox.resting = true;
            if let Some(error) = failure
                && matches!(mailbox.order, Order::Run(n, _) if n == number)
            {
                mailbox.events.push_back(CameraEvent::Failed(error));
            }
            self.shared.tell(mailbox);
        }
    }

    /// Opens the camera and delivers its pictures until the order changes.
    fn deliver(&mut self, number: u64, wanted: &Constraints) -> Result<(), CameraError> {
        let mode = self.camera.open(wanted)?;
        self.controls.camera_opened(self.camera.controls());
        let mut followed = AppliedVersion::default();
        self.follow_controls(&mut followed);
        if !self.post(number, CameraEvent::Opened(mode, self.camera.name())) {
            return Ok(());
        }
        // Exposure and white balance settle only while pictures are taken.
        let settled = Instant::now() + self.time_delay;
        let mut settling = true;
        loop {
            self.follow_controls(&mut followed);
            let capture = self.camera.capture()?;
            settling = settling && Instant::now() < settled;
            let (event, ended) = match capture {
                Capture::End => (CameraEvent::Ended, true),
                _ if settling => (CameraEvent::Settling, false),
                Capture::Frame(frame) => {
                    Counters::add(&self.counters.captured, 1);
                    (CameraEvent::Frame(frame), false)
                }
                Capture::AccessUnit(unit) => (CameraEvent::AccessUnit(unit), false),
            };
            if !self.post(number, event) || ended {
                return Ok(());
            }
        }
    }

    /// Sets the camera's controls if they are to stand otherwise. A camera that refuses goes on.
    fn follow_controls(&mut self, followed: &mut AppliedVersion) {
        if let Some(values) = self.controls.changes_since(followed) {
            self.controls.record_outcome(self.camera.set_controls(&values));
        }
    }

    /// Puts an event into the mailbox; false when order `number` is no longer in force.
    fn post(&self, number: u64, event: CameraEvent) -> bool {
        let mut mailbox = self.shared.lock();
        loop {
            if !matches!(mailbox.order, Order::Run(n, _) if n == number) {
                return false;
            }
            let full = match &event {
                CameraEvent::Frame(_) => {
                    let before = mailbox.events.len();
                    mailbox.events.retain(|n| !matches!(n, CameraEvent::Frame(_)));
                    let replaced = before - mailbox.events.len();
                    Counters::add(&self.counters.dropped, replaced as u64);
                    false
                }
                // One that has not been heard yet says the same.
                CameraEvent::Settling
                    if mailbox.events.iter().any(|n| matches!(n, CameraEvent::Settling)) =>
                {
                    return true;
                }
                _ => mailbox.events.len() >= MAX_WAITING,
            };
            if !full {
                mailbox.events.push_back(event);
                self.shared.tell(mailbox);
                return true;
            }
            mailbox = self.shared.wait(mailbox, FOREVER);
        }
    }
}
