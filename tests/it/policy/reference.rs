//! The decision as rpz.md 2.4 words it: all matches of a stage, sorted by O2 to O7.

use std::cmp::Reverse;
use std::net::IpAddr;

use cordon::compile::{Mode, PassThru};
use cordon::policy::Prefix;

use super::case::{Case, List, Rule, Server, StageData, Trigger, Verdict, ZoneName};

/// What is to be decided.
pub(super) fn decide(case: &Case) -> Verdict {
    let mut verdict = Verdict::default();
    let mut silent: Vec<usize> = (0..case.lists.len())
        .filter(|place| !is_for(&case.lists[*place], case))
        .collect();
    for (number, stage) in case.stages.iter().enumerate() {
        let mut matches = Vec::new();
        for (place, list) in case.lists.iter().enumerate() {
            let is_strict = case.asker.dnssec_ok && !list.settings.dns.break_dnssec;
            if is_strict && stage.is_signed {
                continue; // S4
            }
            for rule in &list.rules {
                if let Some(rank) = rank(case, list, rule, stage, number == 0) {
                    matches.push((place, rank, rule));
                }
            }
        }
        matches.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        for (place, _, rule) in matches {
            if silent.contains(&place) {
                continue;
            }
            let settings = &case.lists[place].settings;
            let named = (settings.name.clone(), rule.id.clone());
            if settings.mode == Mode::Monitor {
                // DISABLED: noted once, unless it would have passed, and the next best is taken.
                if !rule.passes {
                    verdict.watched.push(named);
                }
                silent.push(place);
            } else if rule.passes && settings.passthru == PassThru::List {
                let (list, entry) = named;
                verdict.act.get_or_insert((list, entry, true));
                silent.push(place);
            } else {
                let (list, entry) = named;
                verdict.act = Some((list, entry, rule.passes));
                verdict.stage = Some(number);
                return verdict; // O1, O8
            }
        }
    }
    verdict
}

/// Whether a list is for who asks.
fn is_for(list: &List, case: &Case) -> bool {
    let dns = &list.settings.dns;
    let client = case.asker.client.unwrap();
    (dns.clients.is_empty() || dns.clients.iter().any(|range| range.contains(client)))
        && (case.asker.recursion_desired || !dns.recursive_only) // S3
}

/// Where a match stands within its list: the kind of trigger (O4), then O3, O5, O6, O7.
type Rank = (u8, u64, Reverse<Vec<Vec<u8>>>, u128, bool, String);

fn rank(case: &Case, list: &List, rule: &Rule, stage: &StageData, is_first: bool) -> Option<Rank> {
    let last = |(kind, width, name, number)| {
        (
            kind,
            width,
            Reverse(name),
            number,
            !rule.passes,
            rule.id.clone(),
        )
    };
    let rank = match &rule.trigger {
        Trigger::Client(range) => {
            let client = case.asker.client?;
            return (is_first && range.contains(client))
                .then(|| last((0, width(range), Vec::new(), number(range))));
        }
        Trigger::Name(name) => {
            let of = |trigger: &Trigger| match trigger {
                Trigger::Name(name) => Some(name.clone()),
                _ => None,
            };
            matches_in(list, of, name, &stage.name)
                .then(|| (1, 1000 - specificity(name), Vec::new(), 0))
        }
        Trigger::Native(value, scope) => {
            if !is_first && !rule.chases {
                return None;
            }
            let below = stage.name.ends_with(&format!(".{value}"));
            let covers = match *scope {
                "exact" => stage.name == *value,
                "children" => below,
                _ => below || stage.name == *value,
            };
            let labels = |text: &str| text.split('.').count() as u64;
            let distance = labels(&stage.name).saturating_sub(labels(value));
            covers.then(|| (1, distance + u64::from(*scope != "exact"), Vec::new(), 0))
        }
        Trigger::Address(range) => closest(range, &stage.addresses, 2),
        Trigger::NsName(name) => {
            let of = |trigger: &Trigger| match trigger {
                Trigger::NsName(name) => Some(name.clone()),
                _ => None,
            };
            let hosts = servers(list, stage).map(|server| &server.name);
            let matched = hosts.filter(|host| matches_in(list, of, name, host));
            matched
                .map(|host| (3, 1000 - specificity(name), canonical(host), 0))
                .max_by(|one, other| one.2.cmp(&other.2))
        }
        Trigger::NsAddress(range) => {
            let addresses = servers(list, stage).flat_map(|server| &server.addresses);
            closest(range, &addresses.copied().collect::<Vec<_>>(), 4)
        }
    };
    rank.map(last)
}

/// The name servers that a list looks at (T6, T9).
fn servers<'a>(list: &'a List, stage: &'a StageData) -> impl Iterator<Item = &'a Server> {
    let dns = &list.settings.dns;
    let servers = stage.servers.iter();
    servers.filter(|server| dns.ns_lookup && server.zone_dots >= dns.min_ns_dots)
}

fn closest(
    range: &Prefix,
    addresses: &[IpAddr],
    kind: u8,
) -> Option<(u8, u64, Vec<Vec<u8>>, u128)> {
    let covers = addresses.iter().any(|address| range.contains(*address));
    covers.then(|| (kind, width(range), Vec::new(), number(range)))
}

/// The shorter the prefix, the wider; IPv4's count 96 more (O6).
fn width(range: &Prefix) -> u64 {
    let bits = u64::from(range.length()) + if range.address().is_ipv4() { 96 } else { 0 };
    128 - bits
}

/// The address of the trigger as a number (O7).
fn number(range: &Prefix) -> u128 {
    match range.address() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Exact over wildcard; among wildcards the one with more labels (O3, T17).
fn specificity(name: &ZoneName) -> u64 {
    if name.is_wildcard {
        name.name.split('.').count() as u64
    } else {
        500
    }
}

/// The labels from the right, by which names sort in DNSSEC's canonical order.
fn canonical(name: &str) -> Vec<Vec<u8>> {
    name.split('.')
        .rev()
        .map(|label| label.as_bytes().to_vec())
        .collect()
}

/// Whether a rule of a policy zone matches a name: it is that name, or the wildcard of its
/// closest encloser among all names of the zone (T18; RFC 4592 section 3.3.1).
fn matches_in(
    list: &List,
    of: impl Fn(&Trigger) -> Option<ZoneName>,
    rule: &ZoneName,
    asked: &str,
) -> bool {
    let owners: Vec<ZoneName> = list
        .rules
        .iter()
        .filter_map(|rule| of(&rule.trigger))
        .collect();
    let exists = |name: &str| {
        let below = format!(".{name}");
        // A wildcard `*.p` stands below `p`.
        let is_there = |owner: &ZoneName| owner.name == name || owner.name.ends_with(&below);
        owners.iter().any(is_there)
    };
    if !rule.is_wildcard {
        return rule.name == asked;
    }
    if exists(asked) {
        return false;
    }
    let mut above = asked;
    while let Some((_, parent)) = above.split_once('.') {
        if exists(parent) {
            return parent == rule.name;
        }
        above = parent;
    }
    false
}
