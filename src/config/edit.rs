//! Changing `config.toml` where the device itself has to: text in, text out. Remarks, order and
//! line ends stay as their owner wrote them; only with a line that goes, its remarks go.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Key, Table, TableLike, Value, value};

use super::numbers::Numbers;
use super::shape::MOST_ENTRIES;
use super::text::{MAX_BYTES, Text};
use super::{CountryCode, PasswordHash, Ssid, WifiNetwork};

/// Why a file was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is not TOML, so there is no place to put anything.
    #[error("config.toml cannot be read as it is ({0}); mend it first")]
    Unreadable(String),
    /// A value stands where there should be a section.
    #[error("`{0}` in config.toml is not a section; mend it first")]
    NoSection(&'static str),
    /// With what is to be written it would be too large to be read again.
    #[error("config.toml would be larger than 1 MiB; shorten it first")]
    TooLarge,
    /// What stands where further networks should be is no list, or a full one.
    #[error("`wifi.networks` in config.toml takes no further network; mend it first")]
    NoRoom,
}

/// Writes the hash of a password, in the place of a password in the clear.
///
/// # Errors
/// When the file cannot be read.
pub fn set_password(file: &[u8], hash: &PasswordHash) -> Result<String, EditError> {
    edit(file, |document| {
        let auth = section(document, "auth")?;
        // In its place, so that remarks beside it and above it stay there.
        let former = auth.iter().position(|(key, _)| key == "password");
        let mut key = Key::new("password_hash");
        let mut hash = Value::from(hash.expose());
        if let Some((old, item)) = auth.get_key_value("password") {
            *key.leaf_decor_mut() = old.leaf_decor().clone();
            if let Some(value) = item.as_value() {
                *hash.decor_mut() = value.decor().clone();
            }
        }
        auth.remove("password");
        auth.remove("password_hash");
        auth.entry_format(&key).or_insert(Item::Value(hash));
        if let Some(position) = former {
            move_to(auth, "password_hash", position);
        }
        Ok(())
    })
}

/// Writes a wireless network as the preferred one. The one that was becomes the next, unless it
/// stands among the others already.
///
/// # Errors
/// When the file cannot be read, or has no place for the one that was.
pub fn set_network(
    file: &[u8],
    network: &WifiNetwork,
    country: Option<&CountryCode>,
) -> Result<String, EditError> {
    edit(file, |document| {
        let wifi = section(document, "wifi")?;
        let former = former_network(wifi, network.ssid.as_str());
        put(wifi, "ssid", network.ssid.as_str().into());
        match &network.password {
            Some(password) => put(wifi, "password", password.expose().into()),
            None => drop(wifi.remove("password")),
        }
        match network.hidden {
            true => put(wifi, "hidden", true.into()),
            false => drop(wifi.remove("hidden")),
        }
        if let Some(country) = country {
            put(wifi, "country", country.as_str().into());
        }
        match former {
            Some(former) => put_first(wifi, former),
            None => Ok(()),
        }
    })
}

/// Sets a value, in the place of the former one and with the remarks above and beside it.
fn put(section: &mut dyn TableLike, key: &str, mut value: Value) {
    match section.get_mut(key) {
        Some(Item::Value(former)) => {
            *value.decor_mut() = former.decor().clone();
            *former = value;
        }
        _ => drop(section.insert(key, Item::Value(value))),
    }
}

/// What makes a network, in `[wifi]` as in each of `wifi.networks`.
const FIELDS: [&str; 3] = ["ssid", "password", "hidden"];

/// The preferred network, unless it goes by the name of the new one.
fn former_network(wifi: &dyn TableLike, new: &str) -> Option<InlineTable> {
    // What is no name was no network.
    let ssid: Ssid = written(wifi, "ssid")?.parse().ok()?;
    let fields = FIELDS.iter().filter_map(|key| {
        let mut value = wifi.get(key)?.as_value()?.clone();
        value.decor_mut().clear();
        Some((*key, value))
    });
    (ssid.as_str() != new).then(|| fields.collect())
}

