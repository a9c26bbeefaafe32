//! The emergency levers with the real program: rollback, allow, withdrawals from the authority,
//! entries that end by themselves, and the audit log of it all.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::authority::Authority;
use crate::harness::client::{self, until};
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;
use crate::harness::{must, run};

const STOP: Option<Ipv4Addr> = Some(Ipv4Addr::new(192, 0, 2, 80));
const ANNA: [&str; 4] = ["--by", "Anna", "--reason", "a court said so"];

struct Plant {
    authority: Authority,
    _upstream: Upstream,
    node: Node,
}

impl Plant {
    /// A signed list `a` with these names, and a local list `house` with `house.test`.
    fn new(names: &[&str], poll: &str) -> Self {
        let authority = Authority::new();
        authority.delegate("a");
        let rows: Vec<String> = names.iter().map(ToString::to_string).collect();
        authority.publish_unguarded("a", &rows);
        let upstream = Upstream::start();
        let mut node = Node::new("", upstream.address);
        let house = node.folder().join("house.txt");
        fs::write(&house, "house.test\n").unwrap();
        let lists = format!(
            "repositories:\n  - {{ name: hotline, mirrors: [\"{}\"], trust: {}, poll: {poll} }}\nlists:\n  - {{ name: a, from: {{ repository: hotline, list: a }} }}\n  - {{ name: house, from: {{ file: {}, format: domains, match: subtree }}, unsigned: true }}",
            authority.mirror(),
            authority.root().display(),
            house.display()
        );
        node.configure(&lists, upstream.address);
        node.start();
        Self {
            authority,
            _upstream: upstream,
            node,
        }
    }

    fn publish(&self, names: &[&str]) {
        let rows: Vec<String> = names.iter().map(ToString::to_string).collect();
        self.authority.publish_unguarded("a", &rows);
        self.node.command(&["update"]);
    }

    fn blocks(&self, name: &str) -> bool {
        client::ask(self.node.dns, name).address == STOP
    }

    fn list(&self, name: &str) -> Value {
        let status: Value =
            serde_json::from_str(&self.node.command(&["status", "--json"])).unwrap();
        let mut lists = status["lists"].as_array().unwrap().iter();
        lists.find(|list| list["name"] == name).unwrap().clone()
    }

    fn serial(&self) -> Option<u64> {
        self.list("a")["serial"].as_u64()
    }
}

#[test]
fn a_rollback_holds_until_a_serial_above_the_one_it_left() {
    let mut plant = Plant::new(&["one.test"], "1h");
    plant.publish(&["one.test", "two.test"]);
    plant.publish(&["one.test", "two.test", "three.test"]);
    assert!(plant.blocks("three.test"));
    let done = plant
        .node
        .command(&[&["rollback", "a"][..], &ANNA].concat());
    assert!(
        done.contains("serial 2") && done.contains("serial 3"),
        "{done}"
    );
    assert!(plant.blocks("two.test") && !plant.blocks("three.test"));
    plant.node.command(&["update"]);
    plant.node.kill();
    plant.node.start();
    plant.node.command(&["update"]);
    assert_eq!(plant.serial(), Some(2));
    assert!(
        plant
            .node
            .command(&["status"])
            .contains("PINNED to serial 2")
    );
    let metrics = plant.node.report("/metrics").body;
    assert!(
        metrics.contains("cordon_list_pinned{list=\"a\"} 1"),
        "{metrics}"
    );
    // Further back, and by number.
    plant
        .node
        .command(&[&["rollback", "a", "1"][..], &ANNA].concat());
    assert!(plant.blocks("one.test") && !plant.blocks("two.test"));
    let said = plant
        .node
        .refused(&[&["rollback", "a", "9"][..], &ANNA].concat());
    assert!(said.contains("there are serial 3, serial 2"), "{said}");
    let said = plant
        .node
        .refused(&[&["rollback", "b"][..], &ANNA].concat());
    assert!(said.contains("no list is called b"), "{said}");
    plant.publish(&["one.test", "four.test"]);
    assert_eq!(plant.serial(), Some(4));
    assert!(plant.list("a")["pinned"].is_null());
    assert!(plant.blocks("four.test"));
}

