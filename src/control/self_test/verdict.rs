//! [`Verdict`]: what a self-test found, and whether it is a reason to roll back.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::plan::Plan;
use crate::report::{Probe, SelfTest, SelfTestFailure};

/// What a self-test found.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    /// The edition that was asked.
    pub(super) edition: u64,
    /// Whether every failure follows from the lists, without an answer.
    pub(super) is_decided: bool,
    /// Queries that were sent.
    pub(super) queries: u64,
    /// Requests that were sent.
    pub(super) requests: u64,
    /// What was tried.
    pub(super) probes: BTreeSet<Probe>,
    /// What went wrong.
    pub(super) failures: Vec<Failure>,
    /// Lists of which nothing can be asked, each with why.
    pub(super) untested: Vec<(String, &'static str)>,
}

/// One thing that went wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    /// What was tried.
    pub(super) probe: Probe,
    /// Whose fault it may be.
    pub(super) fault: Fault,
    /// The list that it is about.
    pub(super) list: Option<String>,
    /// The name that was asked for, without fresh labels.
    pub(super) subject: String,
    /// What happened and what to do.
    pub(super) sentence: String,
}

/// Whose fault it may be that something went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// The answer is not what the lists demand: a new version may have done it.
    Wrong,
    /// There was no answer. No list keeps a surface from answering, so that none is rolled
    /// back for it: a node under attack must still take what is new.
    Silent,
    /// An upstream resolver did not know; no list has to do with it.
    Upstream,
}

impl Verdict {
    /// The sentence on why the edition is to be taken back; nothing where it may stay. That
    /// needs an answer that is wrong now and was right by what was in force `before`: going
    /// back would mend nothing else.
    pub(super) fn reason_to_roll_back(&self, before: &Plan) -> Option<&str> {
        let is_reason =
            |failure: &&Failure| failure.fault == Fault::Wrong && before.was_well(failure);
        let reason = self.failures.iter().find(is_reason);
        reason.map(|failure| failure.sentence.as_str())
    }

    /// Leaves out the failures that `again` did not find: what is wrong is so twice.
    pub(super) fn confirm(mut self, again: Self) -> Self {
        self.failures.retain(|failure| {
            let same = |other: &Failure| {
                (other.probe, &other.subject) == (failure.probe, &failure.subject)
            };
            again.failures.iter().any(same)
        });
        self.queries += again.queries;
        self.requests += again.requests;
        self
    }

    /// What is shown of it.
    pub(super) fn shown(self, at: Timestamp) -> SelfTest {
        let asked = self.queries.saturating_add(self.requests);
        SelfTest {
            at,
            edition: self.edition,
            asked: usize::try_from(asked).unwrap_or(usize::MAX),
            probes: self.probes,
            failures: self
                .failures
                .into_iter()
                .map(|failure| SelfTestFailure {
                    probe: failure.probe,
                    list: failure.list,
                    subject: failure.subject,
                    sentence: failure.sentence,
                    since: at,
                })
                .collect(),
            untested: self.untested,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(probe: Probe, fault: Fault, subject: &str) -> Failure {
        Failure {
            probe,
            fault,
            list: None,
            subject: subject.into(),
            sentence: format!("{subject} is wrong."),
        }
    }

    fn verdict(failures: &[Failure]) -> Verdict {
        Verdict {
            failures: failures.to_vec(),
            queries: 2,
            ..Verdict::default()
        }
    }

    #[test]
    fn only_a_wrong_answer_is_a_reason_to_roll_back() {
        let before = Plan::default();
        let silent = failure(Probe::DnsBlock, Fault::Silent, "127.0.0.1:53");
        let upstream = failure(Probe::Upstream, Fault::Upstream, "works.test");
        let unlisted = verdict(&[silent.clone(), upstream.clone()]);
        assert_eq!(unlisted.reason_to_roll_back(&before), None);
        let wrong = failure(Probe::DnsPass, Fault::Wrong, "works.test");
        let wrong = verdict(&[silent, upstream, wrong]);
        let reason = wrong.reason_to_roll_back(&before);
        assert_eq!(reason, Some("works.test is wrong."));
        let before = Plan {
            failures: wrong.failures.clone(),
            ..Plan::default()
        };
        assert_eq!(wrong.reason_to_roll_back(&before), None);
    }

    #[test]
    fn what_is_wrong_is_so_twice() {
        let lost = failure(Probe::DnsBlock, Fault::Silent, "127.0.0.1:53");
        let wrong = failure(Probe::HttpBlock, Fault::Wrong, "a.canary.invalid");
        let first = verdict(&[lost, wrong.clone()]);
        let second = verdict(&[failure(Probe::DnsBlock, Fault::Silent, "[::1]:53"), wrong]);
        let confirmed = first.confirm(second);
        assert_eq!(confirmed.failures.len(), 1);
        let shown = confirmed.shown(Timestamp::UNIX_EPOCH);
        assert_eq!(shown.failures[0].subject, "a.canary.invalid");
        assert_eq!(shown.asked, 4);
    }
}
