//! The commit: what changed is signed, judged by the node's own code, and written in order.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::rehearsal::Rehearsal;
use super::repository::target_files;
use super::roles::{Role, Signers};
use super::signature::{Signature, signed_file};
use super::{Keyring, PublishError, Repository};
use crate::verify::hex;

/// A role that was signed anew.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Renewed {
    /// Its name.
    pub role: String,
    /// Its new version.
    pub version: u64,
    /// When that expires.
    pub expires: Timestamp,
}

impl Repository {
    /// Signs what changed and what depends on it, has the node's own code judge it, and
    /// writes it: targets, roles, snapshot, the timestamp last. A repository that stages
    /// writes what changed below `staged` instead, and renews nothing.
    pub(super) fn commit(
        &mut self,
        keys: &Keyring,
        now: Timestamp,
    ) -> Result<Vec<Renewed>, PublishError> {
        if self.is_staging {
            self.write_stage(keys, now)?;
            return Ok(Vec::new());
        }
        let staged = |role: &&String| self.stage.roles.contains_key(*role);
        if let Some(role) = self.changed.iter().find(staged) {
            return Err(PublishError::StagedAlready(role.clone()));
        }
        let changed: Vec<String> = self.changed.iter().cloned().collect();
        let mut signed = Vec::new();
        for name in changed.iter().filter(|name| !is_online(name)) {
            let quorums = self.quorums_of(name);
            let Some(role) = self.role_mut(name) else {
                continue;
            };
            let before = role.file();
            role.renew(now);
            let signatures = signatures(keys, role, &quorums)?;
            let file = signed_file(name, &signatures, &Value::Object(role.signed.clone()))?;
            self.superseded.push(before);
            signed.push((name.clone(), file));
        }
        self.put_in_force(signed, keys, now)
    }

    /// Puts signed roles in force: names them in new versions of snapshot and timestamp,
    /// rehearses, and writes.
    pub(super) fn put_in_force(
        &mut self,
        signed: Vec<(String, Vec<u8>)>,
        keys: &Keyring,
        now: Timestamp,
    ) -> Result<Vec<Renewed>, PublishError> {
        let mut superseded = std::mem::take(&mut self.superseded);
        superseded.retain(|file| !file.ends_with(".root.json"));
        let mut files = std::mem::take(&mut self.new_files);
        let mut changed = std::mem::take(&mut self.changed);
        changed.extend(self.online_roles_with_other_keys());
        let (mut renewed, mut pins) = (Vec::new(), Vec::new());
        let lists = self.lists_at_stake(signed.iter().map(|(name, _)| name.as_str()));
        let mut root_file = None;
        for (name, file) in signed {
            let Some(role) = self.role(&name) else {
                continue;
            };
            renewed.push(renewal(role));
            if name == "root" {
                root_file = Some((role.file(), file));
                continue;
            }
            pins.push((format!("{name}.json"), pin(role.version(), &file)));
            files.push((role.file(), file));
        }
        let has_pins = !pins.is_empty();
        self.snapshot.edit("meta", |meta| meta.extend(pins));
        let renews_snapshot = has_pins || changed.contains("snapshot");
        if renews_snapshot {
            superseded.push(self.snapshot.file());
            let file = self.renew_online("snapshot", keys, now)?;
            let pin = pin(self.snapshot.version(), &file);
            self.timestamp.edit("meta", |meta| {
                _ = meta.insert("snapshot.json".to_owned(), pin)
            });
            renewed.push(renewal(&self.snapshot));
            files.push((self.snapshot.file(), file));
        }
        // A root that gives the online roles other keys comes right before their files.
        let published = self.root_file.clone();
        if let Some((name, file)) = root_file {
            self.root_file.clone_from(&file);
            files.push((name, file));
        }
        if renews_snapshot || changed.contains("timestamp") {
            let file = self.renew_online("timestamp", keys, now)?;
            renewed.push(renewal(&self.timestamp));
            files.push((self.timestamp.file(), file));
        }
        // Nodes come from the root that is published; only the first is pinned as it is.
        let pinned = match published.is_empty() {
            true => self.root_file.clone(),
            false => published,
        };
        self.write(pinned, files, &superseded, &lists, now)?;
        Ok(renewed)
    }

