//! [`Candidate`]: a rule that matches, and where it stands among others; how they are found.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::Blocklist;
use super::address_index::AddressIndex;
use super::index::Index;
use super::name_index::{self, NameIndex};
use super::rules::{Rule, Shape};
use super::url_index::Distance;
use super::zone_names::Tree;
use crate::policy::{Action, CanonicalUrl, Name, NameServer, Prefix, Reach, RuleId, Scope};

/// A rule that matches, ordered as the policy orders them (rpz.md 2.4): the list (O2), the
/// kind of trigger (O4), how closely it matches (O3, O6), the tie between equals (O5, O7),
/// exceptions first, then the id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) list: u16,
    pub(super) tier: Tier,
    pub(super) distance: Distance,
    pub(super) tie: u128,
    /// Of a name server, the dots in the name of its zone.
    pub(super) zone_dots: u8,
    pub(super) acts: bool,
    pub(super) rule: RuleId,
}

/// The kinds of triggers within one list, in the order in which they are weighed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Tier {
    Client,
    Url,
    Name,
    Address,
    NsName,
    NsAddress,
}

impl Tier {
    /// Whether it is on name servers.
    pub(super) const fn is_of_servers(self) -> bool {
        matches!(self, Self::NsName | Self::NsAddress)
    }
}

/// Candidates of one decision; eight of them need no allocation.
pub(super) type Candidates = SmallVec<[Candidate; 8]>;

/// One walk from a name to the root.
struct Walk<'a> {
    name: &'a Name,
    tree: Tree,
    /// Whether the name is the one that was asked for.
    is_asked: bool,
    /// What orders equal matches of different names.
    tie: u128,
    /// Of a name server, the dots in the name of its zone.
    zone_dots: u8,
    /// The policy zones that have a name at or below where the walk is, and how far it is from
    /// the one that is asked about: the closest encloser, past which no wildcard matches (T18).
    /// Nothing where that has no rule.
    enclosers: SmallVec<[(u16, Option<Distance>); 4]>,
}

impl Blocklist {
    /// Finds the rules on a name; `is_asked` says whether it is the one that was asked for.
    pub(super) fn collect_names(&self, name: &Name, is_asked: bool, found: &mut Candidates) {
        let tree = Tree::Query;
        self.walk(&mut Walk::new(name, tree, is_asked, (0, u8::MAX)), found);
    }

    /// Finds the rules on a name server; `place` is where it sorts among others, the last
    /// first.
    pub(super) fn collect_name_server(
        &self,
        server: &NameServer,
        place: u128,
        found: &mut Candidates,
    ) {
        let (tree, order) = (Tree::NameServer, (place, server.zone_dots));
        self.walk(&mut Walk::new(&server.name, tree, true, order), found);
        for address in &server.addresses {
            self.collect_addresses(*address, Tier::NsAddress, server.zone_dots, found);
        }
    }

    /// Finds the rules on a URL.
    pub(super) fn collect_urls(&self, url: &CanonicalUrl, found: &mut Candidates) {
        for (index, first) in self.indexes() {
            index.urls.find(&index.rules, url, |number, distance| {
                if let Some(rule) = index.rules.get(number) {
                    let number = first.saturating_add(number);
                    self.push(found, number, rule, Tier::Url, (distance, 0, u8::MAX));
                }
            });
        }
    }

    /// Finds the rules on an address, of one kind.
    pub(super) fn collect_addresses(
        &self,
        address: IpAddr,
        tier: Tier,
        zone_dots: u8,
        found: &mut Candidates,
    ) {
        for (index, first) in self.indexes() {
            for (range, rule) in ranges(index, tier).covering(address) {
                let mut next = Some(rule);
                while let Some((number, rule)) =
                    next.and_then(|number| Some((number, index.rules.get(number)?)))
                {
                    let number = first.saturating_add(number);
                    let order = (width(range), place(range), zone_dots);
                    self.push(found, number, rule, tier, order);
                    next = Some(rule.next);
                }
            }
        }
    }

    /// Puts candidates into the order in which they are weighed.
    pub(super) fn sort(&self, candidates: &mut Candidates) {
        if candidates.len() < 2 {
            return;
        }
        let id = |rule: RuleId| {
            let (index, rule) = self.get(rule)?;
            Some(index.rules.id(rule))
        };
        candidates.sort_unstable_by(|one, other| {
            let closeness = |of: &Candidate| (of.list, of.tier, of.distance, of.tie, of.acts);
            closeness(one)
                .cmp(&closeness(other))
                .then_with(|| id(one.rule).cmp(&id(other.rule)))
                .then(one.rule.cmp(&other.rule))
        });
    }

