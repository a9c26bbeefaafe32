//! A policy zone: read, compiled, and asked for what its rules are about.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cordon::compile::parse::rpz::{ZoneRule, read_zone};
use cordon::compile::parse::rpz_rule::Rule;
use cordon::compile::{
    Asker, Blocklist, Compiler, Format, Policing, Protected, REJECTS_KEPT_MAX, Stage, Truth,
};
use cordon::policy::{Name, NameServer, Scope, Trigger};
use cordon::verify::Verified;

use super::policy::settings;

/// The octets are a zone file.
pub(super) fn run(octets: &[u8]) {
    let (rules, rejects) = read_zone(octets);
    let lines = octets.split(|octet| *octet == b'\n').count();
    let is_line = |line: u32| line >= 1 && usize::try_from(line).is_ok_and(|line| line <= lines);
    assert!(rejects.iter().all(|reject| is_line(reject.line)));
    assert!(rules.iter().all(|rule| is_line(rule.line)));
    let mut settings = settings("zone", Format::Rpz);
    settings.dns.min_ns_dots = 0;
    let mut compiler = Compiler::new(&Protected::default(), jiff::Timestamp::UNIX_EPOCH);
    compiler.add(
        &settings,
        &Verified::unsigned("zone", "zone", octets.into()),
    );
    let blocklist = compiler.finish();
    let list = &blocklist.lists()[0];
    assert!(blocklist.rule_count() <= rules.len());
    if list.rejects.len() >= REJECTS_KEPT_MAX {
        return;
    }
    let left_out: BTreeSet<u32> = list.rejects.iter().map(|reject| reject.line).collect();
    for ZoneRule {
        line,
        owner,
        records,
    } in &rules
    {
        match Rule::read(owner, records) {
            Ok(rule) if !left_out.contains(line) => check(&blocklist, &rule.trigger),
            Ok(_) => {}
            Err(_) => assert!(
                left_out.contains(line),
                "a row is missing and nobody says so"
            ),
        }
    }
}

/// A rule that was taken, or one before it, decides on what it is about.
fn check(blocklist: &Blocklist, trigger: &Trigger) {
    let other = Name::from_text("other.example").expect("a name");
    let (mut name, mut client) = (other, None);
    let mut addresses: Vec<IpAddr> = Vec::new();
    let mut server = NameServer {
        name: other,
        zone_dots: 1,
        addresses: Vec::new(),
    };
    match trigger {
        Trigger::Name {
            name: own,
            scope: Scope::Exact,
        } => name = *own,
        Trigger::NsName {
            name: own,
            scope: Scope::Exact,
        } => server.name = *own,
        Trigger::Client(range) => client = Some(range.address()),
        Trigger::Address(range) => addresses.push(range.address()),
        Trigger::NsAddress(range) => server.addresses.push(range.address()),
        // What wildcards cover depends on the other names of their zone.
        _ => return,
    }
    let asker = Asker {
        client,
        recursion_desired: true,
        dnssec_ok: false,
    };
    let mut policing = Policing::new(blocklist, asker);
    let stage = Stage {
        name: &name,
        is_first: true,
    };
    let truth = Truth {
        is_signed: false,
        addresses: &addresses,
        name_servers: &[server],
    };
    assert!(policing.judge(blocklist, stage, &truth), "{trigger:?}");
    assert!(policing.decision().act.is_some());
}
