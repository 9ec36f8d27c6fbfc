//! Mistakes that show only when several keys are looked at together.

use std::net::IpAddr;

use super::{Address, Config, ProblemKind};

/// Two or more keys that contradict each other.
pub(super) struct Conflict {
    /// The one to blame.
    pub(super) key: &'static str,
    pub(super) kind: ProblemKind,
    /// To follow its name.
    pub(super) message: &'static str,
}

/// Finds conflicts, and removes from `config` what cannot be used.
pub(super) fn check(config: &mut Config) -> Vec<Conflict> {
    const REFUSED: ProblemKind = ProblemKind::Refused;
    const WARNING: ProblemKind = ProblemKind::Warning;
    let mut conflicts = Vec::new();
    let mut say = |key, kind, message| conflicts.push(Conflict { key, kind, message });
    let site = &config.site;
    match (&site.download_url, &site.download_sha256) {
        (Some(_), None) => {
            say("site.download_url", REFUSED, "needs `site.download_sha256`; nothing is downloaded")
        }
        (None, Some(_)) => {
            say("site.download_sha256", WARNING, "has no effect without `site.download_url`");
        }
        (Some(_), Some(_)) if site.data_location.is_none() => say(
            "site.download_url",
            REFUSED,
            "needs `site.data_location`, the folder to put the files in; nothing is downloaded",
        ),
        _ => {}
    }
    if site.overwrite_default_files && site.data_location.is_none() {
        say(
            "site.overwrite_default_files",
            WARNING,
            "has no effect without `site.data_location`: the built-in files are served as they are",
        );
    }
    if config.wifi.password.is_some() && config.wifi.ssid.is_none() {
        say("wifi.password", WARNING, "has no effect without `wifi.ssid`");
    }
    if config.led.pin.is_some() && config.led.pin == config.button.pin {
        config.button.pin = None;
        say("button.pin", REFUSED, "is the LED's pin, too; the button is left out");
    }
    let network = &mut config.network;
    match (network.address, network.gateway) {
        (Address::Dhcp, Some(_)) => say(
            "network.gateway",
            WARNING,
            "has no effect with `network.address` = \"dhcp\", which brings one",
        ),
        (Address::Static { address, prefix }, Some(gateway))
            if !is_within(gateway, address, prefix) =>
        {
            network.gateway = None;
            say(
                "network.gateway",
                REFUSED,
                "is not in the network of `network.address`, so it cannot be reached; it is left out",
            );
        }
        _ => {}
    }
    conflicts
}

/// Whether `other` is in the network of `address`, whose first `prefix` bits are the network's.
/// IPv6 routers may be given by their link-local addresses, too (RFC 4861 §4.2).
fn is_within(other: IpAddr, address: IpAddr, prefix: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let rest = width.saturating_sub(u32::from(prefix));
        a.checked_shr(rest).unwrap_or(0) == b.checked_shr(rest).unwrap_or(0)
    };
    match (other, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            a.is_unicast_link_local() || same(a.to_bits(), b.to_bits(), 128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_is_in_the_network_of_the_device() {
        let within = |other: &str, address: &str, prefix| {
            is_within(other.parse().unwrap(), address.parse().unwrap(), prefix)
        };
        assert!(within("192.168.1.1", "192.168.1.20", 24));
        assert!(within("10.9.0.1", "10.1.2.3", 8));
        assert!(within("fd00::1", "fd00::2", 64) && within("fe80::1", "fd00::2", 64));
        assert!(!within("192.168.2.1", "192.168.1.20", 24));
        assert!(!within("10.0.0.1", "192.168.1.20", 24) && !within("fd00::1", "192.168.1.20", 24));
        assert!(!within("192.168.1.1", "192.168.1.20", 32));
    }

    #[test]
    fn keys_that_do_not_go_together_are_told_and_what_cannot_be_used_is_left_out() {
        for (file, line, key) in [
            ("[led]\npin = 4\n[button]\npin = 4", 4, "button.pin"),
            ("[site]\ndownload_url = \"http://a.example/x\"", 2, "site.download_url"),
            ("[site]\noverwrite_default_files = true", 2, "site.overwrite_default_files"),
            ("[network]\ngateway = \"10.0.0.1\"", 2, "network.gateway"),
            ("[network]\naddress = \"10.1.0.2/24\"\ngateway = \"10.0.0.1\"", 3, "network.gateway"),
        ] {
            let loaded = Config::load(file.as_bytes(), "f");
            let [problem] = &loaded.problems[..] else { panic!("{file}: {:?}", loaded.problems) };
            assert!(problem.to_string().starts_with(&format!("f:{line}:1: `{key}` ")), "{problem}");
            assert_eq!(loaded.config.button.pin, None);
            assert!(loaded.config.network.gateway.is_none() || !loaded.any_refused());
        }
    }
}
