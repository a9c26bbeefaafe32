//! [`Blocklist`]: the compiled lists, and what they say about a name or URL.

use std::sync::Arc;

use jiff::Timestamp;
use smallvec::SmallVec;

use super::name_index::NameIndex;
use super::settings::{Mode, PassThru};
use super::url_index::{Distance, UrlIndex};
use super::{Reject, Reserved, Settings};
use crate::policy::{
    Action, CanonicalUrl, Decision, Kind, LegalRecord, Name, Provenance, QueryMatch, RuleId, Scope,
    UrlScope,
};

/// All lists in the operator's order, compiled into one index. Immutable; equals a linear
/// scan over its rules.
#[derive(Debug, Default)]
pub struct Blocklist {
    pub(super) lists: Vec<CompiledList>,
    pub(super) rules: Vec<Rule>,
    /// The ids and values of the rules, one after the other.
    pub(super) texts: String,
    pub(super) records: Vec<Arc<LegalRecord>>,
    /// Under each name the first rule of its chain.
    pub(super) names: NameIndex,
    pub(super) urls: UrlIndex,
    /// Names that always pass, with all below them.
    pub(super) protected: NameIndex,
    pub(super) next_change: Option<Timestamp>,
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
    /// Of these, rows that would block what may never be blocked.
    pub never_blocked: usize,
    /// Entries that are not in effect at the time of compiling.
    pub not_in_effect: usize,
    /// Entries above a name that stays open all the same, such as a protected one: in force,
    /// but for that name.
    pub holes: Vec<(String, String)>,
    /// Names, with all below them, that this list may not block: each stands as an exception
    /// of it that is never counted.
    pub never_block: Arc<Reserved>,
}

/// The compiled form of one entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) id: Span,
    pub(super) value: Span,
    pub(super) record: u32,
    pub(super) line: u32,
    /// The next rule under the same name; [`NO_RULE`] for none.
    pub(super) next: u32,
    pub(super) list: u16,
    pub(super) kind: Kind,
    pub(super) shape: Shape,
    pub(super) action: Action,
    pub(super) canary: bool,
    /// Seconds since 1970; `i64::MAX` for never.
    pub(super) expires_at: i64,
}

/// Where a text stands in [`Blocklist::texts`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) at: u32,
    pub(super) len: u16,
}

/// What kind of trigger a rule has, without its value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    Name(Scope),
    Url(UrlScope, QueryMatch),
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
    /// What it matches, in its canonical spelling.
    pub value: &'a str,
    /// How far it goes: `exact`, `subtree`, `children` or `prefix`.
    pub match_word: &'static str,
    /// Its kind.
    pub kind: Kind,
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

/// A rule that matches, ordered as the policy orders them: the list, then how closely
/// (URL exact, longest prefix, name exact, longest subtree), exceptions first, then the row.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Candidate {
    list: u16,
    tier: Tier,
    distance: Distance,
    acts: bool,
    rule: RuleId,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Tier {
    Url,
    Name,
}

/// Candidates of one decision; eight of them need no allocation.
type Candidates = SmallVec<[Candidate; 8]>;

impl Blocklist {
    /// What the lists say about a name: over DNS, by CONNECT, by TLS server name.
    ///
    /// Protected names pass; then the first list of the operator's order decides, and in it
    /// the exact name, then the longest subtree.
    #[must_use]
    pub fn decide_name(&self, name: &Name) -> Decision {
        if self.is_protected(name) {
            return Decision::default();
        }
        let mut candidates = Candidates::new();
        self.collect_names(name, &mut candidates);
        self.decide(Some(name), candidates)
    }

    /// What the lists say about a URL: protected hosts pass; then the first list decides,
    /// and in it the exact URL, the longest prefix, the exact name, the longest subtree.
    #[must_use]
    pub fn decide_url(&self, url: &CanonicalUrl) -> Decision {
        let mut candidates = Candidates::new();
        let name = url.host().as_name();
        if let Some(name) = &name {
            if self.is_protected(name) {
                return Decision::default();
            }
            self.collect_names(name, &mut candidates);
        }
        self.urls.find(url, |rule, distance| {
            self.push(&mut candidates, rule, Tier::Url, distance);
        });
        self.decide(name.as_ref(), candidates)
    }

    /// Whether the operator protects this name.
    #[must_use]
    pub fn is_protected(&self, name: &Name) -> bool {
        name.and_parents()
            .any(|wire| self.protected.find(wire).is_some())
    }

    /// The name of a list's never-block names that a name is or lies below: the list does not
    /// act on it. `list` is its place in the operator's order.
    #[must_use]
    pub fn never_blocks(&self, list: usize, name: &Name) -> Option<&Name> {
        self.lists.get(list)?.never_block.find(name)
    }

