//! [`Repository`]: a TUF repository of signed lists as a static folder, and what its keepers
//! do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::folder::Folder;
use super::roles::{Role, Signers};
use super::versions::file_of;
use super::withdrawing::WITHDRAW;
use super::{Keyring, PublicKey, PublishError};

/// A repository, locked while it is open. What is changed in it is signed and written by
/// one commit at the end of each command; a command that fails leaves it as it was.
#[derive(Debug)]
pub struct Repository {
    pub(super) folder: Folder,
    /// The newest root as it is in its file.
    pub(super) root_file: Vec<u8>,
    pub(super) root: Role,
    pub(super) targets: Role,
    pub(super) snapshot: Role,
    pub(super) timestamp: Role,
    /// The role of each list, by the list's name.
    pub(super) lists: BTreeMap<String, Role>,
    /// The role by which duty officers withdraw entries; a repository may have none.
    pub(super) withdraw: Option<Role>,
    /// The names of the roles that the next commit renews.
    pub(super) changed: BTreeSet<String>,
    /// Target files that the next commit writes.
    pub(super) new_files: Vec<(String, Vec<u8>)>,
    /// Target files that the next commit supersedes.
    pub(super) superseded: Vec<String>,
    /// Whether the next commit only renews, so that what else is expired does not stop it.
    pub(super) renews: bool,
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
        check_threshold(threshold)?;
        let folder = Folder::open(path)?;
        if let Some((_, file)) = newest_root(&folder)? {
            return Err(PublishError::Exists {
                path: folder.path(&file),
            });
        }
        let counts = [
            ("root", threshold),
            ("targets", threshold),
            ("snapshot", 1),
            ("timestamp", 1),
        ];
        let names = counts.map(|(role, count)| key_names(role, count));
        keys.check_free(&[names.concat(), key_names(WITHDRAW, 1)].concat())?;
        let mut made = Vec::new();
        let mut objects = Map::new();
        let mut roles = Map::new();
        for (role, count) in counts {
            let own = make_keys(keys, role, count)?;
            roles.insert(role.to_owned(), keys_of_role(&own, &mut objects));
            made.extend(own);
        }
        let root = json!({"consistent_snapshot": true, "keys": objects, "roles": roles});
        let meta = || json!({"meta": {}});
        let mut repository = Self {
            folder,
            root_file: Vec::new(),
            root: Role::new("root", "root", root),
            targets: Role::new("targets", "targets", json!({"targets": {}})),
            snapshot: Role::new("snapshot", "snapshot", meta()),
            timestamp: Role::new("timestamp", "timestamp", meta()),
            lists: BTreeMap::new(),
            withdraw: None,
            changed: ["root", "targets"].map(str::to_owned).into(),
            new_files: Vec::new(),
            superseded: Vec::new(),
            renews: false,
        };
        made.extend(repository.add_withdraw(keys, 1)?);
        repository.commit(keys, now)?;
        Ok((repository, made))
    }

    /// Opens a repository, and waits for whoever is changing it.
    ///
    /// # Errors
    /// [`PublishError::Repository`] where there is none, or a file in it is damaged.
    pub fn open(path: &Path) -> Result<Self, PublishError> {
        let none = || PublishError::Repository {
            path: path.to_owned(),
            reason: "there is no repository here; `cordon repo init` makes one".to_owned(),
        };
        if !path.join("metadata").is_dir() {
            return Err(none());
        }
        let folder = Folder::open(path)?;
        let (_, root) = newest_root(&folder)?.ok_or_else(none)?;
        let timestamp = read_role(&folder, "timestamp", "metadata/timestamp.json")?;
        let named = |parent: &Role, role: &str| {
            let version = pinned(parent, role).unwrap_or(0);
            read_role(&folder, role, &format!("metadata/{version}.{role}.json"))
        };
        let snapshot = named(&timestamp, "snapshot")?;
        let targets = named(&snapshot, "targets")?;
        let mut lists = BTreeMap::new();
        let mut withdraw = None;
        for delegated in targets.delegated() {
            let role = delegated.get("name").and_then(Value::as_str);
            if role == Some(WITHDRAW) {
                withdraw = Some(named(&snapshot, WITHDRAW)?);
            } else if let Some((role, list)) =
                role.and_then(|role| Some((role, role.strip_prefix("list-")?)))
            {
                lists.insert(list.to_owned(), named(&snapshot, role)?);
            }
        }
        Ok(Self {
            root: read_role(&folder, "root", &root)?,
            root_file: folder.read(&root)?,
            folder,
            targets,
            snapshot,
            timestamp,
            lists,
            withdraw,
            changed: BTreeSet::new(),
            new_files: Vec::new(),
            superseded: Vec::new(),
            renews: false,
        })
    }

    /// The names of its lists.
    #[must_use]
    pub fn list_names(&self) -> Vec<String> {
        self.lists.keys().cloned().collect()
    }

    /// Who signs a role.
    pub(super) fn signers(&self, role: &str) -> Signers {
        match role {
            "root" | "targets" | "snapshot" | "timestamp" => self.root.signers_of(role),
            list => {
                let delegation = self.targets.delegation(list);
                delegation.map(Signers::read).unwrap_or_default()
            }
        }
    }

    /// Whether enough keys of a role are at hand.
    pub(super) fn check_at_hand(&self, keys: &Keyring, role: &str) -> Result<(), PublishError> {
        let Signers { keyids, threshold } = self.signers(role);
        keys.check_at_hand(role, &keyids, threshold)
    }

    /// Every role, in the order of publication.
    pub(super) fn roles(&self) -> impl Iterator<Item = &Role> {
        [&self.root, &self.targets]
            .into_iter()
            .chain(&self.withdraw)
            .chain(self.lists.values())
            .chain([&self.snapshot, &self.timestamp])
    }

    /// A targets role by its name.
    pub(super) fn targets_role(&mut self, name: &str) -> Option<&mut Role> {
        match name.strip_prefix("list-") {
            Some(list) => self.lists.get_mut(list),
            None if name == WITHDRAW => self.withdraw.as_mut(),
            None => Some(&mut self.targets),
        }
    }

    /// Every file that the roles name, and theirs.
    pub(super) fn named_files(&self) -> BTreeSet<String> {
        let mut named: BTreeSet<String> = self.roles().map(Role::file).collect();
        for role in self.roles() {
            named.extend(target_files(role));
        }
        named
    }
}

