//! Updates: a signed bundle is written to the system that does not run, which is then started once,
//! and kept only when it has shown that it works.
//!
//! In comes a bundle through the door; RAUC checks and writes it ([`rauc`]); the firmware starts it
//! ([`slots`](super::slots)); [`trial`] judges. Until the last step, whatever goes wrong leads back
//! to the system that ran before: a refusal, a power cut, a kernel that hangs, a daemon that has no
//! picture.

mod rauc;
mod trial;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex, watch};

use super::card::{self, Card};
use super::daemon::Health;
use super::door::Caller;
use super::notices::Notices;
use super::owner::Owner;
use super::programs::{self, ProgramError};
use super::slots;
use crate::appliance::{Installer, Outcome, Reply, Slot, UpdateStatus};
use trial::{Evidence, Verdict};

/// A sender that is silent for so long has gone away.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the updates have to do with.
#[derive(Debug)]
pub(super) struct Updates {
    pub(super) card: Card,
    pub(super) owner: Owner,
    pub(super) notices: Notices,
    /// What is remembered from one start to the next, if anything can be.
    pub(super) keeps: Option<PathBuf>,
    /// What is gone with the next start.
    pub(super) run: PathBuf,
    /// One at a time.
    pub(super) busy: Mutex<()>,
}

/// An update that was written and has yet to be kept.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    version: String,
    slot: Slot,
    /// Why it is given up, once that is known.
    why: Option<String>,
    /// Whether the system that wrote it had a camera that worked.
    #[serde(default)]
    camera: bool,
}

impl Updates {
    /// Whether a bundle is being received or written.
    pub(super) fn is_installing(&self) -> bool {
        self.busy.try_lock().is_err()
    }

    /// Installs a bundle of `length` bytes that follows from `caller`. Afterwards the device has to
    /// be restarted into the other system.
    ///
    /// # Errors
    /// Why it was not installed. What runs was not touched.
    pub(super) async fn install(&self, length: u64, caller: &mut Caller) -> Result<(), String> {
        let Ok(_busy) = self.busy.try_lock() else {
            return Err("an update is being installed already".into());
        };
        if self.kept()? != self.card.running {
            return Err("the last update is still being tried; wait a few minutes".into());
        }
        Installer::check_length(length).map_err(|error| error.to_string())?;
        let keeps = self.keeps.as_ref().ok_or("the card has no room for an update")?;
        let file = keeps.join("update.raucb");
        let former = self.notices.now().update;
        let installed = self.receive_and_install(&file, length, caller).await;
        // A bundle that was installed is of no more use, nor is one that was not.
        let _ = std::fs::remove_file(&file);
        if installed.is_err() {
            // What became of the one before stays true.
            self.notices.change(|s| s.update = former);
        }
        installed
    }

    async fn receive_and_install(
        &self,
        file: &Path,
        length: u64,
        caller: &mut Caller,
    ) -> Result<(), String> {
        receive(file, length, caller).await?;
        self.say(caller, 30, "checking").await;
        let bundle = self.check(file).await?;
        self.write(file, &bundle, caller).await?;
        self.say(caller, 98, "preparing the start").await;
        let slot = self.card.running.other();
        self.prepare(slot)?;
        let camera = self.notices.now().camera.works();
        self.remember(&Pending { version: bundle.version.clone(), slot, why: None, camera })
            .map_err(|e| format!("the update cannot be remembered: {e}"))?;
        self.say(caller, 100, "restarting").await;
        log::info!("Picket {} is installed as system {slot}", bundle.version);
        Ok(())
    }

    /// Tells how far it is, and does not mind if nobody listens any more.
    async fn say(&self, caller: &mut Caller, percent: u8, step: &str) {
        let _ = caller.say(&Reply::Progress { percent, step: step.into() }).await;
        self.notices.change(|s| s.update.outcome = Outcome::Installing { percent });
    }

    fn kept(&self) -> Result<Slot, String> {
        slots::kept(&self.owner).map_err(|e| format!("the card cannot be updated: {e}"))
    }

    /// Writes RAUC's configuration, and returns its name.
    fn configure(&self) -> Result<PathBuf, String> {
        let keeps = self.keeps.clone().unwrap_or_else(|| self.run.clone());
        let board = self.notices.now().board;
        let conf = rauc::system_conf(&self.card, &board, &keeps);
        let conf = conf.ok_or("the card has not the partitions of two systems")?;
        let file = self.run.join("rauc.conf");
        std::fs::write(&file, conf).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok(file)
    }

