//! The upstream resolver of a scenario: it answers from the rows of a world, along chains of
//! aliases, as one that recurses would.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NULL, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinEncodable;
use hickory_proto::serialize::txt::Parser;

/// What is really there.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) records: Vec<Record>,
    /// Names that cannot be resolved.
    failing: BTreeSet<Name>,
    /// Names whose data, and that they have none, are signed.
    signed: BTreeSet<Name>,
    /// Names about which answers take a while.
    slow: BTreeSet<Name>,
}

/// The upstream, over UDP and TCP on one port of loopback.
pub(super) struct World {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    rows: Mutex<Rows>,
    asked: Mutex<BTreeSet<Name>>,
    stop: AtomicBool,
}

impl Rows {
    /// Reads `NAME TTL TYPE DATA`, `NAME SERVFAIL`, `NAME SIGNED` and `NAME SLOW`, one a line.
    pub(super) fn read(text: &str) -> Self {
        let mut rows = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = name(words[0]);
            match words[1..] {
                ["SERVFAIL"] => drop(rows.failing.insert(name)),
                ["SLOW"] => drop(rows.slow.insert(name)),
                ["SIGNED"] => drop(rows.signed.insert(name)),
                _ => rows.records.push(record(line)),
            }
        }
        rows
    }

    /// The TTL that this record has here.
    pub(super) fn ttl(&self, record: &Record) -> Option<u32> {
        let mut records = self.records.iter();
        records
            .find(|own| own.name == record.name && own.data == record.data)
            .map(|own| own.ttl)
    }

    fn answer(&self, query: &Message) -> Message {
        let question = query.queries[0].clone();
        let mut reply = Message::response(query.id, query.op_code);
        reply.metadata.recursion_desired = query.recursion_desired;
        reply.metadata.recursion_available = true;
        reply.add_query(question.clone());
        let edns = query.edns.as_ref();
        let wants_dnssec = edns.is_some_and(|edns| edns.flags().dnssec_ok);
        reply.metadata.authentic_data = wants_dnssec;
        if let Some(edns) = edns {
            let mut own = Edns::new();
            own.set_max_payload(1232)
                .set_dnssec_ok(edns.flags().dnssec_ok);
            reply.set_edns(own);
        }
        let mut at = question.name().to_lowercase();
        for _ in 0..ALIASES_MAX {
            if self.failing.contains(&at) {
                reply.metadata.response_code = ResponseCode::ServFail;
                reply.metadata.authentic_data = false;
                reply.answers.clear();
                return reply;
            }
            let found = self.at(&at, question.query_type());
            if found.is_empty() {
                self.deny(&at, wants_dnssec, &mut reply);
                return reply;
            }
            let is_signed = wants_dnssec && self.signed.contains(&at);
            let of = found[0].record_type();
            let next = found.iter().find_map(|record| match &record.data {
                RData::CNAME(CNAME(target)) => Some(target.to_lowercase()),
                _ => None,
            });
            reply.add_answers(found);
            if is_signed {
                reply.add_answer(signature(&at, of));
            }
            match (next, question.query_type()) {
                (None, _) | (_, RecordType::CNAME | RecordType::ANY) => return reply,
                (Some(target), _) => at = target,
            }
        }
        reply
    }

    /// The records of a type at a name, else its alias.
    fn at(&self, name: &Name, rtype: RecordType) -> Vec<Record> {
        let here = self.records.iter().filter(|record| record.name == *name);
        let of = |rtype: RecordType| {
            let all = here.clone();
            all.filter(move |record| rtype == RecordType::ANY || record.record_type() == rtype)
                .cloned()
        };
        let found: Vec<Record> = of(rtype).collect();
        if !found.is_empty() {
            return found;
        }
        let alias: Vec<Record> = of(RecordType::CNAME).collect();
        if !alias.is_empty() {
            return alias;
        }
        self.by_dname(name)
    }

    /// The alias that a DNAME record above a name makes of it, behind that record (RFC 6672).
    fn by_dname(&self, name: &Name) -> Vec<Record> {
        let is_above = |record: &&Record| {
            record.record_type() == RecordType::DNAME
                && record.name != *name
                && record.name.zone_of(name)
        };
        let Some(dname) = self.records.iter().find(is_above) else {
            return Vec::new();
        };
        let RData::Unknown { rdata, .. } = &dname.data else {
            panic!("a DNAME record is kept as octets");
        };
        let (above, below) = (dname.name.num_labels(), name.num_labels());
        let labels = name.iter().take(usize::from(below - above));
        let target = labels.map(<[u8]>::to_vec).chain(labels_of(&rdata.anything));
        let target = Name::from_labels(target).unwrap();
        let alias = Record::from_rdata(name.clone(), dname.ttl, RData::CNAME(CNAME(target)));
        vec![dname.clone(), alias]
    }

    fn deny(&self, name: &Name, wants_dnssec: bool, reply: &mut Message) {
        let exists = |record: &Record| name.zone_of(&record.name);
        if !self.records.iter().any(exists) {
            reply.metadata.response_code = ResponseCode::NXDomain;
        }
        let zone = Name::from_ascii("test.").unwrap();
        let soa = SOA::new(zone.clone(), zone.clone(), 1, 2, 3, 4, 30);
        reply.add_authority(Record::from_rdata(zone.clone(), 900, RData::SOA(soa)));
        if wants_dnssec && self.signed.contains(name) {
            reply.add_authority(signature(&zone, RecordType::SOA));
        }
    }
}

