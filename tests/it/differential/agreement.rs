//! What all resolvers do as the draft says (rpz.md 3.1): each case is asked of every one.

use std::time::Duration;

use hickory_proto::rr::RData;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};

use super::asking::ask;
use super::bind::Bind;
use super::node::Node;
use super::peer::{Kind, Peer};
use super::policy::{Policy, Rule, Zone, network};
use super::question::{Question, Said};
use super::world::{Upstream, World, wire};
use crate::harness::network::is_own;

/// The zones in their order: place, owner, record.
const RULES: &[(usize, &str, &str)] = &[
    (0, "*.wild.w0", "CNAME ."),
    (0, "apex.w0", "CNAME ."),
    (0, "*.both.w0", "CNAME ."),
    (0, "exact.both.w0", "A 198.51.100.1"),
    (0, "nodata.w0", "CNAME *."),
    (0, "local.w0", "A 198.51.100.1"),
    (0, "local.w0", "TXT \"by policy\""),
    (0, "new.w0", "A 198.51.100.1"),
    (0, "tcp.w0", "CNAME rpz-tcp-only."),
    (0, "passes.w0", "CNAME rpz-passthru."),
    (1, "passes.w0", "CNAME ."),
    (0, "passing.w0", "CNAME rpz-passthru."),
    (0, "listed.w0", "CNAME ."),
    (0, "mixed.w0", "CNAME ."),
    (0, "alias.w0", "CNAME garden.w0."),
];

/// What is really there, beside an address at each of those names.
const ALIASES: &[(&str, &str)] = &[
    ("to-listed.w0", "listed.w0"),
    ("to-local.w0", "local.w0"),
    ("passing.w0", "listed.w0"),
];

/// Name, type, over TCP; what is said; and whether Knot, which judges the asked name alone,
/// says so, too.
const CASES: &[(&str, RecordType, bool, &str, bool)] = &[
    (
        "x.wild.w0",
        RecordType::A,
        false,
        "Non-Existent Domain {}",
        true,
    ),
    (
        "y.x.wild.w0",
        RecordType::A,
        false,
        "Non-Existent Domain {}",
        true,
    ),
    (
        "wild.w0",
        RecordType::A,
        false,
        "No Error {wild.w0 A 192.0.2.1}",
        true,
    ),
    (
        "apex.w0",
        RecordType::A,
        false,
        "Non-Existent Domain {}",
        true,
    ),
    (
        "x.apex.w0",
        RecordType::A,
        false,
        "No Error {x.apex.w0 A 192.0.2.1}",
        true,
    ),
    (
        "exact.both.w0",
        RecordType::A,
        false,
        "No Error {exact.both.w0 A 198.51.100.1}",
        true,
    ),
    (
        "other.both.w0",
        RecordType::A,
        false,
        "Non-Existent Domain {}",
        true,
    ),
    ("nodata.w0", RecordType::A, false, "No Error {}", true),
    ("nodata.w0", RecordType::HTTPS, false, "No Error {}", true),
    (
        "local.w0",
        RecordType::A,
        false,
        "No Error {local.w0 A 198.51.100.1}",
        true,
    ),
    (
        "local.w0",
        RecordType::TXT,
        false,
        "No Error {local.w0 TXT by policy}",
        true,
    ),
    ("local.w0", RecordType::AAAA, false, "No Error {}", true),
    ("local.w0", RecordType::HTTPS, false, "No Error {}", true),
    ("local.w0", RecordType::MX, false, "No Error {}", true),
    (
        "new.w0",
        RecordType::A,
        false,
        "No Error {new.w0 A 198.51.100.1}",
        true,
    ),
    ("tcp.w0", RecordType::A, false, "No Error TC {}", true),
    (
        "tcp.w0",
        RecordType::A,
        true,
        "No Error {tcp.w0 A 192.0.2.1}",
        false,
    ),
    (
        "passes.w0",
        RecordType::A,
        false,
        "No Error {passes.w0 A 192.0.2.1}",
        true,
    ),
    (
        "passing.w0",
        RecordType::A,
        false,
        "No Error {listed.w0 A 192.0.2.1; passing.w0 CNAME listed.w0.}",
        true,
    ),
    (
        "MiXeD.w0",
        RecordType::A,
        false,
        "Non-Existent Domain {}",
        true,
    ),
    (
        "to-local.w0",
        RecordType::A,
        false,
        "No Error {local.w0 A 198.51.100.1; to-local.w0 CNAME local.w0.}",
        false,
    ),
    (
        "other.w0",
        RecordType::AAAA,
        false,
        "No Error {other.w0 AAAA 2001:db8::1}",
        true,
    ),
    (
        "missing.w0",
        RecordType::A,
        false,
        "Non-Existent Domain {}",
        true,
    ),
];

