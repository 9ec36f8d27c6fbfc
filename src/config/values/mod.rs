//! The values a configuration is made of, each a type that cannot hold a wrong one.

mod camera_name;
mod media;
mod network;
mod private_url;
mod source;
mod subnet;
mod text;
pub(super) mod zone;

pub(super) use camera_name::MAIN;
pub use camera_name::{CameraName, CameraNameError};
pub use media::{Bitrate, Roi};
pub use network::{
    Acme, Address, DnsChallenge, IceServer, Sha256, Tls, TsigAlgorithm, TsigKey, WifiNetwork,
    is_wifi_password,
};
pub use private_url::PrivateUrl;
pub use source::Source;
pub use subnet::Subnet;
pub use text::{
    CountryCode, Email, FrameAncestor, Host, HostAndPort, Hostname, IceUrl, Origin, SshKey, Ssid,
    TemplateName, Timezone, UrlPath,
};

/// The text does not have the expected form. The key knows what that form is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the expected form")]
pub struct Malformed;
