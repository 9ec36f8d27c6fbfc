//! The one description of every key: its name, what it may be, what it does, when a change takes
//! effect.
//!
//! Everything that has to know the keys goes by this table: the reader of the file, `--set`, the
//! hints for misspelled names, the classification of changes, the API's view of the configuration
//! and the tests of the documentation. A new key is a field in [`Config`] and a row in
//! `keys/media.rs`, `keys/controls.rs`, `keys/network.rs` or `keys/appliance.rs`.

mod appliance;
mod controls;
mod media;
mod network;

use std::sync::LazyLock;

use super::shape::{Hidden, List, Refusals, Shape, Unseen, Value};
use super::{Auth, Config, Credentials, Password, PasswordHash};
use crate::config::auth::{MAX_PASSWORD, MIN_PASSWORD};

/// A section of the file.
#[derive(Debug)]
pub struct Section {
    /// Its name, such as `camera.controls`.
    pub name: &'static str,
    /// Where it has a meaning.
    pub scope: Scope,
    /// What it is for, in the owner's words.
    pub doc: &'static str,
}

/// Where a section has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Wherever Picket runs.
    Everywhere,
    /// On the image only; elsewhere the section does nothing.
    Image,
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At once; viewers notice nothing else.
    Live,
    /// When the daemon is started anew.
    Restart,
}

/// A key of the file.
pub struct Key {
    /// Its full name, such as `encoder.bitrate`.
    pub name: &'static str,
    /// What it does and what it costs, in the owner's words.
    pub doc: &'static str,
    /// What its number counts.
    pub unit: Option<&'static str>,
    /// When a change takes effect.
    pub effect: Effect,
    /// A value, as it would stand in the file, for a key that is unset by default.
    pub example: Option<&'static str>,
    /// Whether it guards access: when it cannot be read, sign-in is locked.
    pub(super) guard: bool,
    field: Box<dyn Field>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}

impl Key {
    /// The section it stands in, and its name there.
    #[must_use]
    pub fn split(&self) -> (&'static str, &'static str) {
        self.name.rsplit_once('.').unwrap_or(("", self.name))
    }

    /// What it may be, with its unit: `a number from 1 to 240, in pictures a second`.
    #[must_use]
    pub fn expects(&self) -> String {
        match self.unit {
            Some(unit) => format!("{}, in {unit}", self.field.expects()),
            None => self.field.expects(),
        }
    }

    /// Its value as it would stand in the file; `None` when it is unset. Secrets are hidden.
    #[must_use]
    pub fn value(&self, config: &Config) -> Option<toml::Value> {
        self.field.write(config)
    }

    /// Its value in `config`, which is to be used instead of another, in words for messages.
    pub(super) fn in_words(&self, config: &Config) -> String {
        self.value(config)
            .map_or_else(|| "which is to leave it unset".to_owned(), |value| value.to_string())
    }

    /// Reads it into `config`, as far as it can be used.
    pub(super) fn read(&self, value: &Value<'_>, config: &mut Config) -> (Taken, Refusals) {
        let mut refusals = Refusals::new(self.is_withheld());
        let taken = self.field.read(value, config, &mut refusals);
        (taken, refusals)
    }

    /// Whether its value is never told: it is secret, may hold a secret, or stands beside one, where
    /// a secret is easily written in its place.
    pub(super) fn is_withheld(&self) -> bool {
        self.is_secret() || holds_secrets(self.split().0)
    }

    /// Whether it is secret or may hold a secret.
    pub(super) fn is_secret(&self) -> bool {
        self.field.hides()
    }

    /// Whether two configurations agree on it.
    pub(super) fn same(&self, a: &Config, b: &Config) -> bool {
        self.field.same(a, b)
    }

    fn live(mut self) -> Self {
        self.effect = Effect::Live;
        self
    }

    fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    fn example(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    fn guard(mut self) -> Self {
        self.guard = true;
        self
    }
}

/// Whether a value, or a part of it, was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was, but for what was refused.
    Yes,
    /// Nothing of it.
    No,
}

