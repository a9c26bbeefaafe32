//! [`Puller`]: one repository's source, trust and store, and what a round of it brings:
//! fetch what is wanted from the mirrors in order, judge it, store it, until nothing is wanted.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::control::rounds::keeper::Keeper;
use crate::control::rounds::pulling::{Asked, Budgets};
use crate::control::rounds::round::{RestoredList, RoundError};
use crate::policy::{Name, Withdrawal};
use crate::source::{self, Source, SourceError, StateRank, StoredState, Validator};
use crate::verify::{
    self, FLOORS, ListFile, ListVersion, REPLACED, Replacement, SetAside, SignedPolicy,
    Subscription, TrustSummary, TrustedMetadata, Verified, VerifyError,
};

/// Pulls the lists of one repository.
#[derive(Debug)]
pub struct Puller {
    /// Nothing while it is out on an errand.
    pub(super) source: Option<Source>,
    /// What the round that goes on waits for.
    pub(super) asked: Option<Asked>,
    pub(super) budgets: Budgets,
    pub(super) trusted: TrustedMetadata,
    /// What was trusted before the pinned root was replaced: what is in force stays provable
    /// by it until a version verifies under the new root, or the process ends.
    before: Option<TrustedMetadata>,
    /// Whose terms hold until those of the new root are taken, for what bounds and spares goes
    /// only together with the lists that are still in force.
    pub(super) terms_before: Option<TrustedMetadata>,
    pub(super) keeper: Keeper,
    /// Where the trusted timestamp came from, so that the mirror can say "unchanged".
    pub(super) seen: Option<Seen>,
    /// The mirror that answered last; it is asked first.
    pub(super) preferred: usize,
    /// The lists of which something else is withdrawn, and nobody was told yet.
    pub(super) withdrawn: Vec<String>,
}

