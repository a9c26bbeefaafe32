//! [`SelfTests`]: how the node's last test of itself went; written by `control`, read here.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use jiff::Timestamp;

/// How the node's last test of itself went; nothing before the first.
#[derive(Debug, Default)]
pub struct SelfTests {
    last: RwLock<Option<SelfTest>>,
}

/// One test that the node made of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SelfTest {
    /// When it ended.
    pub at: Timestamp,
    /// The edition that was tested.
    pub edition: u64,
    /// How many questions were asked.
    pub asked: usize,
    /// What was tested.
    pub probes: BTreeSet<Probe>,
    /// What went wrong; nothing where all is well.
    pub failures: Vec<SelfTestFailure>,
    /// Lists of which nothing can be asked, each with why.
    pub untested: Vec<(String, &'static str)>,
}

/// One thing that a self-test found wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SelfTestFailure {
    /// What was tested.
    pub probe: Probe,
    /// The list that it is about, by its name in the configuration.
    pub list: Option<String>,
    /// What was asked about: with the probe, what tells failures apart.
    pub subject: String,
    /// What happened and what to do.
    pub sentence: String,
    /// The first of the tests without a break that found it.
    pub since: Timestamp,
}

/// What a self-test asks.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Probe {
    /// Whether the lists' test entries are blocked over DNS.
    DnsBlock,
    /// Whether they are blocked at the stop page's server.
    HttpBlock,
    /// Whether they are blocked at the forward proxy.
    ProxyBlock,
    /// Whether protected names and the node's own pass by what the lists say.
    DecidedPass,
    /// Whether names that must work pass over DNS.
    DnsPass,
    /// Whether an upstream resolver knows the names that must work.
    Upstream,
}

impl SelfTests {
    /// Keeps a test, and for each failure since when it is there.
    pub fn note(&self, mut test: SelfTest) {
        let mut last = self.last.write().unwrap_or_else(PoisonError::into_inner);
        let before = last.as_ref().map_or(&[][..], |before| &before.failures);
        for failure in &mut test.failures {
            let same = |before: &&SelfTestFailure| {
                (before.probe, &before.subject) == (failure.probe, &failure.subject)
            };
            if let Some(before) = before.iter().find(same) {
                failure.since = before.since;
            }
        }
        *last = Some(test);
    }

    /// The last test.
    #[must_use]
    pub fn last(&self) -> Option<SelfTest> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }
}

impl SelfTest {
    /// Whether all is well.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// What went wrong, each cause once, with the probes that it fails.
    #[must_use]
    pub fn causes(&self) -> Vec<(Vec<Probe>, &SelfTestFailure)> {
        let mut causes: Vec<(Vec<Probe>, &SelfTestFailure)> = Vec::new();
        for failure in &self.failures {
            let mut known = causes.iter_mut();
            match known.find(|(_, known)| known.sentence == failure.sentence) {
                Some((probes, _)) if probes.contains(&failure.probe) => {}
                Some((probes, _)) => probes.push(failure.probe),
                None => causes.push((vec![failure.probe], failure)),
            }
        }
        causes
    }

    /// How a probe went: nothing where it was not tried.
    #[must_use]
    pub fn outcome(&self, probe: Probe) -> Option<bool> {
        let failed = self.failures.iter().any(|failure| failure.probe == probe);
        (failed || self.probes.contains(&probe)).then_some(!failed)
    }
}

impl Probe {
    /// Every probe.
    pub const ALL: [Self; 6] = [
        Self::DnsBlock,
        Self::HttpBlock,
        Self::ProxyBlock,
        Self::DecidedPass,
        Self::DnsPass,
        Self::Upstream,
    ];

    /// Its word in `cordon_self_test{probe}` and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DnsBlock => "dns_block",
            Self::HttpBlock => "http_block",
            Self::ProxyBlock => "proxy_block",
            Self::DecidedPass => "decided_pass",
            Self::DnsPass => "dns_pass",
            Self::Upstream => "upstream",
        }
    }

    /// What it says, for people.
    #[must_use]
    pub const fn claim(self) -> &'static str {
        match self {
            Self::DnsBlock => "Test entries are blocked over DNS",
            Self::HttpBlock => "Test entries get the stop page",
            Self::ProxyBlock => "Test entries are blocked at the proxy",
            Self::DecidedPass => "Protected and own names pass",
            Self::DnsPass => "Names that must work pass over DNS",
            Self::Upstream => "Names that must work resolve",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(minute: u32, failures: &[(Probe, &str)]) -> SelfTest {
        let at: Timestamp = format!("2026-11-24T08:{minute:02}:00Z").parse().unwrap();
        SelfTest {
            at,
            edition: 1,
            asked: 3,
            probes: [Probe::DnsBlock].into(),
            failures: failures
                .iter()
                .map(|(probe, subject)| SelfTestFailure {
                    probe: *probe,
                    list: None,
                    subject: (*subject).to_owned(),
                    sentence: format!("found at {at}"),
                    since: at,
                })
                .collect(),
            untested: Vec::new(),
        }
    }

    #[test]
    fn a_failure_that_lasts_keeps_its_beginning() {
        let tests = SelfTests::default();
        assert_eq!(tests.last(), None);
        tests.note(test(1, &[(Probe::DnsBlock, "a.test")]));
        tests.note(test(
            2,
            &[(Probe::DnsBlock, "a.test"), (Probe::Upstream, "a.test")],
        ));
        let last = tests.last().unwrap();
        let since: Vec<String> = last.failures.iter().map(|f| f.since.to_string()).collect();
        assert_eq!(since, ["2026-11-24T08:01:00Z", "2026-11-24T08:02:00Z"]);
        tests.note(test(3, &[]));
        tests.note(test(4, &[(Probe::DnsBlock, "a.test")]));
        let since = tests.last().unwrap().failures[0].since;
        assert_eq!(since.to_string(), "2026-11-24T08:04:00Z");
    }

    #[test]
    fn what_has_one_cause_is_said_once() {
        let failures = [
            (Probe::DnsBlock, "a.test"),
            (Probe::HttpBlock, "a.test"),
            (Probe::HttpBlock, "b.test"),
        ];
        let mut test = test(1, &failures);
        let mut cause = |sentences: [&str; 3], expected: &[&[Probe]]| {
            for (failure, sentence) in test.failures.iter_mut().zip(sentences) {
                failure.sentence = sentence.into();
            }
            let found = test.causes().into_iter().map(|(probes, _)| probes);
            assert_eq!(found.collect::<Vec<_>>(), expected);
        };
        let [dns, http] = [Probe::DnsBlock, Probe::HttpBlock];
        cause(["x", "x", "x"], &[&[dns, http]]);
        cause(["x", "x", "y"], &[&[dns, http], &[http]]);
        cause(["x", "y", "x"], &[&[dns, http], &[http]]);
    }

    #[test]
    fn a_probe_that_was_not_tried_is_neither_well_nor_wrong() {
        let test = test(1, &[(Probe::Upstream, "a.test")]);
        assert_eq!(test.outcome(Probe::DnsBlock), Some(true));
        assert_eq!(test.outcome(Probe::Upstream), Some(false));
        assert_eq!(test.outcome(Probe::ProxyBlock), None);
        assert!(!test.passed());
    }
}
