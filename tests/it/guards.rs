//! The incidents that guards are for (field.md section 3): what a publisher is not let do, and
//! which rows a node leaves out.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::harness::node::Node;
use super::harness::upstream::Upstream;
use super::harness::{cordon, must, run};

/// A repository with one list, `a`.
struct Publisher {
    folder: tempfile::TempDir,
}

const LEGAL: &str = "category: phishing\nlegal: { basis: Act, authority: Police }\n";

impl Publisher {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("legal.yaml"), LEGAL).unwrap();
        let publisher = Self { folder };
        must(&mut publisher.repo("init"));
        let delegate = ["--list", "a", "--title", "List a", "--category", "phishing"];
        must(publisher.repo("delegate").args(delegate));
        publisher
    }

    fn repo(&self, command: &str) -> Command {
        let mut cordon = cordon();
        cordon
            .args(["repo", command])
            .arg(self.path().join("repo"))
            .arg("--keys")
            .arg(self.path().join("keys"));
        cordon
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file of these lines.
    fn file(&self, name: &str, lines: &[String]) -> std::path::PathBuf {
        let file = self.path().join(name);
        fs::write(&file, lines.join("\n")).unwrap();
        file
    }

    /// The command that publishes these rows.
    fn publish(&self, rows: &[String], format: &str) -> Command {
        let mut command = self.repo("publish");
        command.args(["--list", "a", "--format", format, "--from"]);
        command.arg(self.file("rows", rows));
        command.arg("--legal").arg(self.path().join("legal.yaml"));
        if format == "domains" {
            command.args(["--match", "subtree"]);
        }
        command
    }

    /// Publishes these names, which must not be taken; why not.
    #[track_caller]
    fn refused(&self, names: &[String]) -> String {
        let before = self.serial();
        let output = run(&mut self.publish(names, "domains"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(self.serial(), before, "nothing was published");
        said
    }

    fn never_block(&self, names: &[String]) {
        let file = self.file("never-block.txt", names);
        must(self.repo("never-block").arg("--from").arg(file));
    }

    /// The fields of our own of the newest step or complete state.
    fn custom(&self) -> serde_json::Value {
        let roles = fs::read_dir(self.path().join("repo/metadata")).unwrap();
        let names = roles.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let version = |name: &String| name.strip_suffix(".list-a.json")?.parse::<u64>().ok();
        let newest = names.max_by_key(version).unwrap();
        let role = fs::read(self.path().join("repo/metadata").join(newest)).unwrap();
        let role: serde_json::Value = serde_json::from_slice(&role).unwrap();
        let targets = role["signed"]["targets"].as_object().unwrap();
        let mut customs: Vec<_> = targets.values().map(|target| &target["custom"]).collect();
        customs.sort_by_key(|custom| custom["seq"].as_u64());
        customs.last().copied().unwrap().clone()
    }

    /// The serial of the list.
    fn serial(&self) -> Option<u64> {
        let mut command = cordon();
        command
            .args(["repo", "status", "--json"])
            .arg(self.path().join("repo"));
        let status: serde_json::Value = serde_json::from_str(&must(&mut command)).unwrap();
        status["lists"][0]["seq"].as_u64()
    }
}

fn names(prefix: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers
        .map(|number| format!("{prefix}{number}.test"))
        .collect()
}

#[test]
fn denmark_the_wrong_file_is_not_published() {
    let publisher = Publisher::new();
    publisher.never_block(&names("popular", 0..1000));
    must(&mut publisher.publish(&names("bad", 0..500), "domains"));

    let wrong = [names("popular", 0..800), names("bad", 0..500)].concat();
    let said = publisher.refused(&wrong);
    assert!(said.contains("800 of 800 new rows"), "{said}");
    assert!(said.contains("this looks like the wrong file"), "{said}");

    let replaced = [names("popular", 0..800), names("bad", 450..500)].concat();
    let said = publisher.refused(&replaced);
    assert!(said.contains("450 of 500 entries are removed"), "{said}");

    let none = publisher.refused(&names("popular", 0..800));
    assert!(none.contains("none of the 800 rows can be used"), "{none}");

    let few = [names("popular", 0..5), names("bad", 0..501)].concat();
    let said = must(&mut publisher.publish(&few, "domains"));
    assert!(said.contains("1 added, 0 removed"), "{said}");
    assert!(said.contains("5 rows were left out"), "{said}");
}

#[test]
fn piracy_shield_a_host_below_a_never_block_name_is_left_out() {
    let publisher = Publisher::new();
    publisher.never_block(&["google.test".to_owned()]);
    let rows = ["drive.usercontent.google.test", "pirate.test", "test"].map(str::to_owned);
    let said = must(&mut publisher.publish(&rows, "domains"));
    assert!(
        said.contains(
            "line 1: drive.usercontent.google.test may not be blocked, as all below google.test"
        ),
        "{said}"
    );
    assert!(said.contains("2 entries"), "{said}");
}

#[test]
fn mooo_com_and_asic_shared_parents_and_addresses_need_leave() {
    let publisher = Publisher::new();
    let policy = "lists: { a: { kinds: [domain, url], top_level: [test, com] } }\n";
    let policy = publisher.file("policy.yaml", &[policy.to_owned()]);
    must(publisher.repo("policy").arg("--from").arg(policy));
    let rows = [
        r#"{"format":1,"list":"a"}"#,
        r#"{"kind":"domain","match":"subtree","value":"mooo.com"}"#,
        r#"{"kind":"ip","value":"198.51.100.7"}"#,
        r#"{"kind":"domain","match":"exact","value":"elsewhere.example"}"#,
        r#"{"kind":"domain","match":"subtree","value":"com"}"#,
        r#"{"kind":"domain","match":"subtree","value":"bad.mooo.com"}"#,
        r#"{"kind":"domain","match":"subtree","value":"blogspot.com","collateral":{"shared":true,"checked_at":"2026-11-20","ack_by":"A. Clerk"}}"#,
    ];
    let said = must(&mut publisher.publish(&rows.map(str::to_owned), "native"));
    for part in [
        "2 entries",
        "line 2: mooo.com is a platform that many share",
        "line 3: the signed policy does not allow this list entries of kind ip",
        "line 4: the signed policy allows this list names below test, com alone",
        "line 5: com is a public suffix",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
}

#[test]
fn growth_is_held_by_version_and_by_day_unless_a_person_says_why() {
    let publisher = Publisher::new();
    must(&mut publisher.publish(&names("bad", 0..1000), "domains"));
    let said = publisher.refused(&names("bad", 0..1201));
    assert!(
        said.contains("201 entries are added to 1000, more than 20 %"),
        "{said}"
    );
    assert!(said.contains("domain phishing: +201 -0"), "{said}");
    assert!(said.contains("--accept-guard"), "{said}");
    must(&mut publisher.publish(&names("bad", 0..1200), "domains"));
    must(&mut publisher.publish(&names("bad", 0..1440), "domains"));
    let said = publisher.refused(&names("bad", 0..1640));
    assert!(
        said.contains("640 entries are added to 1000 within 24 hours, more than 50 %"),
        "{said}"
    );
    let mut accepted = publisher.publish(&names("bad", 0..1640), "domains");
    let said = must(accepted.args(["--accept-guard", "order EX-2026-9"]));
    assert!(
        said.contains("Nodes hold this version until their operators decide"),
        "{said}"
    );
    assert_eq!(publisher.serial(), Some(4));
    // Whoever has to decide on a node finds the reason in the version itself.
    let custom = publisher.custom();
    assert_eq!(custom["accepted"]["reason"], "order EX-2026-9");
    assert_eq!(custom["accepted"]["trips"][0], "growth_per_day", "{custom}");
    let empty = run(publisher
        .publish(&names("bad", 0..1), "domains")
        .args(["--accept-guard", ""]));
    assert_eq!(empty.status.code(), Some(64), "a reason is one");
}

#[test]
fn what_no_node_enforces_or_the_list_is_not_for_is_said() {
    let publisher = Publisher::new();
    let row = |value: &str, more: &str| {
        format!(
            "{{\"kind\":\"domain\",\"match\":\"exact\",\"value\":\"{value}\",\"legal\":{{\"basis\":\"Act\",\"authority\":\"Court\"}}{more}}}"
        )
    };
    let header = "{\"format\":1,\"list\":\"a\"}".to_owned();
    let rows = [
        header,
        row("one.test", ""),
        row("two.test", ",\"expires_at\":\"2026-01-01T00:00:00Z\""),
        row("three.test", ",\"category\":\"gambling\""),
    ];
    let said = run(&mut publisher.publish(&rows, "native"));
    let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    for part in [
        "3 entries",
        "1 entry expired before this version",
        "1 entry of another category than phishing",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
}

#[test]
fn the_signed_policy_may_be_stricter_and_withdrawals_pass() {
    let publisher = Publisher::new();
    let policy = "lists: { a: { shrink: 1%, from_changes: 0, max_entries: 5 } }\n";
    let policy = publisher.file("policy.yaml", &[policy.to_owned()]);
    must(publisher.repo("policy").arg("--from").arg(policy));
    let said = publisher.refused(&names("bad", 0..6));
    assert!(said.contains("it has 6 entries, and at most 5"), "{said}");
    must(&mut publisher.publish(&names("bad", 0..5), "domains"));
    let said = publisher.refused(&names("bad", 1..5));
    assert!(said.contains("1 of 5 entries are removed"), "{said}");
    let withdraw = ["--list", "a", "--value", "bad0.test", "--reason", "error"];
    must(publisher.repo("withdraw").args(withdraw));
    let said = must(&mut publisher.publish(&names("bad", 1..5), "domains"));
    assert!(said.contains("0 added, 1 removed"), "{said}");
}

#[test]
fn terms_that_take_entries_out_of_a_list_are_published_with_a_reason_alone() {
    let publisher = Publisher::new();
    must(&mut publisher.publish(&names("bad", 0..5), "domains"));
    let policy = |text: &str| {
        let file = publisher.file("policy.yaml", &[format!("lists: {{ a: {{ {text} }} }}\n")]);
        let mut command = publisher.repo("policy");
        command.arg("--from").arg(file);
        command
    };
    let check = |command: &mut Command, expected: &[&str]| {
        let output = run(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in expected {
            assert!(said.contains(part), "{part}\n{said}");
        }
    };
    let targets = || {
        let timestamp = fs::read_to_string(publisher.path().join("repo/metadata/timestamp.json"));
        let files = fs::read_dir(publisher.path().join("repo/metadata")).unwrap();
        let newest = files
            .filter_map(|file| {
                let name = file.unwrap().file_name().into_string().unwrap();
                name.strip_suffix(".targets.json")?.parse::<u64>().ok()
            })
            .max();
        let name = format!("repo/metadata/{}.targets.json", newest.unwrap());
        let text = fs::read(publisher.path().join(name)).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&text).unwrap();
        (timestamp.unwrap(), file["signed"]["targets"].clone())
    };
    let before = targets();
    check(
        &mut policy("kinds: [url]"),
        &[
            "nodes leave out 5 of the 5 entries of list a, such as bad0.test: the signed policy",
            "bad1.test: ",
            "bad2.test: ",
            "of list a, it has 0 entries, and at least 1 are demanded",
            "--accept-guard REASON",
        ],
    );
    check(&mut policy("max_entries: 4"), &["at most 4 are allowed"]);
    check(
        &mut policy("min_entries: 9, max_entries: 8"),
        &["policy.yaml:1:"],
    );
    check(&mut policy("min_generation: 3"), &["2 begins it anew"]);
    let file = publisher.file("never-block.txt", &["bad4.test".to_owned()]);
    let mut never = publisher.repo("never-block");
    check(
        never.arg("--from").arg(file),
        &["nodes leave out 1 of the 5 entries of list a, such as bad4.test: "],
    );
    assert_eq!(targets(), before, "nothing was published");
    must(never.args(["--accept-guard", "the bank of bad4"]));
    let (_, named) = targets();
    let accepted = &named["never-block"]["custom"]["accepted"];
    assert_eq!(accepted["reason"], "the bank of bad4", "{named}");
    // What was accepted is not asked of again, nor is what takes nothing out.
    must(&mut policy("kinds: [domain], max_entries: 5"));
    must(&mut policy("kinds: [domain, url]"));
}

#[test]
fn russia_a_list_does_not_turn_a_node_against_itself() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let rows = [
        "{\"format\":1,\"list\":\"l\",\"defaults\":{\"category\":\"phishing\",\"legal\":{\"basis\":\"b\",\"authority\":\"a\"}}}",
        "{\"id\":\"1\",\"kind\":\"domain\",\"match\":\"exact\",\"value\":\"isp.example\"}",
        "{\"id\":\"2\",\"kind\":\"url\",\"value\":\"http://192.0.2.80/\"}",
        "{\"id\":\"3\",\"kind\":\"ip\",\"value\":\"127.0.0.0/8\"}",
        "{\"id\":\"4\",\"kind\":\"domain\",\"match\":\"subtree\",\"value\":\"bad.example\"}",
        "{\"id\":\"5\",\"kind\":\"domain\",\"match\":\"subtree\",\"value\":\"example\"}",
    ];
    let file = folder.path().join("list");
    fs::write(&file, rows.join("\n")).unwrap();
    let lists = format!(
        "lists:\n  - {{ name: l, from: {{ file: {}, format: native }}, unsigned: true }}",
        file.display()
    );
    let mut node = Node::new(&lists, upstream.address);
    node.start();
    let status: serde_json::Value =
        serde_json::from_str(&node.command(&["status", "--json"])).unwrap();
    let list = &status["lists"][0];
    let rows = list["quarantined_rows"].as_array().unwrap();
    let found: Vec<(u64, &str)> = rows
        .iter()
        .map(|row| {
            (
                row["line"].as_u64().unwrap(),
                row["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(found.len(), 3, "{found:?}");
    for ((line, reason), (expected, part)) in found.iter().zip([
        (2, "isp.example is this node's own (`stop_page.operator`"),
        (3, "192.0.2.80 is this node's own address (`dns.stop_page`"),
        (4, "127.0.0.1 is this node's own address (`dns.listen`"),
    ]) {
        assert_eq!(*line, expected);
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(list["holes"], serde_json::json!([["5", "isp.example"]]));
    let blocked = node.command(&["explain", "any.example"]);
    assert!(blocked.contains("by entry 5 of list l"), "{blocked}");
    let open = node.command(&["explain", "isp.example"]);
    assert!(open.contains("dns   passes"), "{open}");
    assert!(open.contains("this node's own"), "{open}");
    let customer = node.command(&["explain", "customer.isp.example"]);
    assert!(customer.contains("by entry 5 of list l"), "{customer}");
}
