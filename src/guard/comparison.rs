//! [`Comparison`]: finds what a version of a list changes upon the one before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher;
use std::ops::ControlFlow;

use jiff::{SignedDuration, Timestamp};
use rapidhash::fast::RandomState;

use super::{Difference, Example, Tally};
use crate::compile::parse::native::Header;
use crate::compile::parse::{self, Format, Parsed, Reading};
use crate::compile::{Border, Protected};
use crate::policy::{
    Action, Category, Entry, Kind, Life, QueryMatch, Trigger, Window, Withdrawal, Withdrawn,
};
use crate::verify::Text;

/// How two versions of a list are compared. An entry is what it matches and whether it acts,
/// not its id: the same ids with other values are other entries.
///
/// Both versions are judged at one time, so that time alone changes nothing: an entry that
/// ends when it said it would trips no guard. What a version says anew of when an entry is in
/// effect counts, so that nobody empties a list by letting its entries end: it *goes* where it
/// is no longer in effect, or no longer for the next seven days; it *comes* where it was not
/// in effect, or had ended. One that begins later comes with the version that brings it. Rows
/// that say the same are counted apart, so that none hides behind another.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// How both are read.
    pub reading: &'a Reading,
    /// The list's border.
    pub border: &'a Border,
    /// What outranks every list.
    pub protected: &'a Protected,
    /// Entries that are withdrawn: that they go is no surprise.
    pub withdrawn: &'a [Withdrawal],
    /// When both are judged.
    pub now: Timestamp,
}

/// How many rows of each version stand for an entry.
#[derive(Clone, Copy, Default)]
struct Sides {
    before: Rows,
    after: Rows,
    /// How many of those that went are noted.
    gone: u16,
    /// Whether a row that says so may never be blocked, and that is noted.
    is_refused: bool,
}

/// Rows that stand for one entry.
#[derive(Clone, Copy, Default)]
struct Rows {
    /// Those that have not ended.
    alive: u16,
    /// Of these, those in effect now.
    acting: u16,
    /// Of these, those in effect for all the next seven days.
    lasting: u16,
}

/// What stands for an entry: a hash of what it matches, seeded by chance, so that nobody can
/// make two entries pass for one.
type Identity = u64;

/// What came and went, by kind and category.
type Tallies = BTreeMap<(Kind, Category), (u64, u64)>;

