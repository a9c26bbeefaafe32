//! [`Mistakes`]: everything that is wrong with a configuration, each with its place and a way
//! to mend it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value as Json, json};

use super::Place;

/// One mistake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    /// The file it is in.
    pub path: PathBuf,
    /// Where in it; nothing where the file could not be read at all.
    pub place: Option<Place>,
    /// What is wrong, and what is expected.
    pub message: String,
    /// How to mend it.
    pub help: String,
    /// The other place that has to do with it, and in what way.
    pub other: Option<(Place, String)>,
}

/// Every mistake of a configuration, by file and place. Never empty where it is an error.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Mistakes {
    /// The mistakes.
    mistakes: Vec<Mistake>,
    /// The files they are in, as read, to show their lines.
    texts: BTreeMap<PathBuf, String>,
}

impl Mistakes {
    /// The mistakes, by file and place.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.mistakes.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mistakes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// For people: each with its line, then how many there are. With `colour` for a terminal.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut text = String::new();
        for mistake in self.mistakes.iter().take(SHOWN_MAX) {
            text.push_str(&renderer.render(&[self.group(mistake)]));
            text.push_str("\n\n");
        }
        if let Some(more) = self.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            text.push_str(&format!(
                "and {more} more; `cordon check --json` has them all\n\n"
            ));
        }
        text.push_str(&self.summary());
        text
    }

    /// One sentence: how many mistakes, and where every key is described.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = match self.len() {
            1 => "1 mistake".to_owned(),
            count => format!("{count} mistakes"),
        };
        let files: Vec<String> = self
            .files()
            .map(|path| path.display().to_string())
            .collect();
        format!(
            "{count} in {}; config/cordon.yaml describes every key",
            files.join(", ")
        )
    }

    /// For programs: a list of objects with `path`, `line`, `column`, `message` and `help`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mistakes = self.mistakes.iter().map(|mistake| {
            let place = |place: &Place| json!({"line": place.line, "column": place.column});
            let mut object = json!({
                "path": mistake.path.display().to_string(),
                "line": mistake.place.map(|place| place.line),
                "column": mistake.place.map(|place| place.column),
                "message": mistake.message,
                "help": mistake.help,
            });
            if let (Some((other, _)), Some(object)) = (&mistake.other, object.as_object_mut()) {
                object.insert("other".to_owned(), place(other));
            }
            object
        });
        Json::Array(mistakes.collect())
    }

    /// Adds one.
    pub(super) fn push(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// Keeps the text of a file, to show its lines.
    pub(super) fn keep_text(&mut self, path: &Path, text: &str) {
        self.texts.insert(path.to_owned(), text.to_owned());
    }

    /// Puts them in order; the configuration file's own come first.
    pub(super) fn sort(&mut self, first: &Path) {
        self.mistakes.sort_by(|a, b| {
            (a.path != first, &a.path, a.place).cmp(&(b.path != first, &b.path, b.place))
        });
        self.mistakes.dedup();
    }

    /// The files with mistakes, each once, in order.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let mut last = None;
        self.mistakes
            .iter()
            .map(|mistake| mistake.path.as_path())
            .filter(move |path| last.replace(*path) != Some(*path))
    }

    /// What is shown of one mistake.
    fn group<'a>(&'a self, mistake: &'a Mistake) -> Group<'a> {
        let group = Group::with_title(Level::ERROR.primary_title(&*mistake.message));
        let path = mistake.path.to_string_lossy();
        let (place, text) = (mistake.place, self.texts.get(&mistake.path));
        let other = mistake.other.as_ref();
        let excerpt = place.zip(text).and_then(|(place, text)| {
            let both = other.and_then(|other| Excerpt::of(text, place, Some(other)));
            both.or_else(|| Excerpt::of(text, place, None))
        });
        let shows_other = excerpt
            .as_ref()
            .is_some_and(|excerpt| excerpt.other.is_some());
        let group = match (excerpt, place) {
            (Some(excerpt), _) => group.element(excerpt.snippet(path)),
            (None, None) => group.element(Origin::path(path)),
            (None, Some(Place { line, column, .. })) => {
                group.element(Origin::path(path).line(line).char_column(column))
            }
        };
        let group = match other {
            Some((place, label)) if !shows_other => {
                let note = format!("line {}, column {}: {label}", place.line, place.column);
                group.element(Level::NOTE.message(note))
            }
            _ => group,
        };
        group.element(Level::HELP.message(&*mistake.help))
    }
}

/// The lines of a file that a mistake is about.
struct Excerpt<'a> {
    /// The lines.
    text: &'a str,
    /// The number of the first of them.
    line: usize,
    /// What is wrong, in octets of `text`.
    octets: Range<usize>,
    /// What has to do with it, in octets of `text`.
    other: Option<(Range<usize>, &'a str)>,
}

impl<'a> Excerpt<'a> {
    /// The lines of `place` and of `other`, if they are short enough to be shown. Of a place of
    /// many lines only the first is shown.
    fn of(text: &'a str, place: Place, other: Option<&'a (Place, String)>) -> Option<Self> {
        let octets = first_line(text, place);
        let other = other.map(|(place, label)| (first_line(text, *place), place.line, label));
        let (mut start, mut end, mut line) = (octets.start, octets.end, place.line);
        if let Some((octets, other_line, _)) = &other {
            start = start.min(octets.start);
            end = end.max(octets.end);
            line = line.min(*other_line);
        }
        let start = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
        let most = text.floor_char_boundary(start.saturating_add(EXCERPT_OCTETS_MAX));
        let rest = text.get(end..most)?;
        let end = end + rest.find('\n').unwrap_or(rest.len());
        let inside = |octets: Range<usize>| octets.start - start..octets.end - start;
        Some(Self {
            text: text.get(start..end)?,
            line,
            octets: inside(octets),
            other: other.map(|(octets, _, label)| (inside(octets), label.as_str())),
        })
    }

    /// It with its marks, for a file at `path`.
    fn snippet(self, path: Cow<'a, str>) -> Snippet<'a, Annotation<'a>> {
        let other = self
            .other
            .map(|(octets, label)| AnnotationKind::Context.span(octets).label(label));
        Snippet::source(self.text)
            .line_start(self.line)
            .path(path)
            .annotation(AnnotationKind::Primary.span(self.octets))
            .annotations(other)
    }
}

/// The octets of a place up to the end of its first line, inside the text.
fn first_line(text: &str, place: Place) -> Range<usize> {
    let start = text.floor_char_boundary(place.start);
    let end = text.floor_char_boundary(place.end).max(start);
    let written = text.get(start..end).unwrap_or_default();
    let line = written.split('\n').next().unwrap_or_default();
    start..start + line.trim_end().len()
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Mistakes {}

/// How many mistakes people are shown; programs get all of them.
const SHOWN_MAX: usize = 200;
/// How much of a file is shown for one mistake.
const EXCERPT_OCTETS_MAX: usize = 1_000;
