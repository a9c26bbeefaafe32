//! [`Conversation`]: a packet and its reply, with what is asked of an upstream in between.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cordon::enforce::dns::{
    Aged, Edns, Exchange, Inquiry, Need, Outcome, Query, Step, Transport, write_answer,
};
use cordon::enforce::resolver::wire::{
    FLAG_AA, FLAG_AD, FLAG_CD, FLAG_QR, FLAG_RD, FLAG_TC, HEADER_OCTETS, Header, Records, Section,
    name_at,
};
use cordon::enforce::resolver::{Answer, Question, Rcode, RecordType};
use cordon::policy::{Action, Name, NameServer};

use super::octets::Octets;
use super::policy::{BLOCKED, BLOCKED_ADDRESS, dns_settings, edition};

/// How a packet comes.
pub(super) struct Conversation {
    pub(super) over_tcp: bool,
    pub(super) ready: bool,
    pub(super) client: Client,
    /// Which name servers zones have.
    pub(super) servers: u8,
}

/// Who asks.
pub(super) struct Client {
    address: IpAddr,
    is_served: bool,
}

impl Client {
    pub(super) fn pick(number: u8) -> Self {
        let (address, is_served) = CLIENTS[usize::from(number) % CLIENTS.len()];
        let address = address.parse().expect("an address");
        Self { address, is_served }
    }
}

impl Conversation {
    /// Takes a packet to its end; the upstream says the next part of the octets to each
    /// question.
    pub(super) fn hold(&self, packet: &[u8], upstream: &mut Octets<'_>) {
        let room = if self.over_tcp { 65_535 } else { 4096 };
        let packet = &packet[..packet.len().min(4096)];
        let mut buffer = vec![0xaa; room];
        buffer[..packet.len()].copy_from_slice(packet);
        let exchange = Exchange {
            edition: edition(),
            settings: dns_settings(),
            ready: self.ready,
            transport: if self.over_tcp {
                Transport::Tcp
            } else {
                Transport::Udp
            },
        };
        let mut step = exchange.begin(&mut buffer, packet.len(), self.client.address);
        let is_decided = !matches!(step, Step::Ask(_));
        for _ in 0..STEPS_MAX {
            let inquiry = match step {
                Step::Ask(inquiry) => inquiry,
                Step::Reply(len, outcome, decision) => {
                    edition().count(&decision, cordon::policy::Surface::Dns);
                    self.check(packet, &buffer[..len], outcome, is_decided);
                    return;
                }
                Step::Drop(outcome, decision) => {
                    let is_by_rule = matches!(decision.act, Some((_, Action::Drop)));
                    assert_eq!(is_by_rule, outcome == Outcome::Dropped);
                    assert_eq!(!is_by_rule, outcome == Outcome::Ignored);
                    return;
                }
            };
            step = self.go_on(&exchange, inquiry, &mut buffer, upstream);
        }
        panic!("a packet has no end of questions");
    }

    fn go_on(
        &self,
        exchange: &Exchange<'_>,
        inquiry: Inquiry,
        buffer: &mut [u8],
        upstream: &mut Octets<'_>,
    ) -> Step {
        match inquiry.need {
            Need::Answer(question) => {
                let age = Duration::from_secs(u64::from(upstream.octet()) * 10);
                let answer = read_answer(&question, upstream.part());
                let answer =
                    answer.unwrap_or_else(|| Answer::failed(&question, Rcode::SERVFAIL, Some(23)));
                let answer = Arc::new(answer);
                exchange.conclude(inquiry, &Aged { answer, age }, buffer)
            }
            Need::NameServers(..) => exchange.resume(inquiry, servers(self.servers), buffer),
        }
    }

