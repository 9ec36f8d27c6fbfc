//! The manifest of the newest version. It comes from a server, so everything in it is checked.

use semver::Version;
use serde::Deserialize;
use ureq::http::Uri;

use super::error::UpdateError;
use crate::appliance::Installer;
use crate::web::Privacy;

/// The newest version, and where its bundle is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UpdateManifest {
    pub(super) version: Version,
    pub(super) url: String,
    pub(super) size: u64,
    pub(super) privacy: Privacy,
}

/// The manifest in JSON. Other keys are ignored.
#[derive(Deserialize)]
struct ManifestJson {
    version: String,
    url: String,
    size: u64,
}

/// Most bytes of a version.
const MAX_VERSION: usize = 64;

impl UpdateManifest {
    /// Parses a manifest that came from an address of this `privacy`.
    pub(super) fn parse(bytes: &[u8], privacy: Privacy) -> Result<Self, UpdateError> {
        let json: ManifestJson = serde_json::from_slice(bytes)
            .map_err(|e| UpdateError::Manifest(format!("it is not a manifest: {e}")))?;
        let wrong = |why: &str| UpdateError::Manifest(why.to_owned());
        let version = Some(&json.version).filter(|text| text.len() <= MAX_VERSION);
        let version = version
            .and_then(|text| Version::parse(text).ok())
            .ok_or_else(|| wrong("its version is not one such as 1.2.3"))?;
        if Installer::check_length(json.size).is_err() {
            return Err(wrong("the size of its bundle is impossible"));
        }
        // If the manifest was encrypted, the bundle has to be, too.
        match (privacy_of(&json.url), privacy) {
            (Some(Privacy::Encrypted), _) | (Some(_), Privacy::AsAddressed) => {}
            _ => return Err(wrong("its bundle is not at a usable https:// address")),
        }
        Ok(Self { version, url: json.url, size: json.size, privacy })
    }

    /// Whether it is newer than what runs; not if that is unknown.
    pub(super) fn is_newer_than(&self, running: &str) -> bool {
        Version::parse(running).is_ok_and(|running| self.version.cmp_precedence(&running).is_gt())
    }
}

/// Which privacy an address has; `None` if it is not an HTTP address.
pub(super) fn privacy_of(url: &str) -> Option<Privacy> {
    let uri: Uri = url.parse().ok()?;
    uri.host().filter(|host| !host.is_empty())?;
    match uri.scheme_str()? {
        "https" => Some(Privacy::Encrypted),
        "http" => Some(Privacy::AsAddressed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<UpdateManifest, UpdateError> {
        UpdateManifest::parse(json.as_bytes(), Privacy::Encrypted)
    }

    fn with(version: &str, url: &str, size: &str) -> String {
        format!(r#"{{"version": "{version}", "url": "{url}", "size": {size}, "notes": []}}"#)
    }

    #[test]
    fn an_announcement_names_version_place_and_size() {
        let manifest = parse(&with("0.3.0", "https://updates.example/a.raucb", "1000")).unwrap();
        assert_eq!((manifest.version.to_string().as_str(), manifest.size), ("0.3.0", 1000));
        for (running, newer) in [
            ("0.2.9", true),
            ("0.3.0-rc.1", true),
            ("0.3.0", false),
            ("0.3.0+local", false),
            ("0.10.0", false),
            ("unknown", false),
        ] {
            assert_eq!(manifest.is_newer_than(running), newer, "{running}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let url = "https://updates.example/a.raucb";
        for json in [
            String::new(),
            "[]".into(),
            "<html>".into(),
            with("newest", url, "1000"),
            with("<b>1.0.0</b>", url, "1000"),
            with(&format!("1.0.0-{}", "a".repeat(100)), url, "1000"),
            with("1.0.0", url, "0"),
            with("1.0.0", url, "-1"),
            with("1.0.0", url, "209715201"),
            with("1.0.0", url, "1e99"),
            with("1.0.0", "http://updates.example/a.raucb", "1000"),
            with("1.0.0", "file:///etc/shadow", "1000"),
            with("1.0.0", "//updates.example/a", "1000"),
            with("1.0.0", "https:///a", "1000"),
            with("1.0.0", "", "1000"),
        ] {
            assert!(matches!(parse(&json), Err(UpdateError::Manifest(_))), "{json}");
        }
    }

    #[test]
    fn who_asks_in_the_clear_is_content_with_that() {
        let json = with("1.0.0", "http://192.0.2.1/a.raucb", "1000");
        assert!(UpdateManifest::parse(json.as_bytes(), Privacy::AsAddressed).is_ok());
    }
}
