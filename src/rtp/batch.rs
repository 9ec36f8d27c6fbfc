//! Datagrams for one receiver, gathered so that few system calls send many.

use std::ops::Range;

/// Datagrams one after another in one buffer, in runs that segmentation offload can send in one
/// call: all of a run have the same size, except that the last may be shorter.
#[derive(Default)]
pub struct DatagramBatch {
    buffer: Vec<u8>,
    runs: Vec<Run>,
}

/// A run of datagrams.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    range: Range<usize>,
    segment: usize,
    open: bool,
}

/// Linux sends at most 64 segments, and 64 KiB less headers, in one call (`UDP_MAX_SEGMENTS`).
const MAX_SEGMENTS: usize = 64;
const MAX_BYTES: usize = 65_000;

impl DatagramBatch {
    /// Adds a datagram: `write` appends it to the buffer it is given.
    ///
    /// # Errors
    /// When `write` fails; nothing is added then.
    pub fn datagram<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.buffer.len();
        if let Err(error) = write(&mut self.buffer) {
            self.buffer.truncate(start);
            return Err(error);
        }
        let (end, len) = (self.buffer.len(), self.buffer.len() - start);
        match self.runs.last_mut() {
            Some(run)
                if run.open
                    && len <= run.segment
                    && run.range.len() + len <= MAX_BYTES
                    && run.range.len() < run.segment * MAX_SEGMENTS =>
            {
                run.range.end = end;
                run.open = len == run.segment;
            }
            _ => self.runs.push(Run { range: start..end, segment: len, open: true }),
        }
        Ok(())
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The runs as bytes and size of a segment. A segment as long as the bytes is one datagram.
    pub fn runs(&self) -> impl Iterator<Item = (&[u8], usize)> {
        self.runs.iter().map(|r| (&self.buffer[r.range.clone()], r.segment))
    }

    /// Forgets the datagrams and keeps the memory, up to a limit: a burst must not be paid for
    /// from then on.
    pub fn clear(&mut self) {
        const KEEP: usize = 256 << 10;
        self.buffer.clear();
        self.buffer.shrink_to(KEEP);
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(sizes: &[usize]) -> Vec<(usize, usize)> {
        let mut batch = DatagramBatch::default();
        for &size in sizes {
            let written = batch.datagram(|b| {
                b.resize(b.len() + size, 7);
                Ok::<(), ()>(())
            });
            assert!(written.is_ok());
        }
        batch.runs().map(|(bytes, segment)| (bytes.len(), segment)).collect()
    }

    #[test]
    fn equal_datagrams_and_one_shorter_leave_together() {
        assert_eq!(runs(&[1000, 1000, 990]), [(2990, 1000)]);
        assert_eq!(runs(&[40, 30, 1000, 1000, 1000]), [(70, 40), (3000, 1000)]);
    }

    #[test]
    fn after_a_shorter_one_a_new_run_begins() {
        assert_eq!(runs(&[1000, 990, 990]), [(1990, 1000), (990, 990)]);
        assert_eq!(runs(&[10, 20]), [(10, 10), (20, 20)]);
    }

    #[test]
    fn the_kernel_s_limits_are_kept() {
        assert_eq!(runs(&[100; 65]), [(6400, 100), (100, 100)]);
        let big = runs(&[1200; 60]);
        assert!(big.iter().all(|(len, _)| *len <= MAX_BYTES), "{big:?}");
        assert_eq!(big.iter().map(|r| r.0).sum::<usize>(), 72_000);
    }

    #[test]
    fn a_datagram_that_failed_leaves_no_trace() {
        let mut batch = DatagramBatch::default();
        let failed = batch.datagram(|b| {
            b.push(1);
            Err(())
        });
        assert!(failed.is_err() && batch.runs().next().is_none());
    }
}