/// The place in a [`Config`] that a key stands for.
trait Field: Send + Sync {
    fn expects(&self) -> String;
    fn hides(&self) -> bool;
    fn read(&self, value: &Value<'_>, config: &mut Config, refusals: &mut Refusals) -> Taken;
    fn write(&self, config: &Config) -> Option<toml::Value>;
    fn same(&self, a: &Config, b: &Config) -> bool;
}

/// A place and the shape of what stands there.
struct Slot<T, S> {
    get: fn(&Config) -> &T,
    put: fn(&mut Config, T),
    shape: S,
}

impl<T: PartialEq, S: Shape<T>> Field for Slot<T, S> {
    fn expects(&self) -> String {
        self.shape.expects()
    }
    fn hides(&self) -> bool {
        self.shape.hides()
    }
    fn read(&self, value: &Value<'_>, config: &mut Config, refusals: &mut Refusals) -> Taken {
        match self.shape.read(value, refusals) {
            Some(value) => {
                (self.put)(config, value);
                Taken::Yes
            }
            None => Taken::No,
        }
    }
    fn write(&self, config: &Config) -> Option<toml::Value> {
        self.shape.write((self.get)(config))
    }
    fn same(&self, a: &Config, b: &Config) -> bool {
        (self.get)(a) == (self.get)(b)
    }
}

/// A part of [`Auth`], which is one value made of three keys.
struct Part<T, S> {
    get: fn(&Credentials) -> Option<&T>,
    put: fn(&mut Credentials, T),
    shape: S,
}

impl<T: PartialEq, S: Shape<T>> Field for Part<T, S> {
    fn expects(&self) -> String {
        self.shape.expects()
    }
    fn hides(&self) -> bool {
        self.shape.hides()
    }
    fn read(&self, value: &Value<'_>, config: &mut Config, refusals: &mut Refusals) -> Taken {
        match self.shape.read(value, refusals) {
            // Once locked, nothing unlocks: whatever was wrong is still wrong.
            Some(value) => {
                if let Some(mut credentials) = config.auth.credentials() {
                    (self.put)(&mut credentials, value);
                    config.auth = credentials.into();
                }
                Taken::Yes
            }
            None => Taken::No,
        }
    }
    fn write(&self, config: &Config) -> Option<toml::Value> {
        let credentials = config.auth.credentials().unwrap_or_default();
        (self.get)(&credentials).and_then(|value| self.shape.write(value))
    }
    fn same(&self, a: &Config, b: &Config) -> bool {
        match (a.auth.credentials(), b.auth.credentials()) {
            (Some(a), Some(b)) => (self.get)(&a) == (self.get)(&b),
            _ => a.auth == b.auth,
        }
    }
}

fn row(name: &'static str, field: impl Field + 'static, doc: &'static str) -> Key {
    Key {
        name,
        doc,
        unit: None,
        effect: Effect::Restart,
        example: None,
        guard: false,
        field: Box::new(field),
    }
}

/// A row of the table, for a field of [`Config`].
macro_rules! key {
    ($name:literal, $($field:ident).+, $shape:expr, $doc:literal) => {
        super::row(
            $name,
            super::Slot { get: |c| &c.$($field).+, put: |c, v| c.$($field).+ = v, shape: $shape },
            $doc,
        )
    };
}
use key;

/// The examples for passwords. Neither is accepted: a file whose owner only removes the `#` must not
/// have a password that stands in every copy of the file.
const NOBODY_S_PASSWORD: &str = "\"…\"";
const NOBODY_S_HASH: &str = "\"$argon2id$v=19$…\"";

fn auth_keys() -> Vec<Key> {
    let password = Part {
        get: |c| match &c.password {
            Some(Password::Plain(secret)) => Some(secret),
            _ => None,
        },
        put: |c, secret| c.password = Some(Password::Plain(secret)),
        shape: Hidden(MIN_PASSWORD, MAX_PASSWORD),
    };
    let hash = Part {
        get: |c| match &c.password {
            Some(Password::Hash(hash)) => Some(hash),
            _ => None,
        },
        put: |c, hash: PasswordHash| c.password = Some(Password::Hash(hash)),
        shape: Unseen("an Argon2id hash, as `picket password` prints it"),
    };
    let tokens = Part {
        get: |c| Some(&c.tokens),
        put: |c, tokens| c.tokens = tokens,
        shape: List(Hidden(16, 256)),
    };
    vec![
        row(
            "auth.password",
            password,
            "The owner's password. Whoever can read this file can \
            read it; prefer `password_hash`. Give one of the two, not both.",
        )
        .guard()
        .live()
        .example(NOBODY_S_PASSWORD),
        row(
            "auth.password_hash",
            hash,
            "The password, hashed by `picket password`: the card then \
            does not give it away. Every sign-in takes 19 MiB of memory for a moment.",
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

/// Every section, in the order of the documentation.
pub fn sections() -> impl Iterator<Item = &'static Section> {
    network::SECTIONS.iter().chain(media::SECTIONS).chain(appliance::SECTIONS)
}

/// Every key, grouped by section in the same order.
pub fn keys() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
        let mut keys = auth_keys();
        keys.extend(network::keys());
        keys.extend(media::keys());
        keys.extend(appliance::keys());
        keys
    });
    &KEYS
}

