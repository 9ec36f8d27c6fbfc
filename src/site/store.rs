//! The data location on the disk: its folders, and files written so that a crash leaves either
//! the old file or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::SiteError;
use super::defaults::DataFolder;
use super::folder::Folder;
use super::name::FileName;

/// New files are prepared here and then renamed into their place. Whatever a crash left in it is
/// removed at the next start; a dot in front keeps it from ever being served.
const STAGING: &str = ".picket-staging";
const STATIC_FOLDERS: [&str; 3] = ["css", "js", "img"];

/// A data location that exists and can be written.
pub(super) struct Store {
    root: PathBuf,
    templates: Folder,
    static_files: Folder,
}

impl Store {
    /// Makes the folders that are missing, removes what a crash left, and tries to write.
    pub(super) fn open(location: &Path) -> Result<Self, SiteError> {
        let not_a_directory = || SiteError::NotADirectory(location.to_owned());
        if fs::metadata(location).is_ok_and(|found| !found.is_dir()) {
            return Err(not_a_directory());
        }
        fs::create_dir_all(location)
            .map_err(|why| SiteError::CannotCreate { location: location.to_owned(), why })?;
        let not_writable = |why| SiteError::NotWritable { location: location.to_owned(), why };
        let root = fs::canonicalize(location).map_err(not_writable)?;
        clear_staging(&root).map_err(not_writable)?;
        let probe = root.join(STAGING).join("probe");
        fs::create_dir(root.join(STAGING))
            .and_then(|()| fs::write(&probe, "picket"))
            .and_then(|()| clear_staging(&root))
            .map_err(not_writable)?;
        for folder in STATIC_FOLDERS {
            let folder = root.join(DataFolder::Static.dir()).join(folder);
            fs::create_dir_all(&folder)
                .map_err(|why| SiteError::BadLayout { folder: folder.clone(), why })?;
        }
        let open = |data_folder: DataFolder| {
            let folder = root.join(data_folder.dir());
            fs::create_dir_all(&folder)
                .and_then(|()| Folder::open(&folder))
                .map_err(|why| SiteError::BadLayout { folder, why })
        };
        let (templates, static_files) = (open(DataFolder::Templates)?, open(DataFolder::Static)?);
        Ok(Self { root, templates, static_files })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn folder(&self, data_folder: DataFolder) -> &Folder {
        match data_folder {
            DataFolder::Templates => &self.templates,
            DataFolder::Static => &self.static_files,
        }
    }

    /// Whether anything has that name, be it a link that leads nowhere.
    pub(super) fn holds(&self, data_folder: DataFolder, name: &str) -> bool {
        fs::symlink_metadata(self.path(data_folder, name)).is_ok()
    }

    /// Writes a file, replacing one that is there.
    ///
    /// A link of that name is itself replaced, never what it leads to.
    pub(super) fn write(
        &self,
        data_folder: DataFolder,
        name: &FileName,
        bytes: &[u8],
    ) -> io::Result<()> {
        let target = self.path(data_folder, name.as_str());
        let folder = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        let staging = self.root.join(STAGING);
        fs::create_dir_all(&staging)?;
        let staged = staging.join("file");
        let mut file = File::create(&staged)?;
        file.write_all(bytes)?;
        // The content must be on the disk before the name leads to it, or a power cut could
        // leave an empty file of the right name.
        file.sync_all()?;
        fs::rename(&staged, &target)?;
        // Not every file system lets a folder be synchronised. Without it a power cut may bring
        // back the state before, which the next start puts right.
        if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
            log::debug!("site: {} cannot be synchronised: {error}", folder.display());
        }
        Ok(())
    }

    fn path(&self, data_folder: DataFolder, name: &str) -> PathBuf {
        self.root.join(data_folder.dir()).join(name)
    }

    /// Removes the staging folder after the last write.
    pub(super) fn finish(&self) {
        if let Err(error) = clear_staging(&self.root) {
            log::debug!("site: {STAGING} cannot be removed: {error}");
        }
    }
}

