//! [`Bounds`]: what one list may hold, and how far it may change at once.

use std::time::Duration;

use super::{Category, Kind, Name};

/// What one list may hold and do, as the signed policy of its repository says, or as the
/// operator does; where both speak, the stricter holds (trust.md section 7.3; interface.md,
/// "Local and signed").
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bounds {
    /// The kinds of entries it may hold; nothing for any. Exceptions count as domains.
    pub kinds: Option<Vec<Kind>>,
    /// The categories its entries may have; nothing for any.
    pub categories: Option<Vec<Category>>,
    /// The top-level domains its names may be below; nothing for any.
    pub top_level: Option<Vec<Name>>,
    /// How far it may change at once.
    pub guard: GuardLimits,
    /// How many entries may be withdrawn at a time; nothing for the lower of 200 and 2 %,
    /// never below 10 (trust.md section 7.12).
    pub largest_withdrawal: Option<u64>,
    /// What becomes of it when its role has expired.
    pub on_expiry: OnExpiry,
    /// The lowest generation that is taken.
    pub generation_min: u64,
    /// Within which time the authority asks for an entry to be enforced.
    pub add_within: Option<Duration>,
    /// Within which time the authority asks for an entry to be let through again.
    pub withdraw_within: Option<Duration>,
}

/// How far a list may change at once, and how large it may be. What is absent is not limited.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct GuardLimits {
    /// By how much a version may grow upon the one in force, in per cent of that one.
    pub growth: Option<u32>,
    /// By how much it may shrink, in per cent.
    pub shrink: Option<u32>,
    /// By how much it may grow within 24 hours, in per cent of what was in force then.
    pub growth_per_day: Option<u32>,
    /// By how much it may shrink within 24 hours, in per cent.
    pub shrink_per_day: Option<u32>,
    /// Changes of fewer entries than this trip neither growth nor shrink.
    pub from_changes: Option<u64>,
    /// The fewest entries it may have.
    pub min_entries: Option<u64>,
    /// The most entries it may have.
    pub max_entries: Option<u64>,
}

/// What becomes of a list when its role has expired.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnExpiry {
    /// The last edition stays in force.
    #[default]
    Keep,
    /// It is dropped so long after its expiry.
    Drop(Duration),
}

impl Bounds {
    /// How many of a list's `entries` may be withdrawn at a time: what the policy says, else
    /// the lower of 200 and 2 %, and never below 10 (trust.md section 7.12).
    #[must_use]
    pub fn withdrawals_max(&self, entries: u64) -> u64 {
        self.largest_withdrawal
            .unwrap_or_else(|| (entries / 50).clamp(10, 200))
    }

    /// These bounds and `other` at once: of each the stricter. What a list is dropped after,
    /// its generation and its deadlines are `self`'s alone: only the signed policy may say
    /// those.
    #[must_use]
    pub fn stricter(self, other: &Self) -> Self {
        Self {
            kinds: both(self.kinds, other.kinds.as_deref()),
            categories: both(self.categories, other.categories.as_deref()),
            top_level: both(self.top_level, other.top_level.as_deref()),
            guard: self.guard.stricter(other.guard),
            largest_withdrawal: lower(self.largest_withdrawal, other.largest_withdrawal),
            ..self
        }
    }
}

impl GuardLimits {
    /// Of each limit the stricter.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        Self {
            growth: lower(self.growth, other.growth),
            shrink: lower(self.shrink, other.shrink),
            growth_per_day: lower(self.growth_per_day, other.growth_per_day),
            shrink_per_day: lower(self.shrink_per_day, other.shrink_per_day),
            from_changes: lower(self.from_changes, other.from_changes),
            min_entries: self.min_entries.max(other.min_entries),
            max_entries: lower(self.max_entries, other.max_entries),
        }
    }
}

/// What is in both; nothing stands for everything.
fn both<T: Clone + PartialEq>(one: Option<Vec<T>>, other: Option<&[T]>) -> Option<Vec<T>> {
    match (one, other) {
        (Some(mut one), Some(other)) => {
            one.retain(|item| other.contains(item));
            Some(one)
        }
        (one, other) => one.or_else(|| other.map(<[T]>::to_vec)),
    }
}

/// The lower of both; nothing stands for no limit.
fn lower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(kinds: Option<&[Kind]>, growth: Option<u32>, min_entries: Option<u64>) -> Bounds {
        Bounds {
            kinds: kinds.map(<[Kind]>::to_vec),
            guard: GuardLimits {
                growth,
                min_entries,
                ..GuardLimits::default()
            },
            ..Bounds::default()
        }
    }

    #[test]
    fn the_stricter_of_signed_and_local_wins() {
        let signed = bounds(Some(&[Kind::Domain, Kind::Url]), Some(20), Some(1));
        let local = bounds(Some(&[Kind::Url, Kind::Ip]), Some(50), Some(100));
        let expected = bounds(Some(&[Kind::Url]), Some(20), Some(100));
        assert_eq!(signed.clone().stricter(&local), expected);
        assert_eq!(local.stricter(&signed), expected);
        assert_eq!(signed.clone().stricter(&Bounds::default()), signed);
        assert_eq!(Bounds::default().stricter(&signed), signed);
    }

    #[test]
    fn few_may_be_withdrawn_at_a_time() {
        let most = |entries| Bounds::default().withdrawals_max(entries);
        let found = [0, 500, 550, 10_000, 10_050, 1_000_000].map(most);
        assert_eq!(found, [10, 10, 11, 200, 200, 200]);
        let signed = Bounds {
            largest_withdrawal: Some(3),
            ..Bounds::default()
        };
        assert_eq!(signed.withdrawals_max(1_000_000), 3);
    }
}
