//! [`Exchange`]: query → decision → upstream's answer → decision → reply.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::chain::{ALIASES_MAX, Alias, Chain, Found, is_last};
use super::inquiry::{Inquiry, Need, Wanted};
use super::message::{Query, Unanswerable};
use super::response::{Data, ExtendedError, Response, write_answer, write_header};
use super::structured_error::StructuredError;
use super::{Outcome, Settings, Transport};
use crate::compile::{Asker, Foresight, Policing, RuleView, Stage, Truth};
use crate::enforce::Edition;
use crate::enforce::resolver::wire::{CLASS_IN, Rcode, RecordType};
use crate::enforce::resolver::{Answer, Flags, Question};
use crate::policy::{Action, Decision, LocalData, Name, NameServer, Reach, RuleId};

/// How queries that came over one transport are answered under one edition. Knows no
/// socket and no clock, and allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// What is in force.
    pub edition: &'a Edition,
    /// The stop page's addresses, the TTL, and what to do before all lists are in force.
    pub settings: &'a Settings,
    /// Whether every required list is in force.
    pub ready: bool,
    /// How the query came.
    pub transport: Transport,
}

/// What a packet leads to.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is made once for each packet, on the stack, and an allocation would cost more"
)]
pub enum Step {
    /// An answer of so many octets is in the buffer. The decision is to be counted before it
    /// leaves; it is empty where policy was not asked, as for clients that are not served.
    Reply(usize, Outcome, Decision),
    /// What the inquiry wants is to be found and given to [`Exchange::conclude`].
    Ask(Inquiry),
    /// There is no answer; the decision is to be counted.
    Drop(Outcome, Decision),
}

/// An answer that an inquiry wanted, and since when it is remembered.
#[derive(Clone, Debug)]
pub struct Aged {
    /// The answer.
    pub answer: Arc<Answer>,
    /// How long ago it was given.
    pub age: Duration,
}

/// Where a rule rewrites: the aliases before it, and the name that it is about.
struct Hit<'a> {
    chain: &'a [Alias],
    age: Duration,
    name: Name,
    /// Whether the rule looked into the data of a service, of which the records alone go.
    is_of_service: bool,
    /// The rcode of the truth, where that is known.
    truth: Rcode,
}

