//! `config.toml` without the passwords of wireless networks, for a reader that does not need them.
//!
//! Everything that reader needs stays, and every character stays where it is, so that a mistake has the
//! same line and column in the copy as in the file itself. Comments are blanked, because an earlier
//! password may stand in one; so is what has no effect, because it may be a password under a
//! misspelled name.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::hint::{Hint, hint};
use super::is_wifi_password;
use super::keys::{CAMERAS, find_camera_key, find_key, is_camera_section, is_section};
use super::misplaced::{HASH, is_hash};
use super::text::FileText;

/// A line that is not TOML.
const UNREADABLE: &str = "= from here on the file cannot be read\n";

/// The same lines without the passwords of wireless networks. What cannot be read is left out; in its
/// place stands something else that cannot be read.
#[must_use]
pub fn without_wireless_passwords(file: &[u8]) -> String {
    let text = FileText::decode(file);
    let whole = &text.text;
    let at = match (text.fault, DeTable::parse(whole)) {
        (None, Ok(table)) => return redact(whole, table.get_ref()),
        (Some(_), _) => whole.len(),
        (None, Err(error)) => error.span().map_or(0, |span| span.start),
    };
    // The lines above the fault are TOML by themselves. What stands below it might be a password, and
    // cannot be told apart from anything else.
    let mut end = at.min(whole.len());
    let mut copy = String::new();
    while let Some(newline) = whole[..end].rfind('\n') {
        if let Ok(table) = DeTable::parse(&whole[..=newline]) {
            copy = redact(&whole[..=newline], table.get_ref());
            break;
        }
        end = newline;
    }
    let (line, column) = text.position(at);
    let missing = line.saturating_sub(1 + copy.matches('\n').count());
    copy + &"\n".repeat(missing) + &" ".repeat(column - 1) + UNREADABLE
}

fn redact(text: &str, table: &DeTable<'_>) -> String {
    let mut secrets = Secrets::default();
    secrets.of_table("", table);
    let Secrets { mut values, names } = secrets;
    values.sort_by_key(|secret| secret.span().start);
    let mut copy = String::with_capacity(text.len());
    let mut end = 0;
    for secret in values {
        let span = secret.span();
        copy.push_str(&text[end..span.start]);
        copy.push_str(&placeholder(&text[span.clone()], secret.get_ref()));
        end = span.end;
    }
    copy += &text[end..];
    for (number, name) in names.into_iter().enumerate() {
        // Of the same length, and different for each.
        let digits = name.chars().count() - 1;
        copy = copy.replace(name, &format!("x{number:0digits$}"));
    }
    blank_comments(&copy)
}

/// What the reader must not see.
#[derive(Default)]
struct Secrets<'v, 'i> {
    values: Vec<&'v Spanned<DeValue<'i>>>,
    names: Vec<&'v str>,
}

/// The length of the shortest password, and so of the shortest name that may be one.
const SHORTEST: usize = 8;

/// At most so many names are blanked: each takes a pass over the file.
const MAX_NAMES: usize = 100;

impl<'v, 'i> Secrets<'v, 'i> {
    /// Looks through the section `path`.
    fn of_table(&mut self, path: &str, table: &'v DeTable<'i>) {
        for (name, value) in table {
            let name = name.get_ref().as_ref();
            let full = match path {
                _ if name.contains('.') => String::new(),
                "" => name.to_owned(),
                _ => format!("{path}.{name}"),
            };
            match (value.get_ref(), full.as_str()) {
                // These are the daemon's own business.
                (_, "auth") => {}
                (DeValue::Array(entries), CAMERAS) => {
                    for entry in entries {
                        match entry.get_ref() {
                            DeValue::Table(table) => self.of_camera("", table),
                            _ => self.of_value(name, true, entry),
                        }
                    }
                }
                (DeValue::Table(table), full) if is_section(full) => self.of_table(full, table),
                (_, full) if find_key(full).is_some() => self.of_value(name, path == "wifi", value),
                _ => {
                    self.of_name(path, name);
                    self.of_value(name, true, value);
                }
            }
        }
    }

