//! [`Blocklist`]: the compiled lists, and what they say about a name or URL.

use jiff::Timestamp;

use super::{Reject, Settings};
use crate::policy::{
    Action, CanonicalUrl, Decision, Kind, LegalRecord, Name, Provenance, RuleId, Trigger,
};

/// All lists in the operator's order, compiled into one index. Immutable; equals a linear
/// scan over its rules.
#[derive(Debug, Default)]
pub struct Blocklist {
    lists: Vec<CompiledList>,
}

/// One list of a blocklist.
#[derive(Clone, Debug)]
pub struct CompiledList {
    /// How it was read and what it may do.
    pub settings: Settings,
    /// Where it came from.
    pub provenance: Provenance,
    /// Its entries in force by kind, without the canary.
    pub entries: Vec<(Kind, usize)>,
    /// The rows that were left out, the first [`REJECTS_KEPT_MAX`] of them.
    pub rejects: Vec<Reject>,
    /// How many rows were left out.
    pub rejected: usize,
    /// Entries that are not in effect at the time of compiling.
    pub expired: usize,
}

/// What is known of one rule.
#[derive(Clone, Debug)]
pub struct RuleView<'a> {
    /// The rule's list.
    pub list: &'a CompiledList,
    /// The place of the list in the operator's order.
    pub list_index: usize,
    /// The entry's id.
    pub entry_id: &'a str,
    /// What it matches.
    pub trigger: Trigger,
    /// What it does, the list's override applied.
    pub action: Action,
    /// Its legal record.
    pub record: &'a LegalRecord,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Its row in the list's file.
    pub line: u32,
    /// The list's own test entry: enforced, never counted.
    pub canary: bool,
}

impl Blocklist {
    /// What the lists say about a name: over DNS, by CONNECT, by TLS server name.
    ///
    /// Protected names pass; then the first list of the operator's order decides, and in it
    /// the exact name, then the longest subtree.
    #[must_use]
    pub fn decide_name(&self, _name: &Name) -> Decision {
        Decision::default()
    }

    /// What the lists say about a URL: protected hosts pass; then the first list decides,
    /// and in it the exact URL, the longest prefix, the exact name, the longest subtree.
    #[must_use]
    pub fn decide_url(&self, _url: &CanonicalUrl) -> Decision {
        Decision::default()
    }

    /// Whether the operator protects this name.
    #[must_use]
    pub fn is_protected(&self, _name: &Name) -> bool {
        false
    }

    /// What is known of a rule; nothing for the number of another edition.
    #[must_use]
    pub fn rule(&self, _rule: RuleId) -> Option<RuleView<'_>> {
        None
    }

    /// The number of rules; they are numbered from 0.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        0
    }

    /// The lists, in the operator's order.
    #[must_use]
    pub fn lists(&self) -> &[CompiledList] {
        &self.lists
    }

    /// When an entry next takes effect or ends, so that the lists must be compiled again.
    #[must_use]
    pub fn next_change(&self) -> Option<Timestamp> {
        None
    }
}

/// How many rejected rows of a list are kept to be shown.
pub const REJECTS_KEPT_MAX: usize = 1000;
