//! [`TrustedMetadata`]: the TUF client workflow as a state machine. It says which file it
//! wants next and judges what it gets; somebody else fetches and stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chain::Chain;
use super::delegated::Scope;
use super::floors::Floors;
use super::list_steps::Fetch;
use super::term_steps::{TermPlace, after};
use super::terms::{TermTarget, Terms};
use super::{
    Evidence, ListFile, ListVersion, Replacement, SetAside, SignedPolicy, Text, Verified,
    VerifyError,
};
use crate::policy::{Name, Withdrawal};

/// What a node trusts of one repository, and how far the present round has come.
///
/// ```text
/// begin ─▶ Root ─absent─▶ Timestamp ─▶ Snapshot ─▶ Targets ─▶ WithdrawRole ─▶ Term … ─┐
///           └─ N+1 ─┘        └ what is held already is taken without asking ┘         │
///   ┌──────────────────────────────────────────────────────────────────────────────────┘
///   └▶ Role(0) ─▶ Fetch(0): steps, then the stored or the complete state ─▶ Role(1) … ─▶ Done
/// ```
///
/// `feed` either takes a step or leaves everything as it was, so that the same file can be
/// had from another mirror; `skip` gives the file up, which costs what [`Wanted`] says of it.
///
/// [`Wanted`]: super::Wanted
#[derive(Clone, Debug)]
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
    /// How many entries each list has, by the name the repository gives it.
    pub(super) entries: BTreeMap<String, u64>,
    /// What holds for the lists.
    pub(super) terms: Terms,
    /// Lists whose newest version was signed wrongly, by their configured names: in which
    /// version of the role, and how.
    pub(super) faulty: BTreeMap<String, (u64, VerifyError)>,
    /// Who pinned this root by hand, and why.
    pub(super) replacement: Option<Replacement>,
    /// What was found damaged.
    pub(super) set_aside: Vec<SetAside>,
    /// Whether what is stored was accepted under another root than the pinned one, which then
    /// is a slip of the pen: it stays as it is.
    pub(super) is_foreign: bool,
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

/// What was got for a wanted file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer<'a> {
    /// The file as received.
    File(&'a [u8]),
    /// The mirror says that there is no such file.
    Absent,
    /// The mirror says that the file is the one that was accepted last.
    Unchanged,
    /// The stored text of a list, for which [`super::Place::Store`] asks.
    Stored(&'a Text),
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
        /// How it differs from the version that was stored, where it was made of that one.
        change: Option<NetChange>,
    },
    /// The stored version is the newest.
    Unchanged,
    /// The version on offer is refused; the last good one stays.
    Refused(VerifyError),
}

/// How a version differs from the stored one that it was made of by steps.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NetChange {
    /// The version that it was made of. It is the stored one, which a guard may have kept
    /// from being in force.
    pub from: ListVersion,
    /// The lines that it does not have any more.
    pub removed: Vec<Vec<u8>>,
    /// The lines that came.
    pub added: Vec<Vec<u8>>,
    /// How many entries the steps remove one after the other, as signed.
    pub signed_removed: u64,
    /// How many they add.
    pub signed_added: u64,
}

/// What the round changed of the terms that hold for lists.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TermChanges {
    /// Whether the policy is another.
    pub policy: bool,
    /// Whether the names never to block are others.
    pub never_block: bool,
    /// The lists, by the names the repository gives them, of which something else is
    /// withdrawn.
    pub withdrawn: Vec<String>,
}

/// What people want to know of a repository's trust.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustSummary {
    /// The newest root's version.
    pub root_version: u64,
    /// How many keys must sign a root; at 1, one key decides.
    pub root_threshold: usize,
    /// The ids of its keys.
    pub root_keys: Vec<String>,
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
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) now: Timestamp,
    pub(super) stage: Stage,
    pub(super) root_steps: u32,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) verdicts: Vec<(String, Verdict)>,
    /// What went wrong and cost nothing else.
    pub(super) notes: Vec<VerifyError>,
    pub(super) changes: TermChanges,
    /// What is to be made durable that no file brought.
    pub(super) writes: Vec<Write>,
    /// The lists whose withdrawals wait for the list itself, for their ceiling depends on
    /// its size.
    pub(super) late: Vec<usize>,
}

impl Round {
    /// A round that begins there.
    pub(super) fn new(now: Timestamp, stage: Stage, subscriptions: &[Subscription]) -> Self {
        Self {
            now,
            stage,
            root_steps: 0,
            subscriptions: subscriptions.to_vec(),
            verdicts: Vec::new(),
            notes: Vec::new(),
            changes: TermChanges::default(),
            writes: Vec::new(),
            late: Vec::new(),
        }
    }
}

