//! [`HitLedger`]: the cold totals per hour, entry and surface, in SQLite.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};

use super::counters::{Snapshot, set_aside};
use super::slot_book::Names;
use super::{Bucket, CountError, Counters, Damage, Question, ROWS_MAX, Sum};
use crate::policy::Surface;

/// The cold totals: hits per hour, list, entry, action and surface, with category and
/// authority. It takes over what the counters have counted since it last did; hits, and how
/// far each counter is settled, are written in one transaction, so that a crash at any point
/// neither loses a hit nor counts one twice.
///
/// A full disk or a broken file stops no counting: hits wait in the counters.
#[derive(Debug)]
pub struct HitLedger {
    path: PathBuf,
    counters: Arc<Counters>,
    writer: Mutex<Writer>,
    reader: Mutex<Option<Connection>>,
    damage: Mutex<Vec<Damage>>,
}

#[derive(Debug, Default)]
struct Writer {
    connection: Option<Connection>,
    /// The counters whose settled values were compared with the ledger's.
    compared: Option<u64>,
    settled_at: Option<Timestamp>,
    pruned: Option<Bucket>,
}

/// What one settling did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Settled {
    /// The hits it took over.
    pub hits: u64,
    /// The slots and surfaces in which they were.
    pub cells: usize,
}

impl HitLedger {
    /// The ledger at `path` for these counters. A file that cannot be opened now is tried
    /// again at every settling.
    ///
    /// # Errors
    /// [`CountError::Newer`] alone.
    pub fn open(path: &Path, counters: Arc<Counters>) -> Result<Self, CountError> {
        let ledger = Self {
            path: path.to_owned(),
            counters,
            writer: Mutex::default(),
            reader: Mutex::default(),
            damage: Mutex::default(),
        };
        let connected = ledger.connect(&mut lock(&ledger.writer));
        match connected {
            Err(error @ CountError::Newer { .. }) => Err(error),
            Err(_) | Ok(()) => Ok(ledger),
        }
    }

    /// Takes over what was counted since the last time, as hits of the hour in which that
    /// was; hits from now on belong to the hour of `now`. To be called at each hour's turn,
    /// every so often between, and before the end.
    ///
    /// # Errors
    /// [`CountError::Ledger`], [`CountError::File`]; the hits wait for the next time.
    pub fn settle(&self, now: Timestamp) -> Result<Settled, CountError> {
        let mut writer = lock(&self.writer);
        let settled = match self.settle_once(&mut writer) {
            Err(CountError::Ledger { error, .. }) if is_damaged(&error) => {
                self.begin_anew(&mut writer)?;
                self.settle_once(&mut writer)?
            }
            other => other?,
        };
        let hour = Bucket::of(now);
        self.counters.snapshot().set_hour(hour);
        writer.settled_at = Some(now);
        if writer.pruned != Some(hour)
            && let Some(connection) = &mut writer.connection
        {
            prune(connection, hour).map_err(self.refused())?;
            writer.pruned = Some(hour);
        }
        Ok(settled)
    }

    /// Settles unless that was done within `fresh`.
    ///
    /// # Errors
    /// As [`Self::settle`].
    pub fn settle_if_stale(&self, now: Timestamp, fresh: Duration) -> Result<(), CountError> {
        let settled_at = lock(&self.writer).settled_at;
        let is_fresh =
            settled_at.is_some_and(|at| now >= at && now.duration_since(at).unsigned_abs() < fresh);
        if is_fresh {
            Ok(())
        } else {
            self.settle(now).map(drop)
        }
    }

    /// Sums of settled hits.
    ///
    /// # Errors
    /// [`CountError::Ledger`], [`CountError::Rows`].
    pub fn sums(&self, question: &Question) -> Result<Vec<Sum>, CountError> {
        let mut reader = lock(&self.reader);
        if reader.is_none() {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection =
                Connection::open_with_flags(&self.path, flags).map_err(self.refused())?;
            connection.busy_timeout(BUSY).map_err(self.refused())?;
            *reader = Some(connection);
        }
        let Some(connection) = reader.as_ref() else {
            return Ok(Vec::new());
        };
        let sums = question.ask(connection).map_err(self.refused());
        if sums.is_err() {
            *reader = None;
        }
        match sums? {
            sums if sums.len() > ROWS_MAX => Err(CountError::Rows { max: ROWS_MAX }),
            sums => Ok(sums),
        }
    }

