//! The network: the device on it, and what it serves there.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::config::values::{
    Address, CountryCode, FrameAncestor, Host, Hostname, IceServer, Origin, PrivateUrl, Sha256,
    Ssid, Subnet, TemplateName, Timezone, Tls, UrlPath, WifiNetwork,
};
use crate::config::{Auto, Secret};

/// `[device]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Device {
    /// Its name on the network; it answers at `NAME.local`.
    pub hostname: Hostname,
    /// Time zone of the clock in the picture.
    pub timezone: Timezone,
    /// Whether the device is to be reset at its next start; image only.
    pub factory_reset: bool,
}

/// `[wifi]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wifi {
    /// The country the device is in.
    pub country: Option<CountryCode>,
    /// Which network to join. With none, and no cable, the device opens its own.
    pub ssid: Option<Ssid>,
    /// Its passphrase; none for an open network.
    pub password: Option<Secret>,
    /// Whether the network does not announce its name.
    pub hidden: bool,
    /// Further networks; see [`Wifi::all`].
    pub networks: Vec<WifiNetwork>,
}

impl Wifi {
    /// Every network that may be joined, the preferred one first.
    pub fn all(&self) -> impl Iterator<Item = WifiNetwork> + '_ {
        let first = self.ssid.clone().map(|ssid| WifiNetwork {
            ssid,
            password: self.password.clone(),
            hidden: self.hidden,
        });
        first.into_iter().chain(self.networks.iter().cloned())
    }
}

/// `[network]`
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The device's address.
    pub address: Address,
    /// The router, with a static address.
    pub gateway: Option<IpAddr>,
    /// Name servers; empty for those of DHCP.
    pub dns: Vec<IpAddr>,
    /// Time servers; empty to ask none.
    pub ntp: Vec<Host>,
}

/// `[webrtc]`
#[derive(Clone, Debug, PartialEq)]
pub struct Webrtc {
    /// The one UDP port for all viewers; 0 for any free one.
    pub udp_port: u16,
    /// Further addresses under which viewers reach that port.
    pub announce: Vec<IpAddr>,
    /// STUN and TURN servers.
    pub ice_servers: Vec<IceServer>,
    /// Whether IPv6 is used.
    pub ipv6: bool,
    /// Whether viewers may come over TCP, on the same port number.
    pub tcp: bool,
}

/// `[http]`
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Where the web server listens.
    pub listen: SocketAddr,
    /// HTTPS, beside HTTP.
    pub tls: Tls,
    /// Where it listens for HTTPS; see [`Http::listen_tls`].
    pub tls_listen: Auto<SocketAddr>,
    /// Whether browsers of other machines are sent from HTTP to HTTPS.
    pub redirect_to_https: bool,
    /// Further names a browser may use for this device.
    pub allowed_hosts: Vec<Host>,
    /// Proxies that are trusted to say who their visitors are.
    pub trusted_proxies: Vec<Subnet>,
    /// Pages of other sites that may use the API.
    pub cors: Vec<Origin>,
    /// Pages of other sites that may show this one in a frame, and its pictures.
    pub frame_ancestors: Vec<FrameAncestor>,
    /// Whether a token may stand in the URL of a picture.
    pub token_in_url: bool,
    /// Folders served as they are, by path.
    pub mounts: BTreeMap<UrlPath, PathBuf>,
    /// Templates served as pages, by path.
    pub pages: BTreeMap<UrlPath, TemplateName>,
    /// The most connections at once.
    pub max_connections: u32,
    /// The most connections at once from one address, or one IPv6 network (/64).
    pub max_connections_per_address: u32,
}

impl Http {
    /// Where it listens for HTTPS: beside HTTP at the port that is usual there, unless it is said.
    #[must_use]
    pub fn listen_tls(&self) -> SocketAddr {
        let port = match self.listen.port() {
            0 => 0,
            80 => 443,
            _ => 8443,
        };
        match self.tls_listen {
            Auto::Auto => SocketAddr::new(self.listen.ip(), port),
            Auto::Fixed(address) => address,
        }
    }
}

/// `[site]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    /// The folder of the data-files.
    pub data_location: Option<PathBuf>,
    /// Whether the default files are written again at every start.
    pub overwrite_default_files: bool,
    /// Where missing data-files are downloaded from; see [`Site::download`].
    pub download_url: Option<PrivateUrl>,
    /// Checksum of the download.
    pub download_sha256: Option<Sha256>,
}

impl Site {
    /// Where to download missing data-files from, and their checksum. `None` unless both are known:
    /// nothing is downloaded that cannot be verified.
    #[must_use]
    pub fn download(&self) -> Option<(&PrivateUrl, &Sha256)> {
        self.download_url.as_ref().zip(self.download_sha256.as_ref())
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            address: Address::Dhcp,
            gateway: None,
            dns: Vec::new(),
            ntp: "pool.ntp.org".parse().into_iter().collect(),
        }
    }
}

impl Default for Webrtc {
    fn default() -> Self {
        Self {
            udp_port: 8189,
            announce: Vec::new(),
            ice_servers: Vec::new(),
            ipv6: true,
            tcp: false,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            tls: Tls::Off,
            tls_listen: Auto::Auto,
            redirect_to_https: false,
            allowed_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            token_in_url: false,
            cors: Vec::new(),
            frame_ancestors: Vec::new(),
            mounts: BTreeMap::new(),
            pages: BTreeMap::new(),
            max_connections: 512,
            max_connections_per_address: 64,
        }
    }
}
