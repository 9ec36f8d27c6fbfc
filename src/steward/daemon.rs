//! Keeps the daemon running, as a user of its own. It has to send watchdog notifications, by the
//! protocol of sd_notify(3); without them it is killed and started again.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::backoff::Backoff;
use super::device_state::DeviceState;
use super::process;
use super::stop_token::StopToken;
use super::unix_user::UnixUser;
use crate::appliance::STEWARD_VARIABLE;

/// How long the daemon may go without a notification before it is killed and started again.
const WATCHDOG_TIMEOUT: Duration = Duration::from_secs(8);

/// How long it may take to start. Longer, because one that is only slow would otherwise never get
/// there.
const START_TIMEOUT: Duration = Duration::from_secs(90);

/// After this many failures in a row the owner is told.
const FAILURES_BEFORE_NOTE: u32 = 3;

/// The topic of the note to the owner.
const NOTE_TOPIC: &str = "daemon";

/// What the daemon is started with.
#[derive(Clone, Debug)]
pub(super) struct DaemonOptions {
    /// Who it runs as.
    pub(super) user: UnixUser,
    /// Its configuration.
    pub(super) config: PathBuf,
    /// `key=value` for what the configuration does not set.
    pub(super) defaults: Vec<String>,
    /// Where the steward takes requests.
    pub(super) control_socket: PathBuf,
    /// Where it sends notifications (`NOTIFY_SOCKET`, sd_notify(3)).
    pub(super) notify_socket: PathBuf,
    /// A folder of its own, for what it keeps.
    pub(super) home: PathBuf,
}

/// How the daemon is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DaemonHealth {
    /// It has not sent `READY=1` yet.
    Starting,
    /// It sends its watchdog notifications.
    Healthy,
    /// It has ended or missed its watchdog timeout this many times in a row, and is about to be
    /// started again.
    Failing(u32),
}

