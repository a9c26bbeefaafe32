//! The main job from end to end, with the real program: an authority publishes, a node
//! pulls over HTTP, verifies, enforces over DNS and HTTP, counts, and shows the figures.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cordon::policy::{CanonicalUrl, Host};
use serde_json::Value;

use crate::harness::authority::Authority;
use crate::harness::client::{self, Answer, Connection, until};
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;
use crate::harness::{network, origin, real_lists};

const STOP: Option<Ipv4Addr> = Some(Ipv4Addr::new(192, 0, 2, 80));

/// Everything around one node: two signed lists, an upstream, an origin on port 80.
struct Plant {
    authority: Authority,
    /// Answers for as long as the node asks.
    _upstream: Upstream,
    node: Node,
    /// Rows of `domains` that the publisher left out, as it named them.
    left_out: BTreeSet<String>,
}

impl Plant {
    /// Publishes these files as the lists `domains` and `urls` and prepares a node.
    fn new(domains: &Path, urls: &Path) -> Self {
        let authority = Authority::new();
        for list in ["domains", "urls"] {
            authority.delegate(list);
        }
        let told = authority.publish("domains", domains, "domains", Some("subtree"));
        println!("{told}");
        let left_out = named_as_left_out(&told);
        println!("{}", authority.publish("urls", urls, "urls", None));
        let upstream = Upstream::start();
        let node = Node::new(&lists(&authority), upstream.address);
        Self {
            authority,
            _upstream: upstream,
            node,
            left_out,
        }
    }

    /// The totals of the ledger by list and surface, as the API gives them.
    fn totals(&self) -> BTreeMap<(String, String), u64> {
        let response = self.node.report("/api/v1/hits?by=list&per=day");
        assert_eq!(response.status, 200, "{}", response.body);
        let body: Value = serde_json::from_str(&response.body).unwrap();
        let mut totals = BTreeMap::new();
        for row in body["rows"].as_array().unwrap_or_else(|| panic!("{body}")) {
            let text = |key: &str| {
                row[key]
                    .as_str()
                    .unwrap_or_else(|| panic!("{row}"))
                    .to_owned()
            };
            *totals.entry((text("list"), text("surface"))).or_default() +=
                row["hits"].as_u64().unwrap();
        }
        totals
    }
}

