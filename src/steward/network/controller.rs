//! Follows links, the Wi-Fi policy and requests, and does what they ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::dhcp_server;
use super::ip::IpConfigurator;
use super::join_attempt::{self, JoinAttempt};
use super::links::{self, Link, Netlink, find_link};
use super::wifi::{SupplicantMode, WifiInterface};
use super::wifi_policy::{WifiDecision, WifiEvent, WifiMode, WifiPolicy};
use super::wpa_conf::AccessPoint;
use super::wpa_ctrl::SupplicantEvent;
use crate::appliance::{ACCESS_POINT_ADDRESS, DhcpLease, JoinRequest, SeenNetwork, WifiStatus};
use crate::config::{CountryCode, Hostname, Network as IpSettings, Wifi, WifiNetwork};
use crate::steward::boot_partition::BootPartition;
use crate::steward::config_file;
use crate::steward::device_state::DeviceState;
use crate::steward::stop_token::StopToken;
use crate::steward::supervised_process::SupervisedProcess;

/// Most names in range that are listed where none of them is a known network.
const MAX_SEEN: usize = 12;

/// How often the policy is told that time has passed.
const TICK: Duration = Duration::from_secs(1);

/// The topic of the note to the owner.
const NOTE_TOPIC: &str = "wifi";

/// What the network is to be like.
#[derive(Clone, Debug)]
pub(in crate::steward) struct NetworkSettings {
    pub(in crate::steward) wifi: Wifi,
    pub(in crate::steward) ip: IpSettings,
    pub(in crate::steward) hostname: Hostname,
    /// The passphrase of the device's own access point.
    pub(in crate::steward) passphrase: String,
    /// For files that are gone at the next start.
    pub(in crate::steward) runtime_dir: PathBuf,
}

/// What others ask the network to do.
#[derive(Debug)]
pub(in crate::steward) enum NetworkRequest {
    /// Apply what a DHCP client has reported.
    Lease(DhcpLease),
    /// List the networks in range.
    Networks(oneshot::Sender<Result<Vec<SeenNetwork>, String>>),
    /// Join the network that the owner chose. The reply comes when it was joined, or was not.
    Join(JoinRequest, oneshot::Sender<Result<(), String>>),
}

/// Brings the device onto its network, and keeps it there until `stop`.
pub(in crate::steward) async fn run(
    settings: NetworkSettings,
    boot: BootPartition,
    device_state: DeviceState,
    mut requests: mpsc::Receiver<NetworkRequest>,
    mut stop: StopToken,
) {
    let (netlink, mut changes) = match Netlink::open() {
        Ok(netlink) => netlink,
        Err(error) => return log::error!("there is no network: {error}"),
    };
    let mut controller = NetworkController::new(settings, boot, device_state, netlink);
    let mut tick = tokio::time::interval(TICK);
    loop {
        controller.update_links().await;
        controller.apply_policy().await;
        controller.publish_status();
        tokio::select! {
            _ = changes.changed() => {}
            _ = tick.tick() => controller.handle_event(WifiEvent::Tick),
            Some(request) = requests.recv() => controller.handle_request(request).await,
            event = next_event(controller.wifi.as_mut()) => {
                controller.handle_supplicant_event(event).await;
            }
            () = stop.stopped() => break,
        }
    }
    if let Some(wifi) = &mut controller.wifi {
        wifi.stop().await;
    }
    controller.ip.stop().await;
}

async fn next_event(wifi: Option<&mut WifiInterface>) -> SupplicantEvent {
    match wifi {
        Some(wifi) => wifi.next_event().await,
        None => std::future::pending().await,
    }
}

/// The device's network.
struct NetworkController {
    wifi_settings: Wifi,
    passphrase: String,
    runtime_dir: PathBuf,
    boot: BootPartition,
    device_state: DeviceState,
    ip: IpConfigurator,
    /// Each link, and whether it had a carrier when last looked at.
    carriers: BTreeMap<String, bool>,
    wifi: Option<WifiInterface>,
    policy: WifiPolicy,
    /// What the Wi-Fi interface does now.
    mode: WifiMode,
    /// How many stations are connected to the device's own access point.
    stations: usize,
    /// The name of the network that was joined.
    joined: Option<String>,
    /// The names that have been in range since none of them is a known network.
    seen: Option<BTreeSet<String>>,
    /// Gives addresses to the stations.
    dhcp_server: Option<SupervisedProcess>,
    attempt: Option<JoinAttempt>,
}

