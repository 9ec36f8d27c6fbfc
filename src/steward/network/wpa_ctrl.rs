//! wpa_supplicant's control interface (hostap's `doc/ctrl_iface.doxygen`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::UnixDatagram;

use crate::appliance::SeenNetwork;

/// How long wpa_supplicant may take to reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// What wpa_supplicant reports by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SupplicantEvent {
    /// A network was joined, or the access point is up.
    Connected,
    /// The network was lost, or wpa_supplicant itself.
    Disconnected,
    /// The network of this name refused its password.
    PasswordRefused { ssid: String },
    /// None of the configured networks is in range.
    NetworkNotFound,
    /// A station has connected to the access point.
    StationConnected,
    /// A station has left the access point.
    StationDisconnected,
}

impl SupplicantEvent {
    /// Parses an event; `None` for the many that do not matter here.
    fn parse(line: &str) -> Option<Self> {
        let (_, event) = line.strip_prefix('<')?.split_once('>')?;
        let (name, rest) = event.split_once(' ').unwrap_or((event, ""));
        match name {
            "CTRL-EVENT-CONNECTED" => Some(Self::Connected),
            "CTRL-EVENT-DISCONNECTED" => Some(Self::Disconnected),
            "CTRL-EVENT-NETWORK-NOT-FOUND" => Some(Self::NetworkNotFound),
            "CTRL-EVENT-SSID-TEMP-DISABLED" => {
                // A name may hold anything except an unescaped quote.
                let (_, rest) = rest.split_once("ssid=\"")?;
                let (ssid, rest) = rest.rsplit_once("\" ")?;
                let (_, reason) = rest.rsplit_once("reason=")?;
                // In WPA3 no key is reported as wrong: the handshake fails.
                matches!(reason.trim(), "WRONG_KEY" | "AUTH_FAILED" | "CONN_FAILED")
                    .then_some(Self::PasswordRefused { ssid: unescape(ssid)? })
            }
            "AP-STA-CONNECTED" => Some(Self::StationConnected),
            "AP-STA-DISCONNECTED" => Some(Self::StationDisconnected),
            _ => None,
        }
    }
}

/// A connection to wpa_supplicant.
#[derive(Debug)]
pub(super) struct WpaCtrl {
    socket: UnixDatagram,
    local: PathBuf,
}

impl WpaCtrl {
    /// Connects to the wpa_supplicant of `link`, which must have started.
    ///
    /// # Errors
    /// When it does not accept the connection.
    pub(super) async fn connect(sockets: &Path, link: &str) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let local = sockets.with_extension(format!("client-{number}"));
        let _ = std::fs::remove_file(&local);
        let control = Self { socket: UnixDatagram::bind(&local)?, local };
        control.socket.connect(sockets.join(link))?;
        Ok(control)
    }

    /// Subscribes this connection to events.
    ///
    /// # Errors
    /// When there is no reply.
    pub(super) async fn attach(&self) -> io::Result<()> {
        self.request("ATTACH").await.map(drop)
    }

    /// Sends a command, and returns the reply. Not to be used on a connection that receives events.
    ///
    /// # Errors
    /// When there is no reply, or it is a refusal.
    pub(super) async fn request(&self, command: &str) -> io::Result<String> {
        self.socket.send(command.as_bytes()).await?;
        let reply = tokio::time::timeout(REPLY_TIMEOUT, self.receive());
        let reply = reply.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        match reply.trim_end() {
            "FAIL" | "UNKNOWN COMMAND" => {
                Err(io::Error::other(format!("wpa_supplicant refused {command}")))
            }
            _ => Ok(reply),
        }
    }

    /// Waits for a message: an event that matters, or another one, such as the reply to
    /// [`Self::ping`].
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) async fn next_message(&self) -> io::Result<Option<SupplicantEvent>> {
        Ok(SupplicantEvent::parse(&self.receive().await?))
    }

    /// Has wpa_supplicant send a reply on this connection.
    ///
    /// # Errors
    /// When it has ended; another one that was started since does not take over its connections
    /// (unix(7), ECONNREFUSED).
    pub(super) async fn ping(&self) -> io::Result<()> {
        self.socket.send(b"PING").await.map(drop)
    }

    async fn receive(&self) -> io::Result<String> {
        let mut buffer = vec![0; 32 * 1024];
        let length = self.socket.recv(&mut buffer).await?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}

impl Drop for WpaCtrl {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.local);
    }
}

