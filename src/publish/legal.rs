//! [`Legal`]: the legal file, which says what the header of a list says.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use serde_saphyr::Spanned;

use super::yaml::{self, YamlMistake};
use crate::policy::{Action, Category};

/// What stands in the header of a list: who issues it, and the defaults of its entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Legal {
    /// Members of the header beside the defaults.
    pub(super) header: Map<String, Value>,
    /// The defaults of entries that do not say it themselves.
    pub(super) defaults: Map<String, Value>,
    /// How long after it was added an entry expires, where that is relative.
    pub(super) expires_after: Option<SignedDuration>,
    /// How long after it was added an entry is to be reviewed, where that is relative.
    pub(super) review_after: Option<SignedDuration>,
}

impl Legal {
    /// Reads the YAML of a legal file; an unknown key is a mistake.
    ///
    /// # Errors
    /// Every [`YamlMistake`] in it.
    pub fn read(yaml: &str) -> Result<Self, Vec<YamlMistake>> {
        yaml::read::<LegalFile>(yaml)?.check()
    }
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LegalFile {
    issuer: Option<BTreeMap<IssuerKey, Text>>,
    visibility: Option<Spanned<String>>,
    next_expected_at: Option<Spanned<String>>,
    category: Option<Spanned<String>>,
    #[serde(default)]
    legal: BTreeMap<LegalKey, Text>,
    redress: Option<RedressFile>,
    #[serde(default)]
    reason: BTreeMap<String, Text>,
    action: Option<Spanned<String>>,
    expires_at: Option<Spanned<String>>,
    review_by: Option<Spanned<String>>,
}

/// A text for people; beside the ends of its lines it holds no control characters, which
/// could make a terminal show something else.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Text(String);

impl TryFrom<String> for Text {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.contains(|it: char| it.is_control() && it != '\n') {
            true => Err(format!("{text:?} holds control characters: take them out")),
            false => Ok(Self(text)),
        }
    }
}

/// A key of `issuer`.
#[derive(Clone, Copy, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
enum IssuerKey {
    AuthorityId,
    Contact,
    Name,
    Url,
}

/// A key of `legal`.
#[derive(Clone, Copy, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
enum LegalKey {
    Authority,
    Basis,
    DecidedAt,
    NoticeUrl,
    OrderRef,
}

/// `redress` as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedressFile {
    url: Option<Spanned<String>>,
    email: Option<Text>,
    deadline_days: Option<u32>,
    court: Option<Text>,
}

impl LegalFile {
    /// Checks the words that have a meaning, and sorts all into header and defaults.
    fn check(self) -> Result<Legal, Vec<YamlMistake>> {
        let mut legal = Legal::default();
        let mut mistakes = Vec::new();
        self.header(&mut legal.header, &mut mistakes);
        if let Some(category) = self.category {
            let known = Category::ALL.map(Category::as_str);
            word(&category, &known, &mut mistakes);
            put(&mut legal.defaults, "category", category.value);
        }
        let named = self.legal.into_iter().map(|(key, text)| {
            let name = match key {
                LegalKey::Authority => "authority",
                LegalKey::Basis => "basis",
                LegalKey::DecidedAt => "decided_at",
                LegalKey::NoticeUrl => "notice_url",
                LegalKey::OrderRef => "order_ref",
            };
            (name.to_owned(), text.0.into())
        });
        put_object(&mut legal.defaults, "legal", named.collect());
        if let Some(redress) = self.redress {
            if let Some(url) = redress
                .url
                .as_ref()
                .filter(|url| !is_web_address(&url.value))
            {
                let reason = "is no address of a web page: it begins with https:// or http://";
                mistakes.push(mistake(url, reason));
            }
            put_object(&mut legal.defaults, "redress", redress.members());
        }
        let reason = self.reason.into_iter();
        let reason = reason.map(|(language, text)| (language, text.0.into()));
        put_object(&mut legal.defaults, "reason", reason.collect());
        if let Some(action) = self.action {
            if Action::from_word(&action.value).is_none() {
                mistakes.push(mistake(&action, "is no action of an entry"));
            }
            put(&mut legal.defaults, "action", action.value);
        }
        if let Some(text) = self.expires_at {
            let is_time = |text: &str| text == "never" || text.parse::<Timestamp>().is_ok();
            legal.expires_after = term(&text, &mut legal.defaults, EXPIRES, is_time, &mut mistakes);
        }
        if let Some(text) = self.review_by {
            let is_date = |text: &str| text.parse::<civil::Date>().is_ok();
            legal.review_after = term(&text, &mut legal.defaults, REVIEW, is_date, &mut mistakes);
        }
        if mistakes.is_empty() {
            Ok(legal)
        } else {
            Err(mistakes)
        }
    }

    /// The members beside the defaults.
    fn header(&self, header: &mut Map<String, Value>, mistakes: &mut Vec<YamlMistake>) {
        let named = self.issuer.iter().flatten().map(|(key, text)| {
            let name = match key {
                IssuerKey::AuthorityId => "authority_id",
                IssuerKey::Contact => "contact",
                IssuerKey::Name => "name",
                IssuerKey::Url => "url",
            };
            (name.to_owned(), text.0.as_str().into())
        });
        put_object(header, "issuer", named.collect());
        if let Some(visibility) = &self.visibility {
            word(visibility, &["public", "restricted", "secret"], mistakes);
            put(header, "visibility", visibility.value.clone());
        }
        if let Some(next) = &self.next_expected_at {
            if next.value.parse::<Timestamp>().is_err() {
                mistakes.push(mistake(next, "is no time such as 2026-11-24T06:00:00Z"));
            }
            put(header, "next_expected_at", next.value.clone());
        }
    }
}

