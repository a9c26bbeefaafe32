//! [`ListSet`]: a set of lists by their places.

use smallvec::SmallVec;

/// A set of lists, a bit each; up to 64 of them need no allocation.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct ListSet {
    words: SmallVec<[u64; 1]>,
}

impl ListSet {
    /// Whether the list in that place is in it.
    pub(super) fn contains(&self, place: u16) -> bool {
        let word = self.words.get(usize::from(place) / 64);
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Puts the list in that place into it.
    pub(super) fn insert(&mut self, place: u16) {
        let at = usize::from(place) / 64;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        if let Some(word) = self.words.get_mut(at) {
            *word |= 1 << (place % 64);
        }
    }
}
