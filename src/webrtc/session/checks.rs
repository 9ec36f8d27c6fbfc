//! The connectivity checks that a session sends: where, how many, and which were answered.
//!
//! Who may watch can name any address as its own. So that nobody makes the camera send at others,
//! checks of an address that has not answered one cost: a session may send no more of them than its
//! viewer sent, byte for byte, by HTTP and in checks of its own. Some of that is kept for addresses
//! from which the viewer was heard: those that it only names may all be out of reach.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use str0m::ice::StunMessage;

use crate::webrtc::demux::{Demux, Key, Stun, TransactionId, is_sealed};
use crate::webrtc::path::Path;

/// Paths remembered; the library checks no more.
const MAX_PATHS: usize = 100;

/// Addresses of ours that answers may tell of. The library keeps each as a candidate, for as long as
/// the session lives; honest ones are as many as there are routers between.
const MAX_MAPPED: usize = 16;

/// Checks whose answers are waited for; of a session that has connected, one is under way.
const MAX_AWAITED: usize = 64;

/// What a datagram costs beside its content: IPv4's and UDP's heads.
const HEADS: usize = 28;

/// The most that our answer to a check takes: it is paid by that.
const ANSWER: usize = 76;

/// Bytes kept for addresses that the viewer was heard from, and that were not checked before: some five
/// checks.
const KEPT: usize = 640;

pub(super) struct Checks {
    /// Paths we have sent something on, the latest last.
    paths: VecDeque<Tried>,
    /// Checks sent of which the demultiplexer does not know yet, and those of which it does, the
    /// latest last.
    asked: Vec<Check>,
    awaited: VecDeque<Check>,
    /// Bytes that may still be sent to where nobody has answered, and of those, how many only to
    /// where somebody was heard.
    allowance: usize,
    kept: usize,
    /// Where the viewer has seen us.
    mapped: Vec<SocketAddr>,
}

struct Tried {
    path: Path,
    heard: bool,
    checked: bool,
    answered: Option<Instant>,
}

struct Check {
    id: TransactionId,
    path: Path,
}

impl Checks {
    /// A viewer that is `ice_lite` is never heard before it is checked.
    pub(super) fn new(allowance: usize, ice_lite: bool) -> Self {
        let (paths, asked, awaited, mapped) = Default::default();
        let kept = if ice_lite { 0 } else { KEPT.min(allowance / 2) };
        Self { paths, asked, awaited, allowance, kept, mapped }
    }

    /// The viewer has sent so many bytes more, by HTTP.
    pub(super) fn grant(&mut self, bytes: usize) {
        self.allowance = self.allowance.saturating_add(bytes);
    }

    /// The viewer has sent this on `path`.
    pub(super) fn heard(&mut self, path: Path, datagram: &[u8]) {
        if let Some(Stun::Check(_)) = Stun::of(datagram) {
            self.grant(datagram.len().saturating_sub(ANSWER));
            self.remember(path).heard = true;
        }
    }

    /// Whether this datagram may be sent. If so, it is taken note of.
    pub(super) fn allow(&mut self, path: Path, datagram: &[u8]) -> bool {
        let Some(Stun::Check(id)) = Stun::of(datagram) else {
            self.remember(path);
            return true;
        };
        let kept = self.kept;
        let tried = self.remember(path);
        if tried.answered.is_none() {
            let kept = if tried.heard || !tried.checked { 0 } else { kept };
            tried.checked = true;
            let cost = datagram.len() + HEADS;
            if self.allowance < cost + kept {
                return false;
            }
            self.allowance -= cost;
        }
        self.asked.push(Check { id, path });
        true
    }

    fn remember(&mut self, path: Path) -> &mut Tried {
        let at = self.paths.iter().position(|tried| tried.path == path).unwrap_or_else(|| {
            if self.paths.len() == MAX_PATHS {
                // What answers is in use, or may be; what never did comes before all that has.
                let least = self.paths.iter().enumerate().min_by_key(|(_, tried)| tried.answered);
                least.map(|(at, _)| at).and_then(|at| self.paths.remove(at));
            }
            self.paths.push_back(Tried { path, heard: false, checked: false, answered: None });
            self.paths.len() - 1
        });
        &mut self.paths[at]
    }

