//! The domains that the network says this machine is in.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Top-level domains that are nobody's, which networks use for themselves. Any other that a
/// network names alone would be shared with the world.
const MADE_UP: [&str; 8] =
    ["lan", "home", "internal", "intranet", "private", "corp", "localdomain", "localnet"];

/// How long what was read is used before it is read again.
const CACHE_TIME: Duration = Duration::from_secs(5);

/// No file of this kind is longer; what is, is read so far.
const MAX_FILE: u64 = 4096;

/// Domains of one network.
const MAX_DOMAINS: usize = 8;

/// The domains that the network says this machine is in, by DHCP: those in `resolv.conf(5)`. They
/// may change with the network, so they are looked up again from time to time.
#[derive(Clone, Default)]
pub struct LocalDomains(Option<Arc<Mutex<Cache>>>);

struct Cache {
    file: PathBuf,
    read: Option<Instant>,
    domains: Vec<String>,
}

impl LocalDomains {
    /// Those that this file names, usually `/etc/resolv.conf`.
    #[must_use]
    pub fn of(file: impl Into<PathBuf>) -> Self {
        let cache = Cache { file: file.into(), read: None, domains: Vec::new() };
        Self(Some(Arc::new(Mutex::new(cache))))
    }

    pub(super) fn contains(&self, domain: &str) -> bool {
        let Some(cache) = &self.0 else {
            return false;
        };
        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.read.is_none_or(|read| read.elapsed() > CACHE_TIME) {
            cache.domains = read(&cache.file).unwrap_or_default();
            cache.read = Some(Instant::now());
        }
        cache.domains.iter().any(|own| own.eq_ignore_ascii_case(domain))
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
}
