//! [`SlotIndex`]: finds the slots of rules in the book, and makes records for those without.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use rapidhash::fast::RandomState;
use rapidhash::v3::rapidhash_v3;

use super::CountedRule;
use super::hit_counter::NO_SLOT;
use super::slot_book::{Names, SLOT, SLOT_HEAD, SLOTS_MAX, SOURCE, push_text, take_u16};
use crate::policy::{Action, Category};

/// Finds the slots of rules, and makes records for those that have none yet. Keyed by the
/// record itself, so that no two entries can ever share a slot.
pub(super) struct SlotIndex<'a> {
    batches: &'a [u8],
    fresh: Vec<u8>,
    /// The slots that may be asked for.
    slots: Vec<Slot>,
    /// Open addressing.
    cells: Vec<Cell>,
    sources: HashMap<(&'a str, &'a str, &'a str), u32>,
    source_count: u32,
    last_source: Option<((&'a str, Category, &'a str), u32)>,
    known: usize,
    found: usize,
    fresh_count: usize,
}

/// A slot and where its record begins: in the batches, and beyond their end in `fresh`.
#[derive(Clone, Copy)]
struct Slot {
    number: u32,
    place: u32,
}

/// A place in `slots` + 1, or 0 for a free cell, and half the hash of the record there: two
/// records are compared only where theirs is the same, and where they lie is far away.
#[derive(Clone, Copy, Default)]
struct Cell {
    tag: u32,
    slot: u32,
}

impl<'a> SlotIndex<'a> {
    /// An index over the batches of a book, with room for `rules`; where `ids` says so, only
    /// of the slots of entries with these ids.
    pub(super) fn new(
        batches: &'a [u8],
        rules: usize,
        ids: Option<&HashSet<&str, RandomState>>,
    ) -> Self {
        let mut index = Self {
            batches,
            fresh: Vec::new(),
            slots: Vec::new(),
            cells: Vec::new(),
            sources: HashMap::new(),
            source_count: 0,
            last_source: None,
            known: 0,
            found: 0,
            fresh_count: 0,
        };
        let mut names = Names::of(batches);
        while let Some(name) = names.next() {
            let number = u32::try_from(index.known).unwrap_or(u32::MAX);
            index.known += 1;
            if ids.is_none_or(|ids| ids.contains(name.entry_id)) {
                // The reader now stands at the end of the slot's record.
                let end = batches.len() - names.rest.len() - names.batch.len();
                let begin = end.saturating_sub(SLOT_HEAD + name.entry_id.len());
                let place = u32::try_from(begin).unwrap_or(u32::MAX);
                index.slots.push(Slot { number, place });
            }
        }
        for (source, number) in names.sources.into_iter().zip(0..) {
            index.sources.insert(source, number);
            index.source_count = number + 1;
        }
        index.resize(2 * (index.slots.len() + rules));
        index
    }

    /// The slots of rules, in their order; [`NO_SLOT`] for those that are not counted. Nothing
    /// where no more can be numbered.
    ///
    /// Cells lie far apart in memory: those of some rules are fetched at once, before the
    /// first is looked at.
    pub(super) fn slots<'r: 'a>(
        &mut self,
        mut rules: impl Iterator<Item = Option<CountedRule<'r>>>,
    ) -> Option<Box<[u32]>> {
        let mut slots = Vec::with_capacity(rules.size_hint().0);
        let mut records = Vec::new();
        let mut ahead: Vec<Option<(Range<usize>, u64)>> = Vec::with_capacity(RULES_AHEAD);
        loop {
            records.clear();
            ahead.clear();
            for rule in rules.by_ref().take(RULES_AHEAD) {
                let begin = records.len();
                let is_counted = rule.map(|rule| self.push_record(&rule, &mut records));
                ahead.push(match is_counted {
                    Some(pushed) => {
                        pushed?;
                        let record = begin..records.len();
                        let hash = rapidhash_v3(records.get(record.clone())?);
                        Some((record, hash))
                    }
                    None => None,
                });
            }
            if ahead.is_empty() {
                return Some(slots.into());
            }
            let fetched = ahead.iter().flatten().fold(0, |fetched, (_, hash)| {
                let cell = self.cells.get(self.home(*hash));
                fetched ^ cell.map_or(0, |cell| cell.slot)
            });
            std::hint::black_box(fetched);
            for rule in &ahead {
                slots.push(match rule {
                    Some((record, hash)) => {
                        self.slot_of_record(records.get(record.clone())?, *hash)?
                    }
                    None => NO_SLOT,
                });
            }
        }
    }

