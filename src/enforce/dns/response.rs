//! [`Response`]: writes answers over the query, in place.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::Query;
use super::chain::Alias;
use super::message::UDP_OCTETS_MAX;
use super::structured_error::StructuredError;
use crate::compile::ZoneSoa;
use crate::enforce::resolver::Answer;
use crate::enforce::resolver::wire::{
    CLASS_IN, FLAG_CD, FLAG_QR, FLAG_RA, FLAG_RD, FLAG_TC, HEADER_OCTETS, Header, OPTION_EDE,
    Rcode, Record, RecordType, name_at, skip_name, u16_at, u32_at,
};
use crate::policy::{LocalRecord, Name};

/// An answer of our own: an rcode, the aliases that led to it, what a rule says, perhaps an
/// Extended DNS Error.
///
/// The question is echoed with its case as asked; RD and CD are copied, AD and AA are clear. A
/// negative answer has no SOA in its authority section, so that no resolver behind us remembers
/// it (RFC 2308 section 5): unblocking acts at once.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The rcode.
    pub rcode: Rcode,
    /// TC: ask again over TCP.
    pub truncated: bool,
    /// RA: whether it says that others can be asked.
    pub recursion_available: bool,
    /// The aliases that lead from the question to where the data are.
    pub chain: &'a [Alias],
    /// How much is to be taken off their TTLs.
    pub chain_age: Duration,
    /// The answer that they are from, whose signatures of them are told, too (rpz.md R1).
    pub chain_of: Option<&'a Answer>,
    /// The records of the answer section behind them.
    pub data: Data<'a>,
    /// The longest TTL of those, in seconds.
    pub ttl_max: u32,
    /// The answer that follows an alias of local data, and its age.
    pub target: Option<(&'a Answer, Duration)>,
    /// Which list made it, in the additional section.
    pub soa: Option<&'a ZoneSoa>,
    /// Why; told to clients with EDNS alone.
    pub error: Option<ExtendedError<'a>>,
}

/// The data that a rule says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Data<'a> {
    /// No record.
    None,
    /// An A record.
    V4(Ipv4Addr),
    /// An AAAA record.
    V6(Ipv6Addr),
    /// The records of one type; of all types where none is given.
    Records(&'a [LocalRecord], Option<RecordType>),
    /// An alias, and its TTL in seconds.
    Alias(&'a Name, u32),
}

/// An Extended DNS Error (RFC 8914): a code, and the list and entry that decided as its text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExtendedError<'a> {
    /// The code.
    pub code: u16,
    /// The list's name; without one there is no text.
    pub list: &'a str,
    /// The entry's id.
    pub entry: &'a str,
    /// What is said instead to clients that ask for it.
    pub structured: Option<StructuredError<'a>>,
}

impl ExtendedError<'_> {
    /// An error without a text.
    #[must_use]
    pub const fn of(code: u16) -> Self {
        Self {
            code,
            list: "",
            entry: "",
            structured: None,
        }
    }
}

impl<'a> Response<'a> {
    /// An answer without a record.
    #[must_use]
    pub const fn empty(rcode: Rcode, error: Option<ExtendedError<'a>>) -> Self {
        Self {
            rcode,
            truncated: false,
            recursion_available: true,
            chain: &[],
            chain_age: Duration::ZERO,
            chain_of: None,
            data: Data::None,
            ttl_max: u32::MAX,
            target: None,
            soa: None,
            error,
        }
    }

