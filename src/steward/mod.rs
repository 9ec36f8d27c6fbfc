//! The part of the image that runs as root, `picket steward`. It brings the device up and keeps it
//! running, so that the daemon, which talks to the network, does not need root's rights.
//!
//! In come the SD card, `config.toml`, the daemon's notifications and its requests at the
//! [`control_socket`]; out go mounted partitions, a network, a running daemon, and the
//! [`device_state`], which [`status_file`] writes onto the card. The steward itself talks to nobody
//! on the network.
//!
//! [`run_device`] reads from top to bottom as the device starts: the steps of [`startup`] one after
//! the other (boot partition, `config.toml`, data partition), then side by side the daemon
//! ([`daemon`]), the [`network`], the [`watchdog`] and the trial of a new system ([`update`]).
//! Other programs are run by [`process`] and kept running by [`supervised_process`].

mod autoboot;
mod backoff;
mod boot_partition;
mod config_file;
mod control_api;
mod control_socket;
mod daemon;
mod data_partition;
mod device_state;
mod lease;
mod log_buffer;
mod network;
mod paths;
mod process;
mod rauc_backend;
mod reboot;
mod release;
mod sanitize;
mod sd_card;
mod shutdown;
mod ssh;
mod startup;
mod status_file;
mod stop_token;
mod supervised_process;
mod unix_user;
mod update;
mod watchdog;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

pub use lease::report_lease;
pub use rauc_backend::rauc_backend;

use crate::appliance::{CONTROL_SOCKET, DeviceStatus};
use control_api::ControlApi;
use control_socket::ControlSocket;
use daemon::{DaemonHealth, DaemonOptions};
use device_state::DeviceState;
use network::NetworkSettings;
use reboot::BootTarget;
use release::Release;
use sd_card::SdCard;
use shutdown::Shutdown;
use unix_user::UnixUser;
use update::{HealthCheck, TrialResult, Updater};
use watchdog::Watchdog;

/// The user that the daemon runs as.
const DAEMON_USER: &str = "picket";

/// How long the parts may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Brings the device up, keeps it running, and returns when it is shut down.
///
/// # Errors
/// When this is not a Picket image: the card does not have its partitions.
pub fn run() -> io::Result<()> {
    log_buffer::init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run_device())
}

/// Brings the device up, and keeps it running until it is to shut down or restart.
async fn run_device() -> io::Result<()> {
    let card = SdCard::of_root_filesystem()?;
    // A signal during the start is handled once everything runs: a start is never left half done.
    let mut terminate = signal(SignalKind::terminate())?;
    let runtime_dir = Path::new(paths::RUNTIME);
    std::fs::create_dir_all(runtime_dir)?;
    // For rcK.
    std::fs::write(runtime_dir.join("steward.pid"), std::process::id().to_string())?;
    let user = UnixUser::lookup(DAEMON_USER)?;
    process::kill_orphans(user.uid);
    let release = Release::read();
    release.set_clock();
    let device_state = DeviceState::new(DeviceStatus {
        version: release.version.clone(),
        board: release.board.clone(),
        slot: Some(card.running),
        ..DeviceStatus::default()
    });

    let boot = startup::mount_boot_partition(&card, &device_state);
    let config = startup::load_config(&boot, &device_state);
    let state_dir = startup::mount_data_partition(&card, &boot, &config, &device_state).await;

    let (stop_handle, stop) = stop_token::new();
    let (shutdown, mut shutdowns) = mpsc::channel(1);
    let (health_sender, health) = watch::channel(DaemonHealth::Starting);
    let (requests, network_requests) = mpsc::channel(16);
    let mut parts = JoinSet::new();

    // The daemon first: its picture is what the device is for.
    let options = DaemonOptions {
        user,
        config: startup::write_daemon_config(&boot, user)?,
        defaults: startup::DEFAULTS.map(str::to_owned).to_vec(),
        control_socket: CONTROL_SOCKET.into(),
        notify_socket: runtime_dir.join("notify"),
        home: startup::make_daemon_home(DAEMON_USER, user, state_dir.is_some()),
    };
    let updater = Arc::new(Updater {
        card: card.clone(),
        boot: boot.clone(),
        device_state: device_state.clone(),
        state_dir: state_dir.clone(),
        runtime_dir: runtime_dir.to_owned(),
        install_lock: Mutex::new(()),
    });
    let api = ControlApi {
        boot: boot.clone(),
        device_state: device_state.clone(),
        updater: updater.clone(),
        network: requests,
        shutdown: shutdown.clone(),
        user,
    };
    tokio::spawn(ControlSocket::bind(Path::new(CONTROL_SOCKET), user)?.serve(api));
    parts.spawn(daemon::supervise(options, health_sender, device_state.clone(), stop.clone()));

    let settings = NetworkSettings {
        wifi: config.wifi.clone(),
        ip: config.network.clone(),
        hostname: config.device.hostname.clone(),
        passphrase: startup::access_point_passphrase(state_dir.as_deref()),
        runtime_dir: runtime_dir.to_owned(),
    };
    let (for_network, stop_network) = (device_state.clone(), stop.clone());
    parts.spawn(network::run(settings, boot.clone(), for_network, network_requests, stop_network));
    parts.spawn(status_file::keep_current(boot.clone(), device_state.clone(), stop.clone()));
    match config.watchdog.enabled.then(|| Watchdog::open(config.watchdog.timeout)) {
        Some(Ok(watchdog)) => {
            parts.spawn(watchdog.feed(health.clone(), stop.clone()));
        }
        Some(Err(error)) => log::info!("there is no watchdog: {error}"),
        None => {}
    }
    let check = HealthCheck(config.http.listen);
    tokio::spawn(async move {
        if updater.run_trial(health, check).await == TrialResult::RollBack {
            let _ = shutdown.send(Shutdown::Reboot(BootTarget::Default)).await;
        }
    });
    let _sshd = startup::start_sshd(&config, state_dir.as_deref()).await;

    let shutdown = tokio::select! {
        _ = terminate.recv() => Shutdown::Terminated,
        Some(shutdown) = shutdowns.recv() => shutdown,
    };
    log::info!("{shutdown}");
    stop_handle.stop();
    let all = async { while parts.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIMEOUT, all).await.is_err() {
        log::warn!("some parts of the steward do not stop");
    }
    shutdown::finish(shutdown, &card, &boot).await
}
