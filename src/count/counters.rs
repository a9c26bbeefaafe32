//! [`Counters`]: the folder of counters that survive swaps and kills.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rapidhash::fast::RandomState;

use super::counter_map::{self, CounterMap, MapFault};
use super::hit_counter::{Segment, find};
use super::slot_book::{self, BookFault, SLOTS_MAX, SlotBook};
use super::slot_index::SlotIndex;
use super::{Bucket, CountError, CountedRule, Damage, HitCounter};
use crate::policy::Surface;

/// The counters on disk: one mapped file of slots, `hits.map`, and the book that names them,
/// `slots-ID.book`. The map says which book is its own, so that replacing the map replaces
/// both at once.
#[derive(Debug)]
pub struct Counters {
    folder: PathBuf,
    state: Mutex<State>,
    /// Held as long as this process counts here.
    _lock: File,
}

#[derive(Debug)]
struct State {
    file: File,
    book: SlotBook,
    id: u64,
    segments: Vec<Segment>,
    /// Whether an edition counts already; from then on no slot is reclaimed.
    in_use: bool,
}

/// The counters at one moment, to be settled.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) id: u64,
    pub(super) slots: usize,
    segments: Box<[Segment]>,
}

impl Counters {
    /// Opens the folder, or begins one; `now` is the hour of hits that come first.
    ///
    /// Damaged files are set aside and begun anew, and reported.
    ///
    /// # Errors
    /// [`CountError::File`], [`CountError::InUse`], [`CountError::Newer`].
    pub fn open(folder: &Path, now: Timestamp) -> Result<(Self, Vec<Damage>), CountError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| CountError::File { path, error }
        };
        fs::create_dir_all(folder).map_err(failed(folder))?;
        let lock = lock(folder)?;
        let mut damage = Vec::new();
        let state = match open_state(folder, &mut damage)? {
            Some(state) => state,
            None => begin(folder, Bucket::of(now)).map_err(failed(folder))?,
        };
        drop_other_books(folder, state.book.path());
        let counters = Self {
            folder: folder.to_owned(),
            state: Mutex::new(state),
            _lock: lock,
        };
        Ok((counters, damage))
    }

    /// The counter of an edition with these rules, in the order of their numbers; a rule that
    /// is not to be counted is nothing. Slots are looked up, new ones assigned and named on
    /// disk before this returns.
    ///
    /// The first call after opening reclaims the slots of entries that are gone, once they
    /// outnumber the rules and everything is settled: so settle before.
    ///
    /// Where the disk refuses, the new slots are counted in memory until they are settled,
    /// and [`CountError`] is returned beside the counter, to be reported.
    ///
    /// # Errors
    /// [`CountError::File`] when the book cannot be read, [`CountError::TooMany`].
    pub fn counter<'a, I>(&self, rules: I) -> Result<(HitCounter, Option<CountError>), CountError>
    where
        I: Iterator<Item = Option<CountedRule<'a>>> + Clone,
    {
        let mut state = self.state();
        let (mut slots, mut gone, mut fresh) = state.assign(rules.clone(), None)?;
        let reclaim = !state.in_use && gone > slots.len() && state.is_settled();
        if reclaim {
            let hour = state.hour();
            match begin(&self.folder, hour) {
                Ok(anew) => {
                    *state = anew;
                    drop_other_books(&self.folder, state.book.path());
                    (slots, gone, fresh) = state.assign(rules, None)?;
                    debug_assert_eq!(gone, 0, "a new book holds no entry that is gone");
                }
                Err(_) => { /* A full disk: the old files serve on. */ }
            }
        }
        let refused = self.name_slots(&mut state, &fresh);
        state.in_use = true;
        let segments = state.segments.clone().into();
        let counter = HitCounter::over(state.id, slots.into(), Arc::default(), segments);
        Ok((counter, refused))
    }

    /// The counter of an edition whose first `shared` rules are those of `before`; the slots
    /// of these are taken over, and only `more`, the rules behind them, are looked up. Where
    /// `before` does not have them in one run, as when it counts in memory, nothing.
    ///
    /// Where the disk refuses, it is as in [`Self::counter`].
    ///
    /// # Errors
    /// As in [`Self::counter`].
    pub fn counter_beside<'a>(
        &self,
        before: &HitCounter,
        shared: usize,
        more: impl Iterator<Item = Option<CountedRule<'a>>>,
    ) -> Result<Option<(HitCounter, Option<CountError>)>, CountError> {
        let mut state = self.state();
        let Some(slots) = before.shared_slots(state.id, shared) else {
            return Ok(None);
        };
        // Few rules are looked for in one pass, without an index of all.
        let more: Vec<_> = more.collect();
        let ids = more.iter().flatten().map(|rule| rule.entry_id).collect();
        let (more, _, fresh) = state.assign(more.iter().copied(), Some(&ids))?;
        let refused = self.name_slots(&mut state, &fresh);
        let segments = state.segments.clone().into();
        let counter = HitCounter::over(state.id, Arc::clone(slots), more.into(), segments);
        Ok(Some((counter, refused)))
    }

    /// Names new slots on disk and makes room for them; returns what the disk refused.
    fn name_slots(&self, state: &mut State, fresh: &(Vec<u8>, usize)) -> Option<CountError> {
        let named = state.book.append(&fresh.0, fresh.1);
        named.and(state.grow()).err().map(|error| CountError::File {
            path: self.folder.clone(),
            error,
        })
    }

    /// What the slots stand for, as the batches of their book.
    pub(super) fn names(&self) -> Result<Vec<u8>, CountError> {
        let state = self.state();
        state.book.batches().map_err(|error| CountError::File {
            path: state.book.path().to_owned(),
            error,
        })
    }

    /// The counters at this moment.
    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.state();
        Snapshot {
            id: state.id,
            slots: state.book.slots(),
            segments: state.segments.clone().into(),
        }
    }

    /// Where the book is, for tests that damage it.
    #[cfg(test)]
    pub(super) fn book_path(&self) -> PathBuf {
        self.state().book.path().to_owned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state whole: it is changed in single steps.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    #[expect(
        clippy::type_complexity,
        reason = "three plain results of one private step"
    )]
    fn assign<'a>(
        &self,
        rules: impl Iterator<Item = Option<CountedRule<'a>>>,
        ids: Option<&HashSet<&str, RandomState>>,
    ) -> Result<(Box<[u32]>, usize, (Vec<u8>, usize)), CountError> {
        let batches = self.book.batches().map_err(|error| CountError::File {
            path: self.book.path().to_owned(),
            error,
        })?;
        let room = rules.size_hint().0;
        let mut index = SlotIndex::new(&batches, room, ids);
        let slots = index.slots(rules).ok_or(CountError::TooMany {
            max: usize::try_from(SLOTS_MAX).unwrap_or(usize::MAX),
        })?;
        Ok((slots, index.gone(), index.into_fresh()))
    }

    /// Makes room for all slots of the book; in memory where the disk refuses.
    fn grow(&mut self) -> io::Result<()> {
        let slots = self.book.slots();
        let end = self
            .segments
            .last()
            .map_or(0, |segment| segment.base + segment.map.slots());
        if slots <= end {
            return Ok(());
        }
        let wanted = slots.next_multiple_of(SLOTS_AT_ONCE);
        match CounterMap::grow(&self.file, wanted) {
            Ok(map) => {
                let map = Arc::new(map);
                match self.segments.as_mut_slice() {
                    [only] => only.map = map,
                    // Slots that began in memory stay there until the next start.
                    _ => self.segments.push(Segment {
                        first: end,
                        base: 0,
                        map,
                    }),
                }
                Ok(())
            }
            Err(error) => {
                self.segments.push(Segment {
                    first: end,
                    base: end,
                    map: Arc::new(CounterMap::in_memory(slots - end)),
                });
                Err(error)
            }
        }
    }

    fn is_settled(&self) -> bool {
        let snapshot = Snapshot {
            id: self.id,
            slots: self.book.slots(),
            segments: self.segments.clone().into(),
        };
        snapshot.unsettled().next().is_none()
    }

    fn hour(&self) -> Bucket {
        Bucket::from_number(self.segments.first().map_or(0, |first| first.map.hour()))
    }
}

