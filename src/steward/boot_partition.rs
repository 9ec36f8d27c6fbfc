//! The boot partition: FAT, so that every computer can edit `config.toml` on it.
//!
//! It is mounted read-only, and writable only while something is written. FAT has no log_buffer, so
//! a file is replaced in an order that leaves the old one or the new one whatever happens: first
//! the new one is written whole under another name, then it is renamed, and only then are the
//! clusters of the old one freed. [`BootPartition::recover`] finishes at the next start what a
//! power cut interrupted.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount, mount_remount};

use super::{data_partition, sd_card};
use crate::appliance::create_private;

/// Root alone may read it: the password of the wireless network is in there.
const OPTIONS: &str = "umask=077,errors=remount-ro";
const READ_ONLY: MountFlags = MountFlags::RDONLY
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC)
    .union(MountFlags::NOSUID)
    .union(MountFlags::NOATIME);

/// The boot partition, where it is mounted.
#[derive(Clone, Debug)]
pub(super) struct BootPartition {
    mount_point: PathBuf,
    backing: Backing,
}

#[derive(Clone, Debug)]
enum Backing {
    /// The partition, which is remounted for writing.
    Mounted,
    /// A directory in its place, or the partition for a process that only reads what the steward
    /// has mounted.
    Directory,
    /// None: the partition could not be mounted, for this reason.
    Unreadable(String),
}

impl BootPartition {
    /// Mounts `partition` at `mount_point`.
    ///
    /// # Errors
    /// When it is not FAT, or too damaged to be mounted.
    pub(super) fn mount(partition: &Path, mount_point: &Path) -> io::Result<Self> {
        let options = std::ffi::CString::new(OPTIONS)?;
        if sd_card::unmount_if_idle(mount_point) {
            mount(partition, mount_point, "vfat", READ_ONLY, options.as_c_str())?;
        }
        Ok(Self { mount_point: mount_point.to_owned(), backing: Backing::Mounted })
    }

    /// One that could not be mounted. What is in its files is unknown, which is not the same as
    /// that they are missing.
    pub(super) fn unreadable(mount_point: &Path, why: &io::Error) -> Self {
        let backing = Backing::Unreadable(why.to_string());
        Self { mount_point: mount_point.to_owned(), backing }
    }

    /// A directory in place of the partition.
    pub(super) fn at_directory(directory: &Path) -> Self {
        Self { mount_point: directory.to_owned(), backing: Backing::Directory }
    }

    /// The path of a file on it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.mount_point.join(name)
    }

    /// Reads a file; `None` if it does not exist.
    ///
    /// # Errors
    /// When it exists and cannot be read.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        if let Backing::Unreadable(why) = &self.backing {
            return Err(io::Error::other(why.clone()));
        }
        match std::fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Replaces a file, unless it holds these contents already.
    ///
    /// # Errors
    /// When it cannot be written; the old one is then still there.
    pub(super) fn write(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        if self.read(name).is_ok_and(|old| old.as_deref() == Some(contents)) {
            return Ok(());
        }
        self.while_writable(|| replace(&self.path(name), contents))
    }

    /// Overwrites the beginning of a file in place. If that is less than a sector, a power cut
    /// leaves either the old contents or the new.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn overwrite(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        self.while_writable(|| {
            let mut file = File::options().write(true).open(self.path(name))?;
            file.write_all(contents)?;
            file.sync_all()
        })
    }

    /// Finishes or undoes a [`write`](Self::write) that a power cut interrupted.
    pub(super) fn recover(&self, name: &str) {
        let (file, new) = (self.path(name), new_name(&self.path(name)));
        if !new.exists() {
            return;
        }
        // The new one was whole before the old one was touched.
        let lost = std::fs::metadata(&file).map_or(true, |m| m.len() == 0);
        let recovered = self.while_writable(|| match lost {
            true => std::fs::rename(&new, &file),
            false => std::fs::remove_file(&new),
        });
        match recovered {
            Ok(()) => log::info!("{name} was being written when the power went; it is whole"),
            Err(e) => log::warn!("{name} was being written when the power went: {e}"),
        }
    }

    /// Does something while the partition is writable.
    fn while_writable(&self, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match &self.backing {
            Backing::Mounted => {
                let read_write = READ_ONLY.difference(MountFlags::RDONLY);
                mount_remount(&self.mount_point, read_write, OPTIONS)?;
                let written = write();
                // Remounting read-only flushes everything.
                mount_remount(&self.mount_point, READ_ONLY, OPTIONS)?;
                written
            }
            Backing::Directory => write(),
            Backing::Unreadable(why) => Err(io::Error::other(why.clone())),
        }
    }
}

