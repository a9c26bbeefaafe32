//! [`TrustedMetadata`]: the TUF client workflow as a state machine. It says which file it
//! wants next and judges what it gets; somebody else fetches and stores.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chain::{
    Chain, ROOT_OCTETS_MAX, SNAPSHOT_OCTETS_MAX, TARGETS_OCTETS_MAX, TIMESTAMP_OCTETS_MAX, role_of,
};
use super::floors::Floors;
use super::full::Full;
use super::{Evidence, ListFile, ListVersion, SetAside, Verified, VerifyError};

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
    /// What was found damaged.
    pub(super) set_aside: Vec<SetAside>,
    /// Files of one version that differ.
    pub(super) evidence: Vec<Evidence>,
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
    /// When the timestamp was accepted: the last time that is known after a restart at which
    /// what is in store was the newest.
    pub accepted_at: Option<Timestamp>,
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
            accepted_at: self.held.get("timestamp.json").map(|held| held.accepted_at),
        }
    }
}

/// The file of the floors.
pub(super) const FLOORS: &str = "floors.json";
/// The file of the times of acceptance.
pub(super) const ACCEPTED: &str = "accepted.json";
/// The format of that file.
pub(super) const ACCEPTED_FORMAT: u64 = 1;
