//! [`Stage`]: the folder `staged`, where versions wait for signatures. No node reads it.

use std::collections::BTreeMap;
use std::{fs, io};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::PublishError;
use super::folder::Folder;
use super::roles::Role;
use super::signature::{Signature, signed_file};
use crate::verify::hex;

/// The versions that wait for signatures, and the signatures so far:
///
/// ```text
/// staged/ROLE.json                    the version, without signatures
/// staged/signatures/ROLE.KEYID.json   one key's signature, so that copied folders merge
/// staged/targets/…                    target files that are not published yet
/// ```
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// The versions, by role.
    pub(super) roles: BTreeMap<String, Role>,
    /// The signatures as they were found, by role; nobody verified them yet.
    pub(super) signatures: BTreeMap<String, Vec<Signature>>,
    /// The files that should be versions of roles and are none.
    pub(super) damaged: Vec<String>,
    /// What was found in the folder and left aside.
    pub(super) warnings: Vec<String>,
}

impl Stage {
    /// Reads the folder; one that is not there holds nothing.
    ///
    /// # Errors
    /// [`PublishError::Io`] for a folder that cannot be read.
    pub(super) fn read(folder: &Folder) -> Result<Self, PublishError> {
        let mut stage = Self::default();
        for name in folder.names(STAGED)? {
            let Some(role) = name.strip_suffix(".json") else {
                continue;
            };
            let file = format!("{STAGED}/{name}");
            let read = folder.read(&file).ok();
            match read.and_then(|bytes| Role::read(role, &bytes)) {
                Some(version) => _ = stage.roles.insert(role.to_owned(), version),
                None => stage.damaged.push(name.clone()),
            }
        }
        for name in folder.names(SIGNATURES)? {
            let file = format!("{SIGNATURES}/{name}");
            let Some((role, keyid)) = name
                .strip_suffix(".json")
                .and_then(|name| name.rsplit_once('.'))
            else {
                continue;
            };
            let read = folder.read(&file).ok();
            let read = read.and_then(|bytes| serde_json::from_slice::<Signature>(&bytes).ok());
            match read {
                Some(signature) if signature.keyid == keyid => {
                    let of_role = stage.signatures.entry(role.to_owned()).or_default();
                    of_role.push(signature);
                }
                _ => stage.warnings.push(format!(
                    "{} is no signature, and is left aside",
                    folder.path(&file).display()
                )),
            }
        }
        Ok(stage)
    }

    /// Refuses a stage that holds a file that is no version of a role, or gives an id another
    /// key: what would be signed or published is then not what was staged.
    ///
    /// # Errors
    /// [`PublishError::Repository`].
    pub(super) fn check_whole(&self, folder: &Folder) -> Result<(), PublishError> {
        match self.damage(folder).next() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The files that are no versions of roles, or whose keys are not what their ids say,
    /// each as the error that it is.
    pub(super) fn damage(&self, folder: &Folder) -> impl Iterator<Item = PublishError> {
        let damaged = self.damaged.iter();
        let damaged = damaged.map(|name| (name.clone(), NO_VERSION.to_owned()));
        let forged = self.roles.values().filter_map(|role| {
            let id = role.misnamed_key()?;
            let reason = format!("gives the id {id:?} to another key than its own, or to none");
            Some((format!("{}.json", role.name), reason))
        });
        damaged
            .chain(forged)
            .map(|(name, reason)| PublishError::Repository {
                path: folder.path(&format!("{STAGED}/{name}")),
                reason: format!(
                    "{reason}; copy it anew from whoever staged it, or throw everything staged \
                     away with `cordon repo sign --discard`"
                ),
            })
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.damaged.is_empty()
    }

    /// Takes a version of a role; signatures of the version it replaces are void.
    pub(super) fn put(&mut self, folder: &Folder, role: &Role) -> Result<(), PublishError> {
        for signature in self.signatures.remove(&role.name).into_iter().flatten() {
            folder.remove(&signature_file(&role.name, &signature.keyid))?;
        }
        folder.make_private(STAGED)?;
        let file = signed_file(&role.name, &[], &Value::Object(role.signed.clone()))?;
        folder.put(&format!("{STAGED}/{}.json", role.name), &file)?;
        self.roles.insert(role.name.clone(), role.clone());
        Ok(())
    }

    /// Takes a signature.
    pub(super) fn put_signature(
        &mut self,
        folder: &Folder,
        role: &str,
        signature: Signature,
    ) -> Result<(), PublishError> {
        let text = serde_json::to_vec(&signature)
            .map_err(|_| PublishError::Canonical(format!("a signature of {role}")))?;
        folder.put(&signature_file(role, &signature.keyid), &text)?;
        let of_role = self.signatures.entry(role.to_owned()).or_default();
        of_role.retain(|other| other.keyid != signature.keyid);
        of_role.push(signature);
        Ok(())
    }

    /// Throws everything away: versions first, so that no half of it can be signed.
    pub(super) fn discard(&mut self, folder: &Folder) -> Result<(), PublishError> {
        for name in folder.names(STAGED)? {
            if name.ends_with(".json") && !folder.path(STAGED).join(&name).is_dir() {
                folder.remove(&format!("{STAGED}/{name}"))?;
            }
        }
        *self = Self::default();
        let path = folder.path(STAGED);
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(PublishError::Io { path, source })
            }
            _ => Ok(()),
        }
    }
}

