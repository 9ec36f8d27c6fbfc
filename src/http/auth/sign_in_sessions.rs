//! Who is signed in, and how that is written down, so that a restart signs nobody out.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base16ct::{lower, mixed};
use serde::{Deserialize, Serialize};

/// How long a browser stays signed in.
pub(in crate::http) const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Browsers signed in at once; past it, the one that signed in first is signed out.
const MAX_SESSIONS: usize = 64;

/// Browsers that are known to have signed in before.
const MAX_BROWSERS: usize = 64;

/// A secret as it is kept: hashed, so that a copy of the memory signs nobody in. A fast hash is
/// enough for what is random and long.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(super) fn of(secret: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Self(bytes)
    }

    /// By what the secret is told from others.
    pub(super) fn id(&self) -> CredentialId {
        credential_id(&self.0)
    }

    /// Whether it is that of `secret`, in a time that says nothing.
    pub(super) fn matches(&self, secret: &str) -> bool {
        verify_slices_are_equal(&self.0, &Self::of(secret).0).is_ok()
    }
}

/// Browsers that are signed in.
///
/// Each is kept as a hash of its cookie and of the password it was signed in with. So none
/// outlasts the password, and who reads the hashes learns neither.
#[derive(Default)]
pub(super) struct SignInSessions {
    sessions: Vec<SignInSession>,
    /// Browsers that have signed in before, the latest last. It says nothing of what they may do.
    browsers: Vec<CredentialId>,
}

/// By what a credential is told from others inside the program.
pub(super) type CredentialId = [u8; 16];

struct SignInSession {
    digest: [u8; 32],
    until: Instant,
}

/// Digits of a cookie's value.
const COOKIE_LEN: usize = 32;

/// 128 random bits in hexadecimal digits.
fn random() -> Option<String> {
    let mut random = [0; COOKIE_LEN / 2];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    Some(lower::encode_string(&random))
}

fn credential_id(digest: &[u8; 32]) -> CredentialId {
    let mut id = CredentialId::default();
    id.copy_from_slice(&digest[..16]);
    id
}

/// What binds a session to the password: HMAC-SHA-256 of that, by the cookie as the key.
fn session_hash(cookie: &str, password: &str) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes());
    let mut digest = [0; 32];
    digest.copy_from_slice(hmac::sign(&key, password.as_bytes()).as_ref());
    digest
}

impl SignInSessions {
    /// Signs somebody in; the cookie's value is 128 random bits in hexadecimal digits.
    pub(super) fn create(&mut self, password: &str, now: Instant) -> Option<String> {
        let cookie = random()?;
        self.sessions.retain(|s| now < s.until);
        if self.sessions.len() >= MAX_SESSIONS {
            self.sessions.remove(0);
        }
        self.sessions
            .push(SignInSession { digest: session_hash(&cookie, password), until: now + LIFETIME });
        Some(cookie)
    }

    /// The session of this cookie.
    pub(super) fn find(&self, cookie: &str, password: &str, now: Instant) -> Option<CredentialId> {
        // What is no cookie of ours costs nothing.
        if cookie.len() != COOKIE_LEN {
            return None;
        }
        let digest = session_hash(cookie, password);
        let open = self.sessions.iter().any(|s| now < s.until && s.is(&digest));
        open.then(|| credential_id(&digest))
    }

    /// Whether the session with this id is open.
    pub(super) fn contains(&self, wanted: &CredentialId, now: Instant) -> bool {
        self.sessions.iter().any(|s| now < s.until && credential_id(&s.digest) == *wanted)
    }

    /// Takes note of a browser that has signed in, which showed `cookie`, if any, when it did.
    /// Gives what it is to show the next time.
    pub(super) fn remember(&mut self, cookie: Option<&str>) -> Option<String> {
        let cookie = match cookie.filter(|cookie| self.recognize(cookie).is_some()) {
            Some(cookie) => cookie.to_owned(),
            None => random()?,
        };
        let id = SecretHash::of(&cookie).id();
        self.browsers.retain(|known| *known != id);
        if self.browsers.len() >= MAX_BROWSERS {
            self.browsers.remove(0);
        }
        self.browsers.push(id);
        Some(cookie)
    }

