//! A list by steps: whatever is wrong with a step, the node ends at the state that was
//! signed, by the complete state, or stays where it is and says why.

use std::fs;

use cordon::control::rounds::{ListOutcome, Round};
use cordon::verify::Text;
use serde_json::json;

use super::forge::{Node, hour};
use super::forged_files::History;

/// How a round brought a new version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum By {
    Steps,
    Full,
}

/// Changes a step before it is signed.
type Lie = fn(&mut cordon::verify::Delta);

/// What was noted in a round, by its short names.
fn notes(round: &Round) -> Vec<&'static str> {
    round.noted.iter().map(|note| note.outcome()).collect()
}

/// How list a came in a round.
#[track_caller]
fn by(round: &Round) -> By {
    match round.lists.as_slice() {
        [
            (
                _,
                ListOutcome::New {
                    change: Some(_), ..
                },
            ),
        ] => By::Steps,
        [(_, ListOutcome::New { change: None, .. })] => By::Full,
        _ => panic!("{round:?}"),
    }
}

/// A node has serial 1; then serial 2 is published with a complete state of its own, and
/// `lie` changes something. The node must end at serial 2, that way, with those notes.
#[track_caller]
fn check(lie: impl FnOnce(&History, &Node), way: By, noted: &[&str]) {
    let mut history = History::new();
    let mut node = Node::new(&history.authority);
    assert_eq!(node.outcome(hour(0)), "new");
    history.publish(true);
    lie(&history, &node);
    let round = node.round(&["a"], hour(1));
    assert_eq!(by(&round), way, "{round:?}");
    assert_eq!(notes(&round), noted);
    let (file, version) = {
        assert_eq!(
            node.seq("a"),
            Some(2),
            "and again from the pinned root at the next start"
        );
        node.restore("a").file.unwrap()
    };
    assert_eq!(version.seq, 2);
    assert_eq!(file.get().text.whole().unwrap(), history.states[1]);
    assert_eq!(node.outcome(hour(1)), "unchanged");
}

#[test]
fn a_step_leads_to_the_newest_version() {
    check(|_, _| {}, By::Steps, &[]);
}

#[test]
fn a_step_that_does_not_fit_costs_the_complete_state() {
    check(
        |history, _| {
            history.authority.forge("list-a", |signed| {
                signed["targets"]
                    .as_object_mut()
                    .unwrap()
                    .remove("a/delta-1-2");
            });
        },
        By::Full,
        &[],
    );
    check(
        |history, _| {
            history.authority.forge("list-a", |signed| {
                let custom = &mut signed["targets"]["a/delta-1-2"]["custom"];
                custom["from_state"] = json!("0".repeat(64));
            });
        },
        By::Full,
        &[],
    );
}

#[test]
fn a_step_that_was_signed_but_lies_is_thrown_away() {
    let lies: [(Lie, &str); 8] = [
        (|delta| delta.removed = vec![9999], "malformed"),
        (|delta| delta.removed = vec![7], "hash_mismatch"),
        (|delta| delta.added[0].push(b' '), "hash_mismatch"),
        (|delta| delta.added.clear(), "hash_mismatch"),
        (|delta| delta.list = "b".to_owned(), "malformed"),
        (|delta| delta.generation = 2, "hash_mismatch"),
        (|delta| delta.from = 0, "hash_mismatch"),
        (|delta| delta.to = 3, "hash_mismatch"),
    ];
    for (lie, noted) in lies {
        check(
            |history, _| history.change_last_step(lie),
            By::Full,
            &[noted],
        );
    }
    for member in ["add", "del"] {
        check(
            |history, _| {
                history.authority.forge("list-a", |signed| {
                    signed["targets"]["a/delta-1-2"]["custom"][member] = json!(7);
                });
            },
            By::Full,
            &["hash_mismatch"],
        );
    }
}

#[test]
fn a_step_that_the_mirror_changed_or_lost_costs_the_complete_state() {
    check(
        |history, _| {
            let file = history.last_file();
            let mut bytes = history.authority.files()[&file].clone();
            bytes[10] ^= 1;
            history.authority.put(&file, &bytes);
        },
        By::Full,
        &["hash_mismatch"],
    );
    check(
        |history, _| fs::remove_file(history.authority.repo().join(history.last_file())).unwrap(),
        By::Full,
        &["missing"],
    );
}

#[test]
fn a_stored_state_that_is_gone_or_damaged_costs_the_complete_state() {
    check(
        |_, node| fs::remove_file(node.state().join("lists/a/1.state")).unwrap(),
        By::Full,
        &["missing"],
    );
    check(
        |_, node| {
            let file = node.state().join("lists/a/1.state");
            let mut bytes = fs::read(&file).unwrap();
            let last = bytes.len() - 5;
            bytes[last] ^= 1;
            fs::write(file, bytes).unwrap();
        },
        By::Full,
        &["malformed"],
    );
    check(
        |_, node| {
            let file = node.state().join("lists/a/1.state");
            let other = Text::plain(b"{\"list\":\"a\"}\n".to_vec()).write();
            fs::write(file, other.unwrap()).unwrap();
        },
        By::Full,
        &["malformed"],
    );
}

