//! Addresses that may hold a password.

use std::fmt;
use std::str::FromStr;

use super::Malformed;
use crate::config::Secret;

/// A URL that may hold a password or a key. It prints as scheme and host only.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateUrl(Secret);

impl PrivateUrl {
    /// The whole URL, for the code that opens it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether it names a web server: `http` or `https`, and a host.
    pub(in crate::config) fn is_of_the_web(&self) -> bool {
        let url = self.expose();
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
        let host = authority.map(|text| text.rsplit_once('@').map_or(text, |(_, host)| host));
        host.is_some_and(is_authority)
    }
}

/// A host, and its port if there is one.
pub(super) fn is_authority(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let named = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(plain),
    };
    named && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}

impl FromStr for PrivateUrl {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (scheme, rest) = text.split_once("://").ok_or(Malformed)?;
        let sound = (1..=16).contains(&scheme.len())
            && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && !rest.is_empty()
            && text.len() <= 4096
            && text.bytes().all(|b| b.is_ascii_graphic());
        if sound { Ok(Self(Secret::new(text))) } else { Err(Malformed) }
    }
}

impl fmt::Display for PrivateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.expose().split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, below) = match authority.rsplit_once('@') {
            Some((_, host)) => (host, &rest[authority.len()..]),
            None => (authority, &rest[authority.len()..]),
        };
        // A password that contains `/`, `?` or `#` ends what looks like the host; and one without an
        // `@` looks like a port.
        match !below.contains('@') && is_authority(host) {
            true => write!(f, "{scheme}://{host}/…"),
            false => write!(f, "{scheme}://…"),
        }
    }
}

impl fmt::Debug for PrivateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_the_web_has_a_host_that_can_be_asked() {
        let of_the_web = |url: &str| url.parse::<PrivateUrl>().unwrap().is_of_the_web();
        for good in ["https://a.example", "http://u:p@my_nas:8080/x?y=z", "http://[fd00::2]:81/"] {
            assert!(of_the_web(good), "{good}");
        }
        for bad in [
            "ftp://a.example/x",
            "file:///x",
            "https:///x",
            "http://:80",
            "http://a:0",
            "http://a:x",
        ] {
            assert!(!of_the_web(bad), "{bad}");
        }
    }
}
