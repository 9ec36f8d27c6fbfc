//! Waiting for a device.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::retry_on_intr;

/// Waits for a device, until any thread wakes it. The kernel is told once what to look at (epoll(7)),
/// which costs it less with every picture than poll(2).
#[derive(Debug)]
pub(crate) struct DevicePoller {
    epoll: OwnedFd,
    wake: OwnedFd,
}

/// What a device is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// A buffer of the capture queue can be dequeued.
    pub(crate) capture: bool,
    /// A buffer of the output queue can be dequeued.
    pub(crate) output: bool,
    pub(crate) event: bool,
    /// Nothing is queued, or the device is gone.
    pub(crate) error: bool,
}

/// How the kernel names the two.
const DEVICE: EventData = EventData::new_u64(0);
const WAKE: EventData = EventData::new_u64(1);

impl DevicePoller {
    pub(crate) fn new(device: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let everything = EventFlags::IN | EventFlags::OUT | EventFlags::PRI;
        epoll::add(&epoll, device, DEVICE, everything)?;
        epoll::add(&epoll, &wake, WAKE, EventFlags::IN)?;
        Ok(Self { epoll, wake })
    }

    /// Wakes the thread that waits, and every one that is to wait: from now on nothing waits.
    pub(crate) fn wake(&self) {
        // Fails only when it has been woken more often than can be counted.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Waits until the device has something or it is woken, at most for `timeout`. In the latter cases the
    /// device is ready for nothing.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> io::Result<Ready> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        let nothing = epoll::Event { flags: EventFlags::empty(), data: WAKE };
        let mut events = [nothing; 2];
        let count = retry_on_intr(|| epoll::wait(&self.epoll, &mut events, timeout.as_ref()))?;
        let device = events[..count].iter().find(|event| event.data.u64() == DEVICE.u64());
        let got = device.map_or(EventFlags::empty(), |event| event.flags);
        Ok(Ready {
            capture: got.contains(EventFlags::IN),
            output: got.contains(EventFlags::OUT),
            event: got.contains(EventFlags::PRI),
            error: got.intersects(EventFlags::ERR | EventFlags::HUP),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Write, pipe};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_device_is_ready_for_what_it_has() {
        let (device, mut other_end) = pipe().unwrap();
        let poller = DevicePoller::new(device.as_fd()).unwrap();
        let moment = Some(Duration::from_millis(1));
        assert_eq!(poller.wait(moment).unwrap(), Ready::default());
        other_end.write_all(b"picture").unwrap();
        let picture = Ready { capture: true, ..Ready::default() };
        assert_eq!(poller.wait(None).unwrap(), picture);
        assert_eq!(poller.wait(None).unwrap(), picture, "until it is taken");
        drop(other_end);
        assert!(poller.wait(None).unwrap().error);
    }

    #[test]
    fn once_woken_nothing_waits_any_more() {
        let (device, _other_end) = pipe().unwrap();
        let poller = DevicePoller::new(device.as_fd()).unwrap();
        poller.wake();
        for _ in 0..2 {
            assert_eq!(poller.wait(None).unwrap(), Ready::default());
        }
    }
}
