//! Keys in the wrong hands: what a thief of each can do is what trust.md section 7.8 says,
//! and no more.

use std::fs;

use serde_json::{Value, json};

use super::{block_list, blocked, metric, update};
use crate::harness::authority::Authority as Served;
use crate::harness::must;
use crate::harness::node::Node as Daemon;
use crate::harness::upstream::Upstream;
use crate::trust::forge::{Authority, Node, hour, key_object, names};

#[test]
fn online_keys_stolen_can_freeze_and_replay_but_make_no_list() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let old = authority.files();
    authority.publish("a", &["two.test"], hour(1));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(1)), "new");
    // Freeze: the same state under ever new timestamps.
    authority.forge("timestamp", |signed| {
        signed["expires"] = json!("2027-11-24T06:00:00Z")
    });
    assert_eq!(node.outcome(hour(300)), "expired", "the snapshot ends it");
    assert_eq!(node.seq("a"), Some(2));
    // Replay: the role of before, under a new snapshot.
    let newest = authority.current("snapshot");
    let honest = authority.signed(&newest)["meta"]["list-a.json"].clone();
    let older = honest["version"].as_u64().unwrap() - 1;
    let replayed = format!("metadata/{older}.list-a.json");
    assert!(old.contains_key(&replayed), "{replayed}");
    authority.forge("snapshot", |signed| {
        signed["meta"]["list-a.json"] = json!({ "version": older });
    });
    assert_eq!(node.outcome(hour(1)), "rollback");
    // A list of their own: no key of theirs signs it.
    authority.forge("snapshot", |signed| signed["meta"]["list-a.json"] = honest);
    authority.forge_signed_by("list-a", &["timestamp", "snapshot"], |signed| {
        signed["targets"]["a/full"]["custom"]["seq"] = json!(9);
    });
    assert_eq!(node.outcome(hour(1)), "threshold_not_met");
    assert_eq!(node.seq("a"), Some(2));
    // A new root takes the keys away: the floors fall, that of the list stands.
    authority.rotate_online_keys();
    authority.forge("list-a", |signed| {
        signed["targets"]["a/full"]["custom"]["seq"] = json!(2);
    });
    let outcome = node.outcome(hour(1));
    assert!(matches!(outcome, "new" | "unchanged"), "{outcome}");
    assert_eq!(node.puller.summary().root_version, 2);
    authority.forge("list-a", |signed| {
        signed["targets"]["a/full"]["custom"]["seq"] = json!(1)
    });
    assert_eq!(node.outcome(hour(1)), "rollback");
}

/// Gives list `a` a second signer, and asks for both.
fn two_signers(authority: &Authority) {
    let second = authority.keys().make("list-a-second").unwrap();
    let object = key_object(&authority.key("list-a-second"));
    authority.forge("targets", |signed| {
        signed["delegations"]["keys"][&second.id] = object;
        let role = &mut signed["delegations"]["roles"][1];
        role["keyids"]
            .as_array_mut()
            .unwrap()
            .push(json!(second.id));
        role["threshold"] = json!(2);
    });
    authority.forge_signed_by("list-a", &["list-a", "list-a-second"], |_| {});
}

#[test]
fn one_list_signer_stolen_publishes_nothing() {
    let authority = Authority::new(&["a", "b"]);
    authority.publish("a", &["one.test"], hour(0));
    two_signers(&authority);
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    for signers in [
        &["list-a"][..],
        &["list-a", "list-a"],
        &["list-a", "list-b"],
    ] {
        authority.forge_signed_by("list-a", signers, |signed| {
            signed["targets"]["a/full"]["custom"]["seq"] = json!(2);
        });
        assert_ne!(node.outcome(hour(0)), "new", "{signers:?}");
        assert_eq!(node.seq("a"), Some(1));
    }
}

