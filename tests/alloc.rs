//! Nothing is allocated between a packet and its policy answer, nor its remembered answer:
//! counted by the allocator of this binary, in the whole running server.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected is to fail at once"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cordon::compile::{Compiler, Ede, Format, From, Mode, PassThru, Protected};
use cordon::count::HitCounter;
use cordon::enforce::dns::{Bound, Server, Settings, StopAddresses};
use cordon::enforce::resolver::{self, Resolver, Upstream};
use cordon::enforce::{Edition, InForce};
use cordon::policy::{Kind, RuleId, Surface};
use cordon::verify::Verified;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator is unsafe by its nature")]
// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A list in which `blocked.test` is first watched twice and then blocked.
fn edition() -> Edition {
    let settings = |name: &str, mode| cordon::compile::Settings {
        mode,
        kinds: vec![Kind::Domain],
        passthru: PassThru::List,
        ede: Ede::Censored,
        ..cordon::compile::Settings::new(
            name,
            From::File {
                path: "x".into(),
                format: Format::Native,
                scope: None,
            },
        )
    };
    let mut compiler = Compiler::new(&Protected::default(), jiff::Timestamp::UNIX_EPOCH);
    for (name, mode) in [("watched", Mode::Monitor), ("csam", Mode::Enforce)] {
        let text = format!(
            "{}\n{}",
            r#"{"defaults":{"category":"csam","legal":{"authority":"a","basis":"b"}},"format":1,"list":"NAME"}"#
                .replace("NAME", name),
            r#"{"id":"EX-000123","kind":"domain","match":"subtree","value":"blocked.test"}"#,
        );
        let list = Verified::unsigned(name, "x", text.into_bytes());
        compiler.add(&settings(name, mode), &list);
    }
    let blocklist = compiler.finish();
    Edition {
        number: 1,
        since: jiff::Timestamp::UNIX_EPOCH,
        counter: HitCounter::in_memory(blocklist.rule_count()),
        blocklist,
    }
}

/// An upstream with one address for everything.
fn upstream() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let serving = socket.try_clone().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((_, peer)) = serving.recv_from(&mut buffer) {
            let end = 12 + buffer[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
            buffer[2..4].copy_from_slice(&[0x81, 0x80]);
            buffer[7] = 1;
            buffer[11] = 0;
            let record = [
                0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 198, 51, 100, 1,
            ];
            buffer[end..end + 16].copy_from_slice(&record);
            let _ = serving.send_to(&buffer[..end + 16], peer);
        }
    });
    socket
}

#[test]
fn a_policy_answer_and_a_remembered_one_allocate_nothing() {
    let upstream = upstream();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let settings = Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        threads: 1,
        clients: vec!["127.0.0.0/8".parse().unwrap()],
        stop_page: StopAddresses {
            ipv4: Some(Ipv4Addr::new(192, 0, 2, 80)),
            ipv6: None,
        },
        ttl: Duration::from_secs(10),
        servfail_until_ready: false,
        structured_errors: None,
    };
    let forward = resolver::Settings {
        forward: vec![Upstream {
            address: upstream.local_addr().unwrap(),
            tls_name: None,
        }],
        zones: Vec::new(),
        cache_octets: 1 << 20,
    };
    let bound = Bound::bind(&settings).unwrap();
    let address = bound.addresses().next().unwrap();
    let in_force = Arc::new(InForce::new(edition()));
    let resolver = Arc::new(Resolver::new(&forward).unwrap());
    let ready = Arc::new(AtomicBool::new(true));
    let server = Server::new(bound, settings, Arc::clone(&in_force), resolver, ready);
    let stop = CancellationToken::new();
    let token = stop.clone();
    let serving = runtime.spawn(async move { server.serve(&TaskTracker::new(), &token).await });

    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(address).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let opt: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
    let head: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\x01";
    let packet = |name: &[u8]| [head, name, b"\0\x01\0\x01", opt].concat();
    let packets = [
        packet(b"\x03www\x07blocked\x04test\0"),
        packet(b"\x04shop\x04test\0"),
    ];
    let ask = |times: usize| {
        let mut buffer = [0; 1500];
        for _ in 0..times {
            for packet in &packets {
                client.send(packet).unwrap();
                client.recv(&mut buffer).unwrap();
                assert_eq!(buffer[7], 1, "one record");
            }
        }
    };
    ask(20);
    // Whatever was started has come to rest.
    thread::sleep(Duration::from_millis(300));
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    ask(1000);
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);
    for rule in [RuleId(0), RuleId(1)] {
        let edition = in_force.load();
        assert_eq!(edition.counter.hits(rule, Surface::Dns), 1020);
    }
    stop.cancel();
    runtime.block_on(serving).unwrap().unwrap();
}
