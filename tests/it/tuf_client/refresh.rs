//! What a refresh asks for, takes and keeps.

use super::world::{World, refused};

#[test]
fn a_refresh_asks_for_what_the_specification_says_and_no_more() {
    let world = World::new(
        r#"
r = Repository()
r.save("first")
r.publish_next()
r.save("next")
"#,
    );
    assert_eq!(world.versions(), [1, 0, 0, 0]);
    assert!(world.mirror.asked().is_empty(), "init makes no request");

    world.refresh().unwrap();
    let first = [
        "2.root.json",
        "timestamp.json",
        "1.snapshot.json",
        "1.targets.json",
    ];
    assert_eq!(world.asked("metadata"), first);
    let trusted = world.trusted();
    let names: Vec<&str> = trusted.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "root.json",
            "snapshot.json",
            "targets.json",
            "timestamp.json"
        ]
    );
    for (name, published) in [
        ("root.json", "1.root.json"),
        ("timestamp.json", "timestamp.json"),
        ("snapshot.json", "1.snapshot.json"),
        ("targets.json", "1.targets.json"),
    ] {
        let published = world.file("first", &format!("metadata/{published}"));
        assert_eq!(
            trusted[name], published,
            "{name} is kept as it was received"
        );
    }

    world.refresh().unwrap();
    assert_eq!(world.asked("metadata"), ["2.root.json", "timestamp.json"]);
    world.show("next");
    world.refresh().unwrap();
    let next = [
        "2.root.json",
        "timestamp.json",
        "2.snapshot.json",
        "2.targets.json",
    ];
    assert_eq!(world.asked("metadata"), next);
    assert_eq!(world.versions(), [1, 2, 2, 2]);
}

#[test]
fn without_consistent_snapshots_names_have_no_versions() {
    let world = World::new(
        r#"
r = Repository(consistent=False)
r.delegate("targets", "A", ["dir/*"])
r.target("A", "dir/a", "a")
r.publish_next()
r.save("first")
"#,
    );
    world.download(&["dir/a"]).unwrap();
    let asked = world.mirror.asked();
    let expected = [
        "metadata/2.root.json",
        "metadata/timestamp.json",
        "metadata/snapshot.json",
        "metadata/targets.json",
        "metadata/A.json",
        "targets/dir/a",
    ];
    assert_eq!(asked, expected);
    assert_eq!(world.downloaded(), ["a"]);
}

#[test]
fn fields_that_nobody_knows_count_for_the_signature() {
    let world = World::new(
        r#"
r = Repository()
r.save("first")
r.root.unrecognized_fields["x-new"] = {"b": [1, None, True], "a": "\n\"\\é"}
key = next(iter(r.root.keys.values()))
key.unrecognized_fields["x-owner"] = "@somebody"
r.root.roles["root"].unrecognized_fields["x-new"] = "value"
r.next_root()
r.timestamp.unrecognized_fields["x-new"] = 1
r.snapshot.unrecognized_fields["x-new"] = 1
r.roles["targets"].unrecognized_fields["x-new"] = 1
r.target("targets", "a", "a")
r.roles["targets"].targets["a"].unrecognized_fields["x-new"] = [[]]
r.publish_next()
r.save("next")
"#,
    );
    world.show("next");
    world.download(&["a"]).unwrap();
    assert_eq!(world.versions(), [2, 2, 2, 2]);
    world.show("first");
    assert_eq!(world.init("first"), Ok(()));
    world.show("next");
    world.change("next", "metadata/2.root.json", |file| {
        file.replace("value", "other")
    });
    refused(world.refresh(), "not signed by its role");
}

#[test]
fn forty_roots_are_followed_after_a_long_absence() {
    let world = World::new(
        r#"
r = Repository()
r.save("first")
for _ in range(40):
    r.replace_keys("root")
    r.root.expires = PAST
    r.next_root()
r.root.expires = LATER
r.next_root()
r.save("next")
"#,
    );
    world.show("next");
    world.refresh().unwrap();
    assert_eq!(world.versions(), [42, 1, 1, 1]);
    assert_eq!(world.asked("metadata").len(), 41 + 1 + 3);
}

#[test]
fn a_root_that_is_not_the_next_or_lacks_a_signature_is_refused_and_the_last_kept() {
    let world = World::new(
        r#"
r = Repository()
r.add_key("root")
r.add_key("root")
r.root.roles["root"].threshold = 2
r.root.version = 1
r.sign_root()
r.first_root = r.files["metadata/1.root.json"]
r.save("first")

def state(name, signers, version=2, threshold=2, to=2):
    r.root.version = version
    r.root.roles["root"].threshold = threshold
    r.files[f"metadata/{to}.root.json"] = r.signed(r.root, signers)
    r.save(name)

a, b, c = r.signers["root"]
state("one of two", [a])
state("skips", [a, b], version=3)
state("repeats", [a, b], version=1)
state("three of three", [a, b, c], threshold=3)
state("two of three", [a, b], threshold=3)
state("a stranger's", [a, CryptoSigner.generate_ed25519()])
r.root.revoke_key(a.public_key.keyid, "root")
r.add_key("root")
d = r.signers["root"][-1]
state("old keys alone", [a, b], threshold=3)
state("new keys alone", [b, d, c][:1] + [d], threshold=2)
state("old and new", [a, b, d], threshold=2)
"#,
    );
    world.refresh().unwrap();
    for (state, reason) in [
        ("one of two", "1 of 2"),
        ("skips", "is version 3 where version 2"),
        ("repeats", "is version 1 where version 2"),
        ("two of three", "2 of 3"),
        ("a stranger's", "1 of 2"),
        ("old keys alone", "1 of 3"),
        ("new keys alone", "1 of 2"),
    ] {
        world.show(state);
        refused(world.refresh(), reason);
        assert_eq!(world.version("root"), Some(1), "{state}");
    }
    world.show("old and new");
    world.refresh().unwrap();
    assert_eq!(world.version("root"), Some(2));
    assert_eq!(world.init("first"), Ok(()));
    world.show("three of three");
    world.refresh().unwrap();
}

#[test]
fn each_root_is_kept_before_the_next_is_asked_for() {
    let world = World::new(
        r#"
r = Repository()
r.save("first")
r.next_root()
r.root.version += 1
r.files["metadata/3.root.json"] = r.signed(r.root, [])
r.save("next")
"#,
    );
    world.show("next");
    refused(world.refresh(), "3.root.json: 0 of 1");
    assert_eq!(world.versions(), [2, 0, 0, 0]);
}

#[test]
fn a_root_that_is_none_is_not_trusted_from_the_start() {
    let world = World::new("r = Repository()\nr.save(\"first\")\n");
    let path = world.metadata_dir().join("root.json");
    let root = std::fs::read_to_string(&path).unwrap();
    for broken in [
        root.replace("\"version\": 1", "\"version\": 2"),
        root.replace("\"version\"", "\"Version\""),
        String::new(),
        "[".repeat(15_000),
    ] {
        std::fs::write(&path, broken).unwrap();
        refused(world.refresh(), "root");
    }
    std::fs::remove_file(&path).unwrap();
    refused(world.refresh(), "root.json: is missing");
    assert!(world.mirror.asked().is_empty());
}
