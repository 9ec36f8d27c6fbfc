//! The device's own partition: what it has to remember from one start to the next.
//!
//! The card's image holds an empty one of a few megabytes. At the first start it is grown over the
//! rest of the card and given a file system. Later it is checked before it is used, which takes a
//! moment after a power cut; only where that was done and cannot save it is it made anew.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::card::{self, Card};
use super::programs::{ProgramError, run};

const MKFS: &str = "mkfs.ext4";
const FSCK: &str = "e2fsck";
const SFDISK: &str = "sfdisk";
const PARTX: &str = "partx";
const BLKDISCARD: &str = "blkdiscard";

const FLAGS: MountFlags = MountFlags::NODEV
    .union(MountFlags::NOEXEC)
    .union(MountFlags::NOSUID)
    .union(MountFlags::NOATIME);
/// Little is written, so it may wait: a card wears out by writing.
const OPTIONS: &std::ffi::CStr = c"commit=60,errors=remount-ro";

/// Bytes from the start of the partition to the magic number of ext4, and that number
/// (Documentation/filesystems/ext4/super.rst).
const MAGIC: (u64, [u8; 2]) = (1024 + 0x38, [0x53, 0xef]);

/// How the data came to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// As it was left.
    Kept,
    /// The device was started for the first time, or was told to forget.
    New,
    /// It was damaged and has been repaired: some of it may be missing.
    Repaired,
    /// It was damaged beyond repair, and begins anew.
    Lost,
}

/// What keeps the device from remembering anything.
#[derive(Debug, thiserror::Error)]
pub(super) enum DataError {
    #[error("the card has no partition for it: write the image to the card again")]
    NoPartition,
    #[error("{0}; if that stays so, factory_reset = true in config.toml makes it anew")]
    Unknown(String),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Makes the data available at `place`.
///
/// # Errors
/// When it can be neither read nor made anew, as the card is broken or write-protected; or when it
/// is not known to be broken and could not be read this time. What is on it is then left alone.
pub(super) async fn open(card: &Card, place: &Path) -> Result<Data, DataError> {
    let partition = card.partition(card::DATA).ok_or(DataError::NoPartition)?;
    if !card::release(place) {
        return Ok(Data::Kept);
    }
    if !is_made(&partition)? {
        log::info!("the device's first start: making room for what it keeps");
        if let Err(error) = grow(card).await {
            // As large as it came, it still serves.
            log::warn!("the data partition stays small: {error}");
        }
        return make(&partition, place).await.map(|()| Data::New);
    }
    match check(&partition).await {
        Ok(found) => {
            mount(&partition, place, "ext4", FLAGS, OPTIONS)
                .map_err(|error| DataError::Unknown(format!("it cannot be mounted ({error})")))?;
            Ok(found)
        }
        Err(error) if is_beyond_repair(&error, has_magic(&partition)?) => {
            log::error!("the data partition is beyond repair ({error}); making it anew");
            make(&partition, place).await?;
            Ok(Data::Lost)
        }
        Err(error) => Err(DataError::Unknown(format!("it cannot be checked ({error})"))),
    }
}

/// Lets go of the data, everything written.
pub(super) fn close(place: &Path) {
    rustix::fs::sync();
    if let Err(error) = unmount(place, UnmountFlags::empty()) {
        log::warn!("{} is still in use: {error}", place.display());
    }
}

/// Forgets the data: what stands in its files is overwritten, and the file system made anew at the
/// next [`open`].
///
/// # Errors
/// When the card cannot be written.
pub(super) async fn forget(card: &Card, place: &Path) -> Result<(), DataError> {
    let partition = card.partition(card::DATA).ok_or(DataError::NoPartition)?;
    overwrite(place);
    close(place);
    // Tells the card that all of it is unused, which most then answer with zeros.
    if let Err(error) = run(BLKDISCARD, [&partition], "").await {
        log::info!("the card does not discard: {error}");
    }
    let file = File::options().write(true).open(&partition)?;
    let zeros = vec![0; 1 << 20];
    file.write_all_at(&zeros, 0)?;
    file.sync_all()?;
    Ok(())
}

/// Overwrites every file below `folder`. ext4 writes in place where a file keeps its length.
fn overwrite(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => overwrite(&entry.path()),
            Ok(kind) if kind.is_file() => {
                let opened = File::options().write(true).open(entry.path());
                if let Err(error) = opened.and_then(|mut file| blank(&mut file)) {
                    log::warn!("{} is not overwritten: {error}", entry.path().display());
                }
            }
            _ => {}
        }
    }
}

