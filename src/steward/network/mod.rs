//! Brings the device onto its network, by cable or by radio, and keeps it there.
//!
//! In come the settings, what the kernel says of links, what DHCP and wpa_supplicant say, and what
//! the owner chose on the page; out go addresses, and notices of how it stands. What the radio is
//! to do is decided by [`plan`]; [`radio`] does it by way of [`wpa`]; [`links`] speaks to the kernel.

mod links;
mod plan;
mod radio;
#[cfg(test)]
mod tests;
mod wpa;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::notices::Notices;
use super::owner::Owner;
use super::programs;
use super::service::Service;
use super::settings;
use super::stop::Stop;
use crate::appliance::{Join, Lease, OWN_NETWORK, SeenNetwork, WifiStatus};
use crate::config::{Address, CountryCode, Hostname, Network as Fixed, Secret, Wifi, WifiNetwork};
use links::{Kernel, Link};
use plan::{Event, Mode, Plan, Verdict};
use radio::{Radio, Task};
use wpa::{News, OwnNetwork};

/// Where name servers are written; the image has a link to it.
const RESOLV_CONF: &str = "/run/resolv.conf";

/// Of several ways out, the cable is preferred.
const METRICS: (u32, u32) = (100, 600);

/// How many names in reach are told where none of them is known.
const STRANGERS: usize = 12;

/// What the network is to be like.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) wifi: Wifi,
    pub(super) fixed: Fixed,
    pub(super) hostname: Hostname,
    /// The password of the device's own network.
    pub(super) own_key: String,
    /// Where files go that are gone with the next start.
    pub(super) run: PathBuf,
}

/// What others ask of the network.
#[derive(Debug)]
pub(super) enum Ask {
    /// A DHCP client learned something.
    Lease(Lease),
    /// Which networks are in reach.
    Networks(oneshot::Sender<Result<Vec<SeenNetwork>, String>>),
    /// The owner chose a network. Answered when it was joined, or was not.
    Join(Join, oneshot::Sender<Result<(), String>>),
}

/// The device's network.
pub(super) struct Network {
    settings: Settings,
    owner: Owner,
    notices: Notices,
    kernel: Kernel,
    /// Each link's DHCP client, and the link as it was when that was started.
    clients: BTreeMap<String, Service>,
    carriers: BTreeMap<String, bool>,
    radio: Option<Radio>,
    plan: Plan,
    doing: Mode,
    guests: usize,
    /// The name of the network that was joined.
    joined: Option<String>,
    /// The names that have been in reach since none of them is known.
    strangers: Option<BTreeSet<String>>,
    /// Gives addresses to guests.
    server: Option<Service>,
    choice: Option<Choice>,
    time: Option<Service>,
}

/// A network that the owner chose, while it is tried.
struct Choice {
    network: WifiNetwork,
    country: Option<CountryCode>,
    answer: oneshot::Sender<Result<(), String>>,
}

/// Brings the device onto its network, and keeps it there until `stop`.
pub(super) async fn keep(
    settings: Settings,
    owner: Owner,
    notices: Notices,
    mut asks: mpsc::Receiver<Ask>,
    mut stop: Stop,
) {
    let (kernel, mut changes) = match Kernel::open() {
        Ok(kernel) => kernel,
        Err(error) => return log::error!("the device stays without network: {error}"),
    };
    let mut network = Network::new(settings, owner, notices, kernel);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        network.look_at_links().await;
        network.follow_plan().await;
        network.tell();
        tokio::select! {
            _ = changes.changed() => {}
            _ = tick.tick() => network.happened(Event::Nothing),
            Some(ask) = asks.recv() => network.answer(ask).await,
            news = news(network.radio.as_mut()) => network.hear(news).await,
            () = stop.wait() => break,
        }
    }
    if let Some(radio) = &mut network.radio {
        radio.rest().await;
    }
    for (_, client) in std::mem::take(&mut network.clients) {
        client.stop().await;
    }
}

async fn news(radio: Option<&mut Radio>) -> News {
    match radio {
        Some(radio) => radio.news().await,
        None => std::future::pending().await,
    }
}

impl Network {
    fn new(settings: Settings, owner: Owner, notices: Notices, kernel: Kernel) -> Self {
        let named = settings.wifi.all().map(|network| network.ssid.to_string()).collect();
        Self {
            plan: Plan::new(named, Instant::now()),
            settings,
            owner,
            notices,
            kernel,
            clients: BTreeMap::new(),
            carriers: BTreeMap::new(),
            radio: None,
            doing: Mode::Off,
            guests: 0,
            joined: None,
            strangers: None,
            server: None,
            choice: None,
            time: None,
        }
    }

