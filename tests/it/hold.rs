//! What a guard holds back on a node, with the real program: the old list stays, a person
//! decides, and nothing of it is lost by a restart.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;

use crate::harness::authority::Authority;
use crate::harness::client;
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;

const STOP: Option<Ipv4Addr> = Some(Ipv4Addr::new(192, 0, 2, 80));

/// A list `a` of one authority on a node, asked for a round by hand.
struct Plant {
    authority: Authority,
    _upstream: Upstream,
    node: Node,
}

impl Plant {
    /// Publishes 300 names and starts the node.
    fn new() -> Self {
        let authority = Authority::new();
        authority.delegate("a");
        authority.publish_unguarded("a", &names(0..300));
        let upstream = Upstream::start();
        let lists = format!(
            "repositories:\n  - {{ name: hotline, mirrors: [\"{}\"], trust: {}, poll: 1h }}\nlists:\n  - {{ name: a, from: {{ repository: hotline, list: a }} }}",
            authority.mirror(),
            authority.root().display()
        );
        let mut node = Node::new(&lists, upstream.address);
        node.start();
        Self {
            authority,
            _upstream: upstream,
            node,
        }
    }

    /// Publishes these names and has the node run a round.
    fn publish(&self, range: std::ops::Range<u32>) {
        self.authority.publish_unguarded("a", &names(range));
        self.node.command(&["update"]);
    }

    fn blocks(&self, number: u32) -> bool {
        client::ask(self.node.dns, &name(number)).address == STOP
    }

    /// The list in the status.
    fn list(&self) -> Value {
        let status: Value =
            serde_json::from_str(&self.node.command(&["status", "--json"])).unwrap();
        status["lists"][0].clone()
    }

    /// What is held, by serial; nothing where nothing is.
    fn held(&self) -> Option<u64> {
        self.list()["held"]["serial"].as_u64()
    }
}

fn name(number: u32) -> String {
    format!("n{number}.test")
}

fn names(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(name).collect()
}

const ANNA: [&str; 4] = ["--by", "Anna", "--reason", "checked by phone"];

