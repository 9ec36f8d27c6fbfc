//! Where pictures come from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Malformed, PrivateUrl};
use crate::camera::LibcameraSelector;
use crate::config::Secret;

/// Where the pictures come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The first camera there is; without one, the test pattern.
    #[default]
    Auto,
    /// The built-in test pattern.
    Pattern,
    /// A camera of libcamera.
    Libcamera(LibcameraSelector),
    /// A V4L2 device, such as a USB camera: its device file, or a part of its name.
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
    pub(in crate::config) const SCHEMES: [&str; 11] = [
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
                _ => Self::Libcamera(LibcameraSelector::First),
            }),
            // A URL may hold a password, and these names are shown.
            "libcamera" | "v4l2" | "file" if rest.contains("://") => Err(Malformed),
            // Every id has more than letters in it: "\_SB_.PCI0", "/base/soc/…", "Virtual0".
            "libcamera" => match rest.parse() {
                Ok(index) => Ok(Self::Libcamera(LibcameraSelector::Index(index))),
                Err(_) if rest.chars().all(char::is_alphabetic) || rest.trim() != rest => {
                    Err(Malformed)
                }
                Err(_) => Ok(Self::Libcamera(LibcameraSelector::Id(rest.into()))),
            },
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
            Self::Libcamera(LibcameraSelector::First) => f.write_str("libcamera"),
            Self::Libcamera(LibcameraSelector::Index(index)) => write!(f, "libcamera:{index}"),
            Self::Libcamera(LibcameraSelector::Id(id)) => write!(f, "libcamera:{id}"),
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
            "libcamera:/base/soc/i2c0mux/i2c@1/imx708@1a",
            "libcamera:platform/vimc.0 Sensor B",
            "v4l2:/dev/video0",
            "v4l2:HD Webcam",
            "file:clip.mp4",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        accepts::<Source>(
            &["rtsp://10.0.0.9/live", "gst:videotestsrc", "page:https://tv.example/1"],
            &[
                "",
                "auto:1",
                "camera",
                "libcamera:x",
                "libcamera:",
                "libcamera:rtsp://a:b@c/",
                "v4l2: ",
                "file:",
                "gst: ",
                "page:x",
            ],
        );
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
