//! Names of files that come from outside: a request, an archive, a template's `include`.

/// Longer names than this are not files of a web page.
const MAX_LENGTH: usize = 512;
const MAX_DEPTH: usize = 16;

/// The name of a file below one of the site's folders, such as `css/custom.css`.
///
/// Kept promise: joined to a folder it names something below that folder, as far as the text of
/// the name can say (symbolic links are [`Folder`](super::folder::Folder)'s part), and none of
/// its segments is hidden.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName(String);

/// Why a text is not the name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameProblem {
    /// A harmless name that the site does not serve: a segment begins with a dot.
    Hidden,
    /// Empty, absolute, too long, with `.`, `..` or an empty segment, a backslash or a control
    /// character.
    Unsafe,
}

impl FileName {
    /// Takes a name with `/` between its segments, already percent-decoded.
    pub(super) fn parse(text: &str) -> Result<Self, NameProblem> {
        let well_formed = text.len() <= MAX_LENGTH
            && !text.chars().any(|c| c == '\\' || c.is_control())
            && text.split('/').count() <= MAX_DEPTH
            // An absolute name and an empty one both have an empty segment.
            && !text.split('/').any(|segment| matches!(segment, "" | "." | ".."));
        if !well_formed {
            return Err(NameProblem::Unsafe);
        }
        if text.split('/').any(|segment| segment.starts_with('.')) {
            return Err(NameProblem::Hidden);
        }
        Ok(Self(text.to_owned()))
    }

    /// Takes a name that stands in the source.
    pub(super) fn known(name: &'static str) -> Self {
        debug_assert!(Self::parse(name).is_ok(), "{name} is not a file name");
        Self(name.to_owned())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass_unchanged() {
        for name in ["custom.css", "css/custom.css", "a/b/c d/é.png", "a..b", "%2e%2e"] {
            assert_eq!(FileName::parse(name).map(|n| n.0), Ok(name.to_owned()));
        }
    }

    #[test]
    fn a_name_that_could_leave_its_folder_is_refused() {
        let long = "a".repeat(MAX_LENGTH + 1);
        let deep = ["a"; MAX_DEPTH + 1].join("/");
        for name in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "css/../../x",
            "css/..",
            "./x",
            "css//x",
            "css/",
            "..\\x",
            "css\\x",
            "x\0.css",
            "x\n",
            "\u{7f}",
            &long,
            &deep,
        ] {
            assert_eq!(FileName::parse(name), Err(NameProblem::Unsafe), "{name:?}");
        }
        for name in [".htpasswd", "css/.git", ".git/config", "...", "..x"] {
            assert_eq!(FileName::parse(name), Err(NameProblem::Hidden), "{name:?}");
        }
    }
}
