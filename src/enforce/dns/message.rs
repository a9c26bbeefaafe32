//! [`Query`]: what a client asks, read from wire form.

use super::structured_error::OPTION_STRUCTURED_ERROR;
use crate::enforce::resolver::wire::{
    FLAG_CD, FLAG_QR, FLAG_RD, HEADER_OCTETS, Header, RecordType, Records, Section, u16_at,
};
use crate::policy::Name;

/// A query with exactly one question (RFC 1035 section 4.1.2, RFC 9619) and at most one OPT
/// (RFC 6891). It holds copies, so that its answer can be written over the packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Query {
    /// The name, in canonical form; its case as asked stays in the packet.
    pub name: Name,
    /// The type.
    pub rtype: RecordType,
    /// The class.
    pub class: u16,
    /// RD: the client wants the resolver to ask others.
    pub recursion_desired: bool,
    /// CD: the client checks signatures itself.
    pub checking_disabled: bool,
    /// What the client's OPT says; nothing without one.
    pub edns: Option<Edns>,
    /// Where in the packet the question ends.
    pub question_end: usize,
}

/// What a client's OPT says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Edns {
    /// The largest UDP answer it takes, in octets.
    pub udp_octets_max: u16,
    /// The EDNS version.
    pub version: u8,
    /// DO: it wants DNSSEC records.
    pub dnssec_ok: bool,
    /// Whether it asks for structured errors: by an option without data.
    pub structured_errors: bool,
}

/// Why a packet is no query that can be decided on, and what it gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unanswerable {
    /// Nothing: too short for a header, or itself a response.
    Silent,
    /// FORMERR.
    Malformed,
    /// NOTIMP: another opcode than QUERY.
    Opcode,
}

impl Query {
    /// Reads a packet. Octets after the last record are ignored.
    ///
    /// # Errors
    /// [`Unanswerable`] says what the packet gets instead.
    pub fn parse(packet: &[u8]) -> Result<Self, Unanswerable> {
        let header = Header::read(packet).ok_or(Unanswerable::Silent)?;
        if header.has(FLAG_QR) {
            return Err(Unanswerable::Silent);
        }
        if header.opcode() != 0 {
            return Err(Unanswerable::Opcode);
        }
        if header.questions != 1 {
            return Err(Unanswerable::Malformed);
        }
        Self::read(packet, &header).ok_or(Unanswerable::Malformed)
    }

    fn read(packet: &[u8], header: &Header) -> Option<Self> {
        let (name, used) = Name::from_wire(packet.get(HEADER_OCTETS..)?).ok()?;
        let type_at = HEADER_OCTETS + used;
        let mut query = Self {
            name,
            rtype: RecordType(u16_at(packet, type_at)?),
            class: u16_at(packet, type_at + 2)?,
            recursion_desired: header.has(FLAG_RD),
            checking_disabled: header.has(FLAG_CD),
            edns: None,
            question_end: type_at + 4,
        };
        for record in Records::new(packet, header, query.question_end) {
            let record = record.ok()?;
            if record.rtype != RecordType::OPT {
                continue;
            }
            let owner_is_root = packet.get(record.start) == Some(&0);
            if query.edns.is_some()
                || record.section != Section::Additional
                || !owner_is_root
                || !are_options(record.data)
            {
                return None;
            }
            let [_, version, flags, _] = record.ttl.to_be_bytes();
            query.edns = Some(Edns {
                udp_octets_max: record.class,
                version,
                dnssec_ok: flags & 0x80 != 0,
                structured_errors: has_empty(record.data, OPTION_STRUCTURED_ERROR),
            });
        }
        Some(query)
    }

    /// The largest answer that may go to the client over UDP, in octets: what it takes, at
    /// least 512 (RFC 1035 section 4.2.1), at most 1232 (RFC 9715).
    #[must_use]
    pub fn udp_octets_max(&self) -> usize {
        let taken = self.edns.map_or(0, |edns| edns.udp_octets_max);
        usize::from(taken.clamp(UDP_OCTETS_MIN, UDP_OCTETS_MAX))
    }
}

