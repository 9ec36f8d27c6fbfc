//! The values a configuration is made of, each a type that cannot hold a wrong one.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::Secret;
use super::source::is_authority;

/// The text is not of the form that was expected. What that form is, the key knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the expected form")]
pub struct Malformed;

/// Defines a text that obeys a rule: built only by parsing, printed as it was written.
macro_rules! ruled_text {
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

ruled_text! {
    /// The device's name on the network: one DNS label (RFC 1123 §2.1).
    Hostname, is_label
}
ruled_text! {
    /// A time zone of the IANA database that there is, such as `Europe/Berlin`.
    Timezone, |text| {
        (1..=64).contains(&text.len())
            && text.split('/').all(|part| {
                !part.is_empty()
                    && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
            })
            && super::zone::exists(text)
    }
}
ruled_text! {
    /// A country by its two capital letters (ISO 3166-1); it decides which radio channels are
    /// lawful.
    CountryCode, |text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}
ruled_text! {
    /// The name of a wireless network: 1 to 32 bytes (IEEE 802.11 §9.4.2.2).
    Ssid, |text| (1..=32).contains(&text.len()) && !text.chars().any(char::is_control)
}
ruled_text! {
    /// A name under which a browser may ask for Picket's pages: a host name or an address,
    /// without scheme and port.
    Host, |text| {
        let name = text.strip_suffix('.').unwrap_or(text);
        text.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(is_label))
    }
}
ruled_text! {
    /// A web origin (RFC 6454 §6.2), exact: `https://cams.example` or `http://10.0.0.2:8080`.
    /// There is no wildcard on purpose: it would hand the camera to every page on the web.
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
ruled_text! {
    /// Whose pages may show this one in a frame, as CSP's `frame-ancestors` has it: `'self'`, an
    /// [`Origin`], or one with `*.` before its host or `*` as its port. There is no `*` on purpose:
    /// any page on the web could then make the visitor click what he does not see.
    FrameAncestor, |text| {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme, rest.strip_prefix("*.").unwrap_or(rest)),
            None => ("", ""),
        };
        let rest = rest.strip_suffix(":*").unwrap_or(rest);
        text == "'self'" || Origin::from_str(&format!("{scheme}://{rest}")).is_ok()
    }
}
ruled_text! {
    /// The path of a page, such as `/garden`, below which nothing climbs out.
    UrlPath, |text| {
        text.len() <= 256
            && text.strip_prefix('/').is_some_and(|rest| rest.is_empty() || is_clean_path(rest))
    }
}
ruled_text! {
    /// The name of a template below the data-files' `templates` folder, such as `garden.html`.
    TemplateName, |text| text.len() <= 256 && is_clean_path(text)
}
ruled_text! {
    /// The address of a STUN or TURN server (RFC 7064, RFC 7065).
    IceUrl, |text| {
        let rest = ["stun:", "stuns:", "turn:", "turns:"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        // Whoever writes the credentials into the address would have them told with it.
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

ruled_text! {
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

/// A rate in bits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bitrate(u32);

impl Bitrate {
    /// The least that still shows something: the step of the Pi's encoder.
    pub const MIN: Self = Self(25_000);
    /// The most; the Pi's encoder ends at half of it.
    pub const MAX: Self = Self(50_000_000);
    /// What a new Picket starts with: 720p that looks good, and fits a slow uplink.
    pub const DEFAULT: Self = Self(2_000_000);

    /// This many bits a second, if that is within [`Self::MIN`] and [`Self::MAX`].
    #[must_use]
    pub fn from_bps(bps: u32) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&Self(bps)).then_some(Self(bps))
    }

    /// In bits a second.
    #[must_use]
    pub const fn bps(self) -> u32 {
        self.0
    }
}

impl FromStr for Bitrate {
    type Err = Malformed;
    /// Takes `2000000`, `2500k` and `2.5M`.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        let (number, unit) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1e3),
            Some(b'M') => (&text[..text.len() - 1], 1e6),
            _ => (text, 1.0),
        };
        let bps = (number.trim().parse::<f64>().map_err(|_| Malformed)? * unit).round();
        let in_range = (f64::from(Self::MIN.0)..=f64::from(Self::MAX.0)).contains(&bps);
        if in_range { Ok(Self(bps as u32)) } else { Err(Malformed) }
    }
}

