//! Who may sign in.

use std::fmt;
use std::str::FromStr;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};

use super::{Malformed, Secret};

/// Who may sign in. Cases that must never be mistaken for one another are variants of their own: above
/// all, a sign-in that was configured wrongly is [`Auth::Locked`], not [`Auth::Unset`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nothing was configured. The owner sets a password on the first visit.
    #[default]
    Unset,
    /// Those who know one of these.
    Set(Credentials),
    /// Something was configured and cannot be used, or may have been: no password and no token
    /// works until the configuration is fixed.
    Locked {
        /// What has to be fixed, and where.
        why: String,
    },
}

/// What a visitor may sign in with. Holds at least one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The owner's password; without one only tokens work.
    pub password: Option<Password>,
    /// Bearer tokens for programs.
    pub tokens: Vec<Secret>,
}

/// The owner's password, as it stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// In the clear.
    Plain(Secret),
    /// Hashed.
    Hash(PasswordHash),
}

impl Auth {
    /// Locks, for the first reason given: the others often just follow from it.
    pub(crate) fn lock(&mut self, why: impl Into<String>) {
        if !matches!(self, Self::Locked { .. }) {
            *self = Self::Locked { why: why.into() };
        }
    }

    /// The credentials, unless locked; none when unset.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        match self {
            Self::Unset => Some(Credentials::default()),
            Self::Set(credentials) => Some(credentials.clone()),
            Self::Locked { .. } => None,
        }
    }
}

impl From<Credentials> for Auth {
    fn from(credentials: Credentials) -> Self {
        if credentials == Credentials::default() { Self::Unset } else { Self::Set(credentials) }
    }
}

/// A password hashed with Argon2id, as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
///
/// Kept as a [`Secret`], because a hash that leaks can be guessed at leisure.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Secret);

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too short to be worth hashing.
    #[error("expected a password of {MIN_PASSWORD} to {MAX_PASSWORD} characters; choose another")]
    Length,
    /// The system gave no random numbers, or no memory.
    #[error("the password could not be hashed ({0}); try again")]
    Hashing(String),
}

/// The fewest characters a password may have (NIST SP 800-63B §3.1.1.2).
pub(super) const MIN_PASSWORD: usize = 8;
/// The most characters a password may have. More would only make hashing slow.
pub(super) const MAX_PASSWORD: usize = 256;

/// Bounds on a hash's cost. One that needs more would stall a Pi, or kill the daemon, at every
/// sign-in; Argon2 itself would allow 4 TiB.
const MAX_MEMORY_KIB: u32 = 128 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 8;

impl PasswordHash {
    /// Hashes `password` with a fresh salt and the cost OWASP recommends: 19 MiB of memory and
    /// two passes.
    ///
    /// # Errors
    /// When the password is shorter than 8 or longer than 256 characters.
    pub fn of(password: &str) -> Result<Self, PasswordError> {
        Self::check(password)?;
        Argon2::default()
            .hash_password(password.as_bytes())
            .map(|hash| Self(Secret::new(hash.to_string())))
            .map_err(|e| PasswordError::Hashing(e.to_string()))
    }

    /// Whether `password` is long enough, and not too long, to be hashed.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(password: &str) -> Result<(), PasswordError> {
        if (MIN_PASSWORD..=MAX_PASSWORD).contains(&password.chars().count()) {
            return Ok(());
        }
        Err(PasswordError::Length)
    }

    /// Whether `password` is the one that was hashed. Costs what the hash says, usually 19 MiB
    /// and some tens of milliseconds, so do not call it on a thread that must answer quickly.
    #[must_use]
    pub fn verify(&self, password: &str) -> bool {
        Phc::new(self.expose())
            .is_ok_and(|phc| Argon2::default().verify_password(password.as_bytes(), &phc).is_ok())
    }

    /// The PHC string, for `config.toml`.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl FromStr for PasswordHash {
    type Err = Malformed;

    /// Takes a PHC string, if it is one of Argon2id version 19, complete, and of acceptable cost.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let phc = Phc::new(text).map_err(|_| Malformed)?;
        let params = Params::try_from(&phc).map_err(|_| Malformed)?;
        let acceptable = params.m_cost() <= MAX_MEMORY_KIB
            && params.t_cost() <= MAX_PASSES
            && params.p_cost() <= MAX_LANES;
        let complete = phc.salt.is_some() && phc.hash.is_some() && phc.version == Some(19);
        if phc.algorithm.as_str() == "argon2id" && complete && acceptable {
            Ok(Self(Secret::new(text)))
        } else {
            Err(Malformed)
        }
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: &str =
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$ZmPrMAJzsQlyBVFBUWOZZ5T0KAJAtvPtD8C2LVg2STU";

    #[test]
    fn a_hash_verifies_its_own_password_only() {
        let hash = PasswordHash::of("correct horse").unwrap();
        assert_eq!(hash.expose().parse(), Ok(hash.clone()));
        assert!(hash.verify("correct horse"));
        assert!(!hash.verify("correct horsf"));
    }

    #[test]
    fn a_short_password_is_not_hashed() {
        assert!(matches!(PasswordHash::of("seven77"), Err(PasswordError::Length)));
    }

    #[test]
    fn hashes_that_are_weak_broken_or_ruinous_are_refused() {
        assert!(CHEAP.parse::<PasswordHash>().is_ok());
        for bad in [
            "",
            "hunter2hunter2",
            "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
            &CHEAP.replace("argon2id", "argon2i"),
            &CHEAP.replace("v=19$", "v=16$"),
            &CHEAP.replace("m=8", "m=4194304"),
            &CHEAP.replace("t=1", "t=100000"),
            CHEAP.rsplit_once('$').unwrap().0,
        ] {
            assert!(bad.parse::<PasswordHash>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_reason_for_locking_stays() {
        let mut auth = Auth::Unset;
        auth.lock("first");
        auth.lock("second");
        assert_eq!(auth, Auth::Locked { why: "first".into() });
        assert_eq!(auth.credentials(), None);
    }
}