#[test]
fn where_all_agree_so_does_ours() {
    if !is_own("differential::agreement::where_all_agree_so_does_ours") {
        return;
    }
    let world = world();
    let policy = policy();
    let upstream = Upstream::start([world]);
    let first = question("other.w0", RecordType::A, false);
    let node = Node::start(upstream.address);
    node.put(&policy);
    let bind = Bind::start([(0, &policy)], upstream.address);
    let peers: Vec<Peer> = [Kind::Unbound, Kind::PowerDns, Kind::Knot]
        .into_iter()
        .map(|kind| Peer::start(kind, &policy, upstream.address, &first))
        .collect();
    let mut wrong = Vec::new();
    for (name, rtype, over_tcp, expected, is_knots) in CASES {
        let question = question(name, *rtype, *over_tcp);
        let one = |server| {
            let said = ask(server, network(0), &[&question], Duration::from_secs(5));
            said.first().map(Said::to_string).unwrap_or_default()
        };
        let mut check = |who: String, server| {
            let said = one(server);
            if said != *expected {
                wrong.push(format!("{question}: {who} says {said}, not {expected}"));
            }
        };
        check("ours".to_owned(), node.address);
        check("BIND".to_owned(), bind.address);
        for peer in &peers {
            if *is_knots || peer.kind != Kind::Knot {
                check(format!("{:?}", peer.kind), peer.address);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn world() -> World {
    let address = || RData::A(A("192.0.2.1".parse().unwrap()));
    let mut data = Vec::new();
    let names = [
        "wild.w0",
        "x.wild.w0",
        "x.apex.w0",
        "other.both.w0",
        "other.w0",
    ];
    let owners = RULES.iter().map(|(_, owner, _)| *owner);
    let aliases = ALIASES.iter().map(|(name, _)| *name);
    for name in owners.chain(names) {
        let is_new = data.iter().all(|(other, _)| other != name);
        if is_new
            && !name.starts_with('*')
            && name != "new.w0"
            && !aliases.clone().any(|alias| alias == name)
        {
            data.push((
                name.to_owned(),
                vec![
                    address(),
                    RData::AAAA(AAAA("2001:db8::1".parse().unwrap())),
                    RData::TXT(TXT::new(vec!["as it is".to_owned()])),
                ],
            ));
        }
    }
    for (name, target) in ALIASES {
        data.push(((*name).to_owned(), vec![RData::CNAME(CNAME(wire(target)))]));
    }
    World::of("w0", data)
}

fn policy() -> Policy {
    let mut zones = vec![Zone::given(), Zone::given()];
    for (place, owner, record) in RULES {
        let rules = &mut zones[*place].rules;
        match rules.iter_mut().find(|rule| rule.owner == *owner) {
            Some(rule) => rule.records.push((*record).to_owned()),
            None => rules.push(Rule {
                owner: (*owner).to_owned(),
                records: vec![(*record).to_owned()],
            }),
        }
    }
    Policy {
        zones,
        break_dnssec: true,
        qname_wait_recurse: false,
    }
}

fn question(name: &str, rtype: RecordType, over_tcp: bool) -> Question {
    Question {
        name: name.to_owned(),
        rtype,
        client: 1,
        over_tcp,
        recursion_desired: true,
        has_edns: true,
        dnssec_ok: false,
    }
}
