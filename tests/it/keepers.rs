//! Keepers who each hold one key: what only some of them signed is published nowhere, and
//! what enough of them signed reaches a node, whichever keys they have by then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cordon::publish::{Repository, Rotation};
use cordon::source::Mirror;
use cordon::verify;
use jiff::Timestamp;
use serde_json::Value;

use crate::harness::{cordon, must, run};
use crate::trust::forge::{Authority, Node, hour, names};

const LEGAL: &str =
    "category: phishing\nlegal: { basis: \"Example Act\", authority: \"Example Police\" }\n";

/// Three keepers, each with an encrypted key in a folder of its own, and the one who
/// publishes, who has the online keys.
struct Keepers {
    folder: tempfile::TempDir,
}

impl Keepers {
    /// Makes the keys, and stages a repository whose root, targets and list `a` need two of
    /// the three.
    fn new() -> Self {
        let keepers = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(keepers.path("legal.yaml"), LEGAL).unwrap();
        for name in ["anna", "bert", "cleo"] {
            keepers.make_key(name);
        }
        let mut init = keepers.repo("init");
        init.args(["--threshold", "2", "--stage"]);
        for role in ["root", "targets"] {
            for name in ["anna", "bert", "cleo"] {
                let file = keepers.public(name);
                init.arg("--key").arg(format!("{role}={}", file.display()));
            }
        }
        must(&mut init);
        let mut delegate = keepers.repo("delegate");
        delegate.args(["--list", "a", "--title", "List A", "--category", "phishing"]);
        delegate.args(["--threshold", "2", "--stage"]);
        for name in ["anna", "bert", "cleo"] {
            delegate.arg("--key").arg(keepers.public(name));
        }
        must(&mut delegate);
        keepers
    }

