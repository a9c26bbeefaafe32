//! [`TrustedMetadata`]: the TUF client workflow as a state machine. It says which file it
//! wants next and judges what it gets; somebody else fetches and stores.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chain::{
    Chain, ROOT_OCTETS_MAX, SNAPSHOT_OCTETS_MAX, TARGETS_OCTETS_MAX, TIMESTAMP_OCTETS_MAX, Taken,
    role_of,
};
use super::floors::Floors;
use super::full::Full;
use super::list_file::list_file;
use super::proof::Proof;
use super::{ListFile, ListVersion, Verified, VerifyError};

/// What a node trusts of one repository, and how far the present round has come.
///
/// ```text
/// begin ─▶ Root ─absent─▶ Timestamp ─▶ Snapshot ─▶ Targets ─▶ Role(0) ─▶ Full(0) ─▶ Role(1) … ─▶ Done
///           └─ N+1 ─┘        └ what is held already is taken without asking ┘
/// ```
///
/// `feed` either takes a step or leaves everything as it was, so that the same file can be
/// had from another mirror; `skip` gives the file up: a list's file costs that list alone,
/// any other ends the round.
#[derive(Debug)]
pub struct TrustedMetadata {
    pub(super) repository: String,
    /// The roots from the pinned one to the newest, as received.
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) chain: Chain,
    /// The newest accepted files by their unversioned names, roots apart.
    pub(super) held: BTreeMap<String, Held>,
    pub(super) floors: Floors,
    /// The version of each subscribed list that is stored, by the list's configured name.
    pub(super) stored: BTreeMap<String, ListVersion>,
    /// What was found damaged at the start.
    pub(super) set_aside: Vec<VerifyError>,
    pub(super) round: Round,
}

/// A list that the node wants from the repository.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subscription {
    /// Its name in the configuration.
    pub name: String,
    /// Its name in the repository.
    pub list: String,
}

/// A file that is wanted now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Its path below the repository's address.
    pub path: String,
    /// The most octets it may have.
    pub octets_max: u64,
    /// The version that is trusted now, when "not changed since" is an answer too.
    pub unless_changed_since: Option<u64>,
    /// For which subscription, by its configured name; nothing for what all depend on.
    pub list: Option<String>,
}

/// What was got for a wanted file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer<'a> {
    /// The file as received.
    File(&'a [u8]),
    /// The mirror says that there is no such file.
    Absent,
    /// The mirror says that the file is the one that was accepted last.
    Unchanged,
}

/// A change to the repository's state folder, to be durable before the next request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Write {
    /// The file has this content from now on.
    Put(String, Vec<u8>),
    /// The file is gone.
    Remove(String),
}

/// What the round brought for one list.
#[expect(
    clippy::large_enum_variant,
    reason = "one for each list and round, moved once"
)]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// A newer version, with the files that prove it, to be stored beside it.
    New {
        /// The list.
        file: Verified<ListFile>,
        /// Which version.
        version: ListVersion,
        /// What stands beside it on disk.
        proof: Vec<u8>,
    },
    /// The stored version is the newest.
    Unchanged,
    /// The version on offer is refused; the last good one stays.
    Refused(VerifyError),
}

/// What people want to know of a repository's trust.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustSummary {
    /// The newest root's version.
    pub root_version: u64,
    /// How many keys must sign a root; at 1, one key decides.
    pub root_threshold: usize,
    /// When the root expires.
    pub root_expires: Timestamp,
    /// When the timestamp expires; nothing before the first was taken.
    pub timestamp_expires: Option<Timestamp>,
    /// When the publisher signed the timestamp, by its own clock.
    pub issued_at: Option<Timestamp>,
}

/// A file that was accepted.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    pub(super) accepted_at: Timestamp,
}

/// How far the present round has come.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) now: Timestamp,
    pub(super) stage: Stage,
    pub(super) root_steps: u32,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) verdicts: Vec<(String, Verdict)>,
}

/// Which file is wanted.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    Root,
    Timestamp,
    Snapshot,
    Targets,
    /// The role of that subscription's list.
    Role(usize),
    /// The complete state of that subscription's list.
    Full(usize, Box<Full>),
    Done,
}

