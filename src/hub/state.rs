//! How the source of pictures is doing.

use std::fmt;
use std::path::Path;

/// What the source is and how it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceInfo {
    /// The source as the owner named it: "pattern", "file:clip.mp4".
    pub name: String,
    /// What codes the pictures: "openh264", or "none" when they come coded.
    pub encoder: String,
    /// Width viewers get, in pixels.
    pub width: u32,
    /// Height viewers get, in pixels.
    pub height: u32,
    /// Pictures a second.
    pub fps: f64,
}

/// The life of the source, as shown to viewers and the owner.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum SourceState {
    /// Nobody watches; the camera is off.
    #[default]
    Idle,
    /// Being opened for the first viewer.
    Starting,
    /// Delivering pictures.
    Live(SourceInfo),
    /// Not delivering, for the reason given; it is tried again all the time.
    Lost(String),
    /// Came to its end, and the owner wants it left at that.
    Ended,
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Live(_) => "live",
            Self::Lost(_) => "lost",
            Self::Ended => "ended",
        })
    }
}

impl SourceInfo {
    /// What the source is to those who only watch: not where on its owner's disk a clip is.
    #[must_use]
    pub fn public_name(&self) -> String {
        match self.name.strip_prefix("file:") {
            Some(_) => "file".to_owned(),
            None => without_paths(&self.name),
        }
    }
}

/// Why a source gives no pictures: as its owner reads it in the log, behind the source's name, and as
/// viewers see it, without a place on the owner's disk.
#[must_use]
pub fn reasons(source: &str, why: &str) -> (String, String) {
    let Some(clip) = source.strip_prefix("file:") else {
        return (why.to_owned(), without_paths(why));
    };
    // The name of the source says it already.
    let named = format!("{clip}: ");
    let log = match why.strip_prefix(&named) {
        Some(why) => why.to_owned(),
        None => why.replacen(&format!(": {named}"), ": ", 1),
    };
    let mut shown = log.replace(clip, "…");
    let folder = Path::new(clip).parent().map(|folder| folder.display().to_string());
    if let Some(folder) = folder.filter(|folder| !folder.is_empty() && folder != "/") {
        shown = shown.replace(&folder, "…");
    }
    let shown = without_paths(&shown);
    (log, shown)
}

/// A text without the paths in it, but for those of devices, which are the same on every machine.
fn without_paths(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = path_in(rest) {
        let (before, path) = rest.split_at(at);
        let quote = before.chars().next_back().filter(|c| ['"', '\'', '`'].contains(c));
        let end = match quote {
            Some(quote) => path.find(quote),
            None => path.find(|c: char| c.is_whitespace() || ",;()\"'".contains(c)),
        };
        let (path, after) = path.split_at(end.unwrap_or(path.len()));
        // A colon at its end is the sentence's.
        let plain = path.trim_end_matches([':', '.']);
        shown.push_str(before);
        shown.push_str(if plain.starts_with("/dev/") { plain } else { "…" });
        shown.push_str(&path[plain.len()..]);
        rest = after;
    }
    shown + rest
}

/// Where the first path begins: a slash at the beginning of a word, with a name behind it.
fn path_in(text: &str) -> Option<usize> {
    text.match_indices('/').map(|(at, _)| at).find(|at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + 1..].chars().next();
        before.is_none_or(|c| c.is_whitespace() || "\"'`(:=[".contains(c))
            && after.is_some_and(|c| c.is_alphanumeric() || "._-~".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_for_viewers_names_no_place_on_the_owner_s_disk() {
        for (told, shown) in [
            ("cannot read /home/ada/clip.mp4: No such file", "cannot read …: No such file"),
            ("file:/srv/a.mp4 is gone", "file:… is gone"),
            ("\"/srv/my clips/a.mp4\", \"/srv/b\"", "\"…\", \"…\""),
            ("(/data/x)", "(…)"),
            ("/etc/passwd", "…"),
            ("/dev/video0: it was unplugged", "/dev/video0: it was unplugged"),
            (
                "1/2 of 30 pictures/s; see http://a.example/x",
                "1/2 of 30 pictures/s; see http://a.example/x",
            ),
            ("the camera is busy", "the camera is busy"),
        ] {
            assert_eq!(without_paths(told), shown);
        }
    }

    #[test]
    fn a_clip_s_name_is_told_once_to_its_owner_and_never_to_viewers() {
        let clip = "file:/srv/my clips/a b.mp4";
        for (why, log, shown) in [
            (
                "/srv/my clips/a b.mp4: its index is damaged",
                "its index is damaged",
                "its index is damaged",
            ),
            (
                "the camera was lost: /srv/my clips/a b.mp4: it became shorter",
                "the camera was lost: it became shorter",
                "the camera was lost: it became shorter",
            ),
            (
                "there is no file /srv/my clips/a b.mp4: check",
                "there is no file /srv/my clips/a b.mp4: check",
                "there is no file …: check",
            ),
            (
                "to convert it: ffmpeg -i '/srv/my clips/a b.mp4' '/srv/my clips/a b-new.mp4'",
                "to convert it: ffmpeg -i '/srv/my clips/a b.mp4' '/srv/my clips/a b-new.mp4'",
                "to convert it: ffmpeg -i '…' '…/a b-new.mp4'",
            ),
        ] {
            assert_eq!(reasons(clip, why), (log.to_owned(), shown.to_owned()));
        }
        let (_, shown) =
            reasons("file:films/a.mp4", "to convert: ffmpeg -i films/a.mp4 films/b.mp4");
        assert_eq!(shown, "to convert: ffmpeg -i … …/b.mp4");
        let (_, shown) = reasons("imx708", "cannot open /home/ada/tuning.json: no");
        assert_eq!(shown, "cannot open …: no");
    }

    #[test]
    fn viewers_are_told_what_kind_of_source_it_is() {
        let name = |name: &str| {
            let encoder = "none".to_owned();
            SourceInfo { name: name.into(), encoder, width: 2, height: 2, fps: 1.0 }.public_name()
        };
        assert_eq!(name("file:/home/ada/clip.mp4"), "file");
        assert_eq!(name("file:clip.mp4"), "file");
        assert_eq!(name("v4l2:/dev/video0"), "v4l2:/dev/video0");
        assert_eq!(name("imx708"), "imx708");
    }
}
