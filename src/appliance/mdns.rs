//! The device's name on its network: `NAME.local`, by multicast DNS (RFC 6762), and its page among
//! the services that are found there (RFC 6763).

use mdns_sd::{DaemonEvent, ServiceDaemon, ServiceInfo};

/// Answers for the device's name while it lives.
pub struct Announcement(ServiceDaemon);

impl Announcement {
    /// Answers for `hostname` from now on, with whatever addresses the device has, and tells of its
    /// page at `port`. Where another device has the name already, this one takes the next:
    /// `NAME-2.local`.
    ///
    /// # Errors
    /// When the system has no socket for it; the text says why.
    pub fn start(hostname: &str, port: u16) -> Result<Self, String> {
        let daemon = ServiceDaemon::new().map_err(|e| e.to_string())?;
        let host = format!("{hostname}.local.");
        let properties = [("path", "/")];
        let service =
            ServiceInfo::new("_http._tcp.local.", hostname, &host, "", port, &properties[..]);
        let service = service.map_err(|e| e.to_string())?.enable_addr_auto();
        daemon.register(service).map_err(|e| e.to_string())?;
        if let Ok(events) = daemon.monitor() {
            tokio::spawn(async move {
                while let Ok(event) = events.recv_async().await {
                    match event {
                        DaemonEvent::NameChange(change) => log::warn!(
                            "another device goes by the name {}: this one is {}",
                            change.original,
                            change.new_name
                        ),
                        DaemonEvent::Error(error) => log::debug!("multicast DNS: {error}"),
                        _ => {}
                    }
                }
            });
        }
        Ok(Self(daemon))
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Says goodbye, so that nobody asks for it in vain.
        let _ = self.0.shutdown();
    }
}
