//! Which rules act at a time: [`Blocklist::with`].

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use rapidhash::fast::RandomState;

use super::index::Index;
use super::name_map::NameMap;
use super::rule_set::RuleSet;
use super::rules::Rule;
use super::zone_names::ZoneNames;
use super::{Blocklist, CompiledList, Levers};
use crate::policy::{
    Action, CanonicalUrl, Name, QueryMatch, Scope, Trigger, UrlScope, Withdrawal, Withdrawn,
};

/// The making of an adjusted blocklist.
struct Adjusted {
    now: Timestamp,
    lists: Vec<CompiledList>,
    inactive: RuleSet,
    /// The rules that act again, for their withdrawal has ended.
    lapsed: HashSet<u32, RandomState>,
    next_change: Option<Timestamp>,
}

impl Blocklist {
    /// The same rules as they act at another time, with other withdrawals and allowances;
    /// the indexes are shared. Takes milliseconds for a million of rules.
    ///
    /// A withdrawal can only let through: it has no effect on exceptions, and none on a
    /// list's own test entry.
    #[must_use]
    pub fn with(&self, levers: &Levers) -> Self {
        let mut adjusted = Adjusted {
            now: levers.now,
            lists: self.lists.clone(),
            inactive: self.removed.clone(),
            lapsed: HashSet::with_hasher(RandomState::default()),
            next_change: None,
        };
        for (list, held) in adjusted.lists.iter_mut().zip(&self.held) {
            list.entries = held.entries.iter().map(|(kind, n)| (*kind, *n)).collect();
            (list.not_in_effect, list.withdrawn, list.overdue) = (0, 0, 0);
            list.lapsed = 0;
        }
        for (index, first) in self.indexes() {
            adjusted.note_lives(index, first);
        }
        let withdrawn = levers
            .withdrawn
            .iter()
            .filter_map(|(name, withdrawals)| Some((self.place_of(name)?, withdrawals)));
        for (place, withdrawals) in withdrawn {
            let (in_time, ended): (Vec<&Withdrawal>, Vec<_>) =
                withdrawals.iter().partition(|one| one.until > levers.now);
            for withdrawal in &in_time {
                adjusted.note_change(withdrawal.until);
            }
            self.each_named(place, &in_time, &mut |rule, number| {
                adjusted.withdraw(rule, number);
            });
            // What another still lets through has not come back.
            self.each_named(place, &ended, &mut |rule, number| {
                adjusted.lapse(rule, number);
            });
        }
        for list in &mut adjusted.lists {
            list.entries.retain(|(_, count)| *count > 0);
        }
        let mut allowed = NameMap::default();
        for (name, until) in levers
            .allowed
            .iter()
            .filter(|(_, until)| *until > levers.now)
        {
            adjusted.note_change(*until);
            allowed.insert_longest(name, *until);
        }
        let zone_names = if adjusted.inactive == self.inactive {
            Arc::clone(&self.zone_names)
        } else {
            let is_there = |number| !adjusted.inactive.contains(number);
            Arc::new(ZoneNames::of(&self.base, is_there))
        };
        let looks_deeper = |list: &CompiledList| list.triggers.look_deeper(&list.settings.dns);
        Self {
            looks_deeper: adjusted.lists.iter().any(looks_deeper),
            lists: adjusted.lists,
            inactive: adjusted.inactive,
            zone_names,
            next_change: adjusted.next_change,
            allowed,
            levers: levers.clone(),
            ..self.clone()
        }
    }

    /// The place of a list.
    pub(super) fn place_of(&self, name: &str) -> Option<u16> {
        let place = self
            .lists
            .iter()
            .position(|list| list.settings.name == name);
        place.and_then(|place| u16::try_from(place).ok())
    }

