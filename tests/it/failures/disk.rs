//! A disk that is full: a small file system of its own under the state folder of the real
//! program.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cordon::control::rounds::ListOutcome;
use cordon::verify::digest;

use super::{block_list, blocked, metric};
use crate::harness::authority::Authority;
use crate::harness::client::until;
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;
use crate::harness::{must, network};
use crate::trust::forge::{self, hour};

/// Writes until there is no room.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    let mut octets = vec![b'x'; 4096];
    while !octets.is_empty() {
        while file.write_all(&octets).is_ok() {}
        octets.truncate(octets.len() / 2);
    }
}

#[test]
fn disk_full_keeps_enforcing_says_so_and_recovers_by_itself() {
    let test = "failures::disk::disk_full_keeps_enforcing_says_so_and_recovers_by_itself";
    if !network::is_own(test) {
        return;
    }
    let authority = Authority::new();
    authority.delegate("list");
    let mut rows: Vec<String> = (0..20_000).map(incompressible).collect();
    rows.push("one.test".into());
    authority.publish_rows("list", &rows, "domains", Some("subtree"));
    let upstream = Upstream::start();
    let mut node = Node::new(&block_list(&authority), upstream.address);
    fs::create_dir_all(node.state()).unwrap();
    must(
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(node.state()),
    );
    node.start();
    assert!(blocked(&node, "one.test"));
    let reserve = node.state().join("reserve");
    until("the reserve is there", Duration::from_secs(10), || {
        fs::metadata(&reserve).is_ok_and(|reserve| reserve.len() == 1 << 20)
    });
    // A list that does not fit, and nothing else would any more.
    let filler = node.state().join("filler");
    fill(&filler);
    rows.pop();
    rows.push("two.test".into());
    authority.publish_rows("list", &rows, "domains", Some("subtree"));
    node.command(&["update"]);
    assert!(blocked(&node, "two.test") && !blocked(&node, "one.test"));
    assert!(
        !reserve.exists(),
        "it was given up, so that metadata could be stored"
    );
    let floors = fs::read_to_string(node.state().join("repositories/hotline/floors.json"));
    assert!(floors.unwrap().contains(r#""seq":2"#), "floors are kept");
    let status = node.command(&["status"]);
    for said in [
        "ready, DEGRADED",
        "NOT PERSISTED",
        "ALARM (disk)",
        "No space left",
    ] {
        assert!(status.contains(said), "{said}: {status}");
    }
    assert_eq!(metric(&node, r#"cordon_list_persisted{list="list"}"#), 0.0);
    assert_eq!(
        metric(&node, r#"cordon_alarm{alarm="disk",severity="alarm"}"#),
        1.0
    );
    assert_eq!(node.report("/readyz").status, 200);
    assert!(
        node.log()
            .contains("the next start would begin with an older one")
    );

    // The next start uses the older version and says so, and fetches the newer again.
    let repository = authority.folder();
    let hidden = repository.with_extension("hidden");
    fs::rename(&repository, &hidden).unwrap();
    node.stop();
    node.start();
    assert!(blocked(&node, "one.test") && !blocked(&node, "two.test"));
    assert!(
        node.log()
            .contains("the version that was accepted last is not on disk")
    );
    fs::rename(&hidden, &repository).unwrap();
    node.command(&["update"]);
    assert!(blocked(&node, "two.test"));

    // Room again: everything recovers by itself.
    fs::remove_file(filler).unwrap();
    node.command(&["update"]);
    assert_eq!(metric(&node, r#"cordon_list_persisted{list="list"}"#), 1.0);
    let status = node.command(&["status"]);
    assert!(!status.contains("DEGRADED"), "{status}");
    assert!(reserve.exists(), "and the reserve is back");
    fs::rename(&repository, &hidden).unwrap();
    node.stop();
    node.start();
    assert!(blocked(&node, "two.test"));
}

#[test]
fn a_list_that_cannot_be_stored_stays_in_force_until_it_is() {
    let authority = forge::Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = forge::Node::new(&authority);
    // A file in the way of the folder, since a test may run as root, whom no mode stops.
    fs::create_dir_all(node.state().join("lists")).unwrap();
    fs::write(node.state().join("lists/a"), "in the way").unwrap();
    let round = node.round(&["a"], hour(0));
    assert!(matches!(
        round.lists.as_slice(),
        [(
            _,
            ListOutcome::New {
                not_stored: Some(_),
                ..
            }
        )]
    ));
    assert_eq!(node.puller.not_persisted(), ["a"]);
    assert!(node.puller.disk_error().unwrap().contains("lists/a"));
    for _ in 0..2 {
        // Whatever asks for the current version gets the one in memory.
        let (file, version) = node.restore("a").file.unwrap();
        assert_eq!(
            (version.seq, forge::names(&file)),
            (1, vec!["one.test".into()])
        );
        assert_eq!(node.outcome(hour(1)), "unchanged");
    }
    fs::remove_file(node.state().join("lists/a")).unwrap();
    assert_eq!(node.outcome(hour(1)), "unchanged");
    assert!(node.puller.not_persisted().is_empty() && node.puller.disk_error().is_none());
    assert_eq!(node.seq("a"), Some(1));
}

/// A name that cannot be packed: a list of many does not fit where there is little room.
fn incompressible(row: usize) -> String {
    let label = |part: &str| digest(format!("{part}{row}").as_bytes())[..62].to_owned();
    format!("{}.{}.test", label("a"), label("b"))
}