/// What a key is set to, whichever way it is quoted.
fn written(table: &dyn TableLike, key: &str) -> Option<String> {
    let value = table.get(key)?.as_value()?;
    Some(value.as_str().map_or_else(|| value.to_string().trim().to_owned(), str::to_owned))
}

/// Makes `network` the first of the other ones. One that is among them stays where it is: else who
/// goes to and fro between two networks would fill the list.
fn put_first(wifi: &mut dyn TableLike, network: InlineTable) -> Result<(), EditError> {
    let same = |other: &dyn TableLike| {
        FIELDS.iter().all(|key| written(other, key) == written(&network, key))
    };
    let others = wifi.entry("networks").or_insert_with(|| value(Array::new()));
    let (length, known) = match &*others {
        Item::Value(Value::Array(others)) => {
            let mut tables = others.iter().filter_map(Value::as_inline_table);
            (others.len(), tables.any(|table| same(table)))
        }
        // `[[wifi.networks]]`
        Item::ArrayOfTables(others) => (others.len(), others.iter().any(|table| same(table))),
        _ => return Err(EditError::NoRoom),
    };
    if known {
        return Ok(());
    }
    if length >= MOST_ENTRIES {
        return Err(EditError::NoRoom);
    }
    match others {
        Item::ArrayOfTables(others) => {
            let mut table = network.into_table();
            // Right above the one that was the first.
            table.set_position(others.get(0).and_then(Table::position));
            others.insert(0, table);
        }
        others => others.as_array_mut().ok_or(EditError::NoRoom)?.insert(0, network),
    }
    Ok(())
}

/// Takes out the order to forget everything.
///
/// # Errors
/// When the file cannot be read.
pub fn clear_factory_reset(file: &[u8]) -> Result<String, EditError> {
    edit(file, |document| {
        section(document, "device")?.remove("factory_reset");
        Ok(())
    })
}

fn edit(
    file: &[u8],
    change: impl FnOnce(&mut DocumentMut) -> Result<(), EditError>,
) -> Result<String, EditError> {
    let Text { text, fault, .. } = Text::decode(file);
    if let Some(fault) = fault {
        return Err(EditError::Unreadable(fault.into()));
    }
    let (plain, numbers) = Numbers::take_out(&text);
    let parsed = plain.parse::<DocumentMut>();
    let mut document = parsed.map_err(|e| EditError::Unreadable(e.message().into()))?;
    change(&mut document)?;
    let edited = numbers.put_back(&document.to_string());
    let edited = match text.contains("\r\n") {
        true => edited.replace("\r\n", "\n").replace('\n', "\r\n"),
        false => edited,
    };
    if edited.len() > MAX_BYTES {
        return Err(EditError::TooLarge);
    }
    Ok(edited)
}

fn section<'d>(
    document: &'d mut DocumentMut,
    name: &'static str,
) -> Result<&'d mut dyn TableLike, EditError> {
    let item = document.entry(name).or_insert_with(|| Item::Table(Table::new()));
    item.as_table_like_mut().ok_or(EditError::NoSection(name))
}

