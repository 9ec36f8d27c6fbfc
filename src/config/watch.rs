//! Whether the file changed, seen by looking now and then.
//!
//! Looking is enough: a person edits the file, and a card or a network share tells nobody when it
//! is written. This only decides; whoever owns it looks at the file, about once a second.

use std::time::SystemTime;

/// What a look at the file saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When it was last written.
    pub modified: SystemTime,
    /// Its length in bytes.
    pub len: u64,
}

/// What to do after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nothing: it is the file that was read last, or it is not there just now.
    Same,
    /// Nothing yet: it differs, but may still be being written.
    Settling,
    /// Read it: it differs, and has not changed since the last look.
    Changed,
}

/// Decides from one look to the next.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    read: Option<Stamp>,
    settling: Option<Stamp>,
}

impl Watch {
    /// Begins with the file as it was read; `None` if there was none.
    #[must_use]
    pub fn new(read: Option<Stamp>) -> Self {
        Self { read, settling: None }
    }

    /// Takes in a look at the file. `None` is a file that is not there: while an editor replaces
    /// it, or because the card's owner removed it; what was read stays in force.
    pub fn look(&mut self, seen: Option<Stamp>) -> Sight {
        let Some(seen) = seen else {
            self.settling = None;
            return Sight::Same;
        };
        if self.read == Some(seen) {
            self.settling = None;
            Sight::Same
        } else if self.settling.replace(seen) == Some(seen) {
            *self = Self::new(Some(seen));
            Sight::Changed
        } else {
            Sight::Settling
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn stamp(second: u64, len: u64) -> Option<Stamp> {
        Some(Stamp { modified: SystemTime::UNIX_EPOCH + Duration::from_secs(second), len })
    }

    #[test]
    fn a_file_is_read_when_it_has_come_to_rest() {
        let mut watch = Watch::new(stamp(1, 10));
        assert_eq!(watch.look(stamp(1, 10)), Sight::Same);
        assert_eq!(watch.look(stamp(2, 0)), Sight::Settling);
        assert_eq!(watch.look(stamp(2, 12)), Sight::Settling);
        assert_eq!(watch.look(stamp(2, 12)), Sight::Changed);
        assert_eq!(watch.look(stamp(2, 12)), Sight::Same);
    }

    #[test]
    fn a_file_put_back_as_it_was_is_no_change() {
        let mut watch = Watch::new(stamp(1, 10));
        assert_eq!(watch.look(stamp(2, 0)), Sight::Settling);
        assert_eq!(watch.look(stamp(1, 10)), Sight::Same);
        assert_eq!(watch.look(stamp(2, 0)), Sight::Settling);
    }

    #[test]
    fn a_file_that_is_gone_changes_nothing_until_it_is_back() {
        let mut watch = Watch::new(stamp(1, 10));
        assert_eq!(watch.look(None), Sight::Same);
        assert_eq!(watch.look(None), Sight::Same);
        assert_eq!(watch.look(stamp(3, 11)), Sight::Settling);
        assert_eq!(watch.look(stamp(3, 11)), Sight::Changed);
    }

    #[test]
    fn a_first_file_is_a_change() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(stamp(1, 1)), Sight::Settling);
        assert_eq!(watch.look(stamp(1, 1)), Sight::Changed);
    }
}
