//! Scripts ask before they change the machine.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A stand-in for apt: says what it would do, as apt says it, and keeps what it was asked.
const APT: &str = r#"#!/bin/sh
echo "$*" >> "$APT_CALLS"
case " $* " in
    *" --print-uris "*)
        echo "Reading package lists..."
        echo "The following NEW packages will be installed:"
        echo "  wanted its-library"
        [ -z "$APT_REMOVES" ] || printf 'The following packages will be REMOVED:\n  innocent\n'
        echo "Need to get 7 MB of archives."
        echo "'http://mirror.example/wanted.deb' wanted.deb 7000000 MD5Sum:0" ;;
esac
"#;

struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [("apt-get", APT), ("sudo", "#!/bin/sh\nexec \"$@\"\n")] {
            let file = folder.path().join(name);
            std::fs::write(&file, text).expect("written");
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("set");
        }
        Self { folder }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").expect("set");
        command
            .env("PATH", format!("{}:{path}", self.folder.path().display()))
            .env("APT_CALLS", self.folder.path().join("calls"))
            .env_remove("PICKET_YES")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null());
        command
    }

    /// Has a script ask for the package "wanted".
    fn install(&self) -> Command {
        let mut command = self.command("bash");
        command.args([
            "-euc",
            ". scripts/machine.sh; install_packages wanted; echo done",
            "script",
        ]);
        command
    }

    /// What apt was asked to do, besides saying what it would.
    fn done(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        calls.lines().filter(|call| !call.contains("--print-uris")).map(str::to_owned).collect()
    }
}

fn run(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = [stdout, stderr].concat();
    (status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn without_a_terminal_nothing_is_installed_and_what_would_be_is_told() {
    let machine = Machine::new();
    let (success, said) = run(&mut machine.install());
    assert!(!success, "{said}");
    assert_eq!(machine.done(), Vec::<String>::new());
    assert!(!said.contains("mirror.example"), "{said}");
    for told in ["its-library", "7 MB", "--yes", "sudo apt-get install"] {
        assert!(said.contains(told), "{told} in {said}");
    }
}

#[test]
fn with_yes_it_is_installed_and_only_what_was_told_is_removed_for_it() {
    let machine = Machine::new();
    let (success, said) = run(machine.install().env("PICKET_YES", "yes"));
    assert!(success && said.starts_with("done\n"), "{said}");
    assert_eq!(machine.done(), ["install -y -q --no-install-recommends --no-remove wanted"]);

    let (success, said) = run(machine.install().env("PICKET_YES", "yes").env("APT_REMOVES", "yes"));
    assert!(success && said.contains("innocent"), "{said}");
    let last = machine.done().pop();
    assert_eq!(last.as_deref(), Some("install -y -q --no-install-recommends wanted"));
    let (success, said) = run(machine.install().env("APT_REMOVES", "yes"));
    assert!(!success && said.contains("innocent"), "nobody has agreed: {said}");
}

#[test]
fn at_a_terminal_the_answer_decides() {
    for (answer, installed) in [("y\n", 1), ("n\n", 0), ("\n", 0)] {
        let machine = Machine::new();
        let install = ". scripts/machine.sh; install_packages wanted";
        let mut script = machine.command("script");
        script.args(["-qefc", &format!("bash -euc '{install}' script"), "/dev/null"]);
        let mut child = script
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("Debian's package bsdutils has it");
        // Until it has ended: at the end of its input it would hang up.
        let mut stdin = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut stdin, answer.as_bytes()).expect("taken");
        assert_eq!(child.wait().expect("an end").success(), installed == 1, "{answer:?}");
        assert_eq!(machine.done().len(), installed, "{answer:?}");
    }
}

#[test]
fn every_script_that_installs_takes_yes_and_none_calls_apt_itself() {
    let listed = Command::new("git")
        .args(["ls-files", "scripts", "tests", "buildroot", ".ci"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("git runs");
    let mut asking = 0;
    for name in String::from_utf8(listed.stdout).expect("text").lines() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let Ok(text) = std::fs::read_to_string(file) else { continue };
        if !text.starts_with("#!") || !text.lines().next().is_some_and(|l| l.ends_with("sh")) {
            continue;
        }
        let installs = text.lines().any(|line| {
            let line = line.trim();
            !line.starts_with("echo")
                && line.contains("apt-get install")
                && !line.contains("--download-only")
        });
        assert!(!installs, "{name} asks nobody");
        if text.contains("install_packages") {
            asking += 1;
            assert!(text.contains("--yes) export PICKET_YES=yes"), "{name}");
            let (success, help) = run(Machine::new().command(&format!("./{name}")).arg("--help"));
            assert!(success && help.contains("--yes"), "{name}: {help}");
        }
    }
    assert!(asking >= 6, "{asking}");
}
