//! [`Index`]: rules, their terms, and how they are found.

use std::collections::HashMap;
use std::sync::Arc;

use rapidhash::fast::RandomState;

use super::name_index::NameIndex;
use super::rules::{Rule, Rules, Shape};
use super::url_index::UrlIndex;
use crate::policy::{Action, Entry, LegalRecord, Life, Trigger};

/// Compiled rules and how they are found: by name, and by host and path. Shared by the
/// editions that differ in little else.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    pub(super) rules: Rules,
    pub(super) names: NameIndex,
    pub(super) urls: UrlIndex,
    terms: Vec<Terms>,
    /// The places of terms by the address of their record and their life, while rules are
    /// added.
    known: HashMap<(usize, Life), u32, RandomState>,
    /// The place of the terms that the last rule had.
    last: u32,
}

/// What many rules have in common: their legal record and when they are in effect.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) record: Arc<LegalRecord>,
    pub(super) life: Life,
}

impl Index {
    /// Adds an entry of the list in place `list` and says the number of its rule; nothing
    /// for an address, and when four thousand million of rules or octets are used up. It is
    /// found once the index is built.
    pub(super) fn add(&mut self, list: u16, action: Action, entry: &Entry) -> Option<u32> {
        let terms = self.terms_of(entry)?;
        let number = self.rules.push(list, action, terms, entry)?;
        match &entry.trigger {
            Trigger::Name { name, .. } => self.names.add(name.as_wire(), number),
            Trigger::Url { .. } => self.urls.add(number),
            Trigger::Address(_) => {}
        }
        Some(number)
    }

    /// Makes findable what was added.
    pub(super) fn build(&mut self) {
        self.names.build(&mut self.rules);
        self.urls.build(&self.rules);
    }

    /// Builds it, and gives back all that only adding needs: nothing can be added afterwards.
    pub(super) fn seal(mut self) -> Self {
        self.known = HashMap::default();
        self.build();
        self.names.seal();
        self.urls.shrink_to_fit();
        self.rules.shrink_to_fit();
        self.terms.shrink_to_fit();
        self
    }

    /// The terms of a rule.
    pub(super) fn terms(&self, rule: &Rule) -> Option<&Terms> {
        self.terms.get(rule.terms as usize)
    }

    /// All terms, in the order of their places.
    pub(super) fn all_terms(&self) -> &[Terms] {
        &self.terms
    }

    /// The first rule of one list with that trigger that `is_it` takes.
    pub(super) fn find(
        &self,
        list: u16,
        trigger: &Trigger,
        is_it: impl Fn(u32, &Rule) -> bool,
    ) -> Option<u32> {
        let shape = Shape::of(trigger)?;
        let mut found = None;
        self.with_value(trigger, |number| {
            let rule = self.rules.get(number).filter(|_| found.is_none());
            let is_it =
                |rule: &Rule| rule.list == list && rule.shape == shape && is_it(number, rule);
            if rule.is_some_and(is_it) {
                found = Some(number);
            }
        });
        found
    }

    /// Hands every rule whose value is that of `trigger` to `take`.
    pub(super) fn with_value(&self, trigger: &Trigger, mut take: impl FnMut(u32)) {
        match trigger {
            Trigger::Name { name, .. } => {
                let wire = name.as_wire();
                let hash = super::name_index::hash(wire);
                let mut next = self.names.find(&self.rules, wire, hash);
                while let Some((number, rule)) =
                    next.and_then(|number| Some((number, self.rules.get(number)?)))
                {
                    take(number);
                    next = Some(rule.next);
                }
            }
            Trigger::Url { url, .. } => self.urls.find_same(&self.rules, url, take),
            Trigger::Address(_) => {}
        }
    }

    fn terms_of(&mut self, entry: &Entry) -> Option<u32> {
        // Neighbours mostly share their terms: no hash is needed to see that.
        if let Some(last) = self.terms.get(self.last as usize)
            && Arc::ptr_eq(&last.record, &entry.record)
            && last.life == entry.life
        {
            return Some(self.last);
        }
        let key = (Arc::as_ptr(&entry.record).addr(), entry.life.clone());
        let next = u32::try_from(self.terms.len()).ok()?;
        let terms = &mut self.terms;
        self.last = *self.known.entry(key).or_insert_with(|| {
            terms.push(Terms {
                record: Arc::clone(&entry.record),
                life: entry.life.clone(),
            });
            next
        });
        Some(self.last)
    }
}
