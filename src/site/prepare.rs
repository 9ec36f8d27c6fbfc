//! Bringing the data location into order at the start: what is missing is written or downloaded,
//! what is found stays.

use std::path::Path;

use super::archive::{self, ArchiveError, Files};
use super::defaults::{self, DEFAULTS, DataFolder, DefaultFile};
use super::download::{DownloadError, Downloader};
use super::name::FileName;
use super::settings::{MAX_FILE_SIZE, SiteSettings};
use super::store::Store;
use super::{FileAction, SiteError, SiteReport};

/// Opens `location` and provides the default files there as `settings` ask.
///
/// Only a location that cannot be used at all is an error. Everything else ends with a usable
/// site: a default file that cannot be provided on the disk is served from the embedded copy.
pub(super) fn prepare(
    location: &Path,
    settings: &SiteSettings,
    downloader: &Downloader<'_>,
) -> Result<(Store, SiteReport), SiteError> {
    let store = Store::open(location)?;
    let mut installation = Installation {
        store: &store,
        replace: settings.overwrite_default_files,
        report: SiteReport::default(),
    };
    match &settings.download_url {
        Some(url) if needs_download(&store, settings) => match fetch(url, settings, downloader) {
            Ok(files) => installation.install(&files),
            Err(error) => installation.fall_back_to_embedded(&error),
        },
        _ => installation.install(&Files::new()),
    }
    installation.report_unreadable_files();
    let report = installation.report;
    store.finish();
    Ok((store, report))
}

/// Whether [`prepare`] would download.
pub(super) fn needs_download(store: &Store, settings: &SiteSettings) -> bool {
    let mut needed = DEFAULTS.iter().filter(|file| !file.is_optional());
    let complete = needed.all(|file| store.holds(file.data_folder, file.name));
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

struct Installation<'a> {
    store: &'a Store,
    /// Default files that are there are replaced.
    replace: bool,
    report: SiteReport,
}

impl Installation<'_> {
    fn present(&self, file: &DefaultFile) -> bool {
        self.store.holds(file.data_folder, file.name)
    }

    /// Writes the files of an archive (none: an empty one) and, where it has none, the embedded
    /// copies of the default files.
    ///
    /// The default files come last: as long as one of them is missing the next start does all of
    /// this again, so a crash on the way loses nothing.
    fn install(&mut self, archive: &Files) {
        for ((data_folder, name), bytes) in archive {
            if defaults::find(*data_folder, name.as_str()).is_none() {
                self.install_extra(*data_folder, name, bytes);
            }
        }
        for file in &DEFAULTS {
            self.install_default(file, archive);
        }
    }

    fn install_extra(&mut self, data_folder: DataFolder, name: &FileName, bytes: &[u8]) {
        let shown = format!("{}/{}", data_folder.dir(), name.as_str());
        if self.store.holds(data_folder, name.as_str()) {
            self.report.note(FileAction::Kept, shown);
            return;
        }
        match self.store.write(data_folder, name, bytes) {
            Ok(()) => self.report.note(FileAction::Downloaded, shown),
            Err(error) => self.report.warn(format!("{shown} cannot be written: {error}")),
        }
    }

    fn install_default(&mut self, file: &DefaultFile, archive: &Files) {
        let name = file.file_name();
        let downloaded = archive.get(&(file.data_folder, name.clone()));
        let bytes = downloaded.map_or(file.bytes, Vec::as_slice);
        let done = match (self.present(file), downloaded) {
            (true, _) if !self.replace || self.has(file.data_folder, &name, bytes) => {
                return self.report.note(FileAction::Kept, file);
            }
            (true, _) => FileAction::Overwritten,
            (false, Some(_)) => FileAction::Downloaded,
            (false, None) => FileAction::Written,
        };
        match self.store.write(file.data_folder, &name, bytes) {
            Ok(()) => self.report.note(done, file),
            Err(error) => {
                self.report.warn(format!("{file} cannot be written: {error}"));
                self.report.note(FileAction::Embedded, file);
            }
        }
    }

    /// Whether the disk has exactly these bytes already: an SD card lives longer unwritten.
    fn has(&self, data_folder: DataFolder, name: &FileName, bytes: &[u8]) -> bool {
        let found = self.store.folder(data_folder).read(name, MAX_FILE_SIZE);
        found.is_ok_and(|found| found.bytes == bytes)
    }

    /// After a failed download: what is missing is served from the embedded copy and not written,
    /// because written files would be found at the next start and the download never tried again.
    /// What is there is not replaced by something the owner did not ask for.
    fn fall_back_to_embedded(&mut self, error: &FetchError) {
        self.report.warn(format!(
            "the data-files were not downloaded: {error}; the embedded ones are used for \
             missing files until a download succeeds"
        ));
        for file in &DEFAULTS {
            let action = if self.present(file) { FileAction::Kept } else { FileAction::Embedded };
            self.report.note(action, file);
        }
    }

    /// Tells the owner of a default file that is there but cannot be served.
    fn report_unreadable_files(&mut self) {
        for file in &DEFAULTS {
            let found = self.store.folder(file.data_folder).read(&file.file_name(), MAX_FILE_SIZE);
            if let Err(error) = found
                && self.present(file)
            {
                self.report.warn(format!(
                    "{file} is in the data location but {error}; the embedded copy is served in \
                     its place"
                ));
            }
        }
    }
}
