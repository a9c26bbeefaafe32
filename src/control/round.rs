//! [`Puller`]: one repository's source, trust and store, and the round that joins them:
//! fetch what is wanted from the mirrors in order, judge it, store it, until nothing is wanted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::policy::{Name, Withdrawal};
use crate::source::{
    self, Fetched, ListStates, Source, SourceError, Store, StoredState, Validator,
};
use crate::verify::{
    self, Answer, Cost, FLOORS, ListFile, ListVersion, NetChange, Place, REPLACED, Replacement,
    SignedPolicy, Subscription, TermChanges, TrustSummary, TrustedMetadata, Verdict, Verified,
    VerifyError, Wanted, Write,
};

/// Pulls the lists of one repository.
#[derive(Debug)]
pub struct Puller {
    source: Source,
    trusted: TrustedMetadata,
    /// What was trusted before the pinned root was replaced: what is in force stays provable
    /// by it until a version verifies under the new root, or the process ends.
    before: Option<TrustedMetadata>,
    store: Store,
    state: PathBuf,
    /// Where the trusted timestamp came from, so that the mirror can say "unchanged".
    seen: Option<Seen>,
    /// What could not be made durable yet; nothing new is fetched before it is.
    unwritten: Vec<Write>,
    /// The mirror that answered last; it is asked first.
    preferred: usize,
    /// The stored serials of each list that must stay, by its configured name.
    keep: BTreeMap<String, Vec<u64>>,
}

/// What a round brought.
#[derive(Debug, Default)]
pub struct Round {
    /// Why the round ended early; every list then stays as it is.
    pub error: Option<Arc<RoundError>>,
    /// What it brought for each list that was reached, by its configured name.
    pub lists: Vec<(String, ListOutcome)>,
    /// Every refusal by a mirror, also where the next mirror had what was wanted.
    pub refusals: Vec<Refusal>,
    /// What went wrong and cost nothing else, as with the role that withdraws: what was
    /// accepted last holds.
    pub noted: Vec<Arc<RoundError>>,
    /// What it changed of the terms that hold for lists.
    pub changes: TermChanges,
    /// How many files were asked for.
    pub requests: usize,
    /// How many octets came for them.
    pub octets: u64,
}

/// What a round brought for one list.
#[expect(
    clippy::large_enum_variant,
    reason = "one for each list and round, moved once"
)]
#[derive(Debug)]
pub enum ListOutcome {
    /// A newer version, verified.
    New {
        /// The list.
        file: Verified<ListFile>,
        /// Which version.
        version: ListVersion,
        /// How it differs from the stored version, where it was made of that one by steps.
        change: Option<NetChange>,
        /// Why it could not be stored; it may be enforced all the same, but the next start
        /// would begin with an older one.
        not_stored: Option<SourceError>,
    },
    /// The version in store is the newest.
    Unchanged,
    /// What is on offer is refused; the last good version stays.
    Refused(Arc<RoundError>),
}

/// What one mirror had that was not taken.
#[derive(Debug)]
pub struct Refusal {
    /// The mirror's address.
    pub mirror: String,
    /// Why.
    pub error: Arc<RoundError>,
}

/// Why a round, or a list in it, brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// No mirror gave the file.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What was given is not to be trusted.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// What was accepted cannot be stored, so that nothing more is taken.
    #[error("the state cannot be stored: {0}")]
    Store(#[source] SourceError),
}

/// A list as it was found on disk.
#[derive(Debug, Default)]
pub struct RestoredList {
    /// The newest version that verifies; nothing where none does.
    pub file: Option<(Verified<ListFile>, ListVersion)>,
    /// Why newer versions on disk do not.
    pub damaged: Vec<RoundError>,
}

/// Where the trusted timestamp came from.
#[derive(Debug)]
struct Seen {
    mirror: usize,
    validator: Validator,
    version: u64,
}

