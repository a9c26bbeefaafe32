//! [`Answer`]: an upstream's answer in wire form, ready to be remembered and repeated.

use std::net::IpAddr;
use std::time::Duration;

use super::Question;
use super::wire::{
    CLASS_IN, FLAG_AA, FLAG_AD, FLAG_QR, FLAG_RA, FLAG_TC, HEADER_OCTETS, Header, OPTION_EDE,
    Rcode, Record, RecordType, Records, Section, name_at, u16_at, u32_at,
};
use crate::policy::Name;

/// An upstream's whole answer but for its OPT, which is between two neighbours only: rcode,
/// answer, authority and additional. It is truth; no policy has touched it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The message: id 0, RA set, AA, AD and TC clear, one question in lower case.
    octets: Box<[u8]>,
    /// Where the question ends.
    question_end: usize,
    /// Where the additional section begins.
    additional_at: usize,
    /// Where the TTLs are, in order.
    ttls_at: Box<[u16]>,
    /// The upstream's Extended DNS Errors, as EDNS options.
    error_options: Box<[u8]>,
    /// How long it may be remembered; zero for not at all.
    lifetime: Duration,
}

impl Answer {
    /// Reads an upstream's message.
    ///
    /// # Errors
    /// [`Unusable`] says why it cannot be the answer to `question`.
    pub fn read(question: &Question, message: &[u8]) -> Result<Self, Unusable> {
        let header = Header::read(message).ok_or(Unusable::Malformed)?;
        if !header.has(FLAG_QR) || header.opcode() != 0 {
            return Err(Unusable::Malformed);
        }
        if header.questions == 0 && header.rcode() != Rcode::NOERROR {
            // Some answer what they refuse with a bare header.
            return Ok(Self::failed(question, header.rcode(), None));
        }
        let name = question.name.as_wire();
        let question_end = HEADER_OCTETS + name.len() + 4;
        let (asked, used) = message
            .get(HEADER_OCTETS..)
            .and_then(|rest| Name::from_wire(rest).ok())
            .ok_or(Unusable::Malformed)?;
        let type_at = HEADER_OCTETS + used;
        if header.questions != 1
            || asked != question.name
            || u16_at(message, type_at) != Some(question.rtype.0)
            || u16_at(message, type_at + 2) != Some(CLASS_IN)
        {
            return Err(Unusable::OtherQuestion);
        }
        if header.has(FLAG_TC) {
            return Err(Unusable::Truncated);
        }
        let scan = Scan::of(message, &header, question_end, question.rtype)?;
        if scan.rcode_high != 0 {
            return Ok(Self::failed(question, Rcode::SERVFAIL, None));
        }
        Ok(Self::assemble(
            question,
            message,
            &header,
            question_end,
            scan,
        ))
    }

    fn assemble(
        question: &Question,
        message: &[u8],
        header: &Header,
        question_end: usize,
        scan: Scan,
    ) -> Self {
        let [answers, authorities, additionals] = header.records;
        let mut octets = Vec::with_capacity(scan.end);
        let flags = (header.flags | FLAG_RA) & !(FLAG_AA | FLAG_AD | FLAG_TC);
        for field in [0, flags, 1, answers, authorities, additionals - scan.opts] {
            octets.extend(field.to_be_bytes());
        }
        octets.extend(question.name.as_wire());
        octets.extend(question.rtype.0.to_be_bytes());
        octets.extend(CLASS_IN.to_be_bytes());
        octets.extend(message.get(question_end..scan.end).unwrap_or_default());
        for at in &scan.ttls_at {
            cap_ttl(&mut octets, usize::from(*at));
        }
        Self {
            octets: octets.into(),
            question_end,
            additional_at: scan.additional_at,
            lifetime: scan.lifetime(header.rcode()),
            ttls_at: scan.ttls_at.into(),
            error_options: scan.error_options.into(),
        }
    }

    /// The answer when there is none: an rcode, without records, and perhaps an Extended
    /// DNS Error (RFC 8914). Remembered for a few seconds (RFC 9520 section 3.2).
    #[must_use]
    pub fn failed(question: &Question, rcode: Rcode, error: Option<u16>) -> Self {
        Self::made(question, rcode, &[], error, FAILURE_LIFETIME)
    }

