//! [`SelfTestTile`]: the node's last test of itself, as the overview shows it.

use super::pages::{Status, When};
use super::words;
use crate::report::{Probe, SelfTest};

/// The node's last test of itself.
pub(super) struct SelfTestTile {
    /// Whether all is well.
    pub(super) status: Status,
    /// When it ended.
    pub(super) at: When,
    /// How many questions were asked.
    pub(super) asked: String,
    /// Of each probe that was tried whether its claim holds, and the claim.
    pub(super) probes: Vec<(bool, &'static str)>,
    /// What claims do not hold, why, and since when.
    pub(super) failures: Vec<(String, String, When)>,
    /// Lists of which nothing can be asked, each with why.
    pub(super) untested: Vec<(String, &'static str)>,
}

impl SelfTestTile {
    /// The tile of a test.
    pub(super) fn new(test: &SelfTest) -> Self {
        let outcome = |probe: Probe| Some((test.outcome(probe)?, probe.claim()));
        let failures = test.causes().into_iter().map(|(probes, failure)| {
            let claims: Vec<&str> = probes.into_iter().map(Probe::claim).collect();
            let sentence = failure.sentence.clone();
            (claims.join("; "), sentence, When::new(failure.since))
        });
        Self {
            status: if test.passed() {
                Status {
                    class: "good",
                    word: "Passed",
                }
            } else {
                Status {
                    class: "missing",
                    word: "Failed",
                }
            },
            at: When::new(test.at),
            asked: words::number(test.asked as u64),
            probes: Probe::ALL.into_iter().filter_map(outcome).collect(),
            failures: failures.collect(),
            untested: test.untested.clone(),
        }
    }
}