    /// Writes the record of a rule behind others; nothing where no more can be numbered.
    fn push_record(&mut self, rule: &CountedRule<'a>, records: &mut Vec<u8>) -> Option<()> {
        let source = self.source(rule)?;
        let action = Action::ALL.iter().position(|known| *known == rule.action)?;
        records.push(SLOT);
        records.extend(source.to_le_bytes());
        records.push(u8::try_from(action).ok()?);
        push_text(records, rule.entry_id);
        Some(())
    }

    /// Slots of the book that no rule asked for.
    pub(super) const fn gone(&self) -> usize {
        self.known.saturating_sub(self.found)
    }

    /// The records to append to the book, and how many slots they name.
    pub(super) fn into_fresh(self) -> (Vec<u8>, usize) {
        (self.fresh, self.fresh_count)
    }

    fn source(&mut self, rule: &CountedRule<'a>) -> Option<u32> {
        let key = (rule.list, rule.category, rule.authority);
        if let Some((last, number)) = self.last_source
            && last == key
        {
            return Some(number);
        }
        let texts = (rule.list, rule.category.as_str(), rule.authority);
        let number = match self.sources.get(&texts) {
            Some(number) => *number,
            None => {
                let number = self.source_count;
                self.source_count = number.checked_add(1)?;
                self.fresh.push(SOURCE);
                push_text(&mut self.fresh, rule.list);
                push_text(&mut self.fresh, rule.category.as_str());
                push_text(&mut self.fresh, rule.authority);
                self.sources.insert(texts, number);
                number
            }
        };
        self.last_source = Some((key, number));
        Some(number)
    }

    fn slot_of_record(&mut self, record: &[u8], hash: u64) -> Option<u32> {
        if self.slots.len() * 2 >= self.cells.len() {
            self.resize(self.cells.len() * 2);
        }
        let (mut cell, tag) = (self.home(hash), tag(hash));
        while let Some(found) = self.cells.get(cell)?.slot.checked_sub(1) {
            if self.cells.get(cell)?.tag == tag
                && let Some(slot) = self.slot_if(found, record)
            {
                self.found += usize::from(usize::try_from(slot).ok()? < self.known);
                return Some(slot);
            }
            cell = (cell + 1) & (self.cells.len() - 1);
        }
        let number = u32::try_from(self.known + self.fresh_count)
            .ok()
            .filter(|slot| *slot < SLOTS_MAX)?;
        let place = u32::try_from(self.batches.len() + self.fresh.len()).ok()?;
        self.fresh.extend(record);
        self.fresh_count += 1;
        self.slots.push(Slot { number, place });
        let slot = u32::try_from(self.slots.len()).ok()?;
        *self.cells.get_mut(cell)? = Cell { tag, slot };
        Some(number)
    }

    fn resize(&mut self, cells: usize) {
        let size = cells.next_power_of_two().max(16);
        self.cells = vec![Cell::default(); size];
        for (index, slot) in self.slots.iter().enumerate() {
            let record = self.record_at(slot.place).unwrap_or_default();
            let hash = rapidhash_v3(record);
            let (mut cell, tag) = (self.home(hash), tag(hash));
            while self.cells.get(cell).is_some_and(|found| found.slot != 0) {
                cell = (cell + 1) & (size - 1);
            }
            if let Some(cell) = self.cells.get_mut(cell) {
                let slot = u32::try_from(index + 1).unwrap_or(u32::MAX);
                *cell = Cell { tag, slot };
            }
        }
    }

    /// Where the search for a record begins whose hash is given.
    fn home(&self, hash: u64) -> usize {
        usize::try_from(hash).unwrap_or(usize::MAX) & (self.cells.len() - 1)
    }

    /// The number of the slot at that place of `slots`, if that is its record.
    fn slot_if(&self, found: u32, record: &[u8]) -> Option<u32> {
        let slot = self.slots.get(usize::try_from(found).ok()?)?;
        (self.record_at(slot.place)? == record).then_some(slot.number)
    }

