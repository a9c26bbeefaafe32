//! [`PacketCache`]: upstreams' answers in wire form, remembered until their TTL ends.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge};
use rapidhash::fast::RandomState;

use super::question::Flags;
use super::{Answer, Question};
use crate::policy::Name;

/// Answers by question, bounded in octets. It holds truth alone, never what policy made of
/// it, so that a change of policy acts at once on what is remembered.
///
/// Split into shards of one lock each, so that threads seldom meet; in a full shard the
/// oldest entry goes that nobody asked for since the hand last passed (CLOCK).
#[derive(Debug)]
pub struct PacketCache {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    shard_octets_max: usize,
    hits: Counter,
    misses: Counter,
    entries: Gauge,
}

/// A remembered answer.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// The answer.
    pub answer: Arc<Answer>,
    /// How long ago it was given; to be taken off its TTLs.
    pub age: Duration,
}

impl PacketCache {
    /// An empty cache of at most `octets_max` octets. Metrics go to the recorder that is
    /// installed now.
    #[must_use]
    pub fn new(octets_max: u64) -> Self {
        let octets_max = usize::try_from(octets_max).unwrap_or(usize::MAX);
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            shard_octets_max: octets_max / SHARDS,
            hits: metrics::counter!("cordon_cache_hits_total"),
            misses: metrics::counter!("cordon_cache_misses_total"),
            entries: metrics::gauge!("cordon_cache_entries_total"),
        }
    }

    /// What is remembered of `question`, if it has not ended by `now`. No allocation.
    pub fn get(&self, question: &Question, now: Instant) -> Option<Remembered> {
        let question = question.remembered();
        let hash = self.hasher.hash_one(question);
        let found = self.shard(hash)?.get(hash, &question, now);
        if found.is_some() {
            self.hits.increment(1);
        } else {
            self.misses.increment(1);
        }
        found
    }

    /// Remembers an answer, if its TTLs and the size of the cache allow it, in place of what
    /// was remembered.
    pub fn insert(&self, question: &Question, answer: &Arc<Answer>, now: Instant) {
        let cost = answer.cost() + ENTRY_OCTETS;
        if answer.lifetime().is_zero()
            || question.flags.no_recursion
            || cost > self.shard_octets_max
        {
            return;
        }
        let hash = self.hasher.hash_one(question);
        let Some(mut shard) = self.shard(hash) else {
            return;
        };
        let before = shard.index.len();
        shard.remove(hash);
        while shard.octets + cost > self.shard_octets_max {
            shard.evict(now);
        }
        shard.insert(Slot {
            hash,
            flags: question.flags,
            answer: Arc::clone(answer),
            since: now,
            cost,
            asked: false,
        });
        let after = shard.index.len();
        drop(shard);
        self.count(before, after);
    }

    /// Forgets the answers for `name` and all names below it, and says how many.
    pub fn flush(&self, name: &Name) -> usize {
        let mut forgotten = 0;
        for shard in &self.shards {
            let mut shard = lock(shard);
            let hashes: Vec<u64> = shard
                .slots
                .iter()
                .flatten()
                .filter(|slot| slot.answer.is_at_or_below(name))
                .map(|slot| slot.hash)
                .collect();
            let before = shard.index.len();
            for hash in &hashes {
                shard.remove(*hash);
            }
            self.count(before, shard.index.len());
            forgotten += hashes.len();
        }
        forgotten
    }

    /// The number of answers that are remembered, those included whose time has ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| lock(shard).index.len())
            .sum()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, hash: u64) -> Option<MutexGuard<'_, Shard>> {
        // The map of a shard uses the low bits.
        let index = usize::try_from(hash >> 32).unwrap_or(0) % self.shards.len().max(1);
        self.shards.get(index).map(lock)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a number of entries is far below 2^52"
    )]
    fn count(&self, before: usize, after: usize) {
        if after >= before {
            self.entries.increment((after - before) as f64);
        } else {
            self.entries.decrement((before - after) as f64);
        }
    }
}

