//! A configuration as the API shows it.

use super::{CAMERAS, keys};
use crate::config::{Auth, Config, FurtherCamera};

impl serde::Serialize for Config {
    /// Writes it with the names and forms of the file, so that the API and the file read alike.
    /// Secrets are hidden, what is unset is left out.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut root = toml::Table::new();
        for (key, value) in keys().iter().filter_map(|key| Some((key, key.value(self)?))) {
            insert(&mut root, key.name, value);
        }
        let cameras = self.cameras.iter().map(|camera| camera.to_table().into());
        root.insert(CAMERAS.into(), toml::Value::Array(cameras.collect()));
        if let Auth::Locked { .. } = self.auth {
            root.insert(
                "auth".into(),
                toml::Table::from_iter([("locked".into(), true.into())]).into(),
            );
        }
        root.serialize(serializer)
    }
}

/// Puts a value under a dotted name.
fn insert(root: &mut toml::Table, name: &str, value: toml::Value) {
    let (tables, name) = name.rsplit_once('.').map_or((None, name), |(t, name)| (Some(t), name));
    let table = tables.into_iter().flat_map(|tables| tables.split('.'));
    let table = table.into_iter().try_fold(root, |table, part| {
        table.entry(part).or_insert_with(|| toml::Table::new().into()).as_table_mut()
    });
    if let Some(table) = table {
        table.insert(name.to_owned(), value);
    }
}

impl FurtherCamera {
    /// Its entry of `[[cameras]]`. Secrets are hidden, what is unset is left out.
    pub(in crate::config) fn to_table(&self) -> toml::Table {
        let mut table = toml::Table::new();
        insert(&mut table, "name", self.name.as_str().into());
        for key in keys() {
            if let (Some(name), Some(value)) =
                (key.name_in_entry(), key.camera_value(self.settings()))
            {
                insert(&mut table, name, value);
            }
        }
        table
    }
}
