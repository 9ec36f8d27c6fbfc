//! Bringing the data location into order at the start: what is missing is written or downloaded,
//! what is found stays.

use std::path::Path;

use super::archive::{self, ArchiveError, Files};
use super::defaults::{self, Area, DEFAULTS, DefaultFile};
use super::download::{DownloadError, Downloader};
use super::name::FileName;
use super::store::Store;
use super::{Action, MAX_FILE_SIZE, Report, SiteError, SiteSettings};

/// Opens `location` and provides the default files there as `settings` ask.
///
/// Only a location that cannot be used at all is an error. Everything else ends with a usable
/// site: a default file that cannot be provided on the disk is served from the embedded copy.
pub(super) fn prepare(
    location: &Path,
    settings: &SiteSettings,
    downloader: &Downloader<'_>,
) -> Result<(Store, Report), SiteError> {
    let store = Store::open(location)?;
    let mut job =
        Job { store: &store, replace: settings.overwrite_default_files, report: Report::default() };
    match &settings.download_url {
        Some(url) if needs_download(&store, settings) => match fetch(url, settings, downloader) {
            Ok(files) => job.install(&files),
            Err(error) => job.make_do(&error),
        },
        _ => job.install(&Files::new()),
    }
    job.look_for_obstacles();
    let report = job.report;
    store.finish();
    Ok((store, report))
}

/// Whether [`prepare`] would download.
pub(super) fn needs_download(store: &Store, settings: &SiteSettings) -> bool {
    let complete = DEFAULTS.iter().all(|file| store.holds(file.area, file.name));
    settings.download_url.is_some() && (!complete || settings.overwrite_default_files)
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Download(#[from] DownloadError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

fn fetch(
    url: &str,
    settings: &SiteSettings,
    downloader: &Downloader<'_>,
) -> Result<Files, FetchError> {
    let bytes = downloader.fetch(url, settings.download_sha256.as_deref())?;
    Ok(archive::unpack(&bytes)?)
}

struct Job<'a> {
    store: &'a Store,
    /// Default files that are there are replaced.
    replace: bool,
    report: Report,
}

impl Job<'_> {
    fn present(&self, file: &DefaultFile) -> bool {
        self.store.holds(file.area, file.name)
    }

    /// Writes the files of an archive (none: an empty one) and, where it has none, the embedded
    /// copies of the default files.
    ///
    /// The default files come last: as long as one of them is missing the next start does all of
    /// this again, so a crash on the way loses nothing.
    fn install(&mut self, archive: &Files) {
        for ((area, name), bytes) in archive {
            if defaults::find(*area, name.as_str()).is_none() {
                self.install_extra(*area, name, bytes);
            }
        }
        for file in &DEFAULTS {
            self.install_default(file, archive);
        }
    }

    fn install_extra(&mut self, area: Area, name: &FileName, bytes: &[u8]) {
        let shown = format!("{}/{}", area.dir(), name.as_str());
        if self.store.holds(area, name.as_str()) {
            self.report.note(Action::Kept, shown);
            return;
        }
        match self.store.write(area, name, bytes) {
            Ok(()) => self.report.note(Action::Downloaded, shown),
            Err(error) => self.report.warn(format!("{shown} cannot be written: {error}")),
        }
    }

    fn install_default(&mut self, file: &DefaultFile, archive: &Files) {
        let name = file.file_name();
        let downloaded = archive.get(&(file.area, name.clone()));
        let bytes = downloaded.map_or(file.bytes, Vec::as_slice);
        let done = match (self.present(file), downloaded) {
            (true, _) if !self.replace || self.has(file.area, &name, bytes) => {
                return self.report.note(Action::Kept, file);
            }
            (true, _) => Action::Overwritten,
            (false, Some(_)) => Action::Downloaded,
            (false, None) => Action::Written,
        };
        match self.store.write(file.area, &name, bytes) {
            Ok(()) => self.report.note(done, file),
            Err(error) => {
                self.report.warn(format!("{file} cannot be written: {error}"));
                self.report.note(Action::Embedded, file);
            }
        }
    }

    /// Whether the disk has exactly these bytes already: an SD card lives longer unwritten.
    fn has(&self, area: Area, name: &FileName, bytes: &[u8]) -> bool {
        let found = self.store.folder(area).read(name, MAX_FILE_SIZE);
        found.is_ok_and(|found| found.bytes == bytes)
    }

    /// After a failed download: what is missing is served from the embedded copy and not written,
    /// because written files would be found at the next start and the download never tried again.
    /// What is there is not replaced by something the owner did not ask for.
    fn make_do(&mut self, error: &FetchError) {
        self.report.warn(format!(
            "the data-files were not downloaded: {error}; the embedded ones stand in for those \
             that are missing until a start at which the download succeeds"
        ));
        for file in &DEFAULTS {
            let action = if self.present(file) { Action::Kept } else { Action::Embedded };
            self.report.note(action, file);
        }
    }

    /// Tells the owner of a default file that is there but cannot be served.
    fn look_for_obstacles(&mut self) {
        for file in &DEFAULTS {
            let found = self.store.folder(file.area).read(&file.file_name(), MAX_FILE_SIZE);
            if let Err(absent) = found
                && self.present(file)
            {
                self.report.warn(format!(
                    "{file} is in the data location but {absent}; the embedded copy is served in \
                     its place"
                ));
            }
        }
    }
}
