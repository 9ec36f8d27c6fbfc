//! Shapes made of other shapes.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use toml::de::DeTable;

use super::{Shape, Value, ValueErrors, either};
use crate::config::Auto;
use crate::config::similar::nearest;

/// The most entries of a list or table. Nobody needs as many, and a hostile file cannot make Picket
/// report half a million problems.
pub(in crate::config) const MAX_ENTRIES: usize = 100;

/// A value that need not be set.
pub(in crate::config) struct Optional<S>(pub S);

impl<T, S: Shape<T>> Shape<Option<T>> for Optional<S> {
    fn expects(&self) -> String {
        self.0.expects()
    }
    fn is_sensitive(&self) -> bool {
        self.0.is_sensitive()
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<Option<T>> {
        self.0.read(value, errors).map(Some)
    }
    fn write(&self, value: &Option<T>) -> Option<toml::Value> {
        value.as_ref().and_then(|value| self.0.write(value))
    }
}

/// `"auto"`, or a value.
pub(in crate::config) struct OrAuto<S>(pub S);

impl<T, S: Shape<T>> Shape<Auto<T>> for OrAuto<S> {
    fn expects(&self) -> String {
        format!("\"auto\" or {}", self.0.expects())
    }
    fn is_sensitive(&self) -> bool {
        self.0.is_sensitive()
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<Auto<T>> {
        if value.get_ref().as_str() == Some("auto") {
            return Some(Auto::Auto);
        }
        let fixed = self.0.read(value, &mut ValueErrors::default());
        fixed.map(Auto::Fixed).or_else(|| Shape::<Auto<T>>::reject(self, value, errors))
    }
    fn write(&self, value: &Auto<T>) -> Option<toml::Value> {
        match value {
            Auto::Auto => Some("auto".into()),
            Auto::Fixed(value) => self.0.write(value),
        }
    }
}

/// A list. An entry that cannot be used is left out, which can only narrow what the list allows.
pub(in crate::config) struct List<S>(pub S);

impl<T, S: Shape<T>> Shape<Vec<T>> for List<S> {
    fn expects(&self) -> String {
        format!("a list of up to {MAX_ENTRIES}, each entry {}", self.0.expects())
    }
    fn is_sensitive(&self) -> bool {
        self.0.is_sensitive()
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<Vec<T>> {
        let entries = value.get_ref().as_array();
        let Some(entries) = entries.filter(|entries| entries.len() <= MAX_ENTRIES) else {
            return Shape::<Vec<T>>::reject(self, value, errors);
        };
        Some(entries.iter().filter_map(|entry| self.0.read(entry, errors)).collect())
    }
    fn write(&self, value: &Vec<T>) -> Option<toml::Value> {
        Some(toml::Value::Array(value.iter().filter_map(|entry| self.0.write(entry)).collect()))
    }
}

/// A table from paths of the site to other values. An entry that cannot be used is left out.
pub(in crate::config) struct PathMap<S>(pub S);

impl<K, T, S> Shape<BTreeMap<K, T>> for PathMap<S>
where
    K: FromStr + Display + Ord,
    S: Shape<T>,
{
    fn expects(&self) -> String {
        format!(
            "a table of up to {MAX_ENTRIES}, from paths such as \"/garden\" to {}",
            self.0.expects()
        )
    }
    fn is_sensitive(&self) -> bool {
        self.0.is_sensitive()
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<BTreeMap<K, T>> {
        let table = value.get_ref().as_table();
        let Some(table) = table.filter(|table| table.len() <= MAX_ENTRIES) else {
            return Shape::<BTreeMap<K, T>>::reject(self, value, errors);
        };
        let mut map = BTreeMap::new();
        for (path, entry) in table {
            match path.get_ref().parse() {
                Ok(path) => map.extend(self.0.read(entry, errors).map(|entry| (path, entry))),
                Err(_) => {
                    let found = errors.describe_name(path.get_ref());
                    let message = format!(
                        "expects paths that begin with `/` and hold only letters, digits and \
                         `-._~/`, found {found}"
                    );
                    errors.push(path.span(), message);
                }
            }
        }
        Some(map)
    }
    fn write(&self, value: &BTreeMap<K, T>) -> Option<toml::Value> {
        let entries = value.iter();
        let entries = entries.filter_map(|(k, v)| Some((k.to_string(), self.0.write(v)?)));
        Some(toml::Value::Table(entries.collect()))
    }
}

/// Reads the fields of a small table; whatever else stands in it is refused.
pub(in crate::config) struct Fields<'a, 'i> {
    table: &'a DeTable<'i>,
}

impl<'a, 'i> Fields<'a, 'i> {
    /// Opens a table that may have these fields.
    pub fn open(value: &'a Value<'i>, known: &[&str], errors: &mut ValueErrors) -> Option<Self> {
        let table = value.get_ref().as_table()?;
        let mut names = table.keys();
        if let Some(name) = names.find(|name| !known.contains(&name.get_ref().as_ref())) {
            let near = nearest(name.get_ref(), known.iter(), |known| **known);
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let known = either(known.iter().map(|name| format!("`{name}`")));
            let found = errors.describe_name(name.get_ref());
            let message = format!("takes only {known} in this table, found {found}{near}");
            errors.push(name.span(), message);
        }
        Some(Self { table })
    }

    /// The field, if it is there.
    pub fn get(&self, name: &str) -> Option<&'a Value<'i>> {
        self.table.get(name)
    }
}