    /// Writes the answer over the query in `buffer`, in at most `octets_max` octets, and
    /// returns its length. What does not fit is left out: the error's text first, then the SOA,
    /// then the error, then the records, with TC (rpz.md R10). Zero if even header and question
    /// do not fit.
    pub fn write(&self, query: &Query, buffer: &mut [u8], octets_max: usize) -> usize {
        let Some(mut out) = Out::after_question(query, buffer, octets_max) else {
            return 0;
        };
        let opt_octets = if query.edns.is_some() { OPT_OCTETS } else { 0 };
        let mut counts = [1, 0, 0, 0];
        let mut truncated = self.truncated;
        out.reserved = opt_octets;
        match self.put_records(query, &mut out) {
            Some(records) => counts[1] = records,
            None => truncated = true,
        }
        if let Some(soa) = self.soa {
            // The code of the error goes before the SOA, and its text behind.
            let code_octets = if self.error.is_some() && opt_octets > 0 {
                EDE_OCTETS
            } else {
                0
            };
            out.reserved = opt_octets + code_octets;
            let put = out.put_record(Owner::Name(&soa.owner), RecordType::SOA, soa.ttl, &soa.data);
            counts[3] += u16::from(put.is_some());
        }
        out.reserved = 0;
        if query.edns.is_some()
            && out
                .put_opt(query, self.rcode, |out| self.put_error(out))
                .is_some()
        {
            counts[3] += 1;
        }
        let tc = if truncated { FLAG_TC } else { 0 };
        let ra = if self.recursion_available { FLAG_RA } else { 0 };
        out.finish(query, tc | ra | (self.rcode.0 & 0xf), counts)
    }

    /// Writes the answer section and says how many records it has.
    fn put_records(&self, query: &Query, out: &mut Out<'_>) -> Option<u16> {
        out.all(|out| {
            let mut count = 0;
            let mut owner = Owner::Question;
            let age = u32::try_from(self.chain_age.as_secs()).unwrap_or(u32::MAX);
            let mut name = &query.name;
            for alias in self.chain {
                let ttl = alias.ttl.saturating_sub(age);
                let next = out.put_alias(owner, &alias.target, ttl)?;
                count += 1;
                if let Some(answer) = self.chain_of {
                    count += out.put_alias_signatures(answer, name, owner, ttl)?;
                }
                (owner, name) = (next, &alias.target);
            }
            count += match self.data {
                Data::None => 0,
                Data::V4(address) => {
                    out.put_record(owner, RecordType::A, self.ttl_max, &address.octets())?;
                    1
                }
                Data::V6(address) => {
                    out.put_record(owner, RecordType::AAAA, self.ttl_max, &address.octets())?;
                    1
                }
                Data::Records(records, rtype) => {
                    let mut count = 0;
                    let is_asked =
                        |record: &&LocalRecord| rtype.is_none_or(|of| of.0 == record.rtype);
                    for record in records.iter().filter(is_asked) {
                        let ttl = record.ttl.min(self.ttl_max);
                        out.put_record(owner, RecordType(record.rtype), ttl, &record.data)?;
                        count += 1;
                    }
                    count
                }
                Data::Alias(target, ttl) => {
                    out.put_alias(owner, target, ttl.min(self.ttl_max))?;
                    1
                }
            };
            if let Some((answer, age)) = self.target {
                count += out.put_answer_of(answer, age)?;
            }
            Some(count)
        })
    }

    /// Writes the error with its text, or without, or not at all.
    fn put_error(&self, out: &mut Out<'_>) {
        let Some(error) = &self.error else {
            return;
        };
        let put = |out: &mut Out<'_>, text: &mut dyn FnMut(&mut Out<'_>) -> Option<()>| {
            out.all(|out| {
                out.put(&OPTION_EDE.to_be_bytes())?;
                let length_at = out.len;
                out.put(&[0, 0])?;
                out.put(&error.code.to_be_bytes())?;
                text(out)?;
                let length = u16::try_from(out.len - length_at - 2).ok()?;
                out.patch(length_at, &length.to_be_bytes());
                Some(())
            })
        };
        let done = match error.structured {
            Some(structured) => [true, false].into_iter().find_map(|is_whole| {
                put(out, &mut |out| {
                    structured.write(is_whole, |part| out.put(part))
                })
            }),
            None if error.list.is_empty() => None,
            None => put(out, &mut |out| {
                let text = [error.list, " ", error.entry];
                text.iter().try_for_each(|part| out.put(part.as_bytes()))
            }),
        };
        if done.is_none() {
            let _ = put(out, &mut |_| Some(()));
        }
    }
}

