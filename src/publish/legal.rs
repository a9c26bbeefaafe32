//! [`Legal`]: the legal file, which says what the header of a list says.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use serde_saphyr::{Location, Spanned};

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

/// A mistake in the legal file, and where it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LegalMistake {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong there, and what is expected.
    pub reason: String,
}

impl Legal {
    /// Reads the YAML of a legal file; an unknown key is a mistake.
    ///
    /// # Errors
    /// The first [`LegalMistake`].
    pub fn read(yaml: &str) -> Result<Self, LegalMistake> {
        let file: LegalFile = serde_saphyr::from_str(yaml).map_err(|error| {
            let (line, column) = place(error.location().as_ref());
            LegalMistake {
                line,
                column,
                reason: error.without_snippet().to_string(),
            }
        })?;
        file.check()
    }
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LegalFile {
    issuer: Option<BTreeMap<IssuerKey, String>>,
    visibility: Option<Spanned<String>>,
    next_expected_at: Option<Spanned<String>>,
    category: Option<Spanned<String>>,
    #[serde(default)]
    legal: BTreeMap<LegalKey, String>,
    redress: Option<RedressFile>,
    #[serde(default)]
    reason: BTreeMap<String, String>,
    action: Option<Spanned<String>>,
    expires_at: Option<Spanned<String>>,
    review_by: Option<Spanned<String>>,
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
    url: Option<String>,
    email: Option<String>,
    deadline_days: Option<u32>,
    court: Option<String>,
}

impl LegalFile {
    /// Checks the words that have a meaning, and sorts all into header and defaults.
    fn check(self) -> Result<Legal, LegalMistake> {
        let mut legal = Legal::default();
        self.header(&mut legal.header)?;
        if let Some(category) = self.category {
            let known = Category::ALL.map(Category::as_str);
            word(&category, &known)?;
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
            (name.to_owned(), text.into())
        });
        put_object(&mut legal.defaults, "legal", named.collect());
        if let Some(redress) = self.redress {
            put_object(&mut legal.defaults, "redress", redress.members());
        }
        let reason = self.reason.into_iter();
        let reason = reason.map(|(language, text)| (language, text.into()));
        put_object(&mut legal.defaults, "reason", reason.collect());
        if let Some(action) = self.action {
            if Action::from_word(&action.value).is_none() {
                return Err(mistake(&action, "is no action of an entry"));
            }
            put(&mut legal.defaults, "action", action.value);
        }
        if let Some(text) = self.expires_at {
            legal.expires_after = term(&text, &mut legal.defaults, "expires_at", |text| {
                text == "never" || text.parse::<Timestamp>().is_ok()
            })?;
        }
        if let Some(text) = self.review_by {
            legal.review_after = term(&text, &mut legal.defaults, "review_by", |text| {
                text.parse::<civil::Date>().is_ok()
            })?;
        }
        Ok(legal)
    }

    /// The members beside the defaults.
    fn header(&self, header: &mut Map<String, Value>) -> Result<(), LegalMistake> {
        let named = self.issuer.iter().flatten().map(|(key, text)| {
            let name = match key {
                IssuerKey::AuthorityId => "authority_id",
                IssuerKey::Contact => "contact",
                IssuerKey::Name => "name",
                IssuerKey::Url => "url",
            };
            (name.to_owned(), text.as_str().into())
        });
        put_object(header, "issuer", named.collect());
        if let Some(visibility) = &self.visibility {
            word(visibility, &["public", "restricted", "secret"])?;
            put(header, "visibility", visibility.value.clone());
        }
        if let Some(next) = &self.next_expected_at {
            if next.value.parse::<Timestamp>().is_err() {
                return Err(mistake(next, "is no time such as 2026-11-24T06:00:00Z"));
            }
            put(header, "next_expected_at", next.value.clone());
        }
        Ok(())
    }
}

impl RedressFile {
    /// Its members, as an entry has them.
    fn members(self) -> Map<String, Value> {
        let mut members = Map::new();
        for (name, text) in [
            ("url", self.url),
            ("email", self.email),
            ("court", self.court),
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

/// A time, kept as it is among the defaults, or a duration after an entry is added.
fn term(
    text: &Spanned<String>,
    defaults: &mut Map<String, Value>,
    name: &str,
    is_absolute: impl Fn(&str) -> bool,
) -> Result<Option<SignedDuration>, LegalMistake> {
    if is_absolute(&text.value) {
        put(defaults, name, text.value.clone());
        return Ok(None);
    }
    let reason = match name {
        "review_by" => "is neither a date such as 2027-02-24 nor a duration such as 90d",
        _ => "is neither never nor a time such as 2026-11-24T06:00:00Z nor a duration such as 90d",
    };
    duration(&text.value)
        .map(Some)
        .ok_or_else(|| mistake(text, reason))
}

/// A duration such as `30s 5m 2h 90d`.
fn duration(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    (number > 0).then(|| number.checked_mul(seconds).map(SignedDuration::from_secs))?
}

/// Checks a word of a closed vocabulary.
fn word(word: &Spanned<String>, known: &[&str]) -> Result<(), LegalMistake> {
    if known.contains(&word.value.as_str()) {
        return Ok(());
    }
    Err(mistake(word, &format!("is none of {}", known.join(", "))))
}

/// The mistake at a value.
fn mistake(at: &Spanned<String>, reason: &str) -> LegalMistake {
    let (line, column) = place(Some(&at.referenced));
    LegalMistake {
        line,
        column,
        reason: format!("{:?} {reason}", at.value),
    }
}

/// Line and column, from 1.
fn place(location: Option<&Location>) -> (u64, u64) {
    location.map_or((1, 1), |location| (location.line(), location.column()))
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
    }
}
