//! 240,000 packets that no client should send, mutated from those that clients do send, over UDP
//! and TCP, to the real program with a policy and an upstream: it answers rightly in between and
//! afterwards, and does not grow. The same packets every time: they follow from a seed.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use cordon::enforce::resolver::wire::{FLAG_QR, Header, Records, skip_name};

use crate::harness::client;
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;
use crate::random::Random;

#[test]
fn malformed_packets_change_nothing() {
    let upstream = Upstream::start();
    let mut node = Node::new("", upstream.address);
    let zone = node.folder().join("zone.rpz");
    fs::write(&zone, ZONE).unwrap();
    let lists = format!(
        "lists:\n  - {{ name: zone, from: {{ file: {}, format: rpz }}, unsigned: true, kinds: [domain, ip, client] }}",
        zone.display()
    );
    node.configure(&lists, upstream.address);
    // A small cache: what it may hold is no growth.
    let text = fs::read_to_string(node.configuration()).unwrap();
    node.write_configuration(&text.replace("resolver: {", "resolver: { cache: 1MiB,"));
    // One arena, so that memory is what is held, and not how threads share it.
    node.start_with(&[("MALLOC_ARENA_MAX", "1")]);
    let (_, before) = node.cost();
    let mut random = Random::new(SEED);
    let over_udp = |random: &mut Random, packets| {
        for _ in 0..packets / BATCH {
            let octets: Vec<_> = (0..BATCH).map(|_| malformed(random)).collect();
            send_datagrams(node.dns, &octets);
        }
    };
    let over_tcp = |random: &mut Random, packets| {
        for _ in 0..packets / BATCH {
            let octets: Vec<_> = (0..BATCH).map(|_| malformed(random)).collect();
            send_stream(node.dns, &octets, random);
        }
    };
    for _ in 0..2 {
        over_udp(&mut random, 100_000);
        over_tcp(&mut random, 20_000);
    }
    let (_, after) = node.cost();
    assert!(
        after <= before + GROWTH_MAX,
        "resident memory grew from {before} to {after} MiB"
    );
    check_right(node.dns);
    let metrics = node.report("/metrics").body;
    let came = |transport: &str| -> u64 {
        let name = format!("cordon_dns_queries_total{{transport=\"{transport}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
    };
    // They came to where packets are read; connections that lie about lengths end early.
    assert!(came("udp") >= 200_000, "{}", came("udp"));
    assert!(came("tcp") >= 30_000, "{}", came("tcp"));
    let log = node.log();
    assert!(!log.contains("panicked"), "{log}");
    node.stop();
}

/// Sends packets, then a query whose answer says that all before it were taken.
fn send_datagrams(server: SocketAddr, packets: &[Vec<u8>]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    for packet in packets {
        socket.send(packet).unwrap();
    }
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket.send(&client::query(MARK, "blocked.test")).unwrap();
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).expect("it answers no more");
        let reply = &buffer[..length];
        check_reply(reply, 1232);
        if reply[..2] == MARK.to_be_bytes() && reply[3] & 15 == 3 {
            return;
        }
    }
}

/// Sends packets over one connection and reads to its end. One in ten connections says wrong
/// lengths, too, and gets what it deserves.
fn send_stream(server: SocketAddr, packets: &[Vec<u8>], random: &mut Random) {
    let lies = random.in_hundred(10);
    let mut octets = Vec::new();
    for packet in packets {
        let mut length = u16::try_from(packet.len()).unwrap();
        if lies && random.in_hundred(5) {
            length = u16::try_from(random.below(65_536)).unwrap();
        }
        octets.extend(length.to_be_bytes());
        octets.extend(packet);
    }
    let mut stream = TcpStream::connect(server).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    // It may be closed before it is written.
    let written = stream.write_all(&octets);
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    let ended = stream.read_to_end(&mut said);
    if lies {
        return;
    }
    written.unwrap();
    ended.unwrap();
    let mut rest = said.as_slice();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (reply, after) = after.split_at(length);
        check_reply(reply, 65_535);
        rest = after;
    }
    assert!(rest.is_empty());
}

/// A reply is a response, and all of it is what its counts say.
fn check_reply(reply: &[u8], octets_max: usize) {
    let header = Header::read(reply).unwrap();
    assert!(header.flags & FLAG_QR != 0 && reply.len() <= octets_max);
    let mut end = 12;
    for _ in 0..header.questions {
        end = skip_name(reply, end).unwrap() + 4;
    }
    for record in Records::new(reply, &header, end) {
        end = record.expect("a reply that cannot be read").end;
    }
    assert_eq!(end, reply.len());
}

