//! What a camera's controls are to be set to, as the configuration and HTTP say it.
//!
//! The owner's configuration says something, and over HTTP something else may be requested; what is
//! requested wins, until it is withdrawn. The camera's thread says which controls there are whenever
//! it has opened the camera, and looks here between two captures: at one number, which tells whether
//! anything has changed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{CameraError, Control, ControlRange, ControlValue, ControlValues};

/// A camera's controls and what they are to be set to. Clones are handles to the same controls.
#[derive(Clone, Debug, Default)]
pub struct CameraControls(Arc<Shared>);

/// Changes by name; `None` withdraws what was requested, so that the configuration decides.
pub type ControlChanges = BTreeMap<String, Option<ControlValue>>;

/// What controls there are, and how they are set.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlsReport {
    /// Whether the camera is open. It is not while nobody watches, or when it is lost.
    pub camera_open: bool,
    /// The controls it has, or had when it was open last, in the camera's order.
    pub controls: Vec<ControlSetting>,
    /// Why the camera did not take its settings, if it did not.
    pub error: Option<String>,
}

/// A control and what it is set to.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlSetting {
    /// The control.
    pub control: Control,
    /// What it is set to; `None` where it is left to the camera.
    pub value: Option<ControlValue>,
}

/// Why nothing was changed. The messages are for whoever requested the change.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ControlError {
    /// The camera has not been open since the start.
    #[error(
        "the camera has not been on yet, so its controls are not known; try again while somebody \
         is watching"
    )]
    NotKnownYet,
    /// The camera has no such control.
    #[error("there is no control \"{name}\"; this camera has {}", list(.known))]
    NoSuchControl {
        /// What was requested.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// The control cannot have this value.
    #[error("{name} expects {range}")]
    OutOfRange {
        /// The control.
        name: &'static str,
        /// What it can be set to.
        range: ControlRange,
    },
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<ControlState>,
    /// Counts changes of what is wanted; changed only under the lock.
    version: AtomicU64,
}

#[derive(Debug, Default)]
struct ControlState {
    camera_open: bool,
    /// `None` until the camera has been open for the first time.
    controls: Option<Vec<Control>>,
    /// What the configuration says.
    configured: ControlValues,
    /// What was requested over HTTP; the camera can do all of it.
    requested: ControlValues,
    error: Option<String>,
}

/// Up to which change a camera has been told; by default not even the first.
#[derive(Debug, Default)]
pub(crate) struct AppliedVersion(Option<u64>);

impl CameraControls {
    /// Controls that are all as the configuration says.
    #[must_use]
    pub fn new(configured: ControlValues) -> Self {
        let controls = Self::default();
        controls.configure(configured);
        controls
    }

    /// Takes what the configuration says from now on; true where that is something else.
    pub fn configure(&self, configured: ControlValues) -> bool {
        let mut state = self.lock();
        let old = std::mem::replace(&mut state.configured, configured);
        let is_other = state.configured != old;
        if is_other {
            state.warn_of_unusable(|name, value| old.get(name) != Some(value));
            self.changed(&state);
        }
        is_other
    }

    /// Changes what is requested, all of it or nothing.
    ///
    /// # Errors
    /// When the camera does not have one of the controls, or it cannot have that value.
    pub fn request(&self, changes: ControlChanges) -> Result<(), ControlError> {
        let mut state = self.lock();
        let controls = state.controls.as_deref().ok_or(ControlError::NotKnownYet)?;
        changes.iter().try_for_each(|(name, value)| check(controls, name, value.as_ref()))?;
        for (name, value) in changes {
            match value {
                Some(value) => {
                    log::info!("{name} is now {value}, as requested over HTTP");
                    state.requested.insert(name, value);
                }
                None if state.requested.remove(&name).is_some() => {
                    log::info!("{name} is again as the configuration says, as requested over HTTP");
                }
                None => {}
            }
        }
        self.changed(&state);
        Ok(())
    }

    /// What controls there are, and how they are set.
    #[must_use]
    pub fn report(&self) -> ControlsReport {
        let state = self.lock();
        let controls = state.controls.iter().flatten();
        let setting =
            |c: &Control| ControlSetting { control: c.clone(), value: state.value(c).cloned() };
        ControlsReport {
            camera_open: state.camera_open,
            controls: controls.map(setting).collect(),
            error: state.error.clone(),
        }
    }

