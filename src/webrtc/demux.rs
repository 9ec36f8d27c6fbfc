//! Whose datagram is it? One socket serves all sessions.
//!
//! STUN checks name their session by the username fragment it was given, and answers to our own
//! checks by the transaction. Everything else is told by the address it comes from, which belongs
//! to the session whose viewer answered there last, or, as long as it is nobody's, checked there
//! first. An address changes hands when a viewer vanishes without a word and its port is given to
//! another: who only writes it on its own datagrams gets no answer there, and takes it from nobody.
//! Between the new viewer's first check and its first answer, DTLS from there is the new one's, where
//! the former has its handshake behind it: it has no use for it but would answer it.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use str0m::ice::StunMessage;

use super::path::Remote;
use super::sdp::Credentials;

/// Names a session inside the engine.
pub(super) type Key = u64;

/// Who owns which username fragment and which address.
#[derive(Default)]
pub(super) struct Demux {
    by_ufrag: HashMap<String, Named>,
    /// The fragments of each session's running ICE session, and of the one before: until the way
    /// is found again, the former is in use.
    names: HashMap<Key, [String; 2]>,
    by_address: HashMap<Remote, AddressHistory>,
    by_transaction: HashMap<TransactionId, Asked>,
    /// Addresses that each session has been given in its running ICE session.
    held: HashMap<Key, usize>,
}

/// Addresses a session may check us from, before it restarts ICE: a viewer has a few, and each takes
/// memory, here and in the ICE agent.
const MAX_ADDRESSES: usize = 24;

/// What relates an answer to its request (RFC 8489 §5).
pub(super) type TransactionId = [u8; 12];

/// A connectivity check of ours that is under way.
struct Asked {
    key: Key,
    /// The viewer's ICE password, which seals the answer.
    secret: Arc<str>,
}

/// What a STUN message is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stun {
    /// A connectivity check.
    Check(TransactionId),
    /// An answer to one, good or bad.
    Answer(TransactionId),
}

impl Stun {
    /// Looks at the header of what may be a STUN message.
    pub(super) fn of(datagram: &[u8]) -> Option<Self> {
        let id: TransactionId = datagram.get(8..20)?.try_into().ok()?;
        match datagram[..2] {
            [0x00, 0x01] => Some(Self::Check(id)),
            [0x01, 0x01 | 0x11] => Some(Self::Answer(id)),
            _ => None,
        }
    }
}

struct Named {
    key: Key,
    /// The ICE password that goes with the fragment.
    secret: String,
}

/// Who has shown to be at an address.
#[derive(Default)]
struct AddressHistory {
    /// The latest first. The others are remembered, because the address is theirs again when the
    /// latest is gone.
    owners: [Option<Key>; 3],
    /// Who has checked us from there, and not answered yet.
    challenger: Option<Key>,
}

impl AddressHistory {
    fn add(&mut self, key: Key) {
        self.challenger = None;
        let owners = &mut self.owners;
        if owners[0] != Some(key) {
            let at = owners.iter().position(|k| *k == Some(key)).unwrap_or(owners.len() - 1);
            owners[..=at].rotate_right(1);
            owners[0] = Some(key);
        }
    }

    /// Forgets a session; false when nobody is left.
    fn release(&mut self, key: Key) -> bool {
        let all = self.owners.iter_mut().chain([&mut self.challenger]);
        all.filter(|k| **k == Some(key)).for_each(|k| *k = None);
        self.latest().is_some()
    }

    fn latest(&self) -> Option<Key> {
        self.owners.iter().copied().flatten().next()
    }
}

impl Demux {
    /// Gives a session its ICE credentials; after a restart those before hold, too.
    pub(super) fn name(&mut self, Credentials { ufrag, pwd }: Credentials, key: Key) {
        self.held.remove(&key);
        let [running, former] = self.names.entry(key).or_default();
        self.by_ufrag.remove(former);
        *former = std::mem::replace(running, ufrag.clone());
        self.by_ufrag.insert(ufrag, Named { key, secret: pwd });
    }

