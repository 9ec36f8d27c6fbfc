//! The part of the image that runs as root, `picket steward`: it brings the device up and minds it,
//! so that the daemon, which talks to the network, need not be able to.
//!
//! In come the card, `config.toml`, the daemon's signs of life and what it asks at the [`door`];
//! out go mounted partitions, a network, a daemon that is running, and notices of how all that
//! stands, which [`status`] writes onto the card. It speaks to nobody on the network itself.
//!
//! [`run`] reads from top to bottom as the device starts: the owner's partition ([`owner`],
//! [`settings`]), the clock ([`release`]), what was kept ([`data`]), then side by side the daemon
//! ([`daemon`]), the [`network`], the [`watchdog`] and a system on trial ([`update`]). Other
//! programs are run by [`programs`] and kept running by [`service`].

mod backend;
mod backoff;
mod card;
mod daemon;
mod data;
mod door;
mod journal;
mod lease;
mod network;
mod notices;
mod owner;
mod plain;
mod programs;
mod release;
mod restart;
mod service;
mod settings;
mod slots;
mod ssh;
mod status;
mod stop;
#[cfg(test)]
mod tests;
mod update;
mod watchdog;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinSet;

pub use backend::slot;
pub use lease::lease;

use crate::appliance::{DeviceStatus, Reply, Request, SOCKET, create_private};
use crate::config::{Auth, Config, Hostname};
use card::Card;
use daemon::{Health, Setup};
use data::Data;
use door::{Answerer, Caller};
use network::Ask;
use notices::Notices;
use owner::Owner;
use release::Release;
use restart::Next;
use update::{Page, Trial, Updates};

/// Where the owner's partition is mounted.
const BOOT: &str = "/boot";
/// Where the device's own is.
const DATA: &str = "/data";
/// What is gone with the next start.
const RUN: &str = "/run/picket";
/// Who the daemon is.
const USER: &str = "picket";
/// `config.toml` as it was shipped.
const SHIPPED: &str = "/usr/share/picket/config.toml";

/// What the image's defaults are where they differ from the daemon's.
const DEFAULTS: [&str; 1] = ["http.listen=[::]:80"];

/// Everything must be over this long after it was told to end.
const ENDING: Duration = Duration::from_secs(5);

/// How the steward ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Init is shutting the device down.
    Stop,
    /// The device is to be restarted.
    Restart(Next),
    /// The device is to forget everything, and to be restarted.
    Reset,
}

/// Brings the device up, minds it, and returns when it is shut down.
///
/// # Errors
/// When this is no device: the card is not laid out as the image's is.
pub fn run() -> io::Result<()> {
    journal::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(live())
}