    /// Every rule that matches a URL or, without a path, a name, in the order in which they
    /// are weighed; for `explain`.
    #[must_use]
    pub fn matches(&self, name: Option<&Name>, url: Option<&CanonicalUrl>) -> Vec<RuleId> {
        let mut candidates = Candidates::new();
        if let Some(name) = name {
            self.collect_names(name, &mut candidates);
        }
        if let Some(url) = url {
            self.urls.find(url, |rule, distance| {
                self.push(&mut candidates, rule, Tier::Url, distance)
            });
        }
        candidates.sort_unstable();
        candidates
            .into_iter()
            .map(|candidate| candidate.rule)
            .collect()
    }

    fn collect_names(&self, name: &Name, candidates: &mut Candidates) {
        for (distance, wire) in (0..).zip(name.and_parents()) {
            let mut next = self.names.find(wire).unwrap_or(NO_RULE);
            while let Some(rule) = self.rules.get(next as usize) {
                let covers = match rule.shape {
                    Shape::Name(Scope::Exact) => distance == 0,
                    Shape::Name(Scope::Subtree) => true,
                    Shape::Name(Scope::Children) => distance > 0,
                    Shape::Url(..) => false,
                };
                if covers {
                    // At the name itself an exact rule is closer than a subtree.
                    let wider = Distance::from(rule.shape != Shape::Name(Scope::Exact));
                    self.push(candidates, next, Tier::Name, distance + wider);
                }
                next = rule.next;
            }
        }
    }

    fn push(&self, candidates: &mut Candidates, rule: u32, tier: Tier, distance: Distance) {
        if let Some(found) = self.rules.get(rule as usize) {
            let acts = found.action != Action::PassThru;
            candidates.push(Candidate {
                list: found.list,
                tier,
                distance,
                acts,
                rule: RuleId(rule),
            });
        }
    }

    /// Weighs what matches: watchers are noted and passed over, exceptions spare the name
    /// from their list or from all, the first that is left acts.
    fn decide(&self, name: Option<&Name>, mut candidates: Candidates) -> Decision {
        let mut decision = Decision::default();
        if candidates.is_empty() {
            return decision;
        }
        candidates.sort_unstable();
        let mut passed_over = None;
        for candidate in candidates {
            if passed_over == Some(candidate.list) {
                continue;
            }
            let (Some(rule), Some(list)) = (
                self.rules.get(candidate.rule.index()),
                self.lists.get(usize::from(candidate.list)),
            ) else {
                continue;
            };
            if !rule.canary && name.is_some_and(|name| list.never_block.covers(name)) {
                continue;
            }
            let settings = &list.settings;
            match (settings.mode, rule.action) {
                (Mode::Monitor, Action::PassThru) => passed_over = Some(candidate.list),
                (Mode::Monitor, _) => {
                    decision.monitored.push(candidate.rule);
                    // One hit a list: what would have acted, and nothing behind it.
                    passed_over = Some(candidate.list);
                }
                (Mode::Enforce, Action::Monitor) => decision.monitored.push(candidate.rule),
                (Mode::Enforce, Action::PassThru) if settings.passthru == PassThru::List => {
                    decision
                        .act
                        .get_or_insert((candidate.rule, Action::PassThru));
                    passed_over = Some(candidate.list);
                }
                (Mode::Enforce, action) => {
                    decision.act = Some((candidate.rule, action));
                    return decision;
                }
            }
        }
        decision
    }

    /// What is known of a rule; nothing for the number of another edition.
    #[must_use]
    pub fn rule(&self, rule: RuleId) -> Option<RuleView<'_>> {
        let rule = self.rules.get(rule.index())?;
        let list_index = usize::from(rule.list);
        let match_word = match rule.shape {
            Shape::Name(scope) => scope.as_str(),
            Shape::Url(scope, _) => scope.as_str(),
        };
        Some(RuleView {
            list: self.lists.get(list_index)?,
            list_index,
            entry_id: self.text(rule.id),
            value: self.text(rule.value),
            match_word,
            kind: rule.kind,
            action: rule.action,
            record: self.records.get(rule.record as usize)?,
            // An error of the calendar would allocate.
            expires_at: (rule.expires_at != i64::MAX)
                .then(|| Timestamp::from_second(rule.expires_at).ok())
                .flatten(),
            line: rule.line,
            canary: rule.canary,
        })
    }

    fn text(&self, span: Span) -> &str {
        let at = span.at as usize;
        self.texts
            .get(at..at + usize::from(span.len))
            .unwrap_or_default()
    }

    /// Whether a rule is its list's own test entry, which is enforced and never counted.
    #[must_use]
    pub fn is_canary(&self, rule: RuleId) -> bool {
        self.rules.get(rule.index()).is_some_and(|rule| rule.canary)
    }

    /// The number of rules; they are numbered from 0.
    #[must_use]
    pub const fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// The lists, in the operator's order.
    #[must_use]
    pub fn lists(&self) -> &[CompiledList] {
        &self.lists
    }

    /// When an entry next takes effect or ends, so that the lists must be compiled again.
    #[must_use]
    pub const fn next_change(&self) -> Option<Timestamp> {
        self.next_change
    }
}

/// The end of a chain of rules.
pub(super) const NO_RULE: u32 = u32::MAX;

/// How many rejected rows of a list are kept to be shown.
pub const REJECTS_KEPT_MAX: usize = 1000;
