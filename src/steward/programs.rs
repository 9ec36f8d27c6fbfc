//! Running other programs: each by a name that stands in this source, with arguments that no shell
//! ever reads, and with nothing in its environment that it need not have.

use std::ffi::OsStr;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Where programs are, for us and for them.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What is kept running beside the daemon, or runs for a long time: nothing that a steward before
/// has left of it may go on beside this one's.
const SERVICES: [&str; 8] =
    ["dropbear", "e2fsck", "mkfs.ext4", "ntpd", "rauc", "udhcpc", "udhcpd", "wpa_supplicant"];

/// How long a program that was told to end may take.
const ENDING: Duration = Duration::from_secs(2);

/// Why a program did not do what it was run for.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    #[error("{program} cannot be run: {why}")]
    NotRun { program: String, why: io::Error },
    #[error("{program} failed ({status}): {said}")]
    Failed { program: String, status: ExitStatus, said: String },
}

/// A program to be run.
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
) -> Result<String, ProgramError> {
    let mut command = command(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let not_run = |why| ProgramError::NotRun { program: program.to_owned(), why };
    let mut child = command.spawn().map_err(not_run)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read it is none the worse.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(not_run)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let said = format!("{} {}", errors.trim(), said.trim()).trim().to_owned();
    Err(ProgramError::Failed { program: program.to_owned(), status: output.status, said })
}

/// Ends what a steward that was killed has left running, which init has inherited.
pub(super) fn end_orphans(user: u32) {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let status = std::fs::read_to_string(process.path().join("status")).unwrap_or_default();
        let id = process.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(id) = id.and_then(Pid::from_raw)
            && is_orphan(&status, user)
        {
            log::warn!("ending process {id} of the steward before this one");
            let _ = kill_process(id, Signal::KILL);
        }
    }
}

/// Whether a process is one of those that stewards keep running, and its parent is init
/// (proc_pid_status(5)).
fn is_orphan(status: &str, user: u32) -> bool {
    let field = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()
    };
    let is_users = field("Uid:").and_then(|uid| uid.parse().ok()) == Some(user);
    let is_known = field("Name:").is_some_and(|name| SERVICES.contains(&name));
    field("PPid:") == Some("1") && (is_users || is_known)
}

/// Passes on to the log what a program says, a line at a time. Returned is the line it said last.
pub(super) fn listen(
    name: &'static str,
    output: Option<impl AsyncRead + Send + Unpin + 'static>,
) -> watch::Receiver<String> {
    let (last, said) = watch::channel(String::new());
    if let Some(output) = output {
        let mut lines = BufReader::new(output).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                super::journal::add(format!("{name}: {line}"));
                last.send_replace(line);
            }
        });
    }
    said
}

/// Ends a program: politely, then not.
pub(super) async fn end(child: &mut Child) {
    if let Some(id) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        let _ = kill_process(id, Signal::TERM);
    }
    if tokio::time::timeout(ENDING, child.wait()).await.is_err() {
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
        end(&mut child).await;
        assert!(child.try_wait().unwrap().is_some());
    }
}
