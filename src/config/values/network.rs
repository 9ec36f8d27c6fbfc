//! Values of the network, and what is fetched from it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Email, Host, HostAndPort, IceUrl, Malformed, PrivateUrl, Ssid};
use crate::config::Secret;

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

/// A server that helps viewers to connect through their routers.
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
    /// Whether it does not announce its name.
    pub hidden: bool,
}

/// Where the certificate for HTTPS comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// There is no HTTPS.
    #[default]
    Off,
    /// From a certification authority of the device's own.
    Auto,
    /// From files.
    Files {
        /// Certificate chain, PEM.
        cert: PathBuf,
        /// Private key, PEM.
        key: PathBuf,
    },
    /// From a public authority, or a private one, by ACME (RFC 8555).
    Acme(Box<Acme>),
}

impl Tls {
    /// How ACME is to be used, where it is.
    #[must_use]
    pub fn acme(&self) -> Option<&Acme> {
        match self {
            Self::Acme(acme) => Some(acme),
            Self::Off | Self::Auto | Self::Files { .. } => None,
        }
    }
}

/// A certificate by ACME, with the challenge dns-01 (RFC 8555 §8.4): a camera at home cannot be
/// reached from the Internet for any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// What it is to stand for; at least one.
    pub names: Vec<Host>,
    /// Whom the authority may write to.
    pub email: Option<Email>,
    /// The authority's directory; none for that of Let's Encrypt.
    pub directory: Option<PrivateUrl>,
    /// Root certificate by which the authority itself is trusted, PEM; none for a public one.
    pub root: Option<PathBuf>,
    /// How it is shown that the names are the owner's.
    pub challenge: DnsChallenge,
}

/// Who puts a record into the DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsChallenge {
    /// A program.
    Hook(PathBuf),
    /// An update (RFC 2136), signed (TSIG, RFC 8945).
    Update {
        /// The zone's primary server.
        server: HostAndPort,
        /// The key that is good for it.
        key: TsigKey,
    },
}

/// A key for signed DNS messages, `ALGORITHM:NAME:BASE64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TsigKey {
    /// How messages are signed.
    pub algorithm: TsigAlgorithm,
    /// The key's name, which the server knows it by.
    pub name: String,
    /// The key, Base64.
    pub secret: Secret,
}

/// How DNS messages are signed (RFC 8945 §6). Older ways are not safe any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TsigAlgorithm {
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

impl TsigAlgorithm {
    const ALL: [Self; 3] = [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512];

    const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}

impl FromStr for TsigKey {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        use base64ct::{Base64, Encoding};
        let mut parts = text.splitn(3, ':');
        let (Some(algorithm), Some(name), Some(secret)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(Malformed);
        };
        let algorithm = TsigAlgorithm::ALL.into_iter().find(|known| known.name() == algorithm);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let named = (1..=253).contains(&name.len()) && name.bytes().all(plain);
        let decoded = Base64::decode_vec(secret).is_ok_and(|key| (8..=512).contains(&key.len()));
        match algorithm {
            Some(algorithm) if named && decoded => {
                Ok(Self { algorithm, name: name.to_owned(), secret: Secret::new(secret) })
            }
            _ => Err(Malformed),
        }
    }
}

impl fmt::Display for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.algorithm.name(), self.name, self.secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::accepts;

    #[test]
    fn addresses_and_checksums_are_checked() {
        accepts::<Address>(
            &["dhcp", "192.168.1.20/24", "fd00::2/64"],
            &["", "192.168.1.20", "192.168.1.20/33", "192.168.1.20/0", "0.0.0.0/8", "DHCP"],
        );
        let key = "c2VjcmV0IHNlY3JldA==";
        accepts::<TsigKey>(
            &[&format!("hmac-sha256:cam.example.:{key}"), &format!("hmac-sha512:k:{key}")],
            &[
                "",
                &format!("cam:{key}"),
                &format!("hmac-md5:cam:{key}"),
                &format!("hmac-sha256::{key}"),
                "hmac-sha256:cam:not base64",
                "hmac-sha256:cam:AAAA",
            ],
        );
        accepts::<Sha256>(&[&"aF".repeat(32)], &["", &"a".repeat(63), &"g".repeat(64)]);
    }
}