    fn walk(&self, walk: &mut Walk<'_>, found: &mut Candidates) {
        for (distance, wire) in (0..).zip(walk.name.and_parents()) {
            let hash = name_index::hash(wire);
            for (index, first) in self.indexes() {
                let names = walk.tree.of(index);
                let mut next = names.find(&index.rules, wire, hash);
                while let Some((number, rule)) =
                    next.and_then(|number| Some((number, index.rules.get(number)?)))
                {
                    self.meet(walk, first.saturating_add(number), rule, distance, found);
                    next = Some(rule.next);
                }
            }
        }
    }

    /// Takes a rule at the name or one of its parents where it covers the name.
    fn meet(
        &self,
        walk: &mut Walk<'_>,
        number: u32,
        rule: &Rule,
        distance: Distance,
        found: &mut Candidates,
    ) {
        let (Shape::Name(scope) | Shape::NsName(scope)) = rule.shape else {
            return;
        };
        if self.inactive.contains(number) {
            return;
        }
        if rule.reach == Reach::PolicyZone && !self.is_encloser(walk, rule.list, distance) {
            return;
        }
        let covers = match scope {
            Scope::Exact => distance == 0,
            Scope::Subtree => true,
            Scope::Children => distance > 0,
            Scope::Wildcard => distance > 0 && !walk.is_below_star(distance),
        };
        if covers && (walk.is_asked || rule.reach != Reach::Asked) {
            let (tier, distance) = match walk.tree {
                // At the name itself an exact rule is closer than a subtree.
                Tree::Query => (Tier::Name, distance + Distance::from(scope != Scope::Exact)),
                Tree::NameServer => (Tier::NsName, walk.width(scope, distance)),
            };
            let order = (distance, walk.tie, walk.zone_dots);
            self.push(found, number, rule, tier, order);
        }
    }

    /// Whether a name of a policy zone is the closest encloser of the one that is asked about,
    /// or that itself: none of the zone's lies between.
    fn is_encloser(&self, walk: &mut Walk<'_>, list: u16, distance: Distance) -> bool {
        let mut known = walk.enclosers.iter();
        if let Some((_, closest)) = known.find(|(zone, _)| *zone == list) {
            return *closest == Some(distance);
        }
        let between = usize::try_from(distance).unwrap_or(usize::MAX);
        let is_empty = |wire| self.zone_names.contains(walk.tree, list, wire);
        let has_empty = walk.name.and_parents().take(between).any(is_empty);
        let closest = (!has_empty).then_some(distance);
        walk.enclosers.push((list, closest));
        closest.is_some()
    }

    fn push(
        &self,
        found: &mut Candidates,
        number: u32,
        rule: &Rule,
        tier: Tier,
        (distance, tie, zone_dots): (Distance, u128, u8),
    ) {
        if !self.inactive.contains(number) {
            found.push(Candidate {
                list: rule.list,
                tier,
                distance,
                tie,
                zone_dots,
                acts: rule.action != Action::PassThru,
                rule: RuleId(number),
            });
        }
    }
}

impl<'a> Walk<'a> {
    fn new(name: &'a Name, tree: Tree, is_asked: bool, (tie, zone_dots): (u128, u8)) -> Self {
        Self {
            name,
            tree,
            is_asked,
            tie,
            zone_dots,
            enclosers: SmallVec::new(),
        }
    }

    /// Whether the name lies below a star that stands where the wildcard's does: that is a name
    /// of the zone itself, and the closest encloser (RFC 4592 section 2.2.1).
    fn is_below_star(&self, distance: Distance) -> bool {
        let between = usize::try_from(distance).unwrap_or(usize::MAX);
        let star = self.name.and_parents().nth(between.saturating_sub(1));
        between > 1 && star.is_some_and(|wire| wire.starts_with(b"\x01*"))
    }

    /// How wide a match of a name server is: exact before wildcards, then by labels (O3);
    /// across names, distances do not compare.
    fn width(&self, scope: Scope, distance: Distance) -> Distance {
        let labels = Distance::try_from(self.name.label_count()).unwrap_or(Distance::MAX);
        match scope {
            Scope::Exact => 0,
            _ => LABELS_MAX.saturating_sub(labels.saturating_sub(distance)),
        }
    }
}

impl Tree {
    /// Where the names of the tree are found.
    pub(super) const fn of(self, index: &Index) -> &NameIndex {
        match self {
            Self::Query => &index.names,
            Self::NameServer => &index.ns_names,
        }
    }
}

/// The ranges of one kind of trigger.
const fn ranges(index: &Index, tier: Tier) -> &AddressIndex {
    match tier {
        Tier::Client => &index.clients,
        Tier::NsAddress => &index.ns_addresses,
        _ => &index.addresses,
    }
}

/// How wide a range is: the longest prefix is the closest; IPv4's count 96 more (O6).
fn width(range: Prefix) -> Distance {
    let offset = if range.address().is_ipv4() { 96 } else { 0 };
    128 - offset - Distance::from(range.length())
}

/// Where a range begins, as a number (O7).
const fn place(range: Prefix) -> u128 {
    match range.address() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// More labels than a name can have.
const LABELS_MAX: Distance = 128;
