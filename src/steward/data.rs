//! The device's own partition: what it has to remember from one start to the next.
//!
//! The card's image holds an empty one of a few megabytes. At the first start it is grown over the
//! rest of the card and given a file system. Later it is checked before it is used, which takes a
//! moment after a power cut; only where checking cannot save it is it made anew.

use std::io;
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
    /// Some or all of it was lost, for the reason given.
    Lost(String),
}

/// What keeps the device from remembering anything.
#[derive(Debug, thiserror::Error)]
pub(super) enum DataError {
    #[error("the card has no partition for it: write the image to the card again")]
    NoPartition,
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Makes the data available at `place`.
///
/// # Errors
/// When it can be neither read nor made anew: the card is broken or write-protected.
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
    let damage = match check(&partition).await {
        Ok(check) => match mount(&partition, place, "ext4", FLAGS, OPTIONS) {
            Ok(()) if check == Check::Clean => return Ok(Data::Kept),
            Ok(()) => return Ok(Data::Lost("it was damaged and has been repaired".into())),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    log::error!("the data partition is beyond repair ({damage}); making it anew");
    make(&partition, place).await?;
    Ok(Data::Lost("it was damaged beyond repair".into()))
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
    let file = std::fs::File::options().write(true).open(&partition)?;
    let zeros = vec![0; 1 << 20];
    std::os::unix::fs::FileExt::write_all_at(&file, &zeros, 0)?;
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
                if let Err(error) = blank(&entry.path()) {
                    log::warn!("{} is not overwritten: {error}", entry.path().display());
                }
            }
            _ => {}
        }
    }
}

fn blank(path: &Path) -> io::Result<()> {
    let mut file = std::fs::File::options().write(true).open(path)?;
    let length = file.metadata()?.len();
    io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
    file.sync_all()
}

/// Whether there is an ext4 file system, sound or not.
fn is_made(partition: &Path) -> io::Result<bool> {
    let file = std::fs::File::open(partition)?;
    let mut magic = [0; 2];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut magic, MAGIC.0)?;
    if magic == MAGIC.1 {
        return Ok(true);
    }
    // A file system whose first block was overwritten has copies of it further on; what was never
    // used is empty there, too.
    let mut start = vec![0; 64 * 1024];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut start, 0)?;
    Ok(start.iter().any(|byte| *byte != 0))
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
    mount(partition, place, "ext4", FLAGS, OPTIONS).map_err(io::Error::from)?;
    Ok(())
}

#[derive(PartialEq)]
enum Check {
    Clean,
    Mended,
}

/// Checks the file system, and repairs what can be repaired.
async fn check(partition: &Path) -> Result<Check, ProgramError> {
    let partition = partition.as_os_str();
    // Replays the journal after a power cut, and is done at once where nothing is wrong.
    match run(FSCK, ["-p".as_ref(), partition], "").await {
        Ok(_) => return Ok(Check::Clean),
        // 1: errors were corrected, none of which it has doubts about.
        Err(ProgramError::Failed { status, .. }) if status.code() == Some(1) => {
            return Ok(Check::Clean);
        }
        Err(error) => log::warn!("the data partition needs repair: {error}"),
    }
    match run(FSCK, ["-f".as_ref(), "-y".as_ref(), partition], "").await {
        Ok(_) => Ok(Check::Mended),
        Err(ProgramError::Failed { status, .. }) if status.code() == Some(1) => Ok(Check::Mended),
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
    fn what_is_forgotten_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        let file = folder.path().join("a/key");
        std::fs::write(&file, "secret").unwrap();
        overwrite(folder.path());
        assert_eq!(std::fs::read(&file).unwrap(), [0; 6]);
    }
}