    /// Switches links on that are new, lets go of those that are gone, follows cables being plugged
    /// and pulled, and sees to it that there is a radio if there can be one.
    async fn look_at_links(&mut self) {
        let links = links::all();
        let is_gone = |name: &String| links.iter().all(|link| link.name != *name);
        for name in self.carriers.keys().filter(|name| is_gone(name)).cloned().collect::<Vec<_>>() {
            self.vanished(&name).await;
        }
        for link in &links {
            let before = self.carriers.insert(link.name.clone(), link.carrier);
            if before.is_none()
                && let Err(error) = self.kernel.up(link).await
            {
                log::warn!("{} is not switched on: {error}", link.name);
            }
            if !link.wireless && before.unwrap_or(false) != link.carrier {
                match link.carrier {
                    true => self.connected(link).await,
                    false => self.disconnected(link).await,
                }
            }
        }
        // The first there is: also in place of one that was pulled.
        if self.radio.is_none()
            && let Some(link) = links.iter().find(|link| link.wireless)
        {
            log::debug!("the radio is {}", link.name);
            let country = self.settings.wifi.country.clone();
            self.radio = Some(Radio::new(&link.name, country, &self.settings.run));
        }
        let cable = links::with_addresses().iter().any(|link| !link.wireless);
        self.happened(Event::Cable(cable));
    }

    async fn vanished(&mut self, name: &str) {
        self.carriers.remove(name);
        if let Some(client) = self.clients.remove(name) {
            client.stop().await;
        }
        if let Some(mut radio) = self.radio.take_if(|radio| radio.link == name) {
            log::warn!("the radio, {name}, is gone");
            radio.rest().await;
            if let Some(server) = self.server.take() {
                server.stop().await;
            }
            // Another one, or the same once it is back, begins with what the plan says.
            self.doing = Mode::Off;
            (self.joined, self.strangers, self.guests) = (None, None, 0);
            self.happened(Event::Left);
            self.happened(Event::Guests(0));
        }
    }

    /// A link can be used: it is given its address, or asks for one.
    async fn connected(&mut self, link: &Link) {
        match self.fixed_address(link) {
            Some((address, prefix)) => {
                let gateway = self.settings.fixed.gateway;
                self.set(link, address, prefix, gateway).await;
                self.set_name_servers(&[]);
            }
            None => {
                if let Some(client) = self.clients.remove(&link.name) {
                    client.stop().await;
                }
                self.clients.insert(link.name.clone(), self.dhcp_client(link));
            }
        }
    }

    /// The static address of the settings, if it is this link's.
    fn fixed_address(&self, link: &Link) -> Option<(IpAddr, u8)> {
        let radio_is_named = self.settings.wifi.all().next().is_some();
        match self.settings.fixed.address {
            Address::Static { address, prefix } if link.wireless == radio_is_named => {
                Some((address, prefix))
            }
            _ => None,
        }
    }

    async fn disconnected(&mut self, link: &Link) {
        if let Some(client) = self.clients.remove(&link.name) {
            client.stop().await;
        }
        for v4 in [true, false] {
            if let Err(error) = self.kernel.clear_addresses(link, v4, None).await {
                log::debug!("{} keeps an address: {error}", link.name);
            }
        }
    }

    fn dhcp_client(&self, link: &Link) -> Service {
        let (name, host) = (link.name.clone(), format!("hostname:{}", self.settings.hostname));
        Service::start("udhcpc", move || {
            let mut command = programs::command("udhcpc");
            // In the foreground, for ever, a few tries every few seconds.
            command.args(["-f", "-t", "4", "-T", "2", "-A", "3", "-x", &host, "-i", &name]);
            command.args(["-s", "/usr/share/udhcpc/default.script"]);
            command
        })
    }

    async fn set(&mut self, link: &Link, address: IpAddr, prefix: u8, gateway: Option<IpAddr>) {
        if let Err(error) = self.kernel.set_address(link, address, prefix).await {
            return log::error!("{} does not take the address {address}: {error}", link.name);
        }
        log::info!("{} has the address {address}", link.name);
        let metric = if link.wireless { METRICS.1 } else { METRICS.0 };
        if let Some(gateway) = gateway
            && let Err(error) = self.kernel.set_gateway(link, gateway, metric).await
        {
            log::warn!("{} does not reach other networks by {gateway}: {error}", link.name);
        }
        self.keep_time();
    }