    /// Forgets a session; tells the addresses that are now nobody's.
    pub(super) fn forget(&mut self, key: Key) -> Vec<Remote> {
        let names = self.names.remove(&key).unwrap_or_default();
        names.iter().for_each(|ufrag| drop(self.by_ufrag.remove(ufrag)));
        self.by_transaction.retain(|_, asked| asked.key != key);
        self.held.remove(&key);
        let freed = self.by_address.extract_if(|_, history| !history.release(key));
        freed.map(|(remote, _)| remote).collect()
    }

    /// A session has sent a check, whose answer `secret` seals.
    pub(super) fn ask(&mut self, key: Key, id: TransactionId, secret: &Arc<str>) {
        self.by_transaction.insert(id, Asked { key, secret: secret.clone() });
    }

    /// The answer to a check is not waited for any more.
    pub(super) fn give_up(&mut self, id: TransactionId) {
        self.by_transaction.remove(&id);
    }

    /// Whose datagram this is, where `is_connected` says who has its handshake behind it.
    pub(super) fn of(
        &mut self,
        source: Remote,
        datagram: &[u8],
        is_connected: impl Fn(Key) -> bool,
    ) -> Option<Key> {
        let named = match Stun::of(datagram) {
            Some(Stun::Answer(id)) => self.answered(source, id, datagram),
            Some(Stun::Check(_)) => Some(self.checked(source, datagram)?),
            None => None,
        };
        named.or_else(|| {
            let history = self.by_address.get(&source)?;
            let owner = history.latest()?;
            let is_dtls = matches!(datagram, [20..=63, ..]);
            let challenger = history.challenger.filter(|_| is_dtls && is_connected(owner));
            Some(challenger.unwrap_or(owner))
        })
    }

    /// Whose check was answered; the address is then that session's.
    fn answered(&mut self, source: Remote, id: TransactionId, datagram: &[u8]) -> Option<Key> {
        let Asked { key, secret } = self.by_transaction.get(&id)?;
        let message = StunMessage::parse(datagram).ok()?;
        if is_sealed(&message, secret) {
            self.by_address.entry(source).or_default().add(*key);
        }
        Some(*key)
    }

    /// Which session is checked (RFC 8445 §7.2.2: the name begins with our fragment). An address
    /// that is nobody's becomes that session's.
    fn checked(&mut self, source: Remote, datagram: &[u8]) -> Option<Key> {
        let message = StunMessage::parse(datagram).ok()?;
        let (ours, _) = message.split_username()?;
        let Named { key, secret } = self.by_ufrag.get(ours)?;
        let owner = self.by_address.get(&source).and_then(AddressHistory::latest);
        if owner != Some(*key) {
            // Nobody gets an address, or anything of ours, by a check they cannot seal.
            if !is_sealed(&message, secret) {
                return None;
            }
            let held = self.held.entry(*key).or_default();
            if *held == MAX_ADDRESSES {
                return None;
            }
            *held += 1;
            let history = self.by_address.entry(source).or_default();
            match owner {
                None => history.add(*key),
                Some(_) => history.challenger = Some(*key),
            }
        }
        Some(*key)
    }
}

/// Whether a check was made by somebody who knows our ICE password.
pub(super) fn is_sealed(message: &StunMessage<'_>, pwd: &str) -> bool {
    message.verify(pwd.as_bytes(), sha1_hmac)
}

/// HMAC-SHA1 over the parts, as STUN's MESSAGE-INTEGRITY wants it (RFC 8489 §14.5).
fn sha1_hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let mut context = hmac::Context::with_key(&key);
    parts.iter().for_each(|part| context.update(part));
    let mut mac = [0; 20];
    mac.copy_from_slice(context.sign().as_ref());
    mac
}

