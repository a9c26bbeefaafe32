//! [`Blocklist`]: the compiled lists, and what they say about a name or URL.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::candidate::Candidates;
use super::compiled_list::{CompiledList, HeldList};
use super::index::Index;
use super::name_map::NameMap;
use super::policing::{Asker, Policing};
use super::rule_set::RuleSet;
use super::rules::{NO_RULE, Rule, Shape};
use super::zone_names::ZoneNames;
use super::{Levers, Protected};
use crate::policy::{
    Action, CanonicalUrl, Decision, Kind, LegalRecord, LocalData, Name, Reach, RuleId,
};

/// All lists in the operator's order, compiled. Immutable; equals a linear scan over its
/// rules.
///
/// The rules stand in a *base* that many editions share, and in an *overlay* for entries that
/// came since it was built. What of them does not act now is a set of numbers beside them:
/// entries that were removed or withdrawn, and those that are not in effect.
#[derive(Clone, Debug, Default)]
pub struct Blocklist {
    pub(super) lists: Vec<CompiledList>,
    /// What of each list is needed to change it.
    pub(super) held: Vec<HeldList>,
    pub(super) base: Arc<Index>,
    /// Numbered on from the base.
    pub(super) overlay: Arc<Index>,
    pub(super) protected: Protected,
    /// Rules whose entries their lists have no longer.
    pub(super) removed: RuleSet,
    /// Rules that do not act now, those included that were removed.
    pub(super) inactive: RuleSet,
    /// Names that the operator lets through at the time, and until when.
    pub(super) allowed: NameMap<Timestamp>,
    /// The names at which the wildcards of policy zones stop.
    pub(super) zone_names: Arc<ZoneNames>,
    /// Whether a rule may match something else than the name that is asked for.
    pub(super) looks_deeper: bool,
    /// What `inactive` and `allowed` were made by.
    pub(super) levers: Levers,
    pub(super) next_change: Option<Timestamp>,
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
    /// Which names of a chain it judges.
    pub reach: Reach,
    /// Whether it matches addresses in answers.
    pub is_on_address: bool,
    /// What it answers, where that is local data.
    pub data: Option<&'a Arc<LocalData>>,
    /// Its legal record.
    pub record: &'a LegalRecord,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The list's own test entry: enforced, never counted.
    pub canary: bool,
}

impl Blocklist {
    /// What the lists say about a name that a client asks a proxy for: by CONNECT, by TLS
    /// server name. Without a client every list is for it.
    ///
    /// Protected names pass; then the first list of the operator's order decides, and in it
    /// the exact name, then the longest subtree.
    #[must_use]
    pub fn decide_name(&self, name: &Name, client: Option<IpAddr>) -> Decision {
        if self.passes_always(name) {
            return Decision::default();
        }
        let mut candidates = Candidates::new();
        self.collect_names(name, true, &mut candidates);
        self.decide(Some(name), client, candidates)
    }

    /// What the lists say about a URL: protected hosts pass; then the first list decides,
    /// and in it the exact URL, the longest prefix, the exact name, the longest subtree.
    #[must_use]
    pub fn decide_url(&self, url: &CanonicalUrl, client: Option<IpAddr>) -> Decision {
        let mut candidates = Candidates::new();
        let name = url.host().as_name();
        if let Some(name) = &name {
            if self.passes_always(name) {
                return Decision::default();
            }
            self.collect_names(name, true, &mut candidates);
        }
        self.collect_urls(url, &mut candidates);
        self.decide(name.as_ref(), client, candidates)
    }

    fn decide(
        &self,
        name: Option<&Name>,
        client: Option<IpAddr>,
        candidates: Candidates,
    ) -> Decision {
        if candidates.is_empty() {
            return Decision::default();
        }
        Policing::new(self, Asker::of_proxy(client)).decide(self, name, candidates)
    }

    /// Whether the operator protects this name, or it is this node's own.
    #[must_use]
    pub fn is_protected(&self, name: &Name) -> bool {
        self.protected.covers(name)
    }

    /// What outranks every list here.
    #[must_use]
    pub const fn protected(&self) -> &Protected {
        &self.protected
    }

    /// The name of a list's never-block names that a name is or lies below: the list does not
    /// act on it. `list` is its place in the operator's order.
    #[must_use]
    pub fn never_blocks(&self, list: usize, name: &Name) -> Option<&Name> {
        self.lists.get(list)?.border.never_block.find(name)
    }

    /// Until when the operator lets this name through in an emergency, where he does.
    #[must_use]
    pub fn allowed(&self, name: &Name) -> Option<Timestamp> {
        self.allowed.covering(name).copied()
    }

