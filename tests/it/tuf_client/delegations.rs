//! The search through delegations: which roles are asked for, in which order, and who may
//! speak for a path.

use super::world::{World, refused};

/// Searches for a path in a tree of delegations: the roles that are asked for, in order.
#[track_caller]
fn check(tree: &str, path: &str, searched: &[&str], found: bool) {
    let world = World::new(&format!(
        "r = Repository()\n{}\nr.publish_next()\nr.save(\"first\")\n",
        tree.trim()
    ));
    let outcome = world.download(&[path]);
    assert_eq!(world.searched(), searched, "{tree}");
    if found {
        assert_eq!(outcome, Ok(()));
        assert_eq!(world.downloaded(), ["it"]);
    } else {
        refused(outcome, "no role that may speak for it");
        assert!(world.downloaded().is_empty());
    }
}

#[test]
fn roles_are_searched_in_pre_order_depth_first_each_once() {
    let pairs = |pairs: &str| {
        format!(
            "for pair in '{pairs}'.split():\n    r.delegate(*pair.replace('t', 'targets').split('>'))"
        )
    };
    check(&pairs("t>A t>B"), "x", &["A", "B"], false);
    check(&pairs("t>A A>B B>C"), "x", &["A", "B", "C"], false);
    check(
        &pairs("t>A t>D A>B A>C C>E E>A D>C"),
        "x",
        &["A", "B", "C", "E", "D"],
        false,
    );
    let found = format!(
        "{}\nr.target(\"C\", \"x\", \"it\")",
        pairs("t>A t>D A>B A>C D>E")
    );
    check(&found, "x", &["A", "B", "C"], true);
}

#[test]
fn a_terminating_delegation_ends_the_search_behind_it() {
    check(
        r#"
r.delegate("targets", "A")
r.delegate("targets", "Z")
r.delegate("A", "B", terminating=True)
r.delegate("A", "C")
r.delegate("B", "D")
r.target("C", "x", "it")
r.target("Z", "x", "it")
"#,
        "x",
        &["A", "B", "D"],
        false,
    );
    // One that does not match ends nothing.
    check(
        r#"
r.delegate("targets", "A", ["y"], terminating=True)
r.delegate("targets", "B")
r.target("B", "x", "it")
"#,
        "x",
        &["B"],
        true,
    );
}

#[test]
fn stars_and_question_marks_stay_within_a_segment() {
    let tree = |pattern: &str, path: &str| {
        format!(
            "r.delegate(\"targets\", \"A\", [\"{pattern}\"])\nr.target(\"A\", \"{path}\", \"it\")"
        )
    };
    for (pattern, path, matches) in [
        ("a/*", "a/list", true),
        ("a/*", "a/b/list", false),
        ("*", "a/list", false),
        ("*/*", "a/list", true),
        ("a?list", "a/list", false),
        ("a/lis?", "a/list", true),
        ("a/*.zip", "a/x.zip", true),
        ("a/*.zip", "a/x.tar", false),
        ("**", "a/list", false),
    ] {
        let searched: &[&str] = if matches { &["A"] } else { &[] };
        check(&tree(pattern, path), path, searched, matches);
    }
}

#[test]
fn hash_prefixes_choose_the_bin() {
    let tree = r#"
digest = hashlib.sha256(b"dir/x").hexdigest()
other = "0" if digest[0] != "0" else "1"
r.delegate("targets", "other", prefixes=[other, digest[:3] + "z"])
r.delegate("targets", "bin", prefixes=[other, digest[:2]])
r.target("bin", "dir/x", "it")
r.target("other", "dir/x", "it")
"#;
    check(tree, "dir/x", &["bin"], true);
}

#[test]
fn every_role_on_the_way_must_cover_the_path() {
    let tree = r#"
r.delegate("targets", "A", ["a/*"])
r.delegate("A", "B", ["a/*", "b/*"])
r.target("A", "b/x", "it")
r.target("B", "b/x", "it")
r.delegate("targets", "C", ["b/*"])
"#;
    check(tree, "b/x", &["C"], false);
}

