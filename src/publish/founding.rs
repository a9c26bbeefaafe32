//! [`Founders`]: a new repository, and whose keys its roles have.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::folder::Folder;
use super::repository::Roots;
use super::stage::Stage;
use super::withdrawing::WITHDRAW;
use super::{Keyring, PublicKey, PublishError, Repository};

/// Whose keys a new repository has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Founders {
    /// How many keys must sign root and targets; as many are made where none are given.
    pub threshold: usize,
    /// The keepers' public halves, each with its role: `root`, `targets`, `snapshot`,
    /// `timestamp` or `withdraw`. Where none is given for a role, its keys are made.
    pub keys: Vec<(String, PublicKey)>,
}

impl Repository {
    /// Makes a repository and its keys: `threshold` keys of root and of targets, which all
    /// must sign, and one of snapshot and of timestamp.
    ///
    /// # Errors
    /// [`PublishError::Exists`], and what making keys and files may bring.
    pub fn init(
        path: &Path,
        keys: &mut Keyring,
        threshold: usize,
        now: Timestamp,
    ) -> Result<(Self, Vec<PublicKey>), PublishError> {
        let founders = Founders {
            threshold,
            keys: Vec::new(),
        };
        Self::found(path, keys, &founders, false, now)
    }

    /// Makes a repository of keepers who each hold a key of their own; `is_staging` says
    /// that it is staged until they have signed. Returns the keys that were made.
    ///
    /// # Errors
    /// [`PublishError::Exists`], [`PublishError::KeysMissing`], and what making keys and
    /// files may bring.
    pub fn found(
        path: &Path,
        keys: &mut Keyring,
        founders: &Founders,
        is_staging: bool,
        now: Timestamp,
    ) -> Result<(Self, Vec<PublicKey>), PublishError> {
        let folder = Folder::open(path)?;
        let exists = |file: &str| PublishError::Exists {
            path: folder.path(file),
        };
        if let Some((file, _)) = Roots::find(&folder)?.newest {
            return Err(exists(&file));
        }
        // Its roots may be lost; what nodes pin could never be made again.
        if folder.path("metadata/timestamp.json").exists() {
            return Err(exists("metadata/timestamp.json"));
        }
        if !Stage::read(&folder)?.is_empty() {
            return Err(exists("staged"));
        }
        let mut repository = Self::unpublished(folder);
        repository.is_staging = is_staging;
        let officers = founders.of_role(WITHDRAW);
        if officers.is_empty() {
            keys.check_free(&key_names(WITHDRAW, 1))?;
        } else if !is_staging {
            let ids: Vec<String> = officers.iter().map(|key| key.id.clone()).collect();
            keys.check_at_hand(WITHDRAW, &ids, 1)?;
        }
        let mut made = repository.appoint(keys, founders)?;
        made.extend(repository.add_withdraw(keys, &officers)?);
        repository.changed.insert("root".to_owned());
        repository.commit(keys, now)?;
        Ok((repository, made))
    }

    /// Gives the top-level roles of a new repository their keys; returns those that were
    /// made.
    fn appoint(
        &mut self,
        keys: &mut Keyring,
        founders: &Founders,
    ) -> Result<Vec<PublicKey>, PublishError> {
        let threshold = founders.threshold;
        check_threshold(threshold)?;
        let counts = [
            ("root", threshold),
            ("targets", threshold),
            ("snapshot", 1),
            ("timestamp", 1),
        ];
        let given = |role: &str| founders.of_role(role);
        // Whatever can be refused is refused before a key is made.
        let mut to_be_made = Vec::new();
        for (role, count) in counts {
            let own = given(role);
            if own.is_empty() {
                to_be_made.extend(key_names(role, count));
                continue;
            }
            check_signers(role, &own, count)?;
            if !self.is_staging {
                let ids: Vec<String> = own.into_iter().map(|key| key.id).collect();
                keys.check_at_hand(role, &ids, count)?;
            }
        }
        keys.check_free(&to_be_made)?;
        for (_, key) in &founders.keys {
            keys.remember(std::slice::from_ref(key))?;
        }
        let (mut made, mut objects, mut roles) = (Vec::new(), Map::new(), Map::new());
        for (role, count) in counts {
            let mut own = given(role);
            if own.is_empty() {
                own = make_keys(keys, role, count)?;
                made.extend(own.iter().cloned());
            }
            roles.insert(role.to_owned(), keys_of_role(&own, count, &mut objects));
        }
        self.root.signed.insert("keys".to_owned(), objects.into());
        self.root.signed.insert("roles".to_owned(), roles.into());
        Ok(made)
    }
}

impl Founders {
    /// The keys that are given for a role.
    fn of_role(&self, role: &str) -> Vec<PublicKey> {
        let of_role = self.keys.iter().filter(|(of, _)| of == role);
        of_role.map(|(_, key)| key.clone()).collect()
    }
}

/// Makes the keys of a role; a lone key is named as the role.
pub(super) fn make_keys(
    keys: &mut Keyring,
    role: &str,
    count: usize,
) -> Result<Vec<PublicKey>, PublishError> {
    let names = key_names(role, count);
    keys.check_free(&names)?;
    names.iter().map(|name| keys.make(name)).collect()
}

/// The names of the keys of a role.
fn key_names(role: &str, count: usize) -> Vec<String> {
    if count == 1 {
        return vec![role.to_owned()];
    }
    (1..=count)
        .map(|number| format!("{role}-{number}"))
        .collect()
}

/// The members of a role that say who signs it: so many of these keys. Their objects are
/// put into `objects`.
pub(super) fn keys_of_role(
    keys: &[PublicKey],
    threshold: usize,
    objects: &mut Map<String, Value>,
) -> Value {
    objects.extend(keys.iter().map(|key| (key.id.clone(), key.object())));
    let keyids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
    json!({"keyids": keyids, "threshold": threshold})
}

/// Whether a threshold can be met.
pub(super) fn check_threshold(threshold: usize) -> Result<(), PublishError> {
    if (1..=THRESHOLD_MAX).contains(&threshold) {
        return Ok(());
    }
    Err(PublishError::Threshold(THRESHOLD_MAX))
}

/// Whether a role can have these keys.
pub(super) fn check_signers(
    role: &str,
    keys: &[PublicKey],
    threshold: usize,
) -> Result<(), PublishError> {
    check_threshold(threshold)?;
    let refused = |reason: String| PublishError::Signers {
        role: role.to_owned(),
        reason,
    };
    for (index, key) in keys.iter().enumerate() {
        if keys.iter().take(index).any(|other| other.id == key.id) {
            return Err(refused(format!("has key {} twice", key.id)));
        }
    }
    if keys.len() < threshold || keys.len() > KEYS_MAX {
        return Err(refused(format!(
            "has {} keys, and its threshold is {threshold}; give {threshold} to {KEYS_MAX} keys",
            keys.len()
        )));
    }
    Ok(())
}

/// The highest threshold; as many keys are made.
const THRESHOLD_MAX: usize = 16;
/// The most keys of a role.
const KEYS_MAX: usize = 64;