/// Whether there is an option of that code without data.
fn has_empty(mut options: &[u8], code: u16) -> bool {
    while let (Some(own), Some(length)) = (u16_at(options, 0), u16_at(options, 2)) {
        if (own, length) == (code, 0) {
            return true;
        }
        options = options.get(4 + usize::from(length)..).unwrap_or_default();
    }
    false
}

/// Whether the data of an OPT are options: a code, a length and so many octets each.
fn are_options(mut data: &[u8]) -> bool {
    while !data.is_empty() {
        let rest = u16_at(data, 2).and_then(|length| data.get(4 + usize::from(length)..));
        match rest {
            Some(rest) => data = rest,
            None => return false,
        }
    }
    true
}

/// The largest UDP answer to a client without EDNS, in octets.
const UDP_OCTETS_MIN: u16 = 512;
/// The largest UDP answer to any client, in octets: it is not fragmented (RFC 9715).
pub(super) const UDP_OCTETS_MAX: u16 = 1232;

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Edns as WireEdns, Message, OpCode, Query as WireQuery};
    use hickory_proto::rr::{Name as WireName, RData, Record, RecordType as WireType, rdata};
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03wWw\x04shop\x07example\0\0\x01\0\x01";

    #[track_caller]
    fn check(packet: &[u8], expected: Result<&str, Unanswerable>) {
        let found = Query::parse(packet).map(|query| query.name.to_string());
        assert_eq!(found, expected.map(str::to_owned));
    }

    fn changed(at: usize, octets: &[u8]) -> Vec<u8> {
        let mut packet = PLAIN.to_vec();
        packet[at..at + octets.len()].copy_from_slice(octets);
        packet
    }

    fn with_records(count: u8, records: &[u8]) -> Vec<u8> {
        [&changed(11, &[count]), records].concat()
    }

    #[test]
    fn queries_are_read() {
        check(PLAIN, Ok("www.shop.example"));
        check(&[PLAIN, b"garbage"].concat(), Ok("www.shop.example"));
        let query = Query::parse(PLAIN).unwrap();
        assert!(query.recursion_desired && !query.checking_disabled && query.edns.is_none());
        assert_eq!((query.rtype, query.class), (RecordType::A, 1));
        assert_eq!(query.question_end, PLAIN.len());
        assert_eq!(query.udp_octets_max(), 512);
    }

    #[test]
    fn what_is_no_query_gets_what_the_protocol_says() {
        check(&PLAIN[..11], Err(Unanswerable::Silent));
        check(&changed(2, b"\x81"), Err(Unanswerable::Silent));
        check(&changed(2, b"\x29"), Err(Unanswerable::Opcode)); // UPDATE
        check(&changed(5, b"\x02"), Err(Unanswerable::Malformed));
        check(&changed(5, b"\x00"), Err(Unanswerable::Malformed));
        check(&PLAIN[..PLAIN.len() - 1], Err(Unanswerable::Malformed));
        check(&changed(12, b"\xc0\x0c"), Err(Unanswerable::Malformed));
        check(&changed(12, b"\x40"), Err(Unanswerable::Malformed));
        check(&changed(11, b"\x01"), Err(Unanswerable::Malformed));
    }

    #[test]
    fn edns_is_read_and_checked() {
        let opt: &[u8] = b"\0\0\x29\x10\0\0\0\x80\0\0\0";
        let query = Query::parse(&with_records(1, opt)).unwrap();
        let expected = Edns {
            udp_octets_max: 4096,
            version: 0,
            dnssec_ok: true,
            structured_errors: false,
        };
        assert_eq!(query.edns, Some(expected));
        let asks = b"\0\0\x29\x10\0\0\0\0\0\0\x08\0\x0a\0\0\xff\x3c\0\0";
        let query = Query::parse(&with_records(1, asks)).unwrap();
        assert!(query.edns.unwrap().structured_errors);
        assert_eq!(query.udp_octets_max(), 1232);
        check(
            &with_records(2, &[opt, opt].concat()),
            Err(Unanswerable::Malformed),
        );
        let named = b"\x01a\0\0\x29\x10\0\0\0\0\0\0\0";
        check(&with_records(1, named), Err(Unanswerable::Malformed));
        let bad_option = b"\0\0\x29\x10\0\0\0\0\0\0\x04\0\x0a\0\x08";
        check(&with_records(1, bad_option), Err(Unanswerable::Malformed));
        let version_1 = b"\0\0\x29\x01\0\0\x01\0\0\0\0";
        let query = Query::parse(&with_records(1, version_1)).unwrap();
        assert_eq!(query.edns.unwrap().version, 1);
        assert_eq!(query.udp_octets_max(), 512);
    }

    /// Name, type, class, and of EDNS the size and DO.
    type Seen = (Vec<u8>, u16, u16, Option<(u16, bool)>);

    /// What hickory makes of a packet, as far as we read it.
    fn by_hickory(packet: &[u8]) -> Option<Seen> {
        let message = Message::from_vec(packet).ok()?;
        let question = message.queries.first()?;
        let lower = question.name().to_lowercase();
        let mut name: Vec<u8> = Vec::new();
        for label in lower.iter() {
            name.push(u8::try_from(label.len()).ok()?);
            name.extend(label);
        }
        name.push(0);
        let edns = message.edns.as_ref();
        let edns = edns.map(|edns| (edns.max_payload(), edns.flags().dnssec_ok));
        Some((
            name,
            u16::from(question.query_type()),
            u16::from(question.query_class()),
            edns,
        ))
    }

    fn by_us(packet: &[u8]) -> Option<Seen> {
        let query = Query::parse(packet).ok()?;
        let edns = query.edns;
        // hickory's own least size.
        let edns = edns.map(|edns| (edns.udp_octets_max.max(512), edns.dnssec_ok));
        Some((
            query.name.as_wire().to_vec(),
            query.rtype.0,
            query.class,
            edns,
        ))
    }

    prop_compose! {
        fn message()(
            labels in prop::collection::vec("[a-zA-Z0-9_-]{1,20}", 0..6),
            rtype in 1u16..300,
            edns in prop::option::of((any::<u16>(), any::<bool>())),
            extra in any::<bool>(),
        ) -> Vec<u8> {
            let name = WireName::from_labels(labels.iter().map(|label| label.as_bytes())).unwrap();
            let mut message = Message::query();
            message.metadata.op_code = OpCode::Query;
            message.add_query(WireQuery::query(name.clone(), WireType::from(rtype)));
            if extra {
                let data = RData::A(rdata::A::new(192, 0, 2, 1));
                message.add_additional(Record::from_rdata(name, 5, data));
            }
            if let Some((size, dnssec_ok)) = edns {
                let mut edns = WireEdns::new();
                edns.set_max_payload(size).set_dnssec_ok(dnssec_ok);
                message.set_edns(edns);
            }
            message.to_vec().unwrap()
        }
    }

    proptest! {
        #[test]
        fn random_octets_never_panic(packet in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Query::parse(&packet);
        }

        #[test]
        fn hickory_reads_the_same(packet in message()) {
            let ours = by_us(&packet);
            prop_assert!(ours.is_some());
            prop_assert_eq!(ours, by_hickory(&packet));
        }

        /// Where both read a damaged packet, they read the same.
        #[test]
        fn hickory_reads_the_same_of_damaged_packets(packet in message(), at in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut packet = packet;
            let at = at.index(packet.len());
            packet[at] = octet;
            if let (Some(ours), Some(theirs)) = (by_us(&packet), by_hickory(&packet)) {
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