/// Whether a data location can be had at `location`, without making or writing anything.
pub(super) fn check_location(location: &Path) -> Result<(), SiteError> {
    use rustix::fs::{Access, access};
    match fs::metadata(location) {
        Ok(found) if !found.is_dir() => Err(SiteError::NotADirectory(location.to_owned())),
        Ok(_) => access(location, Access::WRITE_OK | Access::EXEC_OK).map_err(|why| {
            SiteError::NotWritable { location: location.to_owned(), why: why.into() }
        }),
        // It would be made, with the folders above it that are missing.
        Err(_) => {
            let cannot =
                |why: io::Error| SiteError::CannotCreate { location: location.to_owned(), why };
            let above = location.ancestors().skip(1).find(|above| above.exists());
            let above = above.unwrap_or(Path::new("."));
            if !above.is_dir() {
                return Err(cannot(io::ErrorKind::NotADirectory.into()));
            }
            access(above, Access::WRITE_OK | Access::EXEC_OK).map_err(|why| cannot(why.into()))
        }
    }
}

fn clear_staging(root: &Path) -> io::Result<()> {
    let staging = root.join(STAGING);
    let removed = match fs::symlink_metadata(&staging) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(staging),
        Ok(_) => fs::remove_file(staging),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn name(text: &str) -> FileName {
        FileName::parse(text).unwrap()
    }

    #[test]
    fn the_folders_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let location = dir.path().join("a/b");
        Store::open(&location).unwrap();
        for folder in ["templates", "static/css", "static/js", "static/img"] {
            assert!(location.join(folder).is_dir(), "{folder}");
        }
        assert!(!location.join(STAGING).exists());
    }

    #[test]
    fn a_place_that_cannot_serve_is_refused_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = |path: &Path| Store::open(path).err().unwrap();
        assert!(matches!(error(&file), SiteError::NotADirectory(_)));
        assert!(matches!(error(&file.join("below")), SiteError::CannotCreate { .. }));
        fs::write(dir.path().join("templates"), "").unwrap();
        let bad_layout = error(dir.path());
        assert!(
            matches!(&bad_layout, SiteError::BadLayout { folder, .. }
            if folder.ends_with("templates")),
            "{bad_layout}"
        );
        // The kernel's own tree refuses new files even to root.
        let read_only = error(Path::new("/proc/self"));
        assert!(matches!(read_only, SiteError::NotWritable { .. }), "{read_only}");
        assert!(read_only.to_string().contains("remove the setting"), "{read_only}");
    }

    #[test]
    fn what_a_crash_left_is_gone_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let staging = dir.path().join(STAGING);
        fs::create_dir(&staging).unwrap();
        fs::write(staging.join("file"), "half a fi").unwrap();
        Store::open(dir.path()).unwrap();
        assert!(!staging.exists());
        fs::write(&staging, "a file of that name").unwrap();
        Store::open(dir.path()).unwrap();
        assert!(!staging.exists());
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.write(DataFolder::Static, &name("css/a.css"), b"old").unwrap();
        // A folder where the staged file should be stands for any failure before the renaming.
        fs::create_dir_all(dir.path().join(STAGING).join("file")).unwrap();
        assert!(store.write(DataFolder::Static, &name("css/a.css"), b"new").is_err());
        assert_eq!(fs::read(dir.path().join("static/css/a.css")).unwrap(), b"old");
    }

    #[test]
    fn a_link_is_replaced_and_its_target_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let location = dir.path().join("site");
        let store = Store::open(&location).unwrap();
        let other = dir.path().join("other");
        fs::write(&other, "the user's").unwrap();
        symlink(&other, location.join("templates/index.html")).unwrap();
        assert!(store.holds(DataFolder::Templates, "index.html"));
        store.write(DataFolder::Templates, &name("index.html"), b"new").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"the user's");
        assert_eq!(fs::read(location.join("templates/index.html")).unwrap(), b"new");
    }
}
