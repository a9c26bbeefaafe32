//! [`Policy`]: generated policy zones in their order, as both servers are told of them.

use std::net::IpAddr;

use super::world::{World, ipv4, ipv6};
use crate::random::Random;

/// Policy zones in their order, and what holds for all of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Policy {
    pub(super) zones: Vec<Zone>,
    pub(super) break_dnssec: bool,
    pub(super) qname_wait_recurse: bool,
}

/// One policy zone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Zone {
    /// As BIND words it, behind `policy`.
    pub(super) policy: String,
    pub(super) recursive_only: bool,
    pub(super) rules: Vec<Rule>,
}

/// One owner with its records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Rule {
    /// Relative to the apex.
    pub(super) owner: String,
    /// Type and data of each.
    pub(super) records: Vec<String>,
}

impl Policy {
    pub(super) fn new(number: usize, world: &World, random: &mut Random) -> Self {
        let zones = (0..1 + random.below(4))
            .map(|_| Zone::new(number, world, random))
            .collect();
        Self {
            zones,
            break_dnssec: random.in_hundred(70),
            qname_wait_recurse: random.in_hundred(30),
        }
    }

    /// Whether some rule of it may be to say nothing.
    pub(super) fn may_drop(&self) -> bool {
        let drops = |rule: &Rule| rule.records == [DROP];
        self.zones
            .iter()
            .any(|zone| zone.policy == "drop" || zone.rules.iter().any(drops))
    }

    /// Whether a signature may spare somebody from a rule on clients.
    pub(super) fn spares_clients(&self) -> bool {
        let mut rules = self.zones.iter().flat_map(|zone| &zone.rules);
        !self.break_dnssec && rules.any(|rule| rule.owner.ends_with(".rpz-client-ip"))
    }

    /// The same with each rule as `change` makes it; nothing where it changes none.
    pub(super) fn with_rules(
        &self,
        mut change: impl FnMut(&Zone, &Rule) -> Option<Rule>,
    ) -> Option<Self> {
        let mut changed = self.clone();
        for zone in &mut changed.zones {
            let of = zone.clone();
            zone.rules = of
                .rules
                .iter()
                .filter_map(|rule| change(&of, rule))
                .collect();
        }
        (changed != *self).then_some(changed)
    }
}

impl Zone {
    fn new(number: usize, world: &World, random: &mut Random) -> Self {
        let policy = match random.below(40) {
            0 => "passthru".to_owned(),
            1 => "drop".to_owned(),
            2 => "tcp-only".to_owned(),
            3 => "nxdomain".to_owned(),
            4 => "nodata".to_owned(),
            5 => format!("cname {}.", world.garden()),
            6 => format!("cname *.{}.", world.garden()),
            7..=9 => "disabled".to_owned(),
            _ => "given".to_owned(),
        };
        let mut rules: Vec<Rule> = Vec::new();
        for _ in 0..random.below(10) {
            let rule = Rule::new(number, world, random);
            let is_new = |other: &Rule| !other.owner.eq_ignore_ascii_case(&rule.owner);
            // What covers every name there is we refuse, unless it passes.
            let is_taken = rule.owner != "*" || PASSES.contains(&policy.as_str());
            if is_taken && rules.iter().all(is_new) {
                rules.push(rule);
            }
        }
        if policy == "disabled" {
            // What these do to later zones in BIND hangs on every address of the answer.
            rules.retain(|rule| !rule.owner.ends_with(".rpz-ip"));
        }
        if policy == "drop" {
            // What an override makes of rules that pass the others show, without the waiting.
            rules.retain(|rule| !rule.passes());
        }
        Self {
            policy,
            recursive_only: random.in_hundred(40),
            rules,
        }
    }

    /// One without rules that acts as it says.
    pub(super) fn given() -> Self {
        Self {
            policy: "given".to_owned(),
            recursive_only: false,
            rules: Vec::new(),
        }
    }

    /// The zone file.
    pub(super) fn text(&self) -> String {
        let mut text =
            "$TTL 60\n@ SOA localhost. root.localhost. 1 3600 600 86400 60\n@ NS localhost.\n"
                .to_owned();
        for rule in &self.rules {
            for record in &rule.records {
                text += &format!("{} {record}\n", rule.owner);
            }
        }
        text
    }
}