/// Writes an upstream's answer over the query in `buffer`, in at most `octets_max` octets,
/// and returns its length. `age` is taken off its TTLs. What does not fit is left out: the
/// upstream's errors first, then the additional section, then all records, with TC.
pub fn write_answer(
    answer: &Answer,
    age: Duration,
    query: &Query,
    buffer: &mut [u8],
    octets_max: usize,
) -> usize {
    debug_assert_eq!(
        answer.question_end(),
        query.question_end,
        "an answer is to the question that was asked"
    );
    let (Some(header), Some(mut out)) = (
        Header::read(answer.octets()),
        Out::after_question(query, buffer, octets_max),
    ) else {
        return 0;
    };
    let [answers, authorities, additionals] = header.records;
    let mut counts = [1, answers, authorities, additionals];
    let mut truncated = 0;
    out.reserved = if query.edns.is_some() { OPT_OCTETS } else { 0 };
    let records = |end: usize| answer.octets().get(answer.question_end()..end);
    let whole = records(answer.octets().len()).unwrap_or_default();
    let main = records(answer.additional_at()).unwrap_or_default();
    if out.put(whole).is_none() {
        counts[3] = 0;
        if out.put(main).is_none() {
            counts = [1, 0, 0, 0];
            truncated = FLAG_TC;
        }
    }
    out.age(answer.ttls_at(), age);
    out.reserved = 0;
    if query.edns.is_some() {
        let put = out.put_opt(query, header.rcode(), |out| {
            let _ = out.put(answer.error_options());
        });
        counts[3] += u16::from(put.is_some());
    }
    out.finish(query, FLAG_RA | truncated | header.rcode().0, counts)
}

/// Writes a bare header with an rcode over what a client sent, for packets whose question
/// cannot be read. Its id, opcode and RD are kept. Returns the length.
pub fn write_header(rcode: Rcode, buffer: &mut [u8]) -> usize {
    let (Some(sent), Some(fields)) = (u16_at(buffer, 2), buffer.get_mut(2..HEADER_OCTETS)) else {
        return 0;
    };
    fields.fill(0);
    let flags = FLAG_QR | FLAG_RA | (sent & (0x7800 | FLAG_RD)) | (rcode.0 & 0xf);
    if let Some(place) = fields.get_mut(..2) {
        place.copy_from_slice(&flags.to_be_bytes());
    }
    HEADER_OCTETS
}

/// How the owner of a record is written.
#[derive(Clone, Copy)]
enum Owner<'a> {
    /// As the question's name.
    Question,
    /// As the name that stands there.
    At(u16),
    /// In full.
    Name(&'a Name),
}

/// The buffer behind the question, as far as the answer may go.
struct Out<'a> {
    buffer: &'a mut [u8],
    len: usize,
    /// Kept free for what comes later.
    reserved: usize,
}

impl<'a> Out<'a> {
    fn after_question(query: &Query, buffer: &'a mut [u8], octets_max: usize) -> Option<Self> {
        let end = buffer.len().min(octets_max);
        let buffer = buffer.get_mut(..end)?;
        (query.question_end <= buffer.len()).then_some(Self {
            buffer,
            len: query.question_end,
            reserved: 0,
        })
    }

    fn put(&mut self, octets: &[u8]) -> Option<()> {
        let end = self.len + octets.len();
        if end + self.reserved > self.buffer.len() {
            return None;
        }
        self.buffer.get_mut(self.len..end)?.copy_from_slice(octets);
        self.len = end;
        Some(())
    }

