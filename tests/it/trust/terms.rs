//! What holds for lists: the policy, the names never to block and the withdrawals. What is
//! wrong with them costs no list, and what was accepted last holds, over restarts too.

use cordon::control::rounds::Round;
use cordon::policy::Withdrawn;
use cordon::source::Mirror;
use serde_json::{Value, json};

use super::forge::{Authority, Node, hour};

fn notes(round: &Round) -> Vec<&'static str> {
    round.noted.iter().map(|note| note.outcome()).collect()
}

fn policy(part: Value) -> Vec<u8> {
    json!({"format": 1, "lists": {"a": part}})
        .to_string()
        .into_bytes()
}

/// An authority with lists a and b published, and a node that has both.
fn begin() -> (Authority, Node) {
    let authority = Authority::new(&["a", "b"]);
    authority.publish("a", &["one.test", "two.test"], hour(0));
    authority.publish("b", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    let round = node.round(&["a", "b"], hour(0));
    assert_eq!(
        (round.outcome_of("a"), round.outcome_of("b")),
        ("new", "new")
    );
    (authority, node)
}

fn max_entries(node: &Node) -> Option<u64> {
    node.puller.policy()?.bounds("a").unwrap().guard.max_entries
}

#[test]
fn a_policy_is_taken_and_never_given_up() {
    let (authority, mut node) = begin();
    assert!(node.puller.policy().is_none());
    let without = authority.files();
    authority.publish_term("policy", &policy(json!({"max_entries": 10})));
    let round = node.round(&["a"], hour(0));
    assert!(
        round.changes.policy && !round.changes.never_block,
        "{round:?}"
    );
    assert_eq!(max_entries(&node), Some(10));
    assert!(!node.round(&["a"], hour(0)).changes.policy);
    node.restart();
    assert_eq!(max_entries(&node), Some(10), "a restart needs no network");
    // The offline keys sign a version without one: refused, and all stays as it is.
    authority.forge("targets", |signed| {
        signed["targets"].as_object_mut().unwrap().remove("policy");
    });
    authority.publish("a", &["three.test"], hour(1));
    assert_eq!(node.outcome(hour(1)), "policy_gone");
    node.restart();
    assert_eq!(
        node.outcome(hour(1)),
        "policy_gone",
        "a restart does not forget"
    );
    assert_eq!((node.seq("a"), max_entries(&node)), (Some(1), Some(10)));
    drop(without);
    authority.publish_term("policy", &policy(json!({"max_entries": 20})));
    assert_eq!(node.outcome(hour(1)), "new");
    assert_eq!(max_entries(&node), Some(20));
}

#[test]
fn a_policy_that_cannot_be_had_or_read_leaves_the_last_one() {
    let (authority, mut node) = begin();
    authority.publish_term("policy", &policy(json!({"max_entries": 10})));
    assert_eq!(node.outcome(hour(0)), "unchanged");
    for (file, outcome) in [
        (b"{\"format\":2,\"lists\":{}}".to_vec(), "malformed"),
        (b"{".to_vec(), "malformed"),
    ] {
        authority.publish_term("policy", &policy(json!({"max_entries": 10})));
        authority.publish("b", &["one.test", &format!("{}.test", file.len())], hour(1));
        authority.publish_term("policy", &file);
        let round = node.round(&["a", "b"], hour(1));
        assert_eq!(notes(&round), [outcome]);
        assert_eq!(
            (round.outcome_of("a"), round.outcome_of("b")),
            ("unchanged", "new")
        );
        assert_eq!(max_entries(&node), Some(10));
    }
    // The mirror has another file under its name, or none.
    authority.publish_term("policy", &policy(json!({"max_entries": 30})));
    let target = authority.signed(&authority.current("targets"))["targets"]["policy"].clone();
    let file = super::forged_files::file_of("policy", &target);
    let honest = authority.files();
    authority.put(&file, &policy(json!({"max_entries": 99})));
    let round = node.round(&["a"], hour(1));
    assert_eq!(
        (round.outcome_of("a"), notes(&round)),
        ("unchanged", vec!["hash_mismatch"])
    );
    std::fs::remove_file(authority.repo().join(&file)).unwrap();
    assert_eq!(notes(&node.round(&["a"], hour(1))), ["missing"]);
    assert_eq!(max_entries(&node), Some(10));
    // A node that never had one takes no list without it: nothing would bound it.
    let mut fresh = Node::new(&authority);
    assert_eq!(fresh.outcome(hour(1)), "missing");
    authority.put_back(&honest);
    assert_eq!(fresh.outcome(hour(1)), "new");
    assert_eq!(node.outcome(hour(1)), "unchanged");
    assert_eq!(
        (max_entries(&node), max_entries(&fresh)),
        (Some(30), Some(30))
    );
}

#[test]
fn what_the_policy_demands_of_one_list_costs_no_other() {
    for (part, outcome) in [
        (json!({"x-new": 1, "critical": ["x-new"]}), "unsupported"),
        (json!({"min_format": 2}), "unsupported"),
        (json!({"log": "require"}), "unsupported"),
        (json!({"min_generation": 2}), "beyond_policy"),
        (json!({"max_entries": 2}), "beyond_policy"),
    ] {
        let (authority, mut node) = begin();
        authority.publish("a", &["one.test", "two.test", "three.test"], hour(1));
        authority.publish("b", &["two.test"], hour(1));
        authority.publish_term("policy", &policy(part.clone()));
        let round = node.round(&["a", "b"], hour(1));
        assert_eq!(
            (round.outcome_of("a"), round.outcome_of("b")),
            (outcome, "new"),
            "{part}"
        );
        assert_eq!(node.seq("a"), Some(1), "its last edition stays");
        let met = match part.get("max_entries") {
            Some(_) => json!({"max_entries": 3}),
            None => json!({}),
        };
        authority.publish_term("policy", &policy(met));
        assert_eq!(node.outcome(hour(1)), "new", "{part}");
    }
}

#[test]
fn only_the_signed_policy_lets_a_list_begin_anew() {
    let (authority, mut node) = begin();
    // A thief of the list's key begins it anew: with the serial in force, and out of reach.
    for (generation, seq, outcome) in [
        (2, 1, "beyond_policy"),
        (2, 1_u64 << 63, "beyond_policy"),
        (1, 1 << 63, "malformed"),
        (1, 1 << 40, "malformed"),
    ] {
        authority.publish("a", &["one.test", "evil.test"], hour(1));
        authority.forge("list-a", |signed| {
            let targets = signed["targets"].as_object_mut().unwrap();
            targets.retain(|path, _| path == "a/full");
            for target in targets.values_mut() {
                target["custom"]["generation"] = json!(generation);
                target["custom"]["seq"] = json!(seq);
            }
        });
        let mut newcomer = Node::new(&authority);
        assert_eq!(node.outcome(hour(1)), outcome, "{generation} {seq}");
        if seq != 1 << 40 {
            assert_eq!(newcomer.outcome(hour(1)), outcome, "{generation} {seq}");
        }
        node.restart();
        assert_eq!(node.seq("a"), Some(1), "{generation} {seq}");
    }
    // The offline keys begin it anew, where the thief's last serial leaves room for none.
    authority.publish_term("policy", &policy(json!({"min_generation": 2})));
    authority.publish("a", &["one.test", "three.test"], hour(1));
    assert_eq!(node.outcome(hour(1)), "new");
    node.restart();
    assert_eq!(node.seq("a"), Some((1 << 40) + 1));
    authority.publish("a", &["one.test", "four.test"], hour(1));
    assert_eq!(node.outcome(hour(1)), "new");
    assert_eq!(
        node.puller.policy().unwrap().understood("a").generation_min,
        2
    );
}

#[test]
fn names_never_to_block_come_and_go() {
    let (authority, mut node) = begin();
    let names = |node: &Node| -> Vec<String> {
        node.puller
            .never_block()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    authority.publish_term("never-block", b"bank.test\n# no\nshop.test\n");
    let round = node.round(&["a"], hour(0));
    assert!(round.changes.never_block, "{round:?}");
    assert_eq!(node.seq("a"), Some(1));
    assert_eq!(names(&node), ["bank.test", "shop.test"]);
    authority.publish_term("never-block", b"bank.test\n*.no.test\n");
    let round = node.round(&["a"], hour(0));
    assert_eq!(
        (round.outcome_of("a"), notes(&round)),
        ("unchanged", vec!["malformed"])
    );
    assert_eq!(
        names(&node).len(),
        2,
        "half a file would block what is in the other half"
    );
    authority.forge("targets", |signed| {
        signed["targets"]
            .as_object_mut()
            .unwrap()
            .remove("never-block");
    });
    assert!(node.round(&["a"], hour(0)).changes.never_block);
    assert!(names(&node).is_empty());
    node.restart();
    assert!(names(&node).is_empty());
}

/// The values that are withdrawn of list a.
fn withdrawn(node: &Node) -> Vec<String> {
    let values = node
        .puller
        .withdrawals("a")
        .iter()
        .map(|item| match &item.what {
            Withdrawn::Value(value) => value.clone(),
            Withdrawn::Id(id) => id.as_str().to_owned(),
        });
    values.collect()
}

const EARLY: &str = "2026-11-24T06:00:00Z";
const LATER: &str = "2026-11-24T06:30:00Z";

/// The same, and one entry of list a withdrawn.
fn begin_withdrawn() -> (Authority, Node) {
    let (authority, mut node) = begin();
    authority.delegate_withdraw("duty");
    let target = authority.withdrawals("a", LATER, &["one.test"]);
    authority.publish_withdraw_role(&["duty"], 1, &json!({"withdraw/a": target}));
    let round = node.round(&["a", "b"], hour(1));
    assert_eq!(round.changes.withdrawn, ["a"], "{round:?}");
    assert_eq!(withdrawn(&node), ["one.test"]);
    (authority, node)
}

#[test]
fn a_withdrawal_is_told_before_any_list_is_fetched() {
    let (authority, mut node) = begin();
    authority.delegate_withdraw("duty");
    let target = authority.withdrawals("a", LATER, &["one.test"]);
    authority.publish_withdraw_role(&["duty"], 1, &json!({"withdraw/a": target}));
    // The list itself cannot be had, and neither can the policy.
    authority.publish_term("policy", &policy(json!({})));
    authority.forge_signed_by("list-a", &[], |_| {});
    let policy = authority.signed(&authority.current("targets"))["targets"]["policy"].clone();
    let policy = super::forged_files::file_of("policy", &policy);
    std::fs::remove_file(authority.repo().join(policy)).unwrap();
    let mut told = Vec::new();
    let subscriptions = super::forge::subscriptions(&["a"]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut tell = |list: &str, items: &[cordon::policy::Withdrawal]| {
        told.push((list.to_owned(), items.len()));
    };
    let round = runtime.block_on(
        node.puller
            .round_telling(&subscriptions, hour(1), &mut tell),
    );
    assert_eq!(told, [("a".to_owned(), 1)]);
    assert_eq!(round.outcome_of("a"), "threshold_not_met");
    node.restart();
    assert_eq!(withdrawn(&node), ["one.test"], "it survives a restart");
}

#[test]
fn a_fresh_node_takes_withdrawals_when_it_knows_the_list() {
    let (authority, _) = begin_withdrawn();
    let mut fresh = Node::new(&authority);
    let round = fresh.round(&["a", "b"], hour(1));
    assert_eq!(
        (round.outcome_of("a"), round.changes.withdrawn),
        ("new", vec!["a".to_owned()])
    );
    assert_eq!(withdrawn(&fresh), ["one.test"]);
}

/// Something is wrong with the withdrawals: what was withdrawn stays, nothing else is lost,
/// and the node says why.
#[track_caller]
fn check_refused(outcome: &str, lie: impl FnOnce(&Authority)) {
    let (authority, mut node) = begin_withdrawn();
    authority.publish("b", &["two.test"], hour(1));
    lie(&authority);
    for restarts in [false, true] {
        if restarts {
            node.restart();
            node.restore("a");
        }
        let round = node.round(&["a", "b"], hour(1));
        assert_eq!(notes(&round), [outcome], "{round:?}");
        assert!(round.error.is_none());
        assert!(["new", "unchanged"].contains(&round.outcome_of("b")));
        assert_eq!(round.outcome_of("a"), "unchanged");
        assert_eq!(withdrawn(&node), ["one.test"]);
    }
}

#[test]
fn withdrawals_that_are_not_to_be_taken_are_refused() {
    let publish = |target: Value, authority: &Authority| {
        authority.publish_withdraw_role(&["duty"], 2, &json!({"withdraw/a": target}));
    };
    check_refused("too_many_withdrawn", |authority| {
        let values: Vec<String> = (0..11).map(|number| format!("n{number}.test")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        publish(authority.withdrawals("a", LATER, &values), authority);
    });
    check_refused("malformed", |authority| {
        // The withdrawals of another list, under this one's name.
        let foreign = authority.withdrawals("b", LATER, &["two.test"]);
        let file = super::forged_files::file_of("withdraw/b", &foreign);
        let bytes = authority.files()[&file].clone();
        publish(
            authority.target("withdraw/a", &bytes, json!({"format": 1})),
            authority,
        );
    });
    check_refused("rollback", |authority| {
        publish(authority.withdrawals("a", EARLY, &["two.test"]), authority);
    });
    check_refused("from_the_future", |authority| {
        publish(
            authority.withdrawals("a", "2026-11-26T06:00:00Z", &[]),
            authority,
        );
    });
    check_refused("unsupported", |authority| {
        let mut target = authority.withdrawals("a", LATER, &[]);
        target["custom"]["format"] = json!(2);
        publish(target, authority);
    });
    check_refused("out_of_scope", |authority| {
        let target = authority.withdrawals("a", LATER, &[]);
        authority.publish_withdraw_role(&["duty"], 2, &json!({"b/full": target}));
    });
    check_refused("threshold_not_met", |authority| {
        let target = authority.withdrawals("a", LATER, &[]);
        authority.publish_withdraw_role(&["list-a"], 2, &json!({"withdraw/a": target}));
    });
    check_refused("missing", |authority| {
        let target = authority.withdrawals("a", LATER, &["two.test"]);
        let file = super::forged_files::file_of("withdraw/a", &target);
        std::fs::remove_file(authority.repo().join(file)).unwrap();
        publish(target, authority);
    });
}

#[test]
fn the_role_that_withdraws_is_first_terminating_and_alone_in_its_folder() {
    let edits: [fn(&mut Value); 3] = [
        |roles| roles.as_array_mut().unwrap().rotate_left(1),
        |roles| roles[0]["terminating"] = json!(false),
        |roles| roles[0]["paths"] = json!(["*/*"]),
    ];
    for edit in edits {
        check_refused("lint", |authority| {
            authority.forge("targets", |signed| {
                edit(&mut signed["delegations"]["roles"])
            });
        });
    }
}

#[test]
fn a_role_that_withdraws_and_is_not_signed_by_its_new_keys_costs_nothing() {
    let (authority, mut node) = begin();
    authority.publish("b", &["two.test"], hour(1));
    authority.delegate_withdraw("duty");
    let round = node.round(&["a", "b"], hour(1));
    assert_eq!(notes(&round), ["threshold_not_met"]);
    assert_eq!(round.outcome_of("b"), "new");
}

#[test]
fn withdrawals_outlive_the_role_but_not_its_keys() {
    let (authority, mut node) = begin_withdrawn();
    // The role has expired: noted, and what each item says of itself holds.
    let round = node.round(&["a"], hour(3));
    assert_eq!(notes(&round), ["expired"]);
    assert_eq!(withdrawn(&node), ["one.test"]);
    node.restart();
    assert_eq!(withdrawn(&node), ["one.test"]);
    drop(authority);
    // The duty officer's key was stolen: the offline keys give the role to another key.
    let (authority, mut node) = begin_withdrawn();
    authority.delegate_withdraw("other");
    let round = node.round(&["a"], hour(1));
    assert_eq!(notes(&round), ["threshold_not_met"]);
    assert_eq!(
        (withdrawn(&node), round.changes.withdrawn),
        (vec![], vec!["a".to_owned()])
    );
    node.restart();
    assert!(withdrawn(&node).is_empty());
    // The new officer is not bound by how late the thief said it was.
    let target = authority.withdrawals("a", EARLY, &["two.test"]);
    authority.publish_withdraw_role(&["other"], 2, &json!({"withdraw/a": target}));
    assert_eq!(node.round(&["a"], hour(1)).changes.withdrawn, ["a"]);
    assert_eq!(withdrawn(&node), ["two.test"]);
    // Or takes the role away.
    authority.forge("targets", |signed| {
        signed["delegations"]["roles"]
            .as_array_mut()
            .unwrap()
            .remove(0);
    });
    assert!(notes(&node.round(&["a"], hour(1))).is_empty());
    assert!(withdrawn(&node).is_empty());
}

#[test]
fn withdrawals_that_the_new_officer_confirms_run_on_without_their_file() {
    let (authority, mut node) = begin_withdrawn();
    let role = authority.signed(&authority.current("withdraw"));
    let target = role["targets"]["withdraw/a"].clone();
    let file = authority
        .repo()
        .join(super::forged_files::file_of("withdraw/a", &target));
    let text = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    authority.delegate_withdraw("other");
    authority.publish_withdraw_role(&["other"], 2, &json!({"withdraw/a": target}));
    // No mirror has the file.
    for _ in 0..2 {
        assert_eq!(notes(&node.round(&["a"], hour(1))), ["missing"]);
        assert_eq!(withdrawn(&node), ["one.test"]);
        node.restart();
        assert_eq!(withdrawn(&node), ["one.test"]);
    }
    std::fs::write(&file, text).unwrap();
    for _ in 0..2 {
        assert!(notes(&node.round(&["a"], hour(1))).is_empty());
        assert_eq!(withdrawn(&node), ["one.test"]);
        node.restart();
    }
    // With its new proof, it is not fetched again.
    std::fs::remove_file(&file).unwrap();
    assert!(notes(&node.round(&["a"], hour(1))).is_empty());
    assert_eq!(withdrawn(&node), ["one.test"]);
}

#[test]
fn a_kept_term_that_was_changed_on_disk_is_set_aside_and_fetched_again() {
    let (authority, mut node) = begin_withdrawn();
    authority.publish_term("policy", &policy(json!({"max_entries": 10})));
    authority.publish_term("never-block", b"bank.test\n");
    assert_eq!(node.outcome(hour(1)), "unchanged");
    let folder = node.state().join("repositories/hotlines");
    for term in ["policy", "never-block", "withdraw-a"] {
        let file = folder.join(format!("target-{term}.json"));
        let text = std::fs::read_to_string(&file).unwrap();
        let changed = text.replace("\"text\":\"", "\"text\":\" ");
        for damage in [changed.as_str(), &text[..text.len() / 2], ""] {
            std::fs::write(&file, damage).unwrap();
            node.restart();
            assert_eq!(node.puller.mend().len(), 1, "{term}");
            node.restore("a");
            assert_eq!(node.outcome(hour(1)), "unchanged", "{term}");
            assert_eq!(max_entries(&node), Some(10));
            assert_eq!(node.puller.never_block().len(), 1);
            assert_eq!(withdrawn(&node), ["one.test"]);
        }
    }
}

#[test]
fn a_term_that_was_damaged_or_lost_on_disk_is_made_good_by_its_copy_without_any_mirror() {
    let (authority, mut node) = begin_withdrawn();
    authority.publish_term("policy", &policy(json!({"max_entries": 10})));
    authority.publish_term("never-block", b"bank.test\n");
    assert_eq!(node.outcome(hour(1)), "unchanged");
    let folder = node.state().join("repositories/hotlines");
    let check = |node: &mut Node, what: &str| {
        node.restart();
        node.puller.mend();
        assert_eq!(max_entries(node), Some(10), "{what}");
        assert_eq!(node.puller.never_block().len(), 1, "{what}");
        assert_eq!(withdrawn(node), ["one.test"], "{what}");
        assert!(node.puller.lost_terms().is_empty());
    };
    for term in ["policy", "never-block", "withdraw-a"] {
        for file in [
            format!("target-{term}.json"),
            format!("copy-target-{term}.json"),
        ] {
            let path = folder.join(&file);
            let whole = std::fs::read(&path).unwrap();
            for damage in [&whole[..whole.len() / 2], b"", b"lost"] {
                std::fs::write(&path, damage).unwrap();
                if damage == b"lost" {
                    std::fs::remove_file(&path).unwrap();
                }
                check(&mut node, &file);
                // The next round, whatever it brings, makes both whole.
                node.round(&["a"], hour(1));
                assert_eq!(std::fs::read(&path).unwrap(), whole, "{file}");
            }
        }
    }
    // With both gone, it is known that they were there.
    for file in ["target-policy.json", "copy-target-policy.json"] {
        std::fs::write(folder.join(file), "").unwrap();
    }
    node.restart();
    assert_eq!(node.puller.mend().len(), 2);
    assert_eq!(node.puller.lost_terms(), ["target-policy.json"]);
    // What is dropped leaves no copy to come back from.
    authority.forge("targets", |signed| {
        let targets = signed["targets"].as_object_mut().unwrap();
        targets.remove("never-block");
    });
    node.round(&["a"], hour(1));
    assert!(node.puller.lost_terms().is_empty());
    assert!(!folder.join("copy-target-never-block.json").exists());
    node.restart();
    assert!(node.puller.never_block().is_empty());
}

#[test]
fn a_slip_of_the_pen_in_trust_loses_nothing_that_is_stored() {
    let (authority, mut node) = begin_withdrawn();
    authority.forge_root(&["root"], |_| {});
    authority.publish_term("policy", &policy(json!({"max_entries": 10})));
    authority.publish_term("never-block", b"bank.test\n");
    assert_eq!(node.outcome(hour(1)), "unchanged");
    let before = node.files();
    let honest = authority.files();
    // Under another authority's root, the mirror there and gone.
    let other = Authority::new(&["a"]);
    for is_there in [true, false] {
        if !is_there {
            std::fs::remove_dir_all(authority.repo()).unwrap();
        }
        let mut slipped = Node::new(&other);
        super::copy(&before, slipped.state());
        slipped.restart();
        assert_eq!(slipped.puller.mend(), [], "foreign is not damaged");
        assert!(slipped.puller.never_block().is_empty());
        let mirrors = vec![Mirror::Directory(authority.repo())];
        slipped = {
            let mut asked = Node::with_mirrors(&other, mirrors);
            super::copy(&slipped.files(), asked.state());
            asked.restart();
            assert_eq!(asked.puller.mend(), []);
            asked
        };
        assert!(slipped.round(&["a"], hour(1)).error.is_some());
        assert_eq!(slipped.files(), before, "{is_there}");
    }
    // And with the right one all of it holds, before any mirror is asked.
    super::copy(&before, node.state());
    node.restart();
    assert_eq!(node.puller.mend(), []);
    assert_eq!(max_entries(&node), Some(10));
    assert_eq!(node.puller.never_block().len(), 1);
    assert_eq!(withdrawn(&node), ["one.test"]);
    super::copy(&honest, &authority.repo());
    node.restore("a");
    assert_eq!(node.outcome(hour(1)), "unchanged");
}

#[test]
fn withdrawals_are_taken_from_the_mirror_that_has_them() {
    let (authority, mut node) = begin();
    let stale = tempfile::tempdir().unwrap();
    super::copy(&authority.files(), stale.path());
    authority.delegate_withdraw("duty");
    let target = authority.withdrawals("a", LATER, &["one.test"]);
    authority.publish_withdraw_role(&["duty"], 1, &json!({"withdraw/a": target}));
    assert_eq!(node.round(&["a"], hour(1)).changes.withdrawn, ["a"]);
    let mirrors = vec![
        Mirror::Directory(stale.path().to_owned()),
        Mirror::Directory(authority.repo()),
    ];
    let mut behind = Node::with_mirrors(&authority, mirrors);
    super::copy(&node.files(), behind.state());
    behind.restart();
    assert_eq!(withdrawn(&behind), ["one.test"]);
    assert_eq!(
        behind.outcome(hour(1)),
        "new",
        "the stale mirror is a rollback, the other is not"
    );
    assert_eq!(withdrawn(&behind), ["one.test"]);
}
