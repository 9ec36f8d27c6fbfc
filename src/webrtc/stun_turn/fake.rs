//! A STUN and TURN server in memory that does as the test says. It keeps only what its answers
//! depend on; the real thing is in `tests/turn.rs`.

use std::collections::HashSet;
use std::net::SocketAddr;

use turn_types::attribute::{Data, Lifetime, XorPeerAddress, XorRelayedAddress};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, DATA, REFRESH};
use turn_types::stun::attribute::{ErrorCode, Nonce, Realm, XorMappedAddress};
use turn_types::stun::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageIntegrityCredentials,
    MessageWriteVec, Method,
};
use turn_types::stun::prelude::{MessageWrite, MessageWriteExt};

pub(super) const USERNAME: &str = "camera";
pub(super) const PASSWORD: &str = "hunter2";
const REALM: &str = "picket.test";

/// The server.
pub(super) struct Fake {
    pub(super) mapped: SocketAddr,
    pub(super) relay: SocketAddr,
    /// Seconds granted.
    pub(super) lifetime: u32,
    pub(super) allocated: bool,
    /// How often it denies, after an allocation has been ended, that it has been.
    pub(super) slow_to_let_go: u32,
    /// What it was asked for, with the answer: zero for yes.
    pub(super) log: Vec<(Method, u16)>,
    nonce: u32,
    fresh_nonces: HashSet<String>,
    refusals: Vec<(Method, u16)>,
    refuses_all: Option<u16>,
    password: &'static str,
}

impl Fake {
    pub(super) fn new() -> Self {
        let mut fake = Self {
            mapped: "203.0.113.9:8189".parse().expect("an address"),
            relay: "198.51.100.1:50000".parse().expect("an address"),
            lifetime: 600,
            allocated: false,
            slow_to_let_go: 0,
            log: Vec::new(),
            nonce: 0,
            fresh_nonces: HashSet::new(),
            refusals: Vec::new(),
            refuses_all: None,
            password: PASSWORD,
        };
        fake.change_nonce();
        fake
    }

    /// No nonce handed out so far is good any longer.
    pub(super) fn change_nonce(&mut self) {
        self.nonce += 1;
        self.fresh_nonces = HashSet::from([self.current_nonce()]);
    }

    fn current_nonce(&self) -> String {
        format!("nonce-{}", self.nonce)
    }

    /// All is forgotten.
    pub(super) fn restart(&mut self) {
        self.allocated = false;
        self.change_nonce();
    }

    pub(super) fn change_password(&mut self) {
        self.password = "another";
    }

    /// Answers every signed request of this kind with this error from now on.
    pub(super) fn refuse(&mut self, method: Method, code: u16) {
        self.refusals.push((method, code));
    }

    /// Answers every request with this error from now on.
    pub(super) fn refuse_all(&mut self, code: u16) {
        self.refuses_all = Some(code);
    }

    pub(super) fn relent(&mut self) {
        self.refusals.clear();
        self.refuses_all = None;
    }

    /// How often it said this to requests of this kind.
    pub(super) fn count(&self, method: Method, code: u16) -> usize {
        self.log.iter().filter(|e| **e == (method, code)).count()
    }

    /// The answer to a datagram; `None` for what is no request.
    pub(super) fn answer(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let request = Message::from_bytes(datagram).ok()?;
        let method = request.method();
        if let Some(code) = self.refuses_all {
            return Some(self.say_no(&request, code));
        }
        if method == BINDING {
            self.log.push((method, 0));
            return Some(self.say_yes(&request, None));
        }
        let key = LongTermKeyCredentials::new(USERNAME.into(), self.password.into(), REALM.into());
        let key = MessageIntegrityCredentials::from(key);
        let nonce = request.attribute::<Nonce>().ok();
        let code = if nonce.as_ref().is_none_or(|_| request.validate_integrity(&key).is_err()) {
            401
        } else if nonce.is_some_and(|nonce| !self.fresh_nonces.contains(nonce.nonce())) {
            438
        } else if let Some((_, code)) = self.refusals.iter().find(|(m, _)| *m == method) {
            *code
        } else if (method == ALLOCATE) == self.allocated {
            437
        } else if method == ALLOCATE && self.slow_to_let_go > 0 {
            self.slow_to_let_go -= 1;
            437
        } else {
            0
        };
        self.log.push((method, code));
        if code != 0 {
            return Some(self.say_no(&request, code));
        }
        let lifetime = request.attribute::<Lifetime>().ok();
        match method {
            ALLOCATE => self.allocated = true,
            REFRESH => self.allocated = lifetime.is_some_and(|l| l.seconds() > 0),
            CREATE_PERMISSION | CHANNEL_BIND => {}
            _ => return None,
        }
        Some(self.say_yes(&request, Some(&key)))
    }

    fn say_yes(&self, request: &Message<'_>, key: Option<&MessageIntegrityCredentials>) -> Vec<u8> {
        let id = request.transaction_id();
        let mut answer = Message::builder_success(request, MessageWriteVec::new());
        if matches!(request.method(), BINDING | ALLOCATE) {
            let mapped = XorMappedAddress::new(self.mapped, id);
            answer.add_attribute(&mapped).expect("room");
        }
        if request.method() == ALLOCATE {
            let relayed = XorRelayedAddress::new(self.relay, id);
            answer.add_attribute(&relayed).expect("room");
        }
        if matches!(request.method(), REFRESH | ALLOCATE) {
            let lifetime = Lifetime::new(self.lifetime);
            answer.add_attribute(&lifetime).expect("room");
        }
        if let Some(key) = key {
            let signed = answer.add_message_integrity(key, IntegrityAlgorithm::Sha1);
            signed.expect("room");
        }
        answer.finish()
    }

    /// Errors are not signed, as with many servers.
    fn say_no(&self, request: &Message<'_>, code: u16) -> Vec<u8> {
        let mut answer = Message::builder_error(request, MessageWriteVec::new());
        let error = ErrorCode::builder(code).build().expect("a known code");
        answer.add_attribute(&error).expect("room");
        if matches!(code, 401 | 438) {
            let realm = Realm::new(REALM).expect("short");
            let nonce = Nonce::new(&self.current_nonce()).expect("short");
            answer.add_attribute(&realm).expect("room");
            answer.add_attribute(&nonce).expect("room");
        }
        answer.finish()
    }
}

/// What a server sends when `peer` sends `data` to the relay and has no channel.
pub(super) fn data_indication(peer: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut message = Message::builder_indication(DATA, MessageWriteVec::new());
    let id = message.transaction_id();
    let peer = XorPeerAddress::new(peer, id);
    message.add_attribute(&peer).expect("room");
    message.add_attribute(&Data::new(data)).expect("room");
    message.finish()
}
