//! Values of the network, and what is fetched from it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::{IceUrl, Malformed, Ssid};
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
        accepts::<Sha256>(&[&"aF".repeat(32)], &["", &"a".repeat(63), &"g".repeat(64)]);
    }
}
