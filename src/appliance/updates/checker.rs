//! The checker: it knows which update is available, and starts installing it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinHandle;

use super::check_schedule::{CheckResult, CheckSchedule};
use super::download::{self, Download};
use super::error::UpdateError;
use super::manifest::UpdateManifest;
use crate::appliance::{InstallError, Installer, StewardClient, UpdateOutcome};
use crate::config::{Install, Update};

/// How often it is looked whether something is to be done.
const TICK: Duration = Duration::from_secs(5);

/// Why an available update was not installed.
pub type UpdateInstallError = InstallError<UpdateError>;

/// What the last check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateCheck {
    /// Whether there is a server to ask.
    #[serde(rename = "asks")]
    pub configured: bool,
    /// Whether an update is installed without the owner's doing.
    pub automatic: bool,
    /// A newer version than the one that runs.
    #[serde(rename = "offer")]
    pub available: Option<AvailableUpdate>,
    /// Seconds since the check.
    #[serde(rename = "looked")]
    pub seconds_ago: Option<u64>,
    /// What went wrong.
    pub problem: Option<String>,
}

/// A newer version than the one that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AvailableUpdate {
    /// The version.
    pub version: String,
    /// The size of its bundle in bytes.
    pub size: u64,
}

/// Checks for updates. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct UpdateChecker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Update,
    steward: StewardClient,
    installer: Installer,
    found: Mutex<Found>,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Found {
    available: Option<UpdateManifest>,
    checked: Option<Instant>,
    problem: Option<String>,
    /// A version that was tried automatically, and is not tried automatically again.
    skipped: Option<SkippedVersion>,
}

#[derive(Debug)]
struct SkippedVersion {
    version: String,
    until: SkipUntil,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SkipUntil {
    /// Its bundle was not received; perhaps it is at another time.
    NextCheck,
    /// It is not for this device, or does not work here.
    NextStart,
}

impl UpdateChecker {
    pub(in crate::appliance) fn new(
        settings: Update,
        steward: StewardClient,
        installer: Installer,
    ) -> Self {
        Self(Arc::new(Shared { settings, steward, installer, found: Mutex::default() }))
    }

    /// What the last check has found.
    #[must_use]
    pub fn last_check(&self) -> UpdateCheck {
        let found = self.found();
        UpdateCheck {
            configured: self.0.settings.url.is_some(),
            automatic: self.is_automatic(),
            available: found.available.as_ref().map(|manifest| AvailableUpdate {
                version: manifest.version.to_string(),
                size: manifest.size,
            }),
            seconds_ago: found.checked.map(|checked| checked.elapsed().as_secs()),
            problem: found.problem.clone(),
        }
    }

    /// Checks for a newer version.
    ///
    /// # Errors
    /// When the server, or the steward, cannot be asked. What was found before stays.
    pub async fn check(&self) -> Result<(), UpdateError> {
        let checked = self.find_newer().await;
        let told = self.note(checked);
        self.0.installer.tell_change();
        told
    }

    /// Takes note of what was found.
    fn note(
        &self,
        checked: Result<Option<UpdateManifest>, UpdateError>,
    ) -> Result<(), UpdateError> {
        let mut found = self.found();
        found.checked = Some(Instant::now());
        found.problem = checked.as_ref().err().map(ToString::to_string);
        found.available = checked?;
        found.skipped =
            found.skipped.take().filter(|skipped| skipped.until == SkipUntil::NextStart);
        Ok(())
    }

    async fn find_newer(&self) -> Result<Option<UpdateManifest>, UpdateError> {
        let url = self.0.settings.url.clone().ok_or(UpdateError::NoServer)?;
        let fetching = tokio::task::spawn_blocking(move || download::fetch_manifest(url.expose()));
        let manifest = fetching.await.map_err(|e| UpdateError::Transfer(e.to_string()))??;
        let running = self.0.steward.status().await?.version;
        let newer = manifest.is_newer_than(&running);
        if newer {
            log::info!("Picket {} is available; this is {running}", manifest.version);
        } else {
            log::debug!("the newest version is {}; this is {running}", manifest.version);
        }
        Ok(newer.then_some(manifest))
    }