    /// Checks signature, board and version. Nothing has been written yet.
    async fn check(&self, file: &Path) -> Result<rauc::Bundle, String> {
        let conf = format!("--conf={}", self.configure()?.display());
        let file = file.display().to_string();
        let info = ["info", "--output-format=json", &file].map(str::to_owned);
        let said = programs::run("rauc", [conf].iter().chain(&info), "").await;
        let said = said.map_err(|error| match error {
            ProgramError::Failed { said, .. } => {
                note(&said);
                format!("this is no update that was made for this camera: {}", rauc::reason(&said))
            }
            error @ ProgramError::NotRun { .. } => error.to_string(),
        })?;
        let bundle = rauc::bundle(&said).ok_or("RAUC does not tell what the update is")?;
        let now = self.notices.now();
        if bundle.compatible != now.board {
            let (is, should) = (&bundle.compatible, &now.board);
            return Err(format!("the update is for another board: {is}, and this is {should}"));
        }
        if rauc::is_older(&bundle.version, &now.version) {
            let (is, runs) = (&bundle.version, &now.version);
            return Err(format!("the update is older than what runs: {is}, and this is {runs}"));
        }
        if !["rootfs", "boot"].iter().all(|class| bundle.classes.iter().any(|c| c == class)) {
            return Err("the update is not complete: it has no root, or no kernel".into());
        }
        Ok(bundle)
    }

    /// Has RAUC write it to the partitions of the other system.
    async fn write(
        &self,
        file: &Path,
        bundle: &rauc::Bundle,
        caller: &mut Caller,
    ) -> Result<(), String> {
        let mut command = programs::command("rauc");
        command.arg(format!("--conf={}", self.configure()?.display()));
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
                () = tokio::time::sleep(Duration::from_millis(500)) => {
                    let written = id.and_then(written).unwrap_or(0).min(bundle.size);
                    let share = written.saturating_mul(64) / bundle.size.max(1);
                    let percent = 32 + u8::try_from(share).unwrap_or(64);
                    self.say(caller, percent, "writing").await;
                }
            }
        };
        let output = output.map_err(|e| format!("rauc is lost: {e}"))?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        note(&said);
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("the update was not written: {}", rauc::reason(&said))),
        }
    }

    /// Gives the other system's kernel its root. Until the firmware is told to try it, what happens
    /// to it has no effect.
    fn prepare(&self, slot: Slot) -> Result<(), String> {
        let partition = self.card.partition(card::boot(slot)).ok_or("no partition for a kernel")?;
        let place = self.run.join("other");
        let prepared = std::fs::create_dir_all(&place).and_then(|()| {
            card::release(&place);
            let flags = MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOSUID;
            mount(&partition, &place, "vfat", flags, None)?;
            let prepared = prepare_in(&place, slot);
            unmount(&place, UnmountFlags::empty())?;
            prepared
        });
        prepared.map_err(|e| format!("the update cannot be started: {e}"))
    }

    fn pending_file(&self) -> Option<PathBuf> {
        Some(self.keeps.as_ref()?.join("update.json"))
    }

    fn remember(&self, pending: &Pending) -> io::Result<()> {
        let file = self.pending_file().ok_or(io::ErrorKind::NotFound)?;
        let new = file.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(pending)?)?;
        std::fs::File::open(&new)?.sync_all()?;
        std::fs::rename(&new, &file)?;
        rustix::fs::sync();
        Ok(())
    }

    fn pending(&self) -> Option<Pending> {
        serde_json::from_slice(&std::fs::read(self.pending_file()?).ok()?).ok()
    }

    fn forget(&self) {
        if let Some(file) = self.pending_file() {
            let _ = std::fs::remove_file(file);
        }
    }

    /// Judges the system that runs, if it is on trial. Returns when it is kept, or has to be left:
    /// then the device has to be restarted into the one before.
    pub(super) async fn judge(&self, health: watch::Receiver<Health>, page: Page) -> Trial {
        let (running, pending) = (self.card.running, self.pending());
        let kept = match slots::kept(&self.owner) {
            Ok(kept) => kept,
            Err(error) => {
                log::error!("{error}; the device cannot be updated");
                return Trial::Over;
            }
        };
        let version = pending.as_ref().map(|pending| pending.version.clone());
        let camera_before = pending.as_ref().is_some_and(|pending| pending.camera);
        if kept == running {
            if let Some(Pending { version, why, .. }) = pending {
                let why = why.unwrap_or_else(|| {
                    "it did not come up, or lost its power before it was done".into()
                });
                log::error!("the update to {version} was undone: {why}");
                let outcome = Outcome::FellBack { why };
                self.notices
                    .change(|s| s.update = UpdateStatus { version: Some(version), outcome });
                self.forget();
            }
            return Trial::Over;
        }
        log::info!("system {running} is being tried");
        let outcome = Outcome::Trying;
        self.notices.change(|s| s.update = UpdateStatus { version: version.clone(), outcome });
        let start = Instant::now();
        loop {
            let answers = page.answers().await;
            let (health, camera) = (*health.borrow(), self.notices.now().camera);
            let evidence = Evidence { health, camera, answers, camera_before };
            match trial::judge(&evidence, start, Instant::now()) {
                Verdict::Wait => tokio::time::sleep(Duration::from_secs(1)).await,
                Verdict::Keep => match slots::keep(&self.owner, running) {
                    Ok(()) => {
                        log::info!("system {running} works and is kept");
                        self.notices.change(|s| s.update.outcome = Outcome::Kept);
                        self.forget();
                        return Trial::Over;
                    }
                    Err(error) => {
                        log::error!("system {running} works and cannot be kept: {error}");
                        tokio::time::sleep(Duration::from_secs(10)).await;
                    }
                },
                Verdict::FallBack(why) => {
                    log::error!("system {running} is given up: {why}");
                    let version = version.unwrap_or_default();
                    let pending =
                        Pending { version, slot: running, why: Some(why), camera: camera_before };
                    if let Err(error) = self.remember(&pending) {
                        log::warn!("why is forgotten: {error}");
                    }
                    return Trial::Failed;
                }
            }
        }
    }
}

