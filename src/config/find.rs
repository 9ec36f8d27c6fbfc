//! Which file is read.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Where to look when no file is named: on the card's boot partition, then in the current folder.
const DEFAULT_PATHS: [&str; 2] = ["/boot/config.toml", "config.toml"];

/// The configuration file to read: the one named on the command line, else by `$PICKET_CONFIG`,
/// else `/boot/config.toml`, else `./config.toml`; `None` means that there is none and defaults
/// hold. A file that was named is the answer even if it does not exist, so that a mistake in
/// its name is reported rather than ignored.
pub fn find(
    command_line: Option<&Path>,
    environment: Option<&OsStr>,
    exists: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let environment = environment.filter(|name| !name.is_empty()).map(Path::new);
    let named = command_line.or(environment);
    named
        .or_else(|| DEFAULT_PATHS.iter().map(Path::new).find(|place| exists(place)))
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_on_the_matter_wins() {
        let all = |_: &Path| true;
        let none = |_: &Path| false;
        let here = |path: &Path| path == Path::new("config.toml");
        let cli = Some(Path::new("a.toml"));
        let env = Some(OsStr::new("b.toml"));
        assert_eq!(find(cli, env, all), Some("a.toml".into()));
        assert_eq!(find(None, env, all), Some("b.toml".into()));
        assert_eq!(find(None, Some(OsStr::new("")), all), Some("/boot/config.toml".into()));
        assert_eq!(find(None, None, here), Some("config.toml".into()));
        assert_eq!(find(None, None, none), None);
    }

    #[test]
    fn a_named_file_that_is_not_there_is_not_passed_over() {
        assert_eq!(find(Some(Path::new("a.toml")), None, |_| false), Some("a.toml".into()));
    }
}
