//! A list whose role has expired: kept, or dropped where its signed policy says so.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::compile::{From, Settings};
use crate::control::rounds::lapsed::about;
use crate::control::rounds::puller::Puller;
use crate::control::rounds::update::Updater;
use crate::policy::{OnExpiry, Origin};
use crate::report::{AlarmKind, Severity};

impl Updater {
    /// The lists that are to be dropped at `now`, each with since when (`trust.md` section
    /// 7.8: `keep`, or `drop` after `drop_after`).
    pub(crate) fn expired(&self, now: Timestamp) -> BTreeMap<String, Timestamp> {
        let lists = self.config.lists.iter();
        let dropped = lists.filter_map(|settings| {
            if self.is_out(settings) {
                let since = self.dropped.get(&settings.name)?;
                return Some((settings.name.clone(), *since));
            }
            let expires = self.role_expires(settings)?;
            let since = drops_at(self.border(settings).bounds.on_expiry, expires)?;
            (since <= now).then(|| (settings.name.clone(), since))
        });
        dropped.collect()
    }

    /// Whether a round of its repository goes on: which roles hold is not settled then.
    fn is_out(&self, settings: &Settings) -> bool {
        let puller = self.repositories.of(settings);
        puller.is_some_and(Puller::is_out)
    }

    /// When the role of a list expires, as it was signed last.
    fn role_expires(&self, settings: &Settings) -> Option<Timestamp> {
        let From::Repository { list, .. } = &settings.from else {
            return None;
        };
        self.repositories.of(settings)?.role_expires(list)
    }

    /// Who vouches now for what is in force of a list.
    fn signers_now(&self, settings: &Settings) -> Option<Vec<String>> {
        let From::Repository { list, .. } = &settings.from else {
            return None;
        };
        let edition = self.editions.in_force.load();
        let mut lists = edition.blocklist.lists().iter();
        let compiled = lists.find(|compiled| compiled.settings.name == settings.name)?;
        let Origin::Signed { state, signers, .. } = &compiled.provenance.origin else {
            return None;
        };
        let puller = self.repositories.of(settings)?;
        puller.signers_now(list, state, signers)
    }

    /// Tells the report who vouches now for what is in force.
    pub(crate) fn tell_signers(&self) {
        for settings in self.config.lists.iter().filter(|of| !self.is_out(of)) {
            let signers = self.signers_now(settings);
            let updates = &self.editions.updates;
            updates.note(&settings.name, |known| known.signers = signers);
        }
    }

    /// Tells the report, and the log where it is news, what is dropped and what is not.
    pub(crate) fn tell_dropped(&self) {
        for settings in &self.config.lists {
            if self.is_out(settings) {
                continue;
            }
            let list = &settings.name;
            let (dropped, expires) = (self.dropped.get(list).copied(), self.role_expires(settings));
            self.editions.updates.note(list, |known| {
                known.role_expires = expires;
                known.dropped = dropped;
            });
            self.alarm_dropped(settings, dropped);
        }
    }

    /// Raises the alarm for a list that is dropped, or ends it.
    fn alarm_dropped(&self, settings: &Settings, dropped: Option<Timestamp>) {
        let From::Repository { repository, .. } = &settings.from else {
            return;
        };
        let (list, alarms) = (&settings.name, &self.editions.updates.alarms);
        let about = about(repository, list);
        let Some(since) = dropped else {
            if alarms.clear(AlarmKind::Dropped, &about) {
                tracing::info!(list, "the list is not dropped any more");
            }
            return;
        };
        let sentence = format!(
            "list {list} has expired and is not enforced any more: its signed policy says so. A version that verifies puts it in force again; ask the authority"
        );
        let (kind, severity) = (AlarmKind::Dropped, Severity::Alarm);
        if alarms.raise(kind, &about, severity, sentence.clone(), since) {
            tracing::error!("{sentence}");
        }
    }
}

/// When a list is dropped that expires then; nothing for one that is kept.
fn drops_at(on_expiry: OnExpiry, expires: Timestamp) -> Option<Timestamp> {
    match on_expiry {
        OnExpiry::Keep => None,
        OnExpiry::Drop(after) => expires.checked_add(after.min(DROP_AFTER_MAX)).ok(),
    }
}

/// The longest time after which a list is dropped: what is beyond is as good as never.
const DROP_AFTER_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_kept_unless_the_policy_drops_it() {
        let expires: Timestamp = "2026-11-24T06:00:00Z".parse().unwrap();
        assert_eq!(drops_at(OnExpiry::Keep, expires), None);
        let day = Duration::from_secs(86_400);
        let next: Timestamp = "2026-11-25T06:00:00Z".parse().unwrap();
        assert_eq!(drops_at(OnExpiry::Drop(day), expires), Some(next));
        assert!(drops_at(OnExpiry::Drop(Duration::MAX), expires).is_some());
    }
}