    /// The same, with the first version published.
    fn published() -> Self {
        let keepers = Self::new();
        keepers.all_sign(&["anna", "bert"]);
        keepers.publish_staged();
        keepers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn public(&self, name: &str) -> PathBuf {
        self.path(name).join(format!("{name}.pub"))
    }

    fn make_key(&self, name: &str) {
        fs::write(
            self.path(&format!("{name}.pass")),
            format!("passphrase of {name}\n"),
        )
        .unwrap();
        must(
            cordon()
                .args(["repo", "key", "--new", name, "--keys"])
                .arg(self.path(name))
                .arg("--passphrase-file")
                .arg(self.path(&format!("{name}.pass"))),
        );
    }

    /// A command of the one who publishes.
    fn repo(&self, command: &str) -> Command {
        let mut program = cordon();
        program.args(["repo", command]).arg(self.path("repo"));
        program.arg("--keys").arg(self.path("online"));
        program
    }

    fn publish_rows(&self, rows: &str) -> Command {
        fs::write(self.path("rows"), rows).unwrap();
        let mut program = self.repo("publish");
        program.args(["--list", "a", "--format", "domains", "--match", "subtree"]);
        program.arg("--from").arg(self.path("rows"));
        program.arg("--legal").arg(self.path("legal.yaml"));
        program
    }

    fn publish_staged(&self) {
        must(self.repo("publish").arg("--staged"));
    }

    /// A keeper's command over a folder, with its own passphrase.
    fn sign(&self, name: &str, repo: &Path) -> Command {
        let mut program = cordon();
        program.args(["repo", "sign"]).arg(repo);
        program.arg("--keys").arg(self.path(name));
        program
            .arg("--passphrase-file")
            .arg(self.path(&format!("{name}.pass")));
        program
    }

    /// What a keeper is shown.
    fn shown(&self, name: &str, repo: &Path) -> Value {
        let text = must(self.sign(name, repo).arg("--json"));
        serde_json::from_str(&text).unwrap()
    }

    /// Each signs what is shown on a copy of its own; the copies' signatures are brought
    /// together.
    fn all_sign(&self, names: &[&str]) {
        for name in names {
            let copy = self.path(&format!("copy-of-{name}"));
            let _ = fs::remove_dir_all(&copy);
            must(
                Command::new("cp")
                    .arg("-a")
                    .arg(self.path("repo"))
                    .arg(&copy),
            );
            let shown = self.shown(name, &copy);
            must(
                self.sign(name, &copy)
                    .args(["--yes", shown["digest"].as_str().unwrap()]),
            );
        }
        fs::create_dir_all(self.path("repo/staged/signatures")).unwrap();
        for name in names {
            let signatures = self.path(&format!("copy-of-{name}/staged/signatures"));
            for entry in fs::read_dir(signatures).unwrap() {
                let entry = entry.unwrap();
                let to = self.path("repo/staged/signatures").join(entry.file_name());
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }

    /// A node that pins the first root.
    fn node(&self) -> Node {
        let trust = verify::Settings {
            root: fs::read(self.path("repo/metadata/1.root.json")).unwrap(),
            min_root_threshold: 2,
        };
        Node::trusting(trust, vec![Mirror::Directory(self.path("repo"))])
    }

    /// The ids of the keys of a top-level role.
    fn key_ids(&self, role: &str) -> Vec<String> {
        let text = must(
            cordon()
                .args(["repo", "status", "--json"])
                .arg(self.path("repo")),
        );
        let status: Value = serde_json::from_str(&text).unwrap();
        let roles = status["roles"].as_array().unwrap();
        let role = roles.iter().find(|one| one["role"] == role).unwrap();
        let keys = role["keys"].as_array().unwrap();
        keys.iter()
            .map(|key| key["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Runs a command that must be refused, and returns what it said.
#[track_caller]
fn refused(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{command:?} was not refused");
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn now() -> Timestamp {
    Timestamp::now()
}

#[test]
fn two_of_three_keepers_sign_on_copies_and_the_node_takes_it() {
    let keepers = Keepers::published();
    let mut node = keepers.node();
    assert_eq!(node.outcome(now()), "not_published");

    // The one who publishes has none of the list's keys: nothing is published by accident.
    let said = refused(&mut keepers.publish_rows("one.test\ntwo.test\n"));
    assert!(
        said.contains("missing are anna (") && said.contains("--stage"),
        "{said}"
    );
    let said = must(keepers.publish_rows("one.test\ntwo.test\n").arg("--stage"));
    assert!(said.contains("signed by 0 of the 2"), "{said}");
    assert_eq!(
        node.outcome(now()),
        "not_published",
        "nodes see nothing of it"
    );

    let repo = keepers.path("repo");
    let shown = keepers.shown("anna", &repo);
    let list = &shown["roles"][0]["list"];
    assert_eq!(list["entries"], 2, "{shown}");
    let added = list["added"].to_string();
    assert!(
        added.contains("one.test") && added.contains("two.test"),
        "{added}"
    );
    assert_eq!(shown["roles"][0]["verdicts"], serde_json::json!([]));

    // One signature is not two.
    keepers.all_sign(&["anna"]);
    let said = refused(keepers.repo("publish").arg("--staged"));
    assert!(
        said.contains("signed by 1 of the 2") && said.contains("bert ("),
        "{said}"
    );
    assert_eq!(node.outcome(now()), "not_published");
    // Neither is one twice, nor one that somebody made up.
    let signatures = keepers.path("repo/staged/signatures");
    let anna = fs::read_dir(&signatures).unwrap().next().unwrap().unwrap();
    let text = fs::read_to_string(anna.path()).unwrap();
    let bert = keepers.key_ids("root")[1].clone();
    let anna_id = keepers.key_ids("root")[0].clone();
    fs::write(
        signatures.join(format!("list-a.{bert}.json")),
        text.replace(&anna_id, &bert),
    )
    .unwrap();
    let output = run(keepers.repo("publish").arg("--staged"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("is dropped"), "{said}");

    keepers.all_sign(&["bert"]);
    keepers.publish_staged();
    assert_eq!(node.outcome(now()), "new");
    let file = node.restore("a").file.unwrap().0;
    assert_eq!(names(&file), ["one.test", "two.test"]);
    assert!(!keepers.path("repo/staged").exists());

    // The next version shows what goes.
    must(
        keepers
            .publish_rows("two.test\nthree.test\n")
            .arg("--stage"),
    );
    let text = run(&mut keepers.sign("cleo", &repo));
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    for line in ["+ domain three.test subtree", "- domain one.test subtree"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("the list's serial was 1, is 2"), "{text}");
}

#[test]
fn keepers_see_addresses_which_nodes_take_where_they_are_told_to() {
    let keepers = Keepers::published();
    fs::write(keepers.path("addresses"), "192.0.2.7\n").unwrap();
    let mut publish = keepers.repo("publish");
    publish.args(["--list", "a", "--format", "addresses", "--stage"]);
    publish.arg("--from").arg(keepers.path("addresses"));
    publish.arg("--legal").arg(keepers.path("legal.yaml"));
    must(&mut publish);
    let shown = keepers.shown("anna", &keepers.path("repo"));
    let added = shown["roles"][0]["list"]["added"].to_string();
    assert!(added.contains("ip 192.0.2.7/32"), "{added}");
    let changes = shown["roles"][0]["changes"].as_array().unwrap();
    assert_eq!(changes, &["the first version of the list, serial 1"]);
}

#[test]
fn keepers_see_what_a_step_alone_brings() {
    let keepers = Keepers::published();
    let many: String = (0..6000_u64)
        .map(|n| format!("n{:016x}.test\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    must(keepers.publish_rows(&many).arg("--stage"));
    keepers.all_sign(&["anna", "bert"]);
    keepers.publish_staged();
    must(
        keepers
            .publish_rows(&format!("{many}bank.example\n"))
            .arg("--stage"),
    );
    let shown = keepers.shown("anna", &keepers.path("repo"));
    let changes = shown["roles"][0]["changes"].to_string();
    assert!(!changes.contains("a/full"), "no step alone: {changes}");
    let list = &shown["roles"][0]["list"];
    assert_eq!(list["entries"], 6001, "{changes}");
    let added = list["added"].to_string();
    assert!(added.contains("bank.example"), "{added}");
}

#[test]
fn what_nodes_would_leave_out_by_staged_terms_is_published_with_a_signed_reason_alone() {
    let keepers = Keepers::published();
    must(keepers.publish_rows("one.test\nbank.test\n").arg("--stage"));
    fs::write(keepers.path("never"), "bank.test\n").unwrap();
    let never = || {
        let mut never = keepers.repo("never-block");
        never
            .arg("--from")
            .arg(keepers.path("never"))
            .arg("--stage");
        never
    };
    let said = refused(&mut never());
    assert!(
        said.contains("nodes leave out 1 of the 2 entries of list a, such as bank.test: "),
        "{said}"
    );
    // Two who stage without knowing of each other, and bring it together.
    let list = keepers.path("list");
    fs::rename(keepers.path("repo/staged"), &list).unwrap();
    must(&mut never());
    let folder = list.join(".");
    let staged = keepers.path("repo/staged");
    let copied = || must(Command::new("cp").arg("-a").args([&folder, &staged]));
    copied();
    keepers.all_sign(&["anna", "bert"]);
    let said = refused(keepers.repo("publish").arg("--staged"));
    assert!(said.contains("nodes leave out line"), "{said}");
    assert!(
        said.contains("stage it again with `--accept-guard"),
        "{said}"
    );
    // Nobody can sign a reason that comes later.
    let mut publish = keepers.repo("publish");
    let said = refused(publish.args(["--staged", "--accept-guard", "the bank agreed"]));
    assert!(said.contains("together with --stage"), "{said}");
    fs::remove_file(staged.join("targets.json")).unwrap();
    must(never().args(["--accept-guard", "the bank agreed"]));
    let shown = keepers.shown("anna", &keepers.path("repo"));
    let roles = shown["roles"].as_array().unwrap();
    let targets = roles.iter().find(|one| one["role"] == "targets").unwrap();
    assert!(
        targets["changes"].to_string().contains("the bank agreed"),
        "{targets}"
    );
    keepers.all_sign(&["anna", "bert"]);
    keepers.publish_staged();
}

#[test]
fn what_is_accepted_of_one_thing_covers_no_other() {
    let keepers = Keepers::published();
    let rows = "1.test\n2.test\n3.test\n4.test\n5.test\nbank.test\n";
    must(keepers.publish_rows(rows).arg("--stage"));
    keepers.all_sign(&["anna", "bert"]);
    keepers.publish_staged();
    let term = |command: &str, text: &str| {
        fs::write(keepers.path("term"), text).unwrap();
        let mut term = keepers.repo(command);
        term.arg("--from").arg(keepers.path("term")).arg("--stage");
        term
    };
    let publish = || {
        keepers.all_sign(&["anna", "bert"]);
        refused(keepers.repo("publish").arg("--staged"))
    };
    // A list that shrinks beyond the policy, beside names that are accepted; each was staged
    // without knowing of the other.
    must(keepers.publish_rows("1.test\nbank.test\n").arg("--stage"));
    let (list, staged) = (keepers.path("list"), keepers.path("repo/staged"));
    fs::rename(&staged, &list).unwrap();
    let bounds = "lists: { a: { shrink: 10%, from_changes: 1 } }";
    must(&mut term("policy", bounds));
    let accept = ["--accept-guard", "the bank agreed"];
    must(term("never-block", "bank.test\n").args(accept));
    must(
        Command::new("cp")
            .arg("-a")
            .args([&list.join("."), &staged]),
    );
    let said = publish();
    assert!(said.contains("nodes hold this version"), "{said}");
    let repo = keepers.path("repo");
    must(cordon().args(["repo", "sign", "--discard"]).arg(&repo));
    // Names that are accepted, beside a policy that is not.
    must(term("policy", "lists: { a: { max_entries: 2 } }").args(accept));
    must(term("never-block", "bank.test\n").args(accept));
    let file = keepers.path("repo/staged/targets.json");
    let mut staged: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let policy = &mut staged["signed"]["targets"]["policy"]["custom"];
    policy.as_object_mut().unwrap().remove("accepted").unwrap();
    fs::write(&file, staged.to_string()).unwrap();
    let said = publish();
    let (_, refusal) = said.split_once("not published").unwrap();
    assert!(refusal.contains("at most 2 are allowed"), "{said}");
    assert!(!refusal.contains("bank.test"), "{said}");
}

#[test]
fn a_wrong_passphrase_signs_nothing() {
    let keepers = Keepers::new();
    let repo = keepers.path("repo");
    let digest = keepers.shown("anna", &repo)["digest"].clone();
    fs::write(keepers.path("anna.pass"), "passphrase of bert\n").unwrap();
    let said = refused(
        keepers
            .sign("anna", &repo)
            .args(["--yes", digest.as_str().unwrap()]),
    );
    assert!(
        said.contains("anna.pem") && said.contains("does not open"),
        "{said}"
    );
    // The officers' role alone is signed: its key was made and is at hand.
    let signatures = fs::read_dir(keepers.path("repo/staged/signatures")).unwrap();
    for signature in signatures {
        let name = signature.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with("withdraw."), "{name}");
    }
}

#[test]
fn who_agreed_to_one_thing_signs_no_other() {
    let keepers = Keepers::published();
    let repo = keepers.path("repo");
    must(keepers.publish_rows("one.test\n").arg("--stage"));
    let digest = keepers.shown("anna", &repo)["digest"].clone();
    must(
        keepers
            .publish_rows("one.test\nbank.example\n")
            .arg("--stage"),
    );
    let said = refused(
        keepers
            .sign("anna", &repo)
            .args(["--yes", digest.as_str().unwrap()]),
    );
    assert!(said.contains("is not what was shown"), "{said}");
    assert!(!keepers.path("repo/staged/signatures").exists());
    // A list that was swapped below its digest is not even shown.
    let folder = keepers.path("repo/staged/targets/a");
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    fs::write(file.path(), "swapped").unwrap();
    let said = refused(&mut keepers.sign("anna", &repo));
    assert!(said.contains("its digest is another"), "{said}");
    // Without a terminal and without a digest nobody signs.
    must(cordon().args(["repo", "sign", "--discard"]).arg(&repo));
    must(keepers.publish_rows("one.test\n").arg("--stage"));
    let said = refused(&mut keepers.sign("anna", &repo));
    assert!(said.contains("--yes"), "{said}");
    assert!(!keepers.path("repo/staged/signatures").exists());
}

#[test]
fn every_role_gets_other_keys_and_the_node_follows() {
    let keepers = Keepers::published();
    let mut node = keepers.node();
    must(keepers.publish_rows("one.test\n").arg("--stage"));
    keepers.all_sign(&["anna", "bert"]);
    keepers.publish_staged();
    assert_eq!(node.outcome(now()), "new");

    // Root, targets and the list: cleo goes, dora comes.
    keepers.make_key("dora");
    let cleo = keepers.key_ids("root")[2].clone();
    for role in ["root", "targets", "list-a"] {
        let mut rotate = keepers.repo("rotate");
        rotate.args(["--role", role, "--remove", &cleo[..12], "--stage"]);
        rotate.arg("--add").arg(keepers.public("dora"));
        let said = must(&mut rotate);
        let way_out = said.contains("put `min_generation: 2` for a into the policy");
        assert_eq!(way_out, role == "list-a", "{said}");
    }
    // Root takes two of the old keys and two of the new; anna alone is in both.
    keepers.all_sign(&["anna", "dora"]);
    let said = refused(keepers.repo("publish").arg("--staged"));
    assert!(said.contains("of the version before"), "{said}");
    keepers.all_sign(&["cleo"]);
    keepers.publish_staged();
    assert_eq!(node.outcome(now()), "unchanged");
    assert_eq!(node.puller.summary().root_version, 2);

    // Snapshot and timestamp, by a new root.
    for role in ["snapshot", "timestamp"] {
        let old = keepers.key_ids(role).remove(0);
        let mut rotate = keepers.repo("rotate");
        rotate.args(["--role", role, "--new", &format!("{role}-2")]);
        rotate.args(["--remove", &old, "--stage"]);
        must(&mut rotate);
    }
    keepers.all_sign(&["anna", "dora"]);
    keepers.publish_staged();
    for half in ["pem", "pub"] {
        for role in ["snapshot", "timestamp"] {
            fs::remove_file(keepers.path(&format!("online/{role}.{half}"))).unwrap();
        }
    }
    assert_eq!(node.outcome(now()), "unchanged");
    assert_eq!(node.puller.summary().root_version, 3);

    // The keys that went sign nothing any more; those that came do.
    must(keepers.publish_rows("two.test\n").arg("--stage"));
    let digest = keepers.shown("anna", &keepers.path("repo"))["digest"].clone();
    let said = refused(
        keepers
            .sign("cleo", &keepers.path("repo"))
            .args(["--yes", digest.as_str().unwrap()]),
    );
    assert!(said.contains("no key here signs"), "{said}");
    keepers.all_sign(&["dora", "bert"]);
    keepers.publish_staged();
    assert_eq!(node.outcome(now()), "new");
    assert_eq!(names(&node.restore("a").file.unwrap().0), ["two.test"]);
    // Who comes after all of it follows the whole chain from the first root.
    let mut late = keepers.node();
    assert_eq!(late.outcome(now()), "new");
    assert_eq!(late.puller.summary().root_version, 3);
}

#[test]
fn keepers_bound_the_lists_and_duty_officers_withdraw() {
    let keepers = Keepers::published();
    let mut node = keepers.node();
    must(keepers.publish_rows("one.test\ntwo.test\n").arg("--stage"));
    fs::write(
        keepers.path("policy.yaml"),
        "lists:\n  a: { max_entries: 9 }\n",
    )
    .unwrap();
    fs::write(keepers.path("never"), "bank.test\n").unwrap();
    for (command, file) in [("policy", "policy.yaml"), ("never-block", "never")] {
        let mut bound = keepers.repo(command);
        bound.arg("--from").arg(keepers.path(file));
        let said = refused(&mut bound);
        assert!(said.contains("--stage"), "{command}: {said}");
        must(bound.arg("--stage"));
    }
    // Who has to sign it sees what it would bound.
    let said = must(cordon().args(["repo", "status"]).arg(keepers.path("repo")));
    assert!(
        said.contains("never-block") && said.contains("policy"),
        "{said}"
    );
    keepers.all_sign(&["anna", "bert"]);
    keepers.publish_staged();
    assert_eq!(node.outcome(now()), "new");
    assert_eq!(node.puller.never_block().len(), 1);
    let most = node.puller.policy().unwrap().bounds("a").unwrap();
    assert_eq!(most.guard.max_entries, Some(9));

    // The role that withdraws goes to two duty officers, each of whom is enough.
    let old = keepers.key_ids("withdraw").remove(0);
    let mut rotate = keepers.repo("rotate");
    rotate.args(["--role", "withdraw", "--remove", &old, "--stage"]);
    for name in ["dora", "emil"] {
        keepers.make_key(name);
        rotate.arg("--add").arg(keepers.public(name));
    }
    must(&mut rotate);
    keepers.all_sign(&["anna", "bert", "emil"]);
    keepers.publish_staged();
    for name in ["dora", "emil"] {
        let value = if name == "dora" {
            "one.test"
        } else {
            "two.test"
        };
        let mut withdraw = keepers.repo("withdraw");
        withdraw.args(["--list", "a", "--value", value, "--reason", "appeal"]);
        refused(&mut withdraw);
        must(withdraw.arg("--stage"));
        let shown = keepers.shown(name, &keepers.path("repo"));
        let changes = shown["roles"][0]["changes"].to_string();
        let row = format!("  + {value}, appeal, until 2");
        assert!(changes.contains(&row), "{changes}");
        assert!(!changes.contains("issued_at"), "{changes}");
        keepers.all_sign(&[name]);
        keepers.publish_staged();
    }
    assert_eq!(node.outcome(now()), "unchanged");
    assert_eq!(node.puller.withdrawals("a").len(), 2);
}

#[test]
fn a_forged_delegation_that_takes_a_list_from_nodes_is_not_published() {
    let keepers = Keepers::published();
    must(keepers.publish_rows("one.test\n").arg("--stage"));
    keepers.all_sign(&["anna", "bert"]);
    keepers.publish_staged();
    keepers.make_key("dora");
    // Something honest is staged, and somebody edits it before it is signed.
    let check = |edit: &dyn Fn(&mut Vec<Value>), outcome: &str| {
        let mut rotate = keepers.repo("rotate");
        rotate.args(["--role", "targets", "--stage", "--add"]);
        must(rotate.arg(keepers.public("dora")));
        let file = keepers.path("repo/staged/targets.json");
        let mut staged: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let roles = &mut staged["signed"]["delegations"]["roles"];
        edit(roles.as_array_mut().unwrap());
        fs::write(&file, staged.to_string()).unwrap();
        keepers.all_sign(&["anna", "bert"]);
        let said = refused(keepers.repo("publish").arg("--staged"));
        assert!(said.contains("nodes would refuse this"), "{said}");
        assert!(said.contains(outcome), "{said}");
        let repo = keepers.path("repo");
        must(cordon().args(["repo", "sign", "--discard"]).arg(repo));
    };
    let of = |roles: &[Value], name: &str| roles.iter().position(|it| it["name"] == name).unwrap();
    let again = |roles: &mut Vec<Value>| {
        let mut second = roles[of(roles, "list-a")].clone();
        second["keyids"] = roles[of(roles, "withdraw")]["keyids"].clone();
        second["threshold"] = 1.into();
        roles.insert(1, second);
    };
    check(&again, "delegates list-a twice");
    check(&|roles| roles.retain(|it| it["name"] != "list-a"), "list a");
    let of_three = |name: &'static str| {
        move |roles: &mut Vec<Value>| {
            let role = of(roles, name);
            roles[role]["threshold"] = 3.into();
        }
    };
    check(&of_three("list-a"), "list-a.json: 2 of 3 signatures");
    check(&of_three("withdraw"), "withdraw");
    let mut node = keepers.node();
    assert_eq!(node.outcome(now()), "new");
}

#[test]
fn a_key_under_the_id_of_a_keeper_s_is_not_signed_in() {
    let keepers = Keepers::published();
    let repo = keepers.path("repo");
    let check = |role: &str, keys: &str, edit: &dyn Fn(&mut Value)| {
        let mut rotate = keepers.repo("rotate");
        rotate.args(["--role", role, "--threshold", "3", "--stage"]);
        must(&mut rotate);
        let parent = if role == "root" { "root" } else { "targets" };
        let file = repo.join(format!("staged/{parent}.json"));
        let mut staged: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let key = &mut staged["signed"].pointer_mut(keys).unwrap()[&keepers.key_ids(role)[0]];
        edit(key);
        fs::write(&file, staged.to_string()).unwrap();
        for command in [
            keepers.sign("anna", &repo),
            keepers.repo("refresh"),
            keepers.repo("publish"),
        ] {
            let mut command = command;
            if command.get_args().any(|it| it == "publish") {
                command.arg("--staged");
            }
            let output = run(&mut command);
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(
                said.contains(&format!("staged/{parent}.json")) && said.contains("--discard"),
                "{said}"
            );
        }
        must(cordon().args(["repo", "sign", "--discard"]).arg(&repo));
    };
    let other = |key: &mut Value| key["keyval"]["public"] = "07".repeat(32).into();
    check("root", "/keys", &other);
    check("root", "/keys", &|key| *key = Value::Null);
    check("list-a", "/delegations/keys", &other);
}

#[test]
fn a_key_is_made_in_the_folder_of_keys_alone() {
    let keepers = Keepers::published();
    let before = fs::read_dir(keepers.path("")).unwrap().count();
    for name in ["../evil", "a/b", ".hidden", "", "a\u{1b}[2Jb"] {
        for stage in [&[][..], &["--stage"]] {
            let mut rotate = keepers.repo("rotate");
            rotate.args(["--role", "snapshot", "--new", name]);
            let said = refused(rotate.args(stage));
            assert!(said.contains("is no name of a key file"), "{said}");
            assert!(!said.contains('\u{1b}'), "{said}");
        }
        let mut key = cordon();
        key.args(["repo", "key", "--new", name, "--keys"]);
        let said = refused(key.arg(keepers.path("online")));
        assert!(said.contains("is no name of a key file"), "{said}");
    }
    assert_eq!(fs::read_dir(keepers.path("")).unwrap().count(), before);
}

#[test]
fn no_text_makes_a_terminal_show_something_else() {
    let keepers = Keepers::published();
    let repo = keepers.path("repo");
    let check = |command: &mut Command| {
        let output = run(command);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!output.status.success(), "{command:?}");
        assert!(!said.contains('\u{1b}'), "{said:?}");
        said
    };
    let text = "a\u{1b}[2Jb";
    fs::write(keepers.path("term"), "bank.test\n").unwrap();
    for arguments in [
        &["delegate", "--list", "b", "--category", "csam", "--title"][..],
        &["never-block", "--from", "term", "--accept-guard"],
        &["withdraw", "--list", "a", "--reason", "error", "--value"],
    ] {
        let mut command = keepers.repo(arguments[0]);
        command.args(&arguments[1..]).arg(text);
        let said = check(command.arg("--stage").current_dir(keepers.path("")));
        assert!(said.contains("without control characters"), "{said}");
    }
    check(keepers.repo("rotate").args(["--new", "k", "--role", text]));
    // Whoever may write to the folder gives files names, too.
    must(keepers.publish_rows("one.test\n").arg("--stage"));
    let staged = keepers.path("repo/staged");
    fs::create_dir_all(staged.join("signatures")).unwrap();
    fs::write(staged.join(format!("signatures/list-a.{text}.json")), "").unwrap();
    let said = check(keepers.sign("anna", &repo).arg("--yes").arg("0"));
    assert!(said.contains("is no signature"), "{said}");
    let file = staged.join("list-a.json");
    fs::copy(file, staged.join(format!("{text}.json"))).unwrap();
    check(keepers.sign("anna", &repo).arg("--yes").arg("0"));
    fs::write(staged.join(format!("{text}.json")), "").unwrap();
    let said = check(&mut keepers.sign("anna", &repo));
    assert!(said.contains("is not the staged version"), "{said}");
}

#[test]
fn a_repository_without_duty_officers_gets_some() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], now());
    authority.forge("targets", |targets| {
        let roles = targets["delegations"]["roles"].as_array_mut().unwrap();
        roles.retain(|role| role["name"] != "withdraw");
    });
    let repo = |command: &str| {
        let mut program = cordon();
        program.args(["repo", command]).arg(authority.repo());
        program.arg("--keys").arg(authority.keys_folder());
        program
    };
    let withdraw = || {
        let mut program = repo("withdraw");
        program.args(["--list", "a", "--value", "one.test", "--reason", "error"]);
        program
    };
    let said = refused(&mut withdraw());
    assert!(
        said.contains("delegate REPO --keys KEYS --withdraw"),
        "{said}"
    );
    let said = refused(repo("delegate").args(["--withdraw", "--list", "a"]));
    assert!(said.contains("--list"), "{said}");
    must(
        cordon()
            .args(["repo", "key", "--new", "duty", "--keys"])
            .arg(authority.keys_folder()),
    );
    must(
        repo("delegate")
            .arg("--withdraw")
            .arg("--key")
            .arg(authority.keys_folder().join("duty.pub")),
    );
    let said = refused(withdraw().arg("--undo"));
    assert!(said.contains("nothing of it is withdrawn"), "{said}");
    must(&mut withdraw());
    let said = refused(repo("delegate").arg("--withdraw"));
    assert!(said.contains("rotate --role withdraw"), "{said}");
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(now()), "new");
    assert_eq!(node.puller.withdrawals("a").len(), 1);
}

#[test]
fn forty_root_keys_later_the_node_still_follows() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    let mut keys = authority.keys();
    let mut repository = Repository::open(&authority.repo()).unwrap();
    let mut old = keys.public_keys();
    old.retain(|key| key.name == "root");
    for step in 0..40 {
        let rotation = Rotation {
            role: "root".to_owned(),
            new: vec![format!("root-{step}")],
            remove: vec![old[0].id.clone()],
            ..Rotation::default()
        };
        (old, _) = repository.rotate(&mut keys, &rotation, hour(0)).unwrap();
    }
    drop(repository);
    assert_eq!(node.outcome(hour(0)), "unchanged");
    assert_eq!(node.puller.summary().root_version, 41);
}

#[test]
fn what_was_staged_upon_an_older_version_is_refused() {
    let keepers = Keepers::published();
    let repo = keepers.path("repo");
    must(keepers.publish_rows("one.test\n").arg("--stage"));
    keepers.all_sign(&["anna", "bert"]);
    let old = keepers.path("old");
    must(
        Command::new("cp")
            .arg("-a")
            .arg(keepers.path("repo/staged"))
            .arg(&old),
    );
    keepers.publish_staged();
    must(
        Command::new("cp")
            .arg("-a")
            .arg(&old)
            .arg(keepers.path("repo/staged")),
    );
    for command in [
        keepers.repo("publish").arg("--staged"),
        &mut keepers.sign("anna", &repo),
        keepers.publish_rows("two.test\n").arg("--stage"),
    ] {
        let said = refused(command);
        assert!(
            said.contains("version 2") && said.contains("--discard"),
            "{said}"
        );
    }
    let said = must(cordon().args(["repo", "status"]).arg(&repo));
    assert!(said.contains("of no use"), "{said}");
    must(cordon().args(["repo", "sign", "--discard"]).arg(&repo));
    must(keepers.publish_rows("two.test\n").arg("--stage"));
}

#[test]
fn refreshing_leaves_what_waits_and_stages_what_only_keepers_sign() {
    let keepers = Keepers::published();
    let said = must(keepers.repo("refresh").arg("--stage").arg("--json"));
    assert!(said.contains("\"staged\": []"), "{said}");
    // In the library, for the clock of the program is the real one.
    let keys = cordon::publish::Keyring::open(&keepers.path("online")).unwrap();
    let later = now() + jiff::SignedDuration::from_hours(24 * 200);
    let mut repository = Repository::open_to_stage(&keepers.path("repo")).unwrap();
    let due = repository.stage_due(&keys, later).unwrap();
    assert_eq!(due, ["root", "targets", "withdraw", "list-a"]);
    drop(repository);
    keepers.all_sign(&["bert", "cleo"]);
    let mut repository = Repository::open(&keepers.path("repo")).unwrap();
    let refreshed = repository.refresh(&keys, later).unwrap();
    assert!(
        refreshed
            .left
            .iter()
            .any(|left| left.role == "list-a" && left.reason.contains("staged")),
        "{refreshed:?}"
    );
    drop(repository);
    let mut repository = Repository::open_staged(&keepers.path("repo")).unwrap();
    let renewed = repository.publish_staged(&keys, later).unwrap();
    assert!(
        renewed
            .iter()
            .any(|role| role.role == "root" && role.version == 2)
    );
}

#[test]
fn refreshing_heals_a_rotation_that_was_cut_off_after_its_root() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], now());
    let timestamp = authority.repo().join("metadata/timestamp.json");
    let before = fs::read(&timestamp).unwrap();
    let on_repo = |command: &str| {
        let mut program = cordon();
        program.args(["repo", command]).arg(authority.repo());
        program.arg("--keys").arg(authority.keys_folder());
        program
    };
    let root = authority.signed("metadata/1.root.json");
    let old = root["roles"]["timestamp"]["keyids"][0].as_str().unwrap();
    let mut rotate = on_repo("rotate");
    rotate.args(["--role", "timestamp", "--new", "timestamp-2"]);
    must(rotate.args(["--remove", old]));
    fs::write(&timestamp, before).unwrap();
    must(&mut on_repo("refresh"));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(now()), "new");
    assert_eq!(node.puller.summary().root_version, 2);
}

