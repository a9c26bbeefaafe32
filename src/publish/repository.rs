//! [`Repository`]: a TUF repository of signed lists as a static folder, and what its keepers
//! do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::folder::Folder;
use super::roles::{Role, Signers};
use super::stage::Stage;
use super::withdrawing::WITHDRAW;
use super::{Keyring, PublishError};

/// A repository, locked while it is open. What is changed in it is signed and written by
/// one commit at the end of each command; a command that fails leaves it as it was.
#[derive(Debug)]
pub struct Repository {
    pub(super) folder: Folder,
    /// Files of its folder that are foreign to it, or of a list and damaged; a sentence each.
    pub(super) strays: Vec<String>,
    /// The newest root as it is in its file; empty before the first is published.
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
    /// What waits for signatures.
    pub(super) stage: Stage,
    /// Whether the next commit stages instead of publishing.
    pub(super) is_staging: bool,
    /// The published version of each role that a staged one stands for.
    pub(super) published: BTreeMap<String, Role>,
}

impl Repository {
    /// Opens a repository, and waits for whoever is changing it.
    ///
    /// # Errors
    /// [`PublishError::Repository`] where there is none, or a file in it is damaged or was not
    /// signed by its keys.
    pub fn open(path: &Path) -> Result<Self, PublishError> {
        let repository = Self::load(path)?;
        if repository.root_file.is_empty() {
            let reason = "nothing is published here yet: its first version is staged and waits \
                          for signatures; `cordon repo sign` gives one, and with --stage more \
                          can be staged";
            return Err(PublishError::Repository {
                path: path.to_owned(),
                reason: reason.to_owned(),
            });
        }
        Ok(repository)
    }

    /// What is published, if anything, and what is staged.
    pub(super) fn load(path: &Path) -> Result<Self, PublishError> {
        let none = || PublishError::Repository {
            path: path.to_owned(),
            reason: "there is no repository here; `cordon repo init` makes one".to_owned(),
        };
        if !path.join("metadata").is_dir() {
            return Err(none());
        }
        let folder = Folder::open(path)?;
        let stage = Stage::read(&folder)?;
        let mut repository = Self {
            stage,
            ..Self::unpublished(folder)
        };
        let Roots { newest, strays } = Roots::find(&repository.folder)?;
        repository.strays = strays;
        match newest {
            Some((root, version)) => {
                repository.read_published(&root)?;
                repository.check_signed(version)?;
                repository.strays.extend(repository.check_targets()?);
            }
            None if repository.folder.path("metadata/timestamp.json").exists() => {
                return Err(PublishError::Repository {
                    path: repository.folder.path("metadata"),
                    reason: "has no root, such as 1.root.json, though there is a timestamp.json; \
                             copy every root back from a mirror or a backup"
                        .to_owned(),
                });
            }
            None if repository.stage.is_empty() => return Err(none()),
            None => {}
        }
        Ok(repository)
    }

    /// A repository that nothing is published in.
    pub(super) fn unpublished(folder: Folder) -> Self {
        let root = json!({"consistent_snapshot": true, "keys": {}, "roles": {}});
        let meta = || json!({"meta": {}});
        Self {
            folder,
            strays: Vec::new(),
            root_file: Vec::new(),
            root: Role::new("root", "root", root),
            targets: Role::new("targets", "targets", json!({"targets": {}})),
            snapshot: Role::new("snapshot", "snapshot", meta()),
            timestamp: Role::new("timestamp", "timestamp", meta()),
            lists: BTreeMap::new(),
            withdraw: None,
            changed: BTreeSet::new(),
            new_files: Vec::new(),
            superseded: Vec::new(),
            renews: false,
            stage: Stage::default(),
            is_staging: false,
            published: BTreeMap::new(),
        }
    }

    /// Reads the newest version of every role.
    fn read_published(&mut self, root: &str) -> Result<(), PublishError> {
        let folder = &self.folder;
        self.root_file = folder.read(root)?;
        self.root = read_role(folder, "root", root)?;
        self.timestamp = read_role(folder, "timestamp", "metadata/timestamp.json")?;
        let named = |parent: &Role, role: &str| {
            let version = pinned(parent, role).unwrap_or(0);
            read_role(folder, role, &format!("metadata/{version}.{role}.json"))
        };
        self.snapshot = named(&self.timestamp, "snapshot")?;
        self.targets = named(&self.snapshot, "targets")?;
        for delegated in self.targets.delegated() {
            let role = delegated.get("name").and_then(Value::as_str);
            if role == Some(WITHDRAW) {
                self.withdraw = Some(named(&self.snapshot, WITHDRAW)?);
            } else if let Some((role, list)) =
                role.and_then(|role| Some((role, role.strip_prefix("list-")?)))
            {
                self.lists
                    .insert(list.to_owned(), named(&self.snapshot, role)?);
            }
        }
        Ok(())
    }