    /// An answer of our own, with the addresses or the pointer of a special-use name.
    pub(super) fn made(
        question: &Question,
        rcode: Rcode,
        data: &[u8],
        error: Option<u16>,
        lifetime: Duration,
    ) -> Self {
        let mut octets = Vec::with_capacity(HEADER_OCTETS + question.name.as_wire().len() + 32);
        let flags = FLAG_QR | FLAG_RA | (rcode.0 & 0xf);
        for field in [0, flags, 1, u16::from(!data.is_empty()), 0, 0] {
            octets.extend(field.to_be_bytes());
        }
        octets.extend(question.name.as_wire());
        octets.extend(question.rtype.0.to_be_bytes());
        octets.extend(CLASS_IN.to_be_bytes());
        let question_end = octets.len();
        let mut ttls_at = Vec::new();
        if let (false, Ok(length)) = (data.is_empty(), u16::try_from(data.len())) {
            octets.extend([0xc0, 0x0c]);
            octets.extend(question.rtype.0.to_be_bytes());
            octets.extend(CLASS_IN.to_be_bytes());
            ttls_at.extend(u16::try_from(octets.len()));
            octets.extend(u32::try_from(lifetime.as_secs()).unwrap_or(0).to_be_bytes());
            octets.extend(length.to_be_bytes());
            octets.extend(data);
        }
        let mut error_options = Vec::new();
        if let Some(code) = error {
            for field in [OPTION_EDE, 2, code] {
                error_options.extend(field.to_be_bytes());
            }
        }
        Self {
            additional_at: octets.len(),
            octets: octets.into(),
            question_end,
            ttls_at: ttls_at.into(),
            error_options: error_options.into(),
            lifetime,
        }
    }

    /// The same, never to be remembered.
    #[must_use]
    pub fn passing(mut self) -> Self {
        self.lifetime = Duration::ZERO;
        self
    }

    /// The message.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Where in [`Self::octets`] the question ends.
    #[must_use]
    pub const fn question_end(&self) -> usize {
        self.question_end
    }

    /// Where in [`Self::octets`] the additional section begins.
    #[must_use]
    pub const fn additional_at(&self) -> usize {
        self.additional_at
    }

    /// Where in [`Self::octets`] the TTLs are, in order.
    #[must_use]
    pub fn ttls_at(&self) -> &[u16] {
        &self.ttls_at
    }

    /// The upstream's Extended DNS Errors, as EDNS options.
    #[must_use]
    pub fn error_options(&self) -> &[u8] {
        &self.error_options
    }

    /// How long it may be remembered.
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The rcode.
    #[must_use]
    pub fn rcode(&self) -> Rcode {
        Header::read(&self.octets).map_or(Rcode::SERVFAIL, |header| header.rcode())
    }

    /// Whether it is the answer to `question`, flags apart.
    pub(super) fn answers(&self, question: &Question) -> bool {
        let name = question.name.as_wire();
        let name_end = HEADER_OCTETS + name.len();
        self.octets.get(HEADER_OCTETS..name_end) == Some(name)
            && u16_at(&self.octets, name_end) == Some(question.rtype.0)
    }

    /// Whether its question is for `name` or a name below it.
    pub(super) fn is_at_or_below(&self, name: &Name) -> bool {
        name_at(&self.octets, HEADER_OCTETS).is_some_and(|own| own.is_at_or_below(name))
    }

    /// What it costs to remember it, in octets, as near as one can tell.
    pub(super) fn cost(&self) -> usize {
        size_of::<Self>() + self.octets.len() + 2 * self.ttls_at.len() + self.error_options.len()
    }

    /// The addresses that it has for `name`, through its aliases, and the last alias.
    pub(super) fn addresses(&self, name: Name) -> (Name, Vec<IpAddr>) {
        let mut name = name;
        let mut addresses = Vec::new();
        for record in self.answer_records() {
            if name_at(&self.octets, record.start) != Some(name) {
                continue;
            }
            match record.rtype {
                RecordType::CNAME => {
                    if let Some(target) = name_at(&self.octets, record.data_at) {
                        name = target;
                    }
                }
                RecordType::A => {
                    addresses.extend(<[u8; 4]>::try_from(record.data).map(IpAddr::from));
                }
                RecordType::AAAA => {
                    addresses.extend(<[u8; 16]>::try_from(record.data).map(IpAddr::from));
                }
                _ => {}
            }
        }
        (name, addresses)
    }