    /// What was found damaged since this was last asked, for the log.
    #[must_use]
    pub fn take_damage(&self) -> Vec<Damage> {
        std::mem::take(&mut lock(&self.damage))
    }

    fn settle_once(&self, writer: &mut Writer) -> Result<Settled, CountError> {
        self.connect(writer)?;
        let snapshot = self.counters.snapshot();
        let Some(connection) = &mut writer.connection else {
            return Ok(Settled::default());
        };
        if writer.compared != Some(snapshot.id) {
            compare(connection, &snapshot).map_err(self.refused())?;
            writer.compared = Some(snapshot.id);
        }
        let cells: Vec<Cell> = snapshot
            .unsettled()
            .map(|(slot, surface, hits, settled)| Cell {
                slot,
                surface,
                hits,
                added: hits - settled,
            })
            .collect();
        if cells.is_empty() {
            return Ok(Settled::default());
        }
        let mut unnamed = BTreeSet::new();
        let transaction = connection.transaction().map_err(self.refused())?;
        find_unnamed(&transaction, &cells, &mut unnamed).map_err(self.refused())?;
        if !unnamed.is_empty() {
            let names = self.counters.names()?;
            name_slots(&transaction, &names, &unnamed).map_err(self.refused())?;
        }
        write(&transaction, snapshot.hour(), &cells).map_err(self.refused())?;
        transaction.commit().map_err(self.refused())?;
        for cell in &cells {
            snapshot.set_settled(cell.slot, cell.surface, cell.hits);
        }
        Ok(Settled {
            hits: cells.iter().map(|cell| cell.added).sum(),
            cells: cells.len(),
        })
    }

    fn connect(&self, writer: &mut Writer) -> Result<(), CountError> {
        if writer.connection.is_some() {
            return Ok(());
        }
        let opened = match open(&self.path) {
            Err(error) if is_damaged(&error) => {
                self.begin_anew(writer)?;
                open(&self.path)
            }
            other => other,
        };
        let (connection, version) = opened.map_err(self.refused())?;
        if version > VERSION {
            return Err(CountError::Newer {
                path: self.path.clone(),
                found: version,
                known: VERSION,
            });
        }
        writer.connection = Some(connection);
        writer.compared = None;
        Ok(())
    }

    /// Sets a damaged ledger aside. The settled values in the counters then say what the old
    /// one had taken over, so that nothing is counted twice.
    fn begin_anew(&self, writer: &mut Writer) -> Result<(), CountError> {
        writer.connection = None;
        writer.compared = None;
        *lock(&self.reader) = None;
        let failed = |error| CountError::File {
            path: self.path.clone(),
            error,
        };
        let aside = set_aside(&self.path).map_err(failed)?;
        for suffix in ["-wal", "-shm"] {
            let mut beside = self.path.clone().into_os_string();
            beside.push(suffix);
            let beside = PathBuf::from(beside);
            if beside.exists() {
                set_aside(&beside).map_err(failed)?;
            }
        }
        lock(&self.damage).push(Damage::Ledger { aside });
        Ok(())
    }

    fn refused(&self) -> impl Fn(rusqlite::Error) -> CountError + use<> {
        let path = self.path.clone();
        move |error| CountError::Ledger {
            path: path.clone(),
            error,
        }
    }
}

/// One counter that has moved.
struct Cell {
    slot: usize,
    surface: Surface,
    hits: u64,
    added: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole after every step, so a panic elsewhere leaves it usable.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the ledger for writing, brings it to [`VERSION`], and says what version it has.
fn open(path: &Path) -> rusqlite::Result<(Connection, u64)> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.set_prepared_statement_cache_capacity(32);
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version <= 0 {
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.commit()?;
    }
    Ok((connection, version.cast_unsigned()))
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Brings the counters' settled values to what the ledger knows, which is the truth. Slots of
/// other counters are forgotten.
fn compare(connection: &mut Connection, snapshot: &Snapshot) -> rusqlite::Result<()> {
    let known: Option<i64> = connection
        .query_row("SELECT id FROM counters", [], |row| row.get(0))
        .optional()?;
    let id = snapshot.id.cast_signed();
    if known == Some(id) {
        // Slots whose names were lost with a damaged book will name other entries.
        connection.execute("DELETE FROM slot WHERE slot >= ?1", [sql(snapshot.slots)])?;
        let mut slots = connection.prepare("SELECT slot, dns, http, tls FROM slot")?;
        let mut rows = slots.query([])?;
        while let Some(row) = rows.next()? {
            let slot = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX);
            for (column, surface) in (1..).zip(Surface::ALL) {
                let settled = row.get::<_, i64>(column)?.cast_unsigned();
                snapshot.lift(slot, surface, settled);
            }
        }
        return Ok(());
    }
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM slot", [])?;
    transaction.execute("DELETE FROM counters", [])?;
    transaction.execute("INSERT INTO counters (id) VALUES (?1)", [id])?;
    transaction.commit()
}