impl Snapshot {
    /// The hour to which the unsettled hits belong.
    pub(super) fn hour(&self) -> Bucket {
        Bucket::from_number(self.segments.first().map_or(0, |first| first.map.hour()))
    }

    /// Sets the hour to which hits from now on belong.
    pub(super) fn set_hour(&self, hour: Bucket) {
        if let Some(first) = self.segments.first() {
            first.map.set_hour(hour.number());
        }
    }

    /// Slot, surface, hits and settled hits of what is not settled.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = (usize, Surface, u64, u64)> {
        (0..self.slots)
            .filter_map(|slot| find(&self.segments, slot).map(|found| (slot, found)))
            .flat_map(|(slot, (segment, place))| {
                Surface::ALL.into_iter().map(move |surface| {
                    let settled = segment.map.settled(place, surface);
                    (slot, surface, segment.map.hits(place, surface), settled)
                })
            })
            .filter(|(_, _, hits, settled)| hits > settled)
    }

    /// Lifts a slot to what the ledger knows to be settled.
    pub(super) fn lift(&self, slot: usize, surface: Surface, settled: u64) {
        if let Some((segment, place)) = find(&self.segments, slot) {
            segment.map.lift(place, surface, settled);
        }
    }

    /// Notes what was settled of a slot.
    pub(super) fn set_settled(&self, slot: usize, surface: Surface, settled: u64) {
        if let Some((segment, place)) = find(&self.segments, slot) {
            segment.map.set_settled(place, surface, settled);
        }
    }
}

