//! Staging: what the keys at hand cannot sign alone waits until enough keepers have signed.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::commit::is_online;
use super::folder::Folder;
use super::quorum::lacking_text;
use super::repository::{pinned, target_file, target_files};
use super::roles::Role;
use super::signature::signed_file;
use super::stage::{STAGED, STAGED_TARGETS, Stage, is_named, read_target, staged_file};
use super::withdrawing::WITHDRAW;
use super::{Keyring, PublishError, Renewed, Repository, canonical};
use crate::verify::hex;

impl Repository {
    /// Opens a repository so that what is changed in it is staged: upon what is staged
    /// already, else upon what is published.
    ///
    /// # Errors
    /// As [`Repository::open`], and [`PublishError::Stale`].
    pub fn open_to_stage(path: &Path) -> Result<Self, PublishError> {
        let mut repository = Self::load(path)?;
        repository.stage.check_whole(&repository.folder)?;
        repository.overlay()?;
        repository.is_staging = true;
        Ok(repository)
    }

    /// Opens what is staged in a repository, to be looked at, signed and published.
    ///
    /// # Errors
    /// As [`Repository::open_to_stage`], and [`PublishError::NothingStaged`].
    pub fn open_staged(path: &Path) -> Result<Self, PublishError> {
        let mut repository = Self::load(path)?;
        if repository.stage.is_empty() {
            let path = path.to_owned();
            return Err(PublishError::NothingStaged { path });
        }
        repository.stage.check_whole(&repository.folder)?;
        repository.overlay()?;
        Ok(repository)
    }