    /// What holds of every reply.
    fn check(&self, packet: &[u8], reply: &[u8], outcome: Outcome, is_decided: bool) {
        let header = Header::read(reply).expect("a reply has a header");
        let sent = Header::read(packet).expect("what gets a reply has a header");
        assert_eq!(header.id, sent.id);
        assert!(header.has(FLAG_QR) && !header.has(FLAG_AA) && !header.has(FLAG_AD));
        assert_eq!(header.opcode(), sent.opcode());
        assert_eq!(header.has(FLAG_RD), sent.has(FLAG_RD));
        let Ok(query) = Query::parse(packet) else {
            assert_eq!(reply.len(), HEADER_OCTETS);
            return;
        };
        let octets_max = match self.over_tcp {
            true => 65_535,
            false => query.udp_octets_max(),
        };
        assert!(reply.len() <= octets_max);
        assert_eq!(header.has(FLAG_CD), query.checking_disabled);
        assert_eq!(header.questions, 1);
        let question = HEADER_OCTETS..query.question_end;
        assert_eq!(reply[question.clone()], packet[question]);
        self.check_records(&query, reply, &header, outcome);
        self.check_blocked(&query, outcome, is_decided);
    }

    fn check_records(&self, query: &Query, reply: &[u8], header: &Header, outcome: Outcome) {
        let (mut end, mut opts) = (query.question_end, 0);
        for record in Records::new(reply, header, query.question_end) {
            let record = record.expect("a reply is what its counts say");
            end = record.end;
            if record.rtype == RecordType::OPT {
                assert_eq!(record.section, Section::Additional);
                opts += 1;
                continue;
            }
            let owner = name_at(reply, record.start);
            if outcome == Outcome::Blocked {
                assert!(
                    owner.is_some(),
                    "the owner of a record of our own is no name"
                );
            }
            let is_let_through = outcome == Outcome::Forwarded
                && matches!(header.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN)
                && record.section == Section::Answer
                && owner == Some(query.name)
                && record.rtype == RecordType::A
                && matches!(query.rtype, RecordType::A | RecordType::ANY)
                && record.data == BLOCKED_ADDRESS.octets();
            assert!(!is_let_through, "a blocked address came through");
        }
        assert_eq!(end, reply.len());
        assert_eq!(opts, usize::from(query.edns.is_some()));
        if outcome == Outcome::Blocked && header.has(FLAG_TC) {
            assert_eq!(header.records[0], 0, "what is cut is empty");
        }
    }

    /// The first list holds for every client, however it asks, before anything is resolved.
    fn check_blocked(&self, query: &Query, outcome: Outcome, is_decided: bool) {
        let blocked = Name::from_text(BLOCKED).expect("a name");
        let is_known = |edns: Edns| edns.version == 0;
        let is_policed = self.client.is_served
            && query.class == 1
            && query.edns.is_none_or(is_known)
            && query.name.is_at_or_below(&blocked);
        if is_policed {
            assert_eq!((outcome, is_decided), (Outcome::Blocked, true));
        }
    }
}

/// Reads what an upstream says to a question, and asserts what holds of every answer. The first
/// octet says whether the message is as it is, or has the right question put into it.
pub(super) fn read_answer(question: &Question, message: &[u8]) -> Option<Answer> {
    let (form, message) = message.split_first()?;
    let fitted;
    let message = match form & 1 {
        1 => message,
        _ => {
            fitted = fit(question, message);
            &fitted
        }
    };
    let answer = Answer::read(question, message).ok()?;
    let octets = answer.octets();
    let header = Header::read(octets).expect("an answer has a header");
    let counted: usize = header.records.iter().map(|count| usize::from(*count)).sum();
    assert_eq!(answer.records().count(), counted);
    assert_eq!(answer.ttls_at().len(), counted);
    assert!(answer.question_end() <= answer.additional_at());
    assert!(answer.additional_at() <= octets.len());
    assert!(
        answer
            .ttls_at()
            .iter()
            .all(|at| usize::from(*at) + 4 <= octets.len())
    );
    assert!(answer.ttls_at().is_sorted());
    assert!(answer.lifetime() <= LIFETIME_MAX);
    let again = Answer::read(question, octets).expect("an answer is one when it is read again");
    assert_eq!(again.octets(), octets);
    check_repeated(question, &answer);
    Some(answer)
}

