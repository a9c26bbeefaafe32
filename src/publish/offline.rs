//! What the offline keys say of every list: the policy, and the names that no list may block.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::repository::target_file;
use super::roles::Role;
use super::stage::read_target;
use super::term_effects::{TermEffect, accepted};
use super::versions::{Versions, number_in, target};
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
    /// What it does to lists as they are published, which was accepted.
    pub effects: Vec<TermEffect>,
}

impl Repository {
    /// Publishes what each list may hold and do, instead of what was said before; `accepts`
    /// says why even where nodes then leave out what they enforce now.
    ///
    /// # Errors
    /// [`PublishError::Terms`], and others; what was published before still is.
    pub fn bound(
        &mut self,
        keys: &Keyring,
        policy: &PolicyFile,
        accepts: Option<&str>,
        now: Timestamp,
    ) -> Result<OfflineChange, PublishError> {
        let before = self.policy_parts();
        let mut change = difference(&members(&before), &members(&policy.parts));
        let file = SignedPolicy::file(policy.parts.clone());
        let file = canonical::text(&file)
            .ok_or_else(|| PublishError::Canonical("the policy".to_owned()))?;
        let file = format!("{file}\n").into_bytes();
        change.effects = self.put_offline(keys, POLICY, file, accepts, now)?;
        Ok(change)
    }

    /// Publishes the names that no list may block, instead of those that were said before;
    /// `accepts` says why even where nodes then leave out what they enforce now.
    ///
    /// # Errors
    /// [`PublishError::Terms`], and others; what was published before still is.
    pub fn never_block(
        &mut self,
        keys: &Keyring,
        names: &[Name],
        accepts: Option<&str>,
        now: Timestamp,
    ) -> Result<OfflineChange, PublishError> {
        let texts = |names: &[Name]| names.iter().map(Name::to_string).collect();
        let before = self.never_blocked_by(&self.targets)?;
        let mut change = difference(&texts(&before), &texts(names));
        let file = write_never_block(names);
        change.effects = self.put_offline(keys, NEVER_BLOCK, file, accepts, now)?;
        Ok(change)
    }

    /// The generation of each list: the lowest that the next version has.
    #[must_use]
    pub fn generations(&self) -> BTreeMap<String, u64> {
        let generation = |(list, role): (&String, &Role)| {
            let newest = Versions::new(list, role).newest();
            let generation = number_in(newest, "generation").max(FIRST_GENERATION);
            (list.clone(), generation)
        };
        self.lists.iter().map(generation).collect()
    }

    /// What the policy bounds a list to.
    ///
    /// # Errors
    /// [`PublishError::Repository`] for a policy that cannot be read.
    pub(super) fn bounds(&self, list: &str) -> Result<Bounds, PublishError> {
        self.bounds_by(&self.targets, list)
    }

    /// What the policy that a targets role names bounds a list to.
    ///
    /// # Errors
    /// As [`Repository::bounds`].
    pub(super) fn bounds_by(&self, targets: &Role, list: &str) -> Result<Bounds, PublishError> {
        let Some((file, bytes)) = self.offline(targets, POLICY)? else {
            return Ok(Bounds::default());
        };
        SignedPolicy::read(&bytes)
            .and_then(|policy| policy.bounds(list))
            .map_err(|reason| self.damaged(&file, &reason))
    }

    /// The names that no list may block, by what a targets role names.
    ///
    /// # Errors
    /// [`PublishError::Repository`] for a file that cannot be read.
    pub(super) fn never_blocked_by(&self, targets: &Role) -> Result<Vec<Name>, PublishError> {
        match self.offline(targets, NEVER_BLOCK)? {
            Some((file, bytes)) => {
                read_never_block(&bytes).map_err(|reason| self.damaged(&file, &reason))
            }
            None => Ok(Vec::new()),
        }
    }

    /// The parts of the policy as they are signed now.
    fn policy_parts(&self) -> BTreeMap<String, Value> {
        let file = self.offline(&self.targets, POLICY).ok().flatten();
        let file = file.and_then(|(_, bytes)| serde_json::from_slice::<Value>(&bytes).ok());
        let lists = file
            .as_ref()
            .and_then(|file| file.get("lists")?.as_object());
        let lists = lists.into_iter().flatten();
        lists
            .map(|(list, part)| (list.clone(), part.clone()))
            .collect()
    }

    /// The file of a target that a targets role names, where there is one.
    fn offline(
        &self,
        targets: &Role,
        path: &str,
    ) -> Result<Option<(String, Vec<u8>)>, PublishError> {
        let targets = targets.signed.get("targets");
        let target = targets.and_then(|targets| targets.get(path));
        let Some((target, file)) = target.and_then(|it| Some((it, target_file(path, it)?))) else {
            return Ok(None);
        };
        let new = self.new_files.iter().find(|(name, _)| *name == file);
        let bytes = match new {
            Some((_, bytes)) => bytes.clone(),
            None => read_target(&self.folder, &file, target)?,
        };
        Ok(Some((file, bytes)))
    }

    /// Puts a target of the targets role in place of the one before; returns what that does
    /// to lists and was accepted.
    fn put_offline(
        &mut self,
        keys: &Keyring,
        path: &str,
        file: Vec<u8>,
        accepts: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<TermEffect>, PublishError> {
        for role in ["targets", "snapshot", "timestamp"] {
            self.check_at_hand(keys, role)?;
        }
        if let Some((before, bytes)) = self.offline(&self.targets, path)? {
            if bytes == file {
                return Ok(Vec::new());
            }
            self.superseded.push(before);
        }
        let before = self.targets.clone();
        let put = |targets: &mut Role, custom: Value| {
            let target = target(&file, custom);
            let name = target_file(path, &target);
            targets.edit("targets", |targets| {
                _ = targets.insert(path.to_owned(), target)
            });
            name
        };
        let name = put(&mut self.targets, json!({"format": 1}));
        self.new_files.extend(name.map(|name| (name, file.clone())));
        let effects = self.term_effects(&before, now)?;
        if !effects.is_empty() {
            let Some(reason) = accepts else {
                return Err(PublishError::Terms(effects));
            };
            let accepted = accepted(reason, &effects);
            put(
                &mut self.targets,
                json!({"accepted": accepted, "format": 1}),
            );
        }
        self.changed.insert("targets".to_owned());
        self.commit(keys, now)?;
        Ok(effects)
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
        effects: Vec::new(),
    }
}

/// The targets that hold for every list.
pub(super) const TERMS: [&str; 2] = [POLICY, NEVER_BLOCK];
/// The generation of a list that was never begun anew.
pub(super) const FIRST_GENERATION: u64 = 1;
/// The target of the policy.
const POLICY: &str = "policy";
/// The target of the names that no list may block.
const NEVER_BLOCK: &str = "never-block";