    /// Calls `act` with each rule of a list that one of these withdrawals names.
    fn each_named(&self, place: u16, withdrawals: &[&Withdrawal], act: &mut dyn FnMut(&Rule, u32)) {
        let mut ids = HashSet::with_hasher(RandomState::default());
        for withdrawal in withdrawals {
            match &withdrawal.what {
                Withdrawn::Id(id) => _ = ids.insert(id.as_str()),
                Withdrawn::Value(value) => self.each_with_value(place, value, act),
            }
        }
        if ids.is_empty() {
            return;
        }
        for (index, first) in self.indexes() {
            for (number, rule) in index.rules.iter() {
                if rule.list == place && ids.contains(index.rules.id(rule)) {
                    act(rule, first.saturating_add(number));
                }
            }
        }
    }

    fn each_with_value(&self, place: u16, value: &str, act: &mut dyn FnMut(&Rule, u32)) {
        let Some(trigger) = trigger_of(value) else {
            return;
        };
        for (index, first) in self.indexes() {
            index.with_value(&trigger, |number| {
                if let Some(rule) = index.rules.get(number).filter(|rule| rule.list == place) {
                    act(rule, first.saturating_add(number));
                }
            });
        }
    }
}

impl Adjusted {
    /// Puts aside the rules of `index` that are not in effect.
    fn note_lives(&mut self, index: &Index, first: u32) {
        let now = self.now;
        let mut terms: Vec<(bool, bool, Option<Timestamp>)> = Vec::new();
        let mut is_plain = true;
        for of in index.all_terms() {
            let life = &of.life;
            let (effective, overdue) = (life.is_effective(now), life.is_overdue(now));
            let next = life.next_change(now);
            is_plain &= effective && !overdue && next.is_none();
            terms.push((effective, overdue, next));
        }
        if is_plain {
            return;
        }
        for (number, rule) in index.rules.iter() {
            let number = first.saturating_add(number);
            let Some((effective, overdue, next)) = terms.get_mut(rule.terms as usize) else {
                continue;
            };
            if (*effective && !*overdue && next.is_none()) || self.inactive.contains(number) {
                continue;
            }
            // Once noted, a moment needs no second look.
            if let Some(next) = next.take() {
                self.note_change(next);
            }
            let (effective, overdue) = (*effective, *overdue);
            if !effective {
                self.inactive.insert(number);
                self.count(rule, |list| list.not_in_effect += 1);
            } else if overdue
                && !rule.canary
                && let Some(list) = self.lists.get_mut(usize::from(rule.list))
            {
                list.overdue += 1;
            }
        }
    }

    /// Puts a withdrawn rule aside.
    fn withdraw(&mut self, rule: &Rule, number: u32) {
        let may_be = rule.action != Action::PassThru && !rule.canary;
        if may_be && self.inactive.insert(number) {
            self.count(rule, |list| list.withdrawn += 1);
        }
    }

    /// Notes a rule that acts again, for its withdrawal has ended.
    fn lapse(&mut self, rule: &Rule, number: u32) {
        let acts =
            rule.action != Action::PassThru && !rule.canary && !self.inactive.contains(number);
        if acts
            && self.lapsed.insert(number)
            && let Some(list) = self.lists.get_mut(usize::from(rule.list))
        {
            list.lapsed += 1;
        }
    }

    /// Takes a rule from the entries in force of its list.
    fn count(&mut self, rule: &Rule, note: impl FnOnce(&mut CompiledList)) {
        if rule.canary {
            return;
        }
        if let Some(list) = self.lists.get_mut(usize::from(rule.list)) {
            note(list);
            let mut entries = list.entries.iter_mut();
            if let Some((_, count)) = entries.find(|(kind, _)| *kind == rule.kind) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn note_change(&mut self, moment: Timestamp) {
        if self.next_change.is_none_or(|soonest| moment < soonest) {
            self.next_change = Some(moment);
        }
    }
}

/// A trigger with the value that a withdrawal names, in any spelling.
fn trigger_of(value: &str) -> Option<Trigger> {
    if value.contains("://") {
        Some(Trigger::Url {
            url: CanonicalUrl::parse(value).ok()?,
            scope: UrlScope::Exact,
            query: QueryMatch::Exact,
        })
    } else {
        Some(Trigger::Name {
            name: Name::from_text(value).ok()?,
            scope: Scope::Exact,
        })
    }
}
