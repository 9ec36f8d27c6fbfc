//! Where the value of a key is kept: in a [`Config`], in the settings of a camera, or among the
//! [`Credentials`].

use crate::config::shape::{Shape, Value, ValueErrors};
use crate::config::{Camera, CameraSettings, Config, Credentials, Encoder};

/// What became of a value that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum ReadOutcome {
    /// It was stored, without the parts that were refused.
    Stored,
    /// Nothing of it was.
    Rejected,
}

/// Reads and writes the value of a key in a [`Config`].
pub(super) trait Accessor: Send + Sync {
    fn expects(&self) -> String;
    fn is_sensitive(&self) -> bool;
    fn read(&self, value: &Value<'_>, config: &mut Config, errors: &mut ValueErrors)
    -> ReadOutcome;
    fn write(&self, config: &Config) -> Option<toml::Value>;
    fn same(&self, a: &Config, b: &Config) -> bool;
    /// The same for any camera, if it is a setting of one.
    fn of_camera(&self) -> Option<&dyn CameraAccessor> {
        None
    }
}

/// Reads and writes the value of a key in the settings of a camera.
pub(super) trait CameraAccessor: Send + Sync {
    fn read(
        &self,
        value: &Value<'_>,
        camera: CameraSettingsMut<'_>,
        errors: &mut ValueErrors,
    ) -> ReadOutcome;
    fn write(&self, camera: CameraSettings<'_>) -> Option<toml::Value>;
    fn same(&self, a: CameraSettings<'_>, b: CameraSettings<'_>) -> bool;
}

/// The settings of a camera, to be changed.
pub(in crate::config) struct CameraSettingsMut<'a> {
    pub camera: &'a mut Camera,
    pub encoder: &'a mut Encoder,
}

/// A field of [`Config`], and the shape of its value in the file.
pub(super) struct ConfigField<T, S> {
    pub get: fn(&Config) -> &T,
    pub put: fn(&mut Config, T),
    pub shape: S,
}

impl<T: PartialEq, S: Shape<T>> Accessor for ConfigField<T, S> {
    fn expects(&self) -> String {
        self.shape.expects()
    }
    fn is_sensitive(&self) -> bool {
        self.shape.is_sensitive()
    }
    fn read(
        &self,
        value: &Value<'_>,
        config: &mut Config,
        errors: &mut ValueErrors,
    ) -> ReadOutcome {
        match self.shape.read(value, errors) {
            Some(value) => {
                (self.put)(config, value);
                ReadOutcome::Stored
            }
            None => ReadOutcome::Rejected,
        }
    }
    fn write(&self, config: &Config) -> Option<toml::Value> {
        self.shape.write((self.get)(config))
    }
    fn same(&self, a: &Config, b: &Config) -> bool {
        (self.get)(a) == (self.get)(b)
    }
}

/// A field of a camera's settings, and the shape of its value in the file.
pub(super) struct CameraField<T, S> {
    pub get: for<'a> fn(CameraSettings<'a>) -> &'a T,
    pub put: fn(CameraSettingsMut<'_>, T),
    pub shape: S,
}

impl<T: PartialEq, S: Shape<T>> CameraAccessor for CameraField<T, S> {
    fn read(
        &self,
        value: &Value<'_>,
        camera: CameraSettingsMut<'_>,
        errors: &mut ValueErrors,
    ) -> ReadOutcome {
        match self.shape.read(value, errors) {
            Some(value) => {
                (self.put)(camera, value);
                ReadOutcome::Stored
            }
            None => ReadOutcome::Rejected,
        }
    }
    fn write(&self, camera: CameraSettings<'_>) -> Option<toml::Value> {
        self.shape.write((self.get)(camera))
    }
    fn same(&self, a: CameraSettings<'_>, b: CameraSettings<'_>) -> bool {
        (self.get)(a) == (self.get)(b)
    }
}

/// In a [`Config`], it is the setting of `main`.
impl<T: PartialEq, S: Shape<T>> Accessor for CameraField<T, S> {
    fn expects(&self) -> String {
        self.shape.expects()
    }
    fn is_sensitive(&self) -> bool {
        self.shape.is_sensitive()
    }
    fn read(
        &self,
        value: &Value<'_>,
        config: &mut Config,
        errors: &mut ValueErrors,
    ) -> ReadOutcome {
        let Config { camera, encoder, .. } = config;
        CameraAccessor::read(self, value, CameraSettingsMut { camera, encoder }, errors)
    }
    fn write(&self, config: &Config) -> Option<toml::Value> {
        CameraAccessor::write(self, config.main_camera())
    }
    fn same(&self, a: &Config, b: &Config) -> bool {
        CameraAccessor::same(self, a.main_camera(), b.main_camera())
    }
    fn of_camera(&self) -> Option<&dyn CameraAccessor> {
        Some(self)
    }
}

/// A field of the [`Credentials`], of which three keys make one value, `Config::auth`.
pub(super) struct CredentialField<T, S> {
    pub get: fn(&Credentials) -> Option<&T>,
    pub put: fn(&mut Credentials, T),
    pub shape: S,
}

impl<T: PartialEq, S: Shape<T>> Accessor for CredentialField<T, S> {
    fn expects(&self) -> String {
        self.shape.expects()
    }
    fn is_sensitive(&self) -> bool {
        self.shape.is_sensitive()
    }
    fn read(
        &self,
        value: &Value<'_>,
        config: &mut Config,
        errors: &mut ValueErrors,
    ) -> ReadOutcome {
        match self.shape.read(value, errors) {
            // Once locked, nothing unlocks: whatever was wrong is still wrong.
            Some(value) => {
                if let Some(mut credentials) = config.auth.credentials() {
                    (self.put)(&mut credentials, value);
                    config.auth = credentials.into();
                }
                ReadOutcome::Stored
            }
            None => ReadOutcome::Rejected,
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
