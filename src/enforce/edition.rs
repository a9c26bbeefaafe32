//! [`Edition`]: what is in force; [`InForce`]: the one pointer to it.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;

use crate::compile::{Blocklist, Mode};
use crate::count::{CountedRule, HitCounter};
use crate::policy::{Action, Decision, RuleId, Surface};

/// A blocklist in force with its counters. Immutable, replaced whole; one query or request
/// sees one edition.
#[derive(Debug)]
pub struct Edition {
    /// Rises by one with every edition of this node, over restarts.
    pub number: u64,
    /// Since when it is in force.
    pub since: Timestamp,
    /// The compiled lists.
    pub blocklist: Blocklist,
    /// Their counters.
    pub counter: HitCounter,
}

impl Edition {
    /// Counts what a decision hit. To be called once per answered query or request, before
    /// the answer is sent. A list's canary is never counted.
    pub fn count(&self, decision: &Decision, surface: Surface) {
        let acted = decision.act.iter().map(|(rule, _)| rule);
        for rule in acted.chain(&decision.monitored) {
            if !self.blocklist.is_canary(*rule) {
                self.counter.hit(*rule, surface);
            }
        }
    }
}

/// What the counters must know of each rule, in the order of their numbers; nothing for a
/// list's canary. It is walked more than once, and made anew each time.
pub fn counted_rules(
    blocklist: &Blocklist,
) -> impl Iterator<Item = Option<CountedRule<'_>>> + Clone {
    counted_rules_from(blocklist, 0)
}

/// The same without the first rules.
pub fn counted_rules_from(
    blocklist: &Blocklist,
    first: usize,
) -> impl Iterator<Item = Option<CountedRule<'_>>> + Clone {
    let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
    (number(first)..number(blocklist.rule_count())).map(|number| {
        let rule = blocklist.rule(RuleId(number))?;
        let watches = rule.list.settings.mode == Mode::Monitor;
        (!rule.canary).then_some(CountedRule {
            list: &rule.list.settings.name,
            entry_id: rule.entry_id,
            action: if watches {
                Action::Monitor
            } else {
                rule.action
            },
            category: rule.record.category,
            authority: &rule.record.authority,
        })
    })
}

/// The one pointer to the edition in force: all that the two planes share.
#[derive(Debug)]
pub struct InForce {
    edition: ArcSwap<Edition>,
}

impl InForce {
    /// Puts the first edition in force.
    #[must_use]
    pub fn new(edition: Edition) -> Self {
        Self {
            edition: ArcSwap::from_pointee(edition),
        }
    }

    /// The edition in force, for one query or request: no lock, no count.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Edition>> {
        self.edition.load()
    }

    /// The edition in force, to be kept for longer.
    #[must_use]
    pub fn load_full(&self) -> Arc<Edition> {
        self.edition.load_full()
    }

    /// Puts `edition` in force and returns the retired one.
    pub fn replace(&self, edition: Edition) -> Arc<Edition> {
        self.edition.swap(Arc::new(edition))
    }
}