#[test]
fn a_role_that_is_expired_badly_signed_or_speaks_for_others_stops_nobody_else() {
    let world = World::new(
        r#"
r = Repository()
for name in ["expired", "unsigned", "greedy", "vanished", "good"]:
    r.delegate("targets", name, [f"{name}/*"], terminating=True)
    r.target(name, f"{name}/x", name)
r.target("greedy", "good/x", "greedy")
r.roles["expired"].expires = PAST
r.publish_next()
r.sign_role("unsigned", [CryptoSigner.generate_ed25519()])
del r.snapshot.meta["vanished.json"]
r.sign_snapshot()
r.sign_timestamp()
r.save("first")
"#,
    );
    world.download(&["good/x", "greedy/x"]).unwrap();
    assert_eq!(world.searched(), ["good", "greedy"]);
    refused(world.download(&["expired/x"]), "expired.json: expired at");
    refused(world.download(&["unsigned/x"]), "unsigned.json: 0 of 1");
    refused(world.download(&["vanished/x"]), "vanished.json: is missing");
    world.download(&["good/x"]).unwrap();
    assert_eq!(world.downloaded(), ["good", "greedy"]);
}

#[test]
fn a_role_counts_by_the_keys_of_its_delegator_on_this_path() {
    // Both delegate C, each with a key of its own; C is signed for B alone.
    let world = World::new(
        r#"
r = Repository()
r.delegate("targets", "A", ["a/*"])
r.delegate("targets", "B", ["b/*"])
r.delegate("A", "C", ["a/*"])
r.signers["C"] = []
r.delegate("B", "C", ["b/*"])
r.target("C", "a/x", "a")
r.target("C", "b/x", "b")
r.publish_next()
r.save("first")
"#,
    );
    world.download(&["b/x"]).unwrap();
    assert_eq!(world.downloaded(), ["b"]);
    refused(world.download(&["b/x", "a/x"]), "C.json: 0 of 1");
    assert_eq!(world.downloaded(), ["b"]);
}

#[test]
fn a_role_that_is_held_is_not_fetched_again() {
    let world = World::new(
        r#"
r = Repository()
r.delegate("targets", "A")
r.delegate("A", "B")
r.target("B", "x", "x")
r.target("B", "y", "y")
r.publish_next()
r.save("first")
r.roles["B"].version += 1
r.target("B", "z", "z")
r.sign_role("B")
r.snapshot.version += 1
r.sign_snapshot()
r.timestamp.version += 1
r.sign_timestamp()
r.save("next")
"#,
    );
    world.download(&["x", "y"]).unwrap();
    assert_eq!(world.searched(), ["A", "B"]);
    world.download(&["y"]).unwrap();
    assert!(world.searched().is_empty());
    world.show("next");
    world.download(&["z"]).unwrap();
    assert_eq!(world.searched(), ["B"]);
    let b = world.file("next", "metadata/3.B.json");
    assert_eq!(world.trusted()["B.json"], b);
}

#[test]
fn no_more_than_sixty_four_roles_are_searched() {
    let tree = |roles: usize| {
        format!(
            r#"
r = Repository()
names = ["targets"] + [f"d{{n}}" for n in range({roles})]
for parent, child in zip(names, names[1:]):
    r.delegate(parent, child)
r.target(names[-1], "x", "it")
r.publish_next()
r.save("first")
"#
        )
    };
    let world = World::new(&tree(63));
    world.download(&["x"]).unwrap();
    let world = World::new(&tree(64));
    refused(world.download(&["x"]), "within 64 roles");
    assert_eq!(world.searched().len(), 63);
}

#[test]
fn unusual_role_names_stay_in_their_place() {
    for (role, file) in [
        ("?", "%3F.json"),
        ("#", "%23.json"),
        ("/role", "%2Frole.json"),
        ("../role", "..%2Frole.json"),
        ("a b\u{e9}", "a%20b%C3%A9.json"),
        ("..", "...json"),
    ] {
        let world = World::new(&format!(
            r#"
r = Repository()
r.delegate("targets", "{role}")
r.target("{role}", "x", "it")
r.publish_next()
r.save("first")
"#
        ));
        world.download(&["x"]).unwrap();
        assert!(
            world.asked("metadata").contains(&format!("2.{file}")),
            "{role}"
        );
        assert!(world.trusted().contains_key(file), "{role}");
        assert_eq!(world.trusted().len(), 5, "{role}");
    }
}

#[test]
fn a_delegation_may_not_take_the_name_of_a_top_level_role() {
    let world = World::new(
        r#"
r = Repository()
r.delegate("targets", "A")
r.target("A", "x", "x")
r.publish_next()
r.roles["targets"].delegations.roles["A"].name = "timestamp"
r.sign_role("targets")
r.files["metadata/2.timestamp.json"] = r.files["metadata/2.A.json"]
r.snapshot.meta["timestamp.json"] = MetaFile(2)
r.sign_snapshot()
r.sign_timestamp()
r.save("first")
"#,
    );
    world.refresh().unwrap();
    let before = world.trusted();
    refused(world.download(&["x"]), "top-level role name");
    assert_eq!(world.trusted(), before);
}
