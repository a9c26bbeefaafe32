//! [`Builder`]: a draft while rows are added to it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::draft::{Draft, Material, native_rows};
use super::roles::utc;
use super::{PublishError, canonical};
use crate::compile::parse::native::{self, Header};
use crate::compile::parse::{self, Parsed, Reading, Reject, rpz};
use crate::compile::{Format, Protected};
use crate::policy::{EntryId, Kind, LegalRecord};

/// The draft while rows are added to it.
pub(super) struct Builder<'a> {
    pub(super) material: &'a Material<'a>,
    pub(super) header: Header,
    /// Entries of the version before, by what they match.
    pub(super) before: HashMap<Key, Map<String, Value>>,
    pub(super) lines: BTreeMap<(String, String, String), String>,
    /// The line where each id stands.
    pub(super) ids: HashMap<String, (u32, Key)>,
    pub(super) keys: HashSet<Key>,
    pub(super) draft: Draft,
}

/// What an entry matches: kind, value, match.
pub(super) type Key = (String, String, String);

impl Builder<'_> {
    /// Reads all rows.
    pub(super) fn read(&mut self, progress: &mut dyn FnMut(u64)) {
        let mut rows = 0;
        let mut step = || {
            rows += 1;
            if rows % PROGRESS_ROWS == 0 {
                progress(rows);
            }
        };
        match self.material.format {
            Format::Native => {
                for (line, text) in native_rows(self.material.text).skip(1) {
                    step();
                    match serde_json::from_str(text) {
                        Ok(Value::Object(object)) => self.take_native(line, object),
                        _ => self.reject(line, "this line is not a JSON object".to_owned()),
                    }
                }
            }
            Format::Rpz => {
                let (rules, rejects) = rpz::read_zone(self.material.text);
                for rule in rules {
                    step();
                    let id = EntryId::derive(self.material.list, Kind::Domain, &rule.owner);
                    let object = json!({
                        "id": id.as_str(), "kind": "rpz",
                        "value": rule.owner, "records": rule.records,
                    });
                    self.take(rule.line, object);
                }
                for Reject { line, reason } in rejects {
                    self.reject(line, reason);
                }
            }
            Format::Domains | Format::Hosts | Format::Urls | Format::Addresses => {
                let reading = Reading {
                    list: self.material.list.to_owned(),
                    format: self.material.format,
                    scope: self.material.scope,
                    url_scope: self.material.url_scope,
                    record: Arc::new(LegalRecord::default()),
                };
                parse::read_whole(&reading, self.material.text, &mut |parsed| {
                    step();
                    self.take_parsed(parsed);
                });
            }
        }
    }

    /// Takes what a reader of another format found.
    fn take_parsed(&mut self, parsed: Parsed) {
        match parsed {
            Parsed::Entry(line, entry) => {
                let mut object = json!({
                    "id": entry.id.as_str(),
                    "kind": entry.kind().as_str(),
                    "value": entry.trigger.value(),
                });
                if let (Some(word), Value::Object(object)) =
                    (entry.trigger.match_word(), &mut object)
                {
                    object.insert("match".to_owned(), word.into());
                }
                self.take(line, object);
            }
            Parsed::Reject(Reject { line, reason }) => self.reject(line, reason),
            Parsed::Header(_) | Parsed::Warning(_) | Parsed::Soa(..) => {}
        }
    }

    /// Takes an entry in our own format: its value becomes canonical, the rest is kept.
    fn take_native(&mut self, line: u32, mut object: Map<String, Value>) {
        if object.get("canary") == Some(&Value::Bool(true)) {
            return;
        }
        let had_id = object.contains_key("id");
        object.entry("id").or_insert_with(|| "0".into());
        let read = canonical::object_text(&object)
            .ok_or_else(|| "a number in it is not whole".to_owned())
            .and_then(|text| native::read_entry(&text, &self.header));
        let entry = match read {
            Ok(entry) => entry,
            Err(reason) => return self.reject(line, reason),
        };
        if object.get("kind").and_then(Value::as_str) != Some("rpz") {
            let canonical = Value::from(entry.trigger.value());
            if object.get("value") != Some(&canonical)
                && let Some(raw) = object.insert("value".to_owned(), canonical)
            {
                object.entry("raw").or_insert(raw);
            }
        }
        if !had_id {
            let key = key_of(&object);
            let before = self.before.get(&key).and_then(|entry| entry.get("id"));
            let id = before.cloned().unwrap_or_else(|| {
                let id = EntryId::derive(self.material.list, entry.kind(), &key.1);
                id.as_str().into()
            });
            object.insert("id".to_owned(), id);
        }
        self.take(line, Value::Object(object));
    }

    /// Takes an entry that has an id.
    fn take(&mut self, line: u32, entry: Value) {
        let Value::Object(mut entry) = entry else {
            return;
        };
        let key = key_of(&entry);
        self.add_times(&key, &mut entry);
        let Some(text) = canonical::object_text(&entry) else {
            return self.reject(line, "a number in it is not whole".to_owned());
        };
        let read = match native::read_entry(&text, &self.header) {
            Ok(read) => read,
            Err(reason) => return self.reject(line, reason),
        };
        let id = text_of(&entry, "id");
        if id == CANARY || key.1 == canary_name(self.material.list) {
            let reason = "the list's own test entry is made by `publish` alone".to_owned();
            return self.reject(line, reason);
        }
        if let Err(refusal) = self.material.border.check(&Protected::default(), &read) {
            self.draft.never_blocked += u64::from(refusal.never_blocked);
            return self.reject(line, refusal.reason);
        }
        match self.ids.get(&id) {
            Some((_, other)) if *other == key => {
                self.draft.duplicates += 1;
                return;
            }
            Some((first, _)) => {
                let reason = format!("its id {id} is that of line {first}; give it another");
                return self.reject(line, reason);
            }
            None => {}
        }
        let has_expired = read
            .life
            .expires_at
            .is_some_and(|end| end <= self.material.now);
        self.draft.expired += u64::from(has_expired);
        let category = self.material.category;
        let is_other = category.is_some_and(|category| category != read.record.category.as_str());
        self.draft.of_other_category += u64::from(is_other);
        self.ids.insert(id.clone(), (line, key.clone()));
        self.keys.insert(key.clone());
        self.lines.insert((key.0, key.1, id), text);
    }

    /// Adds when the entry was added, kept from the version before, and what is counted
    /// from that time.
    fn add_times(&self, key: &Key, entry: &mut Map<String, Value>) {
        let before = self.before.get(key);
        let added = entry.entry("added_at").or_insert_with(|| {
            let before = before.and_then(|entry| entry.get("added_at"));
            before
                .cloned()
                .unwrap_or_else(|| utc(self.material.now).into())
        });
        let added = added.as_str().and_then(|text| text.parse().ok());
        let added: Timestamp = added.unwrap_or(self.material.now);
        let after = |duration| added.checked_add(duration).unwrap_or(Timestamp::MAX);
        if let Some(duration) = self.material.legal.expires_after {
            let expires = utc(after(duration));
            entry.entry("expires_at").or_insert_with(|| expires.into());
        }
        if let Some(duration) = self.material.legal.review_after {
            let review = TimeZone::UTC.to_datetime(after(duration)).date();
            let review = review.to_string();
            entry.entry("review_by").or_insert_with(|| review.into());
        }
    }

    /// Leaves a row out.
    fn reject(&mut self, line: u32, reason: String) {
        self.draft.rejected += 1;
        if self.draft.rejects.len() < REJECTS_KEPT_MAX {
            self.draft.rejects.push(Reject { line, reason });
        }
    }

    /// A file of which nothing can be used is a mistake, not an empty list. An authority whose
    /// last order is lifted says so with a native file that holds its header alone.
    pub(super) fn check_any_row(&self) -> Result<(), PublishError> {
        let says_empty = self.material.format == Format::Native && self.draft.rejected == 0;
        if says_empty || !self.lines.is_empty() {
            return Ok(());
        }
        Err(match self.draft.rejects.first() {
            Some(first) => PublishError::NoRows {
                rows: usize::try_from(self.draft.rejected).unwrap_or(usize::MAX),
                line: first.line,
                reason: first.reason.clone(),
            },
            None => PublishError::Empty,
        })
    }

    /// Adds the list's own test entry. Where the header has no legal record for it, it
    /// brings one that says what it is.
    pub(super) fn add_canary(&mut self, header: &Map<String, Value>) -> Result<(), PublishError> {
        let value = canary_name(self.material.list);
        let mut entry = json!({
            "canary": true, "id": CANARY, "kind": "domain", "match": "subtree", "value": value,
        });
        let key = ("domain".to_owned(), value.clone(), "subtree".to_owned());
        if let Value::Object(entry) = &mut entry {
            let before = self.before.get(&key);
            let added = before.and_then(|entry| entry.get("added_at")).cloned();
            let now = || utc(self.material.now).into();
            entry.insert("added_at".to_owned(), added.unwrap_or_else(now));
            entry.insert("expires_at".to_owned(), "never".into());
        }
        let mut text = canonical::text(&entry).unwrap_or_default();
        if native::read_entry(&text, &self.header).is_err() {
            let issuer = header.get("issuer").and_then(|issuer| issuer.get("name"));
            let authority = issuer.cloned().unwrap_or_else(|| self.material.list.into());
            let category = self.material.category.unwrap_or("court_other");
            let own = json!({
                "category": category,
                "legal": {"authority": authority, "basis": "none: the list's own test entry"},
            });
            if let (Value::Object(entry), Value::Object(own)) = (&mut entry, own) {
                entry.extend(own);
            }
            text = canonical::text(&entry).unwrap_or_default();
            native::read_entry(&text, &self.header).map_err(PublishError::Header)?;
        }
        let place = ("domain".to_owned(), value, CANARY.to_owned());
        self.lines.insert(place, text);
        Ok(())
    }

    /// The draft, complete.
    pub(super) fn finish(mut self, header: String) -> Draft {
        let before = self.before.iter();
        let mut before = before.filter(|(_, entry)| entry.get("canary").is_none());
        let kept = before.by_ref().fold((0, 0), |(kept, gone), (key, _)| {
            if self.keys.contains(key) {
                (kept + 1, gone)
            } else {
                (kept, gone + 1)
            }
        });
        self.draft.added = (self.keys.len() as u64).saturating_sub(kept.0);
        self.draft.removed = kept.1;
        self.draft.entries = self.lines.len() as u64;
        let mut plaintext = header.into_bytes();
        plaintext.push(b'\n');
        for line in self.lines.into_values() {
            plaintext.extend_from_slice(line.as_bytes());
            plaintext.push(b'\n');
        }
        self.draft.plaintext = plaintext;
        self.draft
    }
}

/// The entries of a version that was published, by what they match.
pub(super) fn entries_of(plaintext: &[u8]) -> HashMap<Key, Map<String, Value>> {
    native_rows(plaintext)
        .skip(1)
        .filter_map(|(_, line)| serde_json::from_str(line).ok())
        .map(|entry: Map<String, Value>| (key_of(&entry), entry))
        .collect()
}

/// What an entry matches.
fn key_of(entry: &Map<String, Value>) -> Key {
    (
        text_of(entry, "kind"),
        text_of(entry, "value"),
        text_of(entry, "match"),
    )
}

/// A member that is a text; empty where it is not.
fn text_of(entry: &Map<String, Value>, name: &str) -> String {
    let text = entry.get(name).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// The name of a list's own test entry.
fn canary_name(list: &str) -> String {
    format!("{list}.canary.invalid")
}

/// The id of a list's own test entry.
const CANARY: &str = "canary";
/// How many rows that were left out are kept to be shown.
pub(super) const REJECTS_KEPT_MAX: usize = 1000;
/// After so many rows progress is shown.
const PROGRESS_ROWS: u64 = 4096;
