//! [`RuleSet`]: a set of rules, a bit each.

/// A set of rules by their numbers. Empty, it holds no memory; asking it costs one load.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct RuleSet {
    words: Vec<u64>,
}

impl RuleSet {
    /// Whether a rule is in it.
    #[inline]
    pub(super) fn contains(&self, number: u32) -> bool {
        self.words
            .get(number as usize / 64)
            .is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Puts a rule into it; says whether it was not there before.
    pub(super) fn insert(&mut self, number: u32) -> bool {
        let place = number as usize / 64;
        if place >= self.words.len() {
            self.words.resize(place + 1, 0);
        }
        let bit = 1 << (number % 64);
        self.words.get_mut(place).is_some_and(|word| {
            let is_new = *word & bit == 0;
            *word |= bit;
            is_new
        })
    }

    /// How many are in it.
    pub(super) fn len(&self) -> usize {
        let ones = |word: &u64| word.count_ones() as usize;
        self.words.iter().map(ones).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_a_set(numbers in prop::collection::vec(0_u32..300, 0..100)) {
            let (mut set, mut tree) = (RuleSet::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(set.insert(number), tree.insert(number));
            }
            prop_assert_eq!(set.len(), tree.len());
            for number in 0..400 {
                prop_assert_eq!(set.contains(number), tree.contains(&number));
            }
        }
    }
}
