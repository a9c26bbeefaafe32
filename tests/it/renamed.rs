//! Names in the configuration are the operator's own: whatever a repository is called, what
//! its authority says and what was decided of its lists holds, with the real program.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use serde_json::Value;

use crate::harness::authority::Authority;
use crate::harness::client;
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;
use crate::harness::{cordon, must, run};

const ANNA: [&str; 4] = ["--by", "Anna", "--reason", "checked by phone"];

/// Nobody listens there.
const GONE: &str = "http://127.0.0.1:1/";

/// An authority with a list `a` of 300 names, of which one may never be blocked and one is
/// withdrawn.
fn authority(names: &str) -> Authority {
    let authority = Authority::new();
    authority.delegate("a");
    authority.publish_unguarded("a", &rows(names, 300));
    let never = authority.folder().join("../never.txt");
    fs::write(&never, format!("{names}1.test\n")).unwrap();
    let mut never_block = authority.repo("never-block");
    must(
        never_block
            .arg("--from")
            .arg(never)
            .args(["--accept-guard", "a test"]),
    );
    let mut withdraw = authority.repo("withdraw");
    withdraw.args(["--list", "a", "--reason", "error", "--value"]);
    must(withdraw.arg(format!("{names}2.test")));
    authority
}

fn rows(names: &str, count: u32) -> Vec<String> {
    (0..count)
        .map(|number| format!("{names}{number}.test"))
        .collect()
}

/// Repositories, each with its mirror and its root; of each a list of the same name.
fn configured(repositories: &[(&str, &str, &Authority, &str)]) -> String {
    let mut text = "repositories:\n".to_owned();
    for (name, mirror, authority, _) in repositories {
        let root = authority.root();
        let root = root.display();
        text.push_str(&format!(
            "  - {{ name: {name}, mirrors: [\"{mirror}\"], trust: {root}, poll: 1h }}\n"
        ));
    }
    text.push_str("lists:\n");
    for (name, _, _, list) in repositories {
        text.push_str(&format!(
            "  - {{ name: {list}, from: {{ repository: {name}, list: a }} }}\n"
        ));
    }
    text
}

/// Whether of an authority's names all act but those that it lets through.
#[track_caller]
fn stands(node: &Node, names: &str) {
    let is_blocked = |number: u32| {
        let answer = client::ask(node.dns, &format!("{names}{number}.test"));
        answer.address == Some(Ipv4Addr::new(192, 0, 2, 80))
    };
    let found = [0, 1, 2, 299].map(is_blocked);
    assert_eq!(found, [true, false, false, true], "{names}: {}", node.log());
}

fn list(node: &Node, name: &str) -> Value {
    let status: Value = serde_json::from_str(&node.command(&["status", "--json"])).unwrap();
    let lists = status["lists"].as_array().unwrap();
    lists
        .iter()
        .find(|list| list["name"] == name)
        .unwrap()
        .clone()
}

#[test]
fn a_repository_under_another_name_keeps_its_terms_and_what_was_decided_of_its_lists() {
    let (authority, upstream) = (authority("n"), Upstream::start());
    let of = |name, mirror: &str| configured(&[(name, mirror, &authority, "a")]);
    let mut node = Node::new(&of("one", &authority.mirror()), upstream.address);
    node.start();
    authority.publish_unguarded("a", &rows("n", 10));
    node.command(&["update"]);
    node.command(&[&["hold", "reject", "a", "2"][..], &ANNA].concat());
    let check = |node: &Node| {
        stands(node, "n");
        let list = list(node, "a");
        assert_eq!(list["rejected"]["version"], "serial 2", "{list}");
    };
    check(&node);
    // No mirror says again what holds.
    node.configure(&of("two", GONE), upstream.address);
    node.command(&["reload"]);
    check(&node);
    node.stop();
    node.configure(&of("three", GONE), upstream.address);
    node.start();
    check(&node);
    // A configuration that is refused takes nothing along.
    let more = of("four", GONE) + "  - { name: b, from: { repository: four, list: a } }\n";
    node.configure(&more, upstream.address);
    let lists = node.state().join("lists");
    let newer = fs::read_to_string(lists.join("a/standing.json")).unwrap();
    fs::create_dir(lists.join("b")).unwrap();
    let newer = newer.replace("\"format\": 1", "\"format\": 9");
    fs::write(lists.join("b/standing.json"), newer).unwrap();
    let said = node.refused(&["reload"]);
    assert!(said.contains("a newer cordon wrote it"), "{said}");
    check(&node);
    node.configure(&of("three", &authority.mirror()), upstream.address);
    node.command(&["reload"]);
    node.command(&["update"]);
    check(&node);
    node.stop();
    node.start();
    check(&node);
}

#[test]
fn repositories_that_exchange_their_names_find_their_own_floors_and_terms() {
    let (n, m, upstream) = (authority("n"), authority("m"), Upstream::start());
    m.publish_unguarded("a", &rows("m", 301));
    let of = |first, second, mirrors: [&str; 2]| {
        configured(&[(first, mirrors[0], &n, "x"), (second, mirrors[1], &m, "y")])
    };
    let there = [n.mirror(), m.mirror()];
    let there = [there[0].as_str(), there[1].as_str()];
    let check = |node: &Node| {
        stands(node, "n");
        stands(node, "m");
    };
    let mut node = Node::new(&of("one", "two", there), upstream.address);
    node.start();
    check(&node);
    node.configure(&of("two", "one", there), upstream.address);
    node.command(&["reload"]);
    check(&node);
    node.command(&["update"]);
    check(&node);
    node.configure(&of("one", "two", [GONE, GONE]), upstream.address);
    node.stop();
    node.start();
    check(&node);
    node.configure(&of("two", "one", [GONE, GONE]), upstream.address);
    node.command(&["reload"]);
    check(&node);
}

