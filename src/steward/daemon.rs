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
use super::notices::Notices;
use super::programs;
use super::stop::Stop;
use crate::appliance::STEWARD_VARIABLE;

/// How long the daemon may be silent before it is ended and started anew.
const SILENCE: Duration = Duration::from_secs(8);

/// How long it may take to start: what is only slow would else never come to its end.
const STARTING: Duration = Duration::from_secs(90);

/// So many failures in a row are more than a mishap.
const WORTH_TELLING: u32 = 3;

/// The matter on which its owner is told.
const NOTICE: &str = "daemon";

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

/// Runs the daemon until `stop`, and tells how it is: others by `health`, its owner by a notice.
pub(super) async fn keep(
    setup: Setup,
    health: watch::Sender<Health>,
    notices: Notices,
    mut stop: Stop,
) {
    let mut backoff = Backoff::default();
    let signs = match listen(&setup) {
        Ok(signs) => signs,
        Err(error) => {
            log::error!("cannot listen to the daemon at {}: {error}", setup.notices.display());
            return;
        }
    };
    loop {
        let started = Instant::now();
        forget_signs(&signs);
        let why = match command(&setup).spawn() {
            Ok(mut child) => {
                health.send_replace(Health::Starting);
                programs::listen("picket", child.stdout.take());
                let mut said = programs::listen("picket", child.stderr.take());
                tokio::select! {
                    why = mind(&mut child, &signs, &health, &notices) => {
                        log::error!("the daemon {why}; starting it anew");
                        let _ = child.kill().await;
                        format!("it {why}{}", last_words(&mut said).await)
                    }
                    () = stop.wait() => {
                        programs::end(&mut child).await;
                        return;
                    }
                }
            }
            Err(error) => {
                log::error!("the daemon cannot be run: {error}");
                error.to_string()
            }
        };
        let wait = backoff.after(started.elapsed());
        health.send_replace(Health::Failing(backoff.failures()));
        if backoff.failures() >= WORTH_TELLING {
            let said = format!("The camera's program does not keep running: {why}");
            notices.note(NOTICE, Some(said));
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.wait() => return,
        }
    }
}

/// What a daemon said last, once it has ended: why, if it knew.
async fn last_words(said: &mut watch::Receiver<String>) -> String {
    // What it started itself may keep the line open.
    let closed = async { while said.changed().await.is_ok() {} };
    let _ = tokio::time::timeout(Duration::from_secs(1), closed).await;
    let said = said.borrow();
    let words = said.strip_prefix("picket: ").unwrap_or(&said).trim();
    if words.is_empty() { String::new() } else { format!("; it said last: {words}") }
}

/// Waits until the daemon ends or falls silent, and says which.
async fn mind(
    child: &mut Child,
    signs: &UnixDatagram,
    health: &watch::Sender<Health>,
    notices: &Notices,
) -> String {
    let mut patience = STARTING;
    let mut message = [0; 512];
    loop {
        tokio::select! {
            status = child.wait() => {
                return status.map_or_else(|e| format!("is lost: {e}"), |s| format!("ended ({s})"));
            }
            heard = tokio::time::timeout(patience, signs.recv(&mut message)) => {
                let Ok(heard) = heard else {
                    return format!("has been silent for {} s", patience.as_secs());
                };
                let said = String::from_utf8_lossy(&message[..heard.unwrap_or(0)]);
                if said.lines().any(|line| line == "READY=1" || line == "WATCHDOG=1") {
                    patience = SILENCE;
                    if *health.borrow() != Health::Well {
                        notices.note(NOTICE, None);
                    }
                    health.send_replace(Health::Well);
                }
            }
        }
    }
}

/// Takes out what a daemon before has said last: it is no sign of life of the next.
fn forget_signs(signs: &UnixDatagram) {
    while signs.try_recv(&mut [0]).is_ok() {}
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
        // As systemd has it, where that runs the daemon.
        .env("STATE_DIRECTORY", &setup.home)
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
    use crate::appliance::DeviceStatus;
    use crate::steward::stop;

    #[tokio::test]
    async fn the_owner_is_told_of_a_daemon_that_does_not_keep_running() {
        let folder = tempfile::tempdir().unwrap();
        let in_folder = |name: &str| folder.path().join(name);
        // Here it is the test program that is run, which cannot make anything of its arguments.
        let setup = Setup {
            ids: (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()),
            config: in_folder("config.toml"),
            defaults: Vec::new(),
            door: in_folder("door"),
            notices: in_folder("notices"),
            home: folder.path().to_owned(),
        };
        let notices = Notices::new(DeviceStatus::default());
        let mut board = notices.watch();
        let (stop, stopped) = stop::sign();
        let health = watch::Sender::new(Health::Starting);
        let keeping = tokio::spawn(keep(setup, health.clone(), notices, stopped));
        let told = board.wait_for(|status| status.notes.contains_key(NOTICE)).await.unwrap();
        let told = told.notes[NOTICE].clone();
        assert_eq!(*health.borrow(), Health::Failing(WORTH_TELLING));
        assert!(told.contains("does not keep running: it ended (exit status: "), "{told}");
        assert!(told.contains("it said last: ") && told.contains("config"), "{told}");
        stop.stop();
        keeping.await.unwrap();
    }

    #[test]
    fn what_one_daemon_has_said_is_no_sign_of_life_of_the_next() {
        let signs = std::os::unix::net::UnixDatagram::pair().unwrap();
        signs.0.send(b"WATCHDOG=1").unwrap();
        signs.1.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let signs = UnixDatagram::from_std(signs.1).unwrap();
            signs.readable().await.unwrap();
            forget_signs(&signs);
            assert!(signs.try_recv(&mut [0]).is_err());
        });
    }

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npicketeer:x:5:6::/:/bin/false\n\
                      picket:x:990:991::/data/picket:/bin/false\n";
        assert_eq!(find_ids(passwd, "picket"), Some((990, 991)));
        assert_eq!(find_ids(passwd, "nobody"), None);
        assert_eq!(find_ids("picket:x:one:two", "picket"), None);
    }
}
