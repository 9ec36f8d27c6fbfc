//! What the configuration says to this room, and how large what it reads may be.

use std::path::PathBuf;

/// No file or template larger than this is read. A file is held in memory while it is sent.
pub(super) const MAX_FILE_SIZE: u64 = 16 << 20;

/// Where the data-files come from; the `[site]` section of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteSettings {
    /// The directory of the data-files; without it the embedded ones are served.
    pub data_location: Option<PathBuf>,
    /// Replace the default files at the start even where they are found. The user's other files
    /// are never touched.
    pub overwrite_default_files: bool,
    /// A `.tar.gz` or `.tar` with `templates/` and `static/` at its top, http or https.
    pub download_url: Option<String>,
    /// The archive's SHA-256 in hexadecimal digits; without it nothing is downloaded.
    pub download_sha256: Option<String>,
}
