//! Hashing and checking the owner's password with Argon2id (RFC 9106).

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use super::PasswordSetting;
use super::sessions::Digest;

/// Cost of a new hash, one of OWASP's choices: the least memory, because a Pi Zero has 512 MB
/// for everything.
const MEMORY_KIB: u32 = 7 * 1024;
const PASSES: u32 = 5;

/// Bounds on the cost of a hash that is to be checked: one that needs more would stall a Pi at
/// every sign-in.
const MAX_MEMORY_KIB: u32 = 128 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 8;

/// How a password is checked.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Verifier {
    /// The configuration holds it in the clear.
    Plain(Digest),
    /// A PHC string.
    Hash(String),
}

impl Verifier {
    /// `None` for a hash that is none, or that costs more than a Pi can bear.
    pub(super) fn new(setting: &PasswordSetting) -> Option<Self> {
        match setting {
            PasswordSetting::Plain(password) => Some(Self::Plain(Digest::of(password))),
            PasswordSetting::Hash(text) => {
                let hash = PasswordHash::new(text).ok()?;
                let cost = Params::try_from(&hash).ok()?;
                let usable = hash.algorithm.as_str() == "argon2id"
                    && hash.salt.is_some()
                    && hash.hash.is_some()
                    && cost.m_cost() <= MAX_MEMORY_KIB
                    && cost.t_cost() <= MAX_PASSES
                    && cost.p_cost() <= MAX_LANES;
                usable.then(|| Self::Hash(text.clone()))
            }
        }
    }

    /// Takes some tenths of a second for a hash.
    pub(super) fn verify(&self, password: &str) -> bool {
        match self {
            Self::Plain(digest) => digest.is_of(password),
            Self::Hash(text) => PasswordHash::new(text).is_ok_and(|hash| {
                let argon = Argon2::default();
                argon.verify_password(password.as_bytes(), &hash).is_ok()
            }),
        }
    }
}

/// A PHC string for `password`. Takes some tenths of a second.
pub(super) fn hash(password: &str) -> Result<String, String> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|e| e.to_string())?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_hash_verifies_its_own_password_only() {
        let text = hash("correct horse").unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{text}");
        let verifier = Verifier::new(&PasswordSetting::Hash(text)).unwrap();
        assert!(verifier.verify("correct horse") && !verifier.verify("correct horsf"));
    }

    #[test]
    fn a_hash_that_is_none_is_not_taken() {
        for bad in [
            "",
            "hunter2",
            "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
            "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$ZmPrMAJzsQlyBVFBUWOZZ5T0KAJAtvPtD8C2LVg2STU",
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ",
        ] {
            assert!(
                Verifier::new(&PasswordSetting::Hash(bad.into())).is_none(),
                "{bad}"
            );
        }
    }
}