/// `accepted.json`: when each file was accepted, so that it can be verified again later.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct AcceptedFile {
    pub(super) format: u64,
    pub(super) files: BTreeMap<String, Timestamp>,
}

impl TrustedMetadata {
    /// What was found damaged at the start, once.
    pub fn take_set_aside(&mut self) -> Vec<VerifyError> {
        std::mem::take(&mut self.set_aside)
    }

    /// Begins a round; every expiry in it is judged by `now`, or by the publisher's clock
    /// as last signed where ours stepped back behind it.
    pub fn begin(&mut self, now: Timestamp, subscriptions: &[Subscription]) {
        let issued = self.chain.issued_at().unwrap_or(now);
        self.round = Round {
            now: now.max(issued),
            stage: Stage::Root,
            root_steps: 0,
            subscriptions: subscriptions.to_vec(),
            verdicts: Vec::new(),
        };
    }

    /// The file that is wanted; nothing when the round is done.
    #[must_use]
    pub fn next(&self) -> Option<Wanted> {
        let wanted = |path: String, octets_max| Wanted {
            path,
            octets_max,
            unless_changed_since: None,
            list: None,
        };
        let for_list = |index: usize, wanted: Wanted| Wanted {
            list: self.subscription(index).map(|list| list.name.clone()),
            ..wanted
        };
        let role_file = |role: &str| {
            let pin = self.chain.role_pin(role);
            let version = pin.map_or(0, |pin| pin.version);
            let length = pin.and_then(|pin| pin.length).unwrap_or(u64::MAX);
            wanted(
                format!("metadata/{version}.{role}.json"),
                length.min(TARGETS_OCTETS_MAX),
            )
        };
        match &self.round.stage {
            Stage::Root => {
                let version = self.chain.set().root().version.saturating_add(1);
                let path = format!("metadata/{version}.root.json");
                Some(wanted(path, ROOT_OCTETS_MAX))
            }
            Stage::Timestamp => Some(Wanted {
                unless_changed_since: self.chain.set().timestamp().map(|file| file.version),
                ..wanted("metadata/timestamp.json".to_owned(), TIMESTAMP_OCTETS_MAX)
            }),
            Stage::Snapshot => {
                let pin = self.chain.snapshot_pin()?;
                let path = format!("metadata/{}.snapshot.json", pin.version);
                let length = pin.length.unwrap_or(u64::MAX);
                Some(wanted(path, length.min(SNAPSHOT_OCTETS_MAX)))
            }
            Stage::Targets => Some(role_file("targets")),
            Stage::Role(index) => {
                let list = &self.subscription(*index)?.list;
                Some(for_list(*index, role_file(&role_of(list))))
            }
            Stage::Full(index, full) => {
                let list = &self.subscription(*index)?.list;
                let path = format!("targets/{list}/{}.full", full.digest);
                Some(for_list(*index, wanted(path, full.length)))
            }
            Stage::Done => None,
        }
    }

    /// Judges what was got for the wanted file. The writes must be durable before the next
    /// request.
    ///
    /// # Errors
    /// [`VerifyError`]; nothing has changed then, and the same file is still wanted.
    pub fn feed(&mut self, answer: Answer<'_>) -> Result<Vec<Write>, VerifyError> {
        match (self.round.stage.clone(), answer) {
            (Stage::Root, Answer::File(bytes)) => self.feed_root(bytes),
            (Stage::Root, Answer::Absent) => self.end_roots(),
            (Stage::Timestamp, Answer::File(bytes)) => self.feed_timestamp(bytes),
            (Stage::Timestamp, Answer::Unchanged) => self.keep_timestamp(),
            (Stage::Snapshot, Answer::File(bytes)) => self.feed_snapshot(bytes),
            (Stage::Targets, Answer::File(bytes)) => self.feed_targets(bytes),
            (Stage::Role(index), Answer::File(bytes)) => self.feed_role(index, bytes),
            (Stage::Full(index, full), Answer::File(bytes)) => self.feed_full(index, &full, bytes),
            (Stage::Done, _) => Ok(Vec::new()),
            (_, Answer::Absent | Answer::Unchanged) => Err(VerifyError::Missing {
                file: self.next().map_or_else(String::new, |wanted| wanted.path),
            }),
        }
    }