/// Where the trusted timestamp came from.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) mirror: usize,
    pub(super) validator: Validator,
    pub(super) version: u64,
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
        let mut keeper = Keeper::open(state, &source.repository).map_err(RoundError::Store)?;
        let mut files = keeper.read().map_err(RoundError::Store)?;
        if TrustedMetadata::is_replaced(verify, &files) {
            keeper
                .set_all_aside(&[REPLACED, FLOORS])
                .map_err(RoundError::Store)?;
            files = keeper.read().map_err(RoundError::Store)?;
        }
        let mut trusted = TrustedMetadata::restore(&source.repository, verify, &files)?;
        keeper.later(trusted.take_writes());
        Ok(Self {
            source: Some(Source::new(source)?),
            asked: None,
            budgets: Budgets::default(),
            trusted,
            before: None,
            terms_before: None,
            keeper,
            seen: None,
            preferred: 0,
            withdrawn: Vec::new(),
        })
    }

    /// Sets how long mirrors may keep a round waiting.
    pub const fn set_budgets(&mut self, budgets: Budgets) {
        self.budgets = budgets;
    }

    /// Takes over from `old`, where a person pinned another root in the place of the one that
    /// `old` trusts: what is in force stays so until a version verifies under the new root, and
    /// within the old terms until the new ones are taken.
    pub fn succeed(&mut self, old: &Self) {
        if self.trusted.replacement().is_some() {
            self.before = Some(old.before.as_ref().unwrap_or(&old.trusted).clone());
            self.terms_before = Some(old.terms().clone());
        }
    }

    /// Who pinned the present root by hand in another's place, and why.
    #[must_use]
    pub const fn replacement(&self) -> Option<&Replacement> {
        self.trusted.replacement()
    }

    /// Sets aside what was found damaged when the state was opened, and returns it. To be
    /// called once, by whoever alone writes to the state folder.
    pub fn mend(&mut self) -> Vec<SetAside> {
        let damaged = self.trusted.take_set_aside();
        let files: Vec<&str> = damaged.iter().map(|aside| aside.file.as_str()).collect();
        self.keeper.mend(&files, self.trusted.own_files());
        damaged
    }

    /// Sets which stored serials of a list must stay, as those in force, held or pinned.
    pub fn keep(&mut self, list: &str, serials: Vec<StateRank>) {
        self.keeper.keep(list, serials);
    }

    /// One stored version of a list, verified again; needs no network. One that is damaged is
    /// set aside by whoever alone writes to the state folder.
    ///
    /// # Errors
    /// [`RoundError`] where it is not there, or does not verify.
    pub fn restore_version(
        &mut self,
        subscription: &Subscription,
        rank: StateRank,
    ) -> Result<(Verified<ListFile>, ListVersion), RoundError> {
        let waiting = self.keeper.unsaved(&subscription.name);
        if let Some(unsaved) = waiting.filter(|(_, version)| version.rank() == rank) {
            return Ok(unsaved);
        }
        let states = self
            .keeper
            .states(subscription)
            .map_err(RoundError::Store)?;
        let restored = self.restore_one(subscription, states.load(rank));
        if restored.is_err() {
            self.trusted.forget_stored(&subscription.name, rank);
        }
        if let Err(error) = &restored
            && self.keeper.is_owner()
            && is_damage(error, &subscription.list)
        {
            // One that cannot be set aside is passed over at the next start again.
            let _ = states.set_aside(rank);
        }
        restored
    }

    /// The serial of a list that was accepted last, where it is above `found`: what is on disk
    /// is older then, for it was never stored, or is damaged.
    #[must_use]
    pub fn accepted_beyond(&self, list: &str, found: Option<StateRank>) -> Option<u64> {
        let floor = self.trusted.floor_of(list)?;
        (Some(floor.rank()) > found).then_some(floor.seq)
    }

    /// The last good version of a list on disk, verified again; needs no network. Called
    /// before the first round, it is what the node starts with; later it saves keeping the
    /// text in memory.
    pub fn restore(&mut self, subscription: &Subscription) -> RestoredList {
        let mut restored = RestoredList::default();
        if let Some(unsaved) = self.keeper.unsaved(&subscription.name) {
            restored.file = Some(unsaved);
            return restored;
        }
        let states = match self.keeper.states(subscription) {
            Ok(states) => states,
            Err(error) => {
                restored.damaged.push(RoundError::Store(error));
                return restored;
            }
        };
        let damage = states.damage_of_current().map(RoundError::Store);
        restored.damaged.extend(damage);
        for rank in states.serials() {
            match self.restore_version(subscription, rank) {
                Ok(file) => {
                    restored.file = Some(file);
                    break;
                }
                Err(error) => restored.damaged.push(error),
            }
        }
        let found = restored.file.as_ref().map(|(_, version)| version.rank());
        restored.accepted = self.accepted_beyond(&subscription.list, found);
        restored
    }

    /// The lists whose newest version is in memory alone: the next start would begin with an
    /// older one.
    #[must_use]
    pub fn not_persisted(&self) -> Vec<&str> {
        self.keeper.unsaved_lists()
    }

    /// Why not everything is on disk, or why its reserve is gone; nothing while all is well.
    #[must_use]
    pub fn disk_error(&self) -> Option<&str> {
        self.keeper.error()
    }

    /// What people want to know of the repository's trust.
    #[must_use]
    pub fn summary(&self) -> TrustSummary {
        self.trusted.summary()
    }

    /// What bounds the lists, as accepted last; nothing before the first policy.
    #[must_use]
    pub fn policy(&self) -> Option<&SignedPolicy> {
        self.terms().policy()
    }

    /// The files of what bounds its lists that was accepted, and is lost with its copy.
    #[must_use]
    pub fn lost_terms(&self) -> Vec<String> {
        self.trusted.lost_terms()
    }

    /// The names that no list of the repository may block, as accepted last.
    #[must_use]
    pub fn never_block(&self) -> &Arc<[Name]> {
        self.terms().never_block()
    }

    /// What is withdrawn of a list, by the name the repository gives it, as accepted last;
    /// each item says itself until when it holds.
    #[must_use]
    pub fn withdrawals(&self, list: &str) -> &[Withdrawal] {
        self.terms().withdrawals(list)
    }

    /// When what is withdrawn of a list was published, by the publisher's clock.
    #[must_use]
    pub fn withdrawn_at(&self, list: &str) -> Option<Timestamp> {
        self.terms().withdrawn_at(list)
    }

    /// When the role of a list expires, by the name the repository gives it, as it was signed
    /// last: that may be renewed without a new version.
    #[must_use]
    pub fn role_expires(&self, list: &str) -> Option<Timestamp> {
        self.trusted.role_expires(list)
    }

    /// Who vouches now for a version of a list that these signed when it came.
    #[must_use]
    pub fn signers_now(&self, list: &str, state: &str, signers: &[String]) -> Option<Vec<String>> {
        self.trusted.signers_now(list, state, signers)
    }

    /// Whose terms hold.
    fn terms(&self) -> &TrustedMetadata {
        self.terms_before.as_ref().unwrap_or(&self.trusted)
    }

    /// Verifies one stored version again.
    fn restore_one(
        &mut self,
        subscription: &Subscription,
        stored: Result<StoredState, SourceError>,
    ) -> Result<(Verified<ListFile>, ListVersion), RoundError> {
        let StoredState { text, proof, .. } = stored.map_err(RoundError::Store)?;
        let verified = self.trusted.verify_stored(subscription, &proof, &text);
        let verified = match (verified, &mut self.before) {
            (Err(_), Some(before)) => before.verify_stored(subscription, &proof, &text),
            (verified, _) => verified,
        };
        Ok(verified?)
    }
}

/// Whether a stored version is damaged whoever looks at it, and not merely foreign to the
/// root or list that the configuration names now: a slip of the pen must lose nothing.
fn is_damage(error: &RoundError, list: &str) -> bool {
    match error {
        RoundError::Verify(
            VerifyError::HashMismatch { file, .. } | VerifyError::Malformed { file, .. },
        ) => {
            let target = file.strip_prefix(list);
            target.is_some_and(|name| name.starts_with('/'))
                || *file == format!("the stored proof of {list}")
        }
        _ => false,
    }
}