async fn live() -> io::Result<()> {
    let card = Card::of_root()?;
    // Whoever says so meanwhile is heard when everything stands: half a start is not to be left.
    let mut terminate = signal(SignalKind::terminate())?;
    std::fs::create_dir_all(RUN)?;
    // For rcK.
    std::fs::write(Path::new(RUN).join("steward.pid"), std::process::id().to_string())?;
    let ids = daemon::ids(USER)?;
    programs::end_orphans(ids.0);
    let release = Release::read();
    release.set_clock();
    let notices = Notices::new(DeviceStatus {
        version: release.version.clone(),
        board: release.board.clone(),
        slot: Some(card.running),
        ..DeviceStatus::default()
    });

    let owner = mount_owner(&card, &notices);
    let config = configure(&owner, &notices);
    let keeps = open_data(&card, &owner, &config, &notices).await;

    let (stop, stopped) = stop::sign();
    let (end, mut ends) = mpsc::channel(1);
    let (health, healthy) = watch::channel(Health::Starting);
    let (asks, asked) = mpsc::channel(16);
    let mut parts = JoinSet::new();

    // The daemon first: its picture is what the device is for.
    let setup = Setup {
        ids,
        config: copy_config(&owner, ids)?,
        defaults: DEFAULTS.map(str::to_owned).to_vec(),
        door: SOCKET.into(),
        notices: Path::new(RUN).join("notify"),
        home: home(keeps.as_deref(), ids),
    };
    let updates = Arc::new(Updates {
        card: card.clone(),
        owner: owner.clone(),
        notices: notices.clone(),
        keeps: keeps.clone(),
        run: RUN.into(),
        busy: Mutex::new(()),
    });
    let desk = Desk {
        owner: owner.clone(),
        notices: notices.clone(),
        updates: updates.clone(),
        asks,
        end: end.clone(),
        ids,
    };
    tokio::spawn(door::keep(door::open(Path::new(SOCKET), ids)?, ids.0, desk));
    parts.spawn(daemon::keep(setup, health, notices.clone(), stopped.clone()));

    let settings = network::Settings {
        wifi: config.wifi.clone(),
        fixed: config.network.clone(),
        hostname: config.device.hostname.clone(),
        own_key: own_key(keeps.as_deref()),
        run: RUN.into(),
    };
    parts.spawn(network::keep(settings, owner.clone(), notices.clone(), asked, stopped.clone()));
    parts.spawn(status::keep(owner.clone(), notices.clone(), stopped.clone()));
    match config.watchdog.enabled.then(|| watchdog::Watchdog::open(config.watchdog.timeout)) {
        Some(Ok(watchdog)) => {
            parts.spawn(watchdog.feed(healthy.clone(), stopped.clone()));
        }
        Some(Err(error)) => log::info!("there is no watchdog: {error}"),
        None => {}
    }
    let page = Page(config.http.listen);
    let trial_end = end.clone();
    tokio::spawn(async move {
        if updates.judge(healthy, page).await == Trial::Failed {
            let _ = trial_end.send(End::Restart(Next::Kept)).await;
        }
    });
    let _ssh = let_in(&config, keeps.as_deref()).await;

    let end = tokio::select! {
        _ = terminate.recv() => End::Stop,
        Some(end) = ends.recv() => end,
    };
    log::info!("ending: {end:?}");
    stop.stop();
    let all = async { while parts.join_next().await.is_some() {} };
    if tokio::time::timeout(ENDING, all).await.is_err() {
        log::warn!("some parts do not end");
    }
    finish(end, &card, &owner).await
}

