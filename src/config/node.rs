//! [`Node`]: one value of the file as written, with its place; YAML in, a tree or a mistake out.
//!
//! The tree keeps what a typed reader would lose: every scalar is its source text, so that
//! `off` stays `off`, every key of a map is kept, twice where it is written twice, and
//! everything knows its place.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle};

use super::Place;

/// One value as written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where it is written.
    pub(super) place: Place,
    /// What is written.
    pub(super) value: Value,
}

/// What can be written.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Nothing,
    /// A scalar: its text, and whether it stands in quotes or in a block.
    Text {
        /// The text, escapes undone.
        text: String,
        /// Whether it is marked as a text, so that `"1"` is no number.
        quoted: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in its order; a key that is written twice is here twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Where it is written.
    pub(super) place: Place,
    /// Its text.
    pub(super) name: String,
}

/// Why a text is no tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct NodeError {
    /// Where.
    pub(super) place: Place,
    /// What is wrong there.
    pub(super) message: String,
    /// How to mend it.
    pub(super) help: String,
}

impl Node {
    /// Reads one YAML document. An empty text is [`Value::Nothing`].
    pub(super) fn parse(text: &str) -> Result<Self, NodeError> {
        let mut options = granit_parser::Options::default();
        options.emit_comments = false;
        options.emit_unresolved_aliases = true;
        options.disallow_directives = true;
        options.flow_nesting_limit = DEPTH_MAX;
        options.block_nesting_limit = DEPTH_MAX;
        let mut tree = Tree::default();
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| match error.kind() {
                ErrorKind::RecursionLimitExceeded => too_deep(Place::at(error.marker())),
                _ => NodeError::new(Place::at(error.marker()), error.info(), SYNTAX_HELP),
            })?;
            if let Some(tag) = span.tag_span() {
                let help = "remove the word that starts with `!`, or put the text in quotes";
                return Err(NodeError::new(
                    Place::of(tag),
                    "a YAML tag is not read here",
                    help,
                ));
            }
            tree.take(event, Place::of(span))?;
        }
        Ok(tree.root.unwrap_or(Self {
            place: Place::START,
            value: Value::Nothing,
        }))
    }

    /// How many nodes it and what is below it are, and how deep it goes.
    fn extent(&self) -> (usize, usize) {
        let of = |nodes: &mut dyn Iterator<Item = &Self>| {
            nodes.fold((1, 1), |(count, depth), node| {
                let below = node.extent();
                (count + below.0, depth.max(below.1 + 1))
            })
        };
        match &self.value {
            Value::Nothing | Value::Text { .. } => (1, 0),
            Value::List(items) => of(&mut items.iter()),
            Value::Map(entries) => of(&mut entries.iter().map(|(_, node)| node)),
        }
    }

    /// What it is, for a sentence that says what was found.
    pub(super) fn found(&self) -> String {
        match &self.value {
            Value::Nothing => "nothing".to_owned(),
            Value::Text { text, quoted: true } => shown(&format!("\"{text}\"")),
            Value::Text { text, .. } => shown(text),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "keys with values".to_owned(),
        }
    }
}

impl NodeError {
    /// What is wrong where, and how to mend it.
    fn new(place: Place, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            help: help.into(),
        }
    }
}

