//! `config.toml` without the passwords of wireless networks, for a reader that has no use for them.
//!
//! Every other character stays where it is, so that a mistake in the copy has the line and column
//! that it has in the file itself.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::is_wifi_password;
use super::text::Text;

/// A line that is no TOML.
const UNREADABLE: &str = "= from here on the file cannot be read\n";

/// The same lines without the passwords of wireless networks. What cannot be read is left out, and
/// leaves something that cannot be read, at the same place.
#[must_use]
pub fn without_wireless_passwords(file: &[u8]) -> String {
    let text = Text::decode(file);
    let whole = &text.text;
    let at = match (text.fault, DeTable::parse(whole)) {
        (None, Ok(table)) => return withhold(whole, table.get_ref()),
        (Some(_), _) => whole.len(),
        (None, Err(error)) => error.span().map_or(0, |span| span.start),
    };
    // The lines above the fault are TOML by themselves, and what stands below it might be a
    // password that cannot be told from anything else.
    let mut end = at.min(whole.len());
    let mut copy = String::new();
    while let Some(newline) = whole[..end].rfind('\n') {
        if let Ok(table) = DeTable::parse(&whole[..=newline]) {
            copy = withhold(&whole[..=newline], table.get_ref());
            break;
        }
        end = newline;
    }
    let (line, column) = text.position(at);
    let missing = line.saturating_sub(1 + copy.matches('\n').count());
    copy + &"\n".repeat(missing) + &" ".repeat(column - 1) + UNREADABLE
}

fn withhold(text: &str, table: &DeTable<'_>) -> String {
    let mut secrets = Vec::new();
    for (name, value) in table {
        // These are the daemon's own business.
        if name.get_ref() != "auth" {
            find(name.get_ref(), name.get_ref() == "wifi", value, &mut secrets);
        }
    }
    secrets.sort_by_key(|secret| secret.span().start);
    let mut copy = String::with_capacity(text.len());
    let mut end = 0;
    for secret in secrets {
        let span = secret.span();
        copy.push_str(&text[end..span.start]);
        copy.push_str(&blank(&text[span.clone()], secret.get_ref()));
        end = span.end;
    }
    copy + &text[end..]
}

/// Finds what stands under a name that speaks of a password, at any depth, and below `[wifi]` under
/// any name that is not known to be harmless: a password may have a misspelled one.
fn find<'v, 'i>(
    name: &str,
    of_wifi: bool,
    value: &'v Spanned<DeValue<'i>>,
    secrets: &mut Vec<&'v Spanned<DeValue<'i>>>,
) {
    match value.get_ref() {
        DeValue::Table(table) => {
            table.iter().for_each(|(name, value)| find(name.get_ref(), of_wifi, value, secrets));
        }
        DeValue::Array(list) => list.iter().for_each(|value| find(name, of_wifi, value, secrets)),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) => {
            let name = name.to_lowercase();
            let speaks_of_it = ["pass", "psk", "pwd"].iter().any(|word| name.contains(word));
            let harmless = ["ssid", "country", "hidden"].contains(&&*name);
            if speaks_of_it || (of_wifi && !harmless) {
                secrets.push(value);
            }
        }
        _ => {}
    }
}

/// What stands in the place of a secret that is written as `raw`: as long, in as many lines, and
/// right or wrong as it was.
fn blank(raw: &str, value: &DeValue<'_>) -> String {
    let Some(text) = value.as_str() else {
        return raw.chars().map(|c| if c.is_ascii_digit() { '1' } else { c }).collect();
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
    format!("{open}{within}{close}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Auth, Config, Problem};

    fn problems(text: &str) -> Vec<Problem> {
        Config::load(text.as_bytes(), "f").problems
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
        let text = "[auth]\npassword = \"correct horse\"\n[wifi]\nssid = \"mine\"\n";
        assert_eq!(without_wireless_passwords(text.as_bytes()), text);
    }
}
