//! Looking for updates, and installing them.
//!
//! In comes what a server announces, at the address of `update.url`: `{"version": "0.3.0", "url":
//! "https://…/picket.raucb", "size": 41943040}`. Out goes news of a newer version to the owner's
//! page, and the bundle to the [`Installer`], when its owner says so, or by itself where
//! `update.install` is `automatic` and nobody watches. Whether a bundle is genuine and for this
//! board is not judged here but by the steward, with the key in the image; a server that lies can
//! therefore do no worse than waste time, and is bounded in that.

mod announcement;
mod download;
#[cfg(test)]
mod tests;
mod timetable;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinHandle;

use super::{InstallError, Installer, Outcome, Steward, StewardError};
use crate::config::{Install, Update};
use announcement::Announcement;
use download::Download;
use timetable::{Look, Timetable};

/// How often is looked whether there is something to do.
const TICK: Duration = Duration::from_secs(5);

/// Why there is no news of updates, or one was not installed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// Nobody to ask.
    #[error("update.url is not set, so there is nobody to ask for updates")]
    NoServer,
    /// The owner wants what is not to be had.
    #[error("version {0} is not on offer any more; look for updates again")]
    NotOnOffer(String),
    /// `update.url`, or where it leads.
    #[error("update.url leads to no usable https:// or http:// address")]
    Address,
    /// The server refuses.
    #[error("the update server answered with status {0}")]
    Status(u16),
    /// The network fails.
    #[error("the update server could not be asked: {0}")]
    Transfer(String),
    /// Nothing comes.
    #[error("the update server sends no more")]
    Stalled,
    /// What the server says cannot be used.
    #[error("what the update server says cannot be used: {0}")]
    Announcement(String),
    /// Not what was announced.
    #[error("the update has not the size that was announced")]
    Size,
    /// The steward does not answer.
    #[error(transparent)]
    Steward(#[from] StewardError),
}

/// Why a version on offer was not installed.
pub type NotInstalled = InstallError<UpdateError>;

/// What is known of updates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct News {
    /// Whether there is a server to ask.
    pub asks: bool,
    /// Whether an update is installed without the owner's doing.
    pub automatic: bool,
    /// A newer version than the one that runs.
    pub offer: Option<Offer>,
    /// Seconds since it was last looked.
    pub looked: Option<u64>,
    /// What went wrong then.
    pub problem: Option<String>,
}

/// A newer version than the one that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// Its name.
    pub version: String,
    /// The size of its bundle in bytes.
    pub size: u64,
}

/// Looks for updates. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Updates(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Update,
    steward: Steward,
    installer: Installer,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    offer: Option<Announcement>,
    looked: Option<Instant>,
    problem: Option<String>,
    /// A version that was tried by itself, and is not tried again by itself.
    given_up: Option<GivenUp>,
}

#[derive(Debug)]
struct GivenUp {
    version: String,
    until: Until,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// It did not come; perhaps it does at another time.
    NextLook,
    /// It is not for this device, or does not work here.
    NextStart,
}

impl Updates {
    pub(super) fn new(settings: Update, steward: Steward, installer: Installer) -> Self {
        Self(Arc::new(Shared { settings, steward, installer, known: Mutex::default() }))
    }

    /// What is known.
    #[must_use]
    pub fn news(&self) -> News {
        let known = self.known();
        News {
            asks: self.0.settings.url.is_some(),
            automatic: self.is_automatic(),
            offer: known
                .offer
                .as_ref()
                .map(|offer| Offer { version: offer.version.to_string(), size: offer.size }),
            looked: known.looked.map(|looked| looked.elapsed().as_secs()),
            problem: known.problem.clone(),
        }
    }

    /// Looks for a newer version.
    ///
    /// # Errors
    /// When the server, or the steward, cannot be asked. What was known stays.
    pub async fn look(&self) -> Result<(), UpdateError> {
        let looked = self.ask().await;
        let mut known = self.known();
        known.looked = Some(Instant::now());
        known.problem = looked.as_ref().err().map(ToString::to_string);
        known.offer = looked?;
        known.given_up =
            known.given_up.take().filter(|given_up| given_up.until == Until::NextStart);
        Ok(())
    }

