//! Our own format: a header line, then one entry a line, each a JSON object (interface.md,
//! "Native list format"; field.md section 8).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::lines::{lines_from, reject};
use super::native_line::{EntryLine, HeaderLine, WindowLine, shown};
use super::rpz_rule::Rule;
use super::{Parsed, urls};
use crate::policy::{
    Action, CanonicalUrl, Entry, EntryId, LegalRecord, Life, LocalData, Name, Prefix, QueryMatch,
    Reach, Scope, Trigger, UrlScope, Window,
};

/// The header of a native list: what describes it, and the defaults of its entries.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The list's name as its authority has it.
    pub list: String,
    /// Its title by language.
    pub title: BTreeMap<String, String>,
    /// Who issues it.
    pub issuer: Option<String>,
    defaults: Defaults,
}

#[derive(Clone, Debug, PartialEq)]
struct Defaults {
    record: Arc<LegalRecord>,
    category_given: bool,
    action: Option<Action>,
    expires_at: Option<Timestamp>,
    review_by: Option<Timestamp>,
}

impl Header {
    /// Whether the first lines of two versions make the same of an entry but for its legal
    /// record: which names it stands for, whether it acts, and whether it is let in.
    #[must_use]
    pub fn read_alike(one: &[u8], other: &[u8]) -> bool {
        let read = |line| read_header(std::str::from_utf8(line).ok()?).ok();
        let weighs = |header: &Self| {
            let Defaults {
                record,
                category_given,
                action,
                expires_at,
                // That a review is due holds up nothing.
                review_by: _,
            } = &header.defaults;
            let empty = (record.basis.is_empty(), record.authority.is_empty());
            (
                record.category,
                *category_given,
                *action,
                *expires_at,
                empty,
            )
        };
        read(one)
            .zip(read(other))
            .is_some_and(|(one, other)| weighs(&one) == weighs(&other))
    }

    /// Its title in English, else in the first language it has, else its name.
    #[must_use]
    pub fn title(&self) -> &str {
        self.title
            .get("en")
            .or_else(|| self.title.values().next())
            .unwrap_or(&self.list)
    }
}

/// Reads a native list, block by block. Records that are the same are shared.
#[derive(Default)]
pub(super) struct Reader {
    header: Option<Header>,
    /// Whether the header cannot be read, so that no entry can.
    is_over: bool,
    records: HashSet<Arc<LegalRecord>>,
    /// How many lines were read.
    lines: u32,
}

impl Reader {
    /// The line that is read next.
    pub(super) const fn line(&self) -> u32 {
        self.lines.saturating_add(1)
    }

    /// Reads the next block of whole lines.
    pub(super) fn read(&mut self, block: &[u8], take: &mut dyn FnMut(Parsed)) {
        let first = self.line();
        let count = memchr::memchr_iter(b'\n', block).count();
        self.lines = self
            .lines
            .saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        for line in lines_from(first, block) {
            if self.is_over {
                return;
            }
            match line {
                Ok((line, text)) => self.read_line(line, text, take),
                Err(reject) => take(Parsed::Reject(reject)),
            }
        }
    }

    /// Reads one line.
    fn read_line(&mut self, line: u32, text: &str, take: &mut dyn FnMut(Parsed)) {
        let Some(header) = &self.header else {
            match read_header(text) {
                Ok(read) => {
                    take(Parsed::Header(Box::new(read.clone())));
                    self.header = Some(read);
                }
                Err(reason) => {
                    self.is_over = true;
                    take(Parsed::Reject(reject(line, reason)));
                }
            }
            return;
        };
        match read_entry(text, header) {
            Ok(mut entry) => {
                // Most entries have the record of the header: it is shared as it is.
                if !Arc::ptr_eq(&entry.record, &header.defaults.record) {
                    match self.records.get(&entry.record) {
                        Some(shared) => entry.record = shared.clone(),
                        None => _ = self.records.insert(entry.record.clone()),
                    }
                }
                take(Parsed::Entry(line, Box::new(entry)));
            }
            Err(reason) => take(Parsed::Reject(reject(line, reason))),
        }
    }
}

