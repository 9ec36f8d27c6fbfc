//! Networks: which one an address counts for, where each is to have no more than its share, and
//! which addresses are near.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use if_addrs::IfAddr;

/// A household or a rented server is given 64 bits of addresses to choose from (RFC 6177 §1, RFC
/// 7421), so counting them one by one would limit nobody.
const IPV6_NETWORK: u32 = 64;

/// The network that `address` counts for: itself for IPv4, its /64 for IPv6. An IPv4 address in
/// IPv6's form is that IPv4 address. This machine's own address stays what it is, so that it can
/// still be told from others.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let mask = u128::MAX << (Ipv6Addr::BITS - IPV6_NETWORK);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
        address => address,
    }
}

/// Whether `other` is in the network of an interface's address.
pub(crate) fn is_on_link(own: &IfAddr, other: IpAddr) -> bool {
    match (own, other) {
        (IfAddr::V4(own), IpAddr::V4(other)) => {
            let network = |ip: Ipv4Addr| ip.to_bits() & own.netmask.to_bits();
            network(own.ip) == network(other)
        }
        (IfAddr::V6(own), IpAddr::V6(other)) => {
            let network = |ip: Ipv6Addr| ip.to_bits() & own.netmask.to_bits();
            network(own.ip) == network(other)
        }
        _ => false,
    }
}

/// Whether whoever has `address` is in a network of this machine's, or in one that is nobody's but
/// its owner's (RFC 1918, RFC 4193): anywhere else is the Internet.
pub(crate) fn is_near(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let private = match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    private
        || if_addrs::get_if_addrs()
            .is_ok_and(|interfaces| interfaces.iter().any(|own| is_on_link(&own.addr, address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_is_near_and_the_internet_is_not() {
        for near in
            ["127.0.0.1", "10.1.2.3", "192.168.4.5", "172.31.0.1", "fe80::1", "fd00::1", "::1"]
        {
            assert!(is_near(near.parse().unwrap()), "{near}");
        }
        for far in
            ["203.0.113.9", "172.32.0.1", "100.64.0.1", "2001:db8:77::1", "::ffff:198.51.100.1"]
        {
            assert!(!is_near(far.parse().unwrap()), "{far}");
        }
    }

    #[test]
    fn an_address_counts_for_itself_by_ipv4_and_for_its_64_by_ipv6() {
        for (address, network) in [
            ("192.0.2.7", "192.0.2.7"),
            ("127.0.0.1", "127.0.0.1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
            ("fe80::1", "fe80::"),
            ("::1", "::1"),
        ] {
            let given: IpAddr = address.parse().unwrap();
            assert_eq!(network_of(given).to_string(), network, "{address}");
            assert_eq!(network_of(network_of(given)), network_of(given), "{address}");
        }
    }
}
