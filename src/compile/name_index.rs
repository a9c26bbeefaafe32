//! [`NameIndex`]: finds the rules of a name and of its parents.

use rapidhash::v3::rapidhash_v3;

/// An open-addressing table from names in wire form to chains of rules. One probe a label;
/// a tag decides a miss without touching the names.
#[derive(Debug, Default)]
pub(super) struct NameIndex {
    /// The octets of all names, one after the other.
    arena: Vec<u8>,
    nodes: Vec<Node>,
    /// A power of two long, at most half full; empty without nodes.
    buckets: Vec<Bucket>,
}

/// One name of the index.
#[derive(Clone, Copy, Debug)]
struct Node {
    at: u32,
    len: u8,
    /// What is kept of the name.
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tag: u32,
    node: u32,
}

impl NameIndex {
    /// Adds `value` under a name and returns what was last added under it before, so that
    /// the caller can chain them. Nothing is added beyond 4 GiB of names.
    pub(super) fn insert(&mut self, wire: &[u8], value: u32) -> Option<u32> {
        if (self.nodes.len() + 1) * 2 > self.buckets.len() {
            self.grow();
        }
        let hash = hash(wire);
        if let Some(node) = self
            .find_node(wire, hash)
            .and_then(|node| self.nodes.get_mut(node as usize))
        {
            return Some(std::mem::replace(&mut node.last, value));
        }
        let at = u32::try_from(self.arena.len()).ok()?;
        let len = u8::try_from(wire.len()).ok()?;
        let node = u32::try_from(self.nodes.len()).ok()?;
        self.arena.extend_from_slice(wire);
        self.nodes.push(Node {
            at,
            len,
            first: value,
            last: value,
        });
        self.place(hash, node);
        None
    }

    /// What was first added under a name.
    pub(super) fn find(&self, wire: &[u8]) -> Option<u32> {
        if self.buckets.is_empty() {
            return None;
        }
        let node = self.find_node(wire, hash(wire))?;
        self.nodes.get(node as usize).map(|node| node.first)
    }

    fn find_node(&self, wire: &[u8], hash: u64) -> Option<u32> {
        let mask = self.buckets.len().wrapping_sub(1);
        let mut place = start(hash) & mask;
        loop {
            let bucket = self.buckets.get(place)?;
            if bucket.node == EMPTY {
                return None;
            }
            if bucket.tag == tag(hash) {
                let node = self.nodes.get(bucket.node as usize)?;
                let at = node.at as usize;
                if self.arena.get(at..at + usize::from(node.len)) == Some(wire) {
                    return Some(bucket.node);
                }
            }
            place = (place + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let length = (self.buckets.len() * 2).max(16);
        self.buckets = vec![
            Bucket {
                tag: 0,
                node: EMPTY
            };
            length
        ];
        for node in 0..self.nodes.len() {
            let Some(Node { at, len, .. }) = self.nodes.get(node).copied() else {
                continue;
            };
            let wire = self
                .arena
                .get(at as usize..at as usize + usize::from(len))
                .unwrap_or_default();
            let hash = hash(wire);
            self.place(hash, u32::try_from(node).unwrap_or(EMPTY));
        }
    }

    fn place(&mut self, hash: u64, node: u32) {
        let mask = self.buckets.len().wrapping_sub(1);
        let mut place = start(hash) & mask;
        while let Some(bucket) = self.buckets.get_mut(place) {
            if bucket.node == EMPTY {
                *bucket = Bucket {
                    tag: tag(hash),
                    node,
                };
                return;
            }
            place = (place + 1) & mask;
        }
    }

    /// Gives back what growing left over.
    pub(super) fn shrink_to_fit(&mut self) {
        self.arena.shrink_to_fit();
        self.nodes.shrink_to_fit();
    }
}

fn hash(wire: &[u8]) -> u64 {
    rapidhash_v3(wire)
}

/// The low half of the hash says where to begin, the high half is the tag.
const fn start(hash: u64) -> usize {
    (hash & 0xffff_ffff) as usize
}

const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

const EMPTY: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_a_map(keys in prop::collection::vec("[ab]{1,4}", 0..200), asked in "[ab]{1,4}") {
            let mut index = NameIndex::default();
            let mut map: HashMap<String, (u32, u32)> = HashMap::new();
            for (value, key) in (0_u32..).zip(&keys) {
                let before = map.get(key).map(|(_, last)| *last);
                prop_assert_eq!(index.insert(key.as_bytes(), value), before);
                map.entry(key.clone()).and_modify(|(_, last)| *last = value).or_insert((value, value));
            }
            prop_assert_eq!(index.find(asked.as_bytes()), map.get(&asked).map(|(first, _)| *first));
        }
    }
}