fn check_right(server: SocketAddr) {
    assert_eq!(client::ask(server, "blocked.test").rcode, 3);
    assert_eq!(client::ask(server, "www.blocked.test").rcode, 0);
    let passes = client::ask(server, "never-asked.example");
    assert_eq!(passes.address.unwrap().to_string(), "127.0.0.1");
    let data = client::ask(server, "data.test");
    assert_eq!(data.address.unwrap().to_string(), "192.0.2.1");
}

/// A packet that a client may send, with some mistakes in it.
fn malformed(random: &mut Random) -> Vec<u8> {
    let mut packet = real(random);
    for _ in 0..1 + random.below(3) {
        mutate(&mut packet, random);
    }
    packet.truncate(1400);
    packet
}

/// A packet that a client may send.
fn real(random: &mut Random) -> Vec<u8> {
    let name = random.pick(&NAMES);
    let id = u16::try_from(random.below(usize::from(MARK))).unwrap();
    let mut packet = client::query(id, name);
    let types = [1_u8, 2, 5, 6, 12, 15, 16, 28, 33, 41, 64, 65, 250, 252, 255];
    let at = packet.len() - 3;
    packet[at] = *random.pick(&types);
    match random.below(8) {
        0 => packet.extend(&packet[12..].to_vec()), // a second question
        1 => packet.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01"),
        2..=4 => {
            packet[11] = 1;
            let options: [&[u8]; 5] = [
                b"",
                b"\0\x0a\0\x08\x01\x02\x03\x04\x05\x06\x07\x08", // a cookie
                b"\0\x08\0\x07\0\x01\x18\0\xc0\0\x02",           // a client's network
                b"\0\x0c\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                b"\0\x0f\0\x02\0\x10",
            ];
            let options = random.pick(&options);
            packet.extend(b"\0\0\x29\x04\xd0\0\0\x80\0\0");
            packet.push(u8::try_from(options.len()).unwrap());
            packet.extend(*options);
        }
        _ => {}
    }
    packet
}

fn mutate(packet: &mut Vec<u8>, random: &mut Random) {
    const ODD: [u8; 8] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff];
    if packet.is_empty() {
        packet.push(*random.pick(&ODD));
    }
    let at = random.below(packet.len());
    let field = 2 * random.below(6);
    match random.below(9) {
        0 => packet[at] ^= 1 << random.below(8),
        1 => packet[at] = *random.pick(&ODD),
        2 => packet.truncate(at),
        3 => packet.insert(at, *random.pick(&ODD)),
        4 => {
            let end = at + random.below(packet.len() - at) + 1;
            let again = packet[at..end].to_vec();
            packet.splice(at..at, again);
        }
        // A count, or the flags.
        5 if packet.len() >= 12 => {
            packet[field] = *random.pick(&ODD);
            packet[field + 1] = *random.pick(&ODD);
        }
        // A pointer somewhere.
        6 if packet.len() > at + 1 => {
            packet[at] = 0xc0 | u8::try_from(random.below(2)).unwrap();
            packet[at + 1] = u8::try_from(random.below(64)).unwrap();
        }
        // Labels without an end.
        7 => {
            let labels = b"\x3fabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk";
            packet.splice(12.min(at)..12.min(at), labels.repeat(1 + random.below(5)));
        }
        _ => packet.extend((0..random.below(40)).map(|_| *random.pick(&ODD))),
    }
}

const SEED: u64 = 20_261_124;
/// How many packets are on their way at once, few enough for the socket's buffer.
const BATCH: usize = 100;
/// The id of what says that all before it were taken; others are below it.
const MARK: u16 = 0xfffe;
/// By how much memory may grow, in MiB: by what 2,000 queries hold that wait for an upstream, the
/// most of them, and the cache. Who kept 300 octets of each packet would need more.
const GROWTH_MAX: u64 = 64;
const NAMES: [&str; 11] = [
    "blocked.test",
    "www.blocked.test",
    "empty.test",
    "pass.test",
    "tcp.test",
    "drop.test",
    "data.test",
    "www.expand.test",
    "zone.alias.test",
    "shop.example",
    "www.a-rather-long-name-with-many-letters.shop.example",
];
const ZONE: &str = "$TTL 60
@ SOA localhost. host.zone.example. 1 3600 600 86400 60
@ NS localhost.
blocked.test CNAME .
*.blocked.test CNAME *.
empty.test CNAME *.
pass.test CNAME rpz-passthru.
tcp.test CNAME rpz-tcp-only.
drop.test CNAME rpz-drop.
data.test A 192.0.2.1
data.test TXT \"some text\"
*.expand.test CNAME *.garden.example.
*.alias.test CNAME garden.example.
32.9.0.0.127.rpz-client-ip CNAME rpz-drop.
32.1.0.0.127.rpz-ip CNAME rpz-passthru.
";
