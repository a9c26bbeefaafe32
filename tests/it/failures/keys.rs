//! Keys in the wrong hands: what a thief of each can do is what trust.md section 7.8 says,
//! and no more.

use serde_json::json;

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
    let again = |signed: &mut serde_json::Value| {
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
