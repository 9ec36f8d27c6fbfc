//! The one description of every key: its name, what it may be, what it does, when a change takes
//! effect.
//!
//! Everything that has to know the keys goes by this table: the reader of the file, `--set`, the
//! hints for misspelled names, the classification of changes, the API's view of the configuration
//! and the tests of the documentation. A new key is a field in [`Config`](super::Config) and a row in
//! `keys/media.rs`, `keys/controls.rs`, `keys/network.rs` or `keys/appliance.rs`.
//!
//! The keys of `[camera]`, `[camera.*]` and `[encoder]` are those of every entry of `[[cameras]]`, too.
//! So their rows do not reach into the whole configuration but into the settings of one camera (see
//! `field::CameraField`): `main` and an entry are read, written and compared by the same row, and
//! what an entry accepts cannot differ from what `[camera]` accepts. The compiler sees to it that such
//! a row touches nothing else.

mod appliance;
mod auth;
mod controls;
mod field;
mod key;
mod media;
mod network;
mod serialize;

use std::sync::LazyLock;

pub(super) use field::{CameraSettingsMut, ReadOutcome};
pub(super) use key::{CAMERAS, holds_secrets};
pub use key::{Effect, Key, Scope, Section};

/// Every section, in the order of the documentation.
pub fn sections() -> impl Iterator<Item = &'static Section> {
    network::SECTIONS.iter().chain(media::SECTIONS).chain(appliance::SECTIONS)
}

/// Every key, grouped by section in the same order.
pub fn keys() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
        let mut keys = auth::keys();
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

/// The key that has this name in an entry of `[[cameras]]`: that of `[camera]` or of `[encoder]`.
/// Keys of `[encoder]` may be written with its name, too, as in a table of their own.
pub(super) fn find_camera_key(name: &str) -> Option<&'static Key> {
    let without = name.strip_prefix("encoder.");
    let names = |key: &&Key| {
        let own = key.name_in_entry();
        own == Some(name) || (without.is_some() && key.name == name && own == without)
    };
    keys().iter().find(names)
}

/// Whether a key may stand in a section, of which `cameras` and `cameras.…` are those of an entry of
/// `[[cameras]]`.
pub(super) fn stands_in(key: &Key, section: &str) -> bool {
    let home = key.split().0;
    match section.strip_prefix(CAMERAS) {
        Some("") => ["camera", "encoder"].contains(&home),
        Some(".encoder") => home == "encoder",
        Some(table) if table.starts_with('.') => home.strip_prefix("camera") == Some(table),
        _ => home == section,
    }
}

/// Whether an entry of `[[cameras]]` has a table of this name.
pub(super) fn is_camera_section(name: &str) -> bool {
    name == "encoder" || is_section(&format!("camera.{name}"))
}

/// A section as it is written above its keys. `cameras.…` are the tables of an entry.
pub(super) fn header(section: &str) -> String {
    if section == CAMERAS { format!("[[{section}]]") } else { format!("[{section}]") }
}

/// Whether a section has this name.
pub(super) fn is_section(name: &str) -> bool {
    sections().any(|section| section.name == name)
}

/// Whether this key, or one below this section, guards access.
pub(super) fn guards(name: &str) -> bool {
    let within = |key: &Key| {
        key.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    keys().iter().any(|key| key.guard && within(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

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
    fn every_key_of_a_camera_has_one_name_in_an_entry() {
        let mut names: Vec<_> = keys().iter().filter_map(Key::name_in_entry).collect();
        let of_a_camera =
            |key: &&Key| ["camera", "encoder"].contains(&&key.name[..key.name.find('.').unwrap()]);
        assert_eq!(names.len(), keys().iter().filter(of_a_camera).count());
        for name in &names {
            assert_eq!(find_camera_key(name).unwrap().name_in_entry(), Some(*name));
            assert!(!is_camera_section(name) && *name != "name", "{name}");
        }
        names.sort_unstable();
        names.dedup_by_key(|name| find_camera_key(name).unwrap().name);
        assert_eq!(names.len(), keys().iter().filter(of_a_camera).count());
        assert_eq!(find_camera_key("encoder.bitrate").unwrap().name, "encoder.bitrate");
        assert!(find_camera_key("encoder.width").is_none() && find_camera_key("name").is_none());
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
