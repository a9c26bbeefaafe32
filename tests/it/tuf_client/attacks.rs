//! The attacks of trust.md section 1.3 and the traps of section 2.3, each on a repository
//! that python-tuf signed: refused by name, what was trusted stays, and later all goes on.

use std::time::Duration;

use super::mirror::Fault;
use super::world::{World, refused};

/// A client that is up to date, then each attack on it, and then a good version again.
#[track_caller]
fn check(story: &str, attacks: &[(&str, &str)]) {
    let story = format!(
        r#"
r = Repository()
r.delegate("targets", "A")
r.target("A", "x", "x")
for _ in range(4):
    r.publish_next()
r.save("first")
good = deepcopy(r)
{story}
r = deepcopy(good)
for _ in range(20):
    r.publish_next()
r.save("good")
"#
    );
    let world = World::new(&story);
    world.download(&["x"]).unwrap();
    let trusted = world.trusted();
    assert_eq!(world.versions(), [1, 5, 5, 5]);
    for (state, reason) in attacks {
        world.show(state);
        // Twice: what the first attempt stored must not open the way for the second.
        for attempt in ["first", "second"] {
            refused(world.download(&["x"]), reason);
            for role in ["snapshot", "targets", "A"] {
                let file = format!("{role}.json");
                assert_eq!(
                    world.trusted()[&file],
                    trusted[&file],
                    "{state}, {attempt} attempt: {role}"
                );
            }
        }
    }
    world.show("good");
    world.download(&["x"]).unwrap();
    assert_eq!(world.versions(), [1, 25, 25, 25]);
}

#[test]
fn rollback_of_each_role_is_refused() {
    check(
        r#"
r.timestamp.version = 4
r.sign_timestamp()
r.save("timestamp")
r = deepcopy(good)
r.timestamp.version = 6
r.snapshot.version = 4
r.sign_snapshot()
r.sign_timestamp()
r.save("snapshot")
for role in ["targets", "A"]:
    r = deepcopy(good)
    r.timestamp.version = r.snapshot.version = 7
    r.roles[role].version = 4
    r.sign_role(role)
    r.sign_snapshot()
    r.sign_timestamp()
    r.save(role)
    r = deepcopy(good)
    r.timestamp.version = r.snapshot.version = 8
    del r.snapshot.meta[f"{role}.json"]
    r.sign_snapshot()
    r.sign_timestamp()
    r.save(f"no {role}")
"#,
        &[
            ("timestamp", "timestamp.json: version 4 is older than 5"),
            ("snapshot", "version 4 is older than 5"),
            ("targets", "version 4 is older than 5"),
            ("A", "version 4 is older than 5"),
            ("no targets", "targets.json: is missing"),
            ("no A", "A.json: is missing"),
        ],
    );
}

#[test]
fn mix_and_match_is_refused() {
    check(
        r#"
# The old snapshot under the name of the new one.
r.publish_next()
r.files["metadata/6.snapshot.json"] = r.files["metadata/5.snapshot.json"]
r.save("snapshot")
# The same versions, but other octets than the parent names.
r = deepcopy(good)
r.publish_next()
r.timestamp.version = 7
pin = MetaFile(6, None, {"sha256": "0" * 64})
r.sign_snapshot(pin)
r.sign_timestamp()
r.save("snapshot's hash")
r.timestamp.version = 8
r.sign_snapshot(MetaFile(6, 10))
r.sign_timestamp()
r.save("snapshot's length")
"#,
        &[
            ("snapshot", "is version 5 where version 6"),
            ("snapshot's hash", "was signed"),
            ("snapshot's length", "more than 10"),
        ],
    );
}

#[test]
fn a_role_of_another_version_or_with_other_octets_is_refused() {
    let world = World::new(
        r#"
r = Repository()
r.delegate("targets", "A")
r.target("A", "x", "x")
r.publish_next()
r.save("first")
r.publish_next()
for role in ["targets", "A"]:
    state = deepcopy(r)
    state.files[f"metadata/3.{role}.json"] = r.files[f"metadata/2.{role}.json"]
    state.save(role)
r.timestamp.version = r.snapshot.version = 4
good = deepcopy(r)
r.snapshot.meta["A.json"] = MetaFile(3, None, {"sha512": "0" * 128})
r.sign_snapshot()
r.sign_timestamp()
r.save("hash")
r = good
r.publish_next()
r.save("good")
"#,
    );
    world.download(&["x"]).unwrap();
    for (state, reason) in [
        ("targets", "targets.json: is version 2 where version 3"),
        ("A", "A.json: is version 2 where version 3"),
        ("hash", "A.json: has"),
    ] {
        world.show(state);
        refused(world.download(&["x"]), reason);
        refused(world.download(&["x"]), reason);
    }
    world.show("good");
    world.download(&["x"]).unwrap();
}

