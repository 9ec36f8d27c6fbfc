//! What was written to a card, in the order in which it was: a log in the format of the kernel's
//! dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst), as QEMU keeps it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;

/// A write, a flush, or both at once.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Where it begins on the card, in bytes.
    pub start: u64,
    /// How much was written, in bytes; none for a flush alone.
    pub length: u64,
    /// Whether everything before it is safe.
    pub flush: bool,
    /// Whether it is safe itself.
    pub safe: bool,
    /// Whether it says that the place is unused, instead of what is there.
    pub discard: bool,
    /// Where in the log its data is.
    data: u64,
}

/// A log of writes.
pub struct Log {
    file: PathBuf,
    pub entries: Vec<Entry>,
}

impl Log {
    pub fn read(file: &Path) -> Self {
        let log = File::open(file).expect("a log");
        let end = log.metadata().expect("a file").len();
        let number = |at: u64| {
            let mut bytes = [0; 8];
            log.read_exact_at(&mut bytes, at).map(|()| u64::from_le_bytes(bytes)).ok()
        };
        assert_eq!(number(0), Some(MAGIC), "a log of writes");
        let sector = number(24).expect("a header") & 0xffff_ffff;
        let mut entries = Vec::new();
        let mut at = sector;
        while at + sector <= end {
            let fields: Vec<u64> = (0..3).filter_map(|n| number(at + 8 * n)).collect();
            let &[start, count, flags] = fields.as_slice() else { break };
            // The log grows as it is written: what follows its last entry is empty.
            if count == 0 && flags == 0 {
                break;
            }
            let discard = flags & DISCARD != 0;
            let entry = Entry {
                start: start * sector,
                length: count * sector,
                flush: flags & FLUSH != 0,
                safe: flags & FUA != 0,
                discard,
                data: at + sector,
            };
            at += sector + if discard { 0 } else { entry.length };
            entries.push(entry);
        }
        Self { file: file.to_owned(), entries }
    }

    /// What a write wrote.
    pub fn data(&self, entry: &Entry) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(entry.length).expect("in memory")];
        if !entry.discard {
            let log = File::open(&self.file).expect("a log");
            log.read_exact_at(&mut bytes, entry.data).expect("all of it");
        }
        bytes
    }
}
