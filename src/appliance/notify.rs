//! Telling a service manager how the daemon is doing: sd_notify(3).
//!
//! Each message is one datagram to the socket that `$NOTIFY_SOCKET` names. The protocol is promised
//! to be stable ("Standalone Implementations", sd_notify(3)), and too small to need a library.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A service manager that does not read its socket must not hold up the daemon for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The service manager that started this process and asked to be told.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names; `None` when nobody asked to be told.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let name = std::env::var_os("NOTIFY_SOCKET")?;
        let watchdog = watchdog(|key| std::env::var(key).ok(), std::process::id());
        match Self::at(&name, watchdog) {
            Ok(manager) => Some(manager),
            Err(error) => {
                let name = name.display();
                log::warn!("cannot tell the service manager at NOTIFY_SOCKET={name}: {error}");
                None
            }
        }
    }

    /// The one that listens at `name`, which is a path, or an abstract name after an `@`.
    fn at(name: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::other("expected a path, or a name after an @")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, address, watchdog })
    }

    /// How often it wants to be told that all is [well](Self::well). Without word for this long it
    /// ends the process and starts another. `None` when it does not watch.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The daemon has started, and can be reached.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The daemon does its work.
    pub fn well(&self) {
        self.tell("WATCHDOG=1");
    }

    /// The daemon was asked to end, and is about to.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, message: &str) {
        if let Err(error) = self.socket.send_to_addr(message.as_bytes(), &self.address) {
            log::warn!("the service manager could not be told {message}: {error}");
        }
    }
}

/// What `$WATCHDOG_USEC` says, if `$WATCHDOG_PID` does not say that it is meant for another process
/// (sd_watchdog_enabled(3)).
fn watchdog(variable: impl Fn(&str) -> Option<String>, own_id: u32) -> Option<Duration> {
    if variable("WATCHDOG_PID").is_some_and(|id| id.parse() != Ok(own_id)) {
        return None;
    }
    let interval = variable("WATCHDOG_USEC")?.parse().ok().map(Duration::from_micros);
    interval.filter(|interval| !interval.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listener: &UnixDatagram) -> String {
        let mut buffer = [0; 64];
        let length = listener.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    fn is_told(name: &OsStr, listener: &UnixDatagram) {
        let manager = ServiceManager::at(name, None).unwrap();
        manager.ready();
        manager.well();
        manager.stopping();
        assert_eq!([(); 3].map(|()| heard(listener)), ["READY=1", "WATCHDOG=1", "STOPPING=1"]);
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
        let error = ServiceManager::at("vsock:2:1".as_ref(), None).unwrap_err();
        assert!(error.to_string().contains("expected a path"), "{error}");
        ServiceManager::at("/nowhere/notify".as_ref(), None).unwrap().ready();
    }

    #[test]
    fn a_watchdog_counts_only_for_the_process_it_is_meant_for() {
        let asked = |variables: &'static [(&str, &str)]| {
            let find = move |key: &str| {
                variables.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).into())
            };
            watchdog(find, 7)
        };
        let second = Some(Duration::from_secs(1));
        assert_eq!(asked(&[("WATCHDOG_USEC", "1000000")]), second);
        assert_eq!(asked(&[("WATCHDOG_USEC", "1000000"), ("WATCHDOG_PID", "7")]), second);
        assert_eq!(asked(&[("WATCHDOG_USEC", "1000000"), ("WATCHDOG_PID", "8")]), None);
        assert_eq!(asked(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(asked(&[("WATCHDOG_USEC", "soon")]), None);
        assert_eq!(asked(&[]), None);
    }
}