    /// Starts to install the available update, if it is `version`. That goes on whether somebody
    /// waits for it or not. The device restarts a moment after it is done.
    ///
    /// # Errors
    /// When it is not available, or something else is being installed.
    pub fn start(
        &self,
        version: &str,
    ) -> Result<JoinHandle<Result<(), UpdateInstallError>>, UpdateInstallError> {
        let available = self.found().available.clone();
        let available = available.filter(|manifest| manifest.version.to_string() == version);
        let Some(manifest) = available else {
            return Err(InstallError::Bundle(UpdateError::NotAvailable(version.into())));
        };
        let installation = self.0.installer.begin().ok_or(InstallError::Busy)?;
        log::info!("installing Picket {version}");
        Ok(tokio::spawn(async move {
            let (version, size) = (manifest.version.clone(), manifest.size);
            let installed = installation.run(size, &mut Download::start(manifest)).await;
            if let Err(error) = &installed {
                log::warn!("Picket {version} was not installed: {error}");
            }
            installed
        }))
    }

    /// Checks when it is time to, and installs what is to be installed automatically, without end.
    /// `watched` returns whether somebody is watching.
    pub async fn run(self, watched: impl Fn() -> bool) {
        if self.0.settings.url.is_none() {
            return;
        }
        let now = Instant::now();
        let mut schedule = CheckSchedule::new(self.0.settings.check, now, random());
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            self.run_once(&mut schedule, watched(), Instant::now()).await;
        }
    }

    async fn run_once(&self, schedule: &mut CheckSchedule, watched: bool, now: Instant) {
        let idle = schedule.is_idle(watched, now);
        if schedule.is_due(now) {
            let result = match self.check().await {
                Ok(()) => CheckResult::Done,
                Err(error) => {
                    log::warn!("checking for updates: {error}; trying again later");
                    CheckResult::Failed
                }
            };
            schedule.checked(result, now, random());
        }
        if idle && self.is_automatic() {
            self.install_automatically().await;
        }
    }

    /// Installs the available update, unless it was tried before and did not work.
    async fn install_automatically(&self) {
        let Some(version) = self.version_to_install() else { return };
        let Ok(status) = self.0.steward.status().await else { return };
        let last = status.update;
        if matches!(last.outcome, UpdateOutcome::Trying | UpdateOutcome::Installing { .. })
            || self.0.installer.progress().is_some()
        {
            return;
        }
        let fell_back = matches!(last.outcome, UpdateOutcome::FellBack { .. });
        let until = if fell_back && last.version.as_ref() == Some(&version) {
            log::warn!(
                "Picket {version} did not work here and is not installed automatically again"
            );
            SkipUntil::NextStart
        } else {
            match self.install(&version).await {
                Err(InstallError::Steward(_)) | Ok(()) => SkipUntil::NextStart,
                Err(_) => SkipUntil::NextCheck,
            }
        };
        self.found().skipped = Some(SkippedVersion { version, until });
    }

    async fn install(&self, version: &str) -> Result<(), UpdateInstallError> {
        let ended = self.start(version)?.await;
        ended.unwrap_or_else(|e| Err(InstallError::Bundle(UpdateError::Transfer(e.to_string()))))
    }

    fn version_to_install(&self) -> Option<String> {
        let found = self.found();
        let version = found.available.as_ref()?.version.to_string();
        let skipped = found.skipped.as_ref().is_some_and(|skipped| skipped.version == version);
        (!skipped).then_some(version)
    }

    fn is_automatic(&self) -> bool {
        self.0.settings.install == Install::Automatic
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A random number from 0 to 1.
fn random() -> f64 {
    let mut random = [0; 2];
    // Without random numbers all devices ask at the same time, which is no reason not to ask.
    let _ = aws_lc_rs::rand::fill(&mut random);
    f64::from(u16::from_ne_bytes(random)) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests;
