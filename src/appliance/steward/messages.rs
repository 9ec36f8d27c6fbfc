//! What the daemon and the steward say to each other: one JSON value a line, a request and its
//! answers on one connection.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// Bounds of what is read in one line.
#[derive(Debug)]
pub struct LongestLine;

impl LongestLine {
    /// Of a request, in bytes.
    pub const REQUEST: u64 = 16 * 1024;
    /// Of an answer, in bytes: the log is the longest.
    pub const REPLY: u64 = 1024 * 1024;
}

/// A message as a line.
pub(super) fn line(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// What the steward is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// How the device is: [`Reply::Status`].
    Status,
    /// Tells how the camera is. Nothing is answered but [`Reply::Done`].
    Report(CameraReport),
    /// Tells by which name the device is found at `NAME.local`, where that is not its own because
    /// another device has it.
    FoundAs {
        /// The name, without `.local`.
        name: String,
    },
    /// Keeps the hash of a new password in `config.toml`.
    KeepPassword {
        /// As `auth.password_hash` takes it.
        hash: String,
    },
    /// Which wireless networks are in reach: [`Reply::Networks`].
    Networks,
    /// Joins a wireless network, and keeps it in `config.toml` once that has worked. Where it does
    /// not work, all is as before.
    Join(Join),
    /// Installs an update bundle, of which `length` bytes follow. Answered by [`Reply::Progress`]
    /// until [`Reply::Done`], after which the device restarts.
    Install {
        /// The bundle's size in bytes.
        length: u64,
    },
    /// Restarts the device.
    Restart,
    /// Forgets everything and restarts the device as it was shipped.
    Reset,
    /// The last lines of the log: [`Reply::Log`].
    Log,
    /// What a DHCP client learned. From root only.
    Lease(Lease),
}

/// What the steward answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Reply {
    /// It is done.
    Done,
    /// It is not done.
    Refused {
        /// Why, and what to do.
        why: String,
    },
    /// How the device is.
    Status(Box<DeviceStatus>),
    /// The wireless networks in reach, the strongest first.
    Networks {
        /// Each name once.
        networks: Vec<SeenNetwork>,
    },
    /// How far an installation is.
    Progress {
        /// From 0 to 100.
        percent: u8,
        /// What is being done, in words.
        step: String,
    },
    /// The last lines of the log.
    Log {
        /// The oldest first.
        lines: Vec<String>,
    },
}

/// One of the two systems on the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// The one of the two that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// A wireless network to join.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Its name.
    pub ssid: String,
    /// Its password; none for an open network.
    pub password: Option<String>,
    /// Whether it keeps its name to itself.
    #[serde(default)]
    pub hidden: bool,
    /// Where the device stands; unset leaves it as it is.
    pub country: Option<String>,
}

impl fmt::Debug for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "…");
        f.debug_struct("Join").field("ssid", &self.ssid).field("password", &password).finish()
    }
}

/// What a DHCP client learned about a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The link's name.
    pub link: String,
    /// The device's address and the length of its network's prefix; none where it was lost.
    pub address: Option<(Ipv4Addr, u8)>,
    /// Routers, the preferred one first.
    pub routers: Vec<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
}

/// A wireless network in reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenNetwork {
    /// Its name.
    pub ssid: String,
    /// How strong it is, in dBm.
    pub signal: i32,
    /// Whether it wants no password.
    pub open: bool,
}

/// How the device is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatus {
    /// Version of the system.
    pub version: String,
    /// Which board it was built for.
    pub board: String,
    /// Which of the two systems runs.
    pub slot: Option<Slot>,
    /// The device's name; it is found at `NAME.local`, unless it has another one there.
    pub hostname: String,
    /// That other name, where another device goes by the device's own.
    #[serde(default)]
    pub found_as: Option<String>,
    /// The port of its pages.
    pub port: u16,
    /// What is wrong with `config.toml`.
    pub problems: Vec<String>,
    /// Whether a password is set; without one the page asks for it first.
    pub password_set: bool,
    /// Whether sign-in is locked by a mistake in `config.toml`.
    pub locked: bool,
    /// The links that have an address.
    pub links: Vec<LinkStatus>,
    /// The wireless network.
    pub wifi: WifiStatus,
    /// The camera.
    pub camera: CameraReport,
    /// What else its owner should know: a sentence on each matter.
    pub notes: BTreeMap<String, String>,
    /// What became of the last update.
    pub update: UpdateStatus,
}

/// A link that has an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The link's name, such as `eth0`.
    pub name: String,
    /// Whether it is a radio.
    pub wireless: bool,
    /// Its addresses, but for link-local ones of IPv6.
    pub addresses: Vec<IpAddr>,
}

/// The wireless network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum WifiStatus {
    /// The device has no radio.
    #[default]
    None,
    /// There is a radio, and nothing for it to do.
    Off,
    /// A network is looked for.
    Joining {
        /// Its name, or the first of several.
        ssid: String,
    },
    /// A network was joined.
    Joined {
        /// Its name.
        ssid: String,
    },
    /// The network's password is wrong.
    WrongPassword {
        /// The network's name.
        ssid: String,
    },
    /// No network that is known is in reach.
    NotFound {
        /// The network's name, or the first of several.
        ssid: String,
        /// Names that are or were since then, sorted; not all where there are many.
        in_reach: Vec<String>,
    },
    /// The device is an access point itself, by which its owner can tell it which network to join.
    AccessPoint {
        /// The name of the device's own network.
        ssid: String,
        /// Its password.
        key: String,
        /// The device's address in it.
        address: Ipv4Addr,
    },
}

/// The camera, as the daemon sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraReport {
    /// Its name, once a picture came from it.
    pub name: Option<String>,
    /// Why there is no picture of it.
    pub fault: Option<String>,
    /// Whether a picture of it has been encoded since the daemon started.
    pub picture: bool,
}

impl CameraReport {
    /// There was a picture of it, and nothing has come between.
    #[must_use]
    pub const fn works(&self) -> bool {
        self.picture && self.fault.is_none()
    }
}

/// What became of the last update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateStatus {
    /// Its version; none before the first.
    pub version: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Outcome {
    /// There was none.
    #[default]
    None,
    /// It is being written.
    Installing {
        /// From 0 to 100.
        percent: u8,
    },
    /// It runs, and has yet to show that it works.
    Trying,
    /// It works, and is what the device starts from now on.
    Kept,
    /// It did not work, and the device went back to what it ran before.
    FellBack {
        /// Why.
        why: String,
    },
}
