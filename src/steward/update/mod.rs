//! Updates: a signed bundle is written to the system that does not run. That system is then started
//! once, and becomes the default only after it has passed its trial.
//!
//! In comes a bundle over the control socket; RAUC checks and writes it ([`rauc`]); out goes a
//! restart, by which the firmware starts the new system ([`autoboot`](super::autoboot)), where
//! [`trial`] decides. Until the last step, whatever goes wrong leads back to the system that ran
//! before: a refusal, a power cut, a kernel that hangs, a daemon without a picture.

mod health_check;
mod kernel;
mod pending;
mod rauc;
mod trial;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex, watch};

use super::autoboot;
use super::boot_partition::BootPartition;
use super::control_socket::Client;
use super::daemon::DaemonHealth;
use super::device_state::DeviceState;
use super::log_buffer;
use super::process::{self, ProcessError};
use super::sd_card::{self, SdCard};
use crate::appliance::{BootSlot, Installer, StewardReply, UpdateOutcome, UpdateStatus};
use pending::PendingUpdate;
use trial::{Evidence, TrialDecision};

pub(super) use health_check::HealthCheck;

/// A sender that sends nothing for this long is considered gone.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often the progress of writing is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// How often the system on trial is looked at.
const TRIAL_INTERVAL: Duration = Duration::from_secs(1);

/// Pause after `autoboot.txt` could not be written.
const WRITE_RETRY: Duration = Duration::from_secs(10);

/// Installs updates, and tries them.
#[derive(Debug)]
pub(super) struct Updater {
    pub(super) card: SdCard,
    pub(super) boot: BootPartition,
    pub(super) device_state: DeviceState,
    /// For what is kept from one start to the next, if anything can be.
    pub(super) state_dir: Option<PathBuf>,
    /// For what is gone at the next start.
    pub(super) runtime_dir: PathBuf,
    /// Held while an update is installed: one at a time.
    pub(super) install_lock: Mutex<()>,
}

impl Updater {
    /// Whether a bundle is being received or written.
    pub(super) fn is_installing(&self) -> bool {
        self.install_lock.try_lock().is_err()
    }

    /// Installs a bundle of `length` bytes that `client` sends next. Afterwards the device has to
    /// be restarted into the other system.
    ///
    /// # Errors
    /// Why it was not installed. The system that runs was not touched.
    pub(super) async fn install(&self, length: u64, client: &mut Client) -> Result<(), String> {
        let Ok(_lock) = self.install_lock.try_lock() else {
            return Err("an update is being installed already".into());
        };
        let default = autoboot::default_slot(&self.boot);
        if default.map_err(|e| format!("the card cannot be updated: {e}"))? != self.card.running {
            return Err("the last update is still on trial; wait a few minutes".into());
        }
        Installer::check_length(length).map_err(|error| error.to_string())?;
        let state_dir = self.state_dir.as_ref().ok_or("the card has no room for an update")?;
        let file = state_dir.join("update.raucb");
        let former = self.device_state.get().update;
        let installed = self.receive_and_install(&file, length, client, state_dir).await;
        // Not needed any more, whether it was installed or not.
        let _ = std::fs::remove_file(&file);
        if installed.is_err() {
            // What became of the one before is still true.
            self.device_state.update(|s| s.update = former);
        }
        installed
    }

    async fn receive_and_install(
        &self,
        file: &Path,
        length: u64,
        client: &mut Client,
        state_dir: &Path,
    ) -> Result<(), String> {
        receive(file, length, client).await?;
        self.report_progress(client, 30, "checking").await;
        let bundle = self.check(file).await?;
        self.write(file, &bundle, client).await?;
        self.report_progress(client, 98, "preparing the start").await;
        let slot = self.card.running.other();
        self.prepare_kernel(slot)?;
        let camera = self.device_state.get().camera.works();
        PendingUpdate { version: bundle.version.clone(), slot, why: None, camera }
            .save(state_dir)
            .map_err(|e| format!("the update cannot be recorded: {e}"))?;
        self.report_progress(client, 100, "restarting").await;
        log::info!("Picket {} is installed as system {slot}", bundle.version);
        Ok(())
    }

    /// Reports the progress to the client, even if that is gone, and in the device's state.
    async fn report_progress(&self, client: &mut Client, percent: u8, step: &str) {
        let _ = client.send(&StewardReply::Progress { percent, step: step.into() }).await;
        self.device_state.update(|s| s.update.outcome = UpdateOutcome::Installing { percent });
    }