/// An answer to a check (RFC 8489 §6.3.3), sealed with `pwd`.
#[cfg(test)]
pub(super) fn sealed_answer(id: TransactionId, pwd: &str) -> Vec<u8> {
    tests::sealed(0x0101, id, "", pwd)
}

/// The same, which tells of a port of ours.
#[cfg(test)]
pub(super) fn sealed_answer_of(id: TransactionId, pwd: &str, port: u16) -> Vec<u8> {
    tests::sealed_with_port(0x0101, id, "", pwd, port)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use str0m::net::Protocol;

    use super::*;

    const ID: TransactionId = [7; 12];

    /// A STUN message (RFC 8489 §5) with a username, sealed.
    pub(super) fn sealed(kind: u16, id: TransactionId, username: &str, seal: &str) -> Vec<u8> {
        sealed_with_port(kind, id, username, seal, 0)
    }

    /// The same with a mapped address (RFC 8489 §14.2) of this port.
    pub(super) fn sealed_with_port(
        kind: u16,
        id: TransactionId,
        username: &str,
        seal: &str,
        port: u16,
    ) -> Vec<u8> {
        let [high, low] = port.to_be_bytes();
        let mut message = kind.to_be_bytes().to_vec();
        message.extend([0, 0]);
        message.extend(0x2112_a442_u32.to_be_bytes());
        message.extend(id);
        // The parser wants all that a check has.
        let attributes: [(u16, &[u8]); 4] = [
            (0x0006, username.as_bytes()),
            (0x0020, &[0, 1, high, low, 0, 0, 0, 0]),
            (0x0024, &[0, 0, 0, 1]),
            (0x802a, &[0; 8]),
        ];
        for (kind, value) in attributes {
            message.extend(kind.to_be_bytes());
            message.extend((value.len() as u16).to_be_bytes());
            message.extend(value);
            message.resize(message.len().next_multiple_of(4), 0);
        }
        // The seal is over a header that counts it already (RFC 8489 §14.5).
        let len = (message.len() - 20 + 24) as u16;
        message[2..4].copy_from_slice(&len.to_be_bytes());
        let mac = sha1_hmac(seal.as_bytes(), &[&message]);
        message.extend([0, 8, 0, 20]);
        message.extend(mac);
        message
    }

    /// A check of the session called "ours", sealed with its password.
    fn check(seal: &str) -> Vec<u8> {
        sealed(0x0001, ID, "ours:theirs", seal)
    }

    fn at(port: u16) -> Remote {
        (Protocol::Udp, SocketAddr::from(([192, 0, 2, 7], port)))
    }

    fn of(owners: &mut Demux, source: Remote, datagram: &[u8]) -> Option<Key> {
        owners.of(source, datagram, |_| false)
    }

    /// Two sessions; the first has an address.
    fn two() -> Demux {
        let mut owners = Demux::default();
        let creds = |ufrag: &str, pwd: &str| Credentials { ufrag: ufrag.into(), pwd: pwd.into() };
        owners.name(creds("others", "another secret"), 1);
        owners.name(creds("ours", "secret"), 2);
        assert_eq!(
            of(&mut owners, at(1), &sealed(0x0001, ID, "others:x", "another secret")),
            Some(1)
        );
        owners
    }

    #[test]
    fn an_answer_reaches_the_session_that_asked_wherever_it_comes_from() {
        let mut owners = two();
        owners.ask(2, ID, &"theirs".into());
        // Some peers repeat our username in it, which has their fragment first there.
        let answer = sealed(0x0101, ID, "theirs:ours", "theirs");
        assert_eq!(of(&mut owners, at(9), &answer), Some(2));
        // And with it goes the address: what is no STUN is this session's too.
        assert_eq!(of(&mut owners, at(9), &[22; 30]), Some(2));
        owners.give_up(ID);
        assert_eq!(of(&mut owners, at(1), &answer), Some(1), "by the address, as anything else");
    }

    #[test]
    fn an_address_that_is_somebodys_moves_only_with_an_answer_from_there() {
        let mut owners = two();
        assert_eq!(of(&mut owners, at(1), &check("secret")), Some(2), "the check itself is heard");
        assert_eq!(of(&mut owners, at(1), &[22; 30]), Some(1), "but takes nothing away");
        owners.ask(2, ID, &"theirs".into());
        of(&mut owners, at(1), &sealed(0x0101, ID, "", "not theirs"));
        assert_eq!(of(&mut owners, at(1), &[22; 30]), Some(1));
        of(&mut owners, at(1), &sealed(0x0101, ID, "", "theirs"));
        assert_eq!(of(&mut owners, at(1), &[22; 30]), Some(2));
        owners.forget(2);
        assert_eq!(of(&mut owners, at(1), &[22; 30]), Some(1), "who had it before has it again");
    }

    #[test]
    fn a_handshake_from_an_address_that_is_being_taken_over_reaches_who_begins_it() {
        let mut owners = two();
        let hello = [22, 254, 253];
        let whose = |owners: &mut Demux, first_is_connected: bool| {
            owners.of(at(1), &hello, |key| key == 1 && first_is_connected)
        };
        assert_eq!(whose(&mut owners, true), Some(1), "nobody else has checked from there");
        of(&mut owners, at(1), &check("secret"));
        assert_eq!(whose(&mut owners, false), Some(1), "in the midst of its own handshake");
        assert_eq!(whose(&mut owners, true), Some(2));
        assert_eq!(of(&mut owners, at(1), &[200; 30]), Some(1), "RTCP is the owner's");
        // The owner shows that it is still there.
        owners.ask(1, ID, &"theirs".into());
        of(&mut owners, at(1), &sealed(0x0101, ID, "", "theirs"));
        assert_eq!(whose(&mut owners, true), Some(1));
    }

    #[test]
    fn a_viewer_who_checks_from_everywhere_is_not_followed_for_ever() {
        let mut owners = two();
        let heard =
            (1000..2000).filter(|port| of(&mut owners, at(*port), &check("secret")).is_some());
        assert_eq!(heard.count(), MAX_ADDRESSES);
        assert_eq!(
            of(&mut owners, at(1000), &check("secret")),
            Some(2),
            "where it was, it is heard"
        );
        owners.name(Credentials { ufrag: "anew".into(), pwd: "secret".into() }, 2);
        assert_eq!(
            of(&mut owners, at(3000), &sealed(0x0001, ID, "anew:theirs", "secret")),
            Some(2)
        );
    }

    #[test]
    fn of_restarts_without_end_the_last_credentials_are_remembered() {
        let mut owners = two();
        for n in 0..1000 {
            owners.name(Credentials { ufrag: format!("anew{n}"), pwd: "secret".into() }, 2);
        }
        let heard = |owners: &mut Demux, n: u32| {
            let check = sealed(0x0001, ID, &format!("anew{n}:theirs"), "secret");
            of(owners, at(2), &check).is_some()
        };
        assert!(heard(&mut owners, 999) && heard(&mut owners, 998) && !heard(&mut owners, 997));
        assert_eq!(owners.by_ufrag.len(), 3);
        owners.forget(2);
        assert_eq!(owners.by_ufrag.len(), 1);
    }

    #[test]
    fn who_cannot_seal_a_check_gets_nothing() {
        let mut owners = two();
        assert_eq!(of(&mut owners, at(9), &check("no secret")), None);
        assert_eq!(of(&mut owners, at(9), &[22; 30]), None);
        assert_eq!(of(&mut owners, at(1), &check("no secret")), None);
    }

    #[test]
    fn an_address_remembers_its_latest_owners() {
        let mut history = AddressHistory::default();
        for key in [1, 2, 1, 3, 4] {
            history.add(key);
        }
        assert_eq!(history.owners, [Some(4), Some(3), Some(1)]);
        assert!(history.release(4) && history.release(3));
        assert!(!history.release(1));
    }
}
