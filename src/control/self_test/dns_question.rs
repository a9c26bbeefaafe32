//! [`DnsQuestion`]: a question in wire form, and what its answer says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::plan::Canary;
use crate::enforce::dns::{StopAddresses, Transport};
use crate::enforce::resolver::wire::{
    CLASS_IN, FLAG_QR, FLAG_RD, FLAG_TC, HEADER_OCTETS, Header, OPTION_EDE, Rcode, RecordType,
    Records, Section, u16_at,
};
use crate::policy::{Action, Name};

/// A question in wire form, with EDNS, so that its answer says who decided.
#[derive(Clone, Debug)]
pub(super) struct DnsQuestion {
    /// The packet.
    pub(super) packet: Vec<u8>,
    question_end: usize,
}

/// What an answer says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct DnsReply {
    rcode: Rcode,
    truncated: bool,
    /// The addresses of the answer section.
    addresses: Vec<IpAddr>,
    /// How many records the answer section has.
    answers: u16,
    /// The Extended DNS Error: its code, and its text as far as it is one.
    error: Option<(u16, String)>,
}

impl DnsQuestion {
    /// The question for a name and type.
    pub(super) fn new(id: u16, name: &Name, rtype: RecordType) -> Self {
        let mut packet = Vec::new();
        for word in [id, FLAG_RD, 1, 0, 0, 1] {
            packet.extend(word.to_be_bytes());
        }
        packet.extend(name.as_wire());
        packet.extend(rtype.0.to_be_bytes());
        packet.extend(CLASS_IN.to_be_bytes());
        let question_end = packet.len();
        // An OPT record without options: the root name, type, size, and no flags.
        packet.push(0);
        packet.extend(RecordType::OPT.0.to_be_bytes());
        packet.extend(UDP_OCTETS_MAX.to_be_bytes());
        packet.extend([0; 6]);
        Self {
            packet,
            question_end,
        }
    }

    /// Reads a packet; nothing where it is no answer to this question.
    pub(super) fn read(&self, packet: &[u8]) -> Option<DnsReply> {
        let header = Header::read(packet)?;
        let asked = self.packet.get(HEADER_OCTETS..self.question_end);
        let same = Some(header.id) == u16_at(&self.packet, 0)
            && packet.get(HEADER_OCTETS..self.question_end) == asked;
        if !header.has(FLAG_QR) || !same {
            return None;
        }
        let mut reply = DnsReply {
            rcode: header.rcode(),
            truncated: header.has(FLAG_TC),
            addresses: Vec::new(),
            answers: header.records.first().copied().unwrap_or_default(),
            error: None,
        };
        for record in Records::new(packet, &header, self.question_end) {
            let record = record.ok()?;
            match (record.section, record.rtype) {
                (Section::Answer, RecordType::A) => {
                    let octets: [u8; 4] = record.data.try_into().ok()?;
                    reply.addresses.push(Ipv4Addr::from(octets).into());
                }
                (Section::Answer, RecordType::AAAA) => {
                    let octets: [u8; 16] = record.data.try_into().ok()?;
                    reply.addresses.push(Ipv6Addr::from(octets).into());
                }
                (Section::Additional, RecordType::OPT) => reply.error = error(record.data),
                _ => {}
            }
        }
        Some(reply)
    }
}

/// The Extended DNS Error among the options of an OPT record.
fn error(mut options: &[u8]) -> Option<(u16, String)> {
    loop {
        let (code, length) = (u16_at(options, 0)?, u16_at(options, 2)?);
        let end = 4 + usize::from(length);
        let data = options.get(4..end)?;
        if code == OPTION_EDE {
            let text = String::from_utf8_lossy(data.get(2..)?).into_owned();
            return Some((u16_at(data, 0)?, text));
        }
        options = options.get(end..)?;
    }
}