#[test]
fn a_local_list_goes_back_too() {
    let plant = Plant::new(&["one.test"], "1h");
    let house = plant.node.folder().join("house.txt");
    fs::write(&house, "house.test\nother.test\n").unwrap();
    plant.node.command(&["reload"]);
    until("the file is taken", Duration::from_secs(20), || {
        plant.blocks("other.test")
    });
    plant
        .node
        .command(&[&["rollback", "house"][..], &ANNA].concat());
    assert!(plant.blocks("house.test") && !plant.blocks("other.test"));
    plant.node.command(&["reload"]);
    assert!(!plant.blocks("other.test"), "the same file does not end it");
    fs::write(&house, "house.test\nthird.test\n").unwrap();
    plant.node.command(&["reload"]);
    until("another file does", Duration::from_secs(20), || {
        plant.blocks("third.test")
    });
}

#[test]
fn an_allowed_name_passes_everywhere_for_its_time_and_over_a_restart() {
    let mut plant = Plant::new(&["drive.test"], "1h");
    assert!(plant.blocks("files.drive.test") && plant.blocks("house.test"));
    let allow = [&["allow", "drive.test", "--for", "24h"][..], &ANNA].concat();
    plant.node.command(&allow);
    let passes = |plant: &Plant| {
        !plant.blocks("drive.test")
            && !plant.blocks("files.drive.test")
            && plant.blocks("house.test")
            && client::Connection::new(plant.node.stop_page)
                .get("/", "files.drive.test")
                .status
                != 451
    };
    assert!(passes(&plant));
    let explained = plant.node.command(&["explain", "files.drive.test"]);
    assert!(explained.contains("allowed"), "{explained}");
    let shown = plant.node.command(&["allow"]);
    assert!(
        shown.contains("drive.test") && shown.contains("Anna"),
        "{shown}"
    );
    let status = plant.node.command(&["status"]);
    assert!(status.contains("1 name is let through by hand"), "{status}");
    // Regulators see how many, and not which.
    let metrics = plant.node.report("/metrics").body;
    assert!(metrics.contains("cordon_allowed_names 1"), "{metrics}");
    assert!(!plant.node.report("/").body.contains("drive.test"));
    plant.node.stop();
    plant.node.start();
    assert!(passes(&plant));
    plant.node.command(&[
        "allow",
        "drive.test",
        "--end",
        "--by",
        "Anna",
        "--reason",
        "mended",
    ]);
    assert!(plant.blocks("files.drive.test"));
    plant.node.command(&[
        "allow",
        "drive.test",
        "--for",
        "2s",
        "--by",
        "A",
        "--reason",
        "r",
    ]);
    assert!(!plant.blocks("drive.test"));
    until("its time is over", Duration::from_secs(10), || {
        plant.blocks("drive.test")
    });
    for words in [
        &["allow", "drive.test", "--for", "8d"][..],
        &["allow", ".", "--for", "1h"],
        &["allow", "drive.test", "--end"],
    ] {
        plant.node.refused(&[words, &ANNA].concat());
    }
    plant.node.command(&["status", "--verify-audit"]);
}

