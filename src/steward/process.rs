//! Running other programs: each by a name that is in this source, with arguments that no shell ever
//! reads, and with nothing in its environment that it does not need.

use std::ffi::OsStr;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Where programs are found, by the steward and by what it runs.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Programs that run beside the daemon, or for a long time. One that a former steward has left
/// running must not go on beside this one's.
const LONG_RUNNING: [&str; 8] =
    ["dropbear", "e2fsck", "mkfs.ext4", "ntpd", "rauc", "udhcpc", "udhcpd", "wpa_supplicant"];

/// How long a program may take to end after SIGTERM.
const TERMINATE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a program was not run, or failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProcessError {
    #[error("{program} cannot be run: {why}")]
    Spawn { program: String, why: io::Error },
    #[error("{program} failed ({status}): {output}")]
    Failed { program: String, status: ExitStatus, output: String },
}

/// A command that runs a program.
pub(super) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH).current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a program to its end and returns what it printed.
///
/// # Errors
/// When it cannot be run, or ends with another status than 0.
pub(super) async fn run<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    input: &str,
) -> Result<String, ProcessError> {
    let mut command = command(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let spawn_error = |why| ProcessError::Spawn { program: program.to_owned(), why };
    let mut child = command.spawn().map_err(spawn_error)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read it has no use for it.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(spawn_error)?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let printed = format!("{} {}", errors.trim(), printed.trim()).trim().to_owned();
    let (program, status) = (program.to_owned(), output.status);
    Err(ProcessError::Failed { program, status, output: printed })
}

/// Kills what a steward that was killed has left running; init has inherited it.
pub(super) fn kill_orphans(daemon_uid: u32) {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let status = std::fs::read_to_string(process.path().join("status")).unwrap_or_default();
        let id = process.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(id) = id.and_then(Pid::from_raw)
            && is_orphan(&status, daemon_uid)
        {
            log::warn!("killing process {id} of the steward before this one");
            let _ = kill_process(id, Signal::KILL);
        }
    }
}

/// Whether a process is the daemon or one of [`LONG_RUNNING`], and its parent is init
/// (proc_pid_status(5)).
fn is_orphan(status: &str, daemon_uid: u32) -> bool {
    let field = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()
    };
    let is_daemon = field("Uid:").and_then(|uid| uid.parse().ok()) == Some(daemon_uid);
    let is_known = field("Name:").is_some_and(|name| LONG_RUNNING.contains(&name));
    field("PPid:") == Some("1") && (is_daemon || is_known)
}

/// Writes what a program prints to the log, line by line. The last line can be read from what is
/// returned.
pub(super) fn log_output(
    name: &'static str,
    output: Option<impl AsyncRead + Send + Unpin + 'static>,
) -> watch::Receiver<String> {
    let (last, last_line) = watch::channel(String::new());
    if let Some(output) = output {
        let mut lines = BufReader::new(output).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                super::log_buffer::push(format!("{name}: {line}"));
                last.send_replace(line);
            }
        });
    }
    last_line
}

/// Ends a program: with SIGTERM, and if that does not help, with SIGKILL.
pub(super) async fn terminate(child: &mut Child) {
    if let Some(id) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        let _ = kill_process(id, Signal::TERM);
    }
    if tokio::time::timeout(TERMINATE_TIMEOUT, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_program_says_comes_back_or_tells_why_not() {
        assert_eq!(run("cat", ["-"], "hello").await.unwrap(), "hello");
        let error = run("cat", ["/nowhere"], "").await.unwrap_err().to_string();
        assert!(error.contains("/nowhere") && error.contains("exit status: 1"), "{error}");
        let error = run("picket-nowhere", [""; 0], "").await.unwrap_err().to_string();
        assert!(error.starts_with("picket-nowhere cannot be run"), "{error}");
    }

    #[tokio::test]
    async fn an_argument_is_an_argument_whatever_is_in_it() {
        let hostile = "$(reboot) `id` ; rm -rf / \n| x \"'";
        assert_eq!(run("printf", ["%s", hostile], "").await.unwrap(), hostile);
    }

    #[test]
    fn orphans_are_the_daemon_and_what_else_is_kept_running() {
        let of = |name: &str, parent: u32, user: u32| {
            let status = format!("Name:\t{name}\nPPid:\t{parent}\nUid:\t{user}\t0\t0\t0\n");
            is_orphan(&status, 500)
        };
        assert!(of("exe", 1, 500) && of("udhcpc", 1, 0) && of("wpa_supplicant", 1, 0));
        assert!(!of("udhcpc", 170, 0), "it has a parent");
        assert!(!of("mdev", 1, 0) && !of("picket", 1, 0));
        assert!(!is_orphan("", 500));
    }

    #[tokio::test]
    async fn a_program_that_does_not_want_to_end_is_made_to() {
        let mut child = command("sleep").arg("1000").spawn().unwrap();
        terminate(&mut child).await;
        assert!(child.try_wait().unwrap().is_some());
    }
}
