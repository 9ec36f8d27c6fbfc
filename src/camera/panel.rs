//! What the knobs of the camera are to be set to, for all who have a say in it.
//!
//! The owner's configuration says something, and over HTTP something else may be asked for; what
//! is asked for wins, until it is taken back. The camera's thread says which knobs there are
//! whenever it has opened the camera, and looks here between two captures: at one number, which
//! tells whether anything has changed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{CameraError, Control, ControlRange, ControlValue, ControlValues};

/// A camera's knobs and what they are to be set to; clones are handles to the same panel.
#[derive(Clone, Debug, Default)]
pub struct ControlPanel(Arc<Shared>);

/// Changes by name; `None` takes back what was asked for, so that the configuration decides.
pub type ControlChanges = BTreeMap<String, Option<ControlValue>>;

/// What a panel shows.
#[derive(Clone, Debug, PartialEq)]
pub struct PanelState {
    /// Whether the camera is open.
    pub power: Power,
    /// The knobs it has, or had when it was open last, in the camera's order.
    pub settings: Vec<Setting>,
    /// Why the camera did not take its settings, if it did not.
    pub refused: Option<String>,
}

/// Whether a camera is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Power {
    /// It rests, because nobody watches, or it is lost.
    #[default]
    Off,
    /// It is open.
    On,
}

/// A knob and what it is set to.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The knob.
    pub control: Control,
    /// What it is set to; `None` where it is left to the camera.
    pub value: Option<ControlValue>,
}

/// Why nothing was changed. The messages are for who asked for the change.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ControlRefusal {
    /// The camera has not been open since the start.
    #[error(
        "the camera has not been on yet, so that its controls are not known; ask again while \
         somebody watches"
    )]
    NotKnownYet,
    /// The camera has no such knob.
    #[error("there is no control \"{name}\"; this camera has {}", list(.known))]
    NoSuchControl {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// The knob does not go there.
    #[error("{name} expects {range}")]
    OutOfRange {
        /// The knob.
        name: &'static str,
        /// Where it goes.
        range: ControlRange,
    },
}

#[derive(Debug, Default)]
struct Shared {
    panel: Mutex<Panel>,
    /// Counts changes of what is wanted; changed only under the lock.
    version: AtomicU64,
}

#[derive(Debug, Default)]
struct Panel {
    power: Power,
    /// `None` until the camera has been open for the first time.
    controls: Option<Vec<Control>>,
    /// What the configuration says.
    configured: ControlValues,
    /// What was asked for over HTTP; the camera can do all of it.
    asked: ControlValues,
    refused: Option<String>,
}

/// Which of the panel's changes a camera has followed; the default is none, not even the first.
#[derive(Debug, Default)]
pub(crate) struct Followed(Option<u64>);

impl ControlPanel {
    /// A panel on which everything is as the configuration says.
    #[must_use]
    pub fn new(configured: ControlValues) -> Self {
        let panel = Self::default();
        panel.configure(configured);
        panel
    }

    /// Takes what the configuration says from now on.
    pub fn configure(&self, configured: ControlValues) {
        let mut panel = self.lock();
        let old = std::mem::replace(&mut panel.configured, configured);
        if panel.configured != old {
            panel.complain(|name, value| old.get(name) != Some(value));
            self.changed(&panel);
        }
    }

    /// Changes what is asked for, all of it or nothing.
    ///
    /// # Errors
    /// When the camera does not have one of the knobs, or it does not go there.
    pub fn ask(&self, changes: ControlChanges) -> Result<(), ControlRefusal> {
        let mut panel = self.lock();
        let controls = panel.controls.as_deref().ok_or(ControlRefusal::NotKnownYet)?;
        changes.iter().try_for_each(|(name, value)| permit(controls, name, value.as_ref()))?;
        for (name, value) in changes {
            match value {
                Some(value) => {
                    log::info!("{name} is now {value}, asked for over HTTP");
                    panel.asked.insert(name, value);
                }
                None if panel.asked.remove(&name).is_some() => {
                    log::info!("{name} is again as the configuration says, asked for over HTTP");
                }
                None => {}
            }
        }
        self.changed(&panel);
        Ok(())
    }

    /// What the panel shows.
    #[must_use]
    pub fn state(&self) -> PanelState {
        let panel = self.lock();
        let controls = panel.controls.iter().flatten();
        let setting = |c: &Control| Setting { control: c.clone(), value: panel.value(c).cloned() };
        PanelState {
            power: panel.power,
            settings: controls.map(setting).collect(),
            refused: panel.refused.clone(),
        }
    }

