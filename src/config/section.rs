//! [`Section`]: reads a map of the file key by key, and complains about what nobody asked for.
//!
//! Reading a key declares it: its name, what it is for, its default and its range are said
//! once, in the call. From these calls come the values, the suggestions for unknown keys, and
//! (by reading nothing, see [`Reading::describe`]) the JSON Schema. So every key is read
//! before the first `?`.
//!
//! Every call that reads returns nothing after a mistake, which is then on the list.

use std::fs::{self, File};
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Place;
use super::error::{Mistake, Mistakes};
use super::nearest::nearest;
use super::node::{Node, Value, shown};
use super::scalar::{Refusal, Scalar, listen_address};
use super::schema::{Absent, Key, Shape};

/// One configuration while it is read.
pub(super) struct Reading {
    /// The configuration file.
    file: PathBuf,
    /// Whether the keys are declared only, and nothing is a mistake.
    describing: bool,
    /// What is wrong so far.
    mistakes: Mistakes,
    /// The files it names.
    watched: Vec<PathBuf>,
    /// Every address that is to be listened on.
    listeners: Vec<Listener>,
}

/// An address that is to be listened on.
struct Listener {
    /// The address.
    address: SocketAddr,
    /// Where it is written.
    place: Place,
}

impl Reading {
    /// Reads the file's tree with `read`, and says what that gave and every mistake.
    pub(super) fn read<T>(
        file: &Path,
        text: &str,
        root: &Node,
        read: impl FnOnce(&mut Section<'_, '_>) -> Option<T>,
    ) -> Result<T, Mistakes> {
        let mut reading = Self::new(file, false);
        reading.mistakes.keep_text(file, text);
        let (value, _) = reading.section("", Some(root), Place::START, read);
        reading.mistakes.sort(file);
        match value {
            Some(value) if reading.mistakes.is_empty() => Ok(value),
            _ => Err(reading.mistakes),
        }
    }

    /// The keys that `read` asks for.
    pub(super) fn describe<T>(read: impl FnOnce(&mut Section<'_, '_>) -> Option<T>) -> Vec<Key> {
        let mut reading = Self::new(Path::new(""), true);
        reading.section("", None, Place::START, read).1
    }

    /// Nothing read yet.
    fn new(file: &Path, describing: bool) -> Self {
        Self {
            file: file.to_owned(),
            describing,
            mistakes: Mistakes::default(),
            watched: Vec::new(),
            listeners: Vec::new(),
        }
    }

    /// Reads one map, or nothing as an empty one.
    fn section<'d, T>(
        &mut self,
        path: &str,
        node: Option<&'d Node>,
        place: Place,
        read: impl FnOnce(&mut Section<'_, 'd>) -> Option<T>,
    ) -> (Option<T>, Vec<Key>) {
        let entries = match node.map(|node| (&node.value, node)) {
            None | Some((Value::Nothing, _)) => &[],
            Some((Value::Map(entries), _)) => entries.as_slice(),
            Some((_, node)) => {
                let message = match path {
                    "" => format!("a configuration is keys with values, not {}", node.found()),
                    path => format!("`{path}` takes keys with values, not {}", node.found()),
                };
                self.wrong(
                    node.place,
                    message,
                    "write `key: value`, each on a line of its own",
                );
                return (None, Vec::new());
            }
        };
        let mut section = Section {
            reading: self,
            path: path.to_owned(),
            entries,
            place,
            keys: Vec::new(),
        };
        let value = read(&mut section);
        section.leftovers();
        (value, section.keys)
    }

    /// Notes a mistake in the configuration file.
    fn wrong(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.wrong_with(place, message, help, None);
    }

    /// Notes a mistake that has to do with another place.
    fn wrong_with(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
        other: Option<(Place, String)>,
    ) {
        if !self.describing {
            self.mistakes.push(Mistake {
                path: self.file.clone(),
                place: Some(place),
                message: message.into(),
                help: help.into(),
                other,
            });
        }
    }

    /// Reads a scalar at a key.
    fn scalar<T: 'static>(&mut self, key: &str, node: &Node, scalar: &Scalar<T>) -> Option<T> {
        let refusal = match &node.value {
            Value::Text { quoted: true, .. } if scalar.bare => {
                Refusal::Wrong("remove the quotes".to_owned())
            }
            Value::Text { text, .. } => match scalar.read(text) {
                Ok(value) => return Some(value),
                Err(refusal) => refusal,
            },
            Value::Nothing => Refusal::Wrong("write a value, or remove the key".to_owned()),
            Value::List(_) | Value::Map(_) => Refusal::Wrong("write a single value".to_owned()),
        };
        match refusal {
            Refusal::Wrong(help) => {
                let (expected, found) = (&scalar.expected, node.found());
                self.wrong(
                    node.place,
                    format!("`{key}` takes {expected}, not {found}"),
                    help,
                );
            }
            Refusal::NotInThisVersion => self.wrong(
                node.place,
                format!("{} of `{key}` is not in this version", node.found()),
                format!("`{key}` takes {}", scalar.expected),
            ),
        }
        None
    }
}

