//! Reading files below one folder and nowhere else.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::name::FileName;

/// A folder whose files may be read by name.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    /// Canonical, so that what a symbolic link leads to can be compared with it.
    root: PathBuf,
}

/// A file as it was found.
pub(super) struct FileContent {
    pub(super) bytes: Vec<u8>,
    pub(super) modified: Option<SystemTime>,
}

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("it does not exist")]
    NotFound,
    #[error("it is a link that leads out of its folder or to a hidden file")]
    Outside,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
}

impl Folder {
    /// Takes an existing folder; a path that is itself a link to a folder is followed once, here.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = fs::canonicalize(path)?;
        if fs::metadata(&root)?.is_dir() {
            Ok(Self { root })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Reads a file of at most `limit` bytes.
    ///
    /// A link is followed when it leads to a file that could also be named directly. Between the
    /// look and the opening somebody could exchange a link, but only one who may write into the
    /// folder and hence could put any content there anyway.
    pub(super) fn read(&self, name: &FileName, limit: u64) -> Result<FileContent, ReadError> {
        let path = fs::canonicalize(self.root.join(name.as_str()))?;
        let below = path.strip_prefix(&self.root).map_err(|_| ReadError::Outside)?;
        let hidden = |part: &std::ffi::OsStr| part.as_encoded_bytes().starts_with(b".");
        if below.iter().any(hidden) {
            return Err(ReadError::Outside);
        }
        // Before opening: to open a named pipe would block until somebody writes to it.
        if !fs::metadata(&path)?.is_file() {
            return Err(ReadError::NotAFile);
        }
        let file = File::open(&path)?;
        let modified = file.metadata()?.modified().ok();
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too large, even one that still grows.
        file.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(ReadError::TooLarge(limit));
        }
        Ok(FileContent { bytes, modified })
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A name that goes on below a file, or longer than the file system allows, is as
            // absent as any other.
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidFilename => Self::NotFound,
            _ => Self::Unreadable(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn read(folder: &Folder, name: &str) -> Result<Vec<u8>, ReadError> {
        folder.read(&FileName::parse(name).unwrap(), 8).map(|f| f.bytes)
    }

    #[test]
    fn a_link_is_followed_only_within_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join(".hidden")).unwrap();
        fs::write(root.join("here"), "here").unwrap();
        fs::write(root.join(".hidden/secret"), "secret").unwrap();
        fs::write(dir.path().join("outside"), "outside").unwrap();
        symlink("here", root.join("inner")).unwrap();
        symlink("../outside", root.join("outer")).unwrap();
        symlink("/etc", root.join("etc")).unwrap();
        symlink(".hidden", root.join("veiled")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let folder = Folder::open(&root).unwrap();
        assert_eq!(read(&folder, "inner").unwrap(), b"here");
        assert!(matches!(read(&folder, "outer"), Err(ReadError::Outside)));
        assert!(matches!(read(&folder, "etc/hostname"), Err(ReadError::Outside)));
        assert!(matches!(read(&folder, "veiled/secret"), Err(ReadError::Outside)));
        assert!(read(&folder, "loop").is_err());
    }

    #[test]
    fn a_folder_beside_with_the_same_beginning_is_outside() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("www")).unwrap();
        fs::create_dir(dir.path().join("www-private")).unwrap();
        fs::write(dir.path().join("www-private/key"), "key").unwrap();
        symlink("../www-private", dir.path().join("www/x")).unwrap();
        let folder = Folder::open(&dir.path().join("www")).unwrap();
        assert!(matches!(read(&folder, "x/key"), Err(ReadError::Outside)));
    }

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("eight"), "12345678").unwrap();
        fs::write(dir.path().join("nine"), "123456789").unwrap();
        let _socket = UnixListener::bind(dir.path().join("socket")).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert_eq!(read(&folder, "eight").unwrap(), b"12345678");
        assert!(matches!(read(&folder, "nine"), Err(ReadError::TooLarge(8))));
        assert!(matches!(read(&folder, "sub"), Err(ReadError::NotAFile)));
        assert!(matches!(read(&folder, "socket"), Err(ReadError::NotAFile)));
        assert!(matches!(read(&folder, "eight/below"), Err(ReadError::NotFound)));
        assert!(matches!(read(&folder, &"n".repeat(300)), Err(ReadError::NotFound)));
        assert!(Folder::open(&dir.path().join("eight")).is_err());
    }
}
