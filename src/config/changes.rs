//! What has to happen when the configuration changes.

use super::keys::{CAMERAS, Effect, keys};
use super::{CameraName, Config, FurtherCamera};

/// The keys by which two configurations differ, in full: `encoder.bitrate`, and of a further camera
/// `cameras.garden.bitrate`. A camera that only one of the two has is `cameras.garden`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Those that can be changed while viewers watch.
    pub live: Vec<String>,
    /// Those that take effect when the daemon is restarted.
    pub needs_restart: Vec<String>,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.needs_restart.is_empty()
    }

    fn add(&mut self, effect: Effect, name: String) {
        match effect {
            Effect::Live => self.live.push(name),
            Effect::Restart => self.needs_restart.push(name),
        }
    }

    fn of_cameras(&mut self, old: &[FurtherCamera], new: &[FurtherCamera]) {
        fn find<'c>(cameras: &'c [FurtherCamera], name: &CameraName) -> Option<&'c FurtherCamera> {
            cameras.iter().find(|camera| camera.name == *name)
        }
        for camera in old {
            let full = |name: &str| format!("{CAMERAS}.{}{name}", camera.name);
            let Some(other) = find(new, &camera.name) else {
                self.add(Effect::Restart, full(""));
                continue;
            };
            let (camera, other) = (camera.settings(), other.settings());
            for key in keys().iter().filter(|key| !key.same_for_cameras(camera, other)) {
                let name = key.name_in_entry().unwrap_or(key.name);
                self.add(key.effect, full(&format!(".{name}")));
            }
        }
        for camera in new.iter().filter(|camera| find(old, &camera.name).is_none()) {
            self.add(Effect::Restart, format!("{CAMERAS}.{}", camera.name));
        }
        // The same cameras in another order, in which they are shown.
        let names = |cameras: &[FurtherCamera]| -> Vec<CameraName> {
            cameras.iter().map(|camera| camera.name.clone()).collect()
        };
        let (old, new) = (names(old), names(new));
        if old != new && old.len() == new.len() && old.iter().all(|name| new.contains(name)) {
            self.add(Effect::Restart, CAMERAS.to_owned());
        }
    }
}

impl Config {
    /// What changes from this configuration to a new one.
    #[must_use]
    pub(crate) fn changes(&self, new: &Self) -> Changes {
        let mut changes = Changes::default();
        for key in keys().iter().filter(|key| !key.same(self, new)) {
            changes.add(key.effect, key.name.to_owned());
        }
        changes.of_cameras(&self.cameras, &new.cameras);
        changes
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
    fn a_change_of_a_further_camera_is_told_with_its_name() {
        let camera = |name: &str, more: &str| {
            format!("[[cameras]]\nname = \"{name}\"\nsource = \"pattern\"\n{more}\n")
        };
        let load = |file: &str| Config::load(file.as_bytes(), "f").config;
        let old = load(&(camera("garden", "") + &camera("door", "")));
        let live = "bitrate = 1_000_000\nfps = 5\noverlay = { time = true }\ncontrols.gain = 2";
        let changes =
            old.changes(&load(&(camera("garden", live) + &camera("door", "hflip = true"))));
        let of_garden = ["fps", "overlay.time", "controls.gain", "bitrate"];
        assert_eq!(changes.live, of_garden.map(|name| format!("cameras.garden.{name}")));
        assert_eq!(changes.needs_restart, ["cameras.door.hflip"]);
        for (new, names) in [
            (camera("garden", ""), &["cameras.door"][..]),
            (camera("garden", "") + &camera("gate", ""), &["cameras.door", "cameras.gate"]),
            (camera("door", "") + &camera("garden", ""), &["cameras"]),
        ] {
            let changes = old.changes(&load(&new));
            assert!(changes.live.is_empty() && !changes.is_empty());
            assert_eq!(changes.needs_restart, names);
        }
    }

    #[test]
    fn locking_sign_in_is_a_change_at_once() {
        let old = Config::default();
        let new = Config::load(b"[auth]\npassword = 1", "f").config;
        assert!(old.changes(&new).live.contains(&"auth.password".to_owned()));
    }

    #[test]
    fn exactly_these_keys_are_live() {
        for key in keys() {
            let (section, _) = key.split();
            let promised = ["auth", "camera.controls", "camera.overlay"].contains(&section)
                || ["encoder.bitrate", "camera.fps", "webrtc.ice_servers", "log.level"]
                    .contains(&key.name);
            assert_eq!(key.effect == Effect::Live, promised, "{}", key.name);
        }
    }
}
