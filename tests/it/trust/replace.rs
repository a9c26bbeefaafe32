//! `cordon trust replace`: after a root compromise another root is pinned by hand. No list
//! goes back by it, and what is in force stays until the new root has something newer.

use std::net::Ipv4Addr;

use cordon::verify::{REPLACED, Replacement};

use super::forge::{Authority, Node, hour};
use crate::harness::authority::Authority as Served;
use crate::harness::client;
use crate::harness::node::Node as Daemon;
use crate::harness::upstream::Upstream;
use crate::harness::{cordon, run};

#[test]
fn only_the_word_of_a_person_gives_the_floors_of_another_root_up() {
    let old = Authority::new(&["a"]);
    for hours in 0..3 {
        old.publish("a", &[&format!("old{hours}.test")], hour(hours));
    }
    let mut node = Node::new(&old);
    assert_eq!(node.outcome(hour(2)), "new");
    let new = Authority::new(&["a"]);
    new.publish("a", &["two.test"], hour(2));
    node.pin(&new);
    assert_eq!(
        node.outcome(hour(2)),
        "rollback",
        "a slip of the pen opens no way back"
    );
    let word = Replacement::new(&new.trust().root, "A. Person", "keys were stolen");
    let folder = node.state().join("repositories/hotlines");
    std::fs::write(folder.join(REPLACED), word.write()).unwrap();
    node.restart();
    assert!(folder.join("replaced/timestamp.json").exists());
    assert!(!folder.join("timestamp.json").exists());
    let outcome = node.outcome(hour(2));
    assert_eq!(
        outcome, "rollback",
        "the serial of a list has a floor of its own"
    );
    for serial in 2..4 {
        new.publish("a", &[&format!("new{serial}.test")], hour(2));
        assert_eq!(node.outcome(hour(2)), "rollback", "serial {serial}");
        assert!(!folder.join("evidence").exists(), "no key is misused");
    }
    new.publish("a", &["three.test"], hour(2));
    assert_eq!(node.outcome(hour(2)), "new");
    assert_eq!(node.seq("a"), Some(4));
    // What was given up once stays so at the next starts, and no more.
    node.restore("a");
    assert_eq!(node.outcome(hour(2)), "unchanged");
    assert!(folder.join("timestamp.json").exists());
}

#[test]
fn a_running_daemon_keeps_its_lists_until_the_new_root_has_newer_ones() {
    let rows = |name: &str| vec![format!("{name}.listed.test")];
    let served = |name: &str| {
        let authority = Served::new();
        authority.delegate("domains");
        authority.publish_rows("domains", &rows(name), "domains", Some("subtree"));
        authority
    };
    let (old, new) = (served("old"), served("early"));
    let upstream = Upstream::start();
    let pinned = old.folder().join("../node.root.json");
    std::fs::copy(old.root(), &pinned).unwrap();
    let lists = |mirror: &str| {
        format!(
            "repositories:\n  - name: hotline\n    mirrors: [\"{mirror}\"]\n    trust: {}\nlists:\n  - name: domains\n    from: {{ repository: hotline, list: domains }}\n    required: true",
            pinned.display()
        )
    };
    let mut node = Daemon::new(&lists(&old.mirror()), upstream.address);
    node.start();
    let is_blocked = |node: &Daemon, name: &str| {
        let answer = client::ask(node.dns, &format!("{name}.listed.test"));
        answer.address == Some(Ipv4Addr::new(192, 0, 2, 80))
    };
    assert!(is_blocked(&node, "old"));
    let replace = |root: &std::path::Path, more: &[&str]| {
        let words = ["--by", "A. Person", "--reason", "keys were stolen"];
        let output = run(cordon()
            .args(["trust", "replace", "hotline"])
            .arg(root)
            .args(words)
            .args(more)
            .arg("--config")
            .arg(node.configuration())
            .stdin(std::process::Stdio::null()));
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    // What is no root, or nobody confirmed, changes nothing.
    let no_root = old.folder().join("metadata/timestamp.json");
    let (code, text) = replace(&no_root, &["--yes"]);
    assert!(code == Some(1) && text.contains("timestamp.json"), "{text}");
    let nobody = run(cordon()
        .args([
            "trust", "replace", "hotline", "--by", " ", "--reason", "x", "--yes",
        ])
        .arg(new.root())
        .arg("--config")
        .arg(node.configuration()));
    let text = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(
        !nobody.status.success() && text.contains("who decides"),
        "{text}"
    );
    let (code, text) = replace(&new.root(), &[]);
    assert!(code == Some(64) && text.contains("--yes"), "{text}");
    assert_eq!(
        std::fs::read(&pinned).unwrap(),
        std::fs::read(old.root()).unwrap()
    );
    let (code, text) = replace(&new.root(), &["--yes"]);
    assert!(code == Some(0) && text.contains("restart"), "{text}");
    // It is on record, and the chain of the daemon's own entries goes on.
    let log = std::fs::read_to_string(node.state().join("audit.log")).unwrap();
    for part in ["\"trust_replace\"", "A. Person", "keys were stolen"] {
        assert!(log.contains(part), "{part} is not in\n{log}");
    }
    assert!(
        node.command(&["status", "--verify-audit"])
            .contains("whole")
    );
    assert_eq!(
        std::fs::read(&pinned).unwrap(),
        std::fs::read(new.root()).unwrap()
    );
    let beside = pinned.with_file_name("node.root.json.replaced");
    assert_eq!(
        std::fs::read(beside).unwrap(),
        std::fs::read(old.root()).unwrap()
    );
    assert!(is_blocked(&node, "old"), "{}", node.log());
    // A configuration that is refused forgets nothing: when all is compiled anew, it is there.
    let of_old = lists(&old.mirror());
    node.configure(
        &of_old.replace("list: domains }", "list: other }"),
        upstream.address,
    );
    let said = node.refused(&["reload"]);
    assert!(said.contains("under the new configuration"), "{said}");
    let house = old.folder().join("../house.txt");
    std::fs::write(&house, "house.listed.test\n").unwrap();
    let house = format!(
        "\n  - name: house\n    from: {{ file: {}, format: domains, match: subtree }}\n    unsigned: true",
        house.display()
    );
    node.configure(&(of_old + &house), upstream.address);
    node.command(&["reload"]);
    assert!(is_blocked(&node, "old") && is_blocked(&node, "house"));
    // The new authority begins with the serial that is in force: it is refused.
    node.configure(&lists(&new.mirror()), upstream.address);
    node.command(&["reload"]);
    let update = run(cordon()
        .args(["update", "--config"])
        .arg(node.configuration()));
    let text = String::from_utf8_lossy(&update.stderr).into_owned();
    assert!(
        !update.status.success() && text.contains("under the root before"),
        "{text}"
    );
    assert!(is_blocked(&node, "old") && !is_blocked(&node, "early"));
    new.publish_rows("domains", &rows("new"), "domains", Some("subtree"));
    node.command(&["update"]);
    assert!(is_blocked(&node, "new") && !is_blocked(&node, "old"));
    node.stop();
    node.start();
    assert!(is_blocked(&node, "new"));
    node.stop();
}
