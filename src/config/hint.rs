//! What was meant by a name that does not exist.

use super::keys::{self, guards, keys, sections};

/// What may have been meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hint {
    /// To follow the complaint: `did you mean …?`; empty when nothing is near.
    pub words: String,
    /// Whether it may have been meant to guard access. Then it is not enough to ignore it.
    pub guard: bool,
    /// The section that may have been meant, if one was.
    pub section: Option<&'static str>,
}

/// Parts of names that speak of access, even where no key is near.
const ACCESS: [&str; 12] = [
    "auth",
    "pass",
    "pwd",
    "token",
    "tls",
    "ssl",
    "cert",
    "login",
    "secret",
    "credential",
    "argon2",
    "kennwort",
];

/// Whole names that do.
const ACCESS_WHOLE: [&str; 6] = ["pw", "psw", "pswd", "hash", "signin", "sign_in"];

/// Ordinary words that have such a part in them.
const ORDINARY: [&str; 6] =
    ["author", "compass", "bypass", "passive", "passthrough", "pass_through"];

/// What the password of a wireless network is called.
const OF_WIFI: [&str; 5] = ["pass", "psk", "pwd", "key", "secret"];

/// Longest name that is compared; longer ones are no misspellings.
const LONGEST: usize = 40;

/// Looks for what was meant by `name` in `section`, which itself exists or is empty.
pub(super) fn hint(section: &str, name: &str) -> Hint {
    let here = keys().iter().filter(|key| key.split().0 == section);
    if let Some(key) = nearest(name, here, |key| key.split().1) {
        let words = format!("did you mean `{}`?", key.split().1);
        return Hint { words, guard: key.guard, section: None };
    }
    let below = sections().filter_map(|s| Some((s, parent_and_leaf(s.name, section)?)));
    if let Some((meant, _)) = nearest(name, below, |(_, leaf)| leaf) {
        // The section may hold anything; its keys are looked at one by one.
        let words = format!("did you mean [{}]?", meant.name);
        return Hint { words, guard: meant.name == "auth", section: Some(meant.name) };
    }
    let elsewhere: Vec<_> = keys().iter().filter(|key| key.split().1 == name).collect();
    if !elsewhere.is_empty() {
        let homes: Vec<_> = elsewhere.iter().map(|key| format!("[{}]", key.split().0)).collect();
        let words = format!("it belongs in {}", homes.join(" or "));
        return Hint { words, guard: elsewhere.iter().any(|key| key.guard), section: None };
    }
    let guard = speaks_of_access(name, section);
    if section == "wifi" && is_of_wifi(&comparable(name)) {
        return Hint { words: "did you mean `password`?".to_owned(), guard, section: None };
    }
    let words = match nearest(name, keys().iter(), |key| key.split().1) {
        Some(key) => {
            let (home, leaf) = key.split();
            format!("did you mean `{leaf}` in [{home}]?")
        }
        None => String::new(),
    };
    Hint { words, guard, section: None }
}

/// Looks for what was meant by a dotted name as a whole, as in `--set`.
pub(super) fn hint_for_path(path: &str) -> Hint {
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    if section.is_empty() || keys::is_section(section) {
        return hint(section, name);
    }
    let words = nearest(path, keys().iter(), |key| key.name)
        .map_or_else(String::new, |key| format!("did you mean `{}`?", key.name));
    let root = path.split('.').next().unwrap_or_default();
    let guard = guards(section) || path.split('.').any(|part| speaks_of_access(part, root));
    Hint { words, guard, section: None }
}

/// Whether a name in `section`, which may be none that there is, has to do with access: it holds a
/// word for it, or nearly names a key that guards it.
pub(super) fn speaks_of_access(name: &str, section: &str) -> bool {
    let name = comparable(name);
    match section {
        // The password of a network, and that of a relay, are other passwords.
        "wifi" if is_of_wifi(&name) => return false,
        "webrtc" if name.contains("credential") => return false,
        _ => {}
    }
    let ordinary = ORDINARY.iter().any(|word| name.contains(word)) && !name.contains("authori");
    (!ordinary && ACCESS.iter().any(|word| name.contains(word)))
        || ACCESS_WHOLE.contains(&&*name)
        || distance_allowed(&name, "auth").is_some()
        || keys().iter().any(|key| key.guard && distance_allowed(&name, key.split().1).is_some())
}

