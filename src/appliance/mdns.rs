//! The device's name on its network: `NAME.local`, by multicast DNS (RFC 6762), and its page among
//! the services that are found there (RFC 6763).

use mdns_sd::{DaemonEvent, ServiceDaemon, ServiceInfo};
use tokio::sync::watch;

/// The name by which the device is found if another device has its own.
pub type AlternativeName = Option<String>;

/// Answers queries for the device's name until it is dropped.
pub struct MdnsResponder(ServiceDaemon);

impl MdnsResponder {
    /// Answers queries for `hostname` from now on, with whatever addresses the device has, and
    /// announces its page at `port`. If another device has the name already, this one takes the
    /// next, `NAME-2.local` (RFC 6762 §9), and sends it to `alternative`. A device in two networks
    /// may have another name in each; `alternative` is the one that was taken last.
    ///
    /// # Errors
    /// When the system has no socket for it; the text says why.
    pub fn start(
        hostname: &str,
        port: u16,
        alternative: watch::Sender<AlternativeName>,
    ) -> Result<Self, String> {
        let daemon = ServiceDaemon::new().map_err(|e| e.to_string())?;
        let host = format!("{hostname}.local.");
        let properties = [("path", "/")];
        let service =
            ServiceInfo::new("_http._tcp.local.", hostname, &host, "", port, &properties[..]);
        let service = service.map_err(|e| e.to_string())?.enable_addr_auto();
        daemon.register(service).map_err(|e| e.to_string())?;
        if let Ok(events) = daemon.monitor() {
            let hostname = hostname.to_owned();
            tokio::spawn(async move {
                while let Ok(event) = events.recv_async().await {
                    handle_event(&event, &hostname, &alternative);
                }
            });
        }
        Ok(Self(daemon))
    }
}

fn handle_event(event: &DaemonEvent, hostname: &str, alternative: &watch::Sender<AlternativeName>) {
    match event {
        // The name of the page's service changes, too, which does not matter.
        DaemonEvent::NameChange(change) => {
            if let Some(name) = next_name(hostname, &change.new_name) {
                log::warn!("another device is {hostname}.local: this one is {name}.local");
                alternative.send_replace(Some(name.to_owned()));
            }
        }
        DaemonEvent::Error(error) => log::debug!("multicast DNS: {error}"),
        _ => {}
    }
}

/// The first label of `host`, if it is one that a device called `hostname` takes if another device
/// has that name. Other devices on the network have an influence on it, which must not go beyond
/// the number at its end.
fn next_name<'h>(hostname: &str, host: &'h str) -> Option<&'h str> {
    let numbered = |name: &'_ str| -> Option<(usize, u32)> {
        let (stem, number) = name.rsplit_once('-')?;
        Some((stem.len(), number.parse().ok()?))
    };
    // From `porch-2`, the next is `porch-3`.
    let (stem, least) = numbered(hostname).unwrap_or((hostname.len(), 1));
    let name = host.strip_suffix(".local.")?;
    let (length, number) = numbered(name)?;
    let digits_only = name.get(length + 1..)?.bytes().all(|byte| byte.is_ascii_digit());
    (name.get(..length)? == hostname.get(..stem)? && digits_only && number > least).then_some(name)
}

impl Drop for MdnsResponder {
    fn drop(&mut self) {
        // Sends a goodbye packet (RFC 6762 §10.1), so that nobody looks for it any more.
        let _ = self.0.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_name_is_the_device_s_own_with_a_number() {
        for (hostname, host, name) in [
            ("porch", "porch-2.local.", "porch-2"),
            ("porch", "porch-17.local.", "porch-17"),
            ("porch-2", "porch-3.local.", "porch-3"),
            ("front-porch", "front-porch-2.local.", "front-porch-2"),
        ] {
            assert_eq!(next_name(hostname, host), Some(name));
        }
        for host in [
            "porch.local.",
            "porch-.local.",
            "porch-+2.local.",
            "porch-0.local.",
            "porch-1.local.",
            "porch-2.local",
            "porch-2.example.",
            "porch-2.example.local.",
            "porch-99999999999.local.",
            "router-2.local.",
            "porch-2-evil.local.",
            "porch (2)._http._tcp.local.",
            "-2.local.",
            "",
        ] {
            assert_eq!(next_name("porch", host), None, "{host}");
        }
        assert_eq!(next_name("porch-2", "porch-2-2.local."), None);
    }
}
