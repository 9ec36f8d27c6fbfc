//! The addresses at which viewers can reach this machine.

use std::net::{IpAddr, SocketAddr};

use str0m::Candidate;

/// Finds this machine's addresses anew for every offer: a camera's address may change while it
/// runs, and asking the kernel takes microseconds.
pub(super) struct Addresses {
    port: u16,
    ipv6: bool,
    announce: Vec<IpAddr>,
}

/// More interfaces than this make no sense to a viewer, who checks each pair.
const MAX_ADDRESSES: usize = 16;

impl Addresses {
    pub(super) fn new(port: u16, ipv6: bool, announce: Vec<IpAddr>) -> Self {
        Self { port, ipv6, announce }
    }

    /// Candidates for a viewer whose request came from `viewer`.
    ///
    /// Loopback addresses are told only to viewers on this very machine; to others they would
    /// mean their own.
    pub(super) fn candidates(&self, viewer: IpAddr) -> Vec<Candidate> {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
            log::warn!("cannot list the network interfaces: {error}");
            Vec::new()
        });
        let mut addresses: Vec<IpAddr> =
            interfaces.iter().map(|i| i.ip()).filter(|ip| self.usable(*ip, viewer)).collect();
        // The address the viewer's request went to is of the same family as the viewer's.
        addresses.sort_by_key(|ip| (ip.is_ipv4() != viewer.is_ipv4(), ip.is_loopback()));
        addresses.dedup();
        let base = addresses.first().copied();
        let host = |ip: &IpAddr| Candidate::host(SocketAddr::new(*ip, self.port), "udp").ok();
        let mut candidates: Vec<Candidate> =
            addresses.iter().take(MAX_ADDRESSES).filter_map(host).collect();
        for announced in &self.announce {
            // Reached through a port forward: to us it is another name of a local address.
            let of_family = |ip: &&IpAddr| ip.is_ipv4() == announced.is_ipv4();
            let Some(base) = addresses.iter().find(of_family).copied().or(base) else {
                continue;
            };
            let (address, base) =
                (SocketAddr::new(*announced, self.port), SocketAddr::new(base, self.port));
            candidates.extend(Candidate::server_reflexive(address, base, "udp").ok());
        }
        candidates
    }

    fn usable(&self, ip: IpAddr, viewer: IpAddr) -> bool {
        match ip {
            IpAddr::V6(_) if !self.ipv6 => false,
            // Without the interface, a link-local address cannot be reached.
            IpAddr::V6(v6) if v6.is_unicast_link_local() => false,
            ip if ip.is_loopback() => viewer.is_loopback(),
            _ => true,
        }
    }
}
