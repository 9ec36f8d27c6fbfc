//! The addresses at which viewers can reach this machine.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use if_addrs::Interface;
use str0m::net::{Protocol, TcpType};
use str0m::{Candidate, CandidateKind};

use crate::web::is_on_link;

/// The addresses between which a viewer's request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignallingPath {
    /// The viewer's.
    pub viewer: IpAddr,
    /// Ours, where it is known.
    pub camera: Option<IpAddr>,
}

/// Whether we send checks to what a viewer says is an address of its own. One that stands for many,
/// or for whoever uses it, is nobody's; and only a viewer on this machine is at its loopback.
pub(super) fn may_be_checked(candidate: &Candidate, viewer: IpAddr) -> bool {
    let address = candidate.addr();
    let somebodys = match address.ip().to_canonical() {
        // RFC 1122 §3.2.1.3: networks 0 and 240 to 255, the broadcast among them.
        IpAddr::V4(v4) => !v4.is_multicast() && !matches!(v4.octets()[0], 0 | 240..),
        IpAddr::V6(v6) => !v6.is_multicast() && !v6.is_unspecified(),
    };
    let loopback = address.ip().to_canonical().is_loopback();
    somebodys && address.port() != 0 && (!loopback || viewer.to_canonical().is_loopback())
}

/// Finds this machine's addresses for every offer: a camera's address may change while it runs, and
/// asking the kernel takes microseconds.
pub(super) struct Addresses {
    /// As they were when they were last compared.
    known: Option<Vec<IpAddr>>,
    port: u16,
    ipv6: bool,
    tcp: bool,
    announce: Vec<IpAddr>,
}

/// More addresses than this make no sense to a viewer, who checks each pair.
const MAX_ADDRESSES: usize = 16;

impl Addresses {
    pub(super) fn new(port: u16, ipv6: bool, tcp: bool, announce: Vec<IpAddr>) -> Self {
        Self { known: None, port, ipv6, tcp, announce }
    }

    /// Whether this machine has other addresses than when this was last asked.
    pub(super) fn have_changed(&mut self) -> bool {
        let Ok(interfaces) = if_addrs::get_if_addrs() else { return false };
        self.differ(interfaces.iter().map(Interface::ip).collect())
    }

    fn differ(&mut self, mut now: Vec<IpAddr>) -> bool {
        now.sort_unstable();
        let before = self.known.replace(now);
        before.is_some() && before != self.known
    }

