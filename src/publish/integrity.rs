//! Whether what is published is what its keys signed: nothing is built upon what somebody
//! else put into the folder.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::repository::target_file;
use super::roles::{Role, Signers};
use super::signature::{Signature, is_key_of};
use super::stage::read_target;
use super::{PublishError, Repository};
use crate::verify::hex;

impl Repository {
    /// Follows the signatures from the first root here to every role, and what timestamp and
    /// snapshot name, as a node does; what is merely expired is no obstacle. `newest` is the
    /// version by which the newest root is named.
    ///
    /// # Errors
    /// [`PublishError::Repository`] with the first file that its keys did not sign.
    pub(super) fn check_signed(&self, newest: u64) -> Result<(), PublishError> {
        let before = self.check_roots(newest)?;
        let Err(error) = self.check_roles(&self.root) else {
            return Ok(());
        };
        // A rotation that was cut off after its root left what the root before it answers for.
        match before {
            Some(before) if self.check_roles(&before).is_ok() => Ok(()),
            _ => Err(error),
        }
    }

    /// Compares every target file with what its role names. What bounds lists and withdraws
    /// from them must be as it was signed; a list is published whole anew where its files are
    /// not. Returns a sentence for each of those.
    ///
    /// # Errors
    /// [`PublishError::Repository`] with the first file that bounds or withdraws and is not
    /// what was signed.
    pub(super) fn check_targets(&self) -> Result<Vec<String>, PublishError> {
        let mut damaged = Vec::new();
        for role in self.roles() {
            let targets = role.signed.get("targets").and_then(Value::as_object);
            for (path, target) in targets.into_iter().flatten() {
                let Some(file) = target_file(path, target) else {
                    continue;
                };
                match read_target(&self.folder, &file, target) {
                    Ok(_) => {}
                    Err(error) if role.name.starts_with("list-") => damaged.push(format!(
                        "{error}, or publish the list anew: nodes do not take that file"
                    )),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(damaged)
    }

    /// Each root is signed by the keys of the one before it and by its own; returns the last
    /// but one.
    fn check_roots(&self, newest: u64) -> Result<Option<Role>, PublishError> {
        let file = |version: u64| format!("metadata/{version}.root.json");
        let is_here = |version: &u64| self.folder.path(&file(*version)).exists();
        let first = (1..newest).rev().take_while(is_here).last();
        let (mut before, mut last) = (None, None);
        for version in first.unwrap_or(newest)..=newest {
            let file = file(version);
            let root = self.read_signed("root", &file)?;
            if root.0.version() != version {
                return Err(self.foreign(&file, "has another version than its name says"));
            }
            for signer in last.iter().chain([&root.0]) {
                self.check_signatures(&file, &root, &signer.signers_of("root"), keys_of(signer))?;
            }
            before = last.replace(root.0);
        }
        Ok(before)
    }

    /// Every other role is signed by the keys that this root and the targets role give it,
    /// and is the file that its parent names.
    fn check_roles(&self, root: &Role) -> Result<(), PublishError> {
        for role in [&self.timestamp, &self.snapshot, &self.targets] {
            let file = self.read_signed(&role.name, &role.file())?;
            let signers = root.signers_of(&role.name);
            self.check_signatures(&role.file(), &file, &signers, keys_of(root))?;
        }
        self.check_named(&self.timestamp, &self.snapshot)?;
        self.check_named(&self.snapshot, &self.targets)?;
        let keys = self.targets.signed.get("delegations");
        let keys = keys.and_then(|delegations| delegations.get("keys"));
        for role in self.withdraw.iter().chain(self.lists.values()) {
            let file = self.read_signed(&role.name, &role.file())?;
            let delegation = self.targets.delegation(&role.name);
            let signers = delegation.map(Signers::read).unwrap_or_default();
            self.check_signatures(&role.file(), &file, &signers, keys)?;
            self.check_named(&self.snapshot, role)?;
        }
        Ok(())
    }

    /// Whether enough of those keys signed the file.
    fn check_signatures(
        &self,
        file: &str,
        (role, signatures): &(Role, Vec<Signature>),
        signers: &Signers,
        keys: Option<&Value>,
    ) -> Result<(), PublishError> {
        let signed = Value::Object(role.signed.clone());
        let valid: BTreeSet<String> = signatures
            .iter()
            .filter(|one| signers.keyids.contains(&one.keyid))
            .filter_map(|one| {
                let key = keys?.get(&one.keyid)?;
                let public = key.pointer("/keyval/public")?.as_str()?;
                (is_key_of(&one.keyid, key) && one.verifies(key, &signed))
                    .then(|| public.to_ascii_lowercase())
            })
            .collect();
        if !valid.is_empty() && valid.len() >= signers.threshold {
            return Ok(());
        }
        Err(self.foreign(
            file,
            "was changed by somebody who has not the keys of its role",
        ))
    }

    /// Whether the file of a role is the one that its parent names.
    fn check_named(&self, parent: &Role, role: &Role) -> Result<(), PublishError> {
        let bytes = self.folder.read(&role.file())?;
        let named = parent.signed.get("meta");
        let named = named.and_then(|meta| meta.get(format!("{}.json", role.name)));
        let is_named = named.is_some_and(|named| {
            let version = named.get("version").and_then(Value::as_u64);
            let length = named.get("length").and_then(Value::as_u64);
            let digest = named.pointer("/hashes/sha256").and_then(Value::as_str);
            version == Some(role.version())
                && length.is_none_or(|length| length == bytes.len() as u64)
                && digest.is_none_or(|digest| digest == hex(&Sha256::digest(&bytes)))
        });
        match is_named {
            true => Ok(()),
            false => {
                let reason = format!("is not the file that {} names", parent.name);
                Err(self.foreign(&role.file(), &reason))
            }
        }
    }

    /// A role and the signatures in its file.
    fn read_signed(&self, name: &str, file: &str) -> Result<(Role, Vec<Signature>), PublishError> {
        let bytes = self.folder.read(file)?;
        let role = Role::read(name, &bytes)
            .ok_or_else(|| self.foreign(file, "is not the signed file of a role"))?;
        let file: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let signatures = file.get("signatures").and_then(Value::as_array);
        let signatures = signatures.into_iter().flatten();
        let read = |one: &Value| serde_json::from_value(one.clone()).ok();
        Ok((role, signatures.filter_map(read).collect()))
    }

    /// A file that nobody signed as it is.
    fn foreign(&self, file: &str, reason: &str) -> PublishError {
        PublishError::Repository {
            path: self.folder.path(file),
            reason: format!(
                "{reason}; nothing is signed upon it: find out who changed it, and copy that \
                 file back from a mirror or a backup"
            ),
        }
    }
}

/// The keys that a root has.
fn keys_of(root: &Role) -> Option<&Value> {
    root.signed.get("keys")
}
