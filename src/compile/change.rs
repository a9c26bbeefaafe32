//! A list that changed by a delta, without reading it whole: [`Blocklist::apply`].

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use rapidhash::fast::RandomState;
use rapidhash::v3::rapidhash_v3;

use super::compiled_list::HeldList;
use super::compiled_list::ZoneSoa;
use super::index::Index;
use super::parse::{Reject, native};
use super::repeats::Repeats;
use super::row::{HOLES_KEPT_MAX, NO_ROOM, admit, effective_action};
use super::rule_set::RuleSet;
use super::rules::Rule;
use super::{Blocklist, Border, CompiledList, From, REJECTS_KEPT_MAX, Settings};
use crate::policy::{Entry, LegalRecord, Reach};
use crate::verify::{ListFile, Text};

/// A list while its lines go and come.
struct Change<'a> {
    before: &'a Blocklist,
    place: u16,
    list: CompiledList,
    held: HeldList,
    overlay: Index,
    removed: RuleSet,
    records: HashSet<Arc<LegalRecord>, RandomState>,
    /// What the lines that came say.
    repeats: Repeats,
    /// Whether one of them says what another says, or a line that was there: which of them
    /// stands is for a full compiling to say.
    is_repeated: bool,
    /// Whether one of them is a rule of a policy zone.
    is_zone: bool,
}

impl Blocklist {
    /// The blocklist after one of its lists changed by the lines of a delta; the levers stay
    /// as they are.
    ///
    /// Nothing where the list is to be compiled anew: it is not there or was compiled in
    /// another way, its header changed, the lines are none of the text that it was compiled
    /// from, rows of it say the same, or so much changed since the last full compiling that it is better.
    #[must_use]
    pub fn apply(
        &self,
        settings: &Settings,
        border: &Border,
        file: &ListFile,
        removed: &[Vec<u8>],
        added: &[Vec<u8>],
    ) -> Option<Self> {
        let changes = (removed.len(), added.len());
        let mut begun = Change::begin(self, settings, border, &file.text, changes)?;
        begun.list.provenance.origin = file.provenance.origin.clone();
        begun.list.soa = ZoneSoa::of(&settings.name, file.provenance.seq().unwrap_or_default());
        let (_, header) = begun.held.header.clone()?;
        for line in removed {
            begun.remove(line, &header)?;
        }
        let mut fresh = Vec::new();
        for line in added {
            if let Err(reason) = begun.add(line, &header) {
                fresh.push((rapidhash_v3(line), reason));
            }
        }
        if begun.is_repeated || begun.is_zone {
            return None;
        }
        begun.set_rejects(fresh, &file.text)?;
        let lines = (begun.held.rows + begun.list.rejected + 1) as u64;
        if lines != file.text.line_feeds() {
            return None;
        }
        begun.overlay.build();
        let (mut lists, mut held) = (self.lists.clone(), self.held.clone());
        *lists.get_mut(usize::from(begun.place))? = begun.list;
        *held.get_mut(usize::from(begun.place))? = begun.held;
        let changed = Self {
            lists,
            held,
            overlay: Arc::new(begun.overlay),
            removed: begun.removed,
            ..self.clone()
        };
        Some(changed.with(&self.levers))
    }
}

impl<'a> Change<'a> {
    fn begin(
        before: &'a Blocklist,
        settings: &Settings,
        border: &Border,
        text: &Text,
        (removed, added): (usize, usize),
    ) -> Option<Self> {
        let place = before.place_of(&settings.name)?;
        let list = before.lists.get(usize::from(place))?;
        let held = before.held.get(usize::from(place))?;
        let is_native = matches!(settings.from, From::Repository { .. });
        let is_same = list.settings == *settings && list.border == *border;
        let (header, _) = held.header.as_ref()?;
        let overlay = before.overlay.rules.len() + added;
        let removed = before.removed.len() + removed;
        let is_small = overlay <= OVERLAY_RULES_MAX && removed <= REMOVED_RULES_MAX;
        // What is not kept cannot be kept up.
        let is_known = list.rejected <= REJECTS_KEPT_MAX
            && list.holes.len() < HOLES_KEPT_MAX
            && held.repeats == 0;
        let fits =
            is_native && is_same && is_small && is_known && *header == rapidhash_v3(&text.header());
        fits.then(|| Self {
            before,
            place,
            list: list.clone(),
            held: held.clone(),
            overlay: Index::clone(&before.overlay),
            removed: before.removed.clone(),
            records: HashSet::default(),
            repeats: Repeats::default(),
            is_repeated: false,
            is_zone: false,
        })
    }

