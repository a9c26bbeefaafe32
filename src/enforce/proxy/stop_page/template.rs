//! [`Template`]: a page with placeholders, checked when it is loaded.

use thiserror::Error;

use super::markup::{push_escaped, push_link};
use super::texts::Texts;

/// A page with placeholders, read once and written many times.
///
/// `{{field}}` is replaced by a value, escaped for HTML; `{{text.name}}` by a text in the
/// reader's language; `{{#field}}…{{/field}}` stands only where the field has a value, and
/// `{{^field}}…{{/field}}` only where it has none. The fields are [`Field::ALL`], the texts
/// [`Texts::named`].
#[derive(Clone, Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

/// What a template says, in order.
#[derive(Clone, Debug)]
enum Piece {
    /// As it stands.
    Literal(String),
    /// The value of a field.
    Value(Field),
    /// Only where the field has a value, or has none; so many pieces are left out otherwise.
    Section {
        field: Field,
        present: bool,
        pieces: usize,
    },
}

/// A template that cannot be used. Lines are counted from 1.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum TemplateError {
    /// A placeholder that there is not.
    #[error(
        "line {line}: there is no placeholder {{{{{name}}}}}; those that exist are listed in config/stop-page.html"
    )]
    Unknown {
        /// Its line.
        line: usize,
        /// What is written there.
        name: String,
    },
    /// `{{` without `}}`.
    #[error("line {line}: a placeholder is not closed with }}}}")]
    Unclosed {
        /// Its line.
        line: usize,
    },
    /// A section that is not closed, or closed before it was opened.
    #[error("line {line}: the section {name} is not closed, or closes no section")]
    Section {
        /// Its line.
        line: usize,
        /// Its name.
        name: String,
    },
    /// A placeholder in a `<style>` element, whose hash would then differ from page to page.
    #[error("line {line}: a style element may hold no placeholder")]
    Style {
        /// Its line.
        line: usize,
    },
    /// Longer than [`TEMPLATE_OCTETS_MAX`].
    #[error("the template is longer than 262144 octets")]
    TooLong,
    /// A language that has no texts.
    #[error(
        "there are no texts in the language {language:?}; those that exist are en, de, fr, nl and pl"
    )]
    Language {
        /// What is configured.
        language: String,
    },
    /// No language at all.
    #[error("the stop page needs at least one language")]
    NoLanguage,
}

/// What a page can say that differs from block to block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Field {
    /// The BCP 47 tag of the page's language; fit for an attribute.
    Language,
    /// Who blocks: the operator's name, or a phrase for it.
    Operator,
    /// The operator's address for questions; a link where it is one.
    OperatorContact,
    /// The operator's page about blocking; a link where it is one.
    OperatorUrl,
    /// The authority.
    Authority,
    /// Act and article.
    Basis,
    /// Which decision.
    Order,
    /// The day of the decision.
    DecidedAt,
    /// The public notice of the decision; a link where it is one.
    Notice,
    /// The class of the content, in words.
    Category,
    /// The list's own short reason, where it has one in this language.
    Reason,
    /// What the law says of such content; for few categories.
    Statement,
    /// What someone who came here may do next; for few categories.
    Help,
    /// The list's title.
    List,
    /// The list's serial; none for an unsigned list.
    Serial,
    /// The block reference: list, serial, entry, hour.
    Reference,
    /// The authority's page for appeals; a link where it is one.
    AppealUrl,
    /// The authority's address for appeals; a link where it is one.
    AppealEmail,
    /// The time limit of an appeal, in words.
    Deadline,
    /// The court.
    Court,
}

impl Field {
    /// Every field with its name in templates.
    pub(super) const ALL: [(&'static str, Self); 20] = [
        ("lang", Self::Language),
        ("operator", Self::Operator),
        ("operator_contact", Self::OperatorContact),
        ("operator_url", Self::OperatorUrl),
        ("authority", Self::Authority),
        ("basis", Self::Basis),
        ("order", Self::Order),
        ("decided_at", Self::DecidedAt),
        ("notice", Self::Notice),
        ("category", Self::Category),
        ("reason", Self::Reason),
        ("statement", Self::Statement),
        ("help", Self::Help),
        ("list", Self::List),
        ("serial", Self::Serial),
        ("reference", Self::Reference),
        ("appeal_url", Self::AppealUrl),
        ("appeal_email", Self::AppealEmail),
        ("deadline", Self::Deadline),
        ("court", Self::Court),
    ];

    fn from_name(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, field)| *field)
    }

    /// Whether the value becomes a link where it can.
    const fn is_link(self) -> bool {
        matches!(
            self,
            Self::OperatorContact
                | Self::OperatorUrl
                | Self::Notice
                | Self::AppealUrl
                | Self::AppealEmail
        )
    }
}