/// A map of the file while it is read.
pub(super) struct Section<'r, 'd> {
    /// The whole.
    reading: &'r mut Reading,
    /// The keys that lead here, with dots between them.
    path: String,
    /// What is written in it.
    entries: &'d [(super::node::Key, Node)],
    /// Where it is, for what is missing in it.
    place: Place,
    /// What was asked for so far.
    keys: Vec<Key>,
}

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
            Some(node) => self.reading.scalar(key, node, &scalar),
            None => self.missing(key, &format!("it takes {}", scalar.expected)),
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
            Some(node) => self.reading.scalar(key, node, &scalar).map(Some),
            None => Some(None),
        }
    }

    /// A scalar with a default, given as it would be written.
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
            Some(node) => self.reading.scalar(key, node, &scalar),
            None => scalar.read(default).ok(),
        }
    }

    /// A list of scalars that has to be written, with at least one.
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
        let Some(node) = self.value(key) else {
            return self.missing(key, &format!("it takes a list of {}", scalar.expected));
        };
        let values = self.values(key, node, &scalar)?;
        if values.is_empty() {
            let help = format!("write at least one: {}", scalar.expected);
            self.wrong(key, format!("`{key}` is empty"), help)?;
        }
        Some(values)
    }

    /// A list of scalars with a default, its items given as they would be written.
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
            Some(node) => self.values(key, node, &scalar),
            None => default.iter().map(|text| scalar.read(text).ok()).collect(),
        }
    }

    /// The addresses to listen on; none by default. No two in the whole file may collide.
    pub(super) fn listen(&mut self, about: &'static str) -> Option<Vec<SocketAddr>> {
        let addresses = self.list("listen", &[], about, listen_address())?;
        let places = self.item_places("listen");
        for (address, place) in addresses.iter().zip(places) {
            let address = *address;
            let taken = self
                .reading
                .listeners
                .iter()
                .find(|other| collide(other.address, address));
            if let Some(Listener {
                address: other,
                place: first,
            }) = taken
            {
                let other = (*first, format!("`{other}` is listened on here"));
                self.reading.wrong_with(
                    place,
                    format!("`{address}` is listened on twice"),
                    "give one of them another address or port",
                    Some(other),
                );
            }
            self.reading.listeners.push(Listener { address, place });
        }
        Some(addresses)
    }

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
        let written = self.value(key).is_some() || self.reading.describing;
        let (value, keys) = if written {
            self.below(key, read)
        } else {
            (self.missing(key, "it takes keys with values"), Vec::new())
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
        let written = self.value(key).is_some() || self.reading.describing;
        let (value, keys) = if written {
            let (value, keys) = self.below(key, read);
            (value.map(Some), keys)
        } else {
            (Some(None), Vec::new())
        };
        self.declare(key, about, Absent::Nothing, Shape::Section(keys));
        value
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

    /// A key whose part is not built. It is taken at the value that leaves the part off, and
    /// nothing else.
    pub(super) fn not_yet(&mut self, key: &'static str, off: Absent, about: &'static str) {
        let is_off = self
            .value(key)
            .is_none_or(|node| match (&node.value, &off) {
                (Value::Text { text, .. }, Absent::Text(off)) => text == off,
                (Value::List(items), Absent::List(off)) => {
                    let texts = items.iter().map(|item| match &item.value {
                        Value::Text { text, .. } => text.as_str(),
                        _ => "",
                    });
                    texts.eq(off.iter().copied())
                }
                _ => false,
            });
        if !is_off {
            let found = self.value(key).map(Node::found).unwrap_or_default();
            let help = match &off {
                Absent::Wrong | Absent::Nothing => format!("remove `{key}`"),
                Absent::Text(off) => format!("leave it at `{off}`, which is the default"),
                Absent::List(off) => {
                    format!("leave it at `[{}]`, which is the default", off.join(", "))
                }
            };
            let message = match off {
                Absent::Text(_) => format!("`{key}` at {found} is not in this version"),
                _ => format!("`{key}` is not in this version"),
            };
            let _: Option<()> = self.wrong(key, message, help);
        }
        self.declare(key, about, off, Shape::NotInThisVersion);
    }

    /// Notes a mistake at the value of a key, or at the section where it is not written.
    /// Always nothing, so that it can end a reading.
    pub(super) fn wrong<T>(
        &mut self,
        key: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<T> {
        let place = self.place_of(key);
        self.reading.wrong(place, message, help);
        None
    }

    /// The same, at one item of the list at a key.
    pub(super) fn wrong_item(
        &mut self,
        key: &str,
        item: usize,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let place = self.item_places(key).get(item).copied();
        let place = place.unwrap_or_else(|| self.place_of(key));
        self.reading.wrong(place, message, help);
    }

    /// The same, with another place that has to do with it.
    pub(super) fn wrong_with(
        &mut self,
        key: &str,
        message: impl Into<String>,
        help: impl Into<String>,
        other: (Place, String),
    ) {
        let place = self.place_of(key);
        self.reading.wrong_with(place, message, help, Some(other));
    }

    /// Where the value of a key is written, or the section where it is not.
    pub(super) fn place_of(&self, key: &str) -> Place {
        let entry = self.entries.iter().find(|(written, _)| written.name == key);
        match entry {
            Some((key, node)) if matches!(node.value, Value::Nothing) => key.place,
            Some((_, node)) => node.place,
            None => self.place,
        }
    }

    /// Whether a key is written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The folder that relative paths start at.
    pub(super) fn base(&self) -> &Path {
        self.reading.file.parent().unwrap_or(Path::new(""))
    }

    /// The files that the configuration named so far, each once.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        let mut watched = self.reading.watched.clone();
        watched.sort();
        watched.dedup();
        watched
    }

    /// Demands that the path at a key is a file that can be read, and watches it.
    pub(super) fn file(&mut self, key: &str, path: &Path) -> Option<()> {
        let place = self.place_of(key);
        self.open(place, path).map(|_| ())
    }

    /// The content of the file that a key names, and watches it.
    pub(super) fn content(&mut self, key: &str, path: &Path, octets_max: u64) -> Option<Vec<u8>> {
        let place = self.place_of(key);
        self.content_at(place, path, octets_max)
    }

    /// The content of the file that one item of a list names, and watches it.
    pub(super) fn item_content(
        &mut self,
        key: &str,
        item: usize,
        path: &Path,
        octets_max: u64,
    ) -> Option<Vec<u8>> {
        let place = self.item_places(key).get(item).copied();
        let place = place.unwrap_or_else(|| self.place_of(key));
        self.content_at(place, path, octets_max)
    }

    /// Notes mistakes in another file than the configuration itself.
    pub(super) fn wrong_in(&mut self, path: &Path, text: &str, mistakes: Vec<Mistake>) {
        self.reading.mistakes.keep_text(path, text);
        for mistake in mistakes {
            self.reading.mistakes.push(mistake);
        }
    }

    /// Reads a file that is named at `place`.
    fn content_at(&mut self, place: Place, path: &Path, octets_max: u64) -> Option<Vec<u8>> {
        let file = self.open(place, path)?;
        let mut content = Vec::new();
        if let Err(error) = file.take(octets_max + 1).read_to_end(&mut content) {
            self.unreadable(place, path, &error.to_string());
            return None;
        }
        if content.len() as u64 > octets_max {
            self.unreadable(
                place,
                path,
                &format!("it is larger than {octets_max} octets"),
            );
            return None;
        }
        Some(content)
    }

    /// Opens a file that is named at `place`. Anything but a file is refused unopened: a pipe
    /// would wait for ever.
    fn open(&mut self, place: Place, path: &Path) -> Option<File> {
        let opened = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {
                File::open(path).map_err(|error| error.to_string())
            }
            Ok(_) => Err("it is not a file".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        match opened {
            Ok(file) => {
                self.reading.watched.push(path.to_owned());
                Some(file)
            }
            Err(error) => {
                self.unreadable(place, path, &error);
                None
            }
        }
    }

    /// Notes that a file cannot be used.
    fn unreadable(&mut self, place: Place, path: &Path, error: &str) {
        let path = shown(&path.to_string_lossy());
        self.reading.wrong(
            place,
            format!("the file {path} cannot be read: {error}"),
            "correct the path, or put the file there, readable for the user that cordon runs as",
        );
    }

    /// Reads what is below a key.
    fn below<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Section<'_, 'd>) -> Option<T>,
    ) -> (Option<T>, Vec<Key>) {
        let path = self.path_of(key);
        let entry = self.entries.iter().find(|(written, _)| written.name == key);
        let place = entry.map_or(self.place, |(key, _)| key.place);
        self.reading
            .section(&path, entry.map(|(_, node)| node), place, read)
    }

    /// The items of a list of scalars.
    fn values<T: 'static>(&mut self, key: &str, node: &Node, scalar: &Scalar<T>) -> Option<Vec<T>> {
        let items = self.items(key, node)?;
        let values: Vec<Option<T>> = items
            .iter()
            .map(|item| self.reading.scalar(key, item, scalar))
            .collect();
        values.into_iter().collect()
    }

    /// The items of a list.
    fn items<'n>(&mut self, key: &str, node: &'n Node) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            Value::Nothing => self.wrong(
                key,
                format!("`{key}` takes a list, not nothing"),
                "write `[]` for an empty list, or remove the key",
            ),
            Value::Text { text, .. } => self.wrong(
                key,
                format!("`{key}` takes a list, not {}", node.found()),
                format!("put it in brackets: `[{}]`", shown(text).trim_matches('`')),
            ),
            Value::Map(_) => self.wrong(
                key,
                format!("`{key}` takes a list, not {}", node.found()),
                "start each item with `- `",
            ),
        }
    }

    /// Where the items of the list at a key are written.
    fn item_places(&self, key: &str) -> Vec<Place> {
        match self.value(key).map(|node| &node.value) {
            Some(Value::List(items)) => items.iter().map(|item| item.place).collect(),
            _ => Vec::new(),
        }
    }

    /// The value of a key; of one that is written twice, the first.
    fn value(&self, key: &str) -> Option<&'d Node> {
        let entry = self.entries.iter().find(|(written, _)| written.name == key);
        entry.map(|(_, node)| node)
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

    /// Notes that a key is missing.
    fn missing<T>(&mut self, key: &str, help: &str) -> Option<T> {
        let message = match self.path.as_str() {
            "" => format!("`{key}` is missing"),
            path => format!("`{key}` is missing in `{path}`"),
        };
        self.reading
            .wrong(self.place, message, format!("add `{key}: …`; {help}"));
        None
    }

    /// Notes the keys that nobody asked for, and those that are written twice.
    fn leftovers(&mut self) {
        for (at, (key, _)) in self.entries.iter().enumerate() {
            let earlier = self.entries.iter().take(at);
            if let Some((first, _)) = earlier
                .into_iter()
                .find(|(other, _)| other.name == key.name)
            {
                self.reading.wrong_with(
                    key.place,
                    format!("`{}` is written twice", shown(&key.name).trim_matches('`')),
                    "keep one of them",
                    Some((first.place, "first here".to_owned())),
                );
            } else if !self.keys.iter().any(|known| known.name == key.name) {
                self.unknown(key);
            }
        }
    }

    /// Notes a key that nobody asked for.
    fn unknown(&mut self, key: &super::node::Key) {
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
        self.reading.wrong(key.place, message, help);
    }

    /// The keys that lead to a key.
    fn path_of(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }
}

/// Whether two addresses cannot both be listened on. Everything that listens does so over TCP,
/// so the protocol does not tell them apart. Port 0 is another port each time. IPv6 sockets
/// take IPv6 alone, so `[::]` leaves IPv4 free.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let every = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port()
        && a.port() != 0
        && a.is_ipv4() == b.is_ipv4()
        && (every || a.ip() == b.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, expected: bool) {
        let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(collide(a, b), expected, "{a} {b}");
        assert_eq!(collide(b, a), expected, "{b} {a}");
    }

    #[test]
    fn addresses_collide_by_port_family_and_address() {
        check("127.0.0.1:53", "127.0.0.1:53", true);
        check("0.0.0.0:53", "127.0.0.1:53", true);
        check("[::]:53", "[::1]:53", true);
        check("0.0.0.0:53", "[::]:53", false);
        check("127.0.0.1:53", "127.0.0.2:53", false);
        check("127.0.0.1:53", "127.0.0.1:54", false);
        check("127.0.0.1:0", "127.0.0.1:0", false);
    }
}
