//! [`Search`]: the way through delegations to the role that speaks for a path.

use std::collections::BTreeSet;

use sigstore_tuf::Targets;

use super::VerifyError;
use super::chain::ROLES_MAX;
use super::target::Target;

/// A search in pre-order, depth first, by the specification's section 5.6.7: every role is
/// visited once, a terminating delegation ends what would come after it, and no more than
/// [`ROLES_MAX`] roles are visited.
#[derive(Clone, Debug)]
pub(super) struct Search {
    path: String,
    /// What is still to be visited; the next one last.
    ahead: Vec<Visit>,
    visited: BTreeSet<String>,
}

/// A role on the way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Visit {
    /// The role to look into.
    pub(super) role: String,
    /// Whose keys and threshold count for it here.
    pub(super) delegator: String,
}

impl Search {
    /// The search for a target path, before its first step.
    pub(super) fn new(path: &str) -> Self {
        let first = Visit {
            role: "targets".to_owned(),
            delegator: "root".to_owned(),
        };
        Self {
            path: path.to_owned(),
            ahead: vec![first],
            visited: BTreeSet::new(),
        }
    }

    /// The next role to look into.
    ///
    /// # Errors
    /// [`VerifyError::NoTarget`] when there is none left, [`VerifyError::Malformed`] when too
    /// many were visited.
    pub(super) fn next(&mut self) -> Result<Visit, VerifyError> {
        loop {
            let visit = self.ahead.pop().ok_or_else(|| VerifyError::NoTarget {
                path: self.path.clone(),
            })?;
            if self.visited.contains(&visit.role) {
                continue;
            }
            if self.visited.len() >= ROLES_MAX {
                return Err(VerifyError::Malformed {
                    file: self.path.clone(),
                    reason: format!("is not found within {ROLES_MAX} roles"),
                });
            }
            self.visited.insert(visit.role.clone());
            return Ok(visit);
        }
    }

    /// Looks into a role that is trusted: what it says of the path, or nothing, and then its
    /// own delegations come next.
    ///
    /// # Errors
    /// [`VerifyError::Malformed`] for a pattern of paths that is none.
    pub(super) fn look_into(
        &mut self,
        role: &str,
        targets: &Targets,
    ) -> Result<Option<Target>, VerifyError> {
        if let Some(file) = targets.target(&self.path) {
            return Target::read(&self.path, file).map(Some);
        }
        let mut children = Vec::new();
        let delegated = targets.delegations.iter().flat_map(|d| &d.roles);
        for child in delegated {
            let matches = child.matches_path(&self.path);
            if !matches.map_err(|error| VerifyError::from_rules(&format!("{role}.json"), error))? {
                continue;
            }
            children.push(Visit {
                role: child.name.clone(),
                delegator: role.to_owned(),
            });
            if child.terminating {
                self.ahead.clear();
                break;
            }
        }
        self.ahead.extend(children.into_iter().rev());
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// A tree of delegations: for each role, to whom it delegates `x`, and whether that ends
    /// the search.
    type Delegated = BTreeMap<String, Vec<(String, bool)>>;

    fn role(children: &[(String, bool)]) -> Targets {
        let roles: Vec<Value> = children
            .iter()
            .map(|(name, terminating)| {
                json!({
                    "name": name, "keyids": [], "threshold": 1,
                    "terminating": terminating, "paths": ["y", "x"],
                })
            })
            .collect();
        serde_json::from_value(json!({
            "_type": "targets", "spec_version": "1.0.34", "version": 1,
            "expires": "2027-01-01T00:00:00Z", "targets": {},
            "delegations": {"keys": {}, "roles": roles},
        }))
        .unwrap()
    }

    /// The order by recursion: whether the search goes on behind what was visited.
    fn naive(tree: &Delegated, name: &str, visited: &mut Vec<String>) -> bool {
        if visited.iter().any(|before| before == name) {
            return true;
        }
        visited.push(name.to_owned());
        for (child, terminating) in tree.get(name).into_iter().flatten() {
            if !naive(tree, child, visited) || *terminating {
                return false;
            }
        }
        true
    }

    fn searched(tree: &Delegated) -> Vec<String> {
        let mut search = Search::new("x");
        let mut visited = Vec::new();
        while let Ok(visit) = search.next() {
            let children = tree.get(&visit.role).cloned().unwrap_or_default();
            assert_eq!(search.look_into(&visit.role, &role(&children)), Ok(None));
            visited.push(visit.role);
        }
        let error = search.next().unwrap_err();
        assert_eq!(error.outcome(), "no_target");
        visited
    }

    fn delegated() -> impl Strategy<Value = Delegated> {
        let name = prop::sample::select(vec!["targets", "a", "b", "c", "d", "e"]);
        let child = (
            name.clone().prop_map(str::to_owned),
            prop::bool::weighted(0.2),
        );
        prop::collection::btree_map(
            name.prop_map(str::to_owned),
            prop::collection::vec(child, 0..4),
            0..6,
        )
    }

    proptest! {
        #[test]
        fn every_tree_is_walked_in_pre_order_each_role_once(tree in delegated()) {
            let mut expected = Vec::new();
            naive(&tree, "targets", &mut expected);
            prop_assert_eq!(searched(&tree), expected);
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_an_error() {
        let mut targets = role(&[("a".to_owned(), false)]);
        if let Some(delegations) = &mut targets.delegations {
            delegations.roles[0].paths = Some(vec!["[x".to_owned()]);
        }
        let error = Search::new("x").look_into("targets", &targets).unwrap_err();
        assert_eq!(error.outcome(), "malformed");
    }
}