impl Puller {
    /// Opens the state of a repository and verifies it again from the pinned root.
    ///
    /// # Errors
    /// [`RoundError`] when the state folder cannot be used, the pinned root is none, or TLS
    /// cannot be set up.
    pub fn open(
        state: &Path,
        source: &source::Settings,
        verify: &verify::Settings,
    ) -> Result<Self, RoundError> {
        let store = Store::open(state, &source.repository).map_err(RoundError::Store)?;
        let mut files = store.read().map_err(RoundError::Store)?;
        if TrustedMetadata::is_replaced(verify, &files) {
            store
                .set_all_aside(&[REPLACED, FLOORS])
                .map_err(RoundError::Store)?;
            files = store.read().map_err(RoundError::Store)?;
        }
        let mut trusted = TrustedMetadata::restore(&source.repository, verify, &files)?;
        Ok(Self {
            source: Source::new(source)?,
            unwritten: trusted.take_writes(),
            trusted,
            before: None,
            store,
            state: state.to_owned(),
            seen: None,
            preferred: 0,
            keep: BTreeMap::new(),
        })
    }

    /// Takes over from `old`, where a person pinned another root in the place of the one that
    /// `old` trusts: what is in force stays so until a version verifies under the new root.
    pub fn succeed(&mut self, old: Self) {
        if self.trusted.replacement().is_some() {
            self.before = old.before.or(Some(old.trusted));
        }
    }

    /// Who pinned the present root by hand in another's place, and why.
    #[must_use]
    pub const fn replacement(&self) -> Option<&Replacement> {
        self.trusted.replacement()
    }

    /// Sets which stored serials of a list must stay, as those in force, held or pinned.
    pub fn keep(&mut self, list: &str, serials: Vec<u64>) {
        self.keep.insert(list.to_owned(), serials);
    }

    /// One stored version of a list, verified again; needs no network.
    ///
    /// # Errors
    /// [`RoundError`] where it is not there, or does not verify.
    pub fn restore_version(
        &mut self,
        subscription: &Subscription,
        seq: u64,
    ) -> Result<(Verified<ListFile>, ListVersion), RoundError> {
        let states =
            ListStates::open(&self.state, &subscription.name).map_err(RoundError::Store)?;
        self.restore_one(subscription, states.load(seq))
    }

    /// The last good version of a list on disk, verified again; needs no network. Called
    /// before the first round, it is what the node starts with; later it saves keeping the
    /// plaintext in memory.
    pub fn restore(&mut self, subscription: &Subscription) -> RestoredList {
        let mut restored = RestoredList::default();
        let states = match ListStates::open(&self.state, &subscription.name) {
            Ok(states) => states,
            Err(error) => {
                restored.damaged.push(RoundError::Store(error));
                return restored;
            }
        };
        for seq in states.serials() {
            match self.restore_one(subscription, states.load(seq)) {
                Ok(file) => {
                    restored.file = Some(file);
                    break;
                }
                Err(error) => restored.damaged.push(error),
            }
        }
        restored
    }

    /// What was found damaged when the state was opened, once.
    pub fn take_set_aside(&mut self) -> Vec<VerifyError> {
        self.trusted.take_set_aside()
    }

    /// What people want to know of the repository's trust.
    #[must_use]
    pub fn summary(&self) -> TrustSummary {
        self.trusted.summary()
    }

    /// What bounds the lists, as accepted last; nothing before the first policy.
    #[must_use]
    pub fn policy(&self) -> Option<&SignedPolicy> {
        self.trusted.policy()
    }

    /// The names that no list of the repository may block, as accepted last.
    #[must_use]
    pub const fn never_block(&self) -> &Arc<[Name]> {
        self.trusted.never_block()
    }

    /// What is withdrawn of a list, by the name the repository gives it, as accepted last;
    /// each item says itself until when it holds.
    #[must_use]
    pub fn withdrawals(&self, list: &str) -> &[Withdrawal] {
        self.trusted.withdrawals(list)
    }

    /// When what is withdrawn of a list was published, by the publisher's clock.
    #[must_use]
    pub fn withdrawn_at(&self, list: &str) -> Option<Timestamp> {
        self.trusted.withdrawn_at(list)
    }

    /// When the role of a list expires, by the name the repository gives it, as it was signed
    /// last: that may be renewed without a new version.
    #[must_use]
    pub fn role_expires(&self, list: &str) -> Option<Timestamp> {
        self.trusted.role_expires(list)
    }

    /// One round at `now`, for the subscribed lists.
    pub async fn round(&mut self, subscriptions: &[Subscription], now: Timestamp) -> Round {
        self.round_telling(subscriptions, now, &mut |_, _| {}).await
    }