/// Moves `key`, the last of the section's, to `position`.
fn move_to(section: &mut dyn TableLike, key: &str, position: usize) {
    let names: Vec<String> = section.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names.iter().skip(position).filter(|name| *name != key) {
        // Taken out and put in again, a key is the last one.
        let entry = section.get_key_value(name).map(|(key, item)| (key.clone(), item.clone()));
        if let Some((key, item)) = entry {
            section.remove(key.get());
            section.entry_format(&key).or_insert(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Auth, Config, Password, Secret};

    fn hash() -> PasswordHash {
        PasswordHash::of("correct horse").unwrap()
    }

    fn network(ssid: &str, password: &str) -> WifiNetwork {
        WifiNetwork {
            ssid: ssid.parse().unwrap(),
            password: Some(Secret::new(password)),
            hidden: false,
        }
    }

    fn read(file: &str) -> Config {
        let loaded = Config::load(file.as_bytes(), "f");
        assert_eq!(loaded.problems, [], "{file}");
        loaded.config
    }

    #[test]
    fn a_password_in_the_clear_becomes_its_hash_and_all_else_stays() {
        let before = "# mine\r\n[auth]\r\n# the door\r\npassword = \"correct horse\" # old\r\n\
                      tokens = []\r\n\r\n[camera]\r\nfps = 25 # slow\r\n";
        let after = set_password(before.as_bytes(), &hash()).unwrap();
        assert!(!after.contains("correct horse"), "{after}");
        let secret = after.lines().nth(3).unwrap();
        assert!(secret.starts_with("password_hash = \"$argon2id$"), "{after}");
        assert!(secret.ends_with("\" # old"), "{after}");
        let same = |n| before.lines().nth(n) == after.lines().nth(n);
        assert!([0, 1, 2, 4, 5, 6, 7].into_iter().all(same), "{after}");
        assert_eq!(after.matches("\r\n").count(), 8, "{after:?}");
        let Auth::Set(credentials) = read(&after).auth else { panic!("{after}") };
        let Some(Password::Hash(hash)) = credentials.password else { panic!("{after}") };
        assert!(hash.verify("correct horse"));
    }

    #[test]
    fn a_file_that_is_empty_or_in_utf_16_takes_a_password_too() {
        assert!(matches!(read(&set_password(b"", &hash()).unwrap()).auth, Auth::Set(_)));
        let utf16: Vec<u8> =
            "\u{feff}[camera]\nfps = 25\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&set_password(&utf16, &hash()).unwrap()).camera.fps, Some(25.0));
    }

    #[test]
    fn a_file_that_cannot_be_read_to_its_end_is_left_alone() {
        for file in [&b"[auth]\npassword = \"open"[..], b"a = 1\xff\n", b"a = 1\n\0\0\0"] {
            assert!(matches!(set_password(file, &hash()), Err(EditError::Unreadable(_))));
        }
        assert_eq!(set_password(b"auth = 1", &hash()), Err(EditError::NoSection("auth")));
    }

    #[test]
    fn a_network_that_was_joined_comes_first_and_the_others_stay() {
        let before = "[wifi]\nssid = \"old\" # home\npassword = \"correct horse\"\n";
        let new = network("new \"one\"\\", "battery staple");
        let after = set_network(before.as_bytes(), &new, "DE".parse().ok().as_ref()).unwrap();
        let all: Vec<WifiNetwork> = read(&after).wifi.all().collect();
        assert_eq!(all, [new.clone(), network("old", "correct horse")]);
        let again = set_network(after.as_bytes(), &new, None).unwrap();
        assert_eq!(read(&again).wifi.all().count(), 2, "{again}");
    }

    #[test]
    fn remarks_about_a_network_stay_when_another_one_is_joined() {
        let before = "[wifi]\r\n# of the house\r\nssid = \"old\" # home\r\n\
                      # on the router\r\npassword = \"correct horse\" # long\r\ncountry=\"FR\"\r\n";
        let new = network("new", "battery staple");
        let after = set_network(before.as_bytes(), &new, "DE".parse().ok().as_ref()).unwrap();
        let expected = before.replace("old", "new").replace("correct horse", "battery staple");
        let expected = expected.replace("FR", "DE")
            + "networks = [{ ssid = \"old\", password = \"correct horse\" }]\r\n";
        assert_eq!(after, expected);
    }

    #[test]
    fn further_networks_may_be_sections_of_their_own() {
        let before = "[wifi]\nssid = \"old\"\npassword = \"correct horse\"\n\n[camera]\nfps = 25\n\n\
                      # the shed\n[[wifi.networks]]\nssid = \"shed\" # warm\n\n\
                      [[wifi.networks]]\nssid = \"barn\"\n";
        let new = network("new", "battery staple");
        let after = set_network(before.as_bytes(), &new, None).unwrap();
        let names = |file: &str| -> Vec<String> {
            read(file).wifi.all().map(|network| network.ssid.to_string()).collect()
        };
        assert_eq!(names(&after), ["new", "old", "shed", "barn"], "{after}");
        assert!(read(&after).wifi.all().any(|n| n == network("old", "correct horse")), "{after}");
        let stays = &before[before.find("# the shed").unwrap()..];
        assert!(after.ends_with(stays), "{after}");
        // Without a section for the preferred one, too.
        let after = set_network(stays.as_bytes(), &new, None).unwrap();
        assert_eq!(names(&after), ["new", "shed", "barn"], "{after}");
    }

    #[test]
    fn going_to_and_fro_between_two_networks_fills_no_list() {
        let (one, other) = (network("one", "correct horse"), network("other", "battery staple"));
        for further in ["", "[[wifi.networks]]\nssid = \"shed\"\n"] {
            let mut file = set_network(further.as_bytes(), &one, None).unwrap();
            let others = read(&file).wifi.all().count();
            for _ in 0..MOST_ENTRIES {
                file = set_network(file.as_bytes(), &other, None).unwrap();
                file = set_network(file.as_bytes(), &one, None).unwrap();
            }
            let all: Vec<WifiNetwork> = read(&file).wifi.all().collect();
            assert_eq!(all.len(), others + 2, "{file}");
            assert_eq!((&all[0], &all[1]), (&one, &other), "{file}");
        }
    }

    #[test]
    fn no_network_is_lost_where_there_is_no_place_for_it() {
        let many: Vec<_> = (0..MOST_ENTRIES).map(|n| format!("{{ ssid = \"n{n}\" }}")).collect();
        for networks in ["5".to_owned(), format!("[{}]", many.join(", "))] {
            let file = format!("[wifi]\nssid = \"old\"\nnetworks = {networks}\n");
            let new = network("new", "battery staple");
            assert_eq!(set_network(file.as_bytes(), &new, None), Err(EditError::NoRoom));
        }
    }

    #[test]
    fn numbers_that_are_too_large_stay_as_they_are_written() {
        let before = "[camera]\nfps = 101e999 # fast\nwidth = 99999999999999999999\n\
                      x = [-1e400, +1_0e4_00, 0xFFFFFFFFFFFFFFFFFFFF, { y = 0b1, z = 1e999 }]\n\
                      \"1e999\" = '1e999' # 1e999\n\n[wifi]\nssid = \"a\"\nz = 1e999\n";
        assert_eq!(Config::load(before.as_bytes(), "f").extent, crate::config::Extent::Whole);
        let after = set_password(before.as_bytes(), &hash()).unwrap();
        assert!(after.starts_with(before), "{after}");
        let after = set_network(before.as_bytes(), &network("b", "correct horse"), None).unwrap();
        assert!(after.contains("width = 99999999999999999999\n"), "{after}");
        assert!(after.contains("\"1e999\" = '1e999' # 1e999\n"), "{after}");
        let before = "[device]\nfactory_reset = true # 1e999\nx = 1e999\n";
        assert_eq!(clear_factory_reset(before.as_bytes()).unwrap(), "[device]\nx = 1e999\n");
        // One that goes takes nothing of another's place.
        let before = "[auth]\npassword = 1e999\n[camera]\nfps = 2e999\n";
        let after = set_password(before.as_bytes(), &hash()).unwrap();
        assert!(after.ends_with("[camera]\nfps = 2e999\n"), "{after}");
        // One that stands for a network's name is none still.
        let before = "[wifi]\nssid = 1e999\n";
        let after = set_network(before.as_bytes(), &network("b", "correct horse"), None).unwrap();
        assert!(!after.contains("1e999"), "{after}");
    }

    #[test]
    fn a_file_that_could_not_be_read_again_is_not_written() {
        let mut before = "#".repeat(MAX_BYTES - 10);
        before.push('\n');
        assert_eq!(Config::load(before.as_bytes(), "f").problems, []);
        assert_eq!(set_password(before.as_bytes(), &hash()), Err(EditError::TooLarge));
    }

    #[test]
    fn the_order_to_forget_is_carried_out_once() {
        let before = "[device]\nfactory_reset = true\nhostname = \"garden\"\n";
        assert!(read(before).device.factory_reset);
        let after = clear_factory_reset(before.as_bytes()).unwrap();
        assert_eq!(after, "[device]\nhostname = \"garden\"\n");
    }
}