/// The files of the targets that a role names.
pub(super) fn target_files(role: &Role) -> Vec<String> {
    let targets = role.signed.get("targets").and_then(Value::as_object);
    targets
        .into_iter()
        .flatten()
        .filter_map(|(path, target)| file_of(path, target))
        .collect()
}

/// The number and name of the newest root's file.
fn newest_root(folder: &Folder) -> Result<Option<(u64, String)>, PublishError> {
    let path = folder.path("metadata");
    let io = |source| PublishError::Io {
        path: path.clone(),
        source,
    };
    let mut newest = None;
    for entry in std::fs::read_dir(&path).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let version = name
            .to_str()
            .and_then(|name| name.strip_suffix(".root.json")?.parse::<u64>().ok());
        newest = newest.max(version);
    }
    Ok(newest.map(|version| (version, format!("metadata/{version}.root.json"))))
}

/// Reads a role from its file.
fn read_role(folder: &Folder, name: &str, file: &str) -> Result<Role, PublishError> {
    let bytes = folder.read(file)?;
    Role::read(name, &bytes).ok_or_else(|| PublishError::Repository {
        path: folder.path(file),
        reason: format!("is not the signed file of role {name}"),
    })
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

/// The members of a role that say who signs it: all of these keys. Their objects are put
/// into `objects`.
pub(super) fn keys_of_role(keys: &[PublicKey], objects: &mut Map<String, Value>) -> Value {
    objects.extend(keys.iter().map(|key| (key.id.clone(), key.object())));
    let keyids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
    json!({"keyids": keyids, "threshold": keys.len()})
}

/// Which version of a role its parent names.
fn pinned(parent: &Role, role: &str) -> Option<u64> {
    let meta = parent.signed.get("meta")?;
    meta.get(format!("{role}.json"))?.get("version")?.as_u64()
}

/// Whether a threshold can be met.
pub(super) fn check_threshold(threshold: usize) -> Result<(), PublishError> {
    if (1..=THRESHOLD_MAX).contains(&threshold) {
        return Ok(());
    }
    Err(PublishError::Threshold(THRESHOLD_MAX))
}

/// The highest threshold; as many keys are made.
const THRESHOLD_MAX: usize = 16;
