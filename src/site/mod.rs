//! The pages and files of the web site: embedded, written out, downloaded; the template engine.
//!
//! In come [`SiteSettings`]; out come rendered pages ([`Site::render`], [`Site::error_page`]) and
//! files with all that an HTTP answer needs ([`Site::file`], [`Mount::file`]). HTTP itself is the
//! business of another room, and so is the meaning of what pages show: a page's context is
//! whatever serialisable value the caller passes.
//!
//! The site has default files, which are part of the program:
//!
//! ```text
//! templates/  base.html  index.html  grid.html  404.html  500.html
//! static/     css/custom.css  js/custom.js  img/favicon-32x32.png
//!             js/player/      the parts of custom.js
//! ```
//!
//! The page loads `custom.js`, which imports its parts. An owner who has a `custom.js` of another kind,
//! or an older one, needs none of them; they lie beside it unused.
//!
//! **Without a data location** they are served from the program and nothing is written. WebGear
//! writes them below the home directory at every first start; Picket's home is an appliance whose
//! root is read-only and whose pages must appear with no disk at all, and a copy on the disk
//! would go stale at the first update.
//!
//! **With a data location** they are files there, for the owner to edit and to add to. Those that
//! are missing at the start are written from the embedded copy, or taken from an archive when
//! `download_url` is set; those that are found are used as they are. A page is read again each
//! time it is shown, so an edit shows at the next reload.
//!
//! Templates are Jinja2's. A template that extends `base.html` finds the addresses of files with
//! `url_for('static', path='/css/custom.css')`, as under Starlette; they are relative to where the
//! page is shown, which the value `root_path` says. All rendering is bounded in
//! steps, depth, size and memory.

mod archive;
mod budget;
mod checksum;
mod defaults;
mod download;
mod error;
mod files;
mod folder;
mod name;
mod operators;
mod pages;
mod prepare;
mod report;
mod settings;
mod store;
mod templates;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod urls;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use serde::Serialize;

pub use self::error::{SiteError, TemplateError, TemplateFault};
pub use self::files::{Mount, StaticFile};
pub use self::pages::{ErrorPage, Page};
pub use self::report::{FileAction, SiteReport};
pub use self::settings::SiteSettings;
pub(crate) use self::urls::root_path;

use self::defaults::{DEFAULTS, DataFolder};
use self::download::Downloader;
use self::folder::Folder;
use self::store::Store;
use self::templates::Engine;

/// Data-files that have yet to be downloaded.
#[derive(Debug)]
pub struct Download(SiteSettings);

impl Download {
    /// Fetches them, and puts them where the site finds them from then on. Blocks, with a server
    /// that does not answer for up to four attempts of ten seconds.
    ///
    /// # Errors
    /// When the data location cannot be used any more. Other faults are warnings in the report.
    pub fn run(self) -> Result<SiteReport, SiteError> {
        Site::open(&self.0).map(|(_, report)| report)
    }
}

/// The web site's pages and files.
///
/// With a data location every call that gives a page or a file reads the disk: make it where
/// blocking is allowed.
pub struct Site {
    location: Option<PathBuf>,
    engine: Engine,
    static_folder: Option<Folder>,
    /// The static default files by name.
    embedded: BTreeMap<&'static str, StaticFile>,
    mounts: Vec<Mount>,
    pages: Vec<Page>,
    /// The last fault of an error page, so that a flood of requests does not flood the log.
    last_fault: Mutex<Option<TemplateError>>,
}

impl Site {
    /// The site as it is embedded in the program. Touches no disk and cannot fail.
    #[must_use]
    pub fn embedded() -> Self {
        Self::new(Engine::embedded())
    }

    /// The site as the settings ask, and what was done for it.
    ///
    /// Blocks. A download is tried only when a default file is missing or is to be overwritten;
    /// with a server that does not answer it then takes up to four attempts of ten seconds.
    ///
    /// # Errors
    /// When the data location is not a directory, cannot be made or cannot be written. All other
    /// faults end as warnings in the report, with the embedded copy in place of what is missing.
    pub fn open(settings: &SiteSettings) -> Result<(Self, SiteReport), SiteError> {
        Self::open_with(settings, &Downloader::default())
    }

    /// The same, but without waiting for a download: where one is due, the embedded files stand in
    /// for those that are missing until [`Download::run`] has fetched them.
    ///
    /// # Errors
    /// As [`Site::open`].
    pub fn open_without_download(
        settings: &SiteSettings,
    ) -> Result<(Self, SiteReport, Option<Download>), SiteError> {
        if let Some(location) = &settings.data_location
            && settings.download_url.is_some()
        {
            let store = Store::open(location)?;
            if prepare::needs_download(&store, settings) {
                let (site, report) = Self::with_store(&store, SiteReport::default());
                return Ok((site, report, Some(Download(settings.clone()))));
            }
        }
        Self::open(settings).map(|(site, report)| (site, report, None))
    }

    /// The site as the settings would have it, without writing or fetching anything.
    ///
    /// # Errors
    /// When the data location cannot be used.
    pub fn inspect(settings: &SiteSettings) -> Result<(Self, SiteReport), SiteError> {
        let Some(location) = &settings.data_location else {
            return Ok((Self::embedded(), SiteReport::default()));
        };
        store::check_location(location)?;
        let mut site = match Folder::open(&location.join(DataFolder::Templates.dir())) {
            Ok(templates) => Self::new(Engine::with_folder(templates)),
            Err(_) => Self::embedded(),
        };
        let report = site.check_templates(SiteReport::default());
        site.location = Some(location.clone());
        Ok((site, report))
    }