    /// The same; `withdrawn` is told at once, before anything else is fetched, when something
    /// else is withdrawn of a list than before (trust.md section 7.7).
    pub async fn round_telling(
        &mut self,
        subscriptions: &[Subscription],
        now: Timestamp,
        withdrawn: &mut (dyn FnMut(&str, &[Withdrawal]) + Send),
    ) -> Round {
        let mut round = Round::default();
        if let Err(error) = self.flush() {
            round.error = Some(Arc::new(RoundError::Store(error)));
            return round;
        }
        self.trusted.begin(now, subscriptions);
        while let Some(wanted) = self.trusted.next() {
            let got = self.get(&wanted, &mut round).await;
            self.collect(&mut round);
            let failed = match got {
                Ok(()) => None,
                Err(error) if matches!(*error, RoundError::Store(_)) => Some(error),
                Err(error) => self.give_up(wanted, error, &mut round),
            };
            self.tell(&mut round, withdrawn);
            if let Some(error) = failed {
                round.error = Some(error);
                break;
            }
        }
        self.collect(&mut round);
        round
    }

    /// Gives up a file, and notes what that costs.
    ///
    /// # Errors
    /// Says why the round ends here, where it does.
    fn give_up(
        &mut self,
        wanted: Wanted,
        error: Arc<RoundError>,
        round: &mut Round,
    ) -> Option<Arc<RoundError>> {
        self.unwritten.extend(self.trusted.skip());
        match wanted.cost {
            Cost::List(list) => round.lists.push((list, ListOutcome::Refused(error))),
            Cost::Nothing => round.noted.push(error),
            Cost::Round => return Some(error),
        }
        let flushed = self.flush();
        flushed
            .err()
            .map(|error| Arc::new(RoundError::Store(error)))
    }

    /// Tells what else is withdrawn now.
    fn tell(&mut self, round: &mut Round, withdrawn: &mut (dyn FnMut(&str, &[Withdrawal]) + Send)) {
        let changes = self.trusted.take_changes();
        for list in &changes.withdrawn {
            withdrawn(list, self.trusted.withdrawals(list));
        }
        round.changes.policy |= changes.policy;
        round.changes.never_block |= changes.never_block;
        round.changes.withdrawn.extend(changes.withdrawn);
    }

    /// Gets one file from the first mirror that has it right.
    async fn get(&mut self, wanted: &Wanted, round: &mut Round) -> Result<(), Arc<RoundError>> {
        if let Place::Store { list, seq } = &wanted.place {
            return self.get_stored(list, *seq).map_err(Arc::new);
        }
        let count = self.source.mirror_count();
        let mut failed = None;
        let first = self.preferred;
        for mirror in (0..count).map(|step| (first + step) % count) {
            round.requests = round.requests.saturating_add(1);
            match self.get_from(mirror, wanted).await {
                Ok(octets) => {
                    round.octets = round.octets.saturating_add(octets);
                    self.preferred = mirror;
                    return self
                        .flush()
                        .map_err(|error| Arc::new(RoundError::Store(error)));
                }
                Err(error) => {
                    let mirror = self.source.address(mirror);
                    let error = Arc::new(error);
                    failed = Some(Arc::clone(&error));
                    round.refusals.push(Refusal { mirror, error });
                }
            }
        }
        Err(failed.unwrap_or_else(|| Arc::new(SourceError::Path(wanted.path.clone()).into())))
    }

    /// Gets one file from one mirror and has it judged; says how many octets it has.
    async fn get_from(&mut self, mirror: usize, wanted: &Wanted) -> Result<u64, RoundError> {
        let seen = self.seen.as_ref().filter(|seen| {
            seen.mirror == mirror && Some(seen.version) == wanted.unless_changed_since
        });
        let validator = seen.map(|seen| &seen.validator);
        let fetched = self
            .source
            .fetch(mirror, &wanted.path, wanted.octets_max, validator)
            .await?;
        let answer = match &fetched {
            Fetched::File(bytes, _) => Answer::File(bytes),
            Fetched::Absent => Answer::Absent,
            Fetched::Unchanged => Answer::Unchanged,
        };
        let octets = match answer {
            Answer::File(bytes) => bytes.len() as u64,
            Answer::Absent | Answer::Unchanged => 0,
        };
        self.unwritten.extend(self.trusted.feed(answer)?);
        if let Fetched::File(_, Some(validator)) = fetched
            && wanted.path == TIMESTAMP
            && let Some(version) = self.trusted.timestamp_version()
        {
            self.seen = Some(Seen {
                mirror,
                validator,
                version,
            });
        }
        Ok(octets)
    }