impl NetworkController {
    fn new(
        settings: NetworkSettings,
        boot: BootPartition,
        device_state: DeviceState,
        netlink: Netlink,
    ) -> Self {
        let NetworkSettings { wifi, ip, hostname, passphrase, runtime_dir } = settings;
        let named = wifi.all().map(|network| network.ssid.to_string()).collect();
        Self {
            policy: WifiPolicy::new(named, Instant::now()),
            wifi_settings: wifi,
            passphrase,
            runtime_dir,
            boot,
            device_state,
            ip: IpConfigurator::new(netlink, ip, hostname),
            carriers: BTreeMap::new(),
            wifi: None,
            mode: WifiMode::Off,
            stations: 0,
            joined: None,
            seen: None,
            dhcp_server: None,
            attempt: None,
        }
    }

    /// Switches new links on, forgets those that are gone, follows cables that are plugged in and
    /// pulled out, and sees to it that there is a Wi-Fi interface if there can be one.
    async fn update_links(&mut self) {
        let links = links::all();
        let is_gone = |name: &String| links.iter().all(|link| link.name != *name);
        for name in self.carriers.keys().filter(|name| is_gone(name)).cloned().collect::<Vec<_>>() {
            self.remove_link(&name).await;
        }
        for link in &links {
            let before = self.carriers.insert(link.name.clone(), link.carrier);
            if before.is_none() {
                self.ip.enable(link).await;
            }
            if !link.wireless && before.unwrap_or(false) != link.carrier {
                match link.carrier {
                    true => self.ip.link_up(link, self.static_address(link)).await,
                    false => self.ip.link_down(link).await,
                }
            }
        }
        // The first there is, also in place of one that was removed.
        if self.wifi.is_none()
            && let Some(link) = links.iter().find(|link| link.wireless)
        {
            log::debug!("the Wi-Fi interface is {}", link.name);
            let country = self.wifi_settings.country.clone();
            self.wifi = Some(WifiInterface::new(&link.name, country, &self.runtime_dir));
        }
        let cable = links::with_addresses().iter().any(|link| !link.wireless);
        self.handle_event(WifiEvent::Cable(cable));
    }

    async fn remove_link(&mut self, name: &str) {
        self.carriers.remove(name);
        self.ip.stop_dhcp_client(name).await;
        if let Some(mut wifi) = self.wifi.take_if(|wifi| wifi.link == name) {
            log::warn!("the Wi-Fi interface, {name}, is gone");
            wifi.stop().await;
            if let Some(server) = self.dhcp_server.take() {
                server.stop().await;
            }
            // Another one, or the same one once it is back, starts with what the policy says.
            self.mode = WifiMode::Off;
            (self.joined, self.seen, self.stations) = (None, None, 0);
            self.handle_event(WifiEvent::Left);
            self.handle_event(WifiEvent::Stations(0));
        }
    }

    /// The static address of the settings, if it is this link's.
    fn static_address(&self, link: &Link) -> Option<(IpAddr, u8)> {
        let has_wifi_network = self.wifi_settings.all().next().is_some();
        self.ip.static_address().filter(|_| link.wireless == has_wifi_network)
    }

    async fn handle_request(&mut self, request: NetworkRequest) {
        match request {
            NetworkRequest::Lease(lease) => self.ip.apply_lease(lease).await,
            NetworkRequest::Networks(reply) => {
                let seen = match &mut self.wifi {
                    Some(wifi) => Ok(wifi.scan().await),
                    None => Err("this device has no Wi-Fi".to_owned()),
                };
                let _ = reply.send(seen);
            }
            NetworkRequest::Join(join, reply) => self.join(&join, reply),
        }
    }

    fn join(&mut self, join: &JoinRequest, reply: oneshot::Sender<Result<(), String>>) {
        let refuse = |reply: oneshot::Sender<Result<(), String>>, why: &str| {
            let _ = reply.send(Err(why.to_owned()));
        };
        if self.wifi.is_none() {
            return refuse(reply, "this device has no Wi-Fi");
        }
        let (network, country) = match join_attempt::parse(join) {
            Ok(parsed) => parsed,
            Err(why) => return refuse(reply, why),
        };
        let name = network.ssid.to_string();
        log::info!("joining {name:?}, as its owner chose");
        let attempt = JoinAttempt { network, country, reply };
        if let Some(JoinAttempt { reply, .. }) = self.attempt.replace(attempt) {
            refuse(reply, "another network was chosen meanwhile");
        }
        // The same mode again, but for another network.
        self.mode = WifiMode::Off;
        self.handle_event(WifiEvent::Choose(name));
    }