impl RedressFile {
    /// Its members, as an entry has them.
    fn members(self) -> Map<String, Value> {
        let mut members = Map::new();
        for (name, text) in [
            ("url", self.url.map(|url| url.value)),
            ("email", self.email.map(|text| text.0)),
            ("court", self.court.map(|text| text.0)),
        ] {
            if let Some(text) = text {
                put(&mut members, name, text);
            }
        }
        if let Some(days) = self.deadline_days {
            members.insert("deadline_days".to_owned(), json!(days));
        }
        members
    }
}

/// The name of a term, and what its text may be.
type Term = (&'static str, &'static str);

/// When entries expire.
const EXPIRES: Term = (
    "expires_at",
    "is neither never nor a time such as 2026-11-24T06:00:00Z nor a duration such as 90d",
);

/// When they are to be reviewed.
const REVIEW: Term = (
    "review_by",
    "is neither a date such as 2027-02-24 nor a duration such as 90d",
);

/// A time, kept as it is among the defaults, or a duration after an entry is added.
fn term(
    text: &Spanned<String>,
    defaults: &mut Map<String, Value>,
    (name, expected): Term,
    is_absolute: impl Fn(&str) -> bool,
    mistakes: &mut Vec<YamlMistake>,
) -> Option<SignedDuration> {
    if is_absolute(&text.value) {
        put(defaults, name, text.value.clone());
        return None;
    }
    let duration = yaml::duration(&text.value);
    if duration.is_none() {
        mistakes.push(mistake(text, expected));
    }
    duration
}

/// Whether a browser can be sent there.
fn is_web_address(text: &str) -> bool {
    let is_plain = !text.contains(char::is_control);
    is_plain
        && ["https://", "http://"]
            .iter()
            .any(|scheme| text.len() > scheme.len() && text.starts_with(scheme))
}

/// Checks a word of a closed vocabulary.
fn word(word: &Spanned<String>, known: &[&str], mistakes: &mut Vec<YamlMistake>) {
    if !known.contains(&word.value.as_str()) {
        mistakes.push(mistake(word, &format!("is none of {}", known.join(", "))));
    }
}

/// The mistake at a value.
fn mistake(at: &Spanned<String>, reason: &str) -> YamlMistake {
    YamlMistake::at(at, format!("{:?} {reason}", at.value))
}

/// Puts a text under a name.
fn put(object: &mut Map<String, Value>, name: &str, text: String) {
    object.insert(name.to_owned(), text.into());
}

/// Puts an object under a name, unless it is empty.
fn put_object(object: &mut Map<String, Value>, name: &str, members: Map<String, Value>) {
    if !members.is_empty() {
        object.insert(name.to_owned(), members.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, expected: Result<Value, (u64, u64, &str)>) {
        match (Legal::read(yaml), expected) {
            (Ok(legal), Ok(expected)) => {
                assert_eq!(json!({"h": legal.header, "d": legal.defaults}), expected);
            }
            (Err(found), Err((line, column, reason))) => {
                let found = &found[0];
                assert_eq!((found.line, found.column), (line, column), "{found:?}");
                assert!(found.reason.contains(reason), "{found:?}");
            }
            (found, _) => panic!("{yaml}: {found:?}"),
        }
    }

    #[test]
    fn header_and_defaults() {
        check(
            "issuer: { authority_id: xx-hotline, name: \"Example Hotline\" }\ncategory: csam\n\
             legal: { basis: \"Act, art. 1\", authority: Police }\n\
             redress: { url: \"https://a.example/\", deadline_days: 14 }\nexpires_at: never\nreview_by: 2027-02-24\n",
            Ok(json!({
                "h": {"issuer": {"authority_id": "xx-hotline", "name": "Example Hotline"}},
                "d": {
                    "category": "csam", "legal": {"basis": "Act, art. 1", "authority": "Police"},
                    "redress": {"url": "https://a.example/", "deadline_days": 14},
                    "expires_at": "never", "review_by": "2027-02-24",
                },
            })),
        );
        check("{}", Ok(json!({"h": {}, "d": {}})));
        let relative = Legal::read("expires_at: 2h\nreview_by: 90d\n").unwrap();
        assert_eq!(relative.defaults, Map::new());
        assert_eq!(relative.expires_after, Some(SignedDuration::from_hours(2)));
        assert_eq!(
            relative.review_after,
            Some(SignedDuration::from_hours(2160))
        );
    }

    #[test]
    fn mistakes_have_their_place() {
        check("category: csam\ncategorie: x\n", Err((2, 1, "categorie")));
        check("category: porn\n", Err((1, 11, "is none of csam")));
        check(
            "legal: { basis: x, autority: y }\n",
            Err((1, 20, "autority")),
        );
        check("legal:\n  basis: x\n  basis: y\n", Err((3, 3, "duplicate")));
        check("expires_at: soon\n", Err((1, 13, "neither never")));
        check("review_by: 0d\n", Err((1, 12, "neither a date")));
        check("redress: { deadline_days: soon }\n", Err((1, 27, "")));
        for text in [
            "legal: { basis: \"a\\e[2Jb\" }\n",
            "issuer: { name: \"a\\e[2Jb\" }\n",
        ] {
            check(
                text,
                Err((1, text.find('"').unwrap() as u64 + 1, "control")),
            );
        }
        check(
            "redress: { url: \"javascript:alert(1)\" }\n",
            Err((1, 17, "no address of a web page")),
        );
    }

    #[test]
    fn every_mistake_is_shown_at_once() {
        let yaml = "category: porn\nvisibility: open\nexpires_at: soon\n";
        let lines: Vec<u64> = Legal::read(yaml)
            .unwrap_err()
            .iter()
            .map(|mistake| mistake.line)
            .collect();
        assert_eq!(lines, [2, 1, 3]);
    }
}