/// Reads the header line.
///
/// # Errors
/// A sentence that says what is wrong with it; without a header no entry can be read.
pub fn read_header(text: &str) -> Result<Header, String> {
    let line: HeaderLine<'_> = serde_json::from_str(text)
        .map_err(|error| format!("the header of the list cannot be read: {error}"))?;
    if line.format != FORMAT {
        return Err(format!(
            "the list has format {}, and this version reads {FORMAT}; a newer cordon is needed",
            line.format
        ));
    }
    let mut record = LegalRecord::default();
    let category_given = line.defaults.category.is_some();
    line.defaults.legal.merge(
        &mut record,
        line.defaults.category.as_deref(),
        line.defaults.redress,
        line.defaults.reason,
    )?;
    Ok(Header {
        list: shown(line.list),
        title: line
            .title
            .into_iter()
            .map(|(language, text)| (shown(language), shown(text)))
            .collect(),
        issuer: line.issuer.and_then(|issuer| issuer.name).map(shown),
        defaults: Defaults {
            record: Arc::new(record),
            category_given,
            action: line.defaults.action.as_deref().map(action).transpose()?,
            expires_at: line
                .defaults
                .expires_at
                .as_deref()
                .map(end)
                .transpose()?
                .flatten(),
            review_by: line.defaults.review_by.as_deref().map(review).transpose()?,
        },
    })
}

/// Reads one entry line under the defaults of its header.
///
/// # Errors
/// A sentence that says why the row is left out.
pub fn read_entry(text: &str, header: &Header) -> Result<Entry, String> {
    let line: EntryLine<'_> = serde_json::from_str(text)
        .map_err(|error| format!("this line is not a native entry: {error}"))?;
    if let Some(unknown) = line.critical.first() {
        return Err(format!(
            "the entry needs `{unknown}`, which is not in this version"
        ));
    }
    if line.scheme.is_some() {
        return Err("the entry has `scheme`, which is not in this version".to_owned());
    }
    if line.id.is_empty()
        || line.id.len() > ID_OCTETS_MAX
        || !line.id.bytes().all(|octet| octet.is_ascii_graphic())
    {
        return Err(format!(
            "the id is not 1 to {ID_OCTETS_MAX} visible ASCII characters"
        ));
    }
    let reach = if line.cname {
        Reach::Chain
    } else {
        Reach::Asked
    };
    let Matched {
        trigger,
        action: by_kind,
        data,
        reach,
    } = matched(&line, reach)?;
    let given = line.action.as_deref().map(action).transpose()?;
    let action = by_kind
        .or(given)
        .or(header.defaults.action)
        .unwrap_or(Action::Block);
    let record = record(&line, header)?;
    Ok(Entry {
        id: EntryId::new(&line.id),
        trigger,
        action,
        data,
        reach,
        record,
        added_at: line.added_at.as_deref().map(time).transpose()?,
        life: life(&line, header)?,
        canary: line.canary,
        is_shared_acknowledged: line.collateral.is_some_and(|said| said.is_acknowledged()),
    })
}

/// What a line says of its match.
struct Matched {
    trigger: Trigger,
    /// Where its kind decides that.
    action: Option<Action>,
    data: Option<Arc<LocalData>>,
    reach: Reach,
}

/// What the entry matches, and what is done where its kind decides that.
fn matched(line: &EntryLine<'_>, reach: Reach) -> Result<Matched, String> {
    if &*line.kind == "rpz" {
        let rule = Rule::read(&line.value, &line.records)?;
        return Ok(Matched {
            trigger: rule.trigger,
            action: Some(rule.action),
            data: rule.data,
            reach: Reach::PolicyZone,
        });
    }
    let (trigger, action) = trigger(line)?;
    Ok(Matched {
        trigger,
        action,
        data: None,
        reach,
    })
}

/// What an entry of a kind of our own matches, and the action where its kind decides that.
fn trigger(line: &EntryLine<'_>) -> Result<(Trigger, Option<Action>), String> {
    let scope = |default: Option<Scope>| match line.r#match.as_deref() {
        None => default.ok_or_else(|| {
            "the entry does not say its match: exact, subtree or children".to_owned()
        }),
        Some(word) => {
            Scope::from_word(word).ok_or_else(|| format!("`{word}` is no match of a domain"))
        }
    };
    let name = || Name::from_text(&line.value).map_err(|error| error.to_string());
    match &*line.kind {
        "domain" => Ok((
            Trigger::Name {
                name: name()?,
                scope: scope(None)?,
            },
            None,
        )),
        "exception" => Ok((
            Trigger::Name {
                name: name()?,
                scope: scope(Some(Scope::Exact))?,
            },
            Some(Action::PassThru),
        )),
        "url" => {
            let url = CanonicalUrl::parse(&line.value).map_err(|error| error.to_string())?;
            let scope = match line.r#match.as_deref() {
                None => UrlScope::Exact,
                Some(word) => UrlScope::from_word(word)
                    .ok_or_else(|| format!("`{word}` is no match of a URL"))?,
            };
            urls::check_prefix(&url, scope)?;
            let query = match line.query.as_deref() {
                None | Some("exact") => QueryMatch::Exact,
                Some("ignore") => QueryMatch::Ignore,
                Some(word) => {
                    return Err(format!(
                        "`{word}` is no way to match a query: exact or ignore"
                    ));
                }
            };
            Ok((Trigger::Url { url, scope, query }, None))
        }
        "ip" => {
            let prefix: Prefix = line
                .value
                .parse()
                .map_err(|error: crate::policy::PrefixError| error.to_string())?;
            Ok((Trigger::Address(prefix), None))
        }
        kind => Err(format!(
            "`{kind}` is no kind of entry: domain, url, ip, exception or rpz"
        )),
    }
}

