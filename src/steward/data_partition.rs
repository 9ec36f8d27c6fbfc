//! The data partition: what the device has to remember from one start to the next.
//!
//! The card's image holds an empty one of a few megabytes. The first start enlarges it to the rest
//! of the card and formats it. Every later start checks it before it is mounted, which takes a
//! moment after a power cut; only if the check cannot repair it is it formatted again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags};

use super::process::{ProcessError, run};
use super::sd_card::{self, SdCard};

const MKFS: &str = "mkfs.ext4";
const FSCK: &str = "e2fsck";
const SFDISK: &str = "sfdisk";
const PARTX: &str = "partx";
const BLKDISCARD: &str = "blkdiscard";

const FLAGS: MountFlags = MountFlags::NODEV
    .union(MountFlags::NOEXEC)
    .union(MountFlags::NOSUID)
    .union(MountFlags::NOATIME);
/// Commits seldom: little is written, and a card wears out by writing.
const OPTIONS: &std::ffi::CStr = c"commit=60,errors=remount-ro";

/// Bytes from the start of the partition to the magic number of ext4, and that number
/// (Documentation/filesystems/ext4/super.rst).
const MAGIC: (u64, [u8; 2]) = (1024 + 0x38, [0x53, 0xef]);

/// In which state the data was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DataState {
    /// As it was left.
    Intact,
    /// The device was started for the first time, or after a factory reset.
    Created,
    /// It was damaged and has been repaired: some of it may be missing.
    Repaired,
    /// It was damaged beyond repair, and the partition was formatted again.
    Recreated,
}

/// Why the data partition cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DataError {
    #[error("the card has no partition for it: write the image to the card again")]
    NoPartition,
    #[error("{0}; if that stays so, factory_reset = true in config.toml formats it again")]
    Unknown(String),
    #[error(transparent)]
    Program(#[from] ProcessError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Mounts the partition at `mount_point`.
///
/// # Errors
/// When it can be neither read nor formatted, because the card is broken or write-protected; or
/// when it is not known to be damaged and could not be read this time: then it is left as it is.
pub(super) async fn mount(card: &SdCard, mount_point: &Path) -> Result<DataState, DataError> {
    let partition = card.partition(sd_card::DATA).ok_or(DataError::NoPartition)?;
    if !sd_card::unmount_if_idle(mount_point) {
        return Ok(DataState::Intact);
    }
    if !is_formatted(&partition)? {
        log::info!("the device's first start: formatting the data partition");
        if let Err(error) = enlarge(card).await {
            // It can be used in its original size, too.
            log::warn!("the data partition stays small: {error}");
        }
        return format(&partition, mount_point).await.map(|()| DataState::Created);
    }
    match fsck(&partition).await {
        Ok(found) => {
            mount_ext4(&partition, mount_point)
                .map_err(|error| DataError::Unknown(format!("it cannot be mounted ({error})")))?;
            Ok(found)
        }
        Err(error) if is_beyond_repair(&error, has_magic(&partition)?) => {
            log::error!("the data partition is beyond repair ({error}): formatting it again");
            format(&partition, mount_point).await?;
            Ok(DataState::Recreated)
        }
        Err(error) => Err(DataError::Unknown(format!("it cannot be checked ({error})"))),
    }
}

/// Writes everything out and unmounts the partition.
pub(super) fn unmount(mount_point: &Path) {
    rustix::fs::sync();
    if let Err(error) = rustix::mount::unmount(mount_point, UnmountFlags::empty()) {
        log::warn!("{} is still in use: {error}", mount_point.display());
    }
}

/// Erases the data: its files are overwritten, and the next [`mount`] formats the partition.
///
/// # Errors
/// When the card cannot be written.
pub(super) async fn erase(card: &SdCard, mount_point: &Path) -> Result<(), DataError> {
    let partition = card.partition(sd_card::DATA).ok_or(DataError::NoPartition)?;
    overwrite_files(mount_point);
    unmount(mount_point);
    // Tells the card that all of it is unused; most cards then read as zeros.
    if let Err(error) = run(BLKDISCARD, [&partition], "").await {
        log::info!("the card does not support discard: {error}");
    }
    let file = File::options().write(true).open(&partition)?;
    let zeros = vec![0; 1 << 20];
    file.write_all_at(&zeros, 0)?;
    file.sync_all()?;
    Ok(())
}

/// Overwrites every file below `directory`. ext4 writes in place if a file's length stays the same.
fn overwrite_files(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => overwrite_files(&entry.path()),
            Ok(kind) if kind.is_file() => {
                let opened = File::options().write(true).open(entry.path());
                if let Err(error) = opened.and_then(|mut file| overwrite_file(&mut file)) {
                    log::warn!("{} is not overwritten: {error}", entry.path().display());
                }
            }
            _ => {}
        }
    }
}

/// Overwrites all of a file with zeros; its position must be the beginning.
pub(super) fn overwrite_file(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    io::copy(&mut io::Read::take(io::repeat(0), length), file)?;
    file.sync_all()
}

/// Whether there is an ext4 file system, damaged or not.
fn is_formatted(partition: &Path) -> io::Result<bool> {
    // A file system whose first block was overwritten still has copies of it further on; a
    // partition that was never used is empty there, too.
    let mut start = vec![0; 64 * 1024];
    File::open(partition)?.read_exact_at(&mut start, 0)?;
    Ok(start.iter().any(|byte| *byte != 0))
}

