//! The steps of a start that are over before the steward's parts run side by side: partitions,
//! `config.toml`, passwords and keys.

use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::boot_partition::BootPartition;
use super::data_partition::{self, DataState};
use super::device_state::DeviceState;
use super::sd_card::{self, SdCard};
use super::supervised_process::SupervisedProcess;
use super::unix_user::UnixUser;
use super::{autoboot, config_file, network, paths, ssh, status_file};
use crate::appliance::create_private;
use crate::config::{Auth, Config};

/// The image's defaults where they differ from the daemon's, as `key=value`.
pub(super) const DEFAULTS: [&str; 2] = ["http.listen=[::]:80", "http.tls=auto"];

/// The configuration of a device whose file says nothing.
fn defaults() -> Config {
    let mut defaults = Config::default();
    for set in DEFAULTS {
        if let Err(problems) = defaults.apply_set(set) {
            problems.iter().for_each(|problem| log::error!("{problem}"));
        }
    }
    defaults
}

/// Mounts the boot partition. Without it the device runs with its defaults, locked.
pub(super) fn mount_boot_partition(card: &SdCard, device_state: &DeviceState) -> BootPartition {
    let mount_point = Path::new(paths::BOOT);
    let mounted = match card.partition(sd_card::BOOT) {
        Some(partition) => BootPartition::mount(&partition, mount_point),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    mounted.unwrap_or_else(|error| {
        log::error!("the card's first partition cannot be read: {error}");
        let note = format!("The card's first partition cannot be read ({error}).");
        device_state.set_note("card", Some(note));
        BootPartition::unreadable(mount_point, &error)
    })
}

/// Reads `config.toml`, hides a password in it, and applies what it says of the device itself.
pub(super) fn load_config(boot: &BootPartition, device_state: &DeviceState) -> Config {
    for file in [config_file::NAME, autoboot::NAME, status_file::NAME] {
        boot.recover(file);
    }
    let loaded = config_file::read(boot, defaults());
    let config = loaded.config;
    loaded.problems.iter().for_each(|problem| log::warn!("{problem}"));
    match config_file::hide_password(boot, &config.auth) {
        Ok(true) => log::info!("the password in config.toml has been replaced by its hash"),
        Ok(false) => {}
        Err(error) => log::warn!("the password stays in config.toml as plain text: {error}"),
    }
    if let Err(error) = rustix::system::sethostname(config.device.hostname.as_str().as_bytes()) {
        log::warn!("the host name cannot be set: {error}");
    }
    log::set_max_level(config.log.level);
    device_state.update(|status| {
        status.hostname = config.device.hostname.to_string();
        status.port = config.http.listen.port();
        status.problems = loaded.problems.iter().map(ToString::to_string).collect();
        status.password_set = matches!(&config.auth, Auth::Set(c) if c.password.is_some());
        status.locked = matches!(config.auth, Auth::Locked { .. });
    });
    config
}

/// Mounts the data partition, after a factory reset if `config.toml` says so. Returns the steward's
/// own directory on it; `None` if nothing can be kept there.
pub(super) async fn mount_data_partition(
    card: &SdCard,
    boot: &BootPartition,
    config: &Config,
    device_state: &DeviceState,
) -> Option<PathBuf> {
    let mount_point = Path::new(paths::DATA);
    if config.device.factory_reset {
        factory_reset(card, boot, device_state).await;
    }
    let mounted = data_partition::mount(card, mount_point).await.map(|found| {
        let note = match found {
            DataState::Intact | DataState::Created => return,
            DataState::Repaired => {
                "What the device kept was damaged and has been repaired; some of it may be lost."
            }
            DataState::Recreated => {
                "What the device kept was damaged beyond repair; it starts with nothing."
            }
        };
        device_state.set_note("data", Some(note.into()));
    });
    let state_dir = mount_point.join("steward");
    let made = mounted.and_then(|()| Ok(make_private_dir(&state_dir)?));
    match made {
        Ok(()) => Some(state_dir),
        Err(error) => {
            log::error!("nothing can be kept until the next start: {error}");
            device_state
                .set_note("data", Some(format!("The device cannot keep anything: {error}.")));
            None
        }
    }
}

/// Erases the data partition, as `config.toml` says, and takes that line out of it.
async fn factory_reset(card: &SdCard, boot: &BootPartition, device_state: &DeviceState) {
    let mount_point = Path::new(paths::DATA);
    log::info!("factory reset, as config.toml says");
    // Mounted first, so that the files on it can be overwritten.
    let _ = data_partition::mount(card, mount_point).await;
    if let Err(error) = data_partition::erase(card, mount_point).await {
        log::error!("the data partition is not erased completely: {error}");
    }
    if let Err(error) = config_file::clear_factory_reset(boot) {
        log::error!("config.toml still says factory_reset = true: {error}");
    }
    device_state.set_note("reset", Some("Everything was forgotten, as config.toml said.".into()));
}

/// Makes a directory for root alone.
fn make_private_dir(directory: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Writes the daemon's `config.toml`, and returns its path.
pub(super) fn write_daemon_config(boot: &BootPartition, user: UnixUser) -> io::Result<PathBuf> {
    let file = Path::new(paths::RUNTIME).join(config_file::NAME);
    let new = file.with_extension("new");
    create_private(&new)?.write_all(config_file::for_daemon(boot).as_bytes())?;
    user.own(&new, 0o400)?;
    std::fs::rename(&new, &file)?;
    Ok(file)
}

/// Makes the daemon's home directory: on the data partition if that is mounted, else in memory.
pub(super) fn make_daemon_home(name: &str, user: UnixUser, has_data: bool) -> PathBuf {
    let home = Path::new(if has_data { paths::DATA } else { paths::RUNTIME }).join(name);
    let made = std::fs::create_dir_all(&home).and_then(|()| user.own(&home, 0o700));
    if let Err(error) = made {
        log::warn!("the daemon has no home directory: {error}");
    }
    home
}

/// The passphrase of the access point that the device can be, made at the first start.
pub(super) fn access_point_passphrase(state_dir: Option<&Path>) -> String {
    let file = state_dir.map(|state_dir| state_dir.join("network-key"));
    let saved = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    if let Some(passphrase) = saved.filter(|saved| crate::config::is_wifi_password(saved)) {
        return passphrase;
    }
    let passphrase = network::random_passphrase().unwrap_or_else(|error| {
        // Nobody can join the access point then.
        log::error!("no random numbers: {error}");
        String::new()
    });
    if let Some(file) = file
        && let Err(error) =
            create_private(&file).and_then(|mut out| out.write_all(passphrase.as_bytes()))
    {
        log::warn!("the access point has another password at the next start: {error}");
    }
    passphrase
}

/// Starts the SSH server, if config.toml has a key that may sign in.
pub(super) async fn start_sshd(
    config: &Config,
    state_dir: Option<&Path>,
) -> Option<SupervisedProcess> {
    let keys = &config.ssh.authorized_keys;
    if keys.is_empty() {
        return None;
    }
    let started = ssh::start(keys, state_dir.unwrap_or(Path::new(paths::RUNTIME))).await;
    started.map_err(|error| log::error!("the SSH server does not start: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_on_the_card_shows_the_defaults_of_the_image() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/buildroot/board/card/print-config");
        let printed = std::process::Command::new(script).output().unwrap();
        let file = String::from_utf8(printed.stdout).unwrap();
        let uncommented: String = file
            .lines()
            .map(|line| {
                line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line)
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        let loaded = Config::load(uncommented.as_bytes(), "config.toml");
        assert_eq!(loaded.problems, []);
        assert_eq!(loaded.config, defaults());
    }
}
