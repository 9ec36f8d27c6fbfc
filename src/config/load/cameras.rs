//! Reading `[[cameras]]`.
//!
//! An entry is read by the keys of `[camera]` and `[encoder]`, into settings of its own that start with
//! the same defaults. The whole entry is left out if it cannot be told apart from another camera, or if
//! it does not say which camera it means; any other mistake costs one key, as in `[camera]`.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::{Origin, Reader, UNCHANGED, full_name};
use crate::config::keys::{
    CAMERAS, CameraSettingsMut, Key, ReadOutcome, find_camera_key, is_camera_section,
};
use crate::config::places::CameraPlaces;
use crate::config::problem::ProblemKind;
use crate::config::shape::{Value, ValueError, describe, type_name};
use crate::config::{Camera, CameraName, Config, Encoder, FurtherCamera, misplaced};

/// The most cameras beside `main`.
const MAX_CAMERAS: usize = 16;

/// The key that every entry must have, by its name in `[camera]`.
const SOURCE: &str = "camera.source";

/// An entry, as far as it was read.
struct Entry {
    /// What messages call it: `cameras.garden`, or `cameras` where it has no name.
    label: String,
    camera: Camera,
    encoder: Encoder,
    /// Where the name of each key that was found stands.
    seen: BTreeMap<&'static str, usize>,
    places: CameraPlaces,
    /// Whether it has a source that can be used.
    has_source: bool,
}

