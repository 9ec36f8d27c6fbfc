//! Where pictures come from, and addresses that may hold a password.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Malformed, Secret};

/// A URL that may hold a password or a key. It prints as scheme and host only.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateUrl(Secret);

impl PrivateUrl {
    /// The whole of it, for whoever opens it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether it leads to a web server: `http` or `https`, and a host.
    pub(super) fn is_of_the_web(&self) -> bool {
        let url = self.expose();
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
        let host = authority.map(|text| text.rsplit_once('@').map_or(text, |(_, host)| host));
        host.is_some_and(is_authority)
    }
}

/// A host, and its port if there is one.
pub(super) fn is_authority(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let named = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(plain),
    };
    named && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}

impl FromStr for PrivateUrl {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (scheme, rest) = text.split_once("://").ok_or(Malformed)?;
        let sound = (1..=16).contains(&scheme.len())
            && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && !rest.is_empty()
            && text.len() <= 4096
            && text.bytes().all(|b| b.is_ascii_graphic());
        if sound { Ok(Self(Secret::new(text))) } else { Err(Malformed) }
    }
}

impl fmt::Display for PrivateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.expose().split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, below) = match authority.rsplit_once('@') {
            Some((_, host)) => (host, &rest[authority.len()..]),
            None => (authority, &rest[authority.len()..]),
        };
        // A password with a `/`, `?` or `#` in it ends what looks like the host; and one without an
        // `@` looks like a port.
        match !below.contains('@') && is_authority(host) {
            true => write!(f, "{scheme}://{host}/…"),
            false => write!(f, "{scheme}://…"),
        }
    }
}

impl fmt::Debug for PrivateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the pictures come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The first camera there is; without one, the test pattern.
    #[default]
    Auto,
    /// The built-in test pattern.
    Pattern,
    /// A camera libcamera knows, by its number; the first one without.
    Libcamera(Option<u32>),
    /// A V4L2 device, such as a USB camera: its node, or what its name contains.
    V4l2(PathBuf),
    /// A clip, played in a loop.
    File(PathBuf),
    /// A stream of another camera or server: RTSP, RTMP, HTTP or UDP.
    Url(PrivateUrl),
    /// The stream behind a web page, found by the external program `yt-dlp`.
    Page(PrivateUrl),
    /// A GStreamer pipeline. It may hold passwords, so it is kept as a secret.
    Gst(Secret),
}

impl Source {
    /// What may stand before the colon.
    pub(super) const SCHEMES: [&str; 11] = [
        "rtsp",
        "rtsps",
        "rtmp",
        "http",
        "https",
        "udp",
        "libcamera",
        "v4l2",
        "file",
        "gst",
        "page",
    ];
}

impl FromStr for Source {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const STREAMS: [&str; 6] = ["rtsp", "rtsps", "rtmp", "http", "https", "udp"];
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        match scheme {
            "auto" | "pattern" | "libcamera" if scheme == text => Ok(match text {
                "auto" => Self::Auto,
                "pattern" => Self::Pattern,
                _ => Self::Libcamera(None),
            }),
            "libcamera" => Ok(Self::Libcamera(Some(rest.parse().map_err(|_| Malformed)?))),
            // An address may hold a password; names of files are told.
            "v4l2" | "file" if rest.contains("://") => Err(Malformed),
            "v4l2" if !rest.trim().is_empty() => Ok(Self::V4l2(rest.into())),
            "file" if !rest.is_empty() => Ok(Self::File(rest.into())),
            "gst" if !rest.trim().is_empty() => Ok(Self::Gst(Secret::new(rest))),
            "page" if rest.starts_with("http://") || rest.starts_with("https://") => {
                rest.parse().map(Self::Page)
            }
            _ if STREAMS.contains(&scheme) => text.parse().map(Self::Url),
            _ => Err(Malformed),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Pattern => f.write_str("pattern"),
            Self::Libcamera(None) => f.write_str("libcamera"),
            Self::Libcamera(Some(number)) => write!(f, "libcamera:{number}"),
            Self::V4l2(path) => write!(f, "v4l2:{}", path.display()),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Url(url) => url.fmt(f),
            Self::Page(url) => write!(f, "page:{url}"),
            Self::Gst(pipeline) => write!(f, "gst:{pipeline}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::accepts;

    #[test]
    fn sources_read_back_as_they_were_written() {
        for text in [
            "auto",
            "pattern",
            "libcamera:1",
            "v4l2:/dev/video0",
            "v4l2:HD Webcam",
            "file:clip.mp4",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        accepts::<Source>(
            &["rtsp://10.0.0.9/live", "gst:videotestsrc", "page:https://tv.example/1"],
            &["", "auto:1", "camera", "libcamera:x", "v4l2: ", "file:", "gst: ", "page:x"],
        );
    }

    #[test]
    fn a_url_of_the_web_has_a_host_that_can_be_asked() {
        let of_the_web = |url: &str| url.parse::<PrivateUrl>().unwrap().is_of_the_web();
        for good in ["https://a.example", "http://u:p@my_nas:8080/x?y=z", "http://[fd00::2]:81/"] {
            assert!(of_the_web(good), "{good}");
        }
        for bad in [
            "ftp://a.example/x",
            "file:///x",
            "https:///x",
            "http://:80",
            "http://a:0",
            "http://a:x",
        ] {
            assert!(!of_the_web(bad), "{bad}");
        }
    }

    #[test]
    fn a_url_does_not_print_its_password() {
        let url = "rtsp://admin:hunter2@10.0.0.9:554/live?key=hunter2";
        let source: Source = url.parse().unwrap();
        assert_eq!(source.to_string(), "rtsp://10.0.0.9:554/…");
        assert!(!format!("{source:?}").contains("hunter2"));
        // However the password is written.
        for url in [
            "rtsp://admin:hunter2/x@10.0.0.9/live",
            "rtsp://admin:hunter2?x@10.0.0.9/live",
            "rtsp://admin:x#hunter2@10.0.0.9/live",
            "rtsp://admin:x@hunter2/x@10.0.0.9/live",
            "rtsp://hunter2:x/live",
            "rtsp://x:hunter2/live",
        ] {
            let source: Source = url.parse().unwrap();
            assert_eq!(source.to_string(), "rtsp://…", "{url}");
        }
        for misplaced in ["file:rtsp://a:hunter2@b/", "v4l2:rtsp://a:hunter2@b/"] {
            assert!(misplaced.parse::<Source>().is_err());
        }
    }
}
