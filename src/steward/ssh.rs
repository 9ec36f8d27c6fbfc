//! The SSH server: only with keys, and only if the owner has put one into `config.toml`.

use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::process;
use super::supervised_process::SupervisedProcess;
use crate::config::SshKey;

/// Root's home directory, in memory.
const ROOT_HOME: &str = "/run/root";

/// Starts dropbear, with these keys authorized. The host key is kept in `state_dir`.
///
/// # Errors
/// When one of the keys cannot be written.
pub(super) async fn start(keys: &[SshKey], state_dir: &Path) -> Result<SupervisedProcess, String> {
    write_authorized_keys(keys).map_err(|e| format!("authorized_keys cannot be written: {e}"))?;
    let host_key = state_dir.join("ssh-key");
    if !host_key.exists() {
        let path = host_key.display().to_string();
        let arguments = ["-t", "ed25519", "-f", &path];
        process::run("dropbearkey", arguments, "").await.map_err(|e| e.to_string())?;
    }
    Ok(SupervisedProcess::start("dropbear", move || {
        let mut command = process::command("dropbear");
        // In the foreground, log to stderr, no passwords, no forwarding of ports.
        command.args(["-F", "-E", "-s", "-g", "-j", "-k", "-r"]).arg(&host_key);
        command
    }))
}

fn write_authorized_keys(keys: &[SshKey]) -> io::Result<()> {
    let folder = Path::new(ROOT_HOME).join(".ssh");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let lines: String = keys.iter().map(|key| format!("{key}\n")).collect();
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    io::Write::write_all(&mut options.open(folder.join("authorized_keys"))?, lines.as_bytes())
}
