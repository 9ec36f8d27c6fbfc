//! What holds for files that nobody would write.

use super::*;

/// Numbers that look random and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % sides.max(1) as u64) as usize
    }

    /// One to four small changes: bytes replaced, inserted and removed, pieces doubled and moved.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        const SPICE: &[u8] = b"[]{}=\"'\\#,.\n\r\t\0\xFF\xEF 0a-";
        for _ in 0..=self.roll(4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.roll(bytes.len());
            let piece = at..(at + self.roll(40)).min(bytes.len());
            match self.roll(6) {
                0 => bytes[at] = SPICE[self.roll(SPICE.len())],
                1 => bytes.insert(at, SPICE[self.roll(SPICE.len())]),
                2 => bytes[at] ^= 1 << self.roll(8),
                3 => drop(bytes.drain(piece)),
                4 => {
                    let piece = bytes[piece].to_vec();
                    let to = self.roll(bytes.len());
                    bytes.splice(to..to, piece);
                }
                _ => bytes.truncate(at.max(1)),
            }
        }
    }
}

#[test]
fn a_network_that_is_joined_has_no_other_lost_whatever_the_file_looks_like() {
    let own = "[wifi]\nssid = 'home' # mine\npassword = \"zQ7-wifi-key\"\n";
    let list = "networks = [ # more\n  { ssid = \"shed\" },\n  { ssid = 7, hidden = true },\n]\n";
    let tables = "\n[[wifi.networks]]\nssid = \"shed\"\n\n[camera]\nfps = 25\n\n\
                  [[wifi.networks]]\nssid = \"barn\"\npassword = \"zQ7-wifi-key\"\n";
    let inline = "wifi = { ssid = \"home\", networks = [{ ssid = \"shed\" }] }\n";
    let dotted = "wifi.ssid = 5\nwifi.networks = [{ ssid = \"shed\" }]\n";
    let whole = [own.to_owned() + list, own.to_owned() + tables, tables.to_owned() + own];
    let files = whole.iter().map(String::as_str).chain([own, list, tables, inline, dotted]);
    let mut dice = Dice(2);
    let mut used = 0;
    for file in files {
        used += usize::from(!fuzzing::load(file.as_bytes()).any_refused());
        for _ in 0..1_000 {
            let mut bytes = file.as_bytes().to_vec();
            dice.mutate(&mut bytes);
            used += usize::from(!fuzzing::load(&bytes).any_refused());
        }
    }
    assert!(used > 500, "{used}");
}

#[test]
fn ten_thousand_mutations_break_no_promise() {
    let mut dice = Dice(1);
    for _ in 0..10_000 {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        dice.mutate(&mut bytes);
        let loaded = fuzzing::load(&bytes);
        if loaded.config.auth == Auth::Unset {
            // Only when both of its lines are gone, or have become comments.
            let text = String::from_utf8_lossy(&bytes);
            let mut lines = text.lines();
            let says = |l: &str| l.starts_with("password = \"zQ7-p") || l.starts_with("tokens");
            assert!(!lines.any(says), "{text}");
        }
    }
}

#[test]
fn whatever_can_be_read_can_be_changed() {
    let values = [
        "1",
        "-0",
        "+7",
        "1_000",
        "0x7FFF_FFFF_FFFF_FFFF",
        "0xFFFF_FFFF_FFFF_FFFF",
        "0o777",
        "0b1",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "1e400",
        "-1e400",
        "+1_0.0_1E+4_00",
        "1e-400",
        "-0.0",
        "1.5e308",
        "1.8e308",
        "inf",
        "-inf",
        "nan",
        "+nan",
        "true",
        "1979-05-27",
        "1979-05-27T07:32:00Z",
        "1979-05-27 07:32:00.999999999999",
        "07:32:00",
        "07:32",
        "1979-05-27T07:32:60-07:00",
        "0000-01-01",
        "2023-02-30",
        "\"\"",
        "''",
        "\"\\u0041\\U0001F600\\x41\\e\"",
        "'''\n'a''b'\n'''",
        "\"\"\"\na\\\n  b\"\"\"",
        "[]",
        "[1, 1e400, ]",
        "[ # r\n1, # s\n]",
        "{}",
        "{ a.b = 1, a.c = 1e400 }",
        "{ a = 1, }",
        "{\n a = 1e400, # r\n b = 2\n}",
        "[[1e400], [{ a = [1e400] }]]",
    ];
    let keys =
        ["a", "1", "-", "\"\"", "''", "\"a b\"", "a.b", "a . \"b\"", "1.2", "\"\\u0041\"", "é"];
    let spaces = ["", " ", "\t", "\n", " # r\n", "\r\n"];
    let heads =
        ["a", "a.b", " a . b ", "[a]", "[a.b]", "device", "wifi", "auth", "[wifi.networks]"];
    let mut whole = 0;
    for value in values {
        for key in keys {
            whole += can_be_changed(&format!("{key} = {value}\n"));
            whole += can_be_changed(&format!("[wifi]\n{key} = {value} # 1e400"));
        }
        for key in ["ssid", "password", "hidden", "country", "networks"] {
            whole += can_be_changed(&format!("[wifi]\n{key} = {value}\nssid.x = 1\n"));
            whole += can_be_changed(&format!("[wifi]\n{key} = {value}\n"));
        }
    }
    let mut dice = Dice(3);
    for _ in 0..3_000 {
        let mut text = String::new();
        for _ in 0..=dice.roll(6) {
            let mut pick = |from: &[&'static str]| from[dice.roll(from.len())];
            let (space, value, key, head) =
                (pick(&spaces), pick(&values), pick(&keys), pick(&heads));
            text += &match dice.roll(4) {
                0 => format!("[{head}]{space}\n"),
                1 => format!("{space}\n"),
                _ => format!("{key} = {value}{space}\n"),
            };
        }
        whole += can_be_changed(&text);
    }
    assert!(whole > 1500, "{whole}");
}

/// Checks a file that can be read to its end: 1 if it can.
fn can_be_changed(text: &str) -> usize {
    usize::from(fuzzing::load(text.as_bytes()).completeness == Completeness::Complete)
}
