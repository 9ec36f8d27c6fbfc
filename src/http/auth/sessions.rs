//! Who is signed in, and how that is written down, so that a restart signs nobody out.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

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

/// Browsers that are signed in.
///
/// Each is kept as a hash of its cookie and of the password it was signed in with. So none
/// outlasts the password, and who reads the hashes learns neither.
#[derive(Default)]
pub(super) struct Sessions(Vec<Session>);

struct Session {
    digest: [u8; 32],
    until: Instant,
}

/// What binds a session to the password: HMAC-SHA-256 of that, by the cookie as the key.
fn bound(cookie: &str, password: &str) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes());
    let mut digest = [0; 32];
    digest.copy_from_slice(hmac::sign(&key, password.as_bytes()).as_ref());
    digest
}

impl Sessions {
    /// Signs somebody in; the cookie's value is 128 random bits in hexadecimal digits.
    pub(super) fn open(&mut self, password: &str, now: Instant) -> Option<String> {
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).ok()?;
        let cookie = hex(&random);
        self.0.retain(|s| now < s.until);
        if self.0.len() >= MAX_SESSIONS {
            self.0.remove(0);
        }
        self.0.push(Session { digest: bound(&cookie, password), until: now + LIFETIME });
        Some(cookie)
    }

    pub(super) fn is_open(&self, cookie: &str, password: &str, now: Instant) -> bool {
        let digest = bound(cookie, password);
        self.0.iter().any(|s| now < s.until && s.is(&digest))
    }

    /// Signs a browser out; false if it was not signed in.
    pub(super) fn close(&mut self, cookie: &str, password: &str) -> bool {
        let digest = bound(cookie, password);
        let before = self.0.len();
        self.0.retain(|s| !s.is(&digest));
        self.0.len() < before
    }

    /// Signs everybody out; false if nobody was signed in.
    pub(super) fn close_all(&mut self) -> bool {
        let any = !self.0.is_empty();
        self.0.clear();
        any
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes them down: how long each has left, for a machine whose clock may be wrong, and when
    /// that was by its clock.
    pub(super) fn write(&self, now: Instant, clock: SystemTime) -> Vec<u8> {
        let kept = |s: &Session| Kept {
            digest: hex(&s.digest),
            left: s.until.saturating_duration_since(now).as_secs(),
        };
        let file = File { written: seconds(clock), sessions: self.0.iter().map(kept).collect() };
        serde_json::to_vec(&file).unwrap_or_default()
    }

    /// Reads what was written down. While the machine was off, time has passed as far as its clock
    /// tells; one that went back, for want of a battery, tells nothing.
    pub(super) fn read(bytes: &[u8], now: Instant, clock: SystemTime) -> Result<Self, String> {
        let file: File = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let passed = seconds(clock).saturating_sub(file.written);
        let kept = file.sessions.iter().filter_map(|kept| {
            let left = Duration::from_secs(kept.left.checked_sub(passed)?).min(LIFETIME);
            let until = now.checked_add(left).filter(|until| now < *until)?;
            Some(Session { digest: unhex(&kept.digest)?, until })
        });
        Ok(Self(kept.take(MAX_SESSIONS).collect()))
    }
}

impl Session {
    /// Compares in a time that says nothing.
    fn is(&self, digest: &[u8; 32]) -> bool {
        verify_slices_are_equal(&self.digest, digest).is_ok()
    }
}

/// Sessions as they are written down.
#[derive(Serialize, Deserialize)]
struct File {
    /// When, in seconds since 1970.
    written: u64,
    sessions: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    digest: String,
    /// Seconds it had left.
    left: u64,
}

fn seconds(clock: SystemTime) -> u64 {
    clock.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse";
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_session_ends_by_itself_and_when_told() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let mut open = || sessions.open(PASSWORD, now).unwrap();
        let (a, b) = (open(), open());
        assert_eq!((a.len(), a == b), (32, false));
        let is_open = |s: &Sessions, c: &str| s.is_open(c, PASSWORD, now);
        assert!(is_open(&sessions, &a) && is_open(&sessions, &b));
        assert!(!sessions.is_open(&a, PASSWORD, now + LIFETIME));
        assert!(!is_open(&sessions, "") && !is_open(&sessions, &a[..31]));
        assert!(sessions.close(&a, PASSWORD) && !sessions.close(&a, PASSWORD));
        assert!(!is_open(&sessions, &a) && is_open(&sessions, &b));
        assert!(sessions.close_all() && !sessions.close_all());
        assert!(!is_open(&sessions, &b));
    }

    #[test]
    fn a_session_is_worth_nothing_with_another_password() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let cookie = sessions.open(PASSWORD, now).unwrap();
        assert!(!sessions.is_open(&cookie, "another", now) && !sessions.is_open(&cookie, "", now));
        assert!(!sessions.close(&cookie, "another"));
    }

    #[test]
    fn the_sixty_fifth_browser_signs_the_first_one_out() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let cookies: Vec<_> =
            (0..=MAX_SESSIONS).map(|_| sessions.open(PASSWORD, now).unwrap()).collect();
        assert!(!sessions.is_open(&cookies[0], PASSWORD, now));
        assert!(cookies[1..].iter().all(|c| sessions.is_open(c, PASSWORD, now)));
    }

    #[test]
    fn what_was_written_down_is_read_again_without_its_secrets() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let clock = UNIX_EPOCH + LIFETIME * 600;
        let cookie = sessions.open(PASSWORD, now).unwrap();
        let written = sessions.write(now, clock);
        let text = String::from_utf8(written.clone()).unwrap();
        assert!(!text.contains(&cookie) && !text.contains(PASSWORD), "{text}");
        // The new process has an own idea of now.
        let later = now + SECOND * 77;
        let open = |clock, then: Duration| {
            let read = Sessions::read(&written, later, clock).unwrap();
            read.is_open(&cookie, PASSWORD, later + then)
        };
        assert!(open(clock, LIFETIME - SECOND) && !open(clock, LIFETIME));
        let week = SECOND * 7 * 24 * 3600;
        assert!(
            open(clock + week, LIFETIME - week - SECOND) && !open(clock + week, LIFETIME - week)
        );
        assert!(!open(clock + LIFETIME, Duration::ZERO));
        // A clock that went back, to 1970 too, ends nothing, and lengthens nothing.
        for before in [UNIX_EPOCH, clock - week] {
            assert!(open(before, LIFETIME - SECOND) && !open(before, LIFETIME));
        }
    }

    #[test]
    fn damage_lets_nobody_in() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let cookie = sessions.open(PASSWORD, now).unwrap();
        let written = sessions.write(now, UNIX_EPOCH);
        for i in 0..written.len() {
            for bytes in [written[..i].to_vec(), [&written[..i], &written[i + 1..]].concat()] {
                let read = Sessions::read(&bytes, now, UNIX_EPOCH).unwrap_or_default();
                for (cookie, password) in [("", ""), ("", PASSWORD), (&*cookie, "")] {
                    assert!(!read.is_open(cookie, password, now));
                }
            }
        }
        let many = format!("{{\"digest\": \"{}\", \"left\": {}}},", "0".repeat(64), u64::MAX);
        let text = format!(
            "{{\"written\": 0, \"sessions\": [{}]}}",
            many.repeat(500).trim_end_matches(',')
        );
        let read = Sessions::read(text.as_bytes(), now, UNIX_EPOCH).unwrap();
        assert_eq!(read.0.len(), MAX_SESSIONS);
        assert!(read.0.iter().all(|s| s.until <= now + LIFETIME));
    }
}