#[test]
fn what_a_role_signs_wrongly_about_a_step_refuses_the_list() {
    for (member, value, outcome) in [
        ("format", json!(2), "unsupported"),
        ("list", json!("b"), "malformed"),
        ("comp", json!("none"), "unsupported"),
        ("enc", json!("age"), "unsupported"),
        ("state", json!("0".repeat(64)), "malformed"),
        ("state", json!("no"), "malformed"),
        ("from", json!(0), "malformed"),
        ("seq", json!(7), "malformed"),
        ("size", json!(1_u64 << 40), "too_long"),
        ("entries", json!("one"), "malformed"),
    ] {
        let mut history = History::new();
        let mut node = Node::new(&history.authority);
        assert_eq!(node.outcome(hour(0)), "new");
        history.publish(true);
        let honest = history.authority.files();
        history.authority.forge("list-a", |signed| {
            signed["targets"]["a/delta-1-2"]["custom"][member] = value.clone();
        });
        assert_eq!(node.outcome(hour(1)), outcome, "{member}: {value}");
        assert_eq!(node.seq("a"), Some(1));
        history.authority.put_back(&honest);
        history.authority.rotate_online_keys();
        history.authority.forge("list-a", |_| {});
        assert_eq!(node.outcome(hour(1)), "new", "{member}: {value}");
    }
}

#[test]
fn a_chain_leads_from_any_version_to_the_newest() {
    for renewed in 1..=4 {
        let mut history = History::new();
        let mut nodes: Vec<(u64, Node)> = Vec::new();
        for seq in 2..=4 {
            let mut node = Node::new(&history.authority);
            assert_eq!(node.outcome(hour(0)), "new");
            nodes.push((seq - 1, node));
            history.publish(seq == renewed);
        }
        nodes.push((0, Node::new(&history.authority)));
        for (seq, mut node) in nodes {
            let round = node.round(&["a"], hour(1));
            let expected = if seq == 0 { By::Full } else { By::Steps };
            assert_eq!(by(&round), expected, "from {seq}, complete at {renewed}");
            let (file, _) = node.restore("a").file.unwrap();
            assert_eq!(
                file.get().text.whole().unwrap(),
                *history.states.last().unwrap()
            );
            if let [
                (
                    _,
                    ListOutcome::New {
                        change: Some(change),
                        ..
                    },
                ),
            ] = round.lists.as_slice()
            {
                assert_eq!(change.from.seq, seq);
                assert_eq!(change.signed_added, 4 - seq);
                assert_eq!(change.signed_removed, 4 - seq);
                assert_eq!(change.added.len() as u64, 4 - seq);
            }
        }
    }
}

#[test]
fn a_publishers_fault_is_refused_once_and_not_fetched_again_and_again() {
    let mut history = History::new();
    let mut node = Node::new(&history.authority);
    assert_eq!(node.outcome(hour(0)), "new");
    // The only way to serial 2 is a step that lies.
    history.publish(false);
    history.change_last_step(|delta| delta.removed = vec![7]);
    let round = node.round(&["a"], hour(1));
    assert_eq!(round.outcome_of("a"), "hash_mismatch");
    assert_eq!(notes(&round), ["hash_mismatch"]);
    let again = node.round(&["a"], hour(1));
    assert_eq!(
        (again.outcome_of("a"), again.requests),
        ("hash_mismatch", 2)
    );
    assert_eq!(node.seq("a"), Some(1));
    history.change_last_step(|_| {});
    assert_eq!(node.outcome(hour(1)), "new");
    assert_eq!(node.seq("a"), Some(2));
}

#[test]
fn a_step_may_lead_from_a_version_that_was_never_in_force() {
    let mut history = History::new();
    let mut node = Node::new(&history.authority);
    assert_eq!(node.outcome(hour(0)), "new");
    history.publish(true);
    assert_eq!(node.outcome(hour(1)), "new");
    // A guard holds serial 2: serial 1 is in force, and what the next start begins with.
    let states = cordon::source::ListStates::open(node.state(), "a").unwrap();
    states.set_current((1, 1)).unwrap();
    assert_eq!(node.seq("a"), Some(1));
    history.publish(true);
    let round = node.round(&["a"], hour(1));
    let [
        (
            _,
            ListOutcome::New {
                change: Some(change),
                version,
                ..
            },
        ),
    ] = round.lists.as_slice()
    else {
        panic!("{round:?}");
    };
    assert_eq!((change.from.seq, version.seq), (1, 3));
}

#[test]
fn steps_that_together_are_far_longer_than_the_list_are_not_kept_in_memory() {
    let mut history = History::new();
    let mut node = Node::new(&history.authority);
    assert_eq!(node.outcome(hour(0)), "new");
    // Each alone would pass, and is no entry, which is found out when all are there.
    let mut noise = 1_u64;
    for _ in 0..2 {
        history.publish(false);
        history.change_last_step(|delta| {
            let digits = std::iter::repeat_with(|| {
                noise = noise.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                format!("{noise:016x}").into_bytes()
            });
            delta.added[0].extend(digits.take(45_000).flatten());
        });
    }
    history.authority.forge("list-a", |signed| {
        signed["targets"]["a/full"]["length"] = json!(100 << 20);
    });
    let round = node.round(&["a"], hour(1));
    assert_eq!(notes(&round), ["too_long"], "{round:?}");
    assert_eq!(node.seq("a"), Some(1), "the last good version stays");
}
