//! Values that are text of a certain form.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::private_url::is_authority;
use super::{Malformed, zone};

/// Defines a text that obeys a rule: built only by parsing, printed as it was written.
macro_rules! validated_text {
    ($(#[$doc:meta])* $name:ident, $rule:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let rule: fn(&str) -> bool = $rule;
                if rule(text) { Ok(Self(text.to_owned())) } else { Err(Malformed) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

validated_text! {
    /// The device's name on the network: one DNS label (RFC 1123 §2.1).
    Hostname, is_label
}
validated_text! {
    /// An existing time zone of the IANA database, such as `Europe/Berlin`.
    Timezone, |text| {
        (1..=64).contains(&text.len())
            && text.split('/').all(|part| {
                !part.is_empty()
                    && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
            })
            && zone::exists(text)
    }
}
validated_text! {
    /// A country by its two capital letters (ISO 3166-1); it decides which radio channels are
    /// legal.
    CountryCode, |text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}
validated_text! {
    /// The name of a wireless network: 1 to 32 bytes (IEEE 802.11 §9.4.2.2).
    Ssid, |text| (1..=32).contains(&text.len()) && !text.chars().any(char::is_control)
}
validated_text! {
    /// A name under which a browser may ask for Picket's pages: a host name or an address,
    /// without scheme and port.
    Host, |text| {
        let name = text.strip_suffix('.').unwrap_or(text);
        text.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(is_label))
    }
}
impl Host {
    /// Whether it is a name that an authority of the world may vouch for: one of a domain, no address.
    pub(in crate::config) fn is_public_name(&self) -> bool {
        let name = self.0.strip_suffix('.').unwrap_or(&self.0);
        name.parse::<IpAddr>().is_err() && name.contains('.')
    }
}

validated_text! {
    /// A host name or an address, and a port if there is one.
    HostAndPort, |text| text.len() <= 260 && is_authority(text)
}
validated_text! {
    /// An address for mail, as far as it matters to those who pass it on (RFC 5321 §4.1.2).
    Email, |text| {
        text.len() <= 254
            && text.split_once('@').is_some_and(|(local, domain)| {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
                !local.is_empty() && local.bytes().all(plain) && domain.split('.').all(is_label)
            })
    }
}
validated_text! {
    /// A web origin (RFC 6454 §6.2), exact: `https://cams.example` or `http://10.0.0.2:8080`.
    /// There is deliberately no wildcard: it would give every page on the web access to the camera.
    Origin, |text| {
        let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        authority.is_some_and(|authority| {
            let (host, port) = match authority.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
                _ => (authority, None),
            };
            let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
            !host.bytes().any(|b| b.is_ascii_uppercase())
                && Host::from_str(host).is_ok()
                && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
        })
    }
}
validated_text! {
    /// Whose pages may show this one in a frame, as CSP's `frame-ancestors` has it: `'self'`, an
    /// [`Origin`], or one with `*.` before its host or `*` as its port. There is deliberately no
    /// `*`: any page on the web could then make visitors click on what they do not see.
    FrameAncestor, |text| {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme, rest.strip_prefix("*.").unwrap_or(rest)),
            None => ("", ""),
        };
        let rest = rest.strip_suffix(":*").unwrap_or(rest);
        text == "'self'" || Origin::from_str(&format!("{scheme}://{rest}")).is_ok()
    }
}
validated_text! {
    /// The path of a page, such as `/garden`, that cannot lead out of the site.
    UrlPath, |text| {
        text.len() <= 256
            && text.strip_prefix('/').is_some_and(|rest| rest.is_empty() || is_clean_path(rest))
    }
}
validated_text! {
    /// The name of a template below the data-files' `templates` folder, such as `garden.html`.
    TemplateName, |text| text.len() <= 256 && is_clean_path(text)
}
validated_text! {
    /// The address of a STUN or TURN server (RFC 7064, RFC 7065).
    IceUrl, |text| {
        let rest = ["stun:", "stuns:", "turn:", "turns:"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        // Credentials in the address would be shown with it.
        rest.is_some_and(|rest| {
            let (host, query) = rest.split_once('?').unwrap_or((rest, ""));
            let host = match host.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
                _ => host,
            };
            let transport = query.strip_prefix("transport=").unwrap_or(query);
            is_authority(host)
                && (!host.contains(':') || host.ends_with(']'))
                && text.len() <= 512
                && transport.bytes().all(|b| b.is_ascii_alphabetic())
                && (query.is_empty() || transport.len() < query.len())
        })
    }
}