    /// Gives up the wanted file: a list's costs that list alone, any other ends the round.
    pub fn skip(&mut self) {
        self.round.stage = match self.round.stage {
            Stage::Role(index) | Stage::Full(index, _) => Stage::Role(index.saturating_add(1)),
            _ => Stage::Done,
        };
        self.settle();
    }

    /// What the round brought since the last call, by the lists' configured names.
    pub fn take_verdicts(&mut self) -> Vec<(String, Verdict)> {
        std::mem::take(&mut self.round.verdicts)
    }

    /// The version of the timestamp that is trusted.
    #[must_use]
    pub fn timestamp_version(&self) -> Option<u64> {
        self.chain.set().timestamp().map(|file| file.version)
    }

    /// What people want to know.
    #[must_use]
    pub fn summary(&self) -> TrustSummary {
        let root = self.chain.set().root();
        TrustSummary {
            root_version: root.version,
            root_threshold: root.role("root").map_or(0, |role| role.threshold),
            root_expires: root.expires,
            timestamp_expires: self.chain.set().timestamp().map(|file| file.expires),
            issued_at: self.chain.issued_at(),
        }
    }
}

/// One step for each stage.
impl TrustedMetadata {
    /// N+1.root.json is there.
    fn feed_root(&mut self, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
        let version = self.chain.set().root().version.saturating_add(1);
        let file = format!("{version}.root.json");
        if self.round.root_steps >= ROOT_STEPS_MAX {
            return Err(VerifyError::Malformed {
                file,
                reason: format!("is beyond the {ROOT_STEPS_MAX} roots of one round"),
            });
        }
        let before = self.chain.clone();
        self.chain.take_root(&file, bytes)?;
        self.round.root_steps = self.round.root_steps.saturating_add(1);
        self.roots.push(bytes.to_vec());
        self.floors.root = self.floors.root.max(version);
        let mut writes = vec![
            Write::Put(format!("root_history/{file}"), bytes.to_vec()),
            Write::Put("root.json".to_owned(), bytes.to_vec()),
        ];
        if before.online_keys() == self.chain.online_keys() {
            self.replay();
        } else {
            self.floors.drop_online();
            for name in ["timestamp.json", "snapshot.json"] {
                self.held.remove(name);
                writes.push(Write::Remove(name.to_owned()));
            }
            writes.push(self.write_accepted());
        }
        writes.push(self.write_floors());
        Ok(writes)
    }

    /// There is no newer root.
    fn end_roots(&mut self) -> Result<Vec<Write>, VerifyError> {
        let version = self.chain.set().root().version;
        if version < self.floors.root {
            return Err(rollback("root.json", self.floors.root, version));
        }
        self.chain.check_root_fresh(self.round.now)?;
        self.round.stage = Stage::Timestamp;
        Ok(Vec::new())
    }

    /// A timestamp; an equal version changes nothing.
    fn feed_timestamp(&mut self, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
        const FILE: &str = "timestamp.json";
        let mut chain = self.chain.clone();
        if chain.take_timestamp(bytes, self.round.now)? == Taken::Equal {
            let mut writes = self.keep_timestamp()?;
            if self.held.get(FILE).is_some_and(|held| held.bytes != bytes) {
                // Both are signed: somebody else may have the key. Ours is kept, and so is
                // the evidence.
                let evidence = "timestamp.other.json".to_owned();
                writes.push(Write::Put(evidence, bytes.to_vec()));
            }
            return Ok(writes);
        }
        let version = chain.set().timestamp().map_or(0, |file| file.version);
        if version < self.floors.timestamp {
            return Err(rollback(FILE, self.floors.timestamp, version));
        }
        let snapshot = chain.snapshot_pin().map_or(0, |pin| pin.version);
        if snapshot < self.floors.snapshot {
            return Err(rollback("snapshot.json", self.floors.snapshot, snapshot));
        }
        self.chain = chain;
        self.floors.timestamp = version;
        self.floors.snapshot = snapshot;
        Ok(self.accept(FILE, bytes, Stage::Snapshot))
    }

