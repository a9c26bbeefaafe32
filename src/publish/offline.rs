//! What the offline keys say of every list: the policy, and the names that no list may block.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::repository::target_file;
use super::stage::read_target;
use super::versions::target;
use super::{Keyring, PolicyFile, PublishError, Repository, canonical};
use crate::policy::{Bounds, Name};
use crate::verify::{SignedPolicy, read_never_block, write_never_block};

/// What a new policy or list of names changes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OfflineChange {
    /// What is new, one thing each.
    pub added: Vec<String>,
    /// What is gone.
    pub removed: Vec<String>,
}

impl Repository {
    /// Publishes what each list may hold and do, instead of what was said before.
    ///
    /// # Errors
    /// [`PublishError`]; what was published before still is.
    pub fn bound(
        &mut self,
        keys: &Keyring,
        policy: &PolicyFile,
        now: Timestamp,
    ) -> Result<OfflineChange, PublishError> {
        let before = self.policy_parts();
        let change = difference(&members(&before), &members(&policy.parts));
        let file = SignedPolicy::file(policy.parts.clone());
        let file = canonical::text(&file)
            .ok_or_else(|| PublishError::Canonical("the policy".to_owned()))?;
        self.put_offline(keys, POLICY, format!("{file}\n").into_bytes(), now)?;
        Ok(change)
    }

    /// Publishes the names that no list may block, instead of those that were said before.
    ///
    /// # Errors
    /// [`PublishError`]; what was published before still is.
    pub fn never_block(
        &mut self,
        keys: &Keyring,
        names: &[Name],
        now: Timestamp,
    ) -> Result<OfflineChange, PublishError> {
        let texts = |names: &[Name]| names.iter().map(Name::to_string).collect();
        let change = difference(&texts(&self.never_blocked()?), &texts(names));
        self.put_offline(keys, NEVER_BLOCK, write_never_block(names), now)?;
        Ok(change)
    }

    /// What the policy bounds a list to.
    ///
    /// # Errors
    /// [`PublishError::Repository`] for a policy that cannot be read.
    pub(super) fn bounds(&self, list: &str) -> Result<Bounds, PublishError> {
        let Some((file, bytes)) = self.offline(POLICY)? else {
            return Ok(Bounds::default());
        };
        SignedPolicy::read(&bytes)
            .and_then(|policy| policy.bounds(list))
            .map_err(|reason| self.damaged(&file, &reason))
    }

    /// The names that no list may block.
    ///
    /// # Errors
    /// [`PublishError::Repository`] for a file that cannot be read.
    pub(super) fn never_blocked(&self) -> Result<Vec<Name>, PublishError> {
        match self.offline(NEVER_BLOCK)? {
            Some((file, bytes)) => {
                read_never_block(&bytes).map_err(|reason| self.damaged(&file, &reason))
            }
            None => Ok(Vec::new()),
        }
    }

    /// The parts of the policy as they are signed now.
    fn policy_parts(&self) -> BTreeMap<String, Value> {
        let file = self.offline(POLICY).ok().flatten();
        let file = file.and_then(|(_, bytes)| serde_json::from_slice::<Value>(&bytes).ok());
        let lists = file
            .as_ref()
            .and_then(|file| file.get("lists")?.as_object());
        let lists = lists.into_iter().flatten();
        lists
            .map(|(list, part)| (list.clone(), part.clone()))
            .collect()
    }

    /// The file of a target of the targets role, where there is one.
    fn offline(&self, path: &str) -> Result<Option<(String, Vec<u8>)>, PublishError> {
        let target = self
            .targets
            .signed
            .get("targets")
            .and_then(|targets| targets.get(path));
        match target.and_then(|target| target_file(path, target)) {
            Some(file) => Ok(Some((file.clone(), read_target(&self.folder, &file)?))),
            None => Ok(None),
        }
    }

    /// Puts a target of the targets role in place of the one before.
    fn put_offline(
        &mut self,
        keys: &Keyring,
        path: &str,
        file: Vec<u8>,
        now: Timestamp,
    ) -> Result<(), PublishError> {
        for role in ["targets", "snapshot", "timestamp"] {
            self.check_at_hand(keys, role)?;
        }
        if let Some((before, bytes)) = self.offline(path)? {
            if bytes == file {
                return Ok(());
            }
            self.superseded.push(before);
        }
        let target = target(&file, json!({"format": 1}));
        self.new_files
            .extend(target_file(path, &target).map(|name| (name, file)));
        self.targets.edit("targets", |targets| {
            _ = targets.insert(path.to_owned(), target)
        });
        self.changed.insert("targets".to_owned());
        self.commit(keys, now)?;
        Ok(())
    }

    fn damaged(&self, file: &str, reason: &str) -> PublishError {
        PublishError::Repository {
            path: self.folder.path(file),
            reason: format!("{reason}. Put the file back from a copy of the repository"),
        }
    }
}

/// Each member of each list's part, one a line.
fn members(parts: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let lines = |(list, part): (&String, &Value)| {
        let members = part.as_object().into_iter().flatten();
        members
            .map(|(member, value)| format!("{list}: {member} {value}"))
            .collect::<Vec<_>>()
    };
    parts.iter().flat_map(lines).collect()
}

/// What is in one and not in the other.
fn difference(before: &BTreeSet<String>, after: &BTreeSet<String>) -> OfflineChange {
    OfflineChange {
        added: after.difference(before).cloned().collect(),
        removed: before.difference(after).cloned().collect(),
    }
}

/// The target of the policy.
const POLICY: &str = "policy";
/// The target of the names that no list may block.
const NEVER_BLOCK: &str = "never-block";
