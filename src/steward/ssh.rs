//! Signing in to the device itself: only with a key, and only where its owner names one.

use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::programs;
use super::service::Service;
use crate::config::SshKey;

/// Root's home, which is gone with the next start.
const HOME: &str = "/run/root";

/// Lets in who has one of these keys. `keeps` is where the device's own key is kept.
///
/// # Errors
/// When that cannot be prepared.
pub(super) async fn start(keys: &[SshKey], keeps: &Path) -> Result<Service, String> {
    write_keys(keys).map_err(|e| format!("the keys cannot be written: {e}"))?;
    let own = keeps.join("ssh-key");
    if !own.exists() {
        let path = own.display().to_string();
        let arguments = ["-t", "ed25519", "-f", &path];
        programs::run("dropbearkey", arguments, "").await.map_err(|e| e.to_string())?;
    }
    Ok(Service::start("dropbear", move || {
        let mut command = programs::command("dropbear");
        // In the foreground, log here, no passwords for anybody, no forwarding of ports.
        command.args(["-F", "-E", "-s", "-g", "-j", "-k", "-r"]).arg(&own);
        command
    }))
}

fn write_keys(keys: &[SshKey]) -> io::Result<()> {
    let folder = Path::new(HOME).join(".ssh");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let lines: String = keys.iter().map(|key| format!("{key}\n")).collect();
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    io::Write::write_all(&mut options.open(folder.join("authorized_keys"))?, lines.as_bytes())
}
