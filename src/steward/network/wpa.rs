//! wpa_supplicant: its configuration, and its control interface (hostap's `doc/ctrl_iface.doxygen`).

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::UnixDatagram;

use crate::appliance::SeenNetwork;
use crate::config::{CountryCode, WifiNetwork};

/// How long wpa_supplicant may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The device's own network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnNetwork {
    pub(super) ssid: String,
    pub(super) key: String,
}

/// What all configurations begin with.
fn head(sockets: &Path, country: Option<&CountryCode>) -> String {
    let mut conf = format!("ctrl_interface={}\np2p_disabled=1\nsae_pwe=2\n", sockets.display());
    if let Some(country) = country {
        let _ = writeln!(conf, "country={country}");
    }
    conf
}

/// The configuration by which one of `networks` is joined, the first if several are in reach.
pub(super) fn station(
    sockets: &Path,
    country: Option<&CountryCode>,
    networks: &[WifiNetwork],
) -> String {
    let mut conf = head(sockets, country);
    for (rank, network) in networks.iter().rev().enumerate() {
        // As hexadecimal digits a name cannot be anything else, whatever is in it.
        let ssid = hex(network.ssid.as_str().as_bytes());
        let hidden = u8::from(network.hidden);
        let _ = write!(conf, "network={{\n ssid={ssid}\n scan_ssid={hidden}\n priority={rank}\n");
        let secret = network.password.as_ref().map(crate::config::Secret::expose);
        let _ = match secret {
            // Taken as it is between the first and the last quote of its line, which it cannot
            // leave: a passphrase is printable ASCII.
            Some(text) if text.len() < 64 => write!(
                conf,
                " key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\n psk=\"{text}\"\n ieee80211w=1\n}}\n"
            ),
            Some(key) => {
                write!(conf, " key_mgmt=WPA-PSK WPA-PSK-SHA256\n psk={key}\n ieee80211w=1\n}}\n")
            }
            None => conf.write_str(" key_mgmt=NONE\n}\n"),
        };
    }
    conf
}

/// The configuration by which the device is an access point: WPA2, because every telephone has it,
/// on a channel that is lawful everywhere.
pub(super) fn access_point(
    sockets: &Path,
    country: Option<&CountryCode>,
    own: &OwnNetwork,
) -> String {
    let ssid = hex(own.ssid.as_bytes());
    let key = &own.key;
    head(sockets, country)
        + &format!(
            "network={{\n ssid={ssid}\n mode=2\n frequency=2437\n key_mgmt=WPA-PSK\n proto=RSN\n \
             pairwise=CCMP\n psk=\"{key}\"\n}}\n"
        )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What wpa_supplicant tells by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    Joined,
    /// The network was lost, or wpa_supplicant itself.
    Left,
    /// The network of this name refused its password.
    Refused {
        ssid: String,
    },
    /// No network that is known is in reach.
    NotFound,
    /// Somebody came into, or left, the device's own network.
    Guest {
        came: bool,
    },
}

impl News {
    /// Reads an event; `None` for the many that mean nothing here.
    fn read(line: &str) -> Option<Self> {
        let (_, event) = line.strip_prefix('<')?.split_once('>')?;
        let (name, rest) = event.split_once(' ').unwrap_or((event, ""));
        match name {
            "CTRL-EVENT-CONNECTED" => Some(Self::Joined),
            "CTRL-EVENT-DISCONNECTED" => Some(Self::Left),
            "CTRL-EVENT-NETWORK-NOT-FOUND" => Some(Self::NotFound),
            "CTRL-EVENT-SSID-TEMP-DISABLED" => {
                // A name may hold anything, but no quote that is not escaped.
                let (_, rest) = rest.split_once("ssid=\"")?;
                let (ssid, rest) = rest.rsplit_once("\" ")?;
                let (_, reason) = rest.rsplit_once("reason=")?;
                // WPA3 has no key to be wrong: its handshake fails.
                matches!(reason.trim(), "WRONG_KEY" | "AUTH_FAILED" | "CONN_FAILED")
                    .then_some(Self::Refused { ssid: printed(ssid)? })
            }
            "AP-STA-CONNECTED" => Some(Self::Guest { came: true }),
            "AP-STA-DISCONNECTED" => Some(Self::Guest { came: false }),
            _ => None,
        }
    }
}

/// A line to wpa_supplicant.
#[derive(Debug)]
pub(super) struct Control {
    socket: UnixDatagram,
    own: PathBuf,
}

impl Control {
    /// Connects to the wpa_supplicant of `link`, which must have started.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn connect(sockets: &Path, link: &str) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let own = sockets.with_extension(format!("client-{number}"));
        let _ = std::fs::remove_file(&own);
        let control = Self { socket: UnixDatagram::bind(&own)?, own };
        control.socket.connect(sockets.join(link))?;
        Ok(control)
    }

    /// Asks for news.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn attach(&self) -> io::Result<()> {
        self.ask("ATTACH").await.map(drop)
    }

    /// Asks, and returns the answer. Not to be used on a line that has news.
    ///
    /// # Errors
    /// When none comes, or it is a refusal.
    pub(super) async fn ask(&self, command: &str) -> io::Result<String> {
        self.socket.send(command.as_bytes()).await?;
        let answer = tokio::time::timeout(PATIENCE, self.line());
        let answer = answer.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        match answer.trim_end() {
            "FAIL" | "UNKNOWN COMMAND" => {
                Err(io::Error::other(format!("wpa_supplicant refused {command}")))
            }
            _ => Ok(answer),
        }
    }

    /// Waits for a sign of life: news, or something else, such as the answer to [`Self::prod`].
    ///
    /// # Errors
    /// When the line is broken.
    pub(super) async fn hear(&self) -> io::Result<Option<News>> {
        Ok(News::read(&self.line().await?))
    }

    /// Has wpa_supplicant give a sign of life on this very line.
    ///
    /// # Errors
    /// When there is nobody at the other end any more: another one, started since, has not taken it
    /// over (unix(7), ECONNREFUSED).
    pub(super) async fn prod(&self) -> io::Result<()> {
        self.socket.send(b"PING").await.map(drop)
    }

    async fn line(&self) -> io::Result<String> {
        let mut buffer = vec![0; 32 * 1024];
        let length = self.socket.recv(&mut buffer).await?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.own);
    }
}