    /// Takes note of it where `datagram` is the answer to a check, sealed with the viewer's
    /// password. Says whether the library may see it: not where the viewer tells of ever new
    /// addresses at which it has seen us.
    pub(super) fn answered(
        &mut self,
        path: Path,
        datagram: &[u8],
        pwd: &str,
        now: Instant,
    ) -> bool {
        let Some(Stun::Answer(id)) = Stun::of(datagram) else { return true };
        let all = self.awaited.iter().chain(&self.asked);
        let asked = all.rev().any(|check| check.id == id && check.path == path);
        let Ok(message) = StunMessage::parse(datagram) else { return true };
        // What anybody could have sent, the library takes for nothing.
        if !is_sealed(&message, pwd) {
            return true;
        }
        if let Some(mapped) = message.mapped_address()
            && !self.mapped.contains(&mapped)
        {
            if self.mapped.len() == MAX_MAPPED {
                return false;
            }
            self.mapped.push(mapped);
        }
        if asked
            && message.is_successful_binding_response()
            && let Some(tried) = self.paths.iter_mut().find(|tried| tried.path == path)
        {
            tried.answered = Some(now);
        }
        true
    }

    /// When a check on `path` was last answered.
    pub(super) fn last_answer(&self, path: Path) -> Option<Instant> {
        self.paths.iter().find(|tried| tried.path == path)?.answered
    }

    /// The path of a candidate pair. Behind a router, the library calls our end by the address that
    /// the viewer sees; what we send from is the one behind that.
    pub(super) fn path(&self, told: Path) -> Path {
        let known = |path: &Path| self.paths.iter().any(|tried| tried.path == *path);
        let same_end = self.paths.iter().filter(|tried| tried.path.remote() == told.remote());
        let latest = same_end.max_by_key(|tried| tried.answered).map(|tried| tried.path);
        if known(&told) { told } else { latest.unwrap_or(told) }
    }