impl Comparison<'_> {
    /// Compares two whole versions; an empty `before` is that of a first version. Where it is
    /// known how many entries `before` has, only the lines that differ are read, if the
    /// format allows.
    #[must_use]
    pub fn versions(&self, before: &Text, entries: Option<u64>, after: &Text) -> Difference {
        match (entries, differing(self.reading.format, before, after)) {
            (Some(_), Some([before, after])) => {
                self.compare(entries, &Text::plain(before), &Text::plain(after))
            }
            _ => self.compare(entries, before, after),
        }
    }

    /// Compares by the lines that a delta removes and adds; `header` is the first line of
    /// both versions, `entries` how many the one before has.
    #[must_use]
    pub fn lines(
        &self,
        header: &[u8],
        entries: u64,
        removed: &[Vec<u8>],
        added: &[Vec<u8>],
    ) -> Difference {
        let text = |lines: &[Vec<u8>]| {
            let lines = lines.iter().map(Vec::as_slice);
            let lines: Vec<&[u8]> = [header].into_iter().chain(lines).collect();
            Text::plain(lines.join(&b'\n'))
        };
        self.compare(Some(entries), &text(removed), &text(added))
    }

    /// Compares two texts, which may lack what both versions have.
    fn compare(&self, entries: Option<u64>, before: &Text, after: &Text) -> Difference {
        let seed = RandomState::default();
        let mut sides: HashMap<Identity, Sides, RandomState> = HashMap::default();
        let mut tallies = Tallies::new();
        let mut found = Difference::default();
        let mut read = 0;
        self.read(before, &mut |entry, is_admitted| {
            let sides = sides.entry(identity(&seed, entry)).or_default();
            if is_admitted {
                read += u64::from(sides.before.note(&entry.life, self.now));
            } else {
                sides.is_refused = true;
            }
        });
        self.read(after, &mut |entry, is_admitted| {
            let sides = sides.entry(identity(&seed, entry)).or_default();
            if is_admitted {
                let came = sides.came();
                sides.after.note(&entry.life, self.now);
                if sides.came() > came {
                    found.change.added += 1;
                    tallies.entry(class(entry)).or_default().0 += 1;
                    keep(&mut found.added, entry);
                }
            } else if !std::mem::replace(&mut sides.is_refused, true) {
                found.change.refused += 1;
                keep(&mut found.refused, entry);
            }
        });
        let withdrawn: HashSet<&Withdrawn> = self.withdrawn.iter().map(|it| &it.what).collect();
        self.read(before, &mut |entry, is_admitted| {
            let Some(sides) = sides
                .get_mut(&identity(&seed, entry))
                .filter(|_| is_admitted)
            else {
                return;
            };
            if sides.gone < sides.went() && !has_ended(&entry.life, self.now) {
                sides.gone += 1;
                found.change.removed += 1;
                found.change.withdrawn += u64::from(is_withdrawn(&withdrawn, entry));
                tallies.entry(class(entry)).or_default().1 += 1;
                keep(&mut found.removed, entry);
            }
        });
        found.change.before = entries.unwrap_or(read);
        found.tallies = tallies.into_iter().map(tally).collect();
        found
    }

    /// Reads a text; `take` is called with each entry and whether its border lets it in.
    /// Test entries and rows that are left out for another reason are passed over.
    fn read(&self, text: &Text, take: &mut dyn FnMut(&Entry, bool)) {
        parse::read(self.reading, text, &mut |parsed| {
            if let Parsed::Entry(_, entry) = parsed
                && !entry.canary
            {
                match self.border.check(self.protected, &entry) {
                    Ok(()) => take(&entry, true),
                    Err(refusal) if refusal.never_blocked => take(&entry, false),
                    Err(_) => {}
                }
            }
        });
    }
}

impl Sides {
    /// How many came: in all, or of those in effect now.
    fn came(&self) -> u16 {
        let (before, after) = (&self.before, &self.after);
        let acting = after.acting.saturating_sub(before.acting);
        acting.max(after.alive.saturating_sub(before.alive))
    }

    /// How many went: in all, of those in effect now, or of those that stay so for a while.
    fn went(&self) -> u16 {
        let (before, after) = (&self.before, &self.after);
        let alive = before.alive.saturating_sub(after.alive);
        let acting = before.acting.saturating_sub(after.acting);
        let lasting = before.lasting.saturating_sub(after.lasting);
        alive.max(acting).max(lasting)
    }
}

impl Rows {
    /// Counts a row; says whether it is one, and has not ended.
    fn note(&mut self, life: &Life, now: Timestamp) -> bool {
        if has_ended(life, now) {
            return false;
        }
        let is_acting = life.is_effective(now);
        let noticed = now.saturating_add(NOTICE).unwrap_or(Timestamp::MAX);
        let is_lasting = is_acting && life.windows.is_empty() && life.is_effective(noticed);
        self.alive = self.alive.saturating_add(1);
        self.acting = self.acting.saturating_add(is_acting.into());
        self.lasting = self.lasting.saturating_add(is_lasting.into());
        true
    }
}

/// Whether an entry is not in effect at `now` and never will be.
fn has_ended(life: &Life, now: Timestamp) -> bool {
    let end = life.expires_at.unwrap_or(Timestamp::MAX);
    let begin = life.effective_from.map_or(now, |from| from.max(now));
    let is_in_a_window = |window: &Window| window.from < end && window.to > begin;
    end <= begin || !(life.windows.is_empty() || life.windows.iter().any(is_in_a_window))
}