    /// Writes the name servers of the settings, or else those that were learned.
    fn set_name_servers(&self, learned: &[IpAddr]) {
        let fixed = &self.settings.fixed.dns;
        let servers = if fixed.is_empty() { learned } else { fixed };
        let text: String = servers.iter().map(|ip| format!("nameserver {ip}\n")).collect();
        if let Err(error) = std::fs::write(RESOLV_CONF, text) {
            log::warn!("{RESOLV_CONF} cannot be written: {error}");
        }
    }

    /// Keeps the clock right, once there is a network to ask.
    fn keep_time(&mut self) {
        let servers = &self.settings.fixed.ntp;
        if self.time.is_some() || servers.is_empty() {
            return;
        }
        let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
        self.time = Some(Service::start("ntpd", move || {
            let mut command = programs::command("ntpd");
            command.arg("-n").args(servers.iter().flat_map(|server| ["-p", server]));
            command
        }));
    }

    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Lease(lease) => self.lease(lease).await,
            Ask::Networks(answer) => {
                let seen = match &mut self.radio {
                    Some(radio) => Ok(radio.look().await),
                    None => Err("this device has no radio".to_owned()),
                };
                let _ = answer.send(seen);
            }
            Ask::Join(join, answer) => self.join(&join, answer),
        }
    }

    async fn lease(&mut self, lease: Lease) {
        let Some(link) = links::all().into_iter().find(|link| link.name == lease.link) else {
            return;
        };
        if !self.clients.contains_key(&link.name) {
            return;
        }
        match lease.address {
            Some((address, prefix)) => {
                let gateway = lease.routers.first().copied().map(IpAddr::V4);
                self.set(&link, address.into(), prefix, gateway).await;
                self.set_name_servers(&lease.dns);
            }
            None => {
                if let Err(error) = self.kernel.clear_addresses(&link, true, None).await {
                    log::debug!("{} keeps its address: {error}", link.name);
                }
            }
        }
    }

    fn join(&mut self, join: &Join, answer: oneshot::Sender<Result<(), String>>) {
        let refuse = |answer: oneshot::Sender<Result<(), String>>, why: &str| {
            let _ = answer.send(Err(why.to_owned()));
        };
        if self.radio.is_none() {
            return refuse(answer, "this device has no radio");
        }
        let Ok(ssid) = join.ssid.parse() else {
            return refuse(answer, "a network's name has 1 to 32 bytes and no control characters");
        };
        if join.password.as_deref().is_some_and(|p| !crate::config::is_wifi_password(p)) {
            return refuse(answer, "a network's password has 8 to 63 printable ASCII characters");
        }
        let Ok(country) = join.country.as_deref().map(str::parse).transpose() else {
            return refuse(answer, "a country is two capital letters, such as DE");
        };
        let password = join.password.as_deref().map(Secret::new);
        let network = WifiNetwork { ssid, password, hidden: join.hidden };
        let name = network.ssid.to_string();
        log::info!("joining {name:?}, as its owner chose");
        if let Some(Choice { answer, .. }) =
            self.choice.replace(Choice { network, country, answer })
        {
            refuse(answer, "another network was chosen meanwhile");
        }
        // Chosen twice, it is another choice.
        self.doing = Mode::Off;
        self.happened(Event::Choose(name));
    }

    async fn hear(&mut self, news: News) {
        log::debug!("radio: {news:?}");
        match news {
            // Its own network, which is open now, is none that it has joined: asking for an address
            // there would take away the one at which guests find it.
            News::Joined if self.doing == Mode::AccessPoint => {}
            News::Joined => {
                self.joined = match &self.radio {
                    Some(radio) => radio.joined().await,
                    None => None,
                };
                log::info!("joined {:?}", self.joined.as_deref().unwrap_or_default());
                for link in self.arrived(links::all()) {
                    if !link.wireless {
                        self.disconnected(&link).await;
                    }
                    self.connected(&link).await;
                }
            }
            News::Left => {
                (self.joined, self.guests) = (None, 0);
                self.happened(Event::Left);
                self.happened(Event::Guests(0));
            }
            News::Refused { ssid } => self.happened(Event::Refused(ssid)),
            News::NotFound => {
                if let Some(radio) = &mut self.radio {
                    let seen = radio.glance().await;
                    add_strangers(self.strangers.get_or_insert_default(), seen);
                }
            }
            News::Guest { came } => {
                self.guests = if came { self.guests + 1 } else { self.guests.saturating_sub(1) };
                self.happened(Event::Guests(self.guests));
            }
        }
    }

    /// A network was joined. Returns those of the device's `links` that are to have another address.
    fn arrived(&mut self, links: Vec<Link>) -> Vec<Link> {
        let had_fixed: Vec<bool> =
            links.iter().map(|link| self.fixed_address(link).is_some()).collect();
        self.strangers = None;
        // What kept it from that is over. Why a choice failed, the page still knows.
        self.notices.note("wifi", None);
        // One that was chosen has a name in config.toml from here on, and so may have the static
        // address that was the cable's: now as well as after the next start.
        self.happened(Event::Joined);
        let is_radio = |link: &Link| self.radio.as_ref().is_some_and(|r| r.link == link.name);
        let has_lost = |link: &Link| link.carrier && self.fixed_address(link).is_none();
        let links = links.into_iter().zip(had_fixed);
        let to_do = links.filter(|(link, had)| is_radio(link) || (*had && has_lost(link)));
        to_do.map(|(link, _)| link).collect()
    }

    fn happened(&mut self, event: Event) {
        let chosen = self.choice.as_ref().map(|choice| choice.network.ssid.to_string());
        let chosen = chosen.unwrap_or_default();
        match self.plan.take(event, Instant::now()) {
            None => {}
            Some(Verdict::Keep) => self.end_choice(Ok(())),
            Some(Verdict::Drop { refused: true }) => {
                self.end_choice(Err(format!("the password of “{chosen}” is wrong")));
            }
            Some(Verdict::Drop { refused: false }) => {
                self.end_choice(Err(format!("“{chosen}” is not in reach, or does not answer")));
            }
            Some(Verdict::GiveUp { refused }) => {
                let wrong = |name| format!("The password of the network “{name}” is wrong.");
                let note = refused.iter().map(wrong).collect::<Vec<_>>().join(" ");
                self.notices.note("wifi", Some(note));
            }
        }
    }

    fn end_choice(&mut self, result: Result<(), String>) {
        let Some(Choice { network, country, answer }) = self.choice.take() else { return };
        if result.is_ok() {
            // It is what the radio does already.
            self.doing = Mode::Named;
            self.remember(network, country);
        }
        let note = result.as_ref().err().map(|why| format!("The network was not joined: {why}."));
        self.notices.note("wifi", note);
        let _ = answer.send(result);
    }

    /// Puts a network that was joined first, here and in `config.toml`.
    fn remember(&mut self, network: WifiNetwork, country: Option<CountryCode>) {
        if let Err(error) = settings::keep_network(&self.owner, &network, country.as_ref()) {
            log::error!("the network is forgotten at the next start: {error}");
        }
        let wifi = &mut self.settings.wifi;
        let others = wifi.all().filter(|n| n.ssid != network.ssid).collect();
        let WifiNetwork { ssid, password, hidden } = network;
        let country = country.or_else(|| wifi.country.take());
        *wifi = Wifi { country, ssid: Some(ssid), password, hidden, networks: others };
    }

    /// Has the radio do what the plan says.
    async fn follow_plan(&mut self) {
        let mode = self.plan.mode();
        if mode == self.doing || self.radio.is_none() {
            return;
        }
        log::debug!("radio: {:?} → {mode:?}", self.doing);
        self.doing = mode;
        (self.joined, self.strangers, self.guests) = (None, None, 0);
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        let link = self.radio.as_ref().and_then(|radio| find(&radio.link));
        if let Some(link) = &link {
            self.disconnected(link).await;
        }
        let named: Vec<WifiNetwork> = self.settings.wifi.all().collect();
        let Some(radio) = &mut self.radio else { return };
        let task = match (mode, &self.choice) {
            (Mode::Named, _) => Some(Task::Join(named)),
            (Mode::Chosen, Some(Choice { network, country, .. })) => {
                if let Some(country) = country {
                    radio.set_country(country.clone());
                }
                Some(Task::Join(vec![network.clone()]))
            }
            (Mode::AccessPoint, _) => {
                // As an access point it can no longer look around.
                radio.rest().await;
                radio.look().await;
                Some(Task::Open(own_network(&radio.link, &self.settings.own_key)))
            }
            (Mode::Chosen, None) | (Mode::Off, _) => None,
        };
        let Some(task) = task else { return radio.rest().await };
        if let Err(error) = radio.start(&task).await {
            log::error!("the radio does not start: {error}");
        }
        if let (Task::Open(own), Some(link)) = (&task, link) {
            log::info!("waiting for a guest in the device's own network, {}", own.ssid);
            self.serve_guests(&link).await;
        }
    }

    /// Gives guests addresses. No way out is offered: telephones then keep their own.
    async fn serve_guests(&mut self, link: &Link) {
        let (address, prefix) = OWN_NETWORK;
        self.set(link, address.into(), prefix, None).await;
        let [a, b, c, _] = address.octets();
        let run = self.settings.run.display();
        let conf = format!(
            "start {a}.{b}.{c}.10\nend {a}.{b}.{c}.99\ninterface {}\nlease_file {run}/udhcpd.leases\n\
             pidfile {run}/udhcpd.pid\noption subnet 255.255.255.0\noption lease 600\n",
            link.name
        );
        let file = self.settings.run.join("udhcpd.conf");
        // udhcpd complains of a lease file that is not there yet.
        let leases = self.settings.run.join("udhcpd.leases");
        let written = std::fs::write(&file, conf)
            .and_then(|()| std::fs::File::options().create(true).append(true).open(leases));
        if let Err(error) = written {
            return log::error!("guests get no address: {error}");
        }
        self.server = Some(Service::start("udhcpd", move || {
            let mut command = programs::command("udhcpd");
            command.arg("-f").arg(&file);
            command
        }));
    }

    /// Says how it stands.
    fn tell(&self) {
        let first = || {
            let chosen = self.choice.as_ref().map(|choice| choice.network.ssid.clone());
            let named = || self.settings.wifi.all().next().map(|network| network.ssid);
            chosen.or_else(named).map(|ssid| ssid.to_string()).unwrap_or_default()
        };
        let wifi = match (&self.radio, self.doing) {
            (None, _) => WifiStatus::None,
            (Some(_), Mode::Off) => WifiStatus::Off,
            (Some(radio), Mode::AccessPoint) => {
                let OwnNetwork { ssid, key } = own_network(&radio.link, &self.settings.own_key);
                WifiStatus::AccessPoint { ssid, key, address: OWN_NETWORK.0 }
            }
            _ => match (self.plan.refused().next(), &self.joined, &self.strangers) {
                (Some(ssid), ..) => WifiStatus::WrongPassword { ssid: ssid.clone() },
                (None, Some(ssid), _) => WifiStatus::Joined { ssid: ssid.clone() },
                (None, None, Some(in_reach)) => {
                    let in_reach = in_reach.iter().cloned().collect();
                    WifiStatus::NotFound { ssid: first(), in_reach }
                }
                (None, None, None) => WifiStatus::Joining { ssid: first() },
            },
        };
        let links = links::with_addresses();
        self.notices.change(|status| {
            status.wifi = wifi;
            status.links = links;
        });
    }
}

fn find(name: &str) -> Option<Link> {
    links::all().into_iter().find(|link| link.name == name)
}

/// Adds the names of those `seen`, the strongest first, to those of strangers. None is taken out,
/// and there is an end to it: each look around finds some others in another order, and whatever
/// differs is written to the card.
fn add_strangers(strangers: &mut BTreeSet<String>, seen: Vec<SeenNetwork>) {
    for network in seen {
        if strangers.len() < STRANGERS {
            strangers.insert(network.ssid);
        }
    }
}

/// The device's own network is called by the end of its hardware address.
fn own_network(link: &str, key: &str) -> OwnNetwork {
    let address = links::hardware_address(link).unwrap_or_default().replace(':', "");
    let end = address.get(address.len().saturating_sub(4)..).unwrap_or_default();
    OwnNetwork { ssid: format!("Picket-{}", end.to_uppercase()), key: key.to_owned() }
}

/// A random password for the device's own network, easy to type: 80 bits.
pub(super) fn random_key() -> std::io::Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 16];
    std::io::Read::read_exact(&mut std::fs::File::open(Path::new("/dev/urandom"))?, &mut bytes)?;
    let letters: Vec<char> =
        bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
    Ok(letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join("-"))
}
