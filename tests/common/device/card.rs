//! The card, in its owner's hands: between two starts, in another computer.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{free_udp_port, tool};

/// Bytes of a card in these tests: larger than the image, as cards are.
const SIZE: u64 = 1 << 30;

/// A card with the image on it.
pub struct Card {
    pub file: PathBuf,
    /// The port for video, the same inside the device and outside.
    pub udp_port: u16,
    /// What signs in by SSH.
    pub key: PathBuf,
    _folder: TempDir,
}

/// A part of a card, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    pub start: u64,
    pub size: u64,
}

impl Partition {
    pub fn contains(self, byte: u64) -> bool {
        (self.start..self.start + self.size).contains(&byte)
    }
}

impl Card {
    /// A card fresh from the image; none where there is no image to test.
    pub fn new() -> Option<Self> {
        let Some(image) = std::env::var_os("PICKET_IMAGE") else {
            println!("skipped: only with the image of scripts/test-image");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("card.img");
        let copied = Command::new("cp").arg("--sparse=always").arg(image).arg(&file).status();
        assert!(copied.is_ok_and(|status| status.success()), "the image can be copied");
        let card = File::options().write(true).open(&file).expect("writable");
        card.set_len(SIZE).expect("room");
        let key = folder.path().join("key");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
        assert!(keygen.status().is_ok_and(|status| status.success()), "ssh-keygen makes a key");
        Some(Self { file, udp_port: free_udp_port(), key, _folder: folder })
    }

    /// The same with a `config.toml` that says what tests need, and then `text`. Unless that says
    /// otherwise, the watchdog is off: a busy machine may leave an emulated one alone for longer
    /// than that allows.
    pub fn with_config(text: &str) -> Option<Self> {
        let card = Self::new()?;
        let watchdog =
            if text.contains("[watchdog]") { "" } else { "[watchdog]\nenabled = false\n" };
        card.write("config.toml", format!("{}{watchdog}{text}", card.settings()).as_bytes());
        Some(card)
    }

    /// What lets tests look into a device and see its picture.
    pub fn settings(&self) -> String {
        let public = std::fs::read_to_string(self.key.with_extension("pub")).expect("made");
        format!(
            "[ssh]\nauthorized_keys = ['{}']\n[webrtc]\nannounce = ['127.0.0.1']\nudp_port = {}\n",
            public.trim(),
            self.udp_port
        )
    }

    /// Where a partition is.
    pub fn partition(&self, number: u32) -> Partition {
        let table = tool("sfdisk", &[Path::new("-d"), &self.file]);
        let table = String::from_utf8_lossy(&table).into_owned();
        let prefix = format!("{}{number} :", self.file.display());
        let line = table.lines().find(|line| line.starts_with(&prefix)).expect("a partition");
        let field = |name: &str| {
            let (_, rest) = line.split_once(name).expect("a field");
            let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit()).next();
            digits.and_then(|n| n.parse::<u64>().ok()).expect("a number") * 512
        };
        Partition { start: field("start="), size: field("size=") }
    }

    /// How mtools calls a FAT partition.
    pub(super) fn drive(&self, partition: u32) -> PathBuf {
        format!("{}@@{}", self.file.display(), self.partition(partition).start).into()
    }

    /// Writes a file on the boot partition.
    pub fn write(&self, name: &str, contents: &[u8]) {
        self.write_to(1, name, contents);
    }

    pub fn write_to(&self, partition: u32, name: &str, contents: &[u8]) {
        let mut copy = Command::new("mcopy")
            .env("MTOOLS_SKIP_CHECK", "1")
            .arg("-o")
            .arg("-i")
            .arg(self.drive(partition))
            .args(["-", &format!("::/{name}")])
            .stdin(Stdio::piped())
            .spawn()
            .expect("mcopy runs");
        copy.stdin.take().expect("piped").write_all(contents).expect("taken");
        assert!(copy.wait().expect("waitable").success(), "{name} is written");
    }

    /// Reads a file on the boot partition; none if it is not there.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.read_from(1, name)
    }

    pub fn read_from(&self, partition: u32, name: &str) -> Option<Vec<u8>> {
        let output = Command::new("mtype")
            .env("MTOOLS_SKIP_CHECK", "1")
            .arg("-i")
            .arg(self.drive(partition))
            .arg(format!("::/{name}"))
            .output()
            .expect("mtype runs");
        output.status.success().then_some(output.stdout)
    }

    /// What the device has told its owner.
    pub fn status(&self) -> String {
        let text = self.read("picket-status.txt").unwrap_or_default();
        String::from_utf8(text).expect("text").replace("\r\n", "\n")
    }

    pub fn remove(&self, name: &str) {
        let name = format!("::/{name}");
        tool("mdel", &[Path::new("-i"), &self.drive(1), Path::new(&name)]);
    }

    /// Overwrites bytes of a partition.
    pub fn damage(&self, partition: u32, at: u64, bytes: &[u8]) {
        let start = self.partition(partition).start;
        let card = File::options().write(true).open(&self.file).expect("writable");
        card.write_all_at(bytes, start + at).expect("written");
    }

    /// All of a partition.
    pub fn whole(&self, partition: u32) -> Vec<u8> {
        let length = usize::try_from(self.partition(partition).size).expect("in memory");
        self.bytes(partition, 0, length)
    }

    /// The SHA-256 of all of a partition.
    pub fn digest(&self, partition: u32) -> Vec<u8> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.whole(partition));
        digest.as_ref().to_vec()
    }

    /// Bytes of a partition.
    pub fn bytes(&self, partition: u32, at: u64, length: usize) -> Vec<u8> {
        let start = self.partition(partition).start;
        let mut bytes = vec![0; length];
        let card = File::open(&self.file).expect("readable");
        card.read_exact_at(&mut bytes, start + at).expect("as long as that");
        bytes
    }
}
