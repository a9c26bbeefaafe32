//! What the operator is told: who lied, about what, and what to do.

use std::fs;

use cordon::source::Mirror;

use super::{block_list, blocked, metric};
use crate::harness::authority::Authority;
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;
use crate::trust::forge::{self, copy, files_below, hour};

#[test]
fn a_mirror_that_lies_is_a_security_event_with_its_name_and_the_next_is_tried() {
    let authority = Authority::new();
    authority.delegate("list");
    authority.publish_rows("list", &["one.test".into()], "domains", Some("subtree"));
    // The first mirror stays as it was.
    let stale = tempfile::tempdir().unwrap();
    copy(&files_below(&authority.folder()), stale.path());
    authority.publish_rows("list", &["two.test".into()], "domains", Some("subtree"));
    let upstream = Upstream::start();
    let mirrors = |first: &str| {
        let honest = authority.mirror();
        block_list(&authority).replace(
            &format!("[\"{honest}\"]"),
            &format!("[{first}\"{honest}\"]"),
        )
    };
    let mut node = Node::new(&mirrors(""), upstream.address);
    node.start();
    node.command(&["update"]);
    assert!(blocked(&node, "two.test"));
    // From now on a mirror of an hour ago is asked first.
    let first = format!("\"{}\", ", stale.path().display());
    node.configure(&mirrors(&first), upstream.address);
    node.command(&["reload"]);
    let told = node.command(&["update"]);
    assert!(told.contains("serial 2 in force"), "{told}");
    assert!(
        metric(
            &node,
            r#"cordon_refusals_total{repository="hotline",outcome="rollback"}"#
        ) >= 1.0
    );
    let log = node.log();
    let event = log
        .lines()
        .find(|line| line.contains("security event"))
        .unwrap_or_else(|| panic!("{log}"));
    let mirror = stale.path().display().to_string();
    for part in [
        "ERROR",
        "timestamp.json",
        "rollback",
        mirror.as_str(),
        "is older than",
    ] {
        assert!(event.contains(part), "{part}: {event}");
    }
    let status = node.command(&["status"]);
    assert!(status.contains("met what may be an attack"), "{status}");
    // Alone, it costs the round and nothing that is in force.
    let alone = mirrors(&first).replace(
        &format!("{first}\"{}\"", authority.mirror()),
        first.trim_end_matches(", "),
    );
    node.configure(&alone, upstream.address);
    node.command(&["reload"]);
    assert!(!super::update(&node).status.success());
    assert!(blocked(&node, "two.test"));
    assert!(
        metric(
            &node,
            r#"cordon_updates_total{list="list",outcome="rollback"}"#
        ) >= 1.0
    );
    fs::remove_dir_all(stale.path()).unwrap();
}

#[test]
fn an_unknown_format_keeps_the_last_edition_and_asks_for_an_upgrade() {
    let check = |role: &str, edit: fn(&mut serde_json::Value)| {
        let authority = forge::Authority::new(&["a"]);
        authority.publish("a", &["one.test"], hour(0));
        let mut node = forge::Node::new(&authority);
        assert_eq!(node.outcome(hour(0)), "new");
        authority.forge(role, edit);
        let round = node.round(&["a"], hour(0));
        assert_eq!(round.outcome_of("a"), "unsupported", "{role}");
        let told = round
            .refusals
            .iter()
            .map(|refusal| refusal.error.to_string());
        let told: Vec<String> = told.collect();
        let of_list = round
            .lists
            .iter()
            .map(|(_, outcome)| format!("{outcome:?}"));
        let all: Vec<String> = told.into_iter().chain(of_list).collect();
        assert!(!all.is_empty(), "{role}");
        assert_eq!(node.seq("a"), Some(1), "{role}");
    };
    check("list-a", |signed| {
        signed["targets"]["a/full"]["custom"]["format"] = 2.into()
    });
    check("list-a", |signed| {
        signed["targets"]["a/full"]["custom"]["comp"] = "brotli".into()
    });
    for role in ["timestamp", "snapshot", "targets", "list-a"] {
        check(role, |signed| signed["spec_version"] = "2.0.0".into());
    }
}

#[test]
fn the_floor_survives_local_expiry() {
    let authority = forge::Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let old = authority.files();
    authority.publish("a", &["two.test"], hour(1));
    let mut node = forge::Node::with_mirrors(&authority, vec![Mirror::Directory(authority.repo())]);
    assert_eq!(node.outcome(hour(1)), "new");
    assert_eq!(node.outcome(hour(400 * 24)), "expired");
    node.restart();
    authority.put_back(&old);
    assert_eq!(node.outcome(hour(1)), "rollback");
    assert_eq!(node.seq("a"), Some(2));
}
