//! [`Updates`]: how the update rounds of each list went; written by `control`, read here.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::{SignedDuration, Timestamp};

use super::{Alarms, Severity};

use super::Latencies;

/// How the update rounds of each configured list went. Kept in memory: it says how things
/// stand, and the timeline says how they were.
#[derive(Debug, Default)]
pub struct Updates {
    lists: RwLock<Vec<ListUpdates>>,
    /// What somebody should look at, apart from the lists.
    pub alarms: Alarms,
}

/// One configured list and its rounds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListUpdates {
    /// The list's name in the configuration.
    pub list: String,
    /// `readyz` is false until it is in force; not where it is dropped after that.
    pub required: bool,
    /// When it was last tried.
    pub last_attempt: Option<Timestamp>,
    /// When a try last succeeded, with a new version or without.
    pub last_success: Option<Timestamp>,
    /// When what is in force was last known to be the newest; nothing for a local list, and
    /// before it is known.
    pub newest_at: Option<Timestamp>,
    /// Why the newest version is not on disk, so that the next start would begin with an
    /// older one; nothing when it is.
    pub not_persisted: Option<String>,
    /// Why the last try failed; nothing when it succeeded.
    pub failure: Option<Failure>,
    /// When it will be tried again.
    pub next_attempt: Option<Timestamp>,
    /// Failures that may be an attack: a wrong signature, a rollback, a wrong digest.
    pub security_events: u64,
    /// Rounds by how they ended, since the start.
    pub rounds: BTreeMap<&'static str, u64>,
    /// The version that a guard holds back.
    pub held: Option<HeldVersion>,
    /// The version that a person rejected, while none that came later is in force.
    pub rejected: Option<RejectedVersion>,
    /// The version that a person went back to.
    pub pinned: Option<PinnedVersion>,
    /// How often a guard tripped.
    pub guard_events: u64,
    /// When its role expires, as it was signed last: that may be renewed without a new
    /// version.
    pub role_expires: Option<Timestamp>,
    /// Who vouches now for what is in force of it; nothing where that is not known.
    pub signers: Option<Vec<String>>,
    /// Since when it is dropped, because the signed policy says so of one that has expired.
    pub dropped: Option<Timestamp>,
    /// From the publication of a version to its being in force, since the start.
    pub enforce: Latencies,
    /// From the publication of a withdrawal to the entry's being let through, since the
    /// start.
    pub withdraw: Latencies,
}

/// A version that a guard holds back until somebody decides: counts, and no entry's value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeldVersion {
    /// What it is called, such as `serial 8`.
    pub version: String,
    /// Its serial; an unsigned list has none.
    pub serial: Option<u64>,
    /// Since when.
    pub since: Timestamp,
    /// The guards that it trips, each with a sentence.
    pub guards: Vec<(&'static str, String)>,
    /// Entries of the version in force.
    pub before: u64,
    /// Entries that it would add.
    pub added: u64,
    /// Entries that it would remove.
    pub removed: u64,
    /// Why the authority signed it all the same, in its words.
    pub accepted: Option<String>,
}

/// A version that a person rejected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RejectedVersion {
    /// What it is called.
    pub version: String,
    /// Since when.
    pub since: Timestamp,
}

/// A version that a person went back to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PinnedVersion {
    /// What it is called.
    pub version: String,
    /// What was in force before; a version above that ends it.
    pub left: String,
    /// Since when.
    pub since: Timestamp,
}

/// Why a round failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// The name of it: TUF's where it has one.
    pub name: &'static str,
    /// What happened and what to do, as a sentence.
    pub sentence: String,
    /// Whether it may be an attack.
    pub is_security: bool,
}

/// How a round ended well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// There is a new version, and it is in force.
    New,
    /// There is none.
    Unchanged,
}