/// Mounts the owner's partition. Without it the device runs with its defaults, locked.
fn mount_owner(card: &Card, notices: &Notices) -> Owner {
    let place = Path::new(BOOT);
    let mounted = match card.partition(card::OWNER) {
        Some(partition) => Owner::mount(&partition, place),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    mounted.unwrap_or_else(|error| {
        log::error!("the card's first partition cannot be read: {error}");
        let note = format!("The card's first partition cannot be read ({error}).");
        notices.note("card", Some(note));
        Owner::unreadable(place, &error)
    })
}

/// Reads `config.toml`, and does at once what it says of the device itself.
fn configure(owner: &Owner, notices: &Notices) -> Config {
    for file in [settings::FILE, "autoboot.txt", "picket-status.txt"] {
        owner.mend(file);
    }
    let mut defaults = Config::default();
    for set in DEFAULTS {
        if let Err(problems) = defaults.apply_set(set) {
            problems.iter().for_each(|problem| log::error!("{problem}"));
        }
    }
    let loaded = settings::read(owner, defaults);
    let config = loaded.config;
    loaded.problems.iter().for_each(|problem| log::warn!("{problem}"));
    match settings::hide_password(owner, &config.auth) {
        Ok(true) => log::info!("the password in config.toml has been replaced by its hash"),
        Ok(false) => {}
        Err(error) => log::warn!("the password stays in config.toml in the clear: {error}"),
    }
    if let Err(error) = rustix::system::sethostname(config.device.hostname.as_str().as_bytes()) {
        log::warn!("the device keeps its name: {error}");
    }
    log::set_max_level(config.log.level);
    notices.change(|status| {
        status.hostname = config.device.hostname.to_string();
        status.port = config.http.listen.port();
        status.problems = loaded.problems.iter().map(ToString::to_string).collect();
        status.password_set = matches!(&config.auth, Auth::Set(c) if c.password.is_some());
        status.locked = matches!(config.auth, Auth::Locked { .. });
    });
    config
}

/// Makes available what the device keeps, and returns where the steward's part of it is.
async fn open_data(
    card: &Card,
    owner: &Owner,
    config: &Config,
    notices: &Notices,
) -> Option<PathBuf> {
    let place = Path::new(DATA);
    if config.device.factory_reset {
        log::info!("forgetting everything, as config.toml says");
        // Opened first, so that what stands in it can be overwritten.
        let _ = data::open(card, place).await;
        if let Err(error) = data::forget(card, place).await {
            log::error!("not everything is forgotten: {error}");
        }
        if let Err(error) = settings::clear_factory_reset(owner) {
            log::error!("config.toml still says to forget everything: {error}");
        }
        notices.note("reset", Some("Everything was forgotten, as config.toml said.".into()));
    }
    let opened = data::open(card, place).await.map(|found| {
        let said = match found {
            Data::Kept | Data::New => return,
            Data::Repaired => {
                "What the device kept was damaged and has been repaired; some may be lost."
            }
            Data::Lost => "What the device kept was damaged beyond repair; it begins anew.",
        };
        notices.note("data", Some(said.into()));
    });
    let keeps = place.join("steward");
    let made = opened.and_then(|()| Ok(make_private(&keeps)?));
    match made {
        Ok(()) => Some(keeps),
        Err(error) => {
            log::error!("nothing is kept until the next start: {error}");
            notices.note("data", Some(format!("The device cannot keep anything: {error}.")));
            None
        }
    }
}

/// Makes a folder for root alone.
fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes the daemon's `config.toml`, and returns its name.
fn copy_config(owner: &Owner, ids: (u32, u32)) -> io::Result<PathBuf> {
    let file = Path::new(RUN).join(settings::FILE);
    let new = file.with_extension("new");
    create_private(&new)?.write_all(settings::for_the_daemon(owner).as_bytes())?;
    daemon::give(&new, ids, 0o400)?;
    std::fs::rename(&new, &file)?;
    Ok(file)
}

/// A folder for what the daemon keeps.
fn home(keeps: Option<&Path>, ids: (u32, u32)) -> PathBuf {
    let place = if keeps.is_some() { Path::new(DATA) } else { Path::new(RUN) };
    let home = place.join(USER);
    let made = std::fs::create_dir_all(&home).and_then(|()| daemon::give(&home, ids, 0o700));
    if let Err(error) = made {
        log::warn!("the daemon has no folder of its own: {error}");
    }
    home
}

/// The password of the device's own network, made at the first start.
fn own_key(keeps: Option<&Path>) -> String {
    let file = keeps.map(|keeps| keeps.join("network-key"));
    let kept = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    if let Some(key) = kept.filter(|key| crate::config::is_wifi_password(key)) {
        return key;
    }
    let key = network::random_key().unwrap_or_else(|error| {
        // Without randomness there is no network of its own: nobody knows this password.
        log::error!("there is no randomness: {error}");
        String::new()
    });
    if let Some(file) = file
        && let Err(error) = create_private(&file).and_then(|mut out| out.write_all(key.as_bytes()))
    {
        log::warn!("the device's own network has another password at the next start: {error}");
    }
    key
}

/// Lets its owner sign in to the device itself, where config.toml names a key.
async fn let_in(config: &Config, keeps: Option<&Path>) -> Option<service::Service> {
    let keys = &config.ssh.authorized_keys;
    if keys.is_empty() {
        return None;
    }
    let started = ssh::start(keys, keeps.unwrap_or(Path::new(RUN))).await;
    started.map_err(|error| log::error!("nobody can sign in by SSH: {error}")).ok()
}

/// The last steps.
async fn finish(end: End, card: &Card, owner: &Owner) -> io::Result<()> {
    let next = match end {
        End::Stop => {
            data::close(Path::new(DATA));
            return Ok(());
        }
        End::Restart(next) => {
            data::close(Path::new(DATA));
            next
        }
        End::Reset => {
            if let Err(error) = data::forget(card, Path::new(DATA)).await {
                log::error!("not everything is forgotten: {error}");
            }
            let shipped = std::fs::read(SHIPPED);
            if let Err(error) = shipped.and_then(|text| owner.write(settings::FILE, &text)) {
                log::error!("config.toml is not as it was shipped: {error}");
            }
            Next::Kept
        }
    };
    rustix::fs::sync();
    Err(restart::now(next))
}

/// Answers what the daemon asks.
struct Desk {
    owner: Owner,
    notices: Notices,
    updates: Arc<Updates>,
    asks: mpsc::Sender<Ask>,
    end: mpsc::Sender<End>,
    ids: (u32, u32),
}

impl Desk {
    /// Passes a question on to the network.
    async fn ask_network<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Ask,
    ) -> Result<T, String> {
        let (answer, answered) = oneshot::channel();
        let away = || "the network is not there yet; try again in a moment".to_owned();
        self.asks.send(ask(answer)).await.map_err(|_| away())?;
        answered.await.map_err(|_| away())?
    }

    /// Ends the steward, unless an update is being written.
    fn end_if_idle(&self, end: End) -> Result<Reply, String> {
        if self.updates.is_installing() {
            return Err("an update is being installed; the device restarts by itself then".into());
        }
        Ok(self.end(end))
    }

    /// Ends the steward, a moment later, so that the answer gets out.
    fn end(&self, end: End) -> Reply {
        let ends = self.end.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = ends.send(end).await;
        });
        Reply::Done
    }
}