    /// What is foreign or damaged in its folder and stops nothing that is not staged: a
    /// sentence each, with the way out.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let damage = self.stage.damage(&self.folder);
        let damage = damage.map(|error| error.to_string());
        self.strays.iter().cloned().chain(damage).collect()
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

    /// Whether enough keys of a role are at hand; to stage, none need be.
    pub(super) fn check_at_hand(&self, keys: &Keyring, role: &str) -> Result<(), PublishError> {
        if self.is_staging {
            return Ok(());
        }
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

    /// A role by its name.
    pub(super) fn role(&self, name: &str) -> Option<&Role> {
        match name {
            "root" => Some(&self.root),
            "targets" => Some(&self.targets),
            "snapshot" => Some(&self.snapshot),
            "timestamp" => Some(&self.timestamp),
            WITHDRAW => self.withdraw.as_ref(),
            name => self.lists.get(name.strip_prefix("list-")?),
        }
    }

    /// The same, to be changed.
    pub(super) fn role_mut(&mut self, name: &str) -> Option<&mut Role> {
        match name {
            "root" => Some(&mut self.root),
            "targets" => Some(&mut self.targets),
            "snapshot" => Some(&mut self.snapshot),
            "timestamp" => Some(&mut self.timestamp),
            WITHDRAW => self.withdraw.as_mut(),
            name => self.lists.get_mut(name.strip_prefix("list-")?),
        }
    }

    /// A role as it is published, whatever is staged for it.
    pub(super) fn published_role(&self, name: &str) -> Option<&Role> {
        self.published.get(name).or_else(|| self.role(name))
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
        .filter_map(|(path, target)| target_file(path, target))
        .collect()
}

/// The file of one target.
pub(super) fn target_file(path: &str, target: &Value) -> Option<String> {
    let digest = target.pointer("/hashes/sha256")?.as_str()?;
    Some(match path.rsplit_once('/') {
        Some((folder, name)) => format!("targets/{folder}/{digest}.{name}"),
        None => format!("targets/{digest}.{path}"),
    })
}

/// The roots in the folder of a repository.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// The file of the newest and its version, where there is one: the last of those that follow each other,
    /// as nodes follow them.
    pub(super) newest: Option<(String, u64)>,
    /// The files beyond it that are no roots, a sentence each.
    pub(super) strays: Vec<String>,
}

impl Roots {
    /// Finds them.
    ///
    /// # Errors
    /// [`PublishError::Io`], and [`PublishError::Repository`] where one of them is lost.
    pub(super) fn find(folder: &Folder) -> Result<Self, PublishError> {
        let file = |version: u64| format!("metadata/{version}.root.json");
        let version = |name: &String| name.strip_suffix(".root.json")?.parse().ok();
        let versions: BTreeSet<u64> = folder
            .names("metadata")?
            .iter()
            .filter_map(version)
            .collect();
        let mut roots = Self::default();
        let Some(first) = versions.first() else {
            return Ok(roots);
        };
        let follow = (*first..).zip(&versions);
        let newest = follow.take_while(|(expected, found)| expected == *found);
        let newest = newest.last().map_or(*first, |(version, _)| version);
        for stray in versions.iter().filter(|version| **version > newest) {
            let read = folder.read(&file(*stray)).ok();
            let stray = folder.path(&file(*stray));
            let next = folder.path(&file(newest.saturating_add(1)));
            if read
                .and_then(|bytes| Role::read("root", &bytes))
                .is_some_and(|root| root.version() > newest)
            {
                return Err(PublishError::Repository {
                    path: next,
                    reason: format!(
                        "is missing, though {} is there; copy it back from a mirror or a \
                         backup, or move {} away if it is none of this repository",
                        stray.display(),
                        stray.display()
                    ),
                });
            }
            roots.strays.push(format!(
                "{} is no root of this repository, which no node asks for; move it away",
                stray.display()
            ));
        }
        roots.newest = Some((file(newest), newest));
        Ok(roots)
    }
}

/// Reads a role from its file.
fn read_role(folder: &Folder, name: &str, file: &str) -> Result<Role, PublishError> {
    let refused = |reason: String| PublishError::Repository {
        path: folder.path(file),
        reason,
    };
    let bytes = match folder.read(file) {
        Err(PublishError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(refused(format!(
                "is missing, and it is the newest version of role {name}; copy it back from a \
                 mirror or a backup"
            )));
        }
        read => read?,
    };
    Role::read(name, &bytes).ok_or_else(|| {
        refused(format!(
            "is not the signed file of role {name}; move it away, and copy that file back from a \
             mirror or a backup if there was one"
        ))
    })
}

/// Which version of a role its parent names.
pub(super) fn pinned(parent: &Role, role: &str) -> Option<u64> {
    let meta = parent.signed.get("meta")?;
    meta.get(format!("{role}.json"))?.get("version")?.as_u64()
}
