//! What people hand to `cordon` by mistake, with the real program: a sentence that names the
//! file and the way out, and nothing changed on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::authority::Authority;
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;
use crate::harness::{client, cordon, must, run};
use crate::trust::forge::{self, files_below};
use cordon::verify::Delta;
use serde_json::Value;

/// An authority with a list of two names, policy and names never to block.
fn published() -> (Authority, PathBuf) {
    let authority = Authority::new();
    authority.delegate("list");
    let folder = authority.folder().parent().unwrap().to_owned();
    fs::write(
        folder.join("policy.yaml"),
        "lists: { list: { max_entries: 9 } }",
    )
    .unwrap();
    fs::write(folder.join("never"), "bank.test\n").unwrap();
    must(
        authority
            .repo("policy")
            .arg("--from")
            .arg(folder.join("policy.yaml")),
    );
    must(
        authority
            .repo("never-block")
            .arg("--from")
            .arg(folder.join("never")),
    );
    let rows = ["one.test".into(), "two.test".into()];
    authority.publish_rows("list", &rows, "domains", Some("subtree"));
    (authority, folder)
}

/// The commands that change a repository.
fn commands(authority: &Authority, folder: &Path) -> Vec<Command> {
    fs::write(folder.join("rows"), "one.test\nthree.test\n").unwrap();
    let mut publish = authority.repo("publish");
    publish.args([
        "--list", "list", "--format", "domains", "--match", "subtree",
    ]);
    publish.arg("--legal").arg(folder.join("legal.yaml"));
    publish.arg("--from").arg(folder.join("rows"));
    let mut policy = authority.repo("policy");
    policy.arg("--from").arg(folder.join("policy.yaml"));
    let mut withdraw = authority.repo("withdraw");
    withdraw.args(["--list", "list", "--value", "one.test", "--reason", "error"]);
    vec![publish, policy, withdraw, authority.repo("refresh")]
}