#[test]
fn indefinite_freeze_is_noticed_for_each_role() {
    let world = World::new(
        r#"
r = Repository()
r.delegate("targets", "A")
r.target("A", "x", "x")
r.publish_next()
r.save("first")
for role in ["A", "targets", "snapshot", "timestamp"]:
    r.publish_next()
    state = deepcopy(r)
    part = {"snapshot": state.snapshot, "timestamp": state.timestamp}.get(role) or state.roles[role]
    part.expires = PAST
    state.publish()
    state.save(role)
r.publish_next()
good = deepcopy(r)
r.root.expires = PAST
r.next_root()
r.save("root")
r.root.expires = LATER
r.next_root()
r.save("good")
"#,
    );
    world.download(&["x"]).unwrap();
    for (state, reason) in [
        ("A", "A.json: expired at"),
        ("targets", "targets.json: expired at"),
        ("snapshot", "snapshot.json: expired at"),
        ("timestamp", "timestamp.json: expired at"),
    ] {
        world.show(state);
        refused(world.download(&["x"]), reason);
    }
    // What was expired was never trusted; what came before it was.
    assert_eq!(world.versions(), [1, 5, 4, 3]);
    world.show("root");
    refused(world.download(&["x"]), "root.json: expired at");
    assert_eq!(world.version("root"), Some(2));
    world.show("good");
    world.download(&["x"]).unwrap();
}

#[test]
fn the_version_floor_survives_local_expiry() {
    let world = World::new(
        r#"
r = Repository()
r.publish_next()
old = deepcopy(r)
r.publish_next()
soon = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=8)
r.timestamp.expires = r.snapshot.expires = soon
r.publish()
r.save("first")
old.save("old")
r.timestamp.expires = r.snapshot.expires = LATER
old.timestamp.version = old.snapshot.version = 9
old.publish()
old.save("old targets")
r.publish_next()
r.save("next")
"#,
    );
    world.refresh().unwrap();
    std::thread::sleep(Duration::from_secs(9));
    refused(world.refresh(), "expired at");
    world.show("old");
    refused(world.refresh(), "timestamp.json: version 2 is older than 3");
    world.show("old targets");
    refused(world.refresh(), "version 2 is older than 3");
    assert_eq!(world.versions(), [1, 9, 3, 3]);
    world.show("next");
    refused(world.refresh(), "timestamp.json: version 4 is older than 9");
}

#[test]
fn an_equal_version_changes_nothing() {
    let world = World::new(
        r#"
r = Repository()
r.save("first")
r.timestamp.snapshot_meta.version = 100
r.sign_timestamp()
r.save("other")
"#,
    );
    world.refresh().unwrap();
    let trusted = world.trusted();
    world.show("other");
    world.refresh().unwrap();
    assert_eq!(world.asked("metadata").len(), 4 + 2);
    assert_eq!(world.trusted(), trusted);
}

#[test]
fn fast_forward_is_recovered_from_by_new_keys() {
    for (role, keys) in [
        ("timestamp", "timestamp"),
        ("snapshot", "snapshot"),
        ("snapshot", "timestamp"),
        ("targets", "snapshot"),
    ] {
        let world = World::new(&format!(
            r#"
r = Repository()
r.save("first")
good = deepcopy(r)
role = {{"timestamp": r.timestamp, "snapshot": r.snapshot, "targets": r.roles["targets"]}}["{role}"]
role.version = 2**62
r.sign_role("targets")
r.snapshot.version = max(2, r.snapshot.version)
r.sign_snapshot()
r.timestamp.version = max(2, r.timestamp.version)
r.sign_timestamp()
r.save("thief")
r = good
r.timestamp.version = r.snapshot.version = r.roles["targets"].version = 5
r.publish()
r.save("same keys")
r.replace_keys("{keys}")
r.next_root()
r.publish()
r.save("new keys")
"#
        ));
        world.refresh().unwrap();
        world.show("thief");
        world.refresh().unwrap();
        assert_eq!(world.version(role), Some(1 << 62));
        world.show("same keys");
        refused(world.refresh(), "older than 4611686018427387904");
        world.show("new keys");
        let timestamp = "metadata/timestamp.json";
        world.mirror.set_fault(timestamp, Fault::Status(500));
        refused(world.refresh(), "answered 500");
        assert_eq!(world.version("root"), Some(2));
        world.mirror.clear_faults();
        world.refresh().unwrap();
        assert_eq!(world.versions(), [2, 5, 5, 5], "{role}, new keys of {keys}");
        // Nothing is forgotten with the old keys but the versions.
        world.show("first");
        refused(world.refresh(), "timestamp.json: ");
    }
}

