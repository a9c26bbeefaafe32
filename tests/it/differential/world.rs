//! [`World`]: what is really there, below a top label of its own; and the one upstream that
//! tells every resolver of it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NULL, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::random::Random;

/// The data below one top label.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// The top label: no resolver has ideas of its own about it.
    pub(super) top: String,
    /// Names that policies and questions are about; some of them are not there.
    pub(super) names: Vec<String>,
    nodes: HashMap<String, Node>,
}

/// What is at a name.
#[derive(Clone, Debug)]
struct Node {
    data: Vec<RData>,
    is_signed: bool,
    /// Whether it cannot be resolved.
    fails: bool,
}

impl World {
    pub(super) fn new(number: usize, random: &mut Random) -> Self {
        let top = format!("w{number}");
        let mut names = Vec::new();
        while names.len() < NAMES {
            let name = name(&top, random);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if random.in_hundred(30) {
            // With anything in front it is longer than a name can be.
            let label = "l".repeat(60);
            names[NAMES - 1] = format!("{label}.{label}.{label}.{label}.{top}");
        }
        let mut world = Self {
            top,
            names,
            nodes: HashMap::new(),
        };
        let fails = Node {
            data: Vec::new(),
            is_signed: false,
            fails: true,
        };
        world.nodes.insert(world.failing(), fails.clone());
        let are_signed = random.in_hundred(30);
        // From the last to the first, so that aliases lead to what is there already.
        for place in (0..NAMES).rev() {
            let data = match random.below(100) {
                0..12 => continue,
                12..45 => vec![RData::CNAME(CNAME(wire(&world.target(place, random))))],
                45..48 => {
                    let name = world.names[place].clone();
                    world.nodes.insert(name, fails.clone());
                    continue;
                }
                _ => records(random),
            };
            let node = Node {
                data,
                is_signed: are_signed && random.in_hundred(50),
                fails: false,
            };
            world.nodes.insert(world.names[place].clone(), node);
        }
        world
    }

    /// A world of these data.
    pub(super) fn of(top: &str, data: impl IntoIterator<Item = (String, Vec<RData>)>) -> Self {
        let node = |data| Node {
            data,
            is_signed: false,
            fails: false,
        };
        let nodes: HashMap<String, Node> = data
            .into_iter()
            .map(|(name, data)| (name, node(data)))
            .collect();
        Self {
            top: top.to_owned(),
            names: nodes.keys().cloned().collect(),
            nodes,
        }
    }

    /// Takes the signatures off all aliases.
    pub(super) fn leave_aliases_unsigned(&mut self) {
        for node in self.nodes.values_mut() {
            node.is_signed &= !matches!(node.data.as_slice(), [RData::CNAME(_)]);
        }
    }

    /// Where the alias at a place leads: a later name, one that is not there, or the garden.
    fn target(&self, place: usize, random: &mut Random) -> String {
        let later = &self.names[place + 1..];
        match random.below(10) {
            0 => self.garden(),
            1 => format!("missing.{}", self.top),
            _ if later.is_empty() => self.garden(),
            _ => {
                let target = random.pick(later);
                match self.nodes.get(target) {
                    Some(node) if node.fails => self.garden(),
                    _ => target.clone(),
                }
            }
        }
    }

    /// A name at and below which everything has the same data, for aliases of local data.
    pub(super) fn garden(&self) -> String {
        format!("garden.{}", self.top)
    }

    /// Whether a name is really an alias.
    pub(super) fn is_alias(&self, name: &str) -> bool {
        let node = self.nodes.get(name);
        node.is_some_and(|node| matches!(node.data.as_slice(), [RData::CNAME(_)]))
    }

    /// Whether a name has addresses of both families.
    pub(super) fn has_both_families(&self, name: &str) -> bool {
        let (_, data) = self.answer(&wire(name), RecordType::ANY, false);
        let has = |rtype| data.iter().any(|record| record.record_type() == rtype);
        has(RecordType::A) && has(RecordType::AAAA)
    }

    /// A name that cannot be resolved.
    pub(super) fn failing(&self) -> String {
        format!("fails.{}", self.top)
    }

    /// The rcode and the answer section to a question.
    pub(super) fn answer(
        &self,
        name: &Name,
        rtype: RecordType,
        dnssec_ok: bool,
    ) -> (ResponseCode, Vec<Record>) {
        let mut answers = Vec::new();
        let mut name = name.to_lowercase();
        // No chain is longer than there are names.
        for _ in 0..=NAMES {
            let Some(node) = self.node(&name) else {
                let rcode = match self.is_above_some(&name) {
                    true => ResponseCode::NoError,
                    false => ResponseCode::NXDomain,
                };
                return (rcode, answers);
            };
            if node.fails {
                return (ResponseCode::ServFail, Vec::new());
            }
            let alias = node.data.iter().find_map(|data| match data {
                RData::CNAME(target) => Some(target.0.clone()),
                _ => None,
            });
            let is_told = |data: &&RData| {
                let own = data.record_type();
                rtype == RecordType::ANY || own == rtype || own == RecordType::CNAME
            };
            let mut signed = Vec::new();
            for data in node.data.iter().filter(is_told) {
                if !signed.contains(&data.record_type()) {
                    signed.push(data.record_type());
                }
                answers.push(Record::from_rdata(name.clone(), TTL, data.clone()));
            }
            if node.is_signed && dnssec_ok {
                let signatures = signed.into_iter().map(|rtype| signature(&name, rtype));
                answers.extend(signatures);
            }
            match alias {
                Some(target) if !matches!(rtype, RecordType::ANY | RecordType::CNAME) => {
                    name = target.to_lowercase();
                }
                _ => break,
            }
        }
        (ResponseCode::NoError, answers)
    }

    fn node(&self, name: &Name) -> Option<Node> {
        let text = text(name);
        if let Some(node) = self.nodes.get(&text) {
            return Some(node.clone());
        }
        let garden = self.garden();
        (text == garden || text.ends_with(&format!(".{garden}"))).then(|| Node {
            data: vec![
                RData::A(A(Ipv4Addr::new(203, 0, 113, 80))),
                RData::AAAA(AAAA("2001:db8:ffff::80".parse().unwrap())),
            ],
            is_signed: false,
            fails: false,
        })
    }

    fn is_above_some(&self, name: &Name) -> bool {
        let below = format!(".{}", text(name));
        text(name) == self.top || self.nodes.keys().any(|name| name.ends_with(&below))
    }

    /// The data at a name and at what it is an alias of, a line each.
    pub(super) fn describe(&self, name: &str) -> String {
        let (rcode, answers) = self.answer(&wire(name), RecordType::ANY, true);
        let mut said = format!("  {name}: {rcode}\n");
        for record in &answers {
            said += &format!("    {} {}\n", record.record_type(), record.data);
        }
        for record in answers {
            if let RData::CNAME(target) = &record.data {
                said += &self.describe(&text(&target.0));
            }
        }
        said
    }
}

/// A name as text in lower case, without the dot at its end.
pub(super) fn text(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

pub(super) fn wire(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).unwrap()
}

/// A name of one to four labels below the top, of few labels, so that they meet.
fn name(top: &str, random: &mut Random) -> String {
    let mut name = top.to_owned();
    for _ in 0..=random.below(4) {
        name = format!("{}.{name}", random.pick(&["a", "b", "c"]));
    }
    name
}

fn records(random: &mut Random) -> Vec<RData> {
    let mut data = Vec::new();
    if random.in_hundred(70) {
        for _ in 0..=random.below(3) {
            data.push(RData::A(A(ipv4(random))));
        }
    }
    if random.in_hundred(50) {
        for _ in 0..=random.below(2) {
            data.push(RData::AAAA(AAAA(ipv6(random))));
        }
    }
    if random.in_hundred(30) {
        data.push(RData::TXT(TXT::new(vec!["as it is".to_owned()])));
    }
    if random.in_hundred(20) {
        data.push(RData::MX(MX::new(10, wire("mail.example"))));
    }
    let mut once = Vec::new();
    for one in data {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

/// Of two networks: in the first the last octets are larger, so that the smaller address is not
/// the one whose last octet is.
pub(super) fn ipv4(random: &mut Random) -> Ipv4Addr {
    let last = u8::try_from(random.below(6)).unwrap();
    match random.below(2) {
        0 => Ipv4Addr::new(192, 0, 2, 8 + last),
        _ => Ipv4Addr::new(192, 0, 3, last),
    }
}

pub(super) fn ipv6(random: &mut Random) -> Ipv6Addr {
    let last = u16::try_from(random.below(16)).unwrap();
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
}

/// A signature that nobody verifies.
fn signature(owner: &Name, rtype: RecordType) -> Record {
    let labels = owner.num_labels();
    let mut data = u16::from(rtype).to_be_bytes().to_vec();
    data.extend([13, labels]);
    data.extend(TTL.to_be_bytes());
    data.extend(0xf000_0000_u32.to_be_bytes());
    data.extend(0x6000_0000_u32.to_be_bytes());
    data.extend([0x12, 0x34, 0]);
    data.extend([7; 64]);
    let data = RData::Unknown {
        code: RecordType::RRSIG,
        rdata: NULL::with(data),
    };
    Record::from_rdata(owner.clone(), TTL, data)
}

/// The upstream of all worlds, over UDP and TCP on one port.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Upstream {
    pub(super) fn start(worlds: impl IntoIterator<Item = World>) -> Self {
        let worlds: HashMap<String, World> = worlds
            .into_iter()
            .map(|world| (world.top.clone(), world))
            .collect();
        let worlds = Arc::new(worlds);
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                break (tcp, udp);
            }
        };
        let address = udp.local_addr().unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        tcp.set_nonblocking(true).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stop_udp, worlds_udp) = (Arc::clone(&stop), Arc::clone(&worlds));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !stop_udp.load(Ordering::Relaxed) {
                if let Ok((len, peer)) = udp.recv_from(&mut buffer)
                    && let Some(answer) = answer(&worlds_udp, &buffer[..len])
                {
                    let _ = udp.send_to(&answer, peer);
                }
            }
        });
        let stop_tcp = Arc::clone(&stop);
        thread::spawn(move || {
            while !stop_tcp.load(Ordering::Relaxed) {
                let Ok((stream, _)) = tcp.accept() else {
                    thread::sleep(Duration::from_millis(10));
                    continue;
                };
                let worlds = Arc::clone(&worlds);
                thread::spawn(move || serve(stream, &worlds));
            }
        });
        Self { address, stop }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn serve(mut stream: TcpStream, worlds: &HashMap<String, World>) {
    stream.set_nonblocking(false).unwrap();
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut octets).is_err() {
            return;
        }
        let Some(answer) = answer(worlds, &octets) else {
            return;
        };
        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
        let message = [length.as_slice(), answer.as_slice()].concat();
        if stream.write_all(&message).is_err() {
            return;
        }
    }
}