/// Where a target file waits.
pub(super) fn staged_file(file: &str) -> String {
    format!("{STAGED}/{file}")
}

/// A target file, wherever it is, published or waiting, as `target` of its role names it.
///
/// # Errors
/// [`PublishError::Repository`] for one that is missing, or is not what was signed.
pub(super) fn read_target(
    folder: &Folder,
    file: &str,
    target: &Value,
) -> Result<Vec<u8>, PublishError> {
    let waiting = staged_file(file);
    let (file, whence) = match !folder.path(file).exists() && folder.path(&waiting).exists() {
        true => (waiting.as_str(), "copy it anew from whoever staged it"),
        false => (file, "copy it back from a mirror or a backup"),
    };
    let refused = |reason: &str| PublishError::Repository {
        path: folder.path(file),
        reason: format!("{reason}; {whence}"),
    };
    match folder.read(file) {
        Ok(bytes) if is_named(target, &bytes) => Ok(bytes),
        Ok(_) => Err(refused(
            "is not the file that its role names, for somebody changed it, and nothing is built \
             upon it",
        )),
        Err(PublishError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Err(
            refused("is missing, and the newest version of its role names it"),
        ),
        Err(error) => Err(error),
    }
}

/// Whether a target file has the length and the digest that its role names.
pub(super) fn is_named(target: &Value, bytes: &[u8]) -> bool {
    let digest = target.pointer("/hashes/sha256").and_then(Value::as_str);
    let length = target.get("length").and_then(Value::as_u64);
    length == Some(bytes.len() as u64) && digest == Some(&hex(&Sha256::digest(bytes)))
}

/// The file of a signature.
fn signature_file(role: &str, keyid: &str) -> String {
    format!("{SIGNATURES}/{role}.{keyid}.json")
}

/// What is wrong with a file that is no version of a role.
const NO_VERSION: &str = "is not the staged version of a role";
/// The folder below the repository.
pub(super) const STAGED: &str = "staged";
/// The folder of the target files.
pub(super) const STAGED_TARGETS: &str = "staged/targets";
/// The folder of the signatures.
const SIGNATURES: &str = "staged/signatures";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_file_is_set_aside_and_can_be_thrown_away() {
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::open(path.path()).unwrap();
        folder.make_private(STAGED).unwrap();
        folder.put("staged/list-a.json", b"no version").unwrap();
        let mut stage = Stage::read(&folder).unwrap();
        assert!(stage.roles.is_empty() && !stage.is_empty());
        // Nobody signs beside it.
        let refused = stage.check_whole(&folder).unwrap_err().to_string();
        assert!(refused.contains("list-a.json"), "{refused}");
        stage.discard(&folder).unwrap();
        assert!(!folder.path(STAGED).exists());
        assert!(Stage::read(&folder).unwrap().is_empty());
    }
}
