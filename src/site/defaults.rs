//! The default files, embedded into the binary.
//!
//! They are few and their names are fixed, so each is named here once with `include_bytes!`: a
//! missing one stops the build, and no build of any kind reads them from the disk when it runs.

use std::fmt;

use super::name::FileName;

/// The two folders of the data-files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DataFolder {
    /// Pages, rendered by the template engine.
    Templates,
    /// Files served as they are under `/static`.
    Static,
}

impl DataFolder {
    pub(super) const ALL: [Self; 2] = [Self::Templates, Self::Static];

    /// The folder's name below the data location.
    pub(super) fn dir(self) -> &'static str {
        match self {
            Self::Templates => "templates",
            Self::Static => "static",
        }
    }
}

/// One of the default files.
#[derive(Clone, Copy)]
pub(super) struct DefaultFile {
    pub(super) data_folder: DataFolder,
    /// Its name below that folder.
    pub(super) name: &'static str,
    pub(super) bytes: &'static [u8],
}

impl DefaultFile {
    pub(super) fn file_name(&self) -> FileName {
        FileName::known(self.name)
    }

    /// Whether a site of the owner's is complete without it: one may have a script of its own, which
    /// needs no parts of the player's, and be made for one camera.
    pub(super) fn is_optional(&self) -> bool {
        match self.data_folder {
            DataFolder::Static => self.name.starts_with("js/player/"),
            DataFolder::Templates => self.name == "grid.html",
        }
    }
}

impl fmt::Display for DefaultFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.data_folder.dir(), self.name)
    }
}

macro_rules! default_file {
    ($data_folder:ident, $folder:literal, $name:literal) => {
        DefaultFile {
            data_folder: DataFolder::$data_folder,
            name: $name,
            bytes: include_bytes!(concat!("../../", $folder, "/", $name)),
        }
    };
}

/// All of them, in the order in which they are written. The player's script comes after its parts,
/// so that it is never there without them.
pub(super) const DEFAULTS: [DefaultFile; 14] = [
    default_file!(Static, "static", "css/custom.css"),
    default_file!(Static, "static", "js/player/controls.js"),
    default_file!(Static, "static", "js/player/daemon.js"),
    default_file!(Static, "static", "js/player/page.js"),
    default_file!(Static, "static", "js/player/sdp.js"),
    default_file!(Static, "static", "js/player/session.js"),
    default_file!(Static, "static", "js/player/statistics.js"),
    default_file!(Static, "static", "js/custom.js"),
    default_file!(Static, "static", "img/favicon-32x32.png"),
    default_file!(Templates, "templates", "base.html"),
    default_file!(Templates, "templates", "404.html"),
    default_file!(Templates, "templates", "500.html"),
    default_file!(Templates, "templates", "index.html"),
    default_file!(Templates, "templates", "grid.html"),
];

/// The default file of that name, if it is one.
pub(super) fn find(data_folder: DataFolder, name: &str) -> Option<&'static DefaultFile> {
    const FILES: &[DefaultFile] = &DEFAULTS;
    FILES.iter().find(|file| file.data_folder == data_folder && file.name == name)
}

/// The embedded template of that name, if there is one.
pub(super) fn template(name: &str) -> Option<&'static str> {
    find(DataFolder::Templates, name).and_then(|file| std::str::from_utf8(file.bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_file_can_be_found_and_has_content() {
        for file in DEFAULTS {
            assert!(!file.bytes.is_empty(), "{file}");
            assert_eq!(FileName::parse(file.name), Ok(file.file_name()));
            assert_eq!(find(file.data_folder, file.name).unwrap().bytes, file.bytes);
            if file.data_folder == DataFolder::Templates {
                assert!(template(file.name).is_some(), "{file} is not UTF-8");
            }
        }
        assert!(find(DataFolder::Static, "index.html").is_none());
    }

    #[test]
    fn the_favicon_is_a_png_of_32_by_32() {
        let png = find(DataFolder::Static, "img/favicon-32x32.png").unwrap().bytes;
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        // The header chunk begins with width and height (PNG, third edition, §11.2.1).
        assert_eq!(&png[12..24], b"IHDR\0\0\0\x20\0\0\0\x20");
    }
}