impl Updates {
    /// Sets which lists are configured, in the operator's order, each with whether it is
    /// required. What is known of a list that stays is kept.
    pub fn configure<'a>(&self, lists: impl IntoIterator<Item = (&'a str, bool)>) {
        let mut known = self.write();
        let configured = lists.into_iter().map(|(list, required)| {
            let before = known.iter().find(|known| known.list == list).cloned();
            ListUpdates {
                list: list.to_owned(),
                required,
                ..before.unwrap_or_default()
            }
        });
        *known = configured.collect();
    }

    /// Notes a round that ended well.
    pub fn succeeded(&self, list: &str, outcome: Outcome, at: Timestamp) {
        self.change(list, |known| {
            known.last_attempt = Some(at);
            known.last_success = Some(at);
            known.newest_at = Some(at);
            known.failure = None;
            *known.rounds.entry(outcome.as_str()).or_default() += 1;
        });
    }

    /// Notes a round that failed.
    pub fn failed(&self, list: &str, failure: Failure, at: Timestamp) {
        self.change(list, |known| {
            known.last_attempt = Some(at);
            known.security_events += u64::from(failure.is_security);
            *known.rounds.entry(failure.name).or_default() += 1;
            known.failure = Some(failure);
        });
    }

    /// Notes when a list was last known to be the newest, before the first round.
    pub fn was_newest(&self, list: &str, at: Timestamp) {
        self.change(list, |known| {
            known.newest_at = known.newest_at.max(Some(at))
        });
    }

    /// Notes that a mirror had what may be an attack, though the next one was honest.
    pub fn attacked(&self, list: &str) {
        self.change(list, |known| known.security_events += 1);
    }

    /// Notes why the newest version of a list is not on disk, or that it is.
    pub fn persisted(&self, list: &str, why_not: Option<String>) {
        self.change(list, |known| known.not_persisted = why_not);
    }

    /// Notes when a list will be tried again.
    pub fn due(&self, list: &str, at: Timestamp) {
        self.change(list, |known| known.next_attempt = Some(at));
    }

    /// Changes what is known of how a list stands, beside its rounds.
    pub fn note(&self, list: &str, change: impl FnOnce(&mut ListUpdates)) {
        self.change(list, change);
    }

    /// What is known, in the operator's order.
    #[must_use]
    pub fn lists(&self) -> Vec<ListUpdates> {
        self.read().clone()
    }

    fn change(&self, list: &str, change: impl FnOnce(&mut ListUpdates)) {
        if let Some(known) = self.write().iter_mut().find(|known| known.list == list) {
            change(known);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<ListUpdates>> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<ListUpdates>> {
        self.lists.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldVersion {
    /// The word for it in a command: its serial, or what its digest begins with.
    #[must_use]
    pub fn word(&self) -> &str {
        self.version.rsplit(' ').next().unwrap_or(&self.version)
    }
}

impl ListUpdates {
    /// For how long it is not known whether what is in force is the newest; nothing for a
    /// local list.
    #[must_use]
    pub fn stale(&self, now: Timestamp) -> Option<SignedDuration> {
        let stale = now.duration_since(self.newest_at?);
        Some(stale.max(SignedDuration::ZERO))
    }

    /// How urgent that is.
    #[must_use]
    pub fn staleness(&self, now: Timestamp) -> Option<Severity> {
        match self.stale(now)? {
            stale if stale >= STALE_ALARM => Some(Severity::Alarm),
            stale if stale >= STALE_WARNING => Some(Severity::Warning),
            _ => None,
        }
    }
}

impl Outcome {
    /// The word for it in metrics and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Unchanged => "unchanged",
        }
    }
}

/// From how long on it is a warning that nobody knows whether a list is the newest.
pub const STALE_WARNING: SignedDuration = SignedDuration::from_hours(1);
/// From how long on it is an alarm.
pub const STALE_ALARM: SignedDuration = SignedDuration::from_hours(6);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u32) -> Timestamp {
        format!("2026-11-24T08:{minute:02}:00Z").parse().unwrap()
    }

    #[test]
    fn rounds_are_kept_by_list() {
        let updates = Updates::default();
        updates.configure([("a", true), ("b", false)]);
        updates.succeeded("a", Outcome::New, at(1));
        let failure = Failure {
            name: "rollback",
            sentence: "The mirror offers an older version.".into(),
            is_security: true,
        };
        updates.failed("a", failure.clone(), at(2));
        updates.due("a", at(3));
        updates.succeeded("unknown", Outcome::New, at(4));
        let lists = updates.lists();
        assert_eq!(lists.len(), 2);
        assert_eq!(lists[0].last_success, Some(at(1)));
        assert_eq!(lists[0].last_attempt, Some(at(2)));
        assert_eq!(lists[0].failure, Some(failure));
        assert_eq!(lists[0].security_events, 1);
        assert_eq!(lists[0].next_attempt, Some(at(3)));
        assert_eq!(lists[0].rounds, [("new", 1), ("rollback", 1)].into());

        updates.configure([("b", true), ("a", false)]);
        let lists = updates.lists();
        assert_eq!((lists[1].required, lists[1].security_events), (false, 1));
        updates.succeeded("a", Outcome::Unchanged, at(5));
        assert_eq!(updates.lists()[1].failure, None);
    }

    #[test]
    fn a_list_is_stale_from_its_last_good_round_on() {
        let updates = Updates::default();
        updates.configure([("a", true), ("local", false)]);
        updates.was_newest("a", at(5));
        updates.was_newest("a", at(1));
        let check = |hours: i64, expected| {
            let now = at(5) + SignedDuration::from_hours(hours);
            assert_eq!(updates.lists()[0].staleness(now), expected, "{hours} h");
        };
        check(0, None);
        check(1, Some(Severity::Warning));
        check(6, Some(Severity::Alarm));
        updates.succeeded(
            "a",
            Outcome::Unchanged,
            at(5) + SignedDuration::from_hours(6),
        );
        check(6, None);
        check(-1, None);
        assert_eq!(updates.lists()[1].stale(at(9)), None);
    }
}
