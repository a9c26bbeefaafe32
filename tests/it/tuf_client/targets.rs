//! Downloads: where target files stand, what is taken, and what is left as it was.

use std::fs;
use std::os::unix::fs::symlink;

use super::mirror::Fault;
use super::world::{World, refused};
use crate::harness::authority::Authority;
use crate::harness::{cordon, must, run};

const STORY: &str = r#"
r = Repository()
r.target("targets", "a", "first")
r.target("targets", "b", "other")
r.publish()
r.save("first")
r.target("targets", "a", "second, and longer")
r.publish_next()
r.save("next")
"#;

#[test]
fn a_file_in_a_folder_has_its_hash_in_the_last_segment() {
    let world = World::new(
        r#"
r = Repository()
r.target("targets", "dir/sub/a", "a")
r.target("targets", "b", "b", ["sha512"])
r.target("targets", "c", "c", ["sha512", "sha256"])
r.publish_next()
r.save("first")
"#,
    );
    world.download(&["dir/sub/a", "b", "c"]).unwrap();
    let asked = world.asked("targets");
    assert_eq!(asked.len(), 3);
    let hash = |path: &str| path.len() - path.rfind('/').map_or(0, |at| at + 1) - 2;
    assert!(
        asked[0].starts_with("dir/sub/") && asked[0].ends_with(".a"),
        "{asked:?}"
    );
    assert_eq!(
        [hash(&asked[0]), hash(&asked[1]), hash(&asked[2])],
        [64, 128, 64]
    );
    assert_eq!(world.downloaded(), ["b", "c", "a"]);
    let paths: Vec<_> = fs::read_dir(world.target_dir())
        .unwrap()
        .flatten()
        .collect();
    assert!(paths.iter().any(|path| path.file_name() == "dir%2Fsub%2Fa"));
}

#[test]
fn what_is_there_is_not_fetched_again_unless_it_is_another() {
    let world = World::new(STORY);
    world.download(&["a", "a"]).unwrap();
    assert_eq!(world.asked("targets").len(), 1);
    world.download(&["a"]).unwrap();
    assert!(world.asked("targets").is_empty());
    fs::write(world.target_dir().join("a"), "fi\0st").unwrap();
    world.download(&["a"]).unwrap();
    assert_eq!(world.asked("targets").len(), 1);
    world.show("next");
    world.download(&["a"]).unwrap();
    assert_eq!(world.downloaded(), ["second, and longer"]);
}

#[test]
fn the_first_failure_ends_the_command() {
    let world = World::new(STORY);
    refused(world.download(&["none", "a"]), "none: no role");
    assert!(world.asked("targets").is_empty());
    refused(world.download(&["a", "none", "b"]), "none: no role");
    assert_eq!(world.downloaded(), ["first"]);
}

#[test]
fn a_short_a_long_another_and_an_absent_file_leave_the_old_one_whole() {
    let world = World::new(STORY);
    world.download(&["a"]).unwrap();
    world.show("next");
    world.mirror.asked();
    world.download(&["a"]).unwrap();
    let target = world.mirror.asked().pop().unwrap();
    fs::write(world.target_dir().join("a"), "first").unwrap();
    for (fault, reason) in [
        (Fault::Octets(b"second".to_vec()), "18 octets"),
        (
            Fault::Octets(b"second, and longer and longer".to_vec()),
            "more than 18",
        ),
        (Fault::Octets(b"second, and LONGER".to_vec()), "was signed"),
        (Fault::Endless, "more than 18"),
        (Fault::CutShort, target.as_str()),
        (Fault::Status(404), "is missing"),
        (Fault::Status(500), "answered 500"),
        (Fault::Status(302), "redirects"),
    ] {
        world.mirror.set_fault(&target, fault.clone());
        refused(world.download(&["a"]), reason);
        assert_eq!(world.downloaded(), ["first"], "{fault:?}");
    }
    world.mirror.clear_faults();
    world.download(&["a"]).unwrap();
}

#[test]
fn a_full_disk_keeps_the_floor_and_the_old_target_and_recovers() {
    let world = World::new(STORY);
    world.download(&["a"]).unwrap();
    let trusted = world.trusted();
    world.show("next");
    // What is written to it finds no space.
    let fill = |path: &std::path::Path| symlink("/dev/full", path).unwrap();
    for file in ["timestamp.json", "snapshot.json", "targets.json"] {
        fill(&world.metadata_dir().join(format!(".{file}.tmp")));
        refused(world.refresh(), "No space left");
        assert_eq!(world.trusted()[file], trusted[file], "{file}");
    }
    fill(&world.target_dir().join(".a.tmp"));
    refused(world.download(&["a"]), "No space left");
    assert_eq!(world.downloaded(), ["first"]);
    assert_eq!(world.versions(), [1, 2, 2, 2]);
    world.show("first");
    refused(world.refresh(), "older than 2");
    world.show("next");
    world.download(&["a"]).unwrap();
    assert_eq!(world.downloaded(), ["second, and longer"]);
}

#[test]
fn a_target_without_a_digest_that_can_be_computed_is_not_taken() {
    let world = World::new(
        r#"
r = Repository()
r.target("targets", "a", "a", ["blake2b"])
r.target("targets", "b", "b", ["sha256", "blake2b"])
r.publish_next()
r.save("first")
"#,
    );
    refused(world.download(&["a"]), "neither a sha256 nor a sha512");
    world.download(&["b"]).unwrap();
    assert_eq!(world.downloaded(), ["b"]);
}

#[test]
fn what_cordon_publishes_is_read_like_any_repository() {
    let authority = Authority::new();
    for list in ["a", "b"] {
        authority.delegate(list);
    }
    authority.publish_rows("a", &["one.test".to_owned()], "domains", Some("subtree"));
    let home = tempfile::tempdir().unwrap();
    let client = || {
        let mut command = cordon();
        command.arg("tuf").arg("--metadata-dir").arg(home.path());
        command
    };
    must(client().arg("init").arg(authority.root()));
    let download = |name: &str| {
        let mut command = client();
        for (option, folder) in [
            ("--metadata-url", "metadata"),
            ("--target-base-url", "targets"),
        ] {
            command
                .arg(option)
                .arg(format!("{}{folder}", authority.mirror()));
        }
        command.arg("--target-dir").arg(home.path().join("targets"));
        command.args(["--target-name", name, "download"]);
        command
    };
    must(&mut download("a/full"));
    let full = fs::read(home.path().join("targets/a%2Ffull")).unwrap();
    let plaintext = zstd::decode_all(&full[..]).unwrap();
    assert!(String::from_utf8(plaintext).unwrap().contains("one.test"));
    assert!(home.path().join("list-a.json").is_file());
    assert_eq!(run(&mut download("b/full")).status.code(), Some(1));
}
