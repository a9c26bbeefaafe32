//! One generated case: lists, a chain of names with what is really there, and who asks.

use std::fmt;
use std::net::IpAddr;

use cordon::compile::{
    Asker, Compiler, Foresight, Format, From, Mode, PassThru, Policing, Protected, Settings, Stage,
    Truth,
};
use cordon::policy::{Kind, Name, NameServer, Prefix};
use cordon::verify::Verified;

use crate::random::Random;

pub(super) struct Case {
    pub(super) lists: Vec<List>,
    pub(super) stages: Vec<StageData>,
    pub(super) asker: Asker,
}

pub(super) struct List {
    pub(super) settings: Settings,
    pub(super) rules: Vec<Rule>,
    text: String,
}

#[derive(Clone)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) trigger: Trigger,
    pub(super) passes: bool,
    /// Of a native entry: whether it judges aliases, too.
    pub(super) chases: bool,
}

#[derive(Clone, PartialEq)]
pub(super) enum Trigger {
    Client(Prefix),
    /// Of a policy zone.
    Name(ZoneName),
    Address(Prefix),
    NsName(ZoneName),
    NsAddress(Prefix),
    /// Of a native list: exact, subtree or children.
    Native(String, &'static str),
}

#[derive(Clone, PartialEq)]
pub(super) struct ZoneName {
    pub(super) name: String,
    pub(super) is_wildcard: bool,
}

/// A name server of a zone above a stage.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) zone_dots: u8,
    pub(super) addresses: Vec<IpAddr>,
}

#[derive(Clone, Default)]
pub(super) struct StageData {
    pub(super) name: String,
    pub(super) is_signed: bool,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) servers: Vec<Server>,
}

/// What came of a case.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Verdict {
    /// List, entry, and whether it passes.
    pub(super) act: Option<(String, String, bool)>,
    pub(super) watched: Vec<(String, String)>,
    /// At which stage a rule decided.
    pub(super) stage: Option<usize>,
}

impl Case {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let random = &mut random;
        let lists = (0..1 + random.below(3))
            .map(|place| List::new(place, random))
            .collect();
        let stages = 1 + random.below(3);
        let mut names: Vec<String> = Vec::new();
        while names.len() < stages {
            let name = name(random);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let last = names.len() - 1;
        let stages = names
            .into_iter()
            .enumerate()
            .map(|(place, name)| StageData {
                name,
                is_signed: random.below(4) == 0,
                addresses: if place == last {
                    some(random, 3, address)
                } else {
                    Vec::new()
                },
                servers: servers(random),
            });
        Self {
            lists,
            stages: stages.collect(),
            asker: Asker {
                client: Some(address(random)),
                recursion_desired: random.below(5) > 0,
                dnssec_ok: random.below(3) == 0,
            },
        }
    }

    /// What the engine says.
    pub(super) fn decide(&self) -> Verdict {
        let mut compiler = Compiler::new(&Protected::default(), jiff::Timestamp::UNIX_EPOCH);
        for list in &self.lists {
            let name = &list.settings.name;
            compiler.add(
                &list.settings,
                &Verified::unsigned(name, "x", list.text.clone().into_bytes()),
            );
        }
        let blocklist = compiler.finish();
        for (list, compiled) in self.lists.iter().zip(blocklist.lists()) {
            assert_eq!(compiled.rejected, 0, "{:?}\n{self}", compiled.rejects);
            let entries: usize = compiled.entries.iter().map(|(_, count)| count).sum();
            assert_eq!(entries, list.rules.len(), "{self}");
        }
        let mut policing = Policing::new(&blocklist, self.asker);
        let first = Name::from_text(&self.stages[0].name).unwrap();
        let foresight = policing.foresee(&blocklist, &first);
        let mut stage = (foresight == Foresight::Decided).then_some(0);
        if foresight == Foresight::MustKnow {
            for (place, data) in self.stages.iter().enumerate() {
                let name = Name::from_text(&data.name).unwrap();
                let mut servers: Vec<NameServer> = data.servers.iter().map(Server::read).collect();
                servers.sort_by(|one, other| other.name.canonical_cmp(&one.name));
                let truth = Truth {
                    is_signed: data.is_signed,
                    addresses: &data.addresses,
                    name_servers: &servers,
                };
                let at = Stage {
                    name: &name,
                    is_first: place == 0,
                };
                if policing.judge(&blocklist, at, &truth) {
                    stage = Some(place);
                    break;
                }
            }
        }
        let named = |rule| {
            let view = blocklist.rule(rule).unwrap();
            (view.list.settings.name.clone(), view.entry_id.to_owned())
        };
        let decision = policing.decision();
        Verdict {
            act: decision.act.map(|(rule, action)| {
                let (list, entry) = named(rule);
                (list, entry, action == cordon::policy::Action::PassThru)
            }),
            watched: decision.monitored.iter().map(|rule| named(*rule)).collect(),
            stage,
        }
    }
}

