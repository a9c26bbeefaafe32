//! [`ListTrouble`] and [`NodeTrouble`]: what `cordon status` says of what is wrong.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use crate::enforce::Edition;
use crate::report::{ListUpdates, STALE_ALARM, STALE_WARNING, Summary, Updates};

/// What is wrong with a list.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ListTrouble {
    /// For how long it is not known whether what is in force is the newest; nothing for a
    /// local list.
    stale_seconds: Option<i64>,
    /// The newest version is on disk; otherwise the next start begins with an older one.
    persisted: bool,
    /// Why it is not.
    not_persisted: Option<String>,
    /// The newest version asks for a newer cordon.
    upgrade_needed: bool,
}

/// What is wrong with the node.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NodeTrouble {
    /// As well as its worst list: good, degraded, missing.
    health: &'static str,
    alarms: Vec<AlarmShown>,
}

#[derive(Clone, Debug, Serialize)]
struct AlarmShown {
    name: &'static str,
    severity: &'static str,
    since: String,
    sentence: String,
}

impl ListTrouble {
    /// The trouble of a list at `now`.
    pub(crate) fn of(round: Option<&ListUpdates>, now: Timestamp) -> Self {
        let failure = round.and_then(|round| round.failure.as_ref());
        let not_persisted = round.and_then(|round| round.not_persisted.clone());
        Self {
            stale_seconds: round
                .and_then(|round| round.stale(now))
                .map(|stale| stale.as_secs()),
            persisted: not_persisted.is_none(),
            not_persisted,
            upgrade_needed: failure.is_some_and(|failure| failure.name == "unsupported"),
        }
    }

    /// A line for each.
    pub(crate) fn write(&self, text: &mut String) {
        if let Some(seconds) = self.stale_seconds
            && seconds >= STALE_WARNING.as_secs()
        {
            let word = if seconds >= STALE_ALARM.as_secs() {
                "STALE"
            } else {
                "stale"
            };
            let _ = writeln!(
                text,
                "  {word}: for {} min nobody knows whether this is the newest version",
                seconds / 60
            );
        }
        if let Some(why) = &self.not_persisted {
            let _ = writeln!(
                text,
                "  NOT PERSISTED: enforced from memory, and the next start would use an older version: {why}"
            );
        }
        if self.upgrade_needed {
            *text += "  UPGRADE NEEDED: the newest version can only be read by a newer cordon; the last one stays in force\n";
        }
    }
}

impl NodeTrouble {
    /// The trouble of a node at `now`.
    pub(crate) fn of(node: &str, edition: &Edition, updates: &Updates, now: Timestamp) -> Self {
        let alarms = updates.alarms.all();
        let shown = alarms.iter().map(|alarm| AlarmShown {
            name: alarm.kind.as_str(),
            severity: alarm.severity.as_str(),
            since: alarm.since.to_string(),
            sentence: alarm.sentence.clone(),
        });
        let shown = shown.collect();
        let summary = Summary::new(node, edition, &updates.lists(), now, &|_| true);
        Self {
            health: summary.with_alarms(alarms).health().as_str(),
            alarms: shown,
        }
    }

    /// The word for it beside "ready"; nothing while all is well.
    pub(crate) fn word(&self) -> &'static str {
        if self.health == "degraded" {
            ", DEGRADED"
        } else {
            ""
        }
    }

    /// A line for each alarm.
    pub(crate) fn write(&self, text: &mut String) {
        for alarm in &self.alarms {
            let _ = writeln!(
                text,
                "{} ({}): {}",
                alarm.severity.to_uppercase(),
                alarm.name,
                alarm.sentence
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Failure;

    fn check(round: ListUpdates, expected: &[&str]) {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let mut text = String::new();
        ListTrouble::of(Some(&round), now).write(&mut text);
        assert_eq!(text.lines().count(), expected.len(), "{text}");
        for (line, begin) in text.lines().zip(expected) {
            assert!(line.trim_start().starts_with(begin), "{line}");
        }
    }

    #[test]
    fn each_trouble_has_its_line() {
        let newest_at = |at: &str| ListUpdates {
            newest_at: Some(at.parse().unwrap()),
            ..ListUpdates::default()
        };
        check(ListUpdates::default(), &[]);
        check(newest_at("2026-11-24T11:30:00Z"), &[]);
        check(newest_at("2026-11-24T11:00:00Z"), &["stale: for 60 min"]);
        check(newest_at("2026-11-24T06:00:00Z"), &["STALE: for 360 min"]);
        let worse = ListUpdates {
            not_persisted: Some("No space left".into()),
            failure: Some(Failure {
                name: "unsupported",
                sentence: "is of format 2".into(),
                is_security: false,
            }),
            ..ListUpdates::default()
        };
        check(worse, &["NOT PERSISTED", "UPGRADE NEEDED"]);
    }
}
