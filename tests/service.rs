//! The daemon under a service manager.

mod common;

use std::os::unix::net::UnixDatagram;

use common::daemon::{Daemon, PATIENCE};

/// A service manager that writes down what it is told.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        Self { socket, folder }
    }

    fn start(&self, variables: &[(&str, &str)]) -> Daemon {
        let mut command = Daemon::command(&[]);
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        command.envs(variables.iter().copied());
        Daemon::spawn(command)
    }

    fn hears(&self) -> String {
        let mut buffer = [0; 64];
        let length = self.socket.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

#[test]
fn a_service_manager_hears_of_start_and_end() {
    let manager = Manager::new();
    let mut daemon = manager.start(&[]);
    assert_eq!(manager.hears(), "READY=1");
    assert_eq!(daemon.get_json("/api/v1/sessions"), serde_json::json!([]));
    daemon.signal("-TERM");
    assert_eq!(manager.hears(), "STOPPING=1");
    assert!(daemon.wait().success());
}

#[test]
fn a_service_manager_that_watches_hears_that_all_is_well_again_and_again() {
    let manager = Manager::new();
    let mut daemon = manager.start(&[("WATCHDOG_USEC", "100000")]);
    assert_eq!(manager.hears(), "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.hears(), "WATCHDOG=1");
    }
    daemon.signal("-INT");
    assert!(daemon.wait().success());
    while manager.hears() != "STOPPING=1" {}
}

#[test]
fn a_watchdog_counts_only_for_the_process_it_is_meant_for() {
    for unwatched in [
        // Process 1 is never the daemon.
        &[("WATCHDOG_USEC", "100000"), ("WATCHDOG_PID", "1")][..],
        &[("WATCHDOG_USEC", "0")],
        &[("WATCHDOG_USEC", "soon")],
    ] {
        let manager = Manager::new();
        let mut daemon = manager.start(unwatched);
        assert_eq!(manager.hears(), "READY=1");
        assert_eq!(daemon.get_json("/api/v1/sessions"), serde_json::json!([]));
        daemon.signal("-TERM");
        assert_eq!(manager.hears(), "STOPPING=1", "{unwatched:?}");
        assert!(daemon.wait().success());
    }
}