impl Rule {
    fn new(number: usize, world: &World, random: &mut Random) -> Self {
        let owner = match random.below(10) {
            0 => format!("{}.rpz-client-ip", client(number, random)),
            1..=2 => format!("{}.rpz-ip", address(random)),
            _ => name(world, random),
        };
        let owner = match random.below(8) {
            0 if !owner.contains(".rpz-") => owner.to_ascii_uppercase(),
            _ => owner,
        };
        let records = match random.below(20) {
            0..3 => vec!["CNAME .".to_owned()],
            3..6 => vec!["CNAME *.".to_owned()],
            6..9 => vec![PASSTHRU.to_owned()],
            9 => vec![DROP.to_owned()],
            10 => vec!["CNAME rpz-tcp-only.".to_owned()],
            11 => vec![format!("CNAME {}.", world.garden())],
            12 => vec![format!("CNAME *.{}.", world.garden())],
            13 if !owner.contains(".rpz-") => {
                let target = match random.below(3) {
                    0 => &world.failing(),
                    _ => random.pick(&world.names),
                };
                let leads_back = world.is_alias(target) && !owner.eq_ignore_ascii_case(target);
                let target = match leads_back {
                    // A name that is really an alias may lead back to where the rule is.
                    true => &world.garden(),
                    false => target,
                };
                vec![format!("CNAME {target}.")]
            }
            14 if !owner.starts_with('*') => vec![format!("CNAME {}.", own(&owner))],
            _ => local_data(random),
        };
        let records = match owner.as_str() {
            "*" => vec![PASSTHRU.to_owned()],
            _ => records,
        };
        Self { owner, records }
    }
}

impl Rule {
    /// Whether it passes, in the new form or the old.
    pub(super) fn passes(&self) -> bool {
        let old = format!("CNAME {}.", own(&self.owner));
        let is_old = |record: &String| record.eq_ignore_ascii_case(&old);
        self.records == [PASSTHRU] || self.records.iter().any(is_old)
    }
}

/// What the old form of PASSTHRU is an alias of.
fn own(owner: &str) -> &str {
    let end = owner.find(".rpz-").unwrap_or(owner.len());
    &owner[..end]
}

fn local_data(random: &mut Random) -> Vec<String> {
    let mut records = Vec::new();
    if random.in_hundred(70) {
        records.push("A 198.51.100.1".to_owned());
    }
    if random.in_hundred(30) {
        records.push("A 198.51.100.2".to_owned());
    }
    if random.in_hundred(40) {
        records.push("AAAA 2001:db8:5::1".to_owned());
    }
    if random.in_hundred(30) {
        records.push("TXT \"by policy\"".to_owned());
    }
    if records.is_empty() || random.in_hundred(10) {
        records.push("MX 5 mail.walled.example.".to_owned());
    }
    records
}

/// The owner of a rule on a name.
fn name(world: &World, random: &mut Random) -> String {
    let name = random.pick(&world.names);
    let name = match random.below(10) {
        0 => name
            .split_once('.')
            .map_or(name.as_str(), |(_, above)| above),
        _ => name,
    };
    if name.len() > 100 {
        // With the apex behind it, it is longer than a name can be, and BIND's zones are zones.
        let above = name.splitn(3, '.').last().unwrap();
        return format!("*.{above}");
    }
    match random.below(20) {
        0 => "*".to_owned(),
        1 => format!("*.{}", world.top),
        2..9 => format!("*.{name}"),
        9 => format!("x.{name}"),
        _ => name.to_owned(),
    }
}

/// A range of clients of that world.
fn client(number: usize, random: &mut Random) -> String {
    let [a, b, c, _] = network(number);
    let last = 1 + random.below(CLIENTS);
    let length = *random.pick(&[32, 32, 31, 30, 24, 8]);
    let address = u32::from_be_bytes([a, b, c, u8::try_from(last).unwrap()]);
    let address = (address >> (32 - length)) << (32 - length);
    backwards(IpAddr::from(address.to_be_bytes()), length)
}

/// A range of addresses of answers.
fn address(random: &mut Random) -> String {
    if random.in_hundred(60) {
        let length = *random.pick(&[32, 32, 31, 30, 28, 24, 8]);
        let address = (u32::from(ipv4(random)) >> (32 - length)) << (32 - length);
        return backwards(IpAddr::from(address.to_be_bytes()), length);
    }
    let length = *random.pick(&[128, 128, 127, 126, 124, 64, 32]);
    let address = (u128::from(ipv6(random)) >> (128 - length)) << (128 - length);
    backwards(IpAddr::from(address.to_be_bytes()), length)
}

/// As the owner of a rule has it (T10 to T12).
fn backwards(address: IpAddr, length: u32) -> String {
    let labels: Vec<String> = match address {
        IpAddr::V4(v4) => v4.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(v6) => {
            let text = v6.to_string().replace("::", ":zz:");
            let words = text.split(':').filter(|word| !word.is_empty());
            words.rev().map(str::to_owned).collect()
        }
    };
    format!("{length}.{}", labels.join("."))
}

/// The network of the clients of a world, by which BIND tells its views apart.
pub(super) fn network(number: usize) -> [u8; 4] {
    let high = u8::try_from(number / 250 + 1).unwrap();
    let low = u8::try_from(number % 250).unwrap();
    [127, high, low, 0]
}

/// How many clients a world has.
pub(super) const CLIENTS: usize = 6;
pub(super) const PASSTHRU: &str = "CNAME rpz-passthru.";
/// What zones are told that leaves rules that pass as they are.
pub(super) const PASSES: [&str; 3] = ["given", "disabled", "passthru"];
const DROP: &str = "CNAME rpz-drop.";
