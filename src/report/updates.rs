//! [`Updates`]: how the update rounds of each list went; written by `control`, read here.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;

use super::Latencies;

/// How the update rounds of each configured list went. Kept in memory: it says how things
/// stand, and the timeline says how they were.
#[derive(Debug, Default)]
pub struct Updates {
    lists: RwLock<Vec<ListUpdates>>,
}

/// One configured list and its rounds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListUpdates {
    /// The list's name in the configuration.
    pub list: String,
    /// `readyz` is false until it is in force.
    pub required: bool,
    /// When it was last tried.
    pub last_attempt: Option<Timestamp>,
    /// When a try last succeeded, with a new version or without.
    pub last_success: Option<Timestamp>,
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
    /// The version that a person went back to.
    pub pinned: Option<PinnedVersion>,
    /// How often a guard tripped.
    pub guard_events: u64,
    /// When its role expires, as it was signed last: that may be renewed without a new
    /// version.
    pub role_expires: Option<Timestamp>,
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
}