fn lock(folder: &Path) -> Result<File, CountError> {
    let path = folder.join("lock");
    let failed = |error| CountError::File {
        path: path.clone(),
        error,
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CountError::InUse {
            path: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// What is in the folder; nothing where a new one is to be begun.
fn open_state(folder: &Path, damage: &mut Vec<Damage>) -> Result<Option<State>, CountError> {
    let path = folder.join(MAP);
    let failed = |error| CountError::File {
        path: path.clone(),
        error,
    };
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let map = match CounterMap::open(&file) {
        Ok(map) => map,
        Err(MapFault::Io(error)) => return Err(failed(error)),
        Err(MapFault::Newer(found)) => {
            return Err(CountError::Newer {
                path,
                found,
                known: counter_map::FORMAT,
            });
        }
        Err(MapFault::Damaged) => {
            let aside = set_aside(&path).map_err(failed)?;
            damage.push(Damage::Counters { aside });
            return Ok(None);
        }
    };
    let id = map.id();
    let book_path = folder.join(book_name(id));
    let (mut book, torn) = match SlotBook::open(&book_path, id) {
        Ok(found) => found,
        Err(BookFault::Newer(found)) => {
            return Err(CountError::Newer {
                path: book_path,
                found,
                known: u64::from(slot_book::FORMAT),
            });
        }
        Err(BookFault::Io(error)) if error.kind() != io::ErrorKind::NotFound => {
            return Err(CountError::File {
                path: book_path,
                error,
            });
        }
        Err(BookFault::Damaged | BookFault::Io(_)) => {
            let aside = set_aside(&path).map_err(failed)?;
            damage.push(Damage::Counters { aside });
            return Ok(None);
        }
    };
    if map.missing() > 0 {
        damage.push(Damage::Cut {
            slots: map.missing(),
        });
    }
    let (used, hits) = drop_unnamed(&map, book.slots());
    if used > 0 {
        debug_assert!(torn, "slots are named before they are used");
        let aside = aside_name(&book_path);
        fs::copy(&book_path, &aside).map_err(failed)?;
        book.bury(used).map_err(failed)?;
        damage.push(Damage::Unnamed { hits, aside });
    }
    let mut state = State {
        file,
        book,
        id,
        segments: vec![Segment {
            first: 0,
            base: 0,
            map: Arc::new(map),
        }],
        in_use: false,
    };
    // A crash between naming slots and making room for them, or a cut, is mended here; a full
    // disk leaves them to memory.
    let _ = state.grow();
    Ok(Some(state))
}

/// Marks hits of slots that nobody names as settled. How many slots from `named` on were
/// used, and how many of their hits were not settled.
fn drop_unnamed(map: &CounterMap, named: usize) -> (usize, u64) {
    let (mut used, mut dropped) = (0, 0);
    for slot in named..map.slots() {
        for surface in Surface::ALL {
            let hits = map.hits(slot, surface);
            if hits > 0 {
                used = slot + 1 - named;
                dropped += hits.saturating_sub(map.settled(slot, surface));
                map.set_settled(slot, surface, hits);
            }
        }
    }
    (used, dropped)
}

/// Begins a new map and book; they replace what was there at once, by the map's name.
fn begin(folder: &Path, hour: Bucket) -> io::Result<State> {
    let mut id = [0; 8];
    getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
    // SQLite's integers are signed.
    let id = u64::from_ne_bytes(id) >> 1;
    let book = SlotBook::create(&folder.join(book_name(id)), id)?;
    let fresh = folder.join("hits.map.new");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&fresh)?;
    CounterMap::format(&mut file, id, hour.number())?;
    let map = CounterMap::grow(&file, 0)?;
    fs::rename(&fresh, folder.join(MAP))?;
    File::open(folder)?.sync_all()?;
    Ok(State {
        file,
        book,
        id,
        segments: vec![Segment {
            first: 0,
            base: 0,
            map: Arc::new(map),
        }],
        in_use: false,
    })
}

fn book_name(id: u64) -> String {
    format!("slots-{id:016x}.book")
}

/// Removes the books of maps that are no more; what cannot be removed only takes room.
fn drop_other_books(folder: &Path, own: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "book")
            && path != own
        {
            let _ = fs::remove_file(path);
        }
    }
}

