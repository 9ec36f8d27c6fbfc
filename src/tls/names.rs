//! What the device goes by, and for which of that its own authority may vouch.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use tokio::sync::watch;

use crate::appliance::AlternativeName;

/// Domains that no site of the world can have: multicast DNS (RFC 6762), networks at home (RFC
/// 8375), ICANN's reservation, and what routers make up.
const PRIVATE_DOMAINS: [&str; 6] =
    ["local", "lan", "home.arpa", "internal", "fritz.box", "localhost"];

/// Networks that are nobody's in the world (RFC 1918, RFC 3927, RFC 4193, RFC 4291).
const PRIVATE_V4: [(Ipv4Addr, u8); 5] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
];
const PRIVATE_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::LOCALHOST, 128),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
];

/// Most addresses in a certificate. Who runs many virtual machines has many.
const MAX_ADDRESSES: usize = 32;

/// Where the names come from that a device goes by.
#[derive(Debug, Clone)]
pub(crate) struct OwnNames {
    /// Its name, which it is found by as `name.local`.
    pub(crate) hostname: String,
    /// Another, where another device has that.
    pub(crate) other_name: watch::Receiver<AlternativeName>,
    /// Further host names and addresses.
    pub(crate) hosts: Vec<String>,
}

/// Host names and addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Names {
    pub(super) hosts: BTreeSet<String>,
    pub(super) addresses: BTreeSet<IpAddr>,
}

impl OwnNames {
    /// All that the device goes by at the moment and that its authority may vouch for.
    pub(super) fn now(&self) -> Names {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        self.with(interfaces.iter().map(|interface| interface.ip()))
    }

    fn with(&self, addresses: impl Iterator<Item = IpAddr>) -> Names {
        let other = self.other_name.borrow().clone();
        let local = [Some(&self.hostname), other.as_ref()]
            .into_iter()
            .flatten()
            .filter(|name| !name.is_empty())
            .map(|name| format!("{name}.local"));
        let listed = || self.hosts.iter().map(|host| host.trim_end_matches('.'));
        let hosts = local
            .chain(listed().map(str::to_owned))
            .chain(["localhost".to_owned()])
            .map(|host| host.to_ascii_lowercase())
            .filter(|host| host.parse::<IpAddr>().is_err() && may_vouch_for_host(host))
            .collect();
        let own = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let mut addresses: BTreeSet<IpAddr> = own
            .into_iter()
            .chain(listed().filter_map(|host| host.parse().ok()))
            .chain(addresses.map(|address| address.to_canonical()))
            // Nobody types an address that holds for one link only: it needs the name of that.
            .filter(|address| may_vouch_for_address(*address) && !is_link_local_v6(*address))
            .collect();
        while addresses.len() > MAX_ADDRESSES {
            addresses.pop_last();
        }
        Names { hosts, addresses }
    }
}

fn is_link_local_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Whether a host name lies in one of the private domains.
fn may_vouch_for_host(host: &str) -> bool {
    PRIVATE_DOMAINS.iter().any(|domain| {
        host == *domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
    })
}

fn may_vouch_for_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => PRIVATE_V4.iter().any(|(network, prefix)| {
            (u32::from(v4) ^ u32::from(*network)).leading_zeros() >= u32::from(*prefix)
        }),
        IpAddr::V6(v6) => PRIVATE_V6.iter().any(|(network, prefix)| {
            (u128::from(v6) ^ u128::from(*network)).leading_zeros() >= u32::from(*prefix)
        }),
    }
}

/// What the authority may vouch for, as its certificate says (RFC 5280 §4.2.1.10). A browser that
/// trusts it believes it in nothing else: whoever steals the key of a camera does not get to read
/// what its owner does on the web.
pub(super) fn constraints() -> NameConstraints {
    let hosts = PRIVATE_DOMAINS.iter().map(|domain| GeneralSubtree::DnsName((*domain).to_owned()));
    let v4 = PRIVATE_V4.iter().map(|(network, prefix)| ((*network).into(), *prefix));
    let v6 = PRIVATE_V6.iter().map(|(network, prefix)| ((*network).into(), *prefix));
    let addresses = v4.chain(v6).map(|(network, prefix): (IpAddr, u8)| {
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(network, prefix))
    });
    NameConstraints {
        permitted_subtrees: hosts.chain(addresses).collect(),
        excluded_subtrees: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(hosts: &[&str], addresses: &[&str]) -> Names {
        let own = OwnNames {
            hostname: "Porch".into(),
            other_name: watch::channel(Some("porch-2".to_owned())).1,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        };
        own.with(addresses.iter().map(|address| address.parse().unwrap()))
    }

    #[test]
    fn the_authority_vouches_for_nothing_outside_of_private_networks() {
        let Names { hosts, addresses } = names(
            &["raspberrypi", "raspberrypi.lan", "cam.example.org", "203.0.113.9", "notlocal"],
            &["192.168.1.7", "::ffff:10.0.0.7", "fd00::7", "fe80::7", "2001:db8::7", "172.32.0.1"],
        );
        let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
        assert_eq!(hosts, ["localhost", "porch-2.local", "porch.local", "raspberrypi.lan"]);
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.0.0.7", "127.0.0.1", "192.168.1.7", "::1", "fd00::7"]);
    }

    #[test]
    fn the_networks_are_those_of_the_standards() {
        for inside in ["10.255.0.1", "172.31.255.255", "192.168.255.1", "169.254.1.1", "fdff::1"] {
            assert!(may_vouch_for_address(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.1", "172.15.0.1", "192.169.0.1", "8.8.8.8", "fec0::1", "::2"] {
            assert!(!may_vouch_for_address(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn many_addresses_do_not_make_an_endless_certificate() {
        let many: Vec<String> = (0..200).map(|n| format!("10.0.0.{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(names(&[], &many).addresses.len(), MAX_ADDRESSES);
    }
}
