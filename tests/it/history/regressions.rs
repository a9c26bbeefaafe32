//! What histories found, each by itself.

use std::fs;

use cordon::policy::{WithdrawalReason, Withdrawn};
use cordon::publish::{Repository, Rotation, UNTIL_DEFAULT, Withdraw};

use crate::trust::forge::{Authority, Node, hour};

#[test]
fn seed_213_a_timestamp_that_could_not_be_written_leaves_no_damage() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    authority.publish("a", &["two.test"], hour(7));
    let obstacle = node
        .state()
        .join("repositories/hotlines/.timestamp.json.tmp");
    fs::create_dir(&obstacle).unwrap();
    assert_eq!(node.outcome(hour(7)), "not_stored");
    // When the newer one was accepted is on disk, and the older one is what is there.
    node.restart();
    let damaged = node.puller.mend();
    assert!(damaged.is_empty(), "{damaged:?}");
    fs::remove_dir(obstacle).unwrap();
    assert_eq!(node.outcome(hour(7)), "new");
}

#[test]
fn seed_75_what_is_withdrawn_can_be_taken_back_when_the_list_dropped_it() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test", "two.test"], hour(0));
    authority.withdraw("a", "one.test", hour(0));
    authority.publish("a", &["two.test"], hour(1));
    let mut undo = Withdraw {
        list: "a".to_owned(),
        what: vec![Withdrawn::Value("one.test".to_owned())],
        reason: WithdrawalReason::Error,
        until: hour(1) + UNTIL_DEFAULT,
        undo: true,
        unlisted: false,
    };
    let mut repository = Repository::open(&authority.repo()).unwrap();
    let left = repository.withdraw(&authority.keys(), &undo, hour(1));
    assert!(left.unwrap().running.is_empty());
    undo.what = vec![Withdrawn::Value("none.test".to_owned())];
    assert!(
        repository
            .withdraw(&authority.keys(), &undo, hour(1))
            .is_err()
    );
}

#[test]
fn seed_245_an_older_role_under_new_online_keys_ends_no_withdrawal() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test", "two.test"], hour(0));
    let old = authority.files();
    authority.withdraw("a", "one.test", hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    assert_eq!(node.puller.withdrawals("a").len(), 1);
    let rotation = Rotation {
        role: "snapshot".to_owned(),
        new: vec!["snapshot-2".to_owned()],
        ..Rotation::default()
    };
    let mut repository = Repository::open(&authority.repo()).unwrap();
    repository
        .rotate(&mut authority.keys(), &rotation, hour(1))
        .unwrap();
    drop(repository);
    // A mirror with the new root and all else as before the withdrawal: the floors of the
    // online roles fell with the root, and the old keys still sign.
    authority.put_back(&old);
    let round = node.round(&["a"], hour(1));
    assert_eq!(node.puller.withdrawals("a").len(), 1, "{:?}", round.noted);
    assert_eq!(round.noted.len(), 1, "and the node says so");
    // Ended, they are gone.
    authority.refresh(hour(80));
    node.round(&["a"], hour(80));
    assert!(node.puller.withdrawals("a").is_empty());
}
