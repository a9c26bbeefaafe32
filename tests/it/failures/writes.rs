//! A crash, a power cut or a full disk at every single write, of the node and of the
//! authority: whatever is on disk then goes on.

use std::path::Path;
use std::process::Command;

use cordon::publish::{Keyring, Repository, Rotation};
use cordon::source::Mirror;

use crate::harness::disk::{Fault, again, count_writes, has_crashed, world};
use crate::harness::must;
use crate::trust::forge::{Authority, Node, hour};

/// The node in a folder that also has its authority.
fn node_in(world: &Path) -> (Authority, Node) {
    let authority = Authority::at(&world.join("authority"));
    let mirrors = vec![Mirror::Directory(authority.repo())];
    let node = Node::at(&world.join("state"), &authority, mirrors);
    (authority, node)
}

/// Runs `test` with the fault at its first write, its second, and so on, each time on a
/// fresh copy of `before`, and has `judge` look at what is left.
fn at_every_write(
    test: &str,
    before: &Path,
    below: &str,
    fault: Fault,
    judge: impl Fn(&Path, usize),
) {
    let fresh = || {
        let folder = tempfile::tempdir().unwrap();
        let everything = before.join(".");
        must(
            Command::new("cp")
                .arg("-a")
                .args([everything.as_path(), folder.path()]),
        );
        folder
    };
    let writes = count_writes(test, &fresh().path().join(below));
    for at in 1..=writes {
        let folder = fresh();
        let status = again(test, &folder.path().join(below), at, fault);
        let expected = match fault {
            Fault::Crash => has_crashed(status),
            // Where that write is of no octets, nothing happens.
            Fault::Half => has_crashed(status) || status.success(),
            Fault::Full => status.success(),
        };
        assert!(expected, "write {at}: {status}");
        judge(folder.path(), at);
    }
}

/// An authority that published two versions, with a new root and online keys in between, and
/// a node that has the first.
fn two_versions(world: &Path) {
    let made = Authority::new(&["a"]);
    let authority = made.copied_to(&world.join("authority"));
    authority.publish("a", &["one.test"], hour(0));
    let (_, mut node) = node_in(world);
    assert_eq!(node.outcome(hour(0)), "new");
    authority.rotate_online_keys();
    authority.publish("a", &["two.test"], hour(1));
}

/// What must hold of a node whatever happened to its disk: it starts with a version that was
/// in force, nothing is damaged, and the next round brings the newest.
fn judge_node(world: &Path, at: usize) {
    let (_, mut node) = node_in(world);
    let damaged = node.puller.mend();
    assert!(damaged.is_empty(), "write {at}: {damaged:?}");
    let restored = node.restore("a");
    assert!(
        restored.damaged.is_empty(),
        "write {at}: {:?}",
        restored.damaged
    );
    let seq = restored.file.map(|(_, version)| version.seq);
    assert!(matches!(seq, Some(1 | 2)), "write {at}: {seq:?}");
    let outcome = node.outcome(hour(1));
    assert!(
        matches!(outcome, "new" | "unchanged"),
        "write {at}: {outcome}"
    );
    assert_eq!(node.seq("a"), Some(2), "write {at}");
    let left: Vec<String> = node
        .files()
        .into_keys()
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "write {at}: {left:?}");
}

fn every_write_of_a_node(test: &str, fault: Fault) {
    if let Some(state) = world() {
        let (_, mut node) = node_in(state.parent().unwrap());
        node.round(&["a"], hour(1));
        return;
    }
    let before = tempfile::tempdir().unwrap();
    two_versions(before.path());
    at_every_write(test, before.path(), "state", fault, judge_node);
}

#[test]
fn a_crash_at_any_write_of_a_node_loses_nothing() {
    every_write_of_a_node(
        "failures::writes::a_crash_at_any_write_of_a_node_loses_nothing",
        Fault::Crash,
    );
}

#[test]
fn a_power_cut_that_leaves_half_a_file_of_a_node_loses_nothing() {
    every_write_of_a_node(
        "failures::writes::a_power_cut_that_leaves_half_a_file_of_a_node_loses_nothing",
        Fault::Half,
    );
}

#[test]
fn a_disk_that_is_full_from_any_write_of_a_node_on_loses_nothing() {
    every_write_of_a_node(
        "failures::writes::a_disk_that_is_full_from_any_write_of_a_node_on_loses_nothing",
        Fault::Full,
    );
}

