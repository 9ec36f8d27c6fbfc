//! The owner's partition: FAT, so that every computer can edit `config.toml` on it.
//!
//! It is mounted read-only, and for writing only for the moment that takes. FAT has no journal, so
//! a file is replaced in an order that leaves the old one or the new one whatever happens: the new
//! one whole under another name, then the names, and only then is the old one's room given up. What
//! a power cut left half done is put right by [`Owner::mend`] at the next start.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount, mount_remount};

use super::{card, data};
use crate::appliance::create_private;

/// Only root may look: the password of the wireless network is in there.
const OPTIONS: &str = "umask=077,errors=remount-ro";
const READ_ONLY: MountFlags = MountFlags::RDONLY
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC)
    .union(MountFlags::NOSUID)
    .union(MountFlags::NOATIME);

/// The owner's partition, where it is mounted.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    place: PathBuf,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Has to be made writable for writing.
    Mounted,
    /// A folder stands for it, or who only reads it where the steward has mounted it.
    Folder,
    /// Could not be mounted, for this reason.
    Unreadable(String),
}

impl Owner {
    /// Mounts `partition` at `place`.
    ///
    /// # Errors
    /// When it is no FAT, or damaged beyond mounting.
    pub(super) fn mount(partition: &Path, place: &Path) -> io::Result<Self> {
        let options = std::ffi::CString::new(OPTIONS)?;
        if card::release(place) {
            mount(partition, place, "vfat", READ_ONLY, options.as_c_str())?;
        }
        Ok(Self { place: place.to_owned(), state: State::Mounted })
    }

    /// One that could not be mounted: what would stand in its files is not known, which is another
    /// thing than that they are not there.
    pub(super) fn unreadable(place: &Path, why: &io::Error) -> Self {
        Self { place: place.to_owned(), state: State::Unreadable(why.to_string()) }
    }

    /// A folder that stands for it.
    pub(super) fn folder(place: &Path) -> Self {
        Self { place: place.to_owned(), state: State::Folder }
    }

    /// Where a file of it is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }

    /// Reads a file; `None` if it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        if let State::Unreadable(why) = &self.state {
            return Err(io::Error::other(why.clone()));
        }
        match std::fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Replaces a file, unless that is what it holds already.
    ///
    /// # Errors
    /// When it cannot be written; the old one is then still there.
    pub(super) fn write(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        if self.read(name).is_ok_and(|old| old.as_deref() == Some(contents)) {
            return Ok(());
        }
        self.writable(|| replace(&self.path(name), contents))
    }

    /// Overwrites the beginning of a file where it stands. If that is less than a sector, a power
    /// cut leaves it as it was or as it is to be.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn overwrite(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        self.writable(|| {
            let mut file = File::options().write(true).open(self.path(name))?;
            file.write_all(contents)?;
            file.sync_all()
        })
    }

    /// Puts right what a power cut left half done.
    pub(super) fn mend(&self, name: &str) {
        let (file, new) = (self.path(name), new_name(&self.path(name)));
        if !new.exists() {
            return;
        }
        // A new one was whole before the old one was touched.
        let lost = std::fs::metadata(&file).map_or(true, |m| m.len() == 0);
        let mended = self.writable(|| match lost {
            true => std::fs::rename(&new, &file),
            false => std::fs::remove_file(&new),
        });
        match mended {
            Ok(()) => log::info!("{name} was being written when the power went; it is whole"),
            Err(e) => log::warn!("{name} was being written when the power went: {e}"),
        }
    }

    fn writable(&self, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match &self.state {
            State::Mounted => {
                mount_remount(&self.place, READ_ONLY.difference(MountFlags::RDONLY), OPTIONS)?;
                let written = write();
                // Going read-only writes everything out.
                mount_remount(&self.place, READ_ONLY, OPTIONS)?;
                written
            }
            State::Folder => write(),
            State::Unreadable(why) => Err(io::Error::other(why.clone())),
        }
    }
}

fn new_name(file: &Path) -> PathBuf {
    file.with_extension("new")
}

fn replace(file: &Path, contents: &[u8]) -> io::Result<()> {
    // As long as it is open, FAT gives its clusters to nobody else: until the entry below is written,
    // the name leads to them.
    let old = File::options().write(true).open(file).ok();
    let new = new_name(file);
    let mut out = create_private(&new)?;
    out.write_all(contents)?;
    out.sync_all()?;
    std::fs::rename(&new, file)?;
    // The other name goes first: two names for the same clusters would be a trap for whoever removes
    // one. Then the name's own entry, which FAT writes with the file and not with the folder.
    let folder = file.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()?;
    out.sync_all()?;
    // There may have been a password in it, and a card keeps what was only given up.
    old.map_or(Ok(()), |mut old| data::blank(&mut old))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_only_if_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::folder(folder.path());
        assert_eq!(owner.read("config.toml").unwrap(), None);
        owner.write("config.toml", b"one").unwrap();
        let before = std::fs::metadata(owner.path("config.toml")).unwrap();
        owner.write("config.toml", b"one").unwrap();
        let after = std::fs::metadata(owner.path("config.toml")).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!(before.ino(), after.ino());
        owner.write("config.toml", b"two").unwrap();
        assert_eq!(owner.read("config.toml").unwrap().unwrap(), b"two");
        assert!(!owner.path("config.new").exists());
    }

    #[test]
    fn what_was_replaced_does_not_stay_on_the_card() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::folder(folder.path());
        owner.write("config.toml", b"password = 'secret'").unwrap();
        // Another name for the same bytes, as those have who read the card itself.
        std::fs::hard_link(owner.path("config.toml"), owner.path("bytes")).unwrap();
        owner.write("config.toml", b"password_hash = ''").unwrap();
        assert_eq!(owner.read("bytes").unwrap().unwrap(), [0; 19]);
    }

    #[test]
    fn what_is_written_is_for_nobody_else_to_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::folder(folder.path());
        std::fs::write(owner.path("config.new"), b"left").unwrap();
        let mut left = File::open(owner.path("config.new")).unwrap();
        owner.write("config.toml", b"password_hash = ''").unwrap();
        let mode = std::fs::metadata(owner.path("config.toml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut read = String::new();
        io::Read::read_to_string(&mut left, &mut read).unwrap();
        assert_eq!(read, "left");
    }

    #[test]
    fn one_that_cannot_be_read_is_not_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::unreadable(folder.path(), &io::Error::other("no FAT"));
        assert_eq!(owner.read("config.toml").unwrap_err().to_string(), "no FAT");
        assert_eq!(owner.write("config.toml", b"").unwrap_err().to_string(), "no FAT");
        owner.mend("config.toml");
    }

    #[test]
    fn what_a_power_cut_left_is_put_right() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::folder(folder.path());
        // Between the two halves of a rename: the new one is whole, the old one gone.
        std::fs::write(owner.path("config.new"), b"new").unwrap();
        owner.mend("config.toml");
        assert_eq!(owner.read("config.toml").unwrap().unwrap(), b"new");
        // While the new one was being written: the old one stays.
        std::fs::write(owner.path("config.new"), b"ha").unwrap();
        owner.mend("config.toml");
        assert_eq!(owner.read("config.toml").unwrap().unwrap(), b"new");
        assert!(!owner.path("config.new").exists());
    }
}
