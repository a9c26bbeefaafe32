//! [`Draft`]: the next version of a list as it will be signed; made of rows in any format.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::draft_builder::{Builder, entries_of};
use super::{Legal, PublishError, canonical};
use crate::compile::parse::{Reject, native};
use crate::compile::{Border, Format};
use crate::policy::{Scope, UrlScope};

/// The next version of a list.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The whole plaintext: the header, then the entries, sorted.
    pub(super) plaintext: Vec<u8>,
    /// Its entries, the canary included.
    pub(super) entries: u64,
    /// Entries that the version before did not have.
    pub(super) added: u64,
    /// Entries of the version before that it does not have.
    pub(super) removed: u64,
    /// Rows that say again what another row says.
    pub(super) duplicates: u64,
    /// The rows that were left out, the first [`super::draft_builder::REJECTS_KEPT_MAX`] of them.
    pub(super) rejects: Vec<Reject>,
    /// How many rows were left out.
    pub(super) rejected: u64,
    /// Of these, rows that would block what may never be blocked.
    pub(super) never_blocked: u64,
    /// Entries that have expired already: no node enforces them.
    pub(super) expired: u64,
    /// Entries of another category than the list was delegated for.
    pub(super) of_other_category: u64,
}

/// What a draft is made of.
#[derive(Debug)]
pub(super) struct Material<'a> {
    /// The list's name.
    pub(super) list: &'a str,
    /// Its title by language, as its delegation has it.
    pub(super) title: Value,
    /// Its category, as its delegation has it.
    pub(super) category: Option<&'a str>,
    /// The legal file.
    pub(super) legal: &'a Legal,
    /// What its rows must be within.
    pub(super) border: &'a Border,
    /// The plaintext of the version before; empty for the first.
    pub(super) before: &'a [u8],
    /// How the rows are written.
    pub(super) format: Format,
    /// The scope of names where the format does not say it.
    pub(super) scope: Option<Scope>,
    /// The scope of URLs in that format.
    pub(super) url_scope: UrlScope,
    /// The rows.
    pub(super) text: &'a [u8],
    /// When the version is issued.
    pub(super) now: Timestamp,
}

