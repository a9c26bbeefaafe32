//! What a round brought and refused, and how lists stand, as the report, the metrics and the log have it.

use std::time::Duration;

use jiff::Timestamp;

use crate::control::rounds::editions::Editions;
use crate::control::rounds::round::{ListOutcome, Round};
use crate::control::rulings::list_standing::ListStanding;
use crate::report::{
    AlarmKind, Failure, HeldVersion, Outcome, PinnedVersion, RejectedVersion, Severity,
};
use crate::verify::Subscription;

impl Editions {
    /// Takes note of what a round brought, and of what it refused.
    pub(crate) fn note_round(
        &self,
        repository: &str,
        subscriptions: &[Subscription],
        round: &Round,
        now: Timestamp,
        pause: Duration,
    ) {
        for refusal in &round.refusals {
            let (outcome, is_security) = (refusal.error.outcome(), refusal.error.is_security());
            self.metrics.refused(repository, outcome);
            if is_security {
                tracing::error!(repository, mirror = refusal.mirror, error = %refusal.error, outcome, "security event: a mirror's file is refused");
            } else {
                tracing::warn!(repository, mirror = refusal.mirror, error = %refusal.error, outcome, "a mirror's file is refused");
            }
        }
        if round.retries > 0 {
            self.metrics.retried(repository, round.retries);
            tracing::warn!(
                repository,
                retries = round.retries,
                "transfers broke off and were taken up again"
            );
        }
        let is_attacked = |list: &String| {
            round.refusals.iter().any(|refusal| {
                refusal.error.is_security() && refusal.list.as_ref().is_none_or(|of| of == list)
            })
        };
        for subscription in subscriptions {
            let list = &subscription.name;
            let found = round.lists.iter().find(|(name, _)| name == list);
            let error = match found {
                Some((_, ListOutcome::New { .. })) => {
                    self.updates.succeeded(list, Outcome::New, now);
                    None
                }
                Some((_, ListOutcome::Unchanged)) => {
                    self.updates.succeeded(list, Outcome::Unchanged, now);
                    None
                }
                Some((_, ListOutcome::Refused(error))) => Some(error),
                None => round.error.as_ref(),
            };
            if let Some(error) = error {
                let failure = Failure {
                    name: error.outcome(),
                    sentence: error.to_string(),
                    is_security: error.is_security(),
                };
                self.updates.failed(list, failure, now);
            } else if is_attacked(list) {
                // The next mirror was honest; that one was not is an event all the same.
                self.updates.attacked(list);
            }
            self.updates.due(list, now + pause);
        }
        self.note_evidence(repository, round, now);
    }

    /// Raises the alarm for two signed files of one version that differ.
    fn note_evidence(&self, repository: &str, round: &Round, now: Timestamp) {
        for evidence in &round.evidence {
            let sentence = format!(
                "repository {repository}: {} of version {} was signed twice with different contents; a key may be in the wrong hands. Both files are kept below repositories/{repository}/evidence in the state folder, where there is room for more of this role: ask the authority. This stands until the next start",
                evidence.file, evidence.version
            );
            tracing::error!(
                repository,
                file = evidence.file,
                version = evidence.version,
                "security event: {sentence}"
            );
            let about = format!("{repository}/{}", evidence.file);
            self.updates
                .alarms
                .raise(AlarmKind::KeyMisuse, &about, Severity::Alarm, sentence, now);
        }
    }

    /// Tells the report how a list stands.
    pub(crate) fn note_standing(&self, list: &str, standing: &ListStanding) {
        let held = standing.held.as_ref().map(|held| HeldVersion {
            version: held.version.to_string(),
            serial: held.version.serial(),
            since: held.since,
            guards: held
                .trips
                .iter()
                .map(|trip| (trip.guard.as_str(), trip.sentence.clone()))
                .collect(),
            before: held.difference.change.before,
            added: held.difference.change.added,
            removed: held.difference.change.removed,
            accepted: held.accepted.clone(),
        });
        let pinned = standing.pin.as_ref().map(|pin| PinnedVersion {
            version: pin.version.to_string(),
            left: pin.left.to_string(),
            since: pin.at,
        });
        let rejected = standing
            .rejection
            .as_ref()
            .map(|rejection| RejectedVersion {
                version: rejection.version.to_string(),
                since: rejection.at,
            });
        self.updates.note(list, |known| {
            known.held = held;
            known.rejected = rejected;
            known.pinned = pinned;
            known.guard_events = standing.guard_events;
        });
    }
}