/// When it is in effect.
fn life(line: &EntryLine<'_>, header: &Header) -> Result<Life, String> {
    Ok(Life {
        effective_from: line.effective_from.as_deref().map(time).transpose()?,
        expires_at: match line.expires_at.as_deref() {
            Some(text) => end(text)?,
            None => header.defaults.expires_at,
        },
        review_by: match line.review_by.as_deref() {
            Some(text) => Some(review(text)?),
            None => header.defaults.review_by,
        },
        windows: line
            .window
            .as_deref()
            .map_or_else(|| Ok(Box::default()), windows)?,
    })
}

/// The legal record: the header's, but for what the entry says itself.
fn record(line: &EntryLine<'_>, header: &Header) -> Result<Arc<LegalRecord>, String> {
    let own = line.category.is_some()
        || line.legal.is_some()
        || line.redress.is_some()
        || !line.reason.is_empty();
    let record = if own {
        let mut record = LegalRecord::clone(&header.defaults.record);
        let legal = line.legal.clone().unwrap_or_default();
        legal.merge(
            &mut record,
            line.category.as_deref(),
            line.redress.clone(),
            line.reason.clone(),
        )?;
        Arc::new(record)
    } else {
        header.defaults.record.clone()
    };
    if line.category.is_none() && !header.defaults.category_given {
        return Err("the entry has no category, and neither has the header".to_owned());
    }
    if record.basis.is_empty() {
        return Err("the entry has no legal basis, and neither has the header".to_owned());
    }
    if record.authority.is_empty() {
        return Err("the entry has no authority, and neither has the header".to_owned());
    }
    Ok(record)
}

fn action(word: &str) -> Result<Action, String> {
    // field.md names the pass action of exceptions `pass`.
    if word == "pass" {
        return Ok(Action::PassThru);
    }
    // Local data is for rules of policy zones, which have it.
    Action::from_word(word)
        .filter(|action| *action != Action::LocalData)
        .ok_or_else(|| format!("`{word}` is no action"))
}

