//! Addresses, routes, name servers and the time, for each link that is up.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::links::{Link, Netlink, find_link};
use crate::appliance::DhcpLease;
use crate::config::{Address, Hostname, Network as IpSettings};
use crate::steward::process;
use crate::steward::supervised_process::SupervisedProcess;

/// Where name servers are written; in the image `/etc/resolv.conf` is a link to it.
const RESOLV_CONF: &str = "/run/resolv.conf";

/// The route with the lowest metric is used: the cable's, where there are two.
const CABLE_METRIC: u32 = 100;
const WIFI_METRIC: u32 = 600;

/// Configures links.
pub(super) struct IpConfigurator {
    netlink: Netlink,
    settings: IpSettings,
    hostname: Hostname,
    /// The DHCP client of each link that has one.
    dhcp_clients: BTreeMap<String, SupervisedProcess>,
    ntpd: Option<SupervisedProcess>,
}

impl IpConfigurator {
    pub(super) fn new(netlink: Netlink, settings: IpSettings, hostname: Hostname) -> Self {
        Self { netlink, settings, hostname, dhcp_clients: BTreeMap::new(), ntpd: None }
    }

    /// The static address and the length of its prefix, if one is set.
    pub(super) fn static_address(&self) -> Option<(IpAddr, u8)> {
        match self.settings.address {
            Address::Static { address, prefix } => Some((address, prefix)),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) fn set_static_address(&mut self, address: IpAddr, prefix: u8) {
        self.settings.address = Address::Static { address, prefix };
    }

    /// Switches a link on.
    pub(super) async fn enable(&self, link: &Link) {
        if let Err(error) = self.netlink.enable(link).await {
            log::warn!("{} cannot be switched on: {error}", link.name);
        }
    }

    /// The link is up: it gets this static address, or a DHCP client to ask for one.
    pub(super) async fn link_up(&mut self, link: &Link, static_address: Option<(IpAddr, u8)>) {
        match static_address {
            Some((address, prefix)) => {
                let gateway = self.settings.gateway;
                self.set_address(link, address, prefix, gateway).await;
                self.write_resolv_conf(&[]);
            }
            None => {
                self.stop_dhcp_client(&link.name).await;
                self.dhcp_clients.insert(link.name.clone(), self.start_dhcp_client(link));
            }
        }
    }

    /// The link is down: it loses its addresses.
    pub(super) async fn link_down(&mut self, link: &Link) {
        self.stop_dhcp_client(&link.name).await;
        for v4 in [true, false] {
            if let Err(error) = self.netlink.clear_addresses(link, v4, None).await {
                log::debug!("{} keeps an address: {error}", link.name);
            }
        }
    }

    /// Ends the DHCP client of the link of this name, if there is one.
    pub(super) async fn stop_dhcp_client(&mut self, link: &str) {
        if let Some(client) = self.dhcp_clients.remove(link) {
            client.stop().await;
        }
    }

    /// Ends all DHCP clients.
    pub(super) async fn stop(&mut self) {
        for (_, client) in std::mem::take(&mut self.dhcp_clients) {
            client.stop().await;
        }
    }

    fn start_dhcp_client(&self, link: &Link) -> SupervisedProcess {
        let (name, hostname) = (link.name.clone(), format!("hostname:{}", self.hostname));
        SupervisedProcess::start("udhcpc", move || {
            let mut command = process::command("udhcpc");
            // In the foreground, without end, a few tries every few seconds.
            command.args(["-f", "-t", "4", "-T", "2", "-A", "3", "-x", &hostname, "-i", &name]);
            command.args(["-s", "/usr/share/udhcpc/default.script"]);
            command
        })
    }

    /// Sets a link's address, and the gateway for other networks.
    pub(super) async fn set_address(
        &mut self,
        link: &Link,
        address: IpAddr,
        prefix: u8,
        gateway: Option<IpAddr>,
    ) {
        if let Err(error) = self.netlink.set_address(link, address, prefix).await {
            return log::error!("{} cannot have the address {address}: {error}", link.name);
        }
        log::info!("{} has the address {address}", link.name);
        let metric = if link.wireless { WIFI_METRIC } else { CABLE_METRIC };
        if let Some(gateway) = gateway
            && let Err(error) = self.netlink.set_gateway(link, gateway, metric).await
        {
            log::warn!("{} cannot have the gateway {gateway}: {error}", link.name);
        }
        self.start_ntpd();
    }

    /// Writes the name servers of the settings, or else those of the lease.
    fn write_resolv_conf(&self, from_lease: &[IpAddr]) {
        let set = &self.settings.dns;
        let servers = if set.is_empty() { from_lease } else { set };
        let text: String = servers.iter().map(|ip| format!("nameserver {ip}\n")).collect();
        if let Err(error) = std::fs::write(RESOLV_CONF, text) {
            log::warn!("{RESOLV_CONF} cannot be written: {error}");
        }
    }

    /// Keeps the clock right, once there is a network.
    fn start_ntpd(&mut self) {
        let servers = &self.settings.ntp;
        if self.ntpd.is_some() || servers.is_empty() {
            return;
        }
        let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
        self.ntpd = Some(SupervisedProcess::start("ntpd", move || {
            let mut command = process::command("ntpd");
            command.arg("-n").args(servers.iter().flat_map(|server| ["-p", server]));
            command
        }));
    }

    /// Applies what a DHCP client has reported.
    pub(super) async fn apply_lease(&mut self, lease: DhcpLease) {
        let Some(link) = find_link(&lease.link) else { return };
        if !self.dhcp_clients.contains_key(&link.name) {
            return;
        }
        match lease.address {
            Some((address, prefix)) => {
                let gateway = lease.routers.first().copied().map(IpAddr::V4);
                self.set_address(&link, address.into(), prefix, gateway).await;
                self.write_resolv_conf(&lease.dns);
            }
            None => {
                if let Err(error) = self.netlink.clear_addresses(&link, true, None).await {
                    log::debug!("{} keeps its address: {error}", link.name);
                }
            }
        }
    }
}
