//! Starting from what is stored: everything is verified again, from the pinned root.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::chain::Chain;
use super::delegated::Scope;
use super::floors::{Floors, read_own};
use super::list_file::list_file;
use super::proof::Proof;
use super::terms::{Said, Term, Terms};
use super::trusted::{
    ACCEPTED, ACCEPTED_FORMAT, AcceptedFile, FLOORS, Held, Round, Stage, Subscription,
    TrustedMetadata, Write,
};
use super::{ListFile, ListVersion, REPLACED, Replacement, Settings, Text, Verified, VerifyError};

impl TrustedMetadata {
    /// What is trusted at the start: the pinned root, then whatever of the stored `files`
    /// (by their names in the repository's state folder) verifies again from it. What does
    /// not is set aside and fetched again; the floors still forbid going back.
    ///
    /// # Errors
    /// [`VerifyError`] when the pinned root is no sound root, or a stored file of ours was
    /// written by a newer version.
    pub fn restore(
        repository: &str,
        settings: &Settings,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, VerifyError> {
        let own = |name: &str| files.get(name).map(Vec::as_slice);
        let mut floors = Floors::read(FLOORS, own(FLOORS))?;
        let replacement = Replacement::read(own(REPLACED))?;
        let replacement = Some(replacement).filter(|of| of.is_of(&settings.root));
        let replaced = replacement.as_ref().map(Replacement::root);
        if let Some(root) = replaced.filter(|root| *root != floors.pinned) {
            floors.replace_root(root.to_owned());
        }
        let accepted: AcceptedFile = read_own(ACCEPTED, own(ACCEPTED), ACCEPTED_FORMAT)?;
        let mut trusted = Self {
            repository: repository.to_owned(),
            roots: vec![settings.root.clone()],
            chain: Chain::new(settings)?,
            held: BTreeMap::new(),
            floors,
            stored: BTreeMap::new(),
            entries: BTreeMap::new(),
            terms: Terms::default(),
            faulty: BTreeMap::new(),
            replacement,
            set_aside: Vec::new(),
            is_foreign: false,
            evidence: Vec::new(),
            round: Round::new(Timestamp::UNIX_EPOCH, Stage::Done, &[]),
        };
        trusted.check_own_files(files);
        let root_floor = trusted.floors.root;
        trusted.follow_stored_roots(files);
        let newest = own("root.json");
        for (name, accepted_at) in accepted.files {
            if let Some(bytes) = files.get(&name) {
                let bytes = bytes.clone();
                trusted.held.insert(name, Held { bytes, accepted_at });
            }
        }
        let has_timestamp = trusted.held.contains_key("timestamp.json");
        trusted.replay();
        trusted.is_foreign = has_timestamp
            && !trusted.held.contains_key("timestamp.json")
            && newest.is_some_and(|newest| is_signed_root(newest) && !trusted.has_root(newest));
        if trusted.chain.set().root().version > root_floor {
            // The last round ended after it stored a new root and before it removed what the
            // old online keys had signed: that is no damage.
            trusted
                .set_aside
                .retain(|aside| aside.file != "timestamp.json");
        }
        trusted.check_held_files();
        trusted.rebuild_floors();
        trusted.restore_terms(files);
        if trusted.replacement.is_some() {
            let floors = trusted.write_floors();
            trusted.round.writes.push(floors);
        }
        Ok(trusted)
    }

    /// Whether the pinned root took another's place by hand, and the stored `files` are still
    /// of that other: all but [`REPLACED`] and the floors are to be set aside.
    #[must_use]
    pub fn is_replaced(settings: &Settings, files: &BTreeMap<String, Vec<u8>>) -> bool {
        let own = |name: &str| files.get(name).map(Vec::as_slice);
        let (Ok(floors), Ok(replacement)) = (
            Floors::read(FLOORS, own(FLOORS)),
            Replacement::read(own(REPLACED)),
        ) else {
            return false;
        };
        replacement.is_of(&settings.root) && replacement.root() != floors.pinned
    }

    /// Whether the stored `files` are of the repository whose pinned root that is: its newest
    /// root follows from there, or signed the timestamp, or took another's place by hand.
    #[must_use]
    pub fn is_of(settings: &Settings, files: &BTreeMap<String, Vec<u8>>) -> bool {
        let own = |name: &str| files.get(name).map(Vec::as_slice);
        let replacement = Replacement::read(own(REPLACED));
        if replacement.is_ok_and(|replacement| replacement.is_of(&settings.root)) {
            return true;
        }
        let Ok(mut chain) = Chain::new(&Settings {
            min_root_threshold: 1,
            ..settings.clone()
        }) else {
            return false;
        };
        let mut root = Some(settings.root.as_slice());
        while let Some(bytes) = root {
            if own("root.json") == Some(bytes) {
                return true;
            }
            let file = next_root(&chain);
            let next = own(&file).or_else(|| own("root.json"));
            root = next.filter(|bytes| chain.take_root(&file, bytes).is_ok());
        }
        // Whether it is in its time is nothing to ask: only whose it is.
        own("timestamp.json").is_some_and(|bytes| {
            let taken = chain.take_timestamp(bytes, Timestamp::UNIX_EPOCH);
            matches!(taken, Ok(_) | Err(VerifyError::FromTheFuture { .. }))
        })
    }

    /// Verifies a stored version of a list again, from the pinned root, as of the time when
    /// it was accepted.
    ///
    /// # Errors
    /// [`VerifyError`] when text or proof are not what was accepted.
    pub fn verify_stored(
        &mut self,
        subscription: &Subscription,
        proof: &[u8],
        stored: &[u8],
    ) -> Result<(Verified<ListFile>, ListVersion), VerifyError> {
        let list = &subscription.list;
        let proof = Proof::read(&format!("the stored proof of {list}"), proof)?;
        let at = proof.accepted_at;
        let mut chain = self.chain_at_root(proof.root)?;
        chain.take_timestamp(proof.timestamp.as_bytes(), at)?;
        chain.take_snapshot(proof.snapshot.as_bytes(), at)?;
        chain.take_targets(proof.targets.as_bytes(), at)?;
        chain.take_delegated(&Scope::of_list(list), proof.role.as_bytes(), at)?;
        let state = chain.offer(list)?.newest;
        let text = Text::read(stored).map_err(|reason| VerifyError::Malformed {
            file: state.path.clone(),
            reason,
        })?;
        let text = state.check(text)?;
        let role = proof.role.as_bytes();
        let file = list_file(&self.repository, subscription, &chain, &state, role, text)?;
        let newest = self.stored.get(&subscription.name);
        if newest.is_none_or(|newest| state.version.rank() > newest.rank()) {
            let name = subscription.name.clone();
            self.stored.insert(name, state.version.clone());
            self.entries.insert(list.clone(), state.entries);
        }
        let floor = self.floors.lists.entry(list.clone()).or_default();
        if state.version.rank() > floor.rank() {
            *floor = state.version.clone();
        }
        Ok((file, state.version))
    }

    /// Forgets that a version of a list is stored, for it cannot be read any more: it is
    /// fetched again where it is the newest.
    pub fn forget_stored(&mut self, list: &str, rank: (u64, u64)) {
        self.stored
            .retain(|name, version| name != list || version.rank() != rank);
    }

    /// Follows the stored roots from the pinned one, as far as they verify. The floors know
    /// up to which root they go.
    fn follow_stored_roots(&mut self, files: &BTreeMap<String, Vec<u8>>) {
        loop {
            let file = next_root(&self.chain);
            let Some(bytes) = files.get(&file) else {
                break;
            };
            let before = self.chain.clone();
            match self.chain.take_root(&file, bytes) {
                Ok(()) => {
                    self.roots.push(bytes.clone());
                    // The floors were written before this root was: they fall as they would
                    // have, or a thief's floors would stand for ever.
                    if self.chain.set().root().version > self.floors.root
                        && before.online_keys() != self.chain.online_keys()
                    {
                        self.floors.drop_online();
                    }
                }
                Err(error) => {
                    self.set_damaged_aside(file, error);
                    break;
                }
            }
        }
    }

    /// Takes the held timestamp and snapshot again under the newest root, as of the time
    /// when they were accepted: expired, they still say what is too old.
    pub(super) fn replay(&mut self) {
        if let Some(held) = self.held.get("timestamp.json") {
            let mut taken = self.chain.take_timestamp(&held.bytes, held.accepted_at);
            // Where the last round ended after it wrote down when it accepted a newer one, and
            // before that one was written, ours may be expired by then: that is no damage.
            if let Err(VerifyError::Expired { expires, .. }) = taken
                && let Ok(before) = expires.checked_sub(SignedDuration::from_secs(1))
            {
                taken = self.chain.take_timestamp(&held.bytes, before);
            }
            if let Err(error) = taken {
                let file = "timestamp.json".to_owned();
                self.held.remove(&file);
                self.set_damaged_aside(file, error);
            }
        }
        if self.chain.set().timestamp().is_none() {
            return;
        }
        // A snapshot that is not the one named is no damage: the last round ended between.
        if let Some(held) = self.held.get("snapshot.json") {
            let _ = self.chain.take_snapshot(&held.bytes, held.accepted_at);
        }
    }

    /// Takes the terms that are kept, as far as they verify again; of each the copy where the
    /// file does not. Both are made whole by it.
    fn restore_terms(&mut self, files: &BTreeMap<String, Vec<u8>>) {
        let terms: BTreeSet<Term> = files
            .keys()
            .filter_map(|file| Term::of_file(file))
            .collect();
        for term in terms {
            let kept = [term.file(), term.copy()];
            for file in &kept {
                let Some(bytes) = files.get(file) else {
                    continue;
                };
                let restored = term.restore(bytes, |root| self.chain_at_root(root));
                match restored.and_then(|restored| self.restore_term(restored)) {
                    Ok(()) => {
                        let other = kept.iter().filter(|other| files.get(*other) != Some(bytes));
                        let writes = other.map(|other| Write::Put(other.clone(), bytes.clone()));
                        self.round.writes.extend(writes);
                        break;
                    }
                    Err(error) => self.set_damaged_aside(file.clone(), error),
                }
            }
        }
    }

    /// Takes a term that verified again.
    ///
    /// # Errors
    /// [`VerifyError::OlderWithdrawals`] than were accepted before.
    fn restore_term(&mut self, restored: (Said, String, String)) -> Result<(), VerifyError> {
        let (said, digest, role) = restored;
        match &said {
            Said::Policy(_) => self.floors.policy = true,
            Said::NeverBlock(_) => self.floors.never_block = true,
            Said::Withdrawn(file) => {
                let floor = self.floors.withdrawn.entry(file.list.clone());
                let floor = floor.or_insert(file.issued_at);
                if file.issued_at < *floor {
                    return Err(VerifyError::OlderWithdrawals {
                        list: file.list.clone(),
                        trusted: *floor,
                        offered: file.issued_at,
                    });
                }
                *floor = file.issued_at;
            }
        }
        self.terms.take(said, digest, role);
        Ok(())
    }

    /// Whether that is one of the roots from the pinned one on.
    fn has_root(&self, bytes: &[u8]) -> bool {
        self.roots.iter().any(|root| root == bytes)
    }

    /// The chain up to the root of that version.
    fn chain_at_root(&self, version: u64) -> Result<Chain, VerifyError> {
        let mut roots = self.roots.iter();
        let settings = Settings {
            root: roots.next().cloned().unwrap_or_default(),
            min_root_threshold: 1,
        };
        let mut chain = Chain::new(&settings)?;
        for bytes in roots {
            if chain.set().root().version >= version {
                break;
            }
            chain.take_root("root_history", bytes)?;
        }
        Ok(chain)
    }
}

/// The file of the root that follows upon the newest of a chain.
fn next_root(chain: &Chain) -> String {
    let version = chain.set().root().version.saturating_add(1);
    format!("root_history/{version}.root.json")
}

/// Whether a root is signed by itself, whoever pinned it.
fn is_signed_root(bytes: &[u8]) -> bool {
    Chain::new(&Settings {
        root: bytes.to_vec(),
        min_root_threshold: 1,
    })
    .is_ok()
}