/// What must hold of a repository whatever happened to the authority's disk: a node that had
/// the first version takes what is there, and the next publication works.
fn judge_authority(world: &Path, at: usize) {
    let (authority, mut node) = node_in(world);
    let outcome = node.outcome(hour(2));
    assert!(
        matches!(outcome, "new" | "unchanged"),
        "write {at}: {outcome}"
    );
    assert!(
        matches!(node.seq("a"), Some(1 | 2)),
        "write {at}: what is served is one version or the other"
    );
    let published = authority.publish("a", &["three.test"], hour(3));
    assert_eq!(node.outcome(hour(3)), "new", "write {at}");
    assert_eq!(node.seq("a"), Some(published.seq), "write {at}");
    let left: Vec<String> = authority
        .files()
        .into_keys()
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "write {at}: {left:?}");
}

fn every_write_of_an_authority(test: &str, fault: Fault) {
    if let Some(authority) = world() {
        let authority = Authority::at(&authority);
        if fault == Fault::Full {
            // It says why; what it leaves is judged outside.
            let _ = authority.try_to_publish("a", &["two.test"], hour(2));
        } else {
            authority.publish("a", &["two.test"], hour(2));
        }
        return;
    }
    let before = tempfile::tempdir().unwrap();
    let made = Authority::new(&["a"]);
    let authority = made.copied_to(&before.path().join("authority"));
    authority.publish("a", &["one.test"], hour(1));
    let (_, mut node) = node_in(before.path());
    assert_eq!(node.outcome(hour(1)), "new");
    drop(node);
    at_every_write(test, before.path(), "authority", fault, judge_authority);
}

#[test]
fn a_disk_that_is_full_from_any_write_of_a_rotation_on_leaves_nodes_what_they_had() {
    const TEST: &str = "failures::writes::a_disk_that_is_full_from_any_write_of_a_rotation_on_leaves_nodes_what_they_had";
    if let Some(authority) = world() {
        let authority = Authority::at(&authority);
        let root = authority.signed("metadata/1.root.json");
        let rotation = Rotation {
            role: "timestamp".to_owned(),
            new: vec!["timestamp-2".to_owned()],
            remove: vec![
                root["roles"]["timestamp"]["keyids"][0]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            ],
            ..Rotation::default()
        };
        let mut repository = Repository::open(&authority.repo()).unwrap();
        // It says why; what it leaves is judged outside.
        let _ = repository.rotate(&mut authority.keys(), &rotation, hour(2));
        return;
    }
    let before = tempfile::tempdir().unwrap();
    let made = Authority::new(&["a"]);
    let authority = made.copied_to(&before.path().join("authority"));
    authority.publish("a", &["one.test"], hour(1));
    let judge = |world: &Path, at: usize| {
        // Nobody refreshes it: a node takes what is there, and the next version after it.
        let (authority, mut node) = node_in(world);
        assert_eq!(node.outcome(hour(2)), "new", "write {at}");
        assert_eq!(node.seq("a"), Some(1), "write {at}");
        authority.publish("a", &["three.test"], hour(3));
        assert_eq!(node.outcome(hour(3)), "new", "write {at}");
    };
    at_every_write(TEST, before.path(), "authority", Fault::Full, judge);
}

#[test]
fn a_disk_that_is_full_leaves_no_half_of_a_key_that_is_made() {
    const TEST: &str = "failures::writes::a_disk_that_is_full_leaves_no_half_of_a_key_that_is_made";
    if let Some(keys) = world() {
        let _ = Keyring::open(&keys).unwrap().make("one");
        return;
    }
    let before = tempfile::tempdir().unwrap();
    let judge = |world: &Path, at: usize| {
        let keys = world.join("keys");
        let opened = Keyring::open(&keys).unwrap();
        assert!(
            opened.warnings().is_empty(),
            "write {at}: {:?}",
            opened.warnings()
        );
        for file in std::fs::read_dir(&keys).into_iter().flatten() {
            let file = file.unwrap();
            assert!(file.metadata().unwrap().len() > 0, "write {at}: {file:?}");
        }
    };
    at_every_write(TEST, before.path(), "keys", Fault::Full, judge);
}

#[test]
fn a_crash_at_any_write_of_an_authority_leaves_a_repository_that_is_whole() {
    every_write_of_an_authority(
        "failures::writes::a_crash_at_any_write_of_an_authority_leaves_a_repository_that_is_whole",
        Fault::Crash,
    );
}

#[test]
fn a_power_cut_that_leaves_half_a_file_of_an_authority_is_served_to_nobody() {
    every_write_of_an_authority(
        "failures::writes::a_power_cut_that_leaves_half_a_file_of_an_authority_is_served_to_nobody",
        Fault::Half,
    );
}

#[test]
fn a_disk_that_is_full_from_any_write_of_an_authority_on_leaves_a_repository_that_is_whole() {
    every_write_of_an_authority(
        "failures::writes::a_disk_that_is_full_from_any_write_of_an_authority_on_leaves_a_repository_that_is_whole",
        Fault::Full,
    );
}