/// The lines of native versions that differ, each with its header in front; nothing where
/// lines cannot be read apart: in another format, or where the headers make other things of
/// entries.
fn differing(format: Format, before: &Text, after: &Text) -> Option<[Vec<u8>; 2]> {
    let (mut went, mut came) = (before.header(), after.header());
    if format != Format::Native || (went != came && !Header::read_alike(&went, &came)) {
        return None;
    }
    // The hash is seeded by chance, so that nobody can make two lines pass for one.
    let seed = RandomState::default();
    let hash = |line: &[u8]| seed.hash_one(line);
    let mut gone: HashSet<u64, RandomState> = HashSet::default();
    each_entry(before, |line| _ = gone.insert(hash(line)))?;
    let keep = |text: &mut Vec<u8>, line: &[u8]| {
        text.push(b'\n');
        text.extend_from_slice(line);
    };
    each_entry(after, |line| {
        if !gone.remove(&hash(line)) {
            keep(&mut came, line);
        }
    })?;
    if !gone.is_empty() {
        each_entry(before, |line| {
            if gone.contains(&hash(line)) {
                keep(&mut went, line);
            }
        })?;
    }
    Some([went, came])
}

/// Hands out the lines behind the header; nothing where the text cannot be read.
fn each_entry(text: &Text, mut take: impl FnMut(&[u8])) -> Option<()> {
    let mut is_header = true;
    let read = text.each_line(|line| {
        if !std::mem::replace(&mut is_header, false) {
            take(line);
        }
        ControlFlow::Continue(())
    });
    read.ok()
}

/// What stands for an entry: what it matches, and whether it acts or passes.
fn identity(seed: &RandomState, entry: &Entry) -> Identity {
    let query = match &entry.trigger {
        Trigger::Url {
            query: QueryMatch::Ignore,
            ..
        } => "ignore",
        _ => "",
    };
    let acts = match entry.action {
        Action::Monitor => "monitor",
        _ => entry.kind().as_str(),
    };
    let word = entry.trigger.match_word().unwrap_or("");
    seed.hash_one((acts, word, query, entry.trigger.value()))
}

/// Whether an entry was withdrawn, by its id or its value.
fn is_withdrawn(withdrawn: &HashSet<&Withdrawn>, entry: &Entry) -> bool {
    !withdrawn.is_empty()
        && (withdrawn.contains(&Withdrawn::Id(entry.id.clone()))
            || withdrawn.contains(&Withdrawn::Value(entry.trigger.value())))
}

/// What an entry is counted under.
fn class(entry: &Entry) -> (Kind, Category) {
    (entry.kind(), entry.record.category)
}

/// The counts of one class.
fn tally(((kind, category), (added, removed)): ((Kind, Category), (u64, u64))) -> Tally {
    Tally {
        kind: kind.as_str().to_owned(),
        category: category.as_str().to_owned(),
        added,
        removed,
    }
}

/// Keeps an entry as an example, if there is room.
fn keep(examples: &mut Vec<Example>, entry: &Entry) {
    if examples.len() < Difference::EXAMPLES_MAX {
        examples.push(Example {
            id: entry.id.to_string(),
            kind: entry.kind().as_str().to_owned(),
            value: entry.trigger.value(),
        });
    }
}

