//! [`Section`]: reads a map of the file key by key, and complains about what nobody asked for.
//!
//! Reading a key declares it: its name, what it is for, its default and its range are said
//! once, in the call. From these calls come the values, the suggestions for unknown keys and
//! (by reading nothing, see [`Reading::describe`]) the JSON Schema. So every key is read
//! before the first `?`.
//!
//! What reads returns nothing after a mistake, which is then on the list.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Place;
use super::error::Mistake;
use super::node::{Key as WrittenKey, Node, Value, shown};
use super::reading::Reading;
use super::scalar::{Scalar, listen_address, path};
use super::schema::{Absent, Key, Shape};
use crate::policy::nearest;

/// A map of the file while it is read.
pub(super) struct Section<'r, 'd> {
    /// The whole.
    reading: &'r mut Reading,
    /// The keys that lead here, with dots between them.
    path: String,
    /// What is written in it.
    entries: &'d [(WrittenKey, Node)],
    /// Where it is, for what is missing in it.
    place: Place,
    /// What was asked for so far.
    keys: Vec<Key>,
}

/// Scalars.
impl<'d> Section<'_, 'd> {
    /// A scalar that has to be written.
    pub(super) fn required<T: 'static>(
        &mut self,
        key: &'static str,
        about: &'static str,
        scalar: Scalar<T>,
    ) -> Option<T> {
        self.declare(key, about, Absent::Wrong, Shape::One(scalar.schema.clone()));
        match self.value(key) {
            Some(node) => self.scalar(key, node, &scalar),
            None => self.missing(key, &scalar.expected),
        }
    }

    /// A scalar that may be written.
    pub(super) fn optional<T: 'static>(
        &mut self,
        key: &'static str,
        about: &'static str,
        scalar: Scalar<T>,
    ) -> Option<Option<T>> {
        self.declare(
            key,
            about,
            Absent::Nothing,
            Shape::One(scalar.schema.clone()),
        );
        match self.value(key) {
            Some(node) => self.scalar(key, node, &scalar).map(Some),
            None => Some(None),
        }
    }

    /// A scalar with a default, which is given as it would be written.
    pub(super) fn default<T: 'static>(
        &mut self,
        key: &'static str,
        default: &'static str,
        about: &'static str,
        scalar: Scalar<T>,
    ) -> Option<T> {
        self.declare(
            key,
            about,
            Absent::Text(default),
            Shape::One(scalar.schema.clone()),
        );
        match self.value(key) {
            Some(node) => self.scalar(key, node, &scalar),
            None => scalar.read(default).ok(),
        }
    }

    /// The path of a file that can be read, which has to be written.
    pub(super) fn required_file(
        &mut self,
        key: &'static str,
        about: &'static str,
    ) -> Option<PathBuf> {
        let file = self.required(key, about, path(self.base()))?;
        self.readable(key, &file)?;
        Some(file)
    }

    /// The path of a file that can be read, which may be written.
    pub(super) fn optional_file(
        &mut self,
        key: &'static str,
        about: &'static str,
    ) -> Option<Option<PathBuf>> {
        let file = self.optional(key, about, path(self.base()))?;
        if let Some(file) = &file {
            self.readable(key, file)?;
        }
        Some(file)
    }

    /// A key whose part is not built. It is taken at the value that leaves the part off, and
    /// at no other.
    pub(super) fn not_yet(&mut self, key: &'static str, off: Absent, about: &'static str) {
        if let Some(node) = self.value(key).filter(|node| !off.is(node)) {
            let path = self.path_of(key);
            let (what, help) = match &off {
                Absent::Wrong | Absent::Nothing => (String::new(), format!("remove `{key}`")),
                Absent::Text(off) => (
                    format!(" at {}", node.found()),
                    format!("leave it at `{off}`, which is the default"),
                ),
                Absent::List(off) => (
                    String::new(),
                    format!("leave it at `[{}]`, which is the default", off.join(", ")),
                ),
            };
            let message = format!("`{path}`{what} is not in this version");
            self.reading.wrong(node.place, message, help);
        }
        self.declare(key, about, off, Shape::NotInThisVersion);
    }
}

