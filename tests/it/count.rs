//! Hits over swaps of editions, settlings, kills and threads: the ledger's totals are what
//! was counted, never less, never more.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use cordon::count::{
    Bucket, By, CountError, CountedRule, Counters, Damage, HitCounter, HitLedger, Per, Question,
};
use cordon::policy::{Action, Category, RuleId, Surface};
use jiff::Timestamp;
use proptest::prelude::*;

/// What happens to a node.
#[derive(Clone, Debug)]
enum Step {
    /// A rule of the edition in force is hit so often on a surface.
    Hit(usize, usize, u8),
    /// The same by the edition before, which is still answering.
    LateHit(usize, usize),
    /// Another edition, with these entries.
    Swap(Vec<u8>),
    /// The counters are settled so many minutes later.
    Settle(u16),
    /// The process ends without a word, and starts again.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let entries = prop::collection::vec(0_u8..12, 0..8);
    prop_oneof![
        6 => (0_usize..8, 0_usize..3, 1_u8..5).prop_map(|(rule, surface, times)| Step::Hit(rule, surface, times)),
        2 => (0_usize..8, 0_usize..3).prop_map(|(rule, surface)| Step::LateHit(rule, surface)),
        2 => entries.prop_map(Step::Swap),
        2 => (0_u16..180).prop_map(Step::Settle),
        1 => Just(Step::Kill),
    ]
}

/// An entry and a surface.
type Key = (String, &'static str);

struct Node<'a> {
    folder: &'a Path,
    now: Timestamp,
    counting: Option<(Arc<Counters>, HitLedger)>,
    /// The editions in force and before, each with its entries.
    editions: Vec<(HitCounter, Vec<String>)>,
}

fn name(entry: u8) -> String {
    format!("entry-{entry}")
}

impl<'a> Node<'a> {
    fn start(folder: &'a Path, now: Timestamp) -> Self {
        let mut node = Self {
            folder,
            now,
            counting: None,
            editions: Vec::new(),
        };
        node.restart();
        node
    }

    fn restart(&mut self) {
        let entries = self
            .editions
            .last()
            .map_or_else(Vec::new, |(_, entries)| entries.clone());
        self.editions.clear();
        self.counting = None;
        let (counters, damage) = self.open();
        assert_eq!(damage, []);
        let counters = Arc::new(counters);
        let ledger =
            HitLedger::open(&self.folder.join("ledger.sqlite"), Arc::clone(&counters)).unwrap();
        assert_eq!(ledger.take_damage(), []);
        ledger.settle(self.now).unwrap();
        self.counting = Some((counters, ledger));
        self.swap(entries);
    }

    /// Opens the counters. A program that another test starts at this very moment holds the
    /// lock that was just given up until it runs, since it is forked from this process.
    fn open(&self) -> (Counters, Vec<Damage>) {
        let folder = self.folder.join("counters");
        for _ in 0..200 {
            match Counters::open(&folder, self.now) {
                Err(CountError::InUse { .. }) => {
                    thread::sleep(std::time::Duration::from_millis(10));
                }
                opened => return opened.unwrap(),
            }
        }
        panic!("{} stays in use", folder.display())
    }

    fn swap(&mut self, entries: Vec<String>) {
        let (counters, _) = self.counting.as_ref().unwrap();
        let rules = entries.iter().map(|entry| {
            Some(CountedRule {
                list: "list",
                entry_id: entry,
                action: Action::Block,
                category: Category::Phishing,
                authority: "Example Police",
            })
        });
        let (counter, refused) = counters.counter(rules).unwrap();
        assert!(refused.is_none());
        self.editions.push((counter, entries));
    }

    fn hit(&self, ago: usize, rule: usize, surface: usize) -> Option<Key> {
        let (counter, entries) = self.editions.iter().rev().nth(ago)?;
        let entry = entries.get(rule)?;
        let surface = Surface::ALL[surface];
        counter.hit(RuleId(u32::try_from(rule).unwrap()), surface);
        Some((entry.clone(), surface.as_str()))
    }

    fn totals(&self, by: By) -> BTreeMap<Key, u64> {
        let (_, ledger) = self.counting.as_ref().unwrap();
        let question = Question {
            from: Bucket::from_number(0),
            to: Bucket::from_number(i64::MAX),
            by,
            per: Per::Hour,
            lists: None,
            top: None,
        };
        let mut totals = BTreeMap::new();
        for sum in ledger.sums(&question).unwrap() {
            let entry = sum.entry.or(sum.list).unwrap();
            *totals.entry((entry, sum.surface.as_str())).or_default() += sum.hits;
        }
        totals
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_ledger_has_every_hit_once(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let mut node = Node::start(folder.path(), "2026-11-24T08:00:00Z".parse().unwrap());
        let mut counted: BTreeMap<Key, u64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Hit(rule, surface, times) => for _ in 0..times {
                    if let Some(key) = node.hit(0, rule, surface) {
                        *counted.entry(key).or_default() += 1;
                    }
                },
                Step::LateHit(rule, surface) => if let Some(key) = node.hit(1, rule, surface) {
                    *counted.entry(key).or_default() += 1;
                },
                Step::Swap(entries) => {
                    let mut entries: Vec<String> = entries.into_iter().map(name).collect();
                    entries.sort();
                    entries.dedup();
                    node.swap(entries);
                }
                Step::Settle(minutes) => {
                    node.now += std::time::Duration::from_secs(u64::from(minutes) * 60);
                    let (_, ledger) = node.counting.as_ref().unwrap();
                    ledger.settle(node.now).unwrap();
                }
                Step::Kill => node.restart(),
            }
        }
        node.restart();
        prop_assert_eq!(node.totals(By::Entry), counted.clone());
        let mut by_surface: BTreeMap<Key, u64> = BTreeMap::new();
        for ((_, surface), hits) in counted {
            *by_surface.entry(("list".to_owned(), surface)).or_default() += hits;
        }
        prop_assert_eq!(node.totals(By::List), by_surface);
    }
}

#[test]
fn threads_and_settlings_at_once_lose_nothing() {
    const HITS: u64 = 200_000;
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::start(folder.path(), "2026-11-24T08:00:00Z".parse().unwrap());
    node.swap(vec![name(1), name(2)]);
    let (counter, _) = node.editions.last().unwrap();
    let (_, ledger) = node.counting.as_ref().unwrap();
    thread::scope(|scope| {
        for thread in 0..2 {
            scope.spawn(move || {
                for hit in 0..HITS {
                    // Both threads hit the first rule, and each one of its own surface.
                    counter.hit(RuleId(0), Surface::Dns);
                    if hit % 2 == 0 {
                        counter.hit(RuleId(1), Surface::ALL[thread]);
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..50 {
                ledger.settle(node.now).unwrap();
            }
        });
    });
    ledger.settle(node.now).unwrap();
    let expected = [
        ((name(1), "dns"), 2 * HITS),
        ((name(2), "dns"), HITS / 2),
        ((name(2), "http"), HITS / 2),
    ];
    assert_eq!(node.totals(By::Entry), expected.into());
}
