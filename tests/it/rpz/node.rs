//! A node: the DNS surface with its counters on disk, and a client with any address of loopback.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use cordon::compile::{Blocklist, Compiler, Protected};
use cordon::count::Counters;
use cordon::enforce::dns::{Bound, Server, Settings, StopAddresses};
use cordon::enforce::resolver::{self, Resolver, Upstream};
use cordon::enforce::{Edition, InForce, counted_rules};
use cordon::policy::Name;
use cordon::verify::Verified;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::scenario::List;

pub(super) struct Node {
    address: SocketAddr,
    in_force: Arc<InForce>,
    resolver: Arc<Resolver>,
    server: Arc<Server>,
    pub(super) ready: Arc<AtomicBool>,
    counters: Counters,
    protected: Protected,
    _folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    stop: CancellationToken,
}

impl Node {
    pub(super) fn start(upstream: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listen = own_address();
        let settings = settings(listen);
        let bound = Bound::bind(&settings).unwrap();
        let address = bound.addresses().next().unwrap();
        let resolver = Arc::new(Resolver::new(&forward_to(upstream)).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let (counters, _) = Counters::open(folder.path(), jiff::Timestamp::now()).unwrap();
        let in_force = Arc::new(InForce::new(edition(&counters, Blocklist::default())));
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
        runtime.spawn(async move { serving.serve(&TaskTracker::new(), &token).await });
        Self {
            address,
            in_force,
            resolver,
            server,
            ready,
            counters,
            protected: Protected::default(),
            _folder: folder,
            runtime,
            stop,
        }
    }

    /// Takes what of the node is not as usual.
    pub(super) fn configure(&mut self, options: &[(String, String)]) {
        let mut settings = settings(self.address.ip());
        for (key, value) in options {
            match key.as_str() {
                "clients" => {
                    let networks = value.split(' ').map(|network| network.parse().unwrap());
                    settings.clients = networks.collect();
                }
                "protect" => {
                    let names = value.split(' ').map(|name| Name::from_text(name).unwrap());
                    self.protected = Protected::new(names.collect(), Vec::new());
                }
                "ready" => self.ready.store(value == "true", Ordering::Relaxed),
                "servfail_until_ready" => settings.servfail_until_ready = value == "true",
                other => panic!("`{other}` is no option of a node"),
            }
        }
        self.server.replace(settings, Arc::clone(&self.resolver));
    }

    /// Puts lists in force, in their order; what became of their rows.
    pub(super) fn put_in_force(&self, lists: &[List]) -> Arc<Edition> {
        let mut compiler = Compiler::new(&self.protected, jiff::Timestamp::now());
        for List { settings, text, .. } in lists {
            let name = &settings.name;
            let text = text.clone().into_bytes();
            compiler.add(settings, &Verified::unsigned(name, name, text));
        }
        self.in_force
            .replace(edition(&self.counters, compiler.finish()));
        self.in_force.load_full()
    }

    /// What is in force.
    pub(super) fn in_force(&self) -> Arc<Edition> {
        self.in_force.load_full()
    }

    /// Asks over UDP and waits for the answer.
    pub(super) fn ask_udp(&self, from: Ipv4Addr, query: &[u8], wait: Duration) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(self.address).unwrap();
        socket.set_read_timeout(Some(wait)).unwrap();
        socket.send(query).unwrap();
        let mut buffer = [0; 65_535];
        let len = socket.recv(&mut buffer).ok()?;
        Some(buffer[..len].to_vec())
    }

    /// Asks over TCP, two questions on one connection, and waits for the answer to the first.
    /// The second must be answered, or the connection closed.
    pub(super) fn ask_tcp(&self, from: Ipv4Addr, query: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.connect(from);
        let octets = [query, BEHIND].map(framed).concat();
        stream.write_all(&octets).unwrap();
        let mut found = None;
        loop {
            let mut length = [0; 2];
            match stream.read_exact(&mut length) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("the connection hangs")
                }
                Err(_) => return found,
            }
            let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut reply).unwrap();
            let is_behind = reply[..2] == BEHIND[..2];
            if !is_behind {
                found = Some(reply);
            }
            // What is dropped would have been answered first, but for what waits.
            if found.is_some() || is_behind && self.is_dropped(&mut stream) {
                return found;
            }
            if is_behind {
                stream.set_read_timeout(Some(WAIT)).unwrap();
            }
        }
    }

    /// Whether nothing more comes for a while.
    fn is_dropped(&self, stream: &mut TcpStream) -> bool {
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        !matches!(stream.peek(&mut [0]), Ok(1..))
    }

    fn connect(&self, from: Ipv4Addr) -> TcpStream {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
        let _ = &self.runtime;
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&length, message].concat()
}

fn edition(counters: &Counters, blocklist: Blocklist) -> Edition {
    let (counter, refused) = counters.counter(counted_rules(&blocklist)).unwrap();
    assert!(refused.is_none());
    Edition {
        number: 1,
        since: jiff::Timestamp::now(),
        blocklist,
        counter,
    }
}

/// An address of loopback that no other node has: UDP sockets of two nodes could share a port.
fn own_address() -> IpAddr {
    static NODES: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NODES.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let of_process = u8::try_from(std::process::id() % 100).unwrap();
    Ipv4Addr::new(127, 100 + of_process, high, low).into()
}

fn settings(listen: IpAddr) -> Settings {
    Settings {
        listen: vec![SocketAddr::from((listen, 0))],
        threads: 1,
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

fn forward_to(address: SocketAddr) -> resolver::Settings {
    resolver::Settings {
        forward: vec![Upstream {
            address,
            tls_name: None,
        }],
        zones: Vec::new(),
        cache_octets: 1 << 20,
    }
}

/// How long an answer may take.
pub(super) const WAIT: Duration = Duration::from_secs(10);
/// `version.bind` in class CH, which no policy is asked about.
const BEHIND: &[u8] = b"\xff\xfe\x01\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03";