/// Reads the answer to `SCAN_RESULTS`: each name once, the strongest first.
pub(super) fn scan_results(answer: &str) -> Vec<SeenNetwork> {
    let mut seen: Vec<SeenNetwork> = Vec::new();
    for line in answer.lines().skip(1) {
        let fields: Vec<&str> = line.splitn(5, '\t').collect();
        let [_, _, signal, flags, ssid] = fields[..] else { continue };
        let (Ok(signal), Some(ssid)) = (signal.parse(), printed(ssid)) else { continue };
        let open = !["WPA", "RSN", "WEP"].iter().any(|kind| flags.contains(kind));
        match seen.iter_mut().find(|network| network.ssid == ssid) {
            Some(network) => network.signal = network.signal.max(signal),
            None => seen.push(SeenNetwork { ssid, signal, open }),
        }
    }
    seen.sort_by_key(|network| std::cmp::Reverse(network.signal));
    seen
}

/// Whether a network is joined, or the device's own open, by the answer to `STATUS`.
pub(super) fn is_up(answer: &str) -> bool {
    answer.lines().any(|line| line == "wpa_state=COMPLETED")
}

/// The name of the network that was joined, from the answer to `STATUS`.
pub(super) fn joined(answer: &str) -> Option<String> {
    answer.lines().find_map(|line| line.strip_prefix("ssid=")).and_then(printed)
}

/// A name as wpa_supplicant prints it: `\xNN`, `\"`, `\\`, `\e`, `\n`, `\r`, `\t`. `None` for one
/// that is hidden, or no text.
fn printed(text: &str) -> Option<String> {
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
    use crate::config::Secret;

    fn network(ssid: &str, password: Option<&str>) -> WifiNetwork {
        WifiNetwork {
            ssid: ssid.parse().unwrap(),
            password: password.map(Secret::new),
            hidden: password.is_none(),
        }
    }

    #[test]
    fn names_and_passwords_cannot_leave_their_line() {
        let networks = [
            network("a\"}network={ssid=\"b", Some("x\"}psk=$(reboot)`id`\\")),
            network("$(reboot)", None),
        ];
        let conf = station(Path::new("/run/wpa"), "DE".parse().ok().as_ref(), &networks);
        let lines: Vec<&str> = conf.lines().collect();
        assert_eq!(lines.iter().filter(|line| line.starts_with("network={")).count(), 2);
        assert!(lines.contains(&" psk=\"x\"}psk=$(reboot)`id`\\\""), "{conf}");
        assert!(lines.contains(&" ssid=24287265626f6f7429"), "{conf}");
        assert!(lines.contains(&"country=DE"));
        // The first in the file has the highest priority.
        assert!(conf.find("priority=0") < conf.find("priority=1"));
        assert!(conf.find("24287265626f6f7429") < conf.find("priority=0"));
    }

    #[test]
    fn a_key_is_no_passphrase() {
        let conf = station(Path::new("/x"), None, &[network("a", Some(&"0f".repeat(32)))]);
        assert!(conf.contains(&format!(" psk={}\n", "0f".repeat(32))), "{conf}");
        assert!(!conf.contains("SAE"));
    }

    #[test]
    fn news_are_told_from_noise() {
        let read = |line: &str| News::read(line);
        assert_eq!(
            read("<3>CTRL-EVENT-CONNECTED - Connection to 02:00 completed"),
            Some(News::Joined)
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
            assert_eq!(read(&refused), Some(News::Refused { ssid: ssid.to_owned() }));
        }
        assert_eq!(read("<3>AP-STA-CONNECTED 02:00:00"), Some(News::Guest { came: true }));
        for noise in ["OK\n", "<3>CTRL-EVENT-SCAN-STARTED ", "", "<3", "<3>"] {
            assert_eq!(read(noise), None, "{noise}");
        }
    }

    #[test]
    fn the_network_that_was_joined_is_told_by_its_name() {
        let answer = "bssid=02:00\nssid=caf\\xc3\\xa9\nwpa_state=COMPLETED\n";
        assert_eq!(joined(answer).as_deref(), Some("café"));
        assert!(is_up(answer) && !is_up("wpa_state=SCANNING\n"));
        assert_eq!(joined("wpa_state=SCANNING\n"), None);
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
        let seen = scan_results(answer);
        let told: Vec<(&str, i32, bool)> =
            seen.iter().map(|n| (n.ssid.as_str(), n.signal, n.open)).collect();
        assert_eq!(told, [("home", -30, false), ("café", -40, true)]);
    }
}
