//! [`UrlIndex`]: finds the rules of a URL: its host, then the path and its prefixes.

use rapidhash::v3::rapidhash_v3;

use super::rules::{Rules, Shape};
use crate::policy::{CanonicalUrl, QueryMatch, UrlScope};

/// The URL rules, sorted by host, port and path, and a table of the hosts among them. It
/// holds numbers alone: the texts stand in the rules.
#[derive(Clone, Debug, Default)]
pub(super) struct UrlIndex {
    /// Numbers of rules; sorted once the index is built.
    sorted: Vec<u32>,
    hosts: Vec<HostRules>,
    /// Places in `hosts` from 1; 0 for none. A power of two long, at most two thirds full.
    buckets: Vec<u32>,
}

/// The rules of one host and port.
#[derive(Clone, Copy, Debug)]
struct HostRules {
    /// Where they begin among the sorted.
    first: u32,
    count: u32,
    /// The upper half of the hash of host and port.
    tag: u32,
    /// The most slashes of any prefix among them: no longer prefix of a request is tried.
    slashes_max: u32,
}

/// How closely a URL rule matched; less is closer.
pub(super) type Distance = u32;

/// A URL as a rule has it: with its scheme, which is cut off.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct RuleUrl<'a> {
    authority: &'a str,
    path: &'a str,
    /// With its question mark.
    query: &'a str,
}

impl UrlIndex {
    /// Notes a rule; it is found once the index is built.
    pub(super) fn add(&mut self, rule: u32) {
        self.sorted.push(rule);
    }

    /// Sorts what was added and builds the table of hosts.
    pub(super) fn build(&mut self, rules: &Rules) {
        self.sorted.sort_by(|one, other| {
            (RuleUrl::of(rules, *one), one).cmp(&(RuleUrl::of(rules, *other), other))
        });
        self.hosts.clear();
        let mut last = None;
        for (place, number) in (0..).zip(&self.sorted) {
            let url = RuleUrl::of(rules, *number);
            if last != Some(url.authority) {
                last = Some(url.authority);
                self.hosts.push(HostRules {
                    first: place,
                    count: 0,
                    tag: tag(hash(url.authority)),
                    slashes_max: 0,
                });
            }
            let shape = rules.get(*number).map(|rule| rule.shape);
            if let Some(host) = self.hosts.last_mut() {
                host.count += 1;
                if let Some(Shape::Url(UrlScope::Prefix, _)) = shape {
                    let slashes = u32::try_from(slashes(url.path).count()).unwrap_or(u32::MAX);
                    host.slashes_max = host.slashes_max.max(slashes);
                }
            }
        }
        self.place_hosts(rules);
    }

    fn place_hosts(&mut self, rules: &Rules) {
        let length = (self.hosts.len() * 3 / 2 + 1).next_power_of_two();
        self.buckets = vec![0; length];
        for (host, number) in self.hosts.iter().zip(1..) {
            let first = self.sorted.get(host.first as usize).copied();
            let authority = first.map(|rule| RuleUrl::of(rules, rule).authority);
            let mut place = start(hash(authority.unwrap_or_default())) & (length - 1);
            while self.buckets.get(place).is_some_and(|taken| *taken != 0) {
                place = (place + 1) & (length - 1);
            }
            if let Some(bucket) = self.buckets.get_mut(place) {
                *bucket = number;
            }
        }
    }

    /// Gives back what growing left over.
    pub(super) fn shrink_to_fit(&mut self) {
        self.sorted.shrink_to_fit();
        self.hosts.shrink_to_fit();
    }

