//! State files that are damaged: each is set aside, kept, and made good.

use std::fs;

use crate::trust::forge::{Authority, Node, hour};

/// An authority with two versions, and a node that took both.
fn taken() -> (Authority, Node) {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    authority.publish("a", &["two.test"], hour(1));
    assert_eq!(node.outcome(hour(1)), "new");
    (authority, node)
}

/// Damages a file of the repository's state: it must be named, kept as `.damaged`, and be
/// whole again after the next round.
fn set_aside(file: &str, damage: fn(&mut Vec<u8>)) {
    let (_authority, mut node) = taken();
    let path = node.state().join("repositories/hotlines").join(file);
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damage(&mut damaged);
    fs::write(&path, &damaged).unwrap();
    node.restart();
    let aside = node.puller.mend();
    let named: Vec<&str> = aside.iter().map(|aside| aside.file.as_str()).collect();
    assert_eq!(named, [file]);
    let kept = path.with_file_name(format!("{}.damaged", path.file_name().unwrap().display()));
    assert_eq!(fs::read(kept).unwrap(), damaged);
    let outcome = node.outcome(hour(1));
    assert!(matches!(outcome, "new" | "unchanged"), "{file}: {outcome}");
    assert_eq!(node.seq("a"), Some(2));
    node.restart();
    assert!(node.puller.mend().is_empty(), "{file} is whole again");
    assert!(serde_json::from_slice::<serde_json::Value>(&fs::read(&path).unwrap()).is_ok());
}

#[test]
fn damaged_metadata_is_set_aside_and_fetched_again() {
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    let flipped = |bytes: &mut Vec<u8>| {
        let before = b"\"sig\":\"";
        let found = bytes.windows(before.len()).position(|part| part == before);
        let digit = &mut bytes[found.unwrap() + before.len()];
        *digit = if *digit == b'0' { b'1' } else { b'0' };
    };
    for file in [
        "timestamp.json",
        "snapshot.json",
        "targets.json",
        "list-a.json",
    ] {
        set_aside(file, cut);
        if file != "timestamp.json" {
            set_aside(file, flipped);
        }
    }
}

#[test]
fn damaged_files_of_our_own_are_set_aside_and_made_anew() {
    for file in ["floors.json", "accepted.json"] {
        set_aside(file, Vec::clear);
        set_aside(file, |bytes| bytes.truncate(bytes.len() / 2));
    }
}

#[test]
fn a_damaged_root_is_set_aside_and_followed_again() {
    let (authority, mut node) = taken();
    authority.forge_root(&["root"], |_| {});
    assert_eq!(node.outcome(hour(1)), "unchanged");
    let path = node
        .state()
        .join("repositories/hotlines/root_history/2.root.json");
    fs::write(&path, "{").unwrap();
    node.restart();
    let aside = node.puller.mend();
    assert_eq!(aside[0].file, "root_history/2.root.json");
    assert!(path.with_file_name("2.root.json.damaged").exists());
    assert!(node.restore("a").file.is_some());
    assert_eq!(node.outcome(hour(1)), "unchanged");
    assert_eq!(node.puller.summary().root_version, 2);
    assert_eq!(node.seq("a"), Some(2));
}

#[test]
fn damaged_floors_are_rebuilt_and_still_forbid_going_back() {
    for damage in ["", "{", "{\"format\":1}"] {
        let (authority, mut node) = taken();
        let floors = node.state().join("repositories/hotlines/floors.json");
        fs::write(&floors, damage).unwrap();
        node.restart();
        assert_eq!(node.puller.mend().len(), 1, "{damage:?}");
        // What a start does before it asks anyone.
        assert!(node.restore("a").file.is_some());
        authority.forge("list-a", |signed| {
            signed["targets"]["a/full"]["custom"]["seq"] = 1.into();
        });
        assert_eq!(node.outcome(hour(1)), "rollback", "{damage:?}");
        let rebuilt = fs::read_to_string(&floors).unwrap();
        assert!(rebuilt.contains(r#""seq":2"#), "{rebuilt}");
    }
}

#[test]
fn a_damaged_current_names_the_file_and_the_newest_is_taken() {
    let (_authority, mut node) = taken();
    let current = node.state().join("lists/a/current");
    for damage in [&b""[..], b"two", b"\xff\xfe"] {
        fs::write(&current, damage).unwrap();
        node.restart();
        let restored = node.restore("a");
        let (_, version) = restored.file.unwrap();
        assert_eq!(version.seq, 2);
        let [damage] = restored.damaged.as_slice() else {
            panic!("{:?}", restored.damaged);
        };
        assert!(damage.to_string().contains("lists/a/current"), "{damage}");
    }
}

#[test]
fn a_damaged_state_or_proof_uses_the_older_version_says_so_and_is_fetched_again() {
    for file in ["2.state", "2.proof"] {
        let (_authority, mut node) = taken();
        let path = node.state().join("lists/a").join(file);
        fs::write(&path, "damaged").unwrap();
        node.restart();
        // Who only reads, as to explain, sets nothing aside.
        assert_eq!(node.restore("a").accepted, Some(2));
        assert!(path.exists(), "{file}");
        node.restart();
        node.puller.mend();
        let restored = node.restore("a");
        assert_eq!(
            restored.file.map(|(_, version)| version.seq),
            Some(1),
            "{file}"
        );
        assert_eq!(restored.accepted, Some(2), "{file}: it is told");
        assert_eq!(restored.damaged.len(), 1, "{file}");
        let kept = node.state().join(format!("lists/a/{file}.damaged"));
        assert_eq!(fs::read(kept).unwrap(), b"damaged", "{file}");
        assert_eq!(node.outcome(hour(1)), "new", "{file}");
        assert_eq!(node.seq("a"), Some(2), "{file}");
    }
}
