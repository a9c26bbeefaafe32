//! [`Repository`]: a TUF repository of signed lists as a static folder, and what its keepers
//! do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::folder::Folder;
use super::rehearsal::rehearse;
use super::roles::{Role, Signers};
use super::{Keyring, PublicKey, PublishError};
use crate::policy::Category;
use crate::verify::{hex, is_list_name};

/// A repository, locked while it is open. What is changed in it is signed and written by
/// one commit at the end of each command; a command that fails leaves it as it was.
#[derive(Debug)]
pub struct Repository {
    pub(super) folder: Folder,
    /// The newest root as it is in its file.
    root_file: Vec<u8>,
    pub(super) root: Role,
    pub(super) targets: Role,
    pub(super) snapshot: Role,
    pub(super) timestamp: Role,
    /// The role of each list, by the list's name.
    pub(super) lists: BTreeMap<String, Role>,
    /// The names of the roles that the next commit renews.
    pub(super) changed: BTreeSet<String>,
    /// Target files that the next commit writes.
    pub(super) new_files: Vec<(String, Vec<u8>)>,
    /// Target files that the next commit supersedes.
    pub(super) superseded: Vec<String>,
    /// Whether the next commit only renews, so that what else is expired does not stop it.
    pub(super) renews: bool,
}

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
        keys.check_free(&names.concat())?;
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
            changed: ["root", "targets"].map(str::to_owned).into(),
            new_files: Vec::new(),
            superseded: Vec::new(),
            renews: false,
        };
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
        for delegated in targets.delegated() {
            let role = delegated.get("name").and_then(Value::as_str);
            if let Some((role, list)) =
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
            changed: BTreeSet::new(),
            new_files: Vec::new(),
            superseded: Vec::new(),
            renews: false,
        })
    }

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
        let made = make_keys(keys, &role, *threshold)?;
        let mut objects = Map::new();
        let mut delegated = keys_of_role(&made, &mut objects);
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
            .chain(self.lists.values())
            .chain([&self.snapshot, &self.timestamp])
    }

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

    /// A targets role by its name.
    fn targets_role(&mut self, name: &str) -> Option<&mut Role> {
        match name.strip_prefix("list-") {
            Some(list) => self.lists.get_mut(list),
            None => Some(&mut self.targets),
        }
    }

    /// Every file that the roles name, and theirs.
    fn named_files(&self) -> BTreeSet<String> {
        let mut named: BTreeSet<String> = self.roles().map(Role::file).collect();
        for role in self.lists.values() {
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
        .filter_map(|(path, target)| {
            let digest = target.pointer("/hashes/sha256")?.as_str()?;
            let (folder, name) = path.rsplit_once('/')?;
            Some(format!("targets/{folder}/{digest}.{name}"))
        })
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
fn make_keys(keys: &mut Keyring, role: &str, count: usize) -> Result<Vec<PublicKey>, PublishError> {
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
fn keys_of_role(keys: &[PublicKey], objects: &mut Map<String, Value>) -> Value {
    objects.extend(keys.iter().map(|key| (key.id.clone(), key.object())));
    let keyids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
    json!({"keyids": keyids, "threshold": keys.len()})
}

/// Which version of a role its parent names.
fn pinned(parent: &Role, role: &str) -> Option<u64> {
    let meta = parent.signed.get("meta")?;
    meta.get(format!("{role}.json"))?.get("version")?.as_u64()
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
    name == "targets" || name.starts_with("list-")
}

/// Whether a threshold can be met.
fn check_threshold(threshold: usize) -> Result<(), PublishError> {
    if (1..=THRESHOLD_MAX).contains(&threshold) {
        return Ok(());
    }
    Err(PublishError::Threshold(THRESHOLD_MAX))
}

/// The member of a delegation that describes the list.
const ABOUT: &str = "x-list";
/// The highest threshold; as many keys are made.
const THRESHOLD_MAX: usize = 16;