#[test]
fn what_a_name_passes_by_is_said_and_a_suffix_is_too_wide() {
    let plant = Plant::new(&["a.drive.test", "b.drive.test", "bank.co.uk"], "1h");
    let pull = |words: &[&str]| plant.node.command(&[words, &ANNA].concat());
    pull(&["allow", "drive.test", "--for", "1h"]);
    pull(&["allow", "a.drive.test", "--for", "1h"]);
    let said = pull(&["allow", "a.drive.test", "--end"]);
    assert!(
        said.contains("still let through") && said.contains("`cordon allow drive.test --end`"),
        "{said}"
    );
    assert!(!plant.blocks("a.drive.test"));
    let refused = |words: &[&str]| plant.node.refused(&[words, &ANNA].concat());
    let said = refused(&["allow", "a.drive.test", "--end"]);
    assert!(said.contains("with drive.test"), "{said}");
    for (name, count) in [("co.uk", 1), ("test", 2), ("com", 0)] {
        let said = refused(&["allow", name, "--for", "1h"]);
        assert!(
            said.contains("public suffix") && said.contains(&format!("{count} registered names")),
            "{said}"
        );
    }
    let said = pull(&["allow", "drive.test", "--end"]);
    assert!(said.contains("judged by the lists again"), "{said}");
    assert!(plant.blocks("a.drive.test"));
}

#[test]
fn a_withdrawn_name_resolves_within_three_seconds() {
    let plant = Plant::new(&["one.test", "two.test"], "1s");
    assert!(plant.blocks("one.test"));
    let begin = Instant::now();
    must(
        plant
            .authority
            .repo("withdraw")
            .args(["--list", "a", "--value", "one.test", "--reason", "error"]),
    );
    until("the name resolves", Duration::from_secs(10), || {
        !plant.blocks("www.one.test")
    });
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(plant.blocks("two.test"));
    let list = plant.list("a");
    assert_eq!(list["withdrawn"], 1, "{list}");
    let status = plant.node.command(&["status"]);
    assert!(status.contains("1 entry is withdrawn by"), "{status}");
    let metrics = || plant.node.report("/metrics").body;
    until("it is measured", Duration::from_secs(5), || {
        metrics().contains("cordon_withdraw_latency_seconds_count{list=\"a\"} 1")
    });
    let explained = plant.node.command(&["explain", "one.test"]);
    assert!(explained.contains("withdrawn"), "{explained}");
}

#[test]
fn a_withdrawal_that_the_list_never_confirms_is_an_alarm_on_both_sides() {
    let plant = Plant::new(&["one.test", "two.test"], "1s");
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(5);
    let mut withdraw = plant.authority.repo("withdraw");
    withdraw.args(["--list", "a", "--value", "one.test", "--reason", "error"]);
    must(withdraw.args(["--until", &end.to_string()]));
    until("the name resolves", Duration::from_secs(10), || {
        !plant.blocks("one.test")
    });
    // The authority hears of it from its job, before it ends and after.
    let refreshed = || must(&mut plant.authority.repo("refresh"));
    let said = refreshed();
    assert!(
        said.contains("one.test") && said.contains("still has"),
        "{said}"
    );
    let alarms = || {
        let status = plant.node.command(&["status", "--json"]);
        let status: Value = serde_json::from_str(&status).unwrap();
        status["alarms"].clone()
    };
    assert_eq!(alarms(), serde_json::json!([]));
    until("it is enforced again", Duration::from_secs(15), || {
        plant.blocks("one.test")
    });
    let alarm = alarms();
    assert_eq!(alarm[0]["name"], "withdrawal", "{alarm}");
    assert_eq!(alarm[0]["severity"], "alarm");
    let sentence = alarm[0]["sentence"].as_str().unwrap();
    assert!(sentence.contains("list a: 1 entry"), "{sentence}");
    let metrics = plant.node.report("/metrics").body;
    let metric = "cordon_alarm{alarm=\"withdrawal\",severity=\"alarm\"} 1";
    assert!(metrics.contains(metric), "{metrics}");
    assert_eq!(plant.list("a")["lapsed"], 1);
    let said = must(&mut plant.authority.repo("status"));
    assert!(
        said.contains("LAPSED") && said.contains("one.test"),
        "{said}"
    );
    let said = refreshed();
    assert!(said.contains("enforced again"), "{said}");
    // It is over once the list has dropped the entry.
    plant.publish(&["two.test", "three.test"]);
    until("the alarm is over", Duration::from_secs(10), || {
        alarms() == serde_json::json!([])
    });
    let said = must(&mut plant.authority.repo("status"));
    assert!(!said.contains("LAPSED"), "{said}");
}