#[test]
fn a_list_that_doubles_is_held_over_a_restart_until_somebody_accepts_it() {
    let mut plant = Plant::new();
    assert!(plant.blocks(1));
    plant.publish(0..600);
    assert_eq!(plant.held(), Some(2));
    assert!(plant.blocks(1) && !plant.blocks(599));
    let said = plant.node.command(&["hold"]);
    for part in [
        "serial 2 is held",
        "serial 1 stays in force",
        "growth",
        "300 added",
        "n599.test",
        "hold accept a 2",
        "the authority knew, and says: a test of nodes",
    ] {
        assert!(
            said.contains(part) || part == "n599.test",
            "{part} is not in\n{said}"
        );
    }
    let status = plant.node.command(&["status"]);
    assert!(status.contains("HELD: serial 2"), "{status}");
    assert!(status.contains("says: a test of nodes"), "{status}");
    let signed = "signed by 1 of 1 keys, threshold 1: ";
    assert!(status.contains(signed), "{status}");
    let metrics = plant.node.report("/metrics").body;
    assert!(
        metrics.contains("cordon_list_held{list=\"a\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("cordon_guard_events_total{list=\"a\"} 1"),
        "{metrics}"
    );
    // The page says so, and shows no value of an entry.
    let page = plant.node.report("/lists/a").body;
    assert!(page.contains("Held back"), "{page}");
    assert!(!page.contains("n599.test"));

    plant.node.stop();
    plant.node.start();
    assert_eq!(plant.held(), Some(2));
    plant.node.command(&["update"]);
    assert!(plant.blocks(1) && !plant.blocks(599));

    let said = plant
        .node
        .refused(&[&["hold", "accept", "a", "3"][..], &ANNA].concat());
    assert!(said.contains("serial 2 is held"), "{said}");
    let said = plant
        .node
        .refused(&["hold", "accept", "a", "2", "--by", " ", "--reason", "x"]);
    assert!(said.contains("--by"), "{said}");
    plant
        .node
        .command(&[&["hold", "accept", "a", "2"][..], &ANNA].concat());
    assert!(plant.blocks(1) && plant.blocks(599));
    assert_eq!(plant.held(), None);
    plant.node.kill();
    plant.node.start();
    assert!(
        plant.blocks(599),
        "what was accepted is in force after a kill"
    );
    let said = plant.node.command(&["status", "--verify-audit"]);
    assert!(said.contains("whole"), "{said}");
    let log = fs::read_to_string(plant.node.state().join("audit.log")).unwrap();
    for part in [
        "\"hold_accept\"",
        "refused: ",
        "Anna",
        "checked by phone",
        "\"start\"",
        "\"stop\"",
    ] {
        assert!(log.contains(part), "{part} is not in\n{log}");
    }
}

#[test]
fn who_waits_for_a_first_version_that_is_held_reads_how_to_accept_it() {
    let mut plant = Plant::new();
    plant.node.stop();
    fs::remove_dir_all(plant.node.state()).unwrap();
    let text = fs::read_to_string(plant.node.configuration()).unwrap();
    let required = "list: a }, required: true, guard: { min_entries: 1000 } }";
    let text = text.replace("list: a } }", required);
    plant.node.write_configuration(&text);
    plant.node.spawn();
    let sentence = "list a is required and not in force: its first version, serial 1, is held (floor). `cordon hold` shows why; `cordon hold accept a 1 --by NAME --reason TEXT` puts it in force";
    client::until("it is held", Duration::from_secs(20), || {
        plant.node.log().contains(&format!("not ready: {sentence}"))
    });
    let ready = plant.node.report("/readyz");
    assert_eq!(
        (ready.status, ready.body),
        (503, format!("not ready: {sentence}\n"))
    );
    let status = plant.node.command(&["status"]);
    assert!(
        status.contains(&format!("NOT READY: {sentence}")),
        "{status}"
    );
    plant
        .node
        .command(&[&["hold", "accept", "a", "1"][..], &ANNA].concat());
    assert_eq!(plant.node.report("/readyz").status, 200);
}

#[test]
fn other_limits_let_go_what_is_held() {
    let plant = Plant::new();
    plant.publish(0..600);
    assert_eq!(plant.held(), Some(2));
    let since = plant.list()["held"]["since"].clone();
    let configure = |guard: &str| {
        let text = fs::read_to_string(plant.node.configuration()).unwrap();
        let (begin, end) = text.split_once("list: a }").unwrap();
        let end = end.split_once('}').unwrap().1;
        let text = format!("{begin}list: a }}, guard: {{ {guard} }} }}{end}");
        plant.node.write_configuration(&text);
        plant.node.command(&["reload"]);
    };
    let configured = fs::read_to_string(plant.node.configuration()).unwrap();
    // Limits that it still trips: it stays held since when it was.
    configure("growth: 60%, growth_per_day: 60%");
    assert_eq!(plant.held(), Some(2));
    assert_eq!(plant.list()["held"]["since"], since);
    assert_eq!(plant.list()["guard_events"], 1);
    plant.node.write_configuration(&configured);
    configure("growth: 200%, growth_per_day: 200%");
    assert_eq!(plant.held(), None);
    assert!(plant.blocks(1) && plant.blocks(599));
}

#[test]
fn a_rejected_version_never_acts_and_the_next_is_judged_by_what_is_in_force() {
    let mut plant = Plant::new();
    // Nearly empty: an attack or an accident.
    plant.publish(0..10);
    assert_eq!(plant.held(), Some(2));
    assert!(plant.blocks(299));
    let held = "serial 2 is held (shrink, shrink_per_day): look at it with `cordon hold`, then `cordon hold accept a 2` or `reject`";
    for words in ["update", "reload"] {
        let said = plant.node.command(&[words]);
        assert!(said.contains(held), "{said}");
    }
    plant
        .node
        .command(&[&["hold", "reject", "a", "2"][..], &ANNA].concat());
    assert_eq!(plant.held(), None);
    plant.node.command(&["update"]);
    plant.node.stop();
    plant.node.start();
    for words in ["update", "reload"] {
        let said = plant.node.command(&[words]);
        assert!(
            said.contains("serial 2 was rejected and never goes"),
            "{said}"
        );
    }
    // Everybody sees that the authority has a version that this node does not take.
    let status = plant.node.command(&["status"]);
    for part in ["ready, DEGRADED", "REJECTED: serial 2 since"] {
        assert!(status.contains(part), "{part}: {status}");
    }
    assert_eq!(plant.list()["rejected"]["version"], "serial 2");
    let explained = plant.node.command(&["explain", "n1.test"]);
    assert!(
        explained.contains("serial 2 was rejected on"),
        "{explained}"
    );
    let summary =
        serde_json::from_str::<Value>(&plant.node.report("/api/v1/summary").body).unwrap();
    assert_eq!(summary["lists"][0]["rejected"]["version"], "serial 2");
    let page = plant.node.report("/lists/a").body;
    assert!(page.contains("<b>Rejected:</b> serial 2"), "{page}");
    assert_eq!(
        (plant.held(), plant.list()["serial"].as_u64()),
        (None, Some(1))
    );
    let said = plant
        .node
        .refused(&[&["hold", "accept", "a", "2"][..], &ANNA].concat());
    assert!(said.contains("rejected"), "{said}");
    // Upon the rejected one this would be a growth of thirty times; upon the one in force it
    // is as usual.
    plant.publish(0..310);
    assert_eq!(
        (plant.held(), plant.list()["serial"].as_u64()),
        (None, Some(3))
    );
    assert!(plant.blocks(309));
    let status = plant.node.command(&["status"]);
    assert!(status.contains("ready\n") && plant.list()["rejected"].is_null());
}

#[test]
fn a_list_under_another_name_keeps_what_was_decided_of_it() {
    let mut plant = Plant::new();
    plant.publish(0..10);
    plant
        .node
        .command(&[&["hold", "reject", "a", "2"][..], &ANNA].concat());
    let configured = fs::read_to_string(plant.node.configuration()).unwrap();
    let renamed = |plant: &Plant, name: &str| {
        let text = configured.replace("name: a,", &format!("name: {name},"));
        plant.node.write_configuration(&text);
    };
    let stands = |plant: &Plant, name: &str| {
        let list = plant.list();
        assert_eq!(list["name"], name);
        assert_eq!(list["serial"], 1, "{list}");
        assert_eq!(list["rejected"]["version"], "serial 2", "{list}");
        assert!(plant.blocks(299));
    };
    renamed(&plant, "b");
    plant.node.command(&["reload"]);
    stands(&plant, "b");
    let said = plant.node.command(&["update"]);
    assert!(said.contains("serial 2 was rejected"), "{said}");
    stands(&plant, "b");
    // The same where the node does not run meanwhile.
    plant.node.stop();
    renamed(&plant, "c");
    plant.node.start();
    plant.node.command(&["update"]);
    stands(&plant, "c");
    // A configuration that cannot be taken loses nothing.
    let lists = plant.node.state().join("lists");
    let newer = fs::read_to_string(lists.join("c/standing.json")).unwrap();
    fs::create_dir(lists.join("x")).unwrap();
    let newer = newer.replace("\"format\": 1", "\"format\": 9");
    fs::write(lists.join("x/standing.json"), newer).unwrap();
    renamed(
        &plant,
        "d, from: { repository: hotline, list: a } }\n  - { name: x",
    );
    let said = plant.node.refused(&["reload"]);
    assert!(said.contains("a newer cordon wrote it"), "{said}");
    stands(&plant, "c");
    renamed(&plant, "c");
    plant.node.stop();
    plant.node.start();
    stands(&plant, "c");
}

#[test]
fn lists_that_exchange_their_names_keep_what_was_decided_of_each() {
    let mut plant = Plant::new();
    plant.publish(0..10);
    plant
        .node
        .command(&[&["hold", "reject", "a", "2"][..], &ANNA].concat());
    plant.authority.delegate("other");
    plant.authority.publish_rows(
        "other",
        &["other.test".to_owned()],
        "domains",
        Some("subtree"),
    );
    let configured = fs::read_to_string(plant.node.configuration()).unwrap();
    let named = |plant: &Plant, a: &str, other: &str| {
        let lists = format!(
            "name: {other}, from: {{ repository: hotline, list: other }} }}\n  - {{ name: {a},"
        );
        let text = configured.replace("name: a,", &lists);
        plant.node.write_configuration(&text);
    };
    let stands = |plant: &Plant, name: &str| {
        let status = plant.node.command(&["status", "--json"]);
        let status: Value = serde_json::from_str(&status).unwrap();
        let lists = status["lists"].as_array().unwrap();
        let list = lists.iter().find(|list| list["name"] == name).unwrap();
        assert_eq!(list["serial"], 1, "{list}");
        assert_eq!(list["rejected"]["version"], "serial 2", "{list}");
        assert!(plant.blocks(299));
    };
    named(&plant, "a", "b");
    plant.node.command(&["reload"]);
    plant.node.command(&["update"]);
    stands(&plant, "a");
    for (a, other) in [("b", "a"), ("a", "b")] {
        plant.node.stop();
        named(&plant, a, other);
        plant.node.start();
        stands(&plant, a);
        plant.node.command(&["update"]);
        stands(&plant, a);
    }
    // One takes the name of a list that is gone, whose decisions wait for it.
    plant.node.stop();
    let only = configured.replace(
        "name: a, from: { repository: hotline, list: a }",
        "name: a, from: { repository: hotline, list: other }",
    );
    plant.node.write_configuration(&only);
    plant.node.start();
    plant.node.stop();
    named(&plant, "a", "b");
    plant.node.start();
    stands(&plant, "a");
}

#[test]
fn a_rejected_version_is_rejected_under_every_name_of_its_list() {
    let mut plant = Plant::new();
    let configured = fs::read_to_string(plant.node.configuration()).unwrap();
    let second = "name: a, from: { repository: hotline, list: a } }\n  - { name: b,";
    let twice = configured.replace("name: a,", second);
    plant.publish(0..600);
    plant
        .node
        .command(&[&["hold", "reject", "a", "2"][..], &ANNA].concat());
    plant.node.write_configuration(&twice);
    plant.node.command(&["reload"]);
    let said = plant.node.command(&["update"]);
    assert!(said.contains("b: not in force; serial 2 was"), "{said}");
    assert!(plant.blocks(1) && !plant.blocks(599));
    // What is held under both names is rejected under both.
    plant.publish(0..310);
    plant.publish(0..900);
    plant
        .node
        .command(&[&["hold", "reject", "b", "4"][..], &ANNA].concat());
    for restarts in [false, true] {
        if restarts {
            plant.node.stop();
            plant.node.start();
        }
        assert_eq!(plant.held(), None, "{restarts}");
        assert_eq!(plant.list()["rejected"]["version"], "serial 4");
        assert!(plant.blocks(309) && !plant.blocks(899), "{restarts}");
    }
}

#[test]
fn a_held_version_is_superseded_by_a_better_one() {
    let plant = Plant::new();
    plant.publish(0..600);
    assert_eq!(plant.held(), Some(2));
    plant.publish(0..700);
    assert_eq!(plant.held(), Some(3));
    plant.publish(0..301);
    assert_eq!(
        (plant.held(), plant.list()["serial"].as_u64()),
        (None, Some(4))
    );
    assert!(plant.blocks(300) && !plant.blocks(599));
    assert_eq!(plant.node.command(&["hold"]).trim(), "Nothing is held.");
}

#[test]
fn a_damaged_standing_file_is_said_and_the_newest_version_is_judged_anew() {
    let mut plant = Plant::new();
    plant.publish(0..600);
    plant.node.stop();
    fs::write(plant.node.state().join("lists/a/standing.json"), "{").unwrap();
    plant.node.start();
    assert_eq!(
        (plant.held(), plant.list()["serial"].as_u64()),
        (Some(2), Some(1))
    );
    assert!(plant.blocks(1) && !plant.blocks(599));
    assert!(
        plant.node.log().contains("standing.json is damaged"),
        "{}",
        plant.node.log()
    );
    let status = plant.node.command(&["status"]);
    assert!(status.contains("ALARM (decisions)"), "{status}");
}

#[test]
fn a_standing_file_that_is_gone_is_said() {
    let mut plant = Plant::new();
    plant.node.stop();
    fs::remove_file(plant.node.state().join("lists/a/standing.json")).unwrap();
    plant.node.start();
    let status = plant.node.command(&["status"]);
    assert!(status.contains("standing.json is gone"), "{status}");
    assert!(plant.blocks(299));
    // Said once: it is there again.
    plant.node.stop();
    plant.node.start();
    let status = plant.node.command(&["status"]);
    assert!(!status.contains("is gone"), "{status}");
}

#[test]
fn another_name_for_a_repository_is_no_growth_and_leaves_nothing_out_of_force() {
    let mut plant = Plant::new();
    let text = fs::read_to_string(plant.node.configuration()).unwrap();
    let renamed = |name: &str| text.replace("hotline", name);
    // With another version on offer that a guard would hold, and with none.
    for (name, range, expected) in [
        ("other", 0..300, (None, 1)),
        ("third", 0..600, (Some(2), 1)),
    ] {
        if range.end > 300 {
            plant.authority.publish_unguarded("a", &names(range));
        }
        plant.node.write_configuration(&renamed(name));
        plant.node.command(&["reload"]);
        plant.node.command(&["update"]);
        for restarts in [false, true] {
            if restarts {
                plant.node.stop();
                plant.node.start();
            }
            assert_eq!(plant.held(), expected.0, "{name}, {restarts}");
            assert_eq!(plant.list()["serial"], expected.1, "{name}, {restarts}");
            assert!(plant.blocks(1) && plant.blocks(299), "{name}, {restarts}");
            assert!(!plant.blocks(599), "{name}, {restarts}");
        }
    }
    assert_eq!(plant.list()["guard_events"], 1);
}

#[test]
fn where_standing_and_current_are_both_damaged_nothing_goes_in_force_unjudged() {
    let mut plant = Plant::new();
    plant.publish(0..600);
    assert_eq!(plant.held(), Some(2));
    plant.node.stop();
    let folder = plant.node.state().join("lists/a");
    for file in ["standing.json", "current"] {
        fs::write(folder.join(file), [0xff]).unwrap();
    }
    plant.node.start();
    for restarts in [false, true] {
        if restarts {
            plant.node.stop();
            plant.node.start();
        }
        assert_eq!(
            (plant.held(), plant.list()["serial"].as_u64()),
            (Some(2), Some(1))
        );
        assert!(plant.blocks(1) && !plant.blocks(599), "{restarts}");
    }
    assert!(plant.node.log().contains("standing.json is damaged"));
}

#[test]
fn a_version_in_force_that_is_damaged_on_disk_costs_no_list() {
    let mut plant = Plant::new();
    let status = |plant: &Plant| plant.node.command(&["status"]);
    let state = |plant: &Plant, serial: u64| {
        let folder = plant.node.state().join("lists/a");
        folder.join(format!("{serial}.state"))
    };
    let restart = |plant: &mut Plant| {
        plant.node.stop();
        plant.node.start();
    };
    let damage = |plant: &Plant, serial: u64| {
        let file = fs::File::options().write(true).open(state(plant, serial));
        file.unwrap().set_len(100).unwrap();
    };
    // The newest is fetched again: until then the one before stands in for it.
    plant.publish(0..310);
    damage(&plant, 2);
    restart(&mut plant);
    assert!(plant.blocks(299) && !plant.blocks(309));
    let said = status(&plant);
    let alarm = "ALARM (disk): list a: serial 2 is to be in force";
    assert!(
        said.contains(alarm) && said.contains("serial 1 stands in"),
        "{said}"
    );
    plant.node.command(&["update"]);
    assert!(plant.blocks(309));
    assert!(!status(&plant).contains("ALARM"), "{}", status(&plant));
    // One that is not the newest cannot be fetched, and what is held stays held.
    plant.publish(0..700);
    fs::remove_file(state(&plant, 2)).unwrap();
    restart(&mut plant);
    let said = plant.node.command(&["hold"]);
    assert!(
        said.contains("serial 2 is to be in force, and is not on disk"),
        "{said}"
    );
    assert!(plant.node.log().contains("cannot be read or stored"));
    assert!(plant.blocks(299) && !plant.blocks(309));
    assert_eq!(plant.held(), Some(3));
    assert!(status(&plant).contains(alarm), "{}", status(&plant));
    // The next version is measured by what stands in.
    plant.publish(0..800);
    assert_eq!(plant.held(), Some(4));
    plant.publish(0..320);
    assert_eq!(plant.held(), None);
    assert!(plant.blocks(319) && !status(&plant).contains("ALARM"));
    // The same while it runs, and of a version that somebody went back to from the only other.
    let rollback = ["rollback", "a", "1"];
    plant.node.command(&[&rollback[..], &ANNA].concat());
    for serial in 2..5 {
        let _ = fs::remove_file(state(&plant, serial));
    }
    fs::remove_file(state(&plant, 1)).unwrap();
    let text = fs::read_to_string(plant.node.configuration()).unwrap();
    let other = text.replace("list: a } }", "list: a }, mode: monitor }");
    for text in [other, text] {
        plant.node.write_configuration(&text);
        plant.node.command(&["reload"]);
    }
    assert!(plant.blocks(319));
    let alarm = "serial 1 is to be in force";
    assert!(status(&plant).contains(alarm), "{}", status(&plant));
}

#[test]
fn another_list_in_the_place_of_one_is_measured_by_nothing_of_it() {
    let mut plant = Plant::new();
    plant.authority.delegate("b");
    plant.authority.publish_unguarded("b", &names(1000..1900));
    let text = fs::read_to_string(plant.node.configuration()).unwrap();
    let other = text.replace("list: a }", "list: b }");
    plant.node.write_configuration(&other);
    let said = plant.node.refused(&["reload"]);
    assert!(said.contains("to begin anew on purpose"), "{said}");
    assert!(plant.blocks(1) && !plant.blocks(1899));
    // The way out: under another name it is another list.
    let other = other.replace("name: a, from", "name: b, from");
    plant.node.write_configuration(&other);
    plant.node.command(&["reload"]);
    plant.node.command(&["update"]);
    for restarts in [false, true] {
        if restarts {
            plant.node.stop();
            plant.node.start();
        }
        assert_eq!(plant.held(), None);
        assert_eq!(plant.list()["guard_events"], 0);
        assert!(plant.blocks(1899) && !plant.blocks(1), "{restarts}");
    }
    // From there on its own growth counts.
    plant.authority.publish_unguarded("b", &names(1000..3000));
    plant.node.command(&["update"]);
    assert_eq!(plant.held(), Some(2));
    assert!(plant.blocks(1899) && !plant.blocks(2999));
}