    /// Tells the demultiplexer which answers, sealed with `pwd`, are for the session.
    pub(super) fn tell(&mut self, key: Key, pwd: &str, demux: &mut Demux) {
        if self.asked.is_empty() {
            return;
        }
        let secret: Arc<str> = pwd.into();
        for check in self.asked.drain(..) {
            demux.ask(key, check.id, &secret);
            if self.awaited.len() == MAX_AWAITED {
                self.awaited.pop_front().into_iter().for_each(|old| demux.give_up(old.id));
            }
            self.awaited.push_back(check);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use str0m::net::Protocol;

    use super::*;

    const PWD: &str = "0123456789012345678901";
    const ID: TransactionId = [5; 12];

    fn path(port: u16) -> Path {
        let at = |port| SocketAddr::from(([192, 0, 2, 1], port));
        Path { protocol: Protocol::Udp, local: at(1), remote: at(port) }
    }

    /// A check without more than its head.
    fn check(id: TransactionId) -> Vec<u8> {
        [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &id].concat()
    }

    fn answer(id: TransactionId, pwd: &str) -> Vec<u8> {
        crate::webrtc::demux::sealed_answer(id, pwd)
    }

    #[test]
    fn only_an_answer_to_a_check_of_ours_on_the_same_path_renews_consent() {
        let (mut checks, now) = (Checks::new(10_000, false), Instant::now());
        assert!(checks.allow(path(7), &check(ID)) && checks.allow(path(8), &check([6; 12])));
        for (on, datagram) in [
            (path(7), answer([9; 12], PWD)),
            (path(7), answer(ID, "another password 0123")),
            (path(7), answer([6; 12], PWD)),
            (path(8), answer(ID, PWD)),
            (path(7), check(ID)),
            (path(7), Vec::new()),
        ] {
            checks.answered(on, &datagram, PWD, now);
            assert_eq!((checks.last_answer(path(7)), checks.last_answer(path(8))), (None, None));
        }
        checks.answered(path(7), &answer(ID, PWD), PWD, now);
        assert_eq!(checks.last_answer(path(7)), Some(now));
        assert_eq!(checks.last_answer(path(8)), None, "each path has a consent of its own");
        // Told to the demultiplexer, it is still waited for.
        checks.tell(1, PWD, &mut Demux::default());
        let later = now + Duration::from_secs(5);
        checks.answered(path(7), &answer(ID, PWD), PWD, later);
        assert_eq!(checks.last_answer(path(7)), Some(later));
    }

    #[test]
    fn a_pair_that_is_called_by_what_the_viewer_sees_of_us_has_the_consent_of_its_path() {
        let (mut checks, now) = (Checks::new(10_000, false), Instant::now());
        assert!(checks.allow(path(7), &check(ID)));
        checks.answered(path(7), &answer(ID, PWD), PWD, now);
        let outside = Path { local: ([203, 0, 113, 1], 4000).into(), ..path(7) };
        assert_eq!(checks.path(outside), path(7));
        assert_eq!(checks.last_answer(checks.path(outside)), Some(now));
        assert_eq!(checks.path(path(7)), path(7));
        let elsewhere = Path { local: outside.local, ..path(8) };
        assert_eq!(checks.path(elsewhere), elsewhere, "nothing is known of it");
    }

    #[test]
    fn checks_of_who_has_not_answered_are_paid_for() {
        let cost = check(ID).len() + HEADS;
        let mut checks = Checks::new(10 * cost, false);
        let mut sent =
            |to: u16| (0..20).filter(|n| checks.allow(path(to), &check([*n; 12]))).count();
        assert_eq!(sent(7), 5, "the rest is kept for who is heard");
        assert_eq!(sent(9), 1, "and for who was not checked before");
        checks.heard(path(8), &check(ID));
        let mut sent =
            |to: u16| (0..20).filter(|n| checks.allow(path(to), &check([*n; 12]))).count();
        assert_eq!(sent(8), 4);
        checks.grant(cost);
        assert!(checks.allow(path(8), &check(ID)) && !checks.allow(path(8), &check(ID)));
        // Who has answered is checked for as long as it watches.
        checks.answered(path(8), &answer(ID, PWD), PWD, Instant::now());
        assert!((0..100).all(|n| checks.allow(path(8), &check([n; 12]))));
        assert!(!checks.allow(path(7), &check(ID)));
        // What is no check is no business of this place.
        assert!(checks.allow(path(7), &[22, 254, 253]));
    }

    #[test]
    fn a_viewer_that_is_only_checked_is_checked_for_all_that_its_offer_is_worth() {
        let cost = check(ID).len() + HEADS;
        let mut checks = Checks::new(10 * cost, true);
        let sent = (0..20).filter(|n| checks.allow(path(7), &check([*n; 12]))).count();
        assert_eq!(sent, 10);
    }

    #[test]
    fn who_sees_us_at_ever_new_addresses_is_not_believed_for_ever() {
        let (mut checks, now) = (Checks::new(10_000, false), Instant::now());
        let seen_at = |port: u16| crate::webrtc::demux::sealed_answer_of(ID, PWD, port);
        let fed = (1..1000).filter(|port| checks.answered(path(7), &seen_at(*port), PWD, now));
        assert_eq!(fed.count(), MAX_MAPPED);
        assert!(checks.answered(path(7), &seen_at(1), PWD, now), "where it was seen, it is");
    }

    #[test]
    fn a_path_that_answers_is_not_forgotten_for_others_that_do_not() {
        let (mut checks, now) = (Checks::new(1_000_000, false), Instant::now());
        assert!(checks.allow(path(7), &check(ID)));
        checks.answered(path(7), &answer(ID, PWD), PWD, now);
        (100..200).for_each(|port| checks.heard(path(port), &check(ID)));
        assert_eq!((checks.last_answer(path(7)), checks.paths.len()), (Some(now), MAX_PATHS));
    }
}