#[test]
fn a_name_that_may_never_be_blocked_passes_without_any_new_list() {
    let plant = Plant::new(&["one.test", "two.test"], "1s");
    let never = |names: &str| {
        let file = plant.node.folder().join("never-block.txt");
        fs::write(&file, names).unwrap();
        let mut command = plant.authority.repo("never-block");
        command.args(["--accept-guard", "a test of nodes"]);
        must(command.arg("--from").arg(file));
    };
    never("one.test\n");
    until("the name resolves", Duration::from_secs(10), || {
        !plant.blocks("www.one.test")
    });
    assert!(plant.blocks("two.test"));
    let list = plant.list("a");
    assert_eq!(
        (list["serial"].as_u64(), list["quarantined"].as_u64()),
        (Some(1), Some(1))
    );
    let reason = list["quarantined_rows"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("one.test"), "{reason}");
    never("other.test\n");
    until("it is blocked again", Duration::from_secs(10), || {
        plant.blocks("www.one.test")
    });
}

#[test]
fn an_entry_ends_by_itself_without_any_new_list() {
    let plant = Plant::new(&["one.test"], "1h");
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(5);
    let rows = [
        r#"{"format":1,"list":"a","title":{"en":"Example list"},"issuer":{"name":"Example Authority"},"defaults":{"category":"phishing","legal":{"basis":"Example Act","authority":"Example Police"}}}"#.to_owned(),
        format!(r#"{{"id":"1","kind":"domain","match":"subtree","value":"brief.test","expires_at":"{end}"}}"#),
        r#"{"id":"2","kind":"domain","match":"subtree","value":"one.test"}"#.to_owned(),
    ];
    plant.authority.publish_rows("a", &rows, "native", None);
    plant.node.command(&["update"]);
    assert!(plant.blocks("brief.test"));
    until("the entry has ended", Duration::from_secs(15), || {
        !plant.blocks("brief.test")
    });
    assert!(plant.blocks("one.test"));
    assert_eq!(plant.list("a")["not_in_effect"], 1);
    assert_eq!(plant.serial(), Some(2));
}

#[test]
fn a_key_that_was_revoked_is_not_shown_as_one_that_vouches_for_a_list() {
    let plant = Plant::new(&["one.test"], "1h");
    let old = plant.list("a")["signers"][0].as_str().unwrap().to_owned();
    let mut rotate = plant.authority.repo("rotate");
    rotate.args(["--role", "list-a", "--new", "list-a2", "--remove"]);
    must(rotate.arg(&old));
    plant.node.command(&["update"]);
    let list = plant.list("a");
    assert_eq!(
        (&list["serial"], &list["revoked"]),
        (&1.into(), &false.into())
    );
    assert_ne!(
        list["signers"][0],
        old.as_str(),
        "others sign the same version"
    );
    plant.publish(&["one.test", "two.test"]);
    let back = ["rollback", "a"];
    plant.node.command(&[&back[..], &ANNA].concat());
    let status = plant.node.command(&["status"]);
    let said = format!("{}; REVOKED since", &old[..8]);
    assert!(status.contains(&said), "{said} is not in\n{status}");
}

#[test]
fn files_of_the_state_that_are_gone_or_changed_are_said_at_the_start() {
    let mut plant = Plant::new(&["one.test"], "1h");
    let allow = ["allow", "one.test", "--for", "1h"];
    plant.node.command(&[&allow[..], &ANNA].concat());
    plant.node.stop();
    let state = plant.node.state();
    fs::remove_file(state.join("allowed.json")).unwrap();
    fs::remove_dir_all(state.join("repositories/hotline")).unwrap();
    let log = fs::read_to_string(state.join("audit.log")).unwrap();
    fs::write(state.join("audit.log"), log.replacen("Anna", "Bert", 1)).unwrap();
    plant.node.start();
    let status = plant.node.command(&["status"]);
    for part in [
        "allowed.json is gone",
        "repositories/hotline is gone",
        "the audit log is not whole: audit.log, line 2 is not what was written",
    ] {
        assert!(status.contains(part), "{part} is not in\n{status}");
    }
    assert!(plant.blocks("one.test"));
    plant.node.stop();
    fs::remove_file(state.join("audit.log")).unwrap();
    fs::remove_file(state.join("audit.head")).unwrap();
    plant.node.start();
    let status = plant.node.command(&["status"]);
    assert!(
        status.contains("the audit log is not whole: audit.log, line 1"),
        "{status}"
    );
    for part in ["allowed.json is gone", "hotline is gone"] {
        assert!(!status.contains(part), "{part} is said once:\n{status}");
    }
    // What is written down from then on does not look like all there ever was.
    plant.node.command(&[&allow[..], &ANNA].concat());
    let said = plant.node.refused(&["status", "--verify-audit"]);
    assert!(said.contains("cut off or changed"), "{said}");
}

#[test]
fn the_audit_log_names_its_first_broken_line_without_a_daemon() {
    let mut plant = Plant::new(&["one.test"], "1h");
    plant
        .node
        .command(&[&["allow", "one.test", "--for", "1h"][..], &ANNA].concat());
    plant
        .node
        .refused(&[&["hold", "reject", "a", "1"][..], &ANNA].concat());
    plant.node.command(&["cache", "flush", "one.test"]);
    plant.node.stop();
    plant.node.command(&["status", "--verify-audit"]);
    let path = plant.node.state().join("audit.log");
    let log = fs::read_to_string(&path).unwrap();
    let uid = String::from_utf8(run(std::process::Command::new("id").arg("-u")).stdout).unwrap();
    let allow = log.lines().find(|line| line.contains("\"allow\"")).unwrap();
    assert!(
        allow.contains(&format!("\"uid\":{}", uid.trim())),
        "{allow}"
    );
    for part in [
        "hold_reject",
        "refused: nothing of list a is held",
        "cache_flush",
    ] {
        assert!(log.contains(part), "{part} is not in\n{log}");
    }
    fs::write(&path, log.replacen("Anna", "Bert", 1)).unwrap();
    let place = log.lines().position(|line| line.contains("Anna")).unwrap() + 1;
    let said = plant.node.refused(&["status", "--verify-audit"]);
    assert!(said.contains(&format!("line {place}")), "{said}");
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    fs::write(&path, lines[..lines.len() - 1].concat()).unwrap();
    let said = plant.node.refused(&["status", "--verify-audit"]);
    assert!(said.contains("cut off"), "{said}");
}

#[test]
fn nothing_is_decided_that_cannot_be_put_on_record() {
    let plant = Plant::new(&["one.test"], "1h");
    let log = plant.node.state().join("audit.log");
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    let said = plant
        .node
        .refused(&[&["allow", "one.test", "--for", "1h"][..], &ANNA].concat());
    assert!(said.contains("nothing was done"), "{said}");
    assert!(plant.blocks("one.test"));
}

#[test]
fn a_name_is_let_through_while_a_mirror_keeps_a_round_waiting() {
    let plant = Plant::new(&["one.test"], "1h");
    assert!(plant.blocks("one.test") && plant.blocks("house.test"));
    // It takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = fs::read_to_string(plant.node.configuration()).unwrap();
    let address = format!("http://{}/", silent.local_addr().unwrap());
    let text = text.replace(&plant.authority.mirror(), &address);
    plant.node.write_configuration(&text);
    plant.node.command(&["reload"]);
    let begin = Instant::now();
    let (_asked, _) = silent.accept().unwrap();
    let allow = ["allow", "one.test", "--for", "1h"];
    plant.node.command(&[&allow[..], &ANNA].concat());
    assert!(begin.elapsed() < Duration::from_secs(8), "{begin:?}");
    assert!(!plant.blocks("one.test") && plant.blocks("house.test"));
}