/// Keeps the daemon running until `stop`. How it is doing is published in `health`, and told to the
/// owner by a note.
pub(super) async fn supervise(
    options: DaemonOptions,
    health: watch::Sender<DaemonHealth>,
    device_state: DeviceState,
    mut stop: StopToken,
) {
    let mut backoff = Backoff::default();
    let notifications = match bind_notify_socket(&options) {
        Ok(socket) => socket,
        Err(error) => {
            let path = options.notify_socket.display();
            log::error!("the daemon's notifications cannot be received at {path}: {error}");
            return;
        }
    };
    loop {
        let started = Instant::now();
        discard_queued(&notifications);
        let why = match command(&options).spawn() {
            Ok(mut child) => {
                health.send_replace(DaemonHealth::Starting);
                process::log_output("picket", child.stdout.take());
                let mut errors = process::log_output("picket", child.stderr.take());
                tokio::select! {
                    why = wait_for_failure(&mut child, &notifications, &health, &device_state) => {
                        log::error!("the daemon {why}; starting it again");
                        let _ = child.kill().await;
                        format!("it {why}{}", last_error(&mut errors).await)
                    }
                    () = stop.stopped() => {
                        process::terminate(&mut child).await;
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
        health.send_replace(DaemonHealth::Failing(backoff.failures()));
        if backoff.failures() >= FAILURES_BEFORE_NOTE {
            let note = format!("The camera's program does not keep running: {why}");
            device_state.set_note(NOTE_TOPIC, Some(note));
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.stopped() => return,
        }
    }
}

/// The last error message of a daemon that has ended: why it did, if it knew.
async fn last_error(errors: &mut watch::Receiver<String>) -> String {
    // Processes that it started itself may keep the pipe open.
    let closed = async { while errors.changed().await.is_ok() {} };
    let _ = tokio::time::timeout(Duration::from_secs(1), closed).await;
    let line = errors.borrow();
    let message = line.strip_prefix("picket: ").unwrap_or(&line).trim();
    if message.is_empty() { String::new() } else { format!("; its last message: {message}") }
}

/// Waits until the daemon ends or misses its watchdog timeout, and says which.
async fn wait_for_failure(
    child: &mut Child,
    notifications: &UnixDatagram,
    health: &watch::Sender<DaemonHealth>,
    device_state: &DeviceState,
) -> String {
    let mut timeout = START_TIMEOUT;
    let mut message = [0; 512];
    loop {
        tokio::select! {
            status = child.wait() => {
                return match status {
                    Ok(status) => format!("ended ({status})"),
                    Err(error) => format!("cannot be waited for: {error}"),
                };
            }
            received = tokio::time::timeout(timeout, notifications.recv(&mut message)) => {
                let Ok(received) = received else {
                    return format!("has not responded for {} s", timeout.as_secs());
                };
                let states = String::from_utf8_lossy(&message[..received.unwrap_or(0)]);
                if states.lines().any(|line| line == "READY=1" || line == "WATCHDOG=1") {
                    timeout = WATCHDOG_TIMEOUT;
                    if *health.borrow() != DaemonHealth::Healthy {
                        device_state.set_note(NOTE_TOPIC, None);
                    }
                    health.send_replace(DaemonHealth::Healthy);
                }
            }
        }
    }
}

/// Discards what the daemon before has sent last: it says nothing about the next one.
fn discard_queued(notifications: &UnixDatagram) {
    while notifications.try_recv(&mut [0]).is_ok() {}
}

fn bind_notify_socket(options: &DaemonOptions) -> io::Result<UnixDatagram> {
    let _ = std::fs::remove_file(&options.notify_socket);
    let socket = UnixDatagram::bind(&options.notify_socket)?;
    options.user.own(&options.notify_socket, 0o600)?;
    Ok(socket)
}

fn command(options: &DaemonOptions) -> Command {
    // The program that runs here, with another subcommand.
    let mut command = process::command("/proc/self/exe");
    command
        .arg("run")
        .arg("--config")
        .arg(&options.config)
        .args(options.defaults.iter().flat_map(|set| ["--default", set]))
        .uid(options.user.uid)
        .gid(options.user.gid)
        .current_dir(&options.home)
        .env("HOME", &options.home)
        // As systemd sets it.
        .env("STATE_DIRECTORY", &options.home)
        // libcamera logs its version each time it is started, again and again until there is a
        // camera.
        .env("LIBCAMERA_LOG_LEVELS", "*:WARN")
        .env(STEWARD_VARIABLE, &options.control_socket)
        .env("NOTIFY_SOCKET", &options.notify_socket)
        .env("WATCHDOG_USEC", WATCHDOG_TIMEOUT.as_micros().to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::DeviceStatus;
    use crate::steward::stop_token;

    #[tokio::test]
    async fn the_owner_is_told_of_a_daemon_that_does_not_keep_running() {
        let folder = tempfile::tempdir().unwrap();
        let in_folder = |name: &str| folder.path().join(name);
        // Here it is the test program that runs, which does not understand these arguments.
        let options = DaemonOptions {
            user: UnixUser::current(),
            config: in_folder("config.toml"),
            defaults: Vec::new(),
            control_socket: in_folder("control.sock"),
            notify_socket: in_folder("notify"),
            home: folder.path().to_owned(),
        };
        let device_state = DeviceState::new(DeviceStatus::default());
        let mut changes = device_state.subscribe();
        let (handle, stop) = stop_token::new();
        let health = watch::Sender::new(DaemonHealth::Starting);
        let supervisor = tokio::spawn(supervise(options, health.clone(), device_state, stop));
        let status =
            changes.wait_for(|status| status.notes.contains_key(NOTE_TOPIC)).await.unwrap();
        let note = status.notes[NOTE_TOPIC].clone();
        assert_eq!(*health.borrow(), DaemonHealth::Failing(FAILURES_BEFORE_NOTE));
        assert!(note.contains("does not keep running: it ended (exit status: "), "{note}");
        assert!(note.contains("its last message: ") && note.contains("config"), "{note}");
        handle.stop();
        supervisor.await.unwrap();
    }

    #[test]
    fn what_one_daemon_has_said_is_no_sign_of_life_of_the_next() {
        let sockets = std::os::unix::net::UnixDatagram::pair().unwrap();
        sockets.0.send(b"WATCHDOG=1").unwrap();
        sockets.1.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let notifications = UnixDatagram::from_std(sockets.1).unwrap();
            notifications.readable().await.unwrap();
            discard_queued(&notifications);
            assert!(notifications.try_recv(&mut [0]).is_err());
        });
    }
}
