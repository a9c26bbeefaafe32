//! [`Delegation`]: a list is given to keys of its own.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::founding::{check_signers, check_threshold, keys_of_role, make_keys};
use super::roles::Role;
use super::{Keyring, PublicKey, PublishError, Repository};
use crate::policy::Category;
use crate::verify::is_list_name;

/// A list that is to be delegated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delegation {
    /// Its name.
    pub list: String,
    /// Its title, in English.
    pub title: String,
    /// The class of its content.
    pub category: Category,
    /// How many keys must sign it; as many are made.
    pub threshold: usize,
}

impl Repository {
    /// Delegates a list: makes the keys of its role, and the role without content.
    ///
    /// # Errors
    /// [`PublishError::Delegated`], [`PublishError::KeysMissing`] of the targets role.
    pub fn delegate(
        &mut self,
        keys: &mut Keyring,
        delegation: &Delegation,
        now: Timestamp,
    ) -> Result<Vec<PublicKey>, PublishError> {
        self.delegate_to(keys, delegation, &[], now)
    }

    /// Delegates a list to keepers who each hold one of these keys; where none are given,
    /// keys are made, and returned.
    ///
    /// # Errors
    /// As [`Repository::delegate`], and [`PublishError::Signers`].
    pub fn delegate_to(
        &mut self,
        keys: &mut Keyring,
        delegation: &Delegation,
        keepers: &[PublicKey],
        now: Timestamp,
    ) -> Result<Vec<PublicKey>, PublishError> {
        let Delegation {
            list, threshold, ..
        } = delegation;
        if !is_list_name(list) {
            return Err(PublishError::ListName(list.clone()));
        }
        if self.lists.contains_key(list) {
            return Err(PublishError::Delegated(list.clone()));
        }
        check_threshold(*threshold)?;
        for role in ["targets", "snapshot", "timestamp"] {
            self.check_at_hand(keys, role)?;
        }
        let role = format!("list-{list}");
        let made = if keepers.is_empty() {
            make_keys(keys, &role, *threshold)?
        } else {
            check_signers(&role, keepers, *threshold)?;
            if !self.is_staging {
                let ids: Vec<String> = keepers.iter().map(|key| key.id.clone()).collect();
                keys.check_at_hand(&role, &ids, *threshold)?;
            }
            keys.remember(keepers)?;
            Vec::new()
        };
        let signers = if made.is_empty() { keepers } else { &made };
        let mut objects = Map::new();
        let mut delegated = keys_of_role(signers, *threshold, &mut objects);
        if let Value::Object(delegated) = &mut delegated {
            delegated.insert("name".to_owned(), role.as_str().into());
            delegated.insert("paths".to_owned(), json!([format!("{list}/*")]));
            delegated.insert("terminating".to_owned(), true.into());
            let about = json!({
                "category": delegation.category.as_str(),
                "title": {"en": delegation.title},
            });
            delegated.insert(ABOUT.to_owned(), about);
        }
        self.targets.edit("delegations", |delegations| {
            if let Value::Object(keys) = delegations.entry("keys").or_insert_with(|| json!({})) {
                keys.extend(objects);
            }
            if let Value::Array(roles) = delegations.entry("roles").or_insert_with(|| json!([])) {
                roles.push(delegated);
            }
        });
        let empty = Role::new(&role, "targets", json!({"targets": {}}));
        self.lists.insert(list.clone(), empty);
        self.changed.extend(["targets".to_owned(), role]);
        self.commit(keys, now)?;
        Ok(made)
    }

    /// What the delegation of a list says about it: its title by language, its category.
    pub(super) fn about(&self, list: &str) -> (Value, Option<String>) {
        let about = self.targets.delegation(&format!("list-{list}"));
        let about = about.and_then(|delegation| delegation.get(ABOUT));
        let title = about.and_then(|about| about.get("title")).cloned();
        let category = about
            .and_then(|about| about.get("category"))
            .and_then(Value::as_str);
        let title = title.unwrap_or_else(|| json!({"en": list}));
        (title, category.map(str::to_owned))
    }
}

/// The member of a delegation that describes the list.
const ABOUT: &str = "x-list";
