//! The names that this device goes by.

use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Settings;

/// Domains that no site of the world can have: those of networks at home (RFC 8375, ICANN's
/// reservation of `internal`), and those that routers make up.
const PRIVATE: [&str; 4] = ["lan", "home.arpa", "internal", "fritz.box"];

/// Top-level domains that are nobody's, which networks use for themselves. Any other that a
/// network names alone would be shared with the world.
const MADE_UP: [&str; 8] =
    ["lan", "home", "internal", "intranet", "private", "corp", "localdomain", "localnet"];

/// Whether the device goes by this name. An address is always ours: no site can make a browser
/// believe that a page of its own came from a bare address.
pub(super) fn is_ours(settings: &Settings, host: &str) -> bool {
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
            || settings.domains.has(domain))
}

/// How long what was read of the network's domains is believed.
const FRESH: Duration = Duration::from_secs(5);

/// No file of this kind is longer; what is, is read so far.
const MAX_FILE: u64 = 4096;

/// Domains of one network.
const MAX_DOMAINS: usize = 8;

/// The domains that the network says this machine is in, by DHCP: those in `resolv.conf(5)`. They
/// may change with the network, so they are looked up anew.
#[derive(Clone, Default)]
pub struct LocalDomains(Option<Arc<Mutex<Known>>>);

struct Known {
    file: PathBuf,
    read: Option<Instant>,
    domains: Vec<String>,
}

impl LocalDomains {
    /// Those that this file names, usually `/etc/resolv.conf`.
    #[must_use]
    pub fn of(file: impl Into<PathBuf>) -> Self {
        let known = Known { file: file.into(), read: None, domains: Vec::new() };
        Self(Some(Arc::new(Mutex::new(known))))
    }

    fn has(&self, domain: &str) -> bool {
        let Some(known) = &self.0 else {
            return false;
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.read.is_none_or(|read| read.elapsed() > FRESH) {
            known.domains = read(&known.file).unwrap_or_default();
            known.read = Some(Instant::now());
        }
        known.domains.iter().any(|own| own.eq_ignore_ascii_case(domain))
    }
}

impl fmt::Debug for LocalDomains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalDomains").finish_non_exhaustive()
    }
}

fn read(file: &PathBuf) -> std::io::Result<Vec<String>> {
    // Anything else might keep us waiting.
    if !std::fs::metadata(file)?.is_file() {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(domains(&String::from_utf8_lossy(&bytes)))
}

fn domains(text: &str) -> Vec<String> {
    let words = text.lines().flat_map(|line| {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let names = matches!(words.next(), Some("search" | "domain"));
        words.filter(move |_| names)
    });
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    words
        .map(|domain| domain.trim_end_matches('.').to_ascii_lowercase())
        .filter(|domain| domain.split('.').all(label))
        .filter(|domain| domain.contains('.') || MADE_UP.contains(&domain.as_str()))
        .take(MAX_DOMAINS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_names_its_domains() {
        let text = "# made by a program\nnameserver 192.0.2.1\nsearch Speedport.ip example.org. # x\n\
                    domain home\noptions ndots:1 search.example\nsearching no.example\n";
        assert_eq!(domains(text), ["speedport.ip", "example.org", "home"]);
        for text in
            ["", "search", "search .", "search com", "search a..b", "; search a.b", "search ü.b"]
        {
            assert!(domains(text).is_empty(), "{text}");
        }
        assert_eq!(domains(&"search a.b\n".repeat(50)).len(), MAX_DOMAINS);
    }

    #[test]
    fn the_devices_own_name_is_its_own_in_the_networks_domains() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("resolv.conf");
        let settings = |domains| Settings {
            hostname: "porch".into(),
            allowed_hosts: vec!["cam.example.org".into(), "raspberrypi".into()],
            domains,
            ..Settings::default()
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
            assert!(is_ours(&with, host), "{host}");
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
            assert!(!is_ours(&with, host), "{host}");
        }
        assert!(!is_ours(&settings(LocalDomains::default()), "porch.dorm.example.net"));
        assert!(!is_ours(&settings(LocalDomains::of("/dev/zero")), "porch.dorm.example.net"));
        assert!(!is_ours(&settings(LocalDomains::of("/none")), "porch.dorm.example.net"));
    }
}
