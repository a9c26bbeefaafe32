//! The files of `tests/scenarios/proxy`, run as data.

use std::collections::BTreeMap;
use std::path::Path;

use super::node::{Node, Plan};
use super::wire::{Answer, is_closed, read_answer, send};

/// Runs every file of `tests/scenarios/proxy`; its README says how one is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/proxy");
    let mut ran = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        if file
            .extension()
            .is_some_and(|extension| extension == "http")
        {
            scenario(&file).await;
            ran += 1;
        }
    }
    assert!(ran >= 30, "only {ran} scenarios were found");
}

async fn scenario(file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_string_lossy();
    let mut parts = text.split("\n--- ");
    let mut plan = Plan::default();
    let mut at = "http";
    let mut expected_hits = BTreeMap::new();
    for line in parts.next().unwrap().lines() {
        match line.split_once(": ") {
            _ if line.starts_with('#') || line.is_empty() => {}
            Some(("at", role)) => at = role,
            Some(("deny", "loopback")) => plan.deny = vec!["127.0.0.0/8", "::1/128"],
            Some(("hits", entry)) => *expected_hits.entry(entry.to_owned()).or_insert(0) += 1,
            _ => panic!("{name}: {line} is no setting"),
        }
    }
    let node = Node::by(plan).await;
    let to = if at == "http" {
        node.http
    } else {
        node.forward
    };
    let request = parts.next().unwrap().strip_prefix("request\n").unwrap();
    let request = request.replace("$ORIGIN", &node.origin.port().to_string());
    let request = format!("{}\r\n", request.replace('\n', "\r\n"));
    let methods = request
        .lines()
        .filter(|line| line.ends_with(" HTTP/1.1") || line.ends_with(" HTTP/1.0"));
    let mut methods = methods.map(|line| line.split(' ').next().unwrap());
    let mut stream = send(to, &request).await;
    for part in parts {
        let mut lines = part.lines();
        match lines.next().unwrap() {
            "answer" => {
                let answer = read_answer(&mut stream, methods.next().unwrap_or("GET")).await;
                let answer = answer.unwrap_or_else(|| panic!("{name}: closed without an answer"));
                expect(&name, &answer, lines);
            }
            "closed" => assert!(is_closed(&mut stream).await, "{name}: not closed"),
            other => panic!("{name}: {other} is no part"),
        }
    }
    assert_eq!(node.hits(), expected_hits, "{name}: hits");
}

/// Holds an answer against the lines of a scenario.
fn expect<'a>(name: &str, answer: &Answer, mut lines: impl Iterator<Item = &'a str>) {
    let status = lines.next().unwrap();
    assert_eq!(
        answer.head.lines().next().unwrap(),
        status,
        "{name}: {answer:?}"
    );
    for line in lines.filter(|line| !line.is_empty()) {
        if let Some(part) = line.strip_prefix("body: ") {
            assert!(
                answer.body.contains(part),
                "{name}: {part} is missing: {answer:?}"
            );
        } else if let Some(part) = line.strip_prefix("no body: ") {
            assert!(
                !answer.body.contains(part),
                "{name}: {part} is there: {answer:?}"
            );
        } else if let Some(field) = line.strip_prefix("no ") {
            assert_eq!(answer.field(field), None, "{name}: {answer:?}");
        } else {
            let (field, value) = line.split_once(": ").unwrap();
            assert_eq!(answer.field(field), Some(value), "{name}: {answer:?}");
        }
    }
}