fn new_name(file: &Path) -> PathBuf {
    file.with_extension("new")
}

fn replace(file: &Path, contents: &[u8]) -> io::Result<()> {
    // As long as it is open, FAT does not reuse its clusters: until the entry below is written, the
    // name leads to them.
    let old = File::options().write(true).open(file).ok();
    let new = new_name(file);
    let mut out = create_private(&new)?;
    out.write_all(contents)?;
    out.sync_all()?;
    std::fs::rename(&new, file)?;
    // The other name is removed first: two names for the same clusters would be a trap for whoever
    // deletes one. Then the file's own entry, which FAT writes with the file and not with the
    // directory.
    let directory = file.parent().unwrap_or(Path::new("/"));
    File::open(directory)?.sync_all()?;
    out.sync_all()?;
    // There may have been a password in it, and clusters that were only freed keep their contents.
    old.map_or(Ok(()), |mut old| data_partition::overwrite_file(&mut old))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_only_if_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let boot = BootPartition::at_directory(folder.path());
        assert_eq!(boot.read("config.toml").unwrap(), None);
        boot.write("config.toml", b"one").unwrap();
        let before = std::fs::metadata(boot.path("config.toml")).unwrap();
        boot.write("config.toml", b"one").unwrap();
        let after = std::fs::metadata(boot.path("config.toml")).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!(before.ino(), after.ino());
        boot.write("config.toml", b"two").unwrap();
        assert_eq!(boot.read("config.toml").unwrap().unwrap(), b"two");
        assert!(!boot.path("config.new").exists());
    }

    #[test]
    fn what_was_replaced_does_not_stay_on_the_card() {
        let folder = tempfile::tempdir().unwrap();
        let boot = BootPartition::at_directory(folder.path());
        boot.write("config.toml", b"password = 'secret'").unwrap();
        // Another name for the same bytes, as seen by whoever reads the card itself.
        std::fs::hard_link(boot.path("config.toml"), boot.path("bytes")).unwrap();
        boot.write("config.toml", b"password_hash = ''").unwrap();
        assert_eq!(boot.read("bytes").unwrap().unwrap(), [0; 19]);
    }

    #[test]
    fn what_is_written_is_for_nobody_else_to_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let boot = BootPartition::at_directory(folder.path());
        std::fs::write(boot.path("config.new"), b"left").unwrap();
        let mut left = File::open(boot.path("config.new")).unwrap();
        boot.write("config.toml", b"password_hash = ''").unwrap();
        let mode = std::fs::metadata(boot.path("config.toml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut read = String::new();
        io::Read::read_to_string(&mut left, &mut read).unwrap();
        assert_eq!(read, "left");
    }

    #[test]
    fn one_that_cannot_be_read_is_not_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let boot = BootPartition::unreadable(folder.path(), &io::Error::other("no FAT"));
        assert_eq!(boot.read("config.toml").unwrap_err().to_string(), "no FAT");
        assert_eq!(boot.write("config.toml", b"").unwrap_err().to_string(), "no FAT");
        boot.recover("config.toml");
    }

    #[test]
    fn what_a_power_cut_left_is_put_right() {
        let folder = tempfile::tempdir().unwrap();
        let boot = BootPartition::at_directory(folder.path());
        // Between the two halves of a rename: the new one is whole, the old one gone.
        std::fs::write(boot.path("config.new"), b"new").unwrap();
        boot.recover("config.toml");
        assert_eq!(boot.read("config.toml").unwrap().unwrap(), b"new");
        // While the new one was being written: the old one stays.
        std::fs::write(boot.path("config.new"), b"ha").unwrap();
        boot.recover("config.toml");
        assert_eq!(boot.read("config.toml").unwrap().unwrap(), b"new");
        assert!(!boot.path("config.new").exists());
    }
}
