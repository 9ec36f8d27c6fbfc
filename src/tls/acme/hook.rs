//! A program of the owner's that puts records into the DNS.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{Change, TxtRecord};

/// How long it may take: it is to return when the record can be seen.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Most bytes of what it says that are told.
const MAX_TOLD: usize = 300;

/// Runs `PROGRAM add|remove NAME VALUE`, and waits for it to end well.
pub(super) async fn run(program: &Path, change: Change, record: &TxtRecord) -> Result<(), String> {
    let verb = match change {
        Change::Add => "add",
        Change::Remove => "remove",
    };
    let mut command = Command::new(program);
    command
        .args([verb, &record.name, &record.value])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let shown = program.display();
    let output = tokio::time::timeout(TIMEOUT, command.output())
        .await
        .map_err(|_| format!("{shown} has not ended within {} s", TIMEOUT.as_secs()))?
        .map_err(|error| format!("{shown} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr[..output.stderr.len().min(MAX_TOLD)]);
    Err(format!("{shown} {verb} has failed ({}): {}", output.status, said.trim()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn the_program_is_told_the_record_and_what_it_says_of_a_failure_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("hook");
        let seen = folder.path().join("seen");
        let text = format!(
            "#!/bin/sh\necho \"$*\" >> {}\n[ $1 = add ] || {{ echo no >&2; exit 3; }}\n",
            seen.display()
        );
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let record = TxtRecord { name: "_acme-challenge.a.example.".into(), value: "x y".into() };
        assert_eq!(run(&program, Change::Add, &record).await, Ok(()));
        let why = run(&program, Change::Remove, &record).await.unwrap_err();
        assert!(why.contains("remove has failed (exit status: 3): no"), "{why}");
        let seen = std::fs::read_to_string(seen).unwrap();
        assert_eq!(
            seen,
            "add _acme-challenge.a.example. x y\nremove _acme-challenge.a.example. x y\n"
        );
        let missing = folder.path().join("missing");
        assert!(run(&missing, Change::Add, &record).await.unwrap_err().contains("cannot be run"));
    }
}
