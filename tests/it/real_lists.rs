//! Policy zones end to end: a real one beside a real list, right under reloads of each; and one
//! with every trigger, signed and carried to a node.

use std::collections::HashSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::harness::authority::Authority;
use crate::harness::client::{self, Answer, ask, until};
use crate::harness::node::Node;
use crate::harness::real_lists;
use crate::harness::upstream::Upstream;

/// What a zone of exact rules and wildcards says, as RFC 4592 has it.
#[derive(Default)]
struct Zone {
    exact: HashSet<String>,
    wildcards: HashSet<String>,
    /// Every name of the zone, and those above them.
    names: HashSet<String>,
}

impl Zone {
    /// The zone of these names, of which every third is a wildcard, too.
    fn of(names: &[String]) -> Self {
        let mut zone = Self::default();
        for (number, name) in names.iter().enumerate() {
            zone.exact.insert(name.clone());
            if number % 3 == 0 {
                zone.wildcards.insert(name.clone());
            }
            zone.names.extend(and_parents(name).map(str::to_owned));
        }
        zone
    }

    fn covers(&self, name: &str) -> bool {
        if self.names.contains(name) {
            return self.exact.contains(name);
        }
        let encloser = and_parents(name).find(|parent| self.names.contains(*parent));
        encloser.is_some_and(|parent| self.wildcards.contains(parent))
    }

    fn text(&self, names: &[String], comment: usize) -> String {
        let mut text = format!("; {comment}\n$TTL 3600\n@ SOA a. b. 1 2 3 4 5\n NS localhost.\n");
        for name in names {
            text += &format!("{name} CNAME .\n");
            if self.wildcards.contains(name) {
                text += &format!("*.{name} CNAME .\n");
            }
        }
        text
    }
}

fn and_parents(name: &str) -> impl Iterator<Item = &str> {
    let below = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
    std::iter::once(name).chain(below)
}

/// The names that a node leaves out of its lists, by the sentences that say so.
fn left_out(node: &Node) -> HashSet<String> {
    let lists: Value = serde_json::from_str(&node.report("/api/v1/lists").body).unwrap();
    let lists = lists["lists"].as_array().unwrap();
    let rejects = lists
        .iter()
        .flat_map(|list| list["rejects"].as_array().unwrap());
    rejects
        .map(|reject| {
            let reason = reject["reason"].as_str().unwrap();
            reason.split(' ').next().unwrap().to_owned()
        })
        .collect()
}

fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

/// How often each of the two is reloaded while names are asked for.
const RELOADS: usize = 2;

#[test]
fn a_real_zone_beside_a_real_list_is_right_for_every_rule_under_reloads() {
    let Some(lists) = real_lists() else {
        println!("NOT RUN: the real lists are not at ../shared/data/lists");
        return;
    };
    let trackers: Vec<String> = fs::read_to_string(lists.join("trackers.rpz"))
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_suffix(" IN CNAME ."))
        .map(str::to_ascii_lowercase)
        .collect();
    assert!(trackers.len() > 40_000, "{}", trackers.len());
    let phishing = fs::read_to_string(lists.join("phishing-domains.txt")).unwrap();
    let listed: HashSet<&str> = phishing.lines().map(str::trim).collect();
    let zone = Zone::of(&trackers);
    let folder = tempfile::tempdir().unwrap();
    let (zone_file, list_file) = (folder.path().join("zone"), folder.path().join("list"));
    replace(&zone_file, &zone.text(&trackers, 0));
    replace(&list_file, &phishing);
    let upstream = Upstream::start();
    let configuration = format!(
        "lists:
  - {{ name: trackers, from: {{ file: {}, format: rpz }}, unsigned: true }}
  - {{ name: phishing, from: {{ file: {}, format: domains, match: subtree }}, unsigned: true }}",
        zone_file.display(),
        list_file.display()
    );
    let mut node = Node::new(&configuration, upstream.address);
    node.start();
    let open = left_out(&node);
    assert!(open.len() < 30, "{open:?}");

    // Every rule, what is below it, and what is above it.
    let below = trackers.iter().map(|name| format!("w.{name}"));
    let above = trackers.iter().step_by(5);
    let above = above.filter_map(|name| Some(name.split_once('.')?.1.to_owned()));
    let names: Vec<String> = trackers.iter().cloned().chain(below).chain(above).collect();
    let expected = |name: &str| {
        // Special-use names are answered here and never asked of upstreams (RFC 7686).
        let (rcode, address) = if zone.covers(name) || name.ends_with(".onion") {
            (3, None)
        } else if and_parents(name).any(|parent| listed.contains(parent)) {
            (0, Some(Ipv4Addr::new(192, 0, 2, 80)))
        } else {
            (0, Some(Ipv4Addr::LOCALHOST))
        };
        Answer { rcode, address }
    };
    let is_done = AtomicBool::new(false);
    let mut wrong = Vec::new();
    let serial = |node: &Node| {
        let status: Value = serde_json::from_str(&node.command(&["status", "--json"])).unwrap();
        status["edition"].as_u64().unwrap()
    };
    let mut asked = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=RELOADS {
                for (file, text) in [
                    (&zone_file, zone.text(&trackers, round)),
                    (&list_file, format!("# {round}\n{phishing}")),
                ] {
                    let before = serial(&node);
                    replace(file, &text);
                    until("a reload", Duration::from_secs(60), || {
                        serial(&node) > before
                    });
                }
            }
            is_done.store(true, Ordering::Release);
        });
        // As long as lists are reloaded, and each name once at least.
        while asked == 0 || !is_done.load(Ordering::Acquire) {
            client::ask_all(
                node.dns,
                names.iter().map(String::as_str),
                |name, answer| {
                    asked += 1;
                    let is_open = and_parents(name).any(|parent| open.contains(parent));
                    if answer != expected(name) && !is_open {
                        wrong.push((name.to_owned(), answer));
                    }
                },
            );
        }
    });
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:.500?}",
        wrong.len(),
        names.len()
    );
    println!(
        "{} names, {asked} answers over {RELOADS} reloads of each, left out: {open:?}",
        names.len()
    );
    node.stop();
}