    async fn ask(&self) -> Result<Option<Announcement>, UpdateError> {
        let url = self.0.settings.url.clone().ok_or(UpdateError::NoServer)?;
        let asked = tokio::task::spawn_blocking(move || download::announcement(url.expose()));
        let announced = asked.await.map_err(|e| UpdateError::Transfer(e.to_string()))??;
        let running = self.0.steward.status().await?.version;
        let newer = announced.is_newer_than(&running);
        if newer {
            log::info!("Picket {} is available; this is {running}", announced.version);
        } else {
            log::debug!("the newest version is {}; this is {running}", announced.version);
        }
        Ok(newer.then_some(announced))
    }

    /// Begins to install the version on offer, if it is `version`, and goes on with that whether
    /// somebody waits for it or not. The device restarts a moment after it is done.
    ///
    /// # Errors
    /// When it is not on offer, or something else is being installed.
    pub fn start(
        &self,
        version: &str,
    ) -> Result<JoinHandle<Result<(), NotInstalled>>, NotInstalled> {
        let offer = self.known().offer.clone();
        let offer = offer.filter(|offer| offer.version.to_string() == version);
        let Some(offer) = offer else {
            return Err(InstallError::Bundle(UpdateError::NotOnOffer(version.into())));
        };
        let turn = self.0.installer.turn().ok_or(InstallError::Busy)?;
        log::info!("installing Picket {version}");
        Ok(tokio::spawn(async move {
            let (version, size) = (offer.version.clone(), offer.size);
            let installed = turn.install(size, &mut Download::begin(offer)).await;
            if let Err(error) = &installed {
                log::warn!("Picket {version} was not installed: {error}");
            }
            installed
        }))
    }

    /// Looks when it is time to, and installs what is to be installed by itself, for ever.
    /// `watched` tells whether somebody is watching.
    pub async fn run(self, watched: impl Fn() -> bool) {
        if self.0.settings.url.is_none() {
            return;
        }
        let now = Instant::now();
        let mut table = Timetable::new(self.0.settings.check, now, chance());
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            self.run_once(&mut table, watched(), Instant::now()).await;
        }
    }

    async fn run_once(&self, table: &mut Timetable, watched: bool, now: Instant) {
        let quiet = table.is_quiet(watched, now);
        if table.is_due(now) {
            let look = match self.look().await {
                Ok(()) => Look::Done,
                Err(error) => {
                    log::warn!("looking for updates: {error}; trying again later");
                    Look::Failed
                }
            };
            table.looked(look, now, chance());
        }
        if quiet && self.is_automatic() {
            self.install_by_itself().await;
        }
    }

    /// Installs what is on offer, unless it was tried before and did not work.
    async fn install_by_itself(&self) {
        let Some(version) = self.worth_trying() else { return };
        let Ok(status) = self.0.steward.status().await else { return };
        let last = status.update;
        if matches!(last.outcome, Outcome::Trying | Outcome::Installing { .. })
            || self.0.installer.now().is_some()
        {
            return;
        }
        let fell_back = matches!(last.outcome, Outcome::FellBack { .. });
        let until = if fell_back && last.version.as_ref() == Some(&version) {
            log::warn!("Picket {version} did not work here and is not installed by itself again");
            Until::NextStart
        } else {
            match self.install(&version).await {
                Err(InstallError::Steward(_)) | Ok(()) => Until::NextStart,
                Err(_) => Until::NextLook,
            }
        };
        self.known().given_up = Some(GivenUp { version, until });
    }

    async fn install(&self, version: &str) -> Result<(), NotInstalled> {
        let ended = self.start(version)?.await;
        ended.unwrap_or_else(|e| Err(InstallError::Bundle(UpdateError::Transfer(e.to_string()))))
    }

    fn worth_trying(&self) -> Option<String> {
        let known = self.known();
        let version = known.offer.as_ref()?.version.to_string();
        let given_up = known.given_up.as_ref().is_some_and(|given_up| given_up.version == version);
        (!given_up).then_some(version)
    }

    fn is_automatic(&self) -> bool {
        self.0.settings.install == Install::Automatic
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    let mut random = [0; 2];
    // Without randomness all devices ask at the same time, which is no reason not to ask.
    let _ = aws_lc_rs::rand::fill(&mut random);
    f64::from(u16::from_ne_bytes(random)) / f64::from(u16::MAX)
}
