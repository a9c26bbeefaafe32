//! [`Index`]: rules, their terms, and how they are found.

use std::collections::HashMap;
use std::sync::Arc;

use rapidhash::fast::RandomState;

use super::address_index::AddressIndex;
use super::name_index::NameIndex;
use super::rules::{Rule, Rules, Shape};
use super::url_index::UrlIndex;
use crate::policy::{Action, Entry, LegalRecord, Life, LocalData, Name, Trigger};

/// Compiled rules and how they are found: by name, and by host and path. Shared by the
/// editions that differ in little else.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    pub(super) rules: Rules,
    pub(super) names: NameIndex,
    pub(super) urls: UrlIndex,
    pub(super) addresses: AddressIndex,
    pub(super) clients: AddressIndex,
    pub(super) ns_names: NameIndex,
    pub(super) ns_addresses: AddressIndex,
    terms: Vec<Terms>,
    /// The places of terms by the addresses of their record and data and their life, while
    /// rules are added.
    known: HashMap<(usize, usize, Life), u32, RandomState>,
    /// The place of the terms that the last rule had.
    last: u32,
}

/// What many rules have in common: their legal record, when they are in effect, and what
/// they answer.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) record: Arc<LegalRecord>,
    pub(super) life: Life,
    pub(super) data: Option<Arc<LocalData>>,
}

impl Index {
    /// Adds an entry of the list in place `list` and says the number of its rule; nothing
    /// when four thousand million of rules or octets are used up. It is found once the index
    /// is built.
    pub(super) fn add(&mut self, list: u16, action: Action, entry: &Entry) -> Option<u32> {
        let terms = self.terms_of(entry)?;
        let number = self.rules.push(list, action, terms, entry)?;
        match &entry.trigger {
            Trigger::Name { name, .. } => self.names.add(name.as_wire(), number),
            Trigger::Url { .. } => self.urls.add(number),
            Trigger::Address(range) => self.addresses.add(*range, number),
            Trigger::Client(range) => self.clients.add(*range, number),
            Trigger::NsName { name, .. } => self.ns_names.add(name.as_wire(), number),
            Trigger::NsAddress(range) => self.ns_addresses.add(*range, number),
        }
        Some(number)
    }

    /// Makes findable what was added.
    pub(super) fn build(&mut self) {
        self.names.build(&mut self.rules);
        self.urls.build(&self.rules);
        self.ns_names.build(&mut self.rules);
        for addresses in [
            &mut self.addresses,
            &mut self.clients,
            &mut self.ns_addresses,
        ] {
            addresses.build(&mut self.rules);
        }
    }

    /// Builds it, and gives back all that only adding needs: nothing can be added afterwards.
    pub(super) fn seal(mut self) -> Self {
        self.known = HashMap::default();
        self.build();
        self.names.seal();
        self.ns_names.seal();
        self.urls.shrink_to_fit();
        self.rules.shrink_to_fit();
        self.terms.shrink_to_fit();
        self
    }

    /// The terms of a rule.
    pub(super) fn terms(&self, rule: &Rule) -> Option<&Terms> {
        self.terms.get(rule.terms as usize)
    }

    /// Whether a rule says that something is an alias of that name.
    pub(super) fn leads_to(&self, rule: &Rule, name: &Name) -> bool {
        let data = self.terms(rule).and_then(|terms| terms.data.as_deref());
        let Some(LocalData::Alias {
            target,
            is_wildcard,
            ..
        }) = data
        else {
            return false;
        };
        !is_wildcard && target == name
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
        let shape = Shape::of(trigger);
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
    pub(super) fn with_value(&self, trigger: &Trigger, take: impl FnMut(u32)) {
        match trigger {
            Trigger::Name { name, .. } => self.each_of_name(&self.names, name.as_wire(), take),
            Trigger::NsName { name, .. } => {
                self.each_of_name(&self.ns_names, name.as_wire(), take);
            }
            Trigger::Url { url, .. } => self.urls.find_same(&self.rules, url, take),
            Trigger::Address(range) => self.each_in_chain(self.addresses.find(range), take),
            Trigger::Client(range) => self.each_in_chain(self.clients.find(range), take),
            Trigger::NsAddress(range) => self.each_in_chain(self.ns_addresses.find(range), take),
        }
    }

    /// Hands every rule that one of the name indexes has under a name to `take`.
    fn each_of_name(&self, names: &NameIndex, wire: &[u8], mut take: impl FnMut(u32)) {
        let hash = super::name_index::hash(wire);
        self.each_in_chain(names.find(&self.rules, wire, hash), &mut take);
    }

    /// Hands a rule and those behind it to `take`.
    fn each_in_chain(&self, first: Option<u32>, mut take: impl FnMut(u32)) {
        let mut next = first;
        while let Some((number, rule)) =
            next.and_then(|number| Some((number, self.rules.get(number)?)))
        {
            take(number);
            next = Some(rule.next);
        }
    }

    fn terms_of(&mut self, entry: &Entry) -> Option<u32> {
        // Neighbours mostly share their terms: no hash is needed to see that.
        if let Some(last) = self.terms.get(self.last as usize)
            && Arc::ptr_eq(&last.record, &entry.record)
            && last.life == entry.life
            && last.data == entry.data
        {
            return Some(self.last);
        }
        let data = entry.data.as_ref();
        let key = (
            Arc::as_ptr(&entry.record).addr(),
            data.map_or(0, |data| Arc::as_ptr(data).addr()),
            entry.life.clone(),
        );
        let next = u32::try_from(self.terms.len()).ok()?;
        let terms = &mut self.terms;
        self.last = *self.known.entry(key).or_insert_with(|| {
            terms.push(Terms {
                record: Arc::clone(&entry.record),
                life: entry.life.clone(),
                data: entry.data.clone(),
            });
            next
        });
        Some(self.last)
    }
}
