//! [`Editions`]: makes one edition after the other from the current lists, and tells all
//! who keep account of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::clock;
use super::round::{ListOutcome, Round};
use crate::compile::{self, Blocklist, Compiler};
use crate::config::Config;
use crate::count::{CountError, Counters, HitCounter};
use crate::enforce::{Edition, InForce, counted_rules, counted_rules_from};
use crate::policy::Origin;
use crate::report::{AlarmKind, Failure, Metrics, Outcome, Severity, Timeline, Updates};
use crate::verify::{ListFile, Subscription, Verified};

/// Makes one edition after the other.
#[derive(Debug)]
pub(super) struct Editions {
    /// The pointer.
    pub in_force: Arc<InForce>,
    /// The counters of all editions.
    pub counters: Arc<Counters>,
    /// Which edition was in force from when to when.
    pub timeline: Arc<Timeline>,
    /// What became of the rounds.
    pub updates: Arc<Updates>,
    /// Whether every required list is in force.
    pub ready: Arc<AtomicBool>,
    /// Editions that were replaced and may still be answering.
    pub retired: Mutex<Vec<Arc<Edition>>>,
    /// How long swaps take, and lists from their publication on.
    pub metrics: Metrics,
}

impl Editions {
    /// Compiles the lists of `config` in their order and puts them in force. `text` gives
    /// the current version of a list; a list without one is left out, and said.
    ///
    /// Entries begin and end by `now`.
    pub(super) fn put_in_force(
        &self,
        config: &Config,
        now: Timestamp,
        mut text: impl FnMut(&compile::Settings) -> Option<Verified<ListFile>>,
    ) {
        let begin = clock::instant();
        self.updates.configure(
            config
                .lists
                .iter()
                .map(|list| (list.name.as_str(), list.required)),
        );
        let mut compiler = Compiler::new(&config.protect, now);
        for settings in &config.lists {
            match text(settings) {
                Some(file) => compiler.add(settings, &file),
                None => tracing::info!(
                    list = settings.name,
                    "there is no version of this list yet; it is not in force"
                ),
            }
        }
        self.swap(config, compiler.finish(), begin);
    }

    /// Puts a blocklist in force; since `begin` it was in the making. Where it shares rules
    /// with the one in force, their counters are taken over.
    pub(super) fn swap(&self, config: &Config, blocklist: Blocklist, begin: Instant) {
        let counter = match self.counter(&blocklist) {
            Ok(counter) => counter,
            Err(error) => {
                tracing::error!(%error, "the hits of this edition cannot be kept on disk; they are counted in memory");
                HitCounter::in_memory(blocklist.rule_count())
            }
        };
        let number = self.in_force.load().number.saturating_add(1);
        let ready = is_ready(config, &blocklist);
        let edition = Edition {
            number,
            since: clock::timestamp(),
            blocklist,
            counter,
        };
        let retired = self.in_force.replace(edition);
        self.free_retired();
        self.ready.store(ready, Ordering::Release);
        let edition = self.in_force.load_full();
        if let Err(error) = self.timeline.in_force(&edition, edition.since) {
            tracing::error!(%error, "the timeline lacks this edition");
        }
        self.metrics.swapped(clock::instant().duration_since(begin));
        self.note_latency(&edition, &retired);
        self.retired().push(retired);
        tracing::info!(
            edition = number,
            lists = edition.blocklist.lists().len(),
            entries = edition.blocklist.rule_count(),
            quarantined = edition
                .blocklist
                .lists()
                .iter()
                .map(|list| list.rejected)
                .sum::<usize>(),
            ready,
            "in force"
        );
    }

    /// Frees the retired editions that no answer uses any more. It is done here and not by
    /// who drops the last one: freeing an index takes long enough to stall answers.
    pub(super) fn free_retired(&self) {
        self.retired()
            .retain(|edition| Arc::strong_count(edition) > 1);
    }

