//! What was done to the data-files at the start, for the log.

use std::fmt;

/// What happened to one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileAction {
    /// It was there and stays as it is.
    Kept,
    /// It was missing and is now a copy of the embedded one.
    Written,
    /// It was missing and is now the one from the downloaded archive.
    Downloaded,
    /// It was there and was replaced, because `overwrite_default_files` says so.
    Overwritten,
    /// It could not be provided on the disk; the embedded copy is served in its place.
    Embedded,
}

impl fmt::Display for FileAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "kept",
            Self::Written => "written",
            Self::Downloaded => "downloaded",
            Self::Overwritten => "overwritten",
            Self::Embedded => "served from the embedded copy",
        })
    }
}

/// What was done to the data-files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteReport {
    /// One entry for each file that was looked at, named relative to the data location
    /// (`templates/index.html`).
    pub files: Vec<(FileAction, String)>,
    /// What did not go as the settings ask, each a sentence for the owner.
    pub warnings: Vec<String>,
}

impl SiteReport {
    /// Writes it to the log: a line for each file that was touched and for each warning.
    pub fn log(&self) {
        for (action, file) in &self.files {
            if *action == FileAction::Kept {
                log::debug!("site: {action}: {file}");
            } else {
                log::info!("site: {action}: {file}");
            }
        }
        for warning in &self.warnings {
            log::warn!("site: {warning}");
        }
    }

    pub(super) fn note(&mut self, action: FileAction, file: impl fmt::Display) {
        self.files.push((action, file.to_string()));
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }
}