    /// The records of the answer section.
    pub fn answer_records(&self) -> impl Iterator<Item = Record<'_>> {
        self.records()
            .take_while(|record| record.section == Section::Answer)
    }

    /// All records, in the order of the sections.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let header = Header::read(&self.octets);
        header
            .into_iter()
            .flat_map(|header| Records::new(&self.octets, &header, self.question_end))
            .map_while(Result::ok)
    }
}

/// Why an upstream's message cannot be used as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unusable {
    /// It is not a response, or not what its counts say.
    Malformed,
    /// It answers another question.
    OtherQuestion,
    /// It is cut; the whole is to be had over TCP.
    Truncated,
    /// Its OPT is not its last record; without it all the others are to be written anew.
    OptInside,
}

/// What one walk over the records of a message finds.
struct Scan {
    ttls_at: Vec<u16>,
    additional_at: usize,
    end: usize,
    opts: u16,
    rcode_high: u8,
    error_options: Vec<u8>,
    ttl_least: u32,
    has_type: bool,
    negative_ttl: Option<u32>,
}

impl Scan {
    fn of(message: &[u8], header: &Header, at: usize, rtype: RecordType) -> Result<Self, Unusable> {
        let mut scan = Self {
            ttls_at: Vec::new(),
            additional_at: at,
            end: at,
            opts: 0,
            rcode_high: 0,
            error_options: Vec::new(),
            ttl_least: TTL_MAX,
            has_type: false,
            negative_ttl: None,
        };
        for record in Records::new(message, header, at) {
            let record = record.map_err(|_| Unusable::Malformed)?;
            if scan.opts > 0 {
                return Err(Unusable::OptInside);
            }
            if record.rtype == RecordType::OPT {
                if record.section != Section::Additional {
                    return Err(Unusable::Malformed);
                }
                scan.take_opt(&record);
                continue;
            }
            scan.take(&record, rtype)?;
        }
        Ok(scan)
    }

    fn take(&mut self, record: &Record<'_>, rtype: RecordType) -> Result<(), Unusable> {
        let at = u16::try_from(record.ttl_at).map_err(|_| Unusable::Malformed)?;
        self.ttls_at.push(at);
        let ttl = capped(record.ttl);
        self.ttl_least = self.ttl_least.min(ttl);
        self.end = record.end;
        match record.section {
            Section::Answer => {
                self.has_type |= record.rtype == rtype || rtype == RecordType::ANY;
                self.additional_at = record.end;
            }
            Section::Authority => {
                if record.rtype == RecordType::SOA {
                    let minimum = record.data.len().checked_sub(4);
                    let minimum = minimum.and_then(|at| u32_at(record.data, at));
                    self.negative_ttl = minimum.map(|minimum| capped(minimum).min(ttl));
                }
                self.additional_at = record.end;
            }
            Section::Additional => {}
        }
        Ok(())
    }

    fn take_opt(&mut self, record: &Record<'_>) {
        self.opts = 1;
        let [rcode_high, ..] = record.ttl.to_be_bytes();
        self.rcode_high = rcode_high;
        let mut rest = record.data;
        while let (Some(code), Some(length)) = (u16_at(rest, 0), u16_at(rest, 2)) {
            let (Some(option), Some(after)) = (
                rest.get(..4 + usize::from(length)),
                rest.get(4 + usize::from(length)..),
            ) else {
                return;
            };
            if code == OPTION_EDE
                && length >= 2
                && self.error_options.len() + option.len() <= ERROR_OPTIONS_OCTETS_MAX
            {
                self.error_options.extend(option);
            }
            rest = after;
        }
    }

