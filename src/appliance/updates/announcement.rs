//! What a server says about the newest version, read with suspicion.

use semver::Version;
use serde::Deserialize;
use ureq::http::Uri;

use super::UpdateError;
use crate::appliance::Installer;
use crate::web::Privacy;

/// The newest version, and where to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    pub(super) version: Version,
    pub(super) url: String,
    pub(super) size: u64,
    pub(super) privacy: Privacy,
}

/// An announcement as it is written. What else may stand there is for others.
#[derive(Deserialize)]
struct Wire {
    version: String,
    url: String,
    size: u64,
}

/// Longest version that is shown.
const LONGEST_VERSION: usize = 64;

impl Announcement {
    /// Reads one that came from an address of this `privacy`.
    pub(super) fn read(bytes: &[u8], privacy: Privacy) -> Result<Self, UpdateError> {
        let wire: Wire = serde_json::from_slice(bytes)
            .map_err(|e| UpdateError::Announcement(format!("it is no announcement: {e}")))?;
        let wrong = |why: &str| UpdateError::Announcement(why.to_owned());
        let version = Some(&wire.version).filter(|text| text.len() <= LONGEST_VERSION);
        let version = version
            .and_then(|text| Version::parse(text).ok())
            .ok_or_else(|| wrong("its version is none, such as 1.2.3"))?;
        if Installer::check_length(wire.size).is_err() {
            return Err(wrong("the size of its bundle cannot be"));
        }
        // What was announced under encryption does not come in the clear.
        match (privacy_of(&wire.url), privacy) {
            (Some(Privacy::Encrypted), _) | (Some(_), Privacy::AsAddressed) => {}
            _ => return Err(wrong("its bundle is at no usable https:// address")),
        }
        Ok(Self { version, url: wire.url, size: wire.size, privacy })
    }

    /// Whether it is newer than what runs. Where that cannot be told, it is not.
    pub(super) fn is_newer_than(&self, running: &str) -> bool {
        Version::parse(running).is_ok_and(|running| self.version.cmp_precedence(&running).is_gt())
    }
}

/// How an address wants to be asked; `None` if it is none of the web's.
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

    fn read(json: &str) -> Result<Announcement, UpdateError> {
        Announcement::read(json.as_bytes(), Privacy::Encrypted)
    }

    fn with(version: &str, url: &str, size: &str) -> String {
        format!(r#"{{"version": "{version}", "url": "{url}", "size": {size}, "notes": []}}"#)
    }

    #[test]
    fn an_announcement_names_version_place_and_size() {
        let read = read(&with("0.3.0", "https://updates.example/a.raucb", "1000")).unwrap();
        assert_eq!((read.version.to_string().as_str(), read.size), ("0.3.0", 1000));
        for (running, newer) in [
            ("0.2.9", true),
            ("0.3.0-rc.1", true),
            ("0.3.0", false),
            ("0.3.0+local", false),
            ("0.10.0", false),
            ("unknown", false),
        ] {
            assert_eq!(read.is_newer_than(running), newer, "{running}");
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
            assert!(matches!(read(&json), Err(UpdateError::Announcement(_))), "{json}");
        }
    }

    #[test]
    fn who_asks_in_the_clear_is_content_with_that() {
        let json = with("1.0.0", "http://192.0.2.1/a.raucb", "1000");
        assert!(Announcement::read(json.as_bytes(), Privacy::AsAddressed).is_ok());
    }
}
