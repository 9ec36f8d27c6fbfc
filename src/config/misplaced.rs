//! Credentials in the wrong place: what may have been meant to protect the camera, and does not.
//!
//! A name or a value that has no effect is usually just a mistake, and reported. But if its owner may
//! have meant it to keep others out, going on without it would leave the camera open, so sign-in is
//! locked.

use toml::Spanned;
use toml::de::DeValue;

use super::hint::suggests_credentials;
use super::keys::Key;

/// The keys that protect the camera: named in messages about what may have been meant to.
pub(super) const CREDENTIAL_KEYS: &str = "`password_hash`, `password` or `tokens` below [auth]";

/// Something that may have been meant to protect the camera.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MisplacedCredential {
    /// The byte at which it stands.
    pub at: usize,
    /// What it looks like.
    pub kind: Kind,
}

/// What a misplaced credential looks like.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The hash of a password.
    Hash,
    /// A name that suggests a credential.
    Name,
}

impl MisplacedCredential {
    /// In words, to be followed by what is done about it.
    pub fn words(&self) -> String {
        match self.kind {
            Kind::Hash => "this looks like the hash of a password, which protects only as \
                           `password_hash` below [auth]"
                .to_owned(),
            Kind::Name => format!("this may have been meant for {CREDENTIAL_KEYS}"),
        }
    }
}

/// What the hash of a password is recognized by, however damaged it is.
pub(super) const HASH: &str = "$argon2";

/// Whether a text looks like a hash, as `picket password` prints one.
pub(super) fn is_hash(text: &str) -> bool {
    text.contains(HASH)
}

/// Searches a value that has no effect and stands, or was meant to stand, in `section`.
pub(super) fn in_unknown(
    section: &str,
    value: &Spanned<DeValue<'_>>,
) -> Option<MisplacedCredential> {
    search(value, &|name, beside| {
        suggests_credentials(name, section) && !is_of_a_relay(section, beside)
    })
}

/// Searches the value of a key: whatever is in it belongs to this key and protects nothing.
pub(super) fn in_key(key: &Key, value: &Spanned<DeValue<'_>>) -> Option<MisplacedCredential> {
    let (section, _) = key.split();
    match key.name {
        "auth.password_hash" => None,
        // Mistakes in these lock whatever they are.
        _ if key.guard => search(value, &|_, _| false),
        "http.mounts" | "http.pages" => {
            search(value, &|name, _| !name.starts_with('/') && suggests_credentials(name, section))
        }
        _ => in_unknown(section, value),
    }
}

/// Whether these are names of a TURN server's fields, whose password is then meant.
fn is_of_a_relay(section: &str, names: &[&str]) -> bool {
    section == "webrtc" && names.contains(&"username") && !names.contains(&"credential")
}

/// Searches for a hash, and for a name for which `means` is true; it is given all names of the table, too.
fn search(
    value: &Spanned<DeValue<'_>>,
    means: &impl Fn(&str, &[&str]) -> bool,
) -> Option<MisplacedCredential> {
    match value.get_ref() {
        DeValue::String(text) if is_hash(text) => {
            Some(MisplacedCredential { at: value.span().start, kind: Kind::Hash })
        }
        DeValue::Array(list) => list.iter().find_map(|value| search(value, means)),
        DeValue::Table(table) => {
            let names: Vec<&str> = table.keys().map(|name| name.get_ref().as_ref()).collect();
            table.iter().find_map(|(name, value)| {
                let (at, text) = (name.span().start, name.get_ref().as_ref());
                if is_hash(text) {
                    return Some(MisplacedCredential { at, kind: Kind::Hash });
                }
                let named =
                    means(text, &names).then_some(MisplacedCredential { at, kind: Kind::Name });
                named.or_else(|| search(value, means))
            })
        }
        _ => None,
    }
}
