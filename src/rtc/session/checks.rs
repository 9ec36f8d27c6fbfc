//! The connectivity checks that a session sends: where, how many, and which were answered.
//!
//! Who may watch can name any address as its own. So that nobody is made to send the camera's
//! datagrams at others, checks of an address that has not answered one cost: a session may send no
//! more of them than it was sent by HTTP, byte for byte.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use str0m::ice::StunMessage;
use str0m::net::Protocol;

use crate::rtc::demux::{Key, Owners, Stun, TransactionId, is_sealed};
use crate::rtc::path::Path;

/// Paths remembered; of more candidate pairs than this, few are still being checked.
const MAX_PATHS: usize = 32;

/// Checks whose answers are waited for; of a session that has connected, one is under way.
const MAX_AWAITED: usize = 64;

/// What a datagram costs beside its content: IPv4's and UDP's heads.
const HEADS: usize = 28;

pub(super) struct Checks {
    /// Paths we have sent something on, the latest last.
    paths: VecDeque<Tried>,
    /// Checks sent of which the demultiplexer does not know yet, and those of which it does, the
    /// latest last.
    asked: Vec<Check>,
    awaited: VecDeque<Check>,
    /// Bytes that may still be sent to where nobody has answered.
    allowance: usize,
}

struct Tried {
    path: Path,
    answered: Option<Instant>,
}

struct Check {
    id: TransactionId,
    path: Path,
}

impl Checks {
    pub(super) fn new(allowance: usize) -> Self {
        let (paths, asked, awaited) = Default::default();
        Self { paths, asked, awaited, allowance }
    }

    /// The viewer has sent so many bytes more, by HTTP.
    pub(super) fn grant(&mut self, bytes: usize) {
        self.allowance = self.allowance.saturating_add(bytes);
    }

    /// Whether this datagram may be sent. If so, it is taken note of.
    pub(super) fn allow(&mut self, path: Path, datagram: &[u8]) -> bool {
        if let Some(Stun::Check(id)) = Stun::of(datagram) {
            if self.last_answer(path).is_none() {
                let Some(left) = self.allowance.checked_sub(datagram.len() + HEADS) else {
                    return false;
                };
                self.allowance = left;
            }
            self.asked.push(Check { id, path });
        }
        if !self.paths.iter().any(|tried| tried.path == path) {
            if self.paths.len() == MAX_PATHS {
                self.paths.pop_front();
            }
            self.paths.push_back(Tried { path, answered: None });
        }
        true
    }

    /// Takes note of it where `datagram` is the answer to a check, sealed with the viewer's
    /// password.
    pub(super) fn answered(&mut self, path: Path, datagram: &[u8], pwd: &str, now: Instant) {
        let Some(Stun::Answer(id)) = Stun::of(datagram) else { return };
        let all = self.awaited.iter().chain(&self.asked);
        if !all.rev().any(|check| check.id == id && check.path == path) {
            return;
        }
        let Ok(message) = StunMessage::parse(datagram) else { return };
        if message.is_successful_binding_response()
            && is_sealed(&message, pwd)
            && let Some(tried) = self.paths.iter_mut().find(|tried| tried.path == path)
        {
            tried.answered = Some(now);
        }
    }

    /// When a check on `path` was last answered.
    pub(super) fn last_answer(&self, path: Path) -> Option<Instant> {
        self.paths.iter().find(|tried| tried.path == path)?.answered
    }

    /// The path between two addresses, of which the library does not tell the protocol.
    pub(super) fn path(&self, local: SocketAddr, remote: SocketAddr) -> Path {
        let between = |path: &Path| path.local == local && path.remote == remote;
        let tried = self.paths.iter().rev().map(|tried| tried.path).find(between);
        tried.unwrap_or(Path { protocol: Protocol::Udp, local, remote })
    }

    /// Tells the demultiplexer which answers, sealed with `pwd`, are for the session.
    pub(super) fn tell(&mut self, key: Key, pwd: &str, owners: &mut Owners) {
        if self.asked.is_empty() {
            return;
        }
        let secret: Arc<str> = pwd.into();
        for check in self.asked.drain(..) {
            owners.ask(key, check.id, &secret);
            if self.awaited.len() == MAX_AWAITED {
                self.awaited.pop_front().into_iter().for_each(|old| owners.give_up(old.id));
            }
            self.awaited.push_back(check);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        crate::rtc::demux::sealed_answer(id, pwd)
    }

    #[test]
    fn only_an_answer_to_a_check_of_ours_on_the_same_path_renews_consent() {
        let (mut checks, now) = (Checks::new(1000), Instant::now());
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
        checks.tell(1, PWD, &mut Owners::default());
        let later = now + Duration::from_secs(5);
        checks.answered(path(7), &answer(ID, PWD), PWD, later);
        assert_eq!(checks.last_answer(path(7)), Some(later));
    }

    #[test]
    fn checks_of_who_has_not_answered_are_paid_for() {
        let mut checks = Checks::new(100);
        let cost = check(ID).len() + HEADS;
        let sent = (0..10).filter(|n| checks.allow(path(7), &check([*n; 12]))).count();
        assert_eq!(sent, 100 / cost);
        checks.grant(cost);
        assert!(checks.allow(path(8), &check(ID)) && !checks.allow(path(8), &check(ID)));
        // Who has answered is checked for as long as it watches.
        checks.answered(path(8), &answer(ID, PWD), PWD, Instant::now());
        assert!((0..100).all(|n| checks.allow(path(8), &check([n; 12]))));
        assert!(!checks.allow(path(7), &check(ID)));
        // What is no check is no business of this place.
        assert!(checks.allow(path(7), &[22, 254, 253]));
    }
}