fn end(text: &str) -> Result<Option<Timestamp>, String> {
    if text == "never" {
        Ok(None)
    } else {
        time(text).map(Some)
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is no time such as 2026-11-24T06:00:00Z"))
}

/// When a review is overdue: when its day is over, in UTC.
fn review(text: &str) -> Result<Timestamp, String> {
    let day = match text.parse::<Date>() {
        Ok(day) => Ok(day),
        Err(_) => time(text).map(|time| time.to_zoned(TimeZone::UTC).date()),
    };
    day.ok()
        .and_then(|day| day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok())
        .map(|end| end.timestamp())
        .ok_or_else(|| format!("`{text}` is no day such as 2027-02-24"))
}

/// The spans within which an entry is in effect.
fn windows(lines: &[WindowLine<'_>]) -> Result<Box<[Window]>, String> {
    if lines.is_empty() || lines.len() > WINDOWS_MAX {
        return Err(format!("the `window` is not 1 to {WINDOWS_MAX} spans"));
    }
    let window = |line: &WindowLine<'_>| {
        let (from, to) = (time(&line.from)?, time(&line.to)?);
        if from < to {
            Ok(Window { from, to })
        } else {
            Err(format!(
                "the window from {from} ends before it begins, at {to}"
            ))
        }
    };
    lines.iter().map(window).collect()
}

/// The format that is written and read.
const FORMAT: u64 = 1;

/// The most spans of an entry's `window`.
const WINDOWS_MAX: usize = 16;

/// The longest id of an entry, in octets.
const ID_OCTETS_MAX: usize = 128;

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Format, Reading, read_whole};
    use super::*;
    use crate::policy::Category;

    pub(in super::super) fn reading(format: Format) -> Reading {
        let record = LegalRecord {
            basis: "Example Act".into(),
            authority: "Example Police".into(),
            ..LegalRecord::default()
        };
        Reading {
            list: "test".into(),
            format,
            scope: None,
            url_scope: UrlScope::Exact,
            record: Arc::new(record),
        }
    }

    /// Reads `text` and compares the entries, each as `LINE KIND MATCH VALUE`, and the lines
    /// that were rejected.
    #[track_caller]
    pub(in super::super) fn check_format(
        reading: &Reading,
        text: &str,
        entries: &[&str],
        rejects: &[u32],
    ) {
        let mut found = Vec::new();
        let mut rejected = Vec::new();
        read_whole(reading, text.as_bytes(), &mut |parsed| match parsed {
            Parsed::Header(_) | Parsed::Soa(..) | Parsed::Warning(_) => {}
            Parsed::Entry(line, entry) => {
                let words = [
                    entry.kind().as_str(),
                    entry.trigger.match_word().unwrap_or(""),
                    &entry.trigger.value(),
                ]
                .join(" ");
                found.push(format!("{line} {}", words.replace("  ", " ")));
            }
            Parsed::Reject(reject) => rejected.push(reject.line),
        });
        assert_eq!(found, entries);
        assert_eq!(rejected, rejects);
    }

    const HEADER: &str = r#"{"defaults":{"category":"csam","legal":{"authority":"Example Police","basis":"Example Act, art. 1","order_ref":"EX-2026-1"},"redress":{"url":"https://hotline.example/appeal"}},"format":1,"issuer":{"authority_id":"xx-hotline","name":"Example Hotline","url":"https://hotline.example/"},"list":"csam","title":{"en":"Example list"}}"#;

    #[test]
    fn the_contract_example_is_read() {
        let header = read_header(HEADER).unwrap();
        assert_eq!(
            (header.title(), header.issuer.as_deref()),
            ("Example list", Some("Example Hotline"))
        );
        let entry = read_entry(
            r#"{"added_at":"2026-11-24T06:00:00Z","expires_at":"2027-05-24T00:00:00Z","id":"EX-000123","kind":"domain","match":"subtree","value":"blocked.example"}"#,
            &header,
        )
        .unwrap();
        assert_eq!(entry.record.order_ref.as_deref(), Some("EX-2026-1"));
        assert_eq!(entry.record.category, Category::Csam);
        assert!(
            !entry
                .life
                .is_effective("2027-05-24T00:00:00Z".parse().unwrap())
        );
        let entry = read_entry(
            r#"{"added_at":"2026-11-24T06:00:00Z","expires_at":"never","id":"EX-000124","kind":"url","legal":{"order_ref":"EX-2026-2"},"match":"exact","review_by":"2027-02-24","value":"http://shared.example/members/x/page.html"}"#,
            &header,
        )
        .unwrap();
        assert_eq!(entry.record.order_ref.as_deref(), Some("EX-2026-2"));
        assert_eq!(entry.record.basis, "Example Act, art. 1");
    }

    #[test]
    fn no_text_of_a_list_acts_on_a_terminal() {
        let bad = r"\u001b[2K\u001b[31mPASSES\nnobody\u007f\u009b\u202egpj";
        let good = "\u{fffd}[2K\u{fffd}[31mPASSES\u{fffd}nobody\u{fffd}\u{fffd}\u{fffd}gpj";
        let text = HEADER
            .replace("Example Act, art. 1", bad)
            .replace("Example Hotline", bad)
            .replace("EX-2026-1", bad)
            .replace("Example list", bad);
        let header = read_header(&text).unwrap();
        assert_eq!(
            (header.title(), header.issuer.as_deref()),
            (good, Some(good))
        );
        let row = format!(
            r#"{{"id":"a","kind":"domain","legal":{{"authority":"{bad}"}},"match":"exact","reason":{{"en":"{bad}"}},"redress":{{"court":"{bad}"}},"value":"a.test"}}"#
        );
        let record = read_entry(&row, &header).unwrap().record;
        assert_eq!([&record.basis, &record.authority], [good, good]);
        assert_eq!(record.order_ref.as_deref(), Some(good));
        assert_eq!(record.redress.court.as_deref(), Some(good));
        assert_eq!(record.reason["en"], good);
    }

    #[track_caller]
    fn check_reason(line: &str, part: &str) {
        let header = read_header(HEADER).unwrap();
        let reason = read_entry(line, &header).unwrap_err();
        assert!(reason.contains(part), "{reason}");
    }

    #[test]
    fn a_bad_row_says_why() {
        check_reason("{", "not a native entry");
        check_reason(
            r#"{"id":"a","kind":"domain","value":"x.test"}"#,
            "does not say its match",
        );
        check_reason(
            r#"{"id":"a","kind":"domain","match":"subtree","value":"x..test"}"#,
            "empty label",
        );
        check_reason(
            r#"{"id":"a","kind":"regex","value":"x"}"#,
            "no kind of entry",
        );
        check_reason(
            r#"{"id":"","kind":"url","value":"http://x.test/"}"#,
            "the id",
        );
        check_reason(
            r#"{"id":"a","kind":"url","value":"http://x.test/","critical":["ext.y"]}"#,
            "not in this version",
        );
        check_reason(
            r#"{"id":"a","kind":"url","value":"http://x.test/","category":"spam"}"#,
            "no category",
        );
        check_reason(
            r#"{"id":"a","id":"b","kind":"url","value":"http://x.test/"}"#,
            "duplicate field",
        );
    }

    #[test]
    fn an_entry_has_windows_and_a_day_of_review() {
        let header = read_header(HEADER).unwrap();
        let entry = |members: &str| {
            let line =
                format!("{{\"id\":\"a\",\"kind\":\"url\",{members},\"value\":\"http://x.test/\"}}");
            read_entry(&line, &header)
        };
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let day = entry(r#""review_by":"2027-02-24""#).unwrap();
        assert_eq!(day.life.review_by, Some(time("2027-02-25T00:00:00Z")));
        let moment = entry(r#""review_by":"2027-02-24T17:00:00Z""#).unwrap();
        assert_eq!(moment.life, day.life);
        let defaults = HEADER.replace(
            "\"defaults\":{",
            "\"defaults\":{\"review_by\":\"2027-02-24\",",
        );
        let line = r#"{"id":"a","kind":"domain","match":"exact","value":"x.test"}"#;
        let inherited = read_entry(line, &read_header(&defaults).unwrap()).unwrap();
        assert_eq!(inherited.life.review_by, day.life.review_by);
        let span = |from: &str, to: &str| format!("{{\"from\":\"{from}\",\"to\":\"{to}\"}}");
        let match_day = span("2026-11-28T20:00:00+01:00", "2026-11-28T22:00:00+01:00");
        let live = entry(&format!("\"window\":[{match_day}]")).unwrap();
        assert!(live.life.is_effective(time("2026-11-28T19:00:00Z")));
        assert!(!live.life.is_effective(time("2026-11-28T21:00:00Z")));
        for (window, part) in [
            ("[]".to_owned(), "1 to 16 spans"),
            (
                format!("[{}]", [match_day.as_str(); 17].join(",")),
                "1 to 16 spans",
            ),
            (
                format!("[{}]", span("2026-11-28T20:00:00Z", "2026-11-28T20:00:00Z")),
                "ends before it begins",
            ),
            (format!("[{}]", span("tonight", "tomorrow")), "is no time"),
            ("\"always\"".to_owned(), "not a native entry"),
        ] {
            let reason = entry(&format!("\"window\":{window}")).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
        let reason = entry(r#""review_by":"soon""#).unwrap_err();
        assert!(reason.contains("is no day"), "{reason}");
    }

    #[test]
    fn a_legal_basis_is_needed() {
        let header =
            read_header(r#"{"format":1,"list":"x","defaults":{"category":"phishing"}}"#).unwrap();
        let reason = read_entry(
            r#"{"id":"a","kind":"url","value":"http://x.test/"}"#,
            &header,
        )
        .unwrap_err();
        assert!(reason.contains("no legal basis"), "{reason}");
        assert!(
            read_header(r#"{"format":2,"list":"x"}"#)
                .unwrap_err()
                .contains("newer")
        );
    }

    #[test]
    fn a_bad_row_never_loses_the_list() {
        let text = format!(
            "{HEADER}\n{}\nnonsense\n{}\n",
            r#"{"id":"a","kind":"domain","match":"exact","value":"one.test"}"#,
            r#"{"id":"b","kind":"exception","value":"two.test"}"#,
        );
        check_format(
            &reading(Format::Native),
            &text,
            &["2 domain exact one.test", "4 exception exact two.test"],
            &[3],
        );
    }
}