    /// The camera is open and has these knobs. What cannot be set on it is told in the log, once
    /// for as long as the knobs stay the same.
    pub(crate) fn opened(&self, controls: Vec<Control>) {
        let mut panel = self.lock();
        panel.power = Power::On;
        if panel.controls.as_ref() == Some(&controls) {
            return;
        }
        panel.asked.retain(|name, value| {
            let refusal = permit(&controls, name, Some(value)).err();
            if let Some(refusal) = &refusal {
                log::warn!("{name} is not {value} any more, as asked for over HTTP: {refusal}");
            }
            refusal.is_none()
        });
        panel.controls = Some(controls);
        panel.complain(|_, _| true);
    }

    /// The camera is not open any more.
    pub(crate) fn closed(&self) {
        self.lock().power = Power::Off;
    }

    /// What to set on the camera, if that has changed since `followed`. Takes no lock where
    /// nothing has.
    pub(crate) fn news(&self, followed: &mut Followed) -> Option<ControlValues> {
        if followed.0 == Some(self.0.version.load(Ordering::Relaxed)) {
            return None;
        }
        let panel = self.lock();
        followed.0 = Some(self.0.version.load(Ordering::Relaxed));
        let controls = panel.controls.iter().flatten();
        let wanted = controls.filter_map(|c| Some((c.name.to_owned(), panel.value(c)?.clone())));
        Some(wanted.collect())
    }

    /// Takes note of what became of setting the knobs.
    pub(crate) fn note(&self, outcome: Result<(), CameraError>) {
        let refused = outcome.err().map(|error| error.to_string());
        if let Some(error) = &refused {
            log::warn!("the camera did not take its controls, and goes on without: {error}");
        }
        self.lock().refused = refused;
    }

    fn lock(&self) -> MutexGuard<'_, Panel> {
        self.0.panel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the camera's thread to look; the guard shows that the lock is held.
    fn changed(&self, _panel: &MutexGuard<'_, Panel>) {
        self.0.version.fetch_add(1, Ordering::Relaxed);
    }
}

impl Panel {
    /// What a knob is to be set to: what was asked for, or else configured, and is possible.
    fn value(&self, control: &Control) -> Option<&ControlValue> {
        let configured = || self.configured.get(control.name).filter(|v| control.range.allows(v));
        self.asked.get(control.name).or_else(configured)
    }

    /// Tells which of the configured values that are `new` cannot be set on the camera, once it
    /// is known what it has.
    fn complain(&self, new: impl Fn(&str, &ControlValue) -> bool) {
        let Some(controls) = &self.controls else {
            return;
        };
        let mut missing = Vec::new();
        for (name, value) in self.configured.iter().filter(|(name, value)| new(name, value)) {
            match permit(controls, name, Some(value)) {
                Ok(()) | Err(ControlRefusal::NotKnownYet) => {}
                Err(ControlRefusal::NoSuchControl { .. }) => missing.push(name.as_str()),
                Err(ControlRefusal::OutOfRange { range, .. }) => log::warn!(
                    "camera.controls.{name} is not used: this camera expects {range}, found {value}"
                ),
            }
        }
        if !missing.is_empty() {
            log::warn!(
                "[camera.controls]: {} cannot be set; this camera has {}",
                missing.join(", "),
                list(&names(controls))
            );
        }
    }
}