/// Whether the superblock has the magic number of ext4.
fn has_magic(partition: &Path) -> io::Result<bool> {
    let mut magic = [0; 2];
    File::open(partition)?.read_exact_at(&mut magic, MAGIC.0)?;
    Ok(magic == MAGIC.1)
}

fn mount_ext4(partition: &Path, mount_point: &Path) -> io::Result<()> {
    Ok(rustix::mount::mount(partition, mount_point, "ext4", FLAGS, OPTIONS)?)
}

/// Enlarges the extended partition to the rest of the card, then the data partition within it.
async fn enlarge(card: &SdCard) -> Result<(), ProcessError> {
    let device = card.device();
    let device = device.to_string_lossy();
    for number in ["4", "7"] {
        let arguments = ["--force", "--no-reread", "--no-tell-kernel", "-N", number, &device];
        run(SFDISK, arguments, ",+\n").await?;
    }
    run(PARTX, ["--update", "--nr", "7", &*device], "").await?;
    Ok(())
}

async fn format(partition: &Path, mount_point: &Path) -> Result<(), DataError> {
    let mut arguments: Vec<&std::ffi::OsStr> = Vec::new();
    // No blocks reserved for root, which a computer's disk has: there are few files here, and none
    // that the daemon could not do without.
    for argument in ["-q", "-F", "-L", "picket-data", "-m", "0", "-E", "lazy_itable_init=1"] {
        arguments.push(argument.as_ref());
    }
    arguments.push(partition.as_os_str());
    run(MKFS, arguments, "").await?;
    // It must be on the card even if the power is cut within the next half minute.
    File::open(partition)?.sync_all()?;
    Ok(mount_ext4(partition, mount_point)?)
}

/// Whether e2fsck has run and found damage that it cannot repair (e2fsck(8), EXIT CODE). It also
/// has operational errors, 8: no memory, no answer from the card. They count as damage only if not
/// even the magic number is left.
fn is_beyond_repair(error: &ProcessError, has_magic: bool) -> bool {
    const UNCORRECTED: i32 = 4;
    const OPERATIONAL: i32 = 8;
    let ProcessError::Failed { status, .. } = error else { return false };
    status
        .code()
        .is_some_and(|code| code & UNCORRECTED != 0 || (code & OPERATIONAL != 0 && !has_magic))
}

/// Checks the file system, and repairs what can be repaired.
async fn fsck(partition: &Path) -> Result<DataState, ProcessError> {
    let partition = partition.as_os_str();
    // Replays the log_buffer after a power cut, and is done at once if nothing is wrong.
    match run(FSCK, ["-p".as_ref(), partition], "").await {
        Ok(_) => return Ok(DataState::Intact),
        // 1: errors were corrected, all of them safely.
        Err(ProcessError::Failed { status, .. }) if status.code() == Some(1) => {
            return Ok(DataState::Intact);
        }
        Err(error) => log::warn!("the data partition needs repair: {error}"),
    }
    match run(FSCK, ["-f".as_ref(), "-y".as_ref(), partition], "").await {
        Ok(_) => Ok(DataState::Repaired),
        Err(ProcessError::Failed { status, .. }) if status.code() == Some(1) => {
            Ok(DataState::Repaired)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unused_partition_is_told_from_a_damaged_one() {
        let folder = tempfile::tempdir().unwrap();
        let partition = folder.path().join("p7");
        let made = |start: &[u8]| {
            let mut bytes = vec![0; 128 * 1024];
            bytes[..start.len()].copy_from_slice(start);
            std::fs::write(&partition, bytes).unwrap();
            is_formatted(&partition).unwrap()
        };
        assert!(!made(&[]));
        assert!(made(&[0xff; 4096]), "overwritten with nonsense");
        let mut ext4 = vec![0; 2048];
        ext4[1080..1082].copy_from_slice(&[0x53, 0xef]);
        assert!(made(&ext4));
    }

    #[test]
    fn only_what_was_checked_and_cannot_be_mended_is_made_anew() {
        use std::os::unix::process::ExitStatusExt;
        let ended = |status: std::process::ExitStatus, has_magic| {
            let (program, output) = (FSCK.to_owned(), String::new());
            is_beyond_repair(&ProcessError::Failed { program, status, output }, has_magic)
        };
        let exit = |code: i32| std::process::ExitStatus::from_raw(code << 8);
        assert!(ended(exit(4), true) && ended(exit(12), true));
        assert!(ended(exit(8), false), "nothing of it is left");
        assert!(!ended(exit(8), true), "the card did not answer, or memory ran out");
        assert!(!ended(std::process::ExitStatus::from_raw(9), false), "killed");
        let (program, why) = (FSCK.to_owned(), io::ErrorKind::NotFound.into());
        assert!(!is_beyond_repair(&ProcessError::Spawn { program, why }, false));
    }

    #[test]
    fn what_is_forgotten_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        let file = folder.path().join("a/key");
        std::fs::write(&file, "secret").unwrap();
        overwrite_files(folder.path());
        assert_eq!(std::fs::read(&file).unwrap(), [0; 6]);
    }
}