    /// Which browser this is, if it has signed in before.
    pub(super) fn recognize(&self, cookie: &str) -> Option<CredentialId> {
        let id = SecretHash::of(cookie).id();
        let same = |known: &&CredentialId| verify_slices_are_equal(&known[..], &id).is_ok();
        self.browsers.iter().find(same).copied()
    }

    /// Forgets which browsers have signed in before, except this one.
    pub(super) fn forget_browsers(&mut self, except: Option<CredentialId>) {
        self.browsers.retain(|known| Some(*known) == except);
    }

    /// Signs a browser out; false if it was not signed in.
    pub(super) fn revoke(&mut self, cookie: &str, password: &str) -> bool {
        let digest = session_hash(cookie, password);
        let before = self.sessions.len();
        self.sessions.retain(|s| !s.is(&digest));
        self.sessions.len() < before
    }

    /// Signs everybody out; false if nobody was signed in.
    pub(super) fn revoke_all(&mut self) -> bool {
        let any = !self.sessions.is_empty();
        self.sessions.clear();
        any
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Writes them down: how long each has left, for a machine whose clock may be wrong, and when
    /// that was by its clock.
    pub(super) fn write(&self, now: Instant, clock: SystemTime) -> Vec<u8> {
        let saved = |s: &SignInSession| SavedSession {
            digest: lower::encode_string(&s.digest),
            left: s.until.saturating_duration_since(now).as_secs(),
        };
        let file = SavedSessions {
            written: seconds(clock),
            sessions: self.sessions.iter().map(saved).collect(),
            known: self.browsers.iter().map(|id| lower::encode_string(id)).collect(),
        };
        serde_json::to_vec(&file).unwrap_or_default()
    }

    /// Reads what was written down. While the machine was off, time has passed as far as its clock
    /// tells; one that went back, because it has no battery, tells nothing.
    pub(super) fn read(bytes: &[u8], now: Instant, clock: SystemTime) -> Result<Self, String> {
        let file: SavedSessions = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let passed = seconds(clock).saturating_sub(file.written);
        let kept = file.sessions.iter().filter_map(|kept| {
            let left = Duration::from_secs(kept.left.checked_sub(passed)?).min(LIFETIME);
            let until = now.checked_add(left).filter(|until| now < *until)?;
            Some(SignInSession { digest: unhex(&kept.digest)?, until })
        });
        let known = file.known.iter().filter_map(|id| unhex(id));
        Ok(Self {
            sessions: kept.take(MAX_SESSIONS).collect(),
            browsers: known.take(MAX_BROWSERS).collect(),
        })
    }
}

impl SignInSession {
    /// Compares in a time that says nothing.
    fn is(&self, digest: &[u8; 32]) -> bool {
        verify_slices_are_equal(&self.digest, digest).is_ok()
    }
}

/// Sessions as they are written down.
#[derive(Serialize, Deserialize)]
struct SavedSessions {
    /// When that was, in seconds since 1970.
    written: u64,
    sessions: Vec<SavedSession>,
    #[serde(default)]
    known: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct SavedSession {
    digest: String,
    /// Seconds it had left.
    left: u64,
}

fn seconds(clock: SystemTime) -> u64 {
    clock.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// As many bytes as are wanted, and no others.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let read = mixed::decode(text, &mut bytes).ok()?;
    (read.len() == N).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse";
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_session_ends_by_itself_and_when_told() {
        let (mut sessions, now) = (SignInSessions::default(), Instant::now());
        let mut open = || sessions.create(PASSWORD, now).unwrap();
        let (a, b) = (open(), open());
        assert_eq!((a.len(), a == b), (32, false));
        let is_open = |s: &SignInSessions, c: &str| s.find(c, PASSWORD, now).is_some();
        assert!(is_open(&sessions, &a) && is_open(&sessions, &b));
        assert!(sessions.find(&a, PASSWORD, now + LIFETIME).is_none());
        assert!(!is_open(&sessions, "") && !is_open(&sessions, &a[..31]));
        assert!(sessions.revoke(&a, PASSWORD) && !sessions.revoke(&a, PASSWORD));
        assert!(!is_open(&sessions, &a) && is_open(&sessions, &b));
        assert!(sessions.revoke_all() && !sessions.revoke_all());
        assert!(!is_open(&sessions, &b));
    }

    #[test]
    fn a_session_is_worth_nothing_with_another_password() {
        let (mut sessions, now) = (SignInSessions::default(), Instant::now());
        let cookie = sessions.create(PASSWORD, now).unwrap();
        assert!(
            sessions.find(&cookie, "another", now).is_none()
                && sessions.find(&cookie, "", now).is_none()
        );
        assert!(!sessions.revoke(&cookie, "another"));
    }

    #[test]
    fn the_sixty_fifth_browser_signs_the_first_one_out() {
        let (mut sessions, now) = (SignInSessions::default(), Instant::now());
        let cookies: Vec<_> =
            (0..=MAX_SESSIONS).map(|_| sessions.create(PASSWORD, now).unwrap()).collect();
        assert!(sessions.find(&cookies[0], PASSWORD, now).is_none());
        assert!(cookies[1..].iter().all(|c| sessions.find(c, PASSWORD, now).is_some()));
    }

    #[test]
    fn a_browser_that_has_signed_in_is_known_whatever_becomes_of_its_session() {
        let (mut sessions, now) = (SignInSessions::default(), Instant::now());
        let cookie = sessions.remember(None).unwrap();
        let number = sessions.recognize(&cookie);
        assert!(number.is_some() && sessions.recognize("").is_none());
        assert_eq!(sessions.remember(Some(&cookie)).as_ref(), Some(&cookie), "the same again");
        sessions.revoke_all();
        let written = sessions.write(now, UNIX_EPOCH);
        assert!(!String::from_utf8_lossy(&written).contains(&cookie));
        let mut sessions = SignInSessions::read(&written, now, UNIX_EPOCH).unwrap();
        assert_eq!(sessions.recognize(&cookie), number);
        assert!(sessions.find(&cookie, PASSWORD, now).is_none(), "and is not signed in by that");
        for _ in 0..MAX_BROWSERS {
            sessions.remember(Some("made up")).unwrap();
        }
        assert_eq!(
            sessions.recognize(&cookie),
            None,
            "a browser that was not heard of for longest"
        );
    }

    #[test]
    fn what_was_written_down_is_read_again_without_its_secrets() {
        let (mut sessions, now) = (SignInSessions::default(), Instant::now());
        let clock = UNIX_EPOCH + LIFETIME * 600;
        let cookie = sessions.create(PASSWORD, now).unwrap();
        let written = sessions.write(now, clock);
        let text = String::from_utf8(written.clone()).unwrap();
        assert!(!text.contains(&cookie) && !text.contains(PASSWORD), "{text}");
        // The new process has an own idea of now.
        let later = now + SECOND * 77;
        let open = |clock, then: Duration| {
            let read = SignInSessions::read(&written, later, clock).unwrap();
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
        let (mut sessions, now) = (SignInSessions::default(), Instant::now());
        let cookie = sessions.create(PASSWORD, now).unwrap();
        let written = sessions.write(now, UNIX_EPOCH);
        for i in 0..written.len() {
            for bytes in [written[..i].to_vec(), [&written[..i], &written[i + 1..]].concat()] {
                let read = SignInSessions::read(&bytes, now, UNIX_EPOCH).unwrap_or_default();
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
        let read = SignInSessions::read(text.as_bytes(), now, UNIX_EPOCH).unwrap();
        assert_eq!(read.sessions.len(), MAX_SESSIONS);
        assert!(read.sessions.iter().all(|s| s.until <= now + LIFETIME));
    }
}
