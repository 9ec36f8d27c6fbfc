//! Keeping the daemon running: as its own user, told where to find the steward, and expected to
//! say regularly that it is well, by the protocol of sd_notify(3).

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::backoff::Backoff;
use super::programs;
use super::stop::Stop;
use crate::appliance::STEWARD_VARIABLE;

/// How long the daemon may be silent before it is ended and started anew.
const SILENCE: Duration = Duration::from_secs(8);

/// How long it may take to start: what is only slow would else never come to its end.
const STARTING: Duration = Duration::from_secs(90);

/// What the daemon is run with.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// Its user and group.
    pub(super) ids: (u32, u32),
    /// Its configuration.
    pub(super) config: PathBuf,
    /// `key=value` for what the configuration leaves open.
    pub(super) defaults: Vec<String>,
    /// Where the steward listens.
    pub(super) door: PathBuf,
    /// Where it is to say that it is well.
    pub(super) notices: PathBuf,
    /// A folder of its own, for what it keeps.
    pub(super) home: PathBuf,
}

/// How the daemon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It has not said yet that it is ready.
    Starting,
    /// It has said that it is well, not long ago.
    Well,
    /// It ended or fell silent this many times in a row, and is about to be started again.
    Failing(u32),
}

/// Runs the daemon until `stop`, and tells how it is.
pub(super) async fn keep(setup: Setup, health: watch::Sender<Health>, mut stop: Stop) {
    let mut backoff = Backoff::default();
    let notices = match listen(&setup) {
        Ok(notices) => notices,
        Err(error) => {
            log::error!("cannot listen to the daemon at {}: {error}", setup.notices.display());
            return;
        }
    };
    loop {
        let started = Instant::now();
        match command(&setup).spawn() {
            Ok(mut child) => {
                health.send_replace(Health::Starting);
                programs::listen("picket", child.stdout.take());
                programs::listen("picket", child.stderr.take());
                tokio::select! {
                    why = mind(&mut child, &notices, &health) => {
                        log::error!("the daemon {why}; starting it anew");
                        let _ = child.kill().await;
                    }
                    () = stop.wait() => {
                        programs::end(&mut child).await;
                        return;
                    }
                }
            }
            Err(error) => log::error!("the daemon cannot be run: {error}"),
        }
        let wait = backoff.after(started.elapsed());
        health.send_replace(Health::Failing(backoff.failures()));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.wait() => return,
        }
    }
}

/// Waits until the daemon ends or falls silent, and says which.
async fn mind(child: &mut Child, notices: &UnixDatagram, health: &watch::Sender<Health>) -> String {
    let mut patience = STARTING;
    let mut message = [0; 512];
    loop {
        tokio::select! {
            status = child.wait() => {
                return status.map_or_else(|e| format!("is lost: {e}"), |s| format!("ended ({s})"));
            }
            heard = tokio::time::timeout(patience, notices.recv(&mut message)) => {
                let Ok(heard) = heard else {
                    return format!("has been silent for {} s", patience.as_secs());
                };
                let said = String::from_utf8_lossy(&message[..heard.unwrap_or(0)]);
                if said.lines().any(|line| line == "READY=1" || line == "WATCHDOG=1") {
                    patience = SILENCE;
                    health.send_replace(Health::Well);
                }
            }
        }
    }
}

fn listen(setup: &Setup) -> io::Result<UnixDatagram> {
    let _ = std::fs::remove_file(&setup.notices);
    let socket = UnixDatagram::bind(&setup.notices)?;
    give(&setup.notices, setup.ids, 0o600)?;
    Ok(socket)
}

/// Makes a file the daemon's.
pub(super) fn give(path: &Path, (user, group): (u32, u32), mode: u32) -> io::Result<()> {
    let metadata = std::fs::metadata(path)?;
    if (metadata.uid(), metadata.gid()) != (user, group) {
        chown(path, Some(user), Some(group))?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

fn command(setup: &Setup) -> Command {
    // The very program that runs here, in its other part.
    let mut command = programs::command("/proc/self/exe");
    command
        .arg("run")
        .arg("--config")
        .arg(&setup.config)
        .args(setup.defaults.iter().flat_map(|set| ["--default", set]))
        .uid(setup.ids.0)
        .gid(setup.ids.1)
        .current_dir(&setup.home)
        .env("HOME", &setup.home)
        // libcamera introduces itself each time it is started, which it is until there is a camera.
        .env("LIBCAMERA_LOG_LEVELS", "*:WARN")
        .env(STEWARD_VARIABLE, &setup.door)
        .env("NOTIFY_SOCKET", &setup.notices)
        .env("WATCHDOG_USEC", SILENCE.as_micros().to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The number of a user and that of its group, from `/etc/passwd`.
pub(super) fn ids(user: &str) -> io::Result<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd")?;
    find_ids(&passwd, user)
        .ok_or_else(|| io::Error::other(format!("/etc/passwd has no user {user}")))
}

fn find_ids(passwd: &str, user: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(user)).then_some(())?;
        let mut number = || fields.next()?.parse().ok();
        let _password: Option<u32> = number();
        Some((number()?, number()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npicketeer:x:5:6::/:/bin/false\n\
                      picket:x:990:991::/data/picket:/bin/false\n";
        assert_eq!(find_ids(passwd, "picket"), Some((990, 991)));
        assert_eq!(find_ids(passwd, "nobody"), None);
        assert_eq!(find_ids("picket:x:one:two", "picket"), None);
    }
}
