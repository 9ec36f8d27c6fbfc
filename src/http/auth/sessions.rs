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

/// Browsers that are known to have signed in before.
const MAX_KNOWN: usize = 64;

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

    /// By which the secret is told from others.
    pub(super) fn number(&self) -> Number {
        number(&self.0)
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
pub(super) struct Sessions {
    open: Vec<Session>,
    /// Browsers that have signed in before, the latest last. It says nothing of what they may do.
    known: Vec<Number>,
}

/// By what a credential is told from others inside the program.
pub(super) type Number = [u8; 16];

struct Session {
    digest: [u8; 32],
    until: Instant,
}

/// Digits of a cookie's value.
const COOKIE_LEN: usize = 32;

/// 128 random bits in hexadecimal digits.
fn random() -> Option<String> {
    let mut random = [0; COOKIE_LEN / 2];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    Some(hex(&random))
}

fn number(digest: &[u8; 32]) -> Number {
    let mut number = Number::default();
    number.copy_from_slice(&digest[..16]);
    number
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
        let cookie = random()?;
        self.open.retain(|s| now < s.until);
        if self.open.len() >= MAX_SESSIONS {
            self.open.remove(0);
        }
        self.open.push(Session { digest: bound(&cookie, password), until: now + LIFETIME });
        Some(cookie)
    }

    /// The session of this cookie.
    pub(super) fn find(&self, cookie: &str, password: &str, now: Instant) -> Option<Number> {
        // What is no cookie of ours costs nothing.
        if cookie.len() != COOKIE_LEN {
            return None;
        }
        let digest = bound(cookie, password);
        let open = self.open.iter().any(|s| now < s.until && s.is(&digest));
        open.then(|| number(&digest))
    }

    /// Whether the session of this number is open.
    pub(super) fn has(&self, wanted: &Number, now: Instant) -> bool {
        self.open.iter().any(|s| now < s.until && number(&s.digest) == *wanted)
    }

    /// Takes note of a browser that has signed in, which showed `cookie`, if any, when it did.
    /// Gives what it is to show the next time.
    pub(super) fn know(&mut self, cookie: Option<&str>) -> Option<String> {
        let cookie = match cookie.filter(|cookie| self.knows(cookie).is_some()) {
            Some(cookie) => cookie.to_owned(),
            None => random()?,
        };
        let number = Digest::of(&cookie).number();
        self.known.retain(|known| *known != number);
        if self.known.len() >= MAX_KNOWN {
            self.known.remove(0);
        }
        self.known.push(number);
        Some(cookie)
    }

    /// Which browser this is, if it has signed in before.
    pub(super) fn knows(&self, cookie: &str) -> Option<Number> {
        let number = Digest::of(cookie).number();
        let same = |known: &&Number| verify_slices_are_equal(&known[..], &number).is_ok();
        self.known.iter().find(same).copied()
    }

    /// Forgets which browsers have signed in before, but for this one.
    pub(super) fn forget_known(&mut self, but: Option<Number>) {
        self.known.retain(|known| Some(*known) == but);
    }

    /// Signs a browser out; false if it was not signed in.
    pub(super) fn close(&mut self, cookie: &str, password: &str) -> bool {
        let digest = bound(cookie, password);
        let before = self.open.len();
        self.open.retain(|s| !s.is(&digest));
        self.open.len() < before
    }

    /// Signs everybody out; false if nobody was signed in.
    pub(super) fn close_all(&mut self) -> bool {
        let any = !self.open.is_empty();
        self.open.clear();
        any
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Writes them down: how long each has left, for a machine whose clock may be wrong, and when
    /// that was by its clock.
    pub(super) fn write(&self, now: Instant, clock: SystemTime) -> Vec<u8> {
        let kept = |s: &Session| Kept {
            digest: hex(&s.digest),
            left: s.until.saturating_duration_since(now).as_secs(),
        };
        let file = File {
            written: seconds(clock),
            sessions: self.open.iter().map(kept).collect(),
            known: self.known.iter().map(|number| hex(number)).collect(),
        };
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
        let known = file.known.iter().filter_map(|number| unhex(number));
        Ok(Self { open: kept.take(MAX_SESSIONS).collect(), known: known.take(MAX_KNOWN).collect() })
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
    #[serde(default)]
    known: Vec<String>,
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

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
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
        let is_open = |s: &Sessions, c: &str| s.find(c, PASSWORD, now).is_some();
        assert!(is_open(&sessions, &a) && is_open(&sessions, &b));
        assert!(sessions.find(&a, PASSWORD, now + LIFETIME).is_none());
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
        assert!(
            sessions.find(&cookie, "another", now).is_none()
                && sessions.find(&cookie, "", now).is_none()
        );
        assert!(!sessions.close(&cookie, "another"));
    }

    #[test]
    fn the_sixty_fifth_browser_signs_the_first_one_out() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let cookies: Vec<_> =
            (0..=MAX_SESSIONS).map(|_| sessions.open(PASSWORD, now).unwrap()).collect();
        assert!(sessions.find(&cookies[0], PASSWORD, now).is_none());
        assert!(cookies[1..].iter().all(|c| sessions.find(c, PASSWORD, now).is_some()));
    }

    #[test]
    fn a_browser_that_has_signed_in_is_known_whatever_becomes_of_its_session() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let cookie = sessions.know(None).unwrap();
        let number = sessions.knows(&cookie);
        assert!(number.is_some() && sessions.knows("").is_none());
        assert_eq!(sessions.know(Some(&cookie)).as_ref(), Some(&cookie), "the same again");
        sessions.close_all();
        let written = sessions.write(now, UNIX_EPOCH);
        assert!(!String::from_utf8_lossy(&written).contains(&cookie));
        let mut sessions = Sessions::read(&written, now, UNIX_EPOCH).unwrap();
        assert_eq!(sessions.knows(&cookie), number);
        assert!(sessions.find(&cookie, PASSWORD, now).is_none(), "and is not signed in by that");
        for _ in 0..MAX_KNOWN {
            sessions.know(Some("made up")).unwrap();
        }
        assert_eq!(sessions.knows(&cookie), None, "a browser that was not heard of for longest");
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
            read.find(&cookie, PASSWORD, later + then).is_some()
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
                    assert!(read.find(cookie, password, now).is_none());
                }
            }
        }
        let many = format!("{{\"digest\": \"{}\", \"left\": {}}},", "0".repeat(64), u64::MAX);
        let text = format!(
            "{{\"written\": 0, \"sessions\": [{}]}}",
            many.repeat(500).trim_end_matches(',')
        );
        let read = Sessions::read(text.as_bytes(), now, UNIX_EPOCH).unwrap();
        assert_eq!(read.open.len(), MAX_SESSIONS);
        assert!(read.open.iter().all(|s| s.until <= now + LIFETIME));
    }
}