/// Moves a damaged file out of the way, and says where to.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = aside_name(path);
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// A name beside `path` that is not taken.
fn aside_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    (1..)
        .map(|number: u32| path.with_file_name(format!("{name}.damaged-{number}")))
        .find(|aside| !aside.exists())
        .unwrap_or_else(|| path.with_extension("damaged"))
}

/// The file of the counters.
const MAP: &str = "hits.map";
/// Slots are made in runs, so that few editions have to grow the file.
const SLOTS_AT_ONCE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Action, Category, RuleId};

    fn rules(ids: std::ops::Range<u32>) -> Vec<String> {
        ids.map(|id| format!("id-{id}")).collect()
    }

    fn counted(ids: &[String]) -> impl Iterator<Item = Option<CountedRule<'_>>> + Clone {
        ids.iter().map(|id| {
            Some(CountedRule {
                list: "a",
                entry_id: id,
                action: Action::Block,
                category: Category::Phishing,
                authority: "Example Police",
            })
        })
    }

    fn open(folder: &Path) -> (Counters, Vec<Damage>) {
        Counters::open(folder, Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn editions_share_the_slots_of_their_entries() {
        let folder = tempfile::tempdir().unwrap();
        let (counters, _) = open(folder.path());
        let (first, second) = (rules(0..10), rules(5..9000));
        let (old, _) = counters.counter(counted(&first)).unwrap();
        let (new, _) = counters.counter(counted(&second)).unwrap();
        old.hit(RuleId(9), Surface::Dns);
        new.hit(RuleId(4), Surface::Dns);
        new.hit(RuleId(8994), Surface::Tls);
        assert_eq!(old.hits(RuleId(9), Surface::Dns), 2);
        assert_eq!(new.hits(RuleId(4), Surface::Dns), 2);
        assert_eq!(new.hits(RuleId(8994), Surface::Tls), 1);
    }

    #[test]
    fn what_came_by_a_delta_is_counted_beside() {
        let folder = tempfile::tempdir().unwrap();
        let (counters, _) = open(folder.path());
        let (base, came) = (rules(0..10), rules(9000..9003));
        let (old, _) = counters.counter(counted(&base)).unwrap();
        let beside = |before: &HitCounter, shared, more: &[String]| {
            let found = counters.counter_beside(before, shared, counted(more));
            found.unwrap().map(|(counter, refused)| {
                assert!(refused.is_none());
                counter
            })
        };
        let new = beside(&old, 10, &came).unwrap();
        new.hit(RuleId(3), Surface::Dns);
        new.hit(RuleId(12), Surface::Dns);
        assert_eq!(old.hits(RuleId(3), Surface::Dns), 1);
        assert_eq!(old.hits(RuleId(12), Surface::Dns), 0, "it has no such rule");
        // The overlay of the next edition has grown; what was in it keeps its hits.
        let newer = beside(&new, 10, &rules(9000..9009)).unwrap();
        assert_eq!(newer.hits(RuleId(12), Surface::Dns), 1);
        newer.hit(RuleId(18), Surface::Dns);
        let anew = [base, rules(9000..9009)].concat();
        let (anew, _) = counters.counter(counted(&anew)).unwrap();
        let hits = [3, 12, 18].map(|rule| anew.hits(RuleId(rule), Surface::Dns));
        assert_eq!(hits, [1, 1, 1]);
        assert!(beside(&new, 9, &came).is_none(), "not the same base");
        assert!(beside(&HitCounter::in_memory(10), 10, &came).is_none());
    }

    #[test]
    fn a_rule_that_is_not_counted_has_no_slot() {
        let folder = tempfile::tempdir().unwrap();
        let (counters, _) = open(folder.path());
        let ids = rules(0..1);
        let rules = std::iter::once(None).chain(counted(&ids));
        let (counter, _) = counters.counter(rules).unwrap();
        counter.hit(RuleId(0), Surface::Dns);
        counter.hit(RuleId(1), Surface::Dns);
        assert_eq!(counter.hits(RuleId(0), Surface::Dns), 0);
        assert_eq!(counter.hits(RuleId(1), Surface::Dns), 1);
    }

    #[test]
    fn one_process_counts_in_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (counters, _) = open(folder.path());
        let second = Counters::open(folder.path(), Timestamp::UNIX_EPOCH);
        assert!(matches!(second, Err(CountError::InUse { .. })));
        drop(counters);
        open(folder.path());
    }

    #[test]
    fn where_the_disk_refuses_memory_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (counters, _) = open(folder.path());
        let (few, many, more) = (rules(0..5), rules(0..6000), rules(0..9000));
        drop(counters.counter(counted(&few)).unwrap());
        // A handle that may not write stands for a disk that is full.
        let path = folder.path().join(MAP);
        let good = {
            let mut state = counters.state();
            let readonly = File::open(&path).unwrap();
            std::mem::replace(&mut state.file, readonly)
        };
        let (counter, refused) = counters.counter(counted(&many)).unwrap();
        assert!(matches!(refused, Some(CountError::File { .. })));
        counter.hit(RuleId(3), Surface::Dns);
        counter.hit(RuleId(5999), Surface::Dns);
        counters.state().file = good;
        let (later, refused) = counters.counter(counted(&more)).unwrap();
        assert!(refused.is_none());
        later.hit(RuleId(5999), Surface::Dns);
        later.hit(RuleId(8999), Surface::Dns);
        assert_eq!(later.hits(RuleId(5999), Surface::Dns), 2);
        let hits: Vec<_> = counters
            .snapshot()
            .unsettled()
            .map(|(slot, _, hits, _)| (slot, hits))
            .collect();
        assert_eq!(hits, [(3, 1), (5999, 2), (8999, 1)]);
        drop((counter, later, counters));
        let (counters, damage) = open(folder.path());
        assert_eq!(damage, []);
        let (again, _) = counters.counter(counted(&more)).unwrap();
        assert_eq!(again.hits(RuleId(8999), Surface::Dns), 1, "it was on disk");
        again.hit(RuleId(5999), Surface::Dns);
    }

    #[test]
    fn damaged_counters_are_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()));
        let map = folder.path().join(MAP);
        fs::write(&map, b"not counters").unwrap();
        let (counters, damage) = open(folder.path());
        let aside = folder.path().join("hits.map.damaged-1");
        assert_eq!(damage, [Damage::Counters { aside }]);
        let ids = rules(0..1);
        let (counter, _) = counters.counter(counted(&ids)).unwrap();
        counter.hit(RuleId(0), Surface::Dns);
        drop((counter, counters));

        let file = OpenOptions::new().write(true).open(&map).unwrap();
        file.set_len(4096).unwrap();
        let (_counters, damage) = open(folder.path());
        assert_eq!(
            damage,
            [Damage::Cut {
                slots: SLOTS_AT_ONCE
            }]
        );
    }
}