    async fn handle_supplicant_event(&mut self, event: SupplicantEvent) {
        log::debug!("Wi-Fi: {event:?}");
        match event {
            // The device's own access point is up; it has not joined anything. A DHCP client there
            // would take away the address at which stations find the device.
            SupplicantEvent::Connected if self.mode == WifiMode::AccessPoint => {}
            SupplicantEvent::Connected => {
                self.joined = match &self.wifi {
                    Some(wifi) => wifi.joined_ssid().await,
                    None => None,
                };
                log::info!("joined {:?}", self.joined.as_deref().unwrap_or_default());
                for link in self.handle_joined(links::all()) {
                    if !link.wireless {
                        self.ip.link_down(&link).await;
                    }
                    self.ip.link_up(&link, self.static_address(&link)).await;
                }
            }
            SupplicantEvent::Disconnected => {
                (self.joined, self.stations) = (None, 0);
                self.handle_event(WifiEvent::Left);
                self.handle_event(WifiEvent::Stations(0));
            }
            SupplicantEvent::PasswordRefused { ssid } => {
                self.handle_event(WifiEvent::PasswordRefused(ssid));
            }
            SupplicantEvent::NetworkNotFound => {
                if let Some(wifi) = &mut self.wifi {
                    let results = wifi.scan_results().await;
                    add_seen(self.seen.get_or_insert_default(), results);
                }
            }
            SupplicantEvent::StationConnected => self.set_stations(self.stations + 1),
            SupplicantEvent::StationDisconnected => {
                self.set_stations(self.stations.saturating_sub(1));
            }
        }
    }

    fn set_stations(&mut self, stations: usize) {
        self.stations = stations;
        self.handle_event(WifiEvent::Stations(stations));
    }

    /// A network was joined. Returns those of the device's `links` whose address has to be
    /// configured again.
    fn handle_joined(&mut self, links: Vec<Link>) -> Vec<Link> {
        let had_static: Vec<bool> =
            links.iter().map(|link| self.static_address(link).is_some()).collect();
        self.seen = None;
        // What kept it from joining is over. Why an attempt failed, the page still knows.
        self.device_state.set_note(NOTE_TOPIC, None);
        // A network that was chosen is in config.toml from here on, so the static address may now
        // be the Wi-Fi interface's and no longer the cable's: now, as after the next start.
        self.handle_event(WifiEvent::Joined);
        let is_wifi = |link: &Link| self.wifi.as_ref().is_some_and(|wifi| wifi.link == link.name);
        let has_lost = |link: &Link| link.carrier && self.static_address(link).is_none();
        let links = links.into_iter().zip(had_static);
        let changed = links.filter(|(link, had)| is_wifi(link) || (*had && has_lost(link)));
        changed.map(|(link, _)| link).collect()
    }

    fn handle_event(&mut self, event: WifiEvent) {
        let chosen = self.attempt.as_ref().map(|attempt| attempt.network.ssid.to_string());
        let chosen = chosen.unwrap_or_default();
        match self.policy.handle(event, Instant::now()) {
            None => {}
            Some(WifiDecision::KeepChoice) => self.end_attempt(Ok(())),
            Some(WifiDecision::DropChoice { refused: true }) => {
                self.end_attempt(Err(format!("the password of “{chosen}” is wrong")));
            }
            Some(WifiDecision::DropChoice { refused: false }) => {
                self.end_attempt(Err(format!("“{chosen}” is not in range, or does not respond")));
            }
            Some(WifiDecision::GiveUp { refused }) => {
                let wrong = |name| format!("The password of the network “{name}” is wrong.");
                let note = refused.iter().map(wrong).collect::<Vec<_>>().join(" ");
                self.device_state.set_note(NOTE_TOPIC, Some(note));
            }
        }
    }

    fn end_attempt(&mut self, result: Result<(), String>) {
        let Some(JoinAttempt { network, country, reply }) = self.attempt.take() else { return };
        if result.is_ok() {
            // The Wi-Fi interface does that already.
            self.mode = WifiMode::Named;
            self.save_network(network, country);
        }
        let note = result.as_ref().err().map(|why| format!("The network was not joined: {why}."));
        self.device_state.set_note(NOTE_TOPIC, note);
        let _ = reply.send(result);
    }

    /// Makes a network that was joined the preferred one, here and in `config.toml`.
    fn save_network(&mut self, network: WifiNetwork, country: Option<CountryCode>) {
        if let Err(error) = config_file::set_network(&self.boot, &network, country.as_ref()) {
            log::error!("the network is forgotten at the next start: {error}");
        }
        let wifi = &mut self.wifi_settings;
        let others = wifi.all().filter(|n| n.ssid != network.ssid).collect();
        let WifiNetwork { ssid, password, hidden } = network;
        let country = country.or_else(|| wifi.country.take());
        *wifi = Wifi { country, ssid: Some(ssid), password, hidden, networks: others };
    }