    /// Hands every rule that covers `url` to `take`, with its distance.
    pub(super) fn find(
        &self,
        rules: &Rules,
        url: &CanonicalUrl,
        mut take: impl FnMut(u32, Distance),
    ) {
        let Some((host, sorted)) = self.rules_of(rules, url.authority()) else {
            return;
        };
        let path = url.path();
        for (number, scope, query) in at_path(rules, sorted, path) {
            match (scope, query) {
                (UrlScope::Exact, QueryMatch::Exact) => {
                    if RuleUrl::of(rules, number).query == url.query() {
                        take(number, 0);
                    }
                }
                (UrlScope::Exact, QueryMatch::Ignore) => take(number, 1),
                (UrlScope::Prefix, _) => take(number, prefix_distance(path.len())),
            }
        }
        // `/foo` covers all below it, and so does `/foo/`.
        let most = (host.slashes_max as usize).saturating_add(1);
        for slash in slashes(path).take(most) {
            for end in [slash, slash + 1] {
                let Some(prefix) = path.get(..end).filter(|prefix| prefix.len() < path.len())
                else {
                    continue;
                };
                for (number, scope, _) in at_path(rules, sorted, prefix) {
                    if scope == UrlScope::Prefix {
                        take(number, prefix_distance(prefix.len()));
                    }
                }
            }
        }
    }

    /// Hands every rule with exactly that URL to `take`, however far it goes.
    pub(super) fn find_same(&self, rules: &Rules, url: &CanonicalUrl, mut take: impl FnMut(u32)) {
        let Some((_, sorted)) = self.rules_of(rules, url.authority()) else {
            return;
        };
        let wanted = RuleUrl {
            authority: url.authority(),
            path: url.path(),
            query: url.query(),
        };
        let first = sorted.partition_point(|number| RuleUrl::of(rules, *number) < wanted);
        let same = sorted.iter().skip(first);
        same.take_while(|number| RuleUrl::of(rules, **number) == wanted)
            .for_each(|number| take(*number));
    }

    /// The rules of a host and port.
    fn rules_of(&self, rules: &Rules, authority: &str) -> Option<(HostRules, &[u32])> {
        let hash = hash(authority);
        let mask = self.buckets.len().wrapping_sub(1);
        let mut place = start(hash) & mask;
        loop {
            let number = self.buckets.get(place)?.checked_sub(1)?;
            let host = *self.hosts.get(number as usize)?;
            if host.tag == tag(hash) {
                let first = host.first as usize;
                let sorted = self.sorted.get(first..first + host.count as usize)?;
                if RuleUrl::of(rules, *sorted.first()?).authority == authority {
                    return Some((host, sorted));
                }
            }
            place = (place + 1) & mask;
        }
    }
}

impl<'a> RuleUrl<'a> {
    fn of(rules: &'a Rules, number: u32) -> Self {
        let value = rules.get(number).map_or("", |rule| rules.value(rule));
        let text = value.split_once("://").map_or(value, |(_, text)| text);
        let path_at = text.find('/').unwrap_or(text.len());
        let (authority, rest) = text.split_at_checked(path_at).unwrap_or((text, ""));
        let query_at = rest.find('?').unwrap_or(rest.len());
        let (path, query) = rest.split_at_checked(query_at).unwrap_or((rest, ""));
        Self {
            authority,
            path,
            query,
        }
    }
}

/// The rules among those of one host whose path is exactly that.
fn at_path<'a>(
    rules: &'a Rules,
    sorted: &'a [u32],
    path: &'a str,
) -> impl Iterator<Item = (u32, UrlScope, QueryMatch)> {
    let first = sorted.partition_point(|number| RuleUrl::of(rules, *number).path < path);
    sorted
        .iter()
        .skip(first)
        .take_while(move |number| RuleUrl::of(rules, **number).path == path)
        .filter_map(|number| match rules.get(*number)?.shape {
            Shape::Url(scope, query) => Some((*number, scope, query)),
            _ => None,
        })
}

fn hash(authority: &str) -> u64 {
    rapidhash_v3(authority.as_bytes())
}

/// The low half of the hash says where to begin, the high half is the tag.
const fn start(hash: u64) -> usize {
    (hash & 0xffff_ffff) as usize
}

const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn slashes(path: &str) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(b'/', path.as_bytes())
}

/// Longer prefixes are closer; every prefix is farther than an exact URL.
fn prefix_distance(length: usize) -> Distance {
    Distance::MAX - Distance::try_from(length).unwrap_or(Distance::MAX - 2)
}