    pub(super) fn passes_always(&self, name: &Name) -> bool {
        self.is_protected(name) || self.allowed(name).is_some()
    }

    /// Every rule that matches a URL or, without a path, a name, in the order in which they
    /// are weighed; for `explain`.
    #[must_use]
    pub fn matches(&self, name: Option<&Name>, url: Option<&CanonicalUrl>) -> Vec<RuleId> {
        let mut candidates = Candidates::new();
        if let Some(name) = name {
            self.collect_names(name, true, &mut candidates);
        }
        if let Some(url) = url {
            self.collect_urls(url, &mut candidates);
        }
        self.sort(&mut candidates);
        candidates
            .into_iter()
            .map(|candidate| candidate.rule)
            .collect()
    }

    /// The parts that hold rules, each with the number of its first.
    pub(super) fn indexes(&self) -> impl Iterator<Item = (&Index, u32)> {
        let first = u32::try_from(self.base.rules.len()).unwrap_or(NO_RULE);
        [(&*self.base, 0), (&*self.overlay, first)].into_iter()
    }

    /// A rule, with the part that holds it.
    pub(super) fn get(&self, rule: RuleId) -> Option<(&Index, &Rule)> {
        let in_base = u32::try_from(self.base.rules.len()).ok()?;
        match rule.0.checked_sub(in_base) {
            None => Some((&self.base, self.base.rules.get(rule.0)?)),
            Some(number) => Some((&self.overlay, self.overlay.rules.get(number)?)),
        }
    }

    /// What is known of a rule; nothing for the number of another edition.
    #[must_use]
    pub fn rule(&self, rule: RuleId) -> Option<RuleView<'_>> {
        let (index, rule) = self.get(rule)?;
        let list_index = usize::from(rule.list);
        let terms = index.terms(rule)?;
        let list = self.lists.get(list_index)?;
        Some(RuleView {
            list,
            list_index,
            reach: rule.reach,
            is_on_address: rule.shape == Shape::Address,
            data: list.settings.data.as_ref().or(terms.data.as_ref()),
            entry_id: index.rules.id(rule),
            value: index.rules.value(rule),
            match_word: rule.shape.match_word(),
            kind: rule.kind,
            action: rule.action,
            record: &terms.record,
            expires_at: terms.life.expires_at,
            canary: rule.canary,
        })
    }

    /// Whether a rule is its list's own test entry, which is enforced and never counted.
    #[must_use]
    pub fn is_canary(&self, rule: RuleId) -> bool {
        self.get(rule).is_some_and(|(_, rule)| rule.canary)
    }

    /// Whether a rule may act now: its entry is on its list, in effect and not withdrawn.
    #[must_use]
    pub fn is_active(&self, rule: RuleId) -> bool {
        self.get(rule).is_some() && !self.inactive.contains(rule.0)
    }

    /// How many registered names below `suffix` have entries that may act now.
    #[must_use]
    pub fn registered_below(&self, suffix: &Name) -> usize {
        let below = format!(".{suffix}");
        let mut registered = HashSet::new();
        for (index, first) in self.indexes() {
            for (number, rule) in index.rules.iter() {
                let is_active = !self.inactive.contains(first.saturating_add(number));
                if !is_active || rule.action == Action::PassThru {
                    continue;
                }
                // Of a URL the host: what stands before its port or path.
                let host = index.rules.value(rule).rsplit("://").next();
                let host = host.and_then(|host| host.split(['/', ':', '?']).next());
                if let Some(host) = host.filter(|host| host.ends_with(&below)) {
                    registered.insert(psl::domain_str(host).unwrap_or(host));
                }
            }
        }
        registered.len()
    }

    /// The number of rules; they are numbered from 0. Those that do not act are among them.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.base.rules.len() + self.overlay.rules.len()
    }

    /// How many rules, the first, this blocklist has in common with `other`, so that their
    /// numbers mean the same in both; 0 where it was compiled anew.
    #[must_use]
    pub fn shared_rules(&self, other: &Self) -> usize {
        if !Arc::ptr_eq(&self.base, &other.base) {
            0
        } else if Arc::ptr_eq(&self.overlay, &other.overlay) {
            self.rule_count()
        } else {
            self.base.rules.len()
        }
    }

    /// What it was last adjusted to.
    #[must_use]
    pub const fn levers(&self) -> &Levers {
        &self.levers
    }

    /// The lists, in the operator's order.
    #[must_use]
    pub fn lists(&self) -> &[CompiledList] {
        &self.lists
    }

    /// When an entry next takes effect or ends, or a withdrawal or an allowance does, so that
    /// [`Self::with`] is to be asked again.
    #[must_use]
    pub const fn next_change(&self) -> Option<Timestamp> {
        self.next_change
    }
}
