//! Rows for sign-in.

use super::field::CredentialField;
use super::key::{Key, row};
use crate::config::auth::{MAX_PASSWORD, MIN_PASSWORD};
use crate::config::shape::{List, SecretText, SensitiveParsed};
use crate::config::{Password, PasswordHash};

/// The examples for passwords. Neither is accepted: a file whose owner only removes the `#` must not
/// have a password that stands in every copy of the file.
const NOBODY_S_PASSWORD: &str = "\"…\"";
const NOBODY_S_HASH: &str = "\"$argon2id$v=19$…\"";

pub(super) fn keys() -> Vec<Key> {
    let password = CredentialField {
        get: |c| match &c.password {
            Some(Password::Plain(secret)) => Some(secret),
            _ => None,
        },
        put: |c, secret| c.password = Some(Password::Plain(secret)),
        shape: SecretText(MIN_PASSWORD, MAX_PASSWORD),
    };
    let hash = CredentialField {
        get: |c| match &c.password {
            Some(Password::Hash(hash)) => Some(hash),
            _ => None,
        },
        put: |c, hash: PasswordHash| c.password = Some(Password::Hash(hash)),
        shape: SensitiveParsed("an Argon2id hash, as `picket password` prints it"),
    };
    let tokens = CredentialField {
        get: |c| Some(&c.tokens),
        put: |c, tokens| c.tokens = tokens,
        shape: List(SecretText(16, 256)),
    };
    vec![
        row(
            "auth.password",
            password,
            "The owner's password. Everyone who can read this file can read it; prefer \
             `password_hash`. Give one of the two, not both.",
        )
        .guard()
        .live()
        .example(NOBODY_S_PASSWORD),
        row(
            "auth.password_hash",
            hash,
            "The password, hashed by `picket password`: the card then does not reveal it. Every \
             sign-in takes 19 MiB of memory for a moment.",
        )
        .guard()
        .live()
        .example(NOBODY_S_HASH),
        row(
            "auth.tokens",
            tokens,
            "Tokens for programs, which cannot type a password: `Authorization: Bearer TOKEN`, or \
            as the password of HTTP Basic, with any user name. Make each from 16 or more random characters, one for \
            each program, so that one can be withdrawn alone.",
        )
        .guard()
        .live(),
    ]
}
