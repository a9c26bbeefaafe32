//! [`UrlIndex`]: finds the rules of a URL: its host, then the path and its prefixes.

use std::collections::HashMap;

use crate::policy::{CanonicalUrl, QueryMatch, UrlScope};

/// Per host and port, the URL rules sorted by path.
#[derive(Debug, Default)]
pub(super) struct UrlIndex {
    hosts: HashMap<Box<str>, HostRules>,
}

#[derive(Debug, Default)]
struct HostRules {
    /// Sorted by path once the index is finished.
    rules: Vec<UrlRule>,
    /// The most slashes of any prefix among them: no longer prefix of a request is tried.
    slashes_max: usize,
}

#[derive(Debug)]
struct UrlRule {
    path: Box<str>,
    /// The query, with its question mark.
    query: Box<str>,
    scope: UrlScope,
    query_match: QueryMatch,
    rule: u32,
}

/// How closely a URL rule matched; less is closer.
pub(super) type Distance = u32;

impl UrlIndex {
    pub(super) fn insert(
        &mut self,
        url: &CanonicalUrl,
        scope: UrlScope,
        query_match: QueryMatch,
        rule: u32,
    ) {
        let host = self.hosts.entry(url.authority().into()).or_default();
        if scope == UrlScope::Prefix {
            host.slashes_max = host.slashes_max.max(slashes(url.path()).count());
        }
        host.rules.push(UrlRule {
            path: url.path().into(),
            query: url.query().into(),
            scope,
            query_match,
            rule,
        });
    }

    /// Sorts what was inserted; before this nothing is found.
    pub(super) fn finish(&mut self) {
        for host in self.hosts.values_mut() {
            host.rules
                .sort_by(|one, other| one.path.cmp(&other.path).then(one.rule.cmp(&other.rule)));
            host.rules.shrink_to_fit();
        }
    }

    /// Hands every rule that covers `url` to `take`, with its distance.
    pub(super) fn find(&self, url: &CanonicalUrl, mut take: impl FnMut(u32, Distance)) {
        let Some(host) = self.hosts.get(url.authority()) else {
            return;
        };
        let path = url.path();
        for rule in host.at_path(path) {
            match (rule.scope, rule.query_match) {
                (UrlScope::Exact, QueryMatch::Exact) if *rule.query == *url.query() => {
                    take(rule.rule, 0)
                }
                (UrlScope::Exact, QueryMatch::Exact) => {}
                (UrlScope::Exact, QueryMatch::Ignore) => take(rule.rule, 1),
                (UrlScope::Prefix, _) => take(rule.rule, prefix_distance(path.len())),
            }
        }
        // `/foo` covers all below it, and so does `/foo/`.
        for slash in slashes(path).take(host.slashes_max + 1) {
            for end in [slash, slash + 1] {
                let Some(prefix) = path.get(..end).filter(|prefix| prefix.len() < path.len())
                else {
                    continue;
                };
                let rules = host
                    .at_path(prefix)
                    .filter(|rule| rule.scope == UrlScope::Prefix);
                rules.for_each(|rule| take(rule.rule, prefix_distance(prefix.len())));
            }
        }
    }
}

impl HostRules {
    fn at_path(&self, path: &str) -> impl Iterator<Item = &UrlRule> {
        let first = self.rules.partition_point(|rule| *rule.path < *path);
        self.rules
            .iter()
            .skip(first)
            .take_while(move |rule| *rule.path == *path)
    }
}

fn slashes(path: &str) -> impl Iterator<Item = usize> {
    path.bytes()
        .enumerate()
        .filter(|(_, octet)| *octet == b'/')
        .map(|(at, _)| at)
}

/// Longer prefixes are closer; every prefix is farther than an exact URL.
fn prefix_distance(length: usize) -> Distance {
    Distance::MAX - Distance::try_from(length).unwrap_or(Distance::MAX - 2)
}