    /// The signatures that a role needs, by who signed it last where that is asked, too.
    pub(super) fn quorums_of(&self, role: &str) -> Vec<Signers> {
        let own = self.signers(role);
        if role != "root" {
            return vec![own];
        }
        match Role::read("root", &self.root_file) {
            Some(before) if before.signers_of("root") != own => {
                vec![before.signers_of("root"), own]
            }
            _ => vec![own],
        }
    }

    /// The lists whose roles are among the signed ones, and every list where the role that
    /// delegates them is; each with whether it names a version.
    fn lists_at_stake<'a>(
        &self,
        signed: impl Iterator<Item = &'a str> + Clone,
    ) -> BTreeMap<String, bool> {
        let are_all = signed.clone().any(|role| role == "targets");
        let mut lists = BTreeMap::new();
        for (list, role) in &self.lists {
            if are_all || signed.clone().any(|name| name == role.name) {
                lists.insert(list.clone(), !target_files(role).is_empty());
            }
        }
        lists
    }

    /// Rehearses, then writes in order, then sweeps what is long superseded.
    fn write(
        &self,
        root: Vec<u8>,
        files: Vec<(String, Vec<u8>)>,
        superseded: &[String],
        lists: &BTreeMap<String, bool>,
        now: Timestamp,
    ) -> Result<(), PublishError> {
        let order: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
        let files: BTreeMap<String, Vec<u8>> = files.into_iter().collect();
        let rehearsal = Rehearsal {
            folder: &self.folder,
            root: &root,
            lists,
            // A root alone is an offline act, whatever the online roles wait for.
            renews: self.renews || order.iter().all(|name| name.ends_with(".root.json")),
            now,
        };
        rehearsal.check(&files)?;
        for name in superseded {
            self.folder.supersede(name, now)?;
        }
        let in_order = order
            .iter()
            .filter_map(|name| Some((name.as_str(), files.get(name)?.as_slice())));
        self.folder.put_all(&in_order.collect::<Vec<_>>())?;
        self.folder.sweep(&self.named_files(), now)?;
        Ok(())
    }

    /// The online roles that a new root gives other keys, so that they are signed anew.
    fn online_roles_with_other_keys(&self) -> Vec<String> {
        let Some(before) = Role::read("root", &self.root_file) else {
            return Vec::new();
        };
        ["snapshot", "timestamp"]
            .into_iter()
            .filter(|role| before.signers_of(role) != self.root.signers_of(role))
            .map(str::to_owned)
            .collect()
    }

    /// Makes the next version of snapshot or timestamp.
    fn renew_online(
        &mut self,
        name: &str,
        keys: &Keyring,
        now: Timestamp,
    ) -> Result<Vec<u8>, PublishError> {
        let quorums = [self.signers(name)];
        let role = match name {
            "snapshot" => &mut self.snapshot,
            _ => &mut self.timestamp,
        };
        role.renew(now);
        let signatures = signatures(keys, role, &quorums)?;
        signed_file(name, &signatures, &Value::Object(role.signed.clone()))
    }
}

/// Whether the online keys sign that role, anew at every change.
pub(super) fn is_online(role: &str) -> bool {
    matches!(role, "snapshot" | "timestamp")
}

/// Signatures of a role by the keys at hand, which must reach every threshold.
fn signatures(
    keys: &Keyring,
    role: &Role,
    quorums: &[Signers],
) -> Result<Vec<Signature>, PublishError> {
    for Signers { keyids, threshold } in quorums {
        keys.check_at_hand(&role.name, keyids, *threshold)?;
    }
    let signed = Value::Object(role.signed.clone());
    let mut signatures: Vec<Signature> = Vec::new();
    for Signers { keyids, threshold } in quorums {
        for signature in keys.sign(&role.name, keyids, *threshold, &signed)? {
            if !signatures.contains(&signature) {
                signatures.push(signature);
            }
        }
    }
    Ok(signatures)
}

/// How a parent names a file.
fn pin(version: u64, file: &[u8]) -> Value {
    json!({
        "hashes": {"sha256": hex(&Sha256::digest(file))},
        "length": file.len(),
        "version": version,
    })
}

/// What people are told of a role that was signed anew.
fn renewal(role: &Role) -> Renewed {
    Renewed {
        role: role.name.clone(),
        version: role.version(),
        expires: role.expires(),
    }
}