#[test]
fn a_root_gets_other_keys_while_the_online_roles_are_expired() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut keys = authority.keys();
    let rotation = Rotation {
        role: "root".to_owned(),
        new: vec!["root-2".to_owned()],
        ..Rotation::default()
    };
    let late = hour(24 * 100);
    let publish = |seq| {
        let published = authority.try_to_publish("a", &["two.test"], late);
        published.map(|published| assert_eq!(published.seq, seq))
    };
    // What others have to renew first is said to the one who publishes.
    let error = publish(2).unwrap_err().to_string();
    assert!(
        error.contains("targets expired") && error.contains("cordon repo refresh"),
        "{error}"
    );
    let mut repository = Repository::open(&authority.repo()).unwrap();
    repository.rotate(&mut keys, &rotation, late).unwrap();
    drop(repository);
    authority.refresh(late);
    publish(2).unwrap();
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(late), "new");
    assert_eq!(node.puller.summary().root_version, 2);
}

#[test]
fn damage_in_the_folder_is_named_and_nothing_is_lost() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let repo = authority.repo();
    let publish = |expected: &str| {
        let error = Repository::open(&repo).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    // A file that is gone.
    let targets = repo.join(authority.current("targets"));
    let kept = fs::read(&targets).unwrap();
    fs::remove_file(&targets).unwrap();
    publish("is missing, and it is the newest version of role targets");
    fs::write(&targets, &kept).unwrap();
    // A file that is none, in the next root's place: nodes would stumble over it.
    let foreign = repo.join("metadata/2.root.json");
    fs::write(&foreign, "a note").unwrap();
    publish("2.root.json: is not the signed file of role root; move it away");
    fs::remove_file(&foreign).unwrap();
    // Beyond it no node asks: a note, or a copy of a root; one that may be real is asked about.
    let foreign = repo.join("metadata/99.root.json");
    let first = fs::read_to_string(repo.join("metadata/1.root.json")).unwrap();
    for text in ["a note", &first] {
        fs::write(&foreign, text).unwrap();
        let warnings = Repository::open(&repo).unwrap().warnings();
        assert!(
            warnings[0].contains("99.root.json is no root"),
            "{warnings:?}"
        );
    }
    fs::write(&foreign, first.replace("\"version\":1}", "\"version\":99}")).unwrap();
    publish("2.root.json: is missing, though ");
    fs::remove_file(&foreign).unwrap();
    // A staged version that is none: said, and the way out.
    fs::create_dir(repo.join("staged")).unwrap();
    fs::write(repo.join("staged/list-a.json"), "a note").unwrap();
    let mut refresh = cordon();
    refresh.args(["repo", "refresh"]).arg(&repo).arg("--keys");
    let output = run(refresh.arg(authority.keys_folder()));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("staged/list-a.json: is not the staged version")
            && said.contains("--discard"),
        "{said}"
    );
    fs::remove_dir_all(repo.join("staged")).unwrap();
    // The root itself: neither opened nor founded anew.
    let root = repo.join("metadata/1.root.json");
    fs::rename(&root, repo.join("kept")).unwrap();
    publish("has no root, such as 1.root.json");
    let mut init = cordon();
    init.args(["repo", "init"]).arg(&repo).arg("--keys");
    let said = refused(init.arg(authority.keys_folder().join("new")));
    assert!(said.contains("there is a repository already"), "{said}");
    fs::rename(repo.join("kept"), &root).unwrap();
    fs::write(repo.join("metadata/note.txt"), "a note").unwrap();
    // The list's file before: it counts as none, and the list is published all the same.
    for entry in fs::read_dir(repo.join("targets/a")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let mut withdraw = cordon();
    withdraw.args(["repo", "withdraw"]).arg(&repo).arg("--keys");
    withdraw.arg(authority.keys_folder()).args(["--list", "a"]);
    let said = refused(withdraw.args(["--value", "one.test", "--reason", "error"]));
    assert!(said.contains(".full: is missing"), "{said}");
    let published = authority.publish("a", &["one.test", "two.test"], hour(1));
    assert_eq!((published.seq, published.added), (2, 2));
    assert_eq!(published.warnings.len(), 1, "{:?}", published.warnings);
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(1)), "new");
    assert!(repo.join("metadata/note.txt").exists());
}
