//! [`NameMap`]: names that stand for themselves and all below them, with what is known of
//! each.

use std::collections::HashMap;

use rapidhash::fast::RandomState;

use crate::policy::Name;

/// Names, each for itself and all below it. Few, next to the rules.
#[derive(Clone, Debug)]
pub(super) struct NameMap<T> {
    names: HashMap<Box<[u8]>, T, RandomState>,
}

impl<T> NameMap<T> {
    /// Adds a name.
    pub(super) fn insert(&mut self, name: &Name, value: T) {
        self.names.insert(name.as_wire().into(), value);
    }

    /// The same, of a name in wire form.
    pub(super) fn insert_wire(&mut self, wire: &[u8], value: T) {
        self.names.insert(wire.into(), value);
    }

    /// Whether it has this very name.
    pub(super) fn has(&self, name: &Name) -> bool {
        self.names.contains_key(name.as_wire())
    }

    /// Adds a name, or keeps the larger of the two values.
    pub(super) fn insert_longest(&mut self, name: &Name, value: T)
    where
        T: Ord + Copy,
    {
        let known = self.names.entry(name.as_wire().into()).or_insert(value);
        *known = value.max(*known);
    }

    /// What is known of the closest of its names that covers `name`.
    pub(super) fn covering(&self, name: &Name) -> Option<&T> {
        if self.names.is_empty() {
            return None;
        }
        name.and_parents().find_map(|wire| self.names.get(wire))
    }
}

impl<T> Default for NameMap<T> {
    fn default() -> Self {
        Self {
            names: HashMap::with_hasher(RandomState::default()),
        }
    }
}