    /// Writes RAUC's configuration, and returns its path.
    fn write_rauc_conf(&self) -> Result<PathBuf, String> {
        let data_dir = self.state_dir.clone().unwrap_or_else(|| self.runtime_dir.clone());
        let board = self.device_state.get().board;
        let conf = rauc::system_conf(&self.card, &board, &data_dir);
        let conf = conf.ok_or("the card does not have the partitions of two systems")?;
        let file = self.runtime_dir.join("rauc.conf");
        std::fs::write(&file, conf).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok(file)
    }

    /// Checks signature, board and version, before anything is written.
    async fn check(&self, file: &Path) -> Result<rauc::BundleInfo, String> {
        let conf = format!("--conf={}", self.write_rauc_conf()?.display());
        let file = file.display().to_string();
        let info = ["info", "--output-format=json", &file].map(str::to_owned);
        let printed = process::run("rauc", [conf].iter().chain(&info), "").await;
        let printed = printed.map_err(|error| match error {
            ProcessError::Failed { output, .. } => {
                log_rauc(&output);
                format!("this is not an update for this camera: {}", rauc::failure_reason(&output))
            }
            error @ ProcessError::Spawn { .. } => error.to_string(),
        })?;
        let bundle = rauc::parse_info(&printed).ok_or("RAUC does not say what is in the update")?;
        let status = self.device_state.get();
        if bundle.compatible != status.board {
            let (is, should) = (&bundle.compatible, &status.board);
            return Err(format!("the update is for another board: {is}, and this is {should}"));
        }
        if rauc::is_older(&bundle.version, &status.version) {
            let (is, runs) = (&bundle.version, &status.version);
            return Err(format!("the update is older than what runs: {is}, and this is {runs}"));
        }
        if !["rootfs", "boot"].iter().all(|class| bundle.classes.iter().any(|c| c == class)) {
            return Err("the update is incomplete: it has no root, or no kernel".into());
        }
        Ok(bundle)
    }