    /// Writes an alias and says how its target is named by what comes next.
    fn put_alias(&mut self, owner: Owner<'_>, target: &Name, ttl: u32) -> Option<Owner<'static>> {
        self.put_record(owner, RecordType::CNAME, ttl, target.as_wire())?;
        let at = self.len - target.as_wire().len();
        // Beyond what a pointer reaches no packet is small enough to care.
        u16::try_from(at)
            .ok()
            .filter(|at| *at < 0x4000)
            .map(Owner::At)
    }

    /// Writes the signatures of an alias that an answer has, and says how many.
    fn put_alias_signatures(
        &mut self,
        answer: &Answer,
        name: &Name,
        owner: Owner<'_>,
        ttl: u32,
    ) -> Option<u16> {
        let mut count = 0;
        for record in answer.answer_records() {
            if record.rtype == RecordType::RRSIG
                && u16_at(record.data, 0) == Some(RecordType::CNAME.0)
                && name_at(answer.octets(), record.start) == Some(*name)
            {
                self.put_record(owner, RecordType::RRSIG, ttl, record.data)?;
                count += 1;
            }
        }
        Some(count)
    }

    /// Writes one record.
    fn put_record(
        &mut self,
        owner: Owner<'_>,
        rtype: RecordType,
        ttl: u32,
        data: &[u8],
    ) -> Option<()> {
        let length = u16::try_from(data.len()).ok()?;
        self.all(|out| {
            out.put_head(owner, rtype, CLASS_IN, ttl)?;
            out.put(&length.to_be_bytes())?;
            out.put(data)
        })
    }

    fn put_head(
        &mut self,
        owner: Owner<'_>,
        rtype: RecordType,
        class: u16,
        ttl: u32,
    ) -> Option<()> {
        match owner {
            // At the end of the header.
            Owner::Question => self.put(&[0xc0, 0x0c])?,
            Owner::At(at) => self.put(&(0xc000 | at).to_be_bytes())?,
            Owner::Name(name) => self.put(name.as_wire())?,
        }
        self.put(&rtype.0.to_be_bytes())?;
        self.put(&class.to_be_bytes())?;
        self.put(&ttl.to_be_bytes())
    }

    /// Writes the answer section of another message without its signatures (rpz.md S4), and says
    /// how many records that are. Names are compressed within their own message, so that they
    /// are written out.
    fn put_answer_of(&mut self, answer: &Answer, age: Duration) -> Option<u16> {
        let age = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        let mut count = 0;
        let unsigned = |record: &Record<'_>| record.rtype != RecordType::RRSIG;
        for record in answer.answer_records().filter(unsigned) {
            let owner = name_at(answer.octets(), record.start)?;
            let ttl = record.ttl.saturating_sub(age);
            self.put_head(Owner::Name(&owner), record.rtype, record.class, ttl)?;
            let length_at = self.len;
            self.put(&[0, 0])?;
            self.put_data_of(answer, &record)?;
            let length = u16::try_from(self.len - length_at - 2).ok()?;
            self.patch(length_at, &length.to_be_bytes());
            count += 1;
        }
        Some(count)
    }

    /// Writes the data of a record of another message: what stands before the names in it, the
    /// names, what stands behind (RFC 3597 section 4 says which types have such names).
    fn put_data_of(&mut self, answer: &Answer, record: &Record<'_>) -> Option<()> {
        let (before, names) = match record.rtype {
            RecordType::NS | RecordType::CNAME | RecordType::PTR | RecordType::DNAME => (0, 1),
            RecordType::MX => (2, 1),
            RecordType::SRV => (6, 1),
            RecordType::SOA => (0, 2),
            _ => return self.put(record.data),
        };
        self.put(record.data.get(..before)?)?;
        let mut at = record.data_at + before;
        for _ in 0..names {
            self.put(name_at(answer.octets(), at)?.as_wire())?;
            at = skip_name(answer.octets(), at)?;
        }
        self.put(answer.octets().get(at..record.end)?)
    }

    /// Does all of `steps`, or nothing.
    fn all<T>(&mut self, steps: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let before = self.len;
        let done = steps(self);
        if done.is_none() {
            self.len = before;
        }
        done
    }

    /// Writes our OPT (RFC 6891 section 6.1.2): root, our UDP size, the rcode's high bits,
    /// version 0, DO copied; then the options, which `options` writes.
    fn put_opt(
        &mut self,
        query: &Query,
        rcode: Rcode,
        options: impl FnOnce(&mut Self),
    ) -> Option<()> {
        let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
        let [_, rcode_high] = (rcode.0 >> 4).to_be_bytes();
        let flags = if dnssec_ok { 0x80 } else { 0 };
        self.all(|out| {
            out.put(&[0])?;
            out.put(&RecordType::OPT.0.to_be_bytes())?;
            out.put(&UDP_OCTETS_MAX.to_be_bytes())?;
            out.put(&[rcode_high, 0, flags, 0])?;
            out.put(&[0, 0])
        })?;
        let data_at = self.len;
        options(self);
        let length = u16::try_from(self.len - data_at).unwrap_or(0);
        self.patch(data_at - 2, &length.to_be_bytes());
        Some(())
    }

    /// Takes `age` off the TTLs at those places that were written.
    fn age(&mut self, ttls_at: &[u16], age: Duration) {
        let age = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        if age == 0 {
            return;
        }
        for at in ttls_at {
            let at = usize::from(*at);
            if at + 4 > self.len {
                break;
            }
            let ttl = u32_at(self.buffer, at).unwrap_or(0).saturating_sub(age);
            self.patch(at, &ttl.to_be_bytes());
        }
    }

    /// Writes the header, but for the id that is there, and returns the length.
    fn finish(mut self, query: &Query, flags: u16, counts: [u16; 4]) -> usize {
        let mut flags = flags | FLAG_QR;
        if query.recursion_desired {
            flags |= FLAG_RD;
        }
        if query.checking_disabled {
            flags |= FLAG_CD;
        }
        self.patch(2, &flags.to_be_bytes());
        for (at, count) in [4, 6, 8, 10].into_iter().zip(counts) {
            self.patch(at, &count.to_be_bytes());
        }
        self.len
    }

    fn patch(&mut self, at: usize, octets: &[u8]) {
        if let Some(place) = self.buffer.get_mut(at..at + octets.len()) {
            place.copy_from_slice(octets);
        }
    }
}

/// The length of an OPT without options, in octets.
const OPT_OCTETS: usize = 11;
/// The length of an Extended DNS Error without a text, in octets.
const EDE_OCTETS: usize = 6;

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, ResponseCode};
    use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
    use hickory_proto::rr::{Name as WireName, RData, Record, rdata};
    use proptest::prelude::*;

    use super::*;
    use crate::enforce::resolver::Question;

    const QUERY: &[u8] =
        b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\x03WwW\x04shop\x07example\0\0\x01\0\x01";
    const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0";

    fn packet(with_edns: bool) -> (Query, Vec<u8>) {
        let mut packet = QUERY.to_vec();
        if with_edns {
            packet[11] = 1;
            packet.extend(OPT);
        }
        let query = Query::parse(&packet).unwrap();
        packet.resize(4096, 0xaa);
        (query, packet)
    }

    fn blocked() -> Response<'static> {
        Response {
            rcode: Rcode::NOERROR,
            truncated: false,
            data: Data::V4(Ipv4Addr::new(192, 0, 2, 80)),
            ttl_max: 10,
            recursion_available: true,
            chain: &[],
            chain_age: Duration::ZERO,
            chain_of: None,
            target: None,
            soa: None,
            error: Some(ExtendedError {
                code: 16,
                list: "csam",
                entry: "EX-000123",
                structured: None,
            }),
        }
    }

    fn written(response: &Response<'_>, with_edns: bool, octets_max: usize) -> (Vec<u8>, Message) {
        let (query, mut buffer) = packet(with_edns);
        let len = response.write(&query, &mut buffer, octets_max);
        assert!(len <= octets_max);
        buffer.truncate(len);
        let message = Message::from_vec(&buffer).unwrap();
        (buffer, message)
    }

    fn ede(message: &Message) -> Option<Vec<u8>> {
        match message.edns.as_ref()?.option(EdnsCode::Unknown(15))? {
            EdnsOption::Unknown(15, data) => Some(data.clone()),
            _ => None,
        }
    }

    #[test]
    fn a_blocked_name_points_at_the_stop_page() {
        let (octets, message) = written(&blocked(), true, 1232);
        assert_eq!(&octets[12..29], &QUERY[12..29], "the case is as asked");
        assert_eq!(message.id, 0x1234);
        assert!(message.recursion_desired && message.recursion_available);
        assert!(message.checking_disabled);
        assert!(!message.authoritative && !message.authentic_data && !message.truncation);
        assert_eq!(message.answers.len(), 1);
        assert_eq!(message.answers[0].ttl, 10);
        let address = RData::A(rdata::A::new(192, 0, 2, 80));
        assert_eq!(message.answers[0].data, address);
        assert!(message.authorities.is_empty() && message.additionals.is_empty());
        assert_eq!(ede(&message).unwrap(), b"\0\x10csam EX-000123");
        let edns = message.edns.unwrap();
        assert_eq!((edns.max_payload(), edns.flags().dnssec_ok), (1232, true));
    }

    #[test]
    fn without_edns_there_is_none_in_the_answer() {
        let (_, message) = written(&blocked(), false, 512);
        assert!(message.edns.is_none());
        let refused = Response::empty(Rcode::REFUSED, Some(ExtendedError::of(18)));
        let (octets, message) = written(&refused, false, 512);
        assert_eq!(message.response_code, ResponseCode::Refused);
        assert_eq!(octets.len(), QUERY.len());
    }

    #[test]
    fn what_does_not_fit_is_left_out_in_order() {
        let all = written(&blocked(), true, 1232).0.len();
        let check = |octets_max, error: Option<&[u8]>, answers, truncated| {
            let (_, message) = written(&blocked(), true, octets_max);
            assert_eq!(ede(&message).as_deref(), error, "{octets_max}");
            assert_eq!(message.answers.len(), answers, "{octets_max}");
            assert_eq!(message.truncation, truncated, "{octets_max}");
        };
        check(all, Some(b"\0\x10csam EX-000123"), 1, false);
        check(all - 1, Some(b"\0\x10"), 1, false);
        check(all - 15, None, 1, false);
        // Without the record there is room for the error again.
        check(all - 21, Some(b"\0\x10"), 0, true);
    }

    #[test]
    fn extended_rcodes_are_split() {
        let (_, message) = written(&Response::empty(Rcode::BADVERS, None), true, 512);
        assert_eq!(u16::from(message.response_code), Rcode::BADVERS.0);
    }

    #[test]
    fn headers_keep_id_and_opcode() {
        let mut buffer = b"\x12\x34\x29\xff\xff\xff\xff\xff\xff\xff\xff\xffrest".to_vec();
        let len = write_header(Rcode::NOTIMP, &mut buffer);
        assert_eq!(&buffer[..len], b"\x12\x34\xa9\x84\0\0\0\0\0\0\0\0");
        assert_eq!(write_header(Rcode::NOTIMP, &mut [0; 11]), 0);
    }

    fn upstream(answers: usize, additionals: usize) -> Answer {
        let question = Question::new(Name::from_text("www.shop.example").unwrap(), RecordType::A);
        let mut message = Message::response(0, hickory_proto::op::OpCode::Query);
        let name = WireName::from_ascii("www.shop.example.").unwrap();
        message.add_query(hickory_proto::op::Query::query(
            name.clone(),
            hickory_proto::rr::RecordType::A,
        ));
        let record = |number: usize| {
            let last = u8::try_from(number).unwrap();
            let data = RData::A(rdata::A::new(192, 0, 2, last));
            Record::from_rdata(name.clone(), 300, data)
        };
        message.add_answers((0..answers).map(record));
        message.add_additionals((0..additionals).map(record));
        Answer::read(&question, &message.to_vec().unwrap()).unwrap()
    }

    #[test]
    fn r1_signatures_of_real_aliases_stay_and_others_go() {
        let www = WireName::from_ascii("www.shop.example.").unwrap();
        let shop = WireName::from_ascii("shop.example.").unwrap();
        let signature = |covered: u8| RData::Unknown {
            code: hickory_proto::rr::RecordType::RRSIG,
            rdata: rdata::NULL::with([&[0, covered], [7; 40].as_slice()].concat()),
        };
        let mut message = Message::response(0, hickory_proto::op::OpCode::Query);
        message.add_query(hickory_proto::op::Query::query(
            www.clone(),
            hickory_proto::rr::RecordType::A,
        ));
        let address = RData::A(rdata::A::new(192, 0, 2, 1));
        for (owner, data) in [
            (&www, RData::CNAME(rdata::CNAME(shop.clone()))),
            (&www, signature(5)),
            (&shop, address),
            (&shop, signature(1)),
        ] {
            message.add_answer(Record::from_rdata(owner.clone(), 300, data));
        }
        let question = Question::new(Name::from_text("www.shop.example").unwrap(), RecordType::A);
        let answer = Answer::read(&question, &message.to_vec().unwrap()).unwrap();
        let chain = [Alias {
            target: Name::from_text("shop.example").unwrap(),
            ttl: 300,
        }];
        let mut response = blocked();
        response.chain = &chain;
        response.chain_of = Some(&answer);
        let (_, message) = written(&response, true, 1232);
        let told: Vec<String> = message
            .answers
            .iter()
            .map(|record| {
                let owner = record.name.to_ascii().to_ascii_lowercase();
                format!("{owner} {}", record.record_type())
            })
            .collect();
        assert_eq!(
            told,
            [
                "www.shop.example. CNAME",
                "www.shop.example. RRSIG",
                "shop.example. A"
            ]
        );
        // What an alias of a rule leads to is told without its signatures (S4).
        let target = Name::from_text("www.shop.example").unwrap();
        let mut response = blocked();
        response.data = Data::Alias(&target, 60);
        response.target = Some((&answer, Duration::ZERO));
        let (_, message) = written(&response, true, 1232);
        let told = message.answers.iter().map(Record::record_type);
        let told: Vec<String> = told.map(|rtype| rtype.to_string()).collect();
        assert_eq!(told, ["CNAME", "CNAME", "A"]);
    }

    fn repeated(answer: &Answer, age: u64, with_edns: bool, octets_max: usize) -> Message {
        let (query, mut buffer) = packet(with_edns);
        let age = Duration::from_secs(age);
        let len = write_answer(answer, age, &query, &mut buffer, octets_max);
        assert!(len <= octets_max);
        assert_eq!(&buffer[12..29], &QUERY[12..29], "the case is as asked");
        Message::from_vec(&buffer[..len]).unwrap()
    }

    #[test]
    fn upstream_answers_are_repeated_with_their_age() {
        let message = repeated(&upstream(2, 1), 100, true, 1232);
        assert_eq!(message.id, 0x1234);
        let ttls: Vec<u32> = message.all_sections().map(|record| record.ttl).collect();
        assert_eq!(ttls, [200, 200, 200]);
        assert!(message.edns.is_some() && !message.truncation);
        assert!(message.checking_disabled && message.recursion_desired);
        let message = repeated(&upstream(1, 0), 1000, false, 512);
        assert_eq!(message.answers[0].ttl, 0);
        assert!(message.edns.is_none());
    }

    #[test]
    fn upstream_answers_fit_the_client() {
        let check = |answer: &Answer, octets_max, expected: (usize, usize, bool)| {
            let message = repeated(answer, 1, true, octets_max);
            let found = (
                message.answers.len(),
                message.additionals.len(),
                message.truncation,
            );
            assert_eq!(found, expected);
        };
        check(&upstream(10, 40), 1232, (10, 40, false));
        check(&upstream(10, 40), 512, (10, 0, false));
        check(&upstream(60, 0), 512, (0, 0, true));
        check(&upstream(150, 0), 65_535, (150, 0, false));
    }

    proptest! {
        #[test]
        fn no_size_breaks_an_answer(octets_max in 0usize..600, with_edns in any::<bool>(), list in "[a-z]{0,60}", entry in "[A-Z0-9-]{0,400}") {
            let (query, mut buffer) = packet(with_edns);
            let mut response = blocked();
            response.error = Some(ExtendedError { code: 15, list: &list, entry: &entry, structured: None });
            let len = response.write(&query, &mut buffer, octets_max);
            prop_assert!(len <= octets_max);
            if len > 0 {
                prop_assert!(Message::from_vec(&buffer[..len]).is_ok());
            }
        }
    }
}
