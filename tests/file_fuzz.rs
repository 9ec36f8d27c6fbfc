//! Damaged and hostile clips: whatever the bytes, reading them ends soon, in bounded memory and
//! without a panic. A process of its own, so that its memory can be measured.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use picket::testing::camera::file::fuzz;

const MUTATIONS: u64 = 2000;
/// Clips larger than this are cut, to try more of their index in less time.
const LARGEST: usize = 16 << 10;
/// Far beyond what any takes (milliseconds), far below what a runaway count would (minutes).
const PATIENCE: Duration = Duration::from_secs(20);

/// Every clip in `tests/media`. Those that are cut have their index in front.
fn clips() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/media");
    let mut clips: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let ending = path.extension().and_then(|e| e.to_str());
            matches!(ending, Some("mp4" | "mov" | "m4a" | "h264"))
        })
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect();
    clips.sort();
    assert!(clips.len() > 20);
    clips
}

/// xorshift64*: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// The bytes with one to four changes, most of them in the index.
fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let index = bytes.windows(4).position(|w| w == b"moov").unwrap_or(0);
    for _ in 0..=random.below(4) {
        if bytes.len() < 8 {
            break;
        }
        let at = match random.below(3) {
            0 => random.below(bytes.len() - 4),
            _ => (index + random.below(2048)).min(bytes.len() - 4),
        };
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes[at..at + 4].fill(0xff),
            3 => bytes[at..at + 4].fill(0),
            4 => bytes[at..at + 4].copy_from_slice(&(random.next() as u32 >> 8).to_be_bytes()),
            5 => bytes.truncate(at),
            _ => {
                let from = random.below(bytes.len() - 4);
                let len = random.below(64).min(bytes.len() - from.max(at));
                bytes.copy_within(from..from + len, at);
            }
        }
    }
    bytes
}

/// The most memory this process ever had, where the system tells.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn no_change_to_a_clip_makes_reading_it_panic_stall_or_take_all_memory() {
    let before = peak_kib();
    let mut read = 0;
    for (path, clip) in clips() {
        let clip = &clip[..clip.len().min(LARGEST)];
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for round in 0..MUTATIONS {
            let bytes = mutated(clip, &mut random);
            let start = Instant::now();
            read += usize::from(fuzz::read_clip(&bytes).is_ok());
            let took = start.elapsed();
            assert!(took < PATIENCE, "change {round} of {} took {took:?}", path.display());
        }
    }
    // The changes must leave something to read, or nothing behind the door was tried.
    assert!(read > 1000, "{read}");
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        // An index is at most 24 MiB, grows by doubling, and is sorted for even timing.
        assert!(after - before < 96 << 10, "{} KiB more", after - before);
    }
}

#[test]
fn no_change_to_a_clip_makes_decoding_it_panic_or_stall() {
    for (path, clip) in clips().iter().filter(|(_, clip)| clip.len() <= LARGEST) {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        for round in 0..MUTATIONS / 20 {
            let bytes = mutated(clip, &mut random);
            let start = Instant::now();
            let _ = fuzz::decode_clip(&bytes);
            let took = start.elapsed();
            assert!(took < PATIENCE, "change {round} of {} took {took:?}", path.display());
        }
    }
}
