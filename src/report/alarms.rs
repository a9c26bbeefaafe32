//! [`Alarms`]: what somebody should look at on this node, apart from its lists; written by
//! `control`, read here.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use jiff::Timestamp;

/// What is not as it should be at the moment. An alarm stands until what raised it is over.
#[derive(Debug, Default)]
pub struct Alarms {
    raised: RwLock<BTreeMap<(AlarmKind, String), Alarm>>,
}

/// One thing to look at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alarm {
    /// What it is about.
    pub kind: AlarmKind,
    /// How urgent it is.
    pub severity: Severity,
    /// What happened and what to do.
    pub sentence: String,
    /// Since when it stands.
    pub since: Timestamp,
}

/// What an alarm is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum AlarmKind {
    /// The clock of this machine, or the publisher's.
    Clock,
    /// What should be on disk is not.
    Disk,
    /// A list has expired and is not in force any more, as its signed policy says.
    Dropped,
    /// Somebody else may have a key of the authority.
    KeyMisuse,
    /// What people decided was damaged on disk, or changed by others, and is set aside.
    Decisions,
    /// The node does not answer itself as its lists demand.
    SelfTest,
    /// No upstream resolver knows a name that must work.
    Upstream,
    /// A withdrawal has ended, and its list still has the entry.
    Withdrawal,
}

/// How urgent it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Somebody should look when there is time.
    Warning,
    /// Somebody should look now.
    Alarm,
}

impl Alarms {
    /// Raises an alarm, or changes the one that stands; `about` keeps several of a kind apart,
    /// as by the repository. Says whether it is new.
    pub fn raise(
        &self,
        kind: AlarmKind,
        about: &str,
        severity: Severity,
        sentence: String,
        at: Timestamp,
    ) -> bool {
        let mut raised = self.raised.write().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, about.to_owned());
        let since = raised.get(&key).map(|alarm| alarm.since);
        let alarm = Alarm {
            kind,
            severity,
            sentence,
            since: since.unwrap_or(at),
        };
        raised.insert(key, alarm);
        since.is_none()
    }

    /// Ends an alarm; says whether there was one.
    pub fn clear(&self, kind: AlarmKind, about: &str) -> bool {
        let mut raised = self.raised.write().unwrap_or_else(PoisonError::into_inner);
        raised.remove(&(kind, about.to_owned())).is_some()
    }

    /// Ends every alarm of which this does not hold, as of a repository that is gone.
    pub fn keep(&self, mut is_known: impl FnMut(AlarmKind, &str) -> bool) {
        let mut raised = self.raised.write().unwrap_or_else(PoisonError::into_inner);
        raised.retain(|(kind, about), _| is_known(*kind, about));
    }

    /// What stands, the most urgent first.
    #[must_use]
    pub fn all(&self) -> Vec<Alarm> {
        let raised = self.raised.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Alarm> = raised.values().cloned().collect();
        all.sort_by_key(|alarm| std::cmp::Reverse(alarm.severity));
        all
    }
}

impl AlarmKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Clock,
        Self::Decisions,
        Self::Disk,
        Self::Dropped,
        Self::KeyMisuse,
        Self::SelfTest,
        Self::Upstream,
        Self::Withdrawal,
    ];

    /// Whether it is about a repository, and not about the whole node.
    #[must_use]
    pub const fn is_of_repository(self) -> bool {
        !matches!(self, Self::Decisions | Self::SelfTest | Self::Upstream)
    }

    /// The word for it in metrics and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Decisions => "decisions",
            Self::Disk => "disk",
            Self::Dropped => "dropped",
            Self::KeyMisuse => "key_misuse",
            Self::SelfTest => "self_test",
            Self::Upstream => "upstream",
            Self::Withdrawal => "withdrawal",
        }
    }
}

impl Severity {
    /// Every severity.
    pub const ALL: [Self; 2] = [Self::Warning, Self::Alarm];

    /// The word for it in metrics and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Alarm => "alarm",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_stands_from_when_it_was_raised_until_it_is_over() {
        let at = |minute: u32| {
            let text = format!("2026-11-24T08:{minute:02}:00Z");
            text.parse::<Timestamp>().unwrap()
        };
        let alarms = Alarms::default();
        let raise = |severity, sentence: &str, minute| {
            alarms.raise(AlarmKind::Clock, "", severity, sentence.into(), at(minute))
        };
        assert!(raise(Severity::Warning, "late", 1));
        assert!(!raise(Severity::Alarm, "very late", 2));
        alarms.raise(
            AlarmKind::Disk,
            "r",
            Severity::Warning,
            "full".into(),
            at(3),
        );
        let all = alarms.all();
        assert_eq!((all.len(), all[0].since), (2, at(1)));
        assert_eq!(all[0].sentence, "very late");
        assert!(alarms.clear(AlarmKind::Clock, "") && !alarms.clear(AlarmKind::Clock, ""));
        assert!(!alarms.clear(AlarmKind::Disk, "other"));
        assert_eq!(alarms.all().len(), 1);
        alarms.keep(|_, about| about == "r");
        assert_eq!(alarms.all().len(), 1);
        alarms.keep(|_, about| about != "r");
        assert!(alarms.all().is_empty());
    }
}