    /// Has the Wi-Fi interface do what the policy says.
    async fn apply_policy(&mut self) {
        let mode = self.policy.mode();
        if mode == self.mode || self.wifi.is_none() {
            return;
        }
        log::debug!("Wi-Fi: {:?} → {mode:?}", self.mode);
        self.mode = mode;
        (self.joined, self.seen, self.stations) = (None, None, 0);
        if let Some(server) = self.dhcp_server.take() {
            server.stop().await;
        }
        let link = self.wifi.as_ref().and_then(|wifi| find_link(&wifi.link));
        if let Some(link) = &link {
            self.ip.link_down(link).await;
        }
        let named: Vec<WifiNetwork> = self.wifi_settings.all().collect();
        let Some(wifi) = &mut self.wifi else { return };
        let supplicant = match (mode, &self.attempt) {
            (WifiMode::Named, _) => Some(SupplicantMode::Station(named)),
            (WifiMode::Chosen, Some(JoinAttempt { network, country, .. })) => {
                if let Some(country) = country {
                    wifi.set_country(country.clone());
                }
                Some(SupplicantMode::Station(vec![network.clone()]))
            }
            (WifiMode::AccessPoint, _) => {
                // As an access point it cannot scan any more.
                wifi.stop().await;
                wifi.scan().await;
                let access_point = access_point(&wifi.link, &self.passphrase);
                Some(SupplicantMode::AccessPoint(access_point))
            }
            (WifiMode::Chosen, None) | (WifiMode::Off, _) => None,
        };
        let Some(supplicant) = supplicant else { return wifi.stop().await };
        if let Err(error) = wifi.start(&supplicant).await {
            log::error!("wpa_supplicant cannot be started: {error}");
        }
        if let (SupplicantMode::AccessPoint(access_point), Some(link)) = (&supplicant, link) {
            log::info!("access point: the device's own network, {}, is open", access_point.ssid);
            self.serve_stations(&link).await;
        }
    }

    /// Gives the device its address on its own access point, and its stations theirs.
    async fn serve_stations(&mut self, link: &Link) {
        let (address, prefix) = ACCESS_POINT_ADDRESS;
        self.ip.set_address(link, address.into(), prefix, None).await;
        match dhcp_server::start(link, &self.runtime_dir) {
            Ok(server) => self.dhcp_server = Some(server),
            Err(error) => log::error!("access point: no addresses for stations: {error}"),
        }
    }

    /// Publishes the state of the network.
    fn publish_status(&self) {
        let first = || {
            let chosen = self.attempt.as_ref().map(|attempt| attempt.network.ssid.clone());
            let named = || self.wifi_settings.all().next().map(|network| network.ssid);
            chosen.or_else(named).map(|ssid| ssid.to_string()).unwrap_or_default()
        };
        let status = match (&self.wifi, self.mode) {
            (None, _) => WifiStatus::None,
            (Some(_), WifiMode::Off) => WifiStatus::Off,
            (Some(wifi), WifiMode::AccessPoint) => {
                let AccessPoint { ssid, passphrase } = access_point(&wifi.link, &self.passphrase);
                WifiStatus::AccessPoint { ssid, key: passphrase, address: ACCESS_POINT_ADDRESS.0 }
            }
            _ => match (self.policy.refused().next(), &self.joined, &self.seen) {
                (Some(ssid), ..) => WifiStatus::WrongPassword { ssid: ssid.clone() },
                (None, Some(ssid), _) => WifiStatus::Joined { ssid: ssid.clone() },
                (None, None, Some(seen)) => {
                    let in_reach = seen.iter().cloned().collect();
                    WifiStatus::NotFound { ssid: first(), in_reach }
                }
                (None, None, None) => WifiStatus::Joining { ssid: first() },
            },
        };
        let links = links::with_addresses();
        self.device_state.update(|device| {
            device.wifi = status;
            device.links = links;
        });
    }
}

/// Adds the names of scan results, the strongest first. None is removed, and their number is
/// limited: each scan finds some others in another order, and whatever differs is written to the
/// card.
fn add_seen(seen: &mut BTreeSet<String>, results: Vec<SeenNetwork>) {
    for network in results {
        if seen.len() < MAX_SEEN {
            seen.insert(network.ssid);
        }
    }
}

/// The device's own access point, named by the end of the link's hardware address.
fn access_point(link: &str, passphrase: &str) -> AccessPoint {
    let address = links::hardware_address(link).unwrap_or_default().replace(':', "");
    let end = address.get(address.len().saturating_sub(4)..).unwrap_or_default();
    let ssid = format!("Picket-{}", end.to_uppercase());
    AccessPoint { ssid, passphrase: passphrase.to_owned() }
}

#[cfg(test)]
mod tests;
