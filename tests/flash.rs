//! `scripts/flash`, which writes the image onto a card. A file stands in for the card.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs it to its end, with nobody there to answer.
fn flash(arguments: &[&Path]) -> Output {
    let mut command = Command::new("scripts/flash");
    command.args(arguments).stdin(Stdio::null()).output().expect("scripts/flash runs")
}

fn said(output: &Output) -> String {
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// Something that no two places of are alike.
fn image() -> Vec<u8> {
    (0..5_000_003_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).and_then(|()| gzip.finish()).expect("packed")
}

#[test]
fn an_image_is_written_as_it_is_or_unpacked_and_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (plain, packed) = (folder.path().join("a.img"), folder.path().join("a.img.gz"));
    std::fs::write(&plain, image()).expect("written");
    std::fs::write(&packed, gzip(&image())).expect("written");

    for source in [plain, packed] {
        let card = folder.path().join("card");
        // Larger than the image, and with something on it.
        std::fs::write(&card, vec![0x5a; 6_000_000]).expect("written");
        let output = flash(&[Path::new("--file"), &source, &card]);
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        for step in ["writing: 100 %, 5 of 5 MB", "checking: 100 %, 5 of 5 MB", "done"] {
            assert!(said.contains(step), "{step}: {said}");
        }
        let card = std::fs::read(&card).expect("read");
        assert!(card[..5_000_003] == image() && card[5_000_003..].iter().all(|b| *b == 0x5a));
    }
}

#[test]
fn what_cannot_be_written_is_told_and_nothing_is_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("empty.img"), "").expect("written");
    std::fs::write(path("broken.img.gz"), "no gzip").expect("written");
    std::fs::write(path("cut.img.gz"), &gzip(&image())[..10_000]).expect("written");
    std::fs::write(path("card"), "as it was").expect("written");
    for (image, why) in [
        ("nowhere.img", "cannot be read"),
        ("empty.img", "is empty"),
        ("broken.img.gz", "not in gzip format"),
        ("cut.img.gz", "unexpected end of file"),
    ] {
        let output = flash(&[Path::new("--file"), &path(image), &path("card")]);
        assert!(!output.status.success(), "{image}");
        assert!(said(&output).contains(why), "{image}: {}", said(&output));
        assert_eq!(std::fs::read(path("card")).expect("read"), b"as it was", "{image}");
    }
}

#[test]
fn only_cards_are_written_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("a.img");
    std::fs::write(&image, "an image").expect("written");
    // Without one, those there are are listed.
    let output = flash(&[&image]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("name the card"), "{}", said(&output));
    // Only root comes as far as looking at disks.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let output = flash(&[Path::new("--yes"), &image, Path::new("/dev/null")]);
    assert!(said(&output).contains("/dev/null is not a disk"), "{}", said(&output));
    // A loop device is a disk that cannot be taken out.
    let Some(disk) = ["/dev/loop0", "/dev/loop1"].iter().map(Path::new).find(|p| p.exists()) else {
        return;
    };
    let output = flash(&[Path::new("--yes"), &image, disk]);
    assert!(!output.status.success());
    assert!(said(&output).contains("is built in"), "{}", said(&output));
}