/// Lists of scalars.
impl<'d> Section<'_, 'd> {
    /// A list that has to be written, with at least one item.
    pub(super) fn required_list<T: 'static>(
        &mut self,
        key: &'static str,
        about: &'static str,
        scalar: Scalar<T>,
    ) -> Option<Vec<T>> {
        self.declare(
            key,
            about,
            Absent::Wrong,
            Shape::Many(scalar.schema.clone()),
        );
        let expected = format!("a list, each item {}", scalar.expected);
        let Some(node) = self.value(key) else {
            return self.missing(key, &expected);
        };
        let values = self.values(key, node, &scalar)?;
        if values.is_empty() {
            let message = format!("`{}` is empty", self.path_of(key));
            return self.wrong(key, message, format!("it takes {expected}"));
        }
        values.into_iter().collect()
    }

    /// A list with a default, whose items are given as they would be written.
    pub(super) fn list<T: 'static>(
        &mut self,
        key: &'static str,
        default: &'static [&'static str],
        about: &'static str,
        scalar: Scalar<T>,
    ) -> Option<Vec<T>> {
        self.declare(
            key,
            about,
            Absent::List(default),
            Shape::Many(scalar.schema.clone()),
        );
        match self.value(key) {
            Some(node) => self.values(key, node, &scalar)?.into_iter().collect(),
            None => default.iter().map(|text| scalar.read(text).ok()).collect(),
        }
    }

    /// The addresses to listen on; none by default. No two in the whole file may collide.
    pub(super) fn listen(&mut self, about: &'static str) -> Option<Vec<SocketAddr>> {
        let scalar = listen_address();
        self.declare(
            "listen",
            about,
            Absent::List(&[]),
            Shape::Many(scalar.schema.clone()),
        );
        let Some(node) = self.value("listen") else {
            return Some(Vec::new());
        };
        let addresses = self.values("listen", node, &scalar)?;
        for (item, address) in addresses.iter().enumerate() {
            if let Some(address) = address {
                let place = self.place_of_item("listen", item);
                self.reading.listen(*address, place);
            }
        }
        addresses.into_iter().collect()
    }
}

/// Keys below keys.
impl<'d> Section<'_, 'd> {
    /// The keys below `key`, all at their defaults where it is not written.
    pub(super) fn section<T>(
        &mut self,
        key: &'static str,
        about: &'static str,
        read: impl FnOnce(&mut Section<'_, 'd>) -> Option<T>,
    ) -> Option<T> {
        let (value, keys) = self.below(key, read);
        self.declare(key, about, Absent::Nothing, Shape::Section(keys));
        value
    }

    /// The keys below `key`, which has to be written.
    pub(super) fn required_section<T>(
        &mut self,
        key: &'static str,
        about: &'static str,
        read: impl FnOnce(&mut Section<'_, 'd>) -> Option<T>,
    ) -> Option<T> {
        let (value, keys) = if self.has(key) || self.reading.describing {
            self.below(key, read)
        } else {
            (self.missing(key, "keys with values"), Vec::new())
        };
        self.declare(key, about, Absent::Wrong, Shape::Section(keys));
        value
    }

    /// The keys below `key`, where it is written.
    pub(super) fn optional_section<T>(
        &mut self,
        key: &'static str,
        about: &'static str,
        read: impl FnOnce(&mut Section<'_, 'd>) -> Option<T>,
    ) -> Option<Option<T>> {
        let (value, keys) = if self.has(key) || self.reading.describing {
            let (value, keys) = self.below(key, read);
            (value.map(Some), keys)
        } else {
            (Some(None), Vec::new())
        };
        self.declare(key, about, Absent::Nothing, Shape::Section(keys));
        value
    }

    /// A scalar with a default, or keys below `key` in its place.
    pub(super) fn default_or_section<T: 'static>(
        &mut self,
        key: &'static str,
        default: &'static str,
        about: &'static str,
        scalar: Scalar<T>,
        read: impl FnOnce(&mut Section<'_, 'd>) -> Option<T>,
    ) -> Option<T> {
        let is_map = self
            .value(key)
            .is_some_and(|node| matches!(node.value, Value::Map(_)));
        let (value, keys) = match is_map || self.reading.describing {
            true => self.below(key, read),
            false => (None, Vec::new()),
        };
        let shape = Shape::OneOrSection(scalar.schema.clone(), keys);
        self.declare(key, about, Absent::Text(default), shape);
        match self.value(key) {
            Some(_) if is_map => value,
            Some(node) => self.scalar(key, node, &scalar),
            None => scalar.read(default).ok(),
        }
    }

    /// A list of maps; empty where it is not written.
    pub(super) fn sections<T>(
        &mut self,
        key: &'static str,
        about: &'static str,
        mut read: impl FnMut(&mut Section<'_, 'd>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let path = self.path_of(key);
        if self.reading.describing {
            let (_, keys) = self.reading.section(&path, None, self.place, read);
            self.declare(key, about, Absent::List(&[]), Shape::Sections(keys));
            return Some(Vec::new());
        }
        self.declare(key, about, Absent::List(&[]), Shape::Sections(Vec::new()));
        let items = match self.value(key) {
            None => &[],
            Some(node) => self.items(key, node)?,
        };
        // Every item is read before the first failure counts.
        let values: Vec<Option<T>> = items
            .iter()
            .map(|item| {
                let section = self
                    .reading
                    .section(&path, Some(item), item.place, &mut read);
                section.0
            })
            .collect();
        values.into_iter().collect()
    }

    /// Reads what is below a key.
    fn below<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Section<'_, 'd>) -> Option<T>,
    ) -> (Option<T>, Vec<Key>) {
        let path = self.path_of(key);
        let (place, node) = match self.entry(key) {
            Some((key, node)) => (key.place, Some(node)),
            None => (self.place, None),
        };
        self.reading.section(&path, node, place, read)
    }
}