impl Verdict {
    /// What kind of case it was.
    pub(super) fn kind(&self) -> String {
        let kind = match (&self.act, self.stage) {
            (None, _) if !self.watched.is_empty() => "watched",
            (None, _) => "nothing",
            (Some(_), None) => "spared",
            (Some(_), Some(1..)) => "later stage",
            (Some((_, entry, _)), _) => {
                let (_, kind) = entry.split_once('/').unwrap_or_default();
                return kind.replace('_', " ");
            }
        };
        kind.to_owned()
    }
}

impl List {
    fn new(place: usize, random: &mut Random) -> Self {
        let is_native = random.below(4) == 0;
        let format = Format::Native;
        let mut settings = Settings::new(
            &format!("l{place}"),
            From::File {
                path: "x".into(),
                format,
                scope: None,
            },
        );
        settings.kinds = vec![Kind::Domain, Kind::Url, Kind::Ip, Kind::Client];
        if random.below(6) == 0 {
            settings.mode = Mode::Monitor;
        }
        if random.below(3) == 0 {
            settings.passthru = PassThru::List;
        }
        settings.dns.break_dnssec = random.below(3) > 0;
        settings.dns.qname_wait_recurse = random.below(4) == 0;
        settings.dns.recursive_only = random.below(4) == 0;
        settings.dns.ns_lookup = random.below(4) > 0;
        settings.dns.min_ns_dots = u8::try_from(random.below(3)).unwrap();
        if random.below(5) == 0 {
            settings.dns.clients = some(random, 2, range);
        }
        let mut rules: Vec<Rule> = Vec::new();
        for number in 0..random.below(9) {
            let trigger = if is_native {
                native(random)
            } else {
                zone_trigger(random)
            };
            if rules.iter().any(|rule| rule.trigger == trigger) {
                continue;
            }
            let kind = match trigger {
                Trigger::Client(_) => "client",
                Trigger::Name(_) | Trigger::Native(..) => "name",
                Trigger::Address(_) => "address",
                Trigger::NsName(_) => "ns name",
                Trigger::NsAddress(_) => "ns address",
            };
            rules.push(Rule {
                id: format!("{number}/{kind}").replace(' ', "_"),
                trigger,
                passes: random.below(4) == 0,
                chases: is_native && random.below(2) == 0,
            });
        }
        let text = text(&settings.name, &rules);
        Self {
            settings,
            rules,
            text,
        }
    }
}

/// A native list of those rules, those of policy zones as entries of kind `rpz`.
fn text(list: &str, rules: &[Rule]) -> String {
    let mut text = format!(
        "{{\"defaults\":{{\"category\":\"local\",\"legal\":{{\"authority\":\"a\",\"basis\":\"b\"}}}},\"format\":1,\"list\":\"{list}\"}}"
    )
    .replace("\"category\":\"local\",", "\"category\":\"phishing\",");
    for rule in rules {
        let id = &rule.id;
        let target = if rule.passes { "rpz-passthru." } else { "." };
        let row = match &rule.trigger {
            Trigger::Native(value, scope) => {
                let kind = if rule.passes { "exception" } else { "domain" };
                format!(
                    "{{\"cname\":{},\"id\":\"{id}\",\"kind\":\"{kind}\",\"match\":\"{scope}\",\"value\":\"{value}\"}}",
                    rule.chases
                )
            }
            zone => format!(
                "{{\"id\":\"{id}\",\"kind\":\"rpz\",\"records\":[\"60 CNAME {target}\"],\"value\":\"{}\"}}",
                owner(zone)
            ),
        };
        text += "\n";
        text += &row;
    }
    text + "\n"
}

