//! Everything that can go wrong (trust.md section 7.8), each made to happen; `table.rs` says
//! where each row, attack and trap has its test.

mod clock;
mod damage;
mod disk;
mod download;
mod events;
mod keys;
mod table;
mod writes;

use std::process::Output;

use crate::harness::authority::Authority;
use crate::harness::client;
use crate::harness::node::Node;
use crate::harness::{cordon, run};

/// The part of a configuration that takes the list `list` from an authority.
fn block_list(authority: &Authority) -> String {
    format!(
        r#"repositories:
  - name: hotline
    mirrors: ["{}"]
    trust: {}
    poll: 1h
lists:
  - name: list
    from: {{ repository: hotline, list: list }}
"#,
        authority.mirror(),
        authority.root().display()
    )
}

/// Whether a name is blocked.
fn blocked(node: &Node, name: &str) -> bool {
    let stop_page = std::net::Ipv4Addr::new(192, 0, 2, 80);
    client::ask(node.dns, name).address == Some(stop_page)
}

/// A round now, which may fail.
fn update(node: &Node) -> Output {
    run(cordon()
        .args(["update", "--config"])
        .arg(node.configuration()))
}

/// A figure of `/metrics`.
#[track_caller]
fn metric(node: &Node, name: &str) -> f64 {
    let text = node.report("/metrics").body;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not there:\n{text}"))
        .parse()
        .unwrap()
}