/// Which file is wanted.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    Root,
    Timestamp,
    Snapshot,
    Targets,
    /// The role that withdraws.
    WithdrawRole,
    /// Whether a term is to be fetched is still to be found out.
    Settling(TermPlace),
    /// The file of a term.
    Term(TermPlace, TermTarget),
    /// The role of that subscription's list.
    Role(usize),
    /// The files that make the newest version of that subscription's list.
    Fetch(usize, Box<Fetch>),
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
        self.round = Round::new(now.max(issued), Stage::Root, subscriptions);
    }

    /// Judges what was got for the wanted file. The writes must be durable before the next
    /// request.
    ///
    /// # Errors
    /// [`VerifyError`]; nothing has changed then, and the same file is still wanted.
    pub fn feed(&mut self, answer: Answer<'_>) -> Result<Vec<Write>, VerifyError> {
        let mut writes = match (self.round.stage.clone(), answer) {
            (Stage::Root, Answer::File(bytes)) => self.feed_root(bytes),
            (Stage::Root, Answer::Absent) => self.end_roots(),
            (Stage::Timestamp, Answer::File(bytes)) => self.feed_timestamp(bytes),
            (Stage::Timestamp, Answer::Unchanged) => self.keep_timestamp(),
            (Stage::Snapshot, Answer::File(bytes)) => self.feed_snapshot(bytes),
            (Stage::Targets, Answer::File(bytes)) => self.feed_targets(bytes),
            (Stage::WithdrawRole, Answer::File(bytes)) => self.feed_withdraw_role(bytes),
            (Stage::Term(place, target), Answer::File(bytes)) => {
                self.feed_term(&place, &target, bytes)
            }
            (Stage::Role(index), Answer::File(bytes)) => self.feed_role(index, bytes),
            (Stage::Fetch(index, fetch), answer) => self.feed_fetch(index, *fetch, answer),
            (Stage::Done | Stage::Settling(_), _) => Ok(Vec::new()),
            (_, Answer::Absent | Answer::Unchanged | Answer::Stored(_)) => {
                Err(VerifyError::Missing {
                    file: self.next().map_or_else(String::new, |wanted| wanted.path),
                })
            }
        }?;
        writes.append(&mut self.round.writes);
        Ok(writes)
    }

    /// Gives up the wanted file, which costs what was said of it. The writes must be durable
    /// before the next request.
    pub fn skip(&mut self) -> Vec<Write> {
        self.round.stage = match self.round.stage.clone() {
            Stage::WithdrawRole => {
                self.revoke_unproved();
                Stage::Settling(TermPlace::Policy)
            }
            Stage::Term(place, ..) => after(&place),
            Stage::Role(index) => Stage::Role(index.saturating_add(1)),
            Stage::Fetch(index, fetch) => {
                self.other_way(index, &fetch, None);
                self.round.stage.clone()
            }
            _ => Stage::Done,
        };
        self.settle();
        self.take_writes()
    }

    /// What the round brought since the last call, by the lists' configured names.
    pub fn take_verdicts(&mut self) -> Vec<(String, Verdict)> {
        std::mem::take(&mut self.round.verdicts)
    }

    /// What went wrong since the last call and cost nothing else: what was accepted last
    /// holds.
    pub fn take_notes(&mut self) -> Vec<VerifyError> {
        std::mem::take(&mut self.round.notes)
    }

    /// What the round changed of the terms since the last call.
    pub fn take_changes(&mut self) -> TermChanges {
        std::mem::take(&mut self.round.changes)
    }

    /// What is to be made durable that no file brought.
    pub fn take_writes(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.round.writes)
    }

    /// Who pinned the present root by hand in another's place, and why.
    #[must_use]
    pub const fn replacement(&self) -> Option<&Replacement> {
        self.replacement.as_ref()
    }

    /// What bounds the lists, as accepted last; nothing before the first.
    #[must_use]
    pub fn policy(&self) -> Option<&SignedPolicy> {
        self.terms.policy.as_ref().map(|accepted| &accepted.value)
    }

    /// The names that no list may block, as accepted last.
    #[must_use]
    pub const fn never_block(&self) -> &Arc<[Name]> {
        &self.terms.never_block.value
    }

    /// What is withdrawn of a list, by the name the repository gives it, as accepted last,
    /// whatever has expired since. Each item says itself until when it holds.
    #[must_use]
    pub fn withdrawals(&self, list: &str) -> &[Withdrawal] {
        let accepted = self.terms.withdrawn.get(list);
        accepted.map_or(&[], |accepted| accepted.value.items.as_slice())
    }

    /// When what is withdrawn of a list was published, by the publisher's clock.
    #[must_use]
    pub fn withdrawn_at(&self, list: &str) -> Option<Timestamp> {
        Some(self.terms.withdrawn.get(list)?.value.issued_at)
    }

    /// When the role of a list expires, as it was accepted last; nothing before the first
    /// round that reached it.
    #[must_use]
    pub fn role_expires(&self, list: &str) -> Option<Timestamp> {
        let scope = Scope::of_list(list);
        if let Some(role) = self.chain.set().targets_role(&scope.role) {
            return Some(role.expires);
        }
        // Before the first round, what is stored is asked, and verified as all that is.
        let held = self.held.get(&scope.file())?;
        let mut chain = self.chain.clone();
        if let Some(targets) = self.held.get("targets.json") {
            let taken = chain.take_targets(&targets.bytes, targets.accepted_at);
            taken.ok()?;
        }
        chain
            .take_delegated(&scope, &held.bytes, held.accepted_at)
            .ok()?;
        chain.delegated(&scope).map(|role| role.expires)
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
            root_keys: root
                .role("root")
                .map(|role| role.keyids.clone())
                .unwrap_or_default(),
            root_expires: root.expires,
            timestamp_expires: self.chain.set().timestamp().map(|file| file.expires),
            issued_at: self.chain.issued_at(),
            accepted_at: self.held.get("timestamp.json").map(|held| held.accepted_at),
        }
    }
}

/// The file of the floors in the repository's state folder.
pub const FLOORS: &str = "floors.json";
/// The file of the times of acceptance.
pub(super) const ACCEPTED: &str = "accepted.json";
/// The format of that file.
pub(super) const ACCEPTED_FORMAT: u64 = 1;
