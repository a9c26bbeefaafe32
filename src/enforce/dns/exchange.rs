//! [`Exchange`]: query → decision → upstream's answer → decision → reply.

use std::time::Duration;

use super::message::{Query, Unanswerable};
use super::response::{Data, ExtendedError, Response, write_answer, write_header};
use super::{Outcome, Settings, Transport};
use crate::enforce::Edition;
use crate::enforce::resolver::wire::{CLASS_IN, Rcode, RecordType};
use crate::enforce::resolver::{Answer, Flags, Question};
use crate::policy::{Action, Decision, RuleId};

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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is made once for each packet, on the stack, and an allocation would cost more"
)]
pub enum Step {
    /// An answer of so many octets is in the buffer.
    Reply(usize, Outcome),
    /// The truth is to be found and given to [`Exchange::conclude`].
    Forward(Query),
    /// There is no answer.
    Drop(Outcome),
}

impl Exchange<'_> {
    /// Decides on the packet in the first `len` octets of `buffer`, and writes what is to be
    /// said over it. The decision is to be counted before the reply leaves; it is empty
    /// where policy was not asked, as for clients that are not served.
    pub fn begin(&self, buffer: &mut [u8], len: usize, client_allowed: bool) -> (Step, Decision) {
        let parsed = Query::parse(buffer.get(..len).unwrap_or_default());
        let query = match parsed {
            Ok(query) => query,
            Err(Unanswerable::Silent) => {
                return (Step::Drop(Outcome::Ignored), Decision::default());
            }
            Err(Unanswerable::Malformed) => {
                let len = write_header(Rcode::FORMERR, buffer);
                return (Step::Reply(len, Outcome::FormErr), Decision::default());
            }
            Err(Unanswerable::Opcode) => {
                let len = write_header(Rcode::NOTIMP, buffer);
                return (Step::Reply(len, Outcome::NotImp), Decision::default());
            }
        };
        if let Some(step) = self.refuse(&query, buffer, client_allowed) {
            return (step, Decision::default());
        }
        let decision = self.edition.blocklist.decide_name(&query.name);
        let step = match decision.act {
            Some((rule, action)) => self.act(&query, buffer, rule, action),
            None => self.pass(&query, buffer),
        };
        (step, decision)
    }

    /// Writes the truth over the query, whose header and question are in `buffer`. This is
    /// where the truth is judged, too: only rules on the asked name are known, and they were
    /// judged before, so that every answer passes.
    pub fn conclude(
        &self,
        query: &Query,
        answer: &Answer,
        age: Duration,
        buffer: &mut [u8],
    ) -> usize {
        write_answer(answer, age, query, buffer, self.octets_max(query))
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

    fn act(&self, query: &Query, buffer: &mut [u8], rule: RuleId, action: Action) -> Step {
        let stop_page = self.settings.stop_page;
        let mut response = Response::empty(Rcode::NOERROR, None);
        response.ttl = self.settings.ttl;
        match action {
            // `Monitor` never decides.
            Action::PassThru | Action::Monitor => return self.pass(query, buffer),
            Action::TcpOnly if self.transport == Transport::Tcp => {
                return self.pass(query, buffer);
            }
            Action::Drop => return Step::Drop(Outcome::Dropped),
            Action::Block if stop_page.ipv4.is_none() && stop_page.ipv6.is_none() => {
                response.rcode = Rcode::NXDOMAIN;
            }
            Action::Block => {
                response.data = match query.rtype {
                    RecordType::A => stop_page.ipv4.map_or(Data::None, Data::V4),
                    RecordType::AAAA => stop_page.ipv6.map_or(Data::None, Data::V6),
                    _ => Data::None,
                };
            }
            Action::NxDomain => response.rcode = Rcode::NXDOMAIN,
            Action::NoData => {}
            Action::Refused => response.rcode = Rcode::REFUSED,
            Action::TcpOnly => response.truncated = true,
        }
        let view = query.edns.and_then(|_| self.edition.blocklist.rule(rule));
        if let Some(view) = &view
            && let Some(code) = view.list.settings.ede.code()
        {
            response.error = Some(ExtendedError {
                code,
                list: &view.list.settings.name,
                entry: view.entry_id,
            });
        }
        let len = response.write(query, buffer, self.octets_max(query));
        Step::Reply(len, Outcome::Blocked)
    }

    /// What no policy touches: forwarded, but for what no resolver can be asked.
    fn pass(&self, query: &Query, buffer: &mut [u8]) -> Step {
        if self.settings.servfail_until_ready && !self.ready {
            let ede = Some(EDE_NOT_READY);
            return self.say(query, buffer, Rcode::SERVFAIL, ede, Outcome::ServFail);
        }
        match query.rtype {
            RecordType::AXFR | RecordType::IXFR => {
                self.say(query, buffer, Rcode::REFUSED, None, Outcome::Refused)
            }
            rtype if rtype.is_meta() => {
                let ede = Some(EDE_NOT_SUPPORTED);
                self.say(query, buffer, Rcode::NOTIMP, ede, Outcome::NotImp)
            }
            _ => Step::Forward(*query),
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
        Step::Reply(len, outcome)
    }

    fn octets_max(&self, query: &Query) -> usize {
        match self.transport {
            Transport::Udp => query.udp_octets_max(),
            Transport::Tcp => usize::from(u16::MAX),
        }
    }
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
    use crate::compile::{Compiler, Ede, Format, From, Mode, PassThru, Protected};
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
..crate::compile::Settings::new("csam", From::File {
                path: "x".into(),
                format: Format::Native,
                scope: None,
            })
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
            clients: Vec::new(),
            stop_page,
            ttl: Duration::from_secs(10),
            servfail_until_ready: false,
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
            let (step, decision) = exchange.begin(&mut buffer, len, self.allowed);
            let acted = decision.act.iter().map(|(rule, _)| rule);
            let counted = acted
                .chain(&decision.monitored)
                .map(|rule| edition.blocklist.rule(*rule).unwrap().entry_id.to_owned())
                .collect();
            let said = match step {
                Step::Forward(query) => format!("forward {}", query.name),
                Step::Drop(outcome) => format!("{} nothing", outcome.as_str()),
                Step::Reply(len, outcome) => {
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
            if let (Step::Reply(reply, _), _) = exchange.begin(&mut buffer, len, true) {
                prop_assert!(reply <= buffer.len());
            }
        }
    }
}