/// One repository whose pinned root is a copy that may become another.
fn pinned(authority: &Authority, root: &Path, mirror: &str) -> String {
    configured(&[("r", mirror, authority, "a")]).replace(
        &authority.root().display().to_string(),
        &root.display().to_string(),
    )
}

#[test]
fn a_list_that_outlives_its_root_keeps_what_bounds_and_spares_it() {
    let (old, new, upstream) = (authority("n"), authority("m"), Upstream::start());
    let root = old.folder().join("../pinned.json");
    fs::copy(old.root(), &root).unwrap();
    let mut node = Node::new(&pinned(&old, &root, &old.mirror()), upstream.address);
    node.start();
    stands(&node, "n");
    let by = new.root().display().to_string();
    let words = ["trust", "replace", "r", &by, "--yes"];
    node.command(&[&words[..], &ANNA].concat());
    stands(&node, "n");
    // The mirror has nothing of the new root yet.
    node.refused(&["update"]);
    stands(&node, "n");
    // Until what it says beside its lists is taken.
    new.publish_unguarded("a", &rows("m", 301));
    node.configure(&pinned(&new, &root, &new.mirror()), upstream.address);
    node.command(&["reload"]);
    stands(&node, "n");
    node.command(&["update"]);
    node.command(&[&["hold", "accept", "a", "2"][..], &ANNA].concat());
    stands(&node, "m");
}

#[test]
fn a_slip_of_trust_puts_aside_what_is_known_and_mended_brings_it_back() {
    let (n, m, upstream) = (authority("n"), authority("m"), Upstream::start());
    for count in 301..304 {
        m.publish_unguarded("a", &rows("m", count));
    }
    let of = |authority: &Authority, mirror: &str| configured(&[("r", mirror, authority, "a")]);
    let mut node = Node::new(&of(&n, &n.mirror()), upstream.address);
    node.start();
    n.publish_unguarded("a", &rows("n", 10));
    node.command(&["update"]);
    node.command(&[&["hold", "reject", "a", "2"][..], &ANNA].concat());
    // By reload it is refused, and all stays.
    node.configure(&of(&m, &m.mirror()), upstream.address);
    let said = node.refused(&["reload"]);
    assert!(said.contains("add it again"), "{said}");
    stands(&node, "n");
    // By a start another repository begins under this name.
    node.stop();
    node.start();
    stands(&node, "m");
    node.stop();
    node.configure(&of(&n, GONE), upstream.address);
    node.start();
    stands(&node, "n");
    let found = list(&node, "a");
    assert_eq!(found["rejected"]["version"], "serial 2", "{found}");
    let status = node.command(&["status"]);
    assert!(!status.contains("ALARM (disk)"), "{status}");
    // Nothing of the other's versions is a floor here.
    n.publish_unguarded("a", &rows("n", 301));
    node.configure(&of(&n, &n.mirror()), upstream.address);
    node.command(&["reload"]);
    node.command(&["update"]);
    assert!(client::ask(node.dns, "n300.test").address.is_some());
    assert!(list(&node, "a")["rejected"].is_null());
    stands(&node, "n");
    // The way that the refusal names.
    let other = of(&m, &m.mirror());
    let without = other.split("lists:").next().unwrap().to_owned() + "lists: []\n";
    for lists in [&without, &other] {
        node.configure(lists, upstream.address);
        node.command(&["reload"]);
    }
    node.command(&["update"]);
    stands(&node, "m");
    assert!(!node.log().contains("ERROR a stored"), "{}", node.log());
    let folders = fs::read_dir(node.state().join("repositories")).unwrap();
    assert_eq!(folders.count(), 2, "one of each root");
}

#[test]
fn a_list_that_was_taken_back_and_is_gone_from_disk_is_stood_in_for_within_a_round() {
    let (n, upstream) = (authority("n"), Upstream::start());
    let of = configured(&[("r", &n.mirror(), &n, "a")]);
    let mut node = Node::new(&of, upstream.address);
    node.start();
    n.publish_unguarded("a", &rows("n", 301));
    node.command(&["update"]);
    node.command(&[&["rollback", "a"][..], &ANNA].concat());
    node.stop();
    for serial in 1..3 {
        let state = node.state().join(format!("lists/a/{serial}.state"));
        fs::remove_file(state).unwrap();
    }
    node.start();
    stands(&node, "n");
    let status = node.command(&["status"]);
    assert!(status.contains("serial 2 stands in for it"), "{status}");
}

#[test]
fn one_root_under_two_names_is_a_mistake_of_the_configuration() {
    let (n, upstream) = (authority("n"), Upstream::start());
    let of = configured(&[("r", &n.mirror(), &n, "a")]);
    let mut node = Node::new(&of, upstream.address);
    node.start();
    let twice = [("r", &*n.mirror(), &n, "a"), ("stale", GONE, &n, "b")];
    node.configure(&configured(&twice), upstream.address);
    for command in ["check", "reload", "run"] {
        let config = node.configuration();
        let output = run(cordon().args([command, "--config"]).arg(config));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{command}");
        for part in ["`r` and `stale`", "same root", "all mirrors"] {
            assert!(said.contains(part), "{command}: {said}");
        }
    }
    stands(&node, "n");
}