/// Keeps what RAUC said for the log.
fn note(said: &str) {
    said.lines().for_each(|line| super::journal::add(format!("rauc: {line}")));
}

/// What came of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// There was none, or what runs is kept.
    Over,
    /// What runs is not kept.
    Failed,
}

/// Takes the bundle in.
async fn receive(file: &Path, length: u64, caller: &mut Caller) -> Result<(), String> {
    let io = |e: io::Error| format!("the update was not received: {e}");
    let mut out = tokio::fs::File::create(file).await.map_err(io)?;
    let mut buffer = vec![0; 64 * 1024];
    let (mut got, mut told) = (0, 0);
    while got < length {
        let read = tokio::time::timeout(PATIENCE, caller.data(&mut buffer)).await;
        let read = read.map_err(|_| io(io::ErrorKind::TimedOut.into()))?.map_err(io)?;
        if read == 0 {
            return Err("the update was not received to its end".into());
        }
        got += read as u64;
        out.write_all(&buffer[..read]).await.map_err(io)?;
        let percent = u8::try_from(got * 30 / length).unwrap_or(30);
        if percent > told {
            told = percent;
            let step = "receiving".to_owned();
            caller.say(&Reply::Progress { percent, step }).await.map_err(io)?;
        }
    }
    out.sync_all().await.map_err(io)
}

/// Bytes a process has had written to disks so far (proc_pid_io(5)).
fn written(id: u32) -> Option<u64> {
    let io = std::fs::read_to_string(format!("/proc/{id}/io")).ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}

/// Writes the kernel's command line, and checks that there is a kernel.
fn prepare_in(boot: &Path, slot: Slot) -> io::Result<()> {
    let file = boot.join("cmdline.txt");
    let line = slots::command_line(&std::fs::read_to_string(&file)?, slot)
        .ok_or_else(|| io::Error::other("its cmdline.txt names no root"))?;
    std::fs::write(&file, line)?;
    std::fs::File::open(&file)?.sync_all()?;
    let config = std::fs::read_to_string(boot.join("config.txt"))?;
    let kernels: Vec<&str> =
        config.lines().filter_map(|line| line.trim().strip_prefix("kernel=")).collect();
    let missing = kernels.iter().find(|kernel| !boot.join(kernel.trim()).exists());
    match missing {
        Some(kernel) => Err(io::Error::other(format!("its kernel {kernel} is missing"))),
        None => Ok(()),
    }
}

/// Where the daemon's pages are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page(pub(super) std::net::SocketAddr);

impl Page {
    /// Whether they answer.
    async fn answers(self) -> bool {
        let mut address = self.0;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let asked = tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .timeout_global(Some(Duration::from_secs(5)))
                .proxy(None)
                .build()
                .into();
            agent.get(format!("http://{address}/healthz")).call().is_ok()
        });
        asked.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(config: &str, files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.txt"), config).unwrap();
        std::fs::write(folder.path().join("cmdline.txt"), "root=PARTUUID=7069636b-05 ro").unwrap();
        files.iter().for_each(|file| std::fs::write(folder.path().join(file), "x").unwrap());
        folder
    }

    #[test]
    fn a_system_is_given_its_root_and_must_have_a_kernel() {
        let whole = boot("[all]\nkernel=kernel8.img\n", &["kernel8.img"]);
        prepare_in(whole.path(), Slot::B).unwrap();
        let line = std::fs::read_to_string(whole.path().join("cmdline.txt")).unwrap();
        assert_eq!(line, "root=PARTUUID=7069636b-06 ro\n");
        let empty = boot("kernel=kernel8.img\n", &[]);
        let error = prepare_in(empty.path(), Slot::B).unwrap_err().to_string();
        assert!(error.contains("kernel8.img is missing"), "{error}");
    }
}
