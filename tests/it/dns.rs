//! The DNS surface from outside: real sockets, a real upstream, and `dig` as the judge.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cordon::compile::{Compiler, Ede, Format, From, PassThru, Protected};
use cordon::count::HitCounter;
use cordon::enforce::dns::{Bound, Error, Server, Settings, StopAddresses};
use cordon::enforce::resolver::{self, Resolver, Upstream, ZoneForward};
use cordon::enforce::{Edition, InForce};
use cordon::policy::{Kind, Name, RuleId, Surface};
use cordon::verify::Verified;
use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA, TXT};
use hickory_proto::rr::{Name as WireName, RData, Record, RecordType};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::harness;

/// An upstream of the test's own, over UDP and TCP on one port. What it says depends on the
/// first label of the name.
struct World {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Message>>>,
    stop: Arc<AtomicBool>,
}

impl World {
    fn start() -> Self {
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
        let (asked, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let world = Self {
            address,
            asked: Arc::clone(&asked),
            stop: Arc::clone(&stop),
        };
        let (stop_tcp, asked_tcp) = (Arc::clone(&stop), Arc::clone(&asked));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((len, peer)) = udp.recv_from(&mut buffer) {
                    let query = Message::from_vec(&buffer[..len]).unwrap();
                    asked.lock().unwrap().push(query.clone());
                    let udp = udp.try_clone().unwrap();
                    thread::spawn(move || {
                        if let Some(answer) = answer(&query, false) {
                            let _ = udp.send_to(&answer, peer);
                        }
                    });
                }
            }
        });
        thread::spawn(move || {
            while !stop_tcp.load(Ordering::Relaxed) {
                let Ok((stream, _)) = tcp.accept() else {
                    thread::sleep(Duration::from_millis(10));
                    continue;
                };
                let asked = Arc::clone(&asked_tcp);
                thread::spawn(move || serve_tcp(stream, &asked));
            }
        });
        world
    }

    fn times_asked(&self, name: &str) -> usize {
        let name = WireName::from_ascii(name).unwrap();
        let asked = self.asked.lock().unwrap();
        let same = asked.iter().filter(|query| {
            let asked = query.queries[0].name();
            asked == &name
        });
        same.count()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn serve_tcp(mut stream: TcpStream, asked: &Mutex<Vec<Message>>) {
    stream.set_nonblocking(false).unwrap();
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut octets).unwrap();
        let query = Message::from_vec(&octets).unwrap();
        asked.lock().unwrap().push(query.clone());
        if let Some(answer) = answer(&query, true) {
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream
                .write_all(&[&length, answer.as_slice()].concat())
                .unwrap();
        }
    }
}

/// What the world says: by the first label of the name.
fn answer(query: &Message, over_tcp: bool) -> Option<Vec<u8>> {
    let question = query.queries[0].clone();
    let name = question.name().clone();
    let first = String::from_utf8(name.iter().next().unwrap_or_default().to_vec()).unwrap();
    let mut reply = Message::response(query.id, query.op_code);
    reply.metadata.recursion_desired = query.recursion_desired;
    reply.metadata.authoritative = true;
    reply.add_query(question.clone());
    let is_a = question.query_type() == RecordType::A;
    let mut add = |data: RData, ttl| {
        reply.add_answer(Record::from_rdata(name.clone(), ttl, data));
    };
    let address = |last| RData::A(A::new(198, 51, 100, last));
    match first.to_ascii_lowercase().as_str() {
        "silent" => return None,
        "broken" => return Some(b"\0\0not a message".to_vec()),
        "slow" => {
            thread::sleep(Duration::from_millis(300));
            add(address(2), 60);
        }
        "servfail" => reply.metadata.response_code = ResponseCode::ServFail,
        "missing" => {
            reply.metadata.response_code = ResponseCode::NXDomain;
            let zone = WireName::from_ascii("shop.test.").unwrap();
            let soa = SOA::new(zone.clone(), zone.clone(), 1, 2, 3, 4, 30);
            reply.add_authority(Record::from_rdata(zone, 900, RData::SOA(soa)));
        }
        "large" if over_tcp => {
            for last in 0..200 {
                add(address(last), 60);
            }
        }
        "large" => reply.metadata.truncation = true,
        "medium" => {
            for last in 0..60 {
                add(address(last), 60);
            }
        }
        "text" => add(RData::TXT(TXT::new(vec!["hello".into()])), 60),
        _ if is_a => add(address(1), 60),
        _ => {}
    }
    if let Some(edns) = &query.edns {
        let mut own = Edns::new();
        own.set_max_payload(1232)
            .set_dnssec_ok(edns.flags().dnssec_ok);
        reply.set_edns(own);
    }
    Some(reply.to_vec().unwrap())
}