    fn retired(&self) -> MutexGuard<'_, Vec<Arc<Edition>>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes for each list that is newer than in the retired edition how long it took from
    /// its publication to now.
    fn note_latency(&self, edition: &Edition, retired: &Edition) {
        for list in edition.blocklist.lists() {
            let name = &list.settings.name;
            let Origin::Signed {
                seq,
                issued_at: Some(issued_at),
                ..
            } = list.provenance.origin
            else {
                continue;
            };
            let before = retired
                .blocklist
                .lists()
                .iter()
                .find(|before| before.settings.name == *name);
            // A start is no publication: what it finds on disk was in force before.
            let is_newer = before.is_some_and(|before| before.provenance.seq() != Some(seq));
            let took = edition
                .since
                .as_millisecond()
                .saturating_sub(issued_at.as_millisecond());
            if is_newer {
                self.metrics.enforced(
                    name,
                    Duration::from_millis(u64::try_from(took).unwrap_or(0)),
                );
            }
        }
    }

    fn counter(&self, blocklist: &Blocklist) -> Result<HitCounter, CountError> {
        let before = self.in_force.load_full();
        let shared = blocklist.shared_rules(&before.blocklist);
        if shared == blocklist.rule_count() && shared > 0 && !before.counter.is_in_memory() {
            return Ok(before.counter.clone());
        }
        let more = counted_rules_from(blocklist, shared);
        let beside = match shared {
            0 => None,
            _ => self
                .counters
                .counter_beside(&before.counter, shared, more)?,
        };
        let (counter, refused) = match beside {
            Some(beside) => beside,
            None => self.counters.counter(counted_rules(blocklist))?,
        };
        if let Some(error) = refused {
            tracing::error!(%error, "new entries are counted in memory until the disk takes them");
        }
        Ok(counter)
    }

    /// When an entry in force next begins or ends.
    #[must_use]
    pub(super) fn next_change(&self) -> Option<Timestamp> {
        self.in_force.load().blocklist.next_change()
    }

    /// Takes note of what a round brought, and of what it refused.
    pub(super) fn note_round(
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
                "repository {repository}: {} of version {} was signed twice with different contents; a key may be in the wrong hands. Both files are kept below repositories/{repository}/evidence in the state folder: ask the authority. This stands until the next start",
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

    /// Whether a list is in force.
    #[must_use]
    pub(super) fn is_in_force(&self, list: &str) -> bool {
        let edition = self.in_force.load();
        edition
            .blocklist
            .lists()
            .iter()
            .any(|compiled| compiled.settings.name == list)
    }

    /// Whether the last round of a list failed.
    #[must_use]
    pub(super) fn has_failed(&self, list: &str) -> bool {
        self.updates
            .lists()
            .iter()
            .any(|updates| updates.list == list && updates.failure.is_some())
    }

    /// One line on a list for who asked for a round.
    #[must_use]
    pub(super) fn sentence(&self, list: &str) -> String {
        let edition = self.in_force.load();
        let found = edition
            .blocklist
            .lists()
            .iter()
            .find(|compiled| compiled.settings.name == list);
        let in_force = found.map_or_else(
            || "not in force".to_owned(),
            |list| {
                let entries: usize = list.entries.iter().map(|(_, count)| count).sum();
                match list.provenance.seq() {
                    Some(seq) => format!("serial {seq} in force, {entries} entries"),
                    None => format!("in force, unsigned, {entries} entries"),
                }
            },
        );
        let failure = self
            .updates
            .lists()
            .into_iter()
            .find(|updates| updates.list == list);
        match failure.and_then(|updates| updates.failure) {
            Some(failure) => format!(
                "{list}: {in_force}; the last round failed ({}): {}",
                failure.name, failure.sentence
            ),
            None => format!("{list}: {in_force}"),
        }
    }
}

/// Whether every required list is in force.
fn is_ready(config: &Config, blocklist: &Blocklist) -> bool {
    let in_force = |name: &str| {
        blocklist
            .lists()
            .iter()
            .any(|list| list.settings.name == name)
    };
    config
        .lists
        .iter()
        .filter(|list| list.required)
        .all(|list| in_force(&list.name))
}
