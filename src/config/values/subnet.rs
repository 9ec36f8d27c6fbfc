//! A range of addresses, as an owner writes it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::Malformed;

/// One IP address, or all that begin with the same bits: `127.0.0.1`, `10.0.0.0/8`, `fd00::/8` (RFC 4632 §3.1).
///
/// There is none that contains every address: it would mean "anybody".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    address: IpAddr,
    /// How many bits are the same for all.
    prefix: u8,
}

impl Subnet {
    /// Whether `address` is in it. IPv4 is the same whether written as IPv4 or as IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                alike(own.to_bits().into(), other.to_bits().into(), 32 - self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                alike(own.to_bits(), other.to_bits(), 128 - self.prefix)
            }
            _ => false,
        }
    }
}

/// Whether two numbers are the same except for the last bits.
fn alike(one: u128, other: u128, last: u8) -> bool {
    (one ^ other).checked_shr(last.into()).unwrap_or(0) == 0
}

impl FromStr for Subnet {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| Malformed)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), |p| p.parse().map_err(|_| Malformed))?;
        let canonical = address.to_canonical();
        // An IPv4-mapped IPv6 address, whose first 96 bits say just that.
        let prefix: u8 = match (address, canonical) {
            (IpAddr::V6(_), IpAddr::V4(_)) => u8::checked_sub(prefix, 96).ok_or(Malformed)?,
            _ => prefix,
        };
        let widest = if canonical.is_ipv4() { 32 } else { 128 };
        if (1..=widest).contains(&prefix) {
            Ok(Self { address: canonical, prefix })
        } else {
            Err(Malformed)
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, prefix } = self;
        match (address, prefix) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => write!(f, "{address}"),
            _ => write!(f, "{address}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(subnet: &str, address: &str) -> bool {
        subnet.parse::<Subnet>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_range_holds_what_begins_alike() {
        for (subnet, inside) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "::ffff:127.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.9.8.7"),
            ("10.0.0.0/8", "10.255.0.1"),
            ("10.1.2.3/8", "10.9.9.9"),
            ("192.0.2.128/25", "192.0.2.200"),
            ("::1", "::1"),
            ("fd00::/8", "fdff::1"),
            ("2001:db8::/1", "2001::"),
        ] {
            assert!(holds(subnet, inside), "{subnet} {inside}");
        }
        for (subnet, outside) in [
            ("127.0.0.1", "127.0.0.2"),
            ("10.0.0.0/8", "11.0.0.1"),
            ("192.0.2.128/25", "192.0.2.127"),
            ("::1", "127.0.0.1"),
            ("fd00::/8", "fe00::1"),
            ("::1/1", "127.0.0.1"),
        ] {
            assert!(!holds(subnet, outside), "{subnet} {outside}");
        }
    }

    #[test]
    fn everybody_is_no_range() {
        for text in [
            "",
            "*",
            "0.0.0.0/0",
            "::/0",
            "::ffff:0.0.0.0/96",
            "10.0.0.0/33",
            "::1/129",
            "10/8",
            "10.0.0.0/",
            "10.0.0.0/8/8",
            "proxy.example",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
        for text in ["10.0.0.0/8", "127.0.0.1", "fd00::/8", "::1"] {
            assert_eq!(text.parse::<Subnet>().unwrap().to_string(), text);
        }
    }
}