#[test]
fn arbitrary_content_is_refused_in_each_role() {
    let world = World::new(
        r#"
r = Repository()
r.add_key("timestamp")
r.root.roles["timestamp"].threshold = 2
r.next_root()
r.publish_next()
r.save("first")
for role in ["timestamp", "snapshot", "targets"]:
    r.publish_next()
    state = deepcopy(r)
    stranger = CryptoSigner.generate_ed25519()
    state.signers[role] = [r.signers[role][0], stranger] if role == "timestamp" else [stranger]
    state.publish()
    state.save(role)
"#,
    );
    world.refresh().unwrap();
    for (state, reason) in [
        ("timestamp", "timestamp.json: 1 of 2"),
        ("snapshot", "snapshot.json: 0 of 1"),
        ("targets", "targets.json: 0 of 1"),
    ] {
        world.show(state);
        refused(world.refresh(), reason);
    }
    assert_eq!(world.versions(), [2, 5, 5, 2]);
}

#[test]
fn endless_data_is_cut_off() {
    let world = World::new(
        r#"
r = Repository()
r.delegate("targets", "A")
r.publish_next()
r.save("first")
r.next_root()
r.save("next")
"#,
    );
    for file in [
        "timestamp.json",
        "2.snapshot.json",
        "2.targets.json",
        "2.A.json",
    ] {
        let path = format!("metadata/{file}");
        world.mirror.set_fault(&path, Fault::Endless);
        refused(world.download(&["x"]), "more than");
        world
            .mirror
            .set_fault(&path, Fault::Octets(vec![b' '; 64 << 20]));
        refused(world.download(&["x"]), "more than");
        world.mirror.clear_faults();
    }
    world.show("next");
    world
        .mirror
        .set_fault("metadata/2.root.json", Fault::Endless);
    refused(world.refresh(), "more than 524288");
    world.mirror.clear_faults();
    world.refresh().unwrap();
}

#[test]
fn a_cut_connection_or_an_error_is_not_an_absent_root() {
    let world = World::new(
        r#"
r = Repository()
r.save("first")
r.next_root()
r.save("next")
"#,
    );
    world.show("next");
    for fault in [
        Fault::CutShort,
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(301),
        Fault::Status(304),
    ] {
        world
            .mirror
            .set_fault("metadata/2.root.json", fault.clone());
        refused(world.refresh(), "2.root.json");
        assert_eq!(world.asked("metadata"), ["2.root.json"], "{fault:?}");
        assert_eq!(world.versions(), [1, 0, 0, 0]);
    }
    for status in [403, 404, 410] {
        world
            .mirror
            .set_fault("metadata/2.root.json", Fault::Status(status));
        world.refresh().unwrap();
        assert_eq!(world.versions(), [1, 1, 1, 1], "{status}");
    }
    world.mirror.clear_faults();
    world.refresh().unwrap();
    assert_eq!(world.version("root"), Some(2));
}