    /// Has RAUC write it to the partitions of the other system.
    async fn write(
        &self,
        file: &Path,
        bundle: &rauc::BundleInfo,
        client: &mut Client,
    ) -> Result<(), String> {
        let mut command = process::command("rauc");
        command.arg(format!("--conf={}", self.write_rauc_conf()?.display()));
        command.arg("install").arg(format!("--override-boot-slot={}", self.card.running));
        command.arg(file).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        let child = command.spawn().map_err(|e| format!("rauc cannot be run: {e}"))?;
        let id = child.id();
        let output = child.wait_with_output();
        tokio::pin!(output);
        let output = loop {
            tokio::select! {
                output = &mut output => break output,
                () = tokio::time::sleep(PROGRESS_INTERVAL) => {
                    let written = id.and_then(bytes_written).unwrap_or(0).min(bundle.size);
                    let share = written.saturating_mul(64) / bundle.size.max(1);
                    let percent = 32 + u8::try_from(share).unwrap_or(64);
                    self.report_progress(client, percent, "writing").await;
                }
            }
        };
        let output = output.map_err(|e| format!("rauc cannot be waited for: {e}"))?;
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        log_rauc(&printed);
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("the update was not written: {}", rauc::failure_reason(&printed))),
        }
    }

    /// Gives the other system's kernel its root. Until the firmware is told to start that system,
    /// nothing depends on it.
    fn prepare_kernel(&self, slot: BootSlot) -> Result<(), String> {
        let partition = self.card.partition(sd_card::kernel_partition(slot));
        let partition = partition.ok_or("no partition for a kernel")?;
        let mount_point = self.runtime_dir.join("other");
        let prepared = kernel::prepare(&partition, &mount_point, slot);
        prepared.map_err(|e| format!("the update cannot be started: {e}"))
    }

    fn load_pending(&self) -> Option<PendingUpdate> {
        PendingUpdate::load(self.state_dir.as_ref()?)
    }

    fn delete_pending(&self) {
        if let Some(state_dir) = &self.state_dir {
            PendingUpdate::delete(state_dir);
        }
    }

    /// Tries the system that runs, if it is not the default one yet. Returns when that is decided.
    pub(super) async fn run_trial(
        &self,
        health: watch::Receiver<DaemonHealth>,
        check: HealthCheck,
    ) -> TrialResult {
        let (running, pending) = (self.card.running, self.load_pending());
        let default = match autoboot::default_slot(&self.boot) {
            Ok(default) => default,
            Err(error) => {
                log::error!("{error}; the device cannot be updated");
                return TrialResult::Stay;
            }
        };
        if default == running {
            if let Some(PendingUpdate { version, why, .. }) = pending {
                self.report_rollback(version, why);
            }
            return TrialResult::Stay;
        }
        log::info!("system {running} is on trial");
        let version = pending.as_ref().map(|pending| pending.version.clone());
        let camera_before = pending.is_some_and(|pending| pending.camera);
        let outcome = UpdateOutcome::Trying;
        self.device_state.update(|s| s.update = UpdateStatus { version: version.clone(), outcome });
        let start = Instant::now();
        loop {
            let responds = check.passes().await;
            let (health, camera) = (*health.borrow(), self.device_state.get().camera);
            let evidence = Evidence { health, camera, responds, camera_before };
            match trial::decide(&evidence, start, Instant::now()) {
                TrialDecision::Wait => tokio::time::sleep(TRIAL_INTERVAL).await,
                TrialDecision::Keep => match autoboot::set_default_slot(&self.boot, running) {
                    Ok(()) => {
                        log::info!("system {running} works and is kept");
                        self.device_state.update(|s| s.update.outcome = UpdateOutcome::Kept);
                        self.delete_pending();
                        return TrialResult::Stay;
                    }
                    Err(error) => {
                        log::error!("system {running} works but cannot be kept: {error}");
                        tokio::time::sleep(WRITE_RETRY).await;
                    }
                },
                TrialDecision::RollBack(why) => {
                    log::error!("system {running} is rolled back: {why}");
                    self.record_rollback(version.unwrap_or_default(), why, camera_before);
                    return TrialResult::RollBack;
                }
            }
        }
    }

    /// Tells the owner that the device is back on the system before the update.
    fn report_rollback(&self, version: String, why: Option<String>) {
        let why = why.unwrap_or_else(|| {
            "it did not start, or the power was cut before its trial was over".into()
        });
        log::error!("the update to {version} was undone: {why}");
        let outcome = UpdateOutcome::FellBack { why };
        self.device_state.update(|s| s.update = UpdateStatus { version: Some(version), outcome });
        self.delete_pending();
    }

    /// Records why the system on trial is rolled back, for
    /// [`report_rollback`](Self::report_rollback) after the restart.
    fn record_rollback(&self, version: String, why: String, camera: bool) {
        let pending = PendingUpdate { version, slot: self.card.running, why: Some(why), camera };
        let saved = match &self.state_dir {
            Some(state_dir) => pending.save(state_dir),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        if let Err(error) = saved {
            log::warn!("the reason cannot be recorded: {error}");
        }
    }
}

/// What follows from a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrialResult {
    /// The system that runs stays: there was no trial, or it was passed.
    Stay,
    /// The device has to be restarted, into the system before.
    RollBack,
}

/// Writes what RAUC has printed to the log.
fn log_rauc(output: &str) {
    output.lines().for_each(|line| log_buffer::push(format!("rauc: {line}")));
}

/// Receives the bundle.
async fn receive(file: &Path, length: u64, client: &mut Client) -> Result<(), String> {
    let io = |e: io::Error| format!("the update was not received: {e}");
    let mut out = tokio::fs::File::create(file).await.map_err(io)?;
    let mut buffer = vec![0; 64 * 1024];
    let (mut received, mut reported) = (0, 0);
    while received < length {
        let read = tokio::time::timeout(RECEIVE_TIMEOUT, client.read(&mut buffer)).await;
        let read = read.map_err(|_| io(io::ErrorKind::TimedOut.into()))?.map_err(io)?;
        if read == 0 {
            return Err("the update was not received completely".into());
        }
        received += read as u64;
        out.write_all(&buffer[..read]).await.map_err(io)?;
        let percent = u8::try_from(received * 30 / length).unwrap_or(30);
        if percent > reported {
            reported = percent;
            let step = "receiving".to_owned();
            client.send(&StewardReply::Progress { percent, step }).await.map_err(io)?;
        }
    }
    out.sync_all().await.map_err(io)
}

/// Bytes that a process has had written to disks so far (proc_pid_io(5)).
fn bytes_written(id: u32) -> Option<u64> {
    let io = std::fs::read_to_string(format!("/proc/{id}/io")).ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}
