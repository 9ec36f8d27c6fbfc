//! The configuration as plain data: what every room reads.
//!
//! Defaults are those of [`Default`]; the reference in `docs/configuration.md` is tested against
//! them. Ranges and the owner's words for each key stand in [`keys`](super::keys).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::source::{PrivateUrl, Source};
use super::values::{
    Address, Bitrate, CountryCode, FrameAncestor, Host, Hostname, IceServer, Origin, Sha256,
    SshKey, Ssid, TemplateName, Timezone, Tls, UrlPath, WifiNetwork,
};
use super::{Auth, Controls, Secret, Subnet};

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Who may sign in.
    pub auth: Auth,
    /// The device itself.
    pub device: Device,
    /// Its wireless network; image only.
    pub wifi: Wifi,
    /// Its address; image only.
    pub network: Network,
    /// Where pictures come from.
    pub camera: Camera,
    /// How they are coded.
    pub encoder: Encoder,
    /// Who watches, and what is shown when there is no picture.
    pub stream: Stream,
    /// How pictures reach viewers.
    pub webrtc: Webrtc,
    /// The web server.
    pub http: Http,
    /// The pages' files.
    pub site: Site,
    /// The lamp.
    pub led: Led,
    /// The button.
    pub button: Button,
    /// The hardware watchdog; image only.
    pub watchdog: Watchdog,
    /// Updates of the image; image only.
    pub update: Update,
    /// Signing in to the device itself; image only.
    pub ssh: Ssh,
    /// The log.
    pub log: Log,
}

/// `[device]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Device {
    /// Its name on the network; it answers at `NAME.local`.
    pub hostname: Hostname,
    /// Time zone of the clock in the picture.
    pub timezone: Timezone,
    /// Whether the device is to forget everything at its next start; image only.
    pub factory_reset: bool,
}

/// `[wifi]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wifi {
    /// Where the device stands.
    pub country: Option<CountryCode>,
    /// Which network to join. With none, and no cable, the device opens its own.
    pub ssid: Option<Ssid>,
    /// Its passphrase; none for an open network.
    pub password: Option<Secret>,
    /// Whether the network keeps its name to itself.
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
    /// The way out, beside a static address.
    pub gateway: Option<IpAddr>,
    /// Name servers; empty for those of DHCP.
    pub dns: Vec<IpAddr>,
    /// Time servers; empty to ask none.
    pub ntp: Vec<Host>,
}

/// `[camera]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Camera {
    /// Where pictures come from.
    pub source: Source,
    /// Wished width in pixels.
    pub width: Option<u32>,
    /// Wished height in pixels.
    pub height: Option<u32>,
    /// Wished pictures a second.
    pub fps: Option<f64>,
    /// Turn, clockwise.
    pub rotation: Rotation,
    /// Mirrors left and right.
    pub hflip: bool,
    /// Mirrors top and bottom.
    pub vflip: bool,
    /// Per cent taken off both width and height before encoding, 0 to 90.
    pub frame_size_reduction: u8,
    /// Whether to steady a shaking camera.
    pub stabilize: bool,
    /// Colour or shades of grey.
    pub colorspace: Colorspace,
    /// How long a camera's first pictures are taken and thrown away.
    pub time_delay: Duration,
    /// Writing in the picture.
    pub overlay: Overlay,
    /// How pictures are steadied.
    pub stabilizer: Stabilizer,
    /// The camera's own knobs.
    pub controls: Controls,
    /// How libcamera tunes its algorithms to the sensor; its own file for the sensor without.
    pub tuning_file: Option<PathBuf>,
}

/// Clockwise turn of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// As the camera sees it.
    #[default]
    None,
    /// A quarter.
    Quarter,
    /// Upside down.
    Half,
    /// Three quarters.
    ThreeQuarters,
}

/// What of the picture's colour is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colorspace {
    /// All of it.
    #[default]
    Color,
    /// Brightness only.
    Gray,
}

/// `[camera.overlay]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    /// Words.
    pub text: Option<String>,
    /// Whether date and time stand behind them.
    pub time: bool,
    /// In which corner.
    pub position: Corner,
}

/// A corner of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Corner {
    /// Upper left.
    #[default]
    TopLeft,
    /// Upper right.
    TopRight,
    /// Lower left.
    BottomLeft,
    /// Lower right.
    BottomRight,
}

/// `[camera.stabilizer]`
#[derive(Clone, Debug, PartialEq)]
pub struct Stabilizer {
    /// How many pictures the motion is smoothed over.
    pub smoothing_radius: u32,
    /// Pixels added around the picture, so that its moved edge is not lost.
    pub border_size: u32,
    /// What fills the border.
    pub border_type: BorderType,
    /// Whether to crop the border and enlarge the rest.
    pub crop_n_zoom: bool,
}

/// What stands beyond the picture's edge; `abcd` is the picture's last row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BorderType {
    /// Black.
    #[default]
    Black,
    /// `abcd|dcba`
    Reflect,
    /// `abcd|cba`
    Reflect101,
    /// `abcd|dddd`
    Replicate,
    /// `abcd|abcd`
    Wrap,
}