/// A text from the file as a sentence may hold it: quoted, on one line, cut where it is long.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARACTERS_MAX)
        .flat_map(|character| {
            let plain = !character.is_control();
            let escaped = (!plain).then(|| character.escape_default());
            plain
                .then_some(character)
                .into_iter()
                .chain(escaped.into_iter().flatten())
        })
        .collect();
    if text.chars().nth(SHOWN_CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The tree while it grows.
#[derive(Default)]
struct Tree {
    /// Lists and maps that have not ended, the innermost last.
    open: Vec<Open>,
    /// What aliases stand for, by the number of their anchor; whole nodes only.
    anchors: HashMap<usize, Node>,
    /// How many aliases there were.
    aliases: usize,
    /// How many nodes there are, copies of anchors included.
    nodes: usize,
    /// The whole, once it has ended.
    root: Option<Node>,
}

/// A list or a map that has not ended.
struct Open {
    /// Where it starts.
    place: Place,
    /// The number of its anchor; 0 for none.
    anchor: usize,
    /// What is in it so far.
    content: Content,
}

/// What an open list or map holds.
enum Content {
    /// The items of a list.
    Items(Vec<Node>),
    /// The entries of a map, and the key that waits for its value.
    Entries(Vec<(Key, Node)>, Option<Key>),
}

impl Tree {
    /// Takes the next event of the parser.
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), NodeError> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => Err(NodeError::new(
                place,
                "a second document starts here",
                "a configuration is one document: remove the `---`",
            )),
            Event::Scalar(text, style, anchor, _) => {
                let quoted = style != ScalarStyle::Plain;
                let value = match text.as_ref() {
                    "" | "~" | "null" if !quoted => Value::Nothing,
                    text => Value::Text {
                        text: text.to_owned(),
                        quoted,
                    },
                };
                self.add(Node { place, value }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.enter(place, anchor, Content::Items(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => {
                self.enter(place, anchor, Content::Entries(Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(place),
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::UnresolvedAlias(name) => Err(NodeError::new(
                place,
                format!("there is no anchor {} above", shown(&name)),
                "an alias `*x` repeats a value marked with `&x` above it; put a text that starts \
                 with `*` in quotes",
            )),
            _ => Ok(()),
        }
    }

    /// Starts a list or map.
    fn enter(&mut self, place: Place, anchor: usize, content: Content) -> Result<(), NodeError> {
        self.not_too_deep(place, 1)?;
        self.open.push(Open {
            place,
            anchor,
            content,
        });
        Ok(())
    }

    /// Refuses what would be nested too deeply with `more` levels.
    fn not_too_deep(&self, place: Place, more: usize) -> Result<(), NodeError> {
        if self.open.len() + more <= DEPTH_MAX {
            Ok(())
        } else {
            Err(too_deep(place))
        }
    }

    /// Ends the innermost list or map.
    fn leave(&mut self, end: Place) -> Result<(), NodeError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.content {
            Content::Items(items) => Value::List(items),
            Content::Entries(entries, _) => Value::Map(entries),
        };
        // A block ends where the next thing begins, which may be many lines of comments on.
        let last = match &value {
            Value::List(items) => items.last().map(|node| node.place),
            Value::Map(entries) => entries.last().map(|(_, node)| node.place),
            _ => None,
        };
        let place = match last {
            Some(last) if end.start == end.end => open.place.to(last),
            _ => open.place.to(end),
        };
        self.add(Node { place, value }, open.anchor)
    }

    /// Puts the value of an anchor where an alias stands.
    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), NodeError> {
        self.aliases += 1;
        if self.aliases > ALIASES_MAX {
            return Err(NodeError::new(
                place,
                format!("there are more than {ALIASES_MAX} aliases"),
                "write the values out",
            ));
        }
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(NodeError::new(
                place,
                "the alias stands inside the value it repeats",
                "write the value out",
            ));
        };
        // Counted before it is copied, so that aliases of aliases cannot fill the memory.
        let (count, depth) = node.extent();
        self.not_too_deep(place, depth)?;
        if self.nodes.saturating_add(count) > NODES_MAX {
            return Err(NodeError::new(
                place,
                format!("with what its aliases repeat, the file has more than {NODES_MAX} values"),
                "write the values out",
            ));
        }
        let node = node.clone();
        self.nodes += count - 1;
        self.add(node, 0)
    }

    /// Puts a whole value into the innermost list or map.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), NodeError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(NodeError::new(
                node.place,
                format!("there are more than {NODES_MAX} values"),
                "keep long lists of names in files: `lists` and `protect.files` take them",
            ));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::Items(items)) => items.push(node),
            Some(Content::Entries(entries, waiting)) => match waiting.take() {
                Some(key) => entries.push((key, node)),
                None => *waiting = Some(Key::of(node)?),
            },
        }
        Ok(())
    }
}

