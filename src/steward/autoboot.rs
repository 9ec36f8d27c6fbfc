//! `autoboot.txt`, which says which of the two systems the Pi's firmware starts.
//!
//! The file names the default system, and the one to start once after a restart with the tryboot
//! flag (`tryboot_a_b`). A system that was only tried is left again with the next restart, whatever
//! caused that. To make it the default, the two numbers are swapped, by overwriting one sector in
//! place.

use std::io;

use super::boot_partition::BootPartition;
use super::sd_card;
use crate::appliance::BootSlot;

/// Its name on the boot partition.
pub(super) const NAME: &str = "autoboot.txt";

/// The file's text where `default` is the default system. Its length does not depend on that.
fn text(default: BootSlot) -> String {
    let other = sd_card::kernel_partition(default.other());
    let default = sd_card::kernel_partition(default);
    format!("[all]\ntryboot_a_b=1\nboot_partition={default}\n[tryboot]\nboot_partition={other}\n")
}

/// The default system.
///
/// # Errors
/// When `autoboot.txt` cannot be read, or names neither system.
pub(super) fn default_slot(boot: &BootPartition) -> io::Result<BootSlot> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no autoboot.txt");
    let text = boot.read(NAME)?.ok_or_else(missing)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    parse(&text).ok_or_else(|| io::Error::other("autoboot.txt does not name a system to start"))
}

fn parse(text: &str) -> Option<BootSlot> {
    let mut section = "all";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name;
        } else if section == "all"
            && let Some(number) = line.strip_prefix("boot_partition=")
        {
            let number: u32 = number.trim().parse().ok()?;
            return [BootSlot::A, BootSlot::B]
                .into_iter()
                .find(|slot| sd_card::kernel_partition(*slot) == number);
        }
    }
    None
}

/// Makes `slot` the default system.
///
/// # Errors
/// When that cannot be written; the default is then what it was.
pub(super) fn set_default_slot(boot: &BootPartition, slot: BootSlot) -> io::Result<()> {
    let new = text(slot);
    let same_length = boot.read(NAME)?.is_some_and(|old| old.len() == new.len());
    match same_length {
        true => boot.overwrite(NAME, new.as_bytes()),
        // Its owner has edited it.
        false => boot.write(NAME, new.as_bytes()),
    }
}

/// The kernel command line for `slot`: the one that came with the system, with the slot's own root.
/// `None` if it has no `root=PARTUUID=`.
pub(super) fn kernel_command_line(line: &str, slot: BootSlot) -> Option<String> {
    let mut found = false;
    let words = line.split_whitespace().map(|word| {
        let Some((disk, _)) =
            word.strip_prefix("root=PARTUUID=").and_then(|id| id.rsplit_once('-'))
        else {
            return word.to_owned();
        };
        found = true;
        format!("root=PARTUUID={disk}-{:02}", sd_card::root_partition(slot))
    });
    let line = words.collect::<Vec<_>>().join(" ") + "\n";
    found.then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeping_a_system_swaps_two_numbers_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let boot = BootPartition::at_directory(folder.path());
        assert!(default_slot(&boot).is_err());
        boot.write(NAME, text(BootSlot::A).as_bytes()).unwrap();
        assert_eq!(default_slot(&boot).unwrap(), BootSlot::A);
        use std::os::unix::fs::MetadataExt;
        let inode = || std::fs::metadata(boot.path(NAME)).unwrap().ino();
        let before = inode();
        set_default_slot(&boot, BootSlot::B).unwrap();
        assert_eq!(default_slot(&boot).unwrap(), BootSlot::B);
        assert_eq!(before, inode());
        assert!(text(BootSlot::A).len() < 512);
        assert_eq!(text(BootSlot::A).len(), text(BootSlot::B).len());
    }

    #[test]
    fn an_edited_file_is_understood_and_nonsense_is_not() {
        assert_eq!(parse("\r\n[all]\r\nboot_partition=3\r\n"), Some(BootSlot::B));
        assert_eq!(parse("boot_partition=2"), Some(BootSlot::A));
        assert_eq!(
            parse("[tryboot]\nboot_partition=3\n[all]\nboot_partition=2"),
            Some(BootSlot::A)
        );
        for nonsense in ["", "[all]\nboot_partition=7", "[tryboot]\nboot_partition=3", "\0\0"] {
            assert_eq!(parse(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_system_is_given_its_own_root() {
        let shipped = "console=tty1 root=PARTUUID=7069636b-05 rootfstype=squashfs ro quiet\n";
        let line = kernel_command_line(shipped, BootSlot::B).unwrap();
        assert_eq!(line, "console=tty1 root=PARTUUID=7069636b-06 rootfstype=squashfs ro quiet\n");
        assert_eq!(kernel_command_line("root=/dev/mmcblk0p5 quiet", BootSlot::B), None);
    }
}