/// `[encoder]`
#[derive(Clone, Debug, PartialEq)]
pub struct Encoder {
    /// Who encodes.
    pub backend: Backend,
    /// Target rate.
    pub bitrate: Bitrate,
    /// Longest time between key pictures when nobody asks for one.
    pub keyframe_interval: Duration,
}

/// Who encodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The hardware where there is one, else the software.
    #[default]
    Auto,
    /// The Pi's hardware.
    V4l2M2m,
    /// Software.
    OpenH264,
}

/// `[stream]`
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Many viewers at once; otherwise one.
    pub live_broadcast: bool,
    /// Whether viewers are kept, with a "no signal" card, when the source ends.
    pub infinite_frames: bool,
    /// Most viewers at once.
    pub max_viewers: u32,
    /// Whether the camera runs while nobody watches.
    pub keep_warm: bool,
    /// Most pictures a second by MJPEG.
    pub mjpeg_fps: f64,
}

/// `[webrtc]`
#[derive(Clone, Debug, PartialEq)]
pub struct Webrtc {
    /// The one UDP port all viewers use; 0 for any that is free.
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
    /// HTTPS; plain HTTP without.
    pub tls: Option<Tls>,
    /// Further names a browser may use for this device.
    pub allowed_hosts: Vec<Host>,
    /// Proxies whose word is taken for whom they speak for.
    pub trusted_proxies: Vec<Subnet>,
    /// Foreign pages that may use the API.
    pub cors: Vec<Origin>,
    /// Foreign pages that may show this one in a frame, and its pictures.
    pub frame_ancestors: Vec<FrameAncestor>,
    /// Whether a token may stand in the URL of a picture.
    pub token_in_url: bool,
    /// Folders served as they are, by path.
    pub mounts: BTreeMap<UrlPath, PathBuf>,
    /// Templates served as pages, by path.
    pub pages: BTreeMap<UrlPath, TemplateName>,
    /// Most connections at once.
    pub max_connections: u32,
    /// Most connections at once from one address, or one network of IPv6 (/64).
    pub max_connections_per_address: u32,
}

/// `[site]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    /// The folder of the data-files; a default place without.
    pub data_location: Option<PathBuf>,
    /// Whether the default files are written anew at every start.
    pub overwrite_default_files: bool,
    /// Where missing data-files are fetched; see [`Site::download`].
    pub download_url: Option<PrivateUrl>,
    /// Checksum of what is fetched.
    pub download_sha256: Option<Sha256>,
}

impl Site {
    /// Where to fetch missing data-files, and what their checksum must be. `None` unless both are
    /// known: nothing unverified is ever fetched.
    #[must_use]
    pub fn download(&self) -> Option<(&PrivateUrl, &Sha256)> {
        self.download_url.as_ref().zip(self.download_sha256.as_ref())
    }
}

/// `[led]`
#[derive(Clone, Debug, PartialEq)]
pub struct Led {
    /// GPIO (BCM number) of the lamp; none for no lamp.
    pub pin: Option<u8>,
    /// Level at which it shines.
    pub active: Level,
}

/// `[button]`
#[derive(Clone, Debug, PartialEq)]
pub struct Button {
    /// GPIO (BCM number) of the button; none for no button.
    pub pin: Option<u8>,
    /// Level while it is pressed.
    pub active: Level,
}

/// The level of a GPIO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// 3.3 V.
    High,
    /// 0 V.
    Low,
}

impl Level {
    /// The one of the two that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::High => Self::Low,
            Self::Low => Self::High,
        }
    }
}

/// `[watchdog]`
#[derive(Clone, Debug, PartialEq)]
pub struct Watchdog {
    /// Whether the hardware restarts a device that hangs.
    pub enabled: bool,
    /// How long it may hang.
    pub timeout: Duration,
}

/// `[update]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Where updates are announced; none for no updates.
    pub url: Option<PrivateUrl>,
    /// How often that is looked at.
    pub check: Schedule,
    /// Who decides to install.
    pub install: Install,
}

/// How often updates are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// Only when the owner asks.
    Never,
    /// Once a day.
    #[default]
    Daily,
    /// Once a week.
    Weekly,
}

/// Who decides that an update is installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Install {
    /// The owner.
    #[default]
    Manual,
    /// Picket, when nobody watches.
    Automatic,
}

/// `[ssh]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ssh {
    /// Who may sign in; without any, nothing listens.
    pub authorized_keys: Vec<SshKey>,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// How much is told.
    pub level: log::LevelFilter,
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

impl Default for Stabilizer {
    fn default() -> Self {
        Self {
            smoothing_radius: 25,
            border_size: 0,
            border_type: BorderType::Black,
            crop_n_zoom: false,
        }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            backend: Backend::Auto,
            bitrate: Bitrate::DEFAULT,
            keyframe_interval: Duration::from_secs(10),
        }
    }
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            live_broadcast: true,
            infinite_frames: true,
            max_viewers: 100,
            keep_warm: false,
            mjpeg_fps: 5.0,
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
            tls: None,
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

impl Default for Led {
    fn default() -> Self {
        Self { pin: None, active: Level::High }
    }
}

impl Default for Button {
    fn default() -> Self {
        Self { pin: None, active: Level::Low }
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self { enabled: true, timeout: Duration::from_secs(15) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: log::LevelFilter::Info }
    }
}