    /// Looks through the table `path` of an entry of `[[cameras]]` or, when empty, the entry itself.
    fn of_camera(&mut self, path: &str, table: &'v DeTable<'i>) {
        for (name, value) in table {
            let name = name.get_ref().as_ref();
            let (section, full) = match path {
                "" => (CAMERAS.to_owned(), name.to_owned()),
                _ => (format!("{CAMERAS}.{path}"), format!("{path}.{name}")),
            };
            let known = !name.contains('.') && (full == "name" || find_camera_key(&full).is_some());
            match value.get_ref() {
                DeValue::Table(table) if is_camera_section(&full) => self.of_camera(&full, table),
                _ if known => self.of_value(name, false, value),
                _ => {
                    self.of_name(&section, name);
                    self.of_value(name, true, value);
                }
            }
        }
    }

    /// Looks at what stands under a name that suggests a password, at any depth, and, where any name
    /// may stand for one (`any_name`), under every name that is not known to be harmless.
    fn of_value(&mut self, name: &str, any_name: bool, value: &'v Spanned<DeValue<'i>>) {
        match value.get_ref() {
            DeValue::Table(table) => {
                for (name, value) in table {
                    if any_name {
                        self.of_name("wifi", name.get_ref());
                    }
                    self.of_value(name.get_ref(), any_name, value);
                }
            }
            DeValue::Array(list) => {
                list.iter().for_each(|value| self.of_value(name, any_name, value));
            }
            DeValue::Boolean(_) => {}
            _ => {
                let name = name.to_lowercase();
                let suggests_password =
                    ["pass", "psk", "pwd"].iter().any(|word| name.contains(word));
                let harmless = ["ssid", "country", "hidden"].contains(&&*name);
                if suggests_password || (any_name && !harmless) {
                    self.values.push(value);
                }
            }
        }
    }

    /// Looks at a name in `section` that has no effect. One that is similar to a known name stays, so
    /// that the reader reports the same mistake.
    fn of_name(&mut self, section: &str, name: &'v str) {
        let Hint { words, guard, .. } = hint(section, name);
        let known = !words.is_empty() || guard || is_hash(name);
        let fits = name.chars().count() >= SHORTEST && !name.contains(['"', '\'', '\\']);
        let room = self.names.len() < MAX_NAMES;
        if !known && fits && room && !self.names.contains(&name) {
            self.names.push(name);
        }
    }
}

/// The same text with only spaces in its comments.
fn blank_comments(text: &str) -> String {
    let mut copy = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '#' => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            '"' | '\'' => quoted_length(rest, c),
            _ => c.len_utf8(),
        };
        let (piece, after) = rest.split_at(length);
        match c {
            '#' => copy.extend("#".chars().chain(piece.chars().skip(1).map(|_| ' '))),
            _ => copy.push_str(piece),
        }
        rest = after;
    }
    copy
}

/// The length of the string that a text begins with.
fn quoted_length(text: &str, quote: char) -> usize {
    let three = quote.to_string().repeat(3);
    let close = if text.starts_with(&three) { three.as_str() } else { &three[..1] };
    let mut at = close.len();
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(after) = rest.strip_prefix(close) {
            // Up to two quotes may stand before the three that close it.
            let more = after.chars().take_while(|c| *c == quote).count();
            return at + close.len() + if close.len() == 3 { more.min(2) } else { 0 };
        }
        let escape = quote == '"' && rest.starts_with('\\');
        at += rest.chars().take(1 + usize::from(escape)).map(char::len_utf8).sum::<usize>();
    }
    text.len()
}