/// What was written where.
impl<'d> Section<'_, 'd> {
    /// Whether a key is written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Where the value of a key is written, or the section where it is not.
    pub(super) fn place_of(&self, key: &str) -> Place {
        match self.entry(key) {
            Some((key, node)) if matches!(node.value, Value::Nothing) => key.place,
            Some((_, node)) => node.place,
            None => self.place,
        }
    }

    /// Where an item of the list at a key is written.
    pub(super) fn place_of_item(&self, key: &str, item: usize) -> Place {
        let items = match self.value(key).map(|node| &node.value) {
            Some(Value::List(items)) => items.as_slice(),
            _ => &[],
        };
        items
            .get(item)
            .map_or_else(|| self.place_of(key), |item| item.place)
    }

    /// The folder that relative paths start at.
    pub(super) fn base(&self) -> &Path {
        self.reading.base()
    }

    /// The files that the configuration named so far, each once.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        self.reading.watched()
    }

    /// Demands that a file that is named at a key can be read, and watches it.
    pub(super) fn readable(&mut self, key: &str, path: &Path) -> Option<()> {
        let place = self.place_of(key);
        self.reading.readable(place, path)
    }

    /// The content of a file that is named at a place, which is then watched.
    pub(super) fn content(
        &mut self,
        place: Place,
        path: &Path,
        octets_max: u64,
    ) -> Option<Vec<u8>> {
        self.reading.content(place, path, octets_max)
    }
}

