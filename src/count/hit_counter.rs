//! [`HitCounter`]: the hot counters of one edition.

use std::sync::Arc;

use super::counter_map::CounterMap;
use crate::policy::{Action, Category, RuleId, Surface};

/// The hot counters of one edition: one relaxed add a hit, no lock, no allocation.
///
/// The counters themselves outlive it: two editions that hold the same entry add to the same
/// slot, so a hit by a retired edition that is still answering is never lost.
#[derive(Clone, Debug)]
pub struct HitCounter {
    /// The slot of each rule; [`NO_SLOT`] for a rule that is not counted. Shared by the
    /// editions that have these rules in common.
    slots: Arc<[u32]>,
    /// The slots of the rules behind them.
    more: Arc<[u32]>,
    /// The counters; mostly one run of slots, in the order of their first slots.
    segments: Arc<[Segment]>,
    /// Which map the slots are numbered in; nothing for one in memory.
    map: Option<u64>,
}

/// What must be known of a rule to count it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CountedRule<'a> {
    /// The list's name in the configuration.
    pub list: &'a str,
    /// The entry's id, unique in its list.
    pub entry_id: &'a str,
    /// What the rule does.
    pub action: Action,
    /// The class of the content.
    pub category: Category,
    /// The authority that decided.
    pub authority: &'a str,
}

/// A run of slots that lie in one map.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Its first slot.
    pub(super) first: usize,
    /// The slot that is the map's number 0.
    pub(super) base: usize,
    /// The counters.
    pub(super) map: Arc<CounterMap>,
}

impl HitCounter {
    /// Counters in memory alone, for `rules` rules: for answers that nobody is given, as in
    /// `explain --offline`.
    #[must_use]
    pub fn in_memory(rules: usize) -> Self {
        let map = Arc::new(CounterMap::in_memory(rules));
        Self {
            slots: (0..NO_SLOT).take(rules).collect(),
            more: Arc::default(),
            segments: [Segment {
                first: 0,
                base: 0,
                map,
            }]
            .into(),
            map: None,
        }
    }

    /// A counter over the slots of the map `map`: those of the first rules, and those of the
    /// rules behind them.
    pub(super) const fn over(
        map: u64,
        slots: Arc<[u32]>,
        more: Arc<[u32]>,
        segments: Arc<[Segment]>,
    ) -> Self {
        Self {
            slots,
            more,
            segments,
            map: Some(map),
        }
    }

    /// Whether it counts in memory alone, so that its hits end with it.
    #[must_use]
    pub const fn is_in_memory(&self) -> bool {
        self.map.is_none()
    }

    /// The slots of its first `rules` rules, where it has so many in one run, numbered in
    /// that map.
    pub(super) fn shared_slots(&self, map: u64, rules: usize) -> Option<&Arc<[u32]>> {
        (self.map == Some(map) && self.slots.len() == rules).then_some(&self.slots)
    }

    /// Counts one hit of a rule on a surface.
    #[inline]
    pub fn hit(&self, rule: RuleId, surface: Surface) {
        if let Some((segment, slot)) = self.place(rule) {
            segment.map.hit(slot, surface);
        }
    }

    /// How often a rule's slot was hit on a surface, by this and by earlier editions.
    #[must_use]
    pub fn hits(&self, rule: RuleId, surface: Surface) -> u64 {
        self.place(rule)
            .map_or(0, |(segment, slot)| segment.map.hits(slot, surface))
    }

    #[inline]
    fn place(&self, rule: RuleId) -> Option<(&Segment, usize)> {
        let number = rule.index();
        let slot = match self.slots.get(number) {
            Some(slot) => slot,
            None => self.more.get(number - self.slots.len())?,
        };
        let slot = usize::try_from(*slot).ok()?;
        find(&self.segments, slot)
    }
}

/// The segment of a slot, and the slot's number in its map.
#[inline]
pub(super) fn find(segments: &[Segment], slot: usize) -> Option<(&Segment, usize)> {
    segments
        .iter()
        .rev()
        .find(|segment| segment.first <= slot)
        .map(|segment| (segment, slot - segment.base))
}

/// The number of no slot.
pub(super) const NO_SLOT: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_and_surface_counts_apart() {
        let counter = HitCounter::in_memory(2);
        counter.hit(RuleId(0), Surface::Dns);
        counter.hit(RuleId(1), Surface::Dns);
        counter.hit(RuleId(1), Surface::Dns);
        counter.hit(RuleId(1), Surface::Tls);
        counter.hit(RuleId(2), Surface::Dns);
        assert_eq!(counter.hits(RuleId(0), Surface::Dns), 1);
        assert_eq!(counter.hits(RuleId(1), Surface::Dns), 2);
        assert_eq!(counter.hits(RuleId(1), Surface::Http), 0);
        assert_eq!(counter.hits(RuleId(1), Surface::Tls), 1);
        assert_eq!(counter.hits(RuleId(2), Surface::Dns), 0);
    }
}