/// The names in `  line 7: NAME is …`.
fn named_as_left_out(told: &str) -> BTreeSet<String> {
    told.lines()
        .filter_map(|line| line.trim().strip_prefix("line "))
        .filter_map(|line| line.split_once(": ")?.1.split_once(' '))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn lists(authority: &Authority) -> String {
    format!(
        r#"repositories:
  - name: hotline
    mirrors: ["{}"]
    trust: {}
    poll: 60s
lists:
  - name: domains
    from: {{ repository: hotline, list: domains }}
    ede: censored
    required: true
  - name: urls
    from: {{ repository: hotline, list: urls }}
    required: true"#,
        authority.mirror(),
        authority.root().display()
    )
}

/// Enforces both lists against every row of theirs and much else, and holds the ledger
/// equal to what was sent.
fn enforce_everything(plant: &mut Plant, domains: &[String], urls: &[String]) {
    let node = &mut plant.node;
    node.start();

    // 1. Every domain of the first list is blocked over DNS but what its publisher left out.
    let mut open = BTreeSet::new();
    let mut blocked = 0_u64;
    let mut sent = client::ask_all(
        node.dns,
        domains.iter().map(String::as_str),
        |name, answer| {
            if answer.address == STOP {
                blocked += 1;
            } else {
                open.insert(name.to_owned());
            }
        },
    );
    assert_eq!(open, plant.left_out);
    assert!(open.len() < 20, "{open:?}");
    sent -= open.len() as u64;

    // 2. Ten thousand other names pass.
    let others: Vec<String> = (0..10_000)
        .map(|number| format!("n{number}.passes.test"))
        .collect();
    client::ask_all(
        node.dns,
        others.iter().map(String::as_str),
        |name, answer| {
            assert_eq!(
                answer,
                Answer {
                    rcode: 0,
                    address: Some(Ipv4Addr::LOCALHOST)
                },
                "{name}"
            );
        },
    );

    // 3. Every http URL of the second list is blocked over the forward proxy, and other paths
    // on hosts that the first list does not cover pass.
    let listed: BTreeSet<&str> = domains.iter().map(String::as_str).collect();
    let covered = |host: &str| {
        host.match_indices('.')
            .any(|(at, _)| listed.contains(&host[at + 1..]))
            || listed.contains(host)
    };
    let mut connection = Connection::new(node.forward);
    let mut tried = BTreeSet::new();
    let (mut by_urls, mut by_domains, mut passed, mut unread) = (0_u64, 0_u64, 0_u64, Vec::new());
    for url in urls {
        let Ok(canonical) = CanonicalUrl::parse(url) else {
            unread.push(url);
            continue;
        };
        let authority = canonical.authority();
        // A request carries what a browser would send: no fragment, no space.
        let sent = url.split('#').next().unwrap().replace(' ', "%20");
        let target = if sent.bytes().all(|octet| octet.is_ascii_graphic()) && !sent.contains('@') {
            sent
        } else {
            canonical.to_string()
        };
        let response = connection.get(&target, authority);
        assert_eq!(response.status, 451, "{url}\n{}", response.head);
        let Host::Name(host) = canonical.host() else {
            by_urls += 1;
            continue;
        };
        if covered(host) {
            by_domains += 1;
        } else {
            by_urls += 1;
            // The origin answers on the usual port alone; a host is tried once.
            if !authority.contains(':') && tried.insert(authority.to_owned()) {
                let response =
                    connection.get(&format!("http://{authority}/cordon-passes"), authority);
                assert_eq!(
                    response.status, 200,
                    "another path on {host}\n{}",
                    response.head
                );
                assert_eq!(response.body, origin::BODY);
                passed += 1;
            }
        }
    }
    println!(
        "{} domains blocked ({} left out by the publisher), {by_urls} URLs blocked by the second list, {by_domains} by the first, {passed} other paths passed, {} rows are no http URL",
        blocked,
        open.len(),
        unread.len()
    );
    assert!(unread.len() < 20, "{unread:?}");

    // 4. The ledger's totals equal what was sent.
    let totals = plant.totals();
    let total = |list: &str, surface: &str| {
        totals
            .get(&(list.to_owned(), surface.to_owned()))
            .copied()
            .unwrap_or_default()
    };
    assert_eq!(total("domains", "dns"), sent);
    assert_eq!(total("domains", "http"), by_domains);
    assert_eq!(total("urls", "http"), by_urls);
    let (seconds, mebibytes) = plant.node.cost();
    println!("the node used {seconds} s of CPU and {mebibytes} MiB");
    plant.node.stop();
}

fn rows(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn real_lists_are_enforced_exactly() {
    if !network::is_own("main_job::real_lists_are_enforced_exactly") {
        return;
    }
    let Some(folder) = real_lists() else {
        println!("NOT RUN: the real lists are not at ../shared/data/lists");
        return;
    };
    let (domains, urls) = (
        folder.join("phishing-domains.txt"),
        folder.join("phishing-urls.txt"),
    );
    origin::start(80);
    let mut plant = Plant::new(&domains, &urls);
    enforce_everything(&mut plant, &rows(&domains), &rows(&urls));
}

#[test]
fn a_list_of_our_own_is_enforced_exactly() {
    if !network::is_own("main_job::a_list_of_our_own_is_enforced_exactly") {
        return;
    }
    origin::start(80);
    let folder = tempfile::tempdir().unwrap();
    let (domains, urls) = (folder.path().join("domains"), folder.path().join("urls"));
    let listed: Vec<String> = (0..2_000)
        .map(|number| format!("d{number}.listed.test"))
        // A public suffix is left out by the publisher already, so that no node has it.
        .chain(["co.uk".to_owned()])
        .collect();
    fs::write(&domains, listed.join("\n")).unwrap();
    let urls_listed: Vec<String> = (0..500)
        .map(|number| match number % 5 {
            0 => format!("http://u{number}.shared.test"),
            1 => format!("http://u{number}.shared.test/a/b.html?q={number}&x=%2F"),
            2 => format!("http://198.51.100.{}/panel", number % 250),
            3 => format!("http://www.d{number}.listed.test/x"),
            _ => format!("ftp://u{number}.shared.test/x"),
        })
        .filter(|url| !url.starts_with("ftp") || url.contains("u4."))
        .collect();
    fs::write(&urls, urls_listed.join("\n")).unwrap();
    let mut plant = Plant::new(&domains, &urls);
    enforce_everything(&mut plant, &listed, &urls_listed);
}

/// Asks 2,000 questions a second until told to stop: half of them listed in every version.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
    blocked: Arc<AtomicU64>,
    wrong: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(server: SocketAddr) -> Self {
        let load = Self {
            stop: Arc::default(),
            sent: Arc::default(),
            answered: Arc::default(),
            blocked: Arc::default(),
            wrong: Arc::default(),
            threads: Vec::new(),
        };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let sends = socket.try_clone().unwrap();
        let (stop, sent) = (load.stop.clone(), load.sent.clone());
        let sender = thread::spawn(move || {
            let begin = Instant::now();
            let mut number = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                // An open loop: the rate does not follow the answers.
                let due = (begin.elapsed().as_secs_f64() * 2_000.0) as u32;
                while number < due {
                    let name = if number.is_multiple_of(2) {
                        "always.listed.test"
                    } else {
                        "never.listed.example"
                    };
                    if sends
                        .send(&client::query((number % 60_000) as u16, name))
                        .is_ok()
                    {
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                    number += 1;
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        let (stop, answered, blocked, wrong) = (
            load.stop.clone(),
            load.answered.clone(),
            load.blocked.clone(),
            load.wrong.clone(),
        );
        let receiver = thread::spawn(move || {
            let mut buffer = [0; 1500];
            let mut quiet_since_stop = 0;
            while quiet_since_stop < 4 {
                match socket.recv(&mut buffer) {
                    Ok(length) => {
                        let (id, answer) = client::read(&buffer[..length]);
                        let listed = id % 2 == 0;
                        let right = if listed {
                            STOP
                        } else {
                            Some(Ipv4Addr::LOCALHOST)
                        };
                        answered.fetch_add(1, Ordering::Relaxed);
                        blocked.fetch_add(u64::from(listed), Ordering::Relaxed);
                        wrong.fetch_add(u64::from(answer.address != right), Ordering::Relaxed);
                    }
                    Err(_) => quiet_since_stop += i32::from(stop.load(Ordering::Relaxed)),
                }
            }
        });
        Self {
            threads: vec![sender, receiver],
            ..load
        }
    }

    fn finish(self) -> (u64, u64, u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (
            value(&self.sent),
            value(&self.answered),
            value(&self.blocked),
            value(&self.wrong),
        )
    }
}

fn small_plant() -> Plant {
    let folder = tempfile::tempdir().unwrap();
    let (domains, urls) = (folder.path().join("domains"), folder.path().join("urls"));
    fs::write(&domains, "always.listed.test\n").unwrap();
    fs::write(&urls, "http://shared.test/x\n").unwrap();
    Plant::new(&domains, &urls)
}

#[test]
fn ten_swaps_under_load_lose_no_query_and_no_answer_is_wrong() {
    let mut plant = small_plant();
    plant.node.start();
    let load = Load::start(plant.node.dns);
    for version in 0..10 {
        let new = format!("v{version}.listed.test");
        plant.authority.publish_rows(
            "domains",
            &["always.listed.test".to_owned(), new.clone()],
            "domains",
            Some("subtree"),
        );
        let begin = Instant::now();
        plant.node.command(&["update"]);
        until(
            "the new version is in force",
            Duration::from_secs(20),
            || client::ask(plant.node.dns, &new).address == STOP,
        );
        println!("in force {:?} after the poll", begin.elapsed());
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "{:?}",
            begin.elapsed()
        );
    }
    let (sent, answered, _, wrong) = load.finish();
    println!("{sent} queries, {answered} answers, {wrong} wrong");
    assert_eq!((answered, wrong), (sent, 0));
    let old = client::ask(plant.node.dns, "v0.listed.test");
    assert_eq!(
        old.address,
        Some(Ipv4Addr::LOCALHOST),
        "what is no longer listed passes"
    );
    plant.node.stop();
}

#[test]
fn a_kill_loses_no_counted_hit() {
    let mut plant = small_plant();
    plant.node.start();
    let load = Load::start(plant.node.dns);
    thread::sleep(Duration::from_secs(3));
    plant.node.kill();
    let (sent, _, blocked, _) = load.finish();
    assert!(blocked > 2_000, "{blocked} of {sent}");
    plant.node.start();
    let counted = plant.totals()[&("domains".to_owned(), "dns".to_owned())];
    println!("{blocked} blocked answers arrived, {counted} hits are counted");
    // Counted before it is answered: never less; what was in flight at the kill is at most a
    // batch of each thread and what the sockets held.
    assert!(
        counted >= blocked && counted <= blocked + 64 * 2,
        "{counted} counted, {blocked} answered"
    );
    plant.node.stop();
}

#[test]
fn a_node_starts_from_disk_before_it_asks_the_network() {
    let mut plant = small_plant();
    plant.node.start();
    plant.node.stop();
    fs::rename(plant.authority.folder(), plant.node.folder().join("gone")).unwrap();
    plant.node.start();
    assert_eq!(
        client::ask(plant.node.dns, "always.listed.test").address,
        STOP
    );
    until(
        "the missing mirror is told",
        Duration::from_secs(20),
        || plant.node.command(&["status"]).contains("hotline"),
    );
    plant.node.stop();
}

#[test]
fn a_wrong_configuration_keeps_the_old_one_and_says_every_mistake() {
    let mut plant = small_plant();
    plant.node.start();
    let good = fs::read_to_string(plant.node.configuration()).unwrap();
    plant
        .node
        .write_configuration(&good.replace("required: true", "requird: true\n    mode: sometimes"));
    let failed = crate::harness::run(
        crate::harness::cordon()
            .args(["reload", "--config"])
            .arg(plant.node.configuration()),
    );
    assert_eq!(failed.status.code(), Some(78));
    let text = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(
        text.contains("requird") && text.contains("required") && text.contains("sometimes"),
        "{text}"
    );
    assert_eq!(
        client::ask(plant.node.dns, "always.listed.test").address,
        STOP
    );
    // A right one is taken without a word, once its file is there.
    let changed = good.replace(
        "stop_page: { ipv4: 192.0.2.80 }",
        "stop_page: { ipv4: 192.0.2.81 }",
    );
    plant.node.write_configuration(&changed);
    until("the changed file is taken", Duration::from_secs(20), || {
        client::ask(plant.node.dns, "always.listed.test").address
            == Some(Ipv4Addr::new(192, 0, 2, 81))
    });
    plant.node.write_configuration(&good);
    plant.node.signal("-HUP");
    until("SIGHUP is heard", Duration::from_secs(20), || {
        client::ask(plant.node.dns, "always.listed.test").address == STOP
    });
    plant.node.stop();
}

#[test]
fn a_changed_local_list_is_taken_at_once() {
    let upstream = Upstream::start();
    let mut node = Node::new("", upstream.address);
    let file = node.folder().join("house.txt");
    fs::write(&file, "one.test\n").unwrap();
    let lists = format!(
        "lists:\n  - name: house\n    from: {{ file: {}, format: domains, match: exact }}\n    unsigned: true\n    required: true",
        file.display()
    );
    node.configure(&lists, upstream.address);
    node.start();
    assert_eq!(client::ask(node.dns, "one.test").address, STOP);
    assert_ne!(client::ask(node.dns, "two.test").address, STOP);
    fs::write(&file, "two.test\nnot a name\n").unwrap();
    until(
        "the new row is blocked, cached answer or not",
        Duration::from_secs(20),
        || client::ask(node.dns, "two.test").address == STOP,
    );
    assert_ne!(client::ask(node.dns, "one.test").address, STOP);
    let status: Value = serde_json::from_str(&node.command(&["status", "--json"])).unwrap();
    assert!(status.to_string().contains("house"), "{status}");
    node.stop();
}

#[test]
fn a_slip_of_the_pen_in_trust_or_name_drops_no_list() {
    let mut plant = small_plant();
    plant.node.start();
    let good = fs::read_to_string(plant.node.configuration()).unwrap();
    let stranger = Authority::new();
    let own = plant.authority.root().display().to_string();
    for (slip, says) in [
        (
            good.replace(&own, &stranger.root().display().to_string()),
            "no version of it verifies",
        ),
        (
            good.replace("list: domains }", "list: domians }"),
            "no version of it verifies as list domians",
        ),
        (
            good.replace("poll: 60s", "poll: 60s\n    min_root_threshold: 2"),
            "threshold",
        ),
    ] {
        assert_ne!(slip, good);
        plant.node.write_configuration(&slip);
        let reload = crate::harness::run(
            crate::harness::cordon()
                .args(["reload", "--config"])
                .arg(plant.node.configuration()),
        );
        let text = String::from_utf8_lossy(&reload.stderr).into_owned();
        assert!(!reload.status.success() && text.contains(says), "{text}");
        assert_eq!(
            client::ask(plant.node.dns, "always.listed.test").address,
            STOP,
            "{says}"
        );
    }
    plant.node.write_configuration(&good);
    plant.node.command(&["reload"]);
    assert!(plant.node.command(&["status"]).contains("one key decides"));
    plant.node.stop();
}
