//! What was meant to protect the camera and stands where it does not.
//!
//! A name or a value that has no effect is only a slip, and told. But where its owner may have meant
//! it to let nobody else in, to go on without it would leave the camera open, so sign-in is locked.

use toml::Spanned;
use toml::de::DeValue;

use super::hint::speaks_of_access;
use super::keys::Key;

/// What protects, and where: said of what was meant to.
pub(super) const PROTECTS: &str = "`password_hash`, `password` or `tokens` below [auth]";

/// Something that was meant to protect.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stray {
    /// The byte at which it stands.
    pub at: usize,
    /// What it looks like.
    pub what: What,
}

/// What it looks like.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The hash of a password.
    Hash,
    /// A name that speaks of access.
    Name,
}

impl Stray {
    /// In words, to be followed by what is done.
    pub fn words(&self) -> String {
        match self.what {
            What::Hash => "this looks like the hash of a password, which protects only as \
                           `password_hash` below [auth]"
                .to_owned(),
            What::Name => format!("this may have been meant for {PROTECTS}"),
        }
    }
}

/// What the hash of a password is known by, however damaged.
pub(super) const HASH: &str = "$argon2";

/// Whether a text looks like a hash, as `picket password` prints one.
pub(super) fn is_hash(text: &str) -> bool {
    text.contains(HASH)
}

/// Looks through what has no effect and stands, or was meant to stand, in `section`.
pub(super) fn in_unknown(section: &str, value: &Spanned<DeValue<'_>>) -> Option<Stray> {
    look(value, &|name, beside| speaks_of_access(name, section) && !is_of_a_relay(section, beside))
}

/// Looks through the value of a key: whatever it holds is of this key and protects nothing.
pub(super) fn in_key(key: &Key, value: &Spanned<DeValue<'_>>) -> Option<Stray> {
    let (section, _) = key.split();
    match key.name {
        "auth.password_hash" => None,
        // Mistakes in these lock whatever they are.
        _ if key.guard => look(value, &|_, _| false),
        "http.mounts" | "http.pages" => {
            look(value, &|name, _| !name.starts_with('/') && speaks_of_access(name, section))
        }
        _ => in_unknown(section, value),
    }
}

/// Whether names stand beside those of a TURN server, whose password they then mean.
fn is_of_a_relay(section: &str, names: &[&str]) -> bool {
    section == "webrtc" && names.contains(&"username") && !names.contains(&"credential")
}

/// Looks for a hash, and for names that `means` is true of, which is told all that stand together.
fn look(value: &Spanned<DeValue<'_>>, means: &impl Fn(&str, &[&str]) -> bool) -> Option<Stray> {
    match value.get_ref() {
        DeValue::String(text) if is_hash(text) => {
            Some(Stray { at: value.span().start, what: What::Hash })
        }
        DeValue::Array(list) => list.iter().find_map(|value| look(value, means)),
        DeValue::Table(table) => {
            let names: Vec<&str> = table.keys().map(|name| name.get_ref().as_ref()).collect();
            table.iter().find_map(|(name, value)| {
                let (at, text) = (name.span().start, name.get_ref().as_ref());
                if is_hash(text) {
                    return Some(Stray { at, what: What::Hash });
                }
                let named = means(text, &names).then_some(Stray { at, what: What::Name });
                named.or_else(|| look(value, means))
            })
        }
        _ => None,
    }
}
