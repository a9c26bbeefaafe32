//! A policy zone that changes, with the real program: local, and signed in a repository (U1, U6,
//! P3 to P8).

use std::fs;
use std::time::Duration;

use crate::harness::authority::Authority;
use crate::harness::client::{self, until};
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;

const HEAD: &str = "$TTL 300\n@ SOA localhost. nobody.invalid. 1 60 60 60 60\n@ NS localhost.\n";

/// A node with one local policy zone.
fn node(zone: &str) -> (Node, Upstream) {
    let upstream = Upstream::start();
    let mut node = Node::new("", upstream.address);
    let file = node.folder().join("law.rpz");
    fs::write(&file, zone).unwrap();
    let lists = format!(
        "lists:\n  - {{ name: law, from: {{ file: {}, format: rpz }}, unsigned: true }}",
        file.display()
    );
    node.configure(&lists, upstream.address);
    node.start();
    (node, upstream)
}

fn does_not_exist(node: &Node, name: &str) -> bool {
    client::ask(node.dns, name).rcode == 3
}

#[test]
fn u1_a_version_that_fails_leaves_the_one_before_in_force() {
    let (mut node, _upstream) = node(&format!("{HEAD}bad.test CNAME .\n"));
    let file = node.folder().join("law.rpz");
    assert!(does_not_exist(&node, "bad.test"));
    // What a server says instead of the zone; a zone without its SOA; one that is cut off.
    for broken in [
        "<html><body>Maintenance</body></html>\n",
        "bad.test CNAME .\nworse.test CNAME .\n",
        "",
    ] {
        fs::write(&file, broken).unwrap();
        node.command(&["reload"]);
        assert!(does_not_exist(&node, "bad.test"), "{broken}");
        let status = node.command(&["status"]);
        assert!(status.contains("HELD"), "{broken}: {status}");
    }
    fs::write(&file, format!("{HEAD}worse.test CNAME .\n")).unwrap();
    until("the mended zone is in force", PATIENCE, || {
        does_not_exist(&node, "worse.test") && !does_not_exist(&node, "bad.test")
    });
    node.stop();
}

#[test]
fn rows_that_are_no_rules_are_named_with_their_line_and_the_rest_acts() {
    let (mut node, _upstream) = node(&format!(
        "{HEAD}bad.test CNAME .\n\
         ns.test NS ns.other.test.\n\
         a.test A 192.0.2\n\
         foo.test CNAME rpz-foo.\n\
         outside. CNAME .\n\
         $INCLUDE /etc/passwd\n\
         bad.test CNAME .\n\
         24.1.2.0.192.rpz-ip CNAME .\n\
         worse.test CNAME .\n"
    ));
    for name in ["bad.test", "worse.test"] {
        assert!(does_not_exist(&node, name), "{name}");
    }
    assert!(!does_not_exist(&node, "foo.test"));
    let status = node.command(&["status"]);
    for line in 5..=11 {
        let named = format!("line {line}");
        assert!(status.contains(&named), "{named} is missing: {status}");
    }
    node.stop();
}

#[test]
fn a_signed_zone_acts_like_a_local_one() {
    let authority = Authority::new();
    authority.delegate("law");
    let rows = [
        "$ORIGIN law.rpz.test.",
        "@ 300 SOA localhost. nobody.invalid. 7 60 60 60 60",
        "@ 300 NS localhost.",
        "bad.test 300 CNAME .",
        "data.test 300 A 192.0.2.44",
        "*.wide.test 300 CNAME .",
        "hole.wide.test 300 CNAME rpz-passthru.",
        "drop.test 300 NS ns.test.",
    ];
    authority.publish_rows("law", &rows.map(str::to_owned), "rpz", None);
    let upstream = Upstream::start();
    let lists = format!(
        "repositories:\n  - {{ name: hotline, mirrors: [\"{}\"], trust: {} }}\nlists:\n  - {{ name: law, from: {{ repository: hotline, list: law }} }}",
        authority.mirror(),
        authority.root().display(),
    );
    let mut node = Node::new(&lists, upstream.address);
    node.start();
    assert!(does_not_exist(&node, "bad.test"));
    assert!(does_not_exist(&node, "x.wide.test"));
    for name in ["hole.wide.test", "wide.test", "drop.test"] {
        assert!(!does_not_exist(&node, name), "{name}");
    }
    let answer = client::ask(node.dns, "data.test");
    assert_eq!(answer.address, Some([192, 0, 2, 44].into()));
    node.stop();
}

const PATIENCE: Duration = Duration::from_secs(20);