    /// Candidates for a viewer, the likeliest to be of use first.
    ///
    /// Loopback addresses are told only to viewers on this very machine; to others they would
    /// mean their own.
    pub(super) fn candidates(&self, path: SignallingPath) -> Vec<Candidate> {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
            log::warn!("cannot list the network interfaces: {error}");
            Vec::new()
        });
        let default = default_routes();
        let addresses = self.ranked(&interfaces, path, &|name| standing(name, &default));
        let mut candidates: Vec<Candidate> = Vec::new();
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            if protocol == Protocol::Udp || self.tcp {
                candidates.extend(addresses.iter().enumerate().map(|(rank, ip)| {
                    host(SocketAddr::new(*ip, self.port), protocol, rank, addresses.len())
                }));
            }
        }
        for announced in &self.announce {
            // Reached through a port forward: to us it is another name of a local address.
            let of_family = |ip: &&IpAddr| ip.is_ipv4() == announced.is_ipv4();
            let Some(base) = addresses.iter().find(of_family) else { continue };
            let (address, base) =
                (SocketAddr::new(*announced, self.port), SocketAddr::new(*base, self.port));
            candidates.extend(Candidate::server_reflexive(address, base, "udp").ok());
        }
        candidates
    }

    /// The addresses worth telling. First the one by which the viewer has reached us: that way is
    /// known to be open. Then those of the viewer's own network, then the interface that leads to
    /// the rest of the world, real ones, and those of virtual bridges, of which a machine may have
    /// dozens.
    fn ranked(
        &self,
        interfaces: &[Interface],
        path: SignallingPath,
        standing: &dyn Fn(&str) -> Standing,
    ) -> Vec<IpAddr> {
        let mut usable: Vec<(bool, bool, bool, Standing, IpAddr)> = interfaces
            .iter()
            .filter(|interface| self.is_usable(interface.ip(), path.viewer))
            .map(|interface| {
                let ip = interface.ip();
                (
                    path.camera != Some(ip),
                    ip.is_loopback() || !is_on_link(&interface.addr, path.viewer),
                    ip.is_ipv4() != path.viewer.is_ipv4(),
                    if ip.is_loopback() { Standing::Virtual } else { standing(&interface.name) },
                    ip,
                )
            })
            .collect();
        // Equals stay in the system's order.
        usable.sort_by_key(|(reached, on_link, family, standing, _)| {
            (*reached, *on_link, *family, *standing)
        });
        let mut addresses: Vec<IpAddr> = Vec::new();
        for (.., ip) in usable {
            if !addresses.contains(&ip) && addresses.len() < MAX_ADDRESSES {
                addresses.push(ip);
            }
        }
        addresses
    }

    fn is_usable(&self, ip: IpAddr, viewer: IpAddr) -> bool {
        match ip {
            IpAddr::V6(_) if !self.ipv6 => false,
            // Without the interface, a link-local address cannot be reached.
            IpAddr::V6(v6) if v6.is_unicast_link_local() => false,
            ip if ip.is_loopback() => viewer.is_loopback(),
            _ => true,
        }
    }
}

/// How likely an interface leads to viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// The default route goes through it.
    Default,
    /// There is hardware behind it.
    Hardware,
    /// A bridge, a tunnel, a container's cable.
    Virtual,
}

/// How an interface stands, where `default` names those with a default route.
fn standing(name: &str, default: &[String]) -> Standing {
    if default.iter().any(|interface| interface == name) {
        Standing::Default
    } else if Path::new("/sys/class/net").join(name).join("device").exists() {
        Standing::Hardware
    } else {
        Standing::Virtual
    }
}

/// The interfaces that the kernel's tables have a default route through: by IPv4, whose table
/// begins with interface and destination, and by IPv6, whose has the destination and its prefix's
/// length first and the interface last.
fn default_routes() -> Vec<String> {
    let table = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut interfaces = Vec::new();
    for line in table("/proc/net/route").lines() {
        let mut words = line.split_ascii_whitespace();
        if let (Some(interface), Some("00000000")) = (words.next(), words.next()) {
            interfaces.push(interface.to_owned());
        }
    }
    for line in table("/proc/net/ipv6_route").lines() {
        let mut words = line.split_ascii_whitespace();
        let zero = words.next().is_some_and(|destination| destination.bytes().all(|b| b == b'0'));
        if let (true, Some("00"), Some(interface)) = (zero, words.next(), words.last()) {
            interfaces.push(interface.to_owned());
        }
    }
    interfaces
}