/// How the device gets its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Address {
    /// From the network.
    #[default]
    Dhcp,
    /// Fixed.
    Static {
        /// The device's own address.
        address: IpAddr,
        /// How many of its first bits are the network's.
        prefix: u8,
    },
}

impl FromStr for Address {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text == "dhcp" {
            return Ok(Self::Dhcp);
        }
        let (address, prefix) = text.split_once('/').ok_or(Malformed)?;
        let address: IpAddr = address.parse().map_err(|_| Malformed)?;
        let prefix: u8 = prefix.parse().map_err(|_| Malformed)?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        if (1..=widest).contains(&prefix) && !address.is_unspecified() && !address.is_multicast() {
            Ok(Self::Static { address, prefix })
        } else {
            Err(Malformed)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dhcp => f.write_str("dhcp"),
            Self::Static { address, prefix } => write!(f, "{address}/{prefix}"),
        }
    }
}

/// A checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sha256(pub [u8; 32]);

impl FromStr for Sha256 {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(Malformed);
        }
        let mut sum = [0; 32];
        for (byte, [high, low]) in sum.iter_mut().zip(pairs) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or(Malformed);
            *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
        }
        Ok(Self(sum))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A part of the sensor, each number a share of its width or height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roi {
    /// Left edge, 0 to 1.
    pub x: f64,
    /// Upper edge, 0 to 1.
    pub y: f64,
    /// Width, above 0, at most 1 − x.
    pub width: f64,
    /// Height, above 0, at most 1 − y.
    pub height: f64,
}

/// A server that helps viewers to find a way through their routers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceServer {
    /// Its addresses; at least one.
    pub urls: Vec<IceUrl>,
    /// User name at a relay.
    pub username: Option<String>,
    /// Password at a relay.
    pub credential: Option<Secret>,
}

/// Whether a text can be the password of a wireless network: a passphrase, or a key in hexadecimal
/// digits (IEEE 802.11 §J.4.1).
#[must_use]
pub fn is_wifi_password(text: &str) -> bool {
    match text.len() {
        8..=63 => text.bytes().all(|b| (b' '..=b'~').contains(&b)),
        64 => text.bytes().all(|b| b.is_ascii_hexdigit()),
        _ => false,
    }
}

/// A wireless network to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WifiNetwork {
    /// Its name.
    pub ssid: Ssid,
    /// Its passphrase or key; none for an open network.
    pub password: Option<Secret>,
    /// Whether it keeps its name to itself.
    pub hidden: bool,
}

/// Certificate and key for HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
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
    fn a_bit_rate_may_be_written_short() {
        for (text, bps) in [("2M", 2_000_000), ("2500k", 2_500_000), ("2.5M", 2_500_000)] {
            assert_eq!(text.parse::<Bitrate>().map(Bitrate::bps), Ok(bps));
        }
        accepts::<Bitrate>(
            &["25000", "50 M"],
            &["", "M", "2m", "-2M", "24999", "51M", "nan", "1e99"],
        );
    }

    #[test]
    fn addresses_checksums_and_names_are_checked() {
        accepts::<Address>(
            &["dhcp", "192.168.1.20/24", "fd00::2/64"],
            &["", "192.168.1.20", "192.168.1.20/33", "192.168.1.20/0", "0.0.0.0/8", "DHCP"],
        );
        accepts::<Sha256>(&[&"aF".repeat(32)], &["", &"a".repeat(63), &"g".repeat(64)]);
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