    fn record_at(&self, place: u32) -> Option<&[u8]> {
        let place = usize::try_from(place).ok()?;
        let bytes = match place.checked_sub(self.batches.len()) {
            Some(place) => self.fresh.get(place..)?,
            None => self.batches.get(place..)?,
        };
        let mut length = bytes.get(SLOT_HEAD - 2..)?;
        let length = usize::from(take_u16(&mut length)?);
        bytes.get(..SLOT_HEAD + length)
    }
}

/// Half the hash of a record; the other half says where it is searched for.
fn tag(hash: u64) -> u32 {
    u32::try_from(hash >> u32::BITS).unwrap_or_default()
}

/// How many cells are fetched at once: about as many as a core can wait for.
const RULES_AHEAD: usize = 32;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::count::slot_book::{BookFault, SlotBook};

    fn rule<'a>(list: &'a str, entry_id: &'a str, authority: &'a str) -> CountedRule<'a> {
        CountedRule {
            list,
            entry_id,
            action: Action::Block,
            category: Category::Phishing,
            authority,
        }
    }

    fn assign(book: &mut SlotBook, rules: &[CountedRule<'_>]) -> (Vec<u32>, usize) {
        let batches = book.batches().unwrap();
        let mut index = SlotIndex::new(&batches, 0, None);
        let slots = index.slots(rules.iter().copied().map(Some)).unwrap().into();
        let gone = index.gone();
        let (fresh, count) = index.into_fresh();
        book.append(&fresh, count).unwrap();
        (slots, gone)
    }

    #[test]
    fn a_slot_is_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book");
        let mut book = SlotBook::create(&path, 1).unwrap();
        let first = [
            rule("a", "1", "x"),
            rule("a", "2", "x"),
            rule("b", "1", "x"),
        ];
        assert_eq!(assign(&mut book, &first), (vec![0, 1, 2], 0));
        let second = [
            rule("b", "1", "x"),
            rule("b", "1", "y"),
            rule("a", "3", "x"),
        ];
        assert_eq!(assign(&mut book, &second), (vec![2, 3, 4], 2));
        drop(book);
        let (mut book, cut) = SlotBook::open(&path, 1).unwrap();
        assert_eq!((book.slots(), cut), (5, false));
        assert_eq!(assign(&mut book, &second), (vec![2, 3, 4], 2));
        let batches = book.batches().unwrap();
        let names: Vec<_> = Names::of(&batches)
            .map(|name| format!("{} {} {}", name.list, name.entry_id, name.authority))
            .collect();
        assert_eq!(names, ["a 1 x", "a 2 x", "b 1 x", "b 1 y", "a 3 x"]);
    }

    #[test]
    fn many_rules_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = SlotBook::create(&folder.path().join("book"), 1).unwrap();
        let ids: Vec<String> = (0..5000).map(|id| format!("id-{id}")).collect();
        let rules: Vec<_> = ids.iter().map(|id| rule("a", id, "x")).collect();
        let (slots, _) = assign(&mut book, &rules);
        assert_eq!(slots, (0..5000).collect::<Vec<_>>());
        assert_eq!(assign(&mut book, &rules), (slots, 0));
    }

    #[test]
    fn a_batch_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book");
        let mut book = SlotBook::create(&path, 1).unwrap();
        assign(&mut book, &[rule("a", "1", "x")]);
        let whole = fs::read(&path).unwrap().len();
        assign(&mut book, &[rule("a", "2", "x"), rule("c", "3", "z")]);
        drop(book);
        let all = fs::read(&path).unwrap();
        for cut in whole + 1..all.len() {
            fs::write(&path, &all[..cut]).unwrap();
            let (mut book, damaged) = SlotBook::open(&path, 1).unwrap();
            assert_eq!((book.slots(), damaged), (1, true), "cut at {cut}");
            assert_eq!(assign(&mut book, &[rule("a", "9", "x")]).0, [1]);
            drop(book);
            assert_eq!(SlotBook::open(&path, 1).unwrap().0.slots(), 2);
        }
        assert!(matches!(SlotBook::open(&path, 2), Err(BookFault::Damaged)));
    }
}