/// A running DNS surface with one list, `csam`.
struct Node {
    address: SocketAddr,
    server: Arc<Server>,
    in_force: Arc<InForce>,
    resolver: Arc<Resolver>,
    ready: Arc<AtomicBool>,
    runtime: Option<tokio::runtime::Runtime>,
    stop: CancellationToken,
    serving: Option<tokio::task::JoinHandle<Result<(), Error>>>,
}

impl Node {
    fn start(listen: &str, upstreams: &[SocketAddr]) -> Self {
        Self::with(settings(listen), &forward_to(upstreams))
    }

    fn with(settings: Settings, resolver: &resolver::Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let bound = Bound::bind(&settings).unwrap();
        let address = bound.addresses().next().unwrap();
        let resolver = Arc::new(Resolver::new(resolver).unwrap());
        let in_force = Arc::new(InForce::new(edition(&["blocked.test"])));
        let ready = Arc::new(AtomicBool::new(true));
        let server = Arc::new(Server::new(
            bound,
            settings,
            Arc::clone(&in_force),
            Arc::clone(&resolver),
            Arc::clone(&ready),
        ));
        let stop = CancellationToken::new();
        let (serving, token) = (Arc::clone(&server), stop.clone());
        let serving = runtime.spawn(async move {
            let tracker = TaskTracker::new();
            serving.serve(&tracker, &token).await
        });
        Self {
            address,
            server,
            in_force,
            resolver,
            ready,
            runtime: Some(runtime),
            stop,
            serving: Some(serving),
        }
    }

    fn hits(&self) -> u64 {
        let edition = self.in_force.load();
        edition.counter.hits(RuleId(0), Surface::Dns)
    }

    /// Sends a message over UDP and waits for its answer.
    fn ask(&self, query: &Message) -> Option<Message> {
        let octets = self.exchange(&query.to_vec().unwrap())?;
        let reply = Message::from_vec(&octets).unwrap();
        assert_eq!(reply.id, query.id);
        Some(reply)
    }

    fn exchange(&self, octets: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // A connected socket takes answers from the asked address alone.
        socket.connect(("127.0.0.1", self.address.port())).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(6)))
            .unwrap();
        socket.send(octets).unwrap();
        let mut buffer = [0; 65_535];
        let len = socket.recv(&mut buffer).ok()?;
        Some(buffer[..len].to_vec())
    }

    /// Runs `dig` with these arguments and returns what it prints.
    fn dig(&self, arguments: &[&str]) -> String {
        harness::must(
            Command::new("dig")
                .arg(format!("-p{}", self.address.port()))
                .args(["@127.0.0.1", "+time=6", "+tries=1"])
                .args(arguments),
        )
    }

    /// Stops it and returns how serving ended.
    fn stop(mut self) -> Result<(), Error> {
        self.stop.cancel();
        let (runtime, serving) = (self.runtime.take().unwrap(), self.serving.take().unwrap());
        runtime.block_on(serving).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
        if let (Some(runtime), Some(serving)) = (self.runtime.take(), self.serving.take()) {
            let _ = runtime.block_on(serving);
        }
    }
}