impl Template {
    /// Reads a template, with its texts in one language.
    ///
    /// # Errors
    /// Every [`TemplateError`] but those about languages.
    pub(super) fn parse(source: &str, texts: &Texts) -> Result<Self, TemplateError> {
        if source.len() > TEMPLATE_OCTETS_MAX {
            return Err(TemplateError::TooLong);
        }
        let mut parser = Parser::default();
        parser.read(source, Some(texts))?;
        if let Some(open) = parser.open.pop() {
            return Err(TemplateError::Section {
                line: open.line,
                name: open.name,
            });
        }
        Ok(Self {
            pieces: parser.pieces,
        })
    }

    /// Writes the page. `value` gives the value of each field, unescaped; an empty one is
    /// none.
    pub(super) fn render<'a>(&self, value: impl Fn(Field) -> &'a str) -> String {
        let literals = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => text.len(),
            _ => 64,
        });
        let mut page = String::with_capacity(literals.sum());
        let mut pieces = self.pieces.iter();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Literal(text) => page.push_str(text),
                Piece::Value(field) if field.is_link() => push_link(&mut page, value(*field)),
                Piece::Value(field) => push_escaped(&mut page, value(*field)),
                Piece::Section {
                    field,
                    present,
                    pieces: length,
                } => {
                    if value(*field).is_empty() == *present && *length > 0 {
                        pieces.nth(length - 1);
                    }
                }
            }
        }
        page
    }
}

/// A section that is being read.
#[derive(Debug)]
struct Open {
    at: usize,
    line: usize,
    name: String,
}

/// A template that is being read.
#[derive(Debug, Default)]
struct Parser {
    pieces: Vec<Piece>,
    open: Vec<Open>,
}

impl Parser {
    /// Reads a template, or a text of one; a text holds no texts.
    fn read(&mut self, source: &str, texts: Option<&Texts>) -> Result<(), TemplateError> {
        let mut rest = source;
        let mut line = 1;
        let mut in_style = false;
        while let Some((literal, tail)) = rest.split_once("{{") {
            self.literal(literal);
            line += literal.matches('\n').count();
            let lowered = literal.to_ascii_lowercase();
            in_style = match (lowered.rfind("<style"), lowered.rfind("</style")) {
                (Some(opened), Some(closed)) => opened > closed,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => in_style,
            };
            // A comment, for who writes the template: not part of the page.
            if let Some(comment) = tail.strip_prefix('!') {
                let (comment, after) = comment
                    .split_once("!}}")
                    .ok_or(TemplateError::Unclosed { line })?;
                line += comment.matches('\n').count();
                rest = after;
                continue;
            }
            let (name, after) = tail
                .split_once("}}")
                .ok_or(TemplateError::Unclosed { line })?;
            if in_style {
                return Err(TemplateError::Style { line });
            }
            self.placeholder(name.trim(), line, texts)?;
            line += name.matches('\n').count();
            rest = after;
        }
        self.literal(rest);
        Ok(())
    }

    fn placeholder(
        &mut self,
        written: &str,
        line: usize,
        texts: Option<&Texts>,
    ) -> Result<(), TemplateError> {
        let unknown = || TemplateError::Unknown {
            line,
            name: written.chars().take(80).collect(),
        };
        let field = |name: &str| Field::from_name(name).ok_or_else(unknown);
        if let Some(name) = written.strip_prefix(['#', '^']) {
            let field = field(name)?;
            self.open.push(Open {
                at: self.pieces.len(),
                line,
                name: name.to_owned(),
            });
            self.pieces.push(Piece::Section {
                field,
                present: written.starts_with('#'),
                pieces: 0,
            });
        } else if let Some(name) = written.strip_prefix('/') {
            let Some(open) = self.open.pop().filter(|open| open.name == name) else {
                return Err(TemplateError::Section {
                    line,
                    name: name.to_owned(),
                });
            };
            let length = self.pieces.len() - open.at - 1;
            if let Some(Piece::Section { pieces, .. }) = self.pieces.get_mut(open.at) {
                *pieces = length;
            }
        } else if let Some(name) = written.strip_prefix("text.") {
            let text = texts
                .and_then(|texts| texts.by_name(name))
                .ok_or_else(unknown)?;
            self.read(text, None)?;
        } else {
            self.pieces.push(Piece::Value(field(written)?));
        }
        Ok(())
    }

