//! Configuration files for wpa_supplicant (hostap's `wpa_supplicant.conf`).

use std::fmt::Write;
use std::path::Path;

use base16ct::lower::encode_string;

use crate::config::{CountryCode, WifiNetwork};

/// The device's own access point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccessPoint {
    pub(super) ssid: String,
    pub(super) passphrase: String,
}

/// What every configuration begins with.
fn global(sockets: &Path, country: Option<&CountryCode>) -> String {
    let mut conf = format!("ctrl_interface={}\np2p_disabled=1\nsae_pwe=2\n", sockets.display());
    if let Some(country) = country {
        let _ = writeln!(conf, "country={country}");
    }
    conf
}

/// The configuration with which one of `networks` is joined, the first if several are in range.
pub(super) fn station(
    sockets: &Path,
    country: Option<&CountryCode>,
    networks: &[WifiNetwork],
) -> String {
    let mut conf = global(sockets, country);
    for (rank, network) in networks.iter().rev().enumerate() {
        // In hexadecimal digits, so that a name cannot be taken for anything else.
        let ssid = encode_string(network.ssid.as_str().as_bytes());
        let hidden = u8::from(network.hidden);
        let _ = write!(conf, "network={{\n ssid={ssid}\n scan_ssid={hidden}\n priority={rank}\n");
        let password = network.password.as_ref().map(crate::config::Secret::expose);
        let _ = match password {
            // wpa_supplicant takes all between the first and the last quote of a line, which a
            // passphrase cannot leave: it is printable ASCII.
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

/// The configuration with which the device is an access point: WPA2, because every telephone has
/// it, on channel 6, which is allowed everywhere.
pub(super) fn access_point(
    sockets: &Path,
    country: Option<&CountryCode>,
    access_point: &AccessPoint,
) -> String {
    let ssid = encode_string(access_point.ssid.as_bytes());
    let passphrase = &access_point.passphrase;
    global(sockets, country)
        + &format!(
            "network={{\n ssid={ssid}\n mode=2\n frequency=2437\n key_mgmt=WPA-PSK\n proto=RSN\n \
             pairwise=CCMP\n psk=\"{passphrase}\"\n}}\n"
        )
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
}
