//! [`Standing`]: raises and ends the alarms that a round speaks of: the clock, the disk, and
//! lists that are in memory alone.

use jiff::Timestamp;

use crate::control::rounds::clock_judge::ClockAlarm;
use crate::control::rounds::puller::Puller;
use crate::control::rounds::round::Round;
use crate::report::{AlarmKind, Severity, Updates};
use crate::verify::Subscription;

/// How a repository stands after a round at `now`.
#[derive(Debug)]
pub(crate) struct Standing<'a> {
    pub(crate) updates: &'a Updates,
    pub(crate) repository: &'a str,
    pub(crate) puller: &'a Puller,
    pub(crate) now: Timestamp,
}

impl Standing<'_> {
    /// Takes note of a round.
    pub(crate) fn after(&self, round: &Round, subscriptions: &[Subscription]) {
        let clock = ClockAlarm::of(round, self.puller.summary().issued_at, self.now);
        let clock = clock.map(|alarm| (alarm.severity, alarm.sentence));
        self.stand(AlarmKind::Clock, clock);

        let waiting = self.puller.not_persisted();
        let error = self.puller.disk_error();
        let lost = self.puller.lost_terms().join(" and ");
        let lost = (!lost.is_empty()).then(|| {
            let repository = self.repository;
            let sentence = format!(
                "{lost} below repositories/{repository} in the state folder can neither be read nor made good by its copy, so that lists may be in force beyond what it allows. Nothing new is taken until a mirror has it; look at the disk, and at the mirrors"
            );
            (Severity::Alarm, sentence)
        });
        let disk = error.map(|error| {
            let severity = match (waiting.is_empty(), &round.error) {
                (true, None) => Severity::Warning,
                _ => Severity::Alarm,
            };
            let sentence = format!(
                "the state cannot be stored: {error}; make room on the disk. Lists stay enforced, and it is tried again at every round"
            );
            (severity, sentence)
        });
        self.stand(AlarmKind::Disk, lost.or(disk));
        for subscription in subscriptions {
            let list = subscription.name.as_str();
            let waits = waiting.contains(&list);
            let why = waits.then(|| error.unwrap_or("the disk took nothing").to_owned());
            self.updates.persisted(list, why);
        }
    }

    /// Raises an alarm of the repository, or ends the one that stands.
    fn stand(&self, kind: AlarmKind, trouble: Option<(Severity, String)>) {
        let Self {
            updates,
            repository,
            now,
            ..
        } = self;
        match trouble {
            Some((severity, sentence)) => {
                let text = format!("repository {repository}: {sentence}");
                if updates.alarms.raise(kind, repository, severity, text, *now) {
                    tracing::error!(repository, alarm = kind.as_str(), "{sentence}");
                }
            }
            None if updates.alarms.clear(kind, repository) => {
                tracing::info!(repository, alarm = kind.as_str(), "the alarm is over");
            }
            None => {}
        }
    }
}