#[test]
fn both_list_signers_stolen_speak_for_their_list_alone_until_targets_revokes_them() {
    let authority = Authority::new(&["a", "b"]);
    authority.publish("a", &["one.test"], hour(0));
    authority.publish("b", &["own.test"], hour(0));
    two_signers(&authority);
    let mut node = Node::new(&authority);
    let round = node.round(&["a", "b"], hour(0));
    assert_eq!(
        (round.outcome_of("a"), round.outcome_of("b")),
        ("new", "new")
    );
    let both = ["list-a", "list-a-second"];
    authority.forge_signed_by("list-a", &both, |signed| {
        let full = signed["targets"]["a/full"].clone();
        signed["targets"]["b/full"] = full;
    });
    let round = node.round(&["a", "b"], hour(0));
    assert_eq!(
        (round.outcome_of("a"), round.outcome_of("b")),
        ("out_of_scope", "unchanged")
    );
    // The offline keys give the delegation to a new signer; the stolen ones are worth nothing.
    let next = authority.keys().make("list-a-next").unwrap();
    let object = key_object(&authority.key("list-a-next"));
    authority.forge("targets", |signed| {
        signed["delegations"]["keys"][&next.id] = object;
        let role = &mut signed["delegations"]["roles"][1];
        role["keyids"] = json!([next.id]);
        role["threshold"] = json!(1);
    });
    assert_eq!(node.outcome(hour(0)), "threshold_not_met");
    authority.forge_signed_by("list-a", &["list-a-next"], |signed| {
        signed["targets"].as_object_mut().unwrap().remove("b/full");
    });
    assert_eq!(node.outcome(hour(0)), "unchanged");
    let (file, _) = node.restore("b").file.unwrap();
    assert_eq!(names(&file), ["own.test"]);
}

#[test]
fn root_threshold_stolen_needs_another_root_by_hand() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    let thief = Authority::new(&["a"]);
    thief.publish("a", &["thief.test"], hour(0));
    // The thief's root is signed by the stolen keys: a node follows it, as TUF says.
    let keys = thief.signed("metadata/1.root.json");
    authority.forge_root(&["root"], |root| {
        for (id, key) in keys["keys"].as_object().unwrap() {
            root["keys"][id] = key.clone();
        }
        root["roles"]["timestamp"] = keys["roles"]["timestamp"].clone();
    });
    assert_eq!(node.outcome(hour(0)), "threshold_not_met");
    assert_eq!(node.puller.summary().root_version, 2);
    // The authority begins anew; a node that pins the new root by hand trusts it, and
    // nothing of what the old one vouched for.
    let renewed = Authority::new(&["a"]);
    renewed.publish("a", &["renewed.test"], hour(1));
    let mut node = Node::at(
        node.state(),
        &renewed,
        vec![cordon::source::Mirror::Directory(renewed.repo())],
    );
    assert!(node.restore("a").file.is_none());
}

#[test]
fn both_list_signers_stolen_are_bounded_by_policy_never_block_and_guards() {
    let authority = Served::new();
    authority.delegate("list");
    authority.publish_unguarded("list", &(0..300).map(row).collect::<Vec<_>>());
    let folder = authority.folder();
    let file = folder.with_file_name("terms");
    let policy = "lists: { list: { kinds: [domain], top_level: [test], max_entries: 700 } }";
    fs::write(&file, policy).unwrap();
    must(authority.repo("policy").arg("--from").arg(&file));
    fs::write(&file, "bank.test\n").unwrap();
    must(authority.repo("never-block").arg("--from").arg(&file));
    let upstream = Upstream::start();
    let mut node = Daemon::new(&block_list(&authority), upstream.address);
    node.start();
    let list = || -> Value {
        let status: Value = serde_json::from_str(&node.command(&["status", "--json"])).unwrap();
        status["lists"][0].clone()
    };
    let thief = Authority::at(folder.parent().unwrap());
    let before = thief.plaintext("list");
    // Another kind, another top-level domain, a name never to block: none of them acts.
    let mut rows = vec![
        ("domain", "evil.test"),
        ("domain", "evil.example"),
        ("domain", "bank.test"),
        ("url", "http://page.test/one"),
    ];
    thief.publish_with("list", 2, &before, &rows);
    node.command(&["update"]);
    assert_eq!(list()["serial"], 2);
    assert!(blocked(&node, "evil.test") && blocked(&node, "n1.test"));
    assert!(!blocked(&node, "evil.example") && !blocked(&node, "bank.test"));
    assert_eq!(list()["quarantined_rows"].as_array().unwrap().len(), 3);
    // Twice as many: held, and what was in force stays.
    let many: Vec<String> = (300..900).map(row).collect();
    rows.extend(many[..350].iter().map(|name| ("domain", name.as_str())));
    thief.publish_with("list", 3, &before, &rows);
    node.command(&["update"]);
    assert_eq!(
        (&list()["serial"], &list()["held"]["serial"]),
        (&json!(2), &json!(3))
    );
    assert!(!blocked(&node, &many[0]) && blocked(&node, "evil.test"));
    let said = node.command(&["hold"]);
    assert!(said.contains("350 added"), "{said}");
    // The role that withdraws still does, and waits for nobody's decision.
    let withdraw = [
        "--list",
        "list",
        "--value",
        "evil.test",
        "--reason",
        "error",
    ];
    must(authority.repo("withdraw").args(withdraw));
    node.command(&["update"]);
    assert!(!blocked(&node, "evil.test") && blocked(&node, "n1.test"));
    assert_eq!(list()["held"]["serial"], 3);
    // More than the list may have: refused before it is fetched.
    rows.extend(many[350..].iter().map(|name| ("domain", name.as_str())));
    thief.publish_with("list", 4, &before, &rows);
    let said = String::from_utf8(update(&node).stderr).unwrap();
    assert!(said.contains("700 are the most"), "{said}");
    assert_eq!(list()["serial"], 2);
}

