//! Notifies the service manager of how the daemon is doing: sd_notify(3).
//!
//! Messages and the watchdog's variables are those of the crate `sd-notify`. Sending is done here,
//! because the crate (0.5.0) connects to a path only, where the protocol also has abstract sockets,
//! and waits without limit for a manager that does not read.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

/// A service manager that does not read its socket must not hold up the daemon for longer.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// The service manager that started this process and wants notifications.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl ServiceManager {
    /// The one that `$NOTIFY_SOCKET` names; `None` if it is not set.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let name = std::env::var_os("NOTIFY_SOCKET")?;
        match Self::at(&name) {
            Ok(manager) => Some(manager),
            Err(error) => {
                let name = name.display();
                log::warn!("the service manager at NOTIFY_SOCKET={name} is not notified: {error}");
                None
            }
        }
    }

    /// The one that listens at `name`, which is a path, or an abstract name after an `@`.
    fn at(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::other("expected a path, or a name after an @")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Self { socket, address })
    }

    /// The watchdog timeout: without a [keep-alive](Self::keep_alive) for this long the manager
    /// ends the process and starts another. `None` if it has no watchdog for this process.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        sd_notify::watchdog_enabled().filter(|timeout| !timeout.is_zero())
    }

    /// The daemon has started, and can be reached.
    pub fn ready(&self) {
        self.send(&NotifyState::Ready);
    }

    /// The daemon does its work: the watchdog's timeout begins again.
    pub fn keep_alive(&self) {
        self.send(&NotifyState::Watchdog);
    }

    /// The daemon was asked to end, and is about to.
    pub fn stopping(&self) {
        self.send(&NotifyState::Stopping);
    }

    fn send(&self, state: &NotifyState<'_>) {
        let message = state.to_string();
        if let Err(error) = self.socket.send_to_addr(message.as_bytes(), &self.address) {
            log::warn!("the service manager could not be sent {message}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(listener: &UnixDatagram) -> String {
        let mut buffer = [0; 64];
        let length = listener.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    fn is_told(name: &OsStr, listener: &UnixDatagram) {
        let manager = ServiceManager::at(name).unwrap();
        manager.ready();
        manager.keep_alive();
        manager.stopping();
        assert_eq!([(); 3].map(|()| received(listener)), ["READY=1", "WATCHDOG=1", "STOPPING=1"]);
    }

    #[test]
    fn a_manager_at_a_path_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        is_told(path.as_os_str(), &UnixDatagram::bind(&path).unwrap());
    }

    #[test]
    fn a_manager_at_an_abstract_name_is_told() {
        let name = format!("picket-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        is_told(format!("@{name}").as_ref(), &listener);
    }

    #[test]
    fn a_manager_elsewhere_is_refused_and_one_that_has_gone_is_survived() {
        let error = ServiceManager::at("vsock:2:1".as_ref()).unwrap_err();
        assert!(error.to_string().contains("expected a path"), "{error}");
        ServiceManager::at("/nowhere/notify".as_ref()).unwrap().ready();
    }
}