/// A host candidate. Its priority is no other's, and falls with its rank (RFC 8445 §5.1.2.1, for
/// TCP RFC 6544 §4.2).
fn host(address: SocketAddr, protocol: Protocol, rank: usize, of: usize) -> Candidate {
    let rank = u32::try_from(rank).unwrap_or(u32::MAX).min(255);
    let (kind_preference, local_preference, tcptype) = match protocol {
        Protocol::Udp => (126, 0xffff - rank, None),
        // Below every other kind but relays; 4 of 7 is what a passive host candidate gets.
        _ => (90, 4 << 13 | (0x1fff - rank), Some(TcpType::Passive)),
    };
    let priority = kind_preference << 24 | local_preference << 8 | 255;
    // One for each address and protocol (RFC 8445 §5.1.1.3).
    let foundation = match protocol {
        Protocol::Udp => rank as usize + 1,
        _ => of + rank as usize + 1,
    };
    Candidate::from_parts(
        foundation.to_string(),
        1,
        protocol,
        priority,
        address,
        CandidateKind::Host,
        None,
        tcptype,
        None,
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use if_addrs::IfAddr;

    use super::*;

    fn interface(name: &str, ip: &str, prefix: u8) -> Interface {
        let ip: Ipv4Addr = ip.parse().unwrap();
        let netmask = Ipv4Addr::from_bits(u32::MAX << (32 - u32::from(prefix)));
        let addr =
            IfAddr::V4(if_addrs::Ifv4Addr { ip, netmask, prefixlen: prefix, broadcast: None });
        Interface {
            name: name.into(),
            addr,
            index: None,
            oper_status: if_addrs::IfOperStatus::Up,
            is_p2p: false,
        }
    }

    fn ranked(interfaces: &[Interface], viewer: &str, camera: Option<&str>) -> Vec<String> {
        let path = SignallingPath {
            viewer: viewer.parse().unwrap(),
            camera: camera.map(|ip| ip.parse().unwrap()),
        };
        let standing = |name: &str| match &name[..2] {
            "en" => Standing::Hardware,
            "wl" => Standing::Default,
            _ => Standing::Virtual,
        };
        let addresses = Addresses::new(8189, true, false, Vec::new());
        let ranked = addresses.ranked(interfaces, path, &standing);
        ranked.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn another_address_is_noticed_once_and_another_order_is_none() {
        let mut addresses = Addresses::new(8189, true, false, Vec::new());
        let list = |ips: &[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert!(!addresses.differ(list(&["192.0.2.1", "fd00::1"])), "the first time");
        assert!(!addresses.differ(list(&["fd00::1", "192.0.2.1"])));
        assert!(addresses.differ(list(&["fd00::1", "192.0.2.2"])));
        assert!(!addresses.differ(list(&["fd00::1", "192.0.2.2"])));
    }

    #[test]
    fn many_virtual_bridges_do_not_hide_the_real_address() {
        let bridge = |n: u8| interface("br", &format!("172.{}.0.1", 16 + n), 16);
        let mut interfaces: Vec<_> = (0..15).map(bridge).collect();
        interfaces.push(interface("lo", "127.0.0.1", 8));
        interfaces.push(interface("en", "10.0.0.9", 24));
        interfaces.push(interface("wl", "192.168.1.9", 24));
        let seen = ranked(&interfaces, "203.0.113.1", None);
        assert_eq!(seen[..3], ["192.168.1.9", "10.0.0.9", "172.16.0.1"]);
        assert_eq!(seen.len(), MAX_ADDRESSES);
        assert_eq!(ranked(&interfaces, "10.0.0.77", None)[0], "10.0.0.9");
        // A proxy in a container, or whoever else came that way.
        assert_eq!(ranked(&interfaces, "172.20.0.5", Some("172.20.0.1"))[0], "172.20.0.1");
        assert!(!seen.iter().any(|ip| ip == "127.0.0.1"));
        assert!(ranked(&interfaces[14..], "127.0.0.1", None).contains(&"127.0.0.1".into()));
    }

    #[test]
    fn no_two_candidates_have_one_priority_or_foundation() {
        let address = SocketAddr::from(([192, 0, 2, 1], 8189));
        let all = [Protocol::Udp, Protocol::Tcp].into_iter();
        let all = all.flat_map(|protocol| (0..16).map(move |rank| (protocol, rank)));
        let candidates: Vec<Candidate> =
            all.map(|(protocol, rank)| host(address, protocol, rank, 16)).collect();
        assert!(candidates.is_sorted_by_key(|c| std::cmp::Reverse(c.prio())));
        assert_eq!(candidates.iter().map(Candidate::prio).collect::<BTreeSet<_>>().len(), 32);
        let line = candidates[17].to_sdp_string();
        assert!(line.starts_with("candidate:18 1 tcp "), "{line}");
        assert!(line.ends_with("192.0.2.1 8189 typ host tcptype passive"), "{line}");
    }
}