/// Mistakes.
impl<'d> Section<'_, 'd> {
    /// Notes a mistake at the value of a key, or at the section where it is not written.
    /// Always nothing, so that it can end a reading.
    pub(super) fn wrong<T>(
        &mut self,
        key: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<T> {
        let place = self.place_of(key);
        self.wrong_at(place, message, help);
        None
    }

    /// The same, at a place.
    pub(super) fn wrong_at(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.reading.wrong(place, message, help);
    }

    /// The same, at the value of a key, with another place that has to do with it.
    pub(super) fn wrong_with(
        &mut self,
        key: &str,
        message: impl Into<String>,
        help: impl Into<String>,
        other: (Place, String),
    ) {
        let place = self.place_of(key);
        self.reading.wrong_with(place, message, help, other);
    }

    /// Notes mistakes in a file that the configuration names.
    pub(super) fn wrong_in(&mut self, path: &Path, text: &str, mistakes: Vec<Mistake>) {
        self.reading.wrong_in(path, text, mistakes);
    }

    /// Notes that a key is missing.
    fn missing<T>(&mut self, key: &str, expected: &str) -> Option<T> {
        let message = match self.path.as_str() {
            "" => format!("`{key}` is missing"),
            path => format!("`{key}` is missing in `{path}`"),
        };
        self.wrong_at(
            self.place,
            message,
            format!("add `{key}: …`; it takes {expected}"),
        );
        None
    }

    /// Notes the keys that nobody asked for and those that are written twice.
    fn leftovers(&mut self) {
        let mut first_at = std::collections::HashMap::new();
        for (key, _) in self.entries {
            let first = *first_at.entry(key.name.as_str()).or_insert(key.place);
            if first != key.place {
                let message = format!("{} is written twice", shown(&key.name));
                let other = (first, "first here".to_owned());
                self.reading
                    .wrong_with(key.place, message, "keep one of them", other);
            } else if !self.keys.iter().any(|known| known.name == key.name) {
                self.unknown(key);
            }
        }
    }

    /// Notes a key that nobody asked for.
    fn unknown(&mut self, key: &WrittenKey) {
        let names: Vec<&str> = self.keys.iter().map(|key| key.name).collect();
        let help = match nearest(&key.name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", names.join(", ")),
        };
        let whose = match self.path.as_str() {
            "" => "the configuration".to_owned(),
            path => format!("`{path}`"),
        };
        let message = format!("{} is not a key of {whose}", shown(&key.name));
        self.wrong_at(key.place, message, help);
    }
}

/// The insides.
impl<'r, 'd> Section<'r, 'd> {
    /// A map of which nothing was asked yet.
    pub(super) fn new(
        reading: &'r mut Reading,
        path: &str,
        entries: &'d [(WrittenKey, Node)],
        place: Place,
    ) -> Self {
        Self {
            reading,
            path: path.to_owned(),
            entries,
            place,
            keys: Vec::new(),
        }
    }

    /// Notes what nobody asked for, and says what was asked for.
    pub(super) fn end(mut self) -> Vec<Key> {
        self.leftovers();
        self.keys
    }

    /// Says that a key is asked for.
    fn declare(&mut self, name: &'static str, about: &'static str, absent: Absent, shape: Shape) {
        self.keys.push(Key {
            name,
            about,
            absent,
            shape,
        });
    }

    /// A key and its value; of one that is written twice, the first.
    fn entry(&self, key: &str) -> Option<&'d (WrittenKey, Node)> {
        self.entries.iter().find(|(written, _)| written.name == key)
    }

    /// The value of a key.
    fn value(&self, key: &str) -> Option<&'d Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The keys that lead to a key.
    fn path_of(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    /// Reads the scalar at a key.
    fn scalar<T: 'static>(&mut self, key: &str, node: &Node, scalar: &Scalar<T>) -> Option<T> {
        let path = self.path_of(key);
        self.reading.scalar(&path, node, scalar)
    }

    /// Reads the items of a list of scalars; nothing for each that is wrong.
    fn values<T: 'static>(
        &mut self,
        key: &str,
        node: &Node,
        scalar: &Scalar<T>,
    ) -> Option<Vec<Option<T>>> {
        let items = self.items(key, node)?;
        Some(
            items
                .iter()
                .map(|item| self.scalar(key, item, scalar))
                .collect(),
        )
    }

    /// The items of a list.
    fn items<'n>(&mut self, key: &str, node: &'n Node) -> Option<&'n [Node]> {
        let help = match &node.value {
            Value::List(items) => return Some(items),
            Value::Nothing => "write `[]` for an empty list, or remove the key".to_owned(),
            Value::Text { text, .. } => {
                format!("put it in brackets: `[{}]`", shown(text).trim_matches('`'))
            }
            Value::Map(_) => "start each item with `- `".to_owned(),
        };
        let message = format!("`{}` takes a list, not {}", self.path_of(key), node.found());
        self.wrong(key, message, help)
    }
}
