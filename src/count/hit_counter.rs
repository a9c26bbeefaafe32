//! [`HitCounter`]: the hot counters of one edition.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::policy::{RuleId, Surface};

/// The hot counters of one edition: one relaxed add a hit, no lock.
#[derive(Debug)]
pub struct HitCounter {
    /// One counter per rule and surface.
    counts: Box<[AtomicU64]>,
}

impl HitCounter {
    /// Counters in memory alone, for `rules` rules: for answers that nobody is given, as in
    /// `explain --offline`.
    #[must_use]
    pub fn in_memory(rules: usize) -> Self {
        Self {
            counts: (0..rules * Surface::ALL.len())
                .map(|_| AtomicU64::new(0))
                .collect(),
        }
    }

    /// Counts one hit of a rule on a surface.
    pub fn hit(&self, rule: RuleId, surface: Surface) {
        if let Some(count) = self
            .counts
            .get(rule.index() * Surface::ALL.len() + surface.index())
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often a rule was hit on a surface.
    #[must_use]
    pub fn hits(&self, rule: RuleId, surface: Surface) -> u64 {
        self.counts
            .get(rule.index() * Surface::ALL.len() + surface.index())
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }
}
