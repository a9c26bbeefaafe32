//! Reads the RPZ options of a list (rpz.md 2.9): how it acts over DNS, and for which clients.

use std::time::Duration;

use crate::compile::DnsOptions;
use crate::config::scalar::{count, duration, flag, prefix};
use crate::config::section::Section;
use crate::policy::Prefix;

/// Reads them.
pub(super) fn read(s: &mut Section<'_, '_>) -> Option<DnsOptions> {
    let break_dnssec = s.default(
        "break_dnssec",
        "true",
        "Whether signed answers are rewritten for clients that ask for DNSSEC records, too.",
        flag(),
    );
    let qname_wait_recurse = s.default(
        "qname_wait_recurse",
        "false",
        "Whether a name is resolved before a rule on it acts.",
        flag(),
    );
    let recursive_only = s.default(
        "recursive_only",
        "false",
        "Whether queries without RD are spared.",
        flag(),
    );
    let max_policy_ttl = s.optional(
        "max_policy_ttl",
        "The longest TTL of its answers. Without it RPZ rules have their own, others `dns.ttl`.",
        duration(Duration::ZERO, DAY),
    );
    let add_soa = s.default(
        "add_soa",
        "true",
        "Whether a SOA record in the additional section says which list made an answer.",
        flag(),
    );
    let min_ns_dots = s.default(
        "min_ns_dots",
        "1",
        "NSDNAME and NSIP: zones whose names have fewer dots are not looked at.",
        count(0..=126_u8),
    );
    let ns_lookup = s.default(
        "ns_lookup",
        "false",
        "Whether name servers are looked up for NSDNAME and NSIP rules, which are inactive else.",
        flag(),
    );
    let signal_nxdomain_ra = s.default(
        "signal_nxdomain_ra",
        "false",
        "Whether RA is clear in its NXDOMAIN answers, so that forwarders can tell them apart.",
        flag(),
    );
    let clients = s.list(
        "clients",
        EVERYBODY,
        "The networks of the clients that it is for.",
        prefix(),
    );
    if clients.as_ref().is_some_and(Vec::is_empty) {
        return s.wrong(
            "clients",
            "with no network in `clients` the list would be for nobody",
            "name the networks, or remove `clients` for a list that is for everybody",
        );
    }
    Some(DnsOptions {
        break_dnssec: break_dnssec?,
        qname_wait_recurse: qname_wait_recurse?,
        recursive_only: recursive_only?,
        max_policy_ttl: max_policy_ttl?,
        add_soa: add_soa?,
        min_ns_dots: min_ns_dots?,
        ns_lookup: ns_lookup?,
        signal_nxdomain_ra: signal_nxdomain_ra?,
        clients: unless_everybody(clients?),
    })
}

/// The networks; none where they are all there is.
fn unless_everybody(clients: Vec<Prefix>) -> Vec<Prefix> {
    let has_all = |v4: bool| {
        let mut clients = clients.iter();
        clients.any(|range| range.length() == 0 && range.address().is_ipv4() == v4)
    };
    match has_all(true) && has_all(false) {
        true => Vec::new(),
        false => clients,
    }
}

/// The networks of all clients.
const EVERYBODY: &[&str] = &["0.0.0.0/0", "::/0"];
/// The longest TTL that can be asked for.
const DAY: Duration = Duration::from_secs(86_400);