/// The owner of a rule, relative to the apex.
fn owner(trigger: &Trigger) -> String {
    let name = |name: &ZoneName| match name.is_wildcard {
        true => format!("*.{}", name.name),
        false => name.name.clone(),
    };
    match trigger {
        Trigger::Client(range) => format!("{}.rpz-client-ip", backwards(range)),
        Trigger::Name(of) => name(of),
        Trigger::Address(range) => format!("{}.rpz-ip", backwards(range)),
        Trigger::NsName(of) => format!("{}.rpz-nsdname", name(of)),
        Trigger::NsAddress(range) => format!("{}.rpz-nsip", backwards(range)),
        Trigger::Native(value, _) => value.clone(),
    }
}

fn backwards(range: &Prefix) -> String {
    let labels: Vec<String> = match range.address() {
        IpAddr::V4(v4) => v4.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(v6) => {
            let text = v6.to_string().replace("::", ":zz:");
            let words = text.split(':').filter(|word| !word.is_empty());
            words.rev().map(str::to_owned).collect()
        }
    };
    format!("{}.{}", range.length(), labels.join("."))
}

fn native(random: &mut Random) -> Trigger {
    let scope = ["exact", "subtree", "children"][random.below(3)];
    Trigger::Native(name(random), scope)
}

fn zone_trigger(random: &mut Random) -> Trigger {
    match random.below(8) {
        0 => Trigger::Client(range(random)),
        1 => Trigger::Address(range(random)),
        2 => Trigger::NsAddress(range(random)),
        3 => Trigger::NsName(zone_name(random)),
        _ => Trigger::Name(zone_name(random)),
    }
}

fn zone_name(random: &mut Random) -> ZoneName {
    ZoneName {
        name: name(random),
        is_wildcard: random.below(2) == 0,
    }
}

/// A name of one to four labels below `x.test`, or that itself: few, so that they meet.
fn name(random: &mut Random) -> String {
    let mut name = "x.test".to_owned();
    for _ in 0..random.below(4) {
        name = format!("{}.{name}", ["a", "b"][random.below(2)]);
    }
    name
}

fn address(random: &mut Random) -> IpAddr {
    let last = random.below(8);
    let text = match random.below(2) {
        0 => format!("192.0.2.{last}"),
        _ => format!("2001:db8::{last}"),
    };
    text.parse().unwrap()
}

fn range(random: &mut Random) -> Prefix {
    let address = address(random);
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length = bits - u8::try_from(random.below(4)).unwrap();
    Prefix::around(address, length).unwrap()
}

/// Name servers of different names.
fn servers(random: &mut Random) -> Vec<Server> {
    let mut servers: Vec<Server> = Vec::new();
    for _ in 0..random.below(4) {
        let name = name(random);
        if servers.iter().all(|server| server.name != name) {
            servers.push(Server {
                name,
                zone_dots: u8::try_from(random.below(3)).unwrap(),
                addresses: some(random, 2, address),
            });
        }
    }
    servers
}

impl Server {
    fn read(&self) -> NameServer {
        NameServer {
            name: Name::from_text(&self.name).unwrap(),
            zone_dots: self.zone_dots,
            addresses: self.addresses.clone(),
        }
    }
}

fn some<T>(random: &mut Random, most: usize, make: impl Fn(&mut Random) -> T) -> Vec<T> {
    (0..random.below(most + 1)).map(|_| make(random)).collect()
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.asker)?;
        for list in &self.lists {
            let Settings {
                mode,
                passthru,
                dns,
                ..
            } = &list.settings;
            writeln!(
                f,
                "list {} {mode:?} {passthru:?} {dns:?}",
                list.settings.name
            )?;
            for rule in &list.rules {
                let scope = match &rule.trigger {
                    Trigger::Native(_, scope) => *scope,
                    _ => "",
                };
                let word = if rule.passes { "passes" } else { "acts" };
                writeln!(
                    f,
                    "  {} {} {scope} {word} {}",
                    rule.id,
                    owner(&rule.trigger),
                    rule.chases
                )?;
            }
        }
        for stage in &self.stages {
            writeln!(
                f,
                "stage {} signed {} {:?} {:?}",
                stage.name, stage.is_signed, stage.addresses, stage.servers
            )?;
        }
        Ok(())
    }
}
