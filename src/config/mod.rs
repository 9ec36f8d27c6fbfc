//! The configuration: `config.toml`, as an owner writes it, and [`Config`], as the rooms read it.
//!
//! In come the bytes of a file and the `--set`s of a command line; out go a [`Config`] that is
//! always complete and always safe to run with, and the [`Problem`]s met on the way, in plain
//! words and with their line. Loading never fails: a camera on a roof must start whatever its
//! card says. But a mistake never makes sign-in weaker; where it might, the result is
//! [`Auth::Locked`]. The rules stand in [`load`](Config::load)'s file, the keys in [`keys()`], and
//! the owner's reference, tested against them, is `docs/configuration.md`.
//!
//! Nothing here reads a file or a clock, but for the time zones that the system knows: [`find`] and
//! [`Watch`] decide, the caller looks. Whether what is asked for can be had on this machine is
//! found out elsewhere, and told by the [`Places`] where it was asked for.

mod auth;
mod changes;
mod controls;
pub mod edit;
pub mod fuzzing;
mod hint;
mod keys;
mod load;
mod model;
mod numbers;
mod places;
mod problem;
#[cfg(test)]
mod reference;
mod search;
mod secret;
mod set;
mod shape;
mod source;
mod stray;
mod subnet;
#[cfg(test)]
mod tests;
mod text;
mod together;
mod values;
mod watch;
mod withhold;
mod zone;

pub use auth::{Auth, Credentials, Password, PasswordError, PasswordHash};
pub use changes::Changes;
pub use controls::{AfMode, Auto, Awb, Controls, Flicker, Gains, Hdr, Metering, NoiseReduction};
pub use edit::EditError;
pub use keys::{Effect, Key, Scope, Section, find_key, keys, sections};
pub use load::{Extent, Loaded};
pub use model::*;
pub use places::Places;
pub use problem::{Place, Problem, ProblemKind};
pub use search::find;
pub use secret::Secret;
pub use set::split_set_file;
pub use source::{PrivateUrl, Source};
pub use subnet::Subnet;
pub use values::{
    Address, Bitrate, CountryCode, FrameAncestor, Host, Hostname, IceServer, IceUrl, Malformed,
    Origin, Roi, Sha256, SshKey, Ssid, TemplateName, Timezone, Tls, UrlPath, WifiNetwork,
    is_wifi_password,
};
pub use watch::{Sight, Stamp, Watch};
pub use withhold::without_wireless_passwords;
