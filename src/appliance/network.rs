//! Whether others can reach this device.

use std::net::IpAddr;

/// Whether this device has an address of its own, on a network that works.
///
/// A network that cannot be asked about counts as one that works: nothing would be gained by an
/// alarm that nobody can end.
#[must_use]
pub fn has_network() -> bool {
    let interfaces = if_addrs::get_if_addrs();
    interfaces.map_or(true, |all| all.iter().any(|i| i.is_oper_up() && is_reachable(i.ip())))
}

/// An IPv6 link-local address is there as soon as a cable is, long before the network; one of
/// IPv4 (RFC 3927) is there because there is no other, and serves `NAME.local`.
fn is_reachable(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => false,
        address => !address.is_loopback() && !address.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_only_if_others_can_use_it() {
        let reachable = |text: &str| is_reachable(text.parse().unwrap());
        assert!(
            ["192.168.1.20", "169.254.7.7", "fd00::2", "2001:db8::1"].into_iter().all(reachable)
        );
        assert!(!["127.0.0.1", "::1", "fe80::1", "0.0.0.0"].into_iter().any(reachable));
    }
}