#[test]
fn a_duplicate_member_does_not_move_the_version_and_deep_json_is_an_error() {
    let world = World::new(
        r#"
r = Repository()
r.save("first")
r.publish_next()
r.save("next")
"#,
    );
    world.refresh().unwrap();
    world.show("next");
    let timestamp = "metadata/timestamp.json";
    for (from, to, reason) in [
        ("\"_type\"", "\"version\": 9, \"_type\"", "occurs twice"),
        (
            "\"signed\"",
            "\"signed\": {\"version\": 9}, \"signed\"",
            "occurs twice",
        ),
        (
            "\"spec_version\": \"1.",
            "\"spec_version\": \"2.",
            "spec_version",
        ),
        (
            "\"_type\": \"timestamp\"",
            "\"_type\": \"snapshot\"",
            "_type",
        ),
        ("\"version\": 2", "\"version\": 2.0", "without fractions"),
    ] {
        world.change("next", timestamp, |file| file.replacen(from, to, 1));
        refused(world.refresh(), reason);
    }
    for open in ["[", "{\"a\":"] {
        let deep = open.repeat(2000).into_bytes();
        world.mirror.set_fault(timestamp, Fault::Octets(deep));
        refused(world.refresh(), "recursion limit");
        let deep = open.repeat(15_000).into_bytes();
        world
            .mirror
            .set_fault("metadata/2.root.json", Fault::Octets(deep));
        refused(world.refresh(), "recursion limit");
        world.mirror.clear_faults();
    }
    assert_eq!(world.versions(), [1, 1, 1, 1]);
    world.refresh().unwrap();
    assert_eq!(world.versions(), [1, 2, 2, 2]);
}

#[test]
fn one_key_under_two_ids_counts_once() {
    let world = World::new(
        r#"
r = Repository()
r.delegate("targets", "A")
r.target("A", "x", "x")
r.publish_next()
r.save("first")
good = deepcopy(r)
for role in ["root", "timestamp", "snapshot", "targets"]:
    r = deepcopy(good)
    r.add_key(role, None, Alias(r.signers[role][0], "another"))
    r.root.roles[role].threshold = 2
    r.next_root()
    r.publish_next()
    r.save(role)
r = deepcopy(good)
r.add_key("A", "targets", Alias(r.signers["A"][0], "another"))
r.roles["targets"].delegations.roles["A"].threshold = 2
r.publish_next()
r.save("A")
r.add_key("A", "targets")
r.publish_next()
r.save("good")
"#,
    );
    for role in ["root", "timestamp", "snapshot", "targets", "A"] {
        assert_eq!(world.init("first"), Ok(()));
        world.show(role);
        refused(world.download(&["x"]), "json: 1 of 2");
    }
    world.show("good");
    world.download(&["x"]).unwrap();
}

#[test]
fn a_key_of_another_kind_counts_only_where_it_is_built_in() {
    let world = World::new(
        r#"
r = Repository()
for role in TOP:
    r.add_key(role, None, CryptoSigner.generate_ecdsa())
    r.add_key(role, None, CryptoSigner.generate_rsa(size=2048))
r.sign_root()
r.first_root = r.files["metadata/1.root.json"]
r.publish_next()
r.save("first")
for threshold in [3, 4]:
    r.publish_next()
    r.root.roles["timestamp"].threshold = threshold
    r.next_root()
    r.save(f"{threshold}")
"#,
    );
    world.refresh().unwrap();
    assert_eq!(world.versions(), [1, 2, 2, 2]);
    world.show("3");
    if cfg!(feature = "all-key-types") {
        world.refresh().unwrap();
        world.show("4");
        refused(world.refresh(), "timestamp.json: 3 of 4");
    } else {
        refused(world.refresh(), "timestamp.json: 1 of 3");
    }
}

#[test]
fn keys_that_are_added_or_a_higher_threshold_leave_the_floors() {
    let world = World::new(
        r#"
r = Repository()
r.publish_next()
r.save("first")
old = deepcopy(r)
r.add_key("snapshot")
r.add_key("timestamp")
r.next_root()
r.publish_next()
r.save("more keys")
old.snapshot.version = old.timestamp.version = 1
for part in [old, r]:
    part.roles["targets"].version = 1
    part.root = r.root
old.files["metadata/2.root.json"] = r.files["metadata/2.root.json"]
old.publish()
old.save("old")
r.snapshot.version = r.timestamp.version = 4
r.publish()
r.save("old targets")
r.root.roles["snapshot"].threshold = 3
r.next_root()
r.save("too few")
"#,
    );
    world.refresh().unwrap();
    world.show("old");
    refused(world.refresh(), "timestamp.json: version 1 is older than 2");
    world.show("more keys");
    world.refresh().unwrap();
    assert_eq!(world.versions(), [2, 3, 3, 3]);
    world.show("old targets");
    refused(world.refresh(), "version 1 is older than 3");
    world.show("too few");
    refused(world.refresh(), "snapshot.json: 2 of 3");
    assert_eq!(world.versions(), [3, 4, 3, 3]);
}
