//! The messages between daemon and steward: one JSON value per line, a request and its replies on
//! one connection.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// The most bytes that are read of one line.
#[derive(Debug)]
pub struct LineLimit;

impl LineLimit {
    /// Of a request.
    #[cfg(feature = "steward")]
    pub const REQUEST: u64 = 16 * 1024;
    /// Of a reply: the log is the longest.
    pub const REPLY: u64 = 1024 * 1024;
}

/// A message as a line.
pub(super) fn line(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// A request to the steward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum StewardRequest {
    /// The state of the device: [`StewardReply::Status`].
    Status,
    /// Reports how the camera is: [`StewardReply::Done`].
    Report(CameraReport),
    /// Reports the name by which the device is found at `NAME.local`, if that is not its own
    /// because another device has it.
    FoundAs {
        /// The name, without `.local`.
        name: String,
    },
    /// Reports that HTTPS is served.
    Https(HttpsStatus),
    /// Keeps the hash of a new password in `config.toml`.
    KeepPassword {
        /// As `auth.password_hash` takes it.
        hash: String,
    },
    /// The Wi-Fi networks in range: [`StewardReply::Networks`].
    Networks,
    /// Joins a Wi-Fi network, and keeps it in `config.toml` once that has worked. If it fails,
    /// everything is as before.
    Join(JoinRequest),
    /// Installs an update bundle of `length` bytes, which is the body of the request. Replied to
    /// with [`StewardReply::Progress`] until [`StewardReply::Done`], after which the device
    /// restarts.
    Install {
        /// The bundle's size in bytes.
        length: u64,
    },
    /// Restarts the device.
    Restart,
    /// Erases everything and restarts the device as it was shipped.
    Reset,
    /// The last lines of the log: [`StewardReply::Log`].
    Log,
    /// Reports what a DHCP client has got. From root only.
    Lease(DhcpLease),
}

/// A reply of the steward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum StewardReply {
    /// It is done.
    Done,
    /// It was refused, or failed.
    Refused {
        /// Why, and what to do.
        why: String,
    },
    /// The state of the device.
    Status(Box<DeviceStatus>),
    /// The Wi-Fi networks in range, the strongest first.
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
pub enum BootSlot {
    /// The first.
    A,
    /// The second.
    B,
}

#[cfg(feature = "steward")]
impl BootSlot {
    /// The one of the two that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for BootSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// A Wi-Fi network to join.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Its name.
    pub ssid: String,
    /// Its password; none for an open network.
    pub password: Option<String>,
    /// Whether it does not announce its name.
    #[serde(default)]
    pub hidden: bool,
    /// The country the device is in; unset leaves it as it is.
    pub country: Option<String>,
}

impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "…");
        f.debug_struct("JoinRequest")
            .field("ssid", &self.ssid)
            .field("password", &password)
            .finish()
    }
}

/// What a DHCP client has got for a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpLease {
    /// The link's name.
    pub link: String,
    /// The device's address and the length of its network's prefix; none if it was lost.
    pub address: Option<(Ipv4Addr, u8)>,
    /// Routers, the preferred one first.
    pub routers: Vec<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
}

/// A Wi-Fi network in range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenNetwork {
    /// Its name.
    pub ssid: String,
    /// Its signal strength in dBm.
    pub signal: i32,
    /// Whether it has no password.
    pub open: bool,
}

/// The state of the device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatus {
    /// Version of the system.
    pub version: String,
    /// The board it was built for.
    pub board: String,
    /// Which of the two systems runs.
    pub slot: Option<BootSlot>,
    /// The device's host name; it is found at `NAME.local`, unless another device has that name.
    pub hostname: String,
    /// The name by which it is found if another device has its own.
    #[serde(default)]
    pub found_as: Option<String>,
    /// The port of its pages.
    pub port: u16,
    /// HTTPS, while it is served.
    #[serde(default)]
    pub https: Option<HttpsStatus>,
    /// What is wrong with `config.toml`.
    pub problems: Vec<String>,
    /// Whether a password is set; without one the page asks for it first.
    pub password_set: bool,
    /// Whether sign-in is locked by a mistake in `config.toml`.
    pub locked: bool,
    /// The links that have an address.
    pub links: Vec<LinkStatus>,
    /// The Wi-Fi network.
    pub wifi: WifiStatus,
    /// The camera.
    pub camera: CameraReport,
    /// What else its owner should know: a sentence on each topic.
    pub notes: BTreeMap<String, String>,
    /// What became of the last update.
    pub update: UpdateStatus,
}

