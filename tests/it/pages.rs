//! The pages as a person's browser shows them: the dashboard's figures and the stop page's
//! legal basis, read in headless Chromium.

use std::process::Command;

use crate::harness::authority::Authority;
use crate::harness::client::{self, Connection};
use crate::harness::must;
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;

/// The page's document after the browser has read it.
fn document(address: &str, hosts: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let mut chromium = Command::new("chromium");
    chromium.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=5000",
        "--dump-dom",
    ]);
    chromium.arg(format!("--user-data-dir={}", profile.path().display()));
    chromium.arg(format!("--host-resolver-rules={hosts}"));
    must(chromium.arg(address))
}

/// The text of a document without its tags, white space folded.
fn text(document: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for character in document.chars() {
        match character {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                text.push(' ');
            }
            other if !in_tag => text.push(other),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_browser_reads_a_figure_from_the_dashboard_and_the_law_from_the_stop_page() {
    let authority = Authority::new();
    authority.delegate("orders");
    authority.publish_rows(
        "orders",
        &["blocked.test".to_owned()],
        "domains",
        Some("subtree"),
    );
    let upstream = Upstream::start();
    let lists = format!(
        "repositories:\n  - name: hotline\n    mirrors: [\"{}\"]\n    trust: {}\nlists:\n  - name: orders\n    from: {{ repository: hotline, list: orders }}\n    required: true",
        authority.mirror(),
        authority.root().display()
    );
    let mut node = Node::new(&lists, upstream.address);
    node.start();
    // A figure that stands nowhere else on the page.
    let names: Vec<String> = (0..4_321)
        .map(|number| format!("n{number}.blocked.test"))
        .collect();
    client::ask_all(node.dns, names.iter().map(String::as_str), |_, _| {});
    assert_eq!(
        Connection::new(node.stop_page)
            .get("/", "www.blocked.test")
            .status,
        451
    );

    let nowhere = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1";
    let dashboard = document(&format!("http://{}/", node.report), nowhere);
    let shown = text(&dashboard);
    let figure = ["4321", "4,321", "4\u{202f}321", "4\u{a0}321", "4 321"]
        .into_iter()
        .find(|figure| shown.contains(*figure));
    assert!(figure.is_some(), "{shown}");
    assert!(
        shown.contains("orders") && dashboard.contains("<svg"),
        "{shown}"
    );
    assert!(
        !dashboard.contains("<script"),
        "the dashboard needs no script"
    );

    // The browser looks the name up at the stop page's address, as the resolver would say.
    let stop = document(
        "http://www.blocked.test/",
        &format!("MAP www.blocked.test {}", node.stop_page),
    );
    let shown = text(&stop);
    for part in [
        "Example Act 2012, article 25",
        "Example Police",
        "EX-2026-1",
        "Example Net",
        "appeal@authority.example",
    ] {
        assert!(shown.contains(part), "{part} is missing: {shown}");
    }
    assert!(
        !stop.contains("<script") && !stop.contains("blocked.test"),
        "{stop}"
    );
    node.stop();
}
