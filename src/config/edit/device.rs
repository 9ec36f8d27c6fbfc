//! What the image's part that runs as root changes: the wireless networks, and the order to reset.

use toml_edit::{Array, InlineTable, Item, Table, TableLike, Value, value};

use super::{EditError, edit, section};
use crate::config::shape::MAX_ENTRIES;
use crate::config::{CountryCode, Ssid, WifiNetwork};

/// Writes a wireless network as the preferred one. The former one becomes the second, unless it is
/// among the others already.
///
/// # Errors
/// When the file cannot be read, or has no room for the former one.
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

/// Sets a value, in place of the former one and with the comments above and beside it.
fn put(section: &mut dyn TableLike, key: &str, mut value: Value) {
    match section.get_mut(key) {
        Some(Item::Value(former)) => {
            *value.decor_mut() = former.decor().clone();
            *former = value;
        }
        _ => drop(section.insert(key, Item::Value(value))),
    }
}

/// The keys of a network, in `[wifi]` and in each of `wifi.networks`.
const FIELDS: [&str; 3] = ["ssid", "password", "hidden"];

/// The preferred network, unless it has the name of the new one.
fn former_network(wifi: &dyn TableLike, new: &str) -> Option<InlineTable> {
    // What is not a valid name was not a network.
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

/// Makes `network` the first of the other ones. One that is among them stays where it is: otherwise
/// switching back and forth between two networks would fill the list.
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
    if length >= MAX_ENTRIES {
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

/// Removes the order to reset the device.
///
/// # Errors
/// When the file cannot be read.
pub fn clear_factory_reset(file: &[u8]) -> Result<String, EditError> {
    edit(file, |document| {
        section(document, "device")?.remove("factory_reset");
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::set_password;
    use super::super::tests::{hash, read};
    use super::*;
    use crate::config::{Config, Secret};

    fn network(ssid: &str, password: &str) -> WifiNetwork {
        WifiNetwork {
            ssid: ssid.parse().unwrap(),
            password: Some(Secret::new(password)),
            hidden: false,
        }
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
    fn comments_about_a_network_stay_when_another_one_is_joined() {
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
            for _ in 0..MAX_ENTRIES {
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
        let many: Vec<_> = (0..MAX_ENTRIES).map(|n| format!("{{ ssid = \"n{n}\" }}")).collect();
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
        assert_eq!(
            Config::load(before.as_bytes(), "f").completeness,
            crate::config::Completeness::Complete
        );
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
    fn the_order_to_forget_is_carried_out_once() {
        let before = "[device]\nfactory_reset = true\nhostname = \"garden\"\n";
        assert!(read(before).device.factory_reset);
        let after = clear_factory_reset(before.as_bytes()).unwrap();
        assert_eq!(after, "[device]\nhostname = \"garden\"\n");
    }
}
