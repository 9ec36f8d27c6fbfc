//! The names that this device goes by.

use std::net::IpAddr;

use super::settings::HttpSettings;

/// Domains that no site of the world can have: those of networks at home (RFC 8375, ICANN's
/// reservation of `internal`), and those that routers make up.
const PRIVATE: [&str; 4] = ["lan", "home.arpa", "internal", "fritz.box"];

/// Whether the device goes by this name. An address is always ours: no site can make a browser
/// believe that a page of its own came from a bare address.
pub(super) fn is_own_name(settings: &HttpSettings, host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return true;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let same = |name: &str| !name.is_empty() && host.eq_ignore_ascii_case(name);
    if same("localhost") || same(&settings.hostname) {
        return true;
    }
    if settings.allowed_hosts.iter().any(|name| same(name)) {
        return true;
    }
    let Some((label, domain)) = host.split_once('.') else {
        return false;
    };
    let other = settings.other_name.as_ref().and_then(|name| name.borrow().clone());
    let own = [Some(&settings.hostname), other.as_ref()].into_iter().flatten();
    let is_own = |name: &String| !name.is_empty() && label.eq_ignore_ascii_case(name);
    if own.clone().any(is_own) && domain.eq_ignore_ascii_case("local") {
        return true;
    }
    // What this machine goes by without us is among the allowed ones.
    own.chain(&settings.allowed_hosts).any(is_own)
        && (PRIVATE.iter().any(|private| domain.eq_ignore_ascii_case(private))
            || settings.domains.contains(domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::local_domains::LocalDomains;

    #[test]
    fn the_devices_own_name_is_its_own_in_the_networks_domains() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("resolv.conf");
        let settings = |domains| HttpSettings {
            hostname: "porch".into(),
            allowed_hosts: vec!["cam.example.org".into(), "raspberrypi".into()],
            domains,
            ..HttpSettings::default()
        };
        std::fs::write(&file, "search dorm.example.net\n").unwrap();
        let with = settings(LocalDomains::of(&file));
        for host in [
            "porch.lan",
            "PORCH.home.arpa.",
            "porch.fritz.box",
            "porch.internal",
            "porch.Dorm.example.net",
            "raspberrypi.lan",
            "raspberrypi.dorm.example.net",
        ] {
            assert!(is_own_name(&with, host), "{host}");
        }
        for host in [
            "other.lan",
            "lan",
            ".lan",
            "porch.lan.evil.example",
            "a.porch.lan",
            "xporch.lan",
            "porch.box",
            "porch.example.net",
            "other.dorm.example.net",
            "dorm.example.net",
            "cam.lan",
        ] {
            assert!(!is_own_name(&with, host), "{host}");
        }
        assert!(!is_own_name(&settings(LocalDomains::default()), "porch.dorm.example.net"));
        assert!(!is_own_name(&settings(LocalDomains::of("/dev/zero")), "porch.dorm.example.net"));
        assert!(!is_own_name(&settings(LocalDomains::of("/none")), "porch.dorm.example.net"));
    }
}
