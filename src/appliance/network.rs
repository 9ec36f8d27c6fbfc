//! Whether others can reach this device.

use std::net::{IpAddr, Ipv4Addr};

/// The image's address in the network that it opens where it finds no other, and the length of that
/// network's prefix.
pub const OWN_NETWORK: (Ipv4Addr, u8) = (Ipv4Addr::new(192, 168, 4, 1), 24);

/// Whether this device has an address of its own, on a network that works; `own`, in a network that
/// it has only opened itself, does not count.
///
/// A network that cannot be asked about counts as one that works: nothing would be gained by an
/// alarm that nobody can end.
#[must_use]
pub fn has_network(own: Option<Ipv4Addr>) -> bool {
    let interfaces = if_addrs::get_if_addrs();
    interfaces.map_or(true, |all| all.iter().any(|i| i.is_oper_up() && counts(i.ip(), own)))
}

/// An IPv6 link-local address is there as soon as a cable is, long before the network; one of
/// IPv4 (RFC 3927) is there because there is no other, and serves `NAME.local`.
fn counts(address: IpAddr, own: Option<Ipv4Addr>) -> bool {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => false,
        IpAddr::V4(v4) if Some(v4) == own => false,
        address => !address.is_loopback() && !address.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_only_if_others_can_use_it() {
        let reachable = |text: &str| counts(text.parse().unwrap(), None);
        assert!(
            ["192.168.1.20", "169.254.7.7", "fd00::2", "2001:db8::1"].into_iter().all(reachable)
        );
        assert!(!["127.0.0.1", "::1", "fe80::1", "0.0.0.0"].into_iter().any(reachable));
    }

    #[test]
    fn the_network_that_the_device_opens_itself_is_none() {
        let (own, _) = OWN_NETWORK;
        assert!(!counts(own.into(), Some(own)));
        assert!(counts("192.168.4.20".parse().unwrap(), Some(own)));
        // Elsewhere than on the image it is an address like others.
        assert!(counts(own.into(), None));
    }
}