/// HTTPS, as the daemon serves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpsStatus {
    /// Its port.
    pub port: u16,
    /// The SHA-256 fingerprint of the certificate that browsers must be told to trust, if there is
    /// one.
    pub fingerprint: Option<String>,
}

/// A link that has an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The link's name, such as `eth0`.
    pub name: String,
    /// Whether it is Wi-Fi.
    pub wireless: bool,
    /// Its addresses, except link-local ones of IPv6.
    pub addresses: Vec<IpAddr>,
}

/// The Wi-Fi network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum WifiStatus {
    /// The device has no Wi-Fi.
    #[default]
    None,
    /// Wi-Fi is off: there is nothing for it to do.
    Off,
    /// A network is being looked for.
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
    /// None of the known networks is in range.
    NotFound {
        /// The network's name, or the first of several.
        ssid: String,
        /// Names that have been in range since then, sorted; not all if there are many.
        in_reach: Vec<String>,
    },
    /// The device is an access point itself, by which its owner can choose a network for it.
    AccessPoint {
        /// The name of the access point.
        ssid: String,
        /// Its password.
        key: String,
        /// The device's address on it.
        address: Ipv4Addr,
    },
}

/// The camera, as the daemon reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraReport {
    /// Its name, once a picture has come from it.
    pub name: Option<String>,
    /// Why there is no picture from it.
    pub fault: Option<String>,
    /// Whether a picture from it has been encoded since the daemon started.
    pub picture: bool,
}

#[cfg(feature = "steward")]
impl CameraReport {
    /// Whether there was a picture from it, and nothing is wrong since.
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
    pub outcome: UpdateOutcome,
}

/// What became of an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum UpdateOutcome {
    /// There was none.
    #[default]
    None,
    /// It is being written.
    Installing {
        /// From 0 to 100.
        percent: u8,
    },
    /// It is on trial: it runs, and has yet to show that it works.
    Trying,
    /// It works, and is what the device starts from now on.
    Kept,
    /// It did not work and was rolled back.
    FellBack {
        /// Why.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_on_the_wire_stays_whatever_the_types_are_called() {
        let camera = CameraReport { name: None, fault: None, picture: true };
        let join = JoinRequest { ssid: "a".into(), password: None, hidden: false, country: None };
        let lease = DhcpLease { link: "eth0".into(), address: None, routers: vec![], dns: vec![] };
        let hash = "$argon2id$".to_owned();
        for (request, json) in [
            (StewardRequest::Status, r#"{"ask":"status"}"#),
            (
                StewardRequest::Report(camera),
                r#"{"ask":"report","name":null,"fault":null,"picture":true}"#,
            ),
            (
                StewardRequest::FoundAs { name: "porch-2".into() },
                r#"{"ask":"found-as","name":"porch-2"}"#,
            ),
            (
                StewardRequest::Https(HttpsStatus { port: 443, fingerprint: None }),
                r#"{"ask":"https","port":443,"fingerprint":null}"#,
            ),
            (
                StewardRequest::KeepPassword { hash },
                r#"{"ask":"keep-password","hash":"$argon2id$"}"#,
            ),
            (
                StewardRequest::Join(join),
                r#"{"ask":"join","ssid":"a","password":null,"hidden":false,"country":null}"#,
            ),
            (StewardRequest::Install { length: 7 }, r#"{"ask":"install","length":7}"#),
            (
                StewardRequest::Lease(lease),
                r#"{"ask":"lease","link":"eth0","address":null,"routers":[],"dns":[]}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&request).unwrap(), json);
        }
        let why = "no".to_owned();
        for (reply, json) in [
            (StewardReply::Done, r#"{"answer":"done"}"#),
            (StewardReply::Refused { why: why.clone() }, r#"{"answer":"refused","why":"no"}"#),
        ] {
            assert_eq!(serde_json::to_string(&reply).unwrap(), json);
        }
        let outcome = UpdateOutcome::FellBack { why };
        let json = r#"{"state":"fell-back","why":"no"}"#;
        assert_eq!(serde_json::to_string(&outcome).unwrap(), json);
    }
}
