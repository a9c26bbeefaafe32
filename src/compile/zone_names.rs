//! [`ZoneNames`]: the empty non-terminals of policy zones, at which wildcards stop.

use std::collections::HashSet;

use rapidhash::fast::RandomState;

use super::index::Index;
use super::name_index::{self, NameIndex};
use super::rules::{Rule, Shape};
use crate::policy::{NAME_OCTETS_MAX, Name, Reach, Scope};

/// Names of policy zones that have no rule themselves and have some below them (RFC 4592
/// section 2.2.2; rpz.md T18); only those below a wildcard, which alone cares.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct ZoneNames {
    /// The place of the list, and behind it the name in wire form: of the tree of QNAME
    /// triggers, and of that of NSDNAME triggers.
    names: [HashSet<Box<[u8]>, RandomState>; 2],
}

/// Which tree of a policy zone's names: their triggers form two (rpz.md T20).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tree {
    Query,
    NameServer,
}

impl ZoneNames {
    /// The empty non-terminals of the rules that `is_there` takes.
    pub(super) fn of(index: &Index, is_there: impl Fn(u32) -> bool) -> Self {
        let mut found = Self::default();
        for (number, rule) in index.rules.iter() {
            let tree = match rule.shape {
                _ if rule.reach != Reach::PolicyZone || !is_there(number) => continue,
                Shape::Name(_) => Tree::Query,
                Shape::NsName(_) => Tree::NameServer,
                _ => continue,
            };
            if let Ok(name) = Name::from_text(index.rules.value(rule)) {
                found.note(index, rule.list, tree, &name, &is_there);
            }
        }
        found
    }

    /// Whether a list has such a name.
    pub(super) fn contains(&self, tree: Tree, list: u16, wire: &[u8]) -> bool {
        let [query, name_server] = &self.names;
        let names = match tree {
            Tree::Query => query,
            Tree::NameServer => name_server,
        };
        let (key, length) = key(list, wire);
        !names.is_empty() && names.contains(key.get(..length).unwrap_or_default())
    }

    /// Notes the names between an owner and the closest wildcard above it.
    fn note(
        &mut self,
        index: &Index,
        list: u16,
        tree: Tree,
        name: &Name,
        is_there: &impl Fn(u32) -> bool,
    ) {
        let [query, name_server] = &mut self.names;
        let (names, known) = match tree {
            Tree::Query => (&index.names, query),
            Tree::NameServer => (&index.ns_names, name_server),
        };
        let mut between: Vec<&[u8]> = Vec::new();
        for wire in name.and_parents().skip(1) {
            let (mut is_owner, mut is_wildcard) = (false, false);
            each_of(index, names, wire, |number, rule| {
                if rule.list == list && rule.reach == Reach::PolicyZone && is_there(number) {
                    is_owner = true;
                    is_wildcard |= is_wild(rule);
                }
            });
            if is_wildcard {
                known.extend(between.drain(..).map(|wire| {
                    let (key, length) = key(list, wire);
                    Box::from(key.get(..length).unwrap_or_default())
                }));
            }
            if !is_owner {
                between.push(wire);
            }
        }
    }
}

/// The key of a name of a list, and its length; on the stack.
fn key(list: u16, wire: &[u8]) -> ([u8; KEY_OCTETS_MAX], usize) {
    let mut key = [0; KEY_OCTETS_MAX];
    let octets = list.to_be_bytes().into_iter().chain(wire.iter().copied());
    for (to, from) in key.iter_mut().zip(octets) {
        *to = from;
    }
    (key, wire.len() + 2)
}

/// Whether a rule is a wildcard of a policy zone.
const fn is_wild(rule: &Rule) -> bool {
    matches!(
        rule.shape,
        Shape::Name(Scope::Wildcard) | Shape::NsName(Scope::Wildcard)
    )
}

/// Calls `act` with every rule under a name in wire form.
pub(super) fn each_of(
    index: &Index,
    names: &NameIndex,
    wire: &[u8],
    mut act: impl FnMut(u32, &Rule),
) {
    let mut next = names.find(&index.rules, wire, name_index::hash(wire));
    while let Some((number, rule)) =
        next.and_then(|number| Some((number, index.rules.get(number)?)))
    {
        act(number, rule);
        next = Some(rule.next);
    }
}

/// The longest key.
const KEY_OCTETS_MAX: usize = NAME_OCTETS_MAX + 2;