fn settings(listen: &str) -> Settings {
    Settings {
        listen: vec![listen.parse().unwrap()],
        threads: 2,
        clients: vec!["127.0.0.0/8".parse().unwrap()],
        stop_page: StopAddresses {
            ipv4: Some(Ipv4Addr::new(192, 0, 2, 80)),
            ipv6: None,
        },
        ttl: Duration::from_secs(10),
        servfail_until_ready: false,
        structured_errors: None,
    }
}

fn forward_to(upstreams: &[SocketAddr]) -> resolver::Settings {
    resolver::Settings {
        forward: upstreams.iter().map(upstream).collect(),
        zones: Vec::new(),
        cache_octets: 1 << 20,
    }
}

fn upstream(address: &SocketAddr) -> Upstream {
    Upstream {
        address: *address,
        tls_name: None,
    }
}

/// An edition of the one list `csam` with these names, each with all below it.
fn edition(names: &[&str]) -> Edition {
    let mut text = String::from(
        r#"{"defaults":{"category":"csam","legal":{"authority":"a","basis":"b"}},"format":1,"list":"csam"}"#,
    );
    for (number, name) in names.iter().enumerate() {
        text += &format!(
            "\n{{\"id\":\"EX-{number}\",\"kind\":\"domain\",\"match\":\"subtree\",\"value\":\"{name}\"}}"
        );
    }
    let settings = cordon::compile::Settings {
        kinds: vec![Kind::Domain],
        passthru: PassThru::List,
        ede: Ede::Censored,
        ..cordon::compile::Settings::new(
            "csam",
            From::File {
                path: "csam".into(),
                format: Format::Native,
                scope: None,
            },
        )
    };
    let mut compiler = Compiler::new(&Protected::default(), jiff::Timestamp::UNIX_EPOCH);
    compiler.add(
        &settings,
        &Verified::unsigned("csam", "csam", text.into_bytes()),
    );
    let blocklist = compiler.finish();
    Edition {
        number: 1,
        since: jiff::Timestamp::UNIX_EPOCH,
        counter: HitCounter::in_memory(blocklist.rule_count()),
        blocklist,
    }
}

fn query(name: &str, rtype: RecordType, edns_octets: Option<u16>) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    let name = WireName::from_ascii(name).unwrap();
    message.add_query(Query::query(name, rtype));
    if let Some(octets) = edns_octets {
        let mut edns = Edns::new();
        edns.set_max_payload(octets);
        message.set_edns(edns);
    }
    message
}

fn a(name: &str) -> Message {
    query(name, RecordType::A, Some(1232))
}