fn find_unnamed(
    transaction: &Transaction<'_>,
    cells: &[Cell],
    unnamed: &mut BTreeSet<usize>,
) -> rusqlite::Result<()> {
    let mut known = transaction.prepare_cached("SELECT 1 FROM slot WHERE slot = ?1")?;
    for cell in cells {
        if !known.exists([sql(cell.slot)])? {
            unnamed.insert(cell.slot);
        }
    }
    Ok(())
}

/// Takes the names of slots from their book into the ledger.
fn name_slots(
    transaction: &Transaction<'_>,
    names: &[u8],
    unnamed: &BTreeSet<usize>,
) -> rusqlite::Result<()> {
    let mut class = transaction.prepare_cached(
        "INSERT INTO class (list, category, authority) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET list = list RETURNING id",
    )?;
    let mut entry = transaction.prepare_cached(
        "INSERT INTO entry (class, entry_id, action) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET action = action RETURNING id",
    )?;
    let mut slot =
        transaction.prepare_cached("INSERT OR REPLACE INTO slot (slot, entry) VALUES (?1, ?2)")?;
    let mut classes: BTreeMap<(&str, &str, &str), i64> = BTreeMap::new();
    for (number, name) in Names::of(names).enumerate() {
        if !unnamed.contains(&number) {
            continue;
        }
        let key = (name.list, name.category, name.authority);
        let class_id = match classes.get(&key) {
            Some(id) => *id,
            None => {
                let id = class.query_row(params![key.0, key.1, key.2], |row| row.get(0))?;
                classes.insert(key, id);
                id
            }
        };
        let entry_id: i64 = entry.query_row(
            params![class_id, name.entry_id, name.action.as_str()],
            |row| row.get(0),
        )?;
        slot.execute(params![sql(number), entry_id])?;
    }
    Ok(())
}

