//! What was meant by a name that does not exist.

use super::keys::{self, CAMERAS, Key, guards, header, keys, sections, stands_in};
use super::similar::{comparable, distance_allowed, nearest};

/// What may have been meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hint {
    /// To follow the message: `did you mean …?`; empty when no known name is similar.
    pub words: String,
    /// Whether it may have been meant to guard sign-in. Then ignoring it is not enough.
    pub guard: bool,
    /// The section that may have been meant, if one was.
    pub section: Option<&'static str>,
}

/// Parts of names that suggest a credential, even where no key has a similar name.
const CREDENTIAL_WORDS: [&str; 12] = [
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

/// Whole names that suggest one.
const CREDENTIAL_NAMES: [&str; 6] = ["pw", "psw", "pswd", "hash", "signin", "sign_in"];

/// Ordinary words that contain such a part.
const ORDINARY_WORDS: [&str; 6] =
    ["author", "compass", "bypass", "passive", "passthrough", "pass_through"];

/// Parts of names that the password of a wireless network is given.
const WIFI_PASSWORD_WORDS: [&str; 5] = ["pass", "psk", "pwd", "key", "secret"];

/// Looks for what was meant by `name` in `section`, which itself exists or is empty; `cameras` is an
/// entry of `[[cameras]]`, and `cameras.…` are its tables.
pub(super) fn hint(section: &str, name: &str) -> Hint {
    let plain = |words: String| Hint { words, guard: false, section: None };
    let here = keys().iter().filter(|key| stands_in(key, section));
    if let Some(key) = nearest(name, here, |key| key.split().1) {
        let words = format!("did you mean `{}`?", key.split().1);
        return Hint { words, guard: key.guard, section: None };
    }
    if section == CAMERAS && distance_allowed(&comparable(name), "name").is_some() {
        return plain("did you mean `name`?".to_owned());
    }
    if section == "camera" && name == "name" {
        return plain(format!("it belongs in {}", header(CAMERAS)));
    }
    let parent = if section == CAMERAS { "camera" } else { section };
    let below = sections().filter_map(|s| Some((s, parent_and_leaf(s.name, parent)?)));
    if let Some((meant, leaf)) = nearest(name, below, |(_, leaf)| leaf) {
        // Such a section may contain anything; its keys are examined one by one.
        let header = match section {
            CAMERAS => header(&format!("{CAMERAS}.{leaf}")),
            _ => header(meant.name),
        };
        let words = format!("did you mean {header}?");
        return Hint { words, guard: meant.name == "auth", section: Some(meant.name) };
    }
    let of_entry = section.split('.').next() == Some(CAMERAS);
    let elsewhere = || keys().iter().filter(|key| key.split().1 == name);
    let mut elsewhere: Vec<_> = match of_entry {
        true => elsewhere().filter(|key| key.name_in_entry().is_some()).collect(),
        false => elsewhere().collect(),
    };
    if elsewhere.is_empty() {
        elsewhere = keys().iter().filter(|key| key.split().1 == name).collect();
    }
    if !elsewhere.is_empty() {
        let homes: Vec<_> = elsewhere.iter().map(|key| home(key, of_entry)).collect();
        let words = format!("it belongs in {}", homes.join(" or "));
        return Hint { words, guard: elsewhere.iter().any(|key| key.guard), section: None };
    }
    let guard = suggests_credentials(name, section);
    if section == "wifi" && means_wifi_password(&comparable(name)) {
        return Hint { words: "did you mean `password`?".to_owned(), guard, section: None };
    }
    let words = match nearest(name, keys().iter(), |key| key.split().1) {
        Some(key) => {
            format!("did you mean `{}` in {}?", key.split().1, home(key, of_entry))
        }
        None => String::new(),
    };
    Hint { words, guard, section: None }
}

/// The header of the section that a key belongs in. For an entry of `[[cameras]]` that is the entry, if
/// the key may stand there.
fn home(key: &Key, of_entry: bool) -> String {
    match key.name_in_entry().filter(|_| of_entry) {
        Some(name) => header(&match name.rsplit_once('.') {
            Some((table, _)) => format!("{CAMERAS}.{table}"),
            None => CAMERAS.to_owned(),
        }),
        None => header(key.split().0),
    }
}

/// Looks for what was meant by a dotted name as a whole, as in `--set`.
pub(super) fn hint_for_path(path: &str) -> Hint {
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    if path.split('.').next() == Some(CAMERAS) {
        let words = format!(
            "further cameras are set all at once, as \
             `{CAMERAS}=[{{ name = \"garden\", source = \"v4l2:/dev/video2\" }}]`"
        );
        let guard = path.split('.').any(|part| suggests_credentials(part, CAMERAS));
        return Hint { words, guard, section: None };
    }
    if section.is_empty() || keys::is_section(section) {
        return hint(section, name);
    }
    let words = nearest(path, keys().iter(), |key| key.name)
        .map_or_else(String::new, |key| format!("did you mean `{}`?", key.name));
    let root = path.split('.').next().unwrap_or_default();
    let guard = guards(section) || path.split('.').any(|part| suggests_credentials(part, root));
    Hint { words, guard, section: None }
}

/// Whether a name in `section`, which need not exist, suggests a credential: it contains a word for
/// one, or is similar to the name of a key that guards sign-in.
pub(super) fn suggests_credentials(name: &str, section: &str) -> bool {
    let name = comparable(name);
    match section {
        // The password of a wireless network, and that of a relay, are different passwords.
        "wifi" if means_wifi_password(&name) => return false,
        "webrtc" if name.contains("credential") => return false,
        _ => {}
    }
    let ordinary =
        ORDINARY_WORDS.iter().any(|word| name.contains(word)) && !name.contains("authori");
    (!ordinary && CREDENTIAL_WORDS.iter().any(|word| name.contains(word)))
        || CREDENTIAL_NAMES.contains(&&*name)
        || distance_allowed(&name, "auth").is_some()
        || keys().iter().any(|key| key.guard && distance_allowed(&name, key.split().1).is_some())
}

/// Whether a name in `[wifi]` means the password of the network.
fn means_wifi_password(name: &str) -> bool {
    let named = WIFI_PASSWORD_WORDS.iter().any(|word| name.contains(word))
        || distance_allowed(name, "password").is_some();
    named && !name.contains("hash")
}

/// The last part of a section's name, if the rest of it is `parent`.
fn parent_and_leaf(section: &'static str, parent: &str) -> Option<&'static str> {
    let (head, leaf) = section.rsplit_once('.').unwrap_or(("", section));
    (head == parent).then_some(leaf)
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
