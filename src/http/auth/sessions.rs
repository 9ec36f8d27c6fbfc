//! Who is signed in. Kept in memory: after a restart one signs in again.

use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// How long one stays signed in.
pub(super) const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Browsers signed in at once; past it, the one that signed in first is signed out.
const MAX_SESSIONS: usize = 64;

/// A secret as it is kept: hashed, so that a copy of the memory signs nobody in. A fast hash is
/// enough for what is random and long.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(secret: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Self(bytes)
    }

    /// Whether it is that of `secret`, in a time that says nothing.
    pub(super) fn is_of(&self, secret: &str) -> bool {
        verify_slices_are_equal(&self.0, &Self::of(secret).0).is_ok()
    }
}

#[derive(Default)]
pub(super) struct Sessions(Vec<Session>);

struct Session {
    digest: Digest,
    until: Instant,
}

impl Sessions {
    /// Signs somebody in; the cookie's value is 128 random bits in hexadecimal digits.
    pub(super) fn open(&mut self, now: Instant) -> Option<String> {
        use std::fmt::Write;
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).ok()?;
        let cookie = random.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        self.0.retain(|s| now < s.until);
        if self.0.len() >= MAX_SESSIONS {
            self.0.remove(0);
        }
        self.0.push(Session { digest: Digest::of(&cookie), until: now + LIFETIME });
        Some(cookie)
    }

    pub(super) fn is_open(&self, cookie: &str, now: Instant) -> bool {
        self.0.iter().any(|s| now < s.until && s.digest.is_of(cookie))
    }

    /// Signs a browser out; false if it was not signed in.
    pub(super) fn close(&mut self, cookie: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|s| !s.digest.is_of(cookie));
        self.0.len() < before
    }

    pub(super) fn close_all(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_itself_and_when_told() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let (a, b) = (sessions.open(now).unwrap(), sessions.open(now).unwrap());
        assert_eq!((a.len(), a == b), (32, false));
        assert!(sessions.is_open(&a, now) && sessions.is_open(&b, now));
        assert!(!sessions.is_open(&a, now + LIFETIME));
        assert!(!sessions.is_open("", now) && !sessions.is_open(&a[..31], now));
        sessions.close(&a);
        assert!(!sessions.is_open(&a, now) && sessions.is_open(&b, now));
    }

    #[test]
    fn the_sixty_fifth_browser_signs_the_first_one_out() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let cookies: Vec<_> = (0..=MAX_SESSIONS).map(|_| sessions.open(now).unwrap()).collect();
        assert!(!sessions.is_open(&cookies[0], now));
        assert!(cookies[1..].iter().all(|c| sessions.is_open(c, now)));
    }
}
