//! The room's promises, tried through its public interface; a folder of files, one for each
//! subject.

mod bounds;
mod data_files;
mod downloads;
mod serving;
mod templating;

use std::path::Path;
use std::time::Duration;

use super::download::Downloader;
use super::settings::MAX_FILE_SIZE;
use super::*;

/// Settings for a data location.
fn at(location: &Path) -> SiteSettings {
    SiteSettings { data_location: Some(location.to_owned()), ..SiteSettings::default() }
}

/// Downloads without pauses.
fn impatient() -> Downloader<'static> {
    Downloader { timeout: Duration::from_secs(10), pause: &|_| () }
}

/// The names of the files with which `action` was done.
fn with(report: &SiteReport, action: FileAction) -> Vec<&str> {
    let files = report.files.iter().filter(|(done, _)| *done == action);
    files.map(|(_, name)| name.as_str()).collect()
}