/// Overwrites a file that was just opened.
pub(super) fn blank(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    io::copy(&mut io::Read::take(io::repeat(0), length), file)?;
    file.sync_all()
}

/// Whether there is an ext4 file system, sound or not.
fn is_made(partition: &Path) -> io::Result<bool> {
    // A file system whose first block was overwritten has copies of it further on; what was never
    // used is empty there, too.
    let mut start = vec![0; 64 * 1024];
    File::open(partition)?.read_exact_at(&mut start, 0)?;
    Ok(start.iter().any(|byte| *byte != 0))
}

/// Whether the file system says at its beginning that it is one.
fn has_magic(partition: &Path) -> io::Result<bool> {
    let mut magic = [0; 2];
    File::open(partition)?.read_exact_at(&mut magic, MAGIC.0)?;
    Ok(magic == MAGIC.1)
}

/// Grows the extended partition over the rest of the card, then the data partition within it.
async fn grow(card: &Card) -> Result<(), ProgramError> {
    let device = card.device();
    let device = device.to_string_lossy();
    for number in ["4", "7"] {
        let arguments = ["--force", "--no-reread", "--no-tell-kernel", "-N", number, &device];
        run(SFDISK, arguments, ",+\n").await?;
    }
    run(PARTX, ["--update", "--nr", "7", &*device], "").await?;
    Ok(())
}

async fn make(partition: &Path, place: &Path) -> Result<(), DataError> {
    let mut arguments: Vec<&std::ffi::OsStr> = Vec::new();
    // Few files, and none that the daemon could not do without: what is reserved for root on a
    // computer's disk is not needed here.
    for argument in ["-q", "-F", "-L", "picket-data", "-m", "0", "-E", "lazy_itable_init=1"] {
        arguments.push(argument.as_ref());
    }
    arguments.push(partition.as_os_str());
    run(MKFS, arguments, "").await?;
    // A plug that is pulled in the first half minute is to find it made.
    File::open(partition)?.sync_all()?;
    mount(partition, place, "ext4", FLAGS, OPTIONS).map_err(io::Error::from)?;
    Ok(())
}

/// Whether e2fsck, having run, has found what it cannot mend (e2fsck(8), EXIT CODE). It also has
/// errors of its own, 8: no memory, no answer from the card. Only where not even the file system's
/// mark is left is that taken for damage.
fn is_beyond_repair(error: &ProgramError, has_magic: bool) -> bool {
    const UNCORRECTED: i32 = 4;
    const OPERATIONAL: i32 = 8;
    let ProgramError::Failed { status, .. } = error else { return false };
    status
        .code()
        .is_some_and(|code| code & UNCORRECTED != 0 || (code & OPERATIONAL != 0 && !has_magic))
}

/// Checks the file system, and repairs what can be repaired.
async fn check(partition: &Path) -> Result<Data, ProgramError> {
    let partition = partition.as_os_str();
    // Replays the journal after a power cut, and is done at once where nothing is wrong.
    match run(FSCK, ["-p".as_ref(), partition], "").await {
        Ok(_) => return Ok(Data::Kept),
        // 1: errors were corrected, none of which it has doubts about.
        Err(ProgramError::Failed { status, .. }) if status.code() == Some(1) => {
            return Ok(Data::Kept);
        }
        Err(error) => log::warn!("the data partition needs repair: {error}"),
    }
    match run(FSCK, ["-f".as_ref(), "-y".as_ref(), partition], "").await {
        Ok(_) => Ok(Data::Repaired),
        Err(ProgramError::Failed { status, .. }) if status.code() == Some(1) => Ok(Data::Repaired),
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
            is_made(&partition).unwrap()
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
            let (program, said) = (FSCK.to_owned(), String::new());
            is_beyond_repair(&ProgramError::Failed { program, status, said }, has_magic)
        };
        let exit = |code: i32| std::process::ExitStatus::from_raw(code << 8);
        assert!(ended(exit(4), true) && ended(exit(12), true));
        assert!(ended(exit(8), false), "nothing of it is left");
        assert!(!ended(exit(8), true), "the card did not answer, or memory ran out");
        assert!(!ended(std::process::ExitStatus::from_raw(9), false), "killed");
        let (program, why) = (FSCK.to_owned(), io::ErrorKind::NotFound.into());
        assert!(!is_beyond_repair(&ProgramError::NotRun { program, why }, false));
    }

    #[test]
    fn what_is_forgotten_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        let file = folder.path().join("a/key");
        std::fs::write(&file, "secret").unwrap();
        overwrite(folder.path());
        assert_eq!(std::fs::read(&file).unwrap(), [0; 6]);
    }
}
