//! [`Compiler`]: puts lists, one after the other, into one [`Blocklist`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::blocklist::{Blocklist, CompiledList, NO_RULE, REJECTS_KEPT_MAX, Rule, Shape, Span};
use super::parse::{self, Parsed, Reading, Reject};
use super::{Border, Format, From, Protected, Settings};
use crate::policy::{Action, Entry, Kind, LegalRecord, Name, Trigger, UrlScope};
use crate::verify::{ListFile, Verified};

/// Puts lists, in the operator's order, into one [`Blocklist`]. No row can fail it: what
/// cannot be enforced is left out, with line and reason.
#[derive(Debug)]
pub struct Compiler {
    now: Timestamp,
    blocklist: Blocklist,
    protected: Protected,
    records: HashMap<Arc<LegalRecord>, u32>,
}

impl Compiler {
    /// Begins with what outranks every list. Entries are judged at `now`.
    #[must_use]
    pub fn new(protected: &Protected, now: Timestamp) -> Self {
        let mut blocklist = Blocklist::default();
        for name in protected.all_names() {
            blocklist.protected.insert(name.as_wire(), 0);
        }
        blocklist.protected.shrink_to_fit();
        Self {
            now,
            blocklist,
            protected: protected.clone(),
            records: HashMap::new(),
        }
    }

    /// Adds a list behind those that were added before, within what the configuration alone
    /// says.
    pub fn add(&mut self, settings: &Settings, file: &Verified<ListFile>) {
        self.add_within(settings, &Border::local(settings), file);
    }

    /// Adds a list within its border behind those that were added before.
    pub fn add_within(&mut self, settings: &Settings, border: &Border, file: &Verified<ListFile>) {
        let file = file.get();
        let (format, scope) = match settings.from {
            From::Repository { .. } => (Format::Native, None),
            From::File { format, scope, .. } => (format, scope),
        };
        let Ok(place) = u16::try_from(self.blocklist.lists.len()) else {
            return;
        };
        let reading = Reading {
            list: settings.name.clone(),
            format,
            scope,
            url_scope: UrlScope::Exact,
            record: Arc::new(local_record(settings)),
        };
        let mut compiled = CompiledList {
            settings: settings.clone(),
            provenance: file.provenance.clone(),
            entries: Vec::new(),
            rejects: Vec::new(),
            rejected: 0,
            never_blocked: 0,
            not_in_effect: 0,
            holes: Vec::new(),
            never_block: Arc::clone(&border.never_block),
        };
        let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
        parse::read(&reading, &file.bytes, &mut |parsed| match parsed {
            Parsed::Header(header) => {
                header.title().clone_into(&mut compiled.provenance.title);
                compiled.provenance.issuer = header.issuer;
            }
            Parsed::Reject(reject) => compiled.reject(reject),
            Parsed::Entry(line, entry) => {
                if !entry.is_effective(self.now) {
                    compiled.not_in_effect += usize::from(!entry.canary);
                    self.note_change(&entry);
                } else if let Err(refusal) = border.check(&self.protected, &entry) {
                    compiled.never_blocked += usize::from(refusal.never_blocked);
                    let reason = refusal.reason;
                    compiled.reject(Reject { line, reason });
                } else {
                    let room = HOLES_KEPT_MAX.saturating_sub(compiled.holes.len());
                    let holes = border.holes(&self.protected, &entry, room);
                    let hole = |name: Name| (entry.id.to_string(), name.to_string());
                    compiled.holes.extend(holes.into_iter().map(hole));
                    if !entry.canary {
                        *counts.entry(entry.kind()).or_default() += 1;
                    }
                    self.note_change(&entry);
                    self.insert(settings, place, line, &entry);
                }
            }
        });
        compiled.entries = counts.into_iter().collect();
        self.blocklist.lists.push(compiled);
    }

    /// The finished blocklist.
    #[must_use]
    pub fn finish(mut self) -> Blocklist {
        self.blocklist.urls.finish();
        self.blocklist.names.shrink_to_fit();
        self.blocklist.rules.shrink_to_fit();
        self.blocklist.texts.shrink_to_fit();
        self.blocklist
    }

    /// Keeps the soonest time at which an entry takes effect or ends.
    fn note_change(&mut self, entry: &Entry) {
        for time in [entry.effective_from, entry.expires_at]
            .into_iter()
            .flatten()
        {
            if time > self.now
                && self
                    .blocklist
                    .next_change
                    .is_none_or(|soonest| time < soonest)
            {
                self.blocklist.next_change = Some(time);
            }
        }
    }

    fn insert(&mut self, settings: &Settings, list: u16, line: u32, entry: &Entry) {
        let Ok(number) = u32::try_from(self.blocklist.rules.len()) else {
            return;
        };
        let shape = match &entry.trigger {
            Trigger::Name { scope, .. } => Shape::Name(*scope),
            Trigger::Url { scope, query, .. } => Shape::Url(*scope, *query),
            Trigger::Address(_) => return,
        };
        let value = entry.trigger.value();
        let (Some(id), Some(value)) = (self.text(entry.id.as_str()), self.text(&value)) else {
            return;
        };
        let rule = Rule {
            id,
            value,
            record: self.record(&entry.record),
            line,
            next: NO_RULE,
            list,
            kind: entry.kind(),
            shape,
            action: effective_action(settings, entry),
            canary: entry.canary,
            expires_at: entry.expires_at.map_or(i64::MAX, Timestamp::as_second),
        };
        self.blocklist.rules.push(rule);
        match &entry.trigger {
            Trigger::Name { name, .. } => {
                let before = self.blocklist.names.insert(name.as_wire(), number);
                if let Some(before) =
                    before.and_then(|before| self.blocklist.rules.get_mut(before as usize))
                {
                    before.next = number;
                }
            }
            Trigger::Url { url, scope, query } => {
                self.blocklist.urls.insert(url, *scope, *query, number)
            }
            Trigger::Address(_) => {}
        }
    }

    fn text(&mut self, text: &str) -> Option<Span> {
        let at = u32::try_from(self.blocklist.texts.len()).ok()?;
        let len = u16::try_from(text.len()).ok()?;
        self.blocklist.texts.push_str(text);
        Some(Span { at, len })
    }

    fn record(&mut self, record: &Arc<LegalRecord>) -> u32 {
        // Neighbours mostly share one record: no hash is needed to see that.
        if let Some(last) = self.blocklist.records.last()
            && Arc::ptr_eq(last, record)
        {
            return u32::try_from(self.blocklist.records.len() - 1).unwrap_or_default();
        }
        let number = u32::try_from(self.blocklist.records.len()).unwrap_or_default();
        *self.records.entry(record.clone()).or_insert_with(|| {
            self.blocklist.records.push(record.clone());
            number
        })
    }
}

impl CompiledList {
    fn reject(&mut self, reject: Reject) {
        self.rejected += 1;
        if self.rejects.len() < REJECTS_KEPT_MAX {
            self.rejects.push(reject);
        }
    }
}

/// What is done: the list's override, but an exception stays one: an override must not turn
/// a name that passes into one that is blocked.
fn effective_action(settings: &Settings, entry: &Entry) -> Action {
    match settings.action {
        Some(action) if entry.action != Action::PassThru => action,
        _ => entry.action,
    }
}

/// The record of entries that no authority answers for.
fn local_record(settings: &Settings) -> LegalRecord {
    LegalRecord {
        basis: "The operator's own rule".to_owned(),
        authority: format!("The operator of this node (list {})", settings.name),
        ..LegalRecord::default()
    }
}

/// How many holes of a list are kept to be shown.
const HOLES_KEPT_MAX: usize = 100;
