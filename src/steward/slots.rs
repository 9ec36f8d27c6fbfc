//! Which of the two systems starts.
//!
//! The Pi's firmware reads `autoboot.txt` on the owner's partition: the system to start, and the
//! one to start once when it was asked to try (`tryboot_a_b`). A system that was tried and does
//! not show that it works is gone with the next restart, whatever caused that. To keep it, the two
//! numbers change places, by overwriting one sector where it stands.

use std::io;

use super::card;
use super::owner::Owner;
use crate::appliance::Slot;

const AUTOBOOT: &str = "autoboot.txt";

/// What [`AUTOBOOT`] says when `kept` is the system to start. Its length does not depend on that.
pub(super) fn autoboot(kept: Slot) -> String {
    let (kept, other) = (card::boot(kept), card::boot(kept.other()));
    format!("[all]\ntryboot_a_b=1\nboot_partition={kept}\n[tryboot]\nboot_partition={other}\n")
}

/// The system that starts when nothing is being tried.
///
/// # Errors
/// When `autoboot.txt` cannot be read or says something else.
pub(super) fn kept(owner: &Owner) -> io::Result<Slot> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no autoboot.txt");
    let text = owner.read(AUTOBOOT)?.ok_or_else(missing)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    parse(&text).ok_or_else(|| io::Error::other("autoboot.txt names no system to start"))
}

fn parse(text: &str) -> Option<Slot> {
    let mut section = "all";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name;
        } else if section == "all"
            && let Some(number) = line.strip_prefix("boot_partition=")
        {
            let number: u32 = number.trim().parse().ok()?;
            return [Slot::A, Slot::B].into_iter().find(|slot| card::boot(*slot) == number);
        }
    }
    None
}

/// Makes `slot` the system to start from now on.
///
/// # Errors
/// When that cannot be written; what started before starts on.
pub(super) fn keep(owner: &Owner, slot: Slot) -> io::Result<()> {
    let new = autoboot(slot);
    let same_length = owner.read(AUTOBOOT)?.is_some_and(|old| old.len() == new.len());
    match same_length {
        true => owner.overwrite(AUTOBOOT, new.as_bytes()),
        // Its owner has edited it.
        false => owner.write(AUTOBOOT, new.as_bytes()),
    }
}

/// The command line for the kernel of `slot`: the one that came with the system, with its own root.
pub(super) fn command_line(line: &str, slot: Slot) -> Option<String> {
    let mut found = false;
    let words = line.split_whitespace().map(|word| {
        let Some((disk, _)) =
            word.strip_prefix("root=PARTUUID=").and_then(|id| id.rsplit_once('-'))
        else {
            return word.to_owned();
        };
        found = true;
        format!("root=PARTUUID={disk}-{:02}", card::root(slot))
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
        let owner = Owner::folder(folder.path());
        assert!(kept(&owner).is_err());
        owner.write(AUTOBOOT, autoboot(Slot::A).as_bytes()).unwrap();
        assert_eq!(kept(&owner).unwrap(), Slot::A);
        use std::os::unix::fs::MetadataExt;
        let inode = || std::fs::metadata(owner.path(AUTOBOOT)).unwrap().ino();
        let before = inode();
        keep(&owner, Slot::B).unwrap();
        assert_eq!(kept(&owner).unwrap(), Slot::B);
        assert_eq!(before, inode());
        assert!(autoboot(Slot::A).len() < 512);
        assert_eq!(autoboot(Slot::A).len(), autoboot(Slot::B).len());
    }

    #[test]
    fn an_edited_file_is_understood_and_nonsense_is_not() {
        assert_eq!(parse("\r\n[all]\r\nboot_partition=3\r\n"), Some(Slot::B));
        assert_eq!(parse("boot_partition=2"), Some(Slot::A));
        assert_eq!(parse("[tryboot]\nboot_partition=3\n[all]\nboot_partition=2"), Some(Slot::A));
        for nonsense in ["", "[all]\nboot_partition=7", "[tryboot]\nboot_partition=3", "\0\0"] {
            assert_eq!(parse(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_system_is_given_its_own_root() {
        let shipped = "console=tty1 root=PARTUUID=7069636b-05 rootfstype=squashfs ro quiet\n";
        let line = command_line(shipped, Slot::B).unwrap();
        assert_eq!(line, "console=tty1 root=PARTUUID=7069636b-06 rootfstype=squashfs ro quiet\n");
        assert_eq!(command_line("root=/dev/mmcblk0p5 quiet", Slot::B), None);
    }
}
