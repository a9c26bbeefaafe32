//! The node asks itself: what an operator sees when all is well, and what becomes of a list
//! that breaks what must work.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::authority::Authority;
use crate::harness::client::{self, until};
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;
use crate::harness::{cordon, run};

const STOP: Option<Ipv4Addr> = Some(Ipv4Addr::new(192, 0, 2, 80));
const PASSED: Option<Ipv4Addr> = Some(Ipv4Addr::LOCALHOST);
const ANNA: [&str; 4] = ["--by", "Anna", "--reason", "checked by phone"];
const PATIENCE: Duration = Duration::from_secs(30);

/// An authority with the list `orders`, and a node that takes it.
struct Plant {
    authority: Authority,
    upstream: Upstream,
    node: Node,
}

impl Plant {
    /// `list` is added to the list's settings, `more` to the configuration.
    fn new(list: &str, more: &str) -> Self {
        let authority = Authority::new();
        authority.delegate("orders");
        let upstream = Upstream::start();
        let mut plant = Self {
            node: Node::new("", upstream.address),
            authority,
            upstream,
        };
        plant.publish(&["listed.test"]);
        plant.configure(list, more);
        plant
    }

    fn configure(&mut self, list: &str, more: &str) {
        let lists = format!(
            "repositories:\n  - name: hotline\n    mirrors: [\"{}\"]\n    trust: {}\n    poll: 1h\n{more}lists:\n  - name: csam\n    from: {{ repository: hotline, list: orders }}\n    required: true\n    ede: censored\n{list}",
            self.authority.mirror(),
            self.authority.root().display()
        );
        self.node.configure(&lists, self.upstream.address);
    }

    fn publish(&self, names: &[&str]) {
        let rows: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.authority
            .publish_rows("orders", &rows, "domains", Some("subtree"));
    }

    /// The self-test of the edition in force; null before there is one.
    fn self_test(&self) -> Value {
        let status = self.node.command(&["status", "--json"]);
        let mut status: Value = serde_json::from_str(&status).unwrap();
        let is_current = status["self_test"]["edition"] == status["edition"];
        if is_current {
            status["self_test"].take()
        } else {
            Value::Null
        }
    }

    /// Waits for a self-test of which this holds, and returns it.
    #[track_caller]
    fn tested(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        until(what, PATIENCE, || {
            last = self.self_test();
            is_so(&last)
        });
        last
    }

    fn asked(&self, name: &str) -> Option<Ipv4Addr> {
        client::ask(self.node.dns, name).address
    }

    /// How a list stands.
    fn list(&self, name: &str) -> Value {
        let status = self.node.command(&["status", "--json"]);
        let status: Value = serde_json::from_str(&status).unwrap();
        let mut lists = status["lists"].as_array().unwrap().iter();
        lists.find(|list| list["name"] == name).unwrap().clone()
    }

    /// The serial of the list `first` that is in force, and the one that is held.
    fn serials(&self) -> [Option<u64>; 2] {
        let list = self.list("first");
        [&list["serial"], &list["held"]["serial"]].map(Value::as_u64)
    }

    /// Publishes the list `first`, which the node asks before the other.
    fn publish_first(&self, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.authority.publish_unguarded("first", &names);
    }

    /// A node with the list `first` before the other.
    fn with_first(more: &str) -> Self {
        let mut plant = Self::new("", more);
        plant.authority.delegate("first");
        plant.publish_first(&["one.test"]);
        plant.put_before(
            "  - { name: first, from: { repository: hotline, list: first }, required: true }\n",
        );
        plant.node.start();
        plant.tested("the first self-test", passed);
        plant
    }

    /// Puts a list before the others of the configuration.
    fn put_before(&self, list: &str) {
        let text = fs::read_to_string(self.node.configuration()).unwrap();
        let text = text.replace("lists:\n", &format!("lists:\n{list}"));
        self.node.write_configuration(&text);
    }
}

fn passed(test: &Value) -> bool {
    test["passed"] == true
}

