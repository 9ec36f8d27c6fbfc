//! RAUC, which checks update bundles and writes them: its configuration, and its output
//! (<https://rauc.readthedocs.io/en/latest/reference.html>).

use std::fmt::Write;
use std::path::Path;

use semver::Version;
use serde_json::Value;

use crate::appliance::BootSlot;
use crate::steward::sd_card::{self, SdCard};

/// What a bundle's manifest says; its signature has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BundleInfo {
    /// The board it is for.
    pub(super) compatible: String,
    pub(super) version: String,
    /// Bytes that will be written.
    pub(super) size: u64,
    /// The slot classes it has images for.
    pub(super) classes: Vec<String>,
}

/// RAUC's configuration for this card.
pub(super) fn system_conf(card: &SdCard, board: &str, data_dir: &Path) -> Option<String> {
    let mut conf = format!(
        "[system]\ncompatible={board}\nbootloader=custom\nbundle-formats=verity\n\
         mountprefix=/run/rauc\ndata-directory={}\n\n\
         [handlers]\nbootloader-custom-backend=/usr/lib/rauc/boot-backend\n\n\
         [keyring]\npath=/etc/rauc/keyring.pem\nuse-bundle-signing-time=true\n",
        data_dir.display()
    );
    for (number, slot) in [BootSlot::A, BootSlot::B].into_iter().enumerate() {
        let (root, boot) = (
            card.partition(sd_card::root_partition(slot))?,
            card.partition(sd_card::kernel_partition(slot))?,
        );
        let _ = write!(
            conf,
            "\n[slot.rootfs.{number}]\ndevice={}\ntype=raw\nbootname={slot}\n\n\
             [slot.boot.{number}]\ndevice={}\ntype=raw\nparent=rootfs.{number}\n",
            root.display(),
            boot.display()
        );
    }
    Some(conf)
}

/// Parses the output of `rauc info --output-format=json`.
pub(super) fn parse_info(json: &str) -> Option<BundleInfo> {
    let info: Value = serde_json::from_str(json).ok()?;
    // Newer ones put it below a key.
    let manifest = info.get("update").unwrap_or(&info);
    let text = |key: &str| Some(manifest.get(key)?.as_str()?.to_owned());
    let images = info.get("images")?.as_array()?;
    let mut bundle = BundleInfo {
        compatible: text("compatible")?,
        version: text("version")?,
        size: 0,
        classes: Vec::new(),
    };
    for image in images.iter().filter_map(Value::as_object) {
        // An image is an object of its own, or one named by its class.
        match image.get("slot-class").and_then(Value::as_str) {
            Some(class) => {
                bundle.classes.push(class.to_owned());
                bundle.size += image.get("size").and_then(Value::as_u64).unwrap_or(0);
            }
            None => {
                for (class, image) in image {
                    bundle.classes.push(class.clone());
                    bundle.size += image.get("size").and_then(Value::as_u64).unwrap_or(0);
                }
            }
        }
    }
    Some(bundle)
}

/// Whether `new` is an older version than `old`: 0.9.1 is older than 0.10.0, and what follows a
/// hyphen comes before the version without (Semantic Versioning §11). What is not a version is
/// older than any.
pub(super) fn is_older(new: &str, old: &str) -> bool {
    let read = |version| Version::parse(version).ok();
    match (read(new), read(old)) {
        (Some(new), Some(old)) => new.cmp_precedence(&old).is_lt(),
        (new, old) => new.is_none() && old.is_some(),
    }
}

/// What went wrong, for the owner. RAUC's own messages are for those who know it; they are in the
/// log.
pub(super) fn failure_reason(output: &str) -> &'static str {
    const KNOWN: [(&[&str], &str); 5] = [
        (&["no space left"], "the card has no room for it"),
        (
            &["signature", "certificate", "verify", "self-signed", "cms"],
            "it is not signed with the key that this camera knows",
        ),
        (&["compatible"], "it is for another board"),
        (&["input/output error", "read-only"], "the card cannot be written; it may be worn out"),
        (
            &["magic", "bundle", "squashfs", "verity", "truncated", "size"],
            "the file is damaged, or not an update",
        ),
    ];
    let output = output.to_lowercase();
    let wrong =
        |line: &&str| ["failed", "error", "mismatch", "no space"].iter().any(|w| line.contains(w));
    let lines: Vec<&str> = output.lines().filter(wrong).collect();
    KNOWN
        .into_iter()
        .find(|(words, _)| words.iter().any(|word| lines.iter().any(|line| line.contains(word))))
        .map_or("the installer's messages are in the log", |(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_describing_a_bundle_are_read() {
        let old = r#"{"compatible":"picket-qemu","version":"0.2.0","images":[
            {"rootfs":{"filename":"rootfs.squashfs","size":100}},{"boot":{"size":20}}]}"#;
        let new = r#"{"update":{"compatible":"picket-qemu","version":"0.2.0"},"images":[
            {"slot-class":"rootfs","size":100},{"slot-class":"boot","size":20}]}"#;
        for json in [old, new] {
            let bundle = parse_info(json).unwrap();
            assert_eq!((bundle.compatible.as_str(), bundle.size), ("picket-qemu", 120));
            assert_eq!(bundle.classes, ["rootfs", "boot"]);
        }
        for nonsense in ["", "{}", "[]", r#"{"compatible":1,"version":"1","images":[]}"#] {
            assert_eq!(parse_info(nonsense), None);
        }
    }

    #[test]
    fn versions_are_compared_as_people_do() {
        let numbers = [("0.9.1", "0.10.0"), ("0.1", "0.1.1"), ("1.0.0-rc.1", "1.0.0")];
        let words = [("1.0.0-rc.2", "1.0.0-rc.10"), ("new", "0.1.0")];
        for (new, old) in numbers.into_iter().chain(words) {
            assert!(is_older(new, old), "{new} {old}");
            assert!(!is_older(old, new), "{old} {new}");
        }
        assert!(!is_older("0.1.0", "0.1.0"));
        assert!(!is_older("0.1.0+dirty", "0.1.0"));
    }

    #[test]
    fn the_owner_is_told_a_reason_and_none_of_the_installer_s_words() {
        for (said, told) in [
            (
                "(rauc:1): rauc-WARNING\nFailed to check signature: self-signed certificate\n",
                "signed",
            ),
            (
                "rauc-Message: 10:12:01.5: Failed to install: Compatible mismatch: expected x",
                "board",
            ),
            ("LastError: failed to write: No space left on device", "no room"),
            ("Failed to check bundle identifier: Invalid identifier.", "damaged"),
            ("Segmentation fault", "log"),
            ("", "log"),
        ] {
            let reason = failure_reason(said);
            assert!(reason.contains(told), "{said}: {reason}");
            assert!(!reason.contains("rauc") && !reason.contains("Message"), "{reason}");
        }
    }
}
