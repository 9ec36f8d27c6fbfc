//! Whose datagram is it? One socket serves all sessions.
//!
//! STUN checks name their session by the username fragment it was given. Everything else, answers
//! to our own checks among it, is told by the address it comes from, which belongs to the session that showed last, with a check
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
            let at = self.0.iter().position(|k| *k == Some(key)).unwrap_or(self.0.len() - 1);
            self.0[..=at].rotate_right(1);
            self.0[0] = Some(key);
        }
    }

    /// Forgets a session; false when nobody is left.
    fn release(&mut self, key: Key) -> bool {
        self.0.iter_mut().filter(|k| **k == Some(key)).for_each(|k| *k = None);
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
            // Only in a request does the name begin with our fragment (RFC 8445 §7.2.2). Some peers
            // (libnice, and GStreamer with it) put the name into their answers, too, where it is
            // the one from our request, with their fragment first.
            let name = message.split_username().filter(|_| message.is_binding_request());
            if let Some((ours, _)) = name {
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

    /// A successful answer to a check (RFC 8489 §5), sealed with nonsense.
    fn response(username: &str) -> Vec<u8> {
        let attributes: [(u16, &[u8]); 3] = [
            (0x0006, username.as_bytes()),
            (0x0020, &[0, 1, 0, 0, 0, 0, 0, 0]),
            (0x0008, &[0; 20]),
        ];
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = 0x0101_u16.to_be_bytes().to_vec();
        message.extend((body.len() as u16).to_be_bytes());
        message.extend(0x2112_a442_u32.to_be_bytes());
        message.extend([7; 12]);
        message.extend(body);
        message
    }

    #[test]
    fn an_answer_that_repeats_our_username_reaches_the_session_that_asked() {
        let viewer = SocketAddr::from(([192, 0, 2, 7], 50_000));
        let mut owners = Owners::default();
        owners.by_address.entry(viewer).or_default().add(1);
        assert_eq!(owners.of(viewer, &response("theirs:ours")), Some(1));
    }

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