impl Drop for PacketCache {
    /// The gauge is that of all caches together.
    fn drop(&mut self) {
        self.count(self.len(), 0);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Whoever panicked left at worst an entry that is never found.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One part of the cache under one lock.
#[derive(Debug, Default)]
struct Shard {
    /// Where in `slots` the entry of a hash is. Two questions of one hash displace each
    /// other.
    index: HashMap<u64, usize, rapidhash::fast::GlobalState>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// Where the hand of the clock is.
    hand: usize,
    octets: usize,
}

#[derive(Debug)]
struct Slot {
    hash: u64,
    flags: Flags,
    answer: Arc<Answer>,
    since: Instant,
    cost: usize,
    /// Whether it was asked for since the hand last passed.
    asked: bool,
}

impl Shard {
    fn get(&mut self, hash: u64, question: &Question, now: Instant) -> Option<Remembered> {
        let slot = self.slots.get_mut(*self.index.get(&hash)?)?.as_mut()?;
        if slot.flags != question.flags || !slot.answer.answers(question) {
            return None;
        }
        let age = now.saturating_duration_since(slot.since);
        if age >= slot.answer.lifetime() {
            return None;
        }
        slot.asked = true;
        Some(Remembered {
            answer: Arc::clone(&slot.answer),
            age,
        })
    }

    fn insert(&mut self, slot: Slot) {
        self.octets += slot.cost;
        let hash = slot.hash;
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if let Some(vacant) = self.slots.get_mut(place) {
            *vacant = Some(slot);
        }
        self.index.insert(hash, place);
    }

    fn remove(&mut self, hash: u64) {
        if let Some(place) = self.index.remove(&hash) {
            if let Some(slot) = self.slots.get_mut(place).and_then(Option::take) {
                self.octets -= slot.cost;
            }
            self.free.push(place);
        }
    }

    /// Removes one entry; with none left there is nothing more to make room of.
    fn evict(&mut self, now: Instant) {
        // In two rounds every entry has been passed once and found not asked for since.
        for _ in 0..=2 * self.slots.len() {
            let place = self.hand;
            self.hand = (place + 1) % self.slots.len().max(1);
            let Some(Some(slot)) = self.slots.get_mut(place) else {
                continue;
            };
            let ended = now.saturating_duration_since(slot.since) >= slot.answer.lifetime();
            if slot.asked && !ended {
                slot.asked = false;
            } else {
                let hash = slot.hash;
                self.remove(hash);
                return;
            }
        }
        self.octets = 0;
    }
}

/// The number of shards.
const SHARDS: usize = 64;
/// What an entry costs beyond its answer, in octets: its slot, its place in the map, and
/// what the allocator adds.
const ENTRY_OCTETS: usize = size_of::<Slot>() + 96;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wire::{Rcode, RecordType};
    use super::*;

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn question(name: &str) -> Question {
        Question::new(Name::from_text(name).unwrap(), RecordType::A)
    }

    fn answer(name: &str, seconds: u64) -> Arc<Answer> {
        let data = [192, 0, 2, 1];
        let lifetime = Duration::from_secs(seconds);
        Arc::new(Answer::made(
            &question(name),
            Rcode::NOERROR,
            &data,
            None,
            lifetime,
        ))
    }

    #[test]
    fn an_answer_ages_and_ends() {
        let (cache, start) = (PacketCache::new(1 << 20), start());
        cache.insert(&question("a.example"), &answer("a.example", 60), start);
        let age_at = |seconds| {
            let now = start + Duration::from_secs(seconds);
            cache
                .get(&question("A.example"), now)
                .map(|found| found.age.as_secs())
        };
        assert_eq!(age_at(0), Some(0));
        assert_eq!(age_at(59), Some(59));
        assert_eq!(age_at(60), None);
        assert!(cache.get(&question("b.example"), start).is_none());
    }

    #[test]
    fn flags_are_part_of_the_question() {
        let (cache, start) = (PacketCache::new(1 << 20), start());
        cache.insert(&question("a.example"), &answer("a.example", 60), start);
        let mut other = question("a.example");
        other.flags.dnssec_ok = true;
        assert!(cache.get(&other, start).is_none());
        let mut other = question("a.example");
        other.flags.no_recursion = true;
        assert!(cache.get(&other, start).is_some());
        cache.insert(&other, &answer("a.example", 600), start);
        let later = start + Duration::from_secs(61);
        assert!(cache.get(&question("a.example"), later).is_none());
    }

    #[test]
    fn flush_forgets_the_name_and_what_is_below() {
        let (cache, start) = (PacketCache::new(1 << 20), start());
        for name in ["shop.example", "www.shop.example", "workshop.example"] {
            cache.insert(&question(name), &answer(name, 60), start);
        }
        assert_eq!(cache.flush(&Name::from_text("shop.example").unwrap()), 2);
        assert_eq!(cache.len(), 1);
        assert!(cache.get(&question("workshop.example"), start).is_some());
    }

    #[test]
    fn it_never_outgrows_its_size_and_keeps_what_is_asked_for() {
        let octets = 64 * 2000;
        let (cache, start) = (PacketCache::new(octets), start());
        let popular = question("popular.example");
        cache.insert(&popular, &answer("popular.example", 3600), start);
        for number in 0..5000 {
            let name = format!("n{number}.example");
            cache.insert(&question(&name), &answer(&name, 3600), start);
            assert!(cache.get(&popular, start).is_some(), "after {number}");
        }
        let kept: usize = cache.shards.iter().map(|shard| lock(shard).octets).sum();
        assert!(kept <= usize::try_from(octets).unwrap());
        assert!(cache.len() > 64, "{} entries", cache.len());
    }

    #[test]
    fn a_cache_of_no_size_remembers_nothing() {
        let (cache, start) = (PacketCache::new(0), start());
        cache.insert(&question("a.example"), &answer("a.example", 60), start);
        assert!(cache.is_empty());
    }

    proptest! {
        /// The cache never says what a plain map would not say, and its sums stay right.
        #[test]
        fn it_equals_a_map_that_forgets(steps in prop::collection::vec((0u8..40, 0u8..3, 0u64..5), 1..200)) {
            let (cache, start) = (PacketCache::new(64 * 3000), start());
            let mut naive: HashMap<u8, u64> = HashMap::new();
            let mut now = 0;
            for (number, step, wait) in steps {
                now += wait;
                let at = start + Duration::from_secs(now);
                let name = format!("n{number}.example");
                match step {
                    0 => {
                        cache.insert(&question(&name), &answer(&name, 10), at);
                        naive.insert(number, now);
                    }
                    1 => if let Some(found) = cache.get(&question(&name), at) {
                        let since = naive.get(&number).copied();
                        prop_assert_eq!(Some(found.age.as_secs()), since.map(|since| now - since));
                        prop_assert!(found.age.as_secs() < 10);
                    },
                    _ => {
                        cache.flush(&Name::from_text(&name).unwrap());
                        naive.remove(&number);
                    }
                }
            }
            for shard in &cache.shards {
                let shard = lock(shard);
                let sum: usize = shard.slots.iter().flatten().map(|slot| slot.cost).sum();
                prop_assert_eq!(sum, shard.octets);
                prop_assert_eq!(shard.slots.iter().flatten().count(), shard.index.len());
            }
        }
    }
}