    /// The trusted timestamp is the newest.
    fn keep_timestamp(&mut self) -> Result<Vec<Write>, VerifyError> {
        if self.chain.set().timestamp().is_none() {
            return Err(VerifyError::Missing {
                file: "timestamp.json".to_owned(),
            });
        }
        self.chain.check_timestamp_fresh(self.round.now)?;
        self.round.stage = Stage::Snapshot;
        self.settle();
        Ok(Vec::new())
    }

    /// The snapshot that the timestamp names.
    fn feed_snapshot(&mut self, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
        let mut chain = self.chain.clone();
        chain.take_snapshot(bytes, self.round.now)?;
        let meta = chain.set().snapshot().map(|snapshot| &snapshot.meta);
        let roles: BTreeMap<String, u64> = meta
            .into_iter()
            .flatten()
            .map(|(file, pin)| (file.clone(), pin.version))
            .collect();
        for (file, floor) in &self.floors.roles {
            match roles.get(file) {
                Some(version) if version < floor => return Err(rollback(file, *floor, *version)),
                Some(_) => {}
                None => return Err(VerifyError::Missing { file: file.clone() }),
            }
        }
        self.chain = chain;
        self.floors.roles = roles;
        Ok(self.accept("snapshot.json", bytes, Stage::Targets))
    }

    /// The targets role that the snapshot names.
    fn feed_targets(&mut self, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
        self.chain.take_targets(bytes, self.round.now)?;
        Ok(self.accept("targets.json", bytes, Stage::Role(0)))
    }

    /// The role of a list.
    fn feed_role(&mut self, index: usize, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
        let Some(list) = self.subscription(index).map(|list| list.list.clone()) else {
            return Ok(Vec::new());
        };
        self.chain.take_list_role(&list, bytes, self.round.now)?;
        let file = format!("{}.json", role_of(&list));
        Ok(self.accept(&file, bytes, Stage::Role(index)))
    }

    /// The complete state of a list.
    fn feed_full(
        &mut self,
        index: usize,
        full: &Full,
        bytes: &[u8],
    ) -> Result<Vec<Write>, VerifyError> {
        let Some(subscription) = self.subscription(index).cloned() else {
            return Ok(Vec::new());
        };
        let plaintext = full.open(bytes)?;
        let text = |name: &str| {
            let held = self.held.get(name).map(|held| held.bytes.as_slice());
            String::from_utf8_lossy(held.unwrap_or_default()).into_owned()
        };
        let proof = Proof {
            accepted_at: self.round.now,
            root: self.chain.set().root().version,
            timestamp: text("timestamp.json"),
            snapshot: text("snapshot.json"),
            targets: text("targets.json"),
            role: text(&format!("{}.json", role_of(&subscription.list))),
            ..Proof::default()
        };
        let role = proof.role.as_bytes();
        let file = list_file(
            &self.repository,
            &subscription,
            &self.chain,
            full,
            role,
            plaintext,
        )?;
        let version = full.version.clone();
        self.floors.lists.insert(subscription.list, version.clone());
        self.stored
            .insert(subscription.name.clone(), version.clone());
        let verdict = Verdict::New {
            file,
            version,
            proof: proof.write(),
        };
        self.round.verdicts.push((subscription.name, verdict));
        self.round.stage = Stage::Role(index.saturating_add(1));
        self.settle();
        Ok(vec![self.write_floors()])
    }

    /// Takes whatever is held already, until a file must be fetched.
    fn settle(&mut self) {
        let now = self.round.now;
        loop {
            let next = match self.round.stage {
                Stage::Snapshot => self.has_snapshot(now).then_some(Stage::Targets),
                Stage::Targets => self.has_targets(now).then_some(Stage::Role(0)),
                Stage::Role(index) => match self.subscription(index).cloned() {
                    Some(subscription) => self.settle_role(index, &subscription),
                    None => Some(Stage::Done),
                },
                Stage::Root | Stage::Timestamp | Stage::Full(..) | Stage::Done => None,
            };
            match next {
                Some(stage) => self.round.stage = stage,
                None => return,
            }
        }
    }

