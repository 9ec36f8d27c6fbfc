//! A system to update to: what is on the card, changed where a test wants it, and a bundle of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Card, tool};

/// The boot partition's files and the root of a system.
pub struct System {
    folder: TempDir,
}

impl System {
    /// The one that a card comes with.
    pub fn of(card: &Card) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let boot = folder.path().join("boot");
        std::fs::create_dir(&boot).expect("a folder");
        let copied = Command::new("mcopy")
            .env("MTOOLS_SKIP_CHECK", "1")
            .args(["-s", "-n", "-i"])
            .arg(card.drive(2))
            .arg("::*")
            .arg(&boot)
            .status();
        assert!(copied.is_ok_and(|status| status.success()), "the boot partition is read");
        // The superblock says how long it is (Documentation/filesystems/squashfs.rst).
        let used: [u8; 8] = card.bytes(5, 40, 8).try_into().expect("eight");
        let used = usize::try_from(u64::from_le_bytes(used).next_multiple_of(4096)).expect("small");
        std::fs::write(folder.path().join("rootfs.squashfs"), card.bytes(5, 0, used))
            .expect("room");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the image says of itself: a line of `NAME=value` in its root.
    pub fn release(&self, name: &str) -> String {
        let text = tool(
            "unsquashfs",
            &[
                Path::new("-cat"),
                &self.path("rootfs.squashfs"),
                Path::new("usr/lib/picket/release"),
            ],
        );
        let text = String::from_utf8(text).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.expect("the image says so").to_owned()
    }

    /// Makes a card image of it, and returns its bytes.
    pub fn card(&self, board: &str) -> Vec<u8> {
        let (version, out) = (self.release("VERSION"), self.path("card"));
        let made = Command::new("buildroot/board/make-card")
            .env("SOURCE_DATE_EPOCH", self.release("BUILD_EPOCH"))
            .args(["--board", board, "--version", &version])
            .args([self.folder.path(), &out])
            .output()
            .expect("make-card runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::read(out.join(format!("picket-{board}-{version}.img"))).expect("made")
    }

    /// Changes a file of the boot partition.
    pub fn change_boot(self, name: &str, change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) -> Self {
        let file = self.path("boot").join(name);
        match change(std::fs::read(&file).expect("a file")) {
            Some(contents) => std::fs::write(file, contents).expect("written"),
            None => std::fs::remove_file(file).expect("removed"),
        }
        self
    }

    /// Appends to a text file of the root.
    pub fn append_to_root(self, name: &str, text: &str) -> Self {
        let (packed, root) = (self.path("rootfs.squashfs"), self.path("root"));
        tool(
            "unsquashfs",
            &["-q", "-n", "-d"]
                .map(Path::new)
                .into_iter()
                .chain([root.as_path(), &packed])
                .collect::<Vec<_>>(),
        );
        let file = root.join(name);
        let mut contents = std::fs::read(&file).expect("a file");
        contents.extend_from_slice(text.as_bytes());
        std::fs::write(&file, contents).expect("written");
        let options = [
            "-noappend",
            "-quiet",
            "-no-progress",
            "-all-root",
            "-comp",
            "zstd",
            "-Xcompression-level",
            "1",
        ];
        let options = options.map(Path::new);
        tool(
            "mksquashfs",
            &[root.as_path(), &packed].into_iter().chain(options).collect::<Vec<_>>(),
        );
        std::fs::remove_dir_all(root).expect("removed");
        self
    }

    /// The bytes of the root.
    pub fn root(&self) -> Vec<u8> {
        std::fs::read(self.path("rootfs.squashfs")).expect("there")
    }

    /// Packs and signs it with the keys in `keys`.
    pub fn bundle(&self, board: &str, version: &str, keys: &Path) -> Vec<u8> {
        let out = self.path("out");
        let made = Command::new("buildroot/board/make-bundle")
            .args(["--board", board, "--version", version, "--keys"])
            .arg(keys)
            .args([self.folder.path(), &out])
            .output()
            .expect("make-bundle runs");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        std::fs::read(out.join(format!("picket-{board}-{version}.raucb"))).expect("made")
    }

    /// Puts it on a card as the other system, as an update does.
    pub fn put_on(&self, card: &Card) {
        card.damage(6, 0, &self.root());
        for entry in std::fs::read_dir(self.path("boot")).expect("a folder") {
            let path = entry.expect("readable").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            let mut contents = std::fs::read(&path).expect("a file");
            if name == "cmdline.txt" {
                let line = String::from_utf8(contents).expect("text");
                contents = line.replace("7069636b-05", "7069636b-06").into_bytes();
            }
            card.write_to(3, &name, &contents);
        }
    }
}

/// The keys that the image knows.
pub fn keys() -> PathBuf {
    std::env::var_os("PICKET_IMAGE_KEYS").expect("set by scripts/test-image").into()
}

/// Keys that it does not know.
pub fn foreign_keys() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut make = Command::new("buildroot/board/make-signing-keys");
    make.arg(folder.path());
    make.env_remove("PICKET_SIGNING_CERT")
        .env_remove("PICKET_SIGNING_KEY")
        .env_remove("PICKET_KEYRING");
    assert!(make.status().is_ok_and(|status| status.success()), "make-signing-keys makes keys");
    folder
}