impl Exchange<'_> {
    /// Decides on the packet of a client in the first `len` octets of `buffer`, and writes
    /// what is to be said over it.
    pub fn begin(&self, buffer: &mut [u8], len: usize, client: IpAddr) -> Step {
        let parsed = Query::parse(buffer.get(..len).unwrap_or_default());
        let query = match parsed {
            Ok(query) => query,
            Err(Unanswerable::Silent) => {
                return Step::Drop(Outcome::Ignored, Decision::default());
            }
            Err(Unanswerable::Malformed) => {
                let len = write_header(Rcode::FORMERR, buffer);
                return Step::Reply(len, Outcome::FormErr, Decision::default());
            }
            Err(Unanswerable::Opcode) => {
                let len = write_header(Rcode::NOTIMP, buffer);
                return Step::Reply(len, Outcome::NotImp, Decision::default());
            }
        };
        if let Some(step) = self.refuse(&query, buffer, self.settings.serves(client)) {
            return step;
        }
        let asker = Asker {
            client: Some(client),
            recursion_desired: query.recursion_desired,
            dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
        };
        let blocklist = &self.edition.blocklist;
        let mut policing = Policing::new(blocklist, asker);
        let foresight = policing.foresee(blocklist, &query.name);
        let inquiry = Inquiry::of(query, policing, foresight == Foresight::MustKnow);
        if let (Foresight::Decided, Some((rule, action))) = (foresight, inquiry.decision().act) {
            let hit = Hit {
                chain: &[],
                age: Duration::ZERO,
                name: query.name,
                is_of_service: false,
                truth: Rcode::NOERROR,
            };
            return match self.rewrites(&inquiry, action) {
                true => self.act(inquiry, buffer, rule, action, &hit),
                false => self.pass(inquiry, buffer),
            };
        }
        self.pass(inquiry, buffer)
    }

    /// Judges what an inquiry wanted and writes what is to be said over the query, whose
    /// header and question are in `buffer`; or wants more.
    pub fn conclude(&self, inquiry: Inquiry, found: &Aged, buffer: &mut [u8]) -> Step {
        if let Wanted::Target { rule, action } = inquiry.wanted {
            let (chain, name) = inquiry.chain();
            let truth = inquiry.truth.as_ref();
            let hit = Hit {
                chain: &chain,
                age: truth.map_or(Duration::ZERO, |truth| truth.age),
                name,
                is_of_service: false,
                truth: Rcode::NOERROR,
            };
            return self.rewrite(&inquiry, buffer, rule, action, &hit, Some(found));
        }
        if !inquiry.must_know {
            return self.tell(&inquiry, found, buffer);
        }
        let rcode = found.answer.rcode();
        if !matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
            // There is nothing to rewrite (S5).
            return self.tell(&inquiry, found, buffer);
        }
        self.judge(inquiry, found, buffer)
    }

    /// Goes on with the name servers that an inquiry wanted.
    pub fn resume(
        &self,
        mut inquiry: Inquiry,
        servers: Vec<NameServer>,
        buffer: &mut [u8],
    ) -> Step {
        let (Need::NameServers(name, ..), Some(truth)) = (inquiry.need, inquiry.truth.take())
        else {
            let (rcode, outcome) = (Rcode::SERVFAIL, Outcome::ServFail);
            return self.say(&inquiry.query, buffer, rcode, None, outcome);
        };
        inquiry.servers.push((name, servers));
        self.judge(inquiry, &truth, buffer)
    }

    /// Judges the truth, stage by stage; from the first again each time that name servers
    /// were found out, which changes nothing of what was judged.
    fn judge(&self, mut inquiry: Inquiry, found: &Aged, buffer: &mut [u8]) -> Step {
        let blocklist = &self.edition.blocklist;
        let rtype = inquiry.query.rtype;
        let before = inquiry.policing.clone();
        let mut chain = Chain::new();
        let mut name = inquiry.query.name;
        let mut is_of_service = false;
        loop {
            let here = Found::at(&found.answer, &name, rtype);
            let known = inquiry.servers.iter().find(|(of, _)| *of == name);
            let servers = known.map(|(_, servers)| servers.as_slice());
            if servers.is_none()
                && let Some((dots, addresses)) = inquiry.policing.wants_name_servers(blocklist)
            {
                inquiry.policing = before;
                inquiry.need = Need::NameServers(name, dots, addresses);
                inquiry.truth = Some(found.clone());
                return Step::Ask(inquiry);
            }
            let truth = Truth {
                is_signed: here.is_signed,
                addresses: &here.addresses,
                name_servers: servers.unwrap_or_default(),
            };
            let stage = Stage {
                name: &name,
                is_first: chain.is_empty(),
            };
            if inquiry.policing.judge(blocklist, stage, &truth) {
                let acted = inquiry.decision().act;
                let rule = acted.and_then(|(rule, _)| blocklist.rule(rule));
                is_of_service = is_service(rtype) && rule.is_some_and(|rule| rule.is_on_address);
                break;
            }
            let is_in_service = here.service_aliases.iter().any(|target| {
                let stage = Stage {
                    name: target,
                    is_first: false,
                };
                inquiry.policing.judge(blocklist, stage, &Truth::default())
            });
            if is_in_service {
                is_of_service = true;
                break;
            }
            match here.alias {
                Some(_) if chain.len() >= ALIASES_MAX => {
                    let query = &inquiry.query;
                    let (rcode, outcome) = (Rcode::SERVFAIL, Outcome::ServFail);
                    return self.say(query, buffer, rcode, Some(EDE_OTHER), outcome);
                }
                Some(alias) if !is_last(rtype) => {
                    name = alias.target;
                    chain.push(alias);
                }
                _ => break,
            }
        }
        match inquiry.decision().act {
            Some((rule, action)) if self.rewrites(&inquiry, action) => {
                let hit = Hit {
                    chain: &chain,
                    age: found.age,
                    name,
                    is_of_service,
                    truth: found.answer.rcode(),
                };
                inquiry.truth = Some(found.clone());
                inquiry.aliases = chain.len();
                self.act(inquiry, buffer, rule, action, &hit)
            }
            _ => self.tell(&inquiry, found, buffer),
        }
    }

    /// Writes the truth.
    fn tell(&self, inquiry: &Inquiry, found: &Aged, buffer: &mut [u8]) -> Step {
        let query = &inquiry.query;
        let octets_max = self.octets_max(query);
        let len = write_answer(&found.answer, found.age, query, buffer, octets_max);
        let outcome = match found.answer.rcode() {
            Rcode::SERVFAIL => Outcome::ServFail,
            _ => Outcome::Forwarded,
        };
        Step::Reply(len, outcome, inquiry.decision().clone())
    }

    /// What is answered before policy is asked.
    fn refuse(&self, query: &Query, buffer: &mut [u8], client_allowed: bool) -> Option<Step> {
        let (rcode, ede, outcome) = if query.edns.is_some_and(|edns| edns.version > 0) {
            (Rcode::BADVERS, None, Outcome::BadVers)
        } else if !client_allowed {
            (Rcode::REFUSED, Some(EDE_PROHIBITED), Outcome::Refused)
        } else if query.class != CLASS_IN {
            (Rcode::REFUSED, Some(EDE_NOT_SUPPORTED), Outcome::Refused)
        } else {
            return None;
        };
        Some(self.say(query, buffer, rcode, ede, outcome))
    }

    /// Whether an action says something else than the truth.
    fn rewrites(&self, inquiry: &Inquiry, action: Action) -> bool {
        debug_assert!(inquiry.decision().act.is_some());
        match action {
            // `Monitor` never decides.
            Action::PassThru | Action::Monitor => false,
            Action::TcpOnly => self.transport == Transport::Udp,
            _ => true,
        }
    }

    /// Acts; what an alias of local data leads to is found first.
    fn act(
        &self,
        mut inquiry: Inquiry,
        buffer: &mut [u8],
        rule: RuleId,
        action: Action,
        hit: &Hit<'_>,
    ) -> Step {
        let view = self.edition.blocklist.rule(rule);
        let alias = match view.as_ref().and_then(|view| view.data).map(|data| &**data) {
            Some(LocalData::Alias {
                target,
                is_wildcard,
                ..
            }) if action == Action::LocalData && !hit.is_of_service => Some((target, *is_wildcard)),
            _ => None,
        };
        let Some((target, is_wildcard)) = alias else {
            return self.rewrite(&inquiry, buffer, rule, action, hit, None);
        };
        let target = match is_wildcard {
            true => hit.name.before(target),
            false => Some(*target),
        };
        // What is too long is no name that leads anywhere (A12); what asks for the alias
        // itself gets it alone (A11).
        let (Some(target), false) = (target, is_last(inquiry.query.rtype)) else {
            return self.rewrite(&inquiry, buffer, rule, action, hit, None);
        };
        inquiry.wanted = Wanted::Target { rule, action };
        let mut question = Question::from(&inquiry.query);
        question.name = target;
        // A rewrite has no DNSSEC records, nor has what it leads to (S4).
        question.flags.dnssec_ok = false;
        inquiry.need = Need::Answer(question);
        Step::Ask(inquiry)
    }

    /// Writes what a rule says.
    fn rewrite(
        &self,
        inquiry: &Inquiry,
        buffer: &mut [u8],
        rule: RuleId,
        action: Action,
        hit: &Hit<'_>,
        target: Option<&Aged>,
    ) -> Step {
        let decision = inquiry.decision().clone();
        let query = &inquiry.query;
        let Some(view) = self.edition.blocklist.rule(rule) else {
            return self.say(query, buffer, Rcode::SERVFAIL, None, Outcome::ServFail);
        };
        if action == Action::Drop {
            return Step::Drop(Outcome::Dropped, decision);
        }
        let mut response = Response::empty(Rcode::NOERROR, None);
        response.chain = hit.chain;
        response.chain_age = hit.age;
        response.chain_of = inquiry.truth.as_ref().map(|truth| &*truth.answer);
        response.ttl_max = self.ttl_max(&view);
        let expanded;
        match self.said(action, &view, query, hit) {
            Said::Rcode(rcode) => response.rcode = rcode,
            Said::Data(data) => response.data = data,
            Said::Truncated => {
                response.truncated = true;
                response.rcode = hit.truth;
                response.chain = &[];
            }
            Said::Alias(name, ttl) => {
                expanded = name;
                response.data = Data::Alias(&expanded, ttl);
                response.target = target.map(|target| (&*target.answer, target.age));
                response.rcode = target.map_or(Rcode::NOERROR, |target| target.answer.rcode());
            }
        }
        if response.rcode == Rcode::REFUSED && action == Action::Refused {
            response.chain = &[];
        }
        let settings = &view.list.settings;
        if settings.dns.signal_nxdomain_ra && response.rcode == Rcode::NXDOMAIN {
            response.recursion_available = false;
        }
        if settings.dns.add_soa {
            response.soa = Some(&view.list.soa);
        }
        if let Some(edns) = query.edns {
            let structured = self.settings.structured_errors.as_ref();
            let structured = structured.filter(|_| edns.structured_errors);
            response.error = settings.ede.code().map(|code| ExtendedError {
                code,
                list: &settings.name,
                entry: view.entry_id,
                structured: structured.map(|own| StructuredError::of(&view, code, own)),
            });
        }
        let len = response.write(query, buffer, self.octets_max(query));
        Step::Reply(len, Outcome::Blocked, decision)
    }

    /// What an action says about a name.
    fn said<'r>(
        &self,
        action: Action,
        view: &RuleView<'r>,
        query: &Query,
        hit: &Hit<'_>,
    ) -> Said<'r> {
        let stop_page = self.settings.stop_page;
        let has_stop_page = stop_page.ipv4.is_some() || stop_page.ipv6.is_some();
        match action {
            Action::Refused => Said::Rcode(Rcode::REFUSED),
            Action::TcpOnly => Said::Truncated,
            Action::NoData => Said::Data(Data::None),
            // The name may have other records that no rule is about.
            Action::Block | Action::NxDomain | Action::LocalData if hit.is_of_service => {
                Said::Data(Data::None)
            }
            Action::Block if has_stop_page => Said::Data(match query.rtype {
                RecordType::A => stop_page.ipv4.map_or(Data::None, Data::V4),
                RecordType::AAAA => stop_page.ipv6.map_or(Data::None, Data::V6),
                _ => Data::None,
            }),
            Action::LocalData => match view.data.map(|data| &**data) {
                Some(LocalData::Records(records)) => {
                    let rtype = Some(query.rtype).filter(|rtype| *rtype != RecordType::ANY);
                    Said::Data(Data::Records(records, rtype))
                }
                Some(LocalData::Alias {
                    target,
                    is_wildcard,
                    ttl,
                }) => {
                    let target = match is_wildcard {
                        true => hit.name.before(target),
                        false => Some(*target),
                    };
                    target.map_or(Said::Rcode(Rcode::YXDOMAIN), |target| {
                        Said::Alias(target, *ttl)
                    })
                }
                None => Said::Data(Data::None),
            },
            // Those that pass never come here; where there is no stop page, there is no name.
            Action::Block
            | Action::NxDomain
            | Action::Drop
            | Action::Monitor
            | Action::PassThru => Said::Rcode(Rcode::NXDOMAIN),
        }
    }

    /// The longest TTL of what a rule says, in seconds (R2).
    fn ttl_max(&self, view: &RuleView<'_>) -> u32 {
        let settings = &view.list.settings;
        let is_given = view.reach == Reach::PolicyZone && settings.action.is_none();
        let most = match settings.dns.max_policy_ttl {
            Some(most) => most,
            None if is_given => return u32::MAX,
            None => self.settings.ttl,
        };
        u32::try_from(most.as_secs()).unwrap_or(u32::MAX)
    }

    /// What no policy touches so far: forwarded, but for what no resolver can be asked.
    fn pass(&self, inquiry: Inquiry, buffer: &mut [u8]) -> Step {
        let query = &inquiry.query;
        let (rcode, ede, outcome) = match query.rtype {
            _ if self.settings.servfail_until_ready && !self.ready => {
                (Rcode::SERVFAIL, Some(EDE_NOT_READY), Outcome::ServFail)
            }
            RecordType::AXFR | RecordType::IXFR => (Rcode::REFUSED, None, Outcome::Refused),
            rtype if rtype.is_meta() => (Rcode::NOTIMP, Some(EDE_NOT_SUPPORTED), Outcome::NotImp),
            _ => return Step::Ask(inquiry),
        };
        let decision = inquiry.decision().clone();
        match self.say(query, buffer, rcode, ede, outcome) {
            Step::Reply(len, outcome, _) => Step::Reply(len, outcome, decision),
            other => other,
        }
    }

    /// Writes an answer without records.
    pub(super) fn say(
        &self,
        query: &Query,
        buffer: &mut [u8],
        rcode: Rcode,
        ede: Option<u16>,
        outcome: Outcome,
    ) -> Step {
        let response = Response::empty(rcode, ede.map(ExtendedError::of));
        let len = response.write(query, buffer, self.octets_max(query));
        Step::Reply(len, outcome, Decision::default())
    }

    pub(super) fn octets_max(&self, query: &Query) -> usize {
        match self.transport {
            Transport::Udp => query.udp_octets_max(),
            Transport::Tcp => usize::from(u16::MAX),
        }
    }
}