    /// Whether something is staged in a repository.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub fn has_staged(path: &Path) -> Result<bool, PublishError> {
        Ok(!Self::load(path)?.stage.is_empty())
    }

    /// Throws away what is staged in a repository; returns the roles that it was for.
    ///
    /// # Errors
    /// [`PublishError::NothingStaged`], and what files may bring.
    pub fn discard_staged(path: &Path) -> Result<Vec<String>, PublishError> {
        if !path.join("metadata").is_dir() {
            return Err(PublishError::Repository {
                path: path.to_owned(),
                reason: "there is no repository here; `cordon repo init` makes one".to_owned(),
            });
        }
        let folder = Folder::open(path)?;
        // Whatever is in the folder can be thrown away, however damaged.
        let mut stage = Stage::read(&folder)?;
        let mut roles: Vec<String> = stage.roles.keys().cloned().collect();
        roles.extend(stage.damaged.iter().cloned());
        if stage.is_empty() {
            let path = path.to_owned();
            return Err(PublishError::NothingStaged { path });
        }
        stage.discard(&folder)?;
        Ok(roles)
    }

    /// The digest of what is staged, which covers every octet that a signature of it covers.
    ///
    /// # Errors
    /// [`PublishError::Canonical`].
    pub fn staged_digest(&self) -> Result<String, PublishError> {
        let mut digest = Sha256::new();
        for (name, role) in &self.stage.roles {
            let octets = canonical::signed_octets(&Value::Object(role.signed.clone()))
                .ok_or_else(|| PublishError::Canonical(name.clone()))?;
            digest.update(format!("{name} {}\n", hex(&Sha256::digest(&octets))));
        }
        Ok(hex(&digest.finalize()))
    }

    /// Signs what is staged with every key at hand that may; `shown` is the digest of what
    /// the keys' owner was shown. Returns the roles and the ids of the keys.
    ///
    /// # Errors
    /// [`PublishError::StagedChanged`], [`PublishError::NotASigner`], and
    /// [`PublishError::Key`] for a key that does not open.
    pub fn sign_staged(
        &mut self,
        keys: &Keyring,
        shown: &str,
    ) -> Result<Vec<(String, String)>, PublishError> {
        let present = self.staged_digest()?;
        if present != shown {
            return Err(PublishError::StagedChanged {
                shown: shown.to_owned(),
                present,
            });
        }
        self.check_staged_files()?;
        let (mut signed, mut signers) = (Vec::new(), Vec::new());
        let names: Vec<String> = self.stage.roles.keys().cloned().collect();
        for name in names {
            let keyids = self.staged_signers(&name);
            signers.extend(keyids.iter().map(|id| keys.label(id)));
            for keyid in self.sign_one_staged(keys, &name, &keyids, usize::MAX)? {
                signed.push((name.clone(), keyid));
            }
        }
        if signed.is_empty() {
            signers.sort_unstable();
            signers.dedup();
            return Err(PublishError::NotASigner {
                path: keys.folder().to_owned(),
                signers: signers.join(", "),
            });
        }
        Ok(signed)
    }

    /// Publishes what is staged, when every threshold is reached. What nodes would hold or
    /// leave out in part was staged with a reason, or is not published.
    ///
    /// # Errors
    /// [`PublishError::SignaturesMissing`], [`PublishError::Held`], [`PublishError::Terms`],
    /// [`PublishError::KeysMissing`] of the online roles, and what publishing may bring; what
    /// is staged stays then.
    pub fn publish_staged(
        &mut self,
        keys: &Keyring,
        now: Timestamp,
    ) -> Result<Vec<Renewed>, PublishError> {
        let names: Vec<String> = self.stage.roles.keys().cloned().collect();
        let mut lacking = Vec::new();
        for name in &names {
            for quorum in self.quorums(name).iter().filter(|one| !one.is_reached()) {
                lacking.push(lacking_text(keys, name, quorum));
            }
        }
        if !lacking.is_empty() {
            return Err(PublishError::SignaturesMissing(lacking.join("; ")));
        }
        self.check_delegated_are_there()?;
        self.check_staged_sense(now)?;
        for role in ["snapshot", "timestamp"] {
            self.check_at_hand(keys, role)?;
        }
        self.new_files = self.check_staged_files()?;
        let mut signed = Vec::new();
        for name in &names {
            let Some(role) = self.stage.roles.get(name) else {
                continue;
            };
            let content = Value::Object(role.signed.clone());
            let signatures = self.valid_signatures(name);
            signed.push((name.clone(), signed_file(name, &signatures, &content)?));
            if let Some(before) = self.published.get(name) {
                self.superseded.push(before.file());
                self.superseded.extend(target_files(before));
            }
        }
        // What is named still is not superseded.
        let named = self.named_files();
        self.superseded.retain(|file| !named.contains(file));
        let renewed = self.put_in_force(signed, keys, now)?;
        self.stage.discard(&self.folder)?;
        Ok(renewed)
    }

    /// Writes what changed below `staged`, with the signatures of the keys at hand.
    pub(super) fn write_stage(
        &mut self,
        keys: &Keyring,
        now: Timestamp,
    ) -> Result<(), PublishError> {
        let changed: Vec<String> = std::mem::take(&mut self.changed)
            .into_iter()
            .filter(|role| !is_online(role))
            .collect();
        self.superseded.clear();
        for (name, bytes) in std::mem::take(&mut self.new_files) {
            self.folder.make_private(STAGED)?;
            self.folder.put(&staged_file(&name), &bytes)?;
        }
        for name in &changed {
            let published = self.published_from_disk(name);
            let version = published.version();
            self.published.insert(name.clone(), published);
            let Some(role) = self.role_mut(name) else {
                continue;
            };
            role.signed.insert("version".to_owned(), version.into());
            role.renew(now);
            let role = role.clone();
            self.stage.put(&self.folder, &role)?;
        }
        for name in &changed {
            let enough = self.signers(name).threshold;
            let keyids = self.staged_signers(name);
            self.sign_one_staged(keys, name, &keyids, enough)?;
        }
        let named = self.stage.roles.values().flat_map(target_files);
        let named: Vec<String> = named.map(|file| staged_file(&file)).collect();
        self.folder.keep_only(STAGED_TARGETS, &named)
    }

    /// Puts the staged versions in the place of those that are published.
    fn overlay(&mut self) -> Result<(), PublishError> {
        for name in ["root", "targets"] {
            self.overlay_one(name)?;
        }
        let delegated: Vec<String> = self
            .targets
            .delegated()
            .iter()
            .filter_map(|role| role.get("name")?.as_str().map(str::to_owned))
            .collect();
        for name in delegated {
            let empty = || Role::new(&name, "targets", json!({"targets": {}}));
            if let Some(list) = name.strip_prefix("list-") {
                self.lists.entry(list.to_owned()).or_insert_with(empty);
            } else if name == WITHDRAW {
                self.withdraw.get_or_insert_with(empty);
            }
            self.overlay_one(&name)?;
        }
        Ok(())
    }

    /// Puts the staged version of a role in the place of the one that is published.
    fn overlay_one(&mut self, name: &str) -> Result<(), PublishError> {
        let Some(staged) = self.stage.roles.get(name).cloned() else {
            return Ok(());
        };
        let Some(role) = self.role_mut(name) else {
            return Ok(());
        };
        if staged.version() != role.version().saturating_add(1) {
            return Err(PublishError::Stale {
                role: name.to_owned(),
                staged: staged.version(),
                published: role.version(),
            });
        }
        let published = std::mem::replace(role, staged);
        self.published.insert(name.to_owned(), published);
        Ok(())
    }

    /// The published version of a role, whatever this command changed; version 0 where there
    /// is none.
    fn published_from_disk(&self, name: &str) -> Role {
        let published = match name {
            "root" => Role::read(name, &self.root_file),
            name => self
                .folder
                .read(&format!(
                    "metadata/{}.{name}.json",
                    pinned(&self.snapshot, name).unwrap_or(0)
                ))
                .ok()
                .and_then(|file| Role::read(name, &file)),
        };
        published.unwrap_or_else(|| Role::new(name, "targets", json!({"targets": {}})))
    }

    /// Signs one staged version with the keys at hand that have not; returns their ids.
    fn sign_one_staged(
        &mut self,
        keys: &Keyring,
        role: &str,
        keyids: &[String],
        enough: usize,
    ) -> Result<Vec<String>, PublishError> {
        let Some(staged) = self.stage.roles.get(role) else {
            return Ok(Vec::new());
        };
        let signed = Value::Object(staged.signed.clone());
        let signatures = keys.sign(role, keyids, enough, &signed)?;
        let ids = signatures.iter().map(|one| one.keyid.clone()).collect();
        for signature in signatures {
            self.stage.put_signature(&self.folder, role, signature)?;
        }
        Ok(ids)
    }

    /// The target files of what is staged, each as its role names it.
    pub(super) fn check_staged_files(&self) -> Result<Vec<(String, Vec<u8>)>, PublishError> {
        let mut files = Vec::new();
        for role in self.stage.roles.values() {
            let targets = role.signed.get("targets").and_then(Value::as_object);
            for (path, target) in targets.into_iter().flatten() {
                let Some(file) = target_file(path, target) else {
                    continue;
                };
                let waiting = staged_file(&file);
                if !self.folder.path(&waiting).exists() {
                    if self.folder.path(&file).exists() {
                        read_target(&self.folder, &file, target)?;
                        continue;
                    }
                    return Err(PublishError::Repository {
                        path: self.folder.path(&waiting),
                        reason: format!(
                            "is missing, and what is staged for {} names it; copy it from \
                             whoever staged that",
                            role.name
                        ),
                    });
                }
                let bytes = self.folder.read(&waiting)?;
                if !is_named(target, &bytes) {
                    return Err(PublishError::Repository {
                        path: self.folder.path(&waiting),
                        reason: format!(
                            "is not the file that is staged for {}: its digest is another; copy \
                             it anew from whoever staged that",
                            role.name
                        ),
                    });
                }
                files.push((file, bytes));
            }
        }
        Ok(files)
    }

    /// Refuses a delegation whose role has no version at all: nodes could not go on.
    fn check_delegated_are_there(&self) -> Result<(), PublishError> {
        let mut delegated = self.withdraw.iter().chain(self.lists.values());
        match delegated.find(|role| role.version() == 0) {
            Some(role) => Err(PublishError::SignaturesMissing(format!(
                "{} is delegated and has no version, staged or published; its file \
                 staged/{}.json is missing: copy it from whoever staged it",
                role.name, role.name
            ))),
            None => Ok(()),
        }
    }
}
