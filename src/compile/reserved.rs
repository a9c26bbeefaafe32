//! [`Reserved`]: names that stand with all below them, and how other names lie to them.

use std::fmt;
use std::sync::Arc;

use super::name_map::NameMap;
use crate::policy::Name;

/// Names that each stand for themselves and all below them, such as those that no list of a
/// repository may block. Asked by name: a look-up a label, without allocation.
#[derive(Default)]
pub struct Reserved {
    names: Arc<[Name]>,
    /// The place of each name in `names`.
    at: NameMap<u32>,
    /// Every name above one of them, but for the root.
    above: NameMap<()>,
}

impl Reserved {
    /// Makes the index of these names.
    #[must_use]
    pub fn new(names: Arc<[Name]>) -> Self {
        let mut at = NameMap::default();
        let mut above = NameMap::default();
        for (place, name) in (0_u32..).zip(names.iter()) {
            at.insert(name, place);
            for parent in name.and_parents().skip(1).filter(|wire| wire.len() > 1) {
                above.insert_wire(parent, ());
            }
        }
        Self { names, at, above }
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// Whether a name is one of them or lies below one.
    #[must_use]
    pub fn covers(&self, name: &Name) -> bool {
        self.find(name).is_some()
    }

    /// Whether this very name is one of them.
    #[must_use]
    pub fn has(&self, name: &Name) -> bool {
        self.at.has(name)
    }

    /// The one that a name is or lies below; of several the closest.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<&Name> {
        let place = self.at.covering(name)?;
        self.names.get(*place as usize)
    }

    /// Those that lie below a name, at most `most` of them.
    #[must_use]
    pub fn below(&self, name: &Name, most: usize) -> Vec<Name> {
        if !self.above.has(name) {
            return Vec::new();
        }
        let below = |other: &&Name| *other != name && other.is_at_or_below(name);
        let below = self.names.iter().filter(below);
        below.take(most).copied().collect()
    }
}

impl PartialEq for Reserved {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
    }
}

impl Eq for Reserved {}

impl fmt::Debug for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    proptest! {
        #[test]
        fn equals_a_walk_over_the_names(
            names in prop::collection::vec("([ab]\\.){0,3}[ab]\\.test", 0..8),
            asked in "([ab]\\.){0,3}(test|[ab]\\.test)",
        ) {
            let names: Vec<Name> = names.iter().map(|text| name(text)).collect();
            let reserved = Reserved::new(names.clone().into());
            let asked = name(&asked);
            let covers = names.iter().any(|name| asked.is_at_or_below(name));
            prop_assert_eq!(reserved.covers(&asked), covers);
            let below: Vec<Name> = names
                .into_iter()
                .filter(|name| *name != asked && name.is_at_or_below(&asked))
                .collect();
            prop_assert_eq!(reserved.below(&asked, 8), below);
        }
    }
}