/// What replaces a secret that is written as `raw`: of the same length, in as many lines, and as
/// valid or invalid as it was.
fn placeholder(raw: &str, value: &DeValue<'_>) -> String {
    let Some(text) = value.as_str() else {
        let based = ["0x", "0o", "0b"].iter().any(|prefix| raw.starts_with(prefix));
        let (prefix, digits) = raw.split_at(if based { 2 } else { 0 });
        let is_digit = |c: char| c.is_ascii_digit() || (based && c.is_ascii_hexdigit());
        let ones = digits.chars().map(|c| if is_digit(c) { '1' } else { c });
        return prefix.to_owned() + &ones.collect::<String>();
    };
    let quote = if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { 1 };
    let (open, rest) = raw.split_at(quote.min(raw.len()));
    let (within, close) = rest.split_at(rest.len().saturating_sub(quote));
    let length = within.chars().count();
    let filled = |with: char| -> String {
        within.chars().map(|c| if c == '\n' || c == '\r' { c } else { with }).collect()
    };
    let within = match (is_wifi_password(text), length) {
        // No character that a password may have.
        (false, _) => filled('·'),
        (true, ..=63) => filled('*'),
        (true, 64) => filled('0'),
        // It was written with escapes, and would be too long without.
        (true, _) => {
            let escapes = (length - 63).div_ceil(5);
            "\\u002a".repeat(escapes) + &"*".repeat(length.saturating_sub(6 * escapes))
        }
    };
    // What looks like a hash locks sign-in, and has to in the copy.
    let marked = match is_hash(text) && within.len() >= HASH.len() {
        true => HASH.chars().chain(within.chars().skip(HASH.len())).collect(),
        false => within,
    };
    format!("{open}{marked}{close}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Auth, Config, Problem};

    fn problems(text: &str) -> Vec<Problem> {
        Config::load(text.as_bytes(), "f").problems
    }

    #[test]
    fn no_password_gets_into_the_copy_whatever_it_is_written_as() {
        for text in [
            "[wifi]\n# password = \"hunter2hunter2\"\nssid = \"a#b\" # hunter2\n",
            "[wifi]\nssid = '''a'''''# hunter2\n[encoder]\nbitrat = \"\\\"#\" # hunter2\n",
            "[wifi]\nhunter2hunter2 = true\n\"hunter2hunter3\" = 1\nx = 1\n",
            "[wifi.hunter2hunter2]\nx = 1\n[wifi.hunter2hunter2.y]\nx = 2\n",
            "[wifi]\nnetworks = [{ ssid = \"a\", hunter2hunter2 = 1 }, { ssid = \"b\", hidde = 1 }]\n",
            "[wfii]\nkey = \"hunter2hunter2\"\n",
            "[wlan]\nkey = \"hunter2hunter2\"\nx = [\"hunter2\"]\n",
            "[WIFI]\nkey = \"hunter2hunter2\"\n",
            "[device]\nwlan_key = \"hunter2hunter2\"\n",
            "wlan = \"hunter2hunter2\"\n",
            "[wifi]\npassword = 1982-12-31\n",
            "[wifi]\npassword = 0xdeadbeef_2982\nx = 0o672\n",
            "[wifi]\npassword = 19821231\nx = 19821231.2982e2982\n",
            "[wifi]\npassword = \"$argon2id$v=19$hunter2hunter2\"\n",
            "[wifi]\npassword = \"$argon2id$v=19$hunter2hunter2$hunter2hunter2$hunter2hunter2$\\u0068unter2\"\n",
            "[x]\ny = \"$argon2id$v=19$hunter2hunter2\"\n",
        ] {
            for text in [text.to_owned(), text.replace('\n', "\r\n")] {
                let copy = without_wireless_passwords(text.as_bytes());
                for part in ["unter2", "unter3", "82-", "19821", "2982", "deadbeef", "672"] {
                    assert!(!copy.contains(part), "{part} in {copy}");
                }
                assert_eq!(copy.chars().count(), text.chars().count(), "{copy}");
                assert_eq!(problems(&copy), problems(&text), "{text}\n{copy}");
            }
        }
    }

    #[test]
    fn a_mistake_has_the_same_place_in_the_copy_as_in_the_file() {
        let password = "password = \"hunter2hunter2\"";
        for text in [
            format!("[wifi]\nssid = \"a\"\n{password} # x\n[encoder]\nbitrat = 1\n"),
            format!("wifi = {{ {password}, ssid = \"b\", hiden = true }}\n"),
            format!("[wifi]\nnetworks = [{{ ssid = \"b\", {password} }}, {{ ssid = 5 }}]\n"),
            format!("[[wifi.networks]]\nssid = \"c\"\n{password}\n[camera]\nfps = \"x\"\n"),
            "[wifi]\npassword = \"hunter2\"\nhidden = 1\n".to_owned(),
            format!("[wifi]\n{password}\n[[cameras]]\nname = \"A\"\nfps = \"x\"\nhunter2x = 1\n"),
            format!("cameras = [\"hunter2hunter2\", {{ name = 1, {password} }}]\n"),
            format!("[cameras.hunter2hunter2]\n{password}\n"),
            "[[cameras]]\nname = \"x\"\noverlay = \"hunter2hunter2\"\n".to_owned(),
            "[wifi]\npassword = \"hünter2hunter2\"\nhidden = 1\n".to_owned(),
            "[wifi]\npassword = 'hunter2hunter2'\npasword = \"hunter2\"\n".to_owned(),
            "wifi = { password = \"\\u0068unter2\\u0068unter2\", hiden = 1 }\n".to_owned(),
            format!("wifi = {{ password = \"{}\", hiden = 1 }}\n", "\\u0061".repeat(12)),
            format!("wifi = {{ password = \"{}\", hiden = 1 }}\n", "a".repeat(64)),
            "[wifi]\npassword = \"\"\"\nhunter2hunter2\"\"\"\nhiden = 1\n".to_owned(),
            "[wifi]\npassword = \"\"\"\nhunter2\nhunter2\"\"\"\nhiden = 1\n".to_owned(),
        ] {
            for text in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
                let copy = without_wireless_passwords(text.as_bytes());
                assert!(!copy.contains("unter2"), "{copy}");
                assert_eq!(problems(&copy), problems(&text), "{text}\n{copy}");
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_cannot_be_at_the_same_place() {
        for text in [
            "[auth]\npassword = \"correct horse\"\n[wifi]\nssid = \"a\"\npassword = \"hunter2\nx = 1\n",
            "[wifi]\nssid = \"a\"\n\0\npassword = \"hunter2hunter2\"\n",
            "[camera]\n[wifi]\nssid = \"\"\"\npassword = \"hunter2hunter2\"\n",
            "[camera]\nsource = file:x\n",
            "[wifi]\npassword = \"hunter2hunter2\"\n\n\n  [camera\nfps = 1\n",
            "= x",
            "[a]\nx = [\n1,\n2,\n",
        ] {
            let copy = without_wireless_passwords(text.as_bytes());
            assert!(!copy.contains("hunter2"), "{copy}");
            let place = |text: &str| problems(text).first().map(|problem| problem.place.clone());
            assert_eq!(place(&copy), place(text), "{text}\n{copy}");
            let copy = Config::load(copy.as_bytes(), "f").config;
            assert!(matches!(copy.auth, Auth::Locked { .. }));
        }
    }

    #[test]
    fn what_is_no_password_of_a_network_stays() {
        let text = "[auth]\npassword = \"correct horse\"\n[wifi]\nssid = \"mine\"\n\
                    [[cameras]]\nname = \"garden\"\nsource = \"rtsp://cam:pass@10.0.0.9/live\"\n\
                    fps = 12.5\nbitrate = 1_000_000\nencoder.backend = \"auto\"\n\
                    [cameras.overlay]\ntext = \"Garden\"\n";
        assert_eq!(without_wireless_passwords(text.as_bytes()), text);
    }
}
