//! Where the steward's files are.

/// Where the boot partition is mounted.
pub(super) const BOOT: &str = "/boot";
/// Where the data partition is mounted.
pub(super) const DATA: &str = "/data";
/// For files that are gone at the next start.
pub(super) const RUNTIME: &str = "/run/picket";
/// `config.toml` as it was shipped.
pub(super) const SHIPPED_CONFIG: &str = "/usr/share/picket/config.toml";