fn write(transaction: &Transaction<'_>, hour: Bucket, cells: &[Cell]) -> rusqlite::Result<()> {
    let mut find = transaction.prepare_cached(
        "SELECT entry.id, entry.class, entry.action FROM slot \
         JOIN entry ON entry.id = slot.entry WHERE slot.slot = ?1",
    )?;
    let mut hits = transaction.prepare_cached(
        "INSERT INTO hits (hour, entry, surface, hits) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET hits = hits + excluded.hits",
    )?;
    let settled = [
        "UPDATE slot SET dns = ?2 WHERE slot = ?1",
        "UPDATE slot SET http = ?2 WHERE slot = ?1",
        "UPDATE slot SET tls = ?2 WHERE slot = ?1",
    ];
    let mut totals: BTreeMap<(i64, Surface, String), u64> = BTreeMap::new();
    for cell in cells {
        let (entry, class, action): (i64, i64, String) = find
            .query_row([sql(cell.slot)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        hits.execute(params![
            hour.number(),
            entry,
            cell.surface.as_str(),
            cell.added.cast_signed()
        ])?;
        if let Some(settled) = settled.get(cell.surface.index()) {
            transaction
                .prepare_cached(settled)?
                .execute(params![sql(cell.slot), cell.hits.cast_signed()])?;
        }
        *totals.entry((class, cell.surface, action)).or_default() += cell.added;
    }
    let mut total = transaction.prepare_cached(
        "INSERT INTO totals (hour, class, surface, action, hits) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT DO UPDATE SET hits = hits + excluded.hits",
    )?;
    for ((class, surface, action), added) in totals {
        total.execute(params![
            hour.number(),
            class,
            surface.as_str(),
            action,
            added.cast_signed()
        ])?;
    }
    Ok(())
}

/// Forgets hits by entry that are older than [`PER_ENTRY_DAYS`]; their totals stay.
fn prune(connection: &mut Connection, now: Bucket) -> rusqlite::Result<()> {
    let oldest = now.plus_days(-PER_ENTRY_DAYS);
    let transaction = connection.transaction()?;
    let pruned = transaction.execute("DELETE FROM hits WHERE hour < ?1", [oldest.number()])?;
    if pruned > 0 {
        transaction.execute(
            "DELETE FROM entry WHERE id NOT IN (SELECT entry FROM hits) \
             AND id NOT IN (SELECT entry FROM slot)",
            [],
        )?;
    }
    transaction.commit()
}

fn sql(slot: usize) -> i64 {
    i64::try_from(slot).unwrap_or(i64::MAX)
}

/// Hits by entry are kept this many days (field.md section 5.4); totals by list are kept.
pub const PER_ENTRY_DAYS: i64 = 90;
/// The version that is written, and the highest that is read.
const VERSION: u64 = 1;
const SCHEMA: &str = include_str!("schema.sql");
/// How long one connection waits for another.
const BUSY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::{By, CountedRule, HitCounter, Per};
    use crate::policy::{Action, Category, RuleId};

    const NOW: &str = "2026-11-24T08:30:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    struct Node {
        folder: tempfile::TempDir,
        counters: Option<Arc<Counters>>,
        ledger: Option<HitLedger>,
    }

    impl Node {
        fn new() -> Self {
            let mut node = Self {
                folder: tempfile::tempdir().unwrap(),
                counters: None,
                ledger: None,
            };
            assert_eq!(node.start(), []);
            node
        }

        fn start(&mut self) -> Vec<Damage> {
            (self.counters, self.ledger) = (None, None);
            let folder = self.folder.path();
            let (counters, mut damage) = Counters::open(&folder.join("counters"), at(NOW)).unwrap();
            let counters = Arc::new(counters);
            let ledger = HitLedger::open(&folder.join("ledger"), counters.clone()).unwrap();
            damage.extend(ledger.take_damage());
            (self.counters, self.ledger) = (Some(counters), Some(ledger));
            damage
        }

        fn ledger(&self) -> &HitLedger {
            self.ledger.as_ref().unwrap()
        }

        fn counter(&self, ids: &[&str]) -> HitCounter {
            let rules = ids.iter().map(|id| Some(rule(id)));
            let (counter, refused) = self.counters.as_ref().unwrap().counter(rules).unwrap();
            assert!(refused.is_none());
            counter
        }

        fn answer(&self, by: By, per: Per) -> Vec<String> {
            let question = Question {
                from: Bucket::from_number(0),
                to: Bucket::from_number(i64::MAX),
                by,
                per,
                lists: None,
                top: None,
            };
            let rows = self.ledger().sums(&question).unwrap();
            rows.iter()
                .map(|row| {
                    let key = [&row.list, &row.category, &row.authority, &row.entry];
                    let key: Vec<&str> = key.into_iter().flatten().map(String::as_str).collect();
                    let surface = row.surface.as_str();
                    format!(
                        "{} {} {surface} {}",
                        row.start.start(),
                        key.join("/"),
                        row.hits
                    )
                })
                .collect()
        }
    }

    fn rule(id: &str) -> CountedRule<'_> {
        CountedRule {
            list: "a",
            entry_id: id,
            action: Action::Block,
            category: Category::Phishing,
            authority: "Example Police",
        }
    }

    #[test]
    fn hits_belong_to_the_hour_in_which_they_were_counted() {
        let node = Node::new();
        let counter = node.counter(&["1", "2"]);
        counter.hit(RuleId(0), Surface::Dns);
        let settled = node.ledger().settle(at("2026-11-24T09:00:00Z")).unwrap();
        assert_eq!((settled.hits, settled.cells), (1, 1));
        counter.hit(RuleId(0), Surface::Dns);
        counter.hit(RuleId(0), Surface::Dns);
        counter.hit(RuleId(1), Surface::Http);
        node.ledger().settle(at("2026-11-24T09:10:00Z")).unwrap();
        counter.hit(RuleId(1), Surface::Http);
        node.ledger().settle(at("2026-11-25T00:00:00Z")).unwrap();
        assert_eq!(
            node.answer(By::Entry, Per::Hour),
            [
                "2026-11-24T08:00:00Z a/phishing/Example Police/1 dns 1",
                "2026-11-24T09:00:00Z a/phishing/Example Police/1 dns 2",
                "2026-11-24T09:00:00Z a/phishing/Example Police/2 http 2",
            ]
        );
        assert_eq!(
            node.answer(By::List, Per::Day),
            [
                "2026-11-24T00:00:00Z a dns 3",
                "2026-11-24T00:00:00Z a http 2",
            ]
        );
        assert_eq!(
            node.answer(By::Surface, Per::Whole),
            [
                "1970-01-01T00:00:00Z  dns 3",
                "1970-01-01T00:00:00Z  http 2"
            ]
        );
    }

    #[test]
    fn a_kill_loses_nothing_and_doubles_nothing() {
        let mut node = Node::new();
        let counter = node.counter(&["1"]);
        counter.hit(RuleId(0), Surface::Dns);
        node.ledger().settle(at(NOW)).unwrap();
        counter.hit(RuleId(0), Surface::Dns);
        assert_eq!(node.start_after(counter), []);
        assert_eq!(node.ledger().settle(at(NOW)).unwrap().hits, 1);
        assert_eq!(node.ledger().settle(at(NOW)).unwrap().hits, 0);
        assert_eq!(
            node.answer(By::List, Per::Whole),
            ["1970-01-01T00:00:00Z a dns 2"]
        );
    }

    impl Node {
        fn start_after(&mut self, counter: HitCounter) -> Vec<Damage> {
            drop(counter);
            self.start()
        }
    }

    #[test]
    fn counters_behind_the_ledger_are_lifted() {
        // As after a power cut: the ledger was written, the last page of counters was not.
        let mut node = Node::new();
        let counter = node.counter(&["1"]);
        let map = node.folder.path().join("counters/hits.map");
        let before = std::fs::read(&map).unwrap();
        counter.hit(RuleId(0), Surface::Dns);
        counter.hit(RuleId(0), Surface::Dns);
        node.ledger().settle(at(NOW)).unwrap();
        drop(counter);
        (node.counters, node.ledger) = (None, None);
        std::fs::write(&map, before).unwrap();
        assert_eq!(node.start(), []);
        assert_eq!(node.ledger().settle(at(NOW)).unwrap().hits, 0);
        node.counter(&["1"]).hit(RuleId(0), Surface::Dns);
        assert_eq!(node.ledger().settle(at(NOW)).unwrap().hits, 1);
        assert_eq!(
            node.answer(By::List, Per::Whole),
            ["1970-01-01T00:00:00Z a dns 3"]
        );
    }

    #[test]
    fn a_broken_ledger_stops_no_counting() {
        let mut node = Node::new();
        let counter = node.counter(&["1"]);
        counter.hit(RuleId(0), Surface::Dns);
        node.ledger().settle(at(NOW)).unwrap();
        counter.hit(RuleId(0), Surface::Dns);
        drop(counter);
        (node.counters, node.ledger) = (None, None);
        let path = node.folder.path().join("ledger");
        std::fs::write(
            &path,
            b"this is no database, and long enough to be seen as none",
        )
        .unwrap();
        let aside = node.folder.path().join("ledger.damaged-1");
        assert_eq!(node.start(), [Damage::Ledger { aside }]);
        // The counters know what the old ledger had.
        assert_eq!(node.ledger().settle(at(NOW)).unwrap().hits, 1);

        // A ledger that cannot be opened for now.
        (node.counters, node.ledger) = (None, None);
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(node.folder.path().join(format!("ledger{suffix}")));
        }
        std::fs::create_dir(&path).unwrap();
        assert_eq!(node.start(), []);
        let counter = node.counter(&["1"]);
        counter.hit(RuleId(0), Surface::Dns);
        assert!(matches!(
            node.ledger().settle(at(NOW)),
            Err(CountError::Ledger { .. })
        ));
        std::fs::remove_dir(&path).unwrap();
        assert_eq!(node.ledger().settle(at(NOW)).unwrap().hits, 1);
    }

    #[test]
    fn a_later_ledger_is_refused() {
        let mut node = Node::new();
        (node.counters, node.ledger) = (None, None);
        let path = node.folder.path().join("ledger");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 2).unwrap();
        drop(connection);
        let (counters, _) = Counters::open(&node.folder.path().join("counters"), at(NOW)).unwrap();
        let error = HitLedger::open(&path, Arc::new(counters)).unwrap_err();
        assert!(matches!(
            error,
            CountError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ));
    }

    #[test]
    fn hits_by_entry_are_forgotten_and_totals_kept() {
        let node = Node::new();
        let counter = node.counter(&["1"]);
        counter.hit(RuleId(0), Surface::Dns);
        node.ledger().settle(at(NOW)).unwrap();
        node.ledger().settle(at("2027-02-22T08:00:00Z")).unwrap();
        assert_eq!(node.answer(By::Entry, Per::Day).len(), 1);
        node.ledger().settle(at("2027-02-22T09:00:00Z")).unwrap();
        assert_eq!(node.answer(By::Entry, Per::Day).len(), 0);
        assert_eq!(node.answer(By::List, Per::Day).len(), 1);
        counter.hit(RuleId(0), Surface::Dns);
        node.ledger().settle(at("2027-02-22T09:30:00Z")).unwrap();
        assert_eq!(node.answer(By::Entry, Per::Day).len(), 1);
    }

    #[test]
    fn slots_of_entries_that_are_gone_are_reclaimed_at_the_start() {
        let mut node = Node::new();
        let counter = node.counter(&["1", "2", "3", "4"]);
        counter.hit(RuleId(3), Surface::Dns);
        assert_eq!(node.start_after(counter), []);
        // Not settled yet: nothing may be reclaimed.
        let counter = node.counter(&["1"]);
        assert_eq!(node.counters.as_ref().unwrap().snapshot().slots, 4);
        assert_eq!(node.start_after(counter), []);
        node.ledger().settle(at(NOW)).unwrap();
        let counter = node.counter(&["1", "2", "5"]);
        assert_eq!(node.counters.as_ref().unwrap().snapshot().slots, 5);
        assert_eq!(node.start_after(counter), []);
        node.ledger().settle(at(NOW)).unwrap();
        let counter = node.counter(&["2", "5"]);
        assert_eq!(node.counters.as_ref().unwrap().snapshot().slots, 2);
        counter.hit(RuleId(1), Surface::Dns);
        assert_eq!(node.start_after(counter), []);
        assert_eq!(node.ledger().settle(at(NOW)).unwrap().hits, 1);
        assert_eq!(
            node.answer(By::Entry, Per::Whole),
            [
                "1970-01-01T00:00:00Z a/phishing/Example Police/4 dns 1",
                "1970-01-01T00:00:00Z a/phishing/Example Police/5 dns 1"
            ]
        );
        let folder = node.folder.path().join("counters");
        let books = std::fs::read_dir(folder).unwrap().flatten();
        let books = books.filter(|file| file.path().extension().is_some_and(|end| end == "book"));
        assert_eq!(books.count(), 1);
    }

    #[test]
    fn a_damaged_book_attributes_no_hit_wrongly() {
        let mut node = Node::new();
        drop(node.counter(&["1"]));
        let counter = node.counter(&["1", "2"]);
        counter.hit(RuleId(0), Surface::Dns);
        counter.hit(RuleId(1), Surface::Dns);
        node.ledger().settle(at(NOW)).unwrap();
        counter.hit(RuleId(1), Surface::Dns);
        drop(counter);
        let book = node.counters.as_ref().unwrap().book_path();
        (node.counters, node.ledger) = (None, None);
        let mut bytes = std::fs::read(&book).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&book, bytes).unwrap();
        let damage = node.start();
        // The ledger had learnt the name before, so that even this hit is attributed.
        assert!(matches!(
            damage.as_slice(),
            [Damage::Unnamed { hits: 1, .. }]
        ));
        node.ledger().settle(at(NOW)).unwrap();
        let counter = node.counter(&["1", "3"]);
        counter.hit(RuleId(1), Surface::Dns);
        node.ledger().settle(at(NOW)).unwrap();
        assert_eq!(
            node.answer(By::Entry, Per::Whole),
            [
                "1970-01-01T00:00:00Z a/phishing/Example Police/1 dns 1",
                "1970-01-01T00:00:00Z a/phishing/Example Police/2 dns 2",
                "1970-01-01T00:00:00Z a/phishing/Example Police/3 dns 1"
            ]
        );
    }
}
