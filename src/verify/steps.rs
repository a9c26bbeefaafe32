//! One step of the client workflow for each kind of file: judge it, note it, go on.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::VerifyError;
use super::chain::Taken;
use super::delegated::Scope;
use super::proof::Proof;
use super::term_steps::TermPlace;
use super::terms::Term;
use super::trusted::{
    ACCEPTED, ACCEPTED_FORMAT, AcceptedFile, FLOORS, Held, Stage, Subscription, TrustedMetadata,
    Write,
};

impl TrustedMetadata {
    /// N+1.root.json is there.
    pub(super) fn feed_root(&mut self, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
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
    pub(super) fn end_roots(&mut self) -> Result<Vec<Write>, VerifyError> {
        let version = self.chain.set().root().version;
        if version < self.floors.root {
            return Err(rollback("root.json", self.floors.root, version));
        }
        self.chain.check_root_fresh(self.round.now)?;
        self.round.stage = Stage::Timestamp;
        Ok(Vec::new())
    }

    /// A timestamp; an equal version changes nothing.
    pub(super) fn feed_timestamp(&mut self, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
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
    pub(super) fn keep_timestamp(&mut self) -> Result<Vec<Write>, VerifyError> {
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
    pub(super) fn feed_snapshot(&mut self, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
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
    pub(super) fn feed_targets(&mut self, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
        let mut chain = self.chain.clone();
        chain.take_targets(bytes, self.round.now)?;
        let policy = Term::Policy.path();
        let targets = chain.set().targets_role("targets");
        if self.floors.policy && targets.is_none_or(|role| role.target(&policy).is_none()) {
            return Err(VerifyError::PolicyGone);
        }
        self.chain = chain;
        Ok(self.accept("targets.json", bytes, Stage::WithdrawRole))
    }

    /// The role of a list.
    pub(super) fn feed_role(
        &mut self,
        index: usize,
        bytes: &[u8],
    ) -> Result<Vec<Write>, VerifyError> {
        let Some(list) = self.subscription(index).map(|list| list.list.clone()) else {
            return Ok(Vec::new());
        };
        let scope = Scope::of_list(&list);
        self.chain.take_delegated(&scope, bytes, self.round.now)?;
        Ok(self.accept(&scope.file(), bytes, Stage::Role(index)))
    }

    /// Takes whatever is held already, until a file must be fetched.
    pub(super) fn settle(&mut self) {
        let now = self.round.now;
        loop {
            let next = match self.round.stage {
                Stage::Snapshot => self.has_snapshot(now).then_some(Stage::Targets),
                Stage::Targets => self.has_targets(now).then_some(Stage::WithdrawRole),
                Stage::WithdrawRole => self.settle_withdraw_role(),
                Stage::Settling(ref place) => self.settle_term(&place.clone()),
                Stage::Role(index) => match self.subscription(index).cloned() {
                    Some(subscription) => self.settle_role(index, &subscription),
                    None => Some(Stage::Settling(TermPlace::LateWithdrawal(0))),
                },
                Stage::Root
                | Stage::Timestamp
                | Stage::Term(..)
                | Stage::Fetch(..)
                | Stage::Done => None,
            };
            match next {
                Some(stage) => self.round.stage = stage,
                None => return,
            }
        }
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

    /// The same for a delegated role, which must be signed as it is delegated now.
    pub(super) fn has_delegated(&mut self, scope: &Scope) -> bool {
        let now = self.round.now;
        if self.chain.has_current_delegated(scope, now) {
            return true;
        }
        match self.held.get(&scope.file()) {
            Some(held) => self.chain.take_delegated(scope, &held.bytes, now).is_ok(),
            None => false,
        }
    }

    /// Notes a file as accepted, and goes on.
    pub(super) fn accept(&mut self, file: &str, bytes: &[u8], next: Stage) -> Vec<Write> {
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
    pub(super) fn write_floors(&self) -> Write {
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

    /// What proves now what a role says: the top-level one, or that delegated one.
    pub(super) fn proof(&self, scope: Option<&Scope>) -> Proof {
        let text = |name: &str| {
            let held = self.held.get(name).map(|held| held.bytes.as_slice());
            String::from_utf8_lossy(held.unwrap_or_default()).into_owned()
        };
        Proof {
            accepted_at: self.round.now,
            root: self.chain.set().root().version,
            timestamp: text("timestamp.json"),
            snapshot: text("snapshot.json"),
            targets: text("targets.json"),
            role: scope.map(|scope| text(&scope.file())).unwrap_or_default(),
            ..Proof::default()
        }
    }

    /// A subscription of the present round.
    pub(super) fn subscription(&self, index: usize) -> Option<&Subscription> {
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

/// The most new roots of one round.
const ROOT_STEPS_MAX: u32 = 256;
