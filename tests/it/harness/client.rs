//! Plain clients: a DNS query and an HTTP request, in octets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// What a resolver said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) rcode: u8,
    /// The first address of the answer section.
    pub(crate) address: Option<Ipv4Addr>,
}

/// A query for the address of a name.
pub(crate) fn query(id: u16, name: &str) -> Vec<u8> {
    let mut packet = [id.to_be_bytes().as_slice(), &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.trim_end_matches('.').split('.') {
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend(label.bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    packet
}

/// Reads an answer: its id and what it says.
pub(crate) fn read(packet: &[u8]) -> (u16, Answer) {
    let id = u16::from_be_bytes([packet[0], packet[1]]);
    let answers = u16::from_be_bytes([packet[6], packet[7]]);
    let mut at = 12;
    while packet[at] != 0 {
        at += 1 + usize::from(packet[at]);
    }
    at += 5;
    let address = (answers > 0 && packet[at..].len() >= 16).then(|| {
        let record = &packet[at..at + 16];
        (record[2..4] == [0, 1])
            .then(|| Ipv4Addr::new(record[12], record[13], record[14], record[15]))
    });
    (
        id,
        Answer {
            rcode: packet[3] & 15,
            address: address.flatten(),
        },
    )
}

/// Asks one name, again after a lost packet.
#[track_caller]
pub(crate) fn ask(server: SocketAddr, name: &str) -> Answer {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut buffer = [0; 1500];
    for _ in 0..5 {
        socket.send(&query(7, name)).unwrap();
        if let Ok(length) = socket.recv(&mut buffer) {
            return read(&buffer[..length]).1;
        }
    }
    panic!("{server} does not answer for {name}");
}

/// Asks every name with many queries in flight and hands each answer on. A name whose
/// answer is lost is asked again; the number of all queries that were sent is returned.
pub(crate) fn ask_all<'a>(
    server: SocketAddr,
    names: impl Iterator<Item = &'a str>,
    mut take: impl FnMut(&str, Answer),
) -> u64 {
    const WINDOW: usize = 64;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let mut names = names.peekable();
    let mut in_flight: Vec<Option<&str>> = vec![None; WINDOW];
    let mut sent = 0;
    let mut silent = 0;
    let mut buffer = [0; 1500];
    loop {
        for (id, place) in in_flight.iter_mut().enumerate() {
            if place.is_none()
                && let Some(name) = names.next()
            {
                *place = Some(name);
                socket
                    .send(&query(u16::try_from(id).unwrap(), name))
                    .unwrap();
                sent += 1;
            }
        }
        if in_flight.iter().all(Option::is_none) {
            return sent;
        }
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let (id, answer) = read(&buffer[..length]);
                if let Some(name) = in_flight.get_mut(usize::from(id)).and_then(Option::take) {
                    silent = 0;
                    take(name, answer);
                }
            }
            Err(_) => {
                silent += 1;
                assert!(silent < 10, "{server} does not answer");
                for (id, name) in in_flight.iter().enumerate() {
                    if let Some(name) = name {
                        socket
                            .send(&query(u16::try_from(id).unwrap(), name))
                            .unwrap();
                        sent += 1;
                    }
                }
            }
        }
    }
}

/// A response: status, head and body.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A connection that carries one request after the other.
pub(crate) struct Connection {
    server: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self {
            server,
            stream: None,
        }
    }

    /// Sends a GET request with this target and Host; opens a new connection where the last
    /// one was closed.
    #[track_caller]
    pub(crate) fn get(&mut self, target: &str, host: &str) -> Response {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        for _ in 0..3 {
            let stream = self.stream.take().unwrap_or_else(|| {
                let stream = TcpStream::connect(self.server).unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                BufReader::new(stream)
            });
            if let Some((response, stream)) = exchange(stream, &request) {
                self.stream = stream;
                return response;
            }
        }
        panic!("{} gives no answer to {target}", self.server);
    }
}

fn exchange(
    mut stream: BufReader<TcpStream>,
    request: &str,
) -> Option<(Response, Option<BufReader<TcpStream>>)> {
    stream.get_mut().write_all(request.as_bytes()).ok()?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let lower = head.to_ascii_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let mut body = Vec::new();
    let keep = if let Some(length) = length {
        (&mut stream)
            .take(length.trim().parse().ok()?)
            .read_to_end(&mut body)
            .ok()?;
        !lower.contains("connection: close")
    } else if lower.contains("transfer-encoding: chunked") {
        read_chunks(&mut stream, &mut body)?;
        !lower.contains("connection: close")
    } else {
        stream.read_to_end(&mut body).ok()?;
        false
    };
    let response = Response {
        status,
        head,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    Some((response, keep.then_some(stream)))
}

fn read_chunks(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let length = u64::from_str_radix(line.trim(), 16).ok()?;
        stream.take(length).read_to_end(body).ok()?;
        line.clear();
        stream.read_line(&mut line).ok()?;
        if length == 0 {
            return Some(());
        }
    }
}

/// Tries until it is so, at most so long.
#[track_caller]
pub(crate) fn until(what: &str, most: Duration, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < most, "after {most:?} still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