/// How long before their end entries may be given one without that they count as gone: time
/// to see it, and to object.
const NOTICE: SignedDuration = SignedDuration::from_hours(7 * 24);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::compile::Reserved;
    use crate::policy::{LegalRecord, Name, Scope, UrlScope, WithdrawalReason};

    const HEADER: &str = r#"{"format":1,"list":"l","defaults":{"category":"phishing","legal":{"basis":"b","authority":"a"}}}"#;

    /// A native version of rows `ID VALUE`; a value may be a name or a URL.
    fn native(rows: &[&str]) -> String {
        let row = |row: &&str| {
            let (id, value) = row.split_once(' ').unwrap();
            let kind = if value.contains("://") {
                r#""kind":"url""#
            } else {
                r#""kind":"domain","match":"subtree""#
            };
            format!("{{\"id\":\"{id}\",{kind},\"value\":\"{value}\"}}\n")
        };
        let canary = r#"{"canary":true,"id":"canary","kind":"domain","match":"subtree","value":"l.canary.invalid"}"#;
        format!(
            "{HEADER}\n{canary}\n{}",
            rows.iter().map(row).collect::<String>()
        )
    }

    /// How `after` differs from `before`; names at and below never.test may not be blocked,
    /// gone.test and the entry w are withdrawn.
    fn compare(format: Format, before: &str, known: Option<u64>, after: &str) -> Difference {
        let never = [Name::from_text("never.test").unwrap()];
        let border = Border::draft(
            None,
            Default::default(),
            Arc::new(Reserved::new(never.into())),
        );
        let reading = Reading {
            list: "l".into(),
            format,
            scope: Some(Scope::Subtree),
            url_scope: UrlScope::Exact,
            record: Arc::new(LegalRecord {
                basis: "b".into(),
                authority: "a".into(),
                ..LegalRecord::default()
            }),
        };
        let withdrawal = |what| Withdrawal {
            what,
            reason: WithdrawalReason::Error,
            until: Timestamp::MAX,
        };
        let withdrawn = [
            withdrawal(Withdrawn::Value("gone.test".into())),
            withdrawal(Withdrawn::Id(crate::policy::EntryId::new("w"))),
        ];
        let comparison = Comparison {
            reading: &reading,
            border: &border,
            protected: &Protected::default(),
            withdrawn: &withdrawn,
            now: "2026-11-24T12:00:00Z".parse().unwrap(),
        };
        comparison.versions(
            &Text::plain(before.as_bytes().to_vec()),
            known,
            &Text::plain(after.as_bytes().to_vec()),
        )
    }

    #[track_caller]
    fn check(before: &[&str], after: &[&str], expected: [u64; 5]) -> Difference {
        let (before, after) = (native(before), native(after));
        let found = compare(Format::Native, &before, None, &after);
        let Difference { change, .. } = &found;
        assert_eq!(
            [
                change.before,
                change.added,
                change.removed,
                change.withdrawn,
                change.refused
            ],
            expected
        );
        let known = compare(Format::Native, &before, Some(change.before), &after);
        assert_eq!(known.change, found.change, "by the lines that differ");
        found
    }

    #[test]
    fn an_entry_is_what_it_matches() {
        check(&[], &["1 a.test", "2 http://a.test/x"], [0, 2, 0, 0, 0]);
        check(&["1 a.test"], &["9 a.test"], [1, 0, 0, 0, 0]);
        let found = check(
            &["1 a.test", "2 b.test"],
            &["1 google.test", "2 facebook.test"],
            [2, 2, 2, 0, 0],
        );
        assert_eq!(found.added[0].value, "google.test");
        assert_eq!(found.removed[1].value, "b.test");
        let expected = Tally {
            kind: "domain".into(),
            category: "phishing".into(),
            added: 2,
            removed: 2,
        };
        assert_eq!(found.tallies, [expected]);
    }

    /// How many of 3 entries come and go where their lives change.
    #[track_caller]
    fn check_lives(before: &str, after: &str, expected: [u64; 2]) {
        let text = |life: &str| {
            let text = native(&["1 a.test", "2 b.test", "3 c.test"]);
            text.replace("{\"id", &format!("{{{life}\"id"))
        };
        for known in [None, Some(3)] {
            let change = compare(Format::Native, &text(before), known, &text(after)).change;
            assert_eq!([change.added, change.removed], expected, "{before} {after}");
        }
    }

    #[test]
    fn a_list_is_not_emptied_by_letting_its_entries_end() {
        let ended = r#""expires_at":"2020-01-01T00:00:00Z","#;
        let soon = r#""expires_at":"2026-11-24T12:01:00Z","#;
        let late = r#""expires_at":"2027-11-24T12:00:00Z","#;
        let later = r#""expires_at":"2028-11-24T12:00:00Z","#;
        let begins = r#""effective_from":"9999-01-01T00:00:00Z","#;
        let never =
            r#""effective_from":"2028-01-01T00:00:00Z","expires_at":"2027-01-01T00:00:00Z","#;
        let window = r#""window":[{"from":"2026-11-25T00:00:00Z","to":"2026-11-25T00:00:01Z"}],"#;
        let now = r#""window":[{"from":"2026-11-24T00:00:00Z","to":"2026-11-24T12:00:01Z"}],"#;
        for life in [ended, soon, begins, never, window, now] {
            check_lives("", life, [0, 3]);
            check_lives(late, life, [0, 3]);
            check_lives(life, life, [0, 0]);
        }
        for (before, after) in [("", late), (late, later), (soon, late), (ended, never)] {
            check_lives(before, after, [0, 0]);
        }
        for life in [ended, begins, window] {
            check_lives(life, late, [3, 0]);
        }
    }

    #[test]
    fn a_list_is_not_emptied_by_the_ends_of_its_header() {
        let before = native(&["1 a.test", "2 b.test"]);
        let ends = r#""defaults":{"expires_at":"2020-01-01T00:00:00Z","#;
        let after = before.replacen("\"defaults\":{", ends, 1);
        let change = compare(Format::Native, &before, Some(2), &after).change;
        assert_eq!((change.removed, change.entries()), (2, 0));
    }

    #[test]
    fn rows_that_say_the_same_hide_nothing() {
        let many: Vec<String> = (0..50).map(|row| format!("{row} a.test")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        check(&["0 a.test"], &many, [1, 49, 0, 0, 0]);
        check(&many, &["0 a.test"], [50, 0, 49, 0, 0]);
    }

    #[test]
    fn what_was_withdrawn_is_told_apart() {
        check(
            &["1 a.test", "2 gone.test", "w b.test"],
            &["1 a.test"],
            [3, 0, 2, 2, 0],
        );
    }

    #[test]
    fn rows_that_may_never_be_blocked_are_no_entries() {
        let found = check(
            &["1 a.test", "2 old.never.test"],
            &["1 a.test", "2 old.never.test", "3 never.test", "4 b.test"],
            [1, 1, 0, 0, 1],
        );
        assert_eq!(found.refused[0].id, "3");
    }

    #[test]
    fn other_formats_and_headers_are_compared_whole() {
        let found = compare(
            Format::Domains,
            "a.test\nb.test\n",
            Some(2),
            "b.test\nc.test\n",
        );
        assert_eq!((found.change.added, found.change.removed), (1, 1));
        let before = native(&["1 a.test"]);
        let after = before.replacen("\"defaults\":{", "\"defaults\":{\"action\":\"monitor\",", 1);
        let found = compare(Format::Native, &before, Some(1), &after);
        assert_eq!(
            (found.change.added, found.change.removed),
            (1, 1),
            "what acted watches now"
        );
    }

    proptest! {
        #[test]
        fn lines_of_a_delta_give_the_same(
            before in prop::collection::btree_set("[a-f]{1,2}", 0..12),
            after in prop::collection::btree_set("[a-f]{1,2}", 0..12),
        ) {
            let rows = |names: &std::collections::BTreeSet<String>| -> Vec<String> {
                names.iter().map(|name| format!("{name} {name}.test")).collect()
            };
            let (old, new) = (rows(&before), rows(&after));
            let text = |rows: &[String]| native(&rows.iter().map(String::as_str).collect::<Vec<_>>());
            let found = compare(Format::Native, &text(&old), Some(old.len() as u64), &text(&new));
            prop_assert_eq!(found.change.added, after.difference(&before).count() as u64);
            prop_assert_eq!(found.change.removed, before.difference(&after).count() as u64);
            prop_assert_eq!(found.change.entries(), after.len() as u64);
            prop_assert_eq!(compare(Format::Native, &text(&old), None, &text(&new)).change, found.change);
        }
    }
}