impl DnsReply {
    /// What is wrong with this as the answer for a test entry; nothing where it is right.
    pub(super) fn wrong(
        &self,
        canary: &Canary,
        stop_page: StopAddresses,
        transport: Transport,
    ) -> Option<String> {
        let is_address = |address: IpAddr| {
            self.rcode == Rcode::NOERROR && self.addresses.as_slice() == [address]
        };
        let stop_page = stop_page
            .ipv4
            .map(IpAddr::from)
            .or(stop_page.ipv6.map(IpAddr::from));
        let is_right = match (canary.action, stop_page) {
            (Action::Block, Some(address)) => is_address(address),
            (Action::Block, None) | (Action::NxDomain, _) => self.rcode == Rcode::NXDOMAIN,
            (Action::NoData, _) => self.rcode == Rcode::NOERROR && self.answers == 0,
            (Action::Refused, _) => self.rcode == Rcode::REFUSED,
            (Action::TcpOnly, _) => self.truncated || transport == Transport::Tcp,
            // An alias, which alone is asked for; what it leads to is not the list's doing.
            (Action::LocalData, _) => self.rcode == Rcode::NOERROR && self.answers == 1,
            (Action::Drop | Action::PassThru | Action::Monitor, _) => true,
        };
        if canary.waits && self.rcode == Rcode::SERVFAIL {
            return None;
        }
        if !is_right {
            return Some(self.said());
        }
        let ede = self.error.as_ref().map(|(code, _)| *code);
        let through = canary.action == Action::TcpOnly && transport == Transport::Tcp;
        (ede != canary.ede && !through).then(|| {
            let code = |code: Option<u16>| code.map_or("none".to_owned(), |code| code.to_string());
            format!(
                "its Extended DNS Error is {} instead of {}",
                code(ede),
                code(canary.ede)
            )
        })
    }

    /// The list that it names as the one that decided, among these.
    pub(super) fn blocked_by<'a>(
        &self,
        mut lists: impl Iterator<Item = &'a str>,
    ) -> Option<&'a str> {
        let (_, text) = self.error.as_ref()?;
        let named = text.split_once(' ').map(|(list, _)| list);
        lists.find(|list| named == Some(*list))
    }

    /// Whether it gives something.
    pub(super) fn resolves(&self) -> bool {
        self.rcode == Rcode::NOERROR && (self.answers > 0 || self.truncated)
    }

    /// What it says, in short.
    pub(super) fn said(&self) -> String {
        let code = match self.rcode {
            Rcode::NOERROR if self.truncated => "the answer is cut off".to_owned(),
            Rcode::NOERROR if self.answers == 0 => "the answer is without a record".to_owned(),
            Rcode::NOERROR => format!("the answer has {} records", self.answers),
            Rcode::SERVFAIL => "the answer is SERVFAIL".to_owned(),
            Rcode::NXDOMAIN => "the answer is NXDOMAIN".to_owned(),
            Rcode::REFUSED => "the answer is REFUSED".to_owned(),
            Rcode(other) => format!("the answer is rcode {other}"),
        };
        match self.addresses.first() {
            Some(address) => format!("{code}, the first of them {address}"),
            None => code,
        }
    }
}

/// The type under which a blocked name has the stop page's address.
pub(super) const fn address_type(stop_page: StopAddresses) -> RecordType {
    match stop_page {
        StopAddresses {
            ipv4: None,
            ipv6: Some(_),
        } => RecordType::AAAA,
        _ => RecordType::A,
    }
}

/// The largest UDP answer that is taken, in octets (RFC 9715).
const UDP_OCTETS_MAX: u16 = 1232;

#[cfg(test)]
mod tests {

    use proptest::prelude::*;

    use super::*;
    use crate::enforce::dns::{Data, ExtendedError, Query, Response};

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    fn stop_page(ipv4: &str) -> StopAddresses {
        StopAddresses {
            ipv4: ipv4.parse().ok(),
            ipv6: None,
        }
    }

    /// What is wrong with an answer to the test entry of a list with this action.
    #[track_caller]
    fn check(
        action: Action,
        stop_page: StopAddresses,
        response: &Response<'_>,
        expected: Option<&str>,
    ) {
        let canary = Canary {
            list: "csam".into(),
            name: name("csam.canary.invalid"),
            below: name("x.csam.canary.invalid"),
            action,
            ede: Some(16),
            waits: action == Action::NoData,
        };
        let question = DnsQuestion::new(7, &canary.name, address_type(stop_page));
        let query = Query::parse(&question.packet).unwrap();
        assert!(query.edns.is_some() && query.recursion_desired);
        let mut buffer = question.packet.clone();
        buffer.resize(1500, 0);
        let length = response.write(&query, &mut buffer, 1232);
        let reply = question.read(&buffer[..length]).unwrap();
        let wrong = reply.wrong(&canary, stop_page, Transport::Udp);
        assert_eq!(wrong.as_deref(), expected, "{reply:?}");
    }