/// An answer is repeated within any size, older than its records, too.
fn check_repeated(question: &Question, answer: &Answer) {
    for (octets_max, age) in [(512, 0), (1232, 7), (65_535, 1_000_000)] {
        let packet = query(&question.name, question.rtype.0, 2);
        let query = Query::parse(&packet).expect("a query");
        let mut buffer = packet;
        buffer.resize(65_535, 0xaa);
        let age = Duration::from_secs(age);
        let len = write_answer(answer, age, &query, &mut buffer, octets_max);
        assert!(len <= octets_max && len >= query.question_end);
        let header = Header::read(&buffer).expect("a header");
        let mut records = Records::new(&buffer[..len], &header, query.question_end);
        assert!(records.all(|record| record.is_ok()));
    }
}

/// A message with the right question in it: what stands before it and behind it is the
/// upstream's.
fn fit(question: &Question, message: &[u8]) -> Vec<u8> {
    let mut header = [0; HEADER_OCTETS];
    let length = message.len().min(HEADER_OCTETS);
    header[..length].copy_from_slice(&message[..length]);
    header[2] = (header[2] & 0x07) | 0x80;
    header[4..6].copy_from_slice(&[0, 1]);
    [
        &header,
        question.name.as_wire(),
        &question.rtype.0.to_be_bytes(),
        &[0, 1],
        &message[length..],
    ]
    .concat()
}

/// A query; the flags say whether it has EDNS (2), DO (4), and RD (not 8).
pub(super) fn query(name: &Name, rtype: u16, flags: u8) -> Vec<u8> {
    let recursion = if flags & 8 == 0 { 1 } else { 0 };
    let edns = u8::from(flags & 2 != 0);
    let mut packet = vec![0x12, 0x34, recursion, 0, 0, 1, 0, 0, 0, 0, 0, edns];
    packet.extend(name.as_wire());
    packet.extend(rtype.to_be_bytes());
    packet.extend([0, 1]);
    if edns == 1 {
        let dnssec_ok = if flags & 4 == 0 { 0 } else { 0x80 };
        packet.extend([0, 0, 41, 0x04, 0xd0, 0, 0, dnssec_ok, 0, 0, 0]);
    }
    packet
}

/// The name servers that the bits say, the last in DNSSEC's canonical order first.
fn servers(bits: u8) -> Vec<NameServer> {
    let all = [
        ("ns.bad.test", 1, "192.0.2.53"),
        ("a.evil.test", 0, "192.0.2.54"),
        ("ns.good.example", 2, "10.0.0.1"),
        ("ns.strict.test", 0, "192.0.2.22"),
        ("ns.watched.test", 1, "2001:db8::53"),
        ("ns.group.test", 1, "192.0.2.55"),
    ];
    let chosen = (0..).zip(all).filter(|(bit, _)| bits >> bit & 1 == 1);
    let mut servers: Vec<NameServer> = chosen
        .map(|(_, (name, zone_dots, address))| NameServer {
            name: Name::from_text(name).expect("a name"),
            zone_dots,
            addresses: vec![address.parse().expect("an address")],
        })
        .collect();
    servers.sort_by(|one, other| other.name.canonical_cmp(&one.name));
    servers
}

/// Clients, each with whether it is served: one that no rule is about, and one for each rule.
const CLIENTS: [(&str, bool); 8] = [
    ("192.0.2.100", true),
    ("198.51.100.7", true),
    ("2001:db8::99", true),
    ("203.0.113.9", false),
    ("192.0.2.9", true),
    ("192.0.2.10", true),
    ("192.0.2.11", true),
    ("2001:db8::7", true),
];
/// The most questions of one packet: one for each stage's name servers, the truth, and where a
/// rule leads to.
const STEPS_MAX: usize = 24;
/// The longest time that anything is remembered.
const LIFETIME_MAX: Duration = Duration::from_secs(7 * 86_400);
