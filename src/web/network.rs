//! Whom an address counts for, where each is to have no more than its share.

use std::net::{IpAddr, Ipv6Addr};

/// A household or a rented server is given 64 bits of addresses to choose from (RFC 6177 §1, RFC
/// 7421), so who counts them one by one counts nobody.
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

#[cfg(test)]
mod tests {
    use super::*;

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