/// Whether a name means the password of a wireless network, where one is meant.
fn is_of_wifi(name: &str) -> bool {
    let named = OF_WIFI.iter().any(|word| name.contains(word))
        || distance_allowed(name, "password").is_some();
    named && !name.contains("hash")
}

/// The last part of a section's name, if the rest of it is `parent`.
fn parent_and_leaf(section: &'static str, parent: &str) -> Option<&'static str> {
    let (head, leaf) = section.rsplit_once('.').unwrap_or(("", section));
    (head == parent).then_some(leaf)
}

pub(super) fn nearest<'k, T>(
    name: &str,
    candidates: impl Iterator<Item = T>,
    name_of: impl Fn(&T) -> &'k str,
) -> Option<T> {
    let name = comparable(name);
    candidates
        .filter_map(|candidate| Some((distance_allowed(&name, name_of(&candidate))?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many slips of the finger lie between two names, if few enough for their length.
fn distance_allowed(name: &str, known: &str) -> Option<usize> {
    let most = known.len().div_ceil(4).min(3);
    if name.len().abs_diff(known.len()) > most {
        return None;
    }
    Some(strsim::damerau_levenshtein(name, known)).filter(|distance| *distance <= most)
}

/// A name as it is compared: case and the two kinds of hyphen do not count.
fn comparable(name: &str) -> String {
    name.chars().take(LONGEST).collect::<String>().to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_key_gets_the_nearest_name() {
        assert_eq!(hint("encoder", "bitrat").words, "did you mean `bitrate`?");
        assert_eq!(
            hint("camera", "frame-size-reduction").words,
            "did you mean `frame_size_reduction`?"
        );
        assert_eq!(hint("", "camrea").words, "did you mean [camera]?");
        assert_eq!(hint("camera", "overlya").words, "did you mean [camera.overlay]?");
        assert_eq!(hint_for_path("encodr.bitrate").words, "did you mean `encoder.bitrate`?");
    }

    #[test]
    fn a_key_in_the_wrong_section_is_sent_home() {
        assert_eq!(hint("camera", "bitrate").words, "it belongs in [encoder]");
        assert_eq!(hint("", "pin").words, "it belongs in [led] or [button]");
        assert_eq!(hint("camera", "max_viewer").words, "did you mean `max_viewers` in [stream]?");
    }

    #[test]
    fn what_is_like_nothing_gets_no_hint() {
        assert_eq!(hint("camera", "zzzzzzzz").words, "");
        let nothing = Hint { words: String::new(), guard: false, section: None };
        assert_eq!(hint("", &"x".repeat(100_000)), nothing);
    }

    #[test]
    fn names_that_may_have_meant_sign_in_are_told_apart() {
        for (section, name) in [
            ("", "atuh"),
            ("", "Auth"),
            ("", "password"),
            ("auth", "pasword"),
            ("auth", "tokns"),
            ("http", "tsl"),
            ("http", "password"),
            ("camera", "passwd"),
            ("", "login"),
            ("wifi", "password_hash"),
            ("wifi", "tokens"),
        ] {
            assert!(hint(section, name).guard, "{section}.{name}");
        }
        for (section, name) in [
            ("wifi", "pasword"),
            ("", "htpp"),
            ("http", "lisen"),
            ("camera", "widht"),
            ("", "x"),
            ("wifi", "passphrase"),
            ("webrtc", "credential"),
            ("", "author"),
            ("camera", "compass"),
        ] {
            assert!(!hint(section, name).guard, "{section}.{name}");
        }
    }
}