impl Reader<'_> {
    /// Reads the cameras beside `main`, in place of the former ones.
    pub(in crate::config) fn cameras(&mut self, at: usize, value: &Value<'_>) {
        let Some(entries) = value.get_ref().as_array() else {
            let message = format!(
                "the cameras beside that of [camera] are a list: write `[[{CAMERAS}]]` above each of \
                 them; found {}; {}",
                type_name(value.get_ref()),
                self.left_out("it is left out")
            );
            self.report(at, ProblemKind::Refused, message);
            return self.report_misplaced(misplaced::in_unknown(CAMERAS, value));
        };
        let before = self.refusals();
        let mut cameras: Vec<(usize, FurtherCamera, Entry)> = Vec::new();
        for (number, value) in entries.iter().enumerate() {
            let at = value.span().start;
            if number == MAX_CAMERAS {
                let end = self.left_out("this one, and what follows it, is left out");
                let message = format!("`{CAMERAS}` has more than {MAX_CAMERAS} entries; {end}");
                self.report(at, ProblemKind::Refused, message);
                entries[number..].iter().for_each(|value| {
                    self.report_misplaced(misplaced::in_unknown(CAMERAS, value));
                });
                break;
            }
            if let Some((camera, entry)) = self.camera(value, &cameras) {
                cameras.push((at, camera, entry));
            }
            if self.has_too_many_problems() {
                return;
            }
        }
        // On the command line it is all of them or none, as with any list.
        if matches!(self.origin, Origin::Set { .. }) && self.refusals() > before {
            return;
        }
        self.places.set_cameras(
            cameras.iter().map(|(_, camera, entry)| (camera.name.clone(), entry.places.clone())),
        );
        self.config.cameras = cameras.into_iter().map(|(_, camera, _)| camera).collect();
    }

    /// Reads one entry, unless it is to be left out.
    fn camera(
        &mut self,
        value: &Value<'_>,
        earlier: &[(usize, FurtherCamera, Entry)],
    ) -> Option<(FurtherCamera, Entry)> {
        let at = value.span().start;
        let Some(table) = value.get_ref().as_table() else {
            let example = "`{ name = \"garden\", source = \"v4l2:/dev/video2\" }`";
            let message = format!(
                "each entry of `{CAMERAS}` is a table such as {example}, found {}; {}",
                type_name(value.get_ref()),
                self.left_out("it is left out")
            );
            self.report(at, ProblemKind::Refused, message);
            self.report_misplaced(misplaced::in_unknown(CAMERAS, value));
            return None;
        };
        let name = self.camera_name(at, table);
        let mut entry = Entry {
            label: name.as_ref().map_or(CAMERAS.to_owned(), |name| format!("{CAMERAS}.{name}")),
            camera: Camera::default(),
            encoder: Encoder::default(),
            seen: BTreeMap::new(),
            places: CameraPlaces::new(self.origin.place(at)),
            has_source: false,
        };
        self.camera_table(&mut entry, "", table);
        if !entry.seen.contains_key(SOURCE) {
            // The default is the first camera that is found, which is the one `main` uses.
            let message = format!(
                "`{}` needs a `source`, such as `source = \"v4l2:/dev/video2\"`; {}",
                entry.label,
                self.left_out("this camera is left out")
            );
            self.report(at, ProblemKind::Refused, message);
        }
        let name = name?;
        if let Some((earlier, ..)) = earlier.iter().find(|(_, camera, _)| camera.name == name) {
            let line = self.origin.place(*earlier).line();
            let line = line.map_or(String::new(), |(line, _)| format!(", in line {line}"));
            let message = format!(
                "another camera has the name `{name}` already{line}; {}",
                self.left_out("this one is left out")
            );
            self.report(at, ProblemKind::Refused, message);
            return None;
        }
        let Entry { camera, encoder, .. } = &mut entry;
        let (camera, encoder) = (std::mem::take(camera), std::mem::take(encoder));
        entry.has_source.then_some((FurtherCamera { name, camera, encoder }, entry))
    }

    /// Reads the name of the entry that begins at `at`.
    fn camera_name(&mut self, at: usize, table: &DeTable<'_>) -> Option<CameraName> {
        let end = self.left_out("this camera is left out");
        let Some(value) = table.get("name") else {
            let message = format!(
                "each entry of `{CAMERAS}` needs a `name`, such as `name = \"garden\"`; {end}"
            );
            self.report(at, ProblemKind::Refused, message);
            return None;
        };
        self.report_misplaced(misplaced::in_unknown(CAMERAS, value));
        let parsed = value.get_ref().as_str().map(str::parse::<CameraName>);
        let why = match parsed {
            Some(Ok(name)) if name.is_main() => {
                "this is the name of the camera of [camera]; choose another".to_owned()
            }
            Some(Ok(name)) => return Some(name),
            Some(Err(why)) => why.to_string(),
            None => "a name is a string such as \"garden\"".to_owned(),
        };
        let found = describe(value.get_ref());
        let message = format!("`{CAMERAS}` has an entry with {found} as its `name`: {why}; {end}");
        self.report(value.span().start, ProblemKind::Refused, message);
        None
    }

    /// Reads the table `path` of an entry or, when empty, the entry itself.
    fn camera_table(&mut self, entry: &mut Entry, path: &str, table: &DeTable<'_>) {
        let section = if path.is_empty() { CAMERAS.into() } else { format!("{CAMERAS}.{path}") };
        for (name, value) in table {
            let at = name.span().start;
            let name = name.get_ref().as_ref();
            let full = full_name(path, name);
            if full == "name" {
                // It was read first.
            } else if let Some(key) = find_camera_key(&full) {
                self.camera_key(entry, key, at, value);
            } else if is_camera_section(&full) {
                match value.get_ref() {
                    DeValue::Table(table) => self.camera_table(entry, &full, table),
                    _ => self.not_a_table(&format!("{CAMERAS}.{full}"), at, value),
                }
            } else {
                self.unknown(&section, name, at, value);
            }
            if self.has_too_many_problems() {
                return;
            }
        }
    }

    fn camera_key(&mut self, entry: &mut Entry, key: &'static Key, at: usize, value: &Value<'_>) {
        let name = key.name_in_entry().unwrap_or(key.name);
        let full = format!("{}.{name}", entry.label);
        if entry.seen.contains_key(key.name) {
            let message = format!(
                "`{full}` is set twice, also below `encoder`; {}",
                self.left_out("one of the two is left out: remove it")
            );
            return self.report(at, ProblemKind::Refused, message);
        }
        entry.seen.insert(key.name, at);
        entry.places.set(key.name, self.origin.place(value.span().start));
        let Entry { camera, encoder, .. } = entry;
        let (outcome, errors) = key.read_camera(value, CameraSettingsMut { camera, encoder });
        if key.name == SOURCE {
            entry.has_source = outcome == ReadOutcome::Stored;
        }
        self.report_misplaced(misplaced::in_key(key, value));
        for ValueError { at, message } in errors {
            let end = match key.name {
                SOURCE => "this camera is left out".to_owned(),
                _ => format!("the default is used, {}", key.in_words(&Config::default())),
            };
            let end = self.left_out(&end);
            self.report(at.start, ProblemKind::Refused, format!("`{full}` {message}; {end}"));
        }
    }

    /// What happens because something cannot be used: in a file, what `words` say.
    fn left_out(&self, words: &str) -> String {
        match self.origin {
            Origin::File { .. } => words.to_owned(),
            Origin::Set { .. } => UNCHANGED.to_owned(),
        }
    }
}