    /// What is next for a list; nothing when its role must be fetched.
    fn settle_role(&mut self, index: usize, subscription: &Subscription) -> Option<Stage> {
        let after = Stage::Role(index.saturating_add(1));
        let judged = match self.has_role(&subscription.list) {
            Ok(false) => return None,
            Ok(true) => self.judge(subscription),
            Err(error) => Err(error),
        };
        let verdict = match judged {
            Ok(Some(full)) => return Some(Stage::Full(index, Box::new(full))),
            Ok(None) => Verdict::Unchanged,
            Err(error) => Verdict::Refused(error),
        };
        let name = subscription.name.clone();
        self.round.verdicts.push((name, verdict));
        Some(after)
    }

    /// The complete state to fetch; nothing when it is stored already.
    fn judge(&self, subscription: &Subscription) -> Result<Option<Full>, VerifyError> {
        let full = self.chain.full(&subscription.list)?;
        self.floors.judge(&subscription.list, &full.version)?;
        let stored = self.stored.get(&subscription.name);
        Ok((stored != Some(&full.version)).then_some(full))
    }

    /// Whether the snapshot that the timestamp names is trusted, or held and taken now.
    fn has_snapshot(&mut self, now: Timestamp) -> bool {
        if self.chain.has_current_snapshot(now) {
            return true;
        }
        match self.held.get("snapshot.json") {
            Some(held) => self.chain.take_snapshot(&held.bytes, now).is_ok(),
            None => false,
        }
    }

    /// The same for the targets role.
    fn has_targets(&mut self, now: Timestamp) -> bool {
        if self.chain.has_current_role("targets", now) {
            return true;
        }
        match self.held.get("targets.json") {
            Some(held) => self.chain.take_targets(&held.bytes, now).is_ok(),
            None => false,
        }
    }

    /// The same for the role of a list.
    fn has_role(&mut self, list: &str) -> Result<bool, VerifyError> {
        let now = self.round.now;
        let role = role_of(list);
        self.chain.delegation(list)?;
        if self.chain.role_pin(&role).is_none() {
            return Err(VerifyError::NotPublished {
                list: list.to_owned(),
            });
        }
        if self.chain.has_current_role(&role, now) {
            return Ok(true);
        }
        Ok(match self.held.get(&format!("{role}.json")) {
            Some(held) => self.chain.take_list_role(list, &held.bytes, now).is_ok(),
            None => false,
        })
    }

    /// Notes a file as accepted, and goes on.
    fn accept(&mut self, file: &str, bytes: &[u8], next: Stage) -> Vec<Write> {
        let held = Held {
            bytes: bytes.to_vec(),
            accepted_at: self.round.now,
        };
        self.held.insert(file.to_owned(), held);
        self.round.stage = next;
        self.settle();
        vec![
            self.write_floors(),
            self.write_accepted(),
            Write::Put(file.to_owned(), bytes.to_vec()),
        ]
    }
}

/// The files of ours.
impl TrustedMetadata {
    /// `floors.json` as it is now.
    fn write_floors(&self) -> Write {
        Write::Put(FLOORS.to_owned(), self.floors.write())
    }

    /// `accepted.json` as it is now.
    fn write_accepted(&self) -> Write {
        let files = self.held.iter();
        let accepted = AcceptedFile {
            format: ACCEPTED_FORMAT,
            files: files
                .map(|(name, held)| (name.clone(), held.accepted_at))
                .collect(),
        };
        let bytes = serde_json::to_vec(&accepted).unwrap_or_default();
        Write::Put(ACCEPTED.to_owned(), bytes)
    }

    /// A subscription of the present round.
    fn subscription(&self, index: usize) -> Option<&Subscription> {
        self.round.subscriptions.get(index)
    }
}

/// The error for going back.
fn rollback(file: &str, trusted: u64, offered: u64) -> VerifyError {
    VerifyError::Rollback {
        file: file.to_owned(),
        trusted,
        offered,
    }
}

/// The file of the floors.
pub(super) const FLOORS: &str = "floors.json";
/// The file of the times of acceptance.
pub(super) const ACCEPTED: &str = "accepted.json";
/// The format of that file.
pub(super) const ACCEPTED_FORMAT: u64 = 1;
/// The most new roots of one round.
const ROOT_STEPS_MAX: u32 = 256;