/// A command must be refused with a sentence that has these parts, and change no file.
#[track_caller]
fn refused(command: &mut Command, below: &[&Path], parts: &[&str]) {
    let files = || -> Vec<BTreeMap<String, Vec<u8>>> {
        below.iter().map(|folder| files_below(folder)).collect()
    };
    let before = files();
    let output = run(command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{command:?}");
    for part in parts {
        assert!(
            said.contains(part),
            "{part:?} is not in {said}\n{command:?}"
        );
    }
    assert!(!said.contains("panicked"), "{said}");
    assert!(before == files(), "{command:?} changed something");
}

#[test]
fn a_repository_with_missing_files_names_them_and_stays_as_it_is() {
    let (authority, folder) = published();
    let repo = authority.folder();
    let known = forge::Authority::at(&folder);
    for role in ["timestamp", "snapshot", "targets", "list-list"] {
        let name = known.current(role);
        let path = repo.join(&name);
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let file = path.file_name().unwrap().to_str().unwrap();
        for mut command in commands(&authority, &folder) {
            refused(&mut command, &[&repo], &[file]);
        }
        fs::write(&path, kept).unwrap();
    }
    // Whole again, it goes on.
    for mut command in commands(&authority, &folder) {
        must(&mut command);
    }
}

/// Whoever may write to the folder and has no key: what they change is signed by nobody.
#[test]
fn what_a_stranger_changed_in_a_repository_is_not_signed() {
    let (authority, folder) = published();
    let repo = authority.folder();
    let known = forge::Authority::at(&folder);
    let mut root = authority.repo("rotate");
    must(root.args(["--role", "root", "--new", "root-2"]));
    fs::write(
        folder.join("staged.yaml"),
        "lists: { list: { max_entries: 8 } }",
    )
    .unwrap();
    let mut stage = authority.repo("policy");
    stage.arg("--stage").arg("--from");
    must(stage.arg(folder.join("staged.yaml")));
    let sign = || authority.repo("sign");
    let said = String::from_utf8(run(&mut sign()).stderr).unwrap();
    assert!(said.contains("--yes"), "{said}");
    let mut files = vec![
        "metadata/1.root.json".to_owned(),
        "metadata/2.root.json".to_owned(),
    ];
    let roles = ["timestamp", "snapshot", "targets", "list-list", "withdraw"];
    files.extend(roles.map(|role| known.current(role)));
    for name in &files {
        let path = repo.join(name);
        let kept = fs::read(&path).unwrap();
        let mut file: Value = serde_json::from_slice(&kept).unwrap();
        file["signed"]["x-note"] = "a stranger's".into();
        fs::write(&path, serde_json::to_vec(&file).unwrap()).unwrap();
        let file = path.file_name().unwrap().to_str().unwrap();
        for mut command in commands(&authority, &folder).into_iter().chain([sign()]) {
            refused(&mut command, &[&repo], &[file, "mirror or a backup"]);
        }
        fs::write(&path, kept).unwrap();
    }
    must(
        cordon()
            .args(["repo", "sign", "--discard"])
            .arg(authority.folder()),
    );
    for mut command in commands(&authority, &folder) {
        must(&mut command);
    }
}

/// The same of the target files, which the roles name by their digests.
#[test]
fn what_a_stranger_changed_in_a_target_file_is_not_taken_over() {
    let (authority, folder) = published();
    let repo = authority.folder();
    let mut withdraw = authority.repo("withdraw");
    must(withdraw.args(["--list", "list", "--value", "two.test", "--reason", "error"]));
    let file = folder.join("policy.yaml");
    fs::write(&file, "lists: { list: { max_entries: 8 } }").unwrap();
    must(
        authority
            .repo("policy")
            .arg("--stage")
            .arg("--from")
            .arg(file),
    );
    let files = files_below(&repo);
    let find = |end: &str| {
        let mut names = files.keys().filter(|name| name.starts_with("targets/"));
        repo.join(names.find(|name| name.ends_with(end)).unwrap())
    };
    let status = || {
        let mut status = cordon();
        status.args(["repo", "status"]).arg(&repo);
        status
    };
    for (end, was, is) in [
        (".policy", "\"max_entries\":9", "\"max_entries\":7"),
        (".policy", "\"max_entries\":9", "\"max_entries\":99"),
        (".never-block", "bank.test\n", ""),
        (".list", "two.test", "one.test"),
    ] {
        let path = find(end);
        let kept = fs::read_to_string(&path).unwrap();
        assert!(kept.contains(was), "{kept}");
        fs::write(&path, kept.replace(was, is)).unwrap();
        for mut command in commands(&authority, &folder)
            .into_iter()
            .chain([authority.repo("sign"), status()])
        {
            refused(&mut command, &[&repo], &[end, "mirror or a backup"]);
        }
        fs::write(&path, kept).unwrap();
    }
    must(cordon().args(["repo", "sign", "--discard"]).arg(&repo));
    // A list is not read from such a file, nor shown as if it were whole, and published anew.
    let path = find(".full");
    let other = zstd::encode_all(&b"{}\n"[..], 3).unwrap();
    fs::write(&path, other).unwrap();
    let said = String::from_utf8(run(&mut status()).stderr).unwrap();
    assert!(said.contains(".full") && said.contains("anew"), "{said}");
    let mut withdraw = authority.repo("withdraw");
    withdraw.args(["--list", "list", "--value", "one.test", "--reason", "error"]);
    refused(&mut withdraw, &[&repo], &[".full", "mirror or a backup"]);
    let rows = ["one.test".into(), "two.test".into()];
    authority.publish_rows("list", &rows, "domains", Some("subtree"));
    let said = String::from_utf8(run(&mut status()).stderr).unwrap();
    assert_eq!(said, "");
}

/// A pipe or a folder in the place of a file: nobody waits for it.
#[test]
fn what_is_no_file_is_named_and_not_waited_for() {
    let (authority, folder) = published();
    let repo = authority.folder();
    let file = folder.join("policy.yaml");
    let stage = || {
        let mut stage = authority.repo("policy");
        stage.args(["--accept-guard", "a test", "--stage", "--from"]);
        must(stage.arg(&file));
    };
    fs::write(&file, "lists: { list: { max_entries: 8 } }").unwrap();
    stage();
    let known = forge::Authority::at(&folder);
    let roles = ["timestamp", "snapshot", "targets", "list-list", "withdraw"];
    let mut names: Vec<String> = roles.map(|role| known.current(role)).into();
    let others = files_below(&repo).into_keys();
    names.extend(others.filter(|name| !name.starts_with("metadata/") || name.contains("root")));
    let ends = |command: &Command| {
        let mut timed = Command::new("timeout");
        timed.arg("20").arg(command.get_program());
        let output = run(timed.args(command.get_args()));
        assert_ne!(output.status.code(), Some(124), "{command:?} hangs");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    for name in names {
        let path = repo.join(&name);
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        for kind in ["mkfifo", "mkdir"] {
            must(Command::new(kind).arg(&path));
            let mut status = cordon();
            status.args(["repo", "status"]).arg(&repo);
            let mut refresh = authority.repo("refresh");
            refresh.arg("--stage");
            for command in [status, refresh, authority.repo("sign")] {
                let said = ends(&command);
                let named = path.file_name().unwrap().to_str().unwrap();
                // What has no part in what is renewed, and a signature, costs nobody anything.
                let is_apart = name.contains("/signatures/")
                    || name.starts_with("staged/targets/")
                        && command.get_args().any(|it| it == "refresh");
                assert!(
                    said.contains(named) || is_apart,
                    "{name} {kind}: {said}\n{command:?}"
                );
                assert!(!said.contains("panicked"), "{said}");
            }
            match kind {
                "mkdir" => fs::remove_dir(&path).unwrap(),
                _ => fs::remove_file(&path).unwrap(),
            }
        }
        fs::write(&path, kept).unwrap();
    }
    let staged = repo.join("staged/targets.json");
    for kind in ["mkfifo", "mkdir"] {
        fs::remove_file(&staged).unwrap();
        must(Command::new(kind).arg(&staged));
        must(cordon().args(["repo", "sign", "--discard"]).arg(&repo));
        stage();
    }
}

#[test]
fn a_foreign_file_in_a_repository_is_named_and_left_where_it_is() {
    let (authority, folder) = published();
    let repo = authority.folder();
    let path = repo.join("metadata/9.root.json");
    for content in [&b""[..], b"a note", b"{}", b"\xff\xfe"] {
        fs::write(&path, content).unwrap();
        for mut command in commands(&authority, &folder) {
            let output = run(&mut command);
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{said}\n{command:?}");
            assert!(said.contains("9.root.json"), "{said}\n{command:?}");
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }
    fs::remove_file(&path).unwrap();
    // What nothing that is signed names is nobody's business.
    let others = [
        "metadata/notes.txt",
        "metadata/99.targets.json",
        "targets/notes.txt",
    ];
    for name in others {
        fs::write(repo.join(name), "a note").unwrap();
    }
    for mut command in commands(&authority, &folder) {
        must(&mut command);
    }
    for name in others {
        assert_eq!(fs::read(repo.join(name)).unwrap(), b"a note", "{name}");
    }
}

#[test]
fn a_key_file_of_the_wrong_kind_is_named_and_nothing_is_signed() {
    let (authority, folder) = published();
    let repo = authority.folder();
    let keys = folder.join("keys");
    let key = keys.join("timestamp.pem");
    let kept = fs::read(&key).unwrap();
    let openssl = |arguments: &[&str]| must(Command::new("openssl").args(arguments));
    let public = openssl(&["pkey", "-in", key.to_str().unwrap(), "-pubout"]);
    let certificate = openssl(&[
        "req",
        "-x509",
        "-key",
        key.to_str().unwrap(),
        "-subj",
        "/CN=authority.example",
    ]);
    let rsa = openssl(&["genpkey", "-quiet", "-algorithm", "RSA"]);
    for (content, complaint) in [
        (rsa.as_str(), "RSA"),
        (&certificate, "CERTIFICATE"),
        (&public, "is a public key"),
        ("", "is empty"),
        ("a note", "holds no key"),
    ] {
        fs::write(&key, content).unwrap();
        let mut commands = commands(&authority, &folder);
        // It needs no key while nothing is half through its life, and names the file all the
        // same.
        let mut refresh = commands.pop().unwrap();
        let output = run(&mut refresh);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && said.contains("timestamp.pem"),
            "{said}"
        );
        for mut command in commands {
            refused(&mut command, &[&repo, &keys], &["timestamp.pem", complaint]);
        }
    }
    fs::write(&key, kept).unwrap();
    for mut command in commands(&authority, &folder) {
        must(&mut command);
    }
}

#[test]
fn a_policy_that_demands_what_is_unknown_is_not_signed_and_stops_its_list_alone() {
    let (authority, folder) = published();
    let repo = authority.folder();
    let file = folder.join("policy.yaml");
    fs::write(&file, "lists:\n  list:\n    critical: [x-new]\n").unwrap();
    let mut policy = authority.repo("policy");
    policy.arg("--from").arg(&file);
    refused(&mut policy, &[&repo], &["policy.yaml:3", "x-new"]);
    // A newer publisher signs it all the same.
    let mut node = node(&authority);
    let newer = forge::Authority::at(&folder);
    newer.publish_term(
        "policy",
        br#"{"format":1,"lists":{"list":{"x-new":1,"critical":["x-new"]}}}"#,
    );
    let stored = files_below(&node.state().join("lists/list"));
    newer.publish_with(
        "list",
        2,
        &newer.plaintext("list"),
        &[("domain", "three.test")],
    );
    let said = node.refused(&["update"]);
    for part in ["list list", "x-new", "a newer one may"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(stored == files_below(&node.state().join("lists/list")));
    assert!(blocked(&node, "one.test"));
    node.stop();
    node.start();
    assert!(blocked(&node, "one.test"));
}

#[test]
fn what_nodes_have_and_the_publisher_lost_is_withdrawn_all_the_same() {
    let (authority, folder) = published();
    let repo = authority.folder();
    let node = node(&authority);
    // A thief of the list's key publishes one more, on a mirror of their own.
    let kept = files_below(&repo);
    let thief = forge::Authority::at(&folder);
    let before = thief.plaintext("list");
    thief.publish_with("list", 2, &before, &[("domain", "more.test")]);
    node.command(&["update"]);
    assert!(blocked(&node, "more.test"));
    for name in files_below(&repo).keys() {
        let is_list = name.contains("list-list.json") || name.starts_with("targets/list/");
        if is_list && !kept.contains_key(name) {
            fs::remove_file(repo.join(name)).unwrap();
        }
    }
    let timestamp = "metadata/timestamp.json";
    fs::write(repo.join(timestamp), &kept[timestamp]).unwrap();
    let root = thief.signed("metadata/1.root.json");
    for role in ["snapshot", "timestamp"] {
        let old = root["roles"][role]["keyids"][0].as_str().unwrap();
        let mut rotate = authority.repo("rotate");
        rotate.args(["--role", role, "--remove", old, "--new"]);
        must(rotate.arg(format!("{role}-2")));
    }
    let withdraw = || {
        let mut withdraw = authority.repo("withdraw");
        withdraw.args([
            "--list",
            "list",
            "--reason",
            "error",
            "--value",
            "more.test",
        ]);
        withdraw
    };
    refused(&mut withdraw(), &[&repo], &["more.test", "--unlisted"]);
    let said = must(withdraw().arg("--unlisted"));
    assert!(said.contains("more.test, error, until"), "{said}");
    assert!(said.contains("not on the list"), "{said}");
    // The list itself is older than what the node has, and is refused.
    node.refused(&["update"]);
    assert!(!blocked(&node, "more.test") && blocked(&node, "one.test"));
}

#[test]
fn terms_that_lift_every_bound_of_a_list_need_a_reason() {
    let (authority, folder) = published();
    let other = authority.folder().parent().unwrap().join("term");
    authority.delegate("other");
    for (command, text, complaint) in [
        (
            "never-block",
            "",
            "kept from list list that was before, such as bank.test",
        ),
        ("never-block", "# none\nshop.test\n", "kept from list list"),
        (
            "policy",
            "lists: { other: { max_entries: 9 } }",
            "bounds list list no more",
        ),
        ("policy", "lists: { list: {} }", "bounds list list no more"),
    ] {
        fs::write(&other, text).unwrap();
        let term = || {
            let mut term = authority.repo(command);
            term.arg("--from").arg(&other);
            term
        };
        refused(&mut term(), &[&folder], &[complaint, "--accept-guard"]);
        must(term().args(["--accept-guard", "we agreed"]));
        let before = if command == "policy" {
            "policy.yaml"
        } else {
            "never"
        };
        must(
            authority
                .repo(command)
                .arg("--from")
                .arg(folder.join(before))
                .args(["--accept-guard", "as it was"]),
        );
    }
    // A name that stands above the one before takes nothing away.
    fs::write(&other, "test\n").unwrap();
    let mut above = authority.repo("never-block");
    let said = String::from_utf8(run(above.arg("--from").arg(&other)).stderr).unwrap();
    assert!(!said.contains("kept from"), "{said}");
}

#[test]
fn a_delta_that_does_not_apply_is_named_and_costs_nothing() {
    let (authority, folder) = published();
    let thief = forge::Authority::at(&folder);
    let rows = |last: &str| -> Vec<String> {
        let names = (0..200).map(|number| {
            let digest = cordon::verify::digest(format!("{number}").as_bytes());
            format!("{}.test", &digest[..40])
        });
        names.chain([last.to_owned()]).collect()
    };
    fs::write(folder.join("policy.yaml"), "lists: { list: {} }").unwrap();
    must(
        authority
            .repo("policy")
            .args(["--accept-guard", "a test of steps", "--from"])
            .arg(folder.join("policy.yaml")),
    );
    authority.publish_unguarded("list", &rows("before.test"));
    let node = node(&authority);
    let before = thief.plaintext("list");
    authority.publish_unguarded("list", &rows("after.test"));
    let role = thief.signed(&thief.current("list-list"));
    let path = "list/delta-2-3";
    let custom = role["targets"][path]["custom"].clone();
    assert!(custom.is_object(), "no step was published: {role:#}");
    // A step to another list than the one that was signed.
    let mut other = before.clone();
    other.truncate(
        before[..before.len() - 1]
            .iter()
            .rposition(|it| *it == b'\n')
            .unwrap()
            + 1,
    );
    let delta = Delta::between("list", 1, (2, &before), (3, &other)).unwrap();
    let step = thief.step_target(path, &delta, custom);
    thief.forge("list-list", |signed| signed["targets"][path] = step);
    let said = node.command(&["update"]);
    assert!(said.contains("serial 3 in force"), "{said}");
    let log = node.log();
    for part in [
        "list/delta-2-3: has 0 where 1 (add) was signed",
        "by its complete state",
    ] {
        assert!(log.contains(part), "{part:?} is not in {log}");
    }
    assert!(blocked(&node, "after.test") && !blocked(&node, "before.test"));
    assert!(node.state().join("lists/list/2.state").exists());
}

/// A node that has what is published.
fn node(authority: &Authority) -> Node {
    let upstream = Upstream::start();
    let lists = format!(
        "repositories:\n  - {{ name: hotline, mirrors: [\"{}\"], trust: {}, poll: 1h }}\nlists:\n  - {{ name: list, from: {{ repository: hotline, list: list }} }}",
        authority.mirror(),
        authority.root().display()
    );
    let mut node = Node::new(&lists, upstream.address);
    node.start();
    node
}

fn blocked(node: &Node, name: &str) -> bool {
    client::ask(node.dns, name).address == Some(std::net::Ipv4Addr::new(192, 0, 2, 80))
}