impl Draft {
    /// Makes the draft; `progress` is called with the number of rows taken so far.
    ///
    /// # Errors
    /// [`PublishError`] where category, legal basis or authority are nowhere, the header
    /// cannot be used, or no row can.
    pub(super) fn build(
        material: &Material<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, PublishError> {
        let header = header(material)?;
        let text = canonical::object_text(&header)
            .ok_or_else(|| PublishError::Canonical("the header".to_owned()))?;
        let mut builder = Builder {
            material,
            header: native::read_header(&text).map_err(PublishError::Header)?,
            before: entries_of(material.before),
            lines: BTreeMap::new(),
            ids: HashMap::new(),
            keys: HashSet::new(),
            draft: Self::default(),
        };
        builder.read(progress);
        builder.check_any_row()?;
        builder.add_canary(&header)?;
        Ok(builder.finish(text))
    }
}

impl Draft {
    /// What its keeper should know of it before nodes do; `category` is that of the
    /// delegation.
    pub(super) fn warnings(&self, category: Option<&str>) -> Vec<String> {
        let entries = |count| match count {
            1 => "1 entry".to_owned(),
            many => format!("{many} entries"),
        };
        let mut warnings = Vec::new();
        if self.expired > 0 {
            let entries = entries(self.expired);
            warnings.push(format!(
                "{entries} expired before this version: no node enforces what has; see `expires_at`"
            ));
        }
        if self.of_other_category > 0 {
            let (entries, category) = (entries(self.of_other_category), category.unwrap_or(""));
            warnings.push(format!(
                "{entries} of another category than {category}, for which the list is delegated; see `category` in the file of rows and in the legal file"
            ));
        }
        warnings
    }
}

/// The header: that of a native file, under what delegation and legal file say.
fn header(material: &Material<'_>) -> Result<Map<String, Value>, PublishError> {
    let mut header = match material.format {
        Format::Native => native_header(material)?,
        _ => Map::new(),
    };
    header.insert("format".to_owned(), 1.into());
    header.insert("list".to_owned(), material.list.into());
    header.entry("title").or_insert(material.title.clone());
    header.extend(material.legal.header.clone());
    let defaults = header.entry("defaults").or_insert_with(|| json!({}));
    let Value::Object(defaults) = defaults else {
        return Err(PublishError::Header(
            "the header's defaults are not an object".to_owned(),
        ));
    };
    defaults.extend(material.legal.defaults.clone());
    if let Some(category) = material.category {
        defaults.entry("category").or_insert(category.into());
    }
    if material.format != Format::Native {
        check_complete(defaults)?;
    }
    Ok(header)
}

/// The header that a native file brings.
fn native_header(material: &Material<'_>) -> Result<Map<String, Value>, PublishError> {
    let first = native_rows(material.text).next();
    let (_, text) = first.ok_or(PublishError::Empty)?;
    let header = match serde_json::from_str(text) {
        Ok(Value::Object(header)) if header.contains_key("format") => header,
        _ => {
            return Err(PublishError::Header(
                "the first line is not the header of a native list".to_owned(),
            ));
        }
    };
    match header.get("list").and_then(Value::as_str) {
        Some(list) if list != material.list => Err(PublishError::Header(format!(
            "the file is list {list}, not {}",
            material.list
        ))),
        _ => Ok(header),
    }
}

/// Rows of other formats have no legal record but this one.
fn check_complete(defaults: &Map<String, Value>) -> Result<(), PublishError> {
    let missing = |what, key| Err(PublishError::Missing { what, key });
    let given = |text: Option<&Value>| {
        let text = text.and_then(Value::as_str);
        text.is_some_and(|text| !text.is_empty())
    };
    let legal = defaults.get("legal");
    if !given(defaults.get("category")) {
        return missing("the category", "category");
    }
    if !given(legal.and_then(|legal| legal.get("basis"))) {
        return missing("the legal basis", "legal.basis");
    }
    if !given(legal.and_then(|legal| legal.get("authority"))) {
        return missing("the authority", "legal.authority");
    }
    Ok(())
}

/// The lines of a native file that are not blank, numbered from 1. A line that is not UTF-8
/// comes out as one that is no JSON.
pub(super) fn native_rows(text: &[u8]) -> impl Iterator<Item = (u32, &str)> {
    text.split(|octet| *octet == b'\n')
        .zip(1..)
        .map(|(line, number)| {
            (
                number,
                std::str::from_utf8(line).unwrap_or("\u{fffd}").trim(),
            )
        })
        .filter(|(_, line)| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGAL: &str = "category: phishing\nlegal: { basis: Act, authority: Police }\n";

    /// Drafts list a; what it holds as `kind match value id added_at`, and what it left out.
    fn draft(
        before: &[u8],
        legal: &str,
        format: Format,
        text: &str,
        day: u32,
    ) -> Result<Draft, PublishError> {
        let now = format!("2026-11-{day:02}T06:00:00Z").parse().unwrap();
        let material = Material {
            list: "a",
            title: json!({"en": "List a"}),
            category: Some("csam"),
            legal: &Legal::read(legal).unwrap(),
            border: &Border::default(),
            before,
            format,
            scope: Some(Scope::Subtree),
            url_scope: UrlScope::Exact,
            text: text.as_bytes(),
            now,
        };
        Draft::build(&material, &mut |_| {})
    }

    fn entries(draft: &Draft) -> Vec<String> {
        let lines = native_rows(&draft.plaintext).skip(1);
        let entries = lines.map(|(_, line)| serde_json::from_str::<Value>(line).unwrap());
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("-").to_owned();
        entries
            .filter(|entry| entry["canary"] != true)
            .map(|entry| {
                ["kind", "match", "value", "added_at"]
                    .map(|name| text(&entry, name))
                    .join(" ")
            })
            .collect()
    }

    fn rejects(draft: &Draft) -> Vec<(u32, &str)> {
        let rejects = draft.rejects.iter();
        rejects
            .map(|reject| (reject.line, reject.reason.as_str()))
            .collect()
    }

    #[test]
    fn a_full_replacement_keeps_ids_and_times() {
        let first = draft(b"", LEGAL, Format::Domains, "b.test\nA.test\nb.test\n", 24).unwrap();
        assert_eq!(
            entries(&first),
            [
                "domain subtree a.test 2026-11-24T06:00:00Z",
                "domain subtree b.test 2026-11-24T06:00:00Z"
            ]
        );
        assert_eq!(
            (first.entries, first.added, first.removed, first.duplicates),
            (3, 2, 0, 1)
        );
        let again = draft(
            &first.plaintext,
            LEGAL,
            Format::Domains,
            "a.test\nb.test\n",
            25,
        )
        .unwrap();
        assert_eq!(
            again.plaintext, first.plaintext,
            "the order of rows does not matter"
        );
        let next = draft(
            &first.plaintext,
            LEGAL,
            Format::Domains,
            "b.test\nc.test\n",
            25,
        )
        .unwrap();
        assert_eq!(
            entries(&next),
            [
                "domain subtree b.test 2026-11-24T06:00:00Z",
                "domain subtree c.test 2026-11-25T06:00:00Z"
            ]
        );
        assert_eq!((next.added, next.removed), (1, 1));
    }

    #[test]
    fn every_line_is_canonical_and_sorted() {
        let rows = "{\"format\":1,\"list\":\"a\",\"x-head\":[2,1]}\n\
            {\"value\":\"http://B.test/x\",\"kind\":\"url\",\"x-own\":{\"b\":1,\"a\":2}}\n\
            {\"kind\":\"domain\",\"match\":\"exact\",\"value\":\"B\u{fc}cher.test\",\"id\":\"EX-1\",\"added_at\":\"2020-01-01T00:00:00Z\"}\n";
        let draft = draft(b"", LEGAL, Format::Native, rows, 24).unwrap();
        let text = std::str::from_utf8(&draft.plaintext).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("{\"defaults\":{\"category\":\"phishing\""),
            "{text}"
        );
        assert!(lines[0].ends_with("\"x-head\":[2,1]}"), "{text}");
        assert!(
            lines[1].contains("\"canary\":true") && lines[1].contains("a.canary.invalid"),
            "{text}"
        );
        assert_eq!(
            lines[2],
            "{\"added_at\":\"2020-01-01T00:00:00Z\",\"id\":\"EX-1\",\"kind\":\"domain\",\"match\":\"exact\",\
             \"raw\":\"B\u{fc}cher.test\",\"value\":\"xn--bcher-kva.test\"}"
        );
        assert!(
            lines[3].contains("\"value\":\"http://b.test/x\",\"x-own\":{\"a\":2,\"b\":1}"),
            "{text}"
        );
    }

    #[test]
    fn native_rows_that_cannot_be_used_are_left_out() {
        let rows = "{\"format\":1,\"list\":\"a\"}\n\
            {\"kind\":\"domain\",\"match\":\"exact\",\"value\":\"a.test\",\"id\":\"1\"}\n\
            {\"kind\":\"domain\",\"match\":\"exact\",\"value\":\"b.test\",\"id\":\"1\"}\n\
            no JSON\n\
            {\"kind\":\"domain\",\"match\":\"exact\",\"value\":\"c.test\",\"n\":1.5}\n\
            {\"kind\":\"domain\",\"value\":\"d.test\"}\n\
            {\"kind\":\"domain\",\"match\":\"subtree\",\"value\":\"a.canary.invalid\"}\n\
            {\"kind\":\"domain\",\"match\":\"exact\",\"value\":\"x.test\",\"canary\":true}\n\
            \u{0}\n";
        let draft = draft(b"", LEGAL, Format::Native, rows, 24).unwrap();
        assert_eq!(
            entries(&draft),
            ["domain exact a.test 2026-11-24T06:00:00Z"]
        );
        let left_out = rejects(&draft);
        let lines: Vec<u32> = left_out.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 5, 6, 7, 9], "{left_out:?}");
        assert_eq!(left_out[0].1, "its id 1 is that of line 2; give it another");
    }

    #[test]
    fn a_policy_zone_is_carried_as_it_is() {
        let zone = "$TTL 300\n@ SOA a. b. 1 2 3 4 5\nbad.test CNAME .\n*.bad.test CNAME .\nlocal.test A 192.0.2.1\nnew.test CNAME rpz-new.\n";
        let draft = draft(b"", LEGAL, Format::Rpz, zone, 24).unwrap();
        assert_eq!(
            entries(&draft),
            [
                "rpz - *.bad.test 2026-11-24T06:00:00Z",
                "rpz - bad.test 2026-11-24T06:00:00Z",
                "rpz - local.test 2026-11-24T06:00:00Z"
            ]
        );
        let text = String::from_utf8(draft.plaintext.clone()).unwrap();
        assert!(text.contains("\"records\":[\"300 CNAME .\"]"), "{text}");
        assert_eq!(
            rejects(&draft),
            [(6, "`CNAME rpz-new.` is an unknown action")]
        );
    }

    #[test]
    fn terms_count_from_when_an_entry_was_added() {
        let legal = format!("{LEGAL}expires_at: 2d\nreview_by: 90d\n");
        let first = draft(b"", &legal, Format::Domains, "a.test\n", 24).unwrap();
        let next = draft(&first.plaintext, &legal, Format::Domains, "a.test\n", 25).unwrap();
        let text = String::from_utf8(next.plaintext).unwrap();
        assert!(
            text.contains("\"expires_at\":\"2026-11-26T06:00:00Z\""),
            "{text}"
        );
        assert!(text.contains("\"review_by\":\"2027-02-22\""), "{text}");
    }

    #[test]
    fn only_what_is_missing_is_refused() {
        let missing = |legal: &str| match draft(b"", legal, Format::Domains, "a.test", 24) {
            Err(PublishError::Missing { key, .. }) => key,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing("legal: { authority: Police }\n"), "legal.basis");
        assert_eq!(missing("legal: { basis: Act }\n"), "legal.authority");
        let own = draft(
            b"",
            "legal: { basis: Act, authority: Police }\n",
            Format::Domains,
            "a.test",
            24,
        );
        let text = String::from_utf8(own.unwrap().plaintext).unwrap();
        assert!(
            text.starts_with("{\"defaults\":{\"category\":\"csam\""),
            "the delegation's own: {text}"
        );
        let header = "{\"format\":1,\"list\":\"a\"}\n";
        let empty = draft(b"", LEGAL, Format::Native, header, 24).unwrap();
        assert_eq!(empty.entries, 1, "the list's own test entry");
        let none = draft(b"", LEGAL, Format::Domains, "# nothing\n", 24).unwrap_err();
        assert!(matches!(none, PublishError::Empty));
        let bad = draft(b"", LEGAL, Format::Domains, "..\n//\n", 24).unwrap_err();
        assert!(matches!(
            bad,
            PublishError::NoRows {
                rows: 2,
                line: 1,
                ..
            }
        ));
        let other = draft(
            b"",
            LEGAL,
            Format::Native,
            "{\"format\":1,\"list\":\"b\"}\n",
            24,
        )
        .unwrap_err();
        assert!(matches!(other, PublishError::Header(_)));
    }

    #[test]
    fn the_canary_brings_its_own_record_where_the_header_has_none() {
        let rows = "{\"format\":1,\"list\":\"a\"}\n\
            {\"kind\":\"domain\",\"match\":\"exact\",\"value\":\"a.test\",\"legal\":{\"basis\":\"Act\",\"authority\":\"Police\"}}\n";
        let draft = draft(b"", "{}", Format::Native, rows, 24).unwrap();
        let text = String::from_utf8(draft.plaintext.clone()).unwrap();
        assert!(text.contains("the list's own test entry"), "{text}");
        assert_eq!(entries(&draft).len(), 1);
    }
}