/// The key of this name.
#[must_use]
pub fn find_key(name: &str) -> Option<&'static Key> {
    keys().iter().find(|key| key.name == name)
}

/// Whether a section has this name.
pub(super) fn is_section(name: &str) -> bool {
    sections().any(|section| section.name == name)
}

/// Whether a section is one for secrets. What stands in it under a wrong name, or the name itself,
/// may be one.
pub(super) fn holds_secrets(section: &str) -> bool {
    ["auth", "wifi", "webrtc"].contains(&section)
}

/// Whether this key, or one below this section, guards access.
pub(super) fn guards(name: &str) -> bool {
    let within = |key: &Key| {
        key.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    keys().iter().any(|key| key.guard && within(key))
}

impl serde::Serialize for Config {
    /// Writes it with the names and forms of the file, so that the API and the file read alike.
    /// Secrets are hidden, what is unset is left out.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut root = toml::Table::new();
        for (key, value) in keys().iter().filter_map(|key| Some((key, key.value(self)?))) {
            let (section, name) = key.split();
            let table = section.split('.').try_fold(&mut root, |table, part| {
                table.entry(part).or_insert_with(|| toml::Table::new().into()).as_table_mut()
            });
            if let Some(table) = table {
                table.insert(name.to_owned(), value);
            }
        }
        if let Auth::Locked { .. } = self.auth {
            root.insert(
                "auth".into(),
                toml::Table::from_iter([("locked".into(), true.into())]).into(),
            );
        }
        root.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_in_a_section_and_only_once() {
        let mut names: Vec<_> = keys().iter().map(|key| key.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), keys().len());
        for key in keys() {
            assert!(is_section(key.split().0), "{}", key.name);
            assert!(!is_section(key.name), "{}", key.name);
        }
    }

    #[test]
    fn a_key_without_a_default_has_an_example() {
        let default = Config::default();
        for key in keys() {
            let unset = key.value(&default).is_none();
            assert_eq!(unset, key.example.is_some(), "{}", key.name);
        }
    }

    #[test]
    fn the_api_shows_the_file_s_names_and_no_secret() {
        let mut config = Config::default();
        config.apply_set("auth.password=hunter2hunter2").unwrap();
        config.apply_set("wifi.password=hunter2hunter2").unwrap();
        let json = serde_json::to_value(&config).unwrap();
        assert_eq!(json["http"]["listen"], "127.0.0.1:8000");
        assert_eq!(json["encoder"]["bitrate"], 2_000_000);
        assert_eq!(json["camera"]["overlay"]["time"], false);
        assert_eq!(json["auth"]["password"], "(secret)");
        assert!(!json.to_string().contains("hunter2"));
    }
}
