//! [`NameIndex`]: finds the rules of a name and of its parents.

use rapidhash::v3::rapidhash_v3;

use super::rules::{NO_RULE, Rules};

/// An open-addressing table from names to chains of rules. One probe a label; a tag decides
/// a miss without touching the names, which stand in the rules alone.
#[derive(Clone, Debug, Default)]
pub(super) struct NameIndex {
    /// A power of two long, at most two thirds full; empty without names.
    buckets: Vec<Bucket>,
    /// Names that were added, to build the table from.
    added: Vec<(u64, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tag: u32,
    /// The first rule of the chain.
    rule: u32,
}

impl NameIndex {
    /// Notes a rule under a name in wire form; it is found once the index is built.
    pub(super) fn add(&mut self, wire: &[u8], rule: u32) {
        self.added.push((hash(wire), rule));
    }

    /// Builds the table over all that was added.
    pub(super) fn build(&mut self, rules: &mut Rules) {
        if self.added.is_empty() {
            return;
        }
        let length = (self.added.len() * 3 / 2 + 1).next_power_of_two();
        self.buckets = vec![
            Bucket {
                tag: 0,
                rule: NO_RULE
            };
            length
        ];
        let mask = length - 1;
        for (hash, rule) in &self.added {
            let mut place = start(*hash) & mask;
            while let Some(bucket) = self.buckets.get_mut(place) {
                if bucket.rule == NO_RULE {
                    rules.chain(*rule, NO_RULE);
                    *bucket = Bucket {
                        tag: tag(*hash),
                        rule: *rule,
                    };
                    break;
                }
                if bucket.tag == tag(*hash) && is_same_name(rules, bucket.rule, *rule) {
                    rules.chain(*rule, bucket.rule);
                    bucket.rule = *rule;
                    break;
                }
                place = (place + 1) & mask;
            }
        }
    }

    /// Ends the adding: what only building needs is given back.
    pub(super) fn seal(&mut self) {
        self.added = Vec::new();
    }

    /// The first rule of the chain under a name in wire form, whose [`hash`] is given.
    pub(super) fn find(&self, rules: &Rules, wire: &[u8], hash: u64) -> Option<u32> {
        let mask = self.buckets.len().wrapping_sub(1);
        let mut place = start(hash) & mask;
        loop {
            let bucket = self.buckets.get(place)?;
            if bucket.rule == NO_RULE {
                return None;
            }
            if bucket.tag == tag(hash) {
                let rule = rules.get(bucket.rule)?;
                if is_name(wire, rules.value(rule)) {
                    return Some(bucket.rule);
                }
            }
            place = (place + 1) & mask;
        }
    }
}

/// The hash of a name in wire form.
pub(super) fn hash(wire: &[u8]) -> u64 {
    rapidhash_v3(wire)
}

/// The low half of the hash says where to begin, the high half is the tag.
const fn start(hash: u64) -> usize {
    (hash & 0xffff_ffff) as usize
}

const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn is_same_name(rules: &Rules, one: u32, other: u32) -> bool {
    let value = |number| rules.get(number).map(|rule| rules.value(rule));
    value(one) == value(other)
}

/// Whether a name in wire form is the one that is written as `text`: names of lists hold no
/// octet that is escaped in text.
fn is_name(wire: &[u8], text: &str) -> bool {
    let mut text = text.as_bytes();
    let mut wire = wire;
    if let ([0], b".") = (wire, text) {
        return true;
    }
    loop {
        let Some((length, rest)) = wire.split_first() else {
            return false;
        };
        let Some((label, rest)) = rest.split_at_checked(usize::from(*length)) else {
            return false;
        };
        let Some(behind) = text.strip_prefix(label) else {
            return false;
        };
        match (rest, behind) {
            ([0], []) => return true,
            (_, [b'.', behind @ ..]) => (wire, text) = (rest, behind),
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::policy::{Action, Entry, EntryId, Kind, Name, Scope, Trigger};

    fn push(rules: &mut Rules, name: Name) -> u32 {
        let entry = Entry::plain(
            EntryId::derive("l", Kind::Domain, "v"),
            Trigger::Name {
                name,
                scope: Scope::Exact,
            },
            Action::Block,
            Arc::default(),
        );
        rules.push(0, Action::Block, 0, &entry).unwrap()
    }

    proptest! {
        #[test]
        fn equals_a_map(keys in prop::collection::vec("([ab]{1,2}\\.){0,2}[ab]{1,2}", 0..200), asked in "([ab]{1,2}\\.){0,2}[ab]{1,2}", again in 0_usize..3) {
            let (mut index, mut rules) = (NameIndex::default(), Rules::default());
            let mut map: HashMap<Name, BTreeSet<u32>> = HashMap::new();
            for (place, key) in keys.iter().enumerate() {
                let name = Name::from_text(key).unwrap();
                let rule = push(&mut rules, name);
                index.add(name.as_wire(), rule);
                map.entry(name).or_default().insert(rule);
                if place % 50 == again {
                    index.build(&mut rules);
                }
            }
            index.build(&mut rules);
            let asked = Name::from_text(&asked).unwrap();
            let mut found = BTreeSet::new();
            let mut next = index.find(&rules, asked.as_wire(), hash(asked.as_wire()));
            while let Some(rule) = next.and_then(|number| rules.get(number)) {
                prop_assert!(found.insert(next.unwrap()));
                next = Some(rule.next);
            }
            prop_assert_eq!(found, map.remove(&asked).unwrap_or_default());
        }

        #[test]
        fn wire_form_and_text_are_the_same_name(one in "([ab_-]{1,3}\\.){0,3}[ab]{1,3}", other in "([ab_-]{1,3}\\.){0,3}[ab]{1,3}") {
            let wire = Name::from_text(&one).unwrap();
            prop_assert!(is_name(wire.as_wire(), &one));
            prop_assert_eq!(is_name(wire.as_wire(), &other), one == other);
        }
    }

    #[test]
    fn the_root_has_a_name() {
        assert!(is_name(&[0], "."));
        assert!(!is_name(&[0], "a"));
        assert!(!is_name(b"\x01a\0", "."));
    }
}
