//! The kernel partition of the system that an update was written to: it gets its root.

use std::io;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::appliance::BootSlot;
use crate::steward::{autoboot, sd_card};

/// Mounts a kernel `partition` at `mount_point`, and sets the root of `slot` in its command line.
///
/// # Errors
/// When that fails, or there is no kernel on it.
pub(super) fn prepare(partition: &Path, mount_point: &Path, slot: BootSlot) -> io::Result<()> {
    std::fs::create_dir_all(mount_point)?;
    sd_card::unmount_if_idle(mount_point);
    let flags = MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOSUID;
    mount(partition, mount_point, "vfat", flags, None)?;
    let prepared = prepare_directory(mount_point, slot);
    unmount(mount_point, UnmountFlags::empty())?;
    prepared
}

fn prepare_directory(directory: &Path, slot: BootSlot) -> io::Result<()> {
    let file = directory.join("cmdline.txt");
    let line = autoboot::kernel_command_line(&std::fs::read_to_string(&file)?, slot)
        .ok_or_else(|| io::Error::other("its cmdline.txt has no root=PARTUUID="))?;
    std::fs::write(&file, line)?;
    std::fs::File::open(&file)?.sync_all()?;
    let config = std::fs::read_to_string(directory.join("config.txt"))?;
    let kernels: Vec<&str> =
        config.lines().filter_map(|line| line.trim().strip_prefix("kernel=")).collect();
    let missing = kernels.iter().find(|kernel| !directory.join(kernel.trim()).exists());
    match missing {
        Some(kernel) => Err(io::Error::other(format!("its kernel {kernel} is missing"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(config: &str, files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.txt"), config).unwrap();
        std::fs::write(folder.path().join("cmdline.txt"), "root=PARTUUID=7069636b-05 ro").unwrap();
        files.iter().for_each(|file| std::fs::write(folder.path().join(file), "x").unwrap());
        folder
    }

    #[test]
    fn a_system_is_given_its_root_and_must_have_a_kernel() {
        let whole = boot("[all]\nkernel=kernel8.img\n", &["kernel8.img"]);
        prepare_directory(whole.path(), BootSlot::B).unwrap();
        let line = std::fs::read_to_string(whole.path().join("cmdline.txt")).unwrap();
        assert_eq!(line, "root=PARTUUID=7069636b-06 ro\n");
        let empty = boot("kernel=kernel8.img\n", &[]);
        let error = prepare_directory(empty.path(), BootSlot::B).unwrap_err().to_string();
        assert!(error.contains("kernel8.img is missing"), "{error}");
    }
}