impl World {
    pub(super) fn start() -> Self {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                break (tcp, udp);
            }
        };
        let address = udp.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let world = Self {
            address,
            shared: Arc::clone(&shared),
        };
        let of_tcp = Arc::clone(&shared);
        udp.set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        tcp.set_nonblocking(true).unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !shared.stop.load(Ordering::Relaxed) {
                let Ok((len, peer)) = udp.recv_from(&mut buffer) else {
                    continue;
                };
                let (shared, udp) = (Arc::clone(&shared), udp.try_clone().unwrap());
                let query = buffer[..len].to_vec();
                thread::spawn(move || {
                    let mut reply = shared.answer(&query);
                    if reply.to_vec().unwrap().len() > 1232 {
                        reply.answers.clear();
                        reply.metadata.truncation = true;
                    }
                    udp.send_to(&reply.to_vec().unwrap(), peer).unwrap();
                });
            }
        });
        thread::spawn(move || {
            while !of_tcp.stop.load(Ordering::Relaxed) {
                match tcp.accept() {
                    Ok((stream, _)) => {
                        let shared = Arc::clone(&of_tcp);
                        thread::spawn(move || shared.serve(stream));
                    }
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        });
        world
    }

    /// Has other rows from now on.
    pub(super) fn become_these(&self, rows: Rows) {
        *self.shared.rows.lock().unwrap() = rows;
    }

    /// The TTL that this record has here.
    pub(super) fn ttl(&self, record: &Record) -> Option<u32> {
        self.shared.rows.lock().unwrap().ttl(record)
    }

    /// Whether anybody asked for this name.
    pub(super) fn was_asked(&self, name: &str) -> bool {
        let name = self::name(name);
        self.shared.asked.lock().unwrap().contains(&name)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn answer(&self, octets: &[u8]) -> Message {
        let query = Message::from_vec(octets).unwrap();
        let name = query.queries[0].name().to_lowercase();
        self.asked.lock().unwrap().insert(name.clone());
        let rows = self.rows.lock().unwrap().clone();
        if rows.slow.contains(&name) {
            thread::sleep(SLOW);
        }
        rows.answer(&query)
    }

    fn serve(&self, mut stream: TcpStream) {
        stream.set_nonblocking(false).unwrap();
        let mut length = [0; 2];
        while stream.read_exact(&mut length).is_ok() {
            let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut octets).unwrap();
            let reply = self.answer(&octets).to_vec().unwrap();
            let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
            if stream
                .write_all(&[&length, reply.as_slice()].concat())
                .is_err()
            {
                return;
            }
        }
    }
}

/// A name in lower case; it must be absolute.
pub(super) fn name(text: &str) -> Name {
    assert!(text.ends_with('.'), "`{text}` ends with no dot");
    Name::from_ascii(text).unwrap().to_lowercase()
}

/// A record in the form of a zone file, with its TTL.
pub(super) fn record(line: &str) -> Record {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["DNAME", target] = words[2..] else {
        let (_, sets) = Parser::new(format!("{line}\n"), None, Some(Name::root()))
            .parse()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let mut records = sets
            .into_values()
            .flat_map(hickory_proto::rr::RecordSet::into_iter);
        let mut record: Record = records.next().unwrap_or_else(|| panic!("{line}"));
        record.name = record.name.to_lowercase();
        return record;
    };
    let data = RData::Unknown {
        code: RecordType::DNAME,
        rdata: NULL::with(name(target).to_bytes().unwrap()),
    };
    Record::from_rdata(name(words[0]), words[1].parse().unwrap(), data)
}

/// A signature of records of a type; nobody verifies it here.
fn signature(name: &Name, of: RecordType) -> Record {
    let mut octets = u16::from(of).to_be_bytes().to_vec();
    octets.extend([0; 40]);
    let data = RData::Unknown {
        code: RecordType::RRSIG,
        rdata: NULL::with(octets),
    };
    Record::from_rdata(name.clone(), 300, data)
}

/// The labels of a name in wire form.
fn labels_of(mut wire: &[u8]) -> Vec<Vec<u8>> {
    let mut labels = Vec::new();
    while let Some((length, rest)) = wire.split_first().filter(|(length, _)| **length > 0) {
        let (label, after) = rest.split_at(usize::from(*length));
        labels.push(label.to_vec());
        wire = after;
    }
    labels
}

/// How long slow answers take.
pub(super) const SLOW: Duration = Duration::from_millis(400);
/// More aliases than any resolver follows.
const ALIASES_MAX: usize = 32;
