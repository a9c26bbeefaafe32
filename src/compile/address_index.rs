//! [`AddressIndex`]: finds the rules of the ranges that an address lies in.

use std::collections::HashMap;
use std::net::IpAddr;

use rapidhash::fast::RandomState;

use super::rules::{NO_RULE, Rules};
use crate::policy::Prefix;

/// Ranges of addresses, each with a chain of rules. One probe for each length of prefix that
/// occurs; the families are kept apart.
#[derive(Clone, Debug, Default)]
pub(super) struct AddressIndex {
    /// The first rule of each range.
    ranges: HashMap<Prefix, u32, RandomState>,
    /// The lengths that occur, the longest first: of IPv4, of IPv6.
    lengths: [Vec<u8>; 2],
    /// Ranges that were added, to build from.
    added: Vec<(Prefix, u32)>,
}

impl AddressIndex {
    /// Notes a rule of a range; it is found once the index is built.
    pub(super) fn add(&mut self, range: Prefix, rule: u32) {
        self.added.push((range, rule));
    }

    /// Builds it over all that was added.
    pub(super) fn build(&mut self, rules: &mut Rules) {
        self.ranges.clear();
        self.lengths = Default::default();
        for (range, rule) in &self.added {
            let before = self.ranges.insert(*range, *rule);
            rules.chain(*rule, before.unwrap_or(NO_RULE));
            let [v4, v6] = &mut self.lengths;
            let lengths = if range.address().is_ipv4() { v4 } else { v6 };
            if let Err(place) = lengths.binary_search_by(|known| range.length().cmp(known)) {
                lengths.insert(place, range.length());
            }
        }
    }

    /// The first rule of this very range.
    pub(super) fn find(&self, range: &Prefix) -> Option<u32> {
        self.ranges.get(range).copied()
    }

    /// The ranges that an address lies in with their first rules, the longest prefix first.
    /// An IPv4-mapped IPv6 address counts as IPv4.
    pub(super) fn covering(&self, address: IpAddr) -> impl Iterator<Item = (Prefix, u32)> + '_ {
        let address = address.to_canonical();
        let [v4, v6] = &self.lengths;
        let lengths = if address.is_ipv4() { v4 } else { v6 };
        lengths.iter().filter_map(move |length| {
            let range = Prefix::around(address, *length)?;
            Some((range, self.find(&range)?))
        })
    }
}
