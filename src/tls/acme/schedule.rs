//! When a certificate is ordered: at once where there is none, in time before it ends, and after a
//! failure again, ever more rarely.

use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Acme, OrderError};
use crate::tls::certificate::Certificate;

/// After an authority that was not there: a router starts more slowly than a camera.
const AFTER_UNREACHABLE: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(3600)];

/// After a refusal. Authorities count those, and refuse everything after some.
const AFTER_REFUSAL: [Duration; 2] = [Duration::from_secs(15 * 60), Duration::from_secs(12 * 3600)];

/// Orders when it is time to, one at a time.
#[derive(Debug)]
pub(in crate::tls) struct OrderSchedule {
    acme: Acme,
    under_way: Option<oneshot::Receiver<Result<Certificate, OrderError>>>,
    /// Failures in a row.
    failures: u32,
    not_before: Option<Instant>,
}

impl OrderSchedule {
    pub(in crate::tls) fn new(acme: Acme) -> Self {
        Self { acme, under_way: None, failures: 0, not_before: None }
    }

    /// The certificate that was kept.
    pub(in crate::tls) fn kept(&self) -> Option<Certificate> {
        self.acme.kept()
    }

    /// Looks whether it is time to order, and gives the certificate once it is there.
    pub(in crate::tls) fn look(
        &mut self,
        current: Option<&Certificate>,
        now: SystemTime,
    ) -> Option<Certificate> {
        if let Some(order) = &mut self.under_way {
            let done = match order.try_recv() {
                Ok(done) => done,
                Err(oneshot::error::TryRecvError::Empty) => return None,
                Err(oneshot::error::TryRecvError::Closed) => {
                    Err(OrderError::Refused("ordering it has crashed".into()))
                }
            };
            self.under_way = None;
            return self.settle(done);
        }
        // A clock that is not set yet makes no certificate due; and no authority trustworthy.
        let is_due = current.is_none_or(|current| now >= current.renewal());
        if is_due && self.not_before.is_none_or(|at| Instant::now() >= at) {
            let (sender, order) = oneshot::channel();
            let acme = self.acme.clone();
            tokio::spawn(async move {
                let _ = sender.send(acme.order().await);
            });
            self.under_way = Some(order);
        }
        None
    }

    fn settle(&mut self, done: Result<Certificate, OrderError>) -> Option<Certificate> {
        match done {
            Ok(certificate) => {
                log::info!("a new certificate has come");
                (self.failures, self.not_before) = (0, None);
                Some(certificate)
            }
            Err(why) => {
                let [first, most] = match why {
                    OrderError::Unreachable(_) => AFTER_UNREACHABLE,
                    OrderError::Refused(_) => AFTER_REFUSAL,
                };
                let wait = (first * 2u32.saturating_pow(self.failures.min(16))).min(most);
                self.failures += 1;
                self.not_before = Some(Instant::now() + wait);
                log::error!(
                    "http.tls: no certificate: {why}; it is tried again in {}",
                    in_words(wait)
                );
                None
            }
        }
    }
}

fn in_words(wait: Duration) -> String {
    match wait.as_secs() {
        seconds @ ..120 => format!("{seconds} seconds"),
        seconds @ 120..7200 => format!("{} minutes", seconds / 60),
        seconds => format!("{} hours", seconds / 3600),
    }
}