    fn literal(&mut self, text: &str) {
        if !text.is_empty() {
            self.pieces.push(Piece::Literal(text.to_owned()));
        }
    }
}

/// The longest template that is read, in octets.
pub const TEMPLATE_OCTETS_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::texts;
    use super::*;

    fn render(source: &str, authority: &str) -> Result<String, TemplateError> {
        let template = Template::parse(source, texts::ALL[0])?;
        Ok(template.render(|field| match field {
            Field::Authority | Field::AppealUrl => authority,
            _ => "",
        }))
    }

    #[track_caller]
    fn check(source: &str, authority: &str, expected: &str) {
        assert_eq!(
            render(source, authority).as_deref(),
            Ok(expected),
            "{source}"
        );
    }

    #[track_caller]
    fn refused(source: &str, expected: &str) {
        assert_eq!(render(source, "").unwrap_err().to_string(), expected);
    }

    #[test]
    fn placeholders_and_sections() {
        check(
            "a {{authority}} b",
            "<P&\"'>",
            "a &lt;P&amp;&quot;&#39;&gt; b",
        );
        check(
            "{{#authority}}by {{ authority }}{{/authority}}.",
            "P",
            "by P.",
        );
        check("{{#authority}}by {{authority}}{{/authority}}.", "", ".");
        check("{{^authority}}none{{/authority}}.", "", "none.");
        check(
            "{{#authority}}{{#court}}x{{/court}}y{{/authority}}",
            "P",
            "y",
        );
        check("{{#authority}}{{/authority}}z", "", "z");
        check("a{{! not {{shown}}\n !}}b", "", "ab");
    }

    #[test]
    fn mistakes_say_their_line() {
        refused(
            "a\nb {{nonsense}}",
            "line 2: there is no placeholder {{nonsense}}; those that exist are listed in config/stop-page.html",
        );
        refused(
            "\n\n{{authority",
            "line 3: a placeholder is not closed with }}",
        );
        refused(
            "\n{{#authority}}",
            "line 2: the section authority is not closed, or closes no section",
        );
        refused(
            "{{/authority}}",
            "line 1: the section authority is not closed, or closes no section",
        );
        refused(
            "<style>\na{{lang}}</style>",
            "line 2: a style element may hold no placeholder",
        );
        assert_eq!(
            render(&" ".repeat(TEMPLATE_OCTETS_MAX + 1), ""),
            Err(TemplateError::TooLong)
        );
    }

    #[test]
    fn only_addresses_become_links() {
        let anchor = |href: &str, text: &str| {
            format!("<a href=\"{href}\" rel=\"noreferrer noopener\">{text}</a>")
        };
        for (text, expected) in [
            (
                "https://a.test/x?y&z",
                anchor("https://a.test/x?y&amp;z", "https://a.test/x?y&amp;z"),
            ),
            ("mailto:x@a.test", anchor("mailto:x@a.test", "x@a.test")),
            ("x@a.test", anchor("mailto:x@a.test", "x@a.test")),
            ("javascript:alert(1)", "javascript:alert(1)".to_owned()),
            ("data:text/html,x", "data:text/html,x".to_owned()),
            (
                "https://a.test/\"onclick=x",
                "https://a.test/&quot;onclick=x".to_owned(),
            ),
            ("https://a.test/ x", "https://a.test/ x".to_owned()),
            ("x@a.test?bcc=b@b.test", "x@a.test?bcc=b@b.test".to_owned()),
        ] {
            check("{{appeal_url}}", text, &expected);
        }
    }

    #[test]
    fn nothing_invisible_is_shown() {
        check("{{authority}}", "a\u{202e}b\u{0}c\nd\u{2066}", "abc d");
    }

    proptest! {
        #[test]
        fn no_value_is_markup(value in "\\PC{0,40}") {
            for source in ["{{authority}}", "{{appeal_url}}"] {
                let page = render(source, &value).unwrap();
                let bare = page.replace("<a href=\"", "").replace("\" rel=\"noreferrer noopener\">", "").replace("</a>", "");
                prop_assert!(!bare.contains(['<', '>', '"', '\'']), "{page}");
            }
        }

        #[test]
        fn no_template_panics(source in "(\\{\\{|\\}\\}|#|/|\\^|!|authority|text.title|<style>|\n|.){0,20}") {
            let _ = render(&source, "x");
        }
    }
}
