//! Changing `config.toml` where the device itself has to: text in, text out. Comments, order and line
//! ends stay as the owner wrote them; only the comments of a removed line go with it.

#[cfg(feature = "steward")]
mod device;

#[cfg(feature = "steward")]
pub use device::{clear_factory_reset, set_network};

use toml_edit::{DocumentMut, Item, Key, Table, TableLike, Value};

use super::PasswordHash;
use super::large_numbers::LargeNumbers;
use super::text::{FileText, MAX_BYTES};

/// Why a file was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is not TOML, so nothing can be put into it.
    #[error("config.toml cannot be read as it is ({0}); fix it first")]
    Unreadable(String),
    /// A value stands where there should be a section.
    #[error("`{0}` in config.toml is not a section; fix it first")]
    NoSection(&'static str),
    /// With the change it would be too large to be read again.
    #[error("config.toml would be larger than 1 MiB; shorten it first")]
    TooLarge,
    /// Where further networks should be is something other than a list, or a full list.
    #[cfg(feature = "steward")]
    #[error("`wifi.networks` in config.toml takes no further network; fix it first")]
    NoRoom,
}

/// Writes the hash of a password, in place of a password in the clear.
///
/// # Errors
/// When the file cannot be read.
pub fn set_password(file: &[u8], hash: &PasswordHash) -> Result<String, EditError> {
    edit(file, |document| {
        let auth = section(document, "auth")?;
        // In its place, so that comments beside it and above it stay there.
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

fn edit(
    file: &[u8],
    change: impl FnOnce(&mut DocumentMut) -> Result<(), EditError>,
) -> Result<String, EditError> {
    let FileText { text, fault, .. } = FileText::decode(file);
    if let Some(fault) = fault {
        return Err(EditError::Unreadable(fault.into()));
    }
    let (plain, numbers) = LargeNumbers::take_out(&text);
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
        // A key that is removed and inserted again is the last one.
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
    use crate::config::{Auth, Config, Password};

    pub(super) fn hash() -> PasswordHash {
        PasswordHash::of("correct horse").unwrap()
    }

    pub(super) fn read(file: &str) -> Config {
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
    fn a_file_that_could_not_be_read_again_is_not_written() {
        let mut before = "#".repeat(MAX_BYTES - 10);
        before.push('\n');
        assert_eq!(Config::load(before.as_bytes(), "f").problems, []);
        assert_eq!(set_password(before.as_bytes(), &hash()), Err(EditError::TooLarge));
    }
}
