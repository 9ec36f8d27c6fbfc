//! The SD card and its partitions.
//!
//! | partition | what is on it |
//! |---|---|
//! | 1 | FAT, the boot partition: firmware, `autoboot.txt`, `config.toml`; the one its owner sees |
//! | 2, 3 | FAT: kernel of system A and of system B |
//! | 5, 6 | squashfs: root of system A and of system B |
//! | 7 | ext4, the data partition: what the device keeps |

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use crate::appliance::BootSlot;

/// The boot partition.
pub(super) const BOOT: u32 = 1;
/// The data partition.
pub(super) const DATA: u32 = 7;

/// The partition of a system's kernel: a number in `autoboot.txt`.
pub(super) const fn kernel_partition(slot: BootSlot) -> u32 {
    match slot {
        BootSlot::A => 2,
        BootSlot::B => 3,
    }
}

/// The partition of a system's root.
pub(super) const fn root_partition(slot: BootSlot) -> u32 {
    match slot {
        BootSlot::A => 5,
        BootSlot::B => 6,
    }
}

/// Unmounts what a steward that was killed has left mounted at `mount_point`, if anything. False if
/// it is in use: then it stays mounted as that steward left it.
pub(super) fn unmount_if_idle(mount_point: &Path) -> bool {
    unmount(mount_point, UnmountFlags::empty()) != Err(Errno::BUSY)
}

/// The card this system was started from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SdCard {
    /// The kernel's name for it: `mmcblk0`.
    pub(super) name: String,
    /// The system that runs.
    pub(super) running: BootSlot,
    /// Each partition's number and the kernel's name for it.
    partitions: Vec<(u32, String)>,
}

impl SdCard {
    /// Finds the card that holds the root file system.
    ///
    /// # Errors
    /// When the root is not one of the two on a card with the partitions above.
    pub(super) fn of_root_filesystem() -> io::Result<Self> {
        let device = rustix::fs::stat("/")?.st_dev;
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        Self::of_partition(Path::new("/sys"), major, minor)
    }

    /// One without partitions, for tests that must not touch any.
    #[cfg(test)]
    pub(super) fn without_partitions() -> Self {
        Self { name: "vda".into(), running: BootSlot::A, partitions: Vec::new() }
    }

    fn of_partition(sys: &Path, major: u32, minor: u32) -> io::Result<Self> {
        let link = sys.join(format!("dev/block/{major}:{minor}"));
        let partition = std::fs::canonicalize(&link)?;
        let disk = partition.parent().filter(|disk| disk.join("size").exists());
        let disk = disk.ok_or_else(|| io::Error::other("the root is not on a partition"))?;
        let running = match partition_number(&partition) {
            Some(n) if n == root_partition(BootSlot::A) => BootSlot::A,
            Some(n) if n == root_partition(BootSlot::B) => BootSlot::B,
            _ => return Err(io::Error::other("the root is not on partition 5 or 6")),
        };
        let mut partitions = Vec::new();
        for entry in std::fs::read_dir(disk)? {
            let path = entry?.path();
            partitions.extend(partition_number(&path).zip(file_name(&path)));
        }
        let name = file_name(disk).ok_or_else(|| io::Error::other("the disk has no name"))?;
        Ok(Self { name, running, partitions })
    }

    /// The device file of the whole card.
    pub(super) fn device(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// The device file of a partition; `None` if the card has none of this number.
    pub(super) fn partition(&self, number: u32) -> Option<PathBuf> {
        let (_, name) = self.partitions.iter().find(|(n, _)| *n == number)?;
        Some(Path::new("/dev").join(name))
    }
}

/// The number of a partition, by its directory in sysfs.
fn partition_number(partition: &Path) -> Option<u32> {
    std::fs::read_to_string(partition.join("partition")).ok()?.trim().parse().ok()
}

fn file_name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sysfs with one card of seven partitions.
    fn sys() -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        let disk = sys.path().join("devices/mmcblk0");
        std::fs::create_dir_all(sys.path().join("dev/block")).unwrap();
        std::fs::create_dir_all(&disk).unwrap();
        std::fs::write(disk.join("size"), "1000").unwrap();
        for n in 1..=7 {
            let partition = disk.join(format!("mmcblk0p{n}"));
            std::fs::create_dir(&partition).unwrap();
            std::fs::write(partition.join("partition"), format!("{n}\n")).unwrap();
            let link = sys.path().join(format!("dev/block/179:{n}"));
            std::os::unix::fs::symlink(&partition, link).unwrap();
        }
        sys
    }

    #[test]
    fn the_running_system_is_known_by_its_root() {
        let sys = sys();
        let card = SdCard::of_partition(sys.path(), 179, 6).unwrap();
        assert_eq!((card.name.as_str(), card.running), ("mmcblk0", BootSlot::B));
        assert_eq!(card.partition(BOOT), Some("/dev/mmcblk0p1".into()));
        assert_eq!(card.partition(9), None);
        assert!(SdCard::of_partition(sys.path(), 179, 1).is_err());
        assert!(SdCard::of_partition(sys.path(), 8, 1).is_err());
    }
}
