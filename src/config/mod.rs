//! The configuration: `config.toml`, as an owner writes it, and [`Config`], as the rooms read it.
//!
//! In come the bytes of a file and the `--set`s of a command line; out go a [`Config`] that is
//! always complete and always safe to run with, and the [`Problem`]s found on the way, in plain words
//! and with their line. Loading never fails: a camera on a roof must start whatever its card says. But
//! a mistake never makes sign-in weaker; where it might, the result is [`Auth::Locked`]. The rules are
//! in [`load`](Config::load)'s file, the keys in [`keys()`], and
//! the owner's reference, tested against them, is `docs/configuration.md`.
//!
//! Nothing here reads a file or a clock, except for the system's time zones: [`find()`] and [`FileWatch`]
//! decide, the caller looks. Whether what is asked for is available on this machine is found out
//! elsewhere; [`Places`] knows where it was asked for, for the message.

mod auth;
mod changes;
mod conflicts;
pub(crate) mod edit;
mod file_watch;
mod find;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod hint;
mod keys;
mod large_numbers;
mod load;
mod misplaced;
mod model;
mod places;
mod problem;
#[cfg(feature = "steward")]
mod redact;
#[cfg(test)]
mod reference;
mod secret;
mod set;
mod shape;
mod similar;
#[cfg(test)]
mod tests;
mod text;
mod values;

pub use auth::{Auth, Credentials, Password, PasswordError, PasswordHash};
#[cfg(feature = "steward")]
pub(crate) use edit::EditError;
pub use file_watch::FileStamp;
pub(crate) use file_watch::{FileChange, FileWatch};
pub use find::find;
pub use keys::{Effect, Key, Scope, Section, find_key, keys, sections};
pub use load::{Completeness, Loaded};
pub use model::*;
pub use places::Places;
pub use problem::{Place, Problem, ProblemKind};
#[cfg(feature = "steward")]
pub(crate) use redact::without_wireless_passwords;
pub use secret::Secret;
pub(crate) use set::split_set_file;
pub use values::{
    Acme, Address, Bitrate, CameraName, CameraNameError, CountryCode, DnsChallenge, Email,
    FrameAncestor, Host, HostAndPort, Hostname, IceServer, IceUrl, Malformed, Origin, PrivateUrl,
    Roi, Sha256, Source, SshKey, Ssid, Subnet, TemplateName, Timezone, Tls, TsigAlgorithm, TsigKey,
    UrlPath, WifiNetwork, is_wifi_password,
};

// A room's settings are of the room's own types, which are named here for who sets them.
pub use crate::transform::chain::ColourMode;
pub use crate::transform::orientation::Rotation;
pub use crate::transform::overlay::Corner;