fn failed(test: &Value) -> bool {
    test["passed"] == false
}

#[test]
fn a_node_that_does_its_work_says_so_everywhere_and_counts_nothing() {
    let more = "self_test: { interval: 1s, must_work: [works.test] }\nprotect: { names: [bank.example] }\n";
    let mut plant = Plant::new("", more);
    plant.node.start();
    let test = plant.tested("the first self-test", passed);
    for probe in [
        "dns_block",
        "http_block",
        "proxy_block",
        "decided_pass",
        "dns_pass",
        "upstream",
    ] {
        assert_eq!(test["probes"][probe], true, "{test}");
    }
    // Two names over UDP and TCP, to the stop page and the proxy; two types of one name.
    assert_eq!(test["asked"], 10, "{test}");
    assert!(
        plant
            .node
            .command(&["status"])
            .contains("self-test: passed ")
    );
    let api: Value = serde_json::from_str(&plant.node.report("/api/v1/summary").body).unwrap();
    assert_eq!(api["self_test"]["passed"], true, "{api}");
    let metrics = plant.node.report("/metrics").body;
    for line in [
        r#"cordon_self_test{probe="dns_block"} 1"#,
        r#"cordon_self_test{probe="upstream"} 1"#,
        r#"cordon_self_test_requests_total{surface="dns"}"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let page = plant.node.report("/").body;
    assert!(page.contains(r#"class="badge good">Passed"#), "{page}");
    plant.tested("a second one", |again| {
        passed(again) && again["at"] != test["at"]
    });
    let hits: Value =
        serde_json::from_str(&plant.node.report("/api/v1/hits?by=list&per=day").body).unwrap();
    assert_eq!(hits["rows"], Value::Array(Vec::new()), "{hits}");
    plant.node.stop();
}

#[test]
fn lists_that_do_not_block_are_not_asked_and_said_to_be_left_out() {
    for (list, why) in [
        ("    mode: monitor\n", "it only watches"),
        ("    override: disabled\n", "`override` switches it off"),
        (
            "    override: passthru\n",
            "`override` lets its entries pass",
        ),
        (
            "    clients: [192.0.2.0/24]\n",
            "it is for other clients than this node",
        ),
    ] {
        let mut plant = Plant::new(list, "");
        plant.node.start();
        let test = plant.tested("the self-test", passed);
        assert_eq!(test["untested"]["csam"], why, "{test}");
        assert_eq!(test["asked"], 0, "{test}");
        plant.node.stop();
    }
}

#[test]
fn every_action_of_a_list_is_what_the_self_test_expects() {
    for action in [
        "nxdomain",
        "nodata",
        "refused",
        "drop",
        "tcp_only",
        "{ cname: garden.test }",
        "{ cname: \"*.garden.test\" }\n    clients: [127.0.0.0/8]",
        "nxdomain\n    qname_wait_recurse: true\n    recursive_only: true\n    break_dnssec: false",
    ] {
        let mut plant = Plant::new(&format!("    override: {action}\n"), "");
        plant.node.start();
        let test = plant.tested("the self-test", |test| !test.is_null());
        assert!(passed(&test), "{action}: {test}");
        assert_eq!(test["probes"]["dns_block"], true, "{test}");
        plant.node.stop();
    }
}

/// Blocks the test entry of the other list by an entry of its own.
const BAD: &str = "orders.canary.invalid";

#[test]
fn what_must_work_is_blocked_by_no_list_and_customers_below_it_are() {
    let more = "self_test: { must_work: [www.works.test] }\n";
    let mut plant = Plant::new("", more);
    plant.node.start();
    plant.tested("the first self-test", passed);
    plant.publish(&[
        "listed.test",
        "works.test",
        "www.works.test",
        "a.isp.example",
    ]);
    plant.node.command(&["update"]);
    assert_eq!(plant.list("csam")["serial"], 2);
    assert_eq!(
        plant.list("csam")["quarantined"],
        1,
        "{}",
        plant.list("csam")
    );
    assert_eq!(plant.asked("www.works.test"), PASSED);
    assert_eq!(plant.asked("works.test"), STOP);
    assert_eq!(plant.asked("customer.www.works.test"), STOP);
    assert_eq!(plant.asked("isp.example"), PASSED, "the operator's own");
    assert_eq!(plant.asked("a.isp.example"), STOP, "a customer's page");
    plant.tested("all is well", passed);
    plant.node.stop();
}

#[test]
fn a_version_that_fails_is_taken_back_and_held_until_a_better_one_comes() {
    let mut plant = Plant::with_first("");
    plant.publish_first(&["one.test", "two.test", BAD]);
    let said = plant.node.refused(&["update", "first"]);
    for part in [
        "serial 1 in force",
        "serial 2 failed the self-test and is held",
        "The test entry orders.canary.invalid of list csam is not blocked",
        "cordon hold",
    ] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
    let stands = |plant: &Plant| {
        assert_eq!(plant.serials(), [Some(1), Some(2)]);
        assert_eq!(plant.asked("two.test"), PASSED, "all of it is taken back");
        assert_eq!(plant.asked("one.test"), STOP, "the old version blocks");
    };
    stands(&plant);
    assert!(passed(&plant.self_test()), "{}", plant.self_test());
    let held = plant.list("first")["held"].clone();
    assert_eq!(held["added"], 2, "{held}");
    let said = plant.node.command(&["hold"]);
    for part in [
        "serial 2 is held",
        "serial 1 stays in force",
        "self_test: once it was in force the self-test failed",
        "hold accept first 2",
    ] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
    let metrics = plant.node.report("/metrics").body;
    for line in [
        r#"cordon_list_held{list="first"} 1"#,
        r#"cordon_guard_events_total{list="first"} 1"#,
        r#"cordon_alarm{alarm="self_test",severity="alarm"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }

    // Neither a restart nor asking again lets it in.
    plant.node.stop();
    plant.node.start();
    stands(&plant);
    plant.node.command(&["update", "first"]);
    stands(&plant);

    // Another bad one takes its place, a good one ends it.
    plant.publish_first(&["one.test", "three.test", BAD]);
    plant.node.refused(&["update"]);
    assert_eq!(plant.serials(), [Some(1), Some(3)]);
    let reject = [&["hold", "reject", "first", "3"][..], &ANNA].concat();
    plant.node.command(&reject);
    assert_eq!(plant.serials(), [Some(1), None]);
    plant.publish_first(&["one.test", "two.test"]);
    plant.node.command(&["update"]);
    assert_eq!(plant.serials(), [Some(4), None]);
    assert_eq!(plant.asked("two.test"), STOP);
    plant.tested("all is well", passed);
    plant.node.stop();
}

#[test]
fn who_accepts_a_version_that_fails_has_an_alarm_and_keeps_it() {
    let mut plant = Plant::with_first("self_test: { interval: 1s }\n");
    plant.publish_first(&["one.test", "two.test", BAD]);
    plant.node.refused(&["update"]);
    let accept = [&["hold", "accept", "first", "2"][..], &ANNA].concat();
    plant.node.command(&accept);
    assert_eq!(plant.asked("two.test"), STOP);
    let test = plant.tested("the alarm", failed);
    assert_eq!(test["failures"][0]["list"], "csam", "{test}");
    let text = plant.node.command(&["status"]);
    for part in [
        "DEGRADED",
        "ALARM (self_test)",
        "SELF-TEST FAILED",
        "orders.canary.invalid of list csam is not blocked",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    let metrics = plant.node.report("/metrics").body;
    for line in [
        r#"cordon_self_test{probe="dns_block"} 0"#,
        r#"cordon_alarm{alarm="self_test",severity="alarm"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let page = plant.node.report("/").body;
    assert!(
        page.contains("needs attention") && page.contains(r#"class="badge missing">Failed"#),
        "{page}"
    );
    // What was accepted is in force after a restart, the alarm stands, and updates go on.
    plant.node.stop();
    plant.node.start();
    assert_eq!(plant.serials(), [Some(2), None]);
    let test = plant.tested("the alarm after a restart", failed);
    let since = test["failures"][0]["since"].clone();
    plant.publish_first(&["one.test", "two.test", "three.test", BAD]);
    plant.node.command(&["update"]);
    assert_eq!(plant.serials(), [Some(3), None], "it was so before");
    let test = plant.tested("the alarm goes on", failed);
    assert_eq!(test["failures"][0]["since"], since, "{test}");
    plant.publish_first(&["one.test"]);
    plant.node.command(&["update"]);
    plant.tested("the alarm ends", passed);
    let text = plant.node.command(&["status"]);
    assert!(!text.contains("ALARM"), "{text}");
    let audit = plant.node.command(&["status", "--verify-audit"]);
    assert!(audit.contains("whole"), "{audit}");
    plant.node.stop();
}

#[test]
fn what_a_lever_brings_about_is_tested_and_not_taken_back() {
    let mut plant = Plant::with_first("");
    let number = |plant: &Plant| plant.self_test()["edition"].as_u64();
    let before = number(&plant);
    let allow = ["allow", "one.test", "--for", "1h"];
    plant.node.command(&[&allow[..], &ANNA].concat());
    let test = plant.tested("a test of the allowed name", passed);
    assert!(test["edition"].as_u64() > before, "{test}");
    assert_eq!(plant.asked("one.test"), PASSED);
    // Who lets test entries pass has an alarm.
    let allow = ["allow", "canary.invalid", "--for", "1h"];
    plant.node.command(&[&allow[..], &ANNA].concat());
    plant.tested("the alarm", failed);
    assert_eq!(plant.serials(), [Some(1), None]);
    plant.publish_first(&["one.test", "two.test"]);
    plant.node.command(&["update"]);
    assert_eq!(plant.serials(), [Some(2), None], "updates go on");
    plant
        .node
        .command(&[&["allow", "canary.invalid", "--end"][..], &ANNA].concat());
    plant.tested("the alarm ends", passed);
    plant.node.stop();
}

#[test]
fn a_list_that_a_configuration_brings_and_that_fails_is_held_and_said() {
    let mut plant = Plant::new("", "");
    plant.node.start();
    plant.tested("the first self-test", passed);
    let file = plant.node.folder().join("house.txt");
    fs::write(&file, format!("house.test\n{BAD}\n")).unwrap();
    plant.put_before(&format!(
        "  - name: house\n    from: {{ file: {}, format: domains, match: subtree }}\n    unsigned: true\n",
        file.display()
    ));
    // The node may have seen the file by itself before it is told.
    plant.node.command(&["reload"]);
    until("the list is held", PATIENCE, || {
        plant.node.command(&["hold"]).contains("self_test")
    });
    assert_eq!(plant.asked("house.test"), PASSED);
    assert_eq!(plant.asked("listed.test"), STOP);
    plant.tested("all is well", passed);
    fs::write(&file, "house.test\n").unwrap();
    plant.node.command(&["reload"]);
    assert_eq!(plant.asked("house.test"), STOP);
    plant.node.stop();
}

#[test]
fn a_local_list_that_lets_test_entries_pass_goes_back_to_its_last_text() {
    let mut plant = Plant::new("", "");
    let file = plant.node.folder().join("house.rpz");
    let good = "@ SOA . . 1 1 1 1 1\nhouse.test CNAME .\n";
    fs::write(&file, good).unwrap();
    let list = |place: &str| {
        format!(
            "  - name: house\n    from: {{ file: {}, format: rpz }}\n    unsigned: true\n    passthru: all\n{place}",
            file.display()
        )
    };
    // The house's rules come first.
    plant.put_before(&list(""));
    plant.node.start();
    plant.tested("the first self-test", passed);
    fs::write(
        &file,
        format!("{good}*.canary.invalid CNAME rpz-passthru.\nmore.test CNAME .\n"),
    )
    .unwrap();
    until("the local list is taken back", PATIENCE, || {
        plant.node.command(&["status"]).contains("HELD")
    });
    let status = plant.node.command(&["status"]);
    for part in ["the self-test failed", "orders.canary.invalid"] {
        assert!(status.contains(part), "{part} is missing: {status}");
    }
    assert_eq!(
        plant.asked("house.test"),
        client_nxdomain(&plant, "house.test")
    );
    assert_eq!(plant.asked("more.test"), PASSED);
    plant.tested("all is well again", passed);
    fs::write(&file, format!("{good}more.test CNAME .\n")).unwrap();
    until("the mended list is taken", PATIENCE, || {
        client::ask(plant.node.dns, "more.test").rcode == 3
    });
    until("and nothing is said of it any more", PATIENCE, || {
        !plant.node.command(&["status"]).contains("HELD")
    });
    plant.node.stop();
}

/// What a name that does not exist has: no address.
#[track_caller]
fn client_nxdomain(plant: &Plant, name: &str) -> Option<Ipv4Addr> {
    let answer = client::ask(plant.node.dns, name);
    assert_eq!(answer.rcode, 3, "{name}");
    answer.address
}

#[test]
fn an_upstream_that_knows_nothing_is_an_alarm_of_its_own_and_no_reason_to_go_back() {
    // Nobody answers there.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut plant = Plant::new("", "self_test: { must_work: [works.test] }\n");
    let text = fs::read_to_string(plant.node.configuration()).unwrap();
    let text = text.replace(
        &plant.upstream.address.to_string(),
        &silent.local_addr().unwrap().to_string(),
    );
    plant.node.write_configuration(&text);
    plant.node.start();
    plant.publish(&["listed.test", "new.test"]);
    let said = plant.node.command(&["update"]);
    assert!(said.contains("serial 2 in force"), "{said}");
    let test = plant.tested("the alarm", failed);
    assert_eq!(test["probes"]["upstream"], false, "{test}");
    assert_eq!(test["probes"]["dns_pass"], true, "{test}");
    assert_eq!(test["probes"]["dns_block"], true, "{test}");
    // A test in the middle of waiting does not hold up the end.
    let update = std::thread::scope(|scope| {
        plant.publish(&["listed.test"]);
        let asked = scope.spawn(|| {
            run(cordon()
                .args(["update", "--config"])
                .arg(plant.node.configuration()))
        });
        std::thread::sleep(Duration::from_millis(700));
        let begin = Instant::now();
        plant.node.signal("-TERM");
        until("the node ends", Duration::from_secs(5), || {
            std::net::TcpStream::connect(plant.node.report).is_err()
        });
        let took = begin.elapsed();
        let _ = asked.join();
        took
    });
    assert!(update < Duration::from_secs(3), "{update:?}");
}

#[test]
fn a_node_that_none_of_its_own_addresses_may_ask_tests_what_it_decides() {
    let mut plant = Plant::new("", "self_test: { must_work: [works.test] }\n");
    let text = fs::read_to_string(plant.node.configuration()).unwrap();
    // Networks of documentation: no machine has an address there.
    let text = text
        .replace("  resolver:", "  clients: [203.0.113.0/24]\n  resolver:")
        .replace(
            "  forward: { listen:",
            "  forward: { clients: [203.0.113.0/24], listen:",
        );
    plant.node.write_configuration(&text);
    plant.node.start();
    let test = plant.tested("the self-test", |test| !test.is_null());
    assert!(passed(&test), "{test}");
    // The stop page alone can be asked.
    assert_eq!(test["asked"], 2, "{test}");
    assert_eq!(test["probes"]["dns_block"], true, "{test}");
    assert_eq!(test["probes"]["upstream"], Value::Null, "{test}");
    plant.node.stop();
}
