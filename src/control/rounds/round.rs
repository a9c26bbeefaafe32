//! [`Round`]: what a round brought, and why it brought nothing.

use std::sync::Arc;

use jiff::Timestamp;

use crate::source::SourceError;
use crate::verify::{
    Evidence, ListFile, ListVersion, NetChange, TermChanges, Verified, VerifyError,
};

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
    /// How often a transfer that broke off was taken up again.
    pub retries: u64,
    /// What time it was at the mirror that answered last, by its own word: a hint alone.
    pub date: Option<Timestamp>,
    /// Files of one version that differ, and that were not met before.
    pub evidence: Vec<Evidence>,
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
    /// The list that it concerns, by its configured name; nothing for what all depend on.
    pub list: Option<String>,
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
    /// What was accepted cannot be stored, so that nothing more is taken; or read again.
    #[error("the state cannot be read or stored: {0}")]
    Store(#[source] SourceError),
    /// The clock stands before this version was made: no expiry could be judged.
    #[error(
        "the clock of this machine says {now}, which is before this version of cordon was made; stored lists stay enforced, and nothing new is accepted until the clock is right: does NTP run?"
    )]
    Clock {
        /// What the clock says.
        now: Timestamp,
    },
}

/// A list as it was found on disk.
#[derive(Debug, Default)]
pub struct RestoredList {
    /// The newest version that verifies; nothing where none does.
    pub file: Option<(Verified<ListFile>, ListVersion)>,
    /// Why newer versions on disk do not.
    pub damaged: Vec<RoundError>,
    /// The serial that was accepted last, where what is on disk is older: it was never stored,
    /// or is damaged.
    pub accepted: Option<u64>,
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
            Self::Clock { .. } => "clock",
        }
    }

    /// Whether somebody may have tampered with what the mirror gave, rather than been late.
    #[must_use]
    pub const fn is_security(&self) -> bool {
        match self {
            Self::Source(_) | Self::Store(_) | Self::Clock { .. } => false,
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