impl Answerer for Desk {
    async fn answer(&self, request: Request, caller: &mut Caller) -> Result<Reply, String> {
        match request {
            Request::Status => Ok(Reply::Status(Box::new(self.notices.now()))),
            Request::Report(camera) => {
                self.notices.change(|status| status.camera = plain::report(&camera));
                Ok(Reply::Done)
            }
            Request::FoundAs { name } => {
                let name: Hostname = name.parse().map_err(|_| "that is no name of a device")?;
                self.notices.change(|status| status.found_as = Some(name.to_string()));
                Ok(Reply::Done)
            }
            Request::KeepPassword { hash } => {
                let hash = hash.parse().map_err(|_| "that is no hash of a password")?;
                settings::keep_password(&self.owner, &hash).map_err(|e| e.to_string())?;
                copy_config(&self.owner, self.ids).map_err(|e| e.to_string())?;
                self.notices.change(|status| status.password_set = true);
                Ok(Reply::Done)
            }
            Request::Networks => {
                let networks = self.ask_network(Ask::Networks).await?;
                Ok(Reply::Networks { networks })
            }
            Request::Join(join) => {
                self.ask_network(|answer| Ask::Join(join, answer)).await?;
                Ok(Reply::Done)
            }
            Request::Install { length } => {
                self.updates.install(length, caller).await?;
                Ok(self.end(End::Restart(Next::Other)))
            }
            Request::Restart => self.end_if_idle(End::Restart(Next::Kept)),
            Request::Reset => self.end_if_idle(End::Reset),
            Request::Log => Ok(Reply::Log { lines: journal::last() }),
            Request::Lease(lease) if caller.is_root => {
                let sent = self.asks.send(Ask::Lease(lease)).await;
                sent.map(|()| Reply::Done).map_err(|_| "there is no network".into())
            }
            Request::Lease(_) => Err("only root may tell of addresses".into()),
        }
    }
}
