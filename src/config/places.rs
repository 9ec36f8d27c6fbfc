//! Where the values of a configuration stand, for problems that are found later.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::keys::{CAMERAS, find_camera_key};
use super::{CameraName, Place, Problem, ProblemKind};

/// The place of each value that a file or a command line sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// By the key, and by the entry of its list (`0`, `1`, …) or table; empty for all of it.
    known: BTreeMap<(&'static str, Arc<str>), Place>,
    /// Where further cameras stand; `None` if nothing sets them.
    cameras: Option<BTreeMap<CameraName, CameraPlaces>>,
}

/// Where an entry of `[[cameras]]` stands, and what is set in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CameraPlaces {
    entry: Place,
    keys: BTreeMap<&'static str, Place>,
}

impl CameraPlaces {
    pub(super) fn new(entry: Place) -> Self {
        Self { entry, keys: BTreeMap::new() }
    }

    /// Takes note of where a key, by its full name in `[camera]` or `[encoder]`, is set.
    pub(super) fn set(&mut self, key: &'static str, place: Place) {
        self.keys.insert(key, place);
    }
}

impl Places {
    /// Where the value of `key` stands.
    #[must_use]
    pub fn of(&self, key: &'static str) -> Place {
        self.of_entry(key, "")
    }

    /// Where the entry of its list or table stands, as far as that is known.
    #[must_use]
    pub fn of_entry(&self, key: &'static str, entry: &str) -> Place {
        let known = |entry: &str| self.known.get(&(key, Arc::from(entry))).cloned();
        known(entry).or_else(|| known("")).unwrap_or(Place::Nowhere { key: key.into() })
    }

    /// A problem with the value of `key`. The message follows its name: "names no folder".
    #[must_use]
    pub fn problem(&self, key: &'static str, kind: ProblemKind, message: &str) -> Problem {
        self.entry_problem(key, "", kind, message)
    }

    /// The same for an entry of its list or table.
    #[must_use]
    pub fn entry_problem(
        &self,
        key: &'static str,
        entry: &str,
        kind: ProblemKind,
        message: &str,
    ) -> Problem {
        let place = self.of_entry(key, entry);
        let message = match place {
            Place::File { .. } => format!("`{key}` {message}"),
            // These places name the key themselves.
            Place::Set { .. } | Place::SetFile { .. } | Place::Nowhere { .. } => message.to_owned(),
        };
        Problem { place, kind, message }
    }

    /// Where a setting of a camera stands, by its name in an entry of `[[cameras]]`: `source`,
    /// `overlay.text`, `bitrate`. For `main` that is the place of `camera.source` and the like. A
    /// setting that the entry does not have is at the place of the entry.
    #[must_use]
    pub fn of_camera(&self, camera: &CameraName, key: &str) -> Place {
        let found = find_camera_key(key).map(|key| key.name);
        if camera.is_main() {
            return found.map_or_else(
                || Place::Nowhere { key: format!("camera.{key}").into() },
                |key| self.of(key),
            );
        }
        let entry = self.cameras.as_ref().and_then(|cameras| cameras.get(camera));
        let set = entry.and_then(|entry| entry.keys.get(found?).or(Some(&entry.entry)));
        set.cloned()
            .unwrap_or_else(|| Place::Nowhere { key: format!("{CAMERAS}.{camera}.{key}").into() })
    }

    /// A problem with a setting of a camera, named as in [`Places::of_camera`]. The message follows
    /// its name: "names no device".
    #[must_use]
    pub fn camera_problem(
        &self,
        camera: &CameraName,
        key: &str,
        kind: ProblemKind,
        message: &str,
    ) -> Problem {
        if camera.is_main()
            && let Some(key) = find_camera_key(key)
        {
            return self.problem(key.name, kind, message);
        }
        let place = self.of_camera(camera, key);
        let message = match place {
            Place::Nowhere { .. } => message.to_owned(),
            // `--set cameras` names neither the camera nor the key.
            _ => format!("`{CAMERAS}.{camera}.{key}` {message}"),
        };
        Problem { place, kind, message }
    }

    /// Takes note of where further cameras stand, in place of what was known of them.
    pub(super) fn set_cameras(
        &mut self,
        cameras: impl Iterator<Item = (CameraName, CameraPlaces)>,
    ) {
        self.cameras = Some(cameras.collect());
    }

    /// Takes note of where a key is set, in place of what was known of it.
    pub(super) fn set(&mut self, key: &'static str, place: Place) {
        self.known.retain(|(other, _), _| *other != key);
        self.known.insert((key, Arc::from("")), place);
    }

    /// Adds others, in place of those that are known.
    pub(super) fn take(&mut self, others: Self) {
        for (key, entry) in others.known.keys() {
            if entry.is_empty() {
                self.known.retain(|(known, _), _| known != key);
            }
        }
        self.known.extend(others.known);
        if others.cameras.is_some() {
            self.cameras = others.cameras;
        }
    }

    /// Takes note of where an entry of it stands.
    pub(super) fn set_entry(&mut self, key: &'static str, entry: &str, place: Place) {
        self.known.insert((key, Arc::from(entry)), place);
    }
}
