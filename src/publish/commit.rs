//! The commit: what changed is signed, judged by the node's own code, and written in order.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::rehearsal::rehearse;
use super::roles::{Role, Signers};
use super::withdrawing::WITHDRAW;
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
    /// writes it: targets, roles, snapshot, the timestamp last.
    pub(super) fn commit(
        &mut self,
        keys: &Keyring,
        now: Timestamp,
    ) -> Result<Vec<Renewed>, PublishError> {
        let mut superseded = std::mem::take(&mut self.superseded);
        let mut files = std::mem::take(&mut self.new_files);
        let mut renewed = Vec::new();
        let changed = std::mem::take(&mut self.changed);
        let mut lists = Vec::new();
        if changed.contains("root") {
            let before = self.root.signers_of("root");
            self.root.renew(now);
            let file = self.sign_root(keys, before)?;
            self.root_file.clone_from(&file);
            renewed.push(renewal(&self.root));
            files.push((self.root.file(), file));
        }
        let mut pins = Vec::new();
        for name in changed.iter().filter(|name| is_targets_role(name)) {
            let Signers { keyids, threshold } = self.signers(name);
            let Some(role) = self.targets_role(name) else {
                continue;
            };
            superseded.push(role.file());
            role.renew(now);
            let signed = Value::Object(role.signed.clone());
            let file = keys.sign(name, &keyids, threshold, &signed)?;
            pins.push((format!("{name}.json"), pin(role.version(), &file)));
            renewed.push(renewal(role));
            files.push((role.file(), file));
            lists.extend(name.strip_prefix("list-").map(str::to_owned));
        }
        let has_pins = !pins.is_empty();
        self.snapshot.edit("meta", |meta| meta.extend(pins));
        if has_pins || changed.contains("snapshot") {
            superseded.push(self.snapshot.file());
            let file = self.renew_online("snapshot", keys, now)?;
            let pin = pin(self.snapshot.version(), &file);
            self.timestamp.edit("meta", |meta| {
                _ = meta.insert("snapshot.json".to_owned(), pin)
            });
            renewed.push(renewal(&self.snapshot));
            files.push((self.snapshot.file(), file));
        }
        if has_pins || changed.contains("snapshot") || changed.contains("timestamp") {
            let file = self.renew_online("timestamp", keys, now)?;
            renewed.push(renewal(&self.timestamp));
            files.push((self.timestamp.file(), file));
        }
        self.write(files, &superseded, &lists, now)?;
        Ok(renewed)
    }

    /// Rehearses, then writes in order, then sweeps what is long superseded.
    fn write(
        &self,
        files: Vec<(String, Vec<u8>)>,
        superseded: &[String],
        lists: &[String],
        now: Timestamp,
    ) -> Result<(), PublishError> {
        let order: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
        let files: BTreeMap<String, Vec<u8>> = files.into_iter().collect();
        let root = self.root_file.clone();
        rehearse(&self.folder, root, &files, lists, self.renews, now)?;
        for name in superseded {
            self.folder.supersede(name, now)?;
        }
        for name in &order {
            if let Some(bytes) = files.get(name) {
                self.folder.put(name, bytes)?;
            }
        }
        self.folder.sweep(&self.named_files(), now)?;
        Ok(())
    }

    /// Signs a new root: by the threshold of the root before it, and by its own.
    fn sign_root(&self, keys: &Keyring, before: Signers) -> Result<Vec<u8>, PublishError> {
        let own = self.root.signers_of("root");
        keys.check_at_hand("root", &before.keyids, before.threshold)?;
        keys.check_at_hand("root", &own.keyids, own.threshold)?;
        let mut keyids = before.keyids;
        keyids.retain(|id| !own.keyids.contains(id));
        keyids.extend(own.keyids);
        let signed = Value::Object(self.root.signed.clone());
        keys.sign("root", &keyids, 1, &signed)
    }

    /// Makes the next version of snapshot or timestamp.
    fn renew_online(
        &mut self,
        name: &str,
        keys: &Keyring,
        now: Timestamp,
    ) -> Result<Vec<u8>, PublishError> {
        let Signers { keyids, threshold } = self.signers(name);
        let role = match name {
            "snapshot" => &mut self.snapshot,
            _ => &mut self.timestamp,
        };
        role.renew(now);
        let signed = Value::Object(role.signed.clone());
        keys.sign(name, &keyids, threshold, &signed)
    }
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

/// Whether the snapshot names that role.
fn is_targets_role(name: &str) -> bool {
    name == "targets" || name == WITHDRAW || name.starts_with("list-")
}