impl Key {
    /// The key that a scalar is.
    fn of(node: Node) -> Result<Self, NodeError> {
        match node.value {
            Value::Text { text, .. } => Ok(Self {
                place: node.place,
                name: text,
            }),
            _ => Err(NodeError::new(
                node.place,
                "a key is expected here, a single word",
                "write `key: value`",
            )),
        }
    }
}

/// The mistake of values below values below values.
fn too_deep(place: Place) -> NodeError {
    NodeError::new(
        place,
        format!("values are nested deeper than {DEPTH_MAX}"),
        "no key of the configuration is that deep",
    )
}

/// How deep lists and maps may be nested; the deepest key is at 6.
const DEPTH_MAX: usize = 32;
/// How many values a file may have, what aliases repeat included.
const NODES_MAX: usize = 20_000;
/// How many aliases a file may have.
const ALIASES_MAX: usize = 100;
/// How much of a text from the file a message repeats.
const SHOWN_CHARACTERS_MAX: usize = 60;
/// How to mend what is no YAML.
const SYNTAX_HELP: &str = "this is not valid YAML: look at the indentation, a missing space after \
                           `:`, and text with `: ` or `#` that wants quotes";

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as one line; keys and texts bare, with `line:column` in front.
    fn line(node: &Node) -> String {
        let Place {
            line: l, column, ..
        } = node.place;
        match &node.value {
            Value::Nothing => format!("{l}:{column} nothing"),
            Value::Text { text, quoted } if *quoted => format!("{l}:{column} {text:?}"),
            Value::Text { text, .. } => format!("{l}:{column} {text}"),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(line).collect();
                format!("{l}:{column} [{}]", items.join(", "))
            }
            Value::Map(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, node)| format!("{}={}", key.name, line(node)))
                    .collect();
                format!("{l}:{column} {{{}}}", entries.join(", "))
            }
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let found = Node::parse(text).map(|node| line(&node)).map_err(|error| {
            format!(
                "{}:{} {}",
                error.place.line, error.place.column, error.message
            )
        });
        assert_eq!(
            found,
            expected.map(str::to_owned).map_err(str::to_owned),
            "{text}"
        );
    }

    #[test]
    fn scalars_keep_their_source_text() {
        check(
            "a: off\nb: \"1\"\nc: 010\nd:\n",
            Ok("1:1 {a=1:4 off, b=2:4 \"1\", c=3:4 010, d=4:2 nothing}"),
        );
    }

    #[test]
    fn a_key_written_twice_is_kept_twice() {
        check("a: 1\na: 2\n", Ok("1:1 {a=1:4 1, a=2:4 2}"));
    }

    #[test]
    fn aliases_repeat_and_keep_the_place_of_what_they_repeat() {
        check(
            "a: &x [b]\nc: *x\n",
            Ok("1:1 {a=1:7 [1:8 b], c=1:7 [1:8 b]}"),
        );
        check(
            "a: &x [*x]\n",
            Err("1:8 the alias stands inside the value it repeats"),
        );
        check("a: *x\n", Err("1:4 there is no anchor `x` above"));
    }

    #[test]
    fn what_is_no_single_plain_document_is_refused() {
        check("a: !!str b\n", Err("1:4 a YAML tag is not read here"));
        check(
            "a: 1\n---\nb: 2\n",
            Err("2:1 a second document starts here"),
        );
        check("[a]: 1\n", Err("1:1 a key is expected here, a single word"));
        check("", Ok("1:1 nothing"));
    }

    #[test]
    fn an_alias_bomb_is_refused_before_it_grows() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..10 {
            let line = vec![format!("*a{}", n - 1); 9].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{line}]\n"));
        }
        let error = Node::parse(&text).unwrap_err();
        assert!(
            error.message.contains("has more than 20000 values"),
            "{error:?}"
        );
        let error = Node::parse(&"[".repeat(10_000)).unwrap_err();
        assert!(error.message.contains("deeper than 32"), "{error:?}");
        let mut text = "a0: &a0 x\n".to_owned();
        for n in 1..99 {
            text.push_str(&format!("a{n}: &a{n} [[[*a{}]]]\n", n - 1));
        }
        let error = Node::parse(&text).unwrap_err();
        assert!(error.message.contains("deeper than 32"), "{error:?}");
    }
}