    /// Takes a line off; nothing where it was not there.
    fn remove(&mut self, line: &[u8], header: &native::Header) -> Option<()> {
        let hash = rapidhash_v3(line);
        if let Some(place) = self.held.rejects.iter().position(|known| *known == hash) {
            self.held.rejects.remove(place);
            self.list.rejects.remove(place);
            self.list.rejected -= 1;
            if let Ok(entry) = read(line, header)
                && let Err(refusal) = self.list.border.check(&self.before.protected, &entry)
                && refusal.never_blocked
            {
                self.list.never_blocked = self.list.never_blocked.saturating_sub(1);
            }
            return Some(());
        }
        let entry = read(line, header).ok()?;
        is_plain(&entry)?;
        let number = self.find(&entry)?;
        self.removed.insert(number);
        self.held.forget(&entry)?;
        let id = entry.id.as_str();
        self.list.holes.retain(|(hole, _)| hole != id);
        Some(())
    }

    /// The rule of an entry that is there.
    fn find(&self, entry: &Entry) -> Option<u32> {
        self.before.indexes().find_map(|(index, first)| {
            let is_it = |number: u32, rule: &Rule| {
                index.rules.id(rule) == entry.id.as_str()
                    && !self.removed.contains(first.saturating_add(number))
            };
            let number = index.find(self.place, &entry.trigger, is_it)?;
            Some(first.saturating_add(number))
        })
    }

    /// Whether a rule that is there matches what this entry does.
    fn is_known(&self, entry: &Entry) -> bool {
        self.before.indexes().any(|(index, first)| {
            let is_there =
                |number: u32, _: &Rule| !self.removed.contains(first.saturating_add(number));
            index.find(self.place, &entry.trigger, is_there).is_some()
        })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// Why it is left out.
    fn add(&mut self, line: &[u8], header: &native::Header) -> Result<(), String> {
        let mut entry = read(line, header)?;
        match self.records.get(&entry.record) {
            Some(shared) => entry.record = Arc::clone(shared),
            None => _ = self.records.insert(Arc::clone(&entry.record)),
        }
        let mut is_repeated = self.is_known(&entry);
        let repeats = &mut self.repeats;
        admit(&self.before.protected, &mut self.list, &entry, |entry| {
            is_repeated |= repeats.note(0, entry).is_err();
            Ok(())
        })?;
        self.is_repeated |= is_repeated;
        self.is_zone |= entry.reach == Reach::PolicyZone;
        self.list.triggers.note(&entry);
        let action = effective_action(&self.list.settings, &entry);
        self.overlay
            .add(self.place, action, &entry)
            .ok_or_else(|| NO_ROOM.to_owned())?;
        self.held.note(&entry);
        Ok(())
    }

    /// Adds the rows that were left out of the delta to those of the list, and finds the
    /// lines of all in the new text; nothing where they are not there.
    fn set_rejects(&mut self, fresh: Vec<(u64, String)>, text: &Text) -> Option<()> {
        self.list.rejected += fresh.len();
        let old = std::mem::take(&mut self.list.rejects);
        let old = self
            .held
            .rejects
            .drain(..)
            .zip(old.into_iter().map(|reject| reject.reason));
        let mut reasons: HashMap<u64, Vec<String>> = HashMap::new();
        for (hash, reason) in old.chain(fresh) {
            reasons.entry(hash).or_default().push(reason);
        }
        if reasons.is_empty() {
            return Some(());
        }
        let mut line = 0_u32;
        let read = text.each_line(|row| {
            line = line.saturating_add(1);
            let hash = rapidhash_v3(row);
            if let Some(reason) = reasons.get_mut(&hash).and_then(Vec::pop) {
                self.held.rejects.push(hash);
                self.list.rejects.push(Reject { line, reason });
            }
            ControlFlow::Continue(())
        });
        read.ok()?;
        self.held.rejects.truncate(REJECTS_KEPT_MAX);
        self.list.rejects.truncate(REJECTS_KEPT_MAX);
        reasons.values().all(Vec::is_empty).then_some(())
    }
}

/// Nothing for a rule of a policy zone: where the wildcards of a zone stop depends on all of
/// its names, so that it is compiled whole.
fn is_plain(entry: &Entry) -> Option<()> {
    (entry.reach != Reach::PolicyZone).then_some(())
}

/// Reads one line of a native list.
fn read(line: &[u8], header: &native::Header) -> Result<Entry, String> {
    let text = std::str::from_utf8(line).map_err(|_| "this line is not UTF-8".to_owned())?;
    native::read_entry(text, header)
}

/// How many rules may stand beside the base before all is compiled anew.
const OVERLAY_RULES_MAX: usize = 1 << 15;

/// How many rules may be removed before all is compiled anew.
const REMOVED_RULES_MAX: usize = 1 << 15;