/// Parses the reply to `SCAN_RESULTS`: each name once, the strongest first.
pub(super) fn parse_scan_results(reply: &str) -> Vec<SeenNetwork> {
    let mut seen: Vec<SeenNetwork> = Vec::new();
    for line in reply.lines().skip(1) {
        let fields: Vec<&str> = line.splitn(5, '\t').collect();
        let [_, _, signal, flags, ssid] = fields[..] else { continue };
        let (Ok(signal), Some(ssid)) = (signal.parse(), unescape(ssid)) else { continue };
        let open = !["WPA", "RSN", "WEP"].iter().any(|kind| flags.contains(kind));
        match seen.iter_mut().find(|network| network.ssid == ssid) {
            Some(network) => network.signal = network.signal.max(signal),
            None => seen.push(SeenNetwork { ssid, signal, open }),
        }
    }
    seen.sort_by_key(|network| std::cmp::Reverse(network.signal));
    seen
}

/// Whether a network is joined, or the access point up, by the reply to `STATUS`.
pub(super) fn is_completed(reply: &str) -> bool {
    reply.lines().any(|line| line == "wpa_state=COMPLETED")
}

/// The name of the network that was joined, from the reply to `STATUS`.
pub(super) fn parse_joined_ssid(reply: &str) -> Option<String> {
    reply.lines().find_map(|line| line.strip_prefix("ssid=")).and_then(unescape)
}

/// Decodes a name as wpa_supplicant prints it: `\xNN`, `\"`, `\\`, `\e`, `\n`, `\r`, `\t`. `None`
/// for one that is hidden, or not text.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes().iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => bytes.push(match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'e' => 0x1b,
                b'x' => {
                    let digit = |c: u8| char::from(c).to_digit(16);
                    let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                    u8::try_from(high * 16 + low).ok()?
                }
                plain => plain,
            }),
            plain => bytes.push(plain),
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (!name.is_empty() && !name.contains(char::is_control)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_told_from_noise() {
        let read = |line: &str| SupplicantEvent::parse(line);
        assert_eq!(
            read("<3>CTRL-EVENT-CONNECTED - Connection to 02:00 completed"),
            Some(SupplicantEvent::Connected)
        );
        // Names as they are printed, and what they are.
        for (printed, ssid) in [
            ("home", "home"),
            ("a reason=x", "a reason=x"),
            ("\\\" auth_failures=0 reason=x", "\" auth_failures=0 reason=x"),
            ("caf\\xc3\\xa9\\\\", "café\\"),
        ] {
            let refused = format!(
                "<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"{printed}\" auth_failures=1 \
                 duration=10 reason=WRONG_KEY"
            );
            assert_eq!(
                read(&refused),
                Some(SupplicantEvent::PasswordRefused { ssid: ssid.to_owned() })
            );
        }
        assert_eq!(read("<3>AP-STA-CONNECTED 02:00:00"), Some(SupplicantEvent::StationConnected));
        for noise in ["OK\n", "<3>CTRL-EVENT-SCAN-STARTED ", "", "<3", "<3>"] {
            assert_eq!(read(noise), None, "{noise}");
        }
    }

    #[test]
    fn the_network_that_was_joined_is_told_by_its_name() {
        let answer = "bssid=02:00\nssid=caf\\xc3\\xa9\nwpa_state=COMPLETED\n";
        assert_eq!(parse_joined_ssid(answer).as_deref(), Some("café"));
        assert!(is_completed(answer) && !is_completed("wpa_state=SCANNING\n"));
        assert_eq!(parse_joined_ssid("wpa_state=SCANNING\n"), None);
    }

    #[test]
    fn networks_in_reach_are_read_and_sorted() {
        let answer = "bssid / frequency / signal level / flags / ssid\n\
                      02:00:00:00:01:00\t2412\t-60\t[WPA2-PSK-CCMP][ESS]\thome\n\
                      02:00:00:00:02:00\t2412\t-40\t[ESS]\tcaf\\xc3\\xa9\n\
                      02:00:00:00:03:00\t5180\t-30\t[WPA2-PSK+SAE-CCMP][ESS]\thome\n\
                      02:00:00:00:04:00\t2412\t-20\t[WPA2-PSK-CCMP][ESS]\t\n\
                      broken\n\
                      02:00:00:00:05:00\t2412\t-70\t[ESS]\t\\xff\\xfe\n";
        let seen = parse_scan_results(answer);
        let told: Vec<(&str, i32, bool)> =
            seen.iter().map(|n| (n.ssid.as_str(), n.signal, n.open)).collect();
        assert_eq!(told, [("home", -30, false), ("café", -40, true)]);
    }
}