#[test]
fn a_zone_with_every_trigger_is_signed_carried_and_enforced() {
    let authority = Authority::new();
    authority.delegate("zone");
    let rows = [
        "$TTL 300",
        "@ SOA a. b. 1 2 3 4 5",
        " NS localhost.",
        "bad.test CNAME .",
        "*.bad.test CNAME .",
        "data.test A 192.0.2.7",
        "alias.test CNAME garden.test.",
        "good.bad.test CNAME rpz-passthru.",
        "32.9.113.0.203.rpz-ip CNAME .",
        "24.0.113.0.203.rpz-client-ip CNAME rpz-drop.",
        "ns.evil.test.rpz-nsdname CNAME .",
        "8.0.0.0.11.rpz-nsip CNAME .",
        "odd.test CNAME rpz-foo.",
    ];
    let rows = rows.map(str::to_owned);
    let said = authority.publish_rows("zone", &rows, "rpz", None);
    assert!(said.contains("line 13: `CNAME rpz-foo.`"), "{said}");
    let configuration = |kinds: &str| {
        format!(
            "repositories:
  - {{ name: hotline, mirrors: [\"{}\"], trust: {}, poll: 60s }}
lists:
  - {{ name: zone, from: {{ repository: hotline, list: zone }}, kinds: [{kinds}] }}",
            authority.mirror(),
            authority.root().display()
        )
    };
    let upstream = Upstream::start();
    let mut node = Node::new(&configuration("domain, ip, client"), upstream.address);
    node.start();
    let list = |node: &Node| {
        let lists: Value = serde_json::from_str(&node.report("/api/v1/lists").body).unwrap();
        lists["lists"][0].clone()
    };
    let found = list(&node);
    let entries = serde_json::json!({"client": 1, "domain": 5, "exception": 1, "ip": 2});
    assert_eq!(
        (&found["entries"], &found["quarantined"]),
        (&entries, &0.into()),
        "{found}"
    );
    assert_eq!(
        found["inactive_rules"],
        serde_json::json!({"nsdname": 1, "nsip": 1})
    );
    let answer = |rcode, address: Option<&str>| Answer {
        rcode,
        address: address.map(|address| address.parse().unwrap()),
    };
    assert_eq!(ask(node.dns, "bad.test"), answer(3, None));
    assert_eq!(ask(node.dns, "www.bad.test"), answer(3, None));
    assert_eq!(ask(node.dns, "good.bad.test"), answer(0, Some("127.0.0.1")));
    assert_eq!(ask(node.dns, "data.test"), answer(0, Some("192.0.2.7")));
    assert_eq!(ask(node.dns, "other.test"), answer(0, Some("127.0.0.1")));
    node.stop();
    // What `kinds` does not have is left out by its trigger, each with its line.
    let mut node = Node::new(&configuration("domain"), upstream.address);
    node.start();
    let found = list(&node);
    let entries = serde_json::json!({"domain": 5, "exception": 1});
    assert_eq!(
        (&found["entries"], &found["quarantined"]),
        (&entries, &3.into()),
        "{found}"
    );
    node.stop();
}
