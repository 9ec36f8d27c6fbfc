//! Brings the device onto its network, by cable or by Wi-Fi, and keeps it there.
//!
//! In come the settings, the kernel's messages on links and addresses, DHCP leases,
//! wpa_supplicant's events, and the network that the owner chose on the page; out go addresses,
//! routes and name servers, and the state of the network.
//!
//! [`controller`] puts it together: [`wifi_policy`] decides what the Wi-Fi interface does, [`wifi`]
//! has wpa_supplicant do it ([`wpa_conf`], [`wpa_ctrl`]), [`ip`] gives links their addresses, by
//! way of [`links`], which talks to the kernel.

mod controller;
mod dhcp_server;
mod ip;
mod join_attempt;
mod links;
mod passphrase;
mod wifi;
mod wifi_policy;
mod wpa_conf;
mod wpa_ctrl;

pub(super) use controller::{NetworkRequest, NetworkSettings, run};
pub(super) use passphrase::random_passphrase;
