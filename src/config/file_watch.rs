//! Whether the file has changed, found out by looking at it now and then.
//!
//! Polling is enough: a person edits the file, and neither a card nor a network share notifies anybody
//! of a change. [`FileWatch`] only decides; the caller looks at the file, about once a second.

use std::path::Path;
use std::time::SystemTime;

/// What a look at the file saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// When it was last written.
    pub modified: SystemTime,
    /// Its length in bytes.
    pub len: u64,
}

impl FileStamp {
    /// Looks at a file; `None` if there is none.
    #[must_use]
    pub fn of(file: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(file).ok()?;
        Some(Self { modified: metadata.modified().ok()?, len: metadata.len() })
    }
}

/// What to do after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// Nothing: it is the file that was read last, or there is no file at the moment.
    None,
    /// Nothing yet: it differs, but may still be being written.
    Settling,
    /// Read it: it differs, and has not changed since the last look.
    Changed,
}

/// Decides what to do after each look.
#[derive(Clone, Debug, Default)]
pub struct FileWatch {
    read: Option<FileStamp>,
    settling: Option<FileStamp>,
}

impl FileWatch {
    /// Starts with the file as it was read; `None` if there was none.
    #[must_use]
    pub fn new(read: Option<FileStamp>) -> Self {
        Self { read, settling: None }
    }

    /// Takes note of a look at the file. `None` is a file that is not there: while an editor replaces
    /// it, or because the card's owner removed it; what was read stays in force.
    pub fn look(&mut self, seen: Option<FileStamp>) -> FileChange {
        let Some(seen) = seen else {
            self.settling = None;
            return FileChange::None;
        };
        if self.read == Some(seen) {
            self.settling = None;
            FileChange::None
        } else if self.settling.replace(seen) == Some(seen) {
            *self = Self::new(Some(seen));
            FileChange::Changed
        } else {
            FileChange::Settling
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn stamp(second: u64, len: u64) -> Option<FileStamp> {
        Some(FileStamp { modified: SystemTime::UNIX_EPOCH + Duration::from_secs(second), len })
    }

    #[test]
    fn a_file_is_read_when_it_has_come_to_rest() {
        let mut watch = FileWatch::new(stamp(1, 10));
        assert_eq!(watch.look(stamp(1, 10)), FileChange::None);
        assert_eq!(watch.look(stamp(2, 0)), FileChange::Settling);
        assert_eq!(watch.look(stamp(2, 12)), FileChange::Settling);
        assert_eq!(watch.look(stamp(2, 12)), FileChange::Changed);
        assert_eq!(watch.look(stamp(2, 12)), FileChange::None);
    }

    #[test]
    fn a_file_put_back_as_it_was_is_no_change() {
        let mut watch = FileWatch::new(stamp(1, 10));
        assert_eq!(watch.look(stamp(2, 0)), FileChange::Settling);
        assert_eq!(watch.look(stamp(1, 10)), FileChange::None);
        assert_eq!(watch.look(stamp(2, 0)), FileChange::Settling);
    }

    #[test]
    fn a_file_that_is_gone_changes_nothing_until_it_is_back() {
        let mut watch = FileWatch::new(stamp(1, 10));
        assert_eq!(watch.look(None), FileChange::None);
        assert_eq!(watch.look(None), FileChange::None);
        assert_eq!(watch.look(stamp(3, 11)), FileChange::Settling);
        assert_eq!(watch.look(stamp(3, 11)), FileChange::Changed);
    }

    #[test]
    fn a_first_file_is_a_change() {
        let mut watch = FileWatch::default();
        assert_eq!(watch.look(stamp(1, 1)), FileChange::Settling);
        assert_eq!(watch.look(stamp(1, 1)), FileChange::Changed);
    }
}
