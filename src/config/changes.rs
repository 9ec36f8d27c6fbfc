//! What has to happen when the configuration changes.

use super::Config;
use super::keys::{Effect, Key, keys};

/// The keys by which two configurations differ, in full: `encoder.bitrate`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that can be changed while viewers watch.
    pub live: Vec<&'static str>,
    /// Those that take effect when the daemon is started anew.
    pub needs_restart: Vec<&'static str>,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.needs_restart.is_empty()
    }
}

impl Config {
    /// What changes from this configuration to a new one.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Changes {
        let changed = keys().iter().filter(|key| !key.same(self, new));
        let (live, restart): (Vec<&Key>, Vec<&Key>) =
            changed.partition(|key| key.effect == Effect::Live);
        let names = |keys: Vec<&Key>| keys.iter().map(|key| key.name).collect();
        Changes { live: names(live), needs_restart: names(restart) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_by_its_keys_and_when_it_takes_effect() {
        let old = Config::default();
        let mut new = old.clone();
        assert!(old.changes(&new).is_empty());
        for set in ["encoder.bitrate=3M", "camera.controls.gain=2", "http.max_connections=9"] {
            new.apply_set(set).unwrap();
        }
        let changes = old.changes(&new);
        assert_eq!(changes.live, ["camera.controls.gain", "encoder.bitrate"]);
        assert_eq!(changes.needs_restart, ["http.max_connections"]);
    }

    #[test]
    fn locking_sign_in_is_a_change_at_once() {
        let old = Config::default();
        let new = Config::load(b"[auth]\npassword = 1", "f").config;
        assert!(old.changes(&new).live.contains(&"auth.password"));
    }

    #[test]
    fn exactly_these_keys_are_live() {
        let live = |key: &&Key| key.effect == Effect::Live;
        for key in keys() {
            let (section, _) = key.split();
            let promised = ["auth", "camera.controls", "camera.overlay"].contains(&section)
                || ["encoder.bitrate", "camera.fps", "webrtc.ice_servers", "log.level"]
                    .contains(&key.name);
            assert_eq!(live(&key), promised, "{}", key.name);
        }
    }
}