#[test]
fn dig_agrees() {
    let world = World::start();
    let node = Node::start("127.0.0.1:0", &[world.address]);
    // Arguments for dig, and what its answer must and must not hold.
    let cases: &[(&[&str], &[&str], &[&str])] = &[
        (
            &["www.blocked.test"],
            &[
                "status: NOERROR",
                "192.0.2.80",
                "EDE: 16 (Censored): (csam EX-0)",
                "flags: qr rd ra;",
            ],
            &["AUTHORITY SECTION", "WARNING"],
        ),
        (
            &["blocked.test", "AAAA"],
            &["status: NOERROR", "ANSWER: 0"],
            &["WARNING"],
        ),
        (
            &["blocked.test", "HTTPS"],
            &["status: NOERROR", "ANSWER: 0", "EDE: 16"],
            &["WARNING"],
        ),
        (
            &["+tcp", "blocked.test"],
            &["192.0.2.80", "(TCP)"],
            &["WARNING"],
        ),
        (
            &["+noedns", "blocked.test"],
            &["192.0.2.80"],
            &["OPT PSEUDOSECTION", "WARNING"],
        ),
        (
            &["shop.test"],
            &["198.51.100.1", "flags: qr rd ra;", "udp: 1232"],
            &["WARNING", "EDE"],
        ),
        (&["+tcp", "shop.test"], &["198.51.100.1"], &["WARNING"]),
        (
            &["missing.shop.test"],
            &["status: NXDOMAIN", "SOA", "flags: qr rd ra;"],
            &["WARNING"],
        ),
        (&["text.test", "TXT"], &["\"hello\""], &["WARNING"]),
        (&["large.test"], &["ANSWER: 200", "(TCP)"], &["WARNING"]),
        (
            &["+bufsize=512", "+ignore", "medium.test"],
            &["flags: qr tc rd ra;", "ANSWER: 0"],
            &["WARNING"],
        ),
        (
            &["+bufsize=4096", "+ignore", "medium.test"],
            &["flags: qr rd ra;", "ANSWER: 60"],
            &["WARNING"],
        ),
        (
            &["+cd", "+dnssec", "shop.test"],
            &["flags: qr rd ra cd;", "flags: do;"],
            &["WARNING"],
        ),
        (
            &["CH", "TXT", "version.bind"],
            &["status: REFUSED", "EDE: 21"],
            &["ANSWER SECTION"],
        ),
        (&["+opcode=STATUS", "shop.test"], &["status: NOTIMP"], &[]),
        (
            &["+edns=1", "+noednsnegotiation", "shop.test"],
            &["status: BADVERS"],
            &[],
        ),
        (&["localhost"], &["127.0.0.1"], &["WARNING"]),
        (&["x.onion"], &["status: NXDOMAIN"], &["WARNING"]),
        (&["shop.test", "AXFR"], &["Transfer failed"], &[]),
        (&["servfail.test"], &["status: SERVFAIL"], &["WARNING"]),
    ];
    for (arguments, present, absent) in cases {
        let said = node.dig(arguments);
        for text in *present {
            assert!(said.contains(text), "{arguments:?} lacks {text}:\n{said}");
        }
        for text in *absent {
            assert!(!said.contains(text), "{arguments:?} has {text}:\n{said}");
        }
    }
    assert_eq!(node.hits(), 5);
    assert_eq!(world.times_asked("localhost."), 0);
    assert_eq!(world.times_asked("x.onion."), 0);
    assert_eq!(world.times_asked("www.blocked.test."), 0);
}

#[test]
fn the_case_is_as_asked_from_policy_cache_and_upstream() {
    let world = World::start();
    let node = Node::start("127.0.0.1:0", &[world.address]);
    for name in ["wWw.BlOcKeD.tEsT.", "sHoP.TeSt.", "ShOp.tEsT."] {
        let reply = node.ask(&a(name)).unwrap();
        let asked = WireName::from_ascii(name).unwrap();
        assert!(reply.queries[0].name().eq_case(&asked), "{name}");
        assert!(reply.answers[0].name.eq_case(&asked), "{name}");
    }
    assert_eq!(world.times_asked("shop.test."), 1);
}

#[test]
fn remembered_answers_age_and_are_flushed() {
    let world = World::start();
    let node = Node::start("127.0.0.1:0", &[world.address]);
    assert_eq!(node.ask(&a("shop.test.")).unwrap().answers[0].ttl, 60);
    thread::sleep(Duration::from_millis(1100));
    let ttl = node.ask(&a("shop.test.")).unwrap().answers[0].ttl;
    assert!((57..=59).contains(&ttl), "{ttl}");
    assert_eq!(world.times_asked("shop.test."), 1);
    assert_eq!(node.resolver.flush(&Name::from_text("test").unwrap()), 1);
    assert_eq!(node.ask(&a("shop.test.")).unwrap().answers[0].ttl, 60);
    assert_eq!(world.times_asked("shop.test."), 2);

    let missing = a("missing.shop.test.");
    for _ in 0..3 {
        let reply = node.ask(&missing).unwrap();
        assert_eq!(reply.response_code, ResponseCode::NXDomain);
    }
    assert_eq!(world.times_asked("missing.shop.test."), 1);
}

