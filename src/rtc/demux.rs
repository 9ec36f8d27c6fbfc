//! Whose datagram is it? One socket serves all sessions.
//!
//! STUN checks name their session by the username fragment it was given. Everything else is told
//! by the address it comes from, which belongs to the session that showed last, with a check
//! sealed by its own secret, that its viewer is there. An address changes hands when a viewer
//! vanishes without a word and its port is given to another.

use std::collections::HashMap;
use std::net::SocketAddr;

use aws_lc_rs::hmac;
use str0m::ice::StunMessage;

use super::sdp::Credentials;

/// Names a session inside the engine.
pub(super) type Key = u64;

/// Who owns which username fragment and which address.
#[derive(Default)]
pub(super) struct Owners {
    by_ufrag: HashMap<String, Named>,
    by_address: HashMap<SocketAddr, Claims>,
}

struct Named {
    key: Key,
    /// The ICE password that goes with the fragment.
    secret: String,
}

/// Who has shown to be at an address, the latest first. The others are remembered, because the
/// address is theirs again when the latest is gone.
#[derive(Default)]
struct Claims([Option<Key>; 3]);

impl Claims {
    fn add(&mut self, key: Key) {
        if self.0[0] != Some(key) {
            let at = self
                .0
                .iter()
                .position(|k| *k == Some(key))
                .unwrap_or(self.0.len() - 1);
            self.0[..=at].rotate_right(1);
            self.0[0] = Some(key);
        }
    }

    /// Forgets a session; false when nobody is left.
    fn release(&mut self, key: Key) -> bool {
        self.0
            .iter_mut()
            .filter(|k| **k == Some(key))
            .for_each(|k| *k = None);
        self.latest().is_some()
    }

    fn latest(&self) -> Option<Key> {
        self.0.iter().copied().flatten().next()
    }
}

impl Owners {
    /// Gives a session its ICE credentials; after a restart it has several.
    pub(super) fn name(&mut self, Credentials { ufrag, pwd }: Credentials, key: Key) {
        self.by_ufrag.insert(ufrag, Named { key, secret: pwd });
    }

    /// Forgets a session.
    pub(super) fn forget(&mut self, key: Key) {
        self.by_ufrag.retain(|_, named| named.key != key);
        self.by_address.retain(|_, claims| claims.release(key));
    }

    /// Whose datagram this is.
    pub(super) fn of(&mut self, source: SocketAddr, datagram: &[u8]) -> Option<Key> {
        // RFC 7983: STUN starts with 0 to 3.
        if datagram.first().is_some_and(|b| *b < 4) {
            let message = StunMessage::parse(datagram).ok()?;
            if let Some((ours, _)) = message.split_username() {
                let Named { key, secret } = self.by_ufrag.get(ours)?;
                let claims = self.by_address.get(&source);
                if claims.and_then(Claims::latest) != Some(*key) {
                    // Nobody gets an address, or anything of ours, by a check they cannot seal.
                    if !message.verify(secret.as_bytes(), sha1_hmac) {
                        return None;
                    }
                    self.by_address.entry(source).or_default().add(*key);
                }
                return Some(*key);
            }
        }
        self.by_address.get(&source)?.latest()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_remembers_its_latest_owners() {
        let mut claims = Claims::default();
        for key in [1, 2, 1, 3, 4] {
            claims.add(key);
        }
        assert_eq!(claims.0, [Some(4), Some(3), Some(1)]);
        assert!(claims.release(4) && claims.release(3));
        assert!(!claims.release(1));
    }
}
