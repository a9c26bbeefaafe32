//! `explain`, `check`, `status` and the metrics on policy zones: every match with the criterion
//! that decided, and nothing strange in a zone that is not said with its line.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::node::Node;
use crate::harness::upstream::Upstream;
use crate::harness::{cordon, must};

const ALLOW: &str = "\
@ SOA a. b. 1 2 3 4 5
24.0.2.0.192.rpz-client-ip CNAME rpz-passthru.
8.0.0.0.10.rpz-ip CNAME rpz-passthru.
";

const HOUSE: &str = "\
$TTL 300
@ SOA a. b. 1 2 3 4 5
 NS localhost.
bad.test CNAME .
*.bad.test CNAME *.
x.y.bad.test A 192.0.2.1
 TXT \"hello\"
w.test CNAME *.garden.test.
24.0.0.0.10.rpz-ip CNAME .
16.0.0.0.10.rpz-ip CNAME .
ns.evil.test.rpz-nsdname CNAME .
8.0.0.0.11.rpz-nsip CNAME .
48.zz.0.db8.2001.rpz-ip CNAME .
odd.test CNAME rpz-foo.
old.test CNAME old.test.
";

/// Writes the zones and says the lists of a configuration that has them in this order: what
/// passes, the house rules, and names for some clients that become aliases.
fn lists(folder: &Path) -> String {
    fs::write(folder.join("allow.rpz"), ALLOW).unwrap();
    fs::write(folder.join("house.rpz"), HOUSE).unwrap();
    fs::write(folder.join("kids.txt"), "blocked.test\nbad.test\n").unwrap();
    let folder = folder.display();
    format!(
        "lists:
  - {{ name: allow, from: {{ file: {folder}/allow.rpz, format: rpz }}, unsigned: true }}
  - {{ name: house, from: {{ file: {folder}/house.rpz, format: rpz }}, unsigned: true }}
  - name: kids
    from: {{ file: {folder}/kids.txt, format: domains, match: subtree }}
    unsigned: true
    clients: [192.0.2.0/24]
    override: {{ cname: \"*.garden.test\" }}"
    )
}

/// A configuration that nothing runs with.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lists = lists(folder.path());
        let configuration = format!(
            "version: 1
state: {}/state
{lists}
dns:
  listen: [\"127.0.0.1:0\"]
  clients: [127.0.0.0/8, 192.0.2.0/24, 198.51.100.0/24]
  resolver: {{ forward: [\"127.0.0.1:9\"] }}
",
            folder.path().display()
        );
        fs::write(folder.path().join("cordon.yaml"), configuration).unwrap();
        Self { folder }
    }

    fn run(&self, words: &[&str]) -> String {
        let file = self.folder.path().join("cordon.yaml");
        must(cordon().args(words).arg("--config").arg(file))
    }

    fn json(&self, words: &[&str]) -> Value {
        let words = [&["explain", "--offline", "--json"], words].concat();
        serde_json::from_str(&self.run(&words)).unwrap()
    }
}

/// The matches as `list value`, and behind them what became of them on one surface.
fn outcomes(explained: &Value, surface: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for of in explained["matches"].as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        for outcome in of["outcomes"].as_array().unwrap() {
            if outcome["surface"] == surface {
                let said = format!("{} {}", text(&of["list"]), text(&of["value"]));
                found.push((said, text(&outcome["outcome"])));
            }
        }
    }
    found
}

#[track_caller]
fn check(explained: &Value, surface: &str, expected: &[(&str, &str)]) {
    let found = outcomes(explained, surface);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((said, outcome), (match_expected, part)) in found.iter().zip(expected) {
        assert_eq!(said, match_expected, "{found:?}");
        assert!(outcome.contains(part), "{said}: {outcome}");
    }
}

#[test]
fn a_name_is_explained_for_each_client_and_surface() {
    let desk = Desk::new();
    // One that no rule on clients is about, and that the last list is not for.
    let other = desk.json(&["bad.test", "--client", "198.51.100.1"]);
    let expected = [
        ("house bad.test", "decides, unless what is really there"),
        ("kids bad.test", "lost: list kids is not for that client"),
    ];
    check(&other, "dns", &expected);
    check(
        &other,
        "http",
        &[("house bad.test", "decides"), expected[1]],
    );
    assert_eq!(other["surfaces"][0]["answer"], "NXDOMAIN");
    assert_eq!(other["matches"][0]["line"], 4);
    // A rule on the client comes before one on the name, over DNS alone.
    let kid = desk.json(&["bad.test", "--client", "192.0.2.9"]);
    check(
        &kid,
        "dns",
        &[
            ("allow 192.0.2.0/24", "decides"),
            ("house bad.test", "lost: a list further up decided (O2)"),
            ("kids bad.test", "lost: a list further up decided (O2)"),
        ],
    );
    check(
        &kid,
        "tls",
        &[
            ("house bad.test", "decides"),
            ("kids bad.test", "lost: a list further up decided (O2)"),
        ],
    );
    assert_eq!(kid["surfaces"][0]["outcome"], "passes");
    assert_eq!(kid["surfaces"][1]["outcome"], "blocked");
    assert_eq!(kid["matches"][0]["line"], 2);
    let stranger = desk.json(&["bad.test", "--client", "203.0.113.1"]);
    assert_eq!(stranger["surfaces"][0]["outcome"], "refused");
}

#[test]
fn local_data_are_shown_as_they_are_answered() {
    let desk = Desk::new();
    let check = |words: &[&str], answer: &str| {
        let explained = desk.json(words);
        assert_eq!(explained["surfaces"][0]["answer"], answer, "{words:?}");
    };
    check(&["x.y.bad.test", "--type", "TXT"], "TXT hello");
    check(&["x.y.bad.test"], "A 192.0.2.1");
    check(&["x.y.bad.test", "--type", "ANY"], "A 192.0.2.1, TXT hello");
    let other = "AAAA: NODATA, for the rule has other types";
    check(&["x.y.bad.test", "--type", "aaaa"], other);
    let alias = "CNAME w.test.garden.test., and what that resolves to";
    check(&["w.test"], alias);
    check(&["w.test", "--type", "CNAME"], "CNAME w.test.garden.test.");
    let label = "a".repeat(58);
    let long = format!("{label}.{label}.{label}.{label}.blocked.test");
    let file = desk.folder.path().join("cordon.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("clients: [192.0.2.0/24]", "ede: none")).unwrap();
    let too_long = "YXDOMAIN: with the name in front the target is too long";
    check(&[&long], too_long);
}

#[test]
fn addresses_and_name_servers_are_explained_in_their_roles() {
    let desk = Desk::new();
    let address = desk.json(&["10.0.0.1"]);
    check(
        &address,
        "dns",
        &[
            ("allow 10.0.0.0/8", "decides"),
            ("house 10.0.0.0/24", "lost: a list further up decided (O2)"),
            ("house 10.0.0.0/16", "lost: a list further up decided (O2)"),
        ],
    );
    assert_eq!(address["surfaces"][0]["role"], "an address in an answer");
    let server = desk.json(&["11.1.2.3"]);
    check(&server, "dns", &[("house 11.0.0.0/8", "inactive")]);
    let server = desk.json(&["ns.evil.test"]);
    check(&server, "dns", &[("house ns.evil.test", "inactive")]);
    assert_eq!(server["matches"][0]["line"], 11);
}

#[test]
fn rows_that_do_not_match_say_why() {
    let desk = Desk::new();
    let check = |asked: &str, line: u64, part: &str| {
        let explained = desk.json(&[asked, "--client", "198.51.100.1"]);
        let rows = explained["left_out"].as_array().unwrap();
        let row = rows.iter().find(|row| row["line"] == line);
        let row = row.unwrap_or_else(|| panic!("{explained}"));
        assert!(row["reason"].as_str().unwrap().contains(part), "{row}");
    };
    // With `*.bad.test` and `x.y.bad.test` the names between stay open (T18).
    check("z.y.bad.test", 5, "stops at the names of its policy zone");
    check("y.bad.test", 5, "stops at the names of its policy zone");
    check("www.bad.test", 4, "exact only");
    check("odd.test", 14, "quarantined: `CNAME rpz-foo.`");
}

#[test]
fn check_names_every_row_that_is_not_as_it_seems() {
    let said = Desk::new().run(&["check"]);
    for line in [
        "list kids (unsigned, ",
        "): enforced, for 192.0.2.0/24",
        "INACTIVE: 1 rules on NSDNAME: no name servers are looked up",
        "INACTIVE: 1 rules on NSIP",
        "1 rows quarantined:",
        "line 14: `CNAME rpz-foo.` is an unknown action",
        "line 6: `x.y.bad.test` makes a hole in `*.bad.test`: y.bad.test with all below it",
        "line 13: the address is not in canonical form",
        "line 15: an alias of itself is the old form of PASSTHRU",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
}

#[test]
fn a_node_says_loudly_what_of_a_zone_does_not_act() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start();
    let mut node = Node::new(&lists(folder.path()), upstream.address);
    node.start();
    let status: Value = serde_json::from_str(&node.command(&["status", "--json"])).unwrap();
    let house = &status["lists"][1];
    let inactive = serde_json::json!({"nsdname": 1, "nsip": 1});
    assert_eq!(house["inactive_rules"], inactive);
    assert_eq!(
        (&house["quarantined"], &house["warned"]),
        (&1.into(), &3.into())
    );
    assert!(
        node.command(&["status"])
            .contains("INACTIVE: 1 rules on NSIP")
    );
    let log = node.log();
    assert!(log.contains("these rules are inactive"), "{log}");
    let metrics = node.report("/metrics").body;
    for figure in [
        r#"cordon_inactive_rules{list="house",trigger="nsdname"} 1"#,
        r#"cordon_inactive_rules{list="kids",trigger="nsip"} 0"#,
        r#"cordon_list_entries{list="allow",kind="client"} 1"#,
        r#"cordon_list_entries{list="house",kind="ip"} 4"#,
    ] {
        assert!(metrics.contains(figure), "{figure}\n{metrics}");
    }
    assert!(node.report("/").body.contains("Inactive rules"));
    let page = node.report("/lists/house").body;
    assert!(page.contains("makes a hole in"), "{page}");
    // The daemon says what the lists on disk say.
    let words = ["explain", "bad.test", "--client", "127.0.0.1", "--json"];
    let online: Value = serde_json::from_str(&node.command(&words)).unwrap();
    check(
        &online,
        "dns",
        &[("house bad.test", "decides"), ("kids bad.test", "not for")],
    );
    let words = [&words[..], &["--offline"]].concat();
    let offline: Value = serde_json::from_str(&node.command(&words)).unwrap();
    assert_eq!(online, offline);
}