#[test]
fn a_new_list_acts_at_once_on_what_is_remembered() {
    let world = World::start();
    let node = Node::start("127.0.0.1:0", &[world.address]);
    let ask = || {
        node.ask(&a("shop.test.")).unwrap().answers[0]
            .data
            .to_string()
    };
    assert_eq!(ask(), "198.51.100.1");
    assert_eq!(ask(), "198.51.100.1");
    node.in_force.replace(edition(&["shop.test"]));
    assert_eq!(ask(), "192.0.2.80");
    node.in_force.replace(edition(&["blocked.test"]));
    assert_eq!(ask(), "198.51.100.1");
    assert_eq!(world.times_asked("shop.test."), 1);
}

#[test]
fn the_same_question_is_asked_once_at_a_time() {
    let world = World::start();
    let node = Node::start("127.0.0.1:0", &[world.address]);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let reply = node.ask(&a("slow.test.")).unwrap();
                assert_eq!(reply.answers.len(), 1);
            });
        }
    });
    assert_eq!(world.times_asked("slow.test."), 1);
}

#[test]
fn without_an_upstream_blocked_names_are_still_answered() {
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    let node = Node::start("127.0.0.1:0", &[nobody.local_addr().unwrap()]);
    let begun = Instant::now();
    let said = node.dig(&["shop.test"]);
    assert!(said.contains("status: SERVFAIL"), "{said}");
    assert!(said.contains("EDE: 22 (No Reachable Authority)"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let begun = Instant::now();
    assert!(node.dig(&["shop.test"]).contains("EDE: 22"));
    assert!(begun.elapsed() < Duration::from_secs(1), "not remembered");
    assert!(node.dig(&["blocked.test"]).contains("192.0.2.80"));
}

#[test]
fn beyond_the_most_queries_in_flight_only_the_truth_is_missing() {
    let world = World::start();
    let node = Node::start("127.0.0.1:0", &[world.address]);
    assert_eq!(node.ask(&a("shop.test.")).unwrap().answers.len(), 1);
    let held: Vec<_> = (0..resolver::QUERIES_IN_FLIGHT_MAX)
        .map(|_| node.resolver.admit().unwrap())
        .collect();
    let reply = node.ask(&a("other.test.")).unwrap();
    assert_eq!(reply.response_code, ResponseCode::ServFail);
    for name in ["shop.test.", "blocked.test."] {
        assert_eq!(node.ask(&a(name)).unwrap().answers.len(), 1, "{name}");
    }
    drop(held);
    assert_eq!(node.ask(&a("other.test.")).unwrap().answers.len(), 1);
}

#[test]
fn another_upstream_is_asked_when_one_is_silent_or_broken() {
    let (world, silent) = (World::start(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let node = Node::start(
        "127.0.0.1:0",
        &[silent.local_addr().unwrap(), world.address],
    );
    let begun = Instant::now();
    let ask = |name| node.ask(&a(name)).unwrap().answers.len();
    assert_eq!(ask("one.test."), 1);
    assert!(begun.elapsed() < Duration::from_secs(3));
    let begun = Instant::now();
    assert_eq!(ask("two.test."), 1);
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "the silent one is asked first again"
    );
    let reply = node.ask(&a("broken.test.")).unwrap();
    assert_eq!(reply.response_code, ResponseCode::ServFail);
}

#[test]
fn zones_are_asked_elsewhere_the_longest_first() {
    let (world, corp, nobody) = (World::start(), World::start(), World::start());
    let zone = |name: &str, world: &World| ZoneForward {
        name: Name::from_text(name).unwrap(),
        forward: vec![upstream(&world.address)],
    };
    let mut resolver = forward_to(&[world.address]);
    resolver.zones = vec![
        zone("corp.test", &nobody),
        zone("deep.corp.test", &corp),
        zone("invalid", &corp),
    ];
    let node = Node::with(settings("127.0.0.1:0"), &resolver);
    for name in [
        "shop.test.",
        "www.deep.corp.test.",
        "www.corp.test.",
        "printer.invalid.",
    ] {
        assert_eq!(node.ask(&a(name)).unwrap().answers.len(), 1, "{name}");
    }
    assert_eq!(world.times_asked("shop.test."), 1);
    assert_eq!(corp.times_asked("www.deep.corp.test."), 1);
    assert_eq!(corp.times_asked("printer.invalid."), 1);
    assert_eq!(nobody.times_asked("www.corp.test."), 1);
}

#[test]
fn questions_differ_by_do_and_cd() {
    let world = World::start();
    let node = Node::start("127.0.0.1:0", &[world.address]);
    for (dnssec_ok, checking_disabled) in [(false, false), (true, false), (false, true)] {
        let mut message = a("shop.test.");
        message.metadata.checking_disabled = checking_disabled;
        message.edns.as_mut().unwrap().set_dnssec_ok(dnssec_ok);
        for _ in 0..2 {
            node.ask(&message).unwrap();
        }
        let asked = world.asked.lock().unwrap();
        let last = asked.last().unwrap();
        assert_eq!(last.checking_disabled, checking_disabled);
        assert_eq!(last.edns.as_ref().unwrap().flags().dnssec_ok, dnssec_ok);
    }
    assert_eq!(world.times_asked("shop.test."), 3);
}

#[test]
fn only_clients_are_served() {
    let world = World::start();
    let mut others = settings("127.0.0.1:0");
    others.clients = vec!["192.0.2.0/24".parse().unwrap()];
    let node = Node::with(others, &forward_to(&[world.address]));
    for arguments in [
        &["blocked.test"] as &[&str],
        &["shop.test"],
        &["+tcp", "shop.test"],
    ] {
        let said = node.dig(arguments);
        assert!(said.contains("status: REFUSED"), "{said}");
        assert!(said.contains("EDE: 18 (Prohibited)"), "{said}");
    }
    assert_eq!(node.hits(), 0);
    assert!(world.asked.lock().unwrap().is_empty());
}

#[test]
fn servfail_until_ready_ends_when_ready() {
    let world = World::start();
    let mut waiting = settings("127.0.0.1:0");
    waiting.servfail_until_ready = true;
    let node = Node::with(waiting, &forward_to(&[world.address]));
    node.ready.store(false, Ordering::Relaxed);
    assert!(node.dig(&["shop.test"]).contains("EDE: 14"));
    assert!(node.dig(&["blocked.test"]).contains("192.0.2.80"));
    node.ready.store(true, Ordering::Relaxed);
    assert!(node.dig(&["shop.test"]).contains("198.51.100.1"));
}

#[test]
fn garbage_is_answered_by_the_protocol_or_not_at_all() {
    let world = World::start();
    let node = Node::start("127.0.0.1:0", &[world.address]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(node.address).unwrap();
    let mut seed: u64 = 20_261_124;
    for _ in 0..2000 {
        let mut octets = Vec::new();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let len = usize::try_from(seed >> 52).unwrap();
        for _ in 0..len {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            octets.push(seed.to_be_bytes()[0]);
        }
        let _ = socket.send(&octets);
    }
    socket.send(&[0; 9000]).unwrap();
    // A query with garbage behind a question is malformed.
    let mut malformed = a("shop.test.").to_vec().unwrap();
    malformed.truncate(malformed.len() - 4);
    let reply = node.exchange(&malformed).unwrap();
    assert_eq!(reply.len(), 12);
    assert_eq!(reply[3] & 15, 1);

    for octets in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        b"\0\x05short",
        &[255; 70_000],
    ] {
        let mut stream = TcpStream::connect(node.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(15)))
            .unwrap();
        let _ = stream.write_all(octets);
        let mut said = Vec::new();
        // It ends: closed at once, or after the time of an idle connection.
        let ended = stream.read_to_end(&mut said);
        assert!(said.len() < 100, "{ended:?}");
        assert!(
            !matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock),
            "still open"
        );
    }
    assert!(node.dig(&["shop.test"]).contains("198.51.100.1"));
}

#[test]
fn tcp_answers_as_answers_come() {
    let world = World::start();
    let node = Node::start("127.0.0.1:0", &[world.address]);
    let mut stream = TcpStream::connect(node.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let names = ["slow.test.", "blocked.test.", "shop.test."];
    let mut octets = Vec::new();
    for (id, name) in (1..).zip(names) {
        let mut message = a(name);
        message.metadata.id = id;
        let message = message.to_vec().unwrap();
        octets.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        octets.extend(message);
    }
    // In pieces that fit no message.
    for piece in octets.chunks(7) {
        stream.write_all(piece).unwrap();
    }
    // A client may close its side and still wants its answers.
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    let mut ids = Vec::new();
    let mut rest = said.as_slice();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (message, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
        let reply = Message::from_vec(message).unwrap();
        assert_eq!(reply.answers.len(), 1);
        ids.push(reply.id);
        rest = after;
    }
    assert_eq!(ids, [2, 3, 1]);
}

#[test]
fn a_wildcard_address_answers_from_the_address_that_was_asked() {
    let world = World::start();
    let node = Node::start("0.0.0.0:0", &[world.address]);
    for name in ["blocked.test.", "shop.test.", "shop.test."] {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let asked = SocketAddr::from(([127, 0, 0, 77], node.address.port()));
        socket.send_to(&a(name).to_vec().unwrap(), asked).unwrap();
        let mut buffer = [0; 1500];
        let (_, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(from, asked, "{name}");
    }
}

#[test]
fn settings_and_resolver_are_replaced_without_a_lost_query() {
    let (world, other) = (World::start(), World::start());
    let node = Node::start("127.0.0.1:0", &[world.address]);
    let (sent, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for thread in 0..2 {
            let (node, sent, done) = (&node, &sent, &done);
            scope.spawn(move || {
                for number in 0.. {
                    let name = match number % 3 {
                        0 => "blocked.test.".to_owned(),
                        1 => "shop.test.".to_owned(),
                        _ => format!("n{thread}-{number}.test."),
                    };
                    let reply = node
                        .ask(&a(&name))
                        .unwrap_or_else(|| panic!("{name} is lost"));
                    assert_eq!(reply.answers.len(), 1, "{name}");
                    sent.fetch_add(1, Ordering::Relaxed);
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        for round in 0..20 {
            let world = if round % 2 == 0 { &other } else { &world };
            let mut changed = settings("127.0.0.1:0");
            changed.ttl = Duration::from_secs(round);
            let resolver = Arc::new(Resolver::new(&forward_to(&[world.address])).unwrap());
            node.server.replace(changed, resolver);
            thread::sleep(Duration::from_millis(20));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(sent.load(Ordering::Relaxed) > 40);
    assert!(!other.asked.lock().unwrap().is_empty());
    let ttl = node.ask(&a("blocked.test.")).unwrap().answers[0].ttl;
    assert_eq!(ttl, 19);
}

#[test]
fn stopping_answers_what_was_taken() {
    let world = World::start();
    let node = Node::start("127.0.0.1:0", &[world.address]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(node.address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    socket.send(&a("slow.test.").to_vec().unwrap()).unwrap();
    thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    node.stop().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2));
    let mut buffer = [0; 1500];
    let len = socket.recv(&mut buffer).unwrap();
    let reply = Message::from_vec(&buffer[..len]).unwrap();
    assert_eq!(reply.answers[0].data.to_string(), "198.51.100.2");
}

#[test]
fn the_proxy_finds_addresses_through_the_same_cache() {
    let world = World::start();
    let node = Node::start("127.0.0.1:0", &[world.address]);
    let runtime = node.runtime.as_ref().unwrap();
    let find = |name: &str| {
        let name = Name::from_text(name).unwrap();
        runtime.block_on(node.resolver.addresses(&name))
    };
    let found = find("shop.test").unwrap();
    assert_eq!(found, [Ipv4Addr::new(198, 51, 100, 1)]);
    assert_eq!(
        find("missing.shop.test"),
        Err(resolver::LookupError::NotFound)
    );
    assert_eq!(find("servfail.test"), Err(resolver::LookupError::Failed));
    node.ask(&a("shop.test.")).unwrap();
    assert_eq!(world.times_asked("shop.test."), 2, "one for each family");
}