fn row(number: usize) -> String {
    format!("n{number}.test")
}

#[test]
fn a_list_whose_serial_a_thief_put_out_of_reach_begins_anew() {
    let authority = Served::new();
    authority.delegate("list");
    let publish =
        |name: &str| authority.publish_rows("list", &[name.into()], "domains", Some("subtree"));
    publish("one.test");
    let upstream = Upstream::start();
    let mut node = Daemon::new(&block_list(&authority), upstream.address);
    node.start();
    assert!(blocked(&node, "one.test"));
    // Whoever has the list's key counts up as far as a number goes.
    let folder = authority.folder();
    let thief = Authority::at(folder.parent().unwrap());
    let before = thief.plaintext("list");
    thief.publish_with("list", 1 << 63, &before, &[("domain", "thief.test")]);
    let said = String::from_utf8(update(&node).stderr).unwrap();
    assert!(
        said.contains("counts up to serial 9223372036854775808"),
        "{said}"
    );
    assert!(blocked(&node, "one.test") && !blocked(&node, "thief.test"));
    // The offline keys give the list another key and another generation.
    let delegated = thief.signed(&thief.current("targets"))["delegations"]["roles"].clone();
    let of_list = |role: &&Value| role["name"] == "list-list";
    let stolen = delegated.as_array().unwrap().iter().find(of_list).unwrap()["keyids"][0].clone();
    let rotate = [
        "--role",
        "list-list",
        "--new",
        "list-next",
        "--remove",
        stolen.as_str().unwrap(),
    ];
    must(authority.repo("rotate").args(rotate));
    let policy = folder.with_file_name("policy.yaml");
    fs::write(&policy, "lists: { list: { min_generation: 2 } }").unwrap();
    must(authority.repo("policy").arg("--from").arg(&policy));
    let said = publish("two.test");
    assert!(said.contains("serial 1"), "{said}");
    let said = node.command(&["update"]);
    assert!(said.contains("serial 1 in force"), "{said}");
    assert!(blocked(&node, "two.test") && !blocked(&node, "one.test"));
    // What was signed before the list began anew is nothing to go back to.
    let person = ["--by", "Anna", "--reason", "by mistake"];
    for version in [&[][..], &["1"][..]] {
        let rollback = [&["rollback", "list"][..], version, &person].concat();
        node.refused(&rollback);
    }
    assert!(blocked(&node, "two.test") && !blocked(&node, "one.test"));
    publish("three.test");
    node.stop();
    node.start();
    node.command(&["update"]);
    assert!(blocked(&node, "three.test") && !blocked(&node, "two.test"));
}

#[test]
fn the_key_that_withdraws_stolen_lets_some_through_and_does_no_more() {
    let authority = Authority::new(&["a", "b"]);
    let own: Vec<String> = (0..12).map(row).collect();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    authority.publish("a", &own, hour(0));
    authority.publish("b", &["own.test"], hour(0));
    authority.delegate_withdraw("duty");
    let mut node = Node::new(&authority);
    let withdraw = |version: u64, targets: Value| {
        authority.publish_withdraw_role(&["duty"], version, &targets);
    };
    let withdrawn = |minute: u32, values: &[&str]| {
        authority.withdrawals("a", &format!("2026-11-24T06:{minute:02}:00Z"), values)
    };
    // As many as the ceiling has it, for as long as each says, and not one more.
    withdraw(1, json!({"withdraw/a": withdrawn(10, &own[..10])}));
    let round = node.round(&["a", "b"], hour(1));
    assert_eq!(
        (round.outcome_of("a"), round.outcome_of("b")),
        ("new", "new")
    );
    let mut check = |outcome: &str| {
        let round = node.round(&["a", "b"], hour(1));
        let noted: Vec<&str> = round.noted.iter().map(|error| error.outcome()).collect();
        assert_eq!(noted, [outcome]);
        assert_eq!(node.puller.withdrawals("a").len(), 10, "{outcome}");
        assert!(node.puller.withdrawals("b").is_empty(), "{outcome}");
        for (list, names_now) in [("a", own.len()), ("b", 1)] {
            assert_eq!(round.outcome_of(list), "unchanged", "{outcome}");
            let (file, _) = node.restore(list).file.unwrap();
            assert_eq!(names(&file).len(), names_now, "{outcome}");
        }
    };
    withdraw(2, json!({"withdraw/a": withdrawn(20, &own[..11])}));
    check("too_many_withdrawn");
    // Nothing can be added, nor another list spoken for.
    let full = authority.signed(&authority.current("list-b"))["targets"]["b/full"].clone();
    let kept = withdrawn(10, &own[..10]);
    withdraw(3, json!({"withdraw/a": kept, "b/full": full}));
    check("out_of_scope");
    withdraw(4, json!({"withdraw/a": kept}));
    node.round(&["a", "b"], hour(1));
    authority.forge_signed_by("list-a", &["duty"], |_| {});
    let round = node.round(&["a"], hour(1));
    assert_eq!(round.outcome_of("a"), "threshold_not_met");
    authority.forge("list-a", |_| {});
    // The offline keys take the role away, and all acts again.
    authority.delegate_withdraw("other");
    node.round(&["a", "b"], hour(1));
    assert!(node.puller.withdrawals("a").is_empty());
    let (file, _) = node.restore("a").file.unwrap();
    assert_eq!(names(&file).len(), own.len());
}