/// What an action says.
#[expect(
    clippy::large_enum_variant,
    reason = "it is made once for each answer, on the stack"
)]
enum Said<'a> {
    /// That rcode, and nothing else.
    Rcode(Rcode),
    /// Those data.
    Data(Data<'a>),
    /// To ask again over TCP.
    Truncated,
    /// An alias, and its TTL.
    Alias(Name, u32),
}

/// Whether records of that type say where a service is.
const fn is_service(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::HTTPS | RecordType::SVCB)
}

/// The question to the resolver that a query leads to.
impl From<&Query> for Question {
    fn from(query: &Query) -> Self {
        Self {
            name: query.name,
            rtype: query.rtype,
            flags: Flags {
                dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
                checking_disabled: query.checking_disabled,
                no_recursion: !query.recursion_desired,
            },
        }
    }
}

/// Other Error (RFC 8914 section 4.1).
const EDE_OTHER: u16 = 0;
/// Not Ready (RFC 8914 section 4.15).
const EDE_NOT_READY: u16 = 14;
/// Prohibited: this client may not ask (RFC 8914 section 4.19).
const EDE_PROHIBITED: u16 = 18;
/// Not Supported (RFC 8914 section 4.22).
const EDE_NOT_SUPPORTED: u16 = 21;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use hickory_proto::op::{Edns, Message, OpCode, Query as WireQuery};
    use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
    use hickory_proto::rr::{DNSClass, Name as WireName, RecordType as WireType};
    use proptest::prelude::*;

    use super::super::StopAddresses;
    use super::*;
    use crate::compile::{Compiler, Ede, Format, From, PassThru, Protected};
    use crate::count::HitCounter;
    use crate::policy::{Kind, Name};
    use crate::verify::Verified;

    /// Entries of the list `csam`: one for each action, its name the action's word, and its
    /// canary.
    fn edition() -> Edition {
        let mut text = String::from(
            r#"{"defaults":{"category":"csam","legal":{"authority":"a","basis":"b"}},"format":1,"list":"csam"}"#,
        );
        for action in Action::ALL.map(Action::as_str) {
            let kind = match action {
                "passthru" => "exception",
                _ => "domain",
            };
            text += &format!(
                "\n{{\"action\":\"{action}\",\"id\":\"EX-{action}\",\"kind\":\"{kind}\",\"match\":\"subtree\",\"value\":\"{}.test\"}}",
                action.replace('_', "-")
            );
        }
        text += "\n{\"canary\":true,\"id\":\"canary\",\"kind\":\"domain\",\"match\":\"subtree\",\"value\":\"csam.canary.invalid\"}";
        let names = vec![Name::from_text("bank.block.test").unwrap()];
        let protected = Protected::new(names, Vec::new());
        let mut compiler = Compiler::new(&protected, jiff::Timestamp::UNIX_EPOCH);
        let settings = crate::compile::Settings {
            kinds: vec![Kind::Domain],
            passthru: PassThru::List,
            ede: Ede::Censored,
            ..crate::compile::Settings::new(
                "csam",
                From::File {
                    path: "x".into(),
                    format: Format::Native,
                    scope: None,
                },
            )
        };
        let file = Verified::unsigned("csam", "x", text.into_bytes());
        compiler.add(&settings, &file);
        let blocklist = compiler.finish();
        assert_eq!(blocklist.rule_count(), 9);
        Edition {
            number: 1,
            since: jiff::Timestamp::UNIX_EPOCH,
            counter: HitCounter::in_memory(blocklist.rule_count()),
            blocklist,
        }
    }

    fn settings(stop_page: StopAddresses) -> Settings {
        Settings {
            listen: Vec::new(),
            threads: 1,
            clients: vec!["127.0.0.0/8".parse().unwrap()],
            stop_page,
            ttl: Duration::from_secs(10),
            servfail_until_ready: false,
            structured_errors: None,
        }
    }

    fn both() -> StopAddresses {
        StopAddresses {
            ipv4: Some(Ipv4Addr::new(192, 0, 2, 80)),
            ipv6: Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x80)),
        }
    }

    fn packet(name: &str, rtype: WireType) -> Message {
        let mut message = Message::query();
        let name = WireName::from_ascii(format!("{name}.")).unwrap();
        message.add_query(WireQuery::query(name, rtype));
        message.set_edns(Edns::new());
        message
    }

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    /// One exchange with everything that can differ.
    struct Case {
        packet: Message,
        stop_page: StopAddresses,
        transport: Transport,
        allowed: bool,
        ready: bool,
    }

    impl Case {
        fn new(name: &str, rtype: WireType) -> Self {
            Self {
                packet: packet(name, rtype),
                stop_page: both(),
                transport: Transport::Udp,
                allowed: true,
                ready: true,
            }
        }

        /// What happened in short: the outcome, rcode, `tc`, the records and the error; and
        /// the entries that are to be counted.
        fn run(&self) -> (String, Vec<String>) {
            let edition = edition();
            let mut settings = settings(self.stop_page);
            settings.servfail_until_ready = true;
            let exchange = Exchange {
                edition: &edition,
                settings: &settings,
                ready: self.ready,
                transport: self.transport,
            };
            let mut buffer = self.packet.to_vec().unwrap();
            let len = buffer.len();
            buffer.resize(1500, 0);
            let client = if self.allowed { LOOPBACK } else { STRANGER };
            let step = exchange.begin(&mut buffer, len, client);
            let decision = match &step {
                Step::Reply(_, _, decision) | Step::Drop(_, decision) => decision.clone(),
                Step::Ask(inquiry) => inquiry.decision().clone(),
            };
            let acted = decision.act.iter().map(|(rule, _)| rule);
            let counted = acted
                .chain(&decision.monitored)
                .map(|rule| edition.blocklist.rule(*rule).unwrap().entry_id.to_owned())
                .collect();
            let said = match step {
                Step::Ask(inquiry) => format!("forward {}", inquiry.query.name),
                Step::Drop(outcome, _) => format!("{} nothing", outcome.as_str()),
                Step::Reply(len, outcome, _) => {
                    let reply = Message::from_vec(&buffer[..len]).unwrap();
                    assert_eq!(reply.id, self.packet.id);
                    format!("{} {}", outcome.as_str(), told(&reply))
                }
            };
            (said, counted)
        }
    }

    fn told(reply: &Message) -> String {
        let mut said = u16::from(reply.response_code).to_string();
        if reply.truncation {
            said += " tc";
        }
        for record in &reply.answers {
            said += &format!(" {}/{}", record.data, record.ttl);
        }
        let option = reply
            .edns
            .as_ref()
            .and_then(|edns| edns.option(EdnsCode::Unknown(15)));
        if let Some(EdnsOption::Unknown(_, data)) = option {
            let text = String::from_utf8_lossy(&data[2..]);
            said += &format!(" ede{}", u16::from_be_bytes([data[0], data[1]]));
            said += if text.is_empty() { "" } else { ":" };
            said += &text;
        }
        said
    }

    #[track_caller]
    fn check(case: &Case, expected: &str, counted: &[&str]) {
        let (said, found) = case.run();
        assert_eq!(said, expected);
        assert_eq!(found, counted);
    }

    #[test]
    fn each_action_has_its_answer() {
        let a = |name| Case::new(name, WireType::A);
        let e = |id| format!("ede16:csam EX-{id}");
        check(
            &a("x.block.test"),
            &format!("blocked 0 192.0.2.80/10 {}", e("block")),
            &["EX-block"],
        );
        check(
            &a("nxdomain.test"),
            &format!("blocked 3 {}", e("nxdomain")),
            &["EX-nxdomain"],
        );
        check(
            &a("nodata.test"),
            &format!("blocked 0 {}", e("nodata")),
            &["EX-nodata"],
        );
        check(
            &a("refused.test"),
            &format!("blocked 5 {}", e("refused")),
            &["EX-refused"],
        );
        check(&a("drop.test"), "dropped nothing", &["EX-drop"]);
        check(
            &a("tcp-only.test"),
            &format!("blocked 0 tc {}", e("tcp_only")),
            &["EX-tcp_only"],
        );
        check(&a("monitor.test"), "forward monitor.test", &["EX-monitor"]);
        check(
            &a("passthru.test"),
            "forward passthru.test",
            &["EX-passthru"],
        );
        check(&a("other.test"), "forward other.test", &[]);
        check(&a("bank.block.test"), "forward bank.block.test", &[]);
    }

    #[test]
    fn types_and_families_without_data_are_nodata() {
        let nodata = "blocked 0 ede16:csam EX-block";
        let aaaa = Case::new("block.test", WireType::AAAA);
        check(
            &aaaa,
            "blocked 0 2001:db8::80/10 ede16:csam EX-block",
            &["EX-block"],
        );
        for rtype in [
            WireType::HTTPS,
            WireType::SVCB,
            WireType::MX,
            WireType::TXT,
            WireType::ANY,
        ] {
            check(&Case::new("block.test", rtype), nodata, &["EX-block"]);
        }
        let mut v4_only = aaaa;
        v4_only.stop_page.ipv6 = None;
        check(&v4_only, nodata, &["EX-block"]);
        v4_only.stop_page.ipv4 = None;
        check(&v4_only, "blocked 3 ede16:csam EX-block", &["EX-block"]);
    }

    #[test]
    fn tcp_only_passes_over_tcp() {
        let mut case = Case::new("tcp-only.test", WireType::A);
        case.transport = Transport::Tcp;
        check(&case, "forward tcp-only.test", &["EX-tcp_only"]);
    }

    #[test]
    fn a_canary_comes_before_special_use_names() {
        let case = Case::new("csam.canary.invalid", WireType::A);
        check(
            &case,
            "blocked 0 192.0.2.80/10 ede16:csam canary",
            &["canary"],
        );
    }

    #[test]
    fn clients_come_before_policy_and_readiness_after() {
        let mut case = Case::new("block.test", WireType::A);
        case.allowed = false;
        check(&case, "refused 5 ede18", &[]);
        case.allowed = true;
        case.ready = false;
        check(
            &case,
            "blocked 0 192.0.2.80/10 ede16:csam EX-block",
            &["EX-block"],
        );
        let mut case = Case::new("other.test", WireType::A);
        case.ready = false;
        check(&case, "servfail 2 ede14", &[]);
    }

    #[test]
    fn what_no_resolver_is_asked_is_said_so() {
        check(&Case::new("other.test", WireType::AXFR), "refused 5", &[]);
        check(
            &Case::new("other.test", WireType::from(249)),
            "notimp 4 ede21",
            &[],
        );
        let mut chaos = Case::new("version.bind", WireType::TXT);
        chaos.packet.queries[0].set_query_class(DNSClass::CH);
        check(&chaos, "refused 5 ede21", &[]);
        let mut chaos = Case::new("block.test", WireType::TXT);
        chaos.packet.queries[0].set_query_class(DNSClass::CH);
        check(&chaos, "refused 5 ede21", &[]);
        let mut notify = Case::new("block.test", WireType::SOA);
        notify.packet.metadata.op_code = OpCode::Notify;
        check(&notify, "notimp 4", &[]);
        let mut version = Case::new("block.test", WireType::A);
        let mut edns = Edns::new();
        edns.set_version(1);
        version.packet.set_edns(edns);
        check(&version, "badvers 16", &[]);
        let mut two = Case::new("block.test", WireType::A);
        let again = two.packet.queries[0].clone();
        two.packet.add_query(again);
        check(&two, "formerr 1", &[]);
    }

    #[test]
    fn responses_are_ignored() {
        let mut case = Case::new("block.test", WireType::A);
        case.packet.metadata.message_type = hickory_proto::op::MessageType::Response;
        check(&case, "ignored nothing", &[]);
    }

    proptest! {
        #[test]
        fn random_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..100), room in 0usize..600) {
            let (edition, settings) = (edition(), settings(both()));
            let exchange = Exchange { edition: &edition, settings: &settings, ready: true, transport: Transport::Udp };
            let len = octets.len();
            let mut buffer = octets;
            buffer.resize(len + room, 0);
            if let Step::Reply(reply, ..) = exchange.begin(&mut buffer, len, LOOPBACK) {
                prop_assert!(reply <= buffer.len());
            }
        }
    }
}
