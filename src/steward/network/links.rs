//! The device's network links, and their addresses (ip-link(8), ip-address(8)).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use futures_util::TryStreamExt;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::{Handle, LinkUnspec, MulticastGroup, RouteMessageBuilder};
use tokio::sync::watch;

use crate::appliance::LinkStatus;

/// A link with hardware behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) wireless: bool,
    /// Whether it has a carrier: a cable is plugged in, or a network joined.
    pub(super) carrier: bool,
}

/// The links there are now, in the order of their names.
pub(super) fn all() -> Vec<Link> {
    links_in(Path::new("/sys/class/net"))
}

fn links_in(folder: &Path) -> Vec<Link> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut links: Vec<Link> = entries
        .filter_map(|entry| {
            let path = entry.path();
            let read = |file: &str| std::fs::read_to_string(path.join(file)).ok();
            // Ethernet, and what looks like it (ARPHRD_ETHER), with a device behind it.
            let ethernet = read("type")?.trim() == "1" && path.join("device").exists();
            ethernet.then_some(())?;
            Some(Link {
                name: entry.file_name().into_string().ok()?,
                index: read("ifindex")?.trim().parse().ok()?,
                wireless: path.join("phy80211").exists(),
                // Cannot be read of a link that is down.
                carrier: read("carrier").is_some_and(|carrier| carrier.trim() == "1"),
            })
        })
        .collect();
    links.sort_by(|a, b| a.name.cmp(&b.name));
    links
}

/// The link of this name, if there is one.
pub(super) fn find_link(name: &str) -> Option<Link> {
    all().into_iter().find(|link| link.name == name)
}

/// The hardware address of a link.
pub(super) fn hardware_address(link: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/sys/class/net/{link}/address")).ok()?;
    Some(text.trim().to_owned())
}

/// The links that have an address at which others can reach the device.
pub(super) fn with_addresses() -> Vec<LinkStatus> {
    let links = all();
    let addresses = if_addrs::get_if_addrs().unwrap_or_default();
    let status = links.into_iter().filter(|link| link.carrier).map(|link| LinkStatus {
        addresses: addresses
            .iter()
            .filter(|found| found.name == link.name)
            .map(if_addrs::Interface::ip)
            .filter(|ip| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()))
            .collect(),
        wireless: link.wireless,
        name: link.name,
    });
    status.filter(|link| !link.addresses.is_empty()).collect()
}

/// Changes links (rtnetlink(7)).
#[derive(Clone, Debug)]
pub(super) struct Netlink(Handle);

impl Netlink {
    /// Opens a socket to the kernel. The returned receiver is notified whenever a link or an
    /// address has changed.
    ///
    /// # Errors
    /// When the kernel has no netlink.
    pub(super) fn open() -> io::Result<(Self, watch::Receiver<()>)> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (connection, handle, mut messages) = rtnetlink::new_multicast_connection(&groups)?;
        tokio::spawn(connection);
        let (changed, changes) = watch::channel(());
        tokio::spawn(async move {
            use futures_util::StreamExt;
            while messages.next().await.is_some() {
                changed.send_replace(());
            }
        });
        Ok((Self(handle), changes))
    }

    /// Switches a link on.
    pub(super) async fn enable(&self, link: &Link) -> Result<(), rtnetlink::Error> {
        let up = LinkUnspec::new_with_index(link.index).up().build();
        self.0.link().set(up).execute().await
    }

    /// Gives a link this address, and removes the others of its family.
    pub(super) async fn set_address(
        &self,
        link: &Link,
        address: IpAddr,
        prefix: u8,
    ) -> Result<(), rtnetlink::Error> {
        self.clear_addresses(link, address.is_ipv4(), Some(address)).await?;
        self.0.address().add(link.index, address, prefix).replace().execute().await
    }

    /// Removes the addresses of one family except `keep`. Link-local ones of IPv6 stay: the kernel
    /// manages them.
    pub(super) async fn clear_addresses(
        &self,
        link: &Link,
        v4: bool,
        keep: Option<IpAddr>,
    ) -> Result<(), rtnetlink::Error> {
        let family = if v4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let mut found = self.0.address().get().set_link_index_filter(link.index).execute();
        while let Some(message) = found.try_next().await? {
            let address = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            });
            let kept = address == keep
                || matches!(address, Some(IpAddr::V6(v6)) if v6.is_unicast_link_local());
            if message.header.family == family && !kept {
                self.0.address().del(message).execute().await?;
            }
        }
        Ok(())
    }

    /// Sets the gateway for other networks. Of several links, the one with the lowest `metric` is
    /// used.
    pub(super) async fn set_gateway(
        &self,
        link: &Link,
        gateway: IpAddr,
        metric: u32,
    ) -> Result<(), rtnetlink::Error> {
        let route = match gateway {
            IpAddr::V4(gateway) => RouteMessageBuilder::<Ipv4Addr>::new()
                .gateway(gateway)
                .output_interface(link.index)
                .priority(metric)
                .build(),
            IpAddr::V6(gateway) => RouteMessageBuilder::<Ipv6Addr>::new()
                .gateway(gateway)
                .output_interface(link.index)
                .priority(metric)
                .build(),
        };
        self.0.route().add(route).replace().execute().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_hardware_with_a_carrier_or_without() {
        let folder = tempfile::tempdir().unwrap();
        let link = |name: &str, kind: &str, files: &[(&str, &str)], folders: &[&str]| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("type"), kind).unwrap();
            files.iter().for_each(|(file, text)| std::fs::write(path.join(file), text).unwrap());
            folders.iter().for_each(|f| std::fs::create_dir(path.join(f)).unwrap());
        };
        link("wlan0", "1\n", &[("ifindex", "3\n")], &["device", "phy80211"]);
        link("eth0", "1\n", &[("ifindex", "2\n"), ("carrier", "1\n")], &["device"]);
        link("lo", "772\n", &[("ifindex", "1\n")], &[]);
        link("veth0", "1\n", &[("ifindex", "9\n")], &[]);
        let links = links_in(folder.path());
        let told: Vec<(&str, u32, bool, bool)> =
            links.iter().map(|l| (l.name.as_str(), l.index, l.wireless, l.carrier)).collect();
        assert_eq!(told, [("eth0", 2, false, true), ("wlan0", 3, true, false)]);
    }
}