/// Publishes a file of a role twice under one version with different contents: ours is kept,
/// both are evidence, and the event is told once.
fn twice(role: &str, outcome: &str, attack: impl FnOnce(&Authority)) {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    let ours = authority.files()[&authority.current(role)].clone();
    attack(&authority);
    let other = authority.files()[&authority.current(role)].clone();
    assert_ne!(ours, other);
    let round = node.round(&["a"], hour(0));
    assert_eq!(round.outcome_of("a"), outcome, "{role}");
    let [evidence] = round.evidence.as_slice() else {
        panic!("{role}: {:?}", round.evidence);
    };
    assert_eq!(evidence.file, format!("{role}.json"));
    let kept: Vec<Vec<u8>> = node
        .files()
        .into_iter()
        .filter(|(name, _)| name.contains("/evidence/"))
        .map(|(_, bytes)| bytes)
        .collect();
    assert!(kept.contains(&ours) && kept.contains(&other), "{role}");
    assert!(
        node.round(&["a"], hour(0)).evidence.is_empty(),
        "{role}: told once"
    );
    assert_eq!(node.seq("a"), Some(1), "{role}");
}

#[test]
fn same_version_with_different_bytes_keeps_ours_and_both_as_evidence() {
    let again = |signed: &mut Value| {
        signed["version"] = (signed["version"].as_u64().unwrap() - 1).into();
        signed["expires"] = json!("2026-11-24T11:00:00Z");
    };
    twice("timestamp", "unchanged", |authority| {
        authority.forge("timestamp", again)
    });
    for role in ["snapshot", "targets", "list-a"] {
        twice(role, "equivocation", |authority| {
            authority.forge(role, again)
        });
    }
    twice("list-a", "equivocation", |authority| {
        authority.forge("list-a", |signed| {
            signed["targets"]["a/full"]["custom"]["state"] = json!("0".repeat(64));
        });
    });
}

#[test]
fn a_key_that_signs_one_version_twice_is_an_alarm_on_the_node() {
    let authority = Served::new();
    authority.delegate("list");
    authority.publish_rows("list", &["one.test".into()], "domains", Some("subtree"));
    let upstream = Upstream::start();
    let mut node = Daemon::new(&block_list(&authority), upstream.address);
    node.start();
    let thief = Authority::at(authority.folder().parent().unwrap());
    let before = thief.plaintext("list");
    thief.publish_with("list", 1, &before, &[("domain", "thief.test")]);
    update(&node);
    let status = node.command(&["status"]);
    for part in ["ready, DEGRADED", "ALARM (key_misuse)", "was signed twice"] {
        assert!(status.contains(part), "{part}: {status}");
    }
    assert!(
        metric(
            &node,
            r#"cordon_alarm{alarm="key_misuse",severity="alarm"}"#
        ) >= 1.0,
        "{status}"
    );
    assert!(blocked(&node, "one.test") && !blocked(&node, "thief.test"));
    let mut evidence = node.state().join("repositories/hotline/evidence");
    assert!(fs::read_dir(&evidence).unwrap().count() > 0);
    evidence.pop();
    // And what was damaged on disk is said, set aside, and fetched again.
    node.stop();
    fs::write(evidence.join("snapshot.json"), "{").unwrap();
    node.start();
    assert!(blocked(&node, "one.test"));
    assert!(evidence.join("snapshot.json.damaged").exists());
    assert!(node.log().contains("snapshot.json"), "{}", node.log());
}