    /// The camera is open and has these controls. What cannot be set on it is logged, once for as
    /// long as the controls stay the same.
    pub(crate) fn camera_opened(&self, controls: Vec<Control>) {
        let mut state = self.lock();
        state.camera_open = true;
        if state.controls.as_ref() == Some(&controls) {
            return;
        }
        state.requested.retain(|name, value| {
            let error = check(&controls, name, Some(value)).err();
            if let Some(error) = &error {
                log::warn!("{name} is no longer {value}, as requested over HTTP: {error}");
            }
            error.is_none()
        });
        state.controls = Some(controls);
        state.warn_of_unusable(|_, _| true);
    }

    /// The camera is no longer open.
    pub(crate) fn camera_closed(&self) {
        self.lock().camera_open = false;
    }

    /// What to set on the camera, if that has changed since `applied`, which is then up to date.
    /// Takes no lock where nothing has changed.
    pub(crate) fn changes_since(&self, applied: &mut AppliedVersion) -> Option<ControlValues> {
        if applied.0 == Some(self.0.version.load(Ordering::Relaxed)) {
            return None;
        }
        let state = self.lock();
        applied.0 = Some(self.0.version.load(Ordering::Relaxed));
        let controls = state.controls.iter().flatten();
        let wanted = controls.filter_map(|c| Some((c.name.to_owned(), state.value(c)?.clone())));
        Some(wanted.collect())
    }

    /// Records whether the camera took its settings.
    pub(crate) fn record_outcome(&self, outcome: Result<(), CameraError>) {
        let error = outcome.err().map(|error| error.to_string());
        if let Some(error) = &error {
            log::warn!("the camera did not take its controls, and goes on without them: {error}");
        }
        self.lock().error = error;
    }

    fn lock(&self) -> MutexGuard<'_, ControlState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the camera's thread look; the guard shows that the lock is held.
    fn changed(&self, _state: &MutexGuard<'_, ControlState>) {
        self.0.version.fetch_add(1, Ordering::Relaxed);
    }
}

impl ControlState {
    /// What a control is to be set to: what was requested, or else configured, and is possible.
    fn value(&self, control: &Control) -> Option<&ControlValue> {
        let configured = || self.configured.get(control.name).filter(|v| control.range.allows(v));
        self.requested.get(control.name).or_else(configured)
    }

    /// Logs which of the configured values that are `new` cannot be set on the camera, once it is
    /// known what it has.
    fn warn_of_unusable(&self, new: impl Fn(&str, &ControlValue) -> bool) {
        let Some(controls) = &self.controls else {
            return;
        };
        let mut missing = Vec::new();
        for (name, value) in self.configured.iter().filter(|(name, value)| new(name, value)) {
            match check(controls, name, Some(value)) {
                Ok(()) | Err(ControlError::NotKnownYet) => {}
                Err(ControlError::NoSuchControl { .. }) => missing.push(name.as_str()),
                Err(ControlError::OutOfRange { range, .. }) => log::warn!(
                    "the control {name} is not set: this camera expects {range}, found {value}"
                ),
            }
        }
        if !missing.is_empty() {
            log::warn!(
                "controls that cannot be set: {}; this camera has {}",
                missing.join(", "),
                list(&names(controls))
            );
        }
    }
}

/// Whether a camera with these `controls` can have `name` changed to `value`.
fn check(
    controls: &[Control],
    name: &str,
    value: Option<&ControlValue>,
) -> Result<(), ControlError> {
    /// Longer than any name there is; what is sent over HTTP may be as long as a body.
    const LONGEST: usize = 40;
    let Some(control) = controls.iter().find(|control| control.name == name) else {
        let name = name.chars().take(LONGEST).collect();
        return Err(ControlError::NoSuchControl { name, known: names(controls) });
    };
    if value.is_none_or(|value| control.range.allows(value)) {
        return Ok(());
    }
    Err(ControlError::OutOfRange { name: control.name, range: control.range.clone() })
}

fn names(controls: &[Control]) -> Vec<&'static str> {
    controls.iter().map(|control| control.name).collect()
}