    fn open_with(
        settings: &SiteSettings,
        downloader: &Downloader<'_>,
    ) -> Result<(Self, SiteReport), SiteError> {
        let Some(location) = &settings.data_location else {
            let mut report = SiteReport::default();
            if settings.download_url.is_some() {
                report.warn("a download needs a data location to put the files in");
            }
            return Ok((Self::embedded(), report));
        };
        let (store, report) = prepare::prepare(location, settings, downloader)?;
        Ok(Self::with_store(&store, report))
    }

    fn with_store(store: &Store, report: SiteReport) -> (Self, SiteReport) {
        let mut site = Self::new(Engine::with_folder(store.folder(DataFolder::Templates).clone()));
        site.static_folder = Some(store.folder(DataFolder::Static).clone());
        site.location = Some(store.root().to_owned());
        let report = site.check_templates(report);
        (site, report)
    }

    fn check_templates(&self, mut report: SiteReport) -> SiteReport {
        for file in DEFAULTS.iter().filter(|file| file.data_folder == DataFolder::Templates) {
            if let Err(fault) = self.engine.check(file.name) {
                report.warn(format!("{fault}; fix it, or delete it to get the default one back"));
            }
        }
        report
    }

    fn new(engine: Engine) -> Self {
        let static_files = DEFAULTS.iter().filter(|file| file.data_folder == DataFolder::Static);
        Self {
            location: None,
            engine,
            static_folder: None,
            embedded: static_files
                .map(|file| (file.name, StaticFile::embedded(file.name, file.bytes)))
                .collect(),
            mounts: Vec::new(),
            pages: Vec::new(),
            last_fault: Mutex::new(None),
        }
    }

    /// Adds a folder of the user's; its name for `url_for` is its prefix without the first `/`.
    ///
    /// # Errors
    /// When a mount or page has that path already, or a route that name.
    pub fn add_mount(&mut self, mount: Mount) -> Result<(), SiteError> {
        self.reserve_path(mount.prefix())?;
        let name = mount.prefix().trim_start_matches('/');
        self.engine.add_route(name, &format!("{}/{{path}}", mount.prefix()))?;
        self.mounts.push(mount);
        Ok(())
    }

    /// Adds a page of the user's: `template` is shown at `path`.
    ///
    /// # Errors
    /// When the path is not a plain one that begins with `/`, when it is given already, or when
    /// the template does not exist or cannot be compiled.
    pub fn add_page(&mut self, path: &str, template: &str) -> Result<(), SiteError> {
        let page = Page::new(path, template)?;
        self.reserve_path(path)?;
        self.engine
            .check(template)
            .map_err(|fault| SiteError::BadPage { path: path.to_owned(), fault })?;
        self.pages.push(page);
        Ok(())
    }

    /// The same with a template that may be among the files of a download, and is not there yet.
    ///
    /// # Errors
    /// As [`Site::add_page`], but for the template.
    pub fn add_page_unchecked(&mut self, path: &str, template: &str) -> Result<(), SiteError> {
        let page = Page::new(path, template)?;
        self.reserve_path(path)?;
        self.pages.push(page);
        Ok(())
    }

    fn reserve_path(&self, path: &str) -> Result<(), SiteError> {
        let mut taken =
            self.mounts.iter().map(Mount::prefix).chain(self.pages.iter().map(Page::path));
        if taken.any(|other| other == path) {
            return Err(SiteError::Duplicate(path.to_owned()));
        }
        Ok(())
    }

    /// The folders to be served besides `/static`.
    #[must_use]
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// The pages to be served besides the index.
    #[must_use]
    pub fn pages(&self) -> &[Page] {
        &self.pages
    }

    /// Renders a template with the given values.
    ///
    /// # Errors
    /// When there is no such template, or it is broken; the error names the template and the
    /// line at fault.
    pub fn render(
        &self,
        template: &str,
        context: &impl Serialize,
    ) -> Result<String, TemplateError> {
        self.engine.render(template, context)
    }

    /// Renders an error page; where its template is broken, a minimal page that is not.
    pub fn error_page(&self, page: ErrorPage, context: &impl Serialize) -> String {
        match self.engine.render(page.template(), context) {
            Ok(html) => html,
            Err(fault) => {
                self.log_once(fault);
                page.minimal().to_owned()
            }
        }
    }

    fn log_once(&self, fault: TemplateError) {
        let mut last = self.last_fault.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if last.as_ref() != Some(&fault) {
            log::warn!("site: a plain page is shown instead: {fault}");
            *last = Some(fault);
        }
    }

    /// The static file of that name below `/static/`, percent-decoded: `css/custom.css`.
    ///
    /// `None` for every name that is not a file of the site: missing, hidden, too large, or on a
    /// way out of the folder.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<StaticFile> {
        let own = self.static_folder.as_ref().and_then(|folder| files::look_up(folder, name));
        own.or_else(|| self.embedded.get(name).cloned())
    }
}
