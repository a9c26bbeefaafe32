//! [`Reading`]: one configuration while it is read: its mistakes, the files it names, the
//! addresses it listens on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Place;
use super::error::{Mistake, Mistakes};
use super::file;
use super::node::{Node, Value, shown};
use super::scalar::Scalar;
use super::schema::Key;
use super::section::Section;

/// One configuration while it is read.
pub(super) struct Reading {
    /// The configuration file.
    file: PathBuf,
    /// Whether the keys are declared only, and nothing is a mistake.
    pub(super) describing: bool,
    /// What is wrong so far.
    mistakes: Mistakes,
    /// The files it names.
    watched: Vec<PathBuf>,
    /// Every address that is to be listened on, and where it is written.
    listeners: Vec<(SocketAddr, Place)>,
}

impl Reading {
    /// Reads the file's tree with `read`: what that gives, or every mistake.
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

    /// Reads one map, or nothing as an empty one; says the keys that were asked for.
    pub(super) fn section<'d, T>(
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
                let help = "write `key: value`, each on a line of its own";
                self.wrong(node.place, message, help);
                return (None, Vec::new());
            }
        };
        let mut section = Section::new(self, path, entries, place);
        let value = read(&mut section);
        (value, section.end())
    }

    /// Reads a scalar that is at a path of keys.
    pub(super) fn scalar<T: 'static>(
        &mut self,
        path: &str,
        node: &Node,
        scalar: &Scalar<T>,
    ) -> Option<T> {
        let help = match &node.value {
            Value::Text { quoted: true, .. } if scalar.bare => "remove the quotes".to_owned(),
            Value::Text { text, .. } => match scalar.read(text) {
                Ok(value) => return Some(value),
                Err(help) => help,
            },
            Value::Nothing => "write a value, or remove the key".to_owned(),
            Value::List(_) | Value::Map(_) => "write a single value".to_owned(),
        };
        let (found, expected) = (node.found(), &scalar.expected);
        let message = format!("`{path}` takes {expected}, not {found}");
        self.wrong(node.place, message, help);
        None
    }

    /// Takes an address to listen on, if no other is in its way.
    pub(super) fn listen(&mut self, address: SocketAddr, place: Place) {
        let taken = self
            .listeners
            .iter()
            .find(|(other, _)| collide(*other, address));
        if let Some((other, first)) = taken {
            let other = (*first, format!("`{other}` is listened on here"));
            let message = format!("`{address}` is listened on twice");
            let help = "give one of them another address or port";
            self.wrong_with(place, message, help, other);
        }
        self.listeners.push((address, place));
    }

    /// Demands that a file that is named at `place` can be read, and watches it.
    pub(super) fn readable(&mut self, place: Place, path: &Path) -> Option<()> {
        let opened = file::open(path).map(|_| ());
        self.watch(place, path, opened)
    }

    /// The content of a file that is named at `place`, which is then watched.
    pub(super) fn content(
        &mut self,
        place: Place,
        path: &Path,
        octets_max: u64,
    ) -> Option<Vec<u8>> {
        let content = file::read(path, octets_max);
        self.watch(place, path, content)
    }

    /// Watches a file that could be read, and complains about one that could not.
    fn watch<T>(&mut self, place: Place, path: &Path, read: std::io::Result<T>) -> Option<T> {
        match read {
            Ok(value) => {
                self.watched.push(path.to_owned());
                Some(value)
            }
            Err(error) => {
                let path = shown(&path.to_string_lossy());
                let message = format!("the file {path} cannot be read: {error}");
                let help = "correct the path, or put the file there, readable for the user that \
                            cordon runs as";
                self.wrong(place, message, help);
                None
            }
        }
    }

    /// The files that were named so far, each once.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        let mut watched = self.watched.clone();
        watched.sort();
        watched.dedup();
        watched
    }

    /// The folder of the configuration file.
    pub(super) fn base(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// Notes a mistake in the configuration file.
    pub(super) fn wrong(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(place, message.into(), help.into(), None);
    }

    /// Notes a mistake that has to do with another place.
    pub(super) fn wrong_with(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
        other: (Place, String),
    ) {
        self.push(place, message.into(), help.into(), Some(other));
    }

    /// Notes mistakes in a file that the configuration names.
    pub(super) fn wrong_in(&mut self, path: &Path, text: &str, mistakes: Vec<Mistake>) {
        self.mistakes.keep_text(path, text);
        for mistake in mistakes {
            self.mistakes.push(mistake);
        }
    }

    /// Notes a mistake, unless there is nothing that could be wrong.
    fn push(
        &mut self,
        place: Place,
        message: String,
        help: String,
        other: Option<(Place, String)>,
    ) {
        if !self.describing {
            self.mistakes.push(Mistake {
                path: self.file.clone(),
                place: Some(place),
                message,
                help,
                other,
            });
        }
    }
}

/// Whether two addresses cannot both be listened on. Everything that listens does so over TCP,
/// so the protocol does not tell them apart. Port 0 is another port each time. IPv6 sockets
/// take IPv6 alone, so `[::]` leaves IPv4 free.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let every = a.ip().is_unspecified() || b.ip().is_unspecified();
    let same = a.is_ipv4() == b.is_ipv4() && (every || a.ip() == b.ip());
    same && a.port() == b.port() && a.port() != 0
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
