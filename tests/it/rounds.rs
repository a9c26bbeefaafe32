//! A mirror that says nothing keeps nobody waiting: what other repositories withdraw acts, and
//! so does what a person decides, while a round of its repository waits for it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::authority::Authority;
use crate::harness::client::{self, until};
use crate::harness::must;
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;

/// A node with list `a` of an authority, and list `slow` of another whose mirror has stopped
/// answering in the midst of a round: serial 2 of `slow` is in force, serial 3 is held.
struct Plant {
    authority: Authority,
    slow: Authority,
    node: Node,
    _upstream: Upstream,
    silent: TcpListener,
    _asked: TcpStream,
}

impl Plant {
    fn new() -> Self {
        let authorities = ["a", "slow"].map(|list| {
            let authority = Authority::new();
            authority.delegate(list);
            authority
        });
        let [authority, slow] = authorities;
        authority.publish_unguarded("a", &["one.test".to_owned(), "two.test".to_owned()]);
        slow.publish_unguarded("slow", &names(0..300));
        let upstream = Upstream::start();
        let repository = |name: &str, of: &Authority| {
            let (mirror, trust) = (of.mirror(), of.root());
            let trust = trust.display();
            format!("  - {{ name: {name}, mirrors: [\"{mirror}\"], trust: {trust}, poll: 1s }}\n")
        };
        let lists = format!(
            "repositories:\n{}{}lists:\n  - {{ name: slow, from: {{ repository: slow, list: slow }} }}\n  - {{ name: a, from: {{ repository: hotline, list: a }} }}",
            repository("slow", &slow),
            repository("hotline", &authority)
        );
        let mut node = Node::new(&lists, upstream.address);
        node.start();
        slow.publish_unguarded("slow", &names(0..301));
        node.command(&["update", "slow"]);
        slow.publish_unguarded("slow", &names(0..900));
        node.command(&["update", "slow"]);
        // It takes connections, and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let text = fs::read_to_string(node.configuration()).unwrap();
        let address = format!("http://{}/", silent.local_addr().unwrap());
        node.write_configuration(&text.replace(&slow.mirror(), &address));
        node.command(&["reload"]);
        let (asked, _) = silent.accept().unwrap();
        Self {
            authority,
            slow,
            node,
            _upstream: upstream,
            silent,
            _asked: asked,
        }
    }

    fn blocks(&self, name: &str) -> bool {
        client::ask(self.node.dns, name).address == Some(Ipv4Addr::new(192, 0, 2, 80))
    }

    fn list(&self, name: &str) -> Value {
        let status = self.node.command(&["status", "--json"]);
        let status: Value = serde_json::from_str(&status).unwrap();
        let mut lists = status["lists"].as_array().unwrap().iter();
        lists.find(|list| list["name"] == name).unwrap().clone()
    }

    /// Runs a command, which must not wait for the mirror.
    #[track_caller]
    fn at_once(&self, words: &[&str]) {
        let begin = Instant::now();
        self.node.command(words);
        let took = begin.elapsed();
        assert!(took < AT_ONCE, "{words:?} took {took:?}");
    }
}

fn names(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("n{number}.test")).collect()
}

const ANNA: [&str; 4] = ["--by", "Anna", "--reason", "checked by phone"];
/// Far below how long the node waits for a mirror that says nothing.
const AT_ONCE: Duration = Duration::from_secs(3);

#[test]
fn a_withdrawal_acts_within_three_seconds_while_another_repository_stalls() {
    let plant = Plant::new();
    assert!(plant.blocks("one.test") && plant.blocks("n1.test"));
    let begin = Instant::now();
    let mut withdraw = plant.authority.repo("withdraw");
    must(withdraw.args(["--list", "a", "--value", "one.test", "--reason", "error"]));
    until("the name resolves", Duration::from_secs(20), || {
        !plant.blocks("one.test")
    });
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(plant.blocks("two.test") && plant.blocks("n1.test"));
    // A new version comes, too.
    let rows = ["one.test", "two.test", "three.test"].map(str::to_owned);
    plant.authority.publish_unguarded("a", &rows);
    plant.at_once(&["update", "a"]);
    assert!(plant.blocks("three.test"));
}

#[test]
fn what_a_person_decides_acts_at_once_while_the_repository_of_the_list_stalls() {
    let plant = Plant::new();
    assert_eq!(plant.list("slow")["held"]["serial"], 3);
    plant.at_once(&[&["hold", "accept", "slow", "3"][..], &ANNA].concat());
    assert!(plant.blocks("n899.test"));
    plant.at_once(&[&["rollback", "slow", "1"][..], &ANNA].concat());
    assert!(plant.blocks("n299.test") && !plant.blocks("n300.test"));
    plant.at_once(&[&["allow", "n1.test", "--for", "1h"][..], &ANNA].concat());
    assert!(!plant.blocks("n1.test"));
    // The same configuration again; the round goes on. Then a list less, and the mirror that
    // answers.
    plant.at_once(&["reload"]);
    let text = fs::read_to_string(plant.node.configuration()).unwrap();
    let silent = format!("http://{}/", plant.silent.local_addr().unwrap());
    let text = text.replace(
        "\n  - { name: a, from: { repository: hotline, list: a } }",
        "",
    );
    plant.node.write_configuration(&text);
    plant.at_once(&["reload"]);
    assert!(!plant.blocks("one.test") && plant.blocks("n2.test"));
    let text = text.replace(&silent, &plant.slow.mirror());
    plant.node.write_configuration(&text);
    plant.at_once(&["reload"]);
    let mut withdraw = plant.slow.repo("withdraw");
    must(withdraw.args(["--list", "slow", "--value", "n2.test", "--reason", "error"]));
    plant.at_once(&["update"]);
    assert!(!plant.blocks("n2.test") && plant.blocks("n3.test"));
}