    fn response(rcode: Rcode, data: Data<'static>, code: u16) -> Response<'static> {
        Response {
            data,
            ttl_max: 1,
            ..Response::empty(
                rcode,
                Some(ExtendedError {
                    code,
                    list: "csam",
                    entry: "canary",
                    structured: None,
                }),
            )
        }
    }

    #[test]
    fn each_action_has_its_answer_and_no_other_is_taken() {
        let (with, without) = (stop_page("192.0.2.80"), stop_page(""));
        let right = Data::V4("192.0.2.80".parse().unwrap());
        let other = Data::V4("192.0.2.81".parse().unwrap());
        let blocked = response(Rcode::NOERROR, right, 16);
        let truth = response(Rcode::NOERROR, other, 16);
        let nothing = response(Rcode::NXDOMAIN, Data::None, 16);
        check(Action::Block, with, &blocked, None);
        let said = "the answer has 1 records, the first of them 192.0.2.81";
        check(Action::Block, with, &truth, Some(said));
        check(
            Action::Block,
            with,
            &nothing,
            Some("the answer is NXDOMAIN"),
        );
        check(Action::Block, without, &nothing, None);
        check(Action::NxDomain, with, &nothing, None);
        check(
            Action::NxDomain,
            with,
            &blocked,
            Some("the answer has 1 records, the first of them 192.0.2.80"),
        );
        let empty = response(Rcode::NOERROR, Data::None, 16);
        check(Action::NoData, with, &empty, None);
        // One that waits for upstreams is not wrong where they fail, and else like any other.
        let failed = response(Rcode::SERVFAIL, Data::None, 16);
        check(Action::NoData, with, &failed, None);
        check(
            Action::NoData,
            with,
            &nothing,
            Some("the answer is NXDOMAIN"),
        );
        check(
            Action::NxDomain,
            with,
            &failed,
            Some("the answer is SERVFAIL"),
        );
        let garden = name("garden.test");
        let alias = response(Rcode::NOERROR, Data::None, 16);
        let said = "the answer is without a record";
        check(Action::LocalData, with, &alias, Some(said));
        let alias = Response {
            data: Data::Alias(&garden, 60),
            ..alias
        };
        check(Action::LocalData, with, &alias, None);
        check(
            Action::Refused,
            with,
            &response(Rcode::REFUSED, Data::None, 16),
            None,
        );
        let mut cut = empty;
        cut.truncated = true;
        check(Action::TcpOnly, with, &cut, None);
        check(
            Action::Block,
            with,
            &response(Rcode::NOERROR, right, 15),
            Some("its Extended DNS Error is 15 instead of 16"),
        );
    }

    #[test]
    fn who_decided_is_read_from_the_answer() {
        let question = DnsQuestion::new(7, &name("a.test"), RecordType::A);
        let query = Query::parse(&question.packet).unwrap();
        let mut buffer = question.packet.clone();
        buffer.resize(1500, 0);
        let length = response(Rcode::NXDOMAIN, Data::None, 15).write(&query, &mut buffer, 1232);
        let packet = &buffer[..length];
        let reply = question.read(packet).unwrap();
        assert_eq!(
            reply.blocked_by(["other", "csam"].into_iter()),
            Some("csam")
        );
        assert_eq!(reply.blocked_by(["other"].into_iter()), None);
        assert!(!reply.resolves());
        // The answer to another question is none to this.
        for other in [
            DnsQuestion::new(8, &name("a.test"), RecordType::A),
            DnsQuestion::new(7, &name("b.test"), RecordType::A),
            DnsQuestion::new(7, &name("a.test"), RecordType::AAAA),
        ] {
            assert_eq!(other.read(packet), None);
        }
        assert_eq!(
            question.read(&question.packet),
            None,
            "a query is no answer"
        );
    }

    proptest! {
        #[test]
        fn damaged_answers_never_panic(packet in prop::collection::vec(any::<u8>(), 0..300)) {
            let question = DnsQuestion::new(7, &name("a.test"), RecordType::A);
            let mut answer = question.packet.clone();
            answer[2] |= 0x80;
            answer[7] = 1;
            answer.extend(packet);
            let _ = question.read(&answer);
        }
    }
}
