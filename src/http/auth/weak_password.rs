//! Weak passwords: those that guessers try first.

use std::fmt;

/// One a line.
const COMMON: &str = include_str!("common_passwords.txt");

/// Words that passwords of a camera like this one are often made of.
const OBVIOUS_WORDS: [&str; 24] = [
    "picket",
    "camera",
    "raspberry",
    "raspberrypi",
    "raspi",
    "webcam",
    "password",
    "passwort",
    "admin",
    "administrator",
    "default",
    "changeme",
    "letmein",
    "welcome",
    "qwerty",
    "dragon",
    "monkey",
    "spring",
    "summer",
    "autumn",
    "winter",
    "garden",
    "pi",
    "cam",
];

/// Why a password is weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Weakness {
    Common,
    Name,
    Pattern,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Common => "this is one of the passwords that attackers try first",
            Self::Name => "this is little more than a name that attackers try first",
            Self::Pattern => "this is a pattern that attackers try first",
        })?;
        f.write_str(
            "; choose another, for example four words that have nothing to do with each other",
        )
    }
}

/// What is wrong with a password for the camera called `name`, if anything is.
pub(in crate::http) fn weakness(password: &str, name: &str) -> Option<Weakness> {
    let without_leet = |text: &str| text.chars().map(without_leetspeak).collect::<String>();
    let lower = password.to_lowercase();
    let plain = without_leet(&lower);
    // Without what people add to a word when they are asked for more.
    let stem = lower.trim_matches(|c: char| !c.is_alphabetic());
    let stems = [stem.to_owned(), without_leet(stem)];
    let is_common = |text: &str| COMMON.lines().any(|common| common == text);
    let name = name.to_lowercase();
    let nearby =
        |text: &String| OBVIOUS_WORDS.contains(&&text[..]) || (*text == name && !name.is_empty());
    if is_common(&lower) || is_common(&plain) {
        Some(Weakness::Common)
    } else if stems.iter().any(nearby) || nearby(&lower) || is_made_of_names(&lower, &name) {
        Some(Weakness::Name)
    } else if stems.iter().any(|stem| is_common(stem)) {
        Some(Weakness::Common)
    } else if is_pattern(&lower) {
        Some(Weakness::Pattern)
    } else {
        None
    }
}

/// Whether it is nothing but such names, with no letters between them.
fn is_made_of_names(text: &str, name: &str) -> bool {
    let mut names: Vec<&str> =
        OBVIOUS_WORDS.iter().copied().chain([name]).filter(|n| !n.is_empty()).collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let rest = names.iter().fold(text.to_owned(), |rest, name| rest.replace(name, " "));
    rest != text && !rest.chars().any(char::is_alphabetic)
}

/// A letter for what is often written in its place.
fn without_leetspeak(character: char) -> char {
    match character {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// Whether it is a short piece again and again, or a run such as "45678901" or "hgfedcba".
fn is_pattern(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let repeats = |len: usize| characters.iter().zip(&characters[len..]).all(|(a, b)| a == b);
    let longest = 4.min(characters.len().saturating_sub(1));
    let step = |pair: &[char]| {
        let digit = |c: char| c.to_digit(10).map(i64::from);
        match (digit(pair[0]), digit(pair[1])) {
            (Some(9), Some(0)) => 1,
            (Some(0), Some(9)) => -1,
            _ => i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0])),
        }
    };
    let run = |by: i64| characters.windows(2).all(|pair| step(pair) == by);
    (1..=longest).any(repeats) || run(1) || run(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_guessers_try_first_is_told_from_what_they_do_not() {
        for (password, weak) in [
            ("password", Weakness::Common),
            ("P4ssw0rd", Weakness::Common),
            ("sunshine1", Weakness::Common),
            ("iloveyou!!", Weakness::Common),
            ("Picket2026", Weakness::Name),
            ("raspberry", Weakness::Name),
            ("p1cket!!", Weakness::Name),
            ("garden-cam1", Weakness::Name),
            ("picket picket", Weakness::Name),
            ("raspberry-pi4", Weakness::Name),
            ("webcam2026webcam", Weakness::Name),
            ("letmein123", Weakness::Name),
            ("45678901", Weakness::Pattern),
            ("hgfedcba", Weakness::Pattern),
            ("aaaaaaaaaa", Weakness::Pattern),
            ("abcdabcdab", Weakness::Pattern),
        ] {
            assert_eq!(weakness(password, "garden-cam"), Some(weak), "{password}");
        }
        for password in ["correct horse", "battery staple", "kT7-wq29-xz", "grüner Zaun im Mai"] {
            assert_eq!(weakness(password, ""), None, "{password}");
        }
    }

    #[test]
    fn the_list_holds_what_is_long_enough_to_be_set() {
        let usual: Vec<&str> = COMMON.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(usual.len() > 1000 && usual.iter().all(|p| p.len() >= 8 && p.is_ascii()));
        assert!(COMMON.len() < 100_000);
    }
}