/// The answer in wire form; names in no world do not exist.
fn answer(worlds: &HashMap<String, World>, query: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?.clone();
    let mut reply = Message::response(query.id, query.op_code);
    reply.metadata.recursion_desired = query.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.add_query(question.clone());
    let dnssec_ok = query
        .edns
        .as_ref()
        .is_some_and(|edns| edns.flags().dnssec_ok);
    let name = text(question.name());
    let top = name.rsplit('.').next().unwrap_or_default();
    let (rcode, answers) = match worlds.get(top) {
        Some(world) => world.answer(question.name(), question.query_type(), dnssec_ok),
        None => (ResponseCode::NXDomain, Vec::new()),
    };
    reply.metadata.response_code = rcode;
    let is_negative = answers.last().is_none_or(|last| {
        last.record_type() == RecordType::CNAME
            && !matches!(question.query_type(), RecordType::CNAME | RecordType::ANY)
    });
    if is_negative && rcode != ResponseCode::ServFail {
        let zone = Name::root();
        let soa = SOA::new(zone.clone(), zone.clone(), 1, 3600, 3600, 3600, 3600);
        reply.add_authority(Record::from_rdata(zone, TTL, RData::SOA(soa)));
    }
    for record in answers {
        reply.add_answer(record);
    }
    if query.edns.is_some() {
        let mut own = Edns::new();
        own.set_max_payload(1232).set_dnssec_ok(dnssec_ok);
        reply.set_edns(own);
    }
    reply.to_vec().ok()
}

/// How many names a world has.
const NAMES: usize = 14;
/// Longer than any run, in seconds.
const TTL: u32 = 3600;
