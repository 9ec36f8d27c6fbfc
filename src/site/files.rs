//! Static files, as the web server hands them out.

use std::path::Path;
use std::time::SystemTime;

use bytes::Bytes;

use super::SiteError;
use super::checksum::Checksum;
use super::folder::{FileContent, Folder, ReadError};
use super::name::FileName;
use super::settings::MAX_FILE_SIZE;

/// A file to be served as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticFile {
    /// The content.
    pub bytes: Bytes,
    /// For the `Content-Type` field; texts carry their charset.
    pub mime: &'static str,
    /// For the `ETag` field: a strong entity tag (RFC 9110 §8.8.3), quotes included.
    pub etag: String,
    /// For the `Last-Modified` field. An embedded file has no such time: the time of the build
    /// would differ between builds of the same source.
    pub last_modified: Option<SystemTime>,
}

impl StaticFile {
    pub(super) fn embedded(name: &str, bytes: &'static [u8]) -> Self {
        Self::new(name, Bytes::from_static(bytes), None)
    }

    fn new(name: &str, bytes: Bytes, last_modified: Option<SystemTime>) -> Self {
        let etag = Checksum::of(&bytes).entity_tag();
        Self { bytes, mime: mime(name), etag, last_modified }
    }
}

/// The file of that name below `folder`. Nothing tells a client why a file is not served, so all
/// reasons end as `None`; the owner finds the surprising ones in the log.
pub(super) fn look_up(folder: &Folder, name: &str) -> Option<StaticFile> {
    let name = FileName::parse(name).ok()?;
    match folder.read(&name, MAX_FILE_SIZE) {
        Ok(FileContent { bytes, modified }) => {
            Some(StaticFile::new(name.as_str(), bytes.into(), modified))
        }
        Err(ReadError::NotFound | ReadError::NotAFile) => None,
        Err(reason) => {
            log::debug!("site: {} is not served: {reason}", name.as_str());
            None
        }
    }
}

/// A folder of the user's served under a path of its own.
#[derive(Clone, Debug)]
pub struct Mount {
    prefix: String,
    folder: Folder,
}

impl Mount {
    /// Serves the files below `dir` under `prefix`, which is a path such as `/recordings`.
    /// Templates address them with `url_for('recordings', path='day.mp4')`.
    ///
    /// # Errors
    /// When the prefix is not a plain path, or is `/static`, or the folder does not exist.
    pub fn new(prefix: &str, dir: &Path) -> Result<Self, SiteError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        let well_formed = prefix.strip_prefix('/').is_some_and(|name| {
            FileName::parse(name).is_ok() && name.split('/').all(|part| part.chars().all(plain))
        });
        if !well_formed || prefix == "/static" || prefix.starts_with("/static/") {
            return Err(SiteError::BadPrefix(prefix.to_owned()));
        }
        let folder = Folder::open(dir).map_err(|why| SiteError::BadMount {
            prefix: prefix.to_owned(),
            dir: dir.to_owned(),
            why,
        })?;
        Ok(Self { prefix: prefix.to_owned(), folder })
    }

    /// The path under which it is served; begins with `/` and does not end with one.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The file of that name relative to the prefix, percent-decoded. Reads the disk: call it
    /// where blocking is allowed.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<StaticFile> {
        look_up(&self.folder, name)
    }
}

/// The media type for a file's extension.
fn mime(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        // RFC 9239 §6
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "md" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "xml" => "text/xml; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_mounts_prefix_is_a_plain_path() {
        let dir = tempfile::tempdir().unwrap();
        for prefix in ["/media", "/a/b", "/day-1_2.x~"] {
            assert_eq!(Mount::new(prefix, dir.path()).unwrap().prefix(), prefix);
        }
        for prefix in [
            "",
            "/",
            "media",
            "/media/",
            "//media",
            "/a/../b",
            "/.hidden",
            "/a b",
            "/{x}",
            "/a?b",
            "/%2e",
            "/static",
            "/static/css",
            "/é",
        ] {
            let error = Mount::new(prefix, dir.path()).unwrap_err();
            assert!(matches!(error, SiteError::BadPrefix(_)), "{prefix:?}: {error}");
        }
    }

    #[test]
    fn a_mount_needs_an_existing_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        for missing in ["nowhere", "file"] {
            let error = Mount::new("/media", &dir.path().join(missing)).unwrap_err();
            assert!(matches!(error, SiteError::BadMount { .. }), "{error}");
        }
    }

    #[test]
    fn the_entity_tag_changes_with_the_content_and_only_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let mount = Mount::new("/m", dir.path()).unwrap();
        fs::write(dir.path().join("a.txt"), "one").unwrap();
        fs::write(dir.path().join("b.txt"), "one").unwrap();
        let first = mount.file("a.txt").unwrap();
        assert_eq!(first.etag, mount.file("b.txt").unwrap().etag);
        assert!(first.etag.starts_with('"') && first.etag.ends_with('"') && first.etag.len() == 34);
        assert!(first.last_modified.is_some());
        fs::write(dir.path().join("a.txt"), "two").unwrap();
        assert_ne!(first.etag, mount.file("a.txt").unwrap().etag);
    }

    #[test]
    fn the_media_type_follows_the_extension() {
        assert_eq!(mime("css/custom.css"), "text/css; charset=utf-8");
        assert_eq!(mime("IMG.PNG"), "image/png");
        assert_eq!(mime("a.tar.gz"), "application/octet-stream");
        assert_eq!(mime("html"), "application/octet-stream");
    }
}