validated_text! {
    /// A public key that may sign in by SSH: a line as in `authorized_keys`, without options
    /// (sshd(8)).
    SshKey, |text| {
        let mut words = text.split(' ');
        let kind = words.next().unwrap_or_default();
        let key = words.next().unwrap_or_default();
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
        let known = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
            "ecdsa-sha2-nistp521", "ssh-rsa", "sk-ssh-ed25519@openssh.com"];
        text.len() <= 2048
            && known.contains(&kind)
            && key.len() >= 64
            && key.bytes().all(base64)
            && !text.chars().any(char::is_control)
    }
}

impl Default for Hostname {
    fn default() -> Self {
        Self("picket".to_owned())
    }
}

impl Default for Timezone {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl IceUrl {
    /// Whether this is a relay, which needs a user name and a credential.
    #[must_use]
    pub fn is_turn(&self) -> bool {
        self.0.starts_with("turn")
    }
}

/// One label of a host name: 1 to 63 letters, digits and inner hyphens.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A relative path that stays below where it starts, and means the same in a URL and on disk.
fn is_clean_path(text: &str) -> bool {
    text.split('/').all(|part| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::accepts;

    #[test]
    fn an_origin_is_exact() {
        accepts::<Origin>(
            &["https://cams.example", "http://10.0.0.2:8080", "http://[::1]:81", "http://[::1]"],
            &[
                "*",
                "null",
                "cams.example",
                "https://",
                "https://a.example/",
                "https://*.example",
                "https://a.example:0",
                "https://a.example:99999",
                "ftp://a.example",
                "https://u@a.example",
                "https://A.example",
                "https://a.example https://b.example",
            ],
        );
    }

    #[test]
    fn a_frame_s_ancestor_is_a_site_and_not_the_whole_web() {
        accepts::<FrameAncestor>(
            &[
                "'self'",
                "https://home.example",
                "https://*.home.example",
                "http://10.0.0.2:*",
                "http://[::1]:8123",
            ],
            &[
                "*",
                "self",
                "'none'",
                "https:",
                "https://*",
                "https://*.",
                "https://:*",
                "home.example",
                "https://a.*.example",
                "https://home.example/",
                "https://home.example; script-src *",
                "https://home.example https://evil.example",
            ],
        );
    }

    #[test]
    fn a_host_has_neither_scheme_nor_wildcard() {
        accepts::<Host>(
            &["picket.local", "10.0.0.2", "::1", "cam.example."],
            &["", ".", "*", "*.example", "http://a", "a:80", "a b", "-a", "a..b"],
        );
    }

    #[test]
    fn paths_stay_below_where_they_start() {
        accepts::<UrlPath>(
            &["/", "/garden", "/a/b.c"],
            &["", "garden", "//", "/../x", "/a/..", "/a/", "/a?b", "/%2e%2e/x", "/a b", "/a\\b"],
        );
        accepts::<TemplateName>(&["a.html"], &["/a.html", "../a.html", "", "a//b"]);
    }

    #[test]
    fn names_and_addresses_of_servers_are_checked() {
        accepts::<Timezone>(
            &["UTC", "America/Port-au-Prince", "Etc/GMT+5"],
            &["", "../x", "/UTC", "UTC+2", "Berlin"],
        );
        accepts::<IceUrl>(
            &[
                "stun:s.example",
                "stun:s.example:3478",
                "turns:10.0.0.1:5349?transport=tcp",
                "turn:[fd00::1]:3478",
                "stun:[fd00::1]",
                // What is wrong with these is told with the server.
                "stun:s.example:99999",
                "turn:s.example?transport=sctp",
            ],
            &[
                "s.example",
                "stun:",
                "http://s.example",
                "turn:user:secret",
                "turn:user:secret:3478",
                "turn:user:12345678:3478",
                "turn:user:secret@s.example",
                "turn:s.example?user=secret",
                "turn:s.example?transport=tcp&x=secret",
                "turn:[fd00::1]:3478:secret",
            ],
        );
        accepts::<CountryCode>(&["DE"], &["de", "GER", "D1"]);
        let key = format!("ssh-ed25519 {} me@home", "A".repeat(68));
        accepts::<SshKey>(
            &[&key],
            &[
                "",
                "ssh-ed25519",
                "ssh-ed25519 AAAA",
                &format!("command=\"sh\" {key}"),
                &format!("{key}\nx"),
            ],
        );
        accepts::<Ssid>(&["my network", "ü"], &["", &"x".repeat(33), "a\nb"]);
    }
}