/// As the end of a sentence: "brightness, gain".
fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ControlValue::Number;

    fn brightness_to(max: f64) -> Control {
        Control {
            name: "brightness",
            range: ControlRange::Number { min: -1.0, max },
            default: Some(Number(0.0)),
        }
    }

    fn gain() -> Control {
        let range = ControlRange::AutoOrNumber { min: 1.0, max: 8.0 };
        Control { name: "gain", range, default: None }
    }

    fn values(values: &[(&str, f64)]) -> ControlValues {
        values.iter().map(|(name, n)| ((*name).to_owned(), Number(*n))).collect()
    }

    fn changes(changes: &[(&str, Option<f64>)]) -> ControlChanges {
        changes.iter().map(|(name, n)| ((*name).to_owned(), n.map(Number))).collect()
    }

    /// What a camera that has just been opened is told.
    fn wanted(controls: &CameraControls) -> ControlValues {
        controls.changes_since(&mut AppliedVersion::default()).unwrap()
    }

    #[test]
    fn what_is_requested_wins_over_the_configuration_until_it_is_withdrawn() {
        let controls = CameraControls::new(values(&[("brightness", 0.1), ("gain", 2.0)]));
        controls.camera_opened(vec![brightness_to(1.0), gain()]);
        assert_eq!(wanted(&controls), values(&[("brightness", 0.1), ("gain", 2.0)]));
        controls.request(changes(&[("brightness", Some(0.5))])).unwrap();
        assert_eq!(wanted(&controls), values(&[("brightness", 0.5), ("gain", 2.0)]));
        controls.configure(values(&[("brightness", 0.3)]));
        assert_eq!(wanted(&controls), values(&[("brightness", 0.5)]));
        controls.request(changes(&[("brightness", None), ("gain", None)])).unwrap();
        assert_eq!(wanted(&controls), values(&[("brightness", 0.3)]));
    }

    #[test]
    fn a_camera_is_told_once_and_again_after_each_change() {
        let controls = CameraControls::new(values(&[("gain", 2.0)]));
        controls.camera_opened(vec![gain()]);
        let mut applied = AppliedVersion::default();
        assert_eq!(controls.changes_since(&mut applied), Some(values(&[("gain", 2.0)])));
        assert_eq!(controls.changes_since(&mut applied), None);
        controls.configure(values(&[("gain", 2.0)]));
        assert_eq!(controls.changes_since(&mut applied), None);
        controls.configure(values(&[("gain", 3.0)]));
        assert_eq!(controls.changes_since(&mut applied), Some(values(&[("gain", 3.0)])));
        controls.request(changes(&[("gain", Some(4.0))])).unwrap();
        assert_eq!(controls.changes_since(&mut applied), Some(values(&[("gain", 4.0)])));
        assert_eq!(controls.changes_since(&mut applied), None);
    }

    #[test]
    fn a_camera_is_told_only_what_it_can_do() {
        let controls =
            CameraControls::new(values(&[("brightness", 3.0), ("hdr", 1.0), ("gain", 2.0)]));
        assert_eq!(wanted(&controls), values(&[]));
        controls.camera_opened(vec![brightness_to(1.0), gain()]);
        assert_eq!(wanted(&controls), values(&[("gain", 2.0)]));
    }

    #[test]
    fn nothing_is_changed_when_a_part_is_refused() {
        let controls = CameraControls::default();
        controls.camera_opened(vec![brightness_to(1.0), gain()]);
        let error = controls.request(changes(&[("brightness", Some(0.5)), ("gain", Some(9.0))]));
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "gain expects \"auto\" or a number from 1 to 8");
        let error = controls.request(changes(&[("brightness", Some(0.5)), ("focus", None)]));
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "there is no control \"focus\"; this camera has brightness, gain");
        assert_eq!(wanted(&controls), values(&[]));
    }

    #[test]
    fn before_the_camera_was_on_nothing_can_be_requested() {
        let controls = CameraControls::default();
        assert_eq!(controls.request(ControlChanges::new()), Err(ControlError::NotKnownYet));
        controls.camera_opened(vec![gain()]);
        controls.camera_closed();
        assert!(!controls.report().camera_open);
        controls.request(changes(&[("gain", Some(4.0))])).unwrap();
        assert_eq!(controls.report().controls[0].value, Some(Number(4.0)));
    }

    #[test]
    fn another_camera_is_not_told_what_it_cannot_do() {
        let controls = CameraControls::new(values(&[("brightness", 0.2)]));
        controls.camera_opened(vec![brightness_to(1.0), gain()]);
        controls.request(changes(&[("brightness", Some(0.9)), ("gain", Some(4.0))])).unwrap();
        controls.camera_opened(vec![brightness_to(0.5)]);
        assert_eq!(wanted(&controls), values(&[("brightness", 0.2)]));
    }

    #[test]
    fn a_name_of_any_length_is_refused_in_a_short_sentence() {
        let controls = CameraControls::default();
        controls.camera_opened(Vec::new());
        let error = controls.request(changes(&[("ü".repeat(30_000).as_str(), None)])).unwrap_err();
        let shown = "ü".repeat(40);
        let expected = format!("there is no control \"{shown}\"; this camera has none");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_controls_shows_why_the_camera_refused_until_it_takes_its_settings() {
        let controls = CameraControls::default();
        controls.record_outcome(Err(CameraError::Unsupported("no such gain".into())));
        assert_eq!(controls.report().error.as_deref(), Some("no such gain"));
        controls.record_outcome(Ok(()));
        assert_eq!(controls.report().error, None);
    }
}
