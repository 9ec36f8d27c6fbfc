//! Whether others can reach this device.

use std::net::{IpAddr, Ipv4Addr};

/// The device's address on its own access point, and the length of that network's prefix.
pub const ACCESS_POINT_ADDRESS: (Ipv4Addr, u8) = (Ipv4Addr::new(192, 168, 4, 1), 24);

/// Whether this device has an address at which others can reach it. `access_point`, its address on
/// its own access point, does not count.
///
/// If the addresses cannot be listed, the answer is yes: nothing would be gained by an alarm that
/// nobody can end.
#[must_use]
pub fn has_network(access_point: Option<Ipv4Addr>) -> bool {
    let interfaces = if_addrs::get_if_addrs();
    interfaces.map_or(true, |all| {
        all.iter().any(|i| i.is_oper_up() && is_reachable(i.ip(), access_point))
    })
}

/// An IPv6 link-local address exists as soon as a cable is plugged in, long before the network
/// works; one of IPv4 (RFC 3927) exists because there is no other, and serves `NAME.local`.
fn is_reachable(address: IpAddr, access_point: Option<Ipv4Addr>) -> bool {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => false,
        IpAddr::V4(v4) if Some(v4) == access_point => false,
        address => !address.is_loopback() && !address.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_only_if_others_can_use_it() {
        let reachable = |text: &str| is_reachable(text.parse().unwrap(), None);
        assert!(
            ["192.168.1.20", "169.254.7.7", "fd00::2", "2001:db8::1"].into_iter().all(reachable)
        );
        assert!(!["127.0.0.1", "::1", "fe80::1", "0.0.0.0"].into_iter().any(reachable));
    }

    #[test]
    fn the_network_that_the_device_opens_itself_is_none() {
        let (own, _) = ACCESS_POINT_ADDRESS;
        assert!(!is_reachable(own.into(), Some(own)));
        assert!(is_reachable("192.168.4.20".parse().unwrap(), Some(own)));
        // Without the image it is an address like any other.
        assert!(is_reachable(own.into(), None));
    }
}
