//! [`Protection`]: the names that outrank every list, ready to be asked.

use super::Protected;
use super::name_map::NameMap;
use crate::policy::Name;

/// The names that always pass, with all below them.
#[derive(Debug, Default)]
pub(super) struct Protection {
    names: Vec<Name>,
    covering: NameMap<()>,
}

impl Protection {
    /// What the operator protects.
    pub(super) fn new(protected: &Protected) -> Self {
        let mut covering = NameMap::default();
        for name in &protected.names {
            covering.insert(name, ());
        }
        Self {
            names: protected.names.clone(),
            covering,
        }
    }

    /// Whether a name is protected.
    pub(super) fn covers(&self, name: &Name) -> bool {
        self.covering.covering(name).is_some()
    }

    /// The protected names at or below a name.
    pub(super) fn below(&self, name: &Name) -> impl Iterator<Item = &Name> {
        let name = *name;
        self.names
            .iter()
            .filter(move |protected| protected.is_at_or_below(&name))
    }
}