    /// How long the answer may be remembered: its least TTL; a negative one by its SOA
    /// (RFC 2308 section 5), and not at all without.
    fn lifetime(&self, rcode: Rcode) -> Duration {
        let negative = rcode == Rcode::NXDOMAIN || !self.has_type;
        let seconds = match rcode {
            Rcode::NOERROR | Rcode::NXDOMAIN if negative => self
                .negative_ttl
                .map_or(0, |ttl| ttl.min(self.ttl_least).min(NEGATIVE_TTL_MAX)),
            Rcode::NOERROR => self.ttl_least,
            _ => return FAILURE_LIFETIME,
        };
        Duration::from_secs(u64::from(seconds))
    }
}

/// A TTL as it is meant: one with its highest bit set is zero (RFC 2181 section 8).
fn capped(ttl: u32) -> u32 {
    if ttl > i32::MAX.unsigned_abs() {
        0
    } else {
        ttl.min(TTL_MAX)
    }
}

fn cap_ttl(octets: &mut [u8], at: usize) {
    let ttl = u32_at(octets, at).map(capped);
    if let (Some(ttl), Some(place)) = (ttl, octets.get_mut(at..at + 4)) {
        place.copy_from_slice(&ttl.to_be_bytes());
    }
}

/// The longest TTL that is believed, in seconds: a day.
const TTL_MAX: u32 = 86_400;
/// The longest time for which something is remembered not to exist, in seconds: three hours
/// (RFC 2308 section 5).
const NEGATIVE_TTL_MAX: u32 = 10_800;
/// How long a failure is remembered (RFC 9520 section 3.2 asks for one second to five
/// minutes, and suggests five seconds).
const FAILURE_LIFETIME: Duration = Duration::from_secs(5);
/// The most that is kept of an upstream's Extended DNS Errors, in octets.
const ERROR_OPTIONS_OCTETS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
    use hickory_proto::rr::rdata::opt::EdnsOption;
    use hickory_proto::rr::rdata::{A, CNAME, SOA, TXT};
    use hickory_proto::rr::{Name as WireName, RData, Record as WireRecord};
    use proptest::prelude::*;

    use super::*;

    fn question() -> Question {
        Question::new(Name::from_text("www.shop.example").unwrap(), RecordType::A)
    }

    fn message() -> Message {
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        let name = WireName::from_ascii("WWW.shop.example.").unwrap();
        message.add_query(Query::query(name, hickory_proto::rr::RecordType::A));
        message.metadata.authoritative = true;
        message.metadata.authentic_data = true;
        message
    }

    fn record(name: &str, ttl: u32, data: RData) -> WireRecord {
        WireRecord::from_rdata(WireName::from_ascii(name).unwrap(), ttl, data)
    }

    fn address(last: u8) -> RData {
        RData::A(A::new(192, 0, 2, last))
    }

    fn soa(minimum: u32) -> RData {
        let name = WireName::from_ascii("ns.shop.example.").unwrap();
        RData::SOA(SOA::new(name.clone(), name, 1, 2, 3, 4, minimum))
    }

    #[track_caller]
    fn check(message: &Message, expected: Result<u64, Unusable>) {
        let read = Answer::read(&question(), &message.to_vec().unwrap());
        assert_eq!(read.map(|answer| answer.lifetime().as_secs()), expected);
    }

    #[test]
    fn lifetimes_follow_the_records() {
        let mut positive = message();
        positive.add_answer(record("www.shop.example.", 300, address(1)));
        positive.add_answer(record("www.shop.example.", 60, address(2)));
        check(&positive, Ok(60));
        let mut long = message();
        long.add_answer(record("www.shop.example.", 1_000_000, address(1)));
        check(&long, Ok(86_400));
        let mut odd = message();
        odd.add_answer(record("www.shop.example.", u32::MAX, address(1)));
        check(&odd, Ok(0));

        let mut negative = message();
        negative.metadata.response_code = ResponseCode::NXDomain;
        check(&negative, Ok(0));
        negative.add_authority(record("shop.example.", 900, soa(30)));
        check(&negative, Ok(30));
        let mut no_data = message();
        no_data.add_authority(record("shop.example.", 20, soa(100_000)));
        check(&no_data, Ok(20));
        let mut long = message();
        long.add_authority(record("shop.example.", 80_000, soa(80_000)));
        check(&long, Ok(10_800));
        let mut failed = message();
        failed.metadata.response_code = ResponseCode::ServFail;
        check(&failed, Ok(5));
    }

    #[test]
    fn what_is_not_the_answer_is_refused() {
        let mut other = message();
        other.queries = vec![Query::query(
            WireName::from_ascii("evil.example.").unwrap(),
            hickory_proto::rr::RecordType::A,
        )];
        check(&other, Err(Unusable::OtherQuestion));
        let mut cut = message();
        cut.metadata.truncation = true;
        check(&cut, Err(Unusable::Truncated));
        let mut query = message();
        query.metadata.message_type = MessageType::Query;
        check(&query, Err(Unusable::Malformed));
        let mut bare = message();
        bare.queries.clear();
        bare.metadata.response_code = ResponseCode::Refused;
        check(&bare, Ok(5));
    }

    #[test]
    fn the_opt_is_left_out_and_its_errors_are_kept() {
        let mut with_opt = message();
        with_opt.add_answer(record("www.shop.example.", 60, address(1)));
        let mut edns = Edns::new();
        edns.options_mut()
            .insert(EdnsOption::Unknown(15, b"\x00\x09no key".to_vec()));
        edns.options_mut()
            .insert(EdnsOption::Unknown(10, vec![1; 8]));
        with_opt.set_edns(edns);
        let answer = Answer::read(&question(), &with_opt.to_vec().unwrap()).unwrap();
        assert_eq!(answer.error_options(), b"\x00\x0f\x00\x08\x00\x09no key");
        let back = Message::from_vec(answer.octets()).unwrap();
        assert!(back.edns.is_none());
        assert_eq!(back.answers.len(), 1);
        assert_eq!(back.queries[0].name().to_string(), "www.shop.example.");
        assert!(!back.authoritative && !back.authentic_data && back.recursion_available);
        assert!(answer.answers(&question()));
        assert!(answer.is_at_or_below(&Name::from_text("shop.example").unwrap()));
        assert!(!answer.is_at_or_below(&Name::from_text("hop.example").unwrap()));
    }

    #[test]
    fn an_opt_in_the_middle_is_told() {
        let mut with_opt = message();
        with_opt.set_edns(Edns::new());
        let mut octets = with_opt.to_vec().unwrap();
        octets[11] = 2;
        octets.extend(b"\0\x00\x10\x00\x01\0\0\0\x09\x00\x02\x01x");
        let read = Answer::read(&question(), &octets);
        assert_eq!(read, Err(Unusable::OptInside));
    }

    #[test]
    fn addresses_are_found_through_aliases() {
        let mut chain = message();
        let target = CNAME(WireName::from_ascii("edge.cdn.example.").unwrap());
        chain.add_answer(record("www.shop.example.", 60, RData::CNAME(target)));
        chain.add_answer(record("edge.cdn.example.", 60, address(3)));
        chain.add_answer(record("stray.example.", 60, address(4)));
        let text = RData::TXT(TXT::new(vec!["x".into()]));
        chain.add_answer(record("edge.cdn.example.", 60, text));
        let answer = Answer::read(&question(), &chain.to_vec().unwrap()).unwrap();
        let (name, addresses) = answer.addresses(question().name);
        assert_eq!(name.to_string(), "edge.cdn.example");
        assert_eq!(addresses, ["192.0.2.3".parse::<IpAddr>().unwrap()]);
    }

    proptest! {
        #[test]
        fn random_octets_never_panic(tail in prop::collection::vec(any::<u8>(), 0..200), counts in any::<[u8; 3]>()) {
            let mut octets = message().to_vec().unwrap();
            octets[7] = counts[0] % 4;
            octets[9] = counts[1] % 4;
            octets[11] = counts[2] % 4;
            octets.extend(tail);
            if let Ok(answer) = Answer::read(&question(), &octets) {
                let _ = answer.addresses(question().name);
                prop_assert!(answer.additional_at() <= answer.octets().len());
                prop_assert!(answer.ttls_at().iter().all(|at| usize::from(*at) + 4 <= answer.octets().len()));
            }
        }
    }
}