/// Whether a camera with these `controls` can have `name` changed to `value`.
fn permit(
    controls: &[Control],
    name: &str,
    value: Option<&ControlValue>,
) -> Result<(), ControlRefusal> {
    /// Longer than any name there is; what is sent over HTTP may be as long as a body.
    const LONGEST: usize = 40;
    let Some(control) = controls.iter().find(|control| control.name == name) else {
        let name = name.chars().take(LONGEST).collect();
        return Err(ControlRefusal::NoSuchControl { name, known: names(controls) });
    };
    if value.is_none_or(|value| control.range.allows(value)) {
        return Ok(());
    }
    Err(ControlRefusal::OutOfRange { name: control.name, range: control.range.clone() })
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
    fn wanted(panel: &ControlPanel) -> ControlValues {
        panel.news(&mut Followed::default()).unwrap()
    }

    #[test]
    fn what_is_asked_for_wins_over_the_configuration_until_it_is_taken_back() {
        let panel = ControlPanel::new(values(&[("brightness", 0.1), ("gain", 2.0)]));
        panel.opened(vec![brightness_to(1.0), gain()]);
        assert_eq!(wanted(&panel), values(&[("brightness", 0.1), ("gain", 2.0)]));
        panel.ask(changes(&[("brightness", Some(0.5))])).unwrap();
        assert_eq!(wanted(&panel), values(&[("brightness", 0.5), ("gain", 2.0)]));
        panel.configure(values(&[("brightness", 0.3)]));
        assert_eq!(wanted(&panel), values(&[("brightness", 0.5)]));
        panel.ask(changes(&[("brightness", None), ("gain", None)])).unwrap();
        assert_eq!(wanted(&panel), values(&[("brightness", 0.3)]));
    }

    #[test]
    fn a_camera_is_told_once_and_again_after_each_change() {
        let panel = ControlPanel::new(values(&[("gain", 2.0)]));
        panel.opened(vec![gain()]);
        let mut followed = Followed::default();
        assert_eq!(panel.news(&mut followed), Some(values(&[("gain", 2.0)])));
        assert_eq!(panel.news(&mut followed), None);
        panel.configure(values(&[("gain", 2.0)]));
        assert_eq!(panel.news(&mut followed), None);
        panel.configure(values(&[("gain", 3.0)]));
        assert_eq!(panel.news(&mut followed), Some(values(&[("gain", 3.0)])));
        panel.ask(changes(&[("gain", Some(4.0))])).unwrap();
        assert_eq!(panel.news(&mut followed), Some(values(&[("gain", 4.0)])));
        assert_eq!(panel.news(&mut followed), None);
    }

    #[test]
    fn a_camera_is_told_only_what_it_can_do() {
        let panel = ControlPanel::new(values(&[("brightness", 3.0), ("hdr", 1.0), ("gain", 2.0)]));
        assert_eq!(wanted(&panel), values(&[]));
        panel.opened(vec![brightness_to(1.0), gain()]);
        assert_eq!(wanted(&panel), values(&[("gain", 2.0)]));
    }

    #[test]
    fn nothing_is_changed_when_a_part_is_refused() {
        let panel = ControlPanel::default();
        panel.opened(vec![brightness_to(1.0), gain()]);
        let refusal = panel.ask(changes(&[("brightness", Some(0.5)), ("gain", Some(9.0))]));
        let refusal = refusal.unwrap_err().to_string();
        assert_eq!(refusal, "gain expects \"auto\" or a number from 1 to 8");
        let refusal = panel.ask(changes(&[("brightness", Some(0.5)), ("focus", None)]));
        let refusal = refusal.unwrap_err().to_string();
        assert_eq!(refusal, "there is no control \"focus\"; this camera has brightness, gain");
        assert_eq!(wanted(&panel), values(&[]));
    }

    #[test]
    fn before_the_camera_was_on_nothing_can_be_asked_for() {
        let panel = ControlPanel::default();
        assert_eq!(panel.ask(ControlChanges::new()), Err(ControlRefusal::NotKnownYet));
        panel.opened(vec![gain()]);
        panel.closed();
        assert_eq!(panel.state().power, Power::Off);
        panel.ask(changes(&[("gain", Some(4.0))])).unwrap();
        assert_eq!(panel.state().settings[0].value, Some(Number(4.0)));
    }

    #[test]
    fn another_camera_is_not_told_what_it_cannot_do() {
        let panel = ControlPanel::new(values(&[("brightness", 0.2)]));
        panel.opened(vec![brightness_to(1.0), gain()]);
        panel.ask(changes(&[("brightness", Some(0.9)), ("gain", Some(4.0))])).unwrap();
        panel.opened(vec![brightness_to(0.5)]);
        assert_eq!(wanted(&panel), values(&[("brightness", 0.2)]));
    }

    #[test]
    fn a_name_of_any_length_is_refused_in_a_short_sentence() {
        let panel = ControlPanel::default();
        panel.opened(Vec::new());
        let refusal = panel.ask(changes(&[("ü".repeat(30_000).as_str(), None)])).unwrap_err();
        let shown = "ü".repeat(40);
        let expected = format!("there is no control \"{shown}\"; this camera has none");
        assert_eq!(refusal.to_string(), expected);
    }

    #[test]
    fn the_panel_shows_why_the_camera_refused_until_it_takes_its_settings() {
        let panel = ControlPanel::default();
        panel.note(Err(CameraError::Unsupported("no such gain".into())));
        assert_eq!(panel.state().refused.as_deref(), Some("no such gain"));
        panel.note(Ok(()));
        assert_eq!(panel.state().refused, None);
    }
}
