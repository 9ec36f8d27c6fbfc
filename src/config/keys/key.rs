//! What is known about one key, and how a row of the table is written.

use super::field::{Accessor, CameraSettingsMut, ReadOutcome};
use crate::config::shape::{Value, ValueErrors};
use crate::config::{CameraSettings, Config};

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
    /// When the daemon is restarted.
    Restart,
}

/// The section of further cameras, of which each has an entry, `[[cameras]]`.
pub(in crate::config) const CAMERAS: &str = "cameras";

/// Whether a section is one for secrets. What stands in it under a wrong name, or the name itself,
/// may be one.
pub(in crate::config) fn holds_secrets(section: &str) -> bool {
    ["auth", "wifi", "webrtc"].contains(&section)
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
    pub(in crate::config) guard: bool,
    field: Box<dyn Accessor>,
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

    /// The same of any camera; `None` for a key that is none of a camera's, too.
    #[must_use]
    pub fn camera_value(&self, camera: CameraSettings<'_>) -> Option<toml::Value> {
        self.field.of_camera()?.write(camera)
    }

    /// Its name in an entry of `[[cameras]]`, such as `overlay.text` or `bitrate`, if every camera
    /// has it.
    #[must_use]
    pub fn name_in_entry(&self) -> Option<&'static str> {
        self.field.of_camera()?;
        self.name.strip_prefix("camera.").or_else(|| self.name.strip_prefix("encoder."))
    }

    /// Its value in `config`, which is to be used instead of another, in words for messages.
    pub(in crate::config) fn in_words(&self, config: &Config) -> String {
        self.value(config)
            .map_or_else(|| "which is to leave it unset".to_owned(), |value| value.to_string())
    }

    /// Reads it into `config`, as far as it can be used.
    pub(in crate::config) fn read(
        &self,
        value: &Value<'_>,
        config: &mut Config,
    ) -> (ReadOutcome, ValueErrors) {
        let mut errors = ValueErrors::new(self.is_redacted());
        let outcome = self.field.read(value, config, &mut errors);
        (outcome, errors)
    }

    /// Reads it into the settings of a camera, as far as it can be used.
    pub(in crate::config) fn read_camera(
        &self,
        value: &Value<'_>,
        camera: CameraSettingsMut<'_>,
    ) -> (ReadOutcome, ValueErrors) {
        let mut errors = ValueErrors::new(self.is_redacted());
        let field = self.field.of_camera();
        let outcome =
            field.map_or(ReadOutcome::Rejected, |field| field.read(value, camera, &mut errors));
        (outcome, errors)
    }

    /// Whether no message shows its value: it may hold a secret, or stands beside one, where
    /// a secret is easily written in its place.
    pub(in crate::config) fn is_redacted(&self) -> bool {
        self.is_sensitive() || holds_secrets(self.split().0)
    }

    /// Whether it may hold a secret.
    pub(in crate::config) fn is_sensitive(&self) -> bool {
        self.field.is_sensitive()
    }

    /// Whether two configurations agree on it.
    pub(in crate::config) fn same(&self, a: &Config, b: &Config) -> bool {
        self.field.same(a, b)
    }

    /// Whether two cameras agree on it, as they do on what is none of a camera's.
    pub(in crate::config) fn same_for_cameras(
        &self,
        a: CameraSettings<'_>,
        b: CameraSettings<'_>,
    ) -> bool {
        self.field.of_camera().is_none_or(|field| field.same(a, b))
    }

    pub(super) fn live(mut self) -> Self {
        self.effect = Effect::Live;
        self
    }

    pub(super) fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    pub(super) fn example(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    pub(super) fn guard(mut self) -> Self {
        self.guard = true;
        self
    }
}

pub(super) fn row(name: &'static str, field: impl Accessor + 'static, doc: &'static str) -> Key {
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

/// A row of the table, for a field of [`Config`]; of `camera` and `encoder`, for that of any camera.
macro_rules! key {
    ($name:literal, camera.$($field:ident).+, $shape:expr, $doc:literal) => {
        key!(@camera $name, camera.$($field).+, $shape, $doc)
    };
    ($name:literal, encoder.$($field:ident).+, $shape:expr, $doc:literal) => {
        key!(@camera $name, encoder.$($field).+, $shape, $doc)
    };
    (@camera $name:literal, $($field:ident).+, $shape:expr, $doc:literal) => {
        super::key::row(
            $name,
            super::field::CameraField {
                get: |c| &c.$($field).+,
                put: |c, v| c.$($field).+ = v,
                shape: $shape,
            },
            $doc,
        )
    };
    ($name:literal, $($field:ident).+, $shape:expr, $doc:literal) => {
        super::key::row(
            $name,
            super::field::ConfigField {
                get: |c| &c.$($field).+,
                put: |c, v| c.$($field).+ = v,
                shape: $shape,
            },
            $doc,
        )
    };
}
pub(super) use key;