    /// Gets the stored plaintext of a list and has steps applied to it; where it cannot be
    /// read, there is another way.
    fn get_stored(&mut self, list: &str, seq: u64) -> Result<(), RoundError> {
        let stored = ListStates::open(&self.state, list).and_then(|states| states.load(seq));
        let answer = match &stored {
            Ok(stored) => Answer::File(&stored.plaintext),
            Err(_) => Answer::Absent,
        };
        self.unwritten.extend(self.trusted.feed(answer)?);
        drop(stored);
        self.flush().map_err(RoundError::Store)
    }

    /// Makes durable what was accepted, in its order.
    fn flush(&mut self) -> Result<(), SourceError> {
        while let Some(write) = self.unwritten.first() {
            match write {
                Write::Put(name, bytes) => self.store.put(name, bytes)?,
                Write::Remove(name) => self.store.remove(name)?,
            }
            self.unwritten.remove(0);
        }
        Ok(())
    }

    /// Takes what the round brought so far, and stores new versions.
    fn collect(&mut self, round: &mut Round) {
        for (list, verdict) in self.trusted.take_verdicts() {
            let outcome = match verdict {
                Verdict::New {
                    file,
                    version,
                    proof,
                    change,
                } => {
                    let keep = self.keep.get(&list).map_or(&[][..], Vec::as_slice);
                    let stored = ListStates::open(&self.state, &list).and_then(|states| {
                        states.save(version.seq, &file.get().bytes, &proof, keep)
                    });
                    ListOutcome::New {
                        file,
                        version,
                        change,
                        not_stored: stored.err(),
                    }
                }
                Verdict::Unchanged => ListOutcome::Unchanged,
                Verdict::Refused(error) => ListOutcome::Refused(Arc::new(error.into())),
            };
            round.lists.push((list, outcome));
        }
        let notes = self.trusted.take_notes().into_iter();
        round.noted.extend(notes.map(|note| Arc::new(note.into())));
    }

    /// Verifies one stored version again.
    fn restore_one(
        &mut self,
        subscription: &Subscription,
        stored: Result<StoredState, SourceError>,
    ) -> Result<(Verified<ListFile>, ListVersion), RoundError> {
        let StoredState {
            plaintext, proof, ..
        } = stored.map_err(RoundError::Store)?;
        let Some(before) = &mut self.before else {
            return Ok(self
                .trusted
                .verify_stored(subscription, &proof, plaintext)?);
        };
        let verified = self
            .trusted
            .verify_stored(subscription, &proof, plaintext.clone());
        verified
            .or_else(|_| before.verify_stored(subscription, &proof, plaintext))
            .map_err(RoundError::from)
    }
}

impl Round {
    /// The short name of what the round brought for a list, for metrics and `status`.
    #[must_use]
    pub fn outcome_of(&self, list: &str) -> &'static str {
        let found = self.lists.iter().find(|(name, _)| name == list);
        match (found, &self.error) {
            (Some((_, ListOutcome::New { .. })), _) => "new",
            (Some((_, ListOutcome::Unchanged)), _) => "unchanged",
            (Some((_, ListOutcome::Refused(error))), _) | (None, Some(error)) => error.outcome(),
            (None, None) => "not_asked",
        }
    }
}

impl RoundError {
    /// The stable short name, for metrics and `status`.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Source(error) => error.outcome(),
            Self::Verify(error) => error.outcome(),
            Self::Store(_) => "not_stored",
        }
    }

    /// Whether somebody may have tampered with what the mirror gave, rather than been late.
    #[must_use]
    pub const fn is_security(&self) -> bool {
        match self {
            Self::Source(_) | Self::Store(_) => false,
            Self::Verify(error) => !matches!(
                error,
                VerifyError::Expired { .. }
                    | VerifyError::Missing { .. }
                    | VerifyError::NotPublished { .. }
                    | VerifyError::FromTheFuture { .. }
                    | VerifyError::Unsupported { .. }
            ),
        }
    }
}

/// The one file that is asked for with a condition.
const TIMESTAMP: &str = "metadata/timestamp.json";
